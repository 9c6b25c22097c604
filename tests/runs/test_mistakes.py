from pathlib import Path

import pytest
from making import keep

from tests.tui.record_journals import whole_run
from xray_tui import event_lines
from xray_tui.errors import UserError
from xray_tui.events import Mistakes, Resumed
from xray_tui.runs import follow
from xray_tui.runs.mistakes import UnreadMistakes, unread_mistakes
from xray_tui.runs.record import RunRecord


def test_a_record_read_back_has_the_mistakes_that_were_told(tmp_path: Path) -> None:
    told = {event.epoch: event for event in whole_run() if isinstance(event, Mistakes)}
    record = RunRecord.of(follow.read(keep(tmp_path)))
    assert dict(record.mistakes) == told
    assert 3 in record.mistakes
    assert 99 not in record.mistakes
    assert record.mistakes.get(99) is None
    assert record.mistakes[3] is record.mistakes[3], "decoded once"


def test_a_record_is_the_same_live_and_read_back(tmp_path: Path) -> None:
    live, read = RunRecord.of(list(whole_run())), RunRecord.of(follow.read(keep(tmp_path)))
    assert dict(live.mistakes) == dict(read.mistakes)
    for number in (0, 9, 14):
        assert live.epoch(number) == read.epoch(number) == live.epochs[number]
    assert live.best_epoch == read.best_epoch == live.epochs[13]
    assert live.epoch(15) is None


def test_a_resumed_run_forgets_the_mistakes_it_makes_again() -> None:
    record = RunRecord.of([*whole_run(), Resumed(epoch=4)])
    assert list(record.mistakes) == [0, 1, 2, 3]
    assert record.epoch(4) is None
    assert record.epoch(3) is record.epochs[3]


def test_only_mistakes_are_left_unread() -> None:
    for event in whole_run():
        line = event_lines.encode(event, 10**6)
        assert isinstance(unread_mistakes(line), UnreadMistakes) == isinstance(event, Mistakes)
    nested = b'{"v":1,"seq":0,"t":1.0,"x":{"type":"mistakes"},"type":"resumed","epoch":3}'
    assert unread_mistakes(nested) is None
    assert unread_mistakes(b'{"v":1,"seq":0,"t":1.0,"type":"mistakes","stage":"frozen"}') is None


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'"worst":[{', b'"worst":[{{'),
        (b'"total"', b'"totals"'),
        (b'"predicted":0', b'"predicted":'),
        (b"test/NORMAL/IM-", b"test/NORMAL/\xff"),
    ],
)
def test_a_broken_line_is_found_when_it_is_read_not_when_it_is_shown(
    tmp_path: Path, good: bytes, bad: bytes
) -> None:
    directory = keep(tmp_path)
    journal = directory.journal.read_bytes()
    assert good in journal
    directory.journal.write_bytes(journal.replace(good, bad))
    with pytest.raises(UserError, match=r"events\.jsonl, line 5, is not an event"):
        follow.read(directory)
