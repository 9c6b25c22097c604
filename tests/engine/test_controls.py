import contextlib
import threading
import time

import pytest

from xray_tui.engine.controls import Controls, Stop, UnfreezeNow


class Used:
    """Remembers which controls took effect, and by whom."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, control: str, why: str) -> None:
        self.all.append((control, why))


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
    ],
)
def test_a_paused_run_waits_for(then: str, expected: list[tuple[str, str]]) -> None:
    controls, used = Controls(), Used()
    controls.pause()
    ended = threading.Event()

    def obey() -> None:
        with contextlib.suppress(Stop, UnfreezeNow):
            controls.obey(used, can_unfreeze=True)
        ended.set()

    threading.Thread(target=obey, daemon=True).start()
    time.sleep(0.15)
    assert used.all == [("pause", "a person")]
    assert not ended.is_set()
    controls.use(then, "a friend")  # type: ignore[arg-type]
    assert ended.wait(5)
    assert used.all == expected
