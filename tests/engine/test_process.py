"""When garbage is collected beside a dashboard."""

import gc
from collections.abc import Iterator

import pytest

from xray_tui.engine import process

_PREVIOUS = gc.get_threshold()


@pytest.fixture
def collected() -> Iterator[list[int]]:
    """The generations that are collected, in the order in which they are."""
    found: list[int] = []

    def note(phase: str, details: dict[str, int]) -> None:
        if phase == "start":
            found.append(details["generation"])

    gc.collect()
    gc.callbacks.append(note)
    process.collect_seldom()
    yield found
    gc.callbacks.remove(note)
    gc.set_threshold(*_PREVIOUS)


def test_many_new_objects_wait_until_somebody_asks(collected: list[int]) -> None:
    kept = [[number] for number in range(30_000)]
    assert collected == []
    process.collect_if_due()
    assert collected == [0]
    process.collect_if_due()
    assert collected == [0], "few are new"
    del kept


def test_older_ones_wait_until_few_are_new(collected: list[int]) -> None:
    kept = []
    for _ in range(25):
        kept += [[number] for number in range(5_000)]
        process.collect_if_due()
    assert collected == [0] * 25
    process.collect_if_due()
    assert collected[25:] == [1]
    del kept


def test_a_cycle_is_found_in_the_end(collected: list[int]) -> None:
    class Node:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            gone.append(True)

    gone: list[bool] = []
    Node()
    kept = [[number] for number in range(5_000)]
    assert not gone
    process.collect_if_due()
    assert gone
    del kept
