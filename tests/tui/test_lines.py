"""The lines around the panes."""

from rich.text import Text
from textual.app import App, ComposeResult

from xray_tui.tui.panes.lines import Line


class Told(Line):
    said = "one"

    def words(self) -> Text:
        return Text(self.said)


class Telling(App[None]):
    def compose(self) -> ComposeResult:
        yield Told()


def painted(app: App[None]) -> str:
    return app.screen._compositor.render_strips()[0].text.strip()


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
