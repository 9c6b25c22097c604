"""The lines around the panes."""

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.strip import Strip

from xray_tui.tui.panes.printed import Printed


class Told(Printed):
    said = "one"

    def words(self) -> Text:
        return Text(self.said)


class Telling(App[None]):
    CSS = "Told { height: 1fr }"

    def compose(self) -> ComposeResult:
        yield Told()


def painted(app: App[None], y: int = 0) -> str:
    return app.screen._compositor.render_strips()[y].text.strip()


async def test_only_the_lines_that_are_others_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Telling()
    async with app.run_test(size=(20, 3)) as pilot:
        told = app.query_one(Told)
        told.said = "one\ntwo\nthree"
        told.renew()
        await pilot.pause()
        asked: list[int] = []
        render_line = told.render_line

        def note(y: int) -> Strip:
            asked.append(y)
            return render_line(y)

        monkeypatch.setattr(told, "render_line", note)
        told.said = "one\n2\nthree"
        told.renew()
        await pilot.pause()
        assert asked == [1]
        assert painted(app, 1) == "2"
        told.said = "one"
        told.renew()
        await pilot.pause()
        assert asked == [1, 1, 2]
        assert [painted(app, y) for y in range(3)] == ["one", "", ""]


async def test_a_line_says_what_is_so_whatever_was_painted_in_between() -> None:
    app = Telling()
    async with app.run_test(size=(20, 1)) as pilot:
        line = app.query_one(Told)
        line.renew()
        await pilot.pause()
        assert painted(app) == "one"
        line.said = "two"
        line.refresh()  # as a resize or another theme does
        await pilot.pause()
        assert painted(app) == "two"
        line.said = "one"
        line.renew()
        await pilot.pause()
        assert painted(app) == "one"
