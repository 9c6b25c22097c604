"""The commands. Each imports what it needs when it is called: `--help` and `runs` never wait for torch."""

import io
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env

from xray_tui import __version__, config
from xray_tui.config import OPTIONS, BatchNorm, Precision, Preset, Settings, Split, Unfreeze, describe
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.words import harmless

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
runs_app = App(
    name="runs",
    help="List and show the runs that were kept.",
    help_epilogue="Example:\n  xray-tui runs show 20261124\n",
)
data_app = App(
    name="data",
    help="Make the demo radiographs.",
    help_epilogue="Example:\n  xray-tui train $(xray-tui data demo)\n",
)
app.command(runs_app)
app.command(data_app)


def _option(path: str) -> Parameter:
    """An option's help and default, as the setting has them."""
    default = config.get(Settings(), path)
    return Parameter(
        help=describe(path), negative=(), show_default=lambda _: default if default != "" else None
    )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Settings of a run. What is not given comes from --config, the preset, the defaults."""

    backbone: Annotated[str | None, _option("model.backbone")] = None
    weights: Annotated[str | None, _option("model.weights")] = None
    preset: Annotated[Preset | None, _option("preset")] = None
    split: Annotated[Split | None, _option("data.split")] = None
    positive: Annotated[str | None, _option("data.positive")] = None
    unfreeze: Annotated[Unfreeze | None, _option("training.unfreeze")] = None
    batchnorm: Annotated[BatchNorm | None, _option("training.batchnorm")] = None
    frozen_epochs: Annotated[int | None, _option("training.frozen.epochs")] = None
    unfrozen_epochs: Annotated[int | None, _option("training.unfrozen.epochs")] = None
    frozen_lr: Annotated[float | None, _option("training.frozen.learning_rate")] = None
    unfrozen_lr: Annotated[float | None, _option("training.unfrozen.learning_rate")] = None
    batch_size: Annotated[int | None, _option("training.batch_size")] = None
    image_size: Annotated[int | None, _option("training.image_size")] = None
    limit: Annotated[int | None, _option("data.limit")] = None
    unreadable: Annotated[float | None, _option("data.unreadable")] = None
    device: Annotated[str | None, _option("hardware.device")] = None
    precision: Annotated[Precision | None, _option("hardware.precision")] = None
    seed: Annotated[int | None, _option("training.seed")] = None
    runs_dir: Annotated[str | None, _option("run.runs_dir")] = None
    name: Annotated[str | None, _option("run.name")] = None
    config: Annotated[Path | None, Parameter(help="a TOML file of settings")] = None

    def given(self) -> dict[str, Any]:
        """The settings that were given, by dotted path."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name in OPTIONS}
        return {OPTIONS[name]: value for name, value in values.items() if value is not None}

    def settings(self, **more: Any) -> Settings:
        return config.load(self.given() | more, file=self.config)


RunsDir = Annotated[Path, Parameter(help=describe("run.runs_dir"))]
_RUNS = Path("runs")
_DEFAULT = RunOptions()

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
def dashboard(data: Path | None = None, /, *, options: RunOptions = _DEFAULT) -> int:
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
def demo(*, options: RunOptions = _DEFAULT) -> int:
    """Make synthetic radiographs and learn from them in the dashboard: offline, on a CPU, under 2 minutes."""
    from xray_tui.tui.app import run_dashboard

    given = _DEMO | options.given() | {"data.root": str(_make_demo(_demo_folder()))}
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
    data: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False, options: RunOptions = _DEFAULT
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
    _talk(f"kept in {opened[0]}")
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
    runs_dir: RunsDir = _RUNS,
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
def board(*, port: int | None = None, runs_dir: RunsDir = _RUNS) -> int:
    """Start TensorBoard on the runs folder and keep it until Ctrl-C.

    Args:
        port: on 127.0.0.1 (default: the first free one from 6006).
    """
    from xray_tui.board.server import Board

    server = Board(runs_dir, runs_dir / "tensorboard.log", port)
    _talk("starting TensorBoard …")
    try:
        print(server.start(), flush=True)
        _talk(f"from another machine: {server.ssh_line}")
        _talk("Ctrl-C stops it")
        server.open_browser()
        signal.pause()
    except KeyboardInterrupt:
        _talk("stopped")
    finally:
        server.stop()
    return 0


@runs_app.command(name="list")
def list_(*, runs_dir: RunsDir = _RUNS, json: Annotated[bool, Parameter(negative=())] = False) -> int:
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
        _talk(f"no runs in {runs_dir}: start one with `xray-tui train DATA`")
    return 0


@runs_app.command
def show(run: str | None = None, /, *, runs_dir: RunsDir = _RUNS) -> int:
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


@data_app.command(name="demo")
def data_demo(folder: Path | None = None, /, *, seed: int = 0) -> int:
    """Make the demo radiographs and print where they are.

    Args:
        folder: where to make them (default: where `xray-tui demo` looks).
        seed: another seed makes other radiographs.
    """
    print(_make_demo(folder or _demo_folder(), seed))
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
        _talk(f"this is a bug in xray-tui: {type(error).__name__}: {error}")
        _talk("run it again with --debug for the traceback")
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
        _talk("stopping after this batch; once more ends it at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _demo_folder() -> Path:
    """``data/demo`` in a checkout, else in the user's cache."""
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir():
        return checkout / "data" / "demo"
    from platformdirs import user_cache_path

    return user_cache_path("xray-tui") / "demo"


def _make_demo(folder: Path, seed: int = 0) -> Path:
    from rich.console import Console
    from rich.progress import Progress

    from xray_tui.data.demo import make_demo

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("making demo radiographs")
        return make_demo(
            folder, seed=seed, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


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
        _talk(f"error: {error.message}")
        for line in error.hint.splitlines():
            _talk(f"  {line}")
    else:
        _talk(f"error: {error}")
        _talk("  see `xray-tui --help`")


def _talk(text: str) -> None:
    print(harmless(text), file=sys.stderr, flush=True)
