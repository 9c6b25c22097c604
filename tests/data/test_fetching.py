"""Downloads, from a server on this machine."""

import hashlib
import os
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.data.publishing import Server
from xray_tui.data import fetching
from xray_tui.data.fetching import Listener, Source, fetch
from xray_tui.errors import UserError

CONTENT = bytes(range(256)) * 1200
"""More than a chunk, several times."""
HALF = len(CONTENT) // 2


class Heard(Listener):
    def __init__(self) -> None:
        self.words: list[str] = []
        self.steps: list[tuple[int, int | None]] = []

    def say(self, words: str) -> None:
        self.words.append(words)

    def progress(self, done: int, total: int | None) -> None:
        self.steps.append((done, total))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server(CONTENT)
    yield made
    made.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def get(server: Server, tmp_path: Path, pauses: list[float]) -> Callable[..., Path]:
    """Downloads the file; what it waits between tries is noted, and not waited for."""

    def call(listener: Listener | None = None, *, algorithm: str = "md5", checksum: str = "") -> Path:
        right = hashlib.new(algorithm, CONTENT).hexdigest()
        source = Source(server.url, "xrays.npz", algorithm, checksum or right)
        return fetch(source, tmp_path / "dätä", listener, sleep=pauses.append)

    return call


def part(tmp_path: Path, content: bytes) -> Path:
    """What an earlier download has left."""
    file = tmp_path / "dätä" / "xrays.npz.part"
    file.parent.mkdir()
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_whole_file_has_its_name_and_nothing_lies_beside_it(
    get: Callable[..., Path], server: Server, tmp_path: Path, algorithm: str
) -> None:
    heard = Heard()
    file = get(heard, algorithm=algorithm)
    assert file == tmp_path / "dätä" / "xrays.npz"
    assert file.read_bytes() == CONTENT
    assert list(file.parent.iterdir()) == [file]
    assert heard.steps[0] == (0, len(CONTENT))
    assert heard.steps[-1] == (len(CONTENT), len(CONTENT))
    assert heard.words == []
    assert "Range" not in server.asked[0]
    get()
    assert len(server.asked) == 1, "what is there is not downloaded again"


def test_a_connection_that_drops_is_taken_up_where_it_broke(
    get: Callable[..., Path], server: Server, pauses: list[float]
) -> None:
    server.breaks = [70_000, 50_000]
    heard = Heard()
    assert get(heard).read_bytes() == CONTENT
    assert [asked.get("Range") for asked in server.asked] == [None, "bytes=70000-", "bytes=120000-"]
    assert server.asked[1]["If-Range"] == '"one"'
    assert heard.words[0] == "the connection ended after 70 kB of 307 kB; again in 1 s"
    assert pauses == [1, 1], "where bytes came, the patience begins anew"


def test_without_bytes_it_waits_longer_each_time_and_then_gives_up(
    get: Callable[..., Path], server: Server, pauses: list[float], tmp_path: Path
) -> None:
    server.breaks = [HALF] + [0] * 20
    with pytest.raises(UserError, match="the connection ended after 154 kB of 307 kB") as raised:
        get()
    assert pauses == [1, 2, 4, 8, 16, 32][: len(pauses)]
    assert len(server.asked) == fetching._TRIES
    assert "what came is kept" in raised.value.hint
    assert f"save it as {tmp_path}/dätä/xrays.npz" in raised.value.hint
    server.breaks = []
    assert get().read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == f"bytes={HALF}-", "the next one goes on from there"


def test_a_server_without_ranges_starts_anew(get: Callable[..., Path], server: Server) -> None:
    server.ranges = False
    server.breaks = [HALF]
    assert get().read_bytes() == CONTENT
    assert server.asked[1]["Range"] == f"bytes={HALF}-"


def test_a_file_that_has_changed_meanwhile_starts_anew(get: Callable[..., Path], server: Server) -> None:
    server.breaks = [HALF]
    server.content, server.etag = b"old" + CONTENT[3:], '"old"'

    class Publisher(Listener):
        def say(self, words: str) -> None:
            server.content, server.etag = CONTENT, '"new"'

    assert get(Publisher()).read_bytes() == CONTENT
    assert server.asked[1]["If-Range"] == '"old"'


@pytest.mark.parametrize("left", [CONTENT[:HALF], CONTENT], ids=["half", "all but its name"])
def test_an_earlier_download_is_gone_on_with(
    get: Callable[..., Path], server: Server, tmp_path: Path, left: bytes
) -> None:
    kept = part(tmp_path, left)
    assert get().read_bytes() == CONTENT
    assert not kept.exists()
    assert [asked.get("Range") for asked in server.asked] == ([f"bytes={HALF}-"] if len(left) == HALF else [])


@pytest.mark.parametrize("left", [b"other" * 100, CONTENT + b"too much"], ids=["other bytes", "too many"])
def test_what_an_earlier_download_left_is_not_trusted(
    get: Callable[..., Path], tmp_path: Path, left: bytes
) -> None:
    part(tmp_path, left)
    heard = Heard()
    assert get(heard).read_bytes() == CONTENT
    assert heard.words[0].startswith("the bytes of an earlier download do not belong to it")


def test_a_wrong_checksum_leaves_nothing(get: Callable[..., Path], server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"its md5 is {hashlib.md5(CONTENT).hexdigest()}, not 00ff"):
        get(checksum="00ff")
    assert list((tmp_path / "dätä").iterdir()) == []
    assert len(server.asked) == 1


def test_another_file_of_that_name_is_left_alone(
    get: Callable[..., Path], server: Server, tmp_path: Path
) -> None:
    file = part(tmp_path, b"").with_name("xrays.npz")
    file.write_bytes(b"mine")
    with pytest.raises(UserError, match="is there, but is not the published file"):
        get()
    assert file.read_bytes() == b"mine"
    assert server.asked == []


def test_no_such_file_is_told_at_once(get: Callable[..., Path], server: Server, tmp_path: Path) -> None:
    server.refusals = [(404, {})]
    with pytest.raises(UserError, match=r"127\.0\.0\.1 answers 404 Not Found") as raised:
        get()
    assert f"By hand: open {server.url} in a browser" in raised.value.hint
    assert len(server.asked) == 1
    assert list((tmp_path / "dätä").iterdir()) == []


def test_a_server_that_is_busy_is_asked_again_when_it_says(
    get: Callable[..., Path], server: Server, pauses: list[float]
) -> None:
    later = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.refusals = [
        (503, {"Retry-After": "7"}),
        (429, {"Retry-After": "100000"}),
        (500, {"Retry-After": later}),
    ]
    assert get().read_bytes() == CONTENT
    assert pauses == [7, 60, 4]


def test_a_server_that_is_not_there_is_told_soon_and_how_to_do_without(
    get: Callable[..., Path], server: Server, pauses: list[float], tmp_path: Path
) -> None:
    server.close()
    with pytest.raises(UserError, match=r"xrays\.npz from 127\.0\.0\.1: Connection refused") as raised:
        get()
    assert pauses == [1]
    assert raised.value.hint.splitlines()[1:] == [
        f"By hand: open {server.url} in a browser",
        f"and save it as {tmp_path}/dätä/xrays.npz",
        "The same command then checks it and goes on.",
    ]


def test_a_server_that_tells_no_length(get: Callable[..., Path], server: Server) -> None:
    server.length, server.etag = False, ""
    heard = Heard()
    assert get(heard).read_bytes() == CONTENT
    assert heard.steps[-1] == (len(CONTENT), None)


def test_room_on_the_disk_is_looked_at_first(
    get: Callable[..., Path], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000))
    with pytest.raises(UserError, match=r"xrays\.npz takes 307 kB more; .* has 1 kB free"):
        get()
    assert list((tmp_path / "dätä").iterdir()) == []


def test_ctrl_c_keeps_what_came(get: Callable[..., Path], server: Server, tmp_path: Path) -> None:
    class Impatient(Listener):
        def progress(self, done: int, total: int | None) -> None:
            if done:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(Impatient())
    (kept,) = (tmp_path / "dätä").iterdir()
    assert kept.name == "xrays.npz.part"
    size = kept.stat().st_size
    assert CONTENT.startswith(kept.read_bytes())
    assert get().read_bytes() == CONTENT
    assert server.asked[1]["Range"] == f"bytes={size}-"


def test_two_processes_do_not_write_one_file(get: Callable[..., Path], tmp_path: Path) -> None:
    class Second(Listener):
        def progress(self, done: int, total: int | None) -> None:
            if not done:
                with pytest.raises(UserError, match="another process is downloading"):
                    get()

    assert get(Second()).read_bytes() == CONTENT


@pytest.mark.parametrize("in_the_way", ["link", "pipe"])
def test_nothing_is_written_through_what_is_no_file(
    get: Callable[..., Path], tmp_path: Path, in_the_way: str
) -> None:
    place = part(tmp_path, b"")
    place.unlink()
    mine = tmp_path / "mine"
    if in_the_way == "link":
        mine.write_bytes(b"mine")
        place.symlink_to(mine)
    else:
        os.mkfifo(place)
    with pytest.raises(UserError, match=r"xrays\.npz\.part is a named pipe|cannot write into"):
        get()
    assert not mine.exists() or mine.read_bytes() == b"mine"
