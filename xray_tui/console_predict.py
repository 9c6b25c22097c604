"""What a run's weights say of images, a row each: for a terminal, as CSV, as lines of JSON."""

import csv
import io
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from rich.cells import cell_len

from xray_tui.console import Bar
from xray_tui.console_evaluation import called
from xray_tui.events import Progress
from xray_tui.json_text import json_text
from xray_tui.talking import talk
from xray_tui.words import ABSENT, count, duration, harmless, number

if TYPE_CHECKING:
    from xray_tui.trained import Prediction, Trained

Format = Literal["table", "csv", "jsonl"]
_PREDICTED, _POSITIVE, _GAP = "predicted", "positive", "  "


class Rows(Protocol):
    @property
    def head(self) -> str:
        """What stands above the rows; empty where nothing does."""

    def row(self, prediction: "Prediction", picture: Path | None) -> str:
        """A line about an image, without its end.

        Args:
            picture: of its explanation, where there is one.
        """


class Table:
    """For a person. Columns are as wide as they will ever be, for rows come one by one; paths stand last."""

    def __init__(self, trained: "Trained", *, explained: bool) -> None:
        self._classes = [harmless(name) for name in trained.classes]
        self._positive = trained.classes.index(trained.positive)
        self._widest = max(map(cell_len, [_PREDICTED, *self._classes]))

    @property
    def head(self) -> str:
        return self._line(_PREDICTED, self._classes, _POSITIVE, "image")

    def row(self, prediction: "Prediction", picture: Path | None) -> str:
        path = harmless(str(prediction.path))
        if prediction.predicted is None or prediction.probabilities is None:
            absent = [ABSENT for _ in self._classes]
            return self._line(ABSENT, absent, ABSENT, f"{path}: {harmless(prediction.unreadable)}")
        positive = "yes" if prediction.predicted == self._positive else "no"
        numbers = [number(float(probability), 4) for probability in prediction.probabilities]
        return self._line(self._classes[prediction.predicted], numbers, positive, path)

    def _line(self, predicted: str, numbers: list[str], positive: str, image: str) -> str:
        cells = [_left(predicted, self._widest)]
        for name, cell in zip(self._classes, numbers, strict=True):
            cells.append(_right(cell, max(cell_len(name), len("0.0000"))))
        return _GAP.join([*cells, _left(positive, len(_POSITIVE)), image])


class Csv:
    """RFC 4180, but for the ends of its lines."""

    def __init__(self, trained: "Trained", *, explained: bool) -> None:
        self._trained, self._explained = trained, explained

    @property
    def head(self) -> str:
        probabilities = [f"probability_{name}" for name in self._trained.classes]
        pictures = ["explanation"] if self._explained else []
        return _csv(["path", _PREDICTED, _POSITIVE, *probabilities, "unreadable", *pictures])

    def row(self, prediction: "Prediction", picture: Path | None) -> str:
        told = _tree(self._trained, prediction)
        predicted = told["predicted"] or ""
        positive = str(told["positive"]).lower() if predicted else ""
        values = [f"{told['probabilities'][name]:.6f}" if predicted else "" for name in self._trained.classes]
        pictures = [_text(picture) if picture else ""] if self._explained else []
        return _csv([told["path"], predicted, positive, *values, told["unreadable"] or "", *pictures])


class JsonLines:
    """An object an image; what is not known is null."""

    def __init__(self, trained: "Trained", *, explained: bool) -> None:
        self._trained, self._explained = trained, explained

    @property
    def head(self) -> str:
        return ""

    def row(self, prediction: "Prediction", picture: Path | None) -> str:
        told = _tree(self._trained, prediction)
        if self._explained:
            told["explanation"] = picture and str(picture)
        return json_text(told)


class Sheet:
    """Rows as they come, in a file, on standard output or on a terminal; progress, and at the end a count.

    Args:
        file: ``None`` for standard output.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._on_terminal = file is None and sys.stdout.isatty()
        self._out = file or sys.stdout  # now: while a bar is shown, sys.stdout is another
        self._bar = Bar(stderr=not self._on_terminal)
        self._began = time.monotonic()
        self.total = 0
        """Images that will come; 0 where nobody knows."""
        self.read = self.unreadable = 0

    def __enter__(self) -> "Sheet":
        self._bar.__enter__()
        self._bar.show(Progress(phase="weights"))
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    @property
    def shows_progress(self) -> bool:
        return self._bar.is_shown

    def begin(self, trained: "Trained", wanted: Format, *, explained: bool) -> None:
        """Say who predicts, and write what stands above the rows.

        Args:
            explained: whether there are pictures; a table does not name them.
        """
        talk(f"{trained.run}, epoch {trained.epoch}: {trained.backbone.name} on {trained.hardware.words}")
        talk(called(trained))
        if not trained.is_settled:
            talk("warning: the run ended before it chose an operating point and a temperature")
        kinds: dict[Format, type[Table] | type[Csv] | type[JsonLines]]
        kinds = {"table": Table, "csv": Csv, "jsonl": JsonLines}
        self._rows: Rows = kinds[wanted](trained, explained=explained)
        if self._rows.head:
            self._write(self._rows.head)
        self._began = time.monotonic()

    def add(self, prediction: "Prediction", picture: Path | None) -> None:
        self._write(self._rows.row(prediction, picture))
        self.unreadable += bool(prediction.unreadable)
        self.read += not prediction.unreadable
        done, seconds = self.read + self.unreadable, time.monotonic() - self._began
        speed = done / seconds if seconds else None
        self._bar.show(Progress(phase="predicting", done=done, total=self.total, images_per_second=speed))

    def end(self) -> None:
        """Say how many there were, once the bar is gone."""
        seconds = time.monotonic() - self._began
        images = f"{count(self.read)} image{'' if self.read == 1 else 's'}"
        told = f"{images} in {duration(seconds)}, {self.read / max(seconds, 1e-9):.1f} a second"
        if not self.read:
            told = "no image was read"
        talk(told + (f"; {count(self.unreadable)} cannot be read" if self.unreadable else ""))

    def _write(self, line: str) -> None:
        if self._on_terminal:
            self._bar.say(line)
        else:
            self._out.write(line + "\n")
            self._out.flush()


def _tree(trained: "Trained", prediction: "Prediction") -> dict[str, Any]:
    """As plain values."""
    predicted, probabilities = prediction.predicted, prediction.probabilities
    return {
        "path": str(prediction.path),
        "predicted": None if predicted is None else trained.classes[predicted],
        "positive": None if predicted is None else trained.classes[predicted] == trained.positive,
        "probabilities": None
        if probabilities is None
        else dict(zip(trained.classes, probabilities.tolist(), strict=True)),
        "unreadable": prediction.unreadable or None,
    }


def _text(path: Path) -> str:
    """A path as it is, or with the bytes that are no UTF-8 written out: such a file is not read."""
    return str(path).encode(errors="backslashreplace").decode()


def _csv(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _left(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def _right(cell: str, width: int) -> str:
    return " " * (width - cell_len(cell)) + cell
