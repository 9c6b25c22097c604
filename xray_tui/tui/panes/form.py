"""The start form: what to train on what, checked as one types."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.suggester import Suggester, SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.kinds import in_words
from xray_tui.settings import PRESETS, Settings
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.themes import Palette
from xray_tui.tui.values import FIELDS, NextRun
from xray_tui.words import count, harmless

_SETTLE_SECONDS = 0.25
"""A folder is looked into when the typing stops."""
_FEW_CLASSES = 3
_DATA_FILES = (".csv", ".npz")
_ROOMY_ROWS, _TINY = 32, 60
_COMPACT = "-textual-compact"
"""What ``compact=True`` comes to; that would have the styles of each field found twice."""
_DEVICES = ("auto", "cpu", "cuda", "cuda:0", "mps")


class Listing(Protocol):
    """What we read of ``xray_tui.data.folders.Listing``."""

    @property
    def classes(self) -> list[str]: ...
    @property
    def counts(self) -> dict[str, dict[str, int]]: ...


def look_into(source: Path, columns: str) -> Listing:
    from xray_tui.data.sources import look  # late: not needed for the first frame

    return look(source, columns)


def known_backbones() -> tuple[str, ...]:
    from xray_tui.models.names import BACKBONES  # late: not needed for the first frame

    return BACKBONES


def check_backbone(name: str) -> None:
    from xray_tui.models.names import check_name  # late, as above

    check_name(name)


@dataclass(frozen=True)
class Checks:
    """What the form asks of other parts."""

    scan: Callable[[Path, str], Listing] = look_into
    backbones: Callable[[], tuple[str, ...]] = known_backbones
    check_backbone: Callable[[str], None] = check_backbone


class FolderSuggester(Suggester):
    """Completes a path with the first folder that begins like it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(_complete, value) if value else None


def _complete(value: str) -> str | None:
    head, slash, tail = value.rpartition("/")
    try:
        parent = Path(head + slash).expanduser() if slash else Path()
        names = sorted(
            child.name
            for child in parent.iterdir()
            if child.name.startswith(tail) and (child.suffix.lower() in _DATA_FILES or child.is_dir())
        )
    except (OSError, RuntimeError):  # no such folder, no such user: nothing to complete
        return None
    visible = [name for name in names if tail or not name.startswith(".")]
    if not visible or harmless(visible[0]) != visible[0]:
        return None
    return f"{head}{slash}{visible[0]}"


class Field(Horizontal):
    """A field with its title before it. The title is no widget: each costs time to the first frame."""

    def __init__(self, title: str) -> None:
        super().__init__(classes="field")
        self.title = title

    def render(self) -> Text:
        return Text(self.title if self.app.size.width >= _TINY else self.title.split()[0])


class FormPane(VerticalScroll, can_focus=False):
    """Six fields of the next run's settings, each with its verdict below it.

    Args:
        why_not: why no run can be started now; empty where one can.
    """

    HELP = (
        "What the next run learns from, and how. The folder holds train/ and test/ (and perhaps val/), with "
        "a folder for each class; a CSV file of labels or MedMNIST's .npz will do too. Below a field stands "
        "what was found, or what is wrong. {→} takes the proposal in grey. The Settings tab has all the "
        "other settings."
    )

    class Submitted(Message):
        """The person pressed enter in a field, or the check that they waited for has ended well."""

    def __init__(
        self, values: NextRun, checks: Checks, why_not: Callable[[], str] = str, **named: Any
    ) -> None:
        super().__init__(**named)
        self._values = values
        self._checks = checks
        self._why_not = why_not
        self._problems: dict[str, str] = {}
        self._looking = False
        self._eager = False
        """Whether to start as soon as the folder has been looked at."""
        self._judged: dict[str, dict[str, Any]] = {}
        """What was found about each field, to be said again in another theme's colours."""

    def compose(self) -> ComposeResult:
        self._lay_out(update=False)
        with Vertical(id="form"):
            yield Static(id="form-title")
            for path, title in FIELDS.items():
                with Field(title):
                    yield self._field(path)
                yield Static(id=f"{_id(path)}-verdict", classes="verdict")
            yield Static(id="form-foot")

    def _field(self, path: str) -> Widget:
        value = self._values.text(path)
        if path == "preset":
            options = [(f"{name}: {preset_words(name)}", name) for name in PRESETS]
            chooser = Select(options, value=value, allow_blank=False, id=_id(path))
            chooser.set_reactive(Select.compact, True)
            chooser.add_class(_COMPACT, update=False)
            return chooser
        suggester: Suggester | None = None
        if path == "data.root":
            suggester = FolderSuggester()
        elif path == "model.backbone":
            suggester = SuggestFromList(self._checks.backbones(), case_sensitive=False)
        elif path == "hardware.device":
            suggester = SuggestFromList(_DEVICES)
        placeholder = "~/chest_xray" if path == "data.root" else ""
        field = Input(value, placeholder=placeholder, suggester=suggester, id=_id(path))
        field.set_reactive(Input.compact, True)
        field.add_class(_COMPACT, update=False)
        return field

    def on_mount(self) -> None:
        self.query_one("#form-title", Static).update(self._title())
        self.check_all()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self, *, update: bool = True) -> None:
        size = self.app.size
        self.set_class(size.height < _ROOMY_ROWS, "-small", update=update)
        self.set_class(size.width < _TINY, "-tiny", update=update)

    def _title(self) -> Text:
        palette = Palette.of(self.app)
        title = Text.assemble(("Fine-tune a pretrained network on radiographs\n", f"bold {palette.text}"))
        return title.append(
            "First its new head learns while the body stays frozen, then the whole network.", palette.muted
        )

    def restyle(self) -> None:
        """Say all of it again: the theme is another."""
        self.query_one("#form-title", Static).update(self._title())
        for path, judged in list(self._judged.items()):
            self._judge(path, **judged)

    def check_all(self) -> None:
        for path in FIELDS:
            self._check(path)

    @property
    def settings(self) -> Settings | None:
        """What the form says, where all of it is right."""
        if self._problems or self._looking:
            return None
        return self._values.settings()

    def refill(self) -> None:
        """Show the values anew: they were changed elsewhere."""
        for path in FIELDS:
            field = self.query_one(f"#{_id(path)}")
            if isinstance(field, Input | Select) and field.value != self._values.text(path):
                field.value = self._values.text(path)
        self.check_all()

    def submit(self) -> None:
        """Start, go to the first field that is wrong, or wait until the folder has been looked at."""
        if self._problems:
            first = next(path for path in FIELDS if path in self._problems)
            self.query_one(f"#{_id(first)}").focus()
            self.app.notify(f"{FIELDS[first]}: {self._problems[first]}", severity="warning", markup=False)
        elif self._looking:
            self._eager = True
        else:
            self.post_message(self.Submitted())

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.submit()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        path = _path(event.input.id)
        self._values.enter(path, event.value)
        self._eager = False
        self._check(path)
        if path.endswith(".epochs"):
            self._check("training.unfrozen.epochs")

    @on(Select.Changed)
    def _preset_chosen(self, event: Select.Changed) -> None:
        event.stop()
        if event.value not in PRESETS or event.value == self._values.text("preset"):
            return
        self._values.enter("preset", str(event.value))
        self.refill()

    def _check(self, path: str) -> None:
        if path == "data.root":
            self._look_into_folder()
            return
        try:
            self._values.check(path)
            if path == "model.backbone":
                self._checks.check_backbone(self._values.text(path))
        except UserError as error:
            self._judge(path, problem=in_words(error, path))
        else:
            self._judge(path, verdict=config.describe(path))

    def _look_into_folder(self) -> None:
        typed = self._values.text("data.root").strip()
        self._looking = bool(typed)
        if typed:
            self._judge("data.root", verdict="looking …")
            self._look(typed)
        else:
            self._judge("data.root", problem="name the folder that holds train/ and test/")

    @work(exclusive=True, group="folder")
    async def _look(self, typed: str) -> None:
        if self.is_mounted and self.query_one(f"#{_id('data.root')}").has_focus:
            await asyncio.sleep(_SETTLE_SECONDS)
        try:
            columns = self._values.text("data.columns")
            listing = await asyncio.to_thread(lambda: self._checks.scan(Path(typed).expanduser(), columns))
        except UserError as error:
            self._looking = False
            self._judge("data.root", problem=in_words(error, "data.root"))
        except (OSError, RuntimeError) as error:  # no permission, no such ~user
            self._looking = False
            self._judge("data.root", problem=f"cannot look into it: {error}")
        else:
            self._looking = False
            self._judge_listing(listing)
            if self._eager and not self._problems:
                self.post_message(self.Submitted())
        self._eager = False

    def _judge_listing(self, listing: Listing) -> None:
        """What is there, if the class that is called positive is."""
        positive = self._values.value("data.positive")
        if positive and positive not in listing.classes:
            if self._values.origin("data.positive") != "an old run":
                there = ", ".join(listing.classes)
                problem = f"no class {positive}, which data.positive names (Settings): there are {there}"
                self._judge("data.root", problem=problem)
                return
            self._values.reset("data.positive")  # it was of that run's images
        self._judge("data.root", verdict=_listing_in_words(listing), found=True)

    def _judge(self, path: str, *, verdict: str = "", problem: str = "", found: bool = False) -> None:
        palette = Palette.of(self.app)
        self._judged[path] = {"verdict": verdict, "problem": problem, "found": found}
        if problem:
            self._problems[path] = problem
        else:
            self._problems.pop(path, None)
        colour = palette.error if problem else palette.success if found else palette.faint
        self.query_one(f"#{_id(path)}-verdict", Static).update(Text(harmless(problem or verdict), colour))
        self.query_one(f"#{_id(path)}").set_class(bool(problem), "-wrong")
        self._show_foot()

    def runs_changed(self) -> None:
        """The run that was in the way may have ended."""
        self._show_foot()

    def _show_foot(self) -> None:
        """Say whether the run can be started."""
        palette, foot, keys = Palette.of(self.app), Text(), KeyMap.of(self.app)
        if why := self._why_not():
            foot.append(keys.fill(why), palette.warning)
        elif self._problems:
            wrong = ", ".join(FIELDS[path].lower() for path in FIELDS if path in self._problems)
            foot.append("not ready: ", palette.muted).append(wrong, palette.error)
        else:
            foot.append(f" {keys.shown_key('start')} ", f"bold {palette.primary}").append(
                "starts the run", palette.text
            )
        foot.append("     tab ", f"bold {palette.primary}").append("goes through the fields", palette.muted)
        self.query_one("#form-foot", Static).update(foot)


_PRESET_WORDS = {"recipe": "as published", "tuned": "what works best"}


def preset_words(name: str) -> str:
    """``as published, 10 + 5 epochs``"""
    training = config.load({"preset": name}).training
    return f"{_PRESET_WORDS[name]}, {training.frozen.epochs} + {training.unfrozen.epochs} epochs"


def _id(path: str) -> str:
    return "field-" + path.replace(".", "-").replace("_", "--")


def _path(name: str | None) -> str:
    return next(path for path in FIELDS if _id(path) == name)


def _listing_in_words(listing: Listing) -> str:
    """``NORMAL + PNEUMONIA: train 1,341 + 3,875, test 234 + 390``; of many classes only sums."""
    few = len(listing.classes) <= _FEW_CLASSES
    classes = " + ".join(listing.classes) if few else f"{len(listing.classes)} classes"
    folders = []
    for folder, by_class in listing.counts.items():
        numbers = by_class.values() if few else [sum(by_class.values())]
        folders.append(f"{folder} {' + '.join(map(count, numbers))}")
    return f"{classes}: {', '.join(folders)}"
