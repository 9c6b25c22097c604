"""Fourteen classes, some of wide characters: every column and every prediction is still to be read."""

from pathlib import Path

from kept_runs import kept_run
from rich.cells import cell_len
from tui_support import TALL, Script, dashboard, until

from xray_tui.tui.panes.confusion import ConfusionPane, matrix
from xray_tui.tui.panes.mistake_list import MistakeRows
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.text import short_names
from xray_tui.tui.themes import Palette

FINDINGS = [f"{name}_of_the_chest" for name in ("Pneumonia", "Pneumothorax", "Mass", "Nodule", "肺炎")]
FINDINGS += [f"Finding {letter}" for letter in "abcdefghi"]


async def test_the_matrix_of_many_classes_has_all_their_columns(tmp_path: Path) -> None:
    run = kept_run(tmp_path, images=280, epochs=2, classes=FINDINGS)
    source = Script(run.told, ended=True)
    source.directory = run.directory
    app = dashboard(source)
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        pane = app.query_one(ConfusionPane)
        head, *rows = str(pane.render()).split("\n")[:15]
        assert all(name in head for name in short_names(FINDINGS))
        assert [row[:3] for row in rows[:2]] == ["Pne", "Pne"]
        assert rows[1][:13].strip().endswith("chest")
        assert not any(line.endswith("…") or cell_len(line) > pane.size.width for line in (head, *rows))
        assert says_all(app.query_one("#mistakes", RowList))
        await pilot.press("2")
        await until(pilot, lambda: bool(app.query(MistakeRows)) and app.query_one(MistakeRows).count > 0)
        assert says_all(app.query_one(MistakeRows))


def says_all(rows: RowList) -> bool:
    """Whether each row in sight names both classes."""
    names = set(short_names(FINDINGS))
    ways = [rows.render_line(y).text.split("→") for y in range(1, min(rows.count + 1, rows.size.height))]
    return bool(ways) and all({actual.split()[-1], said.split()[0]} <= names for actual, said in ways)


def test_counts_without_room_are_rounded() -> None:
    palette = Palette.of(dashboard())
    table = [[0, 999, 9_412], [25_300, 250_000, 1], [2, 3, 4]]
    lines = matrix("", table, ["a", "b", "c"], 11, 9, palette)
    assert [line.plain for line in lines] == ["   a  b  c ", "a  0 9999k ", "b 25k.2M 1 ", "c  2  3  4 "]
    assert "250,000" in matrix("", table, ["a", "b", "c"], 60, 9, palette)[3].plain
