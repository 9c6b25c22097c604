import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xray_tui import cli, config, settings_file
from xray_tui.errors import UserError
from xray_tui.settings import OPTIONS, PRESETS, AugmentationSettings, Settings


def test_the_defaults_are_the_recipe() -> None:
    settings = config.load({})
    training = settings.training
    assert settings.model.backbone == "resnet50"
    assert (training.frozen.epochs, training.frozen.learning_rate) == (10, 1e-3)
    assert (training.unfrozen.epochs, training.unfrozen.learning_rate) == (5, 1e-6)
    assert (training.batch_size, training.image_size, training.resize) == (128, 256, 300)
    assert training.augmentation == AugmentationSettings(scale=0.8, rotation=10, jitter=0.4, flip=0.5)


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
    for option, path in OPTIONS.items():
        assert config.describe(path), option
        config.get(Settings(), path)


def test_every_preset_is_valid() -> None:
    for preset in PRESETS:
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
        ({"run.name": "n\udcff"}, "--name n\udcff: not UTF-8"),
        ({"data.root": "d\udcff"}, "data.root d\udcff: not UTF-8"),
        # A bound above 1 would never crop: torchvision falls back silently.
        ({"training.augmentation.scale": 1.1}, "training.augmentation.scale 1.1: expected a number <= 1"),
    ],
)
def test_a_value_that_does_not_fit_names_its_option(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        config.load(overrides)
    assert error.value.message.startswith(message)
    assert error.value.hint


@pytest.mark.parametrize(
    ("path", "value", "may_be"),
    [
        ("training.augment_views", "0", "auto, off (a new one an epoch) or a whole number from 1"),
        ("evaluation.operating_point", "sensitivity:2", "sensitivity:X or specificity:X, X between 0 and 1"),
    ],
)
def test_what_is_no_choice_is_told_what_may_be(path: str, value: str, may_be: str) -> None:
    with pytest.raises(UserError, match=config.NO_CHOICE) as error:
        config.load({path: value})
    assert may_be in error.value.hint


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


def test_every_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[training]\nseed = 1\nbatch_size = 7\nimage_size = 64\n")
    settings, origins = config.trace(
        file=file,
        demo={"training.seed": 9, "training.frozen.epochs": 2},
        environment={"training.batch_size": 8, "training.image_size": 96},
        given={"training.image_size": 128, "preset": "tuned", "data.limit": None},
    )
    assert origins.keys() == config.paths_of(settings)
    found = {path: (config.get(settings, path), origin) for path, origin in origins.items()}
    assert found["training.seed"] == (1, "config file")
    assert found["training.frozen.epochs"] == (2, "demo")
    assert found["training.batch_size"] == (8, "environment")
    assert found["training.image_size"] == (128, "command line")
    assert found["training.unfrozen.epochs"] == (PRESETS["tuned"]["training.unfrozen.epochs"], "preset")
    assert found["data.limit"] == (0, "default")


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("[train]\n", "unknown setting train", "did you mean training?"),
        ("batch_size = 3\n", "unknown setting batch_size", "did you mean training.batch_size?"),
        ("[key]\n", "unknown setting key", "did you mean keys?"),
        ("training = 3\n", "training 3: expected a section, got a whole number", ""),
        ('preset = ["a"]\n', "preset ['a']: expected text, got a list", "recipe"),
        ("[training]\nbatch_size = 1\n", "training.batch_size 1: expected a whole number >= 2", "images"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_as_being_there(
    tmp_path: Path, content: str, message: str, hint: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(content)
    with pytest.raises(UserError) as error:
        config.load({"training.batch_size": 4, "training.seed": 1}, file=file)
    assert error.value.message == f"{message} (in {file})"
    assert hint in error.value.hint


def test_what_is_wrong_in_the_environment_names_its_variable() -> None:
    with pytest.raises(UserError, match="XRAY_TUI_BATCH_SIZE 1: expected a whole number >= 2"):
        config.trace(environment={"training.batch_size": 1})


def test_sections_about_the_dashboard_are_no_settings_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[keys]\nstart = "b"\n[dashboard]\ntheme = "light-box"\nascii = true\n[training]\nseed = 3\n'
    )
    settings = config.load({}, file=file)
    assert settings.training.seed == 3
    assert tomllib.loads(config.to_toml(settings)).keys().isdisjoint({"keys", "dashboard"})
    assert config.read_keys(file) == {"start": "b"}
    assert config.read_dashboard(file) == config.DashboardSettings(theme="light-box", ascii=True)
    assert config.read_dashboard(None) == config.DashboardSettings()
    assert config.read_keys(None) == {}


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ('[dashboard]\nthem = "x"\n', "unknown key dashboard.them", "did you mean theme?"),
        (
            '[dashboard]\nascii = "yes"\n',
            "dashboard.ascii yes does not fit",
            "ascii = true or false",
        ),
        ("dashboard = 3\n", "dashboard is no section", "write [dashboard]"),
    ],
)
def test_a_dashboard_section_that_does_not_fit(tmp_path: Path, content: str, message: str, hint: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(content)
    with pytest.raises(UserError) as error:
        config.read_dashboard(file)
    assert error.value.message == f"{message} (in {file})"
    assert hint in error.value.hint


LAYOUTS = {
    "nothing": "",
    "tables": "# mine\n[training] # hot\nseed = 3 # three\n\n[training.frozen]\nepochs = 4\n"
    "[keys]\nstart = 'b'\n",
    "dotted": "training.seed = 3\ntraining.frozen.epochs = 2\n",
    "inline": "training = {seed = 3, frozen = {epochs = 2}}\n[dashboard]\ntheme = 'x'\n",
    "a stage first": "[training.frozen]\nepochs = 3\n[dashboard]\nascii = true\n[training]\nseed = 1\n",
}


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_saving_changes_what_it_is_told_to_and_nothing_else(tmp_path: Path, content: str) -> None:
    file = tmp_path / "folder" / "config.toml"
    if content:
        file.parent.mkdir()
        file.write_text(content)
    before = dict(settings_file.leaves(tomllib.loads(content)))
    changes: dict[str, Any] = {
        "preset": "tuned",
        "training.seed": 5,
        "training.unfrozen.learning_rate": 1e-6,
        "training.frozen.epochs": None,
        "keys.start": None,
        "keys.stop": "ctrl+k",
        "data.root": '/ün "x"',
        "run.name": None,
    }
    copy = settings_file.save(file, changes)
    after = dict(settings_file.leaves(tomllib.loads(file.read_text(encoding="utf-8"))))
    kept = {path: value for path, value in before.items() if path not in changes}
    assert after == kept | {path: value for path, value in changes.items() if value is not None}
    for comment in ("# mine", "# hot", "# three"):
        assert (comment in content) == (comment in file.read_text())
    assert copy is None or copy.read_text() == content, "where comments may be lost, the old file is kept"


def test_saving_through_a_link_changes_the_file_and_keeps_the_link(tmp_path: Path) -> None:
    file, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    file.write_text("")
    link.symlink_to(file)
    settings_file.save(link, {"training.seed": 5})
    assert link.is_symlink()
    assert config.load({}, file=file).training.seed == 5


# The command line


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Calls the program; gives what its dashboard would have opened with."""

    def call(*arguments: str) -> dict[str, Any]:
        caught: dict[str, Any] = {}
        monkeypatch.setattr("xray_tui.tui.app.run_dashboard", lambda **known: caught.update(known) or 0)
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert not ended.value.code
        return caught

    return call


@pytest.mark.parametrize(("value", "explained"), [("1", False), ("false", True)])
def test_the_environment_can_say_no(
    opened: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, value: str, explained: bool
) -> None:
    monkeypatch.setenv("XRAY_TUI_NO_EXPLAIN", value)
    assert opened("/data")["settings"].evaluation.explain is explained


def test_environment_and_command_line_are_told_apart(
    opened: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_TUI_SEED", "3")
    monkeypatch.setenv("XRAY_TUI_BATCH_SIZE", "8")
    monkeypatch.setenv("XRAY_TUI_NAME", "same")
    found = opened("/data", "--seed", "9", "--name=same")
    origins = {path: origin for path, origin in found["origins"].items() if origin != "default"}
    assert origins == {
        "data.root": "command line",
        "training.seed": "command line",
        "training.batch_size": "environment",
        "run.name": "command line",
    }
    assert (found["settings"].training.seed, found["settings"].training.batch_size) == (9, 8)


def test_the_users_own_file_counts_unless_another_is_given(
    opened: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    settings_file.user_file().write_text("[training]\nseed = 4\n")
    assert opened("/data")["settings"].training.seed == 4
    assert opened("/data")["origins"]["training.seed"] == "config file"
    other = tmp_path / "other.toml"
    other.write_text("[training]\nbatch_size = 9\n")
    found = opened("/data", "--config", str(other))
    assert (found["settings"].training.seed, found["settings"].training.batch_size) == (0, 9)
    assert found["file"] == other


def test_the_demo_has_defaults_of_its_own_below_the_file(
    opened: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "make_demo_in", lambda folder: tmp_path)
    settings_file.user_file().write_text('[training]\nbatch_size = 8\n[data]\nroot = "/mine"\n')
    found = opened("demo", "--frozen-epochs", "1")
    settings, origins = found["settings"], found["origins"]
    assert (settings.data.root, origins["data.root"]) == (str(tmp_path), "demo")
    assert (settings.model.backbone, origins["model.backbone"]) == ("efficientnet_lite0", "demo")
    assert (settings.training.batch_size, origins["training.batch_size"]) == (8, "config file")
    assert (settings.training.frozen.epochs, origins["training.frozen.epochs"]) == (1, "command line")


def test_commands_that_look_at_runs_look_where_the_users_file_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings_file.user_file().write_text('[run]\nruns_dir = "kept here"\n')
    for arguments, folder in (([], "kept here"), (["--runs-dir", "there"], "there")):
        with pytest.raises(SystemExit):
            cli.main(["runs", "list", *arguments])
        assert f"no runs in {folder}" in capsys.readouterr().err


def test_a_broken_file_of_the_user_is_an_error_of_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    settings_file.user_file().write_text("[training]\nsed = 4\n")
    for arguments in (["train", "/data"], ["/data"], ["demo"], ["runs", "list"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert lines == [
            f"error: unknown setting training.sed (in {settings_file.user_file()})",
            "  did you mean seed?",
        ]


def test_a_link_that_leads_nowhere_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    settings_file.user_file().symlink_to("/nowhere/config.toml")
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "/data"])
    assert ended.value.code == 2
    assert "cannot read the config file" in capsys.readouterr().err
