import json
import shutil
from pathlib import Path

import pytest
from making import NOON, die, keep, validated

from tests.test_events import operating_point
from tests.tui.record_journals import whole_run
from xray_tui import event_lines
from xray_tui.errors import UserError
from xray_tui.runs import follow, upkeep
from xray_tui.runs.compare import compare, letter, to_markdown, to_tree
from xray_tui.runs.record import RunRecord

# Of 40 images, the first is wrong on 2 that the second gets right, the second on 14 that the first does;
# both are wrong on 1.
GOOD = [False] * 3 + [True] * 37
POOR = [False] + [True] * 25 + [False] * 14


def test_mcnemar_by_hand_and_in_words(tmp_path: Path) -> None:
    found = compare([validated(tmp_path, GOOD), validated(tmp_path, POOR, at=NOON + 60)])
    (test,) = found.tests
    assert (test.first, test.second, test.only_first_right, test.only_second_right) == (0, 1, 14, 2)
    assert test.p == pytest.approx(2 * (1 + 16 + 120) / 2**16)
    assert test.words == (
        "A is right on 14 images that B gets wrong, B on 2 that A gets wrong: "
        "A is better, and chance alone would rarely do that (McNemar, p = 0.004)."
    )


def test_a_difference_that_may_be_chance(tmp_path: Path) -> None:
    one = validated(tmp_path, [False] * 2 + [True] * 18)
    other = validated(tmp_path, [True] * 19 + [False], at=NOON + 60)
    (test,) = compare([one, other]).tests
    assert (test.only_first_right, test.only_second_right, test.p) == (1, 2, 1.0)
    assert "A is right on 1 image that B gets wrong" in test.words
    assert test.words.endswith("the difference may well be chance (McNemar, p = 1.00).")


def test_images_are_matched_by_name_not_by_place(tmp_path: Path) -> None:
    one, other = validated(tmp_path, GOOD), validated(tmp_path, GOOD, at=NOON + 60, backwards=True)
    (test,) = compare([one, other]).tests
    assert (test.only_first_right, test.only_second_right, test.p) == (0, 0, None)
    assert test.words == "A and B are right on the same images: nothing parts them."


def test_other_images_have_no_test_and_that_is_said(tmp_path: Path) -> None:
    one, other = validated(tmp_path, GOOD), validated(tmp_path, GOOD, at=NOON + 60, first_image=10)
    found = compare([one, other])
    assert found.tests == []
    assert (
        "A and B have no paired test: they were validated on different images (40 and 40, 20 in common)."
        in (found.notes)
    )


def test_hidden_names_do_not_tell_whether_the_images_are_the_same(tmp_path: Path) -> None:
    plain = validated(tmp_path, GOOD)
    one, other = (
        validated(tmp_path, GOOD, at=NOON + 60 * n, first_image=100 * n, data__hash_names=True)
        for n in (1, 2)
    )
    notes = compare([plain, one, other]).notes
    unknown = "file names, and whether the images are the same cannot be told."
    assert f"A and B have no paired test: one hides its {unknown}" in notes
    assert f"B and C have no paired test: both hide their {unknown}" in notes
    assert not any("different images" in note for note in notes)


def test_operating_points_that_are_left_out_are_told(tmp_path: Path) -> None:
    runs = [validated(tmp_path, GOOD, at=NOON + 60 * n) for n in range(4)]
    for directory, rule, threshold, temperature in (
        (runs[0], "youden", 0.3, None),
        (runs[1], "likeliest", None, None),
        (runs[2], "likeliest", None, 1.5),
    ):
        point = operating_point(rule=rule, threshold=threshold, temperature=temperature)
        journal = directory.journal.read_bytes()
        line = event_lines.encode(point, journal.count(b"\n"))
        directory.journal.write_bytes(journal + line + b"\n")
    left_out = "Rates and tests are of the likeliest class, uncalibrated; the operating point of "
    assert f"{left_out}A (youden) and of C (calibrated) is left out." in compare(runs).notes
    assert not any(left_out in note for note in compare([runs[1], runs[3]]).notes)


def test_a_run_without_predictions_is_compared_without_a_test(tmp_path: Path) -> None:
    one, other = validated(tmp_path, GOOD), validated(tmp_path, GOOD, at=NOON + 60)
    (other.predictions / "0000.npz").write_bytes(b"no zip")
    found = compare([one, other, keep(tmp_path, at=NOON + 120), keep(tmp_path, [], at=NOON + 180)])
    assert found.tests == []
    assert any(
        note.startswith("B has no paired test: the predictions of epoch 0 are dam") for note in found.notes
    )
    assert "C has no paired test: this run kept no predictions." in found.notes
    assert "D has no paired test: it has no best epoch." in found.notes
    assert found.runs[1].intervals["accuracy"] is not None, "the confusion matrix is enough for that"
    assert found.runs[1].intervals["auc"] is None
    assert found.runs[3].best is None


def test_metrics_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    (run, _) = compare([directory, validated(tmp_path, GOOD, at=NOON + 60)]).runs
    assert run.best == RunRecord.of(follow.read(directory)).best_epoch
    assert run.images == 234 + 390
    assert run.best is not None
    assert run.best.accuracy is not None
    low, high = run.intervals["accuracy"] or (1, 0)
    assert 0.8 < low < run.best.accuracy < high < 0.95


def test_intervals_by_hand(tmp_path: Path) -> None:
    run, _ = compare([validated(tmp_path, GOOD), validated(tmp_path, POOR, at=NOON + 60)]).runs
    # Wilson's of 37 of 40, and of 17 of 20: the 3 mistakes are NORMAL, so specificity has them.
    assert run.intervals["accuracy"] == pytest.approx((0.8014, 0.9742), abs=1e-4)
    assert run.intervals["specificity"] == pytest.approx((0.6396, 0.9476), abs=1e-4)
    assert run.intervals["sensitivity"] == pytest.approx((0.8389, 1.0), abs=1e-4)
    low, high = run.intervals["auc"] or (1, 0)
    assert 0 < low < high < 1


def test_only_settings_that_differ_are_told(tmp_path: Path) -> None:
    one = validated(tmp_path / "a", GOOD, run__name="one", training__seed=7)
    other = validated(tmp_path / "b", GOOD, run__name="other", training__frozen__learning_rate=1e-4)
    found = compare([one, other]).differences
    assert [(d.path, d.values) for d in found] == [
        ("training.frozen.learning_rate", ["0.001", "0.0001"]),
        ("training.seed", ["7", "0"]),
    ]
    assert found[1].description == "seed of everything random"


def test_data_folders_differ_by_name_alone(tmp_path: Path) -> None:
    one = validated(tmp_path, GOOD, data__root="/here/chest")
    other = validated(tmp_path, GOOD, at=NOON + 60, data__root="/there/chest")
    third = validated(tmp_path, GOOD, at=NOON + 120, data__root="/there/abdomen")
    found = compare([one, other])
    assert found.differences == []
    assert any("The data folders are not the same" in note for note in found.notes)
    assert [(d.path, d.values) for d in compare([one, third]).differences] == [
        ("data.root", ["chest", "abdomen"])
    ]


def test_what_to_keep_in_mind(tmp_path: Path) -> None:
    runs = [validated(tmp_path, GOOD, at=NOON + 60 * n, patients=30, data__split="recipe") for n in range(2)]
    runs.append(keep(tmp_path, list(whole_run())[:10], at=NOON + 180, status="running"))
    runs.append(validated(tmp_path, POOR, at=NOON + 240, data__positive="NORMAL"))
    notes = "\n".join(compare(runs).notes)
    assert "C is still running" in notes
    assert "3 pairs were tested" in notes
    assert "Below 0.017" in notes
    assert "Some patients have several images" in notes
    assert "(A, B: selected on test, as published)" in notes
    assert "different classes: NORMAL and PNEUMONIA" in notes
    die(runs[2])
    notes = "\n".join(compare(runs[2:]).notes)
    assert "still running" not in notes
    assert "Some patients" not in notes
    assert "pairs were tested" not in notes


def test_names_are_those_a_person_gave(tmp_path: Path) -> None:
    one, other = validated(tmp_path, GOOD), validated(tmp_path, GOOD, at=NOON + 60, run__name="other")
    upkeep.rename(one, "a | b")
    found = compare([one, other])
    assert [run.name for run in found.runs] == ["a | b", "other"]
    text = to_markdown(found)
    assert text.startswith("# a | b and other\n")
    assert f"* B: other, `{other.name}`" in text


def test_markdown_has_whole_tables(tmp_path: Path) -> None:
    one, other = validated(tmp_path, GOOD, training__seed=3), validated(tmp_path, POOR, at=NOON + 60)
    text = to_markdown(compare([one, other, keep(tmp_path, [], at=NOON + 120)]))
    assert "| accuracy | 92.5 % (80.1 to 97.4) | 62.5 % (47.0 to 75.8) | – |" in text
    assert "| `training.seed` | 3 | 0 | – | seed of everything random |" in text
    assert "* A is right on 14 images" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_markdown_says_of_which_class_the_rates_speak(tmp_path: Path) -> None:
    one = validated(tmp_path, GOOD)
    other = validated(tmp_path, POOR, at=NOON + 60, data__positive="NORMAL")
    text = to_markdown(compare([one, other, keep(tmp_path, [], at=NOON + 120)]))
    assert "| positive | PNEUMONIA (the last by name) | NORMAL | – |" in text


def test_plain_values_are_exact(tmp_path: Path) -> None:
    found = compare([validated(tmp_path, GOOD), validated(tmp_path, POOR, at=NOON + 60)])
    tree = json.loads(json.dumps(to_tree(found)))
    assert tree["tests"][0]["p"] == found.tests[0].p
    assert tree["runs"][0]["accuracy"] == 37 / 40
    assert tree["runs"][0]["intervals"]["auc"] == list(found.runs[0].intervals["auc"] or ())


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    one = validated(tmp_path, GOOD)
    with pytest.raises(UserError, match="two runs or more"):
        compare([one])
    with pytest.raises(UserError, match="named twice"):
        compare([one, one])
    other = keep(tmp_path, at=NOON + 60)
    other.journal.write_text("{\n")
    with pytest.raises(UserError, match="is not an event"):
        compare([one, other])


def test_a_lost_predictions_folder(tmp_path: Path) -> None:
    one, other = validated(tmp_path, GOOD), validated(tmp_path, GOOD, at=NOON + 60)
    shutil.rmtree(other.predictions)
    assert "B has no paired test: this run kept no predictions." in compare([one, other]).notes


def test_letters() -> None:
    assert [letter(n) for n in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
