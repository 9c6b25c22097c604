"""Reading a run's events back: all at once, as they come, or played at a speed."""

from collections.abc import Iterator

import msgspec

from xray_tui import event_lines
from xray_tui.errors import UserError
from xray_tui.events import Event, Progress, Resumed, RunEnded, RunStarted
from xray_tui.regular_files import open_regular
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.mistakes import unread_mistakes
from xray_tui.runs.soundness import check

_READ_BYTES = 1 << 20
"""At a time: a journal of ten thousand epochs is some 50 MB, and is never in memory twice."""
_LONGEST_BYTES = 1 << 24
"""Of a line: an epoch's mistakes are a few thousand."""
_PROGRESS_BYTES = 1 << 16


class Follower:
    """The events of a run, from its first, as another process writes them."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._offset = 0
        self._line = 0
        self._classes: list[str] | None = None
        self._progress: Progress | None = None

    def poll(self) -> list[Event]:
        """What is new since the last call: journal events, then the newest progress if it changed.

        Mistakes come as ``UnreadMistakes``; a :class:`RunRecord` reads them when they are looked at.

        Raises:
            UserError: the journal cannot be read, or holds a line that is no event of a run.
        """
        found: list[Event] = []
        try:
            with open_regular(self._directory.journal, follow=False, buffer_bytes=_READ_BYTES) as file:
                file.seek(self._offset)
                while line := file.readline(_LONGEST_BYTES):
                    if not line.endswith(b"\n"):
                        if len(line) == _LONGEST_BYTES:
                            raise self._wrong("has no end")
                        break  # it is on its way
                    self._offset += len(line)
                    if event := self._decode(line):
                        found.append(event)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"{self._directory.journal} cannot be read: {error.strerror or error}") from None
        progress = read_progress(self._directory)
        if progress is not None and progress != self._progress:
            self._progress = progress
            found.append(progress)
        return found

    @property
    def live(self) -> bool:
        """Whether more may come."""
        return state.read(self._directory).live

    def _decode(self, line: bytes) -> Event | None:
        self._line += 1
        if line.isspace():
            return None
        try:
            event = unread_mistakes(line) or event_lines.decode(line)
            if event is not None:
                check(event, self._classes)
        except (msgspec.DecodeError, ValueError) as error:
            raise self._wrong(f"is not an event: {error}") from None
        if isinstance(event, RunStarted):
            self._classes = event.classes
        return event

    def _wrong(self, why: str) -> UserError:
        return UserError(f"{self._directory.journal}, line {self._line}, {why}")


def read_progress(directory: RunDirectory) -> Progress | None:
    """Where the epoch under way stands, as last written; ``None`` where nothing says so."""
    try:
        event = event_lines.decode(directory.read(directory.progress, _PROGRESS_BYTES))
        if isinstance(event, Progress):
            check(event)
            return event
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None
    return None


def read(directory: RunDirectory) -> list[Event]:
    """All events of a run so far, progress left out."""
    return [event for event in Follower(directory).poll() if not isinstance(event, Progress)]


def replay(directory: RunDirectory, speed: float) -> Iterator[tuple[float, Event]]:
    """The events of a run, each with the seconds to wait before it at ``speed`` times its own pace.

    What lies between an interruption and its resumption, or an end and a later evaluation, is left out.
    """
    last: float | None = None
    for event in read(directory):
        wait = 0.0 if last is None or isinstance(event, Resumed) else max(0.0, event.t - last) / speed
        last = None if isinstance(event, RunEnded) else event.t
        yield wait, event
