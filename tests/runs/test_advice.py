"""What the watchers say, and above all when they say nothing."""

from pathlib import Path

import msgspec
import pytest
from invented import BALANCED, run, stage, started

from tests.test_events import operating_point
from xray_tui import event_lines, metrics
from xray_tui.events import ControlUsed, Event, RunEnded, TestEvaluated
from xray_tui.runs import advice as watchers
from xray_tui.runs.advice import Advice, advice
from xray_tui.runs.record import RunRecord

FALLING = [0.60, 0.45, 0.36, 0.30, 0.26, 0.23]
OVER = RunEnded(outcome="done", why="every stage finished", best_epoch=0, seconds=60.0)
JOURNAL = Path(__file__).parents[1] / "tui" / "journals" / "whole.jsonl"


def said(record: RunRecord, title: str) -> Advice | None:
    return next((one for one in advice(record) if one.title == title), None)


def test_a_run_that_goes_well_or_has_not_begun_is_left_alone() -> None:
    assert advice(RunRecord()) == []
    assert advice(RunRecord.of([started(), stage("frozen")])) == []
    for epochs in range(1, len(FALLING) + 1):
        assert advice(run(FALLING[:epochs])) == []


def test_a_loss_that_is_no_number() -> None:
    lost = said(run([0.4, None], [0.4, None]), "loss not a number")
    assert lost is not None
    assert lost.severity == "error"
    assert lost.words == "training and validation loss of epoch 1 is not a number"
    assert lost.action == "stop"
    alone = said(run([0.4, 0.3], [0.4, None]), "loss not a number")
    assert alone is not None
    assert alone.words.startswith("validation loss")
    assert "What was best before is kept" in alone.meaning
    never = said(run([0.4], [None], confusion=[[0, 0], [0, 0]]), "loss not a number")
    assert never is not None
    assert never.words.startswith("validation loss")
    assert "kept" not in never.meaning, "there is no best epoch"
    recovered = run([0.4, None, 0.3], [0.4, None, 0.3])
    assert said(recovered, "loss not a number") is None
    begun = started()
    unvalidated = msgspec.structs.replace(begun, images={"train": begun.images["train"]})
    no_images = run([0.4, 0.3], [None, None], confusion=[], begun=unvalidated)
    assert said(no_images, "loss not a number") is None, "without validation images there is no loss to lose"


@pytest.mark.parametrize(
    ("losses", "speaks"),
    [
        ([0.30, 0.40, 0.50], True),
        ([0.30, 0.31, 0.335], True),
        ([0.30, 0.301, 0.312], False),  # within what an epoch's loss is off by chance
        ([0.30, 0.40], False),
        ([0.40, 0.30, 0.50], False),
        ([0.50, 0.30, 0.52, 0.31], True),
        ([0.50, 0.46, 0.50, 0.46], False),
        ([0.50, 0.30, 0.28, 0.40], False),
        ([0.50, None, 0.60, 0.70], False),
    ],
)
def test_a_learning_rate_that_is_too_high(losses: list[float | None], speaks: bool) -> None:
    found = said(run(losses), "learning rate too high")
    assert (found is not None) == speaks
    if found is not None:
        assert found.action == "learning_rate"


def test_few_images_must_swing_further_before_anything_is_said() -> None:
    few = started({"NORMAL": 200, "PNEUMONIA": 200})
    swinging = [0.335, 0.221, 0.264, 0.221]
    assert said(run(swinging), "learning rate too high") is not None
    assert said(run(swinging, begun=few), "learning rate too high") is None


def test_a_changed_learning_rate_is_judged_by_the_epochs_behind_it() -> None:
    rising = [0.30, 0.40, 0.50]
    assert said(run(rising), "learning rate too high") is not None
    changed = ControlUsed(control="learning_rate", stage="frozen", epoch=3, value=3e-4)
    for after in ([0.5], [0.5, 0.55], [0.5, 0.55, 0.52]):
        assert said(run(rising + after, controls=[changed]), "learning rate too high") is None
    again = run([*rising, 0.5, 0.50, 0.60, 0.70], controls=[changed])
    assert said(again, "learning rate too high") is not None


@pytest.mark.parametrize(
    ("train", "validation", "speaks"),
    [
        ([0.40, 0.30, 0.22, 0.16], [0.30, 0.33, 0.36, 0.40], True),
        ([0.40, 0.30, 0.22, 0.16], [0.30, 0.301, 0.302, 0.304], False),  # hardly a rise
        ([0.40, 0.30, 0.22, 0.16], [0.30, 0.36, 0.34, 0.40], False),
        ([0.40, 0.40, 0.40, 0.398], [0.30, 0.33, 0.36, 0.40], False),  # training does not fall
        ([0.40, 0.30, 0.22], [0.30, 0.33, 0.40], False),
        ([0.40, 0.30, 0.22, 0.16], [0.30, None, 0.36, 0.40], False),
    ],
)
def test_overfitting(train: list[float], validation: list[float | None], speaks: bool) -> None:
    found = said(run(train, validation), "overfitting")
    assert (found is not None) == speaks
    if found is not None:
        assert "0.300 → 0.400" in found.words
        assert "best epoch, 0," in found.meaning


def test_what_helps_against_overfitting_depends_on_what_is_to_come() -> None:
    train, validation = [0.40, 0.30, 0.22, 0.16], [0.30, 0.33, 0.36, 0.40]

    def action(record: RunRecord) -> str:
        found = said(record, "overfitting")
        assert found is not None
        return found.action

    assert action(run(train, validation)) == "unfreeze"
    assert action(run(train, validation, begun=started(unfrozen_epochs=0))) == "stop"
    assert action(run(train, validation, more=[OVER])) == "history"


def on_test(right: int, wrong: int, *, of_epoch: int = 0) -> TestEvaluated:
    return TestEvaluated(
        skipped="",
        epoch=of_epoch,
        images=2 * (right + wrong),
        loss=0.5,
        accuracy=right / (right + wrong),
        auc=0.9,
        sensitivity=right / (right + wrong),
        specificity=right / (right + wrong),
        confusion=[[right, wrong], [wrong, right]],
    )


def test_validation_better_than_test_only_beyond_what_their_intervals_allow() -> None:
    validated = [[360, 40], [40, 360]]  # 90 %, from 87.7 to 91.9

    def found(test: TestEvaluated) -> Advice | None:
        return said(run([0.4], confusion=validated, more=[test]), "validation better than test")

    worse = found(on_test(300, 100))
    assert worse is not None
    assert "90.0 % on validation, 75.0 % on test" in worse.words
    assert worse.action == "data"
    assert found(on_test(345, 55)) is None, "86 %, up to 88.6"
    assert found(on_test(6, 2)) is None, "75 % of sixteen images says little"
    assert found(on_test(390, 10)) is None
    assert found(on_test(300, 100, of_epoch=7)) is None, "nothing is known of that epoch"
    point = operating_point(
        rule="sensitivity:0.99", threshold=0.1, accuracy=0.77, sensitivity=0.99, specificity=0.55
    )
    record = run([0.4], confusion=validated, more=[point, on_test(300, 100)])
    assert said(record, "validation better than test") is None, "at the point validation was no better"
    skipped = TestEvaluated(
        skipped="no folder plays test",
        epoch=None,
        images=0,
        loss=None,
        accuracy=None,
        auc=None,
        sensitivity=None,
        specificity=None,
        confusion=[],
    )
    assert found(skipped) is None


@pytest.mark.parametrize("counts", [(0, 16), (14, 16), (16, 16), (540, 624), (1, 5000)])
def test_the_interval_in_closed_form_is_that_of_metrics(counts: tuple[int, int]) -> None:
    assert watchers.interval(*counts) == pytest.approx(metrics.interval(*counts), abs=1e-9)


def test_no_improvement_for_a_while_and_what_helps() -> None:
    train = [0.5 * 0.9**number for number in range(9)]
    flat = [0.40, 0.30, *[0.31, 0.305] * 4][:9]
    assert said(run(train[:6], flat[:6]), "no improvement") is None
    late = said(run(train[:7], flat[:7]), "no improvement")
    assert late is not None
    assert "0.300 (epoch 1) in 5 epochs" in late.words
    assert late.action == "unfreeze"
    alone = said(run(train[:7], flat[:7], begun=started(unfrozen_epochs=0)), "no improvement")
    assert alone is not None
    assert alone.action == "stop"
    assert said(run(train[:7], flat[:7], more=[OVER]), "no improvement") is None
    unfrozen = run(train[:7], flat[:7], more=[stage("unfrozen", first_epoch=7)])
    assert said(unfrozen, "no improvement") is None, "a new stage is given its own time"


@pytest.mark.parametrize(
    ("losses", "speaks"),
    [
        ([0.600, 0.598, 0.596, 0.594], True),
        ([0.600, 0.598, 0.596], False),
        ([0.60, 0.57, 0.55, 0.53], False),
        ([0.050, 0.0498, 0.0497, 0.0495], False),  # there is nowhere to go
        ([0.60, 0.40, 0.30, 0.25, 0.22, 0.21, 0.210, 0.2095, 0.209, 0.2085], False),  # it has arrived
        ([0.60, 0.60, None, 0.60], False),
        ([0.60, 0.63, 0.66, 0.70], False),
    ],
)
def test_a_learning_rate_that_is_too_low(losses: list[float | None], speaks: bool) -> None:
    found = said(run(losses), "learning rate too low")
    assert (found is not None) == speaks
    if found is not None:
        assert found.action == "learning_rate"
        assert "0.600 → 0.594" in found.words


def test_a_long_slow_run_is_judged_by_its_beginning_and_its_end() -> None:
    slow = [0.6 * 0.999**number for number in range(300)]
    assert said(run(slow), "learning rate too low") is not None
    assert (
        said(run(slow[:280] + [0.4 * 0.9**number for number in range(20)]), "learning rate too low") is None
    )


LEANING, EVEN = [[180, 54], [20, 370]], [[210, 24], [39, 351]]


def test_class_imbalance_speaks_of_the_rates_it_shows_in() -> None:
    uneven = started({"NORMAL": 1341, "PNEUMONIA": 3875})
    before = said(RunRecord.of([uneven, stage("frozen")]), "class imbalance")
    assert before is not None
    assert before.action == "data"
    found = said(run([0.4], begun=uneven, confusion=LEANING), "class imbalance")
    assert found is not None
    assert found.words == "3,875 PNEUMONIA to 1,341 NORMAL: ★ sensitivity 94.9 %, specificity 76.9 %"
    assert found.action == "mistakes"
    assert said(run([0.4], begun=uneven, confusion=EVEN), "class imbalance") is None, "it does not lean"
    for train in (BALANCED, {"NORMAL": 1000, "PNEUMONIA": 2000}, {"NORMAL": 0, "PNEUMONIA": 2000}):
        assert said(run([0.4], begun=started(train), confusion=LEANING), "class imbalance") is None


def test_class_imbalance_of_more_than_two_classes() -> None:
    uneven = started({"BACTERIA": 300, "NORMAL": 500, "VIRUS": 900})
    leaning = [[40, 20, 40], [5, 90, 5], [2, 3, 95]]
    found = said(run([0.4], begun=uneven, confusion=leaning), "class imbalance")
    assert found is not None
    assert found.words == "900 VIRUS to 300 BACTERIA: ★ 95.0 %, 40.0 %"


def test_the_most_important_comes_first() -> None:
    uneven = started({"NORMAL": 1341, "PNEUMONIA": 3875})
    record = run([0.4, 0.3, 0.2, 0.1], [0.3, 0.33, 0.36, 0.4], begun=uneven, confusion=LEANING)
    assert [one.title for one in advice(record)] == ["overfitting", "class imbalance"]


def test_a_whole_ordinary_run_hears_nothing_but_the_imbalance_of_its_data() -> None:
    """The published recipe on the published data, as recorded, after each of its events."""
    told: list[Event] = [
        event for line in JOURNAL.read_bytes().splitlines() if (event := event_lines.decode(line)) is not None
    ]
    heard = {one.title for end in range(len(told)) for one in advice(RunRecord.of(told[: end + 1]))}
    assert heard <= {"class imbalance"}
