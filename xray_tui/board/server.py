"""The server: a TensorBoard of our own, which ends with the app; seen by this machine only unless asked."""

import atexit
import contextlib
import getpass
import ipaddress
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from xray_tui.errors import UserError

FIRST_PORT = 6006
PORTS_TRIED = 100
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 5.0
RELOAD_SECONDS = 5
LOCAL = "127.0.0.1"
_LOG_LINES = 3
_BROWSER_TIMEOUT_SECONDS = 10.0


class Board:
    """TensorBoard on a folder of event files.

    :meth:`start` and :meth:`open_browser` block for seconds: a screen calls them in a thread.
    :meth:`stop` may be called from any thread, and is called when the interpreter ends; where that
    gets no chance to (SIGKILL), ``guard.py`` ends the server.

    Args:
        logdir: where event files are, at any depth: a run's ``tensorboard`` folder or all runs.
        log_file: takes everything that TensorBoard prints, appended.
        port: to listen on; ``None`` takes the first free one from 6006.
        host: the address of this machine to listen on, or its name; ``0.0.0.0`` and ``::`` are all of them.
    """

    def __init__(self, logdir: Path, log_file: Path, port: int | None = None, host: str = LOCAL) -> None:
        self._logdir = logdir.absolute()
        self.log_file = log_file
        self._host = host.removeprefix("[").removesuffix("]")  # as an IPv6 address stands in a URL
        self._asked = port
        self._port = port or FIRST_PORT
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """Where it is for this machine, or will be once started: ``http://localhost:6006/``."""
        return f"http://{_named(self._host)}:{self._port}/"

    @property
    def url_elsewhere(self) -> str:
        """Where it is for other machines, if it is for them: ``http://workstation:6006/``."""
        host = socket.gethostname() if _everywhere(self._host) else _named(self._host)
        return f"http://{host}:{self._port}/"

    @property
    def exposed(self) -> bool:
        """Whether other machines may reach it.

        Raises:
            UserError: no such host.
        """
        return not all(ipaddress.ip_address(address).is_loopback for _, address in _addresses(self._host))

    @property
    def ssh_line(self) -> str:
        """What to type elsewhere to reach it: ``ssh -L 6006:localhost:6006 user@host``."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            user = "user"
        target = f"{_named(self._host)}:{self._port}"
        return f"ssh -L {self._port}:{target} {user}@{socket.gethostname()}"

    def start(self) -> str:
        """Start it, wait until it answers, and return its URL.

        Raises:
            UserError: no such folder; the host is none of this machine's; the asked port is taken; the log
                cannot be written; it ended or stayed silent for a minute (with the last lines of its log).
        """
        if self.running:
            return self.url
        if not self._logdir.is_dir():
            raise UserError(f"no folder {self._logdir} for TensorBoard to read", "start a run first")
        if self._asked and not 0 < self._asked < 65536:
            raise UserError(f"{self._asked} is no port", "ports go from 1 to 65535")
        _check_ours(self._host)
        ports = [self._asked] if self._asked else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
        for port in ports:
            if not _taken(port, self._host) and self._start_on(port):
                return self.url
        if self._asked:
            raise UserError(f"port {self._asked} is taken", "choose another with --port, or leave it out")
        raise UserError(f"no free port from {FIRST_PORT} to {ports[-1]}", "choose one with --port")

    def stop(self) -> None:
        """End it and wait for its end: politely, after 5 seconds by force. Safe to call again."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        _end(process)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            _end(process, by_force=True)
            process.wait()
        if process.stdin:
            process.stdin.close()

    def open_browser(self) -> bool:
        """Show it in a graphical browser where this screen has one; whether one opened."""
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        needs_display = sys.platform.startswith("linux") or "SSH_CONNECTION" in os.environ
        if needs_display and not display:
            return False
        # In a process without our terminal: browsers print to it, and a text browser would take it.
        code = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
        browser = subprocess.Popen(
            [sys.executable, "-c", code, self.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return browser.wait(_BROWSER_TIMEOUT_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return True  # a browser that stays with its opener

    def _start_on(self, port: int) -> bool:
        """Whether it answers on the port; not where another program took it in the meantime."""
        log_start = self._launch(port)
        process = self._process
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while process and process.poll() is None and time.monotonic() < deadline:
            if _answers(port, self._logdir, self._host):
                self._port = port
                return True
            time.sleep(0.1)
        ended = process is None or process.poll() is not None
        self.stop()
        if ended and _taken(port, self._host):
            return False
        what = (
            "ended as it started" if ended else f"did not answer within {START_TIMEOUT_SECONDS:.0f} seconds"
        )
        raise UserError(f"TensorBoard {what}", self._log_end(log_start))

    def _launch(self, port: int) -> int:
        """Start the process; return where its output begins in the log file, in bytes."""
        guard = Path(__file__).with_name("guard.py")
        command = [sys.executable, "-P", str(guard), "--logdir", str(self._logdir), "--host", self._host]
        command += [
            "--port",
            str(port),
            "--reload_interval",
            str(RELOAD_SECONDS),
            "--window_title",
            "xray-tui",
        ]
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("ab") as log:
                log_start = log.tell()
                log.write(f"$ {shlex.join(command)}\n".encode(errors="replace"))
                log.flush()
                # A session of its own: a ctrl+c in our terminal must not end it, stop() must end all of it.
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            raise UserError(f"cannot start TensorBoard: {error.strerror}: {error.filename}") from None
        atexit.register(self.stop)
        return log_start

    def _log_end(self, log_start: int) -> str:
        text = self.log_file.read_bytes()[log_start:].decode(errors="replace")
        lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
        last = [line for line in lines if line][-_LOG_LINES:]
        return "\n".join([*last, f"all of it is in {self.log_file}"])


def first_free_port() -> int | None:
    """The one that TensorBoard would be started on now; ``None`` where a hundred are taken."""
    return next((port for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if not _taken(port)), None)


def _taken(port: int, host: str = LOCAL) -> bool:
    """Whether something listens on the port, or nothing may."""
    # Asked by name first: a listener on ::1 only would get the browser's localhost before us.
    if host == LOCAL or _everywhere(host):
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
            return True
    for family, address in _addresses(host):
        with socket.socket(family) as probe:
            if os.name == "posix":  # there it means: a connection that lingers is no hindrance
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return True
    return False


def _answers(port: int, logdir: Path, host: str = LOCAL) -> bool:
    """Whether a TensorBoard on this folder answers: another program may hold the port."""
    import http.client  # here, for the dashboard's first frame does not wait for it

    asked = {"0.0.0.0": LOCAL, "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(asked, port, timeout=5)
    try:
        connection.request("GET", "/data/environment")
        place = json.loads(connection.getresponse().read())["data_location"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return False
    finally:
        connection.close()
    return bool(place == str(logdir))


def _named(host: str) -> str:
    """The host as it stands in a URL that this machine opens."""
    if host == LOCAL or _everywhere(host):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _everywhere(host: str) -> bool:
    return host in ("0.0.0.0", "::")


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """What a host's name stands for.

    Raises:
        UserError: there is no such host.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else []
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise UserError(
            f"--host {host}: no such host", f"such as {LOCAL} (this machine only) or 0.0.0.0 (every network)"
        )
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _check_ours(host: str) -> None:
    """
    Raises:
        UserError: the host is no address of this machine.
    """
    for family, address in _addresses(host):
        with socket.socket(family) as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                raise UserError(
                    f"--host {host}: cannot listen there: {error.strerror or error}",
                    f"{LOCAL} is this machine only, 0.0.0.0 every network it is in",
                ) from None


def _end(process: subprocess.Popen[bytes], *, by_force: bool = False) -> None:
    """Signal the server and its data server: they are one process group, where the system has those."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL if by_force else signal.SIGTERM)
        elif by_force:
            process.kill()
        else:
            process.terminate()
