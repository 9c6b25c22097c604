"""The server: a real TensorBoard, asked over HTTP as a browser would."""

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest
from PIL import Image

from xray_tui.board import server
from xray_tui.board.server import Board
from xray_tui.board.writer import BoardWriter
from xray_tui.errors import UserError
from xray_tui.events import Event

MakeRun = Callable[..., list[Event]]
CLASSES = ("NORMAL", "viral/[red]pneumonia[/]")


@contextlib.contextmanager
def listening(port: int = 0, host: str = "127.0.0.1") -> Iterator[int]:
    with socket.create_server((host, port)) as taken:
        yield taken.getsockname()[1]


@pytest.fixture
def free_ports(monkeypatch: pytest.MonkeyPatch) -> int:
    """The first of a few free ports, made the one to start from: 6006 may be in use here."""
    with listening() as port:
        pass
    monkeypatch.setattr(server, "FIRST_PORT", port)
    return port


@pytest.fixture(scope="module")
def shared() -> dict[str, Any]:
    """A server for all tests that only ask: one takes seconds to start."""
    return {}


@pytest.fixture
def board(
    tmp_path_factory: pytest.TempPathFactory,
    make_run: MakeRun,
    shared: dict[str, Any],
    request: pytest.FixtureRequest,
) -> Board:
    if not shared:
        folder = tmp_path_factory.mktemp("board")
        writer = BoardWriter(folder / "tensorboard")
        for event in make_run(CLASSES, positive=CLASSES[1]):
            writer(event)
        writer.close()
        started = Board(folder / "tensorboard", folder / "logs" / "tensorboard.log", _free_port())
        started.start()
        shared |= {"board": started, "log": folder / "logs" / "tensorboard.log"}
        request.session.addfinalizer(started.stop)
    found: Board = shared["board"]
    return found


def _free_port() -> int:
    with listening() as port:
        return port


def fetch(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]), timeout=10)
    connection.request("POST" if body is not None else "GET", path, body and json.dumps(body))
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    assert response.status == 200, raw
    return json.loads(raw) if response.getheader("Content-Type", "").startswith("application/json") else raw


def fetch_until(url: str, path: str, complete: Callable[[Any], bool], seconds: float = 15) -> Any:
    """Ask until the server has loaded what is there: it answers before that."""
    deadline = time.monotonic() + seconds
    while not complete(answer := fetch(url, path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert complete(answer), answer
    return answer


def test_every_mistake_is_visible_in_a_running_tensorboard(board: Board) -> None:
    tags = fetch_until(
        board.url,
        "/data/plugin/images/tags",
        lambda tags: len(tags.get("frozen", {})) == 21 and len(tags.get("unfrozen", {})) == 10,
    )
    assert set(tags) == {"frozen", "unfrozen"}
    shown = set()
    for run, tag in [(r, tag) for r in tags for tag in tags[r] if "->" in tag]:
        assert tags[run][tag]["samples"] == 1
        [entry] = fetch(
            board.url, "/data/plugin/images/images?" + urlencode({"run": run, "tag": tag, "sample": 0})
        )
        assert entry["step"] == int(tag.partition("->")[0])
        png = fetch(board.url, f"/data/plugin/images/individualImage?{entry['query']}")
        assert Image.open(io.BytesIO(png)).size == (64, 64)
        shown.add(png)
        assert re.fullmatch(r"\d->Predict-[^/]+x[^/]+-Actual/\d\d", tag)
    assert len(shown) == 30
    first = tags["frozen"]["0->Predict-viral__red_pneumonia___xNORMAL-Actual/01"]
    assert "test/0.jpeg" in first["description"]
    assert tags["frozen"]["X-Ray grid"]["samples"] == 1


def test_both_stages_are_rows_of_the_hparams_tab(board: Board) -> None:
    fetch_until(board.url, "/data/runs", lambda runs: sorted(runs) == ["frozen", "unfrozen"])
    fetch_until(board.url, "/data/plugin/scalars/tags", lambda tags: "test/AUC" in tags.get("unfrozen", {}))
    experiment = fetch(board.url, "/data/plugin/hparams/experiment", {"experimentName": ""})
    # The table opens with the first five columns.
    assert {"stage", "model.backbone"} < {info["name"] for info in experiment["hparamInfos"][:5]}
    columns = [{"metric": info["name"], "includeInResult": True} for info in experiment["metricInfos"]] + [
        {"hparam": info["name"], "includeInResult": True} for info in experiment["hparamInfos"]
    ]
    asked = {
        "experimentName": "",
        "colParams": columns,
        "allowedStatuses": ["STATUS_SUCCESS"],
        "startIndex": 0,
        "sliceSize": 100,
    }
    groups = fetch(board.url, "/data/plugin/hparams/session_groups", asked)["sessionGroups"]
    rows = {group["hparams"]["stage"]: group for group in groups}
    assert set(rows) == {"frozen", "unfrozen"}
    for row in rows.values():
        assert row["hparams"]["model.backbone"] == "resnet50"
        assert row["hparams"]["training.frozen.learning_rate"] == pytest.approx(1e-3)
    values = {
        stage: {metric["name"]["tag"]: metric["value"] for metric in row["metricValues"]}
        for stage, row in rows.items()
    }
    assert values["frozen"]["hparam/accuracy"] == pytest.approx(82)
    assert values["unfrozen"]["hparam/accuracy"] == pytest.approx(84)
    assert values["unfrozen"]["test/accuracy"] == pytest.approx(87.5)


def test_curves_and_histograms_are_served(board: Board) -> None:
    fetch_until(board.url, "/data/plugin/scalars/tags", lambda tags: "Accuracy" in tags.get("unfrozen", {}))
    query = urlencode([("run", "frozen"), ("tag", "metrics/PR curve")])
    curves = fetch(board.url, f"/data/plugin/pr_curves/pr_curves?{query}")
    assert [curve["step"] for curve in curves["frozen"]] == [0, 1]
    query = urlencode({"run": "frozen", "tag": "weights/4.weight"})
    assert len(fetch(board.url, f"/data/plugin/histograms/histograms?{query}")) == 2


def test_its_output_is_in_the_log_file(
    board: Board, shared: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert "TensorBoard" in shared["log"].read_text()
    assert capfd.readouterr() == ("", "")


def test_starting_again_gives_the_same_server(board: Board) -> None:
    assert board.running
    assert board.start() == board.url


def test_it_starts_on_the_next_port_and_really_stops(tmp_path: Path, free_ports: int) -> None:
    board = Board(tmp_path, tmp_path / "log")
    with listening(free_ports):
        url = board.start()
    port = int(url.rstrip("/").rpartition(":")[2])
    assert port > free_ports
    assert board.ssh_line.startswith(f"ssh -L {port}:localhost:{port} ")
    process = board._process
    assert process is not None
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    board.stop()
    board.stop()
    assert not board.running
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def test_it_moves_on_when_a_port_is_lost_between_look_and_bind(
    tmp_path: Path, free_ports: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"  # ends where TensorBoard would: on the lost port
    fake.write_text(f'#!/bin/sh\ncase "$*" in *"--port {free_ports} "*) exit 1;; esac\nexec sleep 60\n')
    fake.chmod(0o755)
    taken, looks = server._taken, []

    def free_at_first_look(port: int, host: str) -> bool:
        looks.append(port)
        return len(looks) > 1 and taken(port, host)

    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setattr(server, "_taken", free_at_first_look)
    monkeypatch.setattr(server, "_answers", lambda port, logdir, host: port > free_ports)
    board = Board(tmp_path, tmp_path / "log")
    with listening(free_ports):
        url = board.start()
    assert board.running
    board.stop()
    assert int(url.rstrip("/").rpartition(":")[2]) > free_ports
    assert looks[:2] == [free_ports, free_ports]


def test_another_program_s_answer_is_not_taken_for_ours(board: Board, tmp_path: Path) -> None:
    port = int(board.url.rstrip("/").rpartition(":")[2])
    assert not server._answers(port, tmp_path)


def test_an_asked_port_that_is_taken(tmp_path: Path) -> None:
    with listening() as port, pytest.raises(UserError, match=f"port {port} is taken"):
        Board(tmp_path, tmp_path / "log", port).start()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_port_taken_on_ipv6_only_is_taken() -> None:
    # A browser sent to localhost would reach that program, not TensorBoard.
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        assert server._taken(other.getsockname()[1]) == ("::1" in _addresses_of_localhost())


def _addresses_of_localhost() -> set[str]:
    return {str(info[4][0]) for info in socket.getaddrinfo("localhost", None)}


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_number_that_is_no_port(tmp_path: Path, port: int) -> None:
    with pytest.raises(UserError, match="no port"):
        Board(tmp_path, tmp_path / "log", port).start()


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        Board(tmp_path / "nowhere", tmp_path / "log").start()


def test_an_unwritable_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot start TensorBoard"):
        Board(tmp_path, tmp_path / "file" / "log").start()


def test_a_failing_start_shows_the_end_of_the_log(
    tmp_path: Path, free_ports: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\nfor n in 1 2 3 4; do echo line $n; done\nprintf 'no \\033[31mmodule\\n'\nexit 3\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    log = tmp_path / "log"
    log.write_text("of an earlier start\n")
    with pytest.raises(UserError) as caught:
        Board(tmp_path, log).start()
    assert caught.value.message == "TensorBoard ended as it started"
    assert caught.value.hint.splitlines() == ["line 3", "line 4", "no [31mmodule", f"all of it is in {log}"]


def test_a_silent_start_is_given_up(tmp_path: Path, free_ports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")  # and does not heed SIGTERM
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setattr(server, "START_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(server, "STOP_TIMEOUT_SECONDS", 0.3)
    board = Board(tmp_path, tmp_path / "log")
    with pytest.raises(UserError, match="did not answer"):
        board.start()
    assert not board.running


def test_it_ends_with_an_app_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path; from xray_tui.board.server import Board\n"
        "board = Board(Path(sys.argv[1]), Path(sys.argv[1]) / 'log', int(sys.argv[2]))\n"
        "board.start(); print(board._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    app = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(_free_port())],
        capture_output=True,
        text=True,
        timeout=60,
    )
    pid = int(app.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        _, alive = psutil.wait_procs([psutil.Process(pid)], timeout=10)
        assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("platform", "environment", "opens"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"SSH_CONNECTION": "1 2 3 4"}, False),
        ("linux", {"SSH_CONNECTION": "1 2 3 4", "DISPLAY": "localhost:10"}, True),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "1 2 3 4"}, False),
    ],
)
def test_a_browser_opens_only_where_one_can_be_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    platform: str,
    environment: dict[str, str],
    opens: bool,
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho noise; echo noise >&2; echo $1 > {tmp_path}/opened\n")
    browser.chmod(0o755)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environment, "BROWSER": f"{browser} %s"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    board = Board(tmp_path, tmp_path / "log", 6010)
    assert board.open_browser() is opens
    assert (tmp_path / "opened").exists() is opens
    if opens:
        assert (tmp_path / "opened").read_text() == "http://localhost:6010/\n"
    assert capfd.readouterr() == ("", "")


def test_the_ssh_line_names_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(server.socket, "gethostname", lambda: "ward7")
    assert Board(tmp_path, tmp_path / "log").ssh_line == "ssh -L 6006:localhost:6006 ada@ward7"


def test_a_user_without_a_name_still_gets_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("no username set in the environment")

    monkeypatch.setattr(server.getpass, "getuser", nameless)
    assert f"user@{os.uname().nodename}" in Board(tmp_path, tmp_path / "log").ssh_line


# Who may reach it


def listened_on(board_process: int) -> set[str]:
    """The addresses that a process and those below it listen on."""
    family = [psutil.Process(board_process), *psutil.Process(board_process).children(recursive=True)]
    return {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


@contextlib.contextmanager
def board_command(runs: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`xray-tui board`, once it has printed its address."""
    command = [sys.executable, "-m", "xray_tui", "board", "--runs-dir", str(runs), *options]
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert started.stdout is not None
        yield started, started.stdout.readline().strip()
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(30)


def test_the_command_listens_on_this_machine_only_and_says_nothing_of_others(tmp_path: Path) -> None:
    port = _free_port()
    with board_command(tmp_path, "--port", str(port)) as (started, url):
        assert url == f"http://localhost:{port}/"
        assert listened_on(started.pid) == {"127.0.0.1"}
    assert started.stderr is not None
    assert "warning" not in started.stderr.read()


def test_with_a_host_it_listens_on_every_network_and_warns(tmp_path: Path) -> None:
    port = _free_port()
    with board_command(tmp_path, "--port", str(port), "--host", "0.0.0.0") as (started, url):
        assert url == f"http://localhost:{port}/"
        assert listened_on(started.pid) - {"127.0.0.1"} == {"0.0.0.0"}
        fetch(url, "/data/environment")
    assert started.stderr is not None
    said = started.stderr.read()
    assert "warning: with --host 0.0.0.0 everybody on that network sees the radiographs" in said
    assert "TensorBoard has no password" in said
    assert f"from another machine: http://{socket.gethostname()}:{port}/" in said


@pytest.mark.parametrize(
    ("host", "url", "elsewhere", "exposed"),
    [
        ("127.0.0.1", "http://localhost:6010/", "http://localhost:6010/", False),
        ("localhost", "http://localhost:6010/", "http://localhost:6010/", False),
        ("127.0.0.2", "http://127.0.0.2:6010/", "http://127.0.0.2:6010/", False),
        ("::1", "http://[::1]:6010/", "http://[::1]:6010/", False),
        ("[::1]", "http://[::1]:6010/", "http://[::1]:6010/", False),
        ("0.0.0.0", "http://localhost:6010/", "http://ward7:6010/", True),
        ("::", "http://localhost:6010/", "http://ward7:6010/", True),
        ("192.0.2.7", "http://192.0.2.7:6010/", "http://192.0.2.7:6010/", True),
        ("2001:db8::7", "http://[2001:db8::7]:6010/", "http://[2001:db8::7]:6010/", True),
    ],
)
def test_the_address_of_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, url: str, elsewhere: str, exposed: bool
) -> None:
    monkeypatch.setattr(server.socket, "gethostname", lambda: "ward7")
    board = Board(tmp_path, tmp_path / "log", 6010, host)
    assert (board.url, board.url_elsewhere, board.exposed) == (url, elsewhere, exposed)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_it_starts_on_an_ipv6_address(tmp_path: Path) -> None:
    board = Board(tmp_path, tmp_path / "log", _free_port(), "::1")
    try:
        board.start()
        assert board._process is not None
        assert listened_on(board._process.pid) - {"127.0.0.1"} == {"::1"}
    finally:
        board.stop()


@pytest.mark.parametrize("host", ["no such host", "", "192.0.2.7", "a" * 300])
def test_a_host_that_is_not_this_machine(tmp_path: Path, host: str) -> None:
    with pytest.raises(UserError, match=r"no such host|cannot listen there"):
        Board(tmp_path, tmp_path / "log", host=host).start()
