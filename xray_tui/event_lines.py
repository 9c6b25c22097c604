"""An event as a line of JSON, and back: what the journal, ``progress.json`` and ``--json`` are made of."""

from typing import Any

import msgspec
from msgspec import Struct

from xray_tui.events import AnyEvent, Event

VERSION = 1
"""Of the lines."""

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class _Tagged(Struct):
    type: str
    v: int = VERSION


_OF_THIS_VERSION: dict[type, Any] = {bytes: b'{"v":%d,' % VERSION, str: f'{{"v":{VERSION},'}
"""How our own lines begin, so that not each of a long journal is decoded twice."""
_KNOWN = {kind.__struct_config__.tag for kind in AnyEvent.__args__}


def bare(event: Event) -> dict[str, Any]:
    """The event as plain values, its type and time first, without its arrays."""
    fields = msgspec.to_builtins(msgspec.structs.replace(event, **dict.fromkeys(event.ARRAYS)))
    rest = {key: value for key, value in fields.items() if key not in ("type", "t", *event.ARRAYS)}
    return {"t": fields["t"], "type": fields["type"], **rest}


def encode(event: Event, seq: int | None = None) -> bytes:
    """One line of JSON, without its newline: a journal line where ``seq`` is given."""
    head: dict[str, Any] = {"v": VERSION} if seq is None else {"v": VERSION, "seq": seq}
    return msgspec.json.encode(head | bare(event))


def decode(line: bytes | str) -> AnyEvent | None:
    """The event of a line, or ``None`` where its type is not known here.

    Raises:
        msgspec.DecodeError: the line is not JSON, not an event (``ValidationError``), or of a newer version.
    """
    try:
        if not line.startswith(_OF_THIS_VERSION[type(line)]):
            check_version(line)
        try:
            return _decoder.decode(line)
        except msgspec.ValidationError:
            if msgspec.json.decode(line, type=_Tagged).type in _KNOWN:
                raise
            return None
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8 ({error.reason})") from None
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None


def check_version(line: bytes | str) -> None:
    """
    Raises:
        msgspec.DecodeError: the line is of a newer version, or not JSON.
    """
    version = msgspec.json.decode(line, type=_Tagged).v
    if version > VERSION:
        raise msgspec.DecodeError(
            f"written by a newer xray-tui (version {version} of the journal, this one reads {VERSION})"
        )
