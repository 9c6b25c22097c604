"""Whole sweeps of tiny runs."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.engine.conftest import SMALL, essence
from tests.forked import Program
from tests.terminal import Terminal
from xray_tui import config, launch
from xray_tui.cli import main
from xray_tui.config import Loaded
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Event, Resumed, RunEnded
from xray_tui.runs import follow, state
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import summaries
from xray_tui.runs.record import RunRecord
from xray_tui.sweep.choosing import PrunerName
from xray_tui.sweep.space import Choices, Metric, Range, Space, Value
from xray_tui.sweep.study import Study, Tried
from xray_tui.sweep.trials import Sweep, settle

RATES = Space(Metric("loss"), {"training.frozen.learning_rate": Range(1e-4, 1e-2, log=True)})
CHANGES: dict[str, Any] = {"training.unfrozen.epochs": 0, "evaluation.unseal": "never"}

SPACE = """
[sweep]
metric = "loss"

[sweep.space]
training.frozen.learning_rate = { range = [1e-4, 1e-2], log = true }
training.loss.balance = ["none", "weights"]
"""
OPTIONS = (
    "--backbone=shufflenet_v2_x0_5",
    "--weights=none",
    "--image-size=32",
    "--batch-size=8",
    "--unfrozen-epochs=0",
    "--device=cpu",
    "--config=my.toml",
    "--study=rates",
)
QUICK = (*OPTIONS, "--frozen-epochs=2")
LONGER = (*OPTIONS, "--frozen-epochs=6", "--trials=2")
ENDLESS = (*OPTIONS, "--frozen-epochs=9999", "--trials=1")


class Notes:
    """A watcher that remembers; ``react`` sees each event of a run."""

    def __init__(self, react: Callable[[Event], None] = lambda event: None) -> None:
        self.began_with: list[tuple[int, bool]] = []
        self.tried: list[Tried] = []
        self._react = react

    def began(self, trial: int, params: Mapping[str, Value], *, resumed: bool) -> None:
        self.began_with.append((trial, resumed))

    def took(self, event: Event) -> None:
        self._react(event)

    def ended(self, tried: Tried, best: Tried | None, seconds: float | None) -> None:
        self.tried.append(tried)


def study_of(
    data: Path, runs: Path, space: Space = RATES, pruner: PrunerName = "none", **changes: Any
) -> Study:
    common = SMALL | CHANGES | {"data.root": str(data), "run.runs_dir": str(runs)}
    more = {path.replace("__", "."): value for path, value in changes.items()}
    return Study(runs, "rates", space, config.load(common | more), sampler="random", pruner=pruner)


def done_before(study: Study, values: list[float]) -> None:
    """As if so many trials had gone through every epoch with these losses."""
    storage = f"sqlite:///{study.database}"
    known = optuna.load_study(study_name=study.name, storage=storage)
    for value in values:
        known.add_trial(
            optuna.trial.create_trial(
                params={"training.frozen.learning_rate": 1e-3},
                distributions={
                    "training.frozen.learning_rate": optuna.distributions.FloatDistribution(
                        1e-4, 1e-2, log=True
                    )
                },
                value=value,
                intermediate_values=dict.fromkeys(range(1, 9), value),
            )
        )


@pytest.fixture
def folder(tmp_path: Path, chest: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program runs: with ``chest``, and a config file ``my.toml``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(SPACE)
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_sweep_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "sweep", "chest", *QUICK, "--trials=3")
    assert code == 0
    runs = list_runs(Path("runs"))
    assert sorted(run.name for run in summaries(Path("runs"))) == [f"rates trial {n}" for n in range(3)]
    losses = {}
    for run in runs:
        settings = config.load_kept(run.config)
        assert (settings.data.split, settings.evaluation.unseal) == ("holdout", "never")
        assert "sealed" in RunRecord.of(follow.read(run)).test.skipped, "no trial looks at test"
        epochs = [event for event in follow.read(run) if isinstance(event, EpochEnded)]
        losses[settings.run.name] = min(event.validation_loss for event in epochs)
    best = min(losses, key=lambda name: losses[name])

    lines = out.splitlines()
    assert best.removeprefix("rates ") in lines[0]
    assert lines[1].split()[:3] == ["validation", "loss", f"{losses[best]:.4f}"]
    assert "importance of the settings: too few trials: 3 finished, 10 say something" in lines
    assert "3 configurations tried: 3 finished" in lines
    assert lines[-1] == "best configuration: runs/.sweeps/rates.toml"
    assert "split holdout: 15% of the images validate, by patient" in err
    assert "no trial looks at test" in err
    assert "trial 2 (3 of 3): frozen.learning_rate " in err
    assert "A new study created" not in err, "optuna does not write across it"

    kept = config.load({}, file=Path("runs/.sweeps/rates.toml"))
    (won,) = [run for run in runs if config.load_kept(run.config).run.name == best]
    assert (
        config.replace(kept, {"training.augment_views": "3"}).training
        == config.load_kept(won.config).training
    )
    assert (kept.data.split, kept.evaluation.unseal) == ("holdout", "end")

    words = ("--config=runs/.sweeps/rates.toml", "--device=cpu", "--runs-dir=again")
    assert call(capsys, "train", "chest", *words)[0] == 0
    (again,) = list_runs(Path("again"))
    assert told_by_epochs(again) == told_by_epochs(won), "it is the very same run"
    test = RunRecord.of(follow.read(again)).test
    assert (test.skipped, test.images) == ("", 14), "which looks at test"

    code, out, err = call(capsys, "sweep", "chest", *QUICK, "--trials=3", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["tried"], found["finished"], found["pruned"], found["failed"]) == (3, 3, 0, 0)
    assert found["best"]["value"] == losses[best]
    assert found["best"]["run"] == won.name
    assert found["best"]["params"].keys() == {"training.frozen.learning_rate", "training.loss.balance"}
    assert found["importance"] is None
    assert len(list_runs(Path("runs"))) == 3, "nothing is left to try"


def told_by_epochs(run: RunDirectory) -> list[dict[str, object]]:
    return essence([event for event in follow.read(run) if isinstance(event, EpochEnded)])


def test_show_space_shows_what_would_be_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "sweep", "--show-space", "--config=my.toml", "--metric=mcc")
    assert code == 0
    assert out == SPACE.lstrip().replace('"loss"', '"mcc"').replace("1e-4", "0.0001").replace("1e-2", "0.01")
    code, out, _ = call(capsys, "sweep", "--show-space", "--preset=tuned")
    assert code == 0
    assert "training.unfrozen.learning_rate = { range = [1e-06, 0.001], log = true }" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "error: no data given"),
        (("nowhere",), "error: no such folder"),
        (("chest", "--trials=0"), "error: --trials 0: nothing to try"),
        (("chest", "--timeout-minutes=0"), "error: --timeout-minutes 0"),
        (("chest", "--unfreeze=ask"), "error: --unfreeze ask: a sweep waits for nobody"),
        (("chest", "--study=a/b"), "error: --study a/b: no name for a file"),
        (("chest", "--metric=luck"), "error: Invalid value"),
    ],
)
def test_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    code, out, err = call(capsys, "sweep", *words)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert not Path("runs").exists()


def test_what_trials_have_in_common(chest: Path) -> None:
    def settled(**given: str) -> tuple[str, str, str]:
        loaded = config.trace(
            given={"data.root": str(chest)} | {p.replace("__", "."): v for p, v in given.items()}
        )
        common = settle(loaded)
        chosen = common.settings
        return chosen.data.split, chosen.evaluation.unseal, " ".join(common.notes)

    split, unseal, notes = settled()
    assert (split, unseal) == ("holdout", "never")
    assert "no trial looks at test" in notes
    split, unseal, notes = settled(data__split="recipe", evaluation__unseal="end")
    assert (split, unseal) == ("recipe", "end")
    assert "warning: trials are selected on test" in notes
    shutil.rmtree(chest / "val")
    for file in sorted(chest.glob("train/NORMAL/*"))[1:]:
        file.unlink()  # one patient is left: held out, none is there to learn from
    split, _, notes = settled()
    assert split == "recipe"
    assert "patients cannot be held out of train: no train image of NORMAL" in notes


def test_seeds_that_are_searched_hold_out_other_patients(chest: Path) -> None:
    loaded = config.trace(given={"data.root": str(chest)})
    assert any("other patients" in note for note in settle(loaded, searches_seed=True).notes)
    assert isinstance(loaded, Loaded)


def test_a_trial_that_falls_behind_is_pruned(chest: Path, tmp_path: Path) -> None:
    study = study_of(chest, tmp_path / "runs", pruner="median", training__frozen__epochs=6)
    done_before(study, [0.001] * 5)
    notes = Notes()
    assert Sweep(study, notes).run(6) == "trials"
    (pruned,) = notes.tried
    assert pruned.state == "pruned"
    (run,) = list_runs(tmp_path / "runs")
    events = follow.read(run)
    epochs = [event for event in events if isinstance(event, EpochEnded)]
    assert [event.epoch for event in epochs] == [0, 1], "one epoch alone says little"
    best = min(event.validation_loss for event in epochs)
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.outcome == "interrupted"
    assert ended.why == f"stopped by the sweep's pruner: loss {best:.4f} after 2 epochs"
    assert pruned.value == best
    (summary,) = summaries(tmp_path / "runs")
    assert summary.status == "pruned"
    assert study.best().value == 0.001


@pytest.mark.long
def test_who_stops_a_trials_run_has_pruned_it(chest: Path, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded) and len(notes.began_with) == 1:
            list_runs(tmp_path / "runs")[0].request("stop")
            while list((list_runs(tmp_path / "runs")[0]).control.iterdir()):
                time.sleep(0.02)

    notes = Notes(stop)
    study = study_of(chest, tmp_path / "runs")
    Sweep(study, notes).run(2)
    assert [one.state for one in notes.tried] == ["pruned", "finished"]
    assert notes.tried[0].why == "stopped by a person"


@pytest.mark.long
def test_a_trial_that_fails_is_told_and_the_sweep_goes_on(chest: Path, tmp_path: Path) -> None:
    groups = Choices(("", "nowhere"))
    space = Space(Metric("loss"), RATES.dimensions | {"training.unfreeze_from": groups})
    study, notes = study_of(chest, tmp_path / "runs", space), Notes()
    Sweep(study, notes).run(5)
    for one in notes.tried:
        assert one.state == ("failed" if one.params["training.unfreeze_from"] else "finished")
        assert ("nowhere" in one.why) == (one.state == "failed")
    assert {one.state for one in notes.tried} == {"failed", "finished"}


def test_what_fails_again_and_again_ends_the_sweep(chest: Path, tmp_path: Path) -> None:
    study, notes = study_of(chest, tmp_path / "runs", model__weights=str(tmp_path / "nowhere.pth")), Notes()
    with pytest.raises(UserError, match="3 trials failed in the same way") as found:
        Sweep(study, notes).run(10)
    assert "nowhere.pth" in found.value.message
    assert [one.state for one in study.tried()] == ["failed"] * 3


class Died(BaseException):
    """As if the system had ended the process."""


def test_a_trial_that_processes_die_of_is_given_up(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Died

    monkeypatch.setattr(launch, "start", die)
    for process in range(3):
        study, notes = study_of(chest, tmp_path / "runs"), Notes()
        with pytest.raises(Died):
            Sweep(study, notes).run(2)
        assert notes.began_with == [(0, process > 0)]
        study.close()
    study, notes = study_of(chest, tmp_path / "runs"), Notes()
    with pytest.raises(Died):
        Sweep(study, notes).run(2)
    assert [(one.number, one.why) for one in notes.tried] == [(0, "its process died 3 times")]
    assert notes.began_with == [(0, True), (1, False)]


def test_a_bug_is_raised(chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(launch, "start", broken)
    study = study_of(chest, tmp_path / "runs")
    with pytest.raises(ZeroDivisionError):
        Sweep(study, Notes()).run(10)
    (tried,) = study.tried()
    assert (tried.state, tried.why) == ("failed", "ZeroDivisionError: a bug")


@pytest.mark.long
def test_no_trial_begins_after_the_time(chest: Path, tmp_path: Path) -> None:
    study = study_of(chest, tmp_path / "runs")
    assert Sweep(study, Notes()).run(10, seconds=0.01) == "time"
    assert len(study.tried()) <= 1


def program(folder: Path, *words: str, said: str = "said") -> Program:
    return Program(("sweep", "chest", *words), folder, str(folder / said), os.environ)


def wait_for(condition: Callable[[], Any], process: Program) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def epochs_of_newest(folder: Path) -> int:
    runs = list_runs(folder / "runs")
    if not runs or not runs[0].journal.exists():
        return 0
    return sum(isinstance(event, EpochEnded) for event in follow.read(runs[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_ctrl_c_keeps_the_study_and_the_trial_is_gone_on_with(
    folder: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    process = program(folder, *ENDLESS)
    wait_for(lambda: epochs_of_newest(folder) >= 2, process)
    os.kill(process.pid, number)
    assert process.wait(60) == 128 + number
    said = (folder / "said").read_text()
    assert "stopping after this batch" in said
    assert "the same command goes on exactly here" in said
    assert "1 configuration tried: 1 under way" in said
    (run,) = list_runs(folder / "runs")
    ended = follow.read(run)[-1]
    assert isinstance(ended, RunEnded)
    assert ended.why == f"stopped by {number.name}"
    assert (run.checkpoints / "last.safetensors").is_file()

    stop_after(run, folder)
    assert "trial 0 (gone on with)" in (folder / "said").read_text()
    assert any(isinstance(event, Resumed) for event in follow.read(run))
    assert len(list_runs(folder / "runs")) == 1


def stop_after(run: RunDirectory, folder: Path) -> None:
    """Go on with the endless trial for an epoch."""
    before = len(follow.read(run))
    process = program(folder, *ENDLESS)
    wait_for(lambda: sum(isinstance(event, EpochEnded) for event in follow.read(run)[before:]) >= 1, process)
    run.request("stop")
    assert process.wait(60) == 1, "none finished: its person has pruned it"
    assert state.read(run).status == "interrupted"


@pytest.mark.long
def test_a_hang_up_takes_the_terminal_alone(folder: Path) -> None:
    with Terminal("sweep", "chest", *LONGER, folder=folder) as terminal:
        terminal.wait_for("trial 0 (1 of 2)", seconds=90)
        terminal.hang_up()
        assert terminal.wait(120) == 0
    assert [run.status for run in summaries(folder / "runs")] == ["done", "done"]


@pytest.mark.long
def test_killed_it_goes_on_exactly_where_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = program(folder, *LONGER)
    wait_for(lambda: epochs_of_newest(folder) >= 2, process)
    process.kill()
    process.wait(60)
    (killed,) = list_runs(folder / "runs")
    assert state.read(killed).status == "interrupted"

    assert program(folder, *LONGER).wait(120) == 0
    assert "trial 0 (gone on with)" in (folder / "said").read_text()
    assert len(list_runs(folder / "runs")) == 2
    assert sum(isinstance(event, Resumed) for event in follow.read(killed)) == 1

    assert call(capsys, "sweep", "chest", *LONGER, "--runs-dir=unbroken")[0] == 0
    for ours, other in zip(list_runs(folder / "runs"), list_runs(folder / "unbroken"), strict=True):
        assert essence(follow.read(ours)) == essence(follow.read(other))
    code, out, _ = call(capsys, "sweep", "chest", *LONGER, "--json")
    assert code == 0
    assert [trial["state"] for trial in json.loads(out)["trials"]] == ["finished", "finished"]


@pytest.mark.long
def test_what_a_process_could_not_tell_is_told_by_the_next(chest: Path, tmp_path: Path) -> None:
    """Killed after the run's last event, before the study heard of it."""
    study = study_of(chest, tmp_path / "runs")
    taken = study.take(1)
    settings = config.replace(study.settings, taken.params)
    run: list[RunDirectory] = []
    from xray_tui.engine.controls import Controls

    launch.start(settings, lambda event: None, Controls(), opened=run.append)
    study.note_run(taken, run[0])
    study.let_go(taken)
    study.close()
    study, notes = study_of(chest, tmp_path / "runs"), Notes()
    before = run[0].journal.read_bytes()
    Sweep(study, notes).run(1)
    assert [one.state for one in notes.tried] == ["finished"]
    losses = [event.validation_loss for event in follow.read(run[0]) if isinstance(event, EpochEnded)]
    assert notes.tried[0].value == min(losses)
    assert run[0].journal.read_bytes() == before


def test_a_run_that_somebody_deleted_is_a_failed_trial(chest: Path, tmp_path: Path) -> None:
    study = study_of(chest, tmp_path / "runs")
    taken = study.take(1)
    study.note_run(taken, RunDirectory(tmp_path / "runs" / "20261126-000000-gone"))
    study.let_go(taken)
    notes = Notes()
    Sweep(study, notes).run(1)
    assert notes.tried[0].why == "its run 20261126-000000-gone is not there any more"


@pytest.mark.long
def test_two_processes_share_the_trials(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [program(folder, *QUICK, "--trials=4", said=f"said{n}") for n in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    code, out, _ = call(capsys, "sweep", "chest", *QUICK, "--trials=4", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["tried"], found["finished"]) == (4, 4)
    assert len({trial["params"]["training.frozen.learning_rate"] for trial in found["trials"]}) == 4
    assert len(list_runs(folder / "runs")) == 4
    begun = [(folder / f"said{n}").read_text().count(" of 4): ") for n in range(2)]
    assert sum(begun) == 4
    assert all(begun), "each did its part"
