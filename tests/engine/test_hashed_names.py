"""A run that calls its images by pseudonyms is the same run in all but names, and can be gone on with."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_folder
from tests.engine.conftest import resume, run_recipe
from xray_tui import launch
from xray_tui.cli import main
from xray_tui.data.pseudonyms import key_file, locate
from xray_tui.engine.controls import Controls
from xray_tui.engine.explain import Explainer
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Event, Mistakes, RunStarted, Warning
from xray_tui.kinds import choices, parse, written
from xray_tui.runs import state
from xray_tui.settings import Settings

HASHED: dict[str, Any] = {"data.hash_names": True, "training.frozen.epochs": 1}


pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = write_folder(tmp_path / "chest", {role: {"NORMAL": 12, "SICK": 12} for role in ("train", "test")})
    (root / "train" / "SICK" / "person7_virus_1.png").write_bytes(b"not an image")
    return root


def stopped_once(event: Event, controls: Controls) -> None:
    if isinstance(event, EpochEnded) and event.epoch == 0:
        controls.use("stop")


def numbers(epoch: EpochEnded) -> tuple[Any, ...]:
    return epoch.train_loss, epoch.validation_loss, epoch.confusion


def test_the_numbers_are_those_of_the_plain_run(data: Path, tmp_path: Path) -> None:
    plain = run_recipe(data, tmp_path / "runs", HASHED | {"data.hash_names": False})
    hashed = run_recipe(data, tmp_path / "runs", HASHED)
    assert list(map(numbers, hashed.of(EpochEnded))) == list(map(numbers, plain.of(EpochEnded)))
    for kind in (RunStarted, Mistakes, Warning):
        told = [str(event) for event in hashed.of(kind)]
        assert told
        assert not re.search(r"person\d|IM-\d", "".join(told))
    kept = [file for file in hashed.directory.path.rglob("*") if file.is_file()]
    assert {"01.png", "index.csv", "metadata.tsv"} <= {file.name for file in kept}
    assert not [file for file in kept if re.search(rb"person\d|IM-\d", file.read_bytes())]
    one, other = (run.of(RunStarted)[0].validation for run in (hashed, plain))
    assert [data / source.path for source in other] == [locate(data / source.path) for source in one]


def test_a_resumed_run_keeps_its_pseudonyms(data: Path, tmp_path: Path) -> None:
    whole = run_recipe(data, tmp_path / "runs", HASHED)
    begun = run_recipe(data, tmp_path / "runs", HASHED, stopped_once)
    before = begun.directory.sources()
    gone_on = resume(begun.directory)
    assert gone_on.ended is not None
    assert gone_on.ended.outcome == "done"
    assert begun.directory.sources() == before == whole.directory.sources()
    assert numbers(gone_on.of(EpochEnded)[-1]) == numbers(whole.of(EpochEnded)[-1])
    paths = {mistake.path for event in gone_on.of(Mistakes) for mistake in event.worst}
    assert paths <= {path for path, _, _ in before}


@pytest.mark.parametrize(
    ("key", "trouble"),
    [(None, "not on this machine"), ("00" * 32, "the key was another one"), ("torn", "is damaged")],
)
def test_without_its_key_a_run_is_not_resumed(
    data: Path, tmp_path: Path, key: str | None, trouble: str
) -> None:
    begun = run_recipe(data, tmp_path / "runs", HASHED, stopped_once)
    journal, own = begun.directory.journal.read_bytes(), key_file().read_bytes()
    key_file().unlink()
    if key is not None:
        key_file().write_text(key)
    with pytest.raises(UserError, match=trouble):
        resume(begun.directory)
    assert key_file().exists() is (key is not None), "none is made: it would be another one"
    assert begun.directory.journal.read_bytes() == journal
    assert state.read(begun.directory).status == "interrupted"
    key_file().write_bytes(own)
    ended = resume(begun.directory).ended
    assert ended is not None
    assert ended.outcome == "done"


def test_a_run_that_died_before_it_told_its_images_wants_a_key_only(data: Path, tmp_path: Path) -> None:
    begun = run_recipe(data, tmp_path / "runs", HASHED, stopped_once)
    (begun.directory.predictions / "images.csv").unlink()
    assert resume(begun.directory).ended is not None


def test_too_much_that_cannot_be_read_is_told_by_pseudonym(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train/SICK/[0-9a-f]{16}\.png \(not a JPEG"):
        run_recipe(data, tmp_path / "runs", HASHED | {"data.unreadable": 0.0})


def test_grad_cam_finds_the_radiograph_and_names_it_by_its_pseudonym(data: Path, tmp_path: Path) -> None:
    run = run_recipe(data, tmp_path / "runs", HASHED)
    explainer = Explainer(run.directory.config, run.directory.checkpoints, 2)
    path = data / run.directory.sources()[0][0]
    found = explainer(path, 0)
    assert (found.heat == explainer(locate(path), 0).heat).all()
    locate(path).write_bytes(b"broken by now")
    with pytest.raises(UserError) as caught:
        explainer(path, 0)
    assert caught.value.message.startswith(f"{path.name} cannot be read")
    key_file().unlink()
    with pytest.raises(UserError, match="the key of the pseudonyms is not on this machine"):
        explainer(path, 0)


# The setting


@pytest.mark.parametrize(
    ("options", "variable", "file", "hashed"),
    [
        ([], "", "", False),
        (["--hash-names"], "", "", True),
        ([], "true", "", True),
        ([], "1", "", True),
        ([], "", "hash_names = true", True),
        ([], "false", "hash_names = true", False),
        (["--hash-names=false"], "true", "hash_names = true", False),
    ],
)
def test_the_setting_is_an_option_a_variable_and_a_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variable: str,
    file: str,
    hashed: bool,
) -> None:
    given: list[Settings] = []

    def start(settings: Settings, *_: object, **__: object) -> None:
        given.append(settings)
        raise UserError("enough")

    monkeypatch.setattr(launch, "start", start)
    if variable:
        monkeypatch.setenv("XRAY_TUI_HASH_NAMES", variable)
    config_file = tmp_path / "own.toml"
    config_file.write_text(f"[data]\n{file}\n")
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path), "--config", str(config_file), *options])
    assert [settings.data.hash_names for settings in given] == [hashed]


def test_a_value_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file = tmp_path / "own.toml"
    config_file.write_text("[data]\nhash_names = 3\n")
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path), "--config", str(config_file)])
    assert "data.hash_names 3: expected true or false" in capsys.readouterr().err


def test_in_the_dashboard_it_is_chosen_as_toml_writes_it() -> None:
    assert choices("data.hash_names") == ("false", "true")
    assert [parse("data.hash_names", text) for text in ("true", "false")] == [True, False]
    assert [written(value) for value in (True, False)] == ["true", "false"]
