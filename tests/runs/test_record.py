"""What a run has come to, folded from its events."""

import msgspec
from invented import epoch, run, stage, started

from xray_tui.events import Control, ControlUsed, Progress, Resumed, RunEnded
from xray_tui.runs.record import Later, RunRecord


def training(number: int, *, done: int = 2600, speed: float | None = 400.0) -> Progress:
    return Progress(
        phase="train", stage="frozen", epoch=number, done=done, total=5200, images_per_second=speed
    )


def test_what_comes_after_the_frozen_stage_takes_at_least_as_long_as_frozen_epochs() -> None:
    record = run([0.5, 0.4], begun=started(frozen_epochs=4, unfrozen_epochs=5))
    assert record.later == Later(5 * 13.0, certain=False)
    record.apply(stage("unfrozen", first_epoch=4, epochs=5))
    assert record.later == Later(0.0, certain=True), "the stage's own time is all that is left"


def test_an_epoch_of_known_features_says_nothing_of_unfrozen_ones() -> None:
    views = {"training.augment_views": "2"}
    record = RunRecord.of([started(unfrozen_epochs=5, **views), stage("frozen"), epoch(0, seconds=6.0)])
    assert record.later == Later(5 * 6.0, certain=False)
    record.apply(epoch(1, seconds=5.0))
    record.apply(epoch(2, seconds=0.5))
    assert record.later == Later(5 * 5.0, certain=False)


def test_an_epoch_that_waited_for_somebody_is_no_least() -> None:
    views = {"training.augment_views": "2"}
    record = RunRecord.of([started(unfrozen_epochs=5, **views), stage("frozen")])
    record.apply(ControlUsed(control="pause", stage="frozen", epoch=0))
    record.apply(epoch(0, seconds=3600.0))
    record.apply(epoch(1, seconds=5.0))
    assert record.later == Later(5 * 5.0, certain=False)


def test_what_comes_later_is_known_where_nothing_does() -> None:
    alone = run([0.5], begun=started(unfrozen_epochs=0))
    assert alone.later == Later(0.0, certain=True)
    ended = run([0.5], more=[RunEnded(outcome="interrupted", why="a person", best_epoch=0, seconds=20.0)])
    assert ended.later == Later(0.0, certain=True)


def test_before_an_epoch_has_ended_its_speed_says_what_is_the_least() -> None:
    record = RunRecord.of([started(unfrozen_epochs=5), stage("frozen")])
    assert record.later == Later(0.0, certain=False)
    record.apply(training(0))
    assert record.later == Later(5 * 5200 / 400, certain=False)
    record.apply(training(0, speed=None))
    assert record.later == Later(0.0, certain=False)


def test_the_time_left_of_a_stage_is_counted_from_end_to_end_of_its_newest_epochs() -> None:
    record = run([0.5])
    record.apply(training(1))
    assert record.eta_seconds == 2600 / 400 + 8 * 13.0, "one alone says how long it took itself"
    first = record.epochs[0]
    ends = [first.t + seconds for seconds in (15, 30, 600, 615, 631)]  # somebody paused the third for a while
    for number, t in enumerate(ends, 1):
        record.apply(msgspec.structs.replace(first, epoch=number, t=t))
    record.apply(training(6))
    assert record.eta_seconds == 2600 / 400 + 3 * 15.0


def test_the_time_until_a_run_was_resumed_is_no_epochs() -> None:
    record = run([0.5])
    first = record.epochs[0]
    record.apply(Resumed(t=first.t + 5000, epoch=1, stage="frozen"))
    record.apply(msgspec.structs.replace(first, epoch=1, t=first.t + 5013))
    record.apply(training(2))
    assert record.eta_seconds == 2600 / 400 + 7 * 13.0


def test_only_what_ends_a_pause_ends_it() -> None:
    record = run([0.5])
    asked: list[tuple[Control, bool]] = [
        ("pause", True),
        ("learning_rate", True),
        ("detach", True),
        ("resume", False),
        ("pause", True),
        ("unfreeze", False),
    ]
    for control, paused in asked:
        record.apply(ControlUsed(control=control, stage="frozen", epoch=1))
        assert record.paused == paused, control


def test_a_resumed_run_keeps_where_it_went_on() -> None:
    record = run([0.5, 0.4, 0.3])
    record.apply(Resumed(epoch=2))
    assert record.resumed == [2]
    assert [ended.epoch for ended in record.epochs] == [0, 1]
    record.apply(epoch(2))
    assert record.epoch(2) is record.epochs[-1]
