"""``xray-tui runs``: the runs that were kept."""

from typing import Annotated

from cyclopts import App, Parameter

from xray_tui.cli_options import RUNS, RunsDir, talk

runs_app = App(
    name="runs",
    help="List and show the runs that were kept.",
    help_epilogue="Example:\n  xray-tui runs show 20261124\n",
)


@runs_app.command(name="list")
def list_(*, runs_dir: RunsDir = RUNS, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """The runs of the runs folder, newest first.

    Args:
        json: a line of JSON a run.
    """
    import msgspec

    from xray_tui.console import print_runs
    from xray_tui.runs.index import summaries

    found = summaries(runs_dir)
    if json:
        for summary in found:
            plain = msgspec.to_builtins(summary, enc_hook=str)
            print(msgspec.json.encode(plain | {"directory": str(summary.directory.path)}).decode())
    elif found:
        print_runs(found)
    else:
        talk(f"no runs in {runs_dir}: start one with `xray-tui train DATA`")
    return 0


@runs_app.command
def show(run: str | None = None, /, *, runs_dir: RunsDir = RUNS) -> int:
    """A run's report, as Markdown.

    Args:
        run: name of the run, or how it begins (default: the newest).
    """
    from xray_tui.runs.directory import RunDirectory
    from xray_tui.runs.follow import read
    from xray_tui.runs.record import RunRecord
    from xray_tui.runs.report import report

    directory = RunDirectory.find(runs_dir, run)
    print(report(directory.name, RunRecord.of(read(directory))))
    return 0
