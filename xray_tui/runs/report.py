"""report.md: what a person would send to a colleague."""

from xray_tui import metrics
from xray_tui.events import EpochEnded, RunStarted, TestEvaluated
from xray_tui.files import replace_bytes
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import read
from xray_tui.runs.record import RunRecord
from xray_tui.words import duration, harmless, number, percent


def write_report(directory: RunDirectory) -> None:
    """Write the report of a run as its journal has it."""
    replace_bytes(directory.report, report(directory.name, RunRecord.of(read(directory))).encode())


def report(name: str, record: RunRecord) -> str:
    """The report as Markdown."""
    started, ended = record.started, record.ended
    lines = [f"# {name}", ""]
    if started is None:
        return "\n".join([*lines, f"The run ended before it began: {ended.why if ended else 'unknown'}.", ""])
    if ended:
        lines += [f"{ended.outcome.capitalize()} ({ended.why}) after {duration(ended.seconds)}.", ""]
    lines += _setup(started)
    lines += _epochs(record)
    best = record.best_epoch
    if best:
        lines += [f"## Validation, epoch {best.epoch} (the best)", "", *_scores(best, started)]
    if record.test and record.test.skipped:
        lines += ["## Test", "", f"Not evaluated: {record.test.skipped}.", ""]
    elif record.test:
        lines += [
            f"## Test ({record.test.images} images, evaluated once)",
            "",
            *_scores(record.test, started),
        ]
    if record.controls:
        lines += ["## What people asked of the run", ""]
        lines += [f"* {c.control}, in epoch {c.epoch}, by {c.why}" for c in record.controls] + [""]
    if record.warnings:
        lines += ["## Warnings", ""]
        for warning in record.warnings:
            lines += [f"* {_plain(warning.message)}", *(f"    * `{_plain(path)}`" for path in warning.paths)]
        lines += [""]
    return "\n".join(lines)


def _setup(started: RunStarted) -> list[str]:
    classes = started.classes
    lines = [
        f"{started.backbone} ({started.weights}), {started.parameters / 1e6:.1f} M parameters, "
        f"on {started.device}. Settings: `config.toml`.",
        "",
        "| images | " + " | ".join(_plain(name) for name in classes) + " |",
        "|---" * (len(classes) + 1) + "|",
    ]
    for role, counts in started.images.items():
        lines.append(f"| {role} | " + " | ".join(str(counts.get(name, 0)) for name in classes) + " |")
    lines += ["", f"Split: {started.split_note}.", ""]
    if started.settings["data"]["split"] == "recipe":
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


def _scores(scores: EpochEnded | TestEvaluated, started: RunStarted) -> list[str]:
    """Accuracy never stands alone: the other rates and their intervals stand beside it."""
    confusion, classes = scores.confusion, started.classes
    positive_name = started.settings["data"]["positive"]
    positive = classes.index(positive_name)
    total = sum(map(sum, confusion))
    of_positive = sum(confusion[positive])
    true_positive = confusion[positive][positive]
    called_positive = sum(row[positive] for row in confusion)
    true_negative = total - of_positive - called_positive + true_positive
    rates = [
        ("accuracy", sum(confusion[i][i] for i in range(len(classes))), total),
        ("sensitivity", true_positive, of_positive),
        ("specificity", true_negative, total - of_positive),
    ]
    lines = ["| | value | 95 % interval | images |", "|---|--:|---|--:|"]
    for name, successes, of in rates:
        found = metrics.interval(successes, of)
        bounds = f"{percent(found[0])} to {percent(found[1])}" if found else "–"
        lines.append(f"| {name} | {percent(successes / of if of else None)} | {bounds} | {of} |")
    lines.append(f"| AUC | {number(scores.auc, 4)} | | {total} |")
    lines += ["", f"Positive is {_plain(positive_name)}. Intervals are Wilson's.", ""]
    lines.append("| actual \\ predicted | " + " | ".join(_plain(name) for name in classes) + " |")
    lines.append("|---" + "|--:" * len(classes) + "|")
    lines += [
        f"| {_plain(name)} | " + " | ".join(map(str, row)) + " |"
        for name, row in zip(classes, confusion, strict=True)
    ]
    return [*lines, ""]


def _plain(text: str) -> str:
    """Text that is only text in Markdown and in a terminal: control characters shown, pipes escaped."""
    return harmless(text).replace("|", "\\|").replace("`", "'")
