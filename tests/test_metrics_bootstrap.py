"""Intervals by drawing whole patients anew."""

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xray_tui import metrics
from xray_tui.metrics.resampling import _Weighted

Intervals = dict[str, tuple[float, float]]


def invented(
    images: int, classes: int = 2, seed: int = 0, decimals: int = 7
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities, losses and classes of a middling classifier; few decimals make ties."""
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, classes, images)
    logits = rng.normal(0, 1, (images, classes)) + 1.5 * np.eye(classes)[actual]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    probabilities = probabilities.round(decimals).clip(1e-6).astype(np.float32)
    return probabilities, -np.log(probabilities[np.arange(images), actual]), actual


def alone(images: int) -> list[str]:
    return [f"patient-{number}" for number in range(images)]


@given(
    images=st.integers(2, 40),
    classes=st.integers(2, 4),
    threshold=st.none() | st.floats(0, 1),
    decimals=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_images_that_count_twice_are_images_twice(
    images: int, classes: int, threshold: float | None, decimals: int, seed: int
) -> None:
    probabilities, losses, actual = invented(images, classes, seed, decimals)
    times = np.random.default_rng(seed).integers(0, 3, images)
    assume(times.any())
    weighted = _Weighted(probabilities, losses, actual, 1, threshold).metrics(times[None].astype(float))
    again = np.repeat(np.arange(images), times)
    expected = asdict(metrics.evaluate(probabilities[again], losses[again], actual[again], 1, threshold))
    for name in ("confusion", "calibration_error"):
        expected.pop(name)
    for name, value in expected.items():
        found = weighted[name].item() if name in weighted else np.nan
        assert found == pytest.approx(np.nan if value is None else value, abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize("classes", [2, 3])
def test_the_estimate_lies_within(classes: int) -> None:
    found = invented(400, classes)
    intervals = metrics.bootstrap(*found, 1, alone(400))
    estimates = asdict(metrics.evaluate(*found, 1))
    assert estimates.keys() - intervals.keys() == {"confusion", "calibration_error"}
    for name, (low, high) in intervals.items():
        assert low < estimates[name] < high, name


def test_the_interval_of_accuracy_is_as_wide_as_the_binomial_says() -> None:
    found = invented(500)
    low, high = metrics.bootstrap(*found, 1, alone(500), rounds=4000)["accuracy"]
    accuracy = metrics.evaluate(*found, 1).accuracy
    assert accuracy is not None
    expected = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 500)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.08)


def test_the_interval_of_auc_is_delongs() -> None:
    probabilities, losses, actual = invented(500)
    low, high = metrics.bootstrap(probabilities, losses, actual, 1, alone(500), rounds=4000)["auc"]
    expected = metrics.auc_interval(probabilities[:, 1], actual == 1)
    assert (low, high) == pytest.approx(expected, abs=0.004)


def assert_alike(one: Intervals, other: Intervals) -> None:
    assert one.keys() == other.keys()
    for name, ends in one.items():
        assert ends == pytest.approx(other[name]), name


def _width(interval: Sequence[float]) -> float:
    return interval[1] - interval[0]


def test_four_alike_images_of_a_patient_are_one_observation() -> None:
    probabilities, losses, actual = invented(100)
    four = np.repeat(np.arange(100), 4)
    many = (probabilities[four], losses[four], actual[four], 1)
    by_patient = metrics.bootstrap(*many, [f"patient-{number}" for number in four])
    by_image = metrics.bootstrap(*many, alone(400))
    of_one_each = metrics.bootstrap(probabilities, losses, actual, 1, alone(100))
    assert_alike(by_patient, of_one_each)
    assert _width(by_patient["accuracy"]) == pytest.approx(2 * _width(by_image["accuracy"]), rel=0.15)


def test_many_classes_take_no_more_memory_than_images_do() -> None:
    """A one-hot row of all pairs of classes would take 64 GB here."""
    images, classes = 200, 2000
    rng = np.random.default_rng(0)
    probabilities = rng.random((images, classes), np.float32)
    actual = rng.integers(0, classes, images)
    losses = -np.log(probabilities[np.arange(images), actual])
    found = metrics.bootstrap(probabilities, losses, actual, 1, alone(images), rounds=2)
    assert "loss" in found


def test_the_same_seed_gives_the_same_intervals() -> None:
    found = invented(50)
    first, again, other = (metrics.bootstrap(*found, 1, alone(50), seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_more_confidence_is_wider() -> None:
    found = invented(100)
    narrow, wide = (metrics.bootstrap(*found, 1, alone(100), confidence=much) for much in (0.8, 0.99))
    assert all(_width(narrow[name]) < _width(wide[name]) for name in narrow)


def test_what_has_no_interval_is_missing() -> None:
    probabilities = np.array([[0.1, 0.9], [0.3, 0.7], [0.8, 0.2], [0.7, 0.3]] * 10, np.float32)
    losses, patients = np.full(40, 0.2, np.float32), alone(40)
    right = metrics.bootstrap(probabilities, losses, np.array([1, 1, 0, 0] * 10), 1, patients)
    assert right.keys() == {"brier"}, "no mistake was met, and all losses are alike"
    one_class = metrics.bootstrap(probabilities, losses, np.ones(40, np.int64), 1, patients)
    assert {"accuracy", "sensitivity", "f1", "brier"} == one_class.keys()
    actual = np.array([1] + [0] * 39)
    seldom = metrics.bootstrap(probabilities, losses, actual, 1, patients)
    assert "auc" not in seldom, "a third of the rounds lack the only positive image"
    assert "specificity" in seldom
    assert metrics.bootstrap(probabilities, losses, actual, 1, ["one"] * 40) == {}
    nothing = (np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert metrics.bootstrap(*nothing, 1, []) == {}


def test_not_a_number() -> None:
    probabilities, losses, actual = invented(50)
    losses[3], probabilities[3] = np.nan, np.nan
    assert metrics.bootstrap(probabilities, losses, actual, 1, alone(50)) == {}


def test_many_images_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = invented(60)
    whole = metrics.bootstrap(*found, 1, alone(60), rounds=100)
    monkeypatch.setattr("xray_tui.metrics.resampling._AT_ONCE", 60 * 7)
    assert_alike(metrics.bootstrap(*found, 1, alone(60), rounds=100), whole)


def test_a_thousand_rounds_are_soon_done() -> None:
    found, patients = invented(624), alone(624)
    began = time.perf_counter()
    metrics.bootstrap(*found, 1, patients)
    assert time.perf_counter() - began < 2  # a tenth of a second on an idle machine
