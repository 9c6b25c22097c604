"""The lines around the panes: header, tabs, status and keys."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from rich.text import Text
from textual import events
from textual.app import App
from textual.widget import Widget

from xray_tui.runs.record import Later
from xray_tui.tui.actions import Action
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.printed import Printed
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import shorten
from xray_tui.tui.themes import Palette
from xray_tui.tui.vitals import Vitals
from xray_tui.words import bytes_in_words, count, duration, harmless


class HeaderLine(Printed):
    """What runs on what, how it is, and what learns."""

    run: ShownRun | None = None
    behind: ShownRun | None = None
    held = False
    """Whether the display stands still while the run goes on."""

    def show(self, run: ShownRun | None, behind: ShownRun | None = None) -> None:
        """
        Args:
            behind: the live run that this one hides, and that keys speak to.
        """
        self.run, self.behind = run, behind
        self.renew()

    def words(self) -> Text:
        palette, width = Palette.of(self.app), self.size.width
        left = Text.assemble(("xray-tui", f"bold {palette.primary}"))
        if self.run is None:
            return left
        right = self._held(palette) if self.held else self._state(self.run, palette)
        if self.behind is not None:
            live = self._state(self.behind, palette)
            right = Text.assemble(right, (" │ live: " if width >= 60 else " │ ", palette.muted), live)
        learns = "" if self.held else self.run.learns
        what = self._what(self.run)
        if learns and len(what) + len(learns) + right.cell_len + 18 <= width:
            right = Text.assemble((f"{learns}   ", palette.muted), right)
        room = width - left.cell_len - right.cell_len - 4
        if room >= 8:
            left.append(f"  {shorten(what, room)}", palette.text)
        elif room < -3:
            left = Text()  # how the run is says more than our name
        return _apart(left, right, width)

    def _what(self, run: ShownRun) -> str:
        started = run.record.started
        if started is None:
            return harmless(run.source.about)
        data = Path(started.settings.get("data", {}).get("root") or "").name
        device = started.device if self.size.width >= 120 else started.device.split(" (")[0]
        parts = [data, started.backbone, device]
        if self.behind is not None:  # which one is seen comes first
            parts.insert(0, started.run)
        elif run.source.kind != "live" and self.size.width >= 150:
            parts.append(started.run)
        return " · ".join(harmless(part) for part in parts if part)

    def _held(self, palette: Palette) -> Text:
        key = KeyMap.of(self.app).shown_key("hold")
        words = f"display held ({key} goes on)" if self.size.width >= 38 else f"held ({key} goes on)"
        return Text(f" {words} ", palette.badge(palette.warning))

    def _state(self, run: ShownRun, palette: Palette) -> Text:
        status = run.status
        words = KeyMap.of(self.app).fill(status.words)
        colour = getattr(palette, status.tone)
        state = Text(no_wrap=True)
        if run.source.kind == "replay" and run.live:
            state.append("replay ", palette.muted)
        if run.epoch is not None:
            state.append(f"looking at epoch {run.epoch}   ", palette.best)
        seconds, stopped = run.seconds, run.replay_stopped
        if stopped:
            at = f" at {duration(seconds)}" if self.size.width >= 38 else ""
            state.append(f"replay stopped{at}   ", palette.muted)
        state.append("● " if status.moving else "■ ", colour).append(words, f"bold {colour}")
        if seconds is None or stopped:
            return state
        return state.append(f"  {duration(seconds)}", palette.text)


class TooSmall(Widget):
    """What is seen where nothing else can be."""

    LEAST = (30, 8)
    """Columns and rows from which on the dashboard works."""

    def render(self) -> Text:
        words = "Too small: {} columns and {} rows are the least.".format(*self.LEAST)
        return Text(words, Palette.of(self.app).muted, justify="center")


class Spot(NamedTuple):
    """Some words of a line that do something."""

    cells: range
    action: str
    words: str


class SpotLine(Printed):
    """A line of words that do something when clicked."""

    JUMPS: ClassVar[bool] = False
    """Whether its words are to be reached in jump mode."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._spots: list[Spot] = []

    def start_line(self) -> Text:
        self._spots.clear()
        return Text(no_wrap=True)

    def add_spot(self, line: Text, entry: Text, action: str) -> None:
        """Append an entry that runs ``action`` (as key bindings name it)."""
        start = line.cell_len
        line.append_text(entry)
        self._spots.append(Spot(range(start, line.cell_len), action, entry.plain.strip()))

    @property
    def spots(self) -> Sequence[Spot]:
        return self._spots

    def jump_keys(self) -> Sequence[str]:
        """The keys that go to its words in jump mode; none leaves them to jump mode."""
        return ()

    async def on_click(self, event: events.Click) -> None:
        x = event.get_content_offset_capture(self).x
        for spot in self._spots:
            if x in spot.cells:
                await self.run_action(spot.action)
                return


class TabLine(SpotLine):
    """The tabs, by number; a click opens one. Where it is narrow only the one in front has its name."""

    JUMPS = True

    def __init__(self, tabs: Sequence[Action], **named: Any) -> None:
        super().__init__(**named)
        self._tabs = tabs
        self._current = tabs[0].id

    def show(self, current: str) -> None:
        self._current = current
        self.renew()

    def jump_keys(self) -> Sequence[str]:
        return [KeyMap.of(self.app).shown(tab) for tab in self._tabs]

    def words(self) -> Text:
        palette, line = Palette.of(self.app), self.start_line()
        keys = self.jump_keys()
        wide = sum(len(key) + len(tab.title) + 4 for key, tab in zip(keys, self._tabs, strict=True)) - 1
        named = wide <= self.size.width
        for key, tab in zip(keys, self._tabs, strict=True):
            here = tab.id == self._current
            style = palette.badge(palette.primary) if here else palette.muted
            words = f" {key} {tab.title} " if named or here else f" {key} "
            self.add_spot(line, Text(words, style), f"app.perform('{tab.id}')")
            line.append(" ")
        return line


class StatusLine(Printed):
    """The machine, speed, time to go, and where TensorBoard is."""

    run: ShownRun | None = None
    vitals: Vitals | None = None
    board: str = ""

    def show(self, run: ShownRun | None, vitals: Vitals | None, board: str) -> None:
        self.run, self.vitals, self.board = run, vitals, board
        self.renew()

    def words(self) -> Text:
        palette, width = Palette.of(self.app), self.size.width
        parts: list[tuple[int, Text]] = []  # with a rank: what goes first where it is narrow

        def part(rank: int, name: str, value: str, colour: str = "") -> None:
            text = Text.assemble((f"{name} " if name else "", palette.muted), (value, colour or palette.text))
            parts.append((rank, text))

        run, vitals = self.run, self.vitals
        if vitals is not None and vitals.gpu is not None:
            percent = "" if vitals.gpu.percent is None else f"{vitals.gpu.percent:.0f} %  "
            part(3, "gpu", f"{percent}{bytes_in_words(vitals.gpu.memory_bytes)}")
        if vitals is not None:
            part(5, "cpu", f"{vitals.cpu_percent:.0f} %")
            part(6, "memory", bytes_in_words(vitals.memory_bytes))
        if run is not None:
            if run.images_per_second:
                part(2, "", f"{run.images_per_second:.0f} img/s")
            if run.live and run.eta_seconds is not None:
                parts.append((1, _eta(run.eta_seconds, run.record.later, palette)))
            if run.record.warnings:
                warnings = len(run.record.warnings)
                words = f" warning{'s' if warnings > 1 else ''}" if width >= 60 else ""
                part(0, "!", f"{count(warnings)}{words}", palette.warning)
        if self.board:
            part(4, "TensorBoard", self.board.removeprefix("http://").rstrip("/"))
        while parts and sum(text.cell_len + 3 for _, text in parts) - 3 > width:
            parts.remove(max(parts, key=lambda ranked: ranked[0]))
        return Text("   ").join([text for _, text in parts])


class KeyLine(SpotLine):
    """The keys that make sense now; a click presses one."""

    def __init__(self, shown: Callable[[], Sequence[tuple[Action, str]]], **named: Any) -> None:
        super().__init__(**named)
        self._shown = shown
        self._due = False

    @classmethod
    def renew_in(cls, app: App[Any]) -> None:
        """Other keys may make sense now."""
        for line in app.screen_stack[0].children:
            if isinstance(line, cls):
                line.renew()

    def renew(self) -> None:
        """Say what is so once all is done that is under way: one key often changes it several times."""
        if not self._due:
            self._due = True
            self.call_later(self._renew)

    def _renew(self) -> None:
        self._due = False
        super().renew()

    def words(self) -> Text:
        palette, width, line = Palette.of(self.app), self.size.width, self.start_line()

        def entry(key: str, title: str) -> Text:
            return Text.assemble((f" {key} ", f"bold {palette.primary}"), (f"{title} ", palette.muted))

        keymap = KeyMap.of(self.app)
        entries = [(action, entry(keymap.shown(action), title)) for action, title in self._shown()]
        while entries and sum(shown.cell_len for _, shown in entries) > width:
            entries.remove(max(entries, key=lambda pair: pair[0].hint))
        for action, shown in entries:
            self.add_spot(line, shown, f"app.perform('{action.id}')")
        commands = entry("^p", "commands")
        if line.cell_len + commands.cell_len <= width:
            line.append(" " * (width - line.cell_len - commands.cell_len))
            self.add_spot(line, commands, "app.command_palette")
        return line


def _eta(seconds: float, later: Later, palette: Palette) -> Text:
    """Of the stage under way, and of the whole run where more comes after that."""
    if later.certain and not later.seconds:
        return Text.assemble(("ETA ", palette.muted), (duration(seconds), palette.text))
    text = Text.assemble(("stage ", palette.muted), (duration(seconds), palette.text))
    whole = duration(seconds + later.seconds)
    text.append(" · run ", palette.muted).append(whole if later.certain else f"≥ {whole}", palette.text)
    return text


def _apart(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one gives way."""
    room = max(0, width - right.cell_len)
    if left.cell_len > room:
        left.truncate(room, overflow="ellipsis")
    left.append(" " * (room - left.cell_len))
    return left.append_text(right)
