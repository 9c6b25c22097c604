"""report.md: what a person would send to a colleague."""

from xray_tui.events import ControlUsed, EpochEnded, RunStarted, TestEvaluated
from xray_tui.files import replace_bytes
from xray_tui.runs import about
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import read
from xray_tui.runs.record import RunRecord
from xray_tui.words import duration, harmless, number, percent


def write_report(directory: RunDirectory) -> None:
    """Write the report of a run as its journal has it, and what a person has said about it by now."""
    replace_bytes(directory.report, report_of(directory).encode("utf-8", "replace"))


def report_of(directory: RunDirectory) -> str:
    """The report of a run as Markdown.

    Raises:
        UserError: its journal cannot be read.
    """
    record = RunRecord.of(read(directory))
    name = about.called(directory, record.started.settings if record.started else {})
    return report(name, record, about.read(directory).note)


def report(name: str, record: RunRecord, note: str = "") -> str:
    """The report as Markdown.

    Args:
        note: what a person wrote about the run.
    """
    started, ended = record.started, record.ended
    lines = [f"# {plain(name)}", ""]
    if note:
        lines += [*(f"> {plain(line)}" for line in note.splitlines()), ""]
    if started is None:
        why = plain(ended.why) if ended else "nothing says why"
        return "\n".join([*lines, f"The run ended before it began: {why}.", ""])
    lines += [_outcome(name, started, record), ""]
    lines += _setup(started)
    lines += _epochs(record)
    best = record.best_epoch
    if best:
        lines += [f"## Validation, epoch {best.epoch} (the best)", "", *_scores(best, record)]
    if record.test and record.test.skipped:
        lines += ["## Test", "", f"Not evaluated: {record.test.skipped}.", ""]
    elif record.test:
        lines += [
            f"## Test ({record.test.images} images, evaluated once)",
            "",
            *_scores(record.test, record),
        ]
    if record.controls:
        lines += ["## What people asked of the run", ""]
        lines += [f"* {_asked(control)}" for control in record.controls] + [""]
    if record.warnings:
        lines += ["## Warnings", ""]
        for warning in record.warnings:
            lines += [f"* {plain(warning.message)}", *(f"    * `{plain(path)}`" for path in warning.paths)]
        lines += [""]
    return "\n".join(lines)


def _outcome(name: str, started: RunStarted, record: RunRecord) -> str:
    """How the run went, in a line."""
    ended, resumed = record.ended, record.resumed
    words = f"{ended.outcome.capitalize()} ({plain(ended.why)}) after" if ended else "Not ended; so far"
    words += f" {duration(record.seconds)}."
    if resumed:
        epochs = ("epoch " if len(resumed) == 1 else "epochs ") + ", ".join(map(str, resumed))
        words += f" It went on from a checkpoint at {epochs}."
    if name != started.run:
        words += f" Its folder is `{plain(started.run)}`."
    return words


def _asked(control: ControlUsed) -> str:
    when = f"in epoch {control.epoch}" if control.epoch is not None else "between epochs"
    return f"{control.words}, {when}, by {plain(control.why)}"


def _setup(started: RunStarted) -> list[str]:
    classes = started.classes
    lines = [
        f"{started.backbone} ({started.weights}), {started.parameters / 1e6:.1f} M parameters, "
        f"on {started.device}. Settings: `config.toml`.",
        "",
        "| images | " + " | ".join(plain(name) for name in classes) + " |",
        "|---" * (len(classes) + 1) + "|",
    ]
    for role, counts in started.images.items():
        lines.append(f"| {role} | " + " | ".join(str(counts.get(name, 0)) for name in classes) + " |")
    lines += ["", f"Split: {started.split_note}.", ""]
    if started.settings.get("data", {}).get("split") == "recipe":
        lines += [
            "The best epoch was chosen on the folder `test`, as the recipe was published. The validation "
            "numbers below are therefore optimistic: they are not those of images never seen.",
            "",
        ]
    return lines


def _epochs(record: RunRecord) -> list[str]:
    lines = [
        "| Epoch | Stage | Training Loss | Test Loss | Accuracy | AUC | Sensitivity | Specificity |",
        "|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for e in record.epochs:
        star = " ★" if record.best and record.best.epoch == e.epoch else ""
        cells = [f"{e.epoch}{star}", e.stage, number(e.train_loss, 4), number(e.validation_loss, 4)]
        cells += [percent(e.accuracy), number(e.auc, 4), percent(e.sensitivity), percent(e.specificity)]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", "Test Loss is the validation loss, as published. ★ marks the best epoch.", ""]


def _scores(scores: EpochEnded | TestEvaluated, record: RunRecord) -> list[str]:
    """Accuracy never stands alone: the other rates and their intervals stand beside it."""
    from xray_tui import metrics  # numpy and, within, scipy: only for whoever wants a report

    confusion, classes, positive = scores.confusion, record.classes, record.positive
    lines = ["| | value | 95 % interval | images |", "|---|--:|---|--:|"]
    for name, (successes, of) in metrics.proportions(confusion, classes.index(positive)).items():
        found = metrics.interval(successes, of)
        bounds = f"{percent(found[0])} to {percent(found[1])}" if found else "–"
        lines.append(f"| {name} | {percent(successes / of if of else None)} | {bounds} | {of} |")
    lines.append(f"| AUC | {number(scores.auc, 4)} | | {sum(map(sum, confusion))} |")
    lines += ["", f"Positive is {plain(positive)}. Intervals are Wilson's.", ""]
    lines.append("| actual \\ predicted | " + " | ".join(plain(name) for name in classes) + " |")
    lines.append("|---" + "|--:" * len(classes) + "|")
    lines += [
        f"| {plain(name)} | " + " | ".join(map(str, row)) + " |"
        for name, row in zip(classes, confusion, strict=True)
    ]
    return [*lines, ""]


def plain(text: str) -> str:
    """Text that is only text in Markdown and in a terminal: control characters shown, pipes escaped."""
    return harmless(text).replace("|", "\\|").replace("`", "'")
