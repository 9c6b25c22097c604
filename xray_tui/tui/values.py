"""What the next run will use, and where each value comes from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xray_tui import config
from xray_tui.config import Origin
from xray_tui.errors import UserError
from xray_tui.kinds import parse, written
from xray_tui.settings import PRESETS, Settings
from xray_tui.settings_file import leaves
from xray_tui.tui import remembered

if TYPE_CHECKING:
    from xray_tui.tui.sources import Source

FIELDS = {
    "data.root": "Data folder",
    "model.backbone": "Backbone",
    "preset": "Preset",
    "training.frozen.epochs": "Frozen epochs",
    "training.unfrozen.epochs": "Unfrozen epochs",
    "hardware.device": "Device",
}
"""The start form's fields by dotted path, in their order."""

EPOCHS = ("training.frozen.epochs", "training.unfrozen.epochs")
NOTHING_TO_TRAIN = "both stages have no epochs: there is nothing to train"


class NextRun:
    """The settings of the next run. The start form and the Settings tab show and change the same one.

    Args:
        settings: what command line, environment, config file and defaults come to.
        origins: where those values come from, by dotted path; the form's last values take the place of
            what was not given. A value that is not the usual one was given on the command line where
            nothing else is said.
    """

    def __init__(self, settings: Settings, origins: Mapping[str, Origin]) -> None:
        self._started: tuple[Source | None, dict[str, Any]] = None, {}
        """The run that was last started from the form, until what started it is remembered."""
        self.take(settings, origins)
        last = {path: value for path, value in remembered.load().items() if _fits(path, value)}
        preset = last.pop("preset", None)
        if preset is not None and self.origin("preset") == "default":
            self._put("preset", preset, "last start")
        for path, value in last.items():
            # The epochs of another preset are no wish of anybody's for this one.
            other = path in EPOCHS and preset not in (None, self.value("preset"))
            if path not in self._given and not other:
                self._put(path, value, "last start")

    def take(
        self, settings: Settings, origins: Mapping[str, Origin], otherwise: Origin = "command line"
    ) -> None:
        """Use these settings instead.

        Args:
            otherwise: where a value comes from that is not the usual one and has no other origin.
        """
        self._learn_usual(settings.preset)
        self._wrong: dict[str, str] = {}
        self._given: dict[str, tuple[Any, Origin]] = {}
        for path, value in leaves(config.to_tree(settings)):
            origin = origins.get(path, "default")
            if origin not in ("default", "preset"):
                self._given[path] = value, origin
            elif value != self._usual[path]:
                self._given[path] = value, otherwise

    @property
    def paths(self) -> list[str]:
        """The dotted paths of all settings."""
        return list(self._usual)

    def value(self, path: str) -> Any:
        return self._given[path][0] if path in self._given else self._usual[path]

    def usual(self, path: str) -> Any:
        """What it is where nobody says anything: the preset's value, else the default."""
        return self._usual[path]

    def origin(self, path: str) -> Origin:
        if path in self._given:
            return self._given[path][1]
        return "preset" if path in PRESETS[self.value("preset")] else "default"

    def changed(self, path: str) -> bool:
        """Whether it is not the usual value."""
        return bool(self.value(path) != self._usual[path])

    @property
    def changes(self) -> dict[str, Any]:
        """The values that are not the usual ones, by dotted path."""
        return {path: self.value(path) for path in self._usual if self.changed(path)}

    def text(self, path: str) -> str:
        """The value as it is typed; a wrong one as it was typed."""
        return self._wrong.get(path, written(self.value(path)))

    def wrong(self, path: str) -> bool:
        """Whether the form holds a text for it that does not fit."""
        return path in self._wrong

    def enter(self, path: str, text: str) -> None:
        """What stands in a field of the form: kept as text where it is wrong."""
        self._wrong.pop(path, None)
        try:
            self.change(path, parse(path, text))
        except UserError:
            self._wrong[path] = text

    def change(self, path: str, value: Any) -> None:
        """Set a value. Another preset brings its epochs along; the rest that was given stays.

        Raises:
            UserError: the value does not fit.
        """
        config.load({path: value})
        self._wrong.pop(path, None)
        if value != self.value(path):
            self._put(path, value, "edited")
            if path == "preset":
                self._forget_epochs()

    def reset(self, path: str) -> None:
        """Back to the usual value."""
        self._wrong.pop(path, None)
        self._given.pop(path, None)
        if path == "preset":
            self._learn_usual(self._usual[path])
            self._forget_epochs()

    def judge(self, path: str, value: Any) -> None:
        """
        Raises:
            UserError: a setting cannot have that value, by itself or beside the others.
        """
        config.load({path: value})
        if path in EPOCHS and value == 0 and all(self.value(stage) == 0 for stage in EPOCHS if stage != path):
            raise UserError(NOTHING_TO_TRAIN)

    def check(self, path: str) -> None:
        """
        Raises:
            UserError: what stands in a field does not fit, by itself or beside the others.
        """
        if path in self._wrong:
            config.load({path: parse(path, self._wrong[path])})
        if path == EPOCHS[1] and self.idle:
            raise UserError(NOTHING_TO_TRAIN)

    @property
    def idle(self) -> bool:
        """Whether neither stage has an epoch."""
        return all(self.text(path) == "0" for path in EPOCHS)

    def settings(self) -> Settings:
        """
        Raises:
            UserError: a value does not fit.
        """
        wrong = {path: parse(path, text) for path, text in self._wrong.items()}
        return config.load({path: value for path, (value, _) in self._given.items()} | wrong)

    def starts(self, source: "Source") -> None:
        """The form's values have started this run."""
        self._started = source, {path: self.value(path) for path in FIELDS}

    def remember(self, source: "Source") -> None:
        """Keep what started the run, once that has a directory: a start that failed is not offered again.

        Raises:
            OSError: the folder cannot be written.
        """
        started, values = self._started
        if source is started and source.directory is not None:
            self._started = None, {}
            remembered.save(values)

    def saved(self) -> None:
        """What was changed in the dashboard stands in the config file now."""
        for path, (value, origin) in self._given.items():
            if origin in ("edited", "last start", "an old run"):
                self._given[path] = value, "config file"

    def _put(self, path: str, value: Any, origin: Origin) -> None:
        if value == self._usual[path]:
            self._given.pop(path, None)
        else:
            self._given[path] = value, origin
        if path == "preset":
            self._learn_usual(value)

    def _learn_usual(self, preset: str) -> None:
        usual = dict(leaves(config.to_tree(config.load({"preset": preset}))))
        self._usual = usual | {"preset": Settings().preset}

    def _forget_epochs(self) -> None:
        for path in EPOCHS:
            self._wrong.pop(path, None)
            self._given.pop(path, None)


def _fits(path: str, value: Any) -> bool:
    """Whether a remembered value is still one; an older version may have known others."""
    if path not in FIELDS:
        return False
    try:
        config.load({path: value})
    except UserError:
        return False
    return True
