"""What the mirror writes, read back with TensorBoard's own reader."""

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginEventAccumulator,
)
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

from tests.test_events import operating_point
from xray_tui.board import curves
from xray_tui.board.curves import drawn
from xray_tui.board.summaries import EventFile, grid, pr_curve, scalar
from xray_tui.board.writer import BoardWriter
from xray_tui.events import (
    EpochEnded,
    Event,
    Mistakes,
    Resumed,
    RunStarted,
    Source,
    StageEnded,
    StageStarted,
    TestEvaluated,
)
from xray_tui.figures import PANEL_PX

MakeRun = Callable[..., list[Event]]
MISTAKES = 10  # an epoch, in the made-up run


def mirror(directory: Path, events: Iterable[Event], **options: int) -> None:
    writer = BoardWriter(directory, **options)
    for event in events:
        writer(event)
    writer.close()


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "histograms": 0})
    accumulator.Reload()
    return accumulator


def points(accumulator: EventAccumulator, tag: str) -> dict[int, float]:
    scalars = accumulator.Scalars(tag)
    assert len({scalar.step for scalar in scalars}) == len(scalars)
    return {scalar.step: pytest.approx(scalar.value) for scalar in scalars}


def folders(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_two_runs_and_never_a_third(tmp_path: Path, make_run: MakeRun) -> None:
    writer = BoardWriter(tmp_path / "tensorboard")
    seen = []
    for event in make_run():
        writer(event)
        seen.append(folders(tmp_path / "tensorboard") if (tmp_path / "tensorboard").exists() else [])
    writer.close()
    writer.close()
    assert [seen[0], seen[1], seen[-1]] == [[], ["frozen"], ["frozen", "unfrozen"]]
    assert not [
        path
        for path in (tmp_path / "tensorboard").rglob("*")
        if path.is_dir() and path.parent.name != "tensorboard"
    ]


def test_a_run_without_unfrozen_epochs_has_only_frozen(tmp_path: Path, make_run: MakeRun) -> None:
    events = make_run(unfrozen=0)
    idle = StageStarted(
        stage="unfrozen",
        first_epoch=2,
        epochs=0,
        learning_rate=1e-6,
        trainable_parameters=2,
        total_parameters=2,
    )
    mirror(tmp_path, [*events[:-2], idle, *events[-2:]])
    assert folders(tmp_path) == ["frozen"]
    assert "test/accuracy" in read(tmp_path / "frozen").Tags()["scalars"]


def test_scalars(tmp_path: Path, make_run: MakeRun) -> None:
    mirror(tmp_path, make_run())
    frozen, unfrozen = read(tmp_path / "frozen"), read(tmp_path / "unfrozen")
    every = {
        *("Train Loss", "Test Loss", "Accuracy"),
        *("metrics/AUC", "metrics/sensitivity", "metrics/specificity"),
        *("training/learning rate", "training/images per second"),
        *(f"hparam/{name}" for name in ("loss", "accuracy", "AUC", "sensitivity", "specificity")),
    }
    test = {f"test/{name}" for name in ("loss", "accuracy", "AUC", "sensitivity", "specificity")}
    assert set(frozen.Tags()["scalars"]) == every
    assert set(unfrozen.Tags()["scalars"]) == every | test
    assert points(frozen, "Train Loss") == {0: 0.6, 1: 0.3}
    assert points(frozen, "Test Loss") == {0: 0.7, 1: 0.35}
    assert points(frozen, "Accuracy") == {0: 80, 1: 82}
    assert points(unfrozen, "Accuracy") == {2: 84}
    assert points(frozen, "metrics/AUC") == {0: 0.9, 1: 0.91}
    assert points(frozen, "metrics/sensitivity") == {0: 0.91, 1: 0.91}
    assert points(frozen, "metrics/specificity") == {0: 0.71, 1: 0.71}
    assert points(unfrozen, "training/learning rate") == {2: 1e-6}
    assert points(frozen, "training/images per second") == {0: 400, 1: 401}
    assert points(unfrozen, "test/accuracy") == {2: 87.5}
    assert points(unfrozen, "test/specificity") == {2: 0.75}
    assert [scalar.wall_time for scalar in frozen.Scalars("Accuracy")] == [1_800_000_060, 1_800_000_120]


def test_records_are_framed_as_tensorboard_frames_them(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.write([scalar("loss", 0.25)], step=3, t=1.0)
    file.flush()
    (written,) = tmp_path.iterdir()
    records = list(RawEventFileLoader(str(written)).Load())
    theirs = io.BytesIO()
    writer = RecordWriter(theirs)
    for record in records:
        writer.write(record)
    assert len(records) == 3, "the version, the START, the value"
    assert written.read_bytes() == theirs.getvalue()


def test_the_operating_point_and_how_the_split_was_chosen(tmp_path: Path, make_run: MakeRun) -> None:
    point = operating_point(epoch=2, threshold=0.25, accuracy=0.9, sensitivity=0.875, specificity=0.5)
    events = [
        replace(e, split_note="recipe: as published", settings={**e.settings, "data": {"split": "recipe"}})
        if isinstance(e, RunStarted)
        else e
        for e in make_run()
    ]
    mirror(tmp_path, [*events[:-2], point, *events[-2:]])
    unfrozen = read(tmp_path / "unfrozen")
    assert points(unfrozen, "operating point/threshold") == {2: 0.25}
    assert points(unfrozen, "operating point/sensitivity") == {2: 0.875}
    assert "operating point/temperature" not in unfrozen.Tags()["scalars"]
    for stage in ("frozen", "unfrozen"):
        (words,) = read(tmp_path / stage).Tensors("protocol")
        assert words.tensor_proto.string_val == [b"recipe: as published; the best epoch is selected on test"]


def test_what_a_frozen_best_epoch_came_to_stands_in_its_own_row(tmp_path: Path, make_run: MakeRun) -> None:
    point = operating_point(epoch=1, threshold=0.25, accuracy=0.9, sensitivity=0.875, specificity=0.5)
    *before, test, ended = make_run()
    assert isinstance(test, TestEvaluated)
    writer = BoardWriter(tmp_path)
    for event in before:
        writer(event)
    writer.close()
    later = BoardWriter(tmp_path)
    later.recall(before)
    for event in (point, replace(test, epoch=1), ended):
        later(event)
    later.close()
    frozen, unfrozen = read(tmp_path / "frozen"), read(tmp_path / "unfrozen")
    assert points(frozen, "operating point/threshold") == {1: 0.25}
    assert points(frozen, "test/accuracy").keys() == {1}
    assert not {"operating point/threshold", "test/accuracy"} & set(unfrozen.Tags()["scalars"])


def test_what_is_undefined_is_not_written(tmp_path: Path, make_run: MakeRun) -> None:
    undefined = dict.fromkeys(
        (
            "train_loss",
            "validation_loss",
            "accuracy",
            "auc",
            "sensitivity",
            "specificity",
            "probabilities",
            "histograms",
        )
    )
    events = [replace(e, **undefined) if isinstance(e, EpochEnded) else e for e in make_run(unfrozen=0)]
    events = [replace(e, auc=None) if isinstance(e, TestEvaluated) else e for e in events]
    mirror(tmp_path, events)
    tags = read(tmp_path / "frozen").Tags()
    assert {tag for tag in tags["scalars"] if not tag.startswith("test/")} == {
        "training/learning rate",
        "training/images per second",
    }
    assert "test/AUC" not in tags["scalars"]
    assert "test/loss" in tags["scalars"]
    assert "metrics/PR curve" not in tags["tensors"]
    assert tags["histograms"] == []


def with_predictions(events: Iterable[Event]) -> list[Event]:
    """The same, with what was predicted of the test images."""
    sources = [Source(f"test/{number}.png", number // 8, str(number)) for number in range(16)]
    positive = np.linspace(0.05, 0.9, 16, dtype=np.float32)
    probabilities = np.stack([1 - positive, positive], 1)
    return [
        replace(event, probabilities=probabilities, sources=sources)
        if isinstance(event, TestEvaluated)
        else event
        for event in events
    ]


def test_curves_are_images_of_each_stage_and_of_test(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "drawn", drawn)
    mirror(tmp_path, with_predictions(make_run(frozen=2, unfrozen=1)))
    frozen, unfrozen = read(tmp_path / "frozen"), read(tmp_path / "unfrozen")
    shown = {
        (folder, tag): accumulator.Images(tag)
        for folder, accumulator in (("frozen", frozen), ("unfrozen", unfrozen))
        for tag in accumulator.Tags()["images"]
        if tag.startswith(("curves/", "test/"))
    }
    assert {key: [image.step for image in images] for key, images in shown.items()} == {
        ("frozen", "curves/ROC"): [1],
        ("frozen", "curves/calibration"): [1],
        ("unfrozen", "curves/ROC"): [2],
        ("unfrozen", "curves/calibration"): [2],
        ("unfrozen", "test/ROC"): [2],
        ("unfrozen", "test/calibration"): [2],
    }
    for images in shown.values():
        size = Image.open(io.BytesIO(images[0].encoded_image_string)).size
        assert (images[0].width, images[0].height) == size == PANEL_PX
    assert len({images[0].encoded_image_string for images in shown.values()}) == len(shown)
    (table,) = (make_ndarray(curve.tensor_proto) for curve in unfrozen.Tensors("test/PR curve"))
    assert table[:4, 0].tolist() == [8, 8, 0, 0], "from threshold 0 on all are called positive"


def test_a_resumed_stage_draws_no_curve_of_an_epoch_it_has_not_seen(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "drawn", lambda *given: pytest.fail("there is nothing to draw"))
    events = make_run(frozen=2, unfrozen=0)
    ends = next(number for number, event in enumerate(events) if isinstance(event, StageEnded))
    bare = dict.fromkeys(EpochEnded.ARRAYS)
    past = [replace(e, **bare) if isinstance(e, EpochEnded) else e for e in events[:ends]]
    writer = BoardWriter(tmp_path)
    writer.recall(past)
    for event in (Resumed(epoch=2, stage="frozen"), events[ends]):
        writer(event)
    writer.close()


def test_a_skipped_test_is_not_written(tmp_path: Path, make_run: MakeRun) -> None:
    skipped = [
        replace(e, skipped="no folder for it", loss=None, epoch=None) if isinstance(e, TestEvaluated) else e
        for e in make_run()
    ]
    mirror(tmp_path, skipped)
    assert not [tag for tag in read(tmp_path / "unfrozen").Tags()["scalars"] if tag.startswith("test/")]


@pytest.mark.parametrize(
    ("count", "width", "height"), [(32, 8 * 66 + 2, 4 * 66 + 2), (3, 3 * 66 + 2, 66 + 2)]
)
def test_grid_is_one_png_once_a_run(
    tmp_path: Path, make_run: MakeRun, count: int, width: int, height: int
) -> None:
    mirror(tmp_path, make_run(grid=count))
    [shown] = read(tmp_path / "frozen").Images("X-Ray grid")
    assert shown.step == 0
    assert "X-Ray grid" not in read(tmp_path / "unfrozen").Tags()["images"]
    png = Image.open(io.BytesIO(shown.encoded_image_string))
    assert (png.format, png.mode, png.size) == ("PNG", "L", (width, height))
    assert (shown.width, shown.height) == (width, height)


def test_grid_keeps_every_pixel() -> None:
    pictures = np.random.default_rng(0).integers(1, 256, (11, 5, 7), np.uint8)
    sheet = grid(pictures)
    assert sheet.shape == (2 * 7 + 2, 8 * 9 + 2)
    assert np.array_equal(sheet[2:7, 2:9], pictures[0])
    assert np.array_equal(sheet[9:14, 20:27], pictures[10])
    assert np.count_nonzero(sheet) == pictures.size


def test_each_mistake_has_a_tag_of_its_own(tmp_path: Path, make_run: MakeRun) -> None:
    events = make_run()
    mirror(tmp_path, events)
    frozen = read(tmp_path / "frozen")
    tags = [tag for tag in frozen.Tags()["images"] if tag.startswith("1->")]
    assert len(tags) == MISTAKES
    assert tags[0] == "1->Predict-PNEUMONIAxNORMAL-Actual/01"
    assert tags[1] == "1->Predict-NORMALxPNEUMONIA-Actual/02"
    told = next(event for event in events if isinstance(event, Mistakes) and event.epoch == 1)
    for rank, tag in enumerate(tags):
        [shown] = frozen.Images(tag)
        pixels = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)))
        assert shown.step == 1
        assert np.array_equal(pixels, told.images[rank])
    assert "test/0.jpeg" in frozen.SummaryMetadata(tags[0]).summary_description


def test_the_worst_mistakes_come_first_and_no_more_than_asked(tmp_path: Path, make_run: MakeRun) -> None:
    mirror(tmp_path, make_run(), mistakes_per_epoch=3)
    tags = [tag for tag in read(tmp_path / "unfrozen").Tags()["images"] if tag.startswith("2->")]
    assert [tag[-3:] for tag in tags] == ["/01", "/02", "/03"]


def test_mistakes_without_images_are_left_out(tmp_path: Path, make_run: MakeRun) -> None:
    mirror(tmp_path, [replace(e, images=None) if isinstance(e, Mistakes) else e for e in make_run()])
    assert read(tmp_path / "unfrozen").Tags()["images"] == []


@pytest.mark.parametrize("name", ["viral/early", "[red]x[/]", "a\x1b[31mb", "line\nbreak", "x" * 300, "肺炎"])
def test_a_class_name_may_hold_anything(tmp_path: Path, make_run: MakeRun, name: str) -> None:
    mirror(tmp_path, make_run(("NORMAL", name), positive=name))
    tags = [tag for tag in read(tmp_path / "frozen").Tags()["images"] if "->" in tag]
    assert len(tags) == 2 * MISTAKES
    for tag in tags:
        assert re.fullmatch(r"\d+->Predict-[\w .+-]{1,60}x[\w .+-]{1,60}-Actual/\d\d", tag)
    if name == "肺炎":
        assert "0->Predict-肺炎xNORMAL-Actual/01" in tags


def test_histograms(tmp_path: Path, make_run: MakeRun) -> None:
    events = make_run()
    mirror(tmp_path, events)
    frozen = read(tmp_path / "frozen")
    assert set(frozen.Tags()["histograms"]) == {"weights/4.weight", "gradients/4.weight"}
    told = next(event for event in events if isinstance(event, EpochEnded)).histograms["weights/4.weight"]
    first, second = frozen.Histograms("weights/4.weight")
    assert (first.step, second.step) == (0, 1)
    written = first.histogram_value
    assert written.num == 2000
    assert (written.min, written.max, written.sum) == (told.minimum, told.maximum, told.total)
    assert written.sum_squares == told.squares
    assert written.bucket == told.counts.tolist()
    assert written.bucket_limit == told.edges[1:].tolist()


@pytest.mark.parametrize(("positive", "index"), [("", 1), ("BACTERIA", 2), ("no such class", 1)])
def test_pr_curve_of_three_classes(tmp_path: Path, make_run: MakeRun, positive: str, index: int) -> None:
    # The default is the last by name, not the last of the list.
    events = make_run(("NORMAL", "VIRUS", "BACTERIA"), positive=positive)
    mirror(tmp_path, events)
    frozen = read(tmp_path / "frozen")
    assert frozen.SummaryMetadata("metrics/PR curve").plugin_data.plugin_name == "pr_curves"
    curves = frozen.Tensors("metrics/PR curve")
    assert [curve.step for curve in curves] == [0, 1]
    table = make_ndarray(curves[0].tensor_proto)
    told = next(event for event in events if isinstance(event, EpochEnded))
    for column in (0, 40, 100, 126):
        called = told.probabilities[:, index].astype(np.float64) >= column / 126
        is_positive = told.actual == index
        expected = [
            called & is_positive,
            called & ~is_positive,
            ~called & ~is_positive,
            ~called & is_positive,
        ]
        assert table[:4, column].tolist() == [part.sum() for part in expected]
        assert table[5, column] == pytest.approx(expected[0].sum() / is_positive.sum())


def test_pr_curve_of_a_perfect_model() -> None:
    curve = pr_curve("x", np.array([0.0, 1.0], np.float32), np.array([False, True]))
    table = make_ndarray(curve.tensor)
    assert table[:, 0].tolist() == [1, 1, 0, 0, 0.5, 1]
    assert table[:, -1].tolist() == [1, 0, 1, 0, 1, 1]


def test_hyperparameters_are_in_the_stage_s_own_folder(tmp_path: Path, make_run: MakeRun) -> None:
    mirror(tmp_path, make_run())
    for stage in ("frozen", "unfrozen"):
        contents = read(tmp_path / stage).PluginTagToContent("hparams")
        start = hparams_metadata.parse_session_start_info_plugin_data(
            contents["_hparams_/session_start_info"]
        )
        end = hparams_metadata.parse_session_end_info_plugin_data(contents["_hparams_/session_end_info"])
        experiment = hparams_metadata.parse_experiment_plugin_data(contents["_hparams_/experiment"])
        assert start.hparams["stage"].string_value == stage
        assert start.hparams["training.frozen.learning_rate"].number_value == 1e-3
        assert start.hparams["training.augmentation.rotation"].number_value == 10
        assert end.status == api_pb2.STATUS_SUCCESS
        assert {info.name for info in experiment.hparam_infos} == set(start.hparams)
        assert "hparam/accuracy" in {info.name.tag for info in experiment.metric_infos}
        # A domain would hide the other runs of a runs directory.
        assert not [info for info in experiment.hparam_infos if info.WhichOneof("domain")]


@pytest.mark.parametrize(("outcome", "status"), [("failed", api_pb2.STATUS_FAILURE), ("interrupted", None)])
def test_how_a_broken_off_stage_ends(
    tmp_path: Path, make_run: MakeRun, outcome: str, status: int | None
) -> None:
    events = make_run(outcome=outcome)
    mirror(tmp_path, [*events[:-3], events[-1]])
    contents = read(tmp_path / "unfrozen").PluginTagToContent("hparams")
    end = contents.get("_hparams_/session_end_info")
    assert (end and hparams_metadata.parse_session_end_info_plugin_data(end).status) == status


def test_final_metrics_are_those_of_the_stage_s_best_epoch(tmp_path: Path, make_run: MakeRun) -> None:
    losses = {0: 0.5, 1: 0.3, 2: 0.4, 3: 0.6, 4: 0.3}
    events = [
        replace(e, validation_loss=losses[e.epoch]) if isinstance(e, EpochEnded) else e
        for e in make_run(frozen=3, unfrozen=2)
    ]
    mirror(tmp_path, events)
    assert points(read(tmp_path / "frozen"), "hparam/loss") == {0: 0.5, 1: 0.3}
    assert points(read(tmp_path / "frozen"), "hparam/accuracy") == {0: 80, 1: 82}
    assert points(read(tmp_path / "unfrozen"), "hparam/loss") == {3: 0.6, 4: 0.3}


def test_a_resumed_run_writes_later_steps_anew(tmp_path: Path, make_run: MakeRun) -> None:
    events = make_run(frozen=4)
    ends = [index for index, event in enumerate(events) if isinstance(event, Mistakes)]
    past, future = events[: ends[2] + 1], events[ends[1] + 1 :]
    mirror(tmp_path, past)  # epochs 0 to 2; the checkpoint is from before epoch 2

    writer = BoardWriter(tmp_path)
    journal = [replace(event, **dict.fromkeys(event.ARRAYS)) for event in past]
    writer.recall(journal)
    for event in [Resumed(epoch=2), *future]:
        writer(event)
    writer.close()

    frozen = read(tmp_path / "frozen")
    assert points(frozen, "Accuracy") == {0: 80, 1: 82, 2: 84, 3: 86}
    served = PluginEventAccumulator(str(tmp_path / "frozen"))  # a server's own; it voids tensors too
    served.Reload()
    assert [curve.step for curve in served.Tensors("metrics/PR curve")] == [0, 1, 2, 3]
    assert len(frozen.Images("X-Ray grid")) == 1
    assert len([tag for tag in frozen.Tags()["images"] if tag.startswith("2->")]) == MISTAKES
    assert points(read(tmp_path / "unfrozen"), "Accuracy") == {4: 88}
    names = [path.name for path in sorted((tmp_path / "frozen").iterdir())]
    assert len(names) == 2
    assert names[0].split(".")[3] < names[1].split(".")[3]


def test_a_resumed_run_forgets_what_it_will_repeat(tmp_path: Path, make_run: MakeRun) -> None:
    losses = {0: 0.5, 1: 0.1, 2: 0.4, 3: 0.4}
    events = [
        replace(e, validation_loss=losses[e.epoch]) if isinstance(e, EpochEnded) else e
        for e in make_run(frozen=3)
    ]
    again = next(e for e in events if isinstance(e, EpochEnded) and e.epoch == 1)
    writer = BoardWriter(tmp_path)
    writer.recall(events[:10])  # epoch 1 and its loss of 0.1 among them
    writer(Resumed(epoch=1))
    writer(replace(again, validation_loss=0.2))
    writer.close()
    assert points(read(tmp_path / "frozen"), "hparam/loss") == {1: 0.2}


def test_resuming_at_epoch_0_keeps_the_grid(tmp_path: Path, make_run: MakeRun) -> None:
    events = make_run()
    mirror(tmp_path, events[:2])
    writer = BoardWriter(tmp_path)
    writer.recall(events[:2])
    for event in [Resumed(epoch=0), *events[1:]]:
        writer(event)
    writer.close()
    frozen = read(tmp_path / "frozen")
    assert len(frozen.Images("X-Ray grid")) == 1
    assert points(frozen, "Accuracy") == {0: 80, 1: 82}


def test_an_epoch_is_readable_while_the_run_goes_on(tmp_path: Path, make_run: MakeRun) -> None:
    writer = BoardWriter(tmp_path)
    for event in make_run():
        writer(event)
        if isinstance(event, EpochEnded):
            assert event.epoch in points(read(tmp_path / event.stage), "Accuracy")
        if isinstance(event, Mistakes):
            assert (
                f"{event.epoch}->Predict-PNEUMONIAxNORMAL-Actual/01"
                in read(tmp_path / event.stage).Tags()["images"]
            )
    writer.close()


def test_nothing_grows_with_the_epochs(tmp_path: Path, make_run: MakeRun) -> None:
    writer = BoardWriter(tmp_path)
    for event in make_run():
        writer(event)
    assert writer._grid is None
    assert writer._started is not None
    assert writer._started.grid is None
    assert all(epoch.probabilities is None and epoch.histograms is None for epoch in writer._epochs)
    writer.close()


def test_write_errors_reach_the_caller(tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    events = make_run()
    writer = BoardWriter(tmp_path / "tensorboard")
    writer(events[0])
    with pytest.raises(OSError, match="tensorboard"):
        writer(events[1])
    writer.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a file's size cannot be limited there")
def test_a_full_disk_reaches_the_caller_and_loses_nothing(tmp_path: Path, make_run: MakeRun) -> None:
    from tests.faults.full_disk import limited

    events = make_run()
    mirror(tmp_path / "whole", events)
    writer = BoardWriter(tmp_path / "full")
    for event in events[:3]:
        writer(event)
    (file,) = (tmp_path / "full" / "frozen").iterdir()
    before = file.read_bytes()
    with limited(len(before) + 10):  # a disk that fills up takes a part of a record first
        with pytest.raises(OSError, match="No space"):
            writer(events[3])
        assert file.read_bytes() == before, "no half of a record stays"
    writer.flush()
    for event in events[4:]:
        writer(event)
    writer.close()
    frozen, wanted = (read(tmp_path / name / "frozen") for name in ("full", "whole"))
    assert frozen.Tags() == wanted.Tags()
    assert points(frozen, "Accuracy") == points(wanted, "Accuracy")


def test_a_stage_without_a_run_is_a_bug_told(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(RuntimeError, match="recall"):
        BoardWriter(tmp_path)(make_run()[1])


def test_importing_the_writer_is_cheap() -> None:
    # Late on purpose: a first paint waits for none of these.
    code = "import sys, xray_tui.board.writer, xray_tui.board.server; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "tensorboard", "numpy", "PIL"} & set(loaded)


def test_writing_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, xray_tui.board.summaries; sys.exit(bool({'torch', 'tensorflow'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], check=True)
