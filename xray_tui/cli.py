"""The commands. Each imports what it needs when it is called: `--help` and `runs` never wait for torch."""

import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from xray_tui import __version__, config, settings_file
from xray_tui.cli_config import config_app
from xray_tui.cli_data import data_app, demo_folder, make_demo_in
from xray_tui.cli_doctor import doctor_app
from xray_tui.cli_evaluate import EPILOGUE as EVALUATE_EPILOGUE
from xray_tui.cli_evaluate import evaluate
from xray_tui.cli_export import EPILOGUE as EXPORT_EPILOGUE
from xray_tui.cli_export import export
from xray_tui.cli_fetch import fetch_app
from xray_tui.cli_headless import see_another_through, see_through
from xray_tui.cli_lr import EPILOGUE as LR_EPILOGUE
from xray_tui.cli_lr import lr_find
from xray_tui.cli_options import (
    DEMO,
    NO_DEMO_OPTIONS,
    NO_OPTIONS,
    RUNS,
    Ascii,
    DemoOptions,
    Environment,
    RunOptions,
    RunsDir,
    runs_folder_of_user,
)
from xray_tui.cli_predict import EPILOGUE as PREDICT_EPILOGUE
from xray_tui.cli_predict import predict
from xray_tui.cli_runs import runs_app
from xray_tui.cli_sweep import EXAMPLES, sweep
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.talking import end_with, talk, tell_details_at_the_end

app = App(
    name="xray-tui",
    help="Open the dashboard: set a run up, start it, browse the runs that were kept.",
    help_format="plaintext",
    version=__version__,
    config=(Environment("XRAY_TUI_", command=False, show=False), runs_folder_of_user),
)
app.command(runs_app)
app.command(data_app)
app.command(config_app)
data_app.command(fetch_app)
app.command(doctor_app)
app.command(lr_find, help_epilogue=LR_EPILOGUE)
app.command(evaluate, help_epilogue=EVALUATE_EPILOGUE)
app.command(export, help_epilogue=EXPORT_EPILOGUE)
app.command(predict, help_epilogue=PREDICT_EPILOGUE)
app.command(sweep, help_epilogue=EXAMPLES)


@app.default
def dashboard(
    data: Path | None = None, /, *, ascii_only: Ascii = None, options: RunOptions = NO_OPTIONS
) -> int:
    """Open the dashboard: set a run up, start it, browse the runs that were kept.

    Args:
        data: folder with train/, test/ and perhaps val/, or a CSV file of labels, or MedMNIST's .npz.
    """
    from xray_tui.tui.app import run_dashboard

    settings, origins = options.trace({"data.root": str(data)} if data else {})
    return run_dashboard(settings=settings, origins=origins, file=options.config, ascii_only=ascii_only)


@app.command(
    help_epilogue="""Examples:
  xray-tui demo
  xray-tui demo --unfreeze ask    the run waits until you press u

The demo has defaults of its own: efficientnet_lite0, whose weights came with
the installation, small images and few epochs. What you give wins, in your
config file too; only its data folder is always the demo's own.
"""
)
def demo(*, ascii_only: Ascii = None, options: DemoOptions = NO_DEMO_OPTIONS) -> int:
    """Make synthetic radiographs and learn from them in the dashboard: offline, on a CPU, under 2 minutes."""
    process.be_alone()
    from xray_tui.tui.app import run_dashboard

    options.trace(demo=DEMO)  # what is wrong is told before radiographs are made
    root = str(make_demo_in(demo_folder()))
    settings, origins = options.trace({"data.root": root}, demo=DEMO)
    origins["data.root"] = "demo"
    return run_dashboard(
        settings=settings, origins=origins, file=options.config, start=True, ascii_only=ascii_only
    )


@app.command(
    help_epilogue="""Examples:
  xray-tui train ~/chest_xray
  xray-tui train ~/chest_xray --backbone efficientnet_lite0 --limit 1500 --frozen-epochs 4
  xray-tui train ~/chest_xray --json | jq 'select(.type == "epoch_ended").accuracy'
  torchrun --nproc-per-node 2 -m xray_tui train ~/chest_xray    on two GPUs

With torchrun, --batch-size still counts the images of a step: the processes
share them out.
"""
)
def train(
    data: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False, options: RunOptions = NO_OPTIONS
) -> int:
    """Run the recipe without a screen; end with the published table.

    Args:
        data: folder with train/, test/ and perhaps val/, or a CSV file of labels, or MedMNIST's .npz.
        json: print each event as a line of JSON instead.
    """
    from xray_tui import launch
    from xray_tui.engine.distributed import join

    with join() as world:
        if not world.main:
            return see_another_through(world)
        settings = options.settings(**{"data.root": str(data)})
        return see_through(partial(launch.start, settings, world=world), world, json=json)


@app.command(
    help_epilogue="""Examples:
  xray-tui resume                 the newest that was interrupted or failed
  xray-tui resume 20261124        the run whose name begins like that
  xray-tui resume 20261124 --json

It equals a run that never stopped: the settings are the run's own, kept in
its config.toml. A run that is done or live is refused.
"""
)
def resume(
    run: str | None = None,
    /,
    *,
    runs_dir: RunsDir = RUNS,
    json: Annotated[bool, Parameter(negative=())] = False,
    take_over: Annotated[bool, Parameter(negative=(), show=False)] = False,
) -> int:
    """Go on exactly where an interrupted run stopped; end with the published table.

    Args:
        run: its name, its folder, or how that begins (default: the newest that was interrupted or failed).
        json: print each new event as a line of JSON instead.
        take_over: for the process that a run is handed over to.
    """
    from xray_tui import launch
    from xray_tui.engine.distributed import join
    from xray_tui.runs.claim import check_resumable
    from xray_tui.runs.follow import read
    from xray_tui.runs.index import find, find_resumable

    with join() as world:
        if not world.main:
            return see_another_through(world)
        directory = find_resumable(runs_dir) if run is None else find(runs_dir, run)
        check_resumable(directory, handed_over=take_over)
        begin = partial(launch.resume, directory, take_over=take_over, world=world)
        return see_through(begin, world, json=json, past=read(directory), has_terminal=not take_over)


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
    ascii_only: Ascii = None,
) -> int:
    """Open the dashboard on a run of another process, live or finished.

    Args:
        run: what the run is called, its folder, or how that begins (default: the newest).
    """
    from xray_tui.runs.index import find
    from xray_tui.tui.app import run_dashboard

    directory = find(runs_dir, run)
    settings, origins = config.trace(file=settings_file.existing_user_file())
    if str(runs_dir) != settings.run.runs_dir:
        settings = config.replace(settings, {"run.runs_dir": str(runs_dir)})
        origins["run.runs_dir"] = "command line"
    return run_dashboard(
        settings=settings,
        origins=origins,
        watch=directory,
        replay=_speed(replay) if replay else None,
        ascii_only=ascii_only,
    )


@app.command(
    help_epilogue="""Examples:
  xray-tui board --port 6010 --runs-dir /data/runs
  xray-tui board --host 0.0.0.0    for every machine of the network: TensorBoard
                                   has no password
"""
)
def board(*, port: int | None = None, host: str = "127.0.0.1", runs_dir: RunsDir = RUNS) -> int:
    """Start TensorBoard on the runs folder and keep it until Ctrl-C.

    Args:
        port: to listen on (default: the first free one from 6006).
        host: the address to listen on; any but this machine's own lets others see radiographs and results.
    """
    from xray_tui.board.server import Board
    from xray_tui.files import state_folder

    server = Board(runs_dir, state_folder() / "tensorboard.log", port, host)
    if exposed := server.exposed:
        talk(
            f"warning: with --host {host} everybody on that network sees the radiographs and the results of "
            "these runs: TensorBoard has no password"
        )
    talk("starting TensorBoard …")
    try:
        print(server.start(), flush=True)
        elsewhere = server.url_elsewhere if exposed else server.ssh_line
        talk(f"from another machine: {elsewhere}")
        talk("Ctrl-C stops it")
        server.open_browser()
        signal.pause()
    except KeyboardInterrupt:
        talk("stopped")
    finally:
        server.stop()
    return 0


@app.command(
    help_epilogue="""Examples:
  xray-tui completion bash --install
  source <(xray-tui completion bash)              for this shell alone
  xray-tui completion fish > ~/.config/fish/completions/xray-tui.fish

After an update of xray-tui, install it anew: the script holds the options.
"""
)
def completion(
    shell: Literal["bash", "zsh", "fish"], /, *, install: Annotated[bool, Parameter(negative=())] = False
) -> int:
    """Print the script that lets a shell complete commands, options and values.

    Args:
        shell: whose language the script is in.
        install: put it where the shell finds it, with a line in ~/.bashrc or ~/.zshrc if that takes one.
    """
    if not install:
        print(app.generate_completion(shell=shell))
        return 0
    try:
        script = app.install_completion(shell=shell)
    except OSError as error:
        raise UserError(
            f"cannot install it: {error.filename}: {error.strerror}",
            f"print it with `xray-tui completion {shell}` and put it where your shell looks",
        ) from None
    talk(f"{script} is written; a new {shell} completes xray-tui")
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, do what it says and exit."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    process.set_up()
    debug = "--debug" in tokens
    if debug:
        tell_details_at_the_end()
    end_with(partial(_run, [token for token in tokens if token != "--debug"]), debug=debug)


def _run(tokens: Sequence[str]) -> int:
    """
    Raises:
        UserError: also where the command line is wrong.
    """
    try:
        code: int = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        words = " ".join(["xray-tui", *(error.command_chain or ()), "--help"])
        raise UserError(str(error), f"see `{words}`") from error
    return code


def _speed(text: str) -> float:
    try:
        speed = float(text.lower().removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UserError(f"--replay {text}: not a speed", "such as 20x or 0.5")
    return speed
