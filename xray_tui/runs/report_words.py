"""The sentences of a run's report, in Markdown."""

from collections.abc import Sequence

from xray_tui.events import ControlUsed, RunStarted
from xray_tui.runs.judged import Judged
from xray_tui.runs.markdown import code, plain
from xray_tui.runs.record import RunRecord
from xray_tui.words import SELECTED_ON_TEST, count, duration, number, percent, probability

NO_DEVICE = (
    "This is research software and no medical device. Nothing in this report is for diagnosis, and no "
    "decision about a patient may rest on it."
)


_PROTOCOLS = {
    "recipe": "As the recipe was published: the folder `test` validates, and the best epoch is chosen on it.",
    "folders": "Train learns, validation chooses, test is evaluated at the end.",
    "holdout": "Train learns; validation, of other patients, chooses; test stays sealed until all is chosen.",
}
_FEW = 50
"""Images. Of losses of a middling classifier drawn 1,500 times, intervals held the true mean in 82 % of the
draws with 8 images, 87 with 16, 89 with 30, 92 with 50, 94 % with 100."""
_UNKNOWN_PATIENTS = "of other images (none tells its patient, who may be in both)"


def protocol(started: RunStarted) -> str:
    """What each role is for."""
    words = _PROTOCOLS.get(str(started.settings.get("data", {}).get("split", "")), "")
    return words if started.patients else words.replace("of other patients", _UNKNOWN_PATIENTS)


def outcome(name: str, folder: str, record: RunRecord) -> str:
    """How the run went, in a line."""
    ended, resumed = record.ended, record.resumed
    words = f"{ended.outcome.capitalize()} ({plain(ended.why)}) after" if ended else "Not ended; so far"
    words += f" {duration(record.seconds)}."
    if resumed:
        epochs = ("epoch " if len(resumed) == 1 else "epochs ") + ", ".join(map(str, resumed))
        words += f" It went on from a checkpoint at {epochs}."
    if name != folder:
        words += f" Its folder is {code(folder)}."
    return words


def results(record: RunRecord, judged: Sequence[Judged]) -> list[str]:
    """The few numbers that everything else is about, a role each."""
    lines = []
    for found in judged:
        parts = []
        for name, title in (("accuracy", "accuracy"), ("sensitivity",) * 2, ("specificity",) * 2):
            interval = found.intervals.get(name)
            bounds = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
            parts.append(f"{title} {percent(getattr(found.metrics, name))}{bounds}")
        interval = found.intervals.get("auc")
        bounds = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        parts.insert(1, f"AUC {number(found.metrics.auc)}{bounds}")
        chosen = (
            f" ({SELECTED_ON_TEST}: optimistic)"
            if found.role == "validation" and record.selected_on_test
            else ""
        )
        at = "" if found.threshold is None else f", at p ≥ {probability(found.threshold)}"
        lines.append(
            f"{found.role.capitalize()}{chosen}, {count(found.images)} images{at}: {', '.join(parts)}."
        )
    if record.test and record.test.skipped:
        lines.append(f"Test was not evaluated: {plain(record.test.skipped)}.")
    return lines


def asked(control: ControlUsed) -> str:
    when = f"in epoch {control.epoch}" if control.epoch is not None else "between epochs"
    return f"{control.words}, {when}, by {plain(control.why)}"


def how_judged(record: RunRecord, judged: Sequence[Judged]) -> str:
    """What the numbers of the table are of."""
    positive, point = plain(record.positive), record.point
    words = f"Positive is {positive}. Weights are those of epoch {judged[0].epoch}, the best. "
    if point is None or point.threshold is None:
        words += "The likeliest class is called. "
    else:
        words += f"{positive} is called from a probability of {probability(point.threshold)} on "
        words += f"({code(point.rule)}, chosen on validation). "
        if any(found.role == "validation" and found.threshold is None for found in judged):
            words += "Validation's rates are those of the likeliest class. "
    if point and point.temperature:
        words += f"Logits are divided by {point.temperature:.3f}, fitted on validation. "
    if any(set(found.intervals) - found.wilson for found in judged):
        words += "Intervals are a bootstrap's by patient: whole patients are drawn with replacement. "
    if any(found.wilson for found in judged):
        words += "(W): Wilson's interval of a proportion, each image for itself. "
    return words.strip()


def limits(started: RunStarted, record: RunRecord, judged: Sequence[Judged]) -> list[str]:
    """What the run itself knows against its numbers; nothing is known here of how the images came to be."""
    found = []
    if record.selected_on_test:
        found.append(
            "The best epoch was chosen on the folder `test`, as the recipe was published. Validation's "
            "numbers are those of the images that chose: optimistic, and not to be compared with numbers of "
            "images never seen."
        )
    elif judged:
        found.append("Validation chose the best epoch and what else was chosen: its numbers are optimistic.")
    unsealed, test = record.unsealed, record.test
    if unsealed:
        runs = (
            "No other run of this user is known to have"
            if unsealed.times == 1
            else f"{count(unsealed.times)} runs of this user, this one included,"
        )
        found.append(
            f"{runs} looked at exactly these test images, or chosen by them. Each look is a chance to choose "
            "by them; one at a part of them, from elsewhere or by `xray-tui predict` is not counted."
        )
        if record.unsealed_amid is not None:
            found.append(
                f"Test was looked at after {count(record.unsealed_amid)} epochs, before training went on: "
                "what was chosen since may have been chosen by it."
            )
    elif test and not test.skipped:
        found.append("How often these test images have been looked at was not counted.")
    if test is None or test.skipped:
        found.append("There are no numbers of images that had no part in choosing.")
    found += [
        "All images are of one data folder: what another hospital, device or age would give is not known.",
        "Labels are what the data folder says; nobody checked them here.",
        "Which images are of one patient is known only from file names, a table's column or DICOM headers; "
        "an image of which none tells it is a patient of its own.",
        "It is one run with one seed: intervals tell of the images, not of the chance in training.",
    ]
    if any(one.images < _FEW for one in judged):
        found.append(
            f"Of fewer than {_FEW} images intervals are narrower than they say: of 16, the bootstrap's 95 % "
            "ones hold the true mean loss about 87 times in 100."
        )
    if limit := started.settings.get("data", {}).get("limit"):
        found.append(f"At most {count(int(limit))} images of each role were used.")
    if record.ended is None or record.ended.outcome != "done":
        found.append("The run did not come to its end.")
    return found
