"""The tabs' contents, of which one is seen."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from textual.app import ComposeResult
from textual.widget import Widget

from xray_tui.tui.panes.clear import ClearContainer


class Pages(ClearContainer):
    """Each page is made when it is first wanted: the first frame waits for one of them only."""

    def __init__(self, makers: Mapping[str, Callable[[], Widget]], first: str, **named: Any) -> None:
        super().__init__(**named)
        self._makers = makers
        self._made: dict[str, Widget] = {}
        self.current = first

    @property
    def front(self) -> Widget:
        """The page that is seen."""
        return self._page(self.current)

    def compose(self) -> ComposeResult:
        yield self.front

    def bring(self, name: str) -> None:
        """Show that page. It may not be mounted yet when this returns."""
        if name == self.current:
            return
        self.current = name
        page = self.front
        if not page.is_attached:
            self.mount(page)
        for other in self._made.values():
            other.display = other is page
        # Asked of the pages, it would come after a painting of the old page.
        self.screen.refresh(repaint=False, layout=True)

    @property
    def made(self) -> Collection[Widget]:
        """The pages that have been wanted so far."""
        return self._made.values()

    async def forget(self, name: str) -> None:
        """Let a page go, which is not seen now; it is made anew when it is wanted again."""
        page = self._made.pop(name, None)
        if page is not None:
            await page.remove()

    def _page(self, name: str) -> Widget:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]
