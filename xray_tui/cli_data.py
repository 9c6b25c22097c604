"""``xray-tui data``: radiographs to learn from."""

from pathlib import Path

from cyclopts import App

data_app = App(
    name="data",
    help="Make the demo radiographs.",
    help_epilogue="Example:\n  xray-tui train $(xray-tui data demo)\n",
)


@data_app.command(name="demo")
def data_demo(folder: Path | None = None, /, *, seed: int = 0) -> int:
    """Make the demo radiographs and print where they are.

    Args:
        folder: where to make them (default: where `xray-tui demo` looks).
        seed: another seed makes other radiographs.
    """
    print(make_demo_in(folder or demo_folder(), seed))
    return 0


def demo_folder() -> Path:
    """``data/demo`` in a checkout, else in the user's cache."""
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir():
        return checkout / "data" / "demo"
    from platformdirs import user_cache_path

    return user_cache_path("xray-tui") / "demo"


def make_demo_in(folder: Path, seed: int = 0) -> Path:
    from rich.console import Console
    from rich.progress import Progress

    from xray_tui.data.demo import make_demo

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("making demo radiographs")
        return make_demo(
            folder, seed=seed, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
