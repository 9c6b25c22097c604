"""Key t: TensorBoard beside the dashboard, for as long as that is open."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.widgets import Input

from xray_tui.errors import UserError
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.themes import Palette

if TYPE_CHECKING:
    from xray_tui.board.server import Board


class BoardKeeper:
    """
    Args:
        make: makes the server; it is started when first asked for.
        changed: called when its address is known, to show that.
    """

    def __init__(self, app: App[Any], make: "Callable[[], Board]", changed: Callable[[], None]) -> None:
        self._app, self._make, self._changed = app, make, changed
        self._board: Board | None = None
        self.url = ""

    def open(self) -> None:
        """Start it where it does not run yet, and say where it is."""
        if self._board is None:
            self._board = self._make()
        if not self.url:
            self._app.notify("Starting TensorBoard …")
        self._app.run_worker(self._open(self._board), group="board", exclusive=True)

    async def _open(self, board: "Board") -> None:
        try:
            self.url = await asyncio.to_thread(board.start)
        except UserError as error:
            self._app.notify(str(error), title="TensorBoard", severity="error", markup=False)
            return
        self._changed()
        opened = await asyncio.to_thread(board.open_browser)
        if len(self._app.screen_stack) > 1 or isinstance(self._app.focused, Input):
            self._app.notify(f"It runs at {self.url}", title="TensorBoard", markup=False)
            return  # a screen over what a person types in would take the keys
        from xray_tui.tui.screens.notice import board_notice

        notice = board_notice(self.url, board.ssh_line, opened, Palette.of(self._app))
        self._app.push_screen(notice)

    def look(self) -> None:
        """Whether it is still there: what the status line names must be."""
        if self.url and self._board is not None and not self._board.running:
            self.url = ""
            key = KeyMap.of(self._app).shown_key("tensorboard")
            words = f"It has ended, {self._board.log_file} may say why. {key} starts it again."
            self._app.notify(words, title="TensorBoard", severity="warning", markup=False)

    def close(self) -> None:
        """Blocks until it has ended."""
        if self._board is not None:
            self._board.stop()
