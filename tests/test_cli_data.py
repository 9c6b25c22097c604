"""``xray-tui data``, as a person or a script uses it."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import write_folder
from xray_tui import cli_data
from xray_tui.cli import main
from xray_tui.data.pixel_cache import PixelCache

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the program in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(("data", *arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def found(out: str) -> dict[str, Any]:
    return {finding["kind"]: finding for finding in json.loads(out)["findings"]}


def copy_into_test(chest: Path) -> None:
    original = chest / "train" / "NORMAL" / "IM-0003-0001.png"
    shutil.copy(original, chest / "test" / "NORMAL" / "IM-0777-0001.png")


def test_a_good_folder_is_reported_and_ends_with_0(call: Call, chest: Path) -> None:
    code, out, err = call("check", str(chest), "--split", "recipe")
    assert code == 0
    assert err == "", "nobody watches: no bar"
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == [str(chest)]
    assert ["train", "(train/)", "all", "24"] in lines
    assert ["PNEUMONIA", "14", "58.3", "%", "██████████████"] in lines
    assert "40 × 48 px, all of them" in out
    assert "! validation is small: 6 NORMAL, 8 PNEUMONIA" in out
    assert "\n  One image more or less moves a class's rate by 17 points." in out


def test_what_spoils_a_run_ends_with_1_and_is_named_first(call: Call, chest: Path) -> None:
    copy_into_test(chest)
    code, out, _ = call("check", str(chest), "--split", "recipe")
    assert code == 1
    first = next(line for line in out.splitlines() if line[:1] in "✕!·" and line)
    assert first == "✕ 1 image stands in more than one role"
    assert "train and validation: train/NORMAL/IM-0003-0001.png, test/NORMAL/IM-0777-0001.png" in out


def test_json_is_the_whole_report(call: Call, chest: Path) -> None:
    copy_into_test(chest)
    code, out, err = call("check", str(chest), "--json", "--split", "recipe")
    assert (code, err) == (1, "")
    report = json.loads(out)
    assert [role["images"] for role in report["roles"]] == [24, 15, 4]
    assert report["folders"]["train"] == {"NORMAL": 10, "PNEUMONIA": 14}
    assert report["sizes"]["commonest"] == {"width": 40, "height": 48}
    assert found(out)["copies across roles"]["groups"] == [
        {
            "name": "train and validation",
            "files": ["train/NORMAL/IM-0003-0001.png", "test/NORMAL/IM-0777-0001.png"],
        }
    ]


def test_the_split_decides_what_is_across(call: Call, chest: Path) -> None:
    copy_into_test(chest)
    groups = {
        split: found(call("check", str(chest), "--json", "--split", split)[1])["copies across roles"][
            "groups"
        ]
        for split in ("recipe", "folders")
    }
    assert {split: group[0]["name"] for split, group in groups.items()} == {
        "recipe": "train and validation",
        "folders": "train and test",
    }


def test_too_many_unreadable_files_spoil_it(call: Call, chest: Path) -> None:
    (chest / "train" / "NORMAL" / "IM-9.png").write_bytes(b"no image")
    assert call("check", str(chest), "--unreadable", "0.5")[0] == 0
    code, out, _ = call("check", str(chest), "--unreadable", "0.01")
    assert code == 1
    assert "✕ 1 file cannot be read" in out
    assert "not a JPEG, PNG or DICOM image: train/NORMAL/IM-9.png" in out


def test_the_folder_and_settings_may_come_from_a_config_file(call: Call, chest: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f'[data]\nroot = "{chest}"\nsplit = "holdout"\n')
    code, out, _ = call("check", "--config", str(file), "--json")
    assert code == 0
    assert json.loads(out)["split"] == "holdout"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "error: no data given"),
        (["check", "/nowhere/at all"], "error: no such folder: /nowhere/at all"),
        (["check", "lacking"], "error: the classes of test/ differ from those of train/: it lacks b"),
    ],
)
def test_a_folder_without_the_layout_ends_with_2(
    call: Call, tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_folder(tmp_path / "lacking", {"train": {"a": 2, "b": 2}, "test": {"a": 2}})
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == message


def test_foreign_names_are_printed_harmlessly(call: Call, chest: Path) -> None:
    (chest / "train" / "NORMAL" / "[red]\x1b[31mIM.png").write_bytes(b"")
    _, out, _ = call("check", str(chest))
    assert "\x1b" not in out
    assert "empty: train/NORMAL/[red]␛[31mIM.png" in out


def test_what_cannot_be_kept_is_told(
    call: Call, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XRAY_TUI_CACHE_DIR", str(tmp_path / "file"))
    code, _, err = call("check", str(chest))
    assert code == 0
    assert "could not be kept" in err


def test_the_cache_of_decoded_pixels_is_told(call: Call, chest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    arguments = ["check", str(chest), "--cache", str(folder)]
    assert f"decoded pixels in {folder}/pixels: none yet" in call(*arguments)[1]
    for root, kilobytes in ((chest, 3), (tmp_path, 5)):
        with PixelCache(folder / "pixels", 1e9).building(f"{kilobytes:032}", root, 1) as part:
            part.add(np.zeros((kilobytes, 1000), np.uint8))
            part.finish()
    assert "pixels: 8 kB, of which 3 kB are this folder's" in call(*arguments)[1]
    told = json.loads(call(*arguments, "--json")[1])["cache"]
    assert told["bytes"] > 8000 > 4000 > told["of_this_data"] > 3000
    assert "decoded pixels" not in call("check", str(chest), "--cache", "off")[1]


def test_checking_needs_no_torch(chest: Path) -> None:
    code = (
        "import sys; from xray_tui.cli import main\n"
        f"try: main(['data', 'check', {str(chest)!r}])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert not {'torch', 'textual', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=dict(os.environ))


def test_a_seed_is_no_less_than_nothing(call: Call, tmp_path: Path) -> None:
    assert call("demo", "made", "--seed", "-1") == (2, "", "error: --seed -1: a seed is 0 or more\n")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("trouble", ["a file in the way", "no permission"])
def test_a_place_where_no_demo_can_be_made_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    place, why = tmp_path / "there" / "demo", "File exists"
    if trouble == "no permission":  # by mode alone root would not be kept from it
        why, make = "Permission denied", os.mkdir

        def refuse(path: os.PathLike[str], *given: int) -> None:
            if Path(path).is_relative_to(tmp_path / "there"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            make(path, *given)

        monkeypatch.setattr(os, "mkdir", refuse)
    else:
        place.parent.write_text("mine")
    line = f"error: cannot make the demo radiographs in {place}: {why}\n"
    assert call("demo", str(place)) == (2, "", f"{line}  name another folder: `xray-tui data demo FOLDER`\n")
    monkeypatch.setenv("XRAY_TUI_CACHE_DIR", str(place.parent))
    monkeypatch.setattr(cli_data, "__file__", str(tmp_path / "installed" / "xray_tui" / "cli_data.py"))
    assert call("demo") == (2, "", f"{line}  XRAY_TUI_CACHE_DIR names another cache folder\n")
