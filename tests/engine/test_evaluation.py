"""What comes after the last epoch: the operating point, then test, unsealed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from tests.conftest import write_folder
from tests.engine.conftest import Run, read_whole, resume
from xray_tui import event_lines, metrics
from xray_tui.data.unsealings import ledger_file
from xray_tui.engine import checkpoints
from xray_tui.engine.controls import Controls
from xray_tui.engine.epoch import Predictions
from xray_tui.engine.evaluation import tempered
from xray_tui.errors import UserError
from xray_tui.events import (
    EpochEnded,
    Event,
    Mistakes,
    OperatingPoint,
    Progress,
    TestEvaluated,
    TestUnsealed,
    Warning,
)
from xray_tui.runs import follow
from xray_tui.runs.predictions import read_test
from xray_tui.runs.record import RunRecord

Recipe = Callable[..., Run]
YOUDEN = {"evaluation.operating_point": "youden", "evaluation.calibrate": True}
ONE_EPOCH = {"training.frozen.epochs": 0, "training.unfrozen.epochs": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """More to validate on, so that it tells a temperature."""
    counts = {"train": {"a": 9, "b": 9}, "val": {"a": 20, "b": 31}, "test": {"a": 5, "b": 6}}
    return write_folder(tmp_path / "folder", counts)


def test_the_operating_point_is_chosen_on_validation_and_used_on_test(folder: Path, recipe: Recipe) -> None:
    run = recipe(folder, YOUDEN | {"training.frozen.epochs": 0, "training.unfrozen.epochs": 2})
    (point,) = run.of(OperatingPoint)
    best = next(e for e in run.of(EpochEnded) if e.epoch == run.ended.best_epoch)
    assert (point.epoch, point.rule) == (best.epoch, "youden")
    assert point.temperature == metrics.temperature(best.probabilities, best.actual)
    calibrated = metrics.tempered(best.probabilities, point.temperature)
    positive = best.actual == 1
    assert point.threshold == metrics.youden(calibrated[:, 1], positive)
    called = calibrated[:, 1] >= np.float32(point.threshold)
    assert point.sensitivity == pytest.approx(called[positive].mean())
    assert point.specificity == pytest.approx(1 - called[~positive].mean())

    (test,) = run.of(TestEvaluated)
    actual = np.array([source.actual for source in test.sources])
    assert actual.tolist() == [0] * 5 + [1] * 6
    called = test.probabilities[:, 1] >= np.float32(point.threshold)
    assert test.sensitivity == called[actual == 1].mean()
    assert test.confusion[0] == [int((~called[:5]).sum()), int(called[:5].sum())]
    assert test.loss == pytest.approx(-np.log(test.probabilities[np.arange(11), actual]).mean(), rel=1e-4)
    low, high = test.intervals["brier"]
    assert low < test.brier < high

    assert checkpoints.read_operating_point(run.directory.checkpoints) == point
    record = RunRecord.of(follow.read(run.directory))
    assert record.point == point
    kept = read_test(run.directory, record.classes)
    assert kept.images.paths == [source.path for source in test.sources]
    assert kept.images.actual.tolist() == actual.tolist()
    assert kept.images.patients == [source.patient for source in test.sources]
    assert np.array_equal(kept.probabilities, test.probabilities)
    assert np.array_equal(kept.losses, test.losses)


def test_where_the_likeliest_class_is_called_nothing_is_chosen(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest, ONE_EPOCH)
    assert not run.of(OperatingPoint)
    assert checkpoints.read_operating_point(run.directory.checkpoints) is None
    passes = [p for p in run.of(Progress) if p.phase == "validation" and not p.done]
    assert len(passes) == 1, "validation is not predicted again"


def test_what_validation_does_not_tell_is_said(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "temperature", lambda *_: None)
    monkeypatch.setattr(metrics, "operating_threshold", lambda *_: None)
    run = recipe(chest, YOUDEN | ONE_EPOCH)
    assert [w.message for w in run.of(Warning) if w.kind == "evaluation"] == [
        "validation tells no temperature: the probabilities stay as they are",
        "validation tells no threshold for youden: the likeliest class is called",
    ]
    (point,), (test,) = run.of(OperatingPoint), run.of(TestEvaluated)
    assert (point.threshold, point.temperature) == (None, None)
    assert sum(map(sum, test.confusion)) == 14


def test_zoomed_validation_shows_the_middle_alone(tmp_path: Path, recipe: Recipe) -> None:
    """Of images that are white around a black middle of half their side, nothing is white."""
    folder = write_folder(tmp_path / "folder", size=(64, 64))
    for file in folder.rglob("*.png"):
        pixels = np.full((64, 64), 255, np.uint8)
        pixels[12:52, 12:52] = 0
        Image.fromarray(pixels).save(file)
    narrow = {"training.resize_factor": 1.0, "evaluation.zoom": 2.0}
    seen = recipe(folder, ONE_EPOCH | narrow).of(Mistakes)[0].images
    assert len(seen)
    assert not seen.any()


def test_never_unsealed_test_is_not_read(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest, ONE_EPOCH | {"evaluation.unseal": "never"})
    (test,) = run.of(TestEvaluated)
    assert "`xray-tui evaluate RUN`" in test.skipped
    assert not run.of(TestUnsealed)
    assert not ledger_file().exists()
    reading = [p.total for p in run.of(Progress) if p.phase == "reading"]
    assert set(reading) == {28}, "train and validation, never the 14 of test"
    assert not run.directory.test_images.exists()
    assert run.ended.outcome == "done"


def test_each_run_is_counted_before_it_reads_test(chest: Path, recipe: Recipe) -> None:
    for times in (1, 2):
        run = recipe(chest, ONE_EPOCH)
        (unsealed,) = run.of(TestUnsealed)
        assert (unsealed.images, unsealed.times) == (14, times)
        before = run.all[: run.all.index(unsealed)]
        assert not any(isinstance(event, Progress) and event.total == 14 for event in before)


def test_who_chose_the_best_epoch_on_the_folder_test_has_looked_at_it(chest: Path, recipe: Recipe) -> None:
    for split, times in (("recipe", 1), ("holdout", 2)):
        run = recipe(chest, ONE_EPOCH | {"data.split": split})
        assert [event.times for event in run.of(TestUnsealed)][-1:] == [times]


def test_training_that_went_on_after_test_was_looked_at_is_told(chest: Path, recipe: Recipe) -> None:
    run = recipe(chest, {"training.frozen.epochs": 1, "training.unfrozen.epochs": 1})
    told = read_whole(run.directory)
    assert RunRecord.of(told).unsealed_amid is None
    last = max(n for n, event in enumerate(told) if isinstance(event, EpochEnded))
    unsealed = run.of(TestUnsealed)[0]
    assert RunRecord.of([*told[:last], unsealed, *told[last:]]).unsealed_amid == 1


def test_a_run_that_goes_on_is_still_one(chest: Path, recipe: Recipe) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, TestUnsealed):
            controls.stop()

    run = recipe(chest, ONE_EPOCH, react)
    assert run.ended.outcome == "interrupted"
    assert [e.times for e in resume(run.directory).of(TestUnsealed)] == [1]
    assert RunRecord.of(follow.read(run.directory)).unsealed.times == 1


def test_what_cannot_be_noted_is_not_looked_at(chest: Path, recipe: Recipe) -> None:
    ledger_file().parent.mkdir(parents=True, exist_ok=True)
    ledger_file().mkdir()
    run = recipe(chest, ONE_EPOCH)
    (test,) = run.of(TestEvaluated)
    assert "cannot be noted" in test.skipped
    assert not run.of(TestUnsealed)
    assert not any(p.total == 14 for p in run.of(Progress))
    assert run.ended.outcome == "done"


def test_a_damaged_ledger_is_told_of(chest: Path, recipe: Recipe) -> None:
    ledger_file().parent.mkdir(parents=True, exist_ok=True)
    ledger_file().write_text("rubbish\n")
    run = recipe(chest, ONE_EPOCH)
    (warning,) = [w for w in run.of(Warning) if w.kind == "evaluation"]
    assert warning.message.startswith("1 line ")
    assert run.of(TestUnsealed)[0].times == 1


def test_a_temperature_changes_probabilities_and_losses() -> None:
    found = Predictions(
        np.array([[0.2, 0.8], [0.0, 1.0]], np.float32), np.zeros(2, np.float32), np.array([1, 0])
    )
    assert tempered(found, None) is found
    softer = tempered(found, 2.0)
    # The odds 4 : 1 become their square root.
    assert softer.probabilities[0] == pytest.approx([1 / 3, 2 / 3])
    assert softer.losses[0] == pytest.approx(-np.log(2 / 3))
    assert np.isfinite(softer.losses[1])
    assert softer.losses[1] > 40


POINT = OperatingPoint(
    epoch=3, rule="youden", threshold=0.4, temperature=None, accuracy=0.9, sensitivity=0.8, specificity=None
)


def test_a_point_is_kept_beside_the_weights(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    checkpoints.save_best(tmp_path, model, epoch=3)
    assert checkpoints.read_operating_point(tmp_path) is None
    checkpoints.keep_operating_point(tmp_path, POINT)
    assert checkpoints.read_operating_point(tmp_path) == POINT
    other = nn.Linear(2, 2)
    checkpoints.load_best(tmp_path, other)
    assert torch.equal(other.weight, model.weight)
    checkpoints.save_best(tmp_path, model, epoch=3)
    assert checkpoints.read_operating_point(tmp_path) is None, "other weights, another point"


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[",
        '{"type":"operating_point"}',
        event_lines.encode(Warning(t=0.0, kind="x", message="y")).decode(),
        "[" * 9999,
    ],
)
def test_a_damaged_point_is_refused(tmp_path: Path, kept: str) -> None:
    checkpoints.save_best(tmp_path, nn.Linear(2, 2), epoch=3)
    file = tmp_path / checkpoints.BEST
    save_file(load_file(file), file, {"operating_point": kept})
    with pytest.raises(UserError, match=r"the operating point in .* is damaged"):
        checkpoints.read_operating_point(tmp_path)
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.read_operating_point(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("ill", "well", "positive", "said"),
    [
        ("effusion", "normal", "", True),
        ("effusion", "normal", "normal", False),
        ("effusion", "normal", "effusion", False),
        ("Effusion", "No_Finding", "", True),
        ("effusion", "nodule", "", False),
    ],
)
def test_that_health_was_taken_for_positive_is_told(
    tmp_path: Path, recipe: Recipe, ill: str, well: str, positive: str, said: bool
) -> None:
    counts = {"train": {ill: 12, well: 12}, "test": {ill: 4, well: 4}}
    run = recipe(write_folder(tmp_path / "d", counts), ONE_EPOCH | {"data.positive": positive})
    told = [warning.message for warning in run.of(Warning) if warning.kind == "positive"]
    assert len(told) == said
    assert all(f"is {well}" in message and f"--positive {ill}" in message for message in told)


def test_what_spoils_the_numbers_is_told_at_the_start_and_of_test_at_the_end(
    tmp_path: Path, recipe: Recipe
) -> None:
    counts = {"train": {"a": 12, "b": 60}, "val": {"a": 40, "b": 20}, "test": {"a": 4, "b": 6}}
    data = write_folder(tmp_path / "d", counts)
    shutil.copy(data / "train/a/IM-0000-0001.png", data / "val/a/IM-0000-0002.png")
    shutil.copy(data / "train/b/person0001_virus_1.png", data / "test/b/person0001_virus_7.png")
    shutil.copy(data / "train/a/IM-0005-0001.png", data / "train/a/IM-0005-0002.png")
    run = recipe(data, ONE_EPOCH | {"data.split": "folders"})
    unsealed = run.all.index(run.of(TestUnsealed)[0])
    before, after = (
        [(e.kind, e.message, e.paths) for e in some if isinstance(e, Warning)]
        for some in (run.all[:unsealed], run.all[unsealed:])
    )
    assert [(kind, message.split(".")[0], paths) for kind, message, paths in before] == [
        ("leakage", "1 patient number in train and validation", ["IM-0000"]),
        (
            "duplicates",
            "1 image stands in more than one role",
            ["train/a/IM-0000-0001.png = val/a/IM-0000-0002.png"],
        ),
        (
            "duplicates",
            "1 copy of 1 train image",
            ["train/a/IM-0005-0001.png = train/a/IM-0005-0002.png"],
        ),
        ("prior_shift", "33 % of validation are b, 82 % of train", []),
    ]
    assert [(kind, paths) for kind, _, paths in after] == [
        ("leakage", ["person0001"]),
        ("duplicates", ["train/b/person0001_virus_1.png = test/b/person0001_virus_7.png"]),
    ]


def told_of_test(events: list[Event]) -> list[tuple[str, str, list[str]]]:
    """Kind, title and names of the warnings since test was unsealed."""
    (unsealed,) = [place for place, event in enumerate(events) if isinstance(event, TestUnsealed)]
    return [(e.kind, e.message.split(".")[0], e.paths) for e in events[unsealed:] if isinstance(e, Warning)]


def test_what_is_in_validation_and_in_test_is_told_at_the_end(tmp_path: Path, recipe: Recipe) -> None:
    """And nothing of train and validation again."""
    data = write_folder(tmp_path / "d", {role: {"a": 12, "b": 12} for role in ("train", "val", "test")})
    for name in ("a/IM-0100-0001.png", "a/IM-1000-0001.png"):
        shutil.copy(data / "train/a/IM-0000-0001.png", data / "val" / name)
    shutil.copy(data / "val/b/person1001_virus_1.png", data / "test/b/person1001_virus_2.png")
    Image.open(data / "val/b/person1002_virus_1.png").save(data / "test/b/again.png", compress_level=0)
    shutil.copy(data / "train/b/person0003_virus_1.png", data / "val/b/everywhere.png")
    shutil.copy(data / "train/b/person0003_virus_1.png", data / "test/b/everywhere too.png")
    run = recipe(data, ONE_EPOCH | {"data.split": "folders"})
    assert told_of_test(run.all) == [
        ("leakage", "1 patient number in validation and test", ["person1001"]),
        (
            "duplicates",
            "3 images stand in more than one role",
            [
                "train/b/person0003_virus_1.png = val/b/everywhere.png = test/b/everywhere too.png",
                "val/b/person1001_virus_1.png = test/b/person1001_virus_2.png",
                "val/b/person1002_virus_1.png = test/b/again.png",
            ],
        ),
    ]
    report = run.directory.report.read_text()
    assert "1 patient number in validation and test" in report
    assert "3 images stand in more than one role" in report
