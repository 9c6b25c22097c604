"""Which key does what: the defaults of the registry, and over them the person's own."""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textual.app import App
from textual.binding import Binding
from textual.keys import REPLACED_KEYS, Keys, format_key, key_to_character

from xray_tui.config import Origin
from xray_tui.errors import UserError
from xray_tui.settings_file import nearest, read_keys
from xray_tui.tui.actions import ACTIONS, BY_ID, Action
from xray_tui.words import harmless

RESERVED = {
    "escape": "always goes back",
    "ctrl+c": "copies in a field, and elsewhere tells how to quit",
    "ctrl+q": "always quits",
    "ctrl+p": "opens the commands",
    "enter": "opens what is under the cursor",
    "tab": "goes to the next pane",
    "shift+tab": "goes to the pane before",
    "ctrl+i": "is tab to a terminal",
    "ctrl+m": "is enter to a terminal",
}
"""Keys that no action can have, and why."""

IN_LISTS = {"up", "k", "down", "j", "pageup", "pagedown", "home", "g", "end", "G", "enter"}
"""Keys that move in a list that has the focus, so that no action would get them there."""

_MODIFIERS = {"ctrl", "shift", "alt", "super", "hyper", "meta"}
_OTHER_WORDS = {"esc": "escape", "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown"}
_NAMES = {key.value for key in Keys} | REPLACED_KEYS.keys()
_LAST_NAMED_CHARACTER = 0x24F
"""Of what Unicode names, keyboards have at most the Latin letters and signs: not every emoji is a key."""


_SIGNS = {"←": "left", "→": "right", "↑": "up", "↓": "down", "⌫": "bksp", "\N{RETURN SYMBOL}": "enter"}
"""What keys are written as, and their names."""


class Clash(NamedTuple):
    key: str
    one: Action
    other: Action


class KeyMap:
    """The key of every action.

    Args:
        own: the person's keys by action id, as :func:`normal` gives them; the rest have their defaults.
        spelled: name keys in words alone: in ASCII the sign of one would be that of another.
    """

    def __init__(self, own: Mapping[str, str] | None = None, *, spelled: bool = False) -> None:
        self.spelled = spelled
        self._saved = {name: key for name, key in (own or {}).items() if key != BY_ID[name].key}
        self._own = dict(self._saved)

    @classmethod
    def of(cls, app: App[Any]) -> "KeyMap":
        """The app's own; the defaults where it has none."""
        keymap = getattr(app, "keymap", None)
        return keymap if isinstance(keymap, cls) else cls()

    @property
    def own(self) -> dict[str, str]:
        """The person's own keys by action id."""
        return dict(self._own)

    @property
    def whole(self) -> dict[str, str]:
        """The keys of all actions by id, as Textual's ``set_keymap`` takes them.

        A part would not do: where two actions share a key in different places, Textual takes the key
        from both when one of them is mapped to another.
        """
        return {action.id: self.keys(action) for action in ACTIONS}

    def keys(self, action: Action) -> str:
        """The action's keys, with commas where it has several."""
        return self._own.get(action.id, action.key)

    def shown(self, action: Action) -> str:
        """How the action's (first) key is written on the screen."""
        if action.id not in self._own:
            return self.spell(action.shown_key)
        return self.written(self._own[action.id].split(",")[0])

    def shown_key(self, name: str) -> str:
        """As :meth:`shown`, of an action by id."""
        return self.shown(BY_ID[name])

    def fill(self, words: str) -> str:
        """Words with ``{start}`` in them: the key of that action takes its place; so with ``{←}``."""
        return re.sub(
            r"{(\w+|[←→])}",
            lambda found: self.shown_key(found[1]) if found[1] in BY_ID else self._sign_in(found),
            words,
        )

    def _sign_in(self, found: re.Match[str]) -> str:
        return self.spell(found[1]) if found[1] in _SIGNS else found[0]

    def shown_all(self, action: Action) -> str:
        """How all of the action's keys are written on the screen."""
        return self.written(self.keys(action))

    def written(self, keys: str) -> str:
        """How keys, with commas between them, are written on the screen."""
        return self.spell(" ".join(written_key(key) for key in keys.split(",")))

    def spell(self, signs: str) -> str:
        """Signs of keys as this screen can show them."""
        return "".join(_SIGNS.get(sign, sign) for sign in signs) if self.spelled else signs

    def first(self, name: str) -> str:
        """The (first) key of an action by id, as bindings name it."""
        return self.keys(BY_ID[name]).split(",")[0]

    def origin(self, action: Action) -> Origin:
        mine, saved = self._own.get(action.id), self._saved.get(action.id)
        if mine != saved:
            return "edited"
        return "default" if mine is None else "config file"

    def with_keys(self, action: Action, keys: str) -> "KeyMap":
        """Another map, in which the action has these keys, whoever else has them."""
        own = {name: mine for name, mine in self._own.items() if name != action.id}
        return self._like_this(own if keys == action.key else own | {action.id: keys})

    def holders(self, action: Action, key: str) -> list[Action]:
        """The other actions that have the key where this one is done too."""
        return [
            other
            for other in ACTIONS
            if other is not action and meet(action, other) and key in self.keys(other).split(",")
        ]

    def swapped(self, action: Action, key: str) -> "KeyMap | None":
        """With the key on the action, and the action's key so far on those who had it; nothing where that
        gives two actions one key in one place, or an action a key that it cannot have."""
        old = self.keys(action).split(",")[0]
        swapped = self.with_keys(action, key)
        for holder in self.holders(action, key):
            keys = ",".join(old if held == key else held for held in self.keys(holder).split(","))
            try:
                swapped = swapped.with_keys(holder, normal(keys, holder))
            except UserError:
                return None
        return None if any(swapped.clashes()) else swapped

    def _like_this(self, own: Mapping[str, str]) -> "KeyMap":
        other = KeyMap(own, spelled=self.spelled)
        other._saved = self._saved
        return other

    def saved(self) -> "KeyMap":
        """The same keys, now that the config file holds them."""
        return KeyMap(self._own, spelled=self.spelled)

    def clashes(self) -> Iterator[Clash]:
        """Pairs of actions with one key in one place, one of them by the person's own choice."""
        for place, action in enumerate(ACTIONS):
            for other in ACTIONS[place + 1 :]:
                if action.id in self._own or other.id in self._own:
                    shared = set(self.keys(action).split(",")) & set(self.keys(other).split(","))
                    if shared and meet(action, other):
                        yield Clash(min(shared), action, other)


def meet(one: Action, other: Action) -> bool:
    """Whether two actions have a place in common."""
    return not one.places or not other.places or bool(set(one.places) & set(other.places))


def read_keymap(files: Sequence[Path]) -> KeyMap:
    """The keys that config files name in ``[keys]``; a later file wins over an earlier one.

    Raises:
        UserError: a file cannot be read, an action or a key is not known, a key cannot be taken, or two
            actions have one key in one place.
    """
    own: dict[str, str] = {}
    for file in files:
        for name, keys in read_keys(file).items():
            if name not in BY_ID:
                raise UserError(
                    f"no action {harmless(name)} for a key (keys.{harmless(name)} in {file})",
                    nearest(name, BY_ID) or f"the actions are: {', '.join(BY_ID)}",
                )
            try:
                own[name] = normal(keys, BY_ID[name])
            except UserError as error:
                raise UserError(f"{error.message} (keys.{name} in {file})", error.hint) from None
    keymap = KeyMap(own)
    for clash in keymap.clashes():
        raise UserError(
            f"{clash.key} cannot be the key of both {clash.one.id} and {clash.other.id} "
            f"([keys] in {' and '.join(map(str, files))})",
            f"give one of them another key: {clash.one.id} = …",
        )
    return keymap


def normal(keys: str, action: Action) -> str:
    """A key, or several with commas, by the names that the toolkit has for them: ``?`` is question_mark.

    Raises:
        UserError: a key is not known, or the action cannot have it.
    """
    words = [",", " "] if keys == ", " else [keys] if keys in (",", " ") else keys.split(",")
    found = [_named(word if word == " " else word.strip()) for word in words]
    if not all(found):
        raise UserError("a key is missing", 'write it as "s", or as "s,f5" for two')
    for key in found:
        check_key(key, action)
    return ",".join(dict.fromkeys(found))


def check_key(key: str, action: Action) -> None:
    """
    Raises:
        UserError: the key is not known, or the action cannot have it.
    """
    if key not in _NAMES:
        *modifiers, name = key.split("+")
        if not (set(modifiers) <= _MODIFIERS and (name in _NAMES or _is_character(name))):
            near = difflib.get_close_matches(key, _NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else "a letter, a sign, or such as f5, ctrl+k, space"
            raise UserError(f"no key {harmless(key)}", hint)
    if key in action.key.split(","):
        return
    if action.id == "back":
        raise UserError("back keeps its key", f"escape {RESERVED['escape']}")
    if key in RESERVED:
        raise UserError(f"{key} cannot be taken", f"it {RESERVED[key]}")
    if key in IN_LISTS:
        raise UserError(f"{key} cannot be taken", "it moves in lists")


def written_key(key: str) -> str:
    """How a key is written on the screen: ``^k``, ``?``, ``←``."""
    if key.startswith("ctrl+"):
        return f"^{written_key(key.removeprefix('ctrl+'))}"
    character = "+" if key == "plus" else key_to_character(key) or ""
    return character if character.isprintable() and character.strip() else format_key(key)


def _named(word: str) -> str:
    """The toolkit's name of a key as people write it."""
    if len(word) == 1:
        if word == ",":
            return "comma"
        if word == " ":
            return "space"
        return next(binding.key for binding in Binding.make_bindings([Binding(word, "")]))
    *modifiers, name = [part if len(part) == 1 else part.lower() for part in word.split("+")]
    name = _OTHER_WORDS.get(name, name.lower() if "ctrl" in modifiers else name)
    return "+".join([*modifiers, name])


def _is_character(name: str) -> bool:
    character = key_to_character(name) or ""
    if len(name) == 1 or not character:
        return character.isprintable() and bool(character)
    return ord(character) <= _LAST_NAMED_CHARACTER and unicodedata.category(character)[0] in "PSZ"
