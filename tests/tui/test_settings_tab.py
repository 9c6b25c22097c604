"""The Settings tab: every setting with its origin, changed where it stands, saved into the config file."""

import tomllib
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static
from tui_support import (
    SMALL,
    TALL,
    TINY,
    FakeEngine,
    Script,
    dashboard,
    in_front,
    keys,
    toasts,
    until,
    until_epoch,
)

from xray_tui import config, settings_file
from xray_tui.kinds import written
from xray_tui.settings import PRESETS
from xray_tui.tui.app import XrayApp
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.form import preset_words
from xray_tui.tui.panes.setting_editor import ChosenValue, PressedKey, TypedValue
from xray_tui.tui.panes.setting_help import SettingHelp
from xray_tui.tui.panes.setting_rows import Heading, Key, Setting, SettingRows
from xray_tui.tui.screens.ask import AskScreen
from xray_tui.tui.values import NextRun


@pytest.fixture
def file() -> Path:
    """The user's own config file, which is not there yet."""
    return settings_file.user_file()


def rows(app: XrayApp) -> SettingRows:
    return app.screen_stack[0].query_one(SettingRows)


def line(app: XrayApp, name: str) -> list[str]:
    """The cells of a setting (by dotted path) or of an action (by id), as they are drawn."""
    table = rows(app)
    for index, entry in enumerate(table._entries):
        if (isinstance(entry, Setting) and entry.path == name) or (
            isinstance(entry, Key) and entry.action.id == name
        ):
            return [cell.plain.strip() for cell in table._cells(index) if not callable(cell)]
    raise AssertionError(f"{name} is not shown")


async def go_to(pilot: Pilot[int], name: str) -> None:
    """Move the cursor to a setting or a key."""
    app = pilot.app
    assert isinstance(app, XrayApp)
    table = rows(app)
    at = next(
        index
        for index, entry in enumerate(table._entries)
        if (isinstance(entry, Setting) and entry.path == name)
        or (isinstance(entry, Key) and entry.action.id == name)
    )
    table.focus()
    table._move_to(at)
    await pilot.pause()


def tuned(path: str) -> str:
    """What the preset has, as the tab writes it."""
    return written(PRESETS["tuned"][path])


def help_of(app: XrayApp) -> str:
    """What stands in the pane of the help."""
    from rich.console import Console

    console = Console(width=60)
    with console.capture() as caught:
        console.print(app.screen_stack[0].query_one(SettingHelp).render())
    return caught.get()


async def test_every_setting_and_every_key_has_a_row_with_its_origin() -> None:
    settings, origins = config.trace(
        environment={"training.batch_size": 8},
        given={"preset": "tuned", "data.limit": 50, "training.seed": 0},
    )
    app = dashboard(settings=settings, origins=origins)
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        assert in_front(app) == "settings"
        shown = {entry.path for entry in rows(app)._entries if isinstance(entry, Setting)}
        assert shown == set(config.paths_of(settings))
        assert line(app, "training.batch_size") == [
            "•",
            "batch size",
            "8",
            tuned("training.batch_size"),
            "environment",
        ]
        assert line(app, "data.limit") == ["•", "limit", "50", "0", "command line"]
        assert line(app, "training.seed") == ["", "seed", "0", "0", "command line"]
        assert line(app, "training.frozen.epochs") == [
            "",
            "epochs",
            *[tuned("training.frozen.epochs")] * 2,
            "preset",
        ]
        assert line(app, "model.dropout") == ["", "dropout", "0.5", "0.5", "default"]
        rate = [tuned("training.unfrozen.learning_rate")] * 2
        assert line(app, "training.unfrozen.learning_rate") == ["", "learning rate", *rate, "preset"]
        assert line(app, "stop") == ["", "stop", "x", "x", "default"]


async def test_the_help_tells_what_a_setting_may_be_and_how_to_give_it() -> None:
    app = dashboard(settings=config.load({"preset": "tuned"}))
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "training.unfrozen.learning_rate")
        told = help_of(app)
        for words in (
            "Adam's learning rate",
            "a number, above 0",
            f"{tuned('training.unfrozen.learning_rate')} by the preset tuned, else 1e-6",
            "--unfrozen-lr",
            "XRAY_TUI_UNFROZEN_LR",
        ):
            assert words in told
        await go_to(pilot, "compare")
        assert "History" in help_of(app)
        assert "[keys] compare" in help_of(app)


async def test_a_number_is_checked_as_one_types_and_the_run_uses_it(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    engine = FakeEngine()
    app = dashboard(settings=config.load({"data.root": str(tmp_path)}), launch=engine)
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "model.dropout")
        await pilot.press("enter")
        assert isinstance(app.focused, TypedValue)
        await pilot.press("ctrl+u", *"1.5")
        assert rows(app).problem == "wanted: a number <= 1.0"
        assert "wanted: a number <= 1.0" in help_of(app)
        await pilot.press("enter")
        assert isinstance(app.focused, TypedValue), "a wrong value is not taken"
        await pilot.press("ctrl+u", *"0.25", "enter")
        assert app.focused is rows(app)
        assert line(app, "model.dropout") == ["•", "dropout", "0.25", "0.5", "edited"]
        await pilot.press("enter", "ctrl+u", *"0.9", "escape")
        assert line(app, "model.dropout")[2] == "0.25", "escape leaves the value as it was"
        assert in_front(app) == "settings"
        await pilot.press("s", "s")
        await until(pilot, lambda: engine.settings is not None)
        engine.let_go.set()
    assert engine.settings is not None
    assert engine.settings.model.dropout == 0.25


async def test_choices_are_gone_through_with_the_arrows_and_a_preset_brings_its_values() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "preset")
        await pilot.press("enter")
        assert isinstance(app.focused, ChosenValue)
        await pilot.press("right")
        assert "▸ tuned" in help_of(app)
        assert line(app, "preset")[:2] == ["", "preset"]
        await pilot.press("enter")
        assert line(app, "preset")[2:] == ["tuned", "recipe", "edited"]
        assert line(app, "training.batch_size")[2:] == [*[tuned("training.batch_size")] * 2, "preset"]
        await pilot.press("enter", "left", "escape")
        assert line(app, "preset")[2] == "tuned"


async def test_what_is_true_or_false_is_a_choice(file: Path) -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "data.hash_names")
        await pilot.press("enter")
        assert isinstance(app.focused, ChosenValue)
        await pilot.press("right", "enter")
        assert line(app, "data.hash_names")[2:] == ["true", "false", "edited"]
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("enter")
        await until(pilot, file.exists)
    assert "hash_names = true" in file.read_text()
    assert config.trace(file=file).settings.data.hash_names is True


async def test_backspace_goes_back_to_the_default_and_is_offered_only_then() -> None:
    app = dashboard(settings=config.load({"training.seed": 7}))
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "training.seed")
        await pilot.press("backspace")
        assert line(app, "training.seed")[2:] == ["0", "0", "default"]
        await pilot.press("backspace")
        assert toasts(app) == ["It has its default value already."]


async def test_form_and_tab_share_one_truth(tmp_path: Path) -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        epochs = app.query_one("#field-training-frozen-epochs", Input)
        epochs.value = "3"
        await pilot.pause()
        await pilot.press("5")
        assert line(app, "training.frozen.epochs")[2:] == ["3", "10", "edited"]
        await go_to(pilot, "training.frozen.epochs")
        await pilot.press("enter", "ctrl+u", "6", "enter")
        await go_to(pilot, "model.backbone")
        await pilot.press("enter", "ctrl+u", *"efficientnet_lite0", "enter", "1")
        assert in_front(app) == "form"
        assert epochs.value == "6"
        assert app.query_one("#field-model-backbone", Input).value == "efficientnet_lite0"


async def test_both_stages_cannot_be_left_out() -> None:
    app = dashboard(settings=config.load({"training.frozen.epochs": 0}))
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "training.unfrozen.epochs")
        await pilot.press("enter", "ctrl+u", "0", "enter")
        assert "nothing to train" in rows(app).problem


async def test_the_filter_looks_through_names_and_help_while_one_types() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5", "slash", *"horizontal flip")
        found = [entry for entry in rows(app)._entries if not isinstance(entry, Heading)]
        assert found == [Setting("training.augmentation.flip")]
        await pilot.press("enter")
        assert app.focused is rows(app)
        await pilot.press("escape")
        assert in_front(app) == "settings", "the first escape takes the filter off"
        assert len(rows(app)._entries) > 40
        await pilot.press("escape")
        assert in_front(app) == "form"
        await pilot.press("5", "slash", *"zzz")
        assert rows(app).entry is None
        await pilot.press("enter", "enter", "backspace")


async def test_the_cursor_steps_over_headings() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        assert rows(app).entry == Setting("data.root")
        await pilot.press(*["down"] * 10)
        assert rows(app).entry == Setting("model.backbone")
        await pilot.press("up")
        assert rows(app).entry == Setting("data.hash_names")
        await pilot.press("home")
        assert rows(app).entry == Setting("data.root")
        assert rows(app).scroll_offset.y == 0, "the heading above is seen too"


async def test_saving_asks_shows_and_keeps_comments_keys_and_what_is_about_the_dashboard(file: Path) -> None:
    dashboard_section = '[dashboard]\ntheme = "light-box"\n'
    file.write_text(f"# mine\n{dashboard_section}\n[training]\nseed = 3  # lucky\nbatch_size = 8\n")
    settings, origins = config.trace(file=file, given={"data.root": "chest"})
    app = dashboard(settings=settings, origins=origins, keymap=KeyMap({"compare": "b"}))
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "training.seed")
        await pilot.press("enter", "ctrl+u", "5", "enter")
        await go_to(pilot, "training.batch_size")
        await pilot.press("backspace", "w")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        asked = "".join(str(static.render()) for static in app.screen.query(Static))
        for words in (str(file), "+ training.seed = 5", "- training.batch_size", '+ keys.compare = "b"'):
            assert words in asked
        await pilot.press("enter")
        await until(pilot, lambda: bool(toasts(app)))
        assert toasts(app) == [f"Saved in {file}."]
        assert line(app, "training.seed")[-1] == "config file"
        await pilot.press("w")
        await until(pilot, lambda: len(toasts(app)) > 1)
        assert "says all of that already" in toasts(app)[-1]
    text = file.read_text()
    assert "# mine" in text
    assert "# lucky" in text
    tree = tomllib.loads(text)
    assert tree["dashboard"] == {"theme": "light-box"}
    assert tree["keys"] == {"compare": "b"}
    assert tree["training"] == {"seed": 5}
    assert tree["data"]["root"] == str(Path("chest").absolute()), "it is read from any folder"
    assert config.load({}, file=file).training.seed == 5


async def test_saving_makes_the_file_where_there_is_none_and_leaves_the_demo_out(file: Path) -> None:
    settings, origins = config.trace(demo={"training.batch_size": 16}, given={"training.seed": 2})
    app = dashboard(settings=settings, origins=origins)
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5", "w")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("escape")
        await pilot.pause()
        assert not file.exists()
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("enter")
        await until(pilot, lambda: bool(toasts(app)))
    assert tomllib.loads(file.read_text()) == {"training": {"seed": 2}}


async def test_a_file_that_cannot_be_written_says_so(file: Path) -> None:
    file.mkdir(parents=True)
    app = dashboard(settings=config.load({"training.seed": 2}))
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5", "w")
        await until(pilot, lambda: bool(toasts(app)))
        assert "cannot read the config file" in toasts(app)[0]


async def test_a_key_is_caught_taken_at_once_and_escape_leaves_it() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "history")
        await pilot.press("enter")
        assert isinstance(app.focused, PressedKey)
        await pilot.press("escape")
        assert line(app, "history")[2] == "3"
        await pilot.press("enter", "j")
        assert "j cannot be taken" in rows(app).problem
        await pilot.press("b")
        await pilot.pause()
        assert line(app, "history") == ["•", "History", "b", "3", "edited"]
        await pilot.press("3")
        assert in_front(app) == "settings"
        await pilot.press("b")
        assert in_front(app) == "history"
        await pilot.press("5")
        await go_to(pilot, "history")
        await pilot.press("backspace")
        await pilot.pause()
        assert line(app, "history")[2:] == ["3", "3", "default"]


async def test_a_key_that_is_taken_is_swapped_after_asking_or_refused() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        await go_to(pilot, "help")
        await pilot.press("enter", "q")
        assert isinstance(app.screen, AskScreen)
        await pilot.press("enter")
        await pilot.pause()
        assert line(app, "help")[2] == "q"
        assert line(app, "quit")[2] == "?"
        assert " q help" in keys(app)
        await go_to(pilot, "quit")
        await pilot.press("backspace")
        assert "free it first" in toasts(app)[-1]
        await go_to(pilot, "select")
        await pilot.press("enter", "t")
        await pilot.pause()
        assert "t is the key of TensorBoard: free it first" in toasts(app)[-1]
        await go_to(pilot, "back")
        await pilot.press("enter")
        assert "Escape always goes back" in toasts(app)[-1]


async def test_a_run_on_the_desk_shows_its_own_values_where_they_differ() -> None:
    app = dashboard(Script(until_epoch(3)), settings=config.load({"training.seed": 5}))
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        await pilot.press("5")
        assert line(app, "training.seed") == ["•", "seed", "5", "0", "0", "command line"]
        assert line(app, "model.dropout") == ["", "dropout", "0.5", "", "0.5", "default"]


@pytest.mark.parametrize("size", [SMALL, TINY])
async def test_small_screens_edit_too(size: tuple[int, int]) -> None:
    app = dashboard()
    async with app.run_test(size=size) as pilot:
        await pilot.press("5")
        await go_to(pilot, "training.seed")
        await pilot.press("enter", "ctrl+u", "x")
        editor = app.query_one(TypedValue)
        assert editor.region.width >= 10
        assert editor.region in rows(app).region
        assert "a whole number" in help_of(app)
        await pilot.press("backspace", "4", "enter")
        assert line(app, "training.seed")[2] == "4"


def test_the_last_start_is_recalled_only_for_its_own_preset() -> None:
    from xray_tui.tui import remembered

    remembered.save({"preset": "recipe", "training.frozen.epochs": 7, "model.backbone": "resnet18"})
    values = NextRun(*config.trace(given={"preset": "tuned"}))
    assert values.value("training.frozen.epochs") == PRESETS["tuned"]["training.frozen.epochs"]
    assert (values.value("model.backbone"), values.origin("model.backbone")) == ("resnet18", "last start")
    assert NextRun(*config.trace()).value("training.frozen.epochs") == 7


def test_the_presets_are_told_as_they_are() -> None:
    for name in PRESETS:
        training = config.load({"preset": name}).training
        assert f"{training.frozen.epochs} + {training.unfrozen.epochs} epochs" in preset_words(name)


async def test_by_mouse_a_double_click_changes_and_a_click_elsewhere_takes_it() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("5")
        at = next(i for i, entry in enumerate(rows(app)._entries) if entry == Setting("data.split"))
        await pilot.click(SettingRows, offset=(22, 1 + at), times=2)
        assert isinstance(app.focused, ChosenValue)
        await pilot.click(ChosenValue, offset=(8, 0))
        await pilot.click(SettingRows, offset=(3, 1 + at + 2))
        await pilot.pause()
        assert line(app, "data.split")[2:] == ["recipe", "auto", "edited"]
        assert not app.query(ChosenValue)
