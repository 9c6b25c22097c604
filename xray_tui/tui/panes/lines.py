"""The lines around the panes: header, tabs, status and keys."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import events
from textual.widget import Widget

from xray_tui.tui.actions import Action
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import shorten
from xray_tui.tui.themes import Palette
from xray_tui.tui.vitals import Vitals
from xray_tui.words import bytes_in_words, count, duration, harmless


class HeaderLine(Widget):
    """What runs on what, how it is, and what learns."""

    run: ShownRun | None = None

    def show(self, run: ShownRun | None) -> None:
        self.run = run
        self.refresh()

    def render(self) -> Text:
        palette, width = Palette.of(self.app), self.content_size.width
        left = Text.assemble(("xray-tui", f"bold {palette.primary}"))
        if self.run is None:
            return left
        right = self._state(self.run, palette)
        learns = self.run.learns
        what = self._what(self.run)
        if learns and len(what) + len(learns) + right.cell_len + 18 <= width:
            right = Text.assemble((f"{learns}   ", palette.muted), right)
        room = width - left.cell_len - right.cell_len - 4
        if room >= 8:
            left.append(f"  {shorten(what, room)}", palette.text)
        return _apart(left, right, width)

    def _what(self, run: ShownRun) -> str:
        started = run.record.started
        if started is None:
            return harmless(run.source.about)
        data = Path(started.settings.get("data", {}).get("root") or "").name
        device = started.device if self.content_size.width >= 120 else started.device.split(" (")[0]
        parts = [data, started.backbone, device]
        if run.source.kind != "live" and self.content_size.width >= 150:
            parts.append(started.run)
        return " · ".join(harmless(part) for part in parts if part)

    def _state(self, run: ShownRun, palette: Palette) -> Text:
        status = run.status
        colour = getattr(palette, status.tone)
        state = Text(no_wrap=True)
        if run.source.kind == "replay" and run.live:
            state.append("replay ", palette.muted)
        if run.epoch is not None:
            state.append(f"looking at epoch {run.epoch}   ", palette.best)
        state.append("● " if status.moving else "■ ", colour).append(status.words, f"bold {colour}")
        seconds = run.seconds
        return state if seconds is None else state.append(f"  {duration(seconds)}", palette.text)


class SpotLine(Widget):
    """A line of words that do something when clicked."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._spots: list[tuple[range, str]] = []

    def start_line(self) -> Text:
        self._spots.clear()
        return Text(no_wrap=True)

    def add_spot(self, line: Text, entry: Text, action: str) -> None:
        """Append an entry that runs ``action`` (as key bindings name it)."""
        start = line.cell_len
        line.append_text(entry)
        self._spots.append((range(start, line.cell_len), action))

    async def on_click(self, event: events.Click) -> None:
        x = event.get_content_offset_capture(self).x
        for cells, action in self._spots:
            if x in cells:
                await self.run_action(action)
                return


class TabLine(SpotLine):
    """The tabs, by number; a click opens one."""

    def __init__(self, tabs: Sequence[Action], **named: Any) -> None:
        super().__init__(**named)
        self._tabs = tabs
        self._current = tabs[0].id

    def show(self, current: str) -> None:
        self._current = current
        self.refresh()

    def render(self) -> Text:
        palette, line = Palette.of(self.app), self.start_line()
        for tab in self._tabs:
            here = tab.id == self._current
            style = f"bold {palette.background} on {palette.primary}" if here else palette.muted
            self.add_spot(line, Text(f" {tab.shown_key} {tab.title} ", style), f"app.perform('{tab.id}')")
            line.append(" ")
        return line


class StatusLine(Widget):
    """Speed, time to go, the machine, and where TensorBoard is."""

    run: ShownRun | None = None
    vitals: Vitals | None = None
    board: str = ""

    def show(self, run: ShownRun | None, vitals: Vitals | None, board: str) -> None:
        self.run, self.vitals, self.board = run, vitals, board
        self.refresh()

    def render(self) -> Text:
        palette, width = Palette.of(self.app), self.content_size.width
        parts: list[tuple[int, Text]] = []  # with a rank: what goes first where it is narrow

        def part(rank: int, name: str, value: str, colour: str = "") -> None:
            text = Text.assemble((f"{name} " if name else "", palette.muted), (value, colour or palette.text))
            parts.append((rank, text))

        run = self.run
        if run is not None:
            progress = run.record.progress if run.live else None
            speed = progress.images_per_second if progress else None
            speed = speed or (run.newest.images_per_second if run.newest else None)
            if speed:
                part(2, "", f"{speed:.0f} img/s")
            if run.live and run.eta_seconds is not None:
                part(1, "stage ETA", duration(run.eta_seconds))
            if run.record.warnings:
                warnings = len(run.record.warnings)
                part(0, "!", f"{count(warnings)} warning{'s' if warnings > 1 else ''}", palette.warning)
        if self.vitals is not None:
            part(4, "cpu", f"{self.vitals.cpu_percent:.0f} %")
            part(5, "memory", bytes_in_words(self.vitals.memory_bytes))
        if self.board:
            part(3, "TensorBoard", self.board.removeprefix("http://").rstrip("/"))
        while parts and sum(text.cell_len + 3 for _, text in parts) - 3 > width:
            parts.remove(max(parts, key=lambda ranked: ranked[0]))
        return Text("   ").join([text for _, text in parts])


class KeyLine(SpotLine):
    """The keys that make sense now; a click presses one."""

    def __init__(self, shown: Callable[[], Sequence[tuple[Action, str]]], **named: Any) -> None:
        super().__init__(**named)
        self._shown = shown

    def render(self) -> Text:
        palette, width, line = Palette.of(self.app), self.content_size.width, self.start_line()

        def entry(key: str, title: str) -> Text:
            return Text.assemble((f" {key} ", f"bold {palette.primary}"), (f"{title} ", palette.muted))

        entries = [(action, entry(action.shown_key, title)) for action, title in self._shown()]
        while entries and sum(shown.cell_len for _, shown in entries) > width:
            entries.remove(max(entries, key=lambda pair: pair[0].hint))
        for action, shown in entries:
            self.add_spot(line, shown, f"app.perform('{action.id}')")
        commands = entry("^p", "commands")
        if line.cell_len + commands.cell_len <= width:
            line.append(" " * (width - line.cell_len - commands.cell_len))
            self.add_spot(line, commands, "app.command_palette")
        return line


def _apart(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one gives way."""
    room = max(0, width - right.cell_len)
    if left.cell_len > room:
        left.truncate(room, overflow="ellipsis")
    left.append(" " * (room - left.cell_len))
    return left.append_text(right)
