import csv
from pathlib import Path

import numpy as np
import pytest

from tests.tui.kept_runs import KeptRun, kept_run
from xray_tui.errors import UserError
from xray_tui.metrics import predicted_at
from xray_tui.runs.predictions import KeptPredictions, write_mistakes

CLASSES = ["NORMAL", "PNEUMONIA"]


@pytest.fixture
def run(tmp_path: Path) -> KeptRun:
    return kept_run(tmp_path, images=20, epochs=4)


@pytest.fixture
def kept(run: KeptRun) -> KeptPredictions:
    return KeptPredictions(run.directory, CLASSES)


def test_what_was_recorded_is_read_back(run: KeptRun, kept: KeptPredictions) -> None:
    images = kept.images()
    assert images.actual.tolist() == run.actual.tolist()
    assert images.paths[3] == f"test/{CLASSES[run.actual[3]]}/film-0003.jpeg"
    assert images.patients[3] == "patient3"
    for number in range(4):
        found = kept.epoch(number)
        assert found.epoch == number
        assert (found.probabilities == run.probabilities[number]).all()
        of_actual = run.probabilities[number][np.arange(20), run.actual]
        assert found.losses == pytest.approx(-np.log(of_actual), rel=1e-5)


def test_an_epoch_is_read_once_until_its_file_changes(run: KeptRun, kept: KeptPredictions) -> None:
    first = kept.epoch(1)
    assert kept.epoch(1) is first
    (run.directory.predictions / "0001.npz").write_bytes(
        (run.directory.predictions / "0003.npz").read_bytes()
    )
    assert (kept.epoch(1).probabilities == run.probabilities[3]).all()


def test_of_many_epochs_only_the_last_few_are_kept(tmp_path: Path) -> None:
    run = kept_run(tmp_path, images=5, epochs=12)
    kept = KeptPredictions(run.directory, CLASSES)
    first = kept.epoch(0)
    for number in range(12):
        kept.epoch(number)
    assert kept.epoch(0) is not first
    assert kept.epoch(11) is kept.epoch(11)


def test_the_fate_of_an_image(run: KeptRun, kept: KeptPredictions) -> None:
    assert kept.fates(2, range(4)) == []
    assert kept.learn_fates(range(4))
    assert not kept.learn_fates(range(4)), "nothing new"
    fates = kept.fates(2, range(4))
    assert [fate.epoch for fate in fates] == [0, 1, 2, 3]
    for fate in fates:
        of_actual = run.probabilities[fate.epoch, 2, run.actual[2]]
        assert fate.probability == pytest.approx(of_actual, abs=1e-3)
        assert fate.right == (2 not in run.wrong(fate.epoch))


def test_how_often_each_image_was_wrong(run: KeptRun, kept: KeptPredictions) -> None:
    kept.learn_fates([0, 2])
    wrong, epochs = kept.times_wrong(range(4))
    assert epochs == 2
    assert wrong.tolist() == [sum(image in run.wrong(number) for number in (0, 2)) for image in range(20)]


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, np.inf])
def test_fates_at_a_threshold_are_those_of_the_list(run: KeptRun, positive: int, threshold: float) -> None:
    kept = KeptPredictions(run.directory, CLASSES, positive)
    run.lose_numbers(2)
    kept.learn_fates(range(4))
    wrong = []
    for number in (0, 1, 3):
        predicted = predicted_at(kept.epoch(number).probabilities, positive, threshold)
        wrong.append(predicted != run.actual)
        for image in range(20):
            (fate,) = kept.fates(image, [number], threshold)
            assert fate.right == (not wrong[-1][image])
    times, _ = kept.times_wrong(range(4), threshold)
    assert times.tolist() == np.sum(wrong, 0).tolist()


def test_an_epoch_without_numbers_is_no_fate(run: KeptRun, kept: KeptPredictions) -> None:
    run.lose_numbers(2)
    kept.learn_fates(range(4))
    assert [fate.epoch for fate in kept.fates(5, range(4))] == [0, 1, 3]
    wrong, _ = kept.times_wrong(range(4))
    assert wrong.tolist() == [sum(image in run.wrong(number) for number in (0, 1, 3)) for image in range(20)]


def test_an_epoch_done_again_replaces_its_fates(run: KeptRun, kept: KeptPredictions) -> None:
    kept.learn_fates(range(4))
    rewritten = (run.directory.predictions / "0003.npz").read_bytes()
    (run.directory.predictions / "0000.npz").write_bytes(rewritten)
    assert kept.learn_fates(range(4))
    for image in range(20):
        assert kept.fates(image, [0])[0].right == (image not in run.wrong(3))


def test_a_broken_epoch_is_told_and_passed_over_among_the_fates(run: KeptRun, kept: KeptPredictions) -> None:
    (run.directory.predictions / "0001.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(UserError, match="predictions of epoch 1 are damaged") as caught:
        kept.epoch(1)
    assert "0001.npz" in caught.value.hint
    (run.directory.predictions / "0002.npz").unlink()
    with pytest.raises(UserError, match="No predictions were kept of epoch 2"):
        kept.epoch(2)
    kept.learn_fates(range(4))
    assert [fate.epoch for fate in kept.fates(0, range(4))] == [0, 3]


def test_predictions_of_other_images_are_refused(run: KeptRun, kept: KeptPredictions) -> None:
    np.savez(
        run.directory.predictions / "0001.npz",
        probabilities=np.ones((3, 2), np.float32),
        loss=np.ones(3, np.float32),
    )
    with pytest.raises(UserError, match="of other images"):
        kept.epoch(1)


def test_of_a_run_that_was_deleted_no_other_reason_is_told(run: KeptRun, kept: KeptPredictions) -> None:
    run.directory.path.rename(run.directory.path.with_name("elsewhere"))
    with pytest.raises(UserError, match="folder is gone"):
        kept.images()


def test_nothing_is_unpickled(run: KeptRun, kept: KeptPredictions) -> None:
    arrays = {"probabilities": np.array([{"an": "object"}], object), "loss": np.ones(1, np.float32)}
    np.savez(run.directory.predictions / "0001.npz", **arrays)
    with pytest.raises(UserError, match="damaged"):
        kept.epoch(1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "This run kept no predictions"),
        ("", "it is empty"),
        ("path,actual,patient\nonly one\n", "cannot be read"),
        ("path,actual,patient\na.png,ELSE,p\n", "names a class that the run does not have: ELSE"),
    ],
)
def test_a_list_of_images_that_is_none_is_told(
    run: KeptRun, kept: KeptPredictions, content: str | None, words: str
) -> None:
    file = run.directory.predictions / "images.csv"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=words):
        kept.epoch(0)


def test_a_list_is_written_whole_under_a_free_name(run: KeptRun) -> None:
    rows = [('te"st/=A,B.png', "NORMAL", "PNEUMONIA", 0.75, 1.5, "-p1"), ("b.png", "N", "P", 0.5, 0.7, "p2")]
    first = write_mistakes(run.directory, 12, rows)
    second = write_mistakes(run.directory, 12, rows[:1], 0.25)
    assert (first.name, second.name) == ("mistakes-epoch-0012.csv", "mistakes-epoch-0012-2.csv")
    assert first.parent == run.directory.path
    with first.open(newline="", encoding="utf-8") as file:
        head, *read = csv.reader(file)
    assert head == ["path", "actual", "predicted", "probability", "loss", "patient", "threshold"]
    assert read[0] == ['te"st/=A,B.png', "NORMAL", "PNEUMONIA", "0.750000", "1.500000", "-p1", ""]
    assert len(read) == 2
    assert second.read_text().endswith(",0.25\n")
    assert not list(run.directory.path.glob("*.part"))
