"""The tabs' contents, of which one is seen."""

from collections.abc import Callable, Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget


class Pages(Container):
    """Each page is made when it is first wanted: the first frame waits for one of them only."""

    def __init__(self, makers: Mapping[str, Callable[[], Widget]], first: str, **named: Any) -> None:
        super().__init__(**named)
        self._makers = makers
        self.current = first

    def compose(self) -> ComposeResult:
        yield self._makers[self.current]()

    def bring(self, name: str) -> None:
        """Show that page. It may not be mounted yet when this returns."""
        if name == self.current:
            return
        self.current = name
        if all(page.id != name for page in self.children):
            self.mount(self._makers[name]())
        for page in self.children:
            page.display = page.id == name
