"""The Settings tab: what the next run will use, and which key does what; changed where it stands."""

import asyncio
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.suggester import Suggester, SuggestFromList

from xray_tui.errors import UserError
from xray_tui.kinds import choices, in_words, parse
from xray_tui.tui.actions import Action
from xray_tui.tui.keymap import KeyMap, check_key
from xray_tui.tui.panes.clear import Clear
from xray_tui.tui.panes.filter_line import FilterLine
from xray_tui.tui.panes.form import Checks, FolderSuggester
from xray_tui.tui.panes.frame import FramedContainer
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.panes.setting_editor import ChosenValue, Entered, Left, PressedKey, Taken, TypedValue
from xray_tui.tui.panes.setting_help import SettingHelp, help_words
from xray_tui.tui.panes.setting_rows import Key, Setting, SettingRows, entries, matching
from xray_tui.tui.saving import plan_saving
from xray_tui.tui.screens.ask import Answer, AskScreen
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.text import shorten
from xray_tui.tui.themes import Palette
from xray_tui.tui.values import NextRun
from xray_tui.words import count, harmless

_WIDE_COLUMNS = 110
"""From that on the help stands beside the table."""
_AROUND_LISTED = 14
"""Rows of the screen that a question needs beside what it lists."""
_HINT = "enter changes it · {reset} its default · {export} saves"
DEVICES = ("auto", "cpu", "cuda", "cuda:0", "mps")


class SettingsTab(Tab, Clear):
    """The table of settings and keys, and the help of what is under the cursor.

    Args:
        values: the next run's settings, which the start form shows too.
        checks: what is asked of other parts about a value.
    """

    HELP = (
        "Every setting of the next run with its default and where its value comes from, then every key. "
        "enter changes the one under the cursor, {reset} gives it its default back; • marks what is not the "
        "default, {filter} finds by name and help. What is changed here the start form uses too; {export} "
        "saves it in your config file, for all runs to come."
    )

    class Changed(Message):
        """A setting has another value."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    class KeysChanged(Message):
        """Actions have other keys."""

        def __init__(self, keymap: KeyMap) -> None:
            super().__init__()
            self.keymap = keymap

    def __init__(self, values: NextRun, checks: Checks, **named: Any) -> None:
        super().__init__(**named)
        self._values = values
        self._checks = checks
        self._entries = entries(values)
        self._started: dict[str, Any] | None = None
        self._editor: TypedValue | ChosenValue | PressedKey | None = None
        self._built = False

    def compose(self) -> ComposeResult:
        with FramedContainer(id="settings-list", classes="pane"):
            yield FilterLine(("learning", "frozen", "key"))
            yield SettingRows(self._values, id="setting-rows")
        with FramedContainer(id="settings-help", classes="pane"):
            yield SettingHelp(id="setting-words")

    def on_mount(self) -> None:
        self._built = True
        self.query_one("#settings-list", FramedContainer).inscribe("settings of the next run")
        self.query_one(FilterLine).display = False
        self.watch(self._rows, "scroll_y", self._place_editor, init=False)
        self._lay_out()
        self._show()
        self.enter()

    def on_resize(self) -> None:
        self._lay_out()
        self.call_after_refresh(self._place_editor)

    def enter(self) -> None:
        if self._built:
            self._show()
        rows = self.query(SettingRows)
        if rows and self.screen.focused is None:
            rows.first().focus()

    def show(self, run: ShownRun | None) -> None:
        started = run.record.started.settings if run is not None and run.record.started else None
        if started is not self._started:
            self._started = started
            if self._built:
                self._show()

    def back(self) -> bool:
        line = self.query_one(FilterLine)
        if not line.display:
            return False
        line.clear()
        line.display = False
        return True

    def why_not(self, action: str) -> str:
        if action == "reset" and self._built:
            entry = self._rows.entry
            if isinstance(entry, Setting) and not self._values.changed(entry.path):
                return "It has its default value already."
            if isinstance(entry, Key) and KeyMap.of(self.app).keys(entry.action) == entry.action.key:
                return "It has its default key already."
        return ""

    # Looking

    @property
    def _rows(self) -> SettingRows:
        return self.query_one(SettingRows)

    def _lay_out(self) -> None:
        size = self.app.size
        self.set_class(size.width < _WIDE_COLUMNS, "-stacked")
        self.set_class(size.width < 60, "-tiny")
        self.set_class(size.height < 30, "-low")

    def _show(self) -> None:
        """Everything anew."""
        words = self.query_one(FilterLine).words
        found = matching(self._entries, words) if words else self._entries
        self._rows.show_entries(found, self._in_run if self._started is not None else None)
        keymap = KeyMap.of(self.app)
        changed = len(self._values.changes) + len(keymap.own)
        hint = "enter changes it" if self.has_class("-tiny") else keymap.fill(_HINT)
        told = f"   {count(changed)} not the default" if changed and not self.has_class("-tiny") else ""
        self.query_one("#settings-list", FramedContainer).inscribe(subtitle=escape(hint + told))
        if words:
            kept = sum(isinstance(entry, Setting | Key) for entry in found)
            self.query_one(FilterLine).show_count(Text(f"{count(kept)} shown", Palette.of(self.app).muted))
            self.query_one(FilterLine).complain("" if kept else "nothing is called like that")
        self._show_help()

    def _show_help(self, entered: str | None = None) -> None:
        """
        Args:
            entered: the value that the person is about to take.
        """
        entry = self._rows.entry
        self.query_one("#settings-help", FramedContainer).inscribe(entry.name if entry is not None else "")
        self.query_one(SettingHelp).show(lambda: self._help(entered))

    def _help(self, entered: str | None) -> RenderableType:
        entry, palette = self._rows.entry, Palette.of(self.app)
        if entry is None:
            return ""
        short, keymap = self.has_class("-stacked"), KeyMap.of(self.app)
        words = help_words(entry, self._values, keymap, palette, entered=entered, short=short)
        if self._rows.problem:
            return Group(Text(harmless(self._rows.problem), palette.error), words)
        return words

    def _in_run(self, path: str) -> Any:
        """The value that the run on the desk has; ``None`` where an older version did not know it."""
        value: Any = self._started
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @on(RowList.Moved)
    def _moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._show_help()
        self.renew_keys()

    # Filtering

    def do_filter(self) -> None:
        line = self.query_one(FilterLine)
        line.display = True
        line.edit()

    @on(FilterLine.Edited)
    def _filter_edited(self, event: FilterLine.Edited) -> None:
        event.stop()
        self._show()

    @on(FilterLine.Left)
    def _filter_left(self, event: FilterLine.Left) -> None:
        event.stop()
        line = self.query_one(FilterLine)
        line.display = bool(line.words)
        self._rows.focus()

    # Changing

    @on(RowList.Chosen)
    async def _chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        entry = self._rows.entry
        if isinstance(entry, Key) and entry.action.id == "back":
            self.app.notify("Escape always goes back: that key stays.", markup=False)
        elif isinstance(entry, Key):
            await self._edit(PressedKey())
        elif entry is not None and choices(entry.path):
            await self._edit(ChosenValue(self._values.text(entry.path), choices(entry.path)))
        elif entry is not None:
            await self._edit(TypedValue(self._values.text(entry.path), self._suggester(entry.path)))

    def _suggester(self, path: str) -> Suggester | None:
        if path == "data.root":
            return FolderSuggester()
        if path == "model.backbone":
            return SuggestFromList(self._checks.backbones(), case_sensitive=False)
        return SuggestFromList(DEVICES) if path == "hardware.device" else None

    async def _edit(self, editor: TypedValue | ChosenValue | PressedKey) -> None:
        self._editor, self._rows.problem = editor, ""
        self._rows.editing = "esc leaves" if isinstance(editor, PressedKey) else "enter takes, esc leaves"
        await self.query_one("#settings-list").mount(editor)
        self._place_editor()
        self._rows.redraw()
        editor.focus()

    def _place_editor(self) -> None:
        """Over the value of its row; it is left where that is scrolled away."""
        region = self._rows.value_region
        if self._editor is None:
            return
        if region is None:
            self._close_editor()
            return
        ground = self.query_one("#settings-list").content_region
        self._editor.styles.width = region.width
        self._editor.styles.offset = (region.x - ground.x, region.y - ground.y)

    def _close_editor(self) -> None:
        editor, self._editor = self._editor, None
        if editor is None:
            return
        self._rows.editing = self._rows.problem = ""
        if editor.has_focus:
            self._rows.focus()
        editor.remove()
        self._show()

    @on(Left)
    def _left(self, event: Left) -> None:
        event.stop()
        if event.editor is self._editor:
            self._close_editor()

    @on(Entered)
    def _entered(self, event: Entered) -> None:
        event.stop()
        entry = self._rows.entry
        if event.editor is self._editor and isinstance(entry, Setting):
            self._rows.problem = self._problem(entry.path, event.text)
            self._rows.redraw()
            self._show_help(event.text)

    @on(Taken)
    def _taken(self, event: Taken) -> None:
        event.stop()
        entry = self._rows.entry
        if event.editor is not self._editor or entry is None:
            return
        if isinstance(entry, Key):
            self._take_key(entry.action, event.text)
            return
        self._rows.problem = self._problem(entry.path, event.text)
        if not self._rows.problem:
            self._values.change(entry.path, parse(entry.path, event.text))
            self.post_message(self.Changed(entry.path))
        if not self._rows.problem or event.going:
            self._close_editor()
        else:
            self._rows.redraw()
            self._show_help(event.text)

    def _problem(self, path: str, text: str) -> str:
        """What is wrong with a value that is being typed; empty where it will do."""
        value = parse(path, text)
        try:
            self._values.judge(path, value)
            if path == "model.backbone":
                self._checks.check_backbone(str(value))
        except UserError as error:
            return in_words(error, path)
        return ""

    def do_reset(self) -> None:
        entry = self._rows.entry
        if isinstance(entry, Setting):
            self._values.reset(entry.path)
            self.post_message(self.Changed(entry.path))
            self._show()
        elif isinstance(entry, Key):
            keymap = KeyMap.of(self.app).with_keys(entry.action, entry.action.key)
            clash = next(keymap.clashes(), None)
            if clash is None:
                self._use(keymap)
            else:
                other = clash.other if clash.one is entry.action else clash.one
                key = keymap.written(clash.key)
                self.app.notify(f"{key} is the key of {other.title} now: free it first.", markup=False)

    # Keys

    def _take_key(self, action: Action, key: str) -> None:
        keymap = KeyMap.of(self.app)
        try:
            check_key(key, action)
        except UserError as error:
            self._rows.problem = f"{error.message}: {error.hint}"
            self._rows.redraw()
            self._show_help()
            return
        self._close_editor()
        holders = keymap.holders(action, key)
        if not holders:
            self._use(keymap.with_keys(action, key))
            return
        named, swapped = keymap.written(key), keymap.swapped(action, key)
        taken = f"{named} is the key of {' and '.join(holder.title for holder in holders)}"
        if swapped is None:
            self.app.notify(f"{taken}: free it first.", severity="warning", markup=False)
            return

        def answered(answer: str | None) -> None:
            if answer == "swap":
                self._use(swapped)

        words = f"{action.title} gets {named}, and {holders[0].title} gets {keymap.shown(action)}."
        answers = [Answer("swap", "enter", "swap the keys"), Answer("keep", "escape", "leave them")]
        self.app.push_screen(AskScreen(f"{taken}.", words, answers), answered)

    def _use(self, keymap: KeyMap) -> None:
        self.post_message(self.KeysChanged(keymap))

    def keys_changed(self) -> None:
        """The app has taken another key map."""
        if self._built:
            self._show()

    # Saving

    @work(exclusive=True, group="saving")
    async def do_export(self) -> None:
        """Save what is not the default into the user's config file, after asking."""
        keymap = KeyMap.of(self.app)
        try:
            saving = await asyncio.to_thread(plan_saving, self._values, keymap)
        except UserError as error:
            self._complain(error)
            return
        if not saving.lines:
            self.app.notify(f"{harmless(str(saving.file))} says all of that already.", markup=False)
            return
        size = self.app.size
        most = max(3, size.height - _AROUND_LISTED)
        listed = [shorten(harmless(line), int(size.width * 0.9) - 8) for line in saving.lines[:most]]
        if len(saving.lines) > most:
            listed.append(f"and {count(len(saving.lines) - most)} more")
        answers = [Answer("save", "enter", "save"), Answer("leave", "escape", "leave it")]
        words = harmless(str(saving.file)) + "\n\n" + "\n".join(listed)
        answer = await self.app.push_screen_wait(AskScreen("Save into your config file?", words, answers))
        if answer != "save":
            return
        try:
            copy = await asyncio.to_thread(saving.save)
        except UserError as error:
            self._complain(error)
            return
        self._values.saved()
        self._use(keymap.saved())
        told = f"Saved in {harmless(str(saving.file))}."
        if copy is not None:
            told += f" Its comments could not be kept; the old file is {harmless(copy.name)} beside it."
        self.app.notify(told, markup=False)

    def _complain(self, error: UserError) -> None:
        self.app.notify(harmless(str(error)), title="not saved", severity="error", markup=False)
