"""The commands. Each imports what it needs when it is called: `--help` and `runs` never wait for torch."""

import io
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env

from xray_tui import __version__, config
from xray_tui.cli_data import data_app, demo_folder, make_demo_in
from xray_tui.cli_options import NO_OPTIONS, RUNS, RunOptions, RunsDir, talk
from xray_tui.cli_runs import runs_app
from xray_tui.engine import process
from xray_tui.errors import UserError

if TYPE_CHECKING:
    from xray_tui.engine.controls import Controls

_HELP = """Fine-tune a pretrained image classifier on chest radiographs, in a terminal.

Every option can also stand in the environment (XRAY_TUI_BATCH_SIZE=64) or in a TOML file (--config FILE).
The command line wins over the environment, the environment over the file.
"""
_EPILOGUE = """Examples:
  xray-tui demo                 all of it, on made-up radiographs
  xray-tui ~/chest_xray         the dashboard on your data
  xray-tui train ~/chest_xray   the same run without a screen
  xray-tui watch                the dashboard on the newest run

--debug, anywhere, shows the traceback of an error.
"""

app = App(
    name="xray-tui",
    help=_HELP,
    help_epilogue=_EPILOGUE,
    help_format="plaintext",
    version=__version__,
    config=Env("XRAY_TUI_", command=False, show=False),
)
app.command(runs_app)
app.command(data_app)


# What makes the demo quick on two cores, and its short training visible. Options given win over these.
_DEMO: dict[str, Any] = {
    "model.backbone": "efficientnet_lite0",
    "training.image_size": 128,
    "training.batch_size": 16,
    "training.frozen.epochs": 4,
    "training.unfrozen.epochs": 4,
    "training.unfrozen.learning_rate": 1e-5,
    "training.batchnorm": "keep",
    "run.name": "demo",
}


@app.default
def dashboard(data: Path | None = None, /, *, options: RunOptions = NO_OPTIONS) -> int:
    """Open the dashboard: set a run up, start it, browse the runs that were kept.

    Args:
        data: folder with train/, test/ and perhaps val/.
    """
    from xray_tui.tui.app import run_dashboard

    given = options.given() | ({"data.root": str(data)} if data else {})
    settings = config.load(given, file=options.config)
    return run_dashboard(settings=settings, given=config.paths_in(options.config) | given.keys())


@app.command(
    help_epilogue="""Examples:
  xray-tui demo
  xray-tui demo --unfreeze ask    the run waits until you press u

The demo has defaults of its own: efficientnet_lite0, whose weights came with
the installation, small images and few epochs. Options given win.
"""
)
def demo(*, options: RunOptions = NO_OPTIONS) -> int:
    """Make synthetic radiographs and learn from them in the dashboard: offline, on a CPU, under 2 minutes."""
    from xray_tui.tui.app import run_dashboard

    given = _DEMO | options.given() | {"data.root": str(make_demo_in(demo_folder()))}
    settings = config.load(given, file=options.config)
    return run_dashboard(settings=settings, given=frozenset(given), start=True)


@app.command(
    help_epilogue="""Examples:
  xray-tui train ~/chest_xray
  xray-tui train ~/chest_xray --backbone efficientnet_lite0 --limit 1500 --frozen-epochs 4
  xray-tui train ~/chest_xray --json | jq 'select(.type == "epoch_ended").accuracy'
"""
)
def train(
    data: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False, options: RunOptions = NO_OPTIONS
) -> int:
    """Run the recipe without a screen; end with the published table.

    Args:
        data: folder with train/, test/ and perhaps val/.
        json: print each event as a line of JSON instead.
    """
    from xray_tui import launch
    from xray_tui.console import ConsoleReporter, print_json
    from xray_tui.engine.controls import Controls

    settings = options.settings(**{"data.root": str(data)})
    controls = Controls()
    opened: list[Path] = []
    with _stopping(controls) as caught:
        try:
            if json:
                ended = launch.start(settings, print_json, controls, opened=lambda d: opened.append(d.path))
            else:
                with ConsoleReporter() as reporter:
                    ended = launch.start(settings, reporter, controls, opened=lambda d: opened.append(d.path))
                reporter.print_results()
        except UserError as error:
            _print_error(error)
            return 1 if opened else 2
    talk(f"kept in {opened[0]}")
    if ended.outcome == "interrupted":
        return 128 + (caught[0] if caught else signal.SIGINT)
    return 0


@app.command(
    help_epilogue="""Examples:
  xray-tui watch                  the newest run
  xray-tui watch 20261124         the run whose name begins like that
  xray-tui watch --replay 20x     played back, twenty times as fast as it was
"""
)
def watch(
    run: str | None = None,
    /,
    *,
    runs_dir: RunsDir = RUNS,
    replay: Annotated[str | None, Parameter(help="play a finished run back, such as 20x")] = None,
) -> int:
    """Open the dashboard on a run of another process, live or finished.

    Args:
        run: name of the run, or how it begins (default: the newest).
    """
    from xray_tui.runs.directory import RunDirectory
    from xray_tui.tui.app import run_dashboard

    directory = RunDirectory.find(runs_dir, run)
    settings = config.load({"run.runs_dir": str(runs_dir)})
    return run_dashboard(settings=settings, watch=directory, replay=_speed(replay) if replay else None)


@app.command(help_epilogue="Example:\n  xray-tui board --port 6010 --runs-dir /data/runs\n")
def board(*, port: int | None = None, runs_dir: RunsDir = RUNS) -> int:
    """Start TensorBoard on the runs folder and keep it until Ctrl-C.

    Args:
        port: on 127.0.0.1 (default: the first free one from 6006).
    """
    from xray_tui.board.server import Board

    server = Board(runs_dir, runs_dir / "tensorboard.log", port)
    talk("starting TensorBoard …")
    try:
        print(server.start(), flush=True)
        talk(f"from another machine: {server.ssh_line}")
        talk("Ctrl-C stops it")
        server.open_browser()
        signal.pause()
    except KeyboardInterrupt:
        talk("stopped")
    finally:
        server.stop()
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: turns what went wrong into two lines on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without unicode shows ? for ★, and goes on
            stream.reconfigure(errors="replace")
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    process.set_up()
    tokens = [token for token in tokens if token != "--debug"]
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, UserError) as error:
        if debug:
            traceback.print_exc()
        _print_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads; Python would complain while shutting down
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        talk(f"this is a bug in xray-tui: {type(error).__name__}: {error}")
        talk("run it again with --debug for the traceback")
        sys.exit(1)
    sys.exit(code)


@contextmanager
def _stopping(controls: "Controls") -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM asks the run to stop; a second one ends the process at once."""
    caught: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        caught.append(number)
        controls.stop(signal.Signals(number).name)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        talk("stopping after this batch; once more ends it at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _speed(text: str) -> float:
    try:
        speed = float(text.lower().removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UserError(f"--replay {text}: not a speed", "such as 20x or 0.5")
    return speed


def _print_error(error: Exception) -> None:
    if isinstance(error, UserError):
        talk(f"error: {error.message}")
        for line in error.hint.splitlines():
            talk(f"  {line}")
    else:
        talk(f"error: {error}")
        talk("  see `xray-tui --help`")
