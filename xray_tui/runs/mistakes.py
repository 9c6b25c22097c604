"""Mistakes as the journal has them, decoded when somebody looks: they are nine tenths of its bytes."""

from collections.abc import Iterator, Mapping

import msgspec

from xray_tui.event_lines import VERSION
from xray_tui.events import Count, EpochNumber, Event, Mistake, Mistakes, Stage

_WITHIN_BYTES = 96
"""A line begins with its version, number, time and type."""
_BEGINS = b'{"v":%d,' % VERSION


class UnreadMistakes(Event, frozen=True, kw_only=True, tag="mistakes"):
    """A ``mistakes`` event whose list is still JSON."""

    stage: Stage
    epoch: EpochNumber
    total: Count
    worst: msgspec.Raw

    def read(self, classes: int | None = None) -> Mistakes:
        """The event itself; a list that cannot be of this run's mistakes is taken for empty.

        Args:
            classes: how many the run has, where that is known.
        """
        try:
            worst = msgspec.json.decode(self.worst, type=list[Mistake])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            worst = []
        if classes is not None:
            known = range(classes)
            worst = [found for found in worst if found.actual in known and found.predicted in known]
        return Mistakes(t=self.t, stage=self.stage, epoch=self.epoch, total=self.total, worst=worst)


_unread: msgspec.json.Decoder[UnreadMistakes] = msgspec.json.Decoder(UnreadMistakes)


def unread_mistakes(line: bytes) -> UnreadMistakes | None:
    """The event of a journal line, in a fifth of the time that decoding it whole takes.

    ``None`` where the line is another event, or is broken: the decoder of all events then says so.
    """
    if not line.startswith(_BEGINS) or b'"type":"mistakes"' not in line[:_WITHIN_BYTES]:
        return None
    try:
        if not line.isascii():
            line.decode()  # what is left as JSON is not checked to be text
        return _unread.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class MistakesByEpoch(Mapping[int, Mistakes]):
    """The mistakes of each epoch, each decoded when it is first asked for."""

    def __init__(self) -> None:
        self.classes: int | None = None
        """How many the run has, where that is known."""
        self._kept: dict[int, Mistakes | UnreadMistakes] = {}

    def keep(self, mistakes: Mistakes | UnreadMistakes) -> None:
        self._kept[mistakes.epoch] = mistakes

    def forget_from(self, epoch: int) -> None:
        self._kept = {number: kept for number, kept in self._kept.items() if number < epoch}

    def __getitem__(self, epoch: int) -> Mistakes:
        kept = self._kept[epoch]
        if isinstance(kept, UnreadMistakes):
            kept = self._kept[epoch] = kept.read(self.classes)
        return kept

    def __contains__(self, epoch: object) -> bool:
        return epoch in self._kept  # the mixin's would decode it

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
