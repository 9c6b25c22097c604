"""``xray-tui predict``, as a person or a script uses it."""

import csv
import io
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_folder, write_image
from tests.trained_runs import finished, tiny_networks
from xray_tui import trained as trained_module
from xray_tui.cli import main
from xray_tui.runs.directory import RunDirectory
from xray_tui.trained import Trained, load
from xray_tui.words import probability

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    folder = tmp_path_factory.mktemp("predict")
    counts = {role: {"NORMAL": 9, "PNEUMONIA": 12} for role in ("train", "val", "test")}
    data = write_folder(folder / "chest", counts)
    with tiny_networks():
        made = finished(data, folder / "runs", {"data.split": "folders"})
        shutil.rmtree(data)
        yield made


@pytest.fixture(scope="module")
def trained(run: RunDirectory) -> Trained:
    return load(run, "cpu")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for number in range(5):
        write_image(tmp_path / "scans" / f"film {number}.png", bright=number > 2, seed=number)
    (tmp_path / "scans" / "broken.jpeg").write_bytes(b"no image")
    return tmp_path / "scans"


@pytest.fixture
def call(
    run: RunDirectory, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Calls the program in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def predict(*arguments: str, standard_input: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(standard_input)))
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(run.path), *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return predict


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_what_the_environment_says_of_runs_asks_for_no_overlays(
    call: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_TUI_EXPLAIN", "1")
    code, out, _ = call("scans")
    assert code == 0
    assert "film 0.png" in out
    assert {path.name for path in tmp_path.iterdir()} == {"scans"}


def test_a_row_an_image_at_the_operating_point_of_the_run(
    call: Call, scans: Path, trained: Trained, run: RunDirectory
) -> None:
    code, out, err = call("scans")
    rows = rows_of(out)
    assert code == 0
    assert [row["path"] for row in rows] == ["scans/broken.jpeg", *(f"scans/film {n}.png" for n in range(5))]
    assert list(rows[0].values())[1:] == ["", "", "", "", "not a JPEG, PNG or DICOM image"]
    for row in rows[1:]:
        normal, pneumonia = float(row["probability_NORMAL"]), float(row["probability_PNEUMONIA"])
        assert normal + pneumonia == pytest.approx(1, abs=2e-6)
        is_positive = pneumonia >= trained.threshold
        assert row["predicted"] == ("PNEUMONIA" if is_positive else "NORMAL")
        assert (row["positive"], row["unreadable"]) == (str(is_positive).lower(), "")
    assert len({row["predicted"] for row in rows[1:]}) == 2, "else the threshold is not tried"
    assert f"{run.name}, epoch {trained.epoch}" in err
    assert f"PNEUMONIA is called from p ≥ {probability(trained.threshold)} (youden, on validation)" in err
    assert err.splitlines()[-1].startswith("5 images in 00:0")
    assert err.splitlines()[-1].endswith("; 1 cannot be read")


def test_lines_of_json_of_a_list_on_standard_input(call: Call, scans: Path, trained: Trained) -> None:
    write_image(scans / "тест.png", seed=9)
    listed = "scans/film 1.png\nscans/тест.png\ngone.png\n".encode()
    code, out, _ = call("-", "--format", "jsonl", "--batch-size", "2", standard_input=listed)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["path"] for row in found] == ["scans/film 1.png", "scans/тест.png", "gone.png"]
    wanted = list(trained_module.predict(trained, [scans / "film 1.png", scans / "тест.png"]))
    for row, prediction in zip(found, wanted, strict=False):
        assert list(row["probabilities"].values()) == prediction.probabilities.tolist()
        assert row["positive"] is (row["predicted"] == "PNEUMONIA")
        assert row["unreadable"] is None
    assert found[2] == {
        "path": "gone.png",
        "predicted": None,
        "positive": None,
        "probabilities": None,
        "unreadable": "No such file or directory",
    }


def test_a_table_obeys_nobodys_file_name(call: Call, scans: Path) -> None:
    write_image(scans / "\x1b[31mred\n.png", seed=3)
    code, out, _ = call("scans", "--format", "table")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["predicted", "NORMAL", "PNEUMONIA", "positive", "image"]
    assert len(lines) == 8
    assert "\x1b" not in out
    assert any(line.endswith("scans/␛[31mred␊.png") for line in lines)
    assert lines[2].split(maxsplit=4)[-1] == "scans/broken.jpeg: not a JPEG, PNG or DICOM image"
    assert len({line.index("scans/") for line in lines[1:]}) == 1, "columns stand below each other"


def test_on_a_terminal_rows_stand_above_the_progress(
    call: Call, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 2  # of the signal handlers, where it hangs up: here it does not

    screen, errors = Terminal(), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", errors)
    code, _, _ = call("scans")
    shown = screen.getvalue()
    assert code == 0
    for number in range(5):
        assert re.search(
            rf"(NORMAL|PNEUMONIA) +0\.\d{{4}} +0\.\d{{4}} +(no|yes) +scans/film {number}\.png\n", shown
        )
    assert re.search("predicting .*img/s", shown)
    assert re.search(r"\d/6\b", shown), "of how many, for they can be counted"
    assert "predicting" not in errors.getvalue(), "one bar is enough"
    assert "5 images in" in errors.getvalue()


def test_where_nothing_is_read_it_says_so(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = call("empty")
    assert (code, len(out.splitlines())) == (1, 1)
    assert "no images in empty\n" in err
    assert err.endswith("no image was read\n")
    code, out, err = call("gone.png", "none/*.png")
    assert (code, [row["unreadable"] for row in rows_of(out)]) == (1, ["No such file or directory"] * 2)
    assert err.endswith("no image was read; 2 cannot be read\n")


def test_an_image_that_is_named_twice_has_one_row(call: Call, scans: Path) -> None:
    code, out, err = call("scans/film 0.png", "scans/film 0.png", f"{scans}/film ?.png")
    assert (code, len(rows_of(out))) == (0, 5)
    assert "2 paths came more than once: an image is looked at once" in err


def test_a_file_appears_whole_in_the_format_of_its_name(call: Call, scans: Path, tmp_path: Path) -> None:
    code, out, _ = call("scans", "--output", "rows.jsonl")
    assert (code, out) == (0, "")
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines][::5] == ["scans/broken.jpeg", "scans/film 4.png"]
    call("scans", "--output", "rows.csv")
    assert len(rows_of((tmp_path / "rows.csv").read_text())) == 6
    kept = (tmp_path / "rows.csv").read_bytes()
    code, _, err = call("scans", "--output", "rows.csv", "--device", "cuda:99")
    assert (code, (tmp_path / "rows.csv").read_bytes()) == (2, kept)
    assert "--device cuda:99" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.jsonl", "scans"]


def test_ctrl_c_keeps_the_rows_so_far(
    call: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = trained_module.predict

    def interrupted(*given: object, **named: object) -> Iterator[object]:
        for number, prediction in enumerate(predict(*given, **named)):
            if number == 3:
                signal.raise_signal(signal.SIGINT)
            yield prediction

    monkeypatch.setattr(trained_module, "predict", interrupted)
    code, _, err = call("scans", "--output", "rows.csv")
    assert code == 128 + signal.SIGINT
    assert len(rows_of((tmp_path / "rows.csv").read_text())) == 3
    assert err.splitlines()[-1].startswith("2 images in")


def test_overlays_have_harmless_names_that_do_not_collide(call: Call, tmp_path: Path) -> None:
    names = ["a/film.png", "b/film.jpeg", "b/FILM.png", "c/…; rm -rf .png", "c/" + "x" * 200 + ".png"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, seed=number, size=(1100, 150) if number == 0 else (60, 48))
    (tmp_path / "a" / "broken.png").touch()
    code, out, _ = call("a", "b", "c", "--explain", "a/heat")
    pictures = {row["path"]: row["explanation"] for row in rows_of(out)}
    assert code == 0
    assert pictures.pop("a/broken.png") == ""
    assert {path: Path(picture).name for path, picture in pictures.items()} == {
        "a/film.png": "film-gradcam.png",
        "b/FILM.png": "FILM-2-gradcam.png",
        "b/film.jpeg": "film-3-gradcam.png",
        "c/…; rm -rf .png": "rm_-rf-gradcam.png",
        "c/" + "x" * 200 + ".png": "x" * 50 + "-gradcam.png",
    }
    for path, picture in pictures.items():
        with Image.open(tmp_path / picture) as image:
            assert (image.mode, image.format) == ("RGB", "PNG")
            assert max(image.size) == (1024 if path == "a/film.png" else 60)
    assert len(list((tmp_path / "a" / "heat").iterdir())) == 5
    assert len(rows_of(call("a", "--explain", "a/heat")[1])) == 2, "the overlays of before are no images"


def test_the_heat_lies_where_the_network_looked(
    call: Call, scans: Path, trained: Trained, tmp_path: Path
) -> None:
    image = scans / "film 4.png"
    call(str(image), "--explain", "heat")
    (prediction,) = trained_module.predict(trained, [image])
    heat = trained_module.explain(trained, image, prediction.predicted).heat
    assert heat.max() == 1, "else there is nothing to see"
    with Image.open(tmp_path / "heat" / "film_4-gradcam.png") as drawn:
        pixels = np.asarray(drawn, int)
    assert (pixels.max(2) > pixels.min(2)).any(), "colour on grey film"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no images to predict"),
        (["scans", "--formt", "csv"], "Unknown option: --formt"),
        (["scans", "--batch-size", "0"], "--batch-size 0"),
        (["scans", "--output", "scans"], "it is a folder"),
        (["scans", "--output", "no/such/rows.csv"], "cannot write no/such/rows.csv"),
        (["scans", "--explain", "scans/broken.jpeg"], "cannot make the folder"),
        (["scans", "--device", "abacus"], "--device abacus"),
    ],
)
def test_what_is_wrong_is_told(call: Call, scans: Path, arguments: list[str], told: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert told in err


def test_a_list_on_a_closed_standard_input_is_told(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as `0<&-` leaves it
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(run.path), "-"])
    assert ended.value.code == 2
    assert "standard input is closed" in capsys.readouterr().err
