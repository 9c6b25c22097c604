"""The recipe end to end, seen through its events."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file

from tests.conftest import write_folder, write_image
from tests.engine.conftest import SMALL, Run, essence, read_whole
from xray_tui import config
from xray_tui.data.unsealings import ledger_file
from xray_tui.engine import plan, reporting
from xray_tui.engine.controls import Controls
from xray_tui.engine.results import WORST
from xray_tui.errors import UserError
from xray_tui.events import (
    Best,
    ControlUsed,
    EpochEnded,
    Event,
    Mistakes,
    Progress,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    TestEvaluated,
    TestUnsealed,
    Warning,
)
from xray_tui.models.classifier import Classifier

Recipe = Callable[..., Run]

pytestmark = pytest.mark.usefixtures("tiny")


def without_arrays(event: Event) -> Event:
    return structs.replace(event, **dict.fromkeys(event.ARRAYS))


def test_time_that_a_person_took_is_none_of_an_epochs(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    obey, clock = Controls.obey, time.monotonic
    taken: list[float] = []

    def take_long(*given: Any, **named: Any) -> None:
        taken.append(1000.0)
        obey(*given, **named)

    monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(taken))
    monkeypatch.setattr(Controls, "obey", take_long)
    run = recipe(chest)
    assert len(taken) > 9
    assert all(epoch.seconds < 500 and epoch.images_per_second > 0.1 for epoch in run.of(EpochEnded))


def test_the_whole_recipe(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest)
    order = [type(event).__name__ for event in run.journaled if not isinstance(event, Best)]
    epoch = ["EpochEnded", "Mistakes", "CheckpointSaved"]
    assert [name for name in order if name != "CheckpointSaved"] == [
        name
        for name in [
            "RunStarted",
            *("StageStarted", *epoch, *epoch, "StageEnded", "Explained"),
            *("StageStarted", *epoch, "StageEnded", *["Explained"] * (run.of(Best)[-1].stage == "unfrozen")),
            "TestUnsealed",
            "TestEvaluated",
            "RunEnded",
        ]
        if name != "CheckpointSaved"
    ]
    started = run.of(RunStarted)[0]
    assert started.classes == ["NORMAL", "PNEUMONIA"]
    assert started.images == {
        "train": {"NORMAL": 10, "PNEUMONIA": 14},
        "validation": {"NORMAL": 2, "PNEUMONIA": 2},
        "test": {"NORMAL": 6, "PNEUMONIA": 8},
    }
    assert started.settings["data"]["split"] == "folders"  # what auto chose
    assert started.settings["data"]["positive"] == "PNEUMONIA"
    assert started.settings["hardware"]["device"] == "cpu"
    assert started.grid.shape == (24, 32, 32)
    assert started.grid.dtype == np.uint8
    frozen, unfrozen = run.of(StageStarted)
    assert (frozen.stage, frozen.first_epoch, unfrozen.stage, unfrozen.first_epoch) == (
        "frozen",
        0,
        "unfrozen",
        2,
    )
    assert frozen.trainable_parameters < frozen.total_parameters == unfrozen.trainable_parameters
    assert [e.epoch for e in run.of(EpochEnded)] == [0, 1, 2]
    best = min(run.of(EpochEnded), key=lambda e: e.validation_loss)
    assert run.of(Best)[-1].epoch == best.epoch == run.ended.best_epoch
    test = run.of(TestEvaluated)[0]
    assert (test.skipped, test.images, test.epoch) == ("", 14, best.epoch)
    assert run.ended.outcome == "done"
    assert read_whole(run.directory) == [without_arrays(event) for event in run.journaled]


def test_what_an_epoch_tells_fits_together(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest, {"data.split": "recipe"})
    for ended, mistakes in zip(run.of(EpochEnded), run.of(Mistakes), strict=True):
        probabilities, losses, actual = ended.probabilities, ended.losses, ended.actual
        assert probabilities.shape == (14, 2)
        assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
        assert losses == pytest.approx(-np.log(probabilities[np.arange(14), actual]), rel=1e-4)
        assert ended.validation_loss == pytest.approx(losses.mean(dtype=float))  # a mean over images
        wrong = probabilities.argmax(1) != actual
        assert ended.accuracy == pytest.approx(1 - wrong.mean())
        assert mistakes.total == wrong.sum() == sum(map(sum, ended.confusion)) - np.trace(ended.confusion)
        assert [m.loss for m in mistakes.worst] == sorted((m.loss for m in mistakes.worst), reverse=True)
        assert mistakes.images.shape == (min(mistakes.total, WORST), 32, 32)
        assert {"weights/1.weight", "gradients/7.bias"} <= set(ended.histograms)
        weights = ended.histograms["weights/1.weight"]
        assert weights.counts.sum() == 2 * 8
        assert weights.minimum <= weights.edges[1]
        assert all(math.isfinite(value) for value in (weights.total, weights.squares))


def test_two_runs_of_one_seed_are_equal_whatever_global_generators_do(chest: Path, recipe: Recipe) -> None:
    def disturb(event: Event, _: Controls) -> None:
        torch.rand(3)
        np.random.rand(3)

    one = recipe(chest)
    assert essence(recipe(chest, react=disturb).all) == essence(one.all)
    assert essence(recipe(chest, {"training.seed": 1}).all) != essence(one.all)


def body_of_last(run: Run) -> dict[str, torch.Tensor]:
    saved = load_file(run.directory.checkpoints / "last.safetensors")
    return {name: tensor for name, tensor in saved.items() if name.startswith("model.body")}


def test_batchnorm_statistics_are_bit_identical_after_frozen_epochs(chest: Path, recipe: Recipe) -> None:
    short = recipe(chest, {"training.frozen.epochs": 1, "training.unfrozen.epochs": 0})
    long = recipe(chest, {"training.frozen.epochs": 3, "training.unfrozen.epochs": 0})
    moved = recipe(chest, {"training.frozen.epochs": 0, "training.unfrozen.epochs": 1})
    one, other, unfrozen = (
        {
            n: t
            for n, t in load_file(run.directory.checkpoints / "last.safetensors").items()
            if n.startswith("model.body")
        }
        for run in (short, long, moved)
    )
    running = [name for name in one if "running_" in name]
    assert running
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], unfrozen[name]) for name in running)


def test_only_the_head_has_optimiser_state_while_frozen(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest, {"training.unfrozen.epochs": 0})
    saved = load_file(run.directory.checkpoints / "last.safetensors")
    adam = {name for name in saved if name.startswith("adam.exp_avg.")}
    assert adam
    assert all(name.startswith("adam.exp_avg.head.") for name in adam)


def test_unfreeze_now_drops_the_epoch_under_way_and_reuses_its_number(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "train" and event.epoch == 1 and event.done:
            controls.unfreeze()

    run = recipe(chest, {"training.frozen.epochs": 9}, react)
    assert [(e.epoch, e.stage) for e in run.of(EpochEnded)] == [(0, "frozen"), (1, "unfrozen")]
    assert [(c.control, c.stage, c.epoch) for c in run.of(ControlUsed)] == [("unfreeze", "frozen", 1)]
    assert [(s.stage, s.why, s.epochs) for s in run.of(StageEnded)] == [
        ("frozen", "unfreeze now", 1),
        ("unfrozen", "finished", 1),
    ]
    assert run.ended.outcome == "done"


def test_unfreeze_now_before_any_epoch_keeps_the_weights(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, StageStarted):
            controls.unfreeze()

    run = recipe(chest, react=react)
    assert [(e.epoch, e.stage) for e in run.of(EpochEnded)] == [(0, "unfrozen")]
    assert run.ended.outcome == "done"


def test_ask_waits_for_a_person(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "waiting":
            controls.unfreeze()

    run = recipe(chest, {"training.unfreeze": "ask"}, react)
    assert [c.control for c in run.of(ControlUsed)] == ["unfreeze"]
    assert [e.stage for e in run.of(EpochEnded)] == ["frozen", "frozen", "unfrozen"]


def test_who_asked_to_unfreeze_is_not_waited_for_again(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 0:
            controls.unfreeze()

    run = recipe(chest, {"training.unfreeze": "ask"}, react)
    assert [c.control for c in run.of(ControlUsed)] == ["unfreeze"]
    assert not [event for event in run.of(Progress) if event.phase == "waiting"]
    assert run.ended.outcome == "done"


def test_stop_ends_the_run_with_its_last_epoch_kept(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.epoch == 1 and event.done:
            controls.stop()

    run = recipe(chest, react=react)
    assert run.ended.outcome == "interrupted"
    assert run.ended.why == "stopped by a person"
    assert [e.epoch for e in run.of(EpochEnded)] == [0]
    assert not run.of(TestEvaluated)
    from xray_tui.engine import checkpoints

    assert checkpoints.read_position(run.directory.checkpoints).next_epoch == 1


def test_stop_while_images_are_read(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "reading":
            controls.stop()

    run = recipe(chest, react=react)
    assert run.ended.outcome == "interrupted"
    assert not run.of(RunStarted)
    assert run.directory.report.is_file()


def test_a_recipe_split_without_val_skips_test_by_an_event(tmp_path: Path, recipe: Recipe) -> None:
    data = write_folder(tmp_path / "d", {split: {"a": 6, "b": 7} for split in ("train", "test")})
    run = recipe(data)
    test = run.of(TestEvaluated)[0]
    assert "no images play the test role" in test.skipped
    assert test.accuracy is None
    assert run.ended.outcome == "done"


def test_three_classes_and_a_positive_one(tmp_path: Path, recipe: Recipe) -> None:
    classes = {"bacterial": 6, "normal": 7, "viral": 8}
    data = write_folder(tmp_path / "d", dict.fromkeys(("train", "test"), classes))
    run = recipe(data, {"data.positive": "bacterial"})
    ended = run.of(EpochEnded)[-1]
    assert np.array(ended.confusion).shape == (3, 3)
    assert np.array(ended.confusion).sum(1).tolist() == [6, 7, 8]
    called = ended.probabilities.argmax(1) == 0
    assert ended.sensitivity == pytest.approx(called[ended.actual == 0].mean())


def test_a_last_batch_of_one_is_left_out(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "_EVERY_SECONDS", 0.0)
    data = write_folder(tmp_path / "d", {split: {"a": 8, "b": 9} for split in ("train", "test")})
    run = recipe(data, {"training.batch_size": 16})
    trained = [p.done for p in run.of(Progress) if p.phase == "train"]
    assert max(trained) == 16  # of 17
    assert run.ended.outcome == "done"


@pytest.mark.filterwarnings("error::UserWarning")
def test_cached_pixels_give_the_same_run(chest: Path, recipe: Recipe, tmp_path: Path) -> None:
    write_image(chest / "train" / "NORMAL" / "large.jpeg", size=(210, 190))
    (chest / "train" / "NORMAL" / "text.jpeg").write_text("hello")
    runs = [recipe(chest, {"data.cache": cache}) for cache in ("off", "auto", "auto", str(tmp_path))]
    journals = [essence(run.all) for run in runs]
    assert journals[0]
    assert all(journal == journals[0] for journal in journals[1:])
    pictures = [[event.images.tolist() for event in run.of(Mistakes)] for run in runs]
    assert all(shown == pictures[0] for shown in pictures)
    assert all([w.paths for w in run.of(Warning)] == [w.paths for w in runs[0].of(Warning)] for run in runs)
    assert len(list((tmp_path / "pixels").iterdir())) == 3, "train, validation, test"


def test_unreadable_files_are_named_in_a_warning_and_counted(chest: Path, recipe: Recipe) -> None:
    names = ["[red]x[bold]\x1b[31m.jpeg", "text.jpeg", "zero.jpeg", "cut.png"]
    folder = chest / "train" / "NORMAL"
    whole = next(folder.glob("*.png")).read_bytes()
    for name, content in zip(names, (b"x", b"hello", b"", whole[: len(whole) // 2]), strict=True):
        (folder / name).write_bytes(content)
    run = recipe(chest, {"data.unreadable": 0.2})
    warning = next(w for w in run.of(Warning) if w.kind == "unreadable")
    assert {path.split(" (")[0] for path in warning.paths} == {f"train/NORMAL/{name}" for name in names}
    assert run.of(RunStarted)[0].unreadable == 4
    assert run.of(RunStarted)[0].images["train"]["NORMAL"] == 10


def test_too_many_unreadable_files_stop_the_run(chest: Path, recipe: Recipe) -> None:
    for number in range(3):
        (chest / "train" / "NORMAL" / f"broken{number}.jpeg").touch()
    run = Run()
    with pytest.raises(UserError, match=r"3 of 31 images cannot be read"):
        recipe(chest, react=lambda event, _: run.all.append(event))
    assert run.of(RunEnded)[0].outcome == "failed"


def test_a_validation_loss_that_is_not_a_number_is_null_and_warned_of(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Classifier.forward

    def overflow(model: Classifier, images: torch.Tensor) -> torch.Tensor:
        return forward(model, images) * (1.0 if model.training else math.nan)

    monkeypatch.setattr(Classifier, "forward", overflow)
    run = recipe(chest, {"training.frozen.epochs": 0, "training.unfrozen.epochs": 2})
    assert [e.validation_loss for e in run.of(EpochEnded)] == [None, None]
    assert all(e.train_loss is not None for e in run.of(EpochEnded))
    assert read_whole(run.directory) == [without_arrays(event) for event in run.journaled]
    assert [w.kind for w in run.of(Warning)] == ["not_a_number"] * 2
    assert run.ended.outcome == "done"
    for ended in run.of(EpochEnded):
        assert (ended.accuracy, ended.sensitivity, ended.confusion) == (None, None, [[0, 0], [0, 0]])
    assert [(told.total, told.worst) for told in run.of(Mistakes)] == [(0, [])] * 2
    (test,) = run.of(TestEvaluated)
    assert test.skipped == "no epoch had a validation loss that is a number"
    assert not run.of(TestUnsealed)
    assert not ledger_file().exists(), "test stays sealed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.backbone": "resnet5"}, "resnet5"),
        ({"data.positive": "COVID"}, "--positive COVID: no such class"),
        ({"hardware.device": "cuda:99"}, "--device cuda:99"),
        ({"training.frozen.epochs": 0, "training.unfrozen.epochs": 0}, "nothing to train"),
        ({"data.root": "/nowhere"}, "no such folder"),
        ({"data.cache": __file__}, "cannot keep pixels in .*: Not a directory"),
    ],
)
def test_what_a_person_can_mend_leaves_nothing_behind(
    chest: Path, tmp_path: Path, recipe: Recipe, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        recipe(chest, changes)
    assert not (tmp_path / "runs").exists()


def test_a_bug_ends_the_run_loudly_and_in_the_journal(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xray_tui.engine import passes

    def broken(*_: object, **__: object) -> float:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(passes, "train_epoch", broken)
    seen: list[Event] = []
    with pytest.raises(ZeroDivisionError):
        recipe(chest, react=lambda event, _: seen.append(event))
    ended = seen[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.why) == ("failed", "ZeroDivisionError: a bug")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "off"),
        ({"hardware.compile": "on"}, "on"),
        ({"training.frozen.epochs": 2_000_000, "training.augment_views": "off"}, "on"),
        ({"training.frozen.epochs": 2_000_000, "training.augment_views": "2"}, "off"),
    ],
)
def test_what_auto_makes_of_compiling(chest: Path, changes: dict[str, Any], wanted: str) -> None:
    settings = config.load(SMALL | {"data.root": str(chest)} | changes)
    assert plan.make(settings, lambda _: None).settings.hardware.compile == wanted


def test_on_a_gpu_gradients_are_added_up_in_the_same_order_each_time(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    recipe(chest)
    assert torch.backends.cudnn.deterministic
