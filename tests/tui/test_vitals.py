"""The system line: the machine, the GPU where there is one, and how long it will take."""

# ruff: noqa: N802  # what stands in for NVIDIA's library has its names

import sys
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
from tui_support import Script, dashboard, until, until_epoch

from xray_tui.events import ControlUsed, Event, Progress, RunEnded, RunStarted
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.lines import StatusLine
from xray_tui.tui.vitals import Gpu, Monitor, Vitals, cuda_index, visible_device


class Driver(ModuleType):
    """Stands in for NVIDIA's library: two GPUs, or none where it does not start."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, there: bool = True, slices: bool = False) -> None:
        super().__init__("pynvml")
        self.there, self.slices = there, slices
        self.started, self.asked = 0, list[object]()

    def nvmlInit(self) -> None:
        self.started += 1
        if not self.there:
            raise self.NVMLError("no driver")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        self.asked.append(index)
        if index > 1:
            raise self.NVMLError("no such device")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        self.asked.append(uuid)
        return 1

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=(handle + 1) * 1_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        if self.slices:
            raise self.NVMLError("not of a slice")
        return SimpleNamespace(gpu=97)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return driver


def test_the_device_of_a_run_is_read_from_its_words() -> None:
    assert cuda_index("cuda:1 (NVIDIA H100), bfloat16") == 1
    assert cuda_index("cuda (NVIDIA H100)") == 0
    assert [cuda_index(words) for words in ("cpu (2 threads), float32", "mps, float32", "")] == [None] * 3


def test_cuda_counts_the_devices_it_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    for visible, named in (
        ("", [0, 1]),
        ("3,2", [3, 2]),
        ("GPU-8932f937-d72c, 1", ["GPU-8932f937-d72c", 1]),
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert [visible_device(0), visible_device(1)] == named
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_device(1) == 1


def test_a_gpu_is_looked_at_only_for_a_run_on_one(driver: Driver) -> None:
    look = Monitor()
    assert look().gpu is None
    assert look("cpu (2 threads), float32").gpu is None
    assert driver.started == 0
    assert look("cuda:1 (NVIDIA A10G)").gpu == Gpu(97.0, 2_000_000_000)
    assert look("cuda:0 (NVIDIA A10G)").gpu == Gpu(97.0, 1_000_000_000)
    assert driver.started == 1


def test_a_slice_of_a_gpu_has_memory_and_no_share(driver: Driver) -> None:
    driver.slices = True
    assert Monitor()("cuda:0").gpu == Gpu(None, 1_000_000_000)


def test_without_a_driver_nothing_is_shown_and_it_is_asked_once(driver: Driver) -> None:
    driver.there = False
    look = Monitor()
    assert [look("cuda:0").gpu, look("cuda:0").gpu] == [None, None]
    assert driver.started == 1
    assert Monitor()("cuda:7").gpu is None, "nor of a device that it does not know"


def test_a_run_of_this_process_is_found_by_its_devices_own_id(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        get_device_properties=lambda index: SimpleNamespace(uuid=f"{index}-8932f937"),
    )
    torch = ModuleType("torch")
    monkeypatch.setattr(torch, "cuda", cuda, raising=False)
    monkeypatch.setitem(sys.modules, "torch", torch)
    Monitor()("cuda:0", ours=True)
    Monitor()("cuda:0", ours=False)
    assert driver.asked == ["GPU-0-8932f937", 1]


def test_the_processor_is_measured_over_the_time_between_two_looks_from_any_thread() -> None:
    look, seen = Monitor(), list[float]()
    deadline = time.thread_time() + 0.15
    while time.thread_time() < deadline:
        pass
    thread = threading.Thread(target=lambda: seen.append(look().cpu_percent))
    thread.start()
    thread.join()
    assert 0 < seen[0] <= 100
    assert look().memory_bytes > 1_000_000


def status(app: XrayApp) -> str:
    return app.query_one(StatusLine).words().plain


async def test_the_line_tells_the_gpu_and_the_time_to_go_of_stage_and_run() -> None:
    asked: list[tuple[str, bool]] = []

    def look(device: str = "", *, ours: bool = False) -> Vitals:
        asked.append((device, ours))
        return Vitals(31.0, 2_100_000_000, Gpu(97.0, 11_200_000_000) if device else None)

    app = dashboard(Script(until_epoch(6)), vitals=look)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        app._look_at_vitals()
        await until(pilot, lambda: "gpu 97 %  11.2 GB" in status(app))
        assert asked[-1] == ("cuda:0 (NVIDIA A10G)", False)
        # 4.9 s of this epoch, three more of 13 s; then at least five of 13 s.
        assert "stage 00:43 · run ≥ 01:48" in status(app)
        assert "cpu 31 %   memory 2.1 GB   411 img/s" in status(app)
        await pilot.resize_terminal(40, 20)
        await pilot.pause()
        assert "stage 00:43 · run ≥ 01:48" in status(app), "the time to go stays longest"
        assert "gpu" not in status(app)


async def test_a_speed_is_told_only_while_images_go_through_the_network_to_learn() -> None:
    app = dashboard(source := Script(until_epoch(6)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "411 img/s" in status(app))

        async def told(event: Event) -> None:
            source.put(event)
            app._frame()
            await pilot.pause()

        await told(Progress(phase="train", stage="frozen", epoch=7, total=5216))
        assert "img/s" in status(app), "as fast as the epoch before, until it is known"
        await told(Progress(phase="validation", stage="frozen", epoch=7, images_per_second=98.0))
        assert "98 img/s" in status(app)
        await told(Progress(phase="explaining", stage="frozen", images_per_second=12_805.0))
        assert "img/s" not in status(app)
        await told(Progress(phase="train", stage="unfrozen", epoch=7, total=5216))
        assert "img/s" not in status(app), "the whole network learns slower"
        await told(ControlUsed(control="pause", stage="frozen", epoch=7))
        await told(Progress(phase="train", stage="frozen", epoch=7, images_per_second=98.0))
        assert "img/s" not in status(app)
        await told(RunEnded(outcome="interrupted", why="", best_epoch=5, seconds=99.0))
        assert "img/s" not in status(app)


async def test_in_the_last_stage_one_time_says_it_all() -> None:
    app = dashboard(Script(until_epoch(12)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 12)
        assert "ETA 01:26" in status(app)
        assert "run" not in status(app)


async def test_a_driver_that_hangs_holds_nothing_up_and_is_not_asked_twice() -> None:
    release, asked = threading.Event(), list[str]()

    def look(device: str = "", *, ours: bool = False) -> Vitals:
        if device:
            asked.append(device)
            release.wait(10)
        return Vitals(1.0, 2_000_000)

    app = dashboard(Script(until_epoch(3)), vitals=look)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
        for _ in range(3):
            app._look_at_vitals()
            await pilot.pause()
        assert len(asked) == 1
        await pilot.press("left")
        assert app.shown is not None
        assert app.shown.epoch == 2
        release.set()


async def test_what_is_played_back_does_not_show_this_machines_gpu() -> None:
    asked: list[str] = []

    def look(device: str = "", *, ours: bool = False) -> Vitals:
        asked.append(device)
        return Vitals(1.0, 2_000_000)

    told: list[Event] = [
        msgspec.structs.replace(event, device="cuda:0") if isinstance(event, RunStarted) else event
        for event in until_epoch(3)
    ]
    app = dashboard(Script(told, kind="replay"), vitals=look)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
        app._look_at_vitals()
        await until(pilot, lambda: len(asked) == 2)
        assert asked == ["", ""]
