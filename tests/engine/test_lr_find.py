"""The learning-rate range test: smoothing and suggestions by hand, and whole tests on a small folder."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import write_folder
from tests.engine.conftest import SMALL, run_recipe
from xray_tui import config
from xray_tui.engine import lr_find, rate_curve
from xray_tui.engine.learner import Learner
from xray_tui.engine.lr_find import RateFinder
from xray_tui.engine.objective import Objective
from xray_tui.engine.rate_curve import RateCurve, Suggestions, falls, has_diverged, smooth, suggest
from xray_tui.errors import UserError
from xray_tui.events import Event, Progress, Stage

pytestmark = pytest.mark.usefixtures("tiny")

DECADES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
losses = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=40)


def rates(count: int) -> list[float]:
    return np.geomspace(1e-7, 1.0, count).tolist()


def test_smoothing_is_not_pulled_towards_0() -> None:
    assert smooth([0.7] * 5) == pytest.approx([0.7] * 5)
    assert smooth([1.0, 0.0]) == pytest.approx([1.0, 0.09 / 0.19])
    assert smooth([]) == []


def test_suggestions_on_a_curve_that_falls_and_rises() -> None:
    found = suggest(DECADES, [1.0, 1.0, 0.9, 0.4, 0.3, 0.8, 3.0])
    assert found.valley == 1e-3, "two thirds of the way from 1e-5, the last of the flat, to 1e-2"
    assert found.steepest == 1e-4
    assert found.minimum_tenth == pytest.approx(1e-3)


def test_a_valley_passes_over_what_is_no_lower() -> None:
    found = suggest(DECADES, [0.9, 0.8, 1.2, 0.7, 0.6, 2.0, 1.9])
    assert found.valley == pytest.approx(1e-3), "from 1e-6 through 0.8, 0.7 and 0.6 to 1e-2"
    assert found.steepest == 1e-4


def test_what_falls_once_it_has_diverged_is_no_fall() -> None:
    found = suggest(DECADES, [1.0, 0.8, 0.7, 0.6, 3.0, 1.5, 4.0])
    assert found.steepest == pytest.approx(DECADES[0])


def test_a_curve_that_only_rises_or_stays_suggests_nothing() -> None:
    for heights in ([0.1 * n for n in range(1, 8)], [0.5] * 7):
        found = suggest(DECADES, heights)
        assert (found.valley, found.steepest, found.minimum_tenth) == (None, None, None)
    assert suggest([1e-3], [0.5]).valley is None


def test_a_loss_that_still_falls_has_no_minimum_yet() -> None:
    found = suggest(DECADES, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert found.minimum_tenth is None
    assert found.valley == 1e-2
    assert suggest(rates(8)[:4], [0.5, 0.3, 0.6, 0.9]).minimum_tenth == pytest.approx(1e-7)
    assert suggest(DECADES[:4], [0.3, 0.4, 0.5, 0.6]).minimum_tenth is None, "a tenth was not tested"


@given(losses, st.sampled_from([0.25, 1.0, 8.0, 1024.0]))
def test_suggestions_lie_within_the_range_and_do_not_know_the_losses_unit(
    heights: list[float], unit: float
) -> None:
    tried = rates(len(heights))
    found = suggest(tried, heights)
    for rate in (found.valley, found.steepest, found.minimum_tenth):
        assert rate is None or tried[0] <= rate <= tried[-1]
    assert suggest(tried, [unit * height for height in heights]) == found


@given(losses)
def test_rates_ten_times_as_high_are_suggested_ten_times_as_high(heights: list[float]) -> None:
    tried = rates(len(heights))
    found, higher = suggest(tried, heights), suggest([10 * rate for rate in tried], heights)
    assert (higher.valley is None) == (found.valley is None)
    if found.valley is not None:
        assert higher.valley == pytest.approx(10 * found.valley)


@given(losses)
def test_the_valley_falls(heights: list[float]) -> None:
    first, last = rate_curve._longest_valley(np.array(heights))
    assert first == last or heights[last] < heights[first]
    assert (first == last) == all(b >= a for a, b in pairwise(heights))


def test_four_times_the_best_is_too_far_once_the_average_is_one() -> None:
    assert not has_diverged([0.5, 100.0]), "two batches are no average"
    assert not has_diverged([0.5] * 30)
    assert not has_diverged([100.0, *[0.5] * 60]), "it fell"
    assert has_diverged([*[0.5] * 30, 100.0])
    assert not has_diverged([*[0.5] * 30, 5.0]), "smoothed, that is 0.97"


def test_batches_that_just_differ_do_not_fall() -> None:
    assert not falls([0.7] * 50, smooth([0.7] * 50))
    rng = np.random.default_rng(0)
    level, flat, told = np.full(100, 0.7), 0, 0
    for _ in range(100):
        noise = rng.normal(0, 0.12, 100)
        flat += falls((level + noise)[10:], smooth(level + noise)[10:])
        falling = np.where(np.arange(100) > 50, 0.35, level) + noise
        told += falls(falling[10:], smooth(falling)[10:])
    assert flat <= 10
    assert told == 100
    diverging = [*[0.7] * 30, *np.linspace(0.7, 0.3, 30), *np.geomspace(0.3, 1e3, 20)]
    assert falls(diverging, smooth(diverging))
    assert not falls(diverging[60:], smooth(diverging[60:]))


@pytest.fixture
def events() -> list[Event]:
    return []


def finder(
    data: Path, events: list[Event], changes: dict[str, Any] | None = None, trained: Path | None = None
) -> RateFinder:
    settings = config.load(SMALL | {"data.root": str(data)} | (changes or {}))
    return RateFinder(settings, events.append, trained)


@pytest.mark.parametrize("stage", ["frozen", "unfrozen"])
def test_a_test_is_the_same_every_time_and_leaves_nothing(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event], stage: Stage
) -> None:
    monkeypatch.chdir(tmp_path)
    there = sorted(tmp_path.rglob("*"))
    with finder(chest, events) as found:
        before = {name: tensor.clone() for name, tensor in found.plan.model.state_dict().items()}
        curve = found.test(stage, 1e-6, 1e-1, 30)
        assert found.epochs(30) == 10, "24 images, 8 a batch"
        again = found.test(stage, 1e-6, 1e-1, 30)
    after = found.plan.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert curve == again
    assert sorted(tmp_path.rglob("*")) == there
    assert curve.rates == pytest.approx(np.geomspace(1e-6, 1e-1, 30)[: len(curve.rates)])
    assert len(curve.losses) == len(curve.rates) >= 10
    assert min(curve.losses) < curve.losses[0]
    told = [event.done for event in events if isinstance(event, Progress) and event.phase == "train"]
    assert told == [*range(1, len(curve.losses) + 1)] * 2


def test_only_train_is_read(chest: Path, events: list[Event]) -> None:
    for folder in ("test", "val"):
        for file in (chest / folder).rglob("*.png"):
            file.write_bytes(b"no image")
    with finder(chest, events) as found:
        assert found.images == 24


def test_each_batch_has_its_rate_and_each_group_its_factor(
    chest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Learner] = []
    of = Learner.of
    monkeypatch.setattr(Learner, "of", lambda *given: made.append(of(*given)) or made[-1])
    trained: list[list[tuple[float, float]]] = []

    def note(event: Event) -> None:
        if isinstance(event, Progress) and event.phase == "train":
            trained.append([(group["lr"], group["factor"]) for group in made[-1].optimizer.param_groups])

    levers = {
        "training.optimizer.name": "adamw",
        "training.optimizer.schedule": "one_cycle",
        "training.optimizer.head_factor": 10.0,
        "training.optimizer.group_factor": 0.5,
        "training.averaging.kind": "ema",
        "training.gradual": 2,
    }
    settings = config.load(SMALL | {"data.root": str(chest)} | levers)
    with RateFinder(settings, note) as found:
        curve = found.test("unfrozen", 1e-6, 1e-3, 20)
    assert len(trained) == len(curve.rates) == 20
    assert len({factor for _, factor in trained[0]}) > 2
    for rate, groups in zip(curve.rates, trained, strict=True):
        assert [lr for lr, _ in groups] == pytest.approx([rate * factor for _, factor in groups])


def test_a_loss_that_diverges_ends_the_test(chest: Path, events: list[Event]) -> None:
    with finder(chest, events) as found:
        curve = found.test("frozen", 1e-3, 1e9, 60)
    assert curve.ending != "range"
    assert len(curve.rates) < 60
    assert np.isfinite(curve.losses).all()
    assert curve.rates[-1] < 1e9


def test_a_loss_that_is_no_number_ends_the_test(
    chest: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    call, calls = Objective.__call__, 0

    def worse(*given: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return call(*given) * (float("nan") if calls > 12 else 1.0)

    monkeypatch.setattr(Objective, "__call__", worse)
    with finder(chest, events) as found:
        curve = found.test("frozen", batches=20)
    assert curve.ending == "not_finite"
    assert len(curve.losses) == 12


def test_from_the_best_weights_of_a_run(chest: Path, tmp_path: Path, events: list[Event]) -> None:
    run = run_recipe(chest, tmp_path / "runs", {"training.frozen.learning_rate": 1e-2})
    trained = run.directory.checkpoints
    with finder(chest, events) as fresh, finder(chest, events, trained=trained) as found:
        assert found.test("frozen", batches=20) == fresh.test("frozen", batches=20), "a new head always"
        begin = found.test("unfrozen", batches=20).losses[0]
        assert begin != fresh.test("unfrozen", batches=20).losses[0]
    with pytest.raises(UserError, match="does not fit the run's settings"):
        finder(chest, events, {"model.hidden": 8}, trained)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1e-2, 1e-3, 100), "no range"),
        ((0.0, 1.0, 100), "no range"),
        ((1e-7, 1.0, 3), "too few"),
        ((1e-7, 1.0, 10**14), "more than"),
    ],
)
def test_what_is_no_test(given: tuple[float, float, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        lr_find.check(*given)


def test_what_cannot_be_read_is_told(tmp_path: Path, events: list[Event]) -> None:
    data = write_folder(tmp_path / "chest")
    next((data / "train").rglob("*.png")).write_bytes(b"no image")
    with finder(data, events) as found:
        assert found.images == 23
    assert any("cannot be read" in getattr(event, "message", "") for event in events)
    with pytest.raises(UserError, match="cannot be read"):
        finder(data, events, {"data.unreadable": 0.0})


def test_a_curve_of_few_batches_suggests_nothing() -> None:
    curve = RateCurve("frozen", rates(100)[:5], [0.7, 0.6, 0.5, 0.4, 0.3], "not_finite")
    assert curve.suggestions == Suggestions(None, None, None)
