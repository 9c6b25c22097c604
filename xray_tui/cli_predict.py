"""``xray-tui predict``: what a run's best weights say of images."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TextIO

from cyclopts import Parameter

from xray_tui.cli_headless import signals
from xray_tui.cli_options import RUNS, RunsDir
from xray_tui.errors import UserError
from xray_tui.files import replacing
from xray_tui.regular_files import check_replaceable
from xray_tui.talking import talk

Format = Literal["table", "csv", "jsonl"]
EPILOGUE = """Examples:
  xray-tui predict 20261124 film.png
  xray-tui predict 20261124 ~/scans --output predictions.csv
  xray-tui predict 20261124 'scans/**/*.jpeg' --explain heat
  find scans -name '*.png' | xray-tui predict 20261124 - --format jsonl | jq .predicted

A row an image: the class that is called at the run's operating point, calibrated
probabilities, or why the file cannot be read. Folders are searched to the bottom.
Exit code: 0 where an image was read, 1 where none was, 130 after Ctrl-C, which
keeps the rows so far.
"""


class _Asked:
    """To stop, by a signal."""

    def __init__(self) -> None:
        self.to_stop = False

    def stop(self, why: str) -> None:
        self.to_stop = True

    def detach(self, why: str) -> None:
        """A terminal that hangs up is no reason to end: rows may go into a file."""


def predict(
    run: str,
    /,
    *path: Annotated[str, Parameter(allow_leading_hyphen=True)],  # that - is none of the options
    format: Annotated[  # noqa: A002  # the option's name
        Format | None,
        Parameter(help="default: a table on a terminal, else csv; of --output, what its suffix says"),
    ] = None,
    output: Path | None = None,
    explain: Path | None = None,
    device: str = "auto",
    batch_size: int = 32,
    runs_dir: RunsDir = RUNS,
) -> int:
    """Predict images with a run's best weights.

    Args:
        run: what the run is called, its folder, or how that begins.
        path: images, folders, patterns, or - for a list of paths on standard input.
        output: the file for the rows; it appears whole, and replaces one that is there.
        explain: the folder for Grad-CAM overlays, a PNG an image.
        device: auto, cpu, cuda[:N] or mps.
        batch_size: images that run through the network at once.
    """
    if not path:
        raise UserError("no images to predict", "name files, folders or patterns; - reads a list of paths")
    for word in path:
        if word.startswith("--") and not Path(word).exists():
            raise UserError(f"Unknown option: {word}", "see `xray-tui predict --help`")
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size}: a batch has one image or more")
    from xray_tui.console_predict import Sheet  # late: rich
    from xray_tui.data.named import STANDARD_INPUT, image_paths
    from xray_tui.runs.index import find

    directory = find(runs_dir, run)
    lines: Iterable[bytes] = ()
    if STANDARD_INPUT in path:
        if sys.stdin is None:
            raise UserError("standard input is closed", "name the images, or pipe a list of their paths in")
        lines = sys.stdin.buffer
        if sys.stdin.isatty():
            talk("reading paths of images, one a line, to the end (ctrl+d)")
    asked = _Asked()
    with _written(output) as file, Sheet(file) as sheet:
        # Late, for torch: the sheet says that it takes its time.
        from xray_tui.overlays import Overlays
        from xray_tui.trained import load
        from xray_tui.trained import predict as predictions

        overlays = Overlays(explain) if explain else None
        trained = load(directory, device)
        sheet.begin(trained, format or _format(output), explained=explain is not None)
        if sheet.shows_progress and STANDARD_INPUT not in path:
            sheet.total = sum(1 for _ in image_paths(path, leave_out=explain))
        paths = image_paths(path, lines, leave_out=explain, say=talk)
        with signals(asked, has_terminal=False) as caught:
            for prediction in predictions(trained, paths, batch_size=batch_size):
                if asked.to_stop:
                    break
                sheet.add(prediction, overlays.draw(trained, prediction) if overlays else None)
    sheet.end()
    if caught:
        return 128 + caught[0]
    return 0 if sheet.read else 1


@contextmanager
def _written(path: Path | None) -> Iterator[TextIO | None]:
    """The file to write, which appears whole; none where standard output is meant."""
    if path is None:
        yield None
        return
    check_replaceable(path)
    try:
        with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}", "see --output") from None


def _format(output: Path | None) -> Format:
    if output is None and sys.stdout.isatty():
        return "table"
    return "jsonl" if output is not None and output.suffix.lower() in (".jsonl", ".ndjson") else "csv"
