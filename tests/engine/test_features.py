"""The feature cache, seen through the runs that use it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import short
from tests.engine.conftest import Run, essence, resume
from xray_tui.engine import features
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Event, Progress

Recipe = Callable[..., Run]
FROZEN = {"training.frozen.epochs": 5, "training.unfrozen.epochs": 0}


def passes(run: Run) -> list[int | None]:
    """The epochs in which features of train images were computed."""
    return [event.epoch for event in run.of(Progress) if event.phase == "features" and event.done == 0]


def test_each_view_is_computed_once(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest, FROZEN | {"training.augment_views": "2"})
    assert passes(run) == [0, 1]


def test_the_first_epochs_see_what_they_would_without(chest: Path, recipe: Recipe) -> None:
    kept = recipe(chest, FROZEN | {"training.augment_views": "3"}).of(EpochEnded)
    fresh = recipe(chest, FROZEN | {"training.augment_views": "off"}).of(EpochEnded)
    for epoch in range(3):
        assert kept[epoch].train_loss == pytest.approx(fresh[epoch].train_loss, rel=1e-4)
        assert kept[epoch].validation_loss == pytest.approx(fresh[epoch].validation_loss, rel=1e-4)
    assert kept[3].train_loss != pytest.approx(fresh[3].train_loss, rel=1e-4)


def test_as_many_views_as_epochs_is_a_new_one_in_each(chest: Path, recipe: Recipe) -> None:
    all_views = recipe(chest, FROZEN | {"training.augment_views": "5"})
    assert not passes(all_views)
    fresh = recipe(chest, FROZEN | {"training.augment_views": "off"})
    assert essence(all_views.all) == essence(fresh.all)


@pytest.mark.parametrize("phase", short(["train", "features", "validation"]))
def test_a_resumed_run_computes_the_very_same(chest: Path, recipe: Recipe, phase: str) -> None:
    settings = FROZEN | {"training.augment_views": "2"}
    whole = recipe(chest, settings)

    def stop(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == phase and event.epoch == 1:
            controls.stop()

    first = recipe(chest, settings, react=stop)
    assert first.ended.outcome == "interrupted"
    rest = resume(first.directory)
    assert essence(first.of(EpochEnded) + rest.of(EpochEnded)) == essence(whole.of(EpochEnded))


@pytest.mark.parametrize("views", short(["1", "off"]))
def test_upper_groups_are_fine_tuned_on_what_the_lower_ones_gave(
    chest: Path, recipe: Recipe, views: str
) -> None:
    settings: dict[str, Any] = {"training.frozen.epochs": 1, "training.unfrozen.epochs": 3}
    settings |= {"training.unfreeze_from": "stage4", "training.augment_views": views}
    settings |= {"training.unfrozen.learning_rate": 1e-3}
    whole = recipe(chest, settings)
    losses = [ended.train_loss for ended in whole.of(EpochEnded)]
    assert losses[3] < losses[1]
    frozen, unfrozen = (event for event in whole.all if type(event).__name__ == "StageStarted")
    assert frozen.trainable_parameters < unfrozen.trainable_parameters < unfrozen.total_parameters

    def stop(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "train" and event.epoch == 2:
            controls.stop()

    first = recipe(chest, settings, react=stop)
    rest = resume(first.directory)
    assert essence(first.of(EpochEnded) + rest.of(EpochEnded)) == essence(whole.of(EpochEnded))


@pytest.mark.parametrize("mixing", [{}, {"training.loss.cutmix": 1.0}])
def test_what_is_mixed_are_images_and_no_features(
    chest: Path, recipe: Recipe, mixing: dict[str, float]
) -> None:
    settings: dict[str, Any] = {"training.frozen.epochs": 1, "training.unfrozen.epochs": 2}
    settings |= {"training.unfreeze_from": "stage4", "training.augment_views": "1"}
    assert passes(recipe(chest, settings | mixing)) == ([] if mixing else [1])


def test_an_unknown_group_is_told_before_an_image_is_read(chest: Path, recipe: Recipe) -> None:
    with pytest.raises(UserError, match="no such group"):
        recipe(chest, {"training.unfreeze_from": "layer9"})


def test_no_memory_for_features_is_said_with_the_way_out(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "memory", SimpleNamespace(free_bytes=lambda: 1000))
    with pytest.raises(UserError, match="no memory for 197 kB of features") as told:
        recipe(chest, FROZEN | {"training.augment_views": "2", "data.cache": "off"})
    assert "--augment-views off" in told.value.hint


def test_a_run_from_before_the_cache_is_resumed_as_it_began(chest: Path, recipe: Recipe) -> None:
    settings = FROZEN | {"training.augment_views": "off"}
    whole = recipe(chest, settings)

    def stop(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "train" and event.epoch == 1:
            controls.stop()

    first = recipe(chest, settings, react=stop)
    kept = first.directory.config.read_text().splitlines()
    older = [line for line in kept if not line.startswith(("augment_views", "compile"))]
    assert len(older) == len(kept) - 2
    first.directory.config.write_text("\n".join(older))
    rest = resume(first.directory)
    assert essence(first.of(EpochEnded) + rest.of(EpochEnded)) == essence(whole.of(EpochEnded))
