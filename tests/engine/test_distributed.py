"""Several processes that train one run: all here on one CPU."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam

from tests.engine.conftest import SMALL, essence, resume
from tests.engine.ranks import in_ranks
from tests.engine.steps import steps_and_verdicts
from xray_tui import config, launch
from xray_tui.data import pixels
from xray_tui.engine import epoch, plan, process, recipe
from xray_tui.engine.controls import Controls
from xray_tui.engine.distributed import Ranks
from xray_tui.engine.guard import Guard
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.events import (
    Best,
    ControlUsed,
    EpochEnded,
    Event,
    Explained,
    Progress,
    RunEnded,
    StageEnded,
    Warning,
)
from xray_tui.models.backbones import load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.settings import Settings


def settings_of(data: Path, runs: Path, changes: dict[str, Any] | None = None) -> Settings:
    return config.load(SMALL | {"data.root": str(data), "run.runs_dir": str(runs)} | (changes or {}))


def of_size(size: int) -> World:
    world = World()
    world.size = size
    return world


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [2, 3, 5, 8, 9, 64])
def test_a_batch_is_shared_out_whole_and_nobody_has_one_image(size: int, images: int) -> None:
    shares = of_size(size).share(list(range(images)))
    assert len(shares) == size
    assert [image for share in shares for image in share] == list(range(images))
    sizes = [len(share) for share in shares if share]
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("size", "rounds"), [(1, 5), (2, 3), (3, 2), (8, 1)])
def test_whole_batches_are_dealt_in_turn(size: int, rounds: int) -> None:
    parts = [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    dealt = of_size(size).deal(parts)
    assert len(dealt) == rounds
    assert all(len(ranks) == size for ranks in dealt)
    assert [part for ranks in dealt for part in ranks if part] == parts
    assert dealt[0][0] == [0, 1]


@pytest.mark.parametrize("backbone", ["resnet18", "timm:mobilenetv3_small_050"])
def test_batchnorms_that_see_all_ranks_compute_the_same(backbone: str) -> None:
    model = Classifier(load_backbone(backbone, "none", seed=0, image_size=32), 2)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model.train()(images)  # statistics that are not those of a new network
        before = model.eval()(images)
        Ranks(0, 2, 0, 2, _Nothing()).prepare(model, torch.device("cuda"))
        assert torch.equal(model(images), before)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    assert norms
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)


class _Nothing:
    """What ranks would tell each other by."""

    def check(self, keys: list[str]) -> bool:
        return False

    def get(self, key: str) -> bytes:
        return b""

    def set(self, key: str, value: str) -> None:
        pass


# What one process makes of given weights, and of an epoch of steps, beside what several make of them.


@pytest.fixture(scope="module")
def ways(uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """By number of processes, what each found. The last batch, of 5, leaves nothing for the third."""
    settings = settings_of(uneven, tmp_path_factory.mktemp("runs"), {"model.dropout": 0.0})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = steps_and_verdicts(ALONE, settings)
    torch.set_num_threads(threads)
    return {1: [alone], 3: in_ranks(3, steps_and_verdicts, settings)}


def test_evaluation_is_the_same_to_the_bit(ways: dict[int, list[dict[str, Any]]]) -> None:
    for found in ways[3]:
        for name in found.keys() - {"loss", "seen", "parameters"}:
            assert np.array_equal(found[name], ways[1][0][name]), name


def test_steps_are_those_of_one_process(ways: dict[int, list[dict[str, Any]]]) -> None:
    alone: dict[str, NDArray[np.float32]] = ways[1][0]["parameters"]
    assert ways[1][0]["seen"] == [8, 16, 24, 29]
    for found in ways[3]:
        assert found["seen"] == ways[1][0]["seen"]
        assert found["loss"] == pytest.approx(ways[1][0]["loss"], rel=1e-5)
        for name, value in found["parameters"].items():
            np.testing.assert_allclose(value, alone[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for name, value in ways[3][0]["parameters"].items():
        assert all(np.array_equal(value, found["parameters"][name]) for found in ways[3]), name


def one_step(world: World) -> tuple[bool, list[float]]:
    """Of a rank 1 whose images are so far off that the variance overflows, and the loss does not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)).train()
    optimizer = Adam(model.parameters(), lr=0.1, fused=True)
    guard = Guard(model, optimizer, world)
    guard.begin()
    images = torch.tensor([[1.0, 2.0], [3.0, 5.0]]) * (1e20 if world.rank else 1)
    loss = model(images).sum() / 4
    loss.backward()
    parameters = list(model.parameters())
    left_out = guard.step(world.add_up(loss, parameters), parameters)
    return bool(left_out), [value for parameter in parameters for value in parameter.flatten().tolist()]


def test_all_ranks_leave_out_what_one_of_them_must() -> None:
    one, other = in_ranks(2, one_step)
    assert one == other
    assert one[0]


# The whole recipe, through what the command calls.


def whole_run(world: World, settings: Settings, script: str = "") -> list[Event]:
    """Of rank 0 the events; the others' weights at the end must be its own."""
    events: list[Event] = []
    controls = world.controls()
    models: list[str] = []
    directories: list[RunDirectory] = []
    real = recipe.train

    def noting(planned: plan.Plan, *arguments: Any) -> RunEnded | None:
        try:
            return real(planned, *arguments)
        finally:
            state = b"".join(v.cpu().numpy().tobytes() for v in planned.model.state_dict().values())
            models.append(hashlib.sha256(state).hexdigest())

    recipe.train = noting
    act = SCRIPTS.get(script)

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, ControlUsed) and event.control == "pause":
            directories[0].request("detach")
        if act is not None:
            act(event, controls)

    if script == "wait" and world.rank == 1:
        pixels.decode = None
    if script.startswith("rank 1") and world.rank == 1:
        _in_rank_1(script, controls)
    with world.together():
        if world.main:
            launch.start(settings, emit, controls, opened=directories.append, world=world)
        else:
            launch.assist(world, controls)
    all_models = [""] * world.size
    torch.distributed.all_gather_object(all_models, models[0])
    assert len(set(all_models)) == 1
    return events


def _in_rank_1(script: str, controls: Controls) -> None:
    real = epoch.head_histograms

    def histograms(head: Any, bins: int = 64) -> Any:
        if script == "rank 1 fails":
            raise ValueError("no histogram today")
        if script == "rank 1 is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        controls.stop("SIGTERM")
        return real(head, bins)

    recipe.head_histograms = histograms


def _steer(event: Event, controls: Controls) -> None:
    """Another rate and a pause in epoch 0, until a detach has been refused; unfreeze in epoch 1."""
    if isinstance(event, Progress) and event.phase == "train" and not event.done:
        if event.epoch == 0:
            controls.learning_rate(5e-3)
            controls.pause()
        if event.epoch == 1:
            controls.unfreeze()
    if isinstance(event, Warning) and event.kind == "request":
        controls.resume()


def _stop_reading(event: Event, controls: Controls) -> None:
    if isinstance(event, Progress) and event.phase == "reading":
        controls.stop()


def _unfreeze_when_asked(event: Event, controls: Controls) -> None:
    if isinstance(event, Progress) and event.phase == "waiting":
        controls.unfreeze()


SCRIPTS = {"steer": _steer, "stop reading": _stop_reading, "wait": _unfreeze_when_asked}


def only_run(runs: Path) -> tuple[RunDirectory, list[Event]]:
    (directory,) = list_runs(runs)
    return directory, follow.read(directory)


@pytest.mark.long
def test_controls_reach_every_process_at_once(uneven: Path, tmp_path: Path) -> None:
    changes = {"training.frozen.epochs": 4, "training.augment_views": "1", "training.batchnorm": "keep"}
    events, silent = in_ranks(2, whole_run, settings_of(uneven, tmp_path, changes), "steer")
    assert isinstance(events, list), events
    assert silent == []
    _, journal = only_run(tmp_path)
    assert [e.control for e in journal if isinstance(e, ControlUsed)] == [
        "pause",
        "learning_rate",
        "resume",
        "unfreeze",
    ]
    ended = [event for event in journal if isinstance(event, EpochEnded)]
    assert [(event.epoch, event.stage) for event in ended] == [(0, "frozen"), (1, "unfrozen")]
    assert ended[0].learning_rate == 5e-3
    assert [e.why for e in journal if isinstance(e, StageEnded)] == ["unfreeze now", "finished"]
    assert [e.kind for e in journal if isinstance(e, Warning)] == ["batchnorm_shares", "request"]


@pytest.mark.long
def test_all_wait_for_a_person_and_one_fills_the_cache(uneven: Path, tmp_path: Path) -> None:
    in_ranks(2, whole_run, settings_of(uneven, tmp_path, {"training.unfreeze": "ask"}), "wait")
    directory, journal = only_run(tmp_path)
    told = [event.stage for event in journal if isinstance(event, Explained)]
    assert told == sorted({event.stage for event in journal if isinstance(event, Best)})
    assert len(list(directory.explanations.glob("*/index.csv"))) == len(told)
    ended = journal[-1]
    assert isinstance(ended, RunEnded)
    assert ended.outcome == "done"


def test_a_stop_while_images_are_read_ends_all(uneven: Path, tmp_path: Path) -> None:
    events, silent = in_ranks(2, whole_run, settings_of(uneven, tmp_path), "stop reading")
    assert isinstance(events, list), events
    assert silent == []
    ended = only_run(tmp_path)[1][-1]
    assert isinstance(ended, RunEnded)
    assert ended.outcome == "interrupted"


def test_a_signal_to_another_host_stops_all(uneven: Path, tmp_path: Path) -> None:
    in_ranks(2, whole_run, settings_of(uneven, tmp_path), "rank 1 stops")
    ended = only_run(tmp_path)[1][-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.why) == ("interrupted", "stopped by SIGTERM")


def test_a_failing_process_ends_the_run_by_its_message(uneven: Path, tmp_path: Path) -> None:
    says = "rank 1 failed: ValueError: no histogram today"
    errors = in_ranks(2, whole_run, settings_of(uneven, tmp_path), "rank 1 fails")
    assert isinstance(errors[0], UserError)
    assert errors[0].message == says
    assert isinstance(errors[1], ValueError)
    ended = only_run(tmp_path)[1][-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.why) == ("failed", says)


def test_a_killed_process_ends_the_run(uneven: Path, tmp_path: Path) -> None:
    error, killed = in_ranks(2, whole_run, settings_of(uneven, tmp_path), "rank 1 is killed")
    assert isinstance(killed, EOFError)
    assert isinstance(error, UserError)
    assert error.message.startswith("rank 0 has lost another one")
    ended = only_run(tmp_path)[1][-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.why) == ("failed", error.message)


def test_what_one_host_lacks_is_told_before_there_is_a_run(uneven: Path, tmp_path: Path) -> None:
    errors = in_ranks(2, other_data, settings_of(uneven, tmp_path / "runs"))
    assert isinstance(errors[0], UserError)
    assert "rank 1 failed" in errors[0].message
    assert "other images" in errors[0].message
    assert isinstance(errors[1], SystemExit)
    assert not list_runs(tmp_path / "runs")


def other_data(world: World, settings: Settings) -> None:
    if world.rank == 1:
        pytest.MonkeyPatch().setattr(plan.Plan, "digest", "of other files")  # until its process ends
    whole_run(world, settings)


# The command itself.


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "xray_tui"]


def resumed(world: World, runs: Path) -> None:
    controls = world.controls()
    with world.together():
        if world.main:
            launch.resume(list_runs(runs)[0], lambda event: None, controls, world=world)
        else:
            launch.assist(world, controls)


@pytest.mark.long
def test_torchrun_interrupted_and_resumed_equals_never_interrupted(uneven: Path, tmp_path: Path) -> None:
    settings = settings_of(uneven, tmp_path / "runs")
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml(settings))
    with subprocess.Popen(
        [*TORCHRUN, "train", str(uneven), "--config", str(file), "--json"], stdout=subprocess.PIPE, text=True
    ) as command:
        printed = list(_until_first_best(command))
        command.wait(60)
    directory, journal = only_run(tmp_path / "runs")
    assert len(printed) == len(journal)
    assert isinstance(journal[-1], RunEnded)
    assert (journal[-1].outcome, journal[-1].why) == ("interrupted", "stopped by SIGINT")
    in_ranks(2, resumed, tmp_path / "runs")
    journal = follow.read(directory)
    assert [event.outcome for event in journal if isinstance(event, RunEnded)] == ["interrupted", "done"]
    in_ranks(2, whole_run, settings_of(uneven, tmp_path / "whole"))
    _, whole = only_run(tmp_path / "whole")
    assert essence(journal) == essence(whole)


def _until_first_best(command: "subprocess.Popen[str]") -> Iterator[str]:
    assert command.stdout is not None
    for line in command.stdout:
        if '"type":"epoch_ended"' in line:
            command.send_signal(signal.SIGINT)
        yield line


@pytest.mark.long
def test_another_number_of_processes_goes_on_and_says_so(uneven: Path, tmp_path: Path) -> None:
    in_ranks(2, whole_run, settings_of(uneven, tmp_path), "rank 1 stops")
    rest = resume(list_runs(tmp_path)[0])
    assert rest.ended is not None
    assert rest.ended.outcome == "done"
    (warning,) = rest.of(Warning)
    assert warning.kind == "processes"


def test_the_dashboard_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    process.be_alone()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="single process"):
        process.be_alone()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        process.be_alone()
