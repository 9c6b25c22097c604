"""What a wheel and an sdist hold."""

import re
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from hatchling import build

import xray_tui
from xray_tui import cli_data

ROOT = Path(__file__).parents[1]


def built(kind: str, tree: Path, into: Path) -> Path:
    """Made as pip does it, from the tree that is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        return into / getattr(build, f"build_{kind}")(str(into))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"xray_tui-{xray_tui.__version__}"


def files(tree: Path, *, ours: str = "*") -> set[str]:
    return {
        found.relative_to(tree).as_posix()
        for found in tree.rglob(ours)
        if found.is_file() and "__pycache__" not in found.parts
    }


def test_the_wheel_holds_the_package_and_its_themes_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {f"xray_tui/{name}" for name in files(ROOT / "xray_tui")}
    themes = {f"xray_tui/themes/{name}" for name in files(ROOT / "themes")}
    assert {name.rpartition(".")[2] for name in package} == {"py", "tcss", "typed"}
    assert len(themes) >= 5
    assert held == package | themes


def test_the_metadata_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = f"xray_tui-{xray_tui.__version__}.dist-info"
        told = message_from_bytes(archive.read(f"{folder}/METADATA"))
        assert "xray-tui = xray_tui.entry:main" in archive.read(f"{folder}/entry_points.txt").decode()
        assert archive.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert (told["Name"], told["Version"]) == ("xray-tui", xray_tui.__version__)
    assert told["Requires-Python"] == ">=3.11"
    pythons = re.findall(r"Python :: 3\.(\d+)", str(told.get_all("Classifier")))
    assert pythons == ["11", "12", "13", "14"]
    needed = told.get_all("Requires-Dist")
    assert needed is not None
    assert all(">=" in need for need in needed), "each has a lower bound"
    assert not any("<" in need or "==" in need.partition(";")[0] for need in needed), "none has an upper one"


def test_the_sdist_is_complete_and_holds_nothing_stray(sdist: Path) -> None:
    held = files(sdist)
    top = {name.partition("/")[0] for name in held}
    documents = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml"}
    assert top - {".gitignore"} == documents | {".github", "PKG-INFO", "data", "tests", "themes", "xray_tui"}
    for folder in ("xray_tui", "themes", "tests"):
        wanted = files(ROOT / folder)
        assert files(sdist / folder) >= {name for name in wanted if not name.endswith((".pyc", ".html"))}
    assert files(sdist / "data") == {"README.md"}
    pictures = re.findall(r"\]\((\.github/[^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert pictures
    assert set(pictures) <= held


def test_a_wheel_from_the_sdist_is_the_one_from_the_tree(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    assert built("wheel", sdist, tmp_path).read_bytes() == wheel.read_bytes()


def test_an_installed_demo_is_made_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli_data.demo_folder() == ROOT / "data" / "demo"
    monkeypatch.setattr(cli_data, "__file__", str(tmp_path / "site-packages" / "xray_tui" / "cli_data.py"))
    monkeypatch.setenv("XRAY_TUI_CACHE_DIR", str(tmp_path / "cache"))
    assert cli_data.demo_folder() == tmp_path / "cache" / "demo"
