"""What was asked of a run while it ran, as marks on the epoch axis of its charts."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rich.text import Text

from xray_tui.runs.record import RunRecord
from xray_tui.tui.panes.chart import Notch
from xray_tui.tui.themes import Palette


class _Kind(NamedTuple):
    character: str
    words: str
    colour: Callable[[Palette], str]


_KINDS = {
    "pause": _Kind("‖", "pause", lambda palette: palette.warning),
    "unfreeze": _Kind("u", "unfreeze", lambda palette: palette.unfrozen),
    "learning_rate": _Kind("l", "rate", lambda palette: palette.primary),
    "stop": _Kind("x", "stop", lambda palette: palette.error),
    "detach": _Kind("d", "detach", lambda palette: palette.success),
    "resumed": _Kind("r", "resume", lambda palette: palette.success),
}
"""By control; where a pause ended is not marked. ``resumed`` is no control but an event of its own."""


class _Asked(NamedTuple):
    kind: str
    epoch: int
    value: float | None = None
    """The learning rate, where that was changed."""


def _asked(record: RunRecord) -> Iterator[_Asked]:
    for used in record.controls:
        if used.control in _KINDS:
            epoch = used.epoch
            if epoch is None:  # between two stages, or before the first
                epoch = max((ended.epoch for ended in record.epochs if ended.stage == used.stage), default=0)
            yield _Asked(used.control, epoch, used.value)
    for epoch in record.resumed:
        yield _Asked("resumed", epoch)


def notches(record: RunRecord, palette: Palette) -> list[Notch]:
    """One mark for each kind and epoch."""
    once = dict.fromkeys((asked.kind, asked.epoch) for asked in _asked(record))
    return [Notch(epoch, _KINDS[kind].character, _KINDS[kind].colour(palette)) for kind, epoch in once]


def explained(record: RunRecord, palette: Palette, epoch: int | None, cells: int) -> Text:
    """The marks in words, one of each kind, as many as there is room for.

    First those of the epoch that is looked at, then the newest.
    """
    asked = list(_asked(record))
    wanted = sorted(enumerate(asked), key=lambda pair: (pair[1].epoch == epoch, pair[1].epoch, pair[0]))
    entries: dict[str, tuple[int, Text]] = {}
    left = cells
    for _, one in reversed(wanted):
        kind = _KINDS[one.kind]
        words = f"{kind.words} {one.value:g}" if one.value is not None else kind.words
        entry = Text.assemble((f"{kind.character} ", kind.colour(palette)), (words, palette.muted))
        if one.kind not in entries and entry.cell_len + 2 <= left:
            entries[one.kind] = one.epoch, entry
            left -= entry.cell_len + 2
    in_order = [entry for _, entry in sorted(entries.values(), key=lambda pair: pair[0])]
    return Text("  ", no_wrap=True).join(in_order)
