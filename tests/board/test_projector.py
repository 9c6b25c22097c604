"""The projector's files, read by TensorBoard's own plugin, and what else it shows of an explanation."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from xray_tui.board import projector
from xray_tui.board.guard import LiveProjector
from xray_tui.board.writer import BoardWriter
from xray_tui.events import Event, Explained, Mistake, Source

MakeRun = Callable[..., list[Event]]
CLASSES = ("NORMAL", "PNEUMONIA")
BLUE, ORANGE = (0, 114, 178), (230, 159, 0)


def explained(count: int = 7, mistakes: int = 2, **changes: Any) -> Explained:
    """Of images that alternate between the classes; each third one is called by the other's name."""
    rng = np.random.default_rng(0)
    actual = np.arange(count) % 2
    predicted = np.where(np.arange(count) % 3 == 0, 1 - actual, actual)
    told = Explained(
        stage="frozen",
        epoch=1,
        mistakes=[Mistake(f"test/{i}.jpeg", 0, 1, probability=0.9, loss=2.3) for i in range(mistakes)],
        images=np.full((mistakes, 64, 64), 120, np.uint8),
        heat=np.tile(np.array([[0.0, 1.0], [0.0, 0.0]], np.float32), (mistakes, 1, 1)),
        sources=[Source(f"test/{i}.jpeg", int(label), f"p{i}") for i, label in enumerate(actual)],
        probabilities=np.where(np.arange(2) == predicted[:, None], 0.75, 0.25).astype(np.float32),
        features=rng.normal(size=(count, 5)).astype(np.float32),
        thumbnails=np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 48, 48), np.uint8),
    )
    return replace(told, **changes)


def mirror(folder: Path, make_run: MakeRun, told: Explained) -> None:
    writer = BoardWriter(folder)
    events = make_run(CLASSES, unfrozen=0)
    for event in [*events[:-2], told, *events[-2:]]:
        writer(event)
    writer.close()


class Plugin:
    """TensorBoard's, or ours, on a folder with one run, asked as a browser asks it."""

    def __init__(self, folder: Path, kind: type[ProjectorPlugin] = ProjectorPlugin) -> None:
        runs = SimpleNamespace(list_runs=lambda *_, **__: [SimpleNamespace(run_name="frozen")])
        self.plugin = kind(TBContext(logdir=str(folder), data_provider=runs))
        self._apps = self.plugin.get_plugin_apps()

    def __call__(self, route: str, **query: str) -> bytes:
        answer = Client(self._apps[route]).get("/", query_string={"run": "frozen"} | query)
        assert answer.status_code == 200, answer.data
        return answer.data

    def embedding(self) -> dict[str, Any]:
        (found,) = json.loads(self("/info"))["embeddings"]
        return found


@pytest.fixture
def plugin(tmp_path: Path, make_run: MakeRun) -> Plugin:
    mirror(tmp_path, make_run, explained())
    return Plugin(tmp_path)


def test_the_plugin_finds_the_points(plugin: Plugin) -> None:
    assert json.loads(plugin("/runs")) == ["frozen"]
    embedding = plugin.embedding()
    assert embedding["tensorShape"] == [7, 5]
    assert "epoch 1" in embedding["tensorName"]
    served = np.frombuffer(plugin("/tensor", name=embedding["tensorName"]), np.float32)
    assert np.array_equal(served.reshape(7, 5), explained().features)


def test_each_point_says_what_it_is(plugin: Plugin) -> None:
    rows = plugin("/metadata", name=plugin.embedding()["tensorName"]).decode().splitlines()
    assert [row.split("\t") for row in rows[:4]] == [
        ["image", "actual", "predicted", "verdict", "probability"],
        ["test/0.jpeg", "NORMAL", "PNEUMONIA", "wrong", "0.7500"],
        ["test/1.jpeg", "PNEUMONIA", "PNEUMONIA", "right", "0.7500"],
        ["test/2.jpeg", "NORMAL", "NORMAL", "right", "0.7500"],
    ]
    assert len(rows) == 8


def test_each_point_has_its_thumbnail_framed_by_its_class(plugin: Plugin) -> None:
    embedding = plugin.embedding()
    assert embedding["sprite"]["singleImageDim"] == [48, 48]
    sprite = Image.open(io.BytesIO(plugin("/sprite_image", name=embedding["tensorName"])))
    assert sprite.size == (144, 144), "three by three"
    for number in range(7):  # as the projector's script finds it: by rows
        left, top = number % 3 * 48, number // 3 * 48
        assert sprite.getpixel((left + 24, top + 24)) == (number,) * 3
        assert sprite.getpixel((left + 1, top + 46)) == (ORANGE if number % 2 else BLUE)


def test_points_that_come_later_are_found(tmp_path: Path, make_run: MakeRun) -> None:
    """TensorBoard's own would not look again at a run that it knows."""
    (tmp_path / "frozen").mkdir()
    served = Plugin(tmp_path, LiveProjector)
    assert json.loads(served("/runs")) == []
    assert not served.plugin.is_active()
    mirror(tmp_path, make_run, explained())
    assert served.embedding()["tensorShape"] == [7, 5]
    assert served("/tensor", name=served.embedding()["tensorName"])
    other = explained(9)
    for name, content in projector.files(other, CLASSES).items():
        (tmp_path / "frozen" / name).write_bytes(content)
    tensor = np.frombuffer(served("/tensor", name=served.embedding()["tensorName"]), np.float32)
    assert np.array_equal(tensor.reshape(9, 5), other.features), "and not those that were read before"
    until = time.monotonic() + 5
    while not served.plugin.is_active():  # which it finds out in a thread
        assert time.monotonic() < until


def test_names_and_classes_cannot_break_the_table(tmp_path: Path, make_run: MakeRun) -> None:
    sources = [Source("a\tb\nc\r\u2028\udcff.jpeg", 0, ""), Source("plain", 1, "")]
    told = explained(2, sources=sources)
    files = projector.files(told, ("N\tO", "P\n"))
    lines = files["metadata.tsv"].decode().split("\n")
    assert [len(line.split("\t")) for line in lines[:-1]] == [5, 5, 5]
    assert len(lines) == 4
    assert lines[1].startswith("a_b_c__")
    mirror(tmp_path, make_run, told)
    served = Plugin(tmp_path)
    assert served("/metadata", name=served.embedding()["tensorName"]).decode().count("\n") == 3


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_bytes_that_are_text_by_chance_are_written_as_text(
    tmp_path: Path, make_run: MakeRun, value: float
) -> None:
    """The plugin tries text first, and would fail on them."""
    features = np.full((7, 5), value, np.float32)
    mirror(tmp_path, make_run, explained(features=features))
    served = Plugin(tmp_path)
    tensor = np.frombuffer(served("/tensor", name=served.embedding()["tensorName"]), np.float32)
    assert np.array_equal(tensor.reshape(7, 5), features)


def test_two_thousand_images_fit_into_what_a_browser_takes() -> None:
    sprite = Image.open(io.BytesIO(projector.files(explained(2000), CLASSES)["sprite.png"]))
    assert max(sprite.size) == 45 * 48 <= 8192


def test_more_classes_than_colours(tmp_path: Path) -> None:
    classes = [str(number) for number in range(20)]
    sources = [Source(f"{number}", number, "") for number in range(20)]
    told = explained(20, sources=sources, probabilities=np.eye(20, dtype=np.float32))
    assert b"19\t19\t19\tright\t1.0000" in projector.files(told, classes)["metadata.tsv"]


def test_the_config_comes_last() -> None:
    assert list(projector.files(explained(), CLASSES))[-1] == "projector_config.pbtxt"


def test_grad_cam_is_shown_in_colour(tmp_path: Path, make_run: MakeRun) -> None:
    mirror(tmp_path, make_run, explained())
    board = EventAccumulator(str(tmp_path / "frozen"), size_guidance={"images": 0})
    board.Reload()
    tags = [tag for tag in board.Tags()["images"] if tag.startswith("Grad-CAM")]
    assert tags == ["Grad-CAM/01", "Grad-CAM/02"]
    (shown,) = board.Images("Grad-CAM/01")
    assert (shown.step, shown.width, shown.height) == (1, 64, 64)
    picture = Image.open(io.BytesIO(shown.encoded_image_string))
    red, green, blue = picture.getpixel((60, 4))
    assert red > green > blue, "amber, where the heat is"
    assert picture.getpixel((4, 60)) == (120, 120, 120)
    described = board.SummaryMetadata("Grad-CAM/01").summary_description
    assert described == "`test/0.jpeg`: 90.0% sure, loss 2.300, called PNEUMONIA, is NORMAL"


def test_read_back_from_a_journal_nothing_is_written(tmp_path: Path, make_run: MakeRun) -> None:
    told = explained()
    mirror(tmp_path, make_run, replace(told, **dict.fromkeys(told.ARRAYS)))
    assert [path.name.split(".")[0] for path in (tmp_path / "frozen").iterdir()] == ["events"]


def test_a_full_disk_loses_no_file(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xray_tui.board import writer as module

    real, full = module.replace_bytes, True

    def replace_bytes(path: Path, content: bytes) -> None:
        if full and path.name == "sprite.png":
            raise OSError("No space left on device")
        real(path, content)

    monkeypatch.setattr(module, "replace_bytes", replace_bytes)
    writer = BoardWriter(tmp_path)
    for event in make_run(CLASSES, unfrozen=0)[:-2]:
        writer(event)
    with pytest.raises(OSError, match="No space"):
        writer(explained())
    assert not (tmp_path / "frozen" / "projector_config.pbtxt").exists()
    full = False
    writer.flush()
    writer.close()
    assert Plugin(tmp_path).embedding()["tensorShape"] == [7, 5]
