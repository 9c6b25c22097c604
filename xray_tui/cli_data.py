"""``xray-tui data``: radiographs to learn from."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import structs

from xray_tui import config, settings_file
from xray_tui.cli_options import option
from xray_tui.errors import UserError
from xray_tui.files import cache_folder
from xray_tui.settings import Split
from xray_tui.talking import talk

data_app = App(
    name="data",
    help="Check a folder of radiographs, make the demo's, or fetch published ones.",
    help_epilogue="""Examples:
  xray-tui data check ~/chest_xray
  xray-tui train $(xray-tui data demo)
  xray-tui data fetch kaggle
""",
)


@data_app.command(
    name="check",
    help_epilogue="""Examples:
  xray-tui data check ~/chest_xray && xray-tui train ~/chest_xray
  xray-tui data check ~/chest_xray --split holdout
  xray-tui data check labels.csv --columns 'path=Image Index, label=Finding'
  xray-tui data check ~/chest_xray --json | jq '.findings[] | {kind, title}'

Exit codes: 0 nothing spoils a run; 1 something does: too many unreadable files,
a file that is a pipe or a device, the same image in two roles; 2 the folder has
not the layout, lacks a class, or does not allow the split.

What was found out about a file is kept in the cache folder (XRAY_TUI_CACHE_DIR
sets another) until its size or time changes. So are the pixels that runs have
decoded; the last line says how much that is.
""",
)
def data_check(
    data: Path | None = None,
    /,
    *,
    columns: Annotated[str | None, option("data.columns")] = None,
    split: Annotated[Split | None, option("data.split")] = None,
    seed: Annotated[int | None, option("training.seed")] = None,
    image_size: Annotated[int | None, option("training.image_size")] = None,
    unreadable: Annotated[float | None, option("data.unreadable")] = None,
    cache: Annotated[str | None, option("data.cache")] = None,
    hash_names: Annotated[bool | None, option("data.hash_names")] = None,
    config_file: Annotated[
        Path | None, Parameter(name="config", help="a TOML file of settings (default: your own)")
    ] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Count, decode and compare the radiographs; say what it means for a run.

    Args:
        data: folder with train/, test/ and perhaps val/, a CSV file of labels, or MedMNIST's .npz (default:
            the config file's).
        json: print all of it as JSON, every file by name.
    """
    from xray_tui.console_data import CheckProgress, print_json, print_report  # late: rich
    from xray_tui.data import checks, sources  # late: numpy and Pillow
    from xray_tui.data.pixel_cache import cache_of  # late: numpy

    given = {
        "data.root": str(data) if data else None,
        "data.columns": columns,
        "data.split": split,
        "training.seed": seed,
        "training.image_size": image_size,
        "data.unreadable": unreadable,
        "data.cache": cache,
        "data.hash_names": hash_names,
    }
    settings = config.load(given, file=config_file or settings_file.existing_user_file())
    if not settings.data.root:
        raise UserError("no data given", f"name {sources.WANTED}")
    try:
        with CheckProgress("looking") as progress:
            survey = checks.survey(Path(settings.data.root), settings, progress)
    except OSError as error:
        raise UserError(f"cannot look into {settings.data.root}: {error.strerror or error}") from None
    with CheckProgress() as progress:
        reading = checks.read(survey, progress=progress)
    if reading.unkept:
        talk(f"what was found out could not be kept for the next time: {reading.unkept}")
    report = checks.judge(survey, reading.facts)
    try:
        kept = cache_of(settings.data)
        if kept is not None:
            report = structs.replace(report, cache=kept.usage(survey.listing.root))
    except UserError as error:
        talk(error.message)
    if json:
        print_json(report)
    else:
        print_report(report)
    return 1 if report.spoils else 0


@data_app.command(
    name="demo",
    help_epilogue="""Examples:
  xray-tui train $(xray-tui data demo)
  xray-tui data demo ~/made_up --seed 1

Standard output has the place alone. A demo that is already there is left alone;
a folder that holds anything else is refused.
""",
)
def data_demo(folder: Path | None = None, /, *, seed: int = 0) -> int:
    """Make the demo radiographs and print where they are.

    Args:
        folder: where to make them (default: where `xray-tui demo` looks).
        seed: another seed makes other radiographs.
    """
    if seed < 0:
        raise UserError(f"--seed {seed}: a seed is 0 or more")
    print(make_demo_in(folder or demo_folder(), seed))
    return 0


def demo_folder() -> Path:
    """``data/demo`` in a checkout, else in the user's cache."""
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir():
        return checkout / "data" / "demo"
    return _cached_demo()


def make_demo_in(folder: Path, seed: int = 0) -> Path:
    """
    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    from rich.console import Console
    from rich.progress import Progress

    from xray_tui.data.demo import make_demo

    talk = Console(stderr=True)
    # Where nobody watches, a bar would leave an empty line.
    with Progress(console=talk, transient=True, disable=not talk.is_terminal) as bar:
        task = bar.add_task("making demo radiographs")
        try:
            return make_demo(
                folder, seed=seed, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
        except OSError as error:
            hint = "name another folder: `xray-tui data demo FOLDER`"
            if folder == _cached_demo():
                hint = "XRAY_TUI_CACHE_DIR names another cache folder"
            raise UserError(
                f"cannot make the demo radiographs in {folder}: {error.strerror or error}", hint
            ) from None


def _cached_demo() -> Path:
    return cache_folder() / "demo"
