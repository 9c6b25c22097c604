"""The section ``[sweep]`` of a config file."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.settings import Settings
from xray_tui.sweep.space import Choices, Dimension, Metric, Range, Space, default, read

FRACTIONS = ["model.dropout", "training.augmentation.jitter", "training.augmentation.erase"]
COUNTS = ["training.batch_size", "model.hidden", "training.image_size"]
WORDS = {
    "training.loss.balance": ["none", "weights", "sampling"],
    "training.optimizer.name": ["adam", "adamw"],
    "evaluation.explain": [True, False],
}


def file_of(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "my.toml"
    file.write_text(text, encoding="utf-8")
    return file


def space_of(tmp_path: Path, text: str) -> Space:
    return read(file_of(tmp_path, f"[sweep.space]\n{text}"), Settings())


@st.composite
def dimensions(draw: st.DrawFn) -> tuple[str, Dimension]:
    kind = draw(st.sampled_from(["fraction", "count", "choices"]))
    if kind == "choices":
        path = draw(st.sampled_from(sorted(WORDS)))
        return path, Choices(tuple(draw(st.permutations(WORDS[path]))))
    if kind == "fraction":
        low, high = sorted(draw(st.lists(st.floats(1e-9, 1), min_size=2, max_size=2, unique=True)))
        return draw(st.sampled_from(FRACTIONS)), Range(low, high, log=draw(st.booleans()))
    low, high = sorted(draw(st.lists(st.integers(32, 2048), min_size=2, max_size=2, unique=True)))
    step = draw(st.sampled_from([None, 1, high - low]))
    return draw(st.sampled_from(COUNTS)), Range(
        low, high, log=step is None and draw(st.booleans()), step=step
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(dimensions(), min_size=1, max_size=6))
def test_a_space_is_read_back_as_it_was_written(tmp_path: Path, found: list[tuple[str, Dimension]]) -> None:
    space = Space(Metric("loss"), dict(found))
    again = read(file_of(tmp_path, space.to_toml()), Settings())
    assert again == space
    for path, dimension in again.dimensions.items():
        assert type(dimension) is type(space.dimensions[path])


def test_ranges_and_choices_as_the_help_has_them(tmp_path: Path) -> None:
    text = """
[training]
seed = 3

[sweep]
metric = "loss"

[sweep.space]
training.frozen.learning_rate = { range = [1e-4, 1e-2], log = true }
"model.hidden" = { range = [128, 512], step = 128 }
training.loss.balance = ["none", "weights"]

[sweep.space.training.augmentation]
jitter = { range = [0, 1] }
"""
    space = read(file_of(tmp_path, text), Settings())
    assert space.metric == Metric("loss")
    assert space.metric.direction == "minimize"
    assert space.dimensions == {
        "training.frozen.learning_rate": Range(1e-4, 1e-2, log=True),
        "training.loss.balance": Choices(("none", "weights")),
        "training.augmentation.jitter": Range(0.0, 1.0),
        "model.hidden": Range(128, 512, step=128),
    }
    assert isinstance(space.dimensions["training.augmentation.jitter"].low, float)
    assert config.load({}, file=tmp_path / "my.toml").training.seed == 3, "the section is no setting of a run"


def test_the_command_lines_metric_wins(tmp_path: Path) -> None:
    file = file_of(tmp_path, '[sweep]\nmetric = "loss"\n')
    assert read(file, Settings(), "mcc").metric.name == "mcc"
    assert read(None, Settings()).metric == Metric("auc")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("sweep = 1", "sweep is no section (in {file})", "write [sweep]"),
        ("[sweep]\nmetrik = 'auc'", "unknown key sweep.metrik (in {file})", "did you mean metric?"),
        ("[sweep]\nmetric = 'sensitivity'", "sweep.metric sensitivity: no such metric (in {file})", "auc"),
        ("[sweep]\nmetric = 3", "sweep.metric 3: no such metric (in {file})", "auc"),
        ("[sweep.space]", "sweep.space names no setting (in {file})", "range"),
    ],
)
def test_what_is_wrong_with_the_section_is_told(tmp_path: Path, text: str, message: str, hint: str) -> None:
    file = file_of(tmp_path, text)
    with pytest.raises(UserError) as found:
        read(file, Settings())
    assert found.value.message == message.format(file=file)
    assert hint in found.value.hint


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("model.dropuot = [0.1, 0.2]", "sweep.space.model.dropuot: no such setting", "model.dropout?"),
        ("frozen_lr = [0.1, 0.2]", "sweep.space.frozen_lr: no such", "mean training.frozen.learning_rate?"),
        ("data.limit = [10, 20]", "sweep.space.data.limit: a sweep does not search it", "same images"),
        ("evaluation.calibrate = [true, false]", "sweep.space.evaluation.calibrate: a sweep does", "uncal"),
        (
            'evaluation.operating_point = ["likeliest", "youden"]',
            "sweep.space.evaluation.op",
            "likeliest class",
        ),
        ('preset = ["recipe", "tuned"]', "sweep.space.preset: a sweep does not search it", "stands for"),
        ("model.dropout = 0.5", "sweep.space.model.dropout 0.5: neither choices nor a range", "range ="),
        ("model.dropout = [0.5]", "sweep.space.model.dropout [0.5]: nothing to choose from", "two"),
        ("model.dropout = [0, 0.0]", "sweep.space.model.dropout: 0.0 stands there twice", "once"),
        ("model.dropout = [0, 2]", "model.dropout 2: expected a number <= 1", "dropout of the head"),
        ('model.dropout = ["a", 0]', "model.dropout a: expected a number, got text", ""),
        ("training.batch_size = [8, 1.5]", "training.batch_size 1.5: expected a whole number", ""),
        ('training.loss.balance = ["none", "mine"]', "training.loss.balance mine: invalid enum", ""),
        ("model.dropout = { range = [0.9, 0.1] }", "sweep.space.model.dropout [0.9, 0.1]: not from low", ""),
        ("model.dropout = { range = [0, 0] }", "sweep.space.model.dropout [0.0, 0.0]: not from low", ""),
        ("model.dropout = { range = [0, inf] }", "model.dropout inf: expected", ""),
        ("model.dropout = { range = 3 }", "sweep.space.model.dropout: no range", "[lowest, highest]"),
        ("model.dropout = { range = [0, 1], log = true }", "sweep.space.model.dropout [0.0, 1.0]: a log", ""),
        ("model.dropout = { range = [0, 1], log = 1 }", "sweep.space.model.dropout.log 1: neither", ""),
        (
            "model.dropout = { range = [0, 1], lgo = true }",
            "unknown key sweep.space.model.dropout.lg",
            "log?",
        ),
        ("model.dropout = { range = [0, 1], step = 0 }", "sweep.space.model.dropout.step 0: not a step", ""),
        ("model.dropout = { range = [0, 1], step = 0.3 }", "sweep.space.model.dropout: 1.0 is no whole", ""),
        ("model.dropout = { range = [0.1, 1], step = nan }", "sweep.space.model.dropout.step nan: not", ""),
        ("model.hidden = { range = [8, 16], step = 0.5 }", "sweep.space.model.hidden.step 0.5: the", "so is"),
        ("model.hidden = { range = [8, 16], step = 8, log = true }", "sweep.space.model.hidden: a log", ""),
        ("model.hidden = { range = [1.5, 3] }", "model.hidden 1.5: expected a whole number", ""),
        ("training.loss.balance = { range = [1, 2] }", "sweep.space.training.loss.balance: it is no", "list"),
    ],
)
def test_what_is_wrong_with_a_setting_is_told(tmp_path: Path, line: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as found:
        space_of(tmp_path, line)
    assert found.value.message.startswith(message)
    assert found.value.message.endswith(f"(in {tmp_path / 'my.toml'})")
    assert hint in found.value.hint


@pytest.mark.parametrize(
    ("changes", "idle"),
    [
        ({}, {"training.optimizer.weight_decay"}),
        ({"training.optimizer.name": "adamw"}, set()),
        (
            {"training.optimizer.name": "adamw", "training.unfrozen.epochs": 0},
            {"training.unfrozen.learning_rate", "training.optimizer.head_factor"},
        ),
        (
            {"training.frozen.epochs": 0, "training.optimizer.name": "adamw"},
            {"training.frozen.learning_rate"},
        ),
    ],
)
def test_the_default_space_has_what_has_an_effect(
    tmp_path: Path, changes: dict[str, Any], idle: set[str]
) -> None:
    everything = default(config.load({"training.optimizer.name": "adamw"}))
    found = default(config.load(changes))
    assert everything.keys() - found.keys() == idle
    file = file_of(tmp_path, Space(Metric("auc"), found).to_toml())
    assert read(file, Settings()).dimensions == found, "each of its values fits its setting"
