"""What makes a training generalise, seen through whole runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.conftest import short
from tests.engine.conftest import Run, essence, resume, tiny_backbone
from xray_tui import config
from xray_tui.engine import checkpoints, plan, reporting
from xray_tui.engine.batches import _balanced
from xray_tui.engine.controls import Controls
from xray_tui.engine.epoch import Predictions, mean_of
from xray_tui.errors import UserError
from xray_tui.events import ControlUsed, EpochEnded, Event, Progress, StageEnded, StageStarted
from xray_tui.models.backbones import Backbone

Recipe = Callable[..., Run]

pytestmark = pytest.mark.usefixtures("tiny")

EVERYTHING: dict[str, Any] = {
    "evaluation.explain": False,
    "training.frozen.epochs": 1,
    "training.unfrozen.epochs": 3,
    "training.unfrozen.learning_rate": 1e-3,
    "training.optimizer.name": "adamw",
    "training.optimizer.weight_decay": 0.05,
    "training.optimizer.schedule": "one_cycle",
    "training.optimizer.head_factor": 3.0,
    "training.optimizer.group_factor": 0.8,
    "training.loss.balance": "sampling",
    "training.loss.label_smoothing": 0.1,
    "training.loss.mixup": 0.4,
    "training.loss.cutmix": 1.0,
    "training.gradual": 2,
    "training.augmentation.gamma": 0.5,
    "training.augmentation.blur": 0.5,
    "training.augmentation.noise": 0.1,
    "training.augmentation.erase": 0.5,
    "training.augmentation.letters": 0.5,
    "evaluation.tta": "flip",
    "evaluation.zoom": 1.25,
}


@pytest.fixture(autouse=True)
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_EVERY_SECONDS", 0.0)


def stop_at(phase: str, epoch: int, done: int) -> Callable[[Event, Controls], None]:
    def react(event: Event, controls: Controls) -> None:
        if (
            isinstance(event, Progress)
            and (event.phase, event.epoch) == (phase, epoch)
            and event.done >= done
        ):
            controls.stop()

    return react


@pytest.mark.parametrize("averaging", short(["ema", "swa", "none"]))
def test_all_levers_together_and_a_resumed_run_is_the_same(
    chest: Path, recipe: Recipe, averaging: str
) -> None:
    settings = EVERYTHING | {"training.averaging.kind": averaging, "training.averaging.start": 0.4}
    whole = recipe(chest, settings)
    assert whole.ended is not None
    assert whole.ended.outcome == "done"
    places = [("train", 2, 8), ("train", 3, 16), ("validation", 3, 8)]
    if averaging == "swa":
        places.append(("statistics", 3, 8))
    for place in places:
        first = recipe(chest, settings, react=stop_at(*place))
        assert first.ended is not None
        assert first.ended.outcome == "interrupted"
        rest = resume(first.directory)
        assert essence(first.of(EpochEnded) + rest.of(EpochEnded)) == essence(whole.of(EpochEnded)), place
        for name in (checkpoints.BEST, checkpoints.LAST):
            one, other = (load_file(run.directory.checkpoints / name) for run in (first, whole))
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one), (place, name)


def test_a_file_of_weights_is_kept_by_its_whole_path(
    chest: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = recipe(chest, {"model.weights": "weights of mine.pt", "training.unfrozen.epochs": 0})
    assert config.load_kept(run.directory.config).model.weights == str(tmp_path / "weights of mine.pt")


class _Piece(nn.Sequential):
    """Cannot be cut."""


def test_what_has_no_groups_is_not_unfrozen_group_by_group(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_one_piece(name: str, weights: str, *, seed: int, image_size: int = 32) -> Backbone:
        found = tiny_backbone(name, weights, seed=seed, image_size=image_size)
        return replace(found, body=nn.Sequential(_Piece(*found.body.children())))

    monkeypatch.setattr(plan, "load_backbone", of_one_piece)
    with pytest.raises(UserError, match="no groups to unfreeze one by one"):
        recipe(chest, {"training.gradual": 1})


def test_each_lever_changes_the_training(chest: Path, recipe: Recipe) -> None:
    """One alone makes another run of it; those of the unfrozen stage leave the frozen epoch as it was."""
    base = {
        "training.frozen.epochs": 1,
        "training.unfrozen.epochs": 1,
        "training.unfrozen.learning_rate": 1e-3,
    }
    plain = [event.validation_loss for event in recipe(chest, base).of(EpochEnded)]
    once_unfrozen = {"training.optimizer.head_factor", "training.optimizer.group_factor", "training.gradual"}
    once_unfrozen |= {"training.loss.mixup", "training.loss.cutmix"}
    for path, value in EVERYTHING.items():
        if path in base or path in ("training.optimizer.weight_decay", "evaluation.explain"):
            continue
        changes = {path: value}
        if path == "training.optimizer.name":
            changes["training.optimizer.weight_decay"] = 0.5
        changed = [event.validation_loss for event in recipe(chest, base | changes).of(EpochEnded)]
        assert changed[1] != plain[1], path
        assert (changed[0] == plain[0]) == (path in once_unfrozen), path


def test_averages_are_what_is_validated_and_kept(chest: Path, recipe: Recipe) -> None:
    base = {
        "training.frozen.epochs": 0,
        "training.unfrozen.epochs": 2,
        "training.unfrozen.learning_rate": 1e-3,
    }
    ema = {"training.averaging.kind": "ema", "training.averaging.decay": 0.5}
    plain, averaged = recipe(chest, base), recipe(chest, base | ema)
    losses = [[event.train_loss for event in run.of(EpochEnded)] for run in (plain, averaged)]
    assert losses[0] == losses[1], "what learns goes on as without"
    assert plain.of(EpochEnded)[0].validation_loss != averaged.of(EpochEnded)[0].validation_loss
    best = load_file(averaged.directory.checkpoints / checkpoints.BEST)
    last = load_file(averaged.directory.checkpoints / checkpoints.LAST)
    name = "head.3.weight"
    assert averaged.ended is not None
    if averaged.ended.best_epoch == 1:
        assert torch.equal(best[name], last[f"average.{name}"])
    assert not torch.equal(last[f"model.{name}"], last[f"average.{name}"])


def test_patience_ends_a_stage_that_has_stopped_getting_better(chest: Path, recipe: Recipe) -> None:
    """A rate far too high: soon an epoch is worse than the one before."""
    settings = {"training.frozen.epochs": 12, "training.unfrozen.epochs": 0, "training.patience": 1}
    run = recipe(chest, settings | {"training.frozen.learning_rate": 5.0})
    (ended,) = run.of(StageEnded)
    losses = [event.validation_loss for event in run.of(EpochEnded)]
    assert ended.why == "no better epoch in 1"
    assert losses.index(min(losses)) == len(losses) - 2
    assert ended.epochs == len(losses) < 12


def test_groups_join_from_the_top(chest: Path, recipe: Recipe) -> None:
    """What has not joined yet is, after an epoch, as it was before."""
    settings = {"training.frozen.epochs": 0, "training.unfrozen.epochs": 2, "training.gradual": 1}
    kept: dict[int, dict[str, torch.Tensor]] = {}

    def look(event: Event, controls: Controls) -> None:
        if isinstance(event, StageStarted | EpochEnded):
            epoch = event.epoch if isinstance(event, EpochEnded) else -1
            (last,) = [*Path(chest.parent / "runs").glob("*/checkpoints/last.safetensors")] or [None]
            if last is not None:
                kept[epoch] = load_file(last)

    run = recipe(chest, settings | {"training.unfrozen.learning_rate": 1e-2}, react=look)
    last = load_file(run.directory.checkpoints / checkpoints.LAST)
    before, after_one = kept[0], kept[1]
    moved = {
        name.split(".")[2]
        for name in before
        if name.startswith("model.body")
        and name.endswith("weight")
        and not torch.equal(before[name], after_one[name])
    }
    assert moved == {"3"}
    assert not torch.equal(before["model.body.0.weight"], last["model.body.0.weight"])


def test_classes_are_sampled_alike() -> None:
    labels = [0] * 6 + [1] * 2
    chosen = _balanced([7, 3, 0, 5, 6, 1, 2, 4], labels)
    assert len(chosen) == 8
    assert sorted(labels[number % 8] for number in chosen) == [0] * 4 + [1] * 4
    assert sorted(number for number in chosen if labels[number % 8] == 1) == [6, 7, 14, 15]
    assert len(set(chosen)) == 8  # one that comes again is augmented anew


def test_a_changed_rate_scales_the_schedule(chest: Path, recipe: Recipe) -> None:
    settings = {"training.frozen.epochs": 2, "training.unfrozen.epochs": 0}
    settings |= {"training.optimizer.schedule": "cosine", "training.optimizer.warm_up": 0.0}
    plain = [event.learning_rate for event in recipe(chest, settings).of(EpochEnded)]
    assert plain == pytest.approx([5e-4, 0.0], abs=1e-9)

    def faster(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "train" and event.epoch == 0 and not event.done:
            controls.use("learning_rate", 4e-3)

    run = recipe(chest, settings, react=faster)
    assert run.of(ControlUsed)[0].value == 4e-3
    assert [event.learning_rate for event in run.of(EpochEnded)] == pytest.approx([2e-3, 0.0], abs=1e-9)


def test_a_flip_at_test_time_is_the_mean_of_both_views() -> None:
    one = Predictions(
        np.array([[0.2, 0.8], [1.0, 0.0]], np.float32), np.array([0.223, 90.0], np.float32), np.array([1, 1])
    )
    two = Predictions(
        np.array([[0.6, 0.4], [1.0, 0.0]], np.float32), np.array([0.916, 90.0], np.float32), np.array([1, 1])
    )
    both = mean_of([one, two])
    assert both.probabilities[0].tolist() == pytest.approx([0.4, 0.6])
    assert both.losses[0] == pytest.approx(-np.log(0.6), abs=1e-3)
    assert both.losses[1] == pytest.approx(90.0)  # though its probability is 0 as a float32
