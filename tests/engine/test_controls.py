import contextlib
import threading
import time

import pytest

from xray_tui.engine.controls import Controls, Detach, Stop, UnfreezeNow
from xray_tui.events import Control


class Used:
    """Remembers which controls took effect, and by whom."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []
        self.values: list[float | None] = []

    def __call__(self, control: str, why: str, value: float | None = None) -> None:
        self.all.append((control, why))
        self.values.append(value)


def test_nothing_asked_is_nothing_done() -> None:
    used = Used()
    Controls().obey(used, can_unfreeze=True)
    assert used.all == []


def test_stop() -> None:
    controls, used = Controls(), Used()
    controls.stop("SIGTERM")
    with pytest.raises(Stop, match="SIGTERM"):
        controls.obey(used, can_unfreeze=True)
    assert used.all == [("stop", "SIGTERM")]


def test_unfreeze_once() -> None:
    controls, used = Controls(), Used()
    controls.unfreeze()
    with pytest.raises(UnfreezeNow):
        controls.obey(used, can_unfreeze=True)
    controls.obey(used, can_unfreeze=True)
    assert used.all == [("unfreeze", "a person")]


def test_unfreeze_in_the_unfrozen_stage_means_nothing() -> None:
    controls, used = Controls(), Used()
    controls.unfreeze()
    controls.obey(used, can_unfreeze=False)
    assert used.all == []


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("resume", [("pause", "a person"), ("resume", "a friend")]),
        ("unfreeze", [("pause", "a person"), ("resume", "a friend"), ("unfreeze", "a friend")]),
        ("stop", [("pause", "a person"), ("stop", "a friend")]),
        ("detach", [("pause", "a person"), ("detach", "a friend")]),
    ],
)
def test_a_paused_run_waits_for(then: Control, expected: list[tuple[str, str]]) -> None:
    controls, used = Controls(), Used()
    controls.pause()
    ended = threading.Event()

    def obey() -> None:
        with contextlib.suppress(Stop, Detach, UnfreezeNow):
            controls.obey(used, can_unfreeze=True)
        ended.set()

    threading.Thread(target=obey, daemon=True).start()
    time.sleep(0.15)
    assert used.all == [("pause", "a person")]
    assert not ended.is_set()
    controls.use(then, why="a friend")
    assert ended.wait(5)
    assert used.all == expected


def test_a_learning_rate_is_given_to_the_stage_under_way() -> None:
    controls, used, rates = Controls(), Used(), [1e-3]
    controls.learning_rate(3e-4)
    controls.learning_rate(2e-4, "a friend")
    controls.obey(used, can_unfreeze=True, set_rate=rates.append)
    controls.obey(used, can_unfreeze=True, set_rate=rates.append)
    assert (rates, used.all, used.values) == ([1e-3, 2e-4], [("learning_rate", "a friend")], [2e-4])


def test_a_learning_rate_between_the_stages_is_dropped() -> None:
    controls, used, rates = Controls(), Used(), [1e-3]
    controls.learning_rate(3e-4)
    controls.obey(used, can_unfreeze=True)
    controls.obey(used, can_unfreeze=True, set_rate=rates.append)
    assert (rates, used.all) == ([1e-3], [])


def test_what_is_asked_of_a_stage_before_one_begins_waits_for_it() -> None:
    controls, used, rates = Controls(), Used(), [1e-3]
    controls.learning_rate(3e-4)
    controls.unfreeze()
    controls.obey(used, can_unfreeze=False, early=True)
    assert used.all == []
    with pytest.raises(UnfreezeNow):
        controls.obey(used, can_unfreeze=True, set_rate=rates.append)
    assert rates == [1e-3, 3e-4]
    assert used.all == [("learning_rate", "a person"), ("unfreeze", "a person")]


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), None])
def test_what_is_no_learning_rate_is_refused(value: float | None) -> None:
    with pytest.raises(ValueError, match="positive"):
        Controls().use("learning_rate", value)


def test_a_paused_run_takes_another_learning_rate() -> None:
    controls, used, rates = Controls(), Used(), []
    controls.pause()
    controls.learning_rate(3e-4)
    changed = threading.Event()

    def set_rate(value: float) -> None:
        rates.append(value)
        changed.set()

    thread = threading.Thread(target=lambda: controls.obey(used, can_unfreeze=True, set_rate=set_rate))
    thread.start()
    assert changed.wait(5)
    controls.resume()
    thread.join(5)
    assert [control for control, _ in used.all] == ["pause", "learning_rate", "resume"]


def test_what_was_not_obeyed_is_taken_elsewhere() -> None:
    controls, used = Controls(), Used()
    controls.detach()
    with pytest.raises(Detach):
        controls.obey(used, can_unfreeze=True)
    controls.pause()
    controls.learning_rate(3e-4)
    controls.stop("SIGTERM")
    assert controls.take() == [("learning_rate", 3e-4), ("pause", None), ("stop", None)]
    assert controls.take() == []
    controls.obey(used, can_unfreeze=True)
    assert used.all == [("detach", "a person")]
