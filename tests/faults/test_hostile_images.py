"""What a data folder from a stranger may hold: named, counted, and never obeyed."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults.hostile_images import CONTENTS, NAMES, NO_UTF_8, encoded, fill, png_claiming
from xray_tui.cli import main
from xray_tui.data.decoding import MOST_BYTES, Unreadable, decode, head, measure
from xray_tui.data.folders import scan
from xray_tui.errors import UserError
from xray_tui.regular_files import NotRegular, open_regular, read_regular

_RAISED = (EOFError, KeyError, OverflowError, MemoryError, RecursionError, ZeroDivisionError)


def check(chest: Path, *options: str) -> int:
    """``xray-tui data check``; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", str(chest), *options])
    return int(str(ended.value.code))


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_radiograph_is_told_in_a_few_words(tmp_path: Path, name: str) -> None:
    make, why = CONTENTS[name]
    file = tmp_path / name
    file.write_bytes(make())
    begun = time.perf_counter()
    verdicts = []
    for read in (lambda: decode(file), lambda: decode(file, 300), lambda: measure(file.open("rb"))):
        try:
            read()
        except Unreadable as error:
            verdicts.append(str(error))
        else:
            verdicts.append("")
    assert time.perf_counter() - begun < 3
    assert len(set(verdicts)) == 1, verdicts
    assert why in verdicts[0]
    assert verdicts[0]
    assert len(verdicts[0]) <= 120
    assert verdicts[0].isprintable()


def test_sizes_at_the_limits_are_radiographs(tmp_path: Path) -> None:
    for width, height in ((8, 8), (28, 28), (80, 8), (300, 3000)):
        (tmp_path / "x.png").write_bytes(encoded("PNG", Image.new("L", (width, height))))
        assert decode(tmp_path / "x.png").shape == (height, width)
    for width, height in ((7, 8), (81, 8), (8, 81)):
        (tmp_path / "x.png").write_bytes(encoded("PNG", Image.new("L", (width, height))))
        with pytest.raises(Unreadable, match=f"{width} × {height} pixels: no radiograph"):
            decode(tmp_path / "x.png")


def test_a_large_image_takes_a_few_bytes_a_pixel(tmp_path: Path) -> None:
    """The largest that is let through, 16 bits deep, read by a process of its own to measure it."""
    (tmp_path / "large.png").write_bytes(png_claiming(7_000, 7_000, 7_000, depth=16))
    code = (
        "import sys, pathlib, resource; from xray_tui.data.decoding import decode;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "decode(pathlib.Path(sys.argv[1]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "large.png")], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) * 1024 < 8 * 49_000_000


def test_a_huge_file_is_not_read_to_its_end(chest: Path) -> None:
    """A sparse one takes no room on the disk, and an hour to hash."""
    file = chest / "train" / "NORMAL" / "huge.png"
    with file.open("wb") as out:
        out.write(encoded("PNG"))
        out.truncate(2**42)
    begun = time.perf_counter()
    with pytest.raises(Unreadable, match=f"larger than {MOST_BYTES // 10**6} MB"):
        decode(file)
    assert check(chest) == 0
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize(
    "error", [EOFError, KeyError, OverflowError, MemoryError, RecursionError, ZeroDivisionError]
)
def test_whatever_a_decoder_raises_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    (tmp_path / "x.png").write_bytes(encoded("PNG"))

    def fail(*_: object) -> None:
        raise error("\x1b[31m")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(Unreadable) as caught:
        decode(tmp_path / "x.png")
    assert str(caught.value) in (f"damaged ({error.__name__})", "no memory for it")
    assert caught.value.for_now == (error is MemoryError)


def test_nothing_is_said_beside_the_verdict(tmp_path: Path) -> None:
    """Pillow warns of bombs and of broken metadata, on standard error: in the middle of a screen."""
    for name, (make, _) in CONTENTS.items():
        (tmp_path / name).write_bytes(make())
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01"  # cut short
    (tmp_path / "exif.jpeg").write_bytes(encoded("JPEG", exif=exif))
    code = (
        "import sys, pathlib; from xray_tui.data.decoding import *\n"
        "for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "  for read in (measure, head):\n"
        "    with file.open('rb') as opened:\n"
        "      try: read(opened)\n"
        "      except Unreadable: pass\n"
        "  try: decode(file)\n"
        "  except Unreadable: pass\n"
    )
    said = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [
        line for line in said.stderr.splitlines() if "ResourceWarning" not in line and "code" not in line
    ] == []


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    fill(tmp_path)
    for name, kind in (
        ("pipe.png", "a named pipe"),
        ("pipe-linked.png", "a named pipe"),
        ("socket.png", "a socket"),
        ("zero.png", "a device"),
        ("folder.png", "a folder"),
    ):
        with pytest.raises(NotRegular, match=kind):
            open_regular(tmp_path / name)
        with pytest.raises(Unreadable, match=kind):
            decode(tmp_path / name)
    with pytest.raises(NotRegular, match="a link"):
        open_regular(tmp_path / "zero.png", follow=False)
    with pytest.raises(Unreadable, match="symbolic links"):
        decode(tmp_path / "loop.png")
    with pytest.raises(Unreadable, match="its name is not UTF-8"):
        decode(tmp_path / os.fsdecode(NO_UTF_8))


def test_what_becomes_a_pipe_while_it_is_opened_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    regular = tmp_path / "regular.png"
    regular.write_bytes(encoded("PNG"))
    was = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: was)
    found: list[BaseException] = []

    def read() -> None:
        try:
            decode(tmp_path / "pipe.png")
        except Unreadable as error:
            found.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert [str(error) for error in found] == ["a named pipe"]


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "x", 4)
    with pytest.raises(OSError, match="null"):
        read_regular(tmp_path / "\0", 4)


@pytest.mark.parametrize("close", [lambda file: file.chmod(0), lambda file: file.parent.chmod(0)])
def test_a_file_without_permission_is_told(tmp_path: Path, close: Callable[[Path], None]) -> None:
    """In a process that is not root, whom permissions do not bind."""
    file = tmp_path / "open" / "x.png"
    file.parent.mkdir()
    file.write_bytes(encoded("PNG"))
    close(file)
    code = (
        "import os, sys, pathlib; from xray_tui.data.decoding import *\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: decode(pathlib.Path(sys.argv[1]))\n"
        "except Unreadable as error: print(error, error.for_now)\n"
    )
    if os.getuid() == 0:  # the way there must be open to nobody, or that is what is denied
        for folder in (tmp_path, *tmp_path.parents[:3]):
            folder.chmod(folder.stat().st_mode | 0o11)
    told = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    file.parent.chmod(0o700)
    assert told.stdout.strip() == "Permission denied True"


def hostile(chest: Path) -> list[str]:
    """All that is hostile among the train images of a class; the files that must be named."""
    return fill(chest / "train" / "NORMAL")


def obeyed(words: str) -> list[str]:
    """What in them a terminal would obey."""
    return [c for c in words if c not in "\n" and not c.isprintable() and c != "\xa0"]


def test_data_check_names_and_counts_them(chest: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = hostile(chest)
    assert check(chest, "--json") == 1  # pipes spoil a run
    told, said = capfd.readouterr()
    assert said == ""
    findings = {finding["kind"]: finding for finding in json.loads(told)["findings"]}
    named = {
        file: group["name"]
        for kind in ("unreadable", "special", "outside")
        for group in findings[kind]["groups"]
        for file in group["files"]
    }
    assert set(named) == {f"train/NORMAL/{name}" for name in bad} | {
        "train/NORMAL/not \\udcff\\udcfe utf-8.png"
    }
    for name, (_, why) in CONTENTS.items():
        assert why in named[f"train/NORMAL/{name}"]
    assert named["train/NORMAL/socket.png"] == "a socket"
    for _ in range(2):  # read, and known
        assert check(chest) == 1
        told, said = capfd.readouterr()
        assert obeyed(told + said) == []
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda root: (root / "train").symlink_to(root / "train"), "has no folder train/"),
        (lambda root: (root / "train").write_bytes(b""), "has no folder train/"),
        (
            lambda root: shutil.copytree(root / "old" / "NORMAL", root / "train" / os.fsdecode(b"n\xff")),
            "not UTF-8",
        ),
    ],
)
def test_folders_that_are_none_are_told(chest: Path, break_it: Callable[[Path], None], why: str) -> None:
    (chest / "train").rename(chest / "old")
    break_it(chest)
    with pytest.raises(UserError, match=why):
        scan(chest)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "~nobody-of-that-name/x", "loop"])
def test_a_data_folder_that_cannot_be_looked_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(UserError, match=r"cannot look into|no such folder"):
        scan(Path(name))


def test_head_measures_as_the_whole_does(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded("JPEG", Image.new("L", (40, 20)), exif=exif)
    assert head(io.BytesIO(content)) == measure(io.BytesIO(content)) == (20, 40, "L")


def test_names_are_only_names(tmp_path: Path) -> None:
    """Good images, whatever they are called, are read."""
    for raw in NAMES:
        file = tmp_path / os.fsdecode(raw)
        file.write_bytes(encoded("PNG"))
        assert np.array_equal(decode(file), decode(file))
