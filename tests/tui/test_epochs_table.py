"""The epoch table: sorted by any column, the epoch under way below, and a row always means its own epoch."""

import itertools
import re

import msgspec
import pytest
from textual.pilot import Pilot
from tui_support import Script, dashboard, recorded, training, until, until_epoch

from xray_tui.events import EpochEnded, Event, Progress, StageEnded
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.rows import Row, RowList


def rows(app: XrayApp) -> list[str]:
    """The lines of the table as they are on the screen, its head first."""
    table = app.query_one("#epochs", RowList)
    return [table.render_line(y).text for y in range(min(table.count + 1, table.size.height))]


def numbers(app: XrayApp) -> list[int]:
    """The epochs in the order of their rows, the one under way left out."""
    return [int(line.split()[0]) for line in rows(app)[1:] if "▸" not in line]


def column(app: XrayApp, title: str) -> int:
    """A cell in that column's head."""
    return rows(app)[0].index(title)


async def shown(app: XrayApp, pilot: Pilot[int], epochs: int) -> None:
    await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == epochs)


async def test_o_sorts_by_the_next_column_and_capital_o_the_other_way_round() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        assert numbers(app) == [0, 1, 2, 3, 4, 5]
        assert not set("▴▾") & set(rows(app)[0]), "its own order needs no mark"
        await pilot.press("O")
        assert numbers(app) == [5, 4, 3, 2, 1, 0]
        assert rows(app)[0].startswith("epoch▾stage")
        await pilot.press("o", "o")
        assert "train▴ " in rows(app)[0]
        assert numbers(app) == [5, 4, 3, 2, 1, 0], "the lowest training loss first"
        await pilot.press("o")
        losses = [float(line.split()[3]) for line in rows(app)[1:7]]
        assert losses == sorted(losses)
        await pilot.press("o")
        assert "acc▾ " in rows(app)[0]
        accuracies = [float(line.split()[4]) for line in rows(app)[1:7]]
        assert accuracies == sorted(accuracies, reverse=True), "the best comes first"
        await pilot.press("o", "o", "o")
        assert numbers(app) == [0, 1, 2, 3, 4, 5], "after the last column that is seen comes the first"


@pytest.mark.long
async def test_a_click_on_a_head_sorts_and_a_second_one_turns_it_round() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        await pilot.click("#epochs", offset=(column(app, "acc"), 0))
        assert "acc▾" in rows(app)[0]
        first = numbers(app)
        await pilot.click("#epochs", offset=(column(app, "acc"), 0))
        assert "acc▴" in rows(app)[0]
        assert numbers(app) == first[::-1]
        await pilot.click("#epochs", offset=(rows(app)[0].index("acc") + 5, 0))
        assert "acc▴" in rows(app)[0], "the star's column has no order"
        assert app.shown is not None
        assert app.shown.epoch is None, "a head is no row"


async def test_in_any_order_a_row_means_its_own_epoch_and_the_live_one_stays_below() -> None:
    source = Script(until_epoch(6))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        assert app.shown is not None
        await pilot.press("o", "o", "o", "o")
        order = numbers(app)
        assert order != sorted(order)
        assert "▸" in rows(app)[7]
        await pilot.click("#epochs", offset=(3, 2))
        assert app.shown.epoch == order[1]
        assert f"epoch {order[1]}" in str(app.query_one("#confusion").border_title)
        await pilot.press("left")
        table = app.query_one("#epochs", RowList)
        assert app.shown.epoch == order[1] - 1, "scrubbing goes by epochs"
        assert table.cursor == numbers(app).index(order[1] - 1)
        await pilot.press("end")
        assert app.shown.epoch is None, "the live row follows the run"
        marked = [line for line in rows(app) if "★" in line]
        assert len(marked) == 1
        ended = next(event for event in recorded() if isinstance(event, EpochEnded) and event.epoch == 6)
        source.put(msgspec.structs.replace(ended, accuracy=0.999))
        source.put(training(7, done=100))
        await until(pilot, lambda: len(numbers(app)) == 7)
        assert numbers(app)[0] == 6, "an epoch that ends takes its place"
        assert "▸" in rows(app)[8]


async def test_what_is_no_number_comes_last_either_way() -> None:
    told = [
        msgspec.structs.replace(event, validation_loss=None)
        if isinstance(event, EpochEnded) and event.epoch == 2
        else event
        for event in until_epoch(6)
    ]
    app = dashboard(Script(told))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        await pilot.press("o", "o", "o")
        assert numbers(app)[-1] == 2
        await pilot.press("O")
        assert numbers(app)[-1] == 2
        assert numbers(app)[0] == 0


async def test_progress_draws_only_the_live_row_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Script(until_epoch(6))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        table = app.query_one("#epochs", RowList)
        drawn: list[int] = []
        row = table._row

        def note(index: int) -> Row:
            drawn.append(index)
            return row(index)

        monkeypatch.setattr(table, "_row", note)
        source.put(training(6, done=5000))
        await until(pilot, lambda: "96 %" in rows(app)[-1])
        drawn.clear()
        source.put(training(6, done=5100))
        await until(pilot, lambda: bool(drawn))
        await pilot.pause()
        assert set(drawn) == {6}


async def test_the_test_line_has_no_name_without_its_number() -> None:
    app = dashboard(Script(recorded(), ended=True))
    seen: set[str] = set()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        for columns in (90, 80, 60, 40):
            await pilot.resize_terminal(columns, 24)
            await pilot.pause()
            words = str(app.query_one("#test-result").render())
            pairs = re.findall(r"  (\w+) ([\d.]+)(?: %)?", words)
            assert re.fullmatch(r" test (  \w+ [\d.]+( %)?)+", words), words
            assert len(words) <= app.query_one("#epochs-pane").content_size.width
            seen |= {name for name, _ in pairs}
    assert seen == {"images", "acc", "AUC", "sens", "spec", "loss"}


def huge() -> list[Event]:
    first = next(event for event in recorded() if isinstance(event, EpochEnded))
    return [
        *recorded()[:3],
        *(
            msgspec.structs.replace(first, epoch=number, accuracy=number % 100 / 100)
            for number in range(3000)
        ),
        training(3000),
    ]


async def test_three_thousand_epochs_sort_and_scroll_to_their_best() -> None:
    app = dashboard(Script(huge()))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 3000)
        await until(pilot, lambda: "▸3000" in rows(app)[-1])
        await pilot.press("o", "o", "o", "o")
        assert numbers(app)[:3] == [99, 199, 299]


async def test_an_epoch_that_has_ended_is_not_under_way_too() -> None:
    told = [event for event in until_epoch(6) if not isinstance(event, Progress)]
    script = Script([*told, msgspec.structs.replace(training(5, done=624), phase="validation")])
    app = dashboard(script)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        await until(pilot, lambda: "▸" in rows(app)[-1])
        assert rows(app)[-1].split()[0] == "▸"
        assert rows(app)[-1].split()[1] == "6", "the next one, at its beginning"
        assert "0 %" in rows(app)[-1]
        assert "validation" not in rows(app)[-1]


async def test_after_the_last_epoch_of_a_stage_none_is_under_way() -> None:
    frozen = itertools.takewhile(lambda event: not isinstance(event, StageEnded), recorded())
    app = dashboard(Script([*frozen, training(9)]))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 10)
        assert numbers(app) == list(range(10))
        assert not any("▸" in row for row in rows(app))
