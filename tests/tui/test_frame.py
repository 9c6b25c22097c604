"""What a pane's frame says, and what it costs to say it again."""

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Static

from xray_tui.tui.panes.frame import Framed, FramedContainer


class Counting(Static, Framed):
    """Notes which of its lines were asked to be painted."""

    asked: list[Region]

    def _set_dirty(self, *regions: Region) -> None:
        self.asked = [*getattr(self, "asked", []), *(regions or [self.outer_size.region])]
        super()._set_dirty(*regions)


class Frames(App[None]):
    CSS = """
    Counting { width: 20; height: 5; border: round white; padding: 0 1 }
    FramedContainer { width: 20; height: 9; border: round white }
    """

    def compose(self) -> ComposeResult:
        yield Counting()
        with FramedContainer():
            yield Static("inside")


async def test_the_same_words_are_not_painted_again_and_of_others_their_line_alone() -> None:
    app = Frames()
    async with app.run_test() as pilot:
        pane = app.query_one(Counting)
        title = Text.assemble("loss  ", ("train", "#ff0000"), " [0.3]")
        pane.inscribe(title, "epoch 3")
        assert Text.from_markup(str(pane.border_title)).plain == "loss  train [0.3]"
        assert pane.border_subtitle == "epoch 3"
        await pilot.pause()
        pane.asked = []
        pane.inscribe(title.copy(), "epoch 3")
        pane.inscribe(subtitle="epoch 3")
        assert not pane.asked
        pane.inscribe(subtitle="epoch 4")
        assert pane.border_subtitle == "epoch 4"
        pane.inscribe(Text.assemble("loss  ", ("train", "#00ff00"), " [0.3]"))
        assert [region.translate(pane.content_offset) for region in pane.asked] == [
            Region(0, 4, 20, 1),
            Region(0, 0, 20, 1),
        ]
        assert "epoch 4" in painted(pane, 5)[4]
        pane.inscribe("", "")
        assert not pane.border_title
        assert not pane.border_subtitle


async def test_a_container_is_painted_as_textual_would_and_again_where_its_colour_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Frames()
    async with app.run_test() as pilot:
        pane = app.query_one(FramedContainer)
        pane.inscribe("title", "below")
        await pilot.pause()
        whole, part = Region(0, 0, 20, 9), Region(2, 3, 7, 6)
        for look in ("white", "red"):
            pane.styles.border = ("round", look)
            await pilot.pause()
            kept = pane.render_lines(whole), pane.render_lines(part)
            monkeypatch.setattr(type(pane), "is_container", False)
            assert (pane.render_lines(whole), pane.render_lines(part)) == kept
            monkeypatch.undo()


def painted(pane: Framed, height: int) -> list[str]:
    lines: list[Strip] = pane.render_lines(Region(0, 0, 20, height))
    return [line.text for line in lines]
