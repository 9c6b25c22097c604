"""What the best weights are said to look at and to tell apart, once a stage."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.conftest import short, write_folder
from tests.engine.conftest import React, Run, essence, resume, run_recipe, tiny_backbone
from xray_tui.data.augmentation import Normalisation
from xray_tui.engine import checkpoints, explanations
from xray_tui.engine.controls import Controls
from xray_tui.events import ControlUsed, EpochEnded, Event, Explained, Mistakes, Progress, StageStarted
from xray_tui.models.classifier import Classifier
from xray_tui.models.gradcam import grad_cam
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.record import RunRecord

CHANGES: dict[str, Any] = {"training.frozen.learning_rate": 1e-4, "training.unfrozen.learning_rate": 1e-4}
COUNTS = {split: {"NORMAL": 20, "PNEUMONIA": 25} for split in ("train", "test")}
COUNTS |= {"val": {"NORMAL": 2, "PNEUMONIA": 2}}


pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "chest", COUNTS)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_recipe(data, tmp_path_factory.mktemp("runs"), CHANGES)


def best_weights(run: Run) -> Classifier:
    model = Classifier(tiny_backbone("", "", seed=0), 2, hidden=16)
    model.load_state_dict(load_file(run.directory.checkpoints / checkpoints.BEST))
    return model


def test_each_stage_tells_of_the_best_epoch_so_far(whole: Run) -> None:
    frozen, unfrozen = whole.of(Explained)
    assert (frozen.stage, unfrozen.stage) == ("frozen", "unfrozen")
    assert whole.ended is not None
    assert unfrozen.epoch == whole.ended.best_epoch
    assert frozen.epoch < 2


def test_the_mistakes_are_the_worst_of_that_epoch_in_its_order(whole: Run) -> None:
    mistakes = {event.epoch: event for event in whole.of(Mistakes)}
    for told in whole.of(Explained):
        of_epoch = mistakes[told.epoch]
        assert told.mistakes == of_epoch.worst[:12]
        assert np.array_equal(told.images, of_epoch.images[:12])
    assert len(told.mistakes) == 12


def test_heat_is_grad_cam_of_the_best_weights_for_the_class_predicted(whole: Run) -> None:
    told, model = whole.of(Explained)[1], best_weights(whole)
    normalise = Normalisation((0.5,) * 3, (0.25,) * 3, torch.device("cpu"))
    assert told.heat.dtype == np.float32
    assert told.heat.max() == 1
    for mistake, image, heat in zip(told.mistakes, told.images, told.heat, strict=True):
        pixels = torch.from_numpy(image)[None, None]
        found = grad_cam(model, normalise(pixels), mistake.predicted)
        assert heat == pytest.approx(found.heat.numpy(), abs=1e-5)
        assert found.probabilities[mistake.predicted].item() == pytest.approx(mistake.probability, abs=1e-5)


def test_the_last_layer_makes_the_verdicts_of_the_features(whole: Run) -> None:
    """They are what it is given: nothing lies between the points that are shown and the verdicts."""
    told, model = whole.of(Explained)[1], best_weights(whole)
    with torch.no_grad():
        verdicts = model.head[-2:](torch.from_numpy(told.features)).exp().numpy()
    assert told.features.shape == (45, 16)
    assert verdicts == pytest.approx(told.probabilities, abs=1e-5)
    (ended,) = (event for event in whole.of(EpochEnded) if event.epoch == told.epoch)
    assert np.array_equal(told.probabilities, ended.probabilities)


def test_every_image_has_its_name_and_its_thumbnail(whole: Run) -> None:
    told = whole.of(Explained)[0]
    kept = whole.directory.sources()
    classes = ["NORMAL", "PNEUMONIA"]
    assert [(s.path, classes[s.actual], s.patient) for s in told.sources] == kept
    assert told.thumbnails.shape == (45, 48, 48)
    assert told.thumbnails.dtype == np.uint8
    means = told.thumbnails.mean((1, 2))
    assert means[:20].max() < 125 < means[20:].min(), "the second class is brighter"


def test_many_images_are_thinned_out(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "MOST", 10)
    told = run_recipe(data, tmp_path / "runs", CHANGES | {"training.unfrozen.epochs": 0}).of(Explained)[0]
    assert [source.actual for source in told.sources] == [0] * 5 + [1] * 5
    assert told.features.shape == (10, 16)
    assert len(told.thumbnails) == len(told.probabilities) == 10
    assert len(told.mistakes) == 12, "mistakes are of all images"


def test_spread_by_hand() -> None:
    labels = np.array([0] * 9 + [1] * 2 + [0] * 2)
    assert explanations.spread(labels, 6).tolist() == [0, 5, 9, 10, 12]
    assert explanations.spread(labels, 13).tolist() == list(range(13))


@given(st.lists(st.integers(0, 3), min_size=1), st.integers(4, 40))
def test_spread_keeps_every_class(labels: list[int], most: int) -> None:
    chosen = explanations.spread(np.array(labels), most)
    assert len(chosen) <= most
    assert len(chosen) == len(labels) or len(labels) > most
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert {labels[number] for number in chosen} == set(labels)


def test_the_run_is_the_same_without(whole: Run, data: Path, tmp_path: Path) -> None:
    without = run_recipe(data, tmp_path / "runs", CHANGES | {"evaluation.explain": False})
    assert not without.of(Explained)
    assert not without.directory.explanations.exists()
    assert essence(follow.read(without.directory)) == essence(follow.read(whole.directory))
    for name in (checkpoints.BEST, checkpoints.LAST):
        mine, wanted = (load_file(run.directory.checkpoints / name) for run in (without, whole))
        assert all(torch.equal(mine[key], wanted[key]) for key in wanted)


def test_a_stage_without_epochs_has_nothing_to_explain(data: Path, tmp_path: Path) -> None:
    run = run_recipe(data, tmp_path / "runs", CHANGES | {"training.frozen.epochs": 0})
    assert [event.stage for event in run.of(Explained)] == ["unfrozen"]


def explained(directory: RunDirectory) -> dict[str, Any]:
    """All that is kept of it, in the journal and beside it."""
    record = RunRecord.of(follow.read(directory))
    kept = {
        str(file.relative_to(directory.path)): file.read_bytes()
        for folder in (directory.explanations, directory.tensorboard)
        for file in folder.rglob("*")
        if file.is_file() and "tfevents" not in file.name
    }
    assert kept
    return {stage: (told.epoch, told.mistakes) for stage, told in record.explained.items()} | kept


def while_explaining(stage: str, do: Callable[[Controls], None], phase: str = "explaining") -> React:
    over = False

    def react(event: Event, controls: Controls) -> None:
        nonlocal over
        if not isinstance(event, Progress) or over:
            return
        if (event.phase, event.stage) == (phase, stage) and event.done:
            over = True
            do(controls)

    return react


@pytest.mark.parametrize("stage", short(["unfrozen", "frozen"]))
def test_stopped_meanwhile_and_resumed_equals_never_stopped(
    whole: Run, data: Path, tmp_path: Path, stage: str
) -> None:
    stopped = run_recipe(data, tmp_path / "runs", CHANGES, while_explaining(stage, Controls.stop))
    assert stopped.ended is not None
    assert stopped.ended.outcome == "interrupted"
    assert stage not in {event.stage for event in stopped.of(Explained)}
    resumed = resume(stopped.directory)
    assert resumed.ended is not None
    assert resumed.ended.outcome == "done"
    assert explained(stopped.directory) == explained(whole.directory)
    assert essence(follow.read(stopped.directory)) == essence(follow.read(whole.directory))


def test_a_stage_that_brings_no_better_epoch_is_not_explained(data: Path, tmp_path: Path) -> None:
    run = run_recipe(data, tmp_path / "runs", CHANGES | {"training.unfrozen.learning_rate": 10.0})
    assert run.ended is not None
    assert run.ended.best_epoch is not None
    assert run.ended.best_epoch < 2
    assert [event.stage for event in run.of(Explained)] == ["frozen"]


@pytest.mark.parametrize(
    "changes",
    [
        {"training.unfrozen.epochs": 2},
        {"training.unfrozen.epochs": 2, "training.gradual": 1, "evaluation.tta": "flip"},
    ],
    ids=str,
)
def test_whoever_computed_the_best_epoch_it_is_explained_the_same(
    data: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """To the bit: what a frozen part makes of an image differs in the last one when it is unfrozen."""
    whole = run_recipe(data, tmp_path / "runs", CHANGES | changes)
    stop = while_explaining("unfrozen", Controls.stop, phase="train")
    stopped = run_recipe(data, tmp_path / "runs", CHANGES | changes, stop)
    resume(stopped.directory)
    assert explained(stopped.directory) == explained(whole.directory)


def test_stopped_right_after_it_is_explained_again(whole: Run, data: Path, tmp_path: Path) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, StageStarted) and event.stage == "unfrozen":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(data, tmp_path / "runs", CHANGES, react)
    (path,) = (tmp_path / "runs").iterdir()
    resumed = resume(RunDirectory(path))
    assert [event.stage for event in resumed.of(Explained)] == ["frozen", "unfrozen"]
    assert explained(RunDirectory(path)) == explained(whole.directory)


def test_who_asks_to_unfreeze_does_not_wait_for_pictures(data: Path, tmp_path: Path) -> None:
    react = while_explaining("frozen", Controls.unfreeze)
    run = run_recipe(data, tmp_path / "runs", CHANGES | {"training.unfreeze": "ask"}, react)
    assert [control.control for control in run.of(ControlUsed)] == ["unfreeze"]
    assert [event.stage for event in run.of(Explained)] == ["unfrozen"]
    assert run.ended is not None
    assert run.ended.outcome == "done"


def test_the_pictures_are_named(whole: Run) -> None:
    folder = whole.directory.explanations / "unfrozen"
    told = whole.of(Explained)[1]
    rows = list(csv.DictReader((folder / "index.csv").open()))
    assert [row["path"] for row in rows] == [mistake.path for mistake in told.mistakes]
    assert [row["picture"] for row in rows] == sorted(file.name for file in folder.glob("*.png"))


def test_nothing_right_or_wrong_is_lost_where_there_are_no_mistakes(data: Path, tmp_path: Path) -> None:
    changes = CHANGES | {"training.frozen.epochs": 4, "training.frozen.learning_rate": 1e-2}
    run = run_recipe(data, tmp_path / "runs", changes | {"training.unfrozen.epochs": 0})
    (told,) = run.of(Explained)
    assert told.mistakes == []
    assert len(told.images) == len(told.heat) == 0
    assert len(told.features) == 45
    assert [file.name for file in (run.directory.explanations / "frozen").iterdir()] == ["index.csv"]
