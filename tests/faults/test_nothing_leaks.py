"""What a stranger could learn of a patient, and who else hears of a run: nothing, nobody.

Two sittings of a person (:mod:`tests.faults.sitting`) are looked through afterwards: one with file names that
name patients and ``--hash-names``, under umask 027; one with radiographs that carry a patient in their
metadata, under umask 077.
"""

import csv
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

from tests.conftest import write_folder
from tests.engine.conftest import run_recipe
from tests.faults import sitting
from xray_tui import settings_file
from xray_tui.events import RunStarted, Warning
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.follow import read

PATIENT = "Doe^Jane 1970-01-01"
CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Sat:
    """A sitting that is over."""

    home: Path
    """Where it was allowed to write."""
    data: Path
    report: dict[str, Any]
    out: str
    err: str

    @property
    def screens(self) -> str:
        return "\n".join(self.report["screens"])

    @property
    def runs(self) -> list[RunDirectory]:
        return list_runs(self.home / "runs")

    def files(self) -> Iterator[Path]:
        """All that it made, folders included."""
        return (path for path in self.home.rglob("*") if path.name not in ("report.json", "home"))

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """All that can be read afterwards: files, what is packed in them, what was said and shown."""
        yield "standard output", self.out.encode()
        yield "standard error", self.err.encode()
        yield "the screens", self.screens.encode()
        for path in self.files():
            yield f"the name of {path}", os.fsencode(path.relative_to(self.home))
            if path.suffix == ".safetensors":  # of a network's weights some spell a word
                with path.open("rb") as file:
                    yield str(path), file.read(int.from_bytes(file.read(8), "little"))
            elif path.is_file():
                yield str(path), path.read_bytes()
            if path.suffix == ".npz":
                with np.load(path) as arrays:
                    yield from ((f"{path}: {name}", arrays[name].tobytes()) for name in arrays)
            if ".tfevents." in path.name:
                yield from ((f"{path}: an image", text) for text in png_chunks(path))


def png_chunks(events: Path) -> Iterator[bytes]:
    """The chunks of the images in an event file, text unpacked: a PNG may carry it compressed."""
    for event in RawEventFileLoader(str(events)).Load():
        for png in re.finditer(rb"\x89PNG\r\n\x1a\n.*?IEND", event, re.DOTALL):
            at = 8
            while at + 8 <= len(png[0]):
                length = int.from_bytes(png[0][at : at + 4])
                kind, body = png[0][at + 4 : at + 8], png[0][at + 8 : at + 8 + length]
                yield kind
                if kind == b"zTXt":
                    yield zlib.decompress(body.partition(b"\0")[2][1:])
                at += 12 + length


def sit(home: Path, data: Path, *, umask: str, names: str) -> Sat:
    home.mkdir()
    folders = {f"XRAY_TUI_{name.upper()}_DIR": str(home / name) for name in ("state", "cache", "config")}
    environment = os.environ | folders | {"HOME": str(home / "home"), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, str(sitting.__file__), umask, str(data), names, "report.json"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((home / "report.json").read_text())
    assert report["codes"][:2] == [0, 1], done.stderr
    assert set(report["codes"][2:]) == {0}, done.stderr
    return Sat(home, data, report, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sittings")


@pytest.fixture(scope="module")
def hashed(folder: Path) -> Sat:
    """With names that tell patients, hashed."""
    data = write_folder(folder / "named")
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        if number % 2:  # one half with names that are numbers, one half with names
            file.rename(file.with_name(f"Doe_Jane-{number:03}-1970.png"))
    (data / "train" / "NORMAL" / "Doe_Jane-900-1970.png").write_bytes(b"not an image")
    copied = next((data / "train" / "NORMAL").glob("IM-*.png"))
    shutil.copy(copied, copied.with_name("person901_copy.png"))  # told by the check of the folder
    return sit(folder / "hashed", data, umask="027", names="hashed")


def with_patient(data: Path) -> Path:
    """Let each image tell the patient, and one be broken."""
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        with Image.open(file) as image:
            image.load()
        if number % 2:
            text = PngInfo()
            text.add_text("PatientName", PATIENT)
            text.add_text("Compressed", PATIENT, zip=True)
            text.add_itxt("Comment", PATIENT)
            image.save(file, pnginfo=text, exif=exif())
        else:
            file.unlink()
            image.save(file.with_suffix(".jpeg"), exif=exif(), comment=PATIENT.encode(), quality=95)
    broken = data / "train" / "NORMAL" / "broken.jpeg"
    whole = next((data / "train" / "NORMAL").glob("*.jpeg")).read_bytes()
    broken.write_bytes(whole[: len(whole) - 200])
    assert PATIENT.encode() in broken.read_bytes()
    return data


@pytest.fixture(scope="module")
def named(folder: Path) -> Sat:
    """With a patient in what the image files carry beside their pixels."""
    data = with_patient(write_folder(folder / "told"))
    return sit(folder / "open", data, umask="077", names="open")


def exif() -> Image.Exif:
    """With the patient as description, artist and comment, and lying on its side."""
    found = Image.Exif()
    found[0x010E] = found[0x013B] = found[0x9C9B] = PATIENT
    found[0x0112] = 6
    return found


@pytest.fixture(params=["hashed", "named"])
def sat(request: pytest.FixtureRequest) -> Sat:
    found: Sat = request.getfixturevalue(request.param)
    return found


# Text in images


TOLD = re.compile(rb"(?i)doe\^jane|1970-01-01|" + re.escape("Doe^Jane".encode("utf-16-le")))


def test_a_run_takes_no_text_of_its_images_along(tmp_path: Path) -> None:
    data = with_patient(write_folder(tmp_path / "told"))
    run = run_recipe(data, tmp_path / "home" / "runs")
    sat = Sat(tmp_path / "home", data, {"screens": [str(event) for event in run.all]}, "", "")
    assert [where for where, content in sat.contents() if TOLD.search(content)] == []
    assert "broken.jpeg (" in sat.screens


@pytest.mark.long
def test_text_that_images_carry_stays_in_them(named: Sat) -> None:
    for file in named.data.rglob("*.*"):
        assert PATIENT.encode() in file.read_bytes(), "the test itself: every image carries the patient"
    assert [where for where, content in named.contents() if TOLD.search(content)] == []
    assert "broken.jpeg (" in named.out, "it was named, as what cannot be read is"


# Names of files


@pytest.mark.long
def test_hashed_names_are_nowhere(hashed: Sat) -> None:
    told = re.compile(rb"(?i)doe_jane|im-\d{4}|person\d{3}")
    names = [file.stem for file in hashed.data.rglob("*.png")]
    assert sum(name.startswith("Doe_Jane") for name in names) > 10
    assert all(told.match(name.encode()) for name in names), "the test itself: it knows every name"
    assert [where for where, content in hashed.contents() if told.search(content)] == []


@pytest.mark.long
def test_pseudonyms_are_where_names_would_be(hashed: Sat) -> None:
    first = hashed.runs[-1]
    sources = first.sources()
    assert len(sources) == len({path for path, _, _ in sources}) == 4
    for path, actual, patient in sources:
        assert re.fullmatch(rf"val/{actual}/[0-9a-f]{{16}}\.png", path)
        assert re.fullmatch(r"patient-[0-9a-f]{16}", patient)
    events = read(first)
    (started,) = (event for event in events if isinstance(event, RunStarted))
    (warning,) = (event for event in events if isinstance(event, Warning) and event.kind == "unreadable")
    assert started.settings["data"]["hash_names"] is True
    pseudonym = r"train/NORMAL/[0-9a-f]{16}\.png \("
    assert all(re.match(pseudonym, path) for path in warning.paths)
    assert re.search(r"cannot be read, more than 0%: " + pseudonym, hashed.err)
    assert re.search(r"^ {4}\* `" + pseudonym, first.report.read_text(), re.MULTILINE)


@pytest.mark.long
def test_two_runs_of_one_machine_call_an_image_the_same(hashed: Sat) -> None:
    sources = {tuple(run.sources()) for run in hashed.runs}
    assert len(hashed.runs) >= 2
    assert len({source for source in sources if source}) == 1
    assert "A is right on" in hashed.out, "McNemar's test, by image"


@pytest.mark.long
def test_the_screen_finds_radiographs_by_their_pseudonyms(hashed: Sat) -> None:
    mistakes = [screen for screen in hashed.report["screens"] if "mistakes · epoch" in screen]
    assert all("▀▀▀▀" in screen for screen in mistakes), "half blocks: a radiograph is seen"
    assert "weights of epoch" in mistakes[-1], "Grad-CAM has looked at it"
    assert "cannot read" not in hashed.screens


@pytest.mark.long
def test_the_list_of_mistakes_has_pseudonyms(hashed: Sat) -> None:
    (file,) = hashed.home.glob("runs/*/mistakes-epoch-*.csv")
    rows = list(csv.DictReader(file.open()))
    assert rows
    assert all(re.fullmatch(r"val/(NORMAL|PNEUMONIA)/[0-9a-f]{16}\.png", row["path"]) for row in rows)


@pytest.mark.long
def test_the_key_is_in_no_run_directory(hashed: Sat) -> None:
    key = (hashed.home / "state" / "names.key").read_text().strip()
    holding = [
        where
        for where, content in hashed.contents()
        if key.encode() in content or bytes.fromhex(key) in content
    ]
    assert holding == [str(hashed.home / "state" / "names.key")]


# Who else hears of it


def test_what_is_reached_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting, "reached", [])
    for address in ("127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"):
        sitting.watch("socket.connect", (None, (address, 443)))
        sitting.watch("socket.getaddrinfo", (address, 443))
    sitting.watch("socket.connect", (None, "/run/a.socket"))
    sitting.watch("socket.getaddrinfo", ("download.pytorch.org", 443))
    assert [words.split(" ", 1)[0] for words in sitting.reached] == [
        "socket.connect",
        "socket.getaddrinfo",
    ] * 2 + ["socket.getaddrinfo"]


@pytest.mark.long
def test_nothing_is_reached_over_a_network(sat: Sat) -> None:
    assert "socket.connect" in sat.report["seen"], "the test itself: the hook sees sockets"
    assert sat.report["reached"] == []


# Who may read it


@pytest.mark.long
def test_everything_is_made_with_the_umask(sat: Sat, hashed: Sat) -> None:
    umask = 0o027 if sat is hashed else 0o077
    wrong = []
    for path in sat.files():
        found = path.lstat()
        wanted = (0o777 if stat.S_ISDIR(found.st_mode) else 0o666) & ~umask
        if path.name == "names.key":
            wanted = 0o600
        if stat.S_IMODE(found.st_mode) != wanted:
            wrong.append(f"{stat.S_IMODE(found.st_mode):o} {path.relative_to(sat.home)}")
    assert wrong == []
    made = {path.relative_to(sat.home).parts[0] for path in sat.files()}
    assert made >= {"runs", "cache", "state", "config", "runs.csv", "runs.json", "runs.md"}
    names = {path.name for path in sat.files()}
    assert names >= {
        "last.safetensors",
        "best.safetensors",
        "events.jsonl",
        "images.csv",
        "report.md",
        ".index.json",
        "config.toml",
        "about.json",
        "start.toml",
    }


def test_a_config_file_that_was_made_private_stays_it() -> None:
    file = settings_file.user_file()
    for content in (
        "[data]\nlimit = 3\n",
        "training.seed = 1 # lost here, kept in the copy\ndata.limit = 3\n",
    ):
        file.write_text(content)
        file.chmod(0o600)
        changes = {"training.frozen.learning_rate": 0.1, "training.seed": 2, "data.split": "recipe"}
        copy = settings_file.save(file, changes)
        assert {stat.S_IMODE(path.stat().st_mode) for path in (file, copy) if path is not None} == {0o600}
    assert copy is not None, "the test itself: the second file wants a copy"


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o002])
def test_demo_radiographs_are_made_with_the_umask(tmp_path: Path, umask: int) -> None:
    code = (
        "import os, sys; from pathlib import Path; from xray_tui.data.demo import make_demo\n"
        "os.umask(int(sys.argv[2])); counts = {s: {'NORMAL': 1, 'PNEUMONIA': 1} for s in ('train', 'test')}\n"
        "make_demo(Path(sys.argv[1]) / 'demo', size_px=32, counts=counts)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), str(umask)], check=True, timeout=120)
    modes = {
        path.is_dir(): stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "demo", *tmp_path.rglob("demo/**/*")]
    }
    assert modes == {True: 0o777 & ~umask, False: 0o666 & ~umask}
