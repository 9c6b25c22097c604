from pathlib import Path

import pytest

from xray_tui import config
from xray_tui.config import Settings
from xray_tui.errors import UserError


def test_the_defaults_are_the_recipe() -> None:
    settings = config.load({})
    training = settings.training
    assert settings.model.backbone == "resnet50"
    assert (training.frozen.epochs, training.frozen.learning_rate) == (10, 1e-3)
    assert (training.unfrozen.epochs, training.unfrozen.learning_rate) == (5, 1e-6)
    assert (training.batch_size, training.image_size, training.resize) == (128, 256, 300)
    assert training.augmentation == config.AugmentationSettings(scale=0.8, rotation=10, jitter=0.4, flip=0.5)


def test_resize_keeps_the_recipes_proportion() -> None:
    assert config.load({"training.image_size": 128}).training.resize == 150


def test_toml_round_trip(tmp_path: Path) -> None:
    settings = config.load(
        {"data.root": '/data/ünïcode "quoted" [x]', "training.unfrozen.learning_rate": 3e-7, "data.limit": 9}
    )
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml(settings), encoding="utf-8")
    assert config.load({}, file=file) == settings


def test_precedence_is_given_then_file_then_preset_then_default(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[training]\nbatch_size = 7\n[training.unfrozen]\nlearning_rate = 0.5\n")
    tuned = config.load({"preset": "tuned"}, file=file).training
    assert tuned.batch_size == 7  # the file wins over the preset
    assert tuned.unfrozen.learning_rate == 0.5
    assert tuned.unfrozen.epochs == config.load({"preset": "tuned"}).training.unfrozen.epochs
    assert config.load({"training.batch_size": 9}, file=file).training.batch_size == 9
    assert config.load({"training.batch_size": None}, file=file).training.batch_size == 7


def test_every_option_leads_to_a_described_setting() -> None:
    for option, path in config.OPTIONS.items():
        assert config.describe(path), option
        config.get(Settings(), path)


def test_every_preset_is_valid() -> None:
    for preset in config.PRESETS:
        assert config.load({"preset": preset}).preset == preset


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training.batch_size": 1}, "--batch-size 1: expected a whole number >= 2"),
        ({"training.frozen.epochs": -1}, "--frozen-epochs -1"),
        ({"training.frozen.learning_rate": 0}, "--frozen-lr 0: expected a number > 0"),
        ({"hardware.device": "gpu"}, "--device gpu"),
        ({"data.split": "random"}, "--split random"),
        ({"preset": "best"}, "--preset best"),
        # A bound above 1 would never crop: torchvision falls back silently.
        ({"training.augmentation.scale": 1.1}, "training.augmentation.scale 1.1: expected a number <= 1"),
    ],
)
def test_a_value_that_does_not_fit_names_its_option(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        config.load(overrides)
    assert error.value.message.startswith(message)
    assert error.value.hint


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[training]\nbatchsize = 3\n")
    with pytest.raises(UserError, match=r"unknown setting training\.batchsize") as error:
        config.load({}, file=file)
    assert error.value.hint == "did you mean batch_size?"


@pytest.mark.parametrize("content", [None, "not = = toml", b"\xff\xfe"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: str | bytes | None) -> None:
    file = tmp_path / "my settings.toml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"my settings.toml"):
        config.load({}, file=file)
