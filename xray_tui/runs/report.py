"""report.md and its figures: what a person would send to a colleague."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from xray_tui.events import RunStarted
from xray_tui.files import Insist, at_once, replace_bytes
from xray_tui.regular_files import NotRegular
from xray_tui.runs import about, report_tables, report_words
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import read
from xray_tui.runs.judged import Judged, judge
from xray_tui.runs.markdown import code, plain
from xray_tui.runs.record import RunRecord
from xray_tui.runs.report_figures import NAMES, draw, worst_mistakes
from xray_tui.words import count


def write_report(directory: RunDirectory, file: Path | None = None, insist: Insist = at_once) -> None:
    """Write the report of a run, and its figures into a folder beside it.

    As the run's journal and predictions have it, and what a person has said about it by now. Takes some
    seconds; needs no screen, and may be called from any thread.

    Args:
        file: default: the run's own ``report.md``, with ``figures/``. Another one, ``NAME.md``, has its
            figures in ``NAME-figures/``.
        insist: writes to the disk.

    Raises:
        UserError: the journal cannot be read.
        OSError: it cannot be written; or the folder of the figures is a link, which may lead anywhere.
    """
    own = file is None or file.absolute() == directory.report.absolute()
    target = directory.report if file is None else file
    folder = directory.figures if own else target.with_name(f"{target.stem}-figures")
    name, note, record = _read(directory)
    judged = judge(record, directory)
    figures = draw(record, judged, directory)
    links = {figure: f"{quote(os.fsencode(folder.name))}/{figure}" for figure in figures}
    text = report(name, record, note, judged, links, directory.path.absolute().name)

    def write() -> None:
        _write_figures(folder, figures)
        # A file name of another encoding, in the path of the runs folder, is no text.
        replace_bytes(target, text.encode("utf-8", "replace"))

    insist(write, target.__str__)


def report_of(directory: RunDirectory) -> str:
    """The report of a run as Markdown, without figures.

    Raises:
        UserError: its journal cannot be read.
    """
    name, note, record = _read(directory)
    return report(name, record, note, judge(record, directory), folder=directory.path.absolute().name)


def report(
    name: str,
    record: RunRecord,
    note: str = "",
    judged: Sequence[Judged] | None = None,
    figures: Mapping[str, str] | None = None,
    folder: str = "",
) -> str:
    """The report as Markdown.

    Args:
        note: what a person wrote about the run.
        judged: what the run came to; default: what its journal tells.
        figures: where figures lie, by name; default: there are none.
        folder: what the run's folder is called now; default: as when it began.
    """
    judged = judge(record) if judged is None else judged
    figures = figures or {}
    started, ended = record.started, record.ended
    lines = [f"# {plain(name)}", ""]
    if note:
        lines += [*(f"> {plain(line)}" for line in note.splitlines()), ""]
    if started is None:
        why = plain(ended.why) if ended else "nothing says why"
        return "\n".join([*lines, f"The run ended before it began: {why}.", ""])
    lines += [
        report_words.outcome(name, folder or started.run, record),
        "",
        *(f"* {line}" for line in report_words.results(record, judged)),
    ]
    lines += ["", f"**{report_words.NO_DEVICE}**", ""]
    lines += _what_was_run(started, record)
    lines += _images(started)
    lines += ["## Settings", "", f"Preset {_preset(started)}, and what is set otherwise:", ""]
    lines += report_tables.settings(started)
    if record.epochs:
        lines += ["## Training", "", *_figure("epochs.png", "Loss and rates over the epochs", figures)]
        lines += report_tables.epochs(record)
    lines += _numbers(record, judged, figures)
    lines += _mistakes(record, judged, figures)
    if record.controls:
        lines += ["## What people asked of the run", ""]
        lines += [f"* {report_words.asked(control)}" for control in record.controls] + [""]
    if record.warnings:
        lines += ["## Warnings", ""]
        for warning in record.warnings:
            lines += [f"* {plain(warning.message)}", *(f"    * {code(path)}" for path in warning.paths)]
        lines += [""]
    lines += ["## Limits", "", *(f"* {limit}" for limit in report_words.limits(started, record, judged)), ""]
    return "\n".join(lines)


def _read(directory: RunDirectory) -> tuple[str, str, RunRecord]:
    """What a run is called, what was noted about it, what it came to."""
    record = RunRecord.of(read(directory))
    name = about.called(directory, record.started.settings if record.started else {})
    return name, about.read(directory).note, record


def _write_figures(folder: Path, figures: Mapping[str, bytes]) -> None:
    """Write them, and take away those of an earlier report."""
    if folder.is_symlink():
        raise NotRegular(stat.S_IFLNK, folder)
    if figures:
        folder.mkdir(exist_ok=True)
    for name in NAMES:
        if name in figures:
            replace_bytes(folder / name, figures[name])
        elif folder.is_dir():
            (folder / name).unlink(missing_ok=True)


def _figure(name: str, words: str, figures: Mapping[str, str]) -> list[str]:
    return [f"![{words}]({figures[name]})", ""] if name in figures else []


def _preset(started: RunStarted) -> str:
    return code(str(started.settings.get("preset", "recipe")))


def _what_was_run(started: RunStarted, record: RunRecord) -> list[str]:
    versions = ", ".join(f"{plain(name)} {plain(version)}" for name, version in started.versions.items())
    lines = [
        "## What was run",
        "",
        f"{plain(started.backbone)} ({plain(started.weights)}), {started.parameters / 1e6:.1f} M parameters, "
        f"on {plain(started.device)}, with {versions or 'versions that the run did not note'}.",
        "",
    ]
    for stage in record.stages.values():
        learns = f"{stage.trainable_parameters / 1e6:.1f} of {stage.total_parameters / 1e6:.1f} M parameters"
        epochs = "1 epoch" if stage.epochs == 1 else f"{stage.epochs} epochs"
        lines.append(f"* {stage.stage}: {epochs} planned, {learns} learn, rate {stage.learning_rate:g}")
    return [
        *lines,
        "",
        "```sh",
        report_tables.command(started),
        "```",
        "",
        "`config.toml` in the run's folder has every setting: `xray-tui train DATA --config config.toml`.",
        "",
    ]


def _images(started: RunStarted) -> list[str]:
    unreadable = f" {count(started.unreadable)} could not be read." if started.unreadable else ""
    return [
        "## Images",
        "",
        *report_tables.images(started),
        f"Split: {plain(started.split_note)}. {report_words.protocol(started)}{unreadable}".strip(),
        "",
    ]


def _numbers(record: RunRecord, judged: Sequence[Judged], figures: Mapping[str, str]) -> list[str]:
    if not judged:
        return ["## Metrics", "", "No epoch ended with a best one: there is nothing to judge.", ""]
    positive = record.classes.index(record.positive)
    lines = ["## Metrics", "", *report_tables.scores(judged, positive)]
    lines += [report_words.how_judged(record, judged), ""]
    for found in judged:
        lines += report_tables.per_class(found, record.classes, positive)
        if found.missing:
            lines += [f"No curves of {found.role}: {plain(found.missing)}", ""]
    lines += _figure("roc.png", "ROC", figures)
    lines += _figure("precision_recall.png", "Precision and recall", figures)
    lines += _figure("calibration.png", "Calibration", figures)
    lines += ["## Confusion", ""]
    lines += _figure("confusion.png", "Confusion matrices", figures)
    for found in judged:
        lines += report_tables.confusion(found, record.classes)
    return lines


def _mistakes(record: RunRecord, judged: Sequence[Judged], figures: Mapping[str, str]) -> list[str]:
    worst, total = worst_mistakes(record, judged)
    if not worst:
        return []
    lines = ["## Worst mistakes", ""]
    if shown := _figure("mistakes.png", "The worst mistakes", figures):
        seen = ", with where the network looked (Grad-CAM) where that was kept" if record.explained else ""
        lines += [*shown, f"By loss, as in the table{seen}.", ""]
    elif figures:
        lines += ["No pictures: none of the radiographs can be read from the data folder now.", ""]
    lines += report_tables.mistakes(worst, record.classes)
    return [*lines, f"{count(len(worst))} of {count(total)} mistakes on validation.", ""]
