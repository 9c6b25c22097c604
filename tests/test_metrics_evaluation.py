"""All metrics together: numbers known by hand, and what has none."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from xray_tui import metrics


def two(positive: list[float]) -> NDArray[np.float32]:
    p = np.array(positive, np.float32)
    return np.stack([1 - p, p], 1)


def evaluated(
    probabilities: NDArray[np.float32], actual: list[int], positive: int = 1, threshold: float | None = None
) -> metrics.Metrics:
    labels = np.array(actual, np.int64)
    losses = -np.log(probabilities[np.arange(len(labels)), labels])
    return metrics.evaluate(probabilities, losses, labels, positive, threshold)


def test_two_classes_by_hand() -> None:
    # Called: 0.9, 0.8 and 0.6 positive; so 2 hits, 1 missed, 1 false alarm, 1 cleared.
    found = evaluated(two([0.9, 0.8, 0.3, 0.6, 0.2]), [1, 1, 1, 0, 0])
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found.mcc == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))
    # Going down the ranking the positive images stand 1st, 2nd and 4th.
    assert found.average_precision == pytest.approx((1 / 1 + 2 / 2 + 3 / 4) / 3)
    assert found.brier == pytest.approx((0.01 + 0.04 + 0.49 + 0.36 + 0.04) / 5, rel=1e-5)
    # Each image has a bin of its own.
    assert found.calibration_error == pytest.approx((0.1 + 0.2 + 0.7 + 0.6 + 0.2) / 5, rel=1e-5)


def test_rates_are_at_the_threshold_and_nothing_else_is() -> None:
    probabilities, actual = two([0.9, 0.8, 0.3, 0.6, 0.2]), [1, 1, 1, 0, 0]
    likeliest, moved = (evaluated(probabilities, actual, threshold=at) for at in (None, 0.3))
    assert moved.confusion == [[1, 1], [0, 3]]
    assert (moved.sensitivity, moved.specificity, moved.accuracy) == (1.0, 0.5, 0.8)
    for name in ("loss", "auc", "average_precision", "brier", "calibration_error"):
        assert getattr(moved, name) == getattr(likeliest, name), name


THREE = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], np.float32)


def test_three_classes_by_hand() -> None:
    found = evaluated(THREE, [0, 1, 2, 2], positive=2)
    assert found.balanced_accuracy == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert found.f1 == pytest.approx(2 / 3)
    # Gorodkin: right 3 of 4; actual (1, 1, 2), predicted (2, 1, 1).
    assert found.mcc == pytest.approx((3 * 4 - 5) / np.sqrt((16 - 6) * (16 - 6)))
    squared = [0.04 + 0.01 + 0.01, 0.04 + 0.25 + 0.09, 0.01 + 0.04 + 0.09, 0.36 + 0.09 + 0.81]
    assert found.brier == pytest.approx(sum(squared) / 2 / 4, rel=1e-5)


def test_each_class_against_the_rest() -> None:
    actual = np.array([0, 1, 2, 2])
    of_classes = metrics.per_class(THREE, actual)
    assert [found.confusion for found in of_classes] == [[[2, 1], [0, 1]], [[3, 0], [0, 1]], [[2, 0], [1, 1]]]
    assert [found.sensitivity for found in of_classes] == [1.0, 1.0, 0.5]
    assert [found.specificity for found in of_classes] == pytest.approx([2 / 3, 1.0, 1.0])
    assert [found.auc for found in of_classes] == [1.0, 1.0, 0.625]
    assert of_classes[2].auc == evaluated(THREE, [0, 1, 2, 2], positive=2).auc
    assert [found.loss for found in of_classes] == [None] * 3
    means = metrics.macro(of_classes)
    assert means.sensitivity == pytest.approx(2.5 / 3)
    assert means.auc == pytest.approx(2.625 / 3)
    assert (means.loss, means.confusion) == (None, [])


def test_the_threshold_of_the_positive_class_decides_over_the_others_too() -> None:
    of_classes = metrics.per_class(THREE, np.array([0, 1, 2, 2]), threshold=0.3, positive=2)
    assert [found.confusion for found in of_classes] == [[[2, 1], [0, 1]], [[3, 0], [1, 0]], [[1, 1], [1, 1]]]


def test_of_two_classes_the_second_against_the_rest_is_the_whole() -> None:
    probabilities, actual = two([0.9, 0.8, 0.3, 0.6, 0.2]), [1, 1, 1, 0, 0]
    whole = asdict(evaluated(probabilities, actual))
    against = asdict(metrics.per_class(probabilities, np.array(actual))[1])
    for name, value in whole.items():
        if name == "confusion":
            assert against[name] == value
        elif name != "loss":
            assert against[name] == pytest.approx(value), name


def test_there_is_no_mean_of_some_of_the_classes() -> None:
    actual = np.array([0, 1, 1, 0])
    of_classes = metrics.per_class(THREE, actual)
    assert [found.auc is None for found in of_classes] == [False, False, True]
    means = metrics.macro(of_classes)
    assert (means.auc, means.sensitivity) == (None, None)
    assert means.specificity == pytest.approx(np.mean([found.specificity for found in of_classes]))
    assert evaluated(THREE, actual.tolist()).balanced_accuracy is None, "which is the mean sensitivity"
    assert metrics.macro([]) == metrics.UNKNOWN


def test_all_right() -> None:
    found = evaluated(two([1.0, 1.0, 0.0, 0.0]), [1, 1, 0, 0])
    ones = ("accuracy", "balanced_accuracy", "auc", "average_precision", "sensitivity", "specificity")
    assert all(getattr(found, name) == 1.0 for name in (*ones, "f1", "mcc"))
    assert (found.loss, found.brier, found.calibration_error) == (0.0, 0.0, 0.0)


def test_all_wrong() -> None:
    found = evaluated(two([0.1, 0.2, 0.8, 0.9]), [1, 1, 0, 0])
    for name in ("accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity", "f1"):
        assert getattr(found, name) == 0.0, name
    assert found.mcc == -1.0
    assert found.average_precision == pytest.approx((1 / 3 + 2 / 4) / 2)  # the positive stand 3rd and 4th


def test_one_class_only() -> None:
    positive = evaluated(two([0.9, 0.2]), [1, 1])
    assert (positive.accuracy, positive.sensitivity) == (0.5, 0.5)
    assert positive.f1 == pytest.approx(2 / 3)
    for name in ("specificity", "balanced_accuracy", "auc", "average_precision", "mcc"):
        assert getattr(positive, name) is None, name
    negative = evaluated(two([0.1, 0.2]), [0, 0])
    assert negative.specificity == 1.0
    assert negative.f1 is None, "none is positive, none is called so"
    assert negative.calibration_error == pytest.approx(0.15)


def test_one_class_called() -> None:
    found = evaluated(two([0.9, 0.8, 0.7]), [1, 0, 0])
    assert (found.mcc, found.specificity, found.balanced_accuracy) == (None, 0.0, 0.5)


def test_all_scores_alike() -> None:
    found = evaluated(two([0.5] * 4), [1, 0, 0, 0])
    assert found.auc == 0.5
    assert found.average_precision == pytest.approx(0.25), "chance: the share of positive images"
    assert found.calibration_error == pytest.approx(0.25)


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("scores", [[np.nan, 0.2, 0.9], [np.nan] * 3, [np.inf, 0.2, 0.9]])
def test_not_a_number(scores: list[float], positive: int, threshold: float | None) -> None:
    found = asdict(evaluated(two(scores), [1, 0, 1], positive, threshold))
    assert found.pop("confusion") == [[0, 0], [0, 0]]
    found.pop("loss")  # of the losses that are given
    assert set(found.values()) == {None}
    predicted = metrics.predicted_at(two(scores), positive, threshold)
    assert predicted[0] == metrics.UNCALLED
    rates = metrics.rate(predicted, np.array([1, 0, 1]), positive, 2)
    assert (rates.accuracy, rates.sensitivity, rates.specificity) == (None, None, None)
    assert rates.confusion == [[0, 0], [0, 0]]


def test_not_a_number_among_three_classes() -> None:
    for found in metrics.per_class(np.where(np.eye(4, 3, -1) > 0, np.nan, THREE), np.array([0, 1, 2, 2])):
        assert (found.sensitivity, found.confusion) == (None, [[0, 0], [0, 0]])


def test_nothing() -> None:
    nothing = asdict(evaluated(np.zeros((0, 2), np.float32), []))
    assert nothing.pop("confusion") == [[0, 0], [0, 0]]
    assert set(nothing.values()) == {None}


def test_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 4, 300)
    logits = rng.normal(0, 1, (300, 4)) + 2 * np.eye(4)[actual]
    probabilities = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    predicted, is_positive = probabilities.argmax(1), actual == 2
    found = evaluated(probabilities, actual.tolist(), positive=2)
    assert found.mcc == pytest.approx(sklearn_metrics.matthews_corrcoef(actual, predicted))
    assert found.balanced_accuracy == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(actual, predicted)
    )
    assert found.f1 == pytest.approx(sklearn_metrics.f1_score(is_positive, predicted == 2))
    one = metrics.per_class(probabilities, actual)[2]
    assert one.brier == pytest.approx(sklearn_metrics.brier_score_loss(is_positive, probabilities[:, 2]))
