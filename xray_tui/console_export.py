"""An export without a screen: what is being done on standard error, what was written on standard output."""

import sys

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from xray_tui.exporting import Exported
from xray_tui.json_text import json_text
from xray_tui.talking import talk
from xray_tui.words import bytes_in_words, harmless


class Doing:
    """What is being done, and for how long; silent where nobody watches."""

    def __init__(self) -> None:
        # This very stream: meanwhile sys.stderr is another one, into which the exporters talk.
        console = Console(file=sys.stderr)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("exporting", total=None)

    def __enter__(self) -> "Doing":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, doing: str) -> None:
        self._bar.update(self._task, description=doing)


def print_exported(found: Exported) -> None:
    for file in (found.file, found.beside, found.card):
        if file:
            print(f"{harmless(str(file))}  {bytes_in_words(file.stat().st_size)}")
    if found.difference is None:
        talk("not checked: onnxruntime is not installed")
    else:
        talk(f"checked: probabilities are off by {found.difference:.1e} at most from torch in float32")


def print_json(found: Exported, form: str) -> None:
    tree = {
        "file": str(found.file),
        "format": form,
        "card": str(found.card),
        "beside": found.beside and str(found.beside),
        "bytes": found.file.stat().st_size,
        "difference": found.difference,
    }
    print(json_text(tree))
