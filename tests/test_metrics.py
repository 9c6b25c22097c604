import numpy as np
import pytest

from xray_tui import metrics


def found(positive_probability: list[float], actual: list[int], positive: int = 1) -> metrics.Metrics:
    p = np.array(positive_probability, np.float32)
    probabilities = np.stack([1 - p, p], 1)
    labels = np.array(actual)
    losses = -np.log(probabilities[np.arange(len(p)), labels])
    return metrics.evaluate(probabilities, losses, labels, positive)


def test_by_hand() -> None:
    scores = found([0.9, 0.8, 0.3, 0.6, 0.2], [1, 1, 1, 0, 0])
    assert scores.confusion == [[1, 1], [1, 2]]  # rows are actual
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.sensitivity == pytest.approx(2 / 3)
    assert scores.specificity == pytest.approx(1 / 2)
    assert scores.auc == pytest.approx(5 / 6)  # of six pairs, (0.3, 0.6) is the wrong way round
    assert scores.loss == pytest.approx(-np.mean(np.log([0.9, 0.8, 0.3, 0.4, 0.8])), rel=1e-5)


def test_the_positive_class_turns_sensitivity_and_specificity_round() -> None:
    one = found([0.9, 0.8, 0.3, 0.6, 0.2], [1, 1, 1, 0, 0], positive=1)
    other = found([0.9, 0.8, 0.3, 0.6, 0.2], [1, 1, 1, 0, 0], positive=0)
    assert (other.sensitivity, other.specificity) == (one.specificity, one.sensitivity)
    assert other.auc == pytest.approx(one.auc)


def test_ties_count_half() -> None:
    assert found([0.5, 0.5], [1, 0]).auc == pytest.approx(0.5)


def test_three_classes() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], np.float32)
    actual = np.array([0, 1, 2, 2])
    losses = -np.log(probabilities[np.arange(4), actual])
    scores = metrics.evaluate(probabilities, losses, actual, positive=2)
    assert scores.confusion == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert scores.sensitivity == pytest.approx(1 / 2)
    assert scores.specificity == 1.0
    assert scores.auc == pytest.approx((2 + 0.5) / 4)  # 0.7 beats both, 0.1 ties one and loses one


def test_what_is_undefined_is_none() -> None:
    scores = found([0.9, 0.8], [1, 1])
    assert scores.auc is None
    assert scores.specificity is None
    assert scores.sensitivity == 1.0
    nothing = metrics.evaluate(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, int), 1)
    assert nothing.accuracy is None
    broken = found([float("nan"), 0.2], [1, 0])
    assert broken.auc is None
    assert broken.loss is None


def test_wilson_by_hand() -> None:
    # 8 of 10 at z = 1.96: (0.8 + z²/20 ± z·sqrt(0.8·0.2/10 + z²/400)) / (1 + z²/10)
    low, high = metrics.interval(8, 10) or (0, 0)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert metrics.interval(0, 0) is None
