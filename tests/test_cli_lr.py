"""``xray-tui lr-find``: what it prints, how it draws, how it ends."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style

from tests.engine.conftest import run_recipe
from tests.forked import Program
from xray_tui.cli import main
from xray_tui.console_lr import _Plot, in_words, print_curves
from xray_tui.drawing.raster import Raster
from xray_tui.engine.rate_curve import RateCurve
from xray_tui.events import Stage

SMALL = [
    "--backbone=shufflenet_v2_x0_5",
    "--weights=none",
    "--image-size=32",
    "--batch-size=8",
    "--device=cpu",
    "--batches=20",
]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the command in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["lr-find", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def curve(stage: Stage = "frozen") -> RateCurve:
    """Flat at 0.9, down to 0.2 at 1e-3, up again."""
    rates = np.geomspace(1e-7, 1.0, 71)
    losses = 0.9 - 0.7 * np.exp(-((np.log10(rates) + 3) ** 2)) + np.where(rates > 1e-2, rates * 3, 0)
    return RateCurve(stage, rates.tolist(), losses.tolist(), "range")


@pytest.mark.usefixtures("quick")
def test_both_stages_are_drawn_and_suggest_what_train_takes(call: Call, chest: Path) -> None:
    code, out, err = call(str(chest), *SMALL)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if "loss by learning rate" in line] == [
        "frozen",
        "unfrozen",
    ]
    assert "1e-7" in out
    table = out[out.index("as set") :].splitlines()
    assert table[1].split()[0] == "frozen"
    assert table[1].split()[-1] == "0.001"
    assert table[2].split()[-1] == "1e-6"
    assert "24 train images, 8 a batch" in err
    assert "20 batches go through them 7 times" in err
    assert "a head that has learned nothing" in err
    assert not Path("runs").exists()


@pytest.mark.usefixtures("quick")
def test_a_stage_without_epochs_has_no_learning_rate(call: Call, chest: Path) -> None:
    code, out, err = call(str(chest), "--json", "--frozen-epochs=0", *SMALL)
    assert code == 0
    assert list(json.loads(out)["stages"]) == ["unfrozen"]
    assert "learned nothing" not in err, "nor has that of the run to come"


@pytest.mark.usefixtures("quick")
def test_json_is_one_object(call: Call, chest: Path) -> None:
    code, out, _ = call(str(chest), "--json", "--stage=frozen", "--from=1e-6", "--to=0.1", *SMALL)
    assert code == 0
    found = json.loads(out)
    assert (found["images"], found["batch_size"]) == (24, 8)
    (frozen,) = found["stages"].values()
    assert len(frozen["rates"]) == len(frozen["losses"]) == len(frozen["smoothed"])
    assert frozen["rates"][0] == pytest.approx(1e-6)
    assert set(frozen["suggestions"]) == {"valley", "steepest", "minimum_tenth"}
    assert frozen["ending"] in ("range", "diverged")


@pytest.mark.usefixtures("quick")
def test_a_runs_best_weights(call: Call, chest: Path) -> None:
    run = run_recipe(chest, Path("my runs"), {"training.frozen.epochs": 1}).directory
    before = run.journal.read_bytes(), sorted(run.path.rglob("*"))
    code, _, err = call(str(chest), "--runs-dir=my runs", "--run", run.name, *SMALL)
    assert code == 2
    assert err.startswith(f"error: {run.name} is a shufflenet_v2_x0_5 with a head of 16\n")
    assert f"--config 'my runs/{run.name}/config.toml'\n" in err
    code, out, err = call(
        str(chest), "--stage=unfrozen", "--run", run.name, "--config", str(run.config), "--batches=20"
    )
    assert code == 0, err
    assert "unfrozen" in out
    assert "learned nothing" not in err
    assert (run.journal.read_bytes(), sorted(run.path.rglob("*"))) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "error: no such folder: /nowhere"),
        (["{data}", "--from=0.1", "--to=0.01"], "error: --from 0.1 --to 0.01: no range of learning rates"),
        (["{data}", "--batches=3"], "error: --batches 3: too few"),
        (["{data}", "--stage=frozen", "--run=x"], "error: --run: the frozen stage begins with a new head"),
        (["{data}", "--run=zzz"], "error: no run"),
        (["{data}", "--frozen-epochs=0", "--unfrozen-epochs=0"], "error: both stages have 0 epochs"),
        (["{data}", "--stage=third"], "error: Invalid value"),
    ],
)
def test_wrong_usage(call: Call, chest: Path, arguments: list[str], message: str) -> None:
    code, out, err = call(*(argument.format(data=chest) for argument in arguments))
    assert code == 2
    assert out == ""
    assert err.startswith(message)


def test_torchrun_is_refused(call: Call, chest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = call(str(chest))
    assert code == 2
    assert "lr-find is a single process" in err


def test_control_c(chest: Path, tmp_path: Path) -> None:
    log = tmp_path / "said"
    words = ("lr-find", str(chest), *SMALL[:-1], "--batches=5000", "--stage=unfrozen")
    program = Program(words, tmp_path, str(log), os.environ)
    deadline = time.monotonic() + 60
    while "train images" not in (log.read_text() if log.exists() else ""):
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(program.pid, signal.SIGINT)
    assert program.wait(30) == 130
    said = log.read_text()
    assert "stopped; nothing was kept" in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **options: bool) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    print_curves([curve()], {"frozen": 1e-3}, ascii_only=options.get("ascii_only", False))
    return capsys.readouterr().out.splitlines()


def test_the_plot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(capsys, monkeypatch)
    assert lines[0].startswith("frozen  loss by learning rate, 71 batches")
    assert len(lines) <= 22, "with its words it fits on a screen"
    assert max(map(len, lines)) == 80
    plot = lines[1 : next(number for number, line in enumerate(lines) if line.startswith("0.0"))]
    found = curve().suggestions
    for name, rate in (("valley", found.valley), ("steepest", found.steepest)):
        row = next(line for line in plot if name in line)
        at = row.index(name)
        assert row[at:].startswith(f"{name} {in_words(rate)}")
        assert row[at - 1] == "┊"
        assert [line[at - 1] for line in plot].count("●") == 1, "where it is on the curve"
    ticks = lines[len(plot) + 2].split()
    assert ticks == ["1e-7", "1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]


def test_on_a_narrow_terminal_no_rate_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    print_curves([curve("unfrozen")], {"unfrozen": 1e-6}, ascii_only=False)
    out = capsys.readouterr().out
    assert "…" not in out
    assert max(map(len, out.splitlines()[1:-1])) <= 44


def test_the_plot_in_ascii(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(line.isascii() for line in drawn(capsys, monkeypatch, ascii_only=True))


def test_a_curve_that_shows_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rates = np.geomspace(1e-7, 1e-3, 30).tolist()
    flat = RateCurve("frozen", rates, [0.7] * 30, "range")
    none = RateCurve("unfrozen", [], [], "not_finite")
    falling = RateCurve("frozen", rates, np.linspace(0.9, 0.5, 30).tolist(), "range")
    for shown, words in (
        (flat, "frozen: the loss falls nowhere"),
        (none, "no number from the first batch on"),
        (falling, "frozen: the loss is still at its lowest at 0.001: a higher --to may show more"),
    ):
        print_curves([shown], {"frozen": 1e-3, "unfrozen": 1e-6}, ascii_only=False)
        out = capsys.readouterr().out
        assert words in out
        assert ("--frozen-lr" in out) == (shown is falling)


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1e6), min_size=2, max_size=60),
    st.integers(40, 200),
    st.integers(8, 40),
    st.floats(1e-9, 1e-2),
    st.floats(1.5, 1e9),
)
def test_any_curve_fits_any_size(
    losses: list[float], width: int, height: int, lowest: float, times: float
) -> None:
    rates = np.geomspace(lowest, lowest * times, len(losses)).tolist()
    raster = Raster(width, height)
    _Plot(raster, RateCurve("frozen", rates, losses, "range"), with_batches=True).draw()
    rows = ["".join(segment.text for segment in row) for row in raster.rows(Style())]
    assert {len(row) for row in rows} == {width}
    assert any(0x2800 < ord(character) < 0x2900 for row in rows for character in row)


@pytest.mark.parametrize(
    ("rate", "words"),
    [(None, "–"), (1e-7, "1e-7"), (5.59e-4, "5.6e-4"), (1e-3, "0.001"), (0.0171, "0.017"), (1.0, "1")],
)
def test_rates_in_words(rate: float | None, words: str) -> None:
    assert in_words(rate) == words
