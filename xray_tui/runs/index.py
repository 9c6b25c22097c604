"""A line about each run of a folder, quickly: a thousand runs in a fraction of a second.

What a journal comes to is kept in one file of the runs folder, ``.index.json``, by the journal's size
and time; it can be deleted at any time. What is not in there is read from the journal itself, whose mistakes
(nine tenths of its bytes) are passed over unread.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from xray_tui import config, event_lines
from xray_tui.errors import UserError
from xray_tui.events import EpochNumber, Event, Fraction, Moment, Number, Outcome, Resumed, RunStarted
from xray_tui.files import replace_bytes
from xray_tui.regular_files import read_regular
from xray_tui.runs import about, soundness, state
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.record import RunRecord, selected_on_test

_VERSION = 3
"""Of the index file: one of another version is made anew."""
_INDEX_BYTES = 1 << 28
_JOURNAL_BYTES = 1 << 31

# Lines that a summary says nothing of. Anchored, so that a name which holds these words is not taken for one.
_PASSED_OVER = re.compile(
    rb'\{"v":%d,"seq":\d+,"t":[^",]+,'
    rb'"type":"(?:mistakes|checkpoint_saved|control_used|warning|stage_ended|operating_point|test_unsealed|'
    rb'test_evaluated)"' % event_lines.VERSION
).match


@dataclass(frozen=True)
class Summary:
    directory: RunDirectory
    name: str
    """As the person named it; else the directory's name."""
    note: str
    status: str
    """As ``state.Status``; ``pruned`` where a sweep cut it short; or ``unreadable``."""
    started: float | None
    """Unix seconds."""
    seconds: float | None
    """As ``RunRecord.seconds``."""
    backbone: str
    stage: str | None
    """The stage it reached."""
    epochs: int
    best_epoch: int | None
    loss: float | None
    """Of validation, at the best epoch; accuracy and AUC likewise."""
    accuracy: float | None
    auc: float | None
    data: str
    """Name of the data folder."""
    settings: dict[str, Any]
    """The resolved settings, as the tree of ``settings.Settings``; empty where none can be read."""

    @property
    def mark(self) -> str:
        """What stands behind its accuracy, to be explained by ``words.SELECTED_ON_TEST``; mostly nothing."""
        return "*" if self.accuracy is not None and selected_on_test(self.settings) else ""


class _Facts(Struct, frozen=True):
    """What a journal comes to; the fields of :class:`Summary` that no other file can change."""

    readable: bool
    lasts: bool = True
    """Whether reading again would come to the same: not where the system could not read just then."""
    started: Moment | None = None
    seconds: Number | None = None
    stage: str | None = None
    epochs: EpochNumber = 0
    best_epoch: EpochNumber | None = None
    loss: Number | None = None
    accuracy: Fraction | None = None
    auc: Fraction | None = None
    outcome: Outcome | None = None
    pruned: bool = False
    settings: dict[str, Any] = {}


class _Entry(Struct, frozen=True):
    size: int
    """Of the journal, in bytes."""
    mtime_ns: int
    facts: _Facts


class _Index(Struct, frozen=True):
    version: int
    runs: dict[str, _Entry]


def find(runs_dir: Path, name: str | None = None) -> RunDirectory:
    """As :meth:`RunDirectory.find`, and by what a person calls the run.

    Raises:
        UserError: there is none, or more than one is called or begins like that.
    """
    try:
        return RunDirectory.find(runs_dir, name)
    except UserError:
        called = [summary.directory for summary in summaries(runs_dir) if summary.name == name]
        if len(called) == 1:
            return called[0]
        if called:
            names = ", ".join(run.name for run in called[:3])
            raise UserError(f"{len(called)} runs are called {name!r}", f"such as {names}") from None
        raise


def find_resumable(runs_dir: Path) -> RunDirectory:
    """The newest run that was cut short; neither one that lives nor one that a sweep gave up.

    Raises:
        UserError: there is none.
    """
    for found in summaries(runs_dir):
        # One that was stopped before its first epoch begins anew; one that failed there would fail again.
        begins_anew = found.status == "interrupted" and not found.epochs
        checkpoint = found.directory.checkpoints / "last.safetensors"
        if begins_anew or (found.status in ("interrupted", "failed") and checkpoint.is_file()):
            return found.directory
    raise UserError(f"no interrupted run in {runs_dir}", "see `xray-tui runs list`, or name --runs-dir")


def summary(directory: RunDirectory) -> Summary:
    """A line about one run; a journal that cannot be read shows as ``unreadable``."""
    return _summary(directory, state.read(directory).status, _facts(directory))


def summaries(runs_dir: Path) -> list[Summary]:
    """A line about each run, newest first."""
    known = _read_index(runs_dir)
    entries: dict[str, _Entry] = {}
    news = False
    found = []
    for directory in list_runs(runs_dir):
        status = state.read(directory)  # before the journal: what it says is then all in it
        key, entry = _key(directory), known.get(directory.name)
        if key is None or entry is None or key != (entry.size, entry.mtime_ns):
            facts = _facts(directory)
            entry = _Entry(*key, facts) if key is not None and facts.lasts else None
            # A live run's journal will have grown by the next time.
            news = news or (entry is not None and not status.live)
        else:
            facts = entry.facts
        if entry is not None:
            entries[directory.name] = entry
        found.append(_summary(directory, status.status, facts))
    if news:
        _write_index(runs_dir, entries)
    return found


def index_file(runs_dir: Path) -> Path:
    return runs_dir / ".index.json"


def _summary(directory: RunDirectory, status: str, facts: _Facts) -> Summary:
    said, settings = about.read(directory), facts.settings
    if status == "interrupted":  # as a run also seems whose state was lost; its journal may know better
        status = "pruned" if facts.pruned else facts.outcome or status
    return Summary(
        directory=directory,
        name=said.name or _at(settings, "run", "name") or directory.name,
        note=said.note,
        status=status if facts.readable else "unreadable",
        started=facts.started,
        seconds=facts.seconds,
        backbone=_at(settings, "model", "backbone"),
        stage=facts.stage,
        epochs=facts.epochs,
        best_epoch=facts.best_epoch,
        loss=facts.loss,
        accuracy=facts.accuracy,
        auc=facts.auc,
        data=Path(_at(settings, "data", "root")).name,
        settings=settings,
    )


def _at(settings: dict[str, Any], group: str, name: str) -> str:
    return str(settings.get(group, {}).get(name, ""))


def _facts(directory: RunDirectory) -> _Facts:
    try:
        record = RunRecord.of(_events(directory))
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        return _Facts(readable=False, lasts=isinstance(error, ValueError), settings=_settings(directory))
    best = record.best_epoch
    return _Facts(
        readable=True,
        started=record.first_t,
        seconds=record.seconds,
        stage=record.stage,
        epochs=len(record.epochs),
        best_epoch=best.epoch if best else None,
        loss=best.validation_loss if best else None,
        accuracy=best.accuracy if best else None,
        auc=best.auc if best else None,
        outcome=record.ended.outcome if record.ended else None,
        pruned=record.ended is not None and record.ended.pruned,
        settings=record.started.settings if record.started else _settings(directory),
    )


def _events(directory: RunDirectory) -> list[Event]:
    """The events that a summary is made from, with the first and the last of all, and those that a process
    told last before another one went on: between the two nobody worked.
    """
    try:
        journal = directory.read(directory.journal, _JOURNAL_BYTES)
    except FileNotFoundError:  # the run ended before it began
        return []
    found: list[Event] = []
    classes: list[str] | None = None

    def read(line: bytes) -> Event | None:
        event = None if not line or line.isspace() else event_lines.decode(line)
        if event is not None:
            soundness.check(event, classes)
        return event

    start, last = 0, journal.rfind(b"\n")  # what stands after it is on its way
    passed = 0, 0
    while (end := journal.find(b"\n", start)) >= 0:  # no split: that would copy what is passed over
        if start != 0 and end != last and _PASSED_OVER(journal, start):
            passed = start, end
        elif event := read(journal[start:end]):
            if isinstance(event, Resumed) and (before := read(journal[slice(*passed)])):
                found.append(before)
            classes = event.classes if isinstance(event, RunStarted) else classes
            found.append(event)
            passed = 0, 0
        start = end + 1
    return found


def _settings(directory: RunDirectory) -> dict[str, Any]:
    """Of a run that never said what it was."""
    if directory.config.is_symlink():
        return {}
    try:
        return config.to_tree(config.load_kept(directory.config))
    except UserError:
        return {}


def _key(directory: RunDirectory) -> tuple[int, int] | None:
    """Size and time of the journal: it only grows, so that both tell one from the other."""
    try:
        found = directory.journal.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _read_index(runs_dir: Path) -> dict[str, _Entry]:
    """What is known already; nothing, where the file is missing, broken or of another version."""
    try:
        content = read_regular(index_file(runs_dir), _INDEX_BYTES, follow=False)
        index = msgspec.json.decode(content, type=_Index)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if index.version != _VERSION:
        return {}
    return {name: entry for name, entry in index.runs.items() if _is_sound(entry.facts)}


def _is_sound(facts: _Facts) -> bool:
    try:
        soundness.check_settings(facts.settings)
    except ValueError:
        return False
    return True


def _write_index(runs_dir: Path, entries: dict[str, _Entry]) -> None:
    """Keep it for the next time, which is only slower where the folder cannot be written."""
    try:
        replace_bytes(index_file(runs_dir), msgspec.json.encode(_Index(_VERSION, entries)))
    except OSError:
        return
