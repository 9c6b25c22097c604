"""A file that is replaced is whole at every moment, and after a power cut."""

import os
from pathlib import Path

import pytest

from xray_tui.files import replace_bytes, replacing


@pytest.mark.skipif(os.name == "nt", reason="there a folder cannot be opened")
def test_what_is_durable_is_on_the_disk_before_and_after_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "last"
    file.write_bytes(b"old")
    done: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        done.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, file.read_bytes()))
        fsync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to look a descriptor up in")
    monkeypatch.setattr(os, "fsync", noted)
    replace_bytes(file, b"new", durable=True)
    (part, before), (folder, after) = done
    assert part.endswith(".part")
    assert before == b"old"
    assert (folder, after) == (tmp_path.name, b"new")
    done.clear()
    replace_bytes(file, b"newer")
    assert done == []


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "last"
    file.write_bytes(b"old")

    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"), replacing(file) as part:
        fail(part)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
