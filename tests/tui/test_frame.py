"""What a pane's frame says, and what it costs to say it again."""

from typing import Any

from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import Static

from xray_tui.tui.panes.frame import inscribe


class Counting(Static):
    refreshed = 0

    def refresh(self, *regions: Any, **how: Any) -> "Counting":
        self.refreshed += 1
        super().refresh(*regions, **how)
        return self


class Framed(App[None]):
    def compose(self) -> ComposeResult:
        yield Counting()


async def test_the_same_words_are_not_painted_again_and_others_are() -> None:
    app = Framed()
    async with app.run_test():
        pane = app.query_one(Counting)
        title = Text.assemble("loss  ", ("train", "#ff0000"), " [0.3]")
        inscribe(pane, title, "epoch 3")
        assert Text.from_markup(str(pane.border_title)).plain == "loss  train [0.3]"
        assert pane.border_subtitle == "epoch 3"
        before = pane.refreshed
        inscribe(pane, title.copy(), "epoch 3")
        inscribe(pane, subtitle="epoch 3")
        assert pane.refreshed == before
        inscribe(pane, subtitle="epoch 4")
        assert (pane.refreshed, pane.border_subtitle) == (before + 1, "epoch 4")
        inscribe(pane, Text.assemble("loss  ", ("train", "#00ff00"), " [0.3]"))
        assert pane.refreshed == before + 2, "the same words in another colour"
        inscribe(pane, "", "")
        assert not pane.border_title
        assert not pane.border_subtitle
