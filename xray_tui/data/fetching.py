"""Downloading a file that may be large, over a line that may break.

With the standard library: a download is one GET with two headers of its own, torch hub fetches weights like
that, and a client library would be one more thing to keep up.

Until a file is whole and its checksum right, it is called ``NAME.part``. Whatever ends the download, the
next one goes on behind the bytes that are there. Whether those still belong to what the server has now, the
checksum tells at the end; where they do not, it begins anew, once.
"""

import hashlib
import http.client
import os
import re
import shutil
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from xray_tui import __version__
from xray_tui.data.pixel_file import lock
from xray_tui.errors import UserError
from xray_tui.files import keep_names
from xray_tui.regular_files import kind_of, open_regular
from xray_tui.words import bytes_in_words, harmless

_TRIES, _TRIES_UNHEARD = 6, 2
"""In a row without a new byte; and where the server was never heard, as without a network."""
_LONGEST_PAUSE_SECONDS = 60.0
_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16
_ROOM_BYTES = 100_000_000
"""That stay free on the disk."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others in a moment."""
_UNSATISFIABLE = 416
_FLAGS = os.O_RDWR | os.O_CREAT
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # a link would be written through
    _FLAGS |= getattr(os, _name, 0)


@dataclass(frozen=True)
class Source:
    """A file that somebody publishes."""

    url: str
    name: str
    algorithm: str
    """Of the checksum: ``md5`` or ``sha256``."""
    checksum: str
    """As hex."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


class Listener:
    """Is told how a download goes; does nothing."""

    def progress(self, done: int, total: int | None) -> None:
        """
        Args:
            done: bytes that are there.
            total: of the whole file, where the server tells.
        """

    def say(self, words: str) -> None:
        """Something went wrong, and what is done about it."""


class _Dropped(Exception):
    """The line broke, or the server cannot answer now."""

    def __init__(self, why: str, pause_seconds: float | None = None) -> None:
        super().__init__(why)
        self.pause_seconds = pause_seconds
        """That the server asks for."""


def fetch(
    source: Source,
    folder: Path,
    listener: Listener | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """The file, in the folder; downloaded unless it is there already.

    Args:
        folder: made where it is not there.
        sleep: between tries.

    Raises:
        UserError: the server cannot be reached or has no such file; what came is not the file; there is no
            room; another file has its name; another process fetches it.
    """
    listener = listener or Listener()
    target = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            return _checked(source, target)
        with _part_of(target) as part:
            _Fetching(source, target, part, listener, sleep).run()
    except OSError as error:  # the disk's: those of the network are told before they get here
        raise UserError(
            f"cannot write into {folder}: {error.strerror or error}",
            "make room there, or name another folder: --to DIR\n"
            "What came, if anything, is kept: the same command goes on from there.",
        ) from None
    return target


class _Fetching:
    """One download, however many requests it takes."""

    def __init__(
        self, source: Source, target: Path, part: FileIO, listener: Listener, sleep: Callable[[float], None]
    ) -> None:
        self._source = source
        self._target = target
        self._part = part
        self._listener = listener
        self._sleep = sleep
        self._done = part.seek(0, os.SEEK_END)
        """Bytes that are there."""
        self._heard = False
        self._version = ""
        """What the server calls the version that the bytes are of, once it was heard."""

    def run(self) -> None:
        """
        Raises:
            UserError: as :func:`fetch`.
            OSError: the disk's.
        """
        kept = self._done
        found = self._digest() if kept else ""  # it may lack no more than its name
        if found != self._source.checksum:
            self._fill()
            found = self._digest()
        if found != self._source.checksum and kept:
            self._listener.say("the bytes of an earlier download do not belong to it: it begins anew")
            self._empty()
            self._fill()
            found = self._digest()
        if found != self._source.checksum:
            self._empty()
            raise UserError(
                f"what came from {self._source.host} is not {self._source.name}: "
                f"its {self._source.algorithm} is {found}, not {self._source.checksum}",
                "Something on the way may have answered instead, as a proxy or a portal does.\n"
                + _by_hand(self._source, self._target),
            )
        os.fsync(self._part.fileno())

    def _fill(self) -> None:
        """Ask, again and again if need be, until all bytes are there."""
        furthest, tries = self._done, 0
        while True:
            try:
                return self._ask()
            except _Dropped as dropped:
                tries = 1 if self._done > furthest else tries + 1
                furthest = max(furthest, self._done)
                if tries >= (_TRIES if self._heard else _TRIES_UNHEARD):
                    kept = "; what came is kept, to go on from" if self._done else ""
                    raise UserError(
                        f"cannot download {self._source.name} from {self._source.host}: {dropped}",
                        f"Tried {tries} times{kept}.\n{_by_hand(self._source, self._target)}",
                    ) from None
                pause = dropped.pause_seconds
                pause = min(2.0 ** (tries - 1) if pause is None else pause, _LONGEST_PAUSE_SECONDS)
                self._listener.say(f"{dropped}; again in {pause:.0f} s")
                self._sleep(pause)

    def _ask(self) -> None:
        """One request, for what is not there yet.

        Raises:
            UserError: the server has no such file, or there is no room for it.
            _Dropped: it did not come to its end.
            OSError: the disk's.
        """
        # A packed answer would be of other bytes than those that are counted.
        headers = {"User-Agent": f"xray-tui/{__version__}", "Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
            if self._version:
                headers["If-Range"] = self._version
        request = urllib.request.Request(self._source.url, headers=headers)
        with self._answer(request) as answer:
            total = self._take_place(answer)
            self._check_room(total)
            self._listener.progress(self._done, total)
            while chunk := _read(answer):
                self._write(chunk)
                self._listener.progress(self._done, total)
        if total is not None and self._done < total:
            raise _Dropped(
                f"the connection ended after {bytes_in_words(self._done)} of {bytes_in_words(total)}"
            )

    @contextmanager
    def _answer(self, request: urllib.request.Request) -> Iterator[http.client.HTTPResponse]:
        try:
            answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            self._heard = True
            error.close()
            if error.code == _UNSATISFIABLE and self._done:  # there are more bytes than the file has
                self._empty()
                raise _Dropped("the bytes of an earlier download do not belong to it", 0) from None
            why = f"{self._source.host} answers {error.code} {harmless(str(error.reason))}"
            if error.code in _PASSING:
                raise _Dropped(why, _seconds(error.headers.get("Retry-After"))) from None
            raise UserError(
                f"cannot download {self._source.name}: {why}", _by_hand(self._source, self._target)
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _Dropped(_reason(error)) from None
        self._heard = True
        with answer:
            yield answer

    def _take_place(self, answer: http.client.HTTPResponse) -> int | None:
        """Where the answer's bytes belong is where writing goes on; gives the bytes of the whole file."""
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        self._version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if self._version.startswith("W/"):  # says that it means the same, not that its bytes are
            self._version = ""
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if place is None or int(place[1]) != self._done:
                self._empty()
                raise _Dropped(f"{self._source.host} sends another part than was asked for")
            return None if place[2] == "*" else int(place[2])
        if self._done:  # it cannot send parts, or has another version by now
            self._empty()
        return total

    def _check_room(self, total: int | None) -> None:
        free = shutil.disk_usage(self._target.parent).free
        if total is not None and total - self._done + _ROOM_BYTES > free:
            raise UserError(
                f"{self._source.name} takes {bytes_in_words(total - self._done)} more; "
                f"{self._target.parent} has {bytes_in_words(free)} free",
                "make room there, or name another folder: --to DIR",
            )

    def _digest(self) -> str:
        found = _digest(self._source, self._part)
        self._part.seek(0, os.SEEK_END)
        return found

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[self._part.write(view) :]
        self._done += len(chunk)

    def _empty(self) -> None:
        self._part.seek(0)
        self._part.truncate()
        self._done = 0


@contextmanager
def _part_of(target: Path) -> Iterator[FileIO]:
    """The file that becomes the target when the block ends well, open at its end and this process's alone.

    Raises:
        UserError: another process has it.
        OSError: as the file system says.
    """
    path = target.with_name(f"{target.name}.part")
    with FileIO(os.open(path, _FLAGS, 0o666), "r+") as part:
        mode = os.fstat(part.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise UserError(f"{path} is {kind_of(mode)}", "remove it")
        if not lock(part):
            raise UserError(f"another process is downloading {target}", "wait for it")
        try:
            yield part
        except BaseException:
            if not os.fstat(part.fileno()).st_size:
                path.unlink()
            raise
        path.replace(target)
        keep_names(target.parent)


def _checked(source: Source, target: Path) -> Path:
    """What is there already, if it is the file.

    Raises:
        UserError: it is not.
        OSError: it cannot be read.
    """
    with open_regular(target) as file:
        found = _digest(source, file)
    if found != source.checksum:
        raise UserError(
            f"{target} is there, but is not the published file: its {source.algorithm} is {found}, "
            f"not {source.checksum}",
            "move it away, or name another folder: --to DIR",
        )
    return target


def _digest(source: Source, file: BinaryIO | FileIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, source.algorithm).hexdigest()  # type: ignore[arg-type]  # a FileIO does, too


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped(_reason(error)) from None


def _seconds(words: str | None) -> float | None:
    """Of ``Retry-After``, which may be a date too: then our own pause does."""
    return float(words) if words and words.isdecimal() else None


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    if isinstance(inner, BaseException):  # urllib wraps what the system says
        return _reason(inner)
    return harmless(getattr(error, "strerror", None) or str(inner or error) or type(error).__name__)


def _by_hand(source: Source, target: Path) -> str:
    return (
        f"By hand: open {source.url} in a browser\n"
        f"and save it as {target}\n"
        "The same command then checks it and goes on."
    )
