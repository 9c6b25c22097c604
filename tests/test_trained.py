"""A run's best weights, asked from the run directory alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_folder, write_image
from tests.trained_runs import finished, tiny_networks
from xray_tui import config, metrics
from xray_tui.errors import UserError
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.predictions import KeptPredictions, read_test
from xray_tui.runs.record import RunRecord
from xray_tui.trained import Trained, load, predict

CLASSES = ["NORMAL", "PNEUMONIA"]
VALIDATION = {"NORMAL": 21, "PNEUMONIA": 24}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"train": {"NORMAL": 9, "PNEUMONIA": 9}, "val": VALIDATION, "test": VALIDATION}
    return write_folder(tmp_path_factory.mktemp("data") / "chest", counts, size=(48, 60))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    with tiny_networks():
        yield finished(data, tmp_path_factory.mktemp("runs"), {"data.split": "folders"})


@pytest.fixture(scope="module")
def trained(run: RunDirectory) -> Trained:
    return load(run, "cpu")


@pytest.fixture
def copied(run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """That a test may change."""
    return RunDirectory(Path(shutil.copytree(run.path, tmp_path / "copied")))


def test_it_says_of_validation_what_the_run_said(run: RunDirectory, trained: Trained, data: Path) -> None:
    kept = KeptPredictions(run, CLASSES)
    said = kept.epoch(trained.epoch).probabilities
    paths = kept.images().paths
    found = list(predict(trained, (data / path for path in paths), batch_size=7))
    assert [prediction.path for prediction in found] == [data / path for path in paths]
    assert trained.temperature is not None
    wanted = metrics.tempered(said, trained.temperature)
    assert np.stack([p.probabilities for p in found]) == pytest.approx(wanted, abs=1e-4)


def test_it_calls_of_test_what_the_run_called(run: RunDirectory, trained: Trained, data: Path) -> None:
    """To the bit: test was judged with the same weights, none of them frozen."""
    said = read_test(run, CLASSES)
    found = list(predict(trained, (data / path for path in said.images.paths), batch_size=8))
    assert np.array_equal(np.stack([p.probabilities for p in found]), said.probabilities)
    called = metrics.predicted_at(said.probabilities, 1, trained.threshold)
    assert [p.predicted for p in found] == called.tolist()


def test_it_knows_what_the_run_chose(run: RunDirectory, trained: Trained) -> None:
    record = RunRecord.of(follow.read(run))
    point = record.point
    assert point is not None
    assert (trained.rule, trained.threshold, trained.temperature, trained.epoch) == (
        "youden",
        point.threshold,
        point.temperature,
        point.epoch,
    )
    assert (trained.classes, trained.positive, trained.is_settled) == (CLASSES, "PNEUMONIA", True)
    assert trained.settings == config.load_kept(run.config)
    assert not trained.model.training
    assert trained.model.trainable_parameters() == []


def test_its_images_need_not_be_there(copied: RunDirectory, trained: Trained, tmp_path: Path) -> None:
    tree = copied.config.read_text().replace(trained.settings.data.root, "/nowhere/at all")
    copied.config.write_text(tree)
    image = write_image(tmp_path / "mit Umläuten 胸部.png", bright=True)
    (here,) = predict(load(copied, "cpu"), [image])
    (there,) = predict(trained, [image])
    assert np.array_equal(here.probabilities, there.probabilities)


def test_what_cannot_be_read_is_told_in_its_place(trained: Trained, tmp_path: Path) -> None:
    good = [write_image(tmp_path / f"{number}.png", seed=number) for number in range(3)]
    (broken := tmp_path / "broken.png").write_bytes(b"no image")
    gone, folder = tmp_path / "gone.png", tmp_path
    given = [broken, good[0], gone, folder, good[1], good[2], broken]
    found = list(predict(trained, given, batch_size=2))
    assert [p.path for p in found] == given
    assert [p.unreadable for p in found] == [
        "not a JPEG, PNG or DICOM image",
        "",
        "No such file or directory",
        "a folder",
        "",
        "",
        "not a JPEG, PNG or DICOM image",
    ]
    for prediction in found:
        assert (
            (prediction.predicted is None)
            == (prediction.probabilities is None)
            == bool(prediction.unreadable)
        )
    assert list(predict(trained, [])) == []


def test_a_batch_of_nothing_is_refused(trained: Trained) -> None:
    with pytest.raises(UserError, match="--batch-size 0"):
        next(predict(trained, [Path("film.png")], batch_size=0))


def test_paths_are_taken_as_they_are_needed(trained: Trained, tmp_path: Path) -> None:
    image, taken = write_image(tmp_path / "film.png"), []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(image)
            yield image

    predictions = predict(trained, endless(), batch_size=4)
    for _ in range(8):
        next(predictions)
    predictions.close()
    assert len(taken) < 2000


def test_an_interrupted_run_has_weights_but_no_operating_point(copied: RunDirectory) -> None:
    from safetensors.torch import load_file, save_file

    file = copied.checkpoints / "best.safetensors"
    save_file(load_file(file), file, {"format": "xray-tui best"})
    trained = load(copied, "cpu")
    assert (trained.rule, trained.threshold, trained.temperature) == ("likeliest", None, None)
    assert not trained.is_settled


def test_without_weights_it_says_so(copied: RunDirectory) -> None:
    (copied.checkpoints / "best.safetensors").unlink()
    with pytest.raises(UserError, match="no checkpoint"):
        load(copied, "cpu")
    copied.journal.write_bytes(b"")
    with pytest.raises(UserError, match="has no best epoch"):
        load(copied, "cpu")


def test_no_memory_is_taken_for_a_network_that_the_weights_do_not_fit(copied: RunDirectory) -> None:
    copied.config.write_text(copied.config.read_text().replace("hidden = 16", f"hidden = {2**50}"))
    with pytest.raises(UserError, match="does not fit the run's settings"):
        load(copied, "cpu")


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_told(run: RunDirectory, device: str) -> None:
    with pytest.raises(UserError, match=f"--device {device}"):
        load(run, device)
