"""Reliability, calibration error and temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from xray_tui import metrics


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32)


def drawn(probabilities: NDArray[np.float32], seed: int = 1) -> NDArray[np.int64]:
    """Classes as often as the probabilities say."""
    chance = np.random.default_rng(seed).random((len(probabilities), 1))
    return np.minimum((chance > probabilities.cumsum(1)).sum(1), probabilities.shape[1] - 1)


def test_reliability_by_hand() -> None:
    scores = np.array([0.05, 0.15, 0.12, 0.95, 1.0, 0.0], np.float32)
    found = metrics.reliability(scores, np.array([0, 1, 0, 1, 1, 0], bool), bins=10)
    assert found is not None
    assert found.counts.tolist() == [2, 2, 2]
    assert found.predicted == pytest.approx([0.025, 0.135, 0.975])
    assert found.observed.tolist() == [0, 0.5, 1]


def test_reliability_of_one_class_and_of_nothing() -> None:
    found = metrics.reliability(np.array([0.95, 0.75], np.float32), np.array([True, True]), bins=5)
    assert found is not None
    assert (found.observed.tolist(), found.counts.tolist()) == ([1, 1], [1, 1])
    assert metrics.reliability(np.zeros(0, np.float32), np.zeros(0, np.bool_)) is None
    assert metrics.reliability(np.array([np.nan], np.float32), np.array([True])) is None


def test_calibration_error_by_hand() -> None:
    # 0.8 comes true 1 time in 2, 0.1 does 0 times in 3: (2 · 0.3 + 3 · 0.1) / 5.
    scores = np.array([0.8, 0.8, 0.1, 0.1, 0.1], np.float32)
    is_positive = np.array([True, False, False, False, False])
    assert metrics.calibration_error(scores, is_positive) == pytest.approx(0.18)
    assert metrics.calibration_error(np.ones(3, np.float32), np.zeros(3, np.bool_)) == 1.0


@pytest.mark.parametrize("sharper", [0.4, 1.0, 2.5])
def test_temperature_finds_what_made_the_probabilities_too_sure(sharper: float) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (20_000, 3))
    actual = drawn(softmax(logits))
    assert metrics.temperature(softmax(logits * sharper), actual) == pytest.approx(sharper, rel=0.03)


def test_tempered_probabilities_are_calibrated() -> None:
    logits = np.random.default_rng(0).normal(0, 1.5, (5000, 2))
    actual, sure = drawn(softmax(logits)), softmax(logits * 3)
    found = metrics.temperature(sure, actual)
    assert found is not None
    before = metrics.calibration_error(sure[:, 1], actual == 1)
    after = metrics.calibration_error(metrics.tempered(sure, found)[:, 1], actual == 1)
    assert before is not None
    assert after is not None
    assert after < 0.03 < 0.1 < before


def test_where_the_images_tell_no_temperature() -> None:
    right = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    assert metrics.temperature(right, np.array([0, 1])) is None, "surer is always better"
    assert metrics.temperature(right, np.array([1, 0])) is None, "less sure is always better"
    assert metrics.temperature(np.full((4, 2), 0.5, np.float32), np.array([0, 1, 0, 1])) is None
    assert metrics.temperature(np.full((1, 2), np.nan, np.float32), np.array([0])) is None
    assert metrics.temperature(np.zeros((0, 2), np.float32), np.zeros(0, np.int64)) is None


def test_a_probability_of_0_has_a_temperature_too() -> None:
    sure = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    found = metrics.temperature(sure, np.array([0, 1, 1]))
    # A logit 103.3 (of the least float32) that is right 2 times in 3 should be log 2.
    assert found is None, "beyond 20"
    milder = metrics.tempered(sure, 20.0)
    assert milder[0, 0] == pytest.approx(1 / (1 + np.exp(-103.28 / 20)), abs=1e-5)


_LOGITS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 20), st.integers(2, 5)), elements=st.floats(-15, 15, width=16)
)


@given(logits=_LOGITS, by=st.floats(0.1, 10))
def test_tempered_are_probabilities_of_the_same_likeliest_class(
    logits: NDArray[np.float64], by: float
) -> None:
    probabilities = softmax(logits)
    found = metrics.tempered(probabilities, by)
    assert found.dtype == np.float32
    assert found.sum(1) == pytest.approx(np.ones(len(found)), abs=1e-5)
    rows = np.arange(len(found))
    assert (found[rows, probabilities.argmax(1)] == found.max(1)).all()


@given(logits=_LOGITS, by=st.floats(0.1, 10))
def test_tempered_keeps_the_ranking_of_two_classes(logits: NDArray[np.float64], by: float) -> None:
    probabilities = softmax(logits[:, :2])
    before, after = probabilities[:, 1], metrics.tempered(probabilities, by)[:, 1]
    # (What float32 rounded to 1 alike may part again, for the other probability still tells them apart.)
    below = before[:, None] < before
    assert (after[:, None] <= after + 1e-7)[below].all()


@given(logits=_LOGITS)
def test_a_temperature_of_1_changes_nothing(logits: NDArray[np.float64]) -> None:
    probabilities = softmax(logits)
    assert metrics.tempered(probabilities, 1.0) == pytest.approx(probabilities, abs=1e-6)


def test_losses_are_of_the_actual_class_and_end_where_float32_does() -> None:
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)
    found = metrics.losses(probabilities, np.array([0, 1, 1]))
    assert found.dtype == np.float32
    assert found == pytest.approx([np.log(4), np.log(2), 87.336544])
