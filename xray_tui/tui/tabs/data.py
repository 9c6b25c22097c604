"""The Data tab: what a run learns from, seen before it does."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from PIL import Image
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widgets import Static

from xray_tui.errors import UserError
from xray_tui.settings import Settings, TrainingSettings
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.bars import CountsPane, SizesPane
from xray_tui.tui.panes.clear import Clear, ClearContainer
from xray_tui.tui.panes.findings import FindingsPane
from xray_tui.tui.panes.gallery import Gallery
from xray_tui.tui.panes.picture import PictureClass
from xray_tui.tui.panes.turns import Turn, TurnLine
from xray_tui.tui.screens.radiograph import RadiographScreen
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless

if TYPE_CHECKING:  # the data part is not needed for the first frame
    from xray_tui.data.findings import Finding
    from xray_tui.tui.collection import Collection

WIDE_COLUMNS, WIDE_ROWS = 120, 30
"""From that on (of the whole terminal) all panes are seen at once."""
_ROOMY_COLUMNS = 160
"""From that on the gallery has more than half of the width."""
_FRAME_SECONDS = 0.1
_TURNS = (("data-overview", "overview"), ("findings-pane", "findings"), ("gallery", "gallery"))
_NOTHING = "No data folder yet."
_HOW_TO_NAME_ONE = (
    "{train} opens the start form: name the folder there that holds train/ and test/. "
    "Or begin with xray-tui ~/chest_xray; xray-tui demo makes radiographs of its own."
)


class Target(NamedTuple):
    """What is to be checked, with the settings that matter for it and no others."""

    root: str
    settings: Settings

    @classmethod
    def of(cls, root: str, settings: Settings) -> "Target":
        training = TrainingSettings(seed=settings.training.seed, image_size=settings.training.image_size)
        return cls(root, Settings(data=settings.data, training=training))


class DataTab(Tab, Clear):
    """Counts, sizes, findings and a gallery of the folder that the run on the desk reads, or the next one.

    Args:
        picture: the widget that shows an image in this terminal.
        read: decodes a radiograph for display; called in threads.
        next_settings: what the next run would use.
        busy: whether a run wants the processor.
    """

    HELP = (
        "The radiographs of the run on the screen, else those of the next one. Every file is read and "
        "decoded once and known from then on; {look_again} looks for changed ones. {gallery_role} brings the "
        "next role into the gallery. `xray-tui data check` prints the same."
    )

    def __init__(
        self,
        picture: PictureClass,
        read: Callable[[Path], Image.Image],
        next_settings: Callable[[], Settings],
        busy: Callable[[], bool],
        **named: Any,
    ) -> None:
        super().__init__(**named)
        self._picture, self._read = picture, read
        self._next_settings, self._busy = next_settings, busy
        self._built = False
        self._turn = 0
        """Which pane is seen on a small screen."""
        self._run: ShownRun | None = None
        self._target: Target | None = None
        self._found: Collection | None = None
        """What is known of the folder; ``None`` until its names are."""
        self._role = "train"
        self._stop = threading.Event()
        self._progress: tuple[int, int] | None = None
        """Written by the reading thread, read by the timer."""
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield TurnLine(id="data-turns")
        yield Static(id="no-data")
        with ClearContainer(id="data-board"):
            with ClearContainer(id="data-left"):
                with ClearContainer(id="data-overview"):
                    yield CountsPane(id="counts-pane", classes="pane")
                    yield SizesPane(id="sizes-pane", classes="pane")
                yield FindingsPane(id="findings-pane", classes="pane")
            yield Gallery(self._picture, self._read_inside, id="gallery", classes="pane")

    def on_mount(self) -> None:
        self._built = True
        self._timer = self.set_interval(_FRAME_SECONDS, self._show_progress, pause=True)
        self._say_nothing()
        self.enter()

    def on_resize(self) -> None:
        self._lay_out()

    def on_unmount(self) -> None:
        self._stop.set()

    # Which folder

    def enter(self) -> None:
        self._follow()
        seen = self._built and self._found is not None and self.display
        if seen and not self.small and self.screen.focused is None:
            self.query_one("#findings").focus()

    def show(self, run: ShownRun | None) -> None:
        self._run = run
        self._follow()

    def _follow(self) -> None:
        """Check the folder of the run on the desk, else that of the next one, where it is another."""
        if not self._built:
            return
        target = self._wanted()
        if target == self._target:
            return
        self._target = target
        self._forget()
        if target is None:
            self._say_nothing()
        else:
            self._check(target)

    def _wanted(self) -> Target | None:
        settings = self._next_settings()
        started = self._run.record.started if self._run else None
        if started is not None:
            # A run of another version may have other settings: its folder is known all the same.
            with suppress(msgspec.ValidationError):
                settings = msgspec.convert(started.settings, Settings)
            if self._run is not None and self._run.data_root is not None:
                return Target.of(str(self._run.data_root), settings)
        root = settings.data.root.strip()
        return Target.of(root, settings) if root else None

    def _forget(self) -> None:
        self._stop.set()
        self._found, self._progress, self._role = None, None, "train"
        self.query_one(Gallery).forget()

    # Reading

    @work(exclusive=True, group="check")
    async def _check(self, target: Target, *, again: bool = False) -> None:
        self._stop.set()
        stop = self._stop = threading.Event()
        if self._found is None:
            self._say("Looking into the folder …", target.root)
        try:
            found = await asyncio.to_thread(_look_into, target)
        except UserError as error:
            self._found = None
            self._say(error.message, error.hint, trouble=True)
            return
        except (OSError, RuntimeError) as error:  # no permission, no such ~user
            self._found = None
            self._say(f"cannot look into {target.root}: {error}", trouble=True)
            return
        self._found = found
        if self._role not in found.roles:
            self._role = "train"
        self._say()
        self._show_report()
        self._show_gallery(self.query_one(FindingsPane).open)
        self.enter()

        def progress(done: int, total: int) -> None:
            if not stop.is_set():
                self._progress = done, total

        self._progress = 0, found.report.files
        if self._timer is not None:
            self._timer.resume()
        gentle = self._busy()
        read, unkept = await asyncio.to_thread(found.read_files, progress, stop.is_set, gentle=gentle)
        if stop.is_set():
            return
        self._found, self._progress = read, None
        self._show_progress()
        self._show_report()
        if again:  # where all is as it was, nothing else would tell
            self.app.notify(f"Looked again at {count(read.report.files)} files.")
        if unkept:
            words = f"What was found out could not be kept for the next time: {harmless(unkept)}"
            self.app.notify(words, severity="warning", markup=False)

    def _show_progress(self) -> None:
        done, total = self._progress or (0, None)
        self.query_one(FindingsPane).show_progress(done, total)
        if self._progress is None and self._timer is not None:
            self._timer.pause()

    def _read_inside(self, path: str) -> Image.Image:
        """Decode a radiograph of the folder for display. In a thread."""
        found = self._found
        if found is None:
            raise UserError("the folder is another one by now")
        return found.read(path, self._read)

    # Painting

    def _say(self, words: str = "", more: str = "", *, trouble: bool = False) -> None:
        """A sentence in place of the panes, and what to do; none brings them back."""
        palette, place = Palette.of(self.app), self.query_one("#no-data", Static)
        text = Text(harmless(words), palette.error if trouble else palette.text)
        if more:
            text.append("\n\n").append("\n".join(map(harmless, more.splitlines())), palette.muted)
        place.update(text)
        place.display = bool(words)
        self.query_one("#data-board").display = not words
        self._lay_out()

    def _say_nothing(self) -> None:
        self._say(_NOTHING, KeyMap.of(self.app).fill(_HOW_TO_NAME_ONE))

    def restyle(self) -> None:
        if self._found is not None:
            self._show_report()
            self._show_gallery(self.query_one(FindingsPane).open, at=self.query_one(Gallery).at)

    def _show_report(self) -> None:
        found = self._found
        if found is None:
            return
        report = found.report
        started = self._run.record.started if self._run is not None else None
        note = started.split_note if started is not None else ""  # its settings have the choice, not why
        self.query_one(CountsPane).show(report, found.positive, note)
        self.query_one(SizesPane).show(report)
        self.query_one(FindingsPane).show(report)
        self._lay_out()
        self.renew_keys()

    def _show_gallery(self, finding: "Finding | None" = None, *, at: int = 0) -> None:
        """The radiographs of the role, or those that a finding concerns."""
        found, palette, gallery = self._found, Palette.of(self.app), self.query_one(Gallery)
        if found is None:
            return
        if finding is not None and finding.groups:
            gallery.show(finding.title, found.of_finding(finding, palette), at=at)
        else:
            shots = found.of_role(self._role, palette)
            gallery.show(f"gallery: {self._role} ({count(len(shots))})", shots, at=at)

    # What the person does

    @on(FindingsPane.Opened)
    def _finding_opened(self, event: FindingsPane.Opened) -> None:
        event.stop()
        self._show_gallery(event.finding)

    @on(FindingsPane.Pointed)
    def _file_pointed(self, event: FindingsPane.Pointed) -> None:
        event.stop()
        self.query_one(Gallery).look_at(event.file)

    @on(FindingsPane.Chosen)
    def _file_chosen(self, event: FindingsPane.Chosen) -> None:
        event.stop()
        gallery = self.query_one(Gallery)
        gallery.look_at(event.file)
        self._enlarge(gallery.at)

    @on(Gallery.Opened)
    def _picture_opened(self, event: Gallery.Opened) -> None:
        event.stop()
        self._enlarge(event.index)

    def _enlarge(self, at: int) -> None:
        gallery, found = self.query_one(Gallery), self._found
        if found is None:
            return
        paths = [shot.path for shot in gallery.shots]
        screen = RadiographScreen(
            self._picture,
            lambda path: found.read(path.as_posix(), self._read),
            paths,
            at,
            lambda path: found.about(path, Palette.of(self.app)),
        )

        def seen(last: int | None) -> None:
            if last is not None and last < len(paths):
                gallery.look_at(paths[last])

        self.app.push_screen(screen, seen)

    def do_page_before(self) -> None:
        self.query_one(Gallery).turn(-1)

    def do_page_after(self) -> None:
        self.query_one(Gallery).turn(1)

    def do_gallery_role(self) -> None:
        found = self._found
        if found is None:
            return
        if not self.query_one(FindingsPane).close():  # closing it has brought the role back
            roles = found.roles
            self._role = roles[(roles.index(self._role) + 1) % len(roles)]
            self._show_gallery()

    def do_look_again(self) -> None:
        target = self._wanted()
        if target is None or target != self._target:
            self._follow()
        else:
            self.query_one(Gallery).forget()
            self._check(target, again=True)

    def back(self) -> bool:
        return self._built and self.query_one(FindingsPane).close()

    def why_not(self, action: str) -> str:
        if not self._built or self._found is None:
            known = action in ("page_before", "page_after", "gallery_role", "look_again")
            if action == "look_again" and self._target is not None:
                return ""
            return "There are no radiographs to show yet." if known else ""
        gallery = self.query_one(Gallery)
        if action == "page_before" and gallery.page == 0:
            return "This is the first page."
        if action == "page_after" and gallery.page >= gallery.pages - 1:
            return "This is the last page."
        if action == "look_again" and self._progress is not None:
            return "The folder is being read."
        return ""

    # Small screens

    def next_pane(self, step: int) -> None:
        """On a small screen: bring the next pane into view."""
        self.open_pane((self._turn + step) % len(_TURNS))

    def open_pane(self, index: int) -> None:
        if self._found is None:
            return
        self._turn = index
        self._lay_out()
        if index == 0:
            self.screen.set_focus(None)
        else:
            self.query_one("#findings" if index == 1 else "#gallery").focus()

    def _lay_out(self) -> None:
        if not self._built:
            return
        size = self.app.size
        self.small = size.width < WIDE_COLUMNS or size.height < WIDE_ROWS
        self.set_class(self.small, "-small")
        self.set_class(size.width < _ROOMY_COLUMNS, "-narrow")
        findings = len(self._found.report.findings) if self._found is not None else 0
        turns = [
            Turn(f"{title} {findings}" if title == "findings" and findings else title, (name,))
            for name, title in _TURNS
        ]
        line = self.query_one(TurnLine)
        line.show(tuple(turns), self._turn)
        line.display = self.small and self.query_one("#data-board").display
        for index, (name, _) in enumerate(_TURNS):
            self.query_one(f"#{name}").display = not self.small or index == self._turn
        self.query_one("#data-left").display = not self.small or self._turn < 2


def _look_into(target: Target) -> "Collection":
    """What the names in the folder tell. Runs in a thread."""
    from xray_tui.tui.collection import look_into  # late: numpy and Pillow take longer than a frame

    return look_into(Path(target.root).expanduser(), target.settings)
