"""The person's own keys: read, refused where they do not fit, and told everywhere."""

from pathlib import Path

import pytest
from textual.binding import Binding
from tui_support import Script, dashboard, in_front, keys, toasts, until, until_epoch

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.tui.actions import ACTIONS, BY_ID
from xray_tui.tui.app import XrayApp, run_dashboard
from xray_tui.tui.keymap import IN_LISTS, KeyMap, meet, normal, read_keymap, written_key
from xray_tui.tui.panes.document import Document
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.screens.ask import AnswerLine, AskScreen


def keymap_of(tmp_path: Path, keys: str) -> KeyMap:
    file = tmp_path / "config.toml"
    file.write_text(f"[keys]\n{keys}\n", encoding="utf-8")
    return read_keymap([file])


def test_by_default_no_two_actions_meet_at_a_key() -> None:
    for place, action in enumerate(ACTIONS):
        for other in ACTIONS[place + 1 :]:
            if meet(action, other):
                assert not set(action.key.split(",")) & set(other.key.split(",")), (action.id, other.id)


@pytest.mark.parametrize(
    ("word", "name", "shown"),
    [
        ("b", "b", "b"),
        ("B", "B", "B"),
        ("?", "question_mark", "?"),
        (",", "comma", ","),
        (" ", "space", "space"),
        ("+", "plus", "+"),
        ("§", "section_sign", "§"),
        ("ö", "ö", "ö"),
        ("Ctrl+K", "ctrl+k", "^k"),
        ("F5", "f5", "f5"),
        ("del", "delete", "del"),
        ("alt+x", "alt+x", "alt+x"),
        ("f5, b", "f5,b", "f5"),
    ],
)
def test_keys_are_written_as_people_write_them(word: str, name: str, shown: str) -> None:
    assert normal(word, BY_ID["compare"]) == name
    assert written_key(name.split(",")[0]) == shown


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('strat = "b"', "no action strat", "did you mean start?"),
        ('start = "spce"', "no key spce", "did you mean space?"),
        ('start = "banana"', "no key banana", "a letter, a sign"),
        ('start = ""', "a key is missing", 'write it as "s"'),
        ('start = "escape"', "escape cannot be taken", "always goes back"),
        ('start = "Ctrl+C"', "ctrl+c cannot be taken", "copies"),
        ('start = "j"', "j cannot be taken", "moves in lists"),
        ('back = "b"', "back keeps its key", "escape"),
        ('start = "x"', "x cannot be the key of both start and stop", "give one of them another key"),
        ('compare = "e"', "e cannot be the key of both compare and rename", "give one of them"),
        ("start = 5", "keys.start is no text", "write it as"),
    ],
)
def test_what_does_not_fit_names_the_file(tmp_path: Path, line: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        keymap_of(tmp_path, line)
    assert error.value.message.startswith(message)
    assert str(tmp_path / "config.toml") in error.value.message
    assert hint in error.value.hint


def test_actions_of_different_places_may_share_a_key_and_two_may_swap(tmp_path: Path) -> None:
    shared = keymap_of(tmp_path, 'direction = "n"')  # note, also n, is done in History only
    assert shared.keys(BY_ID["direction"]) == "n"
    swapped = keymap_of(tmp_path, 'start = "x"\nstop = "s"')
    assert (swapped.shown_key("start"), swapped.shown_key("stop")) == ("x", "s")


def test_of_two_files_the_later_one_wins(tmp_path: Path) -> None:
    files = [tmp_path / "own.toml", tmp_path / "given.toml"]
    files[0].write_text('[keys]\nstart = "b"\nstop = "f6"\n')
    files[1].write_text('[keys]\nstart = "B"\n')
    keymap = read_keymap(files)
    assert keymap.own == {"start": "B", "stop": "f6"}
    assert keymap.origin(BY_ID["start"]) == "config file"
    assert keymap.origin(BY_ID["pause"]) == "default"


def test_a_broken_file_is_told_before_the_dashboard_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('[keys]\nstrat = "b"\n')
    monkeypatch.setenv("XRAY_TUI_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(XrayApp, "run", lambda self: pytest.fail("it opened"))
    with pytest.raises(UserError, match="no action strat"):
        run_dashboard(settings=config.load({}), origins={})


def test_keys_of_lists_are_those_that_lists_have() -> None:
    bindings = [binding for binding in RowList.BINDINGS if isinstance(binding, Binding)]
    taken = {key for binding in bindings for key in binding.key.split(",")}
    assert len(bindings) == len(RowList.BINDINGS)
    assert taken == IN_LISTS


def test_swapping_is_refused_where_it_would_make_another_clash() -> None:
    defaults = KeyMap()
    swapped = defaults.swapped(BY_ID["start"], "x")
    assert swapped is not None
    assert swapped.own == {"start": "x", "stop": "s"}
    # quit would get space everywhere, also where space pauses.
    assert defaults.swapped(BY_ID["select"], "q") is None
    kept = defaults.swapped(BY_ID["later"], "left")
    assert kept is not None
    assert kept.own == {"later": "left", "earlier": "right"}


async def test_a_key_of_ones_own_works_and_the_old_one_does_not() -> None:
    app = dashboard(keymap=KeyMap({"history": "b", "train": "ctrl+t,f6"}))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        assert in_front(app) == "form"
        await pilot.press("b")
        assert in_front(app) == "history"
        await pilot.press("1")
        assert in_front(app) == "history"
        await pilot.press("f6")
        assert in_front(app) == "form"
        await pilot.press("b", "ctrl+t")
        assert in_front(app) == "form"


async def test_where_actions_share_a_key_mapping_one_leaves_the_other() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source, keymap=KeyMap({"select": "b"}))  # space also pauses, elsewhere
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        await pilot.press("space")
        assert source.asked == ["pause"]


async def test_a_letter_of_ones_own_is_typed_in_a_field() -> None:
    app = dashboard(keymap=KeyMap({"history": "b"}))
    async with app.run_test() as pilot:
        await pilot.press("tab", "b")
        assert in_front(app) == "form"
        assert getattr(app.focused, "value", "") == "b"


async def test_footer_help_palette_and_sentences_show_ones_own_keys() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source, keymap=KeyMap({"unfreeze": "U", "stop": "ctrl+k", "history": "f3"}))
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        assert " U unfreeze now" in keys(app)
        assert " ^k stop" in keys(app)
        await pilot.press("question_mark")
        await pilot.pause()
        words = app.screen.query_one(Document).plain
        assert "^k" in words
        await pilot.press("escape", "ctrl+k")
        assert isinstance(app.screen, AskScreen)
        assert "^k stop it" in app.screen.query_one(AnswerLine).render().plain
        await pilot.press("ctrl+k")
        assert source.asked == ["stop"]

    app = dashboard(keymap=KeyMap({"start": "b"}))
    async with app.run_test() as pilot:
        await pilot.press("u")
        assert toasts(app) == ["No run is live: b starts one."]


async def test_a_long_key_stands_whole_in_the_help() -> None:
    app = dashboard(keymap=KeyMap({"history": "ctrl+shift+pagedown"}))
    async with app.run_test(size=(100, 150)) as pilot:
        await pilot.press("f1")
        await pilot.pause()
        words = app.screen.query_one(Document).plain
        assert written_key("ctrl+shift+pagedown") in words
        assert BY_ID["history"].help in " ".join(words.split())
