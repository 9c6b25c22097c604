"""``xray-tui export``: a run's best weights for other programs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from xray_tui.cli_options import RUNS, RunsDir

EPILOGUE = """Examples:
  xray-tui export                              the newest run, as RUN.onnx
  xray-tui export 20261124 --output films.onnx
  xray-tui export 20261124 --format pt2        for torch.export.load

The file holds everything from grey pixels to calibrated probabilities; classes,
threshold and how images are cut are in it as JSON. FILE.md beside it is the
model card. ONNX needs `pip install 'xray-tui[export]'`.
"""

Flag = Parameter(negative=())


def export(
    run: str | None = None,
    /,
    *,
    form: Annotated[
        Literal["onnx", "pt2"], Parameter(name="format", help="ONNX, or an archive of torch.export")
    ] = "onnx",
    output: Path | None = None,
    force: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
    runs_dir: RunsDir = RUNS,
) -> int:
    """Write a run's best weights as one file for other programs, with a model card beside it.

    Args:
        run: what the run is called, its folder, or how that begins (default: the newest).
        output: the file (default: called as the run is, in this folder).
        force: replace files that are there.
        json: tell what was written as one JSON object.
    """
    from xray_tui import console_export
    from xray_tui.exporting import export as write
    from xray_tui.runs.index import find

    directory = find(runs_dir, run)
    file = (output or Path(f"{directory.name}.{form}")).expanduser()
    with console_export.Doing() as doing:
        found = write(directory, form, file, force=force, tell=doing)
    if json:
        console_export.print_json(found, form)
    else:
        console_export.print_exported(found)
    return 0
