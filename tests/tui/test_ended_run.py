"""A dashboard stays open after its run: what the run needed goes back to the system."""

import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_folder
from tests.engine.conftest import SMALL
from tests.trained_runs import tiny_networks
from xray_tui import config, launch
from xray_tui.engine import plan, process
from xray_tui.events import EpochEnded
from xray_tui.tui.sources import LiveSource


@pytest.fixture
def source(tmp_path: Path) -> LiveSource:
    settings = {"data.root": str(write_folder(tmp_path / "chest")), "run.runs_dir": str(tmp_path / "runs")}
    return LiveSource.start(launch.start, config.load(SMALL | settings))


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("ending", ["done", "stopped", "a bug"])
def test_a_run_that_has_ended_holds_no_memory(
    source: LiveSource, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[Any]] = []
    gone: list[bool] = []
    make, put = plan.make, source.put

    def made(*given: Any, **named: Any) -> plan.Plan:
        planned = make(*given, **named)
        models.append(weakref.ref(planned.model))
        return planned

    def watch(event: Any) -> None:
        put(event)
        if isinstance(event, EpochEnded) and ending == "stopped":
            source.request("stop")
        if isinstance(event, EpochEnded) and ending == "a bug":
            raise ZeroDivisionError

    monkeypatch.setattr(plan, "make", made)
    monkeypatch.setattr(source, "put", watch)
    monkeypatch.setattr(process, "give_back_memory", lambda: gone.append(models[0]() is None))
    with tiny_networks():
        source.begin(lambda: None)
        source.join()
    assert source.finished
    assert (source.failure is not None) == (ending == "a bug")
    assert gone == [True]
