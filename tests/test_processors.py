"""How many threads a run takes."""

import os

import pytest

from xray_tui import processors
from xray_tui.engine import hardware
from xray_tui.settings import HardwareSettings


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system gives no process a few of its cores"
)
def test_no_more_threads_than_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7})
    monkeypatch.setattr(processors.psutil, "cpu_count", lambda logical=True: 64)
    assert processors.processors() == 3
    assert hardware.choose(HardwareSettings(device="cpu")).threads == 3
    assert hardware.choose(HardwareSettings(device="cpu", threads=9)).threads == 9, "as asked for"
    monkeypatch.setattr(processors.psutil, "cpu_count", lambda logical=True: 2)
    assert hardware.choose(HardwareSettings(device="cpu")).threads == 2, "one a core"
