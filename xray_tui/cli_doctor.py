"""``xray-tui doctor``: whether it works here, and what would mend it."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from xray_tui.cli_options import Ascii, Environment
from xray_tui.config import describe

doctor_app = App(
    name="doctor",
    help_epilogue="""Examples:
  xray-tui doctor
  xray-tui doctor --json | jq '.sections[][] | select(.verdict != "ok")'

Marks: ✓ well, · good to know, ! look at it, ✕ it cannot work like this.

Exit codes: 0 it works here; 1 it cannot, mend what is marked ✕.
""",
    # Other commands ask the config file for options; here a broken one is to be told, not to end it.
    config=(Environment("XRAY_TUI_", command=False, show=False),),
)


@doctor_app.default
def doctor(
    *,
    runs_dir: Annotated[Path | None, Parameter(help=describe("run.runs_dir"))] = None,
    ascii_only: Ascii = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Look at the installation, the terminal, the machine and the folders; say what to mend.

    Args:
        json: print all checks as one JSON object.
    """
    from xray_tui.console_doctor import DoctorPrinter, print_json  # late: rich
    from xray_tui.doctor.checks import worst
    from xray_tui.doctor.examination import examine  # late: psutil, textual
    from xray_tui.drawing.ascii import wants_ascii

    found = []
    with DoctorPrinter(ascii_only=wants_ascii() if ascii_only is None else ascii_only) as printer:
        for placed in examine(runs_dir, printer.wait_for):
            found.append(placed)
            if not json:
                printer.print(placed)
        checks = [placed.check for placed in found]
        if not json:
            printer.print_end(checks)
    if json:
        print_json(found)
    return 1 if worst(checks) == "problem" else 0
