"""What other programs import: ``from xray_tui import …``."""

import doctest
import operator
import runpy
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

import xray_tui
from tests.conftest import write_folder, write_image
from tests.engine.conftest import SMALL, essence, read_whole, run_recipe
from tests.trained_runs import tiny_networks
from xray_tui import Controls, Run, UserError, configure, fit, library, open_run, train
from xray_tui.engine import passes, plan
from xray_tui.events import (
    ControlUsed,
    EpochEnded,
    Event,
    Progress,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
)
from xray_tui.settings import DataSettings, Settings

README = Path(__file__).parents[1] / "README.md"
EXAMPLE = Path(__file__).parent / "from_python.py"


@pytest.fixture(scope="module", autouse=True)
def _no_time() -> Iterator[None]:
    with tiny_networks():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("a folder") / "čhest")


def small(data: Path, runs: Path, **changes: object) -> Settings:
    return configure(data, runs_dir=str(runs), **SMALL | changes)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], Run]:
    """A run to its end: its events as they came, and the run opened afterwards."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XRAY_TUI_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        return list(fit(small(data, runs))), open_run(runs_dir=runs)


@pytest.mark.usefixtures("released")
def test_a_run_that_failed_lets_its_network_go(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller still holds the error: who tries again with smaller batches needs the memory."""
    made: list[weakref.ref[object]] = []
    real = plan.make

    def make(*given: object, **named: object) -> plan.Plan:
        planned = real(*given, **named)
        made.append(weakref.ref(planned.model))
        return planned

    def full(*given: object, **named: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(plan, "make", make)
    monkeypatch.setattr(passes, "train_epoch", full)
    with pytest.raises(UserError, match="no memory for batches"):
        train(small(data, tmp_path))
    assert made
    assert made[0]() is None


def test_where_torch_cannot_be_loaded_the_loop_ends_with_that(data: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; from xray_tui import configure, fit; "
        "list(fit(configure(sys.argv[1], runs_dir=sys.argv[2])))"
    )
    words = [sys.executable, "-c", script, str(data), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: import of torch halted")
    assert "in thread" not in done.stderr, "it is told to the caller"


def test_events_come_as_they_do_to_any_observer(
    whole: tuple[list[Event], Run], data: Path, tmp_path: Path
) -> None:
    told, run = whole
    journaled = [event for event in told if not isinstance(event, Progress)]
    assert essence(journaled) == essence(run_recipe(data, tmp_path).journaled)
    assert [event.t for event in journaled] == [event.t for event in run.events()]
    last = [event for event in told if isinstance(event, EpochEnded)][-1]
    assert last.probabilities.shape == (4, 2)
    assert any(isinstance(event, Progress) for event in told)


def test_a_run_is_like_any_other_on_the_disk(whole: tuple[list[Event], Run]) -> None:
    _, run = whole
    assert run.status == "done"
    assert run.directory.report.read_text(encoding="utf-8").startswith(f"# {run.name}")
    assert {found.name for found in run.directory.tensorboard.iterdir()} >= {"frozen", "unfrozen"}
    assert list(run.events()) == read_whole(run.directory)


def test_an_opened_run_has_its_numbers_and_arrays(whole: tuple[list[Event], Run]) -> None:
    told, run = whole
    assert (run.classes, run.positive) == (["NORMAL", "PNEUMONIA"], "PNEUMONIA")
    epochs = {event.epoch: event for event in told if isinstance(event, EpochEnded)}
    assert [epoch.epoch for epoch in run.epochs] == list(epochs) == [0, 1, 2]
    assert run.best is not None
    assert run.best.validation_loss == min(epoch.validation_loss for epoch in run.epochs)
    assert run.settings.training.image_size == 32
    found = run.validation_predictions(0)
    np.testing.assert_array_equal(found.probabilities, epochs[0].probabilities)
    best = run.validation_predictions()
    assert (best.probabilities.argmax(1) == best.images.actual).mean() == pytest.approx(run.best.accuracy)
    assert run.test is not None
    tested = run.test_predictions()
    assert (tested.probabilities.argmax(1) == tested.images.actual).mean() == pytest.approx(run.test.accuracy)
    assert {path.split("/")[0] for path in tested.images.paths} == {"test"}


def test_its_model_says_of_test_what_the_run_said(whole: tuple[list[Event], Run], data: Path) -> None:
    run = whole[1]
    tested, model = run.test_predictions(), run.model("cpu")
    found = list(model.predict([str(data / path) for path in tested.images.paths], batch_size=5))
    said = np.stack([prediction.probabilities for prediction in found])
    assert said == pytest.approx(tested.probabilities, abs=1e-5)
    assert [prediction.predicted for prediction in found] == said.argmax(1).tolist()
    assert model.classes == run.classes


def test_leaving_the_loop_stops_the_run_and_a_resume_equals_one_that_never_stopped(
    whole: tuple[list[Event], Run], data: Path, tmp_path: Path
) -> None:
    for event in fit(small(data, tmp_path)):
        if isinstance(event, EpochEnded):
            break
    run = open_run(runs_dir=tmp_path)
    assert (run.status, len(run.epochs)) == ("interrupted", 1)
    assert list(run.directory.checkpoints.iterdir())
    ended = list(run.events())[-1]
    assert isinstance(ended, RunEnded)
    assert ended.why == "stopped by the calling program"
    assert any(isinstance(event, RunEnded) and event.outcome == "done" for event in run.resume())
    assert essence(read_whole(run.directory)) == essence(whole[0])
    assert no_thread_is_left()


def test_what_the_loop_asks_counts_from_the_next_batch_on(data: Path, tmp_path: Path) -> None:
    controls, told = Controls(), []
    for event in fit(small(data, tmp_path), controls=controls):
        told.append(event)
        if isinstance(event, StageStarted) and event.stage == "frozen":
            controls.unfreeze()
    used = next(event for event in told if isinstance(event, ControlUsed))
    assert (used.control, used.epoch) == ("unfreeze", 0)
    stages = [(event.stage, event.epochs) for event in told if isinstance(event, StageEnded)]
    assert stages == [("frozen", 0), ("unfrozen", 1)]
    assert not controls.asked  # they can steer another run


def test_the_run_waits_while_the_body_works(data: Path, tmp_path: Path) -> None:
    with closing(fit(small(data, tmp_path))) as told:
        started = next(event for event in told if isinstance(event, StageStarted))
        run = open_run(runs_dir=tmp_path)
        assert run.status == "running"
        assert list(run.events())[-1] == started
        assert next(iter(run.events(follow=True))).t  # a live run can be read meanwhile
    assert no_thread_is_left()


def test_what_is_wrong_is_raised_in_the_loop(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        next(fit(small(tmp_path / "nowhere", tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UserError, match="batch"):
        fit(Settings(data=DataSettings(root=str(data)), training=_no_training()))


def test_a_bug_of_the_engine_is_raised_in_the_loop(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("xray_tui.engine.recipe.metrics.evaluate", broken)
    told: list[Event] = []
    with pytest.raises(ZeroDivisionError, match="by nothing"):
        told.extend(fit(small(data, tmp_path)))
    assert any(isinstance(event, RunStarted) for event in told)
    assert isinstance(told[-1], RunEnded)
    assert (told[-1].outcome, open_run(runs_dir=tmp_path).status) == ("failed", "failed")


def test_ctrl_c_in_the_body_stops_the_run_first(data: Path, tmp_path: Path) -> None:
    def impatient() -> None:
        for event in fit(small(data, tmp_path)):
            if isinstance(event, EpochEnded):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        impatient()
    assert open_run(runs_dir=tmp_path).status == "interrupted"
    assert no_thread_is_left()


def test_train_gives_the_run(data: Path, tmp_path: Path) -> None:
    run = train(small(data, tmp_path, unfrozen_epochs=0, name="in short"))
    assert (run.status, len(run.epochs)) == ("done", 2)
    assert open_run("in short", runs_dir=tmp_path).directory == run.directory
    assert open_run(run.directory.path) == run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frozen_epoch": 2}, "unknown setting frozen_epoch\ndid you mean frozen_epochs?"),
        ({"training.frozen.epoch": 2}, "did you mean training.frozen.epochs?"),
        ({"batch_size": 1}, "--batch-size 1: expected a whole number >= 2"),
        ({"file": "nowhere.toml"}, "cannot read the config file"),
    ],
)
def test_settings_that_do_not_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as raised:
        configure(**options)
    assert message in str(raised.value)


def test_settings_come_from_options_then_the_file_then_the_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_TUI_SEED", "5")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my.toml").write_text("preset = 'tuned'\n[training]\nbatch_size = 4\npatience = 3\n")
    settings = configure("~/x y", file="~/my.toml", batch_size=8)
    assert settings.data.root == str(tmp_path / "x y")
    assert (settings.training.batch_size, settings.training.patience) == (8, 3)
    assert (settings.data.split, settings.training.seed) == ("holdout", 0)


def test_the_example_of_the_readme_runs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = EXAMPLE.read_text(encoding="utf-8").partition("\n\n")[2]
    assert f"```python\n{example}```" in README.read_text(encoding="utf-8"), (
        f"{EXAMPLE.name} says other than README"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(data, tmp_path / "chest_xray")
    write_image(tmp_path / "new" / "one.jpeg")
    (tmp_path / "new" / "two.jpeg").write_bytes(b"none")
    runpy.run_path(str(EXAMPLE))
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 + 2 + 2
    assert [line.split()[0] for line in said[:3]] == ["0", "1", "2"]
    assert any(line.startswith("new/one.jpeg") and "[" in line for line in said[5:])


def test_docstrings_are_right() -> None:
    found = doctest.testmod(library)
    assert found.attempted >= 5
    assert not found.failed


def test_every_name_is_there() -> None:
    assert set(xray_tui.__all__) <= set(dir(xray_tui))
    for name in xray_tui.__all__:
        assert getattr(xray_tui, name).__doc__
    with pytest.raises(AttributeError, match="fitt"):
        operator.attrgetter("fitt")(xray_tui)


def test_importing_is_light() -> None:
    heavy = ["torch", "textual", "rich", "cyclopts", "sklearn", "tensorboard", "xray_tui.launch"]
    script = f"""
import sys, xray_tui
assert "xray_tui.library" not in sys.modules
from xray_tui import {", ".join(xray_tui.__all__)}
configure("x", frozen_epochs=1)
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _no_training() -> object:
    import msgspec

    return msgspec.structs.replace(Settings().training, batch_size=0)


def no_thread_is_left() -> bool:
    return not any(thread.name == "xray-tui fit" for thread in threading.enumerate())
