"""Small files, cut short, damaged, foreign or made to do harm: told by name and place, or not there."""

import io
import json
import os
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from textual.widgets import Static

from tests.faults.hostile_files import DEEP, GARBAGE, JSON, TOML, spoilt
from tests.runs.making import keep, lines, whole_run
from tests.tui.tui_support import WIDE, dashboard, until
from xray_tui import config, event_lines, settings_file
from xray_tui.cli import main
from xray_tui.data import check_cache
from xray_tui.data.check_cache import Fact
from xray_tui.data.pixel_file import Index, ending, packed, read_index
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, RunStarted
from xray_tui.runs import about, follow, state, upkeep
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import index_file, summaries, summary
from xray_tui.runs.predictions import KeptPredictions
from xray_tui.runs.record import RunRecord
from xray_tui.runs.report import report_of
from xray_tui.tui import remembered
from xray_tui.tui.panes.run_rows import RunRows
from xray_tui.tui.sources import FollowSource
from xray_tui.tui.theme_files import read_theme


def call(*words: str) -> int:
    """The command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(str(ended.value.code))


def journals() -> Iterator[tuple[str, bytes]]:
    """Second lines of a journal that are none, or none of a run."""
    yield from JSON.items()
    told = list(whole_run())
    ended = next(event for event in told if isinstance(event, EpochEnded))
    started = next(event for event in told if isinstance(event, RunStarted))
    for name, value in (
        ("confusion", [[1, 2], [3]]),
        ("confusion", []),
        ("confusion", [[-1, 2], [3, 4]]),
        ("confusion", [[10**30, 2], [3, 4]]),
        ("epoch", -1),
        ("epoch", 10**12),
        ("t", 1e300),
        ("t", -1.0),
        ("accuracy", 17.0),
        ("train_loss", 1e300),
        ("seconds", 1e300),
        ("stage", "thawed"),
    ):
        yield (
            f"{name} {str(value)[:30]}",
            event_lines.encode(msgspec.structs.replace(ended, **{name: value}), 1),
        )
    deep: dict[str, object] = {}
    for _ in range(900):
        deep = {"a": deep}
    for name, value in (
        ("settings", {"data": 5}),
        ("settings", {"training": {"unfrozen": 5}}),
        ("settings", {"training": {"unfrozen": {"epochs": "many"}}}),
        ("settings", {"data": {"positive": "NOBODY"}}),
        ("settings", {"data": deep}),
        ("classes", []),
        ("classes", ["A", "A"]),
        ("parameters", -1),
    ):
        yield (
            f"{name} {str(value)[:30]}",
            event_lines.encode(msgspec.structs.replace(started, **{name: value}), 1),
        )


_LINES = [pytest.param(line, id=name) for name, line in journals() if line]


@pytest.mark.parametrize("line", _LINES)
def test_a_line_that_is_no_event_is_told_by_file_and_line(
    tmp_path: Path, line: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = keep(tmp_path, at=1e9), keep(tmp_path, at=2e9)
    first = lines(list(whole_run())[:1])
    bad.journal.write_bytes(first + line.replace(b"\n", b" ") + b"\n")
    with pytest.raises(UserError) as caught:
        follow.read(bad)
    assert f"{bad.journal}, line 2, is not an event" in caught.value.message
    assert len(caught.value.message) < 500
    found = {run.directory.name: run.status for run in summaries(tmp_path)}
    assert found == {good.name: "done", bad.name: "unreadable"}
    assert call("runs", "list", "--runs-dir", str(tmp_path)) == 0
    assert call("runs", "show", bad.name, "--runs-dir", str(tmp_path)) == 2
    told, said = capfd.readouterr()
    assert good.name[:15] in told
    assert "line 2" in said
    assert "bug" not in said


def test_a_journal_of_a_newer_version_is_told_as_one(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    whole = directory.journal.read_bytes()
    for at, kind in enumerate(("mistakes", "epoch_ended", "moon_landed")):
        newer = b'{"v":2,"seq":0,"t":1.0,"type":"' + kind.encode() + b'"}\n'
        directory.journal.write_bytes(whole + newer)
        last = whole.count(b"\n") + 1
        with pytest.raises(UserError) as caught:
            follow.read(directory)
        assert f"{directory.journal}, line {last}, " in caught.value.message
        assert "written by a newer xray-tui" in caught.value.message, at
        assert summary(directory).status == "unreadable"
    directory.journal.write_bytes(whole + b'{"v":1,"seq":0,"t":1.0,"type":"moon_landed"}\n')
    assert summary(directory).status == "done"


def test_a_journal_without_lines_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_LONGEST_BYTES", 1000)
    directory = keep(tmp_path)
    directory.journal.write_bytes(bytes(5000))
    with pytest.raises(UserError, match=r"line 0, has no end|line 1, has no end"):
        follow.read(directory)


def test_mistakes_that_are_none_are_not_shown(tmp_path: Path) -> None:
    lists = (b"[5]", b"{}", b'[{"path":"x","actual":7,"predicted":0,"probability":1,"loss":1}]')
    for worst in lists:
        line = b'{"v":1,"seq":9,"t":1.0,"type":"mistakes","stage":"frozen","epoch":3,"total":1,"worst":'
        directory = keep(tmp_path)
        directory.journal.write_bytes(lines(list(whole_run())[:4]) + line + worst + b"}\n")
        assert RunRecord.of(follow.read(directory)).mistakes[3].worst == []


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_small_files_of_a_run_are_not_believed(tmp_path: Path, content: bytes) -> None:
    """state.json, progress.json, about.json, control/ and .index.json."""
    directory = keep(tmp_path)
    wanted = summary(directory)
    for file in (directory.state, directory.progress, directory.path / "about.json", index_file(tmp_path)):
        file.write_bytes(content)
    (directory.control / "1-learning_rate").write_bytes(content)
    assert state.read(directory).status == "interrupted"
    assert follow.read_progress(directory) is None
    assert about.read(directory) == about.About()
    with suppress(UserError):
        assert about.load(directory) == about.About()
    (found,) = summaries(tmp_path)
    assert (found.epochs, found.accuracy) == (wanted.epochs, wanted.accuracy)
    refused: list[str] = []
    asked = list(directory.take_requests(refused.append))
    assert asked in ([], [("learning_rate", 17.0)])
    assert len(refused) + len(asked) == 1


def test_an_index_that_is_not_sound_is_not_believed(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    (wanted,) = summaries(tmp_path)
    whole = json.loads(index_file(tmp_path).read_bytes())
    for name, value in (
        ("started", 1e300),
        ("settings", {"run": 5}),
        ("settings", {"model": []}),
        ("accuracy", 88.0),
        ("epochs", -5),
        ("seconds", 1e300),
    ):
        lie = json.loads(json.dumps(whole))
        lie["runs"][directory.name]["facts"][name] = value
        index_file(tmp_path).write_text(json.dumps(lie))
        assert summaries(tmp_path) == [wanted], name
    for content in spoilt(json.dumps(whole).encode(), 100):
        index_file(tmp_path).write_bytes(content)
        summaries(tmp_path)


@pytest.mark.parametrize(
    ("pid", "heartbeat"), [(-1, 0.0), (0, 0.0), (2**63, 0.0), (10**30, 0.0), (1, 1e300), (1, 1e12)]
)
def test_a_process_that_there_cannot_be_is_not_alive(tmp_path: Path, pid: int, heartbeat: float) -> None:
    directory = keep(tmp_path)
    told = {"status": "running", "pid": pid, "host": socket.gethostname()}
    directory.state.write_text(json.dumps(told | {"heartbeat": heartbeat or time.time()}))
    assert not state.read(directory).live
    assert upkeep.delete(directory).is_dir()


@pytest.mark.parametrize("content", TOML.values(), ids=TOML)
def test_toml_that_is_none_is_told_by_file(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(content)
    for read in (
        lambda: config.load({}, file=file),
        lambda: config.load_kept(file),
        lambda: settings_file.read_keys(file),
        lambda: settings_file.read_dashboard(file),
    ):
        with pytest.raises(UserError) as caught:
            read()
        assert str(file) in caught.value.message
        assert len(str(caught.value)) < 1000
    with pytest.raises(ValueError, match=r".") as told:
        read_theme(file)
    assert len(str(told.value)) < 1000
    monkeypatch.setenv("XRAY_TUI_STATE_DIR", str(tmp_path))
    for name in ("start.toml", "theme"):
        (tmp_path / name).write_bytes(content)
    assert remembered.load() == {}
    assert isinstance(remembered.load_theme(), str)
    assert call("train", str(tmp_path), "--config", str(file)) == 2
    _, said = capfd.readouterr()
    assert "Traceback" not in said
    assert "bug" not in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[training]\nframes = 1", "unknown setting training.frames"),
        ("[training.frozen]\nlearning_rate = inf", "training.frozen.learning_rate inf"),
        ("[training.frozen]\nlearning_rate = nan", "training.frozen.learning_rate nan"),
        ("[training.frozen]\nepochs = 1e99", "training.frozen.epochs 1e+99"),
        ("[data]\nroot = 5", "data.root 5"),
        ("data = 5", "data 5"),
        ("[data]\nroot = {a = 1}", "data.root"),
        ('"\\u001b[31m" = 5', "unknown setting"),
        ("[[training]]\nseed = 1", "training"),
        ("[training]\nseed = -1", "training.seed -1"),
        ("[training]\nseed = 99999999999999999999999999", "training.seed"),
    ],
)
def test_values_that_are_none_are_told_by_file_and_name(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        config.load({}, file=file)
    assert why in caught.value.message
    assert str(file) in caught.value.message


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def with_predictions(runs: Path, images: int = 4) -> tuple[RunDirectory, KeptPredictions, bytes]:
    directory = keep(runs)
    rows = "".join(f"test/NORMAL/{number}.png,NORMAL,p{number}\n" for number in range(images))
    (directory.predictions / "images.csv").write_text("path,actual,patient\n" + rows)
    whole = npz(probabilities=np.full((images, 2), 0.5, np.float32), loss=np.ones(images, np.float32))
    (directory.predictions / "0000.npz").write_bytes(whole)
    return directory, KeptPredictions(directory, ["NORMAL", "PNEUMONIA"]), whole


def test_predictions_that_are_damaged_are_told_by_file(tmp_path: Path) -> None:
    directory, kept, whole = with_predictions(tmp_path)
    kept.epoch(0)
    file = directory.predictions / "0000.npz"
    bomb, huge = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("probabilities.npy", bytes(50_000_000))
    head = np.lib.format.magic(1, 0) + b"\x76\x00"
    words = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"
    with zipfile.ZipFile(huge, "w") as packed:
        packed.writestr("probabilities.npy", head + words.ljust(117) + b"\n")
    others = [npz(probabilities=np.array(["x"] * 8).reshape(4, 2), loss=np.ones(4)), npz(a=np.ones(3))]
    told = []
    for content in (*spoilt(whole, 200), *JSON.values(), *others, bomb.getvalue(), huge.getvalue()):
        file.write_bytes(content)
        again = KeptPredictions(directory, kept.classes)
        try:
            again.epoch(0)
        except UserError as error:
            told.append(str(error))
    assert len(told) > 200
    assert all(str(file) in words and len(words) < 600 for words in told)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GARBAGE,
        bytes(300),
        b"path,actual,patient\na,b\n",
        b'path,actual,patient\n"' + b"x" * 200_000,
        b"path,actual,patient\n../../secret.png,NORMAL,p\n",
        b"path,actual,patient\n/etc/secret.png,NORMAL,p\n",
        b"path,actual,patient\ntrain/\x00.png,NORMAL,p\n",
        b"path,actual,patient\na.png,\x1b[31m,p\n",
    ],
)
def test_a_list_of_images_that_is_none_is_told_by_file(tmp_path: Path, content: bytes) -> None:
    directory, kept, _ = with_predictions(tmp_path)
    (directory.predictions / "images.csv").write_bytes(content)
    with pytest.raises(UserError) as caught:
        kept.images()
    assert str(directory.predictions / "images.csv") in caught.value.message
    assert caught.value.message.isprintable()


def test_caches_that_are_damaged_are_not_there(chest: Path, tmp_path: Path) -> None:
    facts = {"a.png": Fact("ok", "", 5, 5, "00" * 16, 40, 48, "L")}
    check_cache.save(chest, facts)
    (kept,) = (Path(os.environ["XRAY_TUI_CACHE_DIR"]) / "checks").iterdir()
    assert check_cache.load(chest) == facts
    deep = b"\x81\xa1a" * DEEP
    for content in (*spoilt(kept.read_bytes(), 50), *JSON.values(), deep):
        kept.write_bytes(content)
        check_cache.load(chest)
    for lie in (Fact("ok", width=-5), Fact("ok", height=2**40), Fact("ok", size_bytes=-1)):
        check_cache.save(chest, {"a.png": msgspec.structs.replace(lie, digest="x")})
        assert check_cache.load(chest) == {}

    def pixels(heights: bytes, widths: bytes, begins: int = 12) -> bytes:
        return bytes(12) + ending(Index("key", b"/", heights, widths, heights, {}), begins)

    whole = pixels(packed([3]), packed([4]))
    file = tmp_path / "x.pixels"

    def found(content: bytes) -> Index | None:
        file.write_bytes(content)
        with file.open("rb", buffering=0) as opened:
            return read_index(opened)

    assert found(whole) is not None
    for content in spoilt(whole[12:], 100):
        found(whole[:12] + content)
    wrapping = packed([2**31, 2**31, 2**31, 2**31, 3])
    for heights, widths in (
        (b"\1\2\3", b"\1\2\3"),
        (packed([3]), packed([4, 1])),
        (wrapping, packed([2**31, 2**31, 2**31, 2**31, 4])),
        (packed([3, 0]), packed([4, 9])),
    ):
        assert found(pixels(heights, widths)) is None
    for content in JSON.values():
        assert found(content) is None


def in_time(work: Callable[[], object], seconds: float = 10) -> None:
    """Do it in a thread that may hang."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_files_of_a_run_that_are_no_files_are_not_waited_for(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    good = keep(tmp_path / "runs", at=1e9)
    directory, kept, _ = with_predictions(tmp_path / "runs")
    secret = tmp_path / "secret"
    secret.write_bytes(good.journal.read_bytes())
    files = ("events.jsonl", "state.json", "progress.json", "about.json", "predictions/images.csv")
    for name in (*files, "predictions/0000.npz", "control/1-learning_rate"):
        file = directory.path / name
        file.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(file)
        elif kind == "folder":
            file.mkdir()
        else:
            file.symlink_to("/dev/zero" if kind == "device" else secret)

    def work() -> None:
        assert call("runs", "list", "--runs-dir", str(tmp_path / "runs")) == 0
        assert call("runs", "show", directory.name, "--runs-dir", str(tmp_path / "runs")) == 2
        assert summary(directory).status == "unreadable"
        assert follow.read_progress(directory) is None
        list(directory.take_requests(lambda why: None))
        for look in (kept.images, lambda: kept.epoch(0)):
            with pytest.raises(UserError, match=r"images\.csv cannot be read"):
                look()
        done.append(True)

    done: list[bool] = []
    in_time(work)
    assert done
    assert good.name[:15] in capfd.readouterr().out
    assert secret.read_bytes() == good.journal.read_bytes()


def test_a_run_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(UserError, match="cannot look into the runs folder"):
            list_runs(tmp_path / name)
    keep(tmp_path)
    for name in ("x" * 300, "a\0b", "../" * 2000):
        with pytest.raises(UserError, match="no run"):
            RunDirectory.find(tmp_path, name)


def test_a_run_that_seems_live_is_not_asked_for_its_lock_through_a_pipe(tmp_path: Path) -> None:
    """A process that was stopped has no heartbeat, but the lock on its journal."""
    directory = keep(tmp_path)
    directory.journal.unlink()
    os.mkfifo(directory.journal)
    told = {"status": "running", "pid": os.getpid(), "host": socket.gethostname(), "heartbeat": 0.0}
    directory.state.write_text(json.dumps(told))
    in_time(lambda: state.read(directory))


def test_the_trace_of_a_bug_is_not_written_through_a_link(tmp_path: Path) -> None:
    directory = keep(tmp_path / "runs")
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (directory.path / "error.txt").symlink_to(kept)
    failure = FollowSource(directory)._bug(ValueError("a bug"))
    assert str(directory.path / "error.txt") in failure.hint
    assert "a bug" in (directory.path / "error.txt").read_text()
    assert kept.read_text() == "kept"


async def test_damaged_runs_do_not_hide_the_others_in_history(tmp_path: Path) -> None:
    for number, (_, line) in enumerate(journals()):
        bad = keep(tmp_path, at=1.5e9 + 60 * number)
        bad.journal.write_bytes(lines(list(whole_run())[:1]) + line.replace(b"\n", b" ") + b"\n")
    for number, content in enumerate(JSON.values()):
        bad = keep(tmp_path, at=1.6e9 + 60 * number)
        for file in (bad.state, bad.progress, bad.path / "about.json", bad.config):
            file.write_bytes(content)
    good = keep(tmp_path, at=1.7e9)
    settings = config.load({"run.runs_dir": str(tmp_path)})
    app = dashboard(FollowSource(bad), settings=settings, find_runs=summaries)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        rows = app.query_one(RunRows)
        await until(pilot, lambda: rows.count == len(list_runs(tmp_path)))
        shown = "\n".join(rows.render_line(y).text for y in range(rows.size.height))
        assert "unreadable" in shown
        assert "done" in shown
        for key in ("end", "enter", "3", "home", "down", "down", "enter"):  # open some of them
            await pilot.press(key)
            await pilot.pause(0.2)
    assert app.return_code in (0, None)
    assert good.name in {run.directory.name for run in summaries(tmp_path) if run.status == "done"}


async def test_history_says_of_a_folder_that_it_cannot_be_looked_into(tmp_path: Path) -> None:
    folder = str(tmp_path / ("x" * 300))
    app = dashboard(settings=config.load({"run.runs_dir": folder}), find_runs=summaries)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        place = app.query_one("#no-runs", Static)
        await until(pilot, lambda: "cannot look into the runs folder" in str(place.render()))
    assert app.return_code in (0, None)


def test_a_report_of_any_sound_journal_can_be_written(tmp_path: Path) -> None:
    """Each event left out in turn: a run may have been killed anywhere, and a line lost."""
    told = list(whole_run())
    directory = keep(tmp_path)
    for at in range(0, min(len(told), 40)):
        directory.journal.write_bytes(lines(told[:at] + told[at + 1 :]))
        assert report_of(directory)
        assert summary(directory).status == "done"
