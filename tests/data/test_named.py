"""Images as a person names them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from xray_tui.data.named import image_paths


@pytest.fixture(autouse=True)
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``scans``, in which only names matter; the test runs beside it."""
    for name in (
        "b.png",
        "a.JPEG",
        "notes.txt",
        ".hidden.png",
        "deep/er/c d.jpg",
        "__MACOSX/x.png",
        "ü/胸.png",
    ):
        file = tmp_path / "scans" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "scans"


def found(*words: str, lines: list[bytes] | None = None, leave_out: Path | None = None) -> list[str]:
    return [str(path) for path in image_paths(words, lines or [], leave_out=leave_out)]


ALL = ["scans/a.JPEG", "scans/b.png", "scans/deep/er/c d.jpg", "scans/ü/胸.png"]


def test_a_folder_is_searched_to_the_bottom_by_name() -> None:
    assert found("scans") == ALL
    assert found("scans/deep", "scans/b.png") == ["scans/deep/er/c d.jpg", "scans/b.png"]


def test_what_is_named_by_itself_is_an_image_whatever_it_is_called() -> None:
    assert found("scans/notes.txt", "gone.png") == ["scans/notes.txt", "gone.png"]


def test_patterns_that_no_shell_has_expanded(scans: Path) -> None:
    assert found("scans/*.png") == ["scans/b.png"]
    assert found("scans/[bdü]*/**/*.[jp]*g") == ["scans/deep/er/c d.jpg", "scans/ü/胸.png"]
    assert found(f"{scans}/d*") == [f"{scans}/deep/er/c d.jpg"]
    assert found("none/*.png") == ["none/*.png"], "to be told in its row"
    (scans / "[1].png").touch()
    assert found("scans/[1].png") == ["scans/[1].png"], "a file of that very name comes first"


def test_a_list_of_paths_in_any_encoding_with_any_ends_of_lines() -> None:
    lines = [b"scans/b.png\r\n", b"\n", b"scans/deep\n", "scans/ü/胸.png".encode(), b"\n", b"\xff*.png"]
    assert found("-", lines=lines) == [
        "scans/b.png",
        "scans/deep/er/c d.jpg",
        "scans/ü/胸.png",
        os.fsdecode(b"\xff*.png"),
    ]


def test_each_image_comes_once_however_it_is_named(scans: Path) -> None:
    said: list[str] = []
    words = ["scans/b.png", "scans", "./scans/deep/../b.png", str(scans / "b.png"), "scans/ü"]
    paths = list(image_paths(words, say=said.append))
    assert list(map(str, paths)) == ["scans/b.png", *[path for path in ALL if path != "scans/b.png"]]
    assert said == ["4 paths came more than once: an image is looked at once"]


def test_a_folder_that_is_left_out_has_no_images(scans: Path) -> None:
    assert found("scans", leave_out=scans / "deep") == [path for path in ALL if "deep" not in path]
    assert found("scans", leave_out=Path("elsewhere")) == ALL


def test_a_folder_without_images_is_told() -> None:
    said: list[str] = []
    Path("empty").mkdir()
    assert list(image_paths(["empty"], say=said.append)) == []
    assert said == ["no images in empty"]


def test_lines_are_taken_as_they_are_needed() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(line := b"scans/%d.png\n" % len(taken))
            yield line

    paths = image_paths(["-"], endless())
    assert [str(next(paths)) for _ in range(3)] == ["scans/0.png", "scans/1.png", "scans/2.png"]
    assert len(taken) == 3
