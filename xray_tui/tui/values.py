"""What the start form's fields hold, and the settings they add up to."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from xray_tui import config
from xray_tui.config import Settings
from xray_tui.errors import UserError
from xray_tui.tui import remembered

FIELDS = {
    "data.root": "Data folder",
    "model.backbone": "Backbone",
    "preset": "Preset",
    "training.frozen.epochs": "Frozen epochs",
    "training.unfrozen.epochs": "Unfrozen epochs",
    "hardware.device": "Device",
}
"""The form's fields by dotted path, in their order."""

_WHOLE = ("training.frozen.epochs", "training.unfrozen.epochs")


class FormValues:
    """The fields as texts, begun from the settings, what is remembered, and what was given.

    Args:
        settings: what command line, environment, config file and defaults come to.
        given: the dotted paths that a person gave there: those win over what is remembered.
    """

    def __init__(self, settings: Settings, given: frozenset[str]) -> None:
        self._texts = {path: str(config.get(settings, path)) for path in FIELDS}
        for path, value in remembered.load().items():
            if path in FIELDS and path not in given and self._fits(path, value):
                self._texts[path] = str(value)
        # Beside the form's own fields the run keeps what differs from the preset or was given.
        usual = dict(_leaves(config.load({"preset": settings.preset})))
        self._others = {
            path: value
            for path, value in _leaves(settings)
            if path not in FIELDS and (path in given or value != usual[path])
        }

    def shown(self, path: str) -> str:
        return self._texts[path]

    def enter(self, path: str, text: str) -> None:
        self._texts[path] = text

    def follow_preset(self) -> Iterator[str]:
        """Fill in what the preset says; gives the paths of the fields that changed."""
        settings = config.load({"preset": self._texts["preset"]})
        for path in _WHOLE:
            self._texts[path] = str(config.get(settings, path))
            yield path

    def entered(self) -> dict[str, Any]:
        """The fields' values by dotted path; a number where a number is wanted and one stands there."""
        return {path: _value(path, text.strip()) for path, text in self._texts.items()}

    def settings(self) -> Settings:
        """
        Raises:
            UserError: a value does not fit.
        """
        return config.load(self._others | self.entered())

    def check(self, path: str) -> None:
        """
        Raises:
            UserError: the field's own value does not fit.
        """
        value = self.entered()[path]
        config.load({path: value})
        if path == _WHOLE[1] and all(self.entered()[stage] == 0 for stage in _WHOLE):
            raise UserError("both stages have no epochs: there is nothing to train")

    @staticmethod
    def _fits(path: str, value: Any) -> bool:
        """Whether a remembered value is still one; an older version may have known others."""
        try:
            config.load({path: value})
        except UserError:
            return False
        return True


def _value(path: str, text: str) -> Any:
    if path in _WHOLE:
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _leaves(settings: Settings) -> Iterator[tuple[str, Any]]:
    def walk(tree: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
        for name, value in tree.items():
            if isinstance(value, dict):
                yield from walk(value, f"{above}{name}.")
            else:
                yield f"{above}{name}", value

    return walk(msgspec.to_builtins(settings), "")
