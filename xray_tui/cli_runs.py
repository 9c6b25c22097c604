"""``xray-tui runs``: the runs that were kept."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from xray_tui.cli_options import RUNS, RunsDir
from xray_tui.errors import UserError
from xray_tui.talking import talk

if TYPE_CHECKING:
    from xray_tui.runs.index import Summary

runs_app = App(
    name="runs",
    help="List, compare, export and tidy the runs that were kept.",
    help_epilogue="""Examples:
  xray-tui runs list --filter "acc>=88% backbone:resnet"
  xray-tui runs compare 20261124-101500 20261125-093000
  xray-tui runs note 20261124-101500 "with the new augmentation"

A run is named by its folder, the beginning of that, or a path.
""",
)

Json = Annotated[bool, Parameter(negative=())]
FilterText = Annotated[
    str,
    Parameter(name="--filter", help='which runs: acc>=88% stage:unfrozen name:"night run" !status:failed'),
]


@runs_app.command(
    name="list",
    help_epilogue="""Examples:
  xray-tui runs list --sort acc
  xray-tui runs list --filter "cfg.batch_size>=64 (stage:unfrozen | has:note)"
  xray-tui runs list --json | jq 'select(.accuracy > 0.9).run'

In a filter words are AND, | is OR, ! is NOT. Bare words are looked for in name,
note, backbone, status and folder. Fields compare with : = != < <= > >= and are
name note status stage backbone data epochs acc auc loss seconds started, each
setting as cfg.NAME, and has:FIELD. A text with blanks stands in "quotes".
""",
)
def list_(
    *,
    filter_text: FilterText = "",
    sort: str = "started",
    reverse: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
    runs_dir: RunsDir = RUNS,
) -> int:
    """The runs of the runs folder, newest first.

    Args:
        sort: a field of the filter: started, name, acc, loss, cfg.batch_size ...
        reverse: the other way round.
        json: a line of JSON a run, rates as fractions.
    """
    from xray_tui.console import print_runs
    from xray_tui.json_text import json_text
    from xray_tui.runs.fields import ordered
    from xray_tui.runs.upkeep import tree

    found = ordered(_chosen(runs_dir, [], filter_text), sort, reverse=reverse)
    if json:
        for summary in found:
            print(json_text(tree(summary)))
    elif found:
        print_runs(found)
    elif filter_text:
        talk(f"no run in {runs_dir} matches {filter_text}")
    else:
        talk(f"no runs in {runs_dir}: start one with `xray-tui train DATA`")
    return 0


@runs_app.command(help_epilogue="Example:\n  xray-tui runs show 20261124 > report.md\n")
def show(run: str | None = None, /, *, runs_dir: RunsDir = RUNS) -> int:
    """A run's report, as Markdown.

    Args:
        run: what the run is called, its folder, or how that begins (default: the newest).
    """
    from xray_tui.runs.index import find
    from xray_tui.runs.report import report_of

    print(report_of(find(runs_dir, run)))
    return 0


@runs_app.command(
    help_epilogue="""Examples:
  xray-tui runs compare 20261124-101500 20261125-093000
  xray-tui runs compare 20261124-101500 20261125-093000 --json | jq .tests
"""
)
def compare(*run: str, json: Json = False, runs_dir: RunsDir = RUNS) -> int:
    """Runs beside each other, as Markdown: metrics with intervals, settings, McNemar's test in words.

    Args:
        run: two runs or more.
        json: as JSON, numbers exact.
    """
    from xray_tui.json_text import json_text
    from xray_tui.runs import compare as comparing
    from xray_tui.runs.index import find

    found = comparing.compare([find(runs_dir, name) for name in run])
    if json:
        print(json_text(comparing.to_tree(found)))
    else:
        print(comparing.to_markdown(found))
    return 0


@runs_app.command(
    help_epilogue="""Examples:
  xray-tui runs export runs.csv
  xray-tui runs export good.json --filter "acc>=90%"
  xray-tui runs export report.md 20261124-101500    one run as .md: its report
"""
)
def export(file: Path, /, *run: str, filter_text: FilterText = "", runs_dir: RunsDir = RUNS) -> int:
    """Write runs into a file: CSV, JSON or Markdown, by its suffix.

    Args:
        file: ends in .csv, .json or .md; one that exists is replaced.
        run: which runs (default: all).
    """
    from xray_tui.runs import upkeep

    found = _chosen(runs_dir, run, filter_text)
    if not found:
        raise UserError(
            f"no run in {runs_dir} matches {filter_text}" if filter_text else f"no runs in {runs_dir}",
            "nothing was written",
        )
    upkeep.export(found, file)
    talk(f"{len(found)} {'run' if len(found) == 1 else 'runs'} written to {file}")
    return 0


@runs_app.command(
    help_epilogue="""Examples:
  xray-tui runs note 20261124-101500 "with the new augmentation"
  xray-tui runs note 20261124-101500       prints it
  xray-tui runs note 20261124-101500 ""    takes it away
"""
)
def note(run: str, text: str | None = None, /, *, runs_dir: RunsDir = RUNS) -> int:
    """Write a note about a run; without a text, print it.

    Args:
        run: what the run is called, its folder, or how that begins.
        text: the note.
    """
    from xray_tui.runs import about, upkeep
    from xray_tui.runs.index import find
    from xray_tui.words import harmless

    directory = find(runs_dir, run)
    if text is not None:
        upkeep.set_note(directory, text)
    elif said := about.load(directory).note:
        print("\n".join(harmless(line) for line in said.splitlines()))
    else:
        talk(f"no note about {directory.name}")
    return 0


@runs_app.command(
    help_epilogue="""Examples:
  xray-tui runs rename 20261124-101500 "night run"
  xray-tui runs rename 20261124-101500 ""    gives back the name it started with
"""
)
def rename(run: str, name: str, /, *, runs_dir: RunsDir = RUNS) -> int:
    """Give a run another name; its folder and its config.toml stay what they are.

    Args:
        run: what the run is called, its folder, or how that begins.
        name: the new name.
    """
    from xray_tui.runs import upkeep
    from xray_tui.runs.index import find

    upkeep.rename(find(runs_dir, run), name)
    return 0


@runs_app.command(
    help_epilogue="""Examples:
  xray-tui runs delete 20261124-101500
  xray-tui runs delete 20261124-101500 20261124-111500 --yes
"""
)
def delete(
    run: str, /, *more: str, yes: Annotated[bool, Parameter(negative=())] = False, runs_dir: RunsDir = RUNS
) -> int:
    """Move runs into the trash folder of the runs folder; asks first. A live run is left alone.

    Args:
        run: what the run is called, its folder, or how that begins.
        more: further runs.
        yes: do not ask.
    """
    from xray_tui.runs import upkeep
    from xray_tui.runs.index import find

    found = list({d.path.resolve(): d for name in (run, *more) if (d := find(runs_dir, name))}.values())
    for directory in found:  # all or none
        upkeep.refuse_live(directory)
    if not yes and not _agreed(f"move {', '.join(d.name for d in found)} into the trash?"):
        talk("nothing was deleted")
        return 0
    for directory in found:
        talk(f"moved to {upkeep.delete(directory)}; move it back to have it again")
    return 0


def _chosen(runs_dir: Path, names: "tuple[str, ...] | list[str]", filter_text: str) -> "list[Summary]":
    """The runs of those names, or all, that match."""
    from xray_tui.runs.filters import parse
    from xray_tui.runs.index import find, summaries, summary

    matching = parse(filter_text)  # first: what is wrong with it is told before anything is read
    found = [summary(find(runs_dir, name)) for name in names] if names else summaries(runs_dir)
    return [run for run in found if matching.matches(run)]


def _agreed(question: str) -> bool:
    """Ask on the terminal.

    Raises:
        UserError: there is none.
    """
    from xray_tui.words import harmless

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError("there is no terminal to ask on", "--yes deletes without asking")
    print(f"{harmless(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
