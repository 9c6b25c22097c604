"""The command palette: every action of the registry by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from xray_tui.tui.actions import Action

if TYPE_CHECKING:
    from xray_tui.tui.app import XrayApp


class ActionCommands(Provider):
    """Those that make sense now."""

    async def discover(self) -> Hits:
        for action in self._sensible():
            yield DiscoveryHit(self._title(action), partial(self._perform, action), help=action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._sensible():
            title = self._title(action)
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), partial(self._perform, action), help=action.help)

    def _sensible(self) -> list[Action]:
        return cast("XrayApp", self.app).sensible_actions()

    def _title(self, action: Action) -> str:
        app = cast("XrayApp", self.app)
        title = app.action_title(action)
        return f"{title[:1].upper()}{title[1:]} ({action.shown_key})"

    def _perform(self, action: Action) -> None:
        cast("XrayApp", self.app).action_perform(action.id)
