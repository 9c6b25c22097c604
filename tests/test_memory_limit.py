"""What a process may take where it has been given a part of the machine."""

from pathlib import Path

import psutil
import pytest

from xray_tui import memory


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def test_what_is_left_of_a_containers_limit_is_free(group: Path) -> None:
    (group / "memory.max").write_text("300000000\n")
    (group / "memory.current").write_text("200000000\n")
    assert memory.free_bytes() == 100_000_000
    (group / "memory.stat").write_text("anon 1\nactive_file 9\ninactive_file 50000000\n")
    assert memory.free_bytes() == 150_000_000, "files that were read give way"
    (group / "memory.current").write_text("400000000\n")
    assert memory.free_bytes() == 0


@pytest.mark.parametrize("limit", ["max\n", "9000000000000000000\n", None])
def test_without_a_limit_it_is_what_the_machine_has(
    group: Path, limit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit:
        (group / "memory.max").write_text(limit)
        (group / "memory.current").write_text("1000\n")
    there = psutil.virtual_memory()
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there)
    assert memory.free_bytes() == there.available
