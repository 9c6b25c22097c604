"""Where a run's events come from. Each source is a thread that fills a queue; none touches a widget."""

import threading
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from xray_tui.engine import process
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import (
    Best,
    CheckpointSaved,
    Control,
    Emit,
    EpochEnded,
    Event,
    Progress,
    RunEnded,
    RunStarted,
    StageStarted,
)
from xray_tui.files import replace_bytes
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import Follower, read, replay
from xray_tui.settings import Settings
from xray_tui.tui import remembered

_FOLLOW_SECONDS = 0.25
_LOOK_AGAIN_SECONDS = 2.0
"""A followed run writes its progress at most four times a second."""
_FRAME_SECONDS = 0.1
_CAN_WAIT = (Progress, EpochEnded, Best, CheckpointSaved)
"""What comes with an epoch's mistakes is painted with them, once; the rest is a matter of the next frame."""


class Launch(Protocol):
    """The shape of ``xray_tui.launch.start``."""

    def __call__(
        self,
        settings: Settings,
        emit: Emit,
        controls: Controls,
        *,
        opened: Callable[[RunDirectory], None] | None = None,
    ) -> RunEnded | None: ...


class Resume(Protocol):
    """The shape of ``xray_tui.launch.resume``."""

    def __call__(
        self,
        directory: RunDirectory,
        emit: Emit,
        controls: Controls,
        *,
        opened: Callable[[RunDirectory], None] | None = None,
    ) -> RunEnded | None: ...


class Begin(Protocol):
    """Either of them, its first argument given."""

    def __call__(
        self, emit: Emit, controls: Controls, *, opened: Callable[[RunDirectory], None]
    ) -> RunEnded | None: ...


@dataclass(frozen=True)
class Failure:
    """Why a source ended early."""

    message: str
    hint: str
    bug: bool = False
    """Whether it is ours to mend, not the person's."""


class Source(ABC):
    """Events of one run. The thread puts them in; the app takes them out."""

    kind = "run"

    def __init__(self) -> None:
        self.directory: RunDirectory | None = None
        self.failure: Failure | None = None
        self.finished = False
        self.about = ""
        """What runs, in words, before the run itself says so."""
        self.status: str | None = None
        """What the run's own state file says, where someone else writes it."""
        self._waiting: deque[Event] = deque()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stirred: Callable[[], Any] = lambda: None
        self._thread: threading.Thread | None = None

    def begin(self, stirred: Callable[[], Any]) -> None:
        """Start the thread; ``stirred`` is called from it when something more than progress waits."""
        self._stirred = stirred
        self._thread = threading.Thread(target=self._work, name=f"xray-tui {self.kind}", daemon=True)
        self._thread.start()

    def take(self) -> list[Event]:
        """What has come since the last call."""
        with self._lock:
            events = list(self._waiting)
            self._waiting.clear()
        return events

    @abstractmethod
    def request(self, control: Control, value: float | None = None) -> None:
        """Ask something of the run.

        Args:
            value: of ``learning_rate``: the new one.
        """

    def close(self) -> None:
        """Let the thread end; the run itself goes on where it is someone else's."""
        self._closed.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        if self._thread is not None:
            self._thread.join()

    def put(self, event: Event) -> None:
        """Called by the thread. Of progress only the newest is kept: it may come many times a frame."""
        with self._lock:
            if isinstance(event, Progress) and self._waiting and isinstance(self._waiting[-1], Progress):
                self._waiting[-1] = event
            else:
                self._waiting.append(event)
        if not isinstance(event, _CAN_WAIT):
            self._stirred()

    def put_quietly(self, events: Iterable[Event]) -> None:
        """Many at once, without a word: the app takes all of them or none."""
        with self._lock:
            self._waiting.extend(events)

    def _work(self) -> None:
        try:
            self._run()
        except UserError as error:
            self.failure = Failure(error.message, error.hint)
        except Exception as error:
            self.failure = self._bug(error)
        self.finished = True
        self._stirred()

    @abstractmethod
    def _run(self) -> None:
        """In the thread: put events in until there are no more."""

    def _bug(self, error: Exception) -> Failure:
        """Keep the traceback where it can be found; the dashboard lives on."""
        trace = "".join(traceback.format_exception(error))
        folder = self.directory.path if self.directory else remembered.state_folder()
        told = f"{type(error).__name__}: {error}"
        file = Path(folder) / "error.txt"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(file, trace.encode("utf-8", "replace"))  # never through a link
        except OSError as unwritable:
            return Failure(told, f"this is a bug; its trace could not be kept ({unwritable})", bug=True)
        return Failure(told, f"this is a bug; its trace is in {file}", bug=True)


class LiveSource(Source):
    """A run of this process, in this source's thread: until it ends, or another process has it.

    Args:
        begin: starts or resumes it.
        about: what runs, in words.
        past: of a resumed run, its directory.
    """

    kind = "live"

    def __init__(self, begin: Begin, about: str, past: RunDirectory | None = None) -> None:
        super().__init__()
        self.about = about
        self.directory = past
        self.handed_over = False
        """Whether the run has not ended, but goes on in another process."""
        self._begin = begin
        self._past = past
        self._controls = Controls()

    @classmethod
    def start(cls, launch: Launch, settings: Settings) -> "LiveSource":
        """A new run."""
        about = f"{Path(settings.data.root).name} · {settings.model.backbone}"
        return cls(partial(launch, settings), about)

    @classmethod
    def resume(cls, resume: Resume, directory: RunDirectory) -> "LiveSource":
        """A run that was interrupted."""
        return cls(partial(resume, directory), directory.name, directory)

    def request(self, control: Control, value: float | None = None, why: str = "a person") -> None:
        self._controls.use(control, value, why=why)

    def close(self) -> None:
        """A live run ends by being stopped or detached."""

    def _work(self) -> None:
        from xray_tui import launch  # late: TensorBoard's writer

        super()._work()
        launch.release()  # now: an error that the run raised held on to all that it had in memory
        process.keep_objects()

    def _run(self) -> None:
        if self._past is not None:
            # How it ended is void: it goes on.
            self.put_quietly(event for event in read(self._past) if not isinstance(event, RunEnded))
            self._stirred()
        ended = self._begin(self.put, self._controls, opened=self._opened)
        self.handed_over = ended is None

    def _opened(self, directory: RunDirectory) -> None:
        self.directory = directory
        self._stirred()


class FollowSource(Source):
    """A run of another process, live or finished, read from its directory.

    What has finished may be gone on with: that is looked for until nobody looks any more.
    """

    kind = "watch"

    def __init__(self, directory: RunDirectory) -> None:
        super().__init__()
        self.directory: RunDirectory = directory
        self.about = directory.name

    def request(self, control: Control, value: float | None = None) -> None:
        self.directory.request(control, value)

    def _run(self) -> None:
        follower = Follower(self.directory)
        while not self._closed.is_set():
            found = state.read(self.directory)  # before the journal: what it says is then all in it
            events = follower.poll()
            told = found.status != self.status or self.finished == found.live
            self.status = found.status
            self.put_quietly(events)  # a whole journal comes at once: it stirs the app once
            self.finished = not found.live
            if told or any(not isinstance(event, Progress) for event in events):
                self._stirred()
            self._closed.wait(_FOLLOW_SECONDS if found.live else _LOOK_AGAIN_SECONDS)


class ReplaySource(Source):
    """A finished run, played back at a multiple of its own pace; space holds it."""

    kind = "replay"

    def __init__(self, directory: RunDirectory, speed: float) -> None:
        super().__init__()
        self.directory: RunDirectory = directory
        self.about = directory.name
        self._speed = speed
        self.stopped = False
        """Whether the person had enough of it before its end."""
        self._held = threading.Event()

    def request(self, control: Control, value: float | None = None) -> None:
        if control == "pause":
            self._held.set()
        elif control == "resume":
            self._held.clear()
        elif control == "stop":
            self.stopped = True
            self.close()

    @property
    def held(self) -> bool:
        return self._held.is_set()

    def _run(self) -> None:
        self.status = state.read(self.directory).status
        images, stage, epoch = 0, None, 0
        for seconds, event in replay(self.directory, self._speed):
            if isinstance(event, EpochEnded):
                self._train(seconds, event, images)
            else:
                self._wait(seconds)
            if self._closed.is_set():
                return
            match event:
                case RunStarted():
                    images = sum(event.images.get("train", {}).values())
                case StageStarted():
                    stage, epoch = event.stage, event.first_epoch
            self.put(event)
            if isinstance(event, StageStarted) and images:
                self.put(Progress(t=event.t, phase="train", stage=stage, epoch=epoch, total=images))

    def _train(self, seconds: float, ended: EpochEnded, images: int) -> None:
        """The journal holds whole epochs: what lies between is drawn in at the epoch's own speed."""
        passed = 0.0
        while passed < seconds and not self._closed.is_set():
            progress = Progress(
                t=ended.t - (seconds - passed) * self._speed,
                phase="train",
                stage=ended.stage,
                epoch=ended.epoch,
                done=int(images * passed / seconds),
                total=images,
                images_per_second=ended.images_per_second,
            )
            self.put(progress)
            step = min(_FRAME_SECONDS, seconds - passed)
            self._wait(step)
            passed += step

    def _wait(self, seconds: float) -> None:
        self._closed.wait(seconds)
        while self._held.is_set() and not self._closed.is_set():
            self._closed.wait(_FRAME_SECONDS)
