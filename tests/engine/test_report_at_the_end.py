"""What a run leaves at its end for a person to read, and that it is worth less than the run."""

import re
import threading
from pathlib import Path

import pytest

from tests.engine.conftest import Run, run_recipe
from xray_tui import launch
from xray_tui.events import Warning
from xray_tui.runs import report
from xray_tui.runs.report_figures import NAMES

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.mark.usefixtures("figures")
def test_a_run_in_a_thread_ends_with_its_report(chest: Path, tmp_path: Path) -> None:
    found: list[Run] = []
    changes = {"data.split": "holdout", "evaluation.operating_point": "youden"}
    thread = threading.Thread(target=lambda: found.append(run_recipe(chest, tmp_path / "runs", changes)))
    thread.start()
    thread.join()
    directory = found[0].directory
    text = directory.report.read_text()
    assert "`youden`, chosen on validation" in text
    links = re.findall(r"\]\((figures/[^)]*)\)", text)
    assert len(links) >= len(NAMES) - 1, "there may be no mistake"
    assert all((directory.path / link).read_bytes().startswith(b"\x89PNG") for link in links)


def test_a_report_that_cannot_be_written_fails_no_run(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(launch, "write_report", broken)
    run = run_recipe(chest, tmp_path / "runs")
    assert run.ended is not None
    assert run.ended.outcome == "done"
    (last,) = [event for event in run.all if isinstance(event, Warning) and event.kind == "report"]
    assert last.message == "the report cannot be written: a bug"


def test_a_full_disk_is_waited_for_and_nothing_is_drawn_twice(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, writes = [], []
    monkeypatch.setattr(report, "draw", lambda *given: drawn.append(given) or {})
    replace = report.replace_bytes

    def full(path: Path, content: bytes) -> None:
        writes.append(path)
        if len(writes) == 1:
            raise OSError(28, "No space left on device")
        replace(path, content)

    monkeypatch.setattr(report, "replace_bytes", full)
    run = run_recipe(chest, tmp_path / "runs")
    assert run.directory.report.is_file()
    assert (len(writes), len(drawn)) == (2, 1)
