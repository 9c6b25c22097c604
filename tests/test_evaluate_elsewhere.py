"""``xray-tui evaluate RUN DATA``: a run on images of others."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_folder, write_image
from tests.trained_runs import finished, tiny_networks
from xray_tui import evaluating, metrics
from xray_tui.cli import main
from xray_tui.data.folders import ImageFile, Listing
from xray_tui.engine.controls import Controls, Stop
from xray_tui.errors import UserError
from xray_tui.evaluating import evaluate_elsewhere
from xray_tui.events import Event, Progress, Warning
from xray_tui.runs.directory import RunDirectory
from xray_tui.trained import load, predict

Call = Callable[..., tuple[int, str, str]]
COUNTS = {"NORMAL": 9, "PNEUMONIA": 12}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    folder = tmp_path_factory.mktemp("elsewhere")
    data = write_folder(folder / "chest", dict.fromkeys(("train", "val", "test"), COUNTS))
    with tiny_networks():
        yield finished(data, folder / "runs", {"data.split": "folders", "evaluation.unseal": "never"})


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """One folder a class: nine images of three patients, one that cannot be read."""
    root = tmp_path / "other hospital"
    for number in range(9):
        patient, label = number // 3, number % 2
        name = ("NORMAL", "PNEUMONIA")[label]
        write_image(
            root / name / f"person{patient}_virus_{number}.png", bright=number % 3 == 0, seed=50 + number
        )
    (root / "NORMAL" / "broken.png").write_bytes(b"no image")
    return root


@pytest.fixture
def call(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> Call:
    def evaluate(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", str(run.path), *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return evaluate


def files_of(run: RunDirectory) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in run.path.rglob("*") if file.is_file()}


def test_its_numbers_are_those_of_its_predictions(call: Call, hospital: Path, run: RunDirectory) -> None:
    before = files_of(run)
    code, out, _ = call(str(hospital), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["data"], found["images"], found["unreadable"]) == (str(hospital), 9, 1)
    assert (found["patients"], found["times"], found["selected_on_test"]) == (3, 1, False)
    trained = load(run, "cpu")
    paths = sorted(path for path in hospital.rglob("person*.png"))
    said = list(predict(trained, paths))
    actual = np.array([path.parent.name == "PNEUMONIA" for path in paths], int)
    probabilities = np.stack([prediction.probabilities for prediction in said])
    losses = -np.log(probabilities[np.arange(9), actual])
    wanted = metrics.evaluate(probabilities, losses, actual, 1, trained.threshold)
    for name in ("accuracy", "auc", "sensitivity", "specificity", "brier", "loss"):
        assert found["metrics"][name] == pytest.approx(getattr(wanted, name), abs=1e-5)
    assert found["metrics"]["confusion"] == wanted.confusion
    assert (found["rule"], found["threshold"], found["epoch"]) == ("youden", trained.threshold, trained.epoch)
    patients = [path.name.split("_")[0] for path in paths]
    intervals = metrics.bootstrap(probabilities, losses, actual, 1, patients, trained.threshold)
    assert found["intervals"].keys() == intervals.keys()
    assert found["intervals"]["brier"] == pytest.approx(intervals["brier"], abs=1e-5)
    assert files_of(run) == before, "nothing of the run has changed"


def test_it_says_whose_images_they_are_and_how_often_they_were_looked_at(call: Call, hospital: Path) -> None:
    for _ in range(2):
        code, out, _ = call(str(hospital))
        assert code == 0
        assert f"on another data set than the run's: {hospital}" in out
        assert "9 images (1 cannot be read) of 3 patients; these images looked at once" in out
        assert "95 % interval" in out
        assert "on test " not in out


def test_a_folder_whose_name_is_no_utf_8_is_evaluated(call: Call, hospital: Path, tmp_path: Path) -> None:
    strange = hospital.rename(tmp_path / os.fsdecode(b"h\xf4pital"))
    code, out, err = call(str(strange), "--json")
    assert code == 0, err
    assert json.loads(out)["data"] == f"{tmp_path}/h\\udcf4pital"
    code, out, err = call(str(strange))
    assert code == 0, err


def test_of_a_data_folder_test_is_taken(call: Call, tmp_path: Path) -> None:
    counts = {"train": COUNTS, "test": {"NORMAL": 2, "PNEUMONIA": 3}}
    found = json.loads(call(str(write_folder(tmp_path / "other", counts)), "--json")[1])
    assert (found["images"], found["patients"]) == (5, 5)
    only_test = write_folder(tmp_path / "only test", {"test": counts["test"]})
    alone = json.loads(call(str(only_test), "--json")[1])
    assert (alone["images"], alone["patients"]) == (5, 5)


def test_another_operating_point_is_chosen_on_validation_not_here(call: Call, hospital: Path) -> None:
    own, likeliest = (
        json.loads(call(str(hospital), "--json", "--operating-point", rule)[1])
        for rule in ("youden", "likeliest")
    )
    assert own["threshold"] is not None
    assert (likeliest["rule"], likeliest["threshold"]) == ("likeliest", None)
    assert likeliest["metrics"]["auc"] == own["metrics"]["auc"]


def test_the_runs_own_images_are_refused(call: Call, run: RunDirectory) -> None:
    own = run.path.parents[1] / "chest"
    for folder in (own, own / "train", own / "test"):
        code, out, err = call(str(folder))
        assert (code, out) == (2, "")
        assert "is the run's own data" in err


@pytest.mark.parametrize("role", ["train", "val"])
def test_the_runs_own_images_are_refused_whatever_leads_to_them(
    call: Call, run: RunDirectory, hospital: Path, role: str
) -> None:
    own = run.path.parents[1] / "chest"
    image = next((own / role / "NORMAL").iterdir())
    (hospital / "NORMAL" / "linked.png").symlink_to(image)
    table = own.parent / f"{role}.csv"
    others = [f"chest/test/{name}/{file.name}" for name in COUNTS for file in (own / "test" / name).iterdir()]
    labels = [(place, place.split("/")[2]) for place in [*others, f"chest/{role}/NORMAL/{image.name}"]]
    table.write_text("path,label\n" + "".join(f"{place},{label}\n" for place, label in labels))
    for data, images in ((hospital, 11), (table, 22)):
        code, out, err = call(str(data))
        assert (code, out) == (2, "")
        assert f"1 of the {images} images of {data} is the run's own data" in err
    table.write_text("path,label\n" + "".join(f"{place},{label}\n" for place, label in labels[:-1]))
    assert call(str(table))[0] == 0, "test images are not"


def test_copies_of_the_runs_own_images_are_told(call: Call, run: RunDirectory, hospital: Path) -> None:
    own = run.path.parents[1] / "chest"
    warning = "in the run's train or validation too. Byte for byte."
    assert warning not in call(str(hospital))[2]
    (hospital / "PNEUMONIA" / "empty.png").touch()
    shutil.copy(own / "train/NORMAL/IM-0001-0001.png", hospital / "NORMAL" / "one.png")
    shutil.copy(own / "val/PNEUMONIA/person1003_virus_1.png", hospital / "PNEUMONIA" / "two.png")
    shutil.copy(own / "test/NORMAL/IM-2001-0001.png", hospital / "NORMAL" / "of test.png")
    code, out, err = call(str(hospital), "--json")
    assert (code, json.loads(out)["images"]) == (0, 12)
    assert f"2 of the 14 images of {hospital} are {warning}" in err
    pairs = ["train/NORMAL/IM-0001-0001.png = NORMAL/one.png", "person1003_virus_1.png = PNEUMONIA/two.png"]
    assert all(pair in err for pair in pairs)
    assert "of test.png" not in err


def test_no_name_is_told_of_a_run_that_hides_them(
    call: Call, run: RunDirectory, hospital: Path, tmp_path: Path
) -> None:
    hidden = RunDirectory(Path(shutil.copytree(run.path, tmp_path / "hidden")))
    kept = hidden.config.read_text()
    hidden.config.write_text(kept.replace("hash_names = false", "hash_names = true"))
    assert hidden.config.read_text() != kept
    shutil.copy(run.path.parents[1] / "chest/train/NORMAL/IM-0001-0001.png", hospital / "NORMAL" / "one.png")
    told: list[Event] = []
    evaluate_elsewhere(hidden, hospital, told.append, Controls())
    (warning,) = [event for event in told if isinstance(event, Warning)]
    assert warning.message.startswith("1 of the 11 images of ")
    assert warning.paths == []


def test_where_the_runs_own_data_is_gone_it_says_that_nobody_compared(
    call: Call, run: RunDirectory, hospital: Path
) -> None:
    own = run.path.parents[1] / "chest"
    own.rename(away := own.with_name("away"))
    try:
        code, _, err = call(str(hospital))
    finally:
        away.rename(own)
    assert code == 0
    assert f"copies of the run's own images were not looked for: no such folder: {own}" in err


def test_other_classes_are_refused(call: Call, hospital: Path, tmp_path: Path) -> None:
    (hospital / "NORMAL").rename(hospital / "HEALTHY")
    _, _, err = call(str(hospital))
    assert "lacks NORMAL and has HEALTHY besides" in err
    shutil.rmtree(hospital / "HEALTHY")
    assert "lacks NORMAL\n" in call(str(hospital))[2]
    (tmp_path / "empty").mkdir()
    assert "no images in the folders of" in call(str(tmp_path / "empty"))[2]
    assert "no such folder" in call(str(tmp_path / "gone"))[2]


def test_data_that_has_only_train_is_refused(
    run: RunDirectory, hospital: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Listing(hospital, list(COUNTS), {"train": [ImageFile("NORMAL/person0_virus_0.png", 0)]})
    monkeypatch.setattr(evaluating, "scan_labelled", lambda *given: listing)
    with pytest.raises(UserError, match="has no test images"):
        evaluate_elsewhere(run, hospital, lambda event: None, Controls())


def test_images_of_which_none_can_be_read_are_told(call: Call, hospital: Path) -> None:
    for file in hospital.rglob("*.png"):
        file.write_bytes(b"")
    code, out, err = call(str(hospital))
    assert (code, out) == (2, "")
    assert "none of the 10 images" in err


def test_it_stops_when_it_is_asked_to(run: RunDirectory, hospital: Path) -> None:
    controls = Controls()

    def stop(event: object) -> None:
        if isinstance(event, Progress) and event.phase == "test":
            controls.stop(signal.Signals.SIGINT.name)

    with pytest.raises(Stop):
        evaluate_elsewhere(run, hospital, stop, controls)
    with pytest.raises(UserError, match="has no best epoch"):
        evaluate_elsewhere(RunDirectory(hospital), hospital, stop, controls)


def test_a_run_without_its_operating_point_is_refused(
    run: RunDirectory, hospital: Path, tmp_path: Path
) -> None:
    cut = RunDirectory(Path(shutil.copytree(run.path, tmp_path / "cut")))
    lines = cut.journal.read_bytes().splitlines(keepends=True)
    cut.journal.write_bytes(b"".join(line for line in lines if b'"type":"operating_point"' not in line))
    with pytest.raises(UserError, match="before its operating point was chosen"):
        evaluate_elsewhere(cut, hospital, lambda event: None, Controls())
