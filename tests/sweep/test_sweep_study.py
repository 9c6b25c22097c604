"""A study, without the runs: who gets which trial, what is kept, what mattered."""

import sqlite3
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import short
from tests.forked import start
from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.sweep.choosing import SamplerName, most_epochs
from xray_tui.sweep.space import Choices, Metric, Range, Space
from xray_tui.sweep.study import Study, Taken

SPACE = Space(
    Metric("loss"),
    {
        "model.dropout": Range(0.0, 1.0),
        "training.frozen.learning_rate": Range(1e-4, 1e-2, log=True),
        "training.loss.balance": Choices(("none", "weights")),
    },
)


def study_in(
    runs: Path, *, name: str = "s", space: Space = SPACE, sampler: SamplerName = "random", **changes: Any
) -> Study:
    settings = config.load({path.replace("__", "."): value for path, value in changes.items()})
    return Study(runs, name, space, settings, sampler=sampler, pruner="none")


def take(study: Study, trials: int = 100) -> Taken:
    taken = study.take(trials)
    assert taken is not None
    return taken


def finish(study: Study, value: float) -> dict[str, Any]:
    taken = take(study)
    study.finish(taken, value, 3)
    study.let_go(taken)
    return taken.params


def finish_by_dropout(runs: Path, trials: int, **given: Any) -> list[dict[str, Any]]:
    """Trials whose loss is their dropout, all of it."""
    study = study_in(runs, **given)
    params = []
    for _ in range(trials):
        taken = take(study)
        study.finish(taken, float(taken.params["model.dropout"]), 0)
        study.let_go(taken)
        params.append(taken.params)
    study.close()
    return params


def test_what_was_tried_is_told(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    finish(study, 0.4)
    pruned = take(study)
    assert not study.report(pruned, 1, 0.7)
    assert not study.report(pruned, 1, 0.8), "what a resumed run does again it told before"
    study.prune(pruned, "stopped by the sweep's pruner", 0)
    study.let_go(pruned)
    failed = take(study)
    study.fail(failed, "no memory")
    study.let_go(failed)
    finish(study, 0.3)
    under_way = take(study)
    found = study.tried()
    assert [one.state for one in found] == ["finished", "pruned", "failed", "finished", "running"]
    assert [one.value for one in found] == [0.4, 0.7, None, 0.3, None]
    assert [one.why for one in found] == ["", "stopped by the sweep's pruner", "no memory", "", ""]
    assert found[4].params == under_way.params
    assert [one.number for one in study.ranked(found)] == [3, 0]
    assert study.best() == found[3]
    for one in found:
        assert one.params.keys() == SPACE.dimensions.keys()
        assert 0 <= one.params["model.dropout"] <= 1
        assert 1e-4 <= one.params["training.frozen.learning_rate"] <= 1e-2
        assert one.params["training.loss.balance"] in ("none", "weights")


def test_the_best_is_the_highest_where_higher_is_better(tmp_path: Path) -> None:
    study = study_in(tmp_path, space=Space(Metric("auc"), SPACE.dimensions))
    assert study.best() is None
    for value in (0.9, 0.95, 0.8):
        finish(study, value)
    assert [one.value for one in study.ranked(study.tried())] == [0.95, 0.9, 0.8]


def test_trials_count_that_were_done_before(tmp_path: Path) -> None:
    finish_by_dropout(tmp_path, 3)
    study = study_in(tmp_path)
    assert study.take(3) is None
    assert take(study, 4).number == 3
    assert study.take(4) is None


@pytest.mark.parametrize("sampler", short(["tpe", "random"]))
def test_a_sweep_that_was_broken_off_draws_what_it_would_have_drawn(
    tmp_path: Path, sampler: SamplerName
) -> None:
    whole = finish_by_dropout(tmp_path / "whole", 14, sampler=sampler)  # more than tpe draws at random
    first = finish_by_dropout(tmp_path / "parts", 6, sampler=sampler)
    rest = finish_by_dropout(tmp_path / "parts", 8, sampler=sampler)
    assert first + rest == whole
    assert len({params["model.dropout"] for params in whole}) == 14, "none is tried twice"
    for other in ({"name": "t"}, {"training__seed": 1}):
        assert finish_by_dropout(tmp_path / "other", 1, sampler=sampler, **other) != whole[:1]


def test_the_order_of_the_space_changes_nothing(tmp_path: Path) -> None:
    turned = Space(SPACE.metric, dict(reversed(SPACE.dimensions.items())))
    assert finish_by_dropout(tmp_path / "a", 3, space=turned) == finish_by_dropout(tmp_path / "b", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": Space(Metric("auc"), SPACE.dimensions)}, "judges by loss, not by auc"),
        (
            {"space": Space(Metric("loss"), SPACE.dimensions | {"model.dropout": Range(0.0, 0.5)})},
            "searches model.dropout in {'range': [0.0, 1.0]}, not in {'range': [0.0, 0.5]}",
        ),
        (
            {"space": Space(Metric("loss"), SPACE.dimensions | {"model.hidden": Range(8, 16)})},
            "searches model.hidden in nothing, not in {'range': [8, 16]}",
        ),
        ({"training__batch_size": 16}, "was begun with training.batch_size 128, not 16"),
    ],
)
def test_a_study_is_of_one_space_and_of_one_kind_of_run(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    study_in(tmp_path).close()
    with pytest.raises(UserError) as found:
        study_in(tmp_path, **changes)
    assert found.value.message == f"the study s {message}"
    assert "--study" in found.value.hint
    study_in(tmp_path, hardware__device="cuda:1", run__name="other").close()  # what makes no other result


def hold_a_trial(runs: str, holds: str) -> None:
    study_in(Path(runs)).take(100)
    Path(holds).touch()
    time.sleep(60)


@pytest.fixture
def another(tmp_path: Path) -> Any:
    """A process that is at a trial."""
    holds = tmp_path / "holds"
    process: ForkServerProcess = start(hold_a_trial, str(tmp_path), str(holds))
    while not holds.exists():
        assert process.is_alive()
        time.sleep(0.02)
    yield process
    process.kill()


def test_a_trial_is_left_by_who_dies_and_not_before(tmp_path: Path, another: ForkServerProcess) -> None:
    study = study_in(tmp_path)
    ours = take(study)
    assert ours.number == 1
    assert study.take(2) is None
    another.kill()
    another.join()
    left = take(study, 2)
    assert (left.number, left.run) == (0, None)
    assert left.params == study.tried()[0].params
    study.finish(left, 0.5, 0)
    study.let_go(left)
    assert study.take(2) is None
    assert [one.state for one in study.tried()] == ["finished", "running"]


def test_importance_finds_what_mattered(tmp_path: Path) -> None:
    finish_by_dropout(tmp_path, 9)
    study = study_in(tmp_path)
    few = "too few trials: 9 finished, 10 say something"
    assert study.importance() == few
    pruned = take(study)
    study.report(pruned, 1, 0.7)
    study.prune(pruned, "it fell behind", 0)
    study.let_go(pruned)
    assert study.importance() == f"{few}; with --pruner none all finish"
    study.close()
    finish_by_dropout(tmp_path, 21)
    study = study_in(tmp_path)
    found = study.importance()
    assert isinstance(found, dict)
    assert found.keys() == SPACE.dimensions.keys()
    assert next(iter(found)) == "model.dropout"
    assert found["model.dropout"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert found == study.importance(), "its forest is seeded"


def test_importance_of_what_changed_nothing(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    for _ in range(10):
        finish(study, 1.0)
    assert study.importance() == "all trials came to the same"


def test_a_missing_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match="a sweep needs optuna") as found:
        study_in(tmp_path)
    assert found.value.hint == "pip install 'xray-tui[sweep]'"


@pytest.mark.parametrize("folder", ["ünï code [x]", "a%41 b", "what?x=1", "#tag", "{SCHEMA_VERSION}"])
def test_folders_of_any_name(tmp_path: Path, folder: str) -> None:
    study = study_in(tmp_path / folder)
    assert study.take(1) is not None
    assert len(study.tried()) == 1
    assert [file.name for file in tmp_path.iterdir()] == [folder]
    with sqlite3.connect(tmp_path / folder / ".sweeps" / "s.db") as connection:
        assert connection.execute("SELECT study_name FROM studies").fetchall() == [("s",)]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "line\nbreak"])
def test_a_name_that_is_none_for_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name for a file"):
        study_in(tmp_path, name=name)


def test_a_study_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / ".sweeps"
    folder.mkdir()
    (folder / "s.db").write_text("this is no database, but long enough to be looked at as one" * 20)
    with pytest.raises(UserError, match="the study cannot be read or written") as found:
        study_in(tmp_path)
    assert "not a database" in found.value.message
    (folder / "t.db").mkdir()
    with pytest.raises(UserError, match="unable to open"):
        study_in(tmp_path, name="t")


def test_the_longest_trial(tmp_path: Path) -> None:
    settings = config.load({"training.frozen.epochs": 4, "training.unfrozen.epochs": 2})
    assert most_epochs(SPACE, settings) == 6
    longer = {"training.frozen.epochs": Range(1, 9), "training.unfrozen.epochs": Choices((1, 3))}
    assert most_epochs(Space(Metric("auc"), longer), settings) == 12
