"""Operating points and curves: what is chosen is what the rates then say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xray_tui import metrics

Scored = tuple[NDArray[np.float32], NDArray[np.bool_]]

_SCORES = st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.25, 0.5, 1.0])  # with ties


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Images of both kinds."""
    first = [(draw(_SCORES), True), (draw(_SCORES), False)]
    images = draw(st.lists(st.tuples(_SCORES, st.booleans()), max_size=24))
    place = draw(st.integers(0, len(images)))
    scores, is_positive = zip(*images[:place], *first, *images[place:], strict=True)
    return np.array(scores, np.float32), np.array(is_positive)


def rates(images: Scored, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity, as everyone else counts them."""
    scores, is_positive = images
    probabilities = np.stack([1 - scores, scores], 1)
    predicted = metrics.predicted_at(probabilities, 1, threshold)
    found = metrics.rate(predicted, is_positive.astype(np.int64), 1, 2)
    assert found.sensitivity is not None
    assert found.specificity is not None
    return found.sensitivity, found.specificity


BY_HAND: Scored = (
    np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], np.float32),
    np.array([True, True, False, True, False, True, False, False]),
)


@pytest.mark.parametrize(
    ("rule", "scores"),
    [
        ("youden", (0.8, 0.7)),  # 2/4 + 4/4 = 3/4 + 3/4 = 4/4 + 2/4: the highest of equals
        ("sensitivity:0.5", (0.8, 0.7)),
        ("sensitivity:0.51", (0.6, 0.5)),
        ("sensitivity:1", (0.4, 0.3)),
        ("specificity:1.0", (0.8, 0.7)),
        ("specificity:0.75", (0.6, 0.5)),
        ("specificity:.5", (0.4, 0.3)),
        ("specificity:0.0", (0.2, 0.2)),  # the lowest: no score is below
    ],
)
def test_rules_by_hand(rule: str, scores: tuple[float, float]) -> None:
    odds = np.prod([score / (1 - score) for score in scores]) ** 0.5
    assert metrics.operating_threshold(rule, *BY_HAND) == pytest.approx(odds / (1 + odds), rel=1e-6)
    assert metrics.operating_threshold("likeliest", *BY_HAND) is None


def test_a_score_that_is_computed_once_more_stays_on_its_side() -> None:
    scores, is_positive = BY_HAND
    again = np.concatenate([scores * np.float32(1 - 1e-3), scores * np.float32(1 + 1e-3)])
    for rule in ("youden", "sensitivity:0.75", "specificity:0.75"):
        threshold = metrics.operating_threshold(rule, scores, is_positive)
        assert threshold is not None
        assert ((again >= threshold).reshape(2, -1) == (scores >= threshold)).all()


@pytest.mark.parametrize("scores", [(0.0, 1.0), (0.0, 1e-30), (1 - 6e-8, 1.0)])
def test_thresholds_at_the_ends(scores: tuple[float, float]) -> None:
    images = np.array(scores, np.float32), np.array([False, True])
    threshold = metrics.operating_threshold("sensitivity:1", *images)
    assert threshold is not None
    assert rates(images, threshold) == (1.0, 1.0)


def test_what_no_threshold_gives() -> None:
    scores, is_positive = np.array([0.5, 1.0, 1.0], np.float32), np.array([True, True, False])
    assert metrics.operating_threshold("specificity:0.5", scores, is_positive) is None
    below = np.array([0.5, 0.7, 0.9], np.float32)
    threshold = metrics.operating_threshold("specificity:0.5", below, is_positive)
    assert threshold is not None
    assert 0.9 < threshold < 1, "none is called"


@pytest.mark.parametrize("rule", ["youden", "sensitivity:0.9", "specificity:0.9"])
def test_a_rule_needs_images_of_both_kinds_and_numbers(rule: str) -> None:
    scores = np.array([0.2, 0.8], np.float32)
    for is_positive in ([True, True], [False, False]):
        assert metrics.operating_threshold(rule, scores, np.array(is_positive)) is None
    broken = np.array([np.nan, 0.8], np.float32)
    assert metrics.operating_threshold(rule, broken, np.array([True, False])) is None
    nothing = np.zeros(0, np.float32)
    assert metrics.operating_threshold(rule, nothing, np.zeros(0, np.bool_)) is None


@pytest.mark.parametrize("rule", ["", "precision:0.9", "sensitivity", "sensitivity:much"])
def test_not_a_rule(rule: str) -> None:
    with pytest.raises(ValueError, match=r"rule|much"):
        metrics.operating_threshold(rule, *BY_HAND)


@given(images=scored(), wanted=st.floats(0, 1))
def test_the_highest_threshold_that_is_sensitive_enough(images: Scored, wanted: float) -> None:
    threshold = metrics.operating_threshold(f"sensitivity:{wanted}", *images)
    assert threshold is not None
    assert rates(images, threshold)[0] >= wanted
    called = images[0][images[0] >= threshold]
    higher = called[called > called.min()] if called.size else called
    if wanted > 0 and higher.size:
        assert rates(images, float(higher.min()))[0] < wanted


@given(images=scored(), wanted=st.floats(0, 1))
def test_the_lowest_threshold_that_is_specific_enough(images: Scored, wanted: float) -> None:
    threshold = metrics.operating_threshold(f"specificity:{wanted}", *images)
    if threshold is None:
        assert rates(images, 1.0)[1] < wanted
        return
    scores = images[0]
    assert rates(images, threshold)[1] >= wanted
    lower = scores[scores < threshold]
    if lower.size:
        assert rates(images, float(lower.max()))[1] < wanted


@given(images=scored())
def test_no_score_is_better_than_youdens(images: Scored) -> None:
    threshold = metrics.youden(*images)
    assert threshold is not None
    assert sum(rates(images, threshold)) == max(sum(rates(images, float(score))) for score in images[0])


def test_sensitivity_at_a_specificity_by_hand() -> None:
    assert metrics.sensitivity_at(*BY_HAND, specificity=1.0) == 0.5
    assert metrics.sensitivity_at(*BY_HAND, specificity=0.75) == 0.75
    assert metrics.sensitivity_at(*BY_HAND, specificity=0.6) == 0.75
    assert metrics.specificity_at(*BY_HAND, sensitivity=1.0) == 0.5
    assert metrics.specificity_at(*BY_HAND, sensitivity=0.0) == 1.0
    one_kind = np.ones(8, np.bool_)
    assert metrics.sensitivity_at(BY_HAND[0], one_kind, 0.9) is None
    assert metrics.specificity_at(BY_HAND[0], one_kind, 0.9) is None


@given(images=scored(), one=st.floats(0, 1), other=st.floats(0, 1))
def test_who_wants_more_of_one_gets_no_more_of_the_other(images: Scored, one: float, other: float) -> None:
    less, more = sorted((one, other))
    for at in (metrics.sensitivity_at, metrics.specificity_at):
        many, few = at(*images, less), at(*images, more)
        assert many is not None
        assert few is not None
        assert many >= few


@given(images=scored(), wanted=st.floats(0, 1))
def test_sensitivity_at_is_that_of_the_rule(images: Scored, wanted: float) -> None:
    threshold = metrics.operating_threshold(f"specificity:{wanted}", *images)
    if threshold is not None:
        assert metrics.sensitivity_at(*images, wanted) == rates(images, threshold)[0]


def test_curves_by_hand() -> None:
    roc = metrics.roc(*BY_HAND)
    assert roc is not None
    assert list(zip(roc.x, roc.y, strict=True))[:3] == [(0, 0), (0, 0.25), (0, 0.5)]
    assert (roc.x[-1], roc.y[-1]) == (1, 1)
    assert np.isposinf(roc.thresholds[0])
    precision = metrics.precision_recall(*BY_HAND)
    assert precision is not None
    assert (precision.x[0], precision.y[0]) == (0, 1)
    assert (0.75, 0.75) in list(zip(precision.x, precision.y, strict=True))
    assert (precision.x[-1], precision.y[-1]) == (1, 0.5)


def test_curves_need_images_of_both_kinds() -> None:
    one_kind = np.ones(8, np.bool_)
    assert metrics.roc(BY_HAND[0], one_kind) is None
    assert metrics.precision_recall(BY_HAND[0], ~one_kind) is None


@given(images=scored())
def test_the_area_under_the_roc_curve_is_auc(images: Scored) -> None:
    roc = metrics.roc(*images)
    assert roc is not None
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(metrics.auc(*images))
    assert (np.diff(roc.x) >= 0).all()
    assert (np.diff(roc.y) >= 0).all()
    assert (np.diff(roc.thresholds) < 0).all()


@given(images=scored())
def test_the_area_under_the_steps_of_precision_is_average_precision(images: Scored) -> None:
    curve = metrics.precision_recall(*images)
    assert curve is not None
    assert (np.diff(curve.x) * curve.y[1:]).sum() == pytest.approx(metrics.average_precision(*images))
    assert (np.diff(curve.thresholds) < 0).all()


@given(images=scored())
def test_the_points_of_the_curves_are_the_rates_at_their_thresholds(images: Scored) -> None:
    roc, precision = metrics.roc(*images), metrics.precision_recall(*images)
    assert roc is not None
    assert precision is not None
    for x, y, threshold in zip(roc.x[1:], roc.y[1:], roc.thresholds[1:], strict=True):
        assert (y, 1 - x) == pytest.approx(rates(images, threshold))
    for x, threshold in zip(precision.x[1:], precision.thresholds[1:], strict=True):
        assert x == pytest.approx(rates(images, threshold)[0])


@given(images=scored())
def test_turned_round_the_area_is_the_rest(images: Scored) -> None:
    scores, is_positive = images
    area, other = metrics.auc(scores, is_positive), metrics.auc(scores, ~is_positive)
    assert area is not None
    assert other is not None
    assert area + other == pytest.approx(1)
