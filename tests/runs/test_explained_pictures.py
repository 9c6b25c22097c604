import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from making import CLASSES, keep
from msgspec.structs import replace
from PIL import Image

from tests.board.test_projector import explained
from tests.tui.record_journals import whole_run
from xray_tui import event_lines
from xray_tui.errors import UserError
from xray_tui.events import Event, Mistake, Resumed, RunStarted
from xray_tui.runs import explanations, follow
from xray_tui.runs.claim import check_resumable
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.record import RunRecord
from xray_tui.runs.recorder import Recorder


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return keep(tmp_path, list(whole_run())[:-2], status="interrupted")


def record(directory: RunDirectory, *events: Event) -> None:
    recorder = Recorder(directory, lambda *asked: None, lambda trouble: None)
    for event in events:
        recorder(event)
    recorder.close()


def test_a_resumed_run_keeps_the_pictures_and_names_them(directory: RunDirectory) -> None:
    told = explained()
    record(directory, Resumed(epoch=15, stage="unfrozen"), told)
    picture = explanations.picture(directory, "frozen", 1)
    assert picture.relative_to(directory.path).as_posix() == "explanations/frozen/01.png"
    pixels = np.asarray(Image.open(picture)).astype(int)
    red, green, blue = pixels[4, 60]
    assert red > green > blue, "amber, where the heat is"
    assert (pixels[60, 4] == 120).all()
    rows = list(csv.DictReader((picture.parent / "index.csv").open()))
    assert rows[1] == {
        "picture": "02.png",
        "path": "test/1.jpeg",
        "actual": CLASSES[0],
        "predicted": CLASSES[1],
        "probability": "0.9",
        "loss": "2.3",
        "epoch": "1",
    }
    kept = RunRecord.of(follow.read(directory)).explained["frozen"]
    assert (kept.epoch, kept.mistakes, kept.images) == (1, told.mistakes, None)


def test_pictures_of_before_are_replaced(directory: RunDirectory) -> None:
    record(directory, explained(mistakes=3), explained(mistakes=1))
    folder = directory.explanations / "frozen"
    assert sorted(file.name for file in folder.iterdir()) == ["01.png", "index.csv"]
    record(directory, explained(mistakes=0))
    assert [file.name for file in folder.iterdir()] == ["index.csv"]


def test_what_is_unknown_is_left_empty_in_the_table(directory: RunDirectory) -> None:
    mistake = Mistake('test/a,"é".jpeg', 1, 0, probability=None, loss=None)
    record(directory, replace(explained(mistakes=1), mistakes=[mistake]))
    text = (directory.explanations / "frozen" / "index.csv").read_text("utf-8")
    assert text.splitlines()[1] == '01.png,"test/a,""é"".jpeg",PNEUMONIA,NORMAL,,,1'


def test_a_record_forgets_what_a_resumed_run_explains_again() -> None:
    begun = next(event for event in whole_run() if isinstance(event, RunStarted))
    frozen = explained()
    both = [begun, frozen, type(frozen)(stage="unfrozen", epoch=12, mistakes=[])]
    assert set(RunRecord.of(both).explained) == {"frozen", "unfrozen"}
    assert set(RunRecord.of([*both, Resumed(epoch=12, stage="unfrozen")]).explained) == {"frozen"}
    assert not RunRecord.of([*both, Resumed(epoch=9, stage="frozen")]).explained
    assert not RunRecord.of([*both, Resumed(epoch=0)]).explained


def test_a_mistake_of_no_class_is_refused(directory: RunDirectory) -> None:
    mistake = Mistake("x", 7, 0, probability=None, loss=None)
    told = replace(explained(mistakes=1), mistakes=[mistake])
    with directory.journal.open("ab") as journal:
        journal.write(event_lines.encode(told, 999) + b"\n")
    with pytest.raises(UserError, match="a mistake names a class that the run has not"):
        follow.read(directory)


@pytest.mark.parametrize("part", ["", "frozen"])
def test_pictures_are_written_in_the_runs_own_folder_alone(
    directory: RunDirectory, tmp_path: Path, part: str
) -> None:
    record(directory, explained())
    link = directory.explanations / part if part else directory.explanations
    shutil.rmtree(link)
    (tmp_path / "outside").mkdir()
    link.symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="a run is written in its own folder alone"):
        check_resumable(directory)
