"""The parsers as targets: each with inputs to begin from, and with what may come of an input.

Whatever else comes of one (another exception, a word on the terminal, minutes of work) is a failure.
"""

import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
from hypothesis import strategies as st

from tests.faults.fuzz_inputs import (
    Inputs,
    altered,
    array_seeds,
    dicom_seeds,
    image_seeds,
    mutated,
    npz_seeds,
    pixel_seeds,
    safe_seeds,
    torch_seeds,
    trees_of,
    with_digest,
    with_sums,
    with_zip_sums,
    worded,
)
from tests.runs.making import keep, lines, whole_run
from xray_tui import config, event_lines, events, settings_file
from xray_tui.data import archive, check_cache, dicom, labels
from xray_tui.data.check_cache import Fact
from xray_tui.data.decoding import Unreadable, decode, head, measure
from xray_tui.data.pixel_file import map_file, read_index
from xray_tui.errors import UserError
from xray_tui.events import Control, Event
from xray_tui.runs import about, follow, state
from xray_tui.runs.advice import advice
from xray_tui.runs.compare import compare, to_markdown
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.filters import parse
from xray_tui.runs.index import index_file, summaries, summary
from xray_tui.runs.predictions import KeptPredictions
from xray_tui.runs.record import RunRecord
from xray_tui.runs.report import report
from xray_tui.runs.upkeep import tree
from xray_tui.settings import Settings
from xray_tui.sweep import space
from xray_tui.words import harmless

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Target:
    name: str
    read: Callable[[bytes, Path], None]
    """Reads an input, in a folder of its own; checks what comes of it."""
    inputs: Inputs
    allowed: tuple[type[Exception], ...] = (UserError,)
    seeds: list[bytes] = field(default_factory=list)


def check_told(error: Exception) -> None:
    """What a person is told is short."""
    assert len(str(error)) <= _LONGEST_MESSAGE, f"a message of {len(str(error))} characters"


def images(content: bytes, folder: Path) -> None:
    file = folder / "x.png"
    file.write_bytes(content)
    verdicts: list[object] = []
    for short_side in (None, 12):
        try:
            grey = decode(file, short_side)
        except Unreadable as error:
            verdicts.append(str(error))
            continue
        assert grey.dtype == np.uint8
        assert grey.ndim == 2
        verdicts.append(grey.shape if short_side is None else "read")
    for look in (measure, head):
        with file.open("rb") as opened:
            try:
                found = look(opened)
            except Unreadable as error:
                verdicts.append(str(error))
            else:
                verdicts.append((found.height, found.width))
    for verdict in verdicts:
        assert verdict, "a reason without words"
        assert not isinstance(verdict, str) or verdict == harmless(verdict), repr(verdict)
    whole, part, measured, begun = verdicts
    assert isinstance(whole, tuple) == (part == "read"), verdicts
    assert isinstance(measured, tuple) or not isinstance(whole, tuple), verdicts
    if isinstance(whole, tuple):
        assert whole == measured == begun, verdicts


def patients(content: bytes, folder: Path) -> None:
    """A DICOM file, as an image; and whose it is."""
    images(content, folder)
    with suppress(Unreadable):
        dicom.patient_of(io.BytesIO(content))


def csv_labels(content: bytes, folder: Path) -> None:
    for name in ("a.png", "b.png"):
        (folder / name).touch()
    file = folder / "labels.csv"
    file.write_bytes(content)
    listing = labels.read(file)
    assert all((folder / image.place).is_file() for files in listing.folders.values() for image in files)


def arrays(content: bytes, folder: Path) -> None:
    file = folder / "x.npz"
    file.write_bytes(content)
    archive._read.cache_clear()
    listing = archive.unpack(file)
    found = {image.place for files in listing.folders.values() for image in files}
    assert found == {str(file.relative_to(listing.root)) for file in listing.root.rglob("*.png")}
    shutil.rmtree(listing.root)


def weights(content: bytes, folder: Path, suffix: str) -> None:
    import torch

    from xray_tui.models.weights import fit, read_weights

    file = folder / f"x{suffix}"
    file.write_bytes(content)
    body = torch.nn.Sequential(torch.nn.Linear(3, 2))
    fit(body, read_weights(file), name="some", origin="x")


def journal(content: bytes, folder: Path) -> None:
    directory = _run(folder)
    directory.journal.write_bytes(content)
    short = summary(directory)
    tree(short)
    parse("acc>=88% cfg.batch_size>=64 x").matches(short)
    try:
        told = follow.read(directory)
    finally:
        summaries(folder)
    record = RunRecord.of(told)
    for epoch in record.mistakes:
        for mistake in record.mistakes[epoch].worst:
            assert record.started is None or record.classes[mistake.actual]
    report("x", record)
    advice(record)
    to_markdown(compare([directory, _other(folder)]))
    for progress in (record.progress, record.eta_seconds, record.later, record.seconds, record.positive):
        str(progress)


def line(content: bytes, folder: Path) -> None:
    """One line that comes after a good one."""
    journal(_FIRST_LINE + content.replace(b"\n", b" ") + b"\n", folder)


def toml(content: bytes, folder: Path) -> None:
    file = folder / "x.toml"
    file.write_bytes(content)
    refused: list[UserError] = []
    for read in (
        lambda: config.to_toml(config.load({}, file=file)),
        lambda: config.load_kept(file),
        lambda: settings_file.read_dashboard(file),
        lambda: space.read(file, Settings()).to_toml(),
        lambda: _read_keymap(file),
    ):
        try:
            read()
        except UserError as error:
            check_told(error)
            refused.append(error)
    if refused:
        raise refused[0]


def _read_keymap(file: Path) -> None:
    from xray_tui.tui.actions import ACTIONS
    from xray_tui.tui.keymap import read_keymap

    keymap = read_keymap([file])
    for action in ACTIONS:
        assert keymap.shown(action)


def keys(content: bytes, folder: Path) -> None:
    from xray_tui.tui.actions import ACTIONS
    from xray_tui.tui.keymap import normal, written_key

    words = content.decode("utf-8", "replace")
    for key in normal(words, ACTIONS[len(words) % len(ACTIONS)]).split(","):
        assert written_key(key)


def theme(content: bytes, folder: Path) -> None:
    from xray_tui.tui.theme_files import read_theme

    file = folder / "x.toml"
    file.write_bytes(content)
    found = read_theme(file)
    assert found.to_color_system().generate()


def small(content: bytes, folder: Path, name: str) -> None:
    """A small JSON file of a run."""
    directory = _run(folder)
    file = index_file(folder) if name == "index" else directory.path / f"{name}.json"
    file.write_bytes(content)
    state.read(directory)
    follow.read_progress(directory)
    for found in summaries(folder):
        tree(found)
        parse("acc>=88% cfg.batch_size>=64 started>2026 seconds<1h").matches(found)
    if name == "about":
        about.load(directory)


def control(content: bytes, folder: Path) -> None:
    """The first line is the name of the request's file."""
    directory = _run(folder)
    name, _, content = content.partition(b"\n")
    safe = name.replace(b"/", b"").replace(b"\0", b"")[:255] or b"x"
    (directory.control / "sub").mkdir(exist_ok=True)
    if safe in (b".", b"..", b"sub"):
        return
    Path(directory.control, os.fsdecode(safe)).write_bytes(content)
    refused: list[str] = []
    for word, value in directory.take_requests(refused.append):
        assert word in get_args(Control)
        assert value is None or 0 < value < float("inf")
    assert all(words == harmless(words) for words in refused)
    left = {path.name for path in directory.control.iterdir() if not path.name.startswith(".")}
    assert left == {"sub"}
    for path in directory.control.iterdir():
        if path.name != "sub":
            path.unlink()


def sources(content: bytes, folder: Path) -> None:
    directory = _run(folder)
    (directory.predictions / "images.csv").write_bytes(content)
    found = KeptPredictions(directory, _CLASSES).images()
    assert len(found) == len(found.actual) == len(found.patients)


def epoch(content: bytes, folder: Path) -> None:
    directory = _run(folder)
    (directory.predictions / "images.csv").write_bytes(_SOURCES)
    (directory.predictions / "0000.npz").write_bytes(content)
    kept = KeptPredictions(directory, _CLASSES)
    found = kept.epoch(0)
    assert found.probabilities.shape == (3, 2)
    assert len(kept.fates(0, [0])) == 1


def pixels(content: bytes, folder: Path) -> None:
    file = folder / "x.pixels"
    file.write_bytes(content)
    with file.open("rb", buffering=0) as opened:
        index = read_index(opened)
        if index is not None:
            kept = map_file(opened, index)
            assert len(kept.pixels) == int(kept.heights @ kept.widths)


def facts(content: bytes, folder: Path) -> None:
    place = check_cache._file(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    for found in check_cache.load(folder).values():
        assert found.width >= 0


def filters(content: bytes, folder: Path) -> None:
    found = parse(content.decode("utf-8", "replace"))
    assert isinstance(found.matches(_summary()), bool)


def image_filters(content: bytes, folder: Path) -> None:
    from xray_tui.tui import image_filter

    assert image_filter.parse(content.decode("utf-8", "replace")) is not None


_ROOT = Path(__file__).parents[2]
_CLASSES = ["NORMAL", "PNEUMONIA"]
_SOURCES = b"path,actual,patient\n" + b"".join(b"test/NORMAL/%d.png,NORMAL,p%d\n" % (n, n) for n in range(3))
_WHOLE: list[Event] = [*whole_run()]
_FIRST_LINE = lines(_WHOLE[:1])
_kept: dict[Path, tuple[RunDirectory, RunDirectory]] = {}


def _run(folder: Path) -> RunDirectory:
    if folder not in _kept:
        _kept[folder] = keep(folder), keep(folder, at=1e9)
    return _kept[folder][0]


def _other(folder: Path) -> RunDirectory:
    return _kept[folder][1]


@functools.cache
def _summary() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return summary(keep(Path(folder)))


_FILTER = """( ) " \\ acc cfg.batch_size started name has: >= < : != ! | 88% 2026-11 1h loss stage:frozen"""
_IMAGE_FILTER = '" : ! | p loss wrong actual said >= < = 0.9 1e999 nan NORMAL person14'
_KEYS = "ctrl+ shift+ f5 space , + ? s escape é ctrl+@ minus"
_TOML = (
    "[keys] start = [data] root [[ ]] { } . seed [training] inf # theme dashboard 1e999 2026-01-01 \\u0000"
)


def targets() -> dict[str, Target]:
    """All of them, by name."""
    return {target.name: target for target in (*_of_data(), *_of_runs(), *_of_people())}


def _of_data() -> Iterator[Target]:
    pictures, torches, safe, pixel_files = image_seeds(), torch_seeds(), safe_seeds(), pixel_seeds()
    yield Target("images", images, mutated(pictures, with_sums), (), pictures)
    dicoms, packed = dicom_seeds(), array_seeds()
    yield Target("dicom", patients, mutated(dicoms), (), dicoms)
    yield Target("arrays", arrays, mutated(packed, with_zip_sums), seeds=packed)
    tables = [b"path,label\na.png,x\nb.png,y\n", b"File Name;Class;Set;PID\na.png;x;train;1\nb.png;y;train;2"]
    yield Target("labels", csv_labels, mutated(tables), seeds=tables)
    as_pth = functools.partial(weights, suffix=".pth")
    yield Target("weights", as_pth, mutated(torches, with_zip_sums), seeds=torches)
    as_safetensors = functools.partial(weights, suffix=".safetensors")
    yield Target("safetensors", as_safetensors, mutated(safe), seeds=safe)
    yield Target("pixels", pixels, mutated(pixel_files, with_digest), (), pixel_files)
    known = {"a.png": Fact("ok", "", 5, 5, "00", 40, 48, "L")}
    kept = msgspec.msgpack.encode(check_cache._Kept(check_cache._VERSION, "/", known))
    yield Target("facts", facts, mutated([kept]), (), [kept])


def _of_runs() -> Iterator[Target]:
    journals, trees = [lines(_WHOLE), lines(_WHOLE[:6]), lines(_WHOLE[-8:])], trees_of(_WHOLE)
    yield Target("journal", journal, mutated(journals), seeds=journals)
    yield Target("line", line, altered(trees), seeds=[json.dumps(tree).encode() for tree in trees])
    progress = json.loads(event_lines.encode(events.Progress(t=1.0, phase="train", stage="frozen", epoch=1)))
    for name, value in (
        ("state", {"status": "running", "pid": 1, "host": "here", "heartbeat": 1.0}),
        ("progress", progress),
        ("about", {"name": "a name", "note": "a note"}),
        ("index", _index_tree()),
    ):
        seed = json.dumps(value).encode()
        read = functools.partial(small, name=name)
        yield Target(name, read, st.one_of(mutated([seed]), altered([value])), seeds=[seed])
    requests = [b"1-stop\n", b"2-learning_rate\n0.001"]
    yield Target(
        "control",
        control,
        st.one_of(mutated(requests), worded("1- stop learning_rate 1e-3 . - NaN", "\n")),
        (),
        requests,
    )
    tables = [_SOURCES, b'path,actual,patient\n"a ""b"".png",PNEUMONIA,p\n']
    yield Target("images.csv", sources, mutated(tables), seeds=tables)
    archives = npz_seeds()
    yield Target("npz", epoch, mutated(archives, with_zip_sums), seeds=archives)


def _of_people() -> Iterator[Target]:
    settings = [
        config.to_toml(config.load({})).encode(),
        b'[training.frozen]\nepochs = 3\nlearning_rate = 1e-3\n[keys]\nstart = "s,f5"\n',
        b"[dashboard]\nascii = true\n[data]\nlimit = 3\n",
        b'[sweep]\nmetric = "loss"\n[sweep.space]\nmodel.dropout = { range = [0, 1], step = 0.1 }\n'
        b'training.loss.balance = ["none", "weights"]\nmodel.hidden = { range = [8, 512], log = true }\n',
    ]
    yield Target(
        "config",
        toml,
        st.one_of(mutated(settings), worded(_TOML, "\n", " ", '"', "'" * 3, "9" * 400)),
        seeds=settings,
    )
    themes = [file.read_bytes() for file in sorted((_ROOT / "themes").glob("*.toml"))]
    themes.append(b'name = "x"\nprimary = "#123456"\ndark = true\n[variables]\nfrozen = "red"\n')
    yield Target(
        "theme",
        theme,
        st.one_of(mutated(themes), worded(_TOML, "\n", " ", '"', "'" * 3, "9" * 400)),
        (ValueError,),
        themes,
    )
    yield Target("filter", filters, worded(_FILTER, " "), seeds=[b"acc>=88% stage:frozen"])
    terms = worded(_IMAGE_FILTER, " ")
    yield Target("mistakes", image_filters, terms, seeds=[b"p>0.9 !said:NORMAL | wrong>=3"])
    yield Target("keys", keys, worded(_KEYS, " "), seeds=[b"s,f5"])


def _index_tree() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        keep(Path(folder))
        keep(Path(folder), at=1e9)
        summaries(Path(folder))
        return json.loads(index_file(Path(folder)).read_bytes())
