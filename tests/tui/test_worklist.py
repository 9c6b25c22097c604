"""The list of mistakes and its filter, without a screen."""

import numpy as np
import pytest

from tests.test_events import operating_point
from xray_tui.errors import UserError
from xray_tui.runs.predictions import EpochPredictions, Images
from xray_tui.tui.image_filter import Facts, parse
from xray_tui.tui.reading import own_threshold
from xray_tui.tui.worklist import Order, Worklist

CLASSES = ["NORMAL", "PNEUMONIA"]
NAMES = ["IM-0031", "person7_virus", "IM-0002", "person12_bacteria", "IM-0010", "person1_virus"]
ACTUAL = [0, 1, 0, 1, 0, 1]
POSITIVE = [0.9, 0.2, 0.6, 0.8, 0.1, 0.4]
"""Wrong: 0 and 2 (false alarms), 1 and 5 (missed)."""


def predictions(positive: list[float], epoch: int = 3) -> EpochPredictions:
    p = np.array(positive, np.float32)
    both = np.stack([1 - p, p], 1)
    return EpochPredictions(epoch, both, -np.log(both[np.arange(len(p)), ACTUAL]).astype(np.float32))


@pytest.fixture
def work() -> Worklist:
    paths = [f"test/{CLASSES[label]}/{name}.jpeg" for name, label in zip(NAMES, ACTUAL, strict=True)]
    made = Worklist(Images(paths, np.array(ACTUAL), NAMES), CLASSES, positive=1)
    made.look_at(predictions(POSITIVE))
    return made


def test_all_mistakes_worst_first(work: Worklist) -> None:
    assert work.listed.tolist() == [0, 1, 2, 5]
    assert work.mistakes == 4
    assert work.looked_at == 0
    assert work.rates.confusion == [[1, 2], [2, 1]]


@pytest.mark.parametrize(
    ("order", "turned", "listed"),
    [
        ("loss", True, [5, 2, 1, 0]),
        ("confidence", False, [0, 1, 2, 5]),
        ("name", False, [2, 0, 5, 1]),
        ("name", True, [1, 5, 0, 2]),
        ("wrong", False, [5, 1, 2, 0]),
    ],
)
def test_every_order(work: Worklist, order: Order, turned: bool, listed: list[int]) -> None:
    work.count_wrong(np.array([0, 2, 1, 9, 9, 3]))
    work.sort(order, turned=turned)
    assert work.listed.tolist() == listed
    assert work.looked_at == 0, "the same image stays under the cursor"
    assert work.place == listed.index(0)


def test_the_runs_own_threshold_is_where_it_begins_and_what_rates_are_compared_with() -> None:
    made = Worklist(Images(NAMES, np.array(ACTUAL), NAMES), CLASSES, positive=1, own=0.7)
    made.look_at(predictions(POSITIVE))
    assert made.listed.tolist() == [0, 1, 5], "0.6 is no positive any more"
    assert made.rates is made.own_rates
    made.move_threshold(0.3)
    assert (made.rates.sensitivity, made.own_rates.sensitivity) == (2 / 3, 1 / 3)


@pytest.mark.parametrize(
    ("threshold", "temperature", "classes", "wanted"),
    [
        (None, None, 2, None),
        (0.4, None, 2, 0.4),
        (0.4, None, 3, 0.4),
        # Odds of 1 : 2 were the square root of 1 : 4 before they were calibrated.
        (1 / 3, 2.0, 2, 0.2),
        (1 / 3, 2.0, 3, None),
        (1.0, 2.0, 2, 1.0),
        (1e-30, 20.0, 2, 0.0),
    ],
)
def test_the_threshold_of_what_is_not_calibrated(
    threshold: float | None, temperature: float | None, classes: int, wanted: float | None
) -> None:
    point = operating_point(threshold=threshold, temperature=temperature)
    found = own_threshold(point, classes)
    assert found == (wanted if wanted is None else pytest.approx(wanted, rel=1e-4))
    assert own_threshold(None, classes) is None


def test_directions(work: Worklist) -> None:
    work.show_direction("missed")
    assert work.listed.tolist() == [1, 5]
    assert work.looked_at == 1
    work.show_direction("alarms")
    assert work.listed.tolist() == [0, 2]
    assert work.mistakes == 4


def test_the_threshold_moves_rates_and_list_together(work: Worklist) -> None:
    work.move_threshold(0.15)
    assert work.rates.confusion == [[1, 2], [0, 3]]
    assert work.rates.sensitivity == 1
    assert work.listed.tolist() == [0, 2]
    assert work.own_rates.confusion == [[1, 2], [2, 1]]
    work.move_threshold(None)
    assert work.listed.tolist() == [0, 1, 2, 5]


def test_an_image_that_becomes_right_stays_until_another_is_looked_at(work: Worklist) -> None:
    work.looked_at = 1
    work.move_threshold(0.15)
    assert work.listed.tolist() == [0, 1, 2]
    assert work.predicted[1] == work.images.actual[1]
    assert work.mistakes == 2
    assert work.listed_mistakes.tolist() == [0, 2]
    work.looked_at = 2
    work.move_threshold(0.16)
    assert work.listed.tolist() == [0, 2]


def test_the_same_image_is_looked_at_in_another_epoch(work: Worklist) -> None:
    work.looked_at = 5
    work.look_at(predictions([0.1, 0.9, 0.7, 0.9, 0.1, 0.2]))
    assert work.listed.tolist() == [5, 2]
    work.look_at(predictions([0.1, 0.9, 0.7, 0.9, 0.1, 0.9]))
    assert work.listed.tolist() == [2, 5]
    assert work.predicted[5] == work.images.actual[5]


def test_a_filter_brings_another_image_where_it_leaves_this_one_out(work: Worklist) -> None:
    work.show_filter(parse("virus"))
    assert work.listed.tolist() == [1, 5]
    assert work.looked_at == 1
    work.show_filter(parse("nobody"))
    assert work.looked_at is None
    work.show_filter(parse(""))
    assert work.looked_at == 0


def test_losses_that_are_no_numbers_stand_first(work: Worklist) -> None:
    found = predictions(POSITIVE)
    found.losses[5] = np.nan
    work.look_at(found)
    assert work.listed.tolist() == [5, 0, 1, 2]


def test_images_without_numbers_are_neither_right_nor_wrong(work: Worklist) -> None:
    work.look_at(predictions([np.nan, *POSITIVE[1:]]))
    assert (work.listed.tolist(), work.uncalled) == ([1, 2, 5], 1)
    assert work.looked_at == 1, "the one that was looked at has nothing to say"
    assert (work.rates.accuracy, work.rates.confusion) == (None, [[0, 0], [0, 0]])
    work.look_at(predictions([np.nan] * 6))
    work.move_threshold(0.3)
    assert (work.listed.tolist(), work.mistakes, work.uncalled) == ([], 0, 6)
    assert work.looked_at is None


def test_the_table_holds_the_mistakes_as_listed(work: Worklist) -> None:
    work.show_filter(parse("virus"))
    rows = list(work.table())
    assert [row[0] for row in rows] == [f"test/PNEUMONIA/{NAMES[image]}.jpeg" for image in (1, 5)]
    assert rows[0][1:3] == ("PNEUMONIA", "NORMAL")
    assert rows[0][3:5] == pytest.approx((0.8, -np.log(0.2)), rel=1e-5)
    assert rows[0][5] == NAMES[1]


def test_three_classes_count_positive_against_the_rest() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.1, 0.45, 0.45]], np.float32)
    images = Images(["a/x.png", "b/y.png", "c/z.png"], np.array([0, 0, 2]), ["x", "y", "z"])
    work = Worklist(images, ["A", "B", "C"], positive=2)
    work.look_at(EpochPredictions(0, p, np.ones(3, np.float32)))
    assert work.listed.tolist() == [1, 2]
    work.show_direction("missed")
    assert work.listed.tolist() == [2]
    work.show_direction("alarms")
    assert work.listed.tolist() == []
    work.move_threshold(0.3)
    assert work.listed.tolist() == [1]
    assert work.rates.sensitivity == 1


def matching(words: str) -> list[int]:
    facts = Facts(
        names=[f"{name.lower()}.jpeg" for name in NAMES],
        classes=[name.lower() for name in CLASSES],
        actual=np.array(ACTUAL),
        said=np.array([1, 0, 1, 1, 0, 0]),
        numbers={
            "p": np.array([0.9, 0.8, 0.6, 0.8, 0.9, 0.6]),
            "loss": np.array([2.3, 1.6, 0.9, 0.2, 0.1, 0.9]),
            "wrong": np.array([5.0, 4, 3, 2, 1, 0]),
        },
    )
    return np.flatnonzero(parse(words).matches(facts)).tolist()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("VIRUS", [1, 5]),
        ("virus person7", [1]),
        ("virus | bacteria", [1, 3, 5]),
        ("| virus |", [1, 5]),
        ("!im-", [1, 3, 5]),
        ("p>=0.9", [0, 4]),
        ("p<0.8 loss>0.5", [2, 5]),
        ("p>=80% im", [0, 4]),
        ("wrong=4", [1]),
        ("wrong>=5", [0]),
        ("wrong<=1", [4, 5]),
        ("normal", [0, 1, 2, 4, 5]),
        ("actual:norm", [0, 2, 4]),
        ("said:norm", [1, 4, 5]),
        ("actual:normal said:pneumonia", [0, 2]),
        ('"person7_v"', [1]),
        ("p>=", [0, 1, 2, 3, 4, 5]),
        ("said:", [0, 1, 2, 3, 4, 5]),
        ("!", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_filter(words: str, found: list[int]) -> None:
    assert matching(words) == found


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("zz>3", "zz>3: only p, loss and wrong compare"),
        ("p>high", "p>high: high is not a number"),
        ("is:normal", "is: is not known"),
    ],
)
def test_a_filter_that_is_none_says_what_is_wrong(words: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        parse(words)
