"""A list's rows are drawn once, and again when they show something else."""

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Region

from xray_tui.tui.panes.rows import Column, Row, RowList


class Listing(App[None]):
    AUTO_FOCUS = None
    CSS = """
    RowList { height: 5; width: 20; background: black; color: white }
    .rows--cursor-focused { background: red }
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = [f"row {index}" for index in range(2000)]
        self.asked = 0

    def compose(self) -> ComposeResult:
        yield RowList([Column("name", 10)])

    def row(self, index: int) -> Row:
        self.asked += 1
        return (Text(self.words[index], self.current_theme.accent or ""),)


def seen(rows: RowList) -> list[str]:
    return [rows.render_line(y).text.strip() for y in range(1, 5)]


async def test_a_row_is_asked_for_once_until_it_changes() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        rows = app.query_one(RowList)
        rows.show_rows(2000, app.row, cursor=None)
        await pilot.pause()
        assert seen(rows) == ["row 0", "row 1", "row 2", "row 3"]
        asked = app.asked
        assert seen(rows) == ["row 0", "row 1", "row 2", "row 3"]
        assert app.asked == asked
        app.words[1], app.words[2] = "other", "another"
        rows.refresh_row(1)
        assert seen(rows) == ["row 0", "other", "row 2", "row 3"]
        rows.redraw()
        assert seen(rows) == ["row 0", "other", "another", "row 3"]
        app.words[3] = "new"
        rows.show_rows(2000, app.row, cursor=0)
        assert seen(rows)[3] == "new"


async def test_the_cursor_is_on_its_row_alone() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        rows = app.query_one(RowList)
        rows.show_rows(2000, app.row, cursor=0)
        rows.focus()
        await pilot.pause()
        for wanted in (1, 2, 1, 0):
            assert rows.cursor is not None
            await pilot.press("down" if wanted > rows.cursor else "up")
            first = [next(iter(rows.render_line(y))).style for y in range(1, 5)]
            assert [look != first[3] for look in first[:3]] == [at == wanted for at in range(3)]


async def test_the_focus_paints_the_row_under_the_cursor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Listing()
    async with app.run_test() as pilot:
        rows = app.query_one(RowList)
        rows.show_rows(2000, app.row, cursor=1)
        await pilot.pause()
        painted: list[Region] = []
        refresh = rows.refresh

        def note(*regions: Region) -> RowList:
            painted.extend(regions or [rows.size.region])
            return refresh(*regions)

        monkeypatch.setattr(rows, "refresh", note)
        row = Region(0, 2, rows.size.width, 1)
        rows.focus()
        await pilot.pause()
        assert rows.has_focus
        assert painted == [row]
        app.set_focus(None)
        await pilot.pause()
        assert not rows.has_focus
        assert painted == [row, row]


async def test_the_row_that_is_kept_in_sight_stays_so_when_the_list_grows_and_shrinks() -> None:
    app = Listing()
    async with app.run_test(size=(80, 40)) as pilot:
        rows = app.query_one(RowList)
        rows.show_rows(60, app.row, cursor=None, follow=59)
        await pilot.pause()
        assert seen(rows)[-1] == "row 59"
        for height in (31, 5, 11):
            rows.styles.height = height
            await pilot.pause(0.1)
            assert rows.render_line(height - 1).text.strip() == "row 59"


async def test_another_theme_draws_them_in_its_colours() -> None:
    app = Listing()
    app.theme = "nord"
    async with app.run_test() as pilot:
        rows = app.query_one(RowList)
        rows.show_rows(2000, app.row, cursor=None)
        await pilot.pause()
        before = next(iter(rows.render_line(1))).style
        app.theme = "gruvbox"
        await pilot.pause()
        assert next(iter(rows.render_line(1))).style != before


async def test_a_list_that_is_taken_out_can_be_painted_until_the_next_layout() -> None:
    app = Listing()
    async with app.run_test():
        rows = app.query_one(RowList)
        rows.show_rows(2000, app.row, cursor=None)
        await rows.remove()
        assert [strip.text for strip in rows.render_lines(Region(0, 0, 20, 2))] == [" " * 20] * 2
