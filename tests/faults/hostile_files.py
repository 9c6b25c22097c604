"""Content that no reader of ours may stumble over, whatever it reads."""

from collections.abc import Iterator

GARBAGE = bytes(range(256)) * 3
"""Every byte there is."""
DEEP = 100_000
"""How deep JSON and TOML are nested that no recursion survives."""

JSON: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(300),
    "garbage": GARBAGE,
    "null": b"null",
    "a number": b"17",
    "a list": b"[1,2,3]",
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "no UTF-8": b'{"name":"\xff\xfe"}',
    "half a surrogate": b'{"name":"\\ud800"}',
    "a huge number": b'{"t":' + b"9" * 5000 + b"}",
    "NaN": b'{"t":NaN}',
    "infinity": b'{"t":1e999}',
}
TOML: dict[str, bytes] = {
    "garbage": GARBAGE,
    "zeros": bytes(300),
    "cut": b'[data]\nroot = "x',
    "no UTF-8": b'name = "\xff"',
    "deep lists": b"a = " + b"[" * DEEP,
    "deep lists, closed": b"a = " + b"[" * 5000 + b"]" * 5000,
    "deep tables": b"a = " + b"{a=" * DEEP,
    "deep keys": b".".join([b"a"] * 20_000) + b" = 1",
    "a huge number": b"a = " + b"9" * 5000,
    "a date that is none": b"a = 2026-13-45",
    "a long table": b"[" + b".".join([b"a"] * 20_000) + b"]",
}


def spoilt(whole: bytes, steps: int = 24) -> Iterator[bytes]:
    """A file cut short at many places, and with one bit turned at many others."""
    for place in range(0, len(whole), max(1, len(whole) // steps)):
        yield whole[:place]
    for place in range(0, len(whole), max(1, len(whole) // steps)):
        turned = bytearray(whole)
        turned[place] ^= 1 << place % 8
        yield bytes(turned)
