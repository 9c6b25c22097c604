"""``xray-tui data fetch``, as a person or a script uses it."""

import hashlib
import os
import re
import shutil
import signal
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import get_args

import pytest

from tests.conftest import write_folder
from tests.data.publishing import Server
from xray_tui.cli import main
from xray_tui.data import kaggle, medmnist
from xray_tui.data.medmnist import Name, Size

Call = Callable[..., tuple[int, str, str]]
FILE = b"no real archive" * 999


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the program in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(("data", "fetch", *arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def zenodo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Publishes one file under whatever name."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server(FILE)
    monkeypatch.setattr(medmnist, "BASE", server.url.rpartition("/")[0])
    right = hashlib.md5(FILE).hexdigest()
    monkeypatch.setitem(medmnist._CHECKSUMS, "pneumoniamnist", ("0" * 32, right, "0" * 32, "0" * 32))
    yield server
    server.close()


def test_a_file_of_medmnist_is_the_result_and_how_to_train_on_it_is_said(call: Call, zenodo: Server) -> None:
    code, out, err = call("medmnist", "--size", "64")
    file = Path(os.environ["XRAY_TUI_CACHE_DIR"]) / "medmnist" / "pneumoniamnist_64.npz"
    assert (code, out) == (0, f"{file}\n")
    assert file.read_bytes() == FILE
    assert err.splitlines() == [
        f"pneumoniamnist_64.npz from 127.0.0.1 into {file.parent}",
        f"to train on it: xray-tui train {file} --image-size 64",
    ]


def test_it_goes_into_the_folder_that_is_named(call: Call, zenodo: Server, tmp_path: Path) -> None:
    code, out, err = call("medmnist", "--size", "64", "--to", "my dätä")
    assert (code, out) == (0, "my dätä/pneumoniamnist_64.npz\n")
    assert "xray-tui train 'my dätä/pneumoniamnist_64.npz'" in err


def test_a_wrong_checksum_is_two_lines_and_how_to_do_without(call: Call, zenodo: Server) -> None:
    code, out, err = call("medmnist", "--size", "28")
    assert (code, out) == (2, "")
    assert "error: what came from 127.0.0.1 is not pneumoniamnist.npz: its md5 is" in err
    assert f"By hand: open {medmnist.BASE}/pneumoniamnist.npz?download=1 in a browser" in err


def test_ctrl_c_says_that_what_came_is_kept(
    call: Call, zenodo: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("xray_tui.data.fetching.fetch", interrupt)
    code, out, err = call("medmnist")
    assert (code, out) == (128 + signal.SIGINT, "")
    assert err.endswith("stopped; what came is kept: the same command goes on from there\n")


def test_every_set_and_size_is_published_with_a_checksum_of_its_own() -> None:
    found = [medmnist.source(name, size) for name in get_args(Name) for size in get_args(Size)]
    assert {source.algorithm for source in found} == {"md5"}
    assert all(re.fullmatch("[0-9a-f]{32}", source.checksum) for source in found)
    assert len({source.checksum for source in found}) == len({source.name for source in found}) == len(found)
    (smallest, *_, largest) = (medmnist.source("pneumoniamnist", size) for size in get_args(Size))
    assert smallest.url.endswith("/records/10519652/files/pneumoniamnist.npz?download=1")
    assert largest.name == "pneumoniamnist_224.npz"
    assert largest.checksum == "d6a3c71de1b945ea11211b03746c1fe1"


def free_on_disk(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    """Disks have ``size`` bytes free, whatever this machine has."""
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(size))


def kagglehub(monkeypatch: pytest.MonkeyPatch, cache: Path, download: Callable[[str], str]) -> None:
    """The package's border, as of kagglehub 1.0: a call, a cache folder, and what it raises; room enough."""
    free_on_disk(monkeypatch, 1e11)

    class UnauthenticatedError(Exception):
        pass

    def module(name: str, **content: object) -> ModuleType:
        made = ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    module(
        "kagglehub",
        dataset_download=download,
        config=module(
            "kagglehub.config", get_cache_folder=lambda: os.environ.get("KAGGLEHUB_CACHE", str(cache))
        ),
        exceptions=module("kagglehub.exceptions", UnauthenticatedError=UnauthenticatedError),
    )


def test_kaggles_folder_is_the_result_and_what_the_package_prints_is_not(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(handle: str) -> str:
        asked.append((handle, os.environ.get("KAGGLEHUB_CACHE")))
        print("Downloading …")
        write_folder(tmp_path / "got" / "chest_xray", {"train": {"NORMAL": 1}})
        return str(tmp_path / "got")

    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)
    kagglehub(monkeypatch, tmp_path, download)
    code, out, err = call("kaggle")
    assert (code, out) == (0, f"{tmp_path}/got/chest_xray\n")
    assert err.splitlines() == [
        "Downloading …",
        f"to train on it: xray-tui train {tmp_path}/got/chest_xray",
    ]
    call("kaggle", "--to", "shelf")
    assert asked == [
        (f"{kaggle.DATASET}/versions/2", None),
        (f"{kaggle.DATASET}/versions/2", f"{tmp_path}/shelf"),
    ]
    assert "KAGGLEHUB_CACHE" not in os.environ


def test_offline_kaggle_is_told_with_what_to_do_by_hand(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(handle: str) -> str:
        inner = OSError(
            "HTTPSConnection(host='api.kaggle.com', port=443): Failed to resolve 'api.kaggle.com'"
        )
        raise OSError(RuntimeError(inner))

    kagglehub(monkeypatch, tmp_path, download)
    code, out, err = call("kaggle")
    assert (code, out) == (2, "")
    first, *hint = err.splitlines()
    assert first == f"error: cannot download {kaggle.DATASET} from Kaggle: Failed to resolve 'api.kaggle.com'"
    assert f"  By hand: open {kaggle.PAGE} in a browser, download and unpack it," in hint
    assert hint[-1] == "  then: xray-tui train FOLDER/chest_xray"


def test_a_refusal_of_kaggle_names_the_account(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(OSError):
        response = SimpleNamespace(status_code=403)

    def download(handle: str) -> str:
        raise Refused("403 Client Error.\n\nYou don't have permission")

    kagglehub(monkeypatch, tmp_path, download)
    code, _, err = call("kaggle")
    assert code == 2
    assert err.startswith("error: Kaggle refuses the data set: 403 Client Error.")
    assert "https://www.kaggle.com/settings" in err


def test_the_package_of_kaggle_is_an_extra(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    code, _, err = call("kaggle")
    assert code == 2
    assert err.splitlines()[:2] == ["error: kagglehub is not installed", "  pip install 'xray-tui[kaggle]'"]


def test_room_for_kaggle_is_looked_at_first(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kagglehub(monkeypatch, tmp_path, lambda handle: pytest.fail("was called"))
    free_on_disk(monkeypatch, 1e9)
    code, _, err = call("kaggle", "--to", "no/such/folder")
    assert code == 2
    assert "takes about 6.0 GB while it is unpacked" in err
    assert "1.0 GB free" in err
