"""The table the recipe was published with, and how numbers and names are written everywhere."""

from xray_tui.events import EpochEnded
from xray_tui.runs.record import RunRecord

PUBLISHED = ("Epoch", "Training Loss", "Test Loss", "Accuracy")


def number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """``41 s``, ``2:05`` or ``1:02:05``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clean(text: str) -> str:
    """Text without control characters: a file name must not move a terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def published_rows(record: RunRecord) -> list[tuple[str, str, str, str]]:
    """The published table's rows; the best epoch is marked."""
    return [_row(epoch, record) for epoch in record.epochs]


def _row(epoch: EpochEnded, record: RunRecord) -> tuple[str, str, str, str]:
    star = " ★" if record.best and record.best.epoch == epoch.epoch else ""
    return (
        f"{epoch.epoch}{star}",
        number(epoch.train_loss),
        number(epoch.validation_loss),
        percent(epoch.accuracy),
    )
