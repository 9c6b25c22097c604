import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_tui import event_lines, events
from xray_tui.events import EpochEnded, Mistake, Mistakes, OperatingPoint, Warning


def epoch(**changes: Any) -> EpochEnded:
    values: dict[str, Any] = {
        "stage": "frozen",
        "epoch": 3,
        "train_loss": 0.5,
        "validation_loss": 0.25,
        "accuracy": 0.875,
        "auc": None,
        "sensitivity": 1.0,
        "specificity": 0.75,
        "confusion": [[3, 1], [0, 4]],
        "learning_rate": 1e-3,
        "images_per_second": 20.0,
        "seconds": 4.0,
    }
    return EpochEnded(**(values | changes))


def operating_point(**changes: Any) -> OperatingPoint:
    values: dict[str, Any] = {"epoch": 0, "rule": "youden", "threshold": None, "temperature": None}
    rates = dict.fromkeys(("accuracy", "sensitivity", "specificity"))
    return OperatingPoint(**(values | rates | changes))


def test_a_journal_line_by_hand() -> None:
    event = Warning(t=12.5, kind="unreadable", message="one image", paths=["a.jpeg"])
    assert json.loads(event_lines.encode(event, 7)) == {
        "v": 1,
        "seq": 7,
        "t": 12.5,
        "type": "warning",
        "kind": "unreadable",
        "message": "one image",
        "paths": ["a.jpeg"],
    }


def test_arrays_stay_in_memory() -> None:
    line = event_lines.encode(
        epoch(probabilities=np.zeros((2, 2)), losses=np.zeros(2), actual=np.zeros(2)), 0
    )
    assert not set(json.loads(line)) & set(EpochEnded.ARRAYS)
    decoded = event_lines.decode(line)
    assert isinstance(decoded, EpochEnded)
    assert decoded.probabilities is None


@given(
    st.floats(-1e39, 1e39) | st.just(math.nan),
    st.text(),
    st.floats(0, 1, width=32),
    st.integers(0, 10**6),
)
def test_round_trip(loss: float, path: str, probability: float, number: int) -> None:
    mistake = Mistake(path=path, actual=0, predicted=1, probability=probability, loss=abs(probability))
    for event in (
        epoch(validation_loss=events.finite(loss), epoch=number),
        Mistakes(stage="unfrozen", epoch=number, total=number, worst=[mistake]),
    ):
        line = event_lines.encode(event, number)
        assert b"\n" not in line
        assert event_lines.decode(line) == event


def test_what_is_not_a_number_is_null() -> None:
    assert events.finite(float("nan")) is None
    assert events.finite(float("inf")) is None
    assert events.finite(0.5) == 0.5


def test_readers_skip_types_and_fields_they_do_not_know() -> None:
    assert event_lines.decode('{"v": 1, "seq": 0, "t": 1.0, "type": "moon_landed"}') is None
    line = json.loads(event_lines.encode(epoch(), 0)) | {"colour": "blue"}
    assert isinstance(event_lines.decode(json.dumps(line)), EpochEnded)


def test_a_line_that_is_broken_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        event_lines.decode('{"type": "epoch_ended", "epoch": "three"}')
    with pytest.raises(msgspec.DecodeError):
        event_lines.decode("{")


def test_a_newer_version_is_told_as_one() -> None:
    newer = event_lines.encode(epoch(), 0).replace(b'"v":1', b'"v":2', 1)
    for line in ('{"v": 2, "seq": 0, "t": 1.0, "type": "moon_landed"}', newer):
        with pytest.raises(msgspec.DecodeError, match=r"newer xray-tui \(version 2 of the journal"):
            event_lines.decode(line)


def test_what_is_nested_too_deeply_or_no_text_is_an_error_like_any_other() -> None:
    for line in (b'{"v":1,"x":' + b"[" * 100_000, b'{"v":1,"type":"\xff"}', b'{"v":1,"type":"\\ud800"}'):
        with pytest.raises(msgspec.DecodeError):
            event_lines.decode(line)
