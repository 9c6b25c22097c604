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


P = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45], [0.2, 0.8]], np.float32)


def test_without_a_threshold_the_likeliest_class_is_called() -> None:
    assert metrics.predicted_at(P, 1, None).tolist() == [0, 1, 0, 1]
    assert metrics.predicted_at(P, 1, 0.5).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("threshold", "called"),
    [
        (0.0, [1, 1, 1, 1]),
        (0.45, [0, 1, 1, 1]),
        (0.6, [0, 1, 0, 1]),
        (0.61, [0, 0, 0, 1]),
        (1.0, [0, 0, 0, 0]),
    ],
)
def test_a_threshold_is_met_by_its_own_probability(threshold: float, called: list[int]) -> None:
    assert metrics.predicted_at(P, 1, threshold).tolist() == called


def test_of_many_classes_the_likeliest_other_one_is_called_below_the_threshold() -> None:
    p = np.array([[0.1, 0.5, 0.4], [0.45, 0.35, 0.2]], np.float32)
    assert metrics.predicted_at(p, 1, 0.6).tolist() == [2, 0]
    assert metrics.predicted_at(p, 1, 0.3).tolist() == [1, 1]
    assert p[0, 1] == np.float32(0.5), "what was given stays as it was"


def test_rates_by_hand() -> None:
    rates = metrics.rate(np.array([0, 1, 1, 1, 0]), np.array([0, 0, 1, 1, 1]), 1, 2)
    assert rates.confusion == [[1, 1], [1, 2]]
    assert (rates.accuracy, rates.sensitivity, rates.specificity) == (3 / 5, 2 / 3, 1 / 2)


def test_rates_of_an_absent_class_are_undefined() -> None:
    assert metrics.rate(np.array([0, 1]), np.array([0, 0]), 1, 2).sensitivity is None


def test_youden_is_where_sensitivity_and_specificity_are_best_together() -> None:
    rng = np.random.default_rng(1)
    actual = rng.integers(0, 2, 200)
    scores = (rng.normal(0.4 + 0.2 * actual, 0.2).clip(0, 1) * 20).round().astype(
        np.float32
    ) / 20  # with ties
    probabilities = np.stack([1 - scores, scores], 1)

    def together(threshold: float) -> float:
        rates = metrics.rate(metrics.predicted_at(probabilities, 1, threshold), actual, 1, 2)
        assert rates.sensitivity is not None
        assert rates.specificity is not None
        return rates.sensitivity + rates.specificity

    best = metrics.youden(scores, actual == 1)
    assert best is not None
    assert together(best) == max(together(float(score)) for score in np.unique(scores))


def test_youden_needs_both_classes_and_numbers() -> None:
    assert metrics.youden(P[:, 1], np.ones(4, np.bool_)) is None
    assert metrics.youden(np.array([np.nan, 1], np.float32), np.array([True, False])) is None


def test_proportions_are_the_counts_behind_the_rates() -> None:
    scores = found([0.9, 0.8, 0.3, 0.6, 0.2], [1, 1, 1, 0, 0])
    assert metrics.proportions(scores.confusion, 1) == {
        "accuracy": (3, 5),
        "sensitivity": (2, 3),
        "specificity": (1, 2),
    }
    assert metrics.proportions([[3, 1, 0], [0, 4, 1], [2, 0, 5]], 2) == {
        "accuracy": (12, 16),
        "sensitivity": (5, 7),
        "specificity": (8, 9),
    }


def test_mcnemar_by_hand() -> None:
    # Of 12 images that part the two, 2 or fewer on one side or the other: 2 · (1 + 12 + 66) / 2^12.
    assert metrics.mcnemar(10, 2) == pytest.approx(2 * 79 / 4096)
    assert metrics.mcnemar(2, 10) == metrics.mcnemar(10, 2)
    assert metrics.mcnemar(5, 5) == 1.0
    assert metrics.mcnemar(1, 0) == 1.0
    assert metrics.mcnemar(0, 0) is None


def test_the_interval_of_auc_against_pair_by_pair() -> None:
    rng = np.random.default_rng(3)
    is_positive = np.array([True] * 30 + [False] * 20)
    scores = (rng.normal(0, 1, 50) + is_positive).round(1).astype(np.float32)  # rounded, so that some tie
    above = np.array([[(p > n) + (p == n) / 2 for n in scores[~is_positive]] for p in scores[is_positive]])
    area = above.mean()
    variance = above.mean(1).var(ddof=1) / 30 + above.mean(0).var(ddof=1) / 20
    logit, half = np.log(area / (1 - area)), 1.959964 * np.sqrt(variance) / (area * (1 - area))
    expected = [1 / (1 + np.exp(-(logit + side * half))) for side in (-1, 1)]
    assert metrics.auc_interval(scores, is_positive) == pytest.approx(expected, abs=1e-6)
    assert metrics.auc(scores, is_positive) == pytest.approx(area)


def test_the_interval_of_auc_holds_the_truth_as_often_as_it_says() -> None:
    # Two normals a unit apart have an area of Φ(1 / √2) = 0.7602.
    rng = np.random.default_rng(0)
    is_positive = np.array([True] * 60 + [False] * 40)
    held = 0
    for _ in range(400):
        low, high = metrics.auc_interval(rng.normal(0, 1, 100) + is_positive, is_positive) or (1, 0)
        held += low < 0.7602 < high
    assert 0.92 < held / 400 < 0.98


def test_an_area_without_an_interval() -> None:
    def interval(scores: list[float], positive: list[int]) -> tuple[float, float] | None:
        return metrics.auc_interval(np.array(scores, np.float32), np.array(positive, bool))

    assert interval([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]) is None, "perfect"
    assert interval([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0]) is None, "no spread at all"
    assert interval([0.9, 0.8, 0.2], [1, 1, 0]) is None, "one image of a class"
    assert interval([0.9, float("nan"), 0.2, 0.1], [1, 1, 0, 0]) is None
