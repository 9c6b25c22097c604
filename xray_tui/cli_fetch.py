"""``xray-tui data fetch``: radiographs that others have published."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from xray_tui.data import medmnist as published
from xray_tui.data.medmnist import Name, Size
from xray_tui.talking import talk

fetch_app = App(
    name="fetch",
    help="Download radiographs that others have published.",
    help_epilogue="""Examples:
  xray-tui data fetch kaggle
  xray-tui data fetch medmnist --size 64
  xray-tui train $(xray-tui data fetch medmnist --size 64) --image-size 64

Standard output has the place alone. What is there already is not downloaded
again; what was broken off is gone on with.
""",
)

To = Annotated[Path | None, Parameter(name="--to")]


@fetch_app.command(
    help_epilogue="""Examples:
  xray-tui data fetch kaggle
  xray-tui data fetch kaggle --to /data/kaggle

Needs the extra: pip install 'xray-tui[kaggle]'. The data set is public; where
Kaggle asks for an account all the same, https://www.kaggle.com/settings has
the token and where to put it.
"""
)
def kaggle(*, to: To = None) -> int:
    """Download chest-xray-pneumonia: 5,856 radiographs of children, about 2 GB.

    Args:
        to: the folder to keep it in (default: that of kagglehub, which other programs share).
    """
    from xray_tui.data import kaggle as source  # late: as all that only one command needs

    try:
        folder = source.fetch(to.expanduser() if to else None)
    except KeyboardInterrupt:
        _say_stopped()
        raise
    _say_how_to_train(folder)
    return 0


@fetch_app.command(
    help_epilogue="""Examples:
  xray-tui data fetch medmnist
  xray-tui data fetch medmnist --size 28 --to ~/medmnist

PneumoniaMNIST is chest-xray-pneumonia, cropped and resized, as one file; at 224
pixels 214 MB. The others are no chest radiographs. See https://medmnist.com.
"""
)
def medmnist(
    *,
    size: Size = 224,
    name: Annotated[Name, Parameter(name="--set")] = "pneumoniamnist",
    to: To = None,
) -> int:
    """Download a file of MedMNIST from Zenodo; its checksum is compared.

    Args:
        size: pixels on a side.
        name: which data set.
        to: the folder to keep it in (default: medmnist/ in your cache folder).
    """
    from xray_tui.console_data import FetchProgress  # late: rich
    from xray_tui.data import fetching
    from xray_tui.files import cache_folder

    source = published.source(name, size)
    folder = to.expanduser() if to else cache_folder() / "medmnist"
    talk(f"{source.name} from {source.host} into {folder}")
    try:
        with FetchProgress(source.name) as progress:
            file = fetching.fetch(source, folder, progress)
    except KeyboardInterrupt:
        _say_stopped()
        raise
    _say_how_to_train(file, f" --image-size {max(64, size)}")
    return 0


def _say_stopped() -> None:
    talk("stopped; what came is kept: the same command goes on from there")


def _say_how_to_train(data: Path, options: str = "") -> None:
    import shlex

    print(data, flush=True)
    talk(f"to train on it: xray-tui train {shlex.quote(str(data))}{options}")
