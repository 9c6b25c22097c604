"""A loss that is not a number: it stays out of the model, and the run stops or goes back."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.engine.conftest import Run, resume
from xray_tui.engine import checkpoints
from xray_tui.engine.controls import Controls
from xray_tui.engine.guard import Guard, NotFinite
from xray_tui.errors import UserError
from xray_tui.events import ControlUsed, EpochEnded, Event, Progress, Warning
from xray_tui.models.classifier import Classifier
from xray_tui.runs.directory import list_runs

pytestmark = pytest.mark.usefixtures("tiny")

Recipe = Callable[..., Run]


def small() -> tuple[nn.Module, torch.optim.Adam]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).train()
    return model, torch.optim.Adam(model.parameters(), lr=0.1, fused=True)


def train(model: nn.Module, optimizer: torch.optim.Adam, batches: list[Tensor]) -> list[bool]:
    guard = Guard(model, optimizer)
    parameters = list(model.parameters())
    left_out = []
    for batch in batches:
        guard.begin()
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        loss.backward()
        left_out.append(bool(guard.step(loss, parameters)))
    return left_out


@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e38])
def test_a_batch_that_is_left_out_leaves_nothing_behind(poison: float) -> None:
    """Of 1e38 the variance overflows, and the loss is finite."""
    good = [torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    bad = good[0].clone()
    bad[0, 0] = poison
    (one, of_one), (other, of_other) = small(), small()
    assert train(one, of_one, [good[0], bad, good[1], bad, good[2]]) == [False, True, False, True, False]
    assert train(other, of_other, good) == [False] * 3
    for (name, mine), theirs in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
    for mine, theirs in zip(of_one.state.values(), of_other.state.values(), strict=True):
        assert all(torch.equal(mine[slot], theirs[slot]) for slot in mine)


def test_gradients_alone_that_are_not_finite_are_left_out() -> None:
    model, optimizer = small()
    before = copy.deepcopy(model.state_dict())
    guard = Guard(model, optimizer)
    guard.begin()
    loss = model(torch.ones(2, 3)).sum()
    loss.backward()
    model[0].weight.grad[0, 0] = math.inf
    assert guard.step(loss, list(model.parameters()))
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_a_batch_that_came_to_nothing_is_undone() -> None:
    model, optimizer = small()
    before = copy.deepcopy(model.state_dict())
    guard = Guard(model, optimizer)
    guard.begin()
    model(torch.randn(8, 3)).sum().backward()
    first = next(model.parameters())
    optimizer.state[first]["step"] = torch.zeros(())  # as where memory ended within Adam's first step
    guard.undo()
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert not optimizer.state
    assert all(parameter.grad is None for parameter in model.parameters())
    assert train(model, optimizer, [torch.randn(8, 3)]) == [False]


def test_the_first_one_is_told() -> None:
    model, optimizer = small()
    guard = Guard(model, optimizer)
    guard.tell(3, [1, 2], torch.tensor(False))
    with pytest.raises(NotFinite) as told:
        guard.tell(4, [5, 6], torch.tensor(True))
    assert (told.value.batch, told.value.images) == (4, [5, 6])


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Makes the output of those training batches no number, counted through the whole test."""
    forward = Classifier.forward
    seen = -1

    def poisoned(batches: Callable[[int], bool]) -> None:
        def run(model: Classifier, images: Tensor) -> Tensor:
            nonlocal seen
            seen += model.training
            return forward(model, images) * (math.nan if model.training and batches(seen) else 1.0)

        monkeypatch.setattr(Classifier, "forward", run)

    return poisoned


Poison = Callable[[Callable[[int], bool]], None]
UNFROZEN = {"training.frozen.epochs": 0, "training.unfrozen.epochs": 3}
"""Three batches of 8 in each epoch."""


def test_stop_names_batch_and_images_and_can_be_resumed(chest: Path, recipe: Recipe, poison: Poison) -> None:
    poison(lambda batch: batch == 4)
    seen: Run = Run()
    with pytest.raises(UserError, match="in batch 1 of epoch 1 is not a finite number") as told:
        recipe(chest, UNFROZEN, lambda event, controls: seen.all.append(event))
    assert "--on-nan rollback" in told.value.hint
    (warning,) = [w for w in seen.of(Warning) if w.kind == "not_finite"]
    assert len(warning.paths) == 8
    assert all((chest / path).is_file() for path in warning.paths)
    (directory,) = list_runs(chest.parent / "runs")
    kept = load_file(directory.checkpoints / checkpoints.LAST)
    assert all(tensor.isfinite().all() for tensor in kept.values())
    position = checkpoints.read_position(directory.checkpoints)
    assert (position.batches, position.images, position.left_out) == (2, 16, 8)
    rest = resume(directory)
    assert rest.ended is not None
    assert rest.ended.outcome == "done"
    assert all(epoch.train_loss is not None for epoch in rest.of(EpochEnded))


def test_rollback_goes_on_from_the_checkpoint_with_half_the_rate(
    chest: Path, recipe: Recipe, poison: Poison
) -> None:
    poison(lambda batch: batch in (4, 6))
    run = recipe(chest, UNFROZEN | {"training.on_nan": "rollback", "training.unfrozen.learning_rate": 1e-3})
    assert run.ended.outcome == "done"
    assert [(c.control, c.epoch, c.value) for c in run.of(ControlUsed)] == [
        ("learning_rate", 1, 5e-4),
        ("learning_rate", 1, 2.5e-4),
    ]
    assert [e.learning_rate for e in run.of(EpochEnded)] == [1e-3, 2.5e-4, 2.5e-4]
    # What came of it is what the same run comes to whose rate a person changed before that epoch.
    poison(lambda batch: False)

    def change(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and (event.phase, event.epoch) == ("validation", 0):
            controls.learning_rate(2.5e-4)

    other = recipe(chest, UNFROZEN | {"training.unfrozen.learning_rate": 1e-3}, change)
    assert [e.train_loss for e in run.of(EpochEnded)] == [e.train_loss for e in other.of(EpochEnded)]


def test_rollback_gives_up_where_it_does_not_help(chest: Path, recipe: Recipe, poison: Poison) -> None:
    poison(lambda batch: batch >= 4)
    with pytest.raises(UserError, match="is not a finite number") as told:
        recipe(chest, UNFROZEN | {"training.on_nan": "rollback"})
    assert "--on-nan" not in told.value.hint, "it did that already"


# A GPU is asked two batches late.


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(self: Guard, batch: int, images: list[int], left_out: Tensor) -> None:
        self._told.append((batch, images, left_out, None))
        self.look(2)

    monkeypatch.setattr(Guard, "tell", tell)


def asking(what: Callable[[Controls], None]) -> Callable[[Event, Controls], None]:
    """So that it is obeyed after the first batch of epoch 1, which is left out: that is not known yet."""

    def ask(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and (event.phase, event.epoch, event.done) == ("train", 1, 0):
            what(controls)

    return ask


@pytest.mark.usefixtures("late")
def test_what_was_left_out_is_told_by_a_run_that_is_stopped(
    chest: Path, recipe: Recipe, poison: Poison
) -> None:
    poison(lambda batch: batch == 3)
    with pytest.raises(UserError, match="in batch 0 of epoch 1 is not a finite number"):
        recipe(chest, UNFROZEN, asking(Controls.stop))
    (directory,) = list_runs(chest.parent / "runs")
    assert checkpoints.read_position(directory.checkpoints).batches == 1


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize(
    ("what", "outcome", "epochs"),
    [(Controls.stop, "interrupted", [0]), (Controls.unfreeze, "done", [0, 1])],
    ids=["stop", "unfreeze now"],
)
def test_who_asked_meanwhile_is_obeyed_after_going_back(
    chest: Path,
    recipe: Recipe,
    poison: Poison,
    what: Callable[[Controls], None],
    outcome: str,
    epochs: list[int],
) -> None:
    poison(lambda batch: batch == 3)
    stages = {"training.frozen.epochs": 3, "training.unfrozen.epochs": 1, "training.augment_views": "off"}
    run = recipe(chest, stages | {"training.on_nan": "rollback"}, asking(what))
    assert run.ended.outcome == outcome
    assert [told.kind for told in run.of(Warning)] == ["not_finite"]
    assert [ended.epoch for ended in run.of(EpochEnded)] == epochs
