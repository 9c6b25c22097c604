"""The radiograph of one mistake, large, and what the network looked at in it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from xray_tui.engine.explanation import Explanation
from xray_tui.errors import UserError
from xray_tui.heat import Overlay
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.picture import PictureClass, RadiographView
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.screens.film import FilmScreen
from xray_tui.tui.text import clean, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless, percent

_SETTLE_SECONDS = 0.15
"""Running down the list asks about the radiograph where it stops, not about those on the way."""
_KEPT = 64
_LEAVE = "↑ ↓ the others   esc closes"
_LONG = 62
"""Cells of a pane from which on everything about the heat is said."""


class Explain(Protocol):
    """The shape of ``xray_tui.engine.explain.Explainer``."""

    def __call__(self, radiograph: Path, epoch: int | None) -> Explanation: ...


@dataclass(frozen=True)
class Case:
    """One radiograph to look at."""

    name: str
    """Relative to the data folder."""
    file: Path | None
    """``None`` where the data folder is not known."""
    epoch: int
    """That is looked at."""
    saved: tuple[float, ...]
    """When the run's checkpoints were saved: later there are other weights to ask."""
    classes: Sequence[str]


_Key = tuple[Path, int, tuple[float, ...]]


@dataclass(frozen=True)
class _Heat:
    explanation: Explanation | None
    """``None`` where there is none; then ``trouble`` says why."""
    overlay: Overlay | None
    trouble: str = ""


class FilmPane(Sized, Container, Framed, can_focus=True):
    """A click opens the radiograph as large as the screen."""

    class Opened(Message):
        """The person wants to see it larger."""

    def __init__(self, picture: PictureClass, read: Callable[[Path], Image.Image], **named: Any) -> None:
        super().__init__(**named)
        self._picture, self._read = picture, read
        self._explain: Explain | None = None
        self._case: Case | None = None
        self._heats: OrderedDict[_Key, _Heat] = OrderedDict()
        self._seen: tuple[Path, _Heat] | None = None
        self._large: FilmScreen | None = None
        self.heat = False
        """Whether Grad-CAM is laid over."""

    def compose(self) -> ComposeResult:
        yield RadiographView(self._picture, self._read)

    def explain_with(self, explain: Explain) -> None:
        """Another run: its weights are to be asked."""
        self._explain, self._seen = explain, None
        self._heats.clear()

    def show(self, case: Case | None) -> None:
        if case != self._case:
            self._case = case
            self._show()

    def switch_heat(self) -> None:
        self.heat = not self.heat
        self._show()

    def open_large(self, step: Callable[[int], None]) -> None:
        """Over the whole screen, until escape.

        Args:
            step: brings another case of the list into this pane.
        """
        if self._case is None or self._large is not None:
            return

        def closed(_: None) -> None:
            self._large = None

        self._large = FilmScreen(self._picture, self._read, step)
        self.app.push_screen(self._large, closed)
        self.call_after_refresh(self._show)

    def on_click(self) -> None:
        self.post_message(self.Opened())

    def resized(self) -> None:
        self._show()

    def _show(self) -> None:
        case = self._case
        heat = self._known() if self.heat else None
        overlay = heat.overlay if heat else None
        file = case.file if case else None
        title, words = Text(), Text()
        if case is not None:
            title = clean(shorten(harmless(case.name), max(8, self.size.width - 8)))
            words = self._words(case, heat, self.size.width)
        self.inscribe(title, words)
        self.query_one(RadiographView).show(file, overlay)
        if self._large is not None and self._large.is_attached:
            large = Text() if case is None else self._words(case, heat, self.app.size.width)
            leave = KeyMap.of(self.app).spell(_LEAVE)
            if large.cell_len + len(leave) + 8 <= self.app.size.width:
                large = Text.assemble(large, "   " if large else "", (leave, Palette.of(self.app).faint))
            name = clean(case.name) if case else Text()
            self._large.show(file, overlay, name, large)

    def _known(self) -> _Heat | None:
        """The heat of the case; while a newer one is asked for, the one that is seen."""
        case = self._case
        if case is None or case.file is None:
            return None
        key = (case.file, case.epoch, case.saved)
        heat = self._heats.get(key)
        if heat is None:
            self._look(key)
            return self._seen[1] if self._seen is not None and self._seen[0] == case.file else None
        self._seen = (case.file, heat)
        return heat

    @work(exclusive=True, group="heat")
    async def _look(self, key: _Key) -> None:
        explain = self._explain
        await asyncio.sleep(_SETTLE_SECONDS)
        if explain is None:
            return
        file, epoch, _ = key
        try:
            found = await asyncio.to_thread(explain, file, epoch)
        except UserError as error:
            heat = _Heat(None, None, error.message)
        else:
            seen = self._seen[1] if self._seen is not None else None
            same = seen is not None and seen.explanation is found
            overlay = None if found.silent else Overlay(found.heat, found.box)
            heat = seen if same and seen is not None else _Heat(found, overlay)
        if explain is not self._explain or not self.app.is_running:  # another run has come meanwhile
            return
        self._heats[key] = heat
        while len(self._heats) > _KEPT:
            self._heats.popitem(last=False)
        self._show()

    def _words(self, case: Case, heat: _Heat | None, width: int) -> Text:
        palette = Palette.of(self.app)
        if case.file is None:
            return Text("the data folder is not known", palette.warning)
        if not self.heat:
            return Text()
        if heat is None:
            return Text("looking …", palette.muted)
        found = heat.explanation
        if found is None:
            return clean(heat.trouble, palette.warning)
        name = harmless(case.classes[found.predicted])
        said = f"{name} {percent(float(found.probabilities[found.predicted]), 0)}"
        weights = "the newest weights" if found.epoch is None else f"weights of epoch {found.epoch}"
        if found.silent:
            return Text(f"Grad-CAM: no place speaks for {said}, {weights}", palette.warning)
        if width < _LONG:
            return Text(f"Grad-CAM, {weights}", palette.muted)
        return Text(f"Grad-CAM: what speaks for {said}, {weights}", palette.muted)
