"""What ``--json`` prints, but for events, which are lines of their own (`event_lines`)."""

from typing import Any

import msgspec


def json_text(tree: object, *, indent: int = 0) -> str:
    """Structs and plain values as JSON, on one line without ``indent``.

    A path's bytes that are no UTF-8 are written out, with backslashes.
    """
    line = msgspec.json.encode(_told(msgspec.to_builtins(tree)))
    return (msgspec.json.format(line, indent=indent) if indent else line).decode()


def _told(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_told(key): _told(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    return value
