"""``xray-tui doctor`` on machines that lack something."""

import json
import os
import shutil
import signal
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch

from tests.terminal import Terminal
from xray_tui import memory as memory_limit
from xray_tui.cli import main
from xray_tui.doctor import backbones, examination, folders, imports, machine
from xray_tui.doctor.checks import Check, Placed, guarded, worst
from xray_tui.errors import UserError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calls the doctor in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(("doctor", *arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages stand that are found before those that are installed, in our child processes too."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(root)]))
    return folder


def install(shelf: Path, name: str, version: str, code: str = "", *more: str) -> None:
    """A package of one module of the same name; without code, its description alone."""
    described = shelf / f"{name.replace('-', '_')}-{version}.dist-info"
    described.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *more]
    (described / "METADATA").write_text("\n".join(lines) + "\n")
    if code:
        (shelf / f"{name}.py").write_text(code)
        (described / "top_level.txt").write_text(f"{name}\n")


def install_ours(shelf: Path, *needed: str) -> None:
    extras = ("whole", "cracked", "absent", "dated", "dev")
    provided = [f"Provides-Extra: {extra}" for extra in extras]
    install(shelf, "xray-tui", "9.9", "", *provided, *(f"Requires-Dist: {line}" for line in needed))


def named(checks: list[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def sections(out: str) -> dict[str, list[Check]]:
    tree: dict[str, Any] = json.loads(out)["sections"]
    return {name: msgspec.convert(checks, list[Check]) for name, checks in tree.items()}


def child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The process that imports is one that runs this."""
    monkeypatch.setattr(examination, "own_command", lambda _: [sys.executable, "-c", code])


def test_a_torch_that_cannot_be_imported_is_a_problem_and_the_rest_is_still_told(
    run: Run, shelf: Path, tmp_path: Path
) -> None:
    (shelf / "torch.py").write_text("raise OSError('libcudart.so.99: cannot open shared object file')")
    install(shelf, "whole_thing", "1.5", "print('hello from a package')")
    install_ours(shelf, 'whole_thing>=1; extra == "whole"', 'nobody_has_it>=2; extra == "absent"')
    code, out, err = run("--json", "--runs-dir", str(tmp_path / "rüns"))
    assert (code, err) == (1, "")
    assert json.loads(out)["verdict"] == "problem"
    found = sections(out)
    assert list(found)[:2] == ["installation", "terminal"]
    torch = named(found["torch"], "torch")
    assert torch.verdict == "problem"
    assert torch.found == "cannot be imported: OSError: libcudart.so.99: cannot open shared object file"
    assert "https://" in torch.remedy
    assert named(found["TensorBoard"], "TensorBoard").verdict == "ok"
    assert named(found["extras"], "whole").found == "whole_thing 1.5"
    absent = named(found["extras"], "absent")
    assert (absent.verdict, absent.remedy) == ("note", "pip install 'xray-tui[absent]'")
    runs = named(found["folders"], "runs")
    assert runs.found.startswith(f"{tmp_path}/rüns, which will be made; ")


def test_each_check_is_a_line_with_its_mark_and_the_remedy_below(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, r"""print('"torch"\n["torch", {"name":"torch","verdict":"ok","found":"2.6"}]')""")
    code, out, err = run()
    assert (code, err) == (0, ""), "nobody watches: no spinner"
    lines = out.splitlines()
    assert "torch" in lines
    assert "✓ torch           2.6" in [line.rstrip() for line in lines]
    at = next(place for place, line in enumerate(lines) if line.startswith("· terminal"))
    assert lines[at + 1].strip().startswith("→ the dashboard needs one; `xray-tui train` does not")
    assert run("--ascii")[1].isascii()


@pytest.mark.parametrize(("section", "verdict"), [("torch", "problem"), (imports.EXTRAS, "warning")])
def test_an_import_that_takes_its_process_with_it_is_told(
    monkeypatch: pytest.MonkeyPatch, section: str, verdict: str
) -> None:
    begin, well = json.dumps(section), json.dumps([section, {"name": "a", "verdict": "ok", "found": "b"}])
    end = f"import os, sys; print({begin!r}); print({well!r}, flush=True); print('boom', file=sys.stderr, "
    child(monkeypatch, f"{end} flush=True); os.kill(os.getpid(), {int(signal.SIGILL)})")
    begun: list[str] = []
    first, last = list(examination._imported(begun.append))
    assert begun == ["torch", section]
    assert first == Placed(section, Check("a", "ok", "b"))
    assert (last.section, last.check.verdict) == (section, verdict)
    assert last.check.found == "the process that imported it was killed by SIGILL: boom"


def test_extras_are_those_of_the_installed_package(shelf: Path) -> None:
    install(shelf, "whole_thing", "1.5", "x = 1")
    install(shelf, "cracked_thing", "2.0", "raise ImportError('no libjpeg.so')")
    install(shelf, "dated_thing", "0.3", "x = 1")
    install_ours(
        shelf,
        "whole_thing>=1",
        'whole_thing>=1; extra == "whole"',
        'whole_thing>=1; extra == "cracked"',
        'cracked_thing; extra == "cracked"',
        'dated_thing>=1; extra == "dated"',
        'whole_thing; sys_platform == "amiga" and extra == "absent"',
        'xray-tui[whole]; extra == "absent"',
        'nobody_has_it; extra == "dev"',
    )
    assert machine.extras() == ["cracked", "dated", "whole"], "one is for developers, one is empty here"
    found = list(imports.extras_here())
    assert [check.name for check in found] == ["cracked", "dated", "whole"]
    cracked = named(found, "cracked")
    assert cracked.verdict == "warning"
    assert cracked.found == "cracked_thing 2.0 cannot be imported: ImportError: no libjpeg.so"
    dated = named(found, "dated")
    assert (dated.verdict, dated.found) == ("warning", "dated_thing 0.3 is installed; >=1 is needed")
    assert dated.remedy == "pip install --upgrade 'xray-tui[dated]'"


def test_a_package_that_is_missing_or_old_is_a_problem(shelf: Path) -> None:
    install(shelf, "dated_thing", "0.3", "x = 1")
    install_ours(shelf, "dated_thing>=1", "nobody_has_it>=2", 'whole_thing; extra == "whole"')
    found = list(machine.installation())
    assert named(found, "nobody_has_it") == Check(
        "nobody_has_it", "problem", "not installed", "pip install 'nobody_has_it>=2'"
    )
    assert named(found, "dated_thing").verdict == "problem"
    assert worst(found) == "problem"


def test_the_device_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_TUI_CONFIG_DIR", str(tmp_path))
    (tmp_path / "config.toml").write_text('[hardware]\ndevice = "cpu"\nthreads = 3\n')
    device = named(list(imports.torch_here()), "device")
    assert device.verdict == "ok"
    assert device.found.startswith("cpu (3 threads)")
    (tmp_path / "config.toml").write_text('[hardware]\ndevice = "cuda:77"\n')
    device = named(list(imports.torch_here()), "device")
    assert device.verdict == "problem"
    assert device.remedy.startswith("use --device auto or cpu; in a config.toml")


def driver(monkeypatch: pytest.MonkeyPatch, **answers: object) -> None:
    """NVIDIA's driver, as far as its library is asked, with one GPU."""
    library = ModuleType("pynvml")
    usual: dict[str, object] = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlSystemGetCudaDriverVersion": 12080,
        "nvmlSystemGetDriverVersion": "570.86",
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80e9, free=60e9),
        "nvmlDeviceGetName": "NVIDIA H100",
    }
    for name, answer in (usual | answers).items():
        setattr(library, name, lambda *_, answer=answer: answer)
    vars(library)["NVMLError"] = RuntimeError
    monkeypatch.setitem(sys.modules, "pynvml", library)


def test_the_driver_is_asked_beside_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch)
    found = list(machine.machine())
    assert named(found, "NVIDIA driver").found == "570.86, for CUDA up to 12.8"
    assert named(found, "GPU 0").found == "NVIDIA H100: 80.0 GB, of which 60.0 GB are free"
    if not torch.cuda.is_available():
        assert named(list(imports.torch_here()), "CUDA").verdict == "warning"


@pytest.mark.parametrize(("limit", "verdict"), [("max\n", "ok"), ("2000000000\n", "warning")])
def test_a_containers_memory_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, verdict: str
) -> None:
    free = SimpleNamespace(total=64e9, available=32e9)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(memory_limit, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("0\n")
    memory = named(list(machine.machine()), "memory")
    assert memory.verdict == verdict
    assert ("this container may use 2.0 GB" in memory.found) == (verdict == "warning")


def test_backbones_whose_weights_are_here_and_damaged_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hüb"))
    found = list(backbones.backbones())
    assert named(found, "wheel").verdict == "ok"
    listed = named(found, "torchvision")
    assert listed.found.endswith("none yet")
    assert "resnet50-0676ba61.pth" in listed.remedy
    cache = tmp_path / "hüb" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(b"cut short")
    found = list(backbones.backbones())
    assert named(found, "resnet18").verdict == "warning"
    assert named(found, "torchvision").found.endswith("none yet")
    monkeypatch.setattr("xray_tui.models.weights.is_whole", lambda path: True)
    assert named(list(backbones.backbones()), "torchvision").found.endswith(": resnet18")


def test_a_broken_timm_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise ImportError("timm: undefined symbol")

    monkeypatch.setattr("xray_tui.models.timm_bodies.names", broken)
    found = list(backbones.backbones())
    timm = named(found, "timm")
    assert timm.verdict == "warning"
    assert timm.found == "could not be looked at: ImportError: timm: undefined symbol"
    assert named(found, "torchxrayvision")


def test_a_config_file_is_examined_by_its_sections(run: Run, tmp_path: Path) -> None:
    folder = Path(os.environ["XRAY_TUI_CONFIG_DIR"])
    assert next(check.verdict for check in folders.configuration()) == "ok"
    (folder / "config.toml").write_text(
        '[training]\nseed = "x"\n[keys]\nstrat = "s"\n[sweep]\nmetric = "luck"\n'
    )
    (folder / "themes").mkdir()
    (folder / "themes" / "mine.toml").write_text("primary = 5")
    found = list(folders.configuration())
    assert [(check.name, check.verdict) for check in found[:3]] == [
        ("config file", "problem"),
        ("config file", "warning"),
        ("config file", "warning"),
    ]
    assert "training.seed" in found[0].found
    assert found[1].remedy == "did you mean start?"
    assert "mine.toml" in named(found, "theme").found
    (folder / "config.toml").write_text("[[[")
    broken = [check for check in folders.configuration() if check.name == "config file"]
    assert [check.verdict for check in broken] == ["problem"], "told once"


def free_on_disk(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    """Disks have ``size`` bytes free, whatever this machine has."""
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(size))


def test_folders_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_on_disk(monkeypatch, 1e11)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XRAY_TUI_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = list(folders.folders(tmp_path / "file" / "runs"))
    runs, cache = named(found, "runs"), named(found, "cache")
    assert (runs.verdict, cache.verdict) == ("problem", "warning")
    assert runs.found == f"cannot write into {tmp_path}/file: Not a directory"
    assert cache.remedy == "XRAY_TUI_CACHE_DIR sets another; with --cache off a run does without"
    assert named(found, "state").verdict == "ok"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "looking leaves nothing behind"


@pytest.mark.parametrize(("free", "verdict"), [(1e8, "problem"), (1e9, "warning"), (1e11, "ok")])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, verdict: str) -> None:
    free_on_disk(monkeypatch, free)
    (tmp_path / "20261124-101500-resnet50").mkdir()
    (tmp_path / "20261124-101500-resnet50" / "config.toml").write_text("")
    runs = named(list(folders.folders(tmp_path)), "runs")
    assert runs.verdict == verdict
    assert ("1 run in " in runs.found) == (verdict != "problem")


def test_whatever_breaks_is_a_line() -> None:
    def look() -> list[Check]:
        raise UserError("the moon is full", "wait")

    assert list(guarded("sky", look)) == [
        Placed("sky", Check("sky", "warning", "could not be looked at: the moon is full"))
    ]

    def break_down() -> list[Check]:
        raise ZeroDivisionError

    assert [check.verdict for _, check in guarded("sky", break_down, grave="problem")] == ["problem"]


def test_a_terminal_is_described_as_it_is(tmp_path: Path) -> None:
    code = "from xray_tui.doctor.terminal import terminal\nfor c in terminal(): print(c.name, c.found)"
    environment = {"NO_COLOR": "1", "LC_ALL": "C", "TMUX": ""}
    with Terminal(folder=tmp_path, size=(80, 24), environment=environment, program=("-c", code)) as terminal:
        assert terminal.wait() == 0
        screen = terminal.text
    assert "pictures as half blocks" in screen
    assert "terminal TERM=xterm-256color" in screen
    assert "size 80 columns" in screen
    assert "colours none, as NO_COLOR asks" in screen
    assert "characters ASCII alone is drawn (LC_ALL=C" in screen
