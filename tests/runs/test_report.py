"""report.md: what it says of a run, and that what it links to is there."""

import hashlib
import io
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from making import CLASSES, NOON, keep
from markdown_it import MarkdownIt
from PIL import Image

from tests.conftest import write_image
from tests.tui.record_journals import whole_run
from xray_tui import config
from xray_tui.cli import main
from xray_tui.data.pseudonyms import Pseudonyms, own_key
from xray_tui.events import (
    Best,
    ControlUsed,
    EpochEnded,
    Event,
    Explained,
    Mistake,
    Mistakes,
    OperatingPoint,
    Outcome,
    Resumed,
    RunEnded,
    RunStarted,
    Source,
    TestEvaluated,
    TestUnsealed,
)
from xray_tui.figures import PICTURE_PX
from xray_tui.regular_files import NotRegular
from xray_tui.runs import upkeep
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import summary
from xray_tui.runs.judged import Kept
from xray_tui.runs.predictions import Images
from xray_tui.runs.recorder import Recorder
from xray_tui.runs.report import report_of, write_report
from xray_tui.runs.report_words import NO_DEVICE

pytestmark = pytest.mark.usefixtures("figures")

CHARTS = ("epochs", "roc", "precision_recall", "calibration", "confusion")
ALL = {"epochs.png", "roc.png", "precision_recall.png", "calibration.png", "confusion.png", "mistakes.png"}


@pytest.fixture
def sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chart is a picture that only equal numbers have: matplotlib takes seconds for a few reports."""

    def sketch(*given: object, **named: object) -> bytes:
        out = io.BytesIO()
        Image.frombytes("L", (8, 4), hashlib.sha256(repr((given, named)).encode()).digest()).save(out, "PNG")
        return out.getvalue()

    for name in CHARTS:
        monkeypatch.setattr(f"xray_tui.figures.{name}", sketch)


# Of ten images the last four are PNEUMONIA. At 0.5 one of these is missed and two others are called so; from
# 0.65 on two are missed and one is called so.
ACTUAL = np.array([0] * 6 + [1] * 4)
PNEUMONIA = np.array([0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.35, 0.6, 0.8, 0.9], np.float32)


def both(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], 1).astype(np.float32)


def losses(probabilities: np.ndarray, actual: np.ndarray = ACTUAL) -> np.ndarray:
    return -np.log(probabilities[np.arange(len(actual)), actual]).astype(np.float32)


def predicted(
    tmp_path: Path,
    *,
    probabilities: np.ndarray | None = None,
    actual: np.ndarray = ACTUAL,
    classes: Sequence[str] = CLASSES,
    point: OperatingPoint | None = None,
    more: Sequence[Event] = (),
    **settings: object,
) -> RunDirectory:
    """A finished run of one epoch whose predictions and radiographs are there.

    Args:
        probabilities: (N, C); default: those above.
        more: events before the last.
    """
    root = tmp_path / "chest"
    given = {"run.runs_dir": str(tmp_path / "runs"), "data.root": str(root), "data.positive": classes[-1]}
    loaded = config.load(given | {path.replace("__", "."): value for path, value in settings.items()})
    directory = RunDirectory.create(loaded, NOON)
    probabilities = both(PNEUMONIA) if probabilities is None else probabilities
    names = [f"test/{classes[label]}/person{number}_virus_1.jpeg" for number, label in enumerate(actual)]
    for number, name in enumerate([*names, *(f"train/{name}/0.jpeg" for name in classes)]):
        write_image(root / name, seed=number)
    if loaded.data.hash_names:
        names = [Pseudonyms(own_key()).path(name) for name in names]
    called = probabilities.argmax(1)
    confusion = np.zeros((len(classes),) * 2, int)
    np.add.at(confusion, (actual, called), 1)
    told: list[Event] = [
        RunStarted(
            t=NOON,
            run=directory.name,
            settings=config.to_tree(loaded),
            device="cpu (2 threads), float32",
            backbone="efficientnet_lite0",
            weights="a wheel",
            classes=list(classes),
            images={"train": {classes[0]: 1200}, "validation": {classes[0]: 6, classes[1]: 4}},
            split_note="holdout: as asked",
            unreadable=0,
            parameters=4_700_000,
            patients={"train": 900, "validation": 5},
            versions={"xray-tui": "0.1.0", "torch": "2.14.1"},
            validation=[
                Source(name, int(label), f"person{number // 2}")
                for number, (name, label) in enumerate(zip(names, actual, strict=True))
            ],
        ),
        EpochEnded(
            t=NOON + 60,
            stage="frozen",
            epoch=0,
            train_loss=0.5,
            validation_loss=0.25,
            accuracy=float(np.mean(called == actual)),
            auc=0.9,
            sensitivity=0.75,
            specificity=0.67,
            confusion=confusion.tolist(),
            learning_rate=1e-3,
            images_per_second=1.0,
            seconds=60.0,
            probabilities=probabilities,
            losses=losses(probabilities, actual),
        ),
        Best(t=NOON + 60, stage="frozen", epoch=0, validation_loss=0.25, accuracy=None),
        *([point] if point else []),
        *more,
        RunEnded(t=NOON + 61, outcome="done", why="every stage finished", best_epoch=0, seconds=61.0),
    ]
    directory.journal.touch()
    recorder = Recorder(directory, lambda *asked: None, lambda trouble: None)
    for event in told:
        recorder(event)
    recorder.close()
    return directory


def chosen(threshold: float | None = 0.65, temperature: float | None = None) -> OperatingPoint:
    return OperatingPoint(
        t=NOON + 60,
        epoch=0,
        rule="youden",
        threshold=threshold,
        temperature=temperature,
        accuracy=None,
        sensitivity=None,
        specificity=None,
    )


def of_test() -> list[Event]:
    """Test is looked at for the third time: of four images one is called wrong."""
    probabilities = both(np.array([0.2, 0.7, 0.8, 0.9], np.float32))
    actual = np.array([0, 0, 1, 1])
    return [
        TestUnsealed(t=NOON + 60, images=4, times=3),
        TestEvaluated(
            t=NOON + 60,
            skipped="",
            epoch=0,
            images=4,
            loss=0.4,
            accuracy=0.75,
            auc=1.0,
            sensitivity=1.0,
            specificity=0.5,
            confusion=[[1, 1], [0, 2]],
            intervals={"accuracy": (0.25, 1.0)},
            probabilities=probabilities,
            losses=losses(probabilities, actual),
            sources=[Source(f"test/A/{number}.png", int(a), str(number)) for number, a in enumerate(actual)],
        ),
    ]


def written(directory: RunDirectory, file: Path | None = None) -> tuple[str, dict[str, Image.Image]]:
    """The report, and the figures that it links to, by name."""
    write_report(directory, file)
    target = file or directory.report
    text = target.read_text(encoding="utf-8")
    links = [unquote(link) for link in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)]
    figures = {}
    for link in links:
        figures[Path(link).name] = Image.open(io.BytesIO((target.parent / link).read_bytes()))
        figures[Path(link).name].load()
    return text, figures


def row(text: str, title: str) -> list[str]:
    """The cells of a table's row."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_a_whole_report(tmp_path: Path) -> None:
    directory = predicted(tmp_path, more=of_test(), data__limit=10, training__seed=7)
    text, figures = written(directory)
    assert figures.keys() == ALL == {path.name for path in directory.figures.iterdir()}
    assert NO_DEVICE in text
    assert "with xray-tui 0.1.0, torch 2.14.1." in text
    assert row(text, "train") == ["1,200", "0", "1,200", "900"]
    assert row(text, "validation") == ["6", "4", "10", "5"]
    assert row(text, "accuracy")[:1] == ["70.0 %"]
    assert row(text, "accuracy")[2:] == ["75.0 %", "25.0 to 100.0"], "test's own numbers, not made anew"
    assert row(text, "sensitivity")[0] == "75.0 %"
    assert row(text, "specificity")[0] == "66.7 %"
    assert row(text, "AUC")[:1] == [f"{20 / 24:.4f}"]
    assert row(text, "sensitivity at 95 % specificity")[0] == "50.0 %"
    assert row(text, "specificity at 95 % sensitivity")[0] == "50.0 %"
    assert row(text, "NORMAL")[:2] == ["4 (66.7 %)", "2 (33.3 %)"]
    assert "3 runs of this user, this one included, looked at exactly these test images" in text
    assert "At most 10 images of each role were used." in text
    assert "Of fewer than 50 images intervals are narrower than they say" in text


def test_the_command_says_what_the_preset_does_not(tmp_path: Path) -> None:
    settings = {"data__limit": 10, "training__seed": 7, "evaluation__calibrate": True}
    text = report_of(predicted(tmp_path, **settings))
    root = tmp_path / "chest"
    options = "--positive PNEUMONIA --limit 10 --seed 7 --calibrate"
    assert f"\nxray-tui train {root} --preset recipe {options}\n" in text
    assert row(text, "`data.limit`")[:2] == ["10", "0"]
    assert "`run.runs_dir`" not in text


def test_what_the_preset_has_and_the_run_has_not_is_in_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = {"evaluation__calibrate": False, "evaluation__explain": False}
    directory = predicted(tmp_path, preset="tuned", **off)
    line = next(line for line in report_of(directory).splitlines() if line.startswith("xray-tui train"))
    assert line.endswith("--calibrate=false --explain=false")
    _, _, root, *options = shlex.split(line)
    with pytest.raises(SystemExit):
        main(["config", "show", *options])
    shown = tomllib.loads(capsys.readouterr().out)
    kept = tomllib.loads(directory.config.read_text())
    assert root == kept["data"].pop("root")
    assert shown["data"].pop("root") == ""
    assert {key: shown[key] for key in kept if key != "run"} == {k: v for k, v in kept.items() if k != "run"}


def test_what_no_option_can_say_is_in_the_config(tmp_path: Path) -> None:
    text = report_of(predicted(tmp_path, model__hidden=16))
    assert f"\nxray-tui train {tmp_path / 'chest'} --config config.toml\n" in text


def test_rates_are_at_the_operating_point(tmp_path: Path) -> None:
    text = report_of(predicted(tmp_path, point=chosen(0.65)))
    assert row(text, "sensitivity")[0] == "50.0 %"
    assert row(text, "specificity")[0] == "83.3 %"
    assert "10 images, at p ≥ 0.65: accuracy 70.0 %" in text
    assert "PNEUMONIA is called from a probability of 0.65 on (`youden`, chosen on validation)." in text
    assert row(text, "1")[1:3] == ["NORMAL", "PNEUMONIA"]
    assert "3 of 3 mistakes on validation." in text


@pytest.mark.usefixtures("sketches")
def test_a_small_threshold_is_told_as_it_is(tmp_path: Path) -> None:
    text, _ = written(predicted(tmp_path, point=chosen(8.979e-05)))
    assert "from a probability of 0.00008979 on" in text


def test_calibrated_probabilities_are_what_is_judged(tmp_path: Path) -> None:
    plain, drawn = written(predicted(tmp_path / "plain"))
    text, figures = written(predicted(tmp_path / "calibrated", point=chosen(None, temperature=2.0)))
    assert "Logits are divided by 2.000, fitted on validation." in text
    assert row(text, "AUC")[0] == row(plain, "AUC")[0], "of two classes they keep their order"
    assert row(text, "loss")[0] != row(plain, "loss")[0]
    assert figures["calibration.png"].tobytes() != drawn["calibration.png"].tobytes()
    assert figures["roc.png"].tobytes() == drawn["roc.png"].tobytes()


@pytest.mark.usefixtures("sketches")
def test_three_classes_have_a_table_of_their_own(tmp_path: Path) -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], np.float32)
    actual = np.array([0, 1, 2, 2])
    classes = ["BACTERIA", "NORMAL", "VIRUS"]
    text, figures = written(predicted(tmp_path, probabilities=probabilities, actual=actual, classes=classes))
    assert figures.keys() == ALL
    assert row(text, "BACTERIA")[2:4] == ["100.0 %", "66.7 %"]
    assert row(text, "VIRUS")[2:4] == ["50.0 %", "100.0 %"]
    assert row(text, "mean (macro)")[2] == "83.3 %"
    assert row(text, "Brier score, halved")[0] == f"{(0.06 + 0.14 + 0.14 + 0.98) / 8:.4f}"
    assert "Brier score |" not in text


@pytest.mark.usefixtures("sketches")
def test_names_that_markdown_would_act_on_are_the_names_again(tmp_path: Path) -> None:
    classes = ["=1+1 <script>", "A|B *x* [bold]", "it`s"]
    probabilities = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)
    run = predicted(tmp_path, probabilities=probabilities, actual=np.array([0, 1, 2]), classes=classes)
    text, _ = written(run)
    assert "<script>" not in MarkdownIt().enable("table").render(text)
    inline = [token.children or [] for token in MarkdownIt().enable("table").parse(text) if token.children]
    words = ["".join(part.content for part in parts) for parts in inline]
    assert set(classes) <= set(words)
    paths = [parts[0].content for parts in inline if [part.type for part in parts] == ["code_inline"]]
    assert {f"test/{classes[actual]}/person{actual}_virus_1.jpeg" for actual in (1, 2)} <= set(paths)


@pytest.mark.usefixtures("sketches")
def test_hashed_names_stay_hidden_and_the_radiographs_are_found(tmp_path: Path) -> None:
    directory = predicted(tmp_path, data__hash_names=True)
    text, figures = written(directory)
    assert "mistakes.png" in figures
    assert re.search(r"\| `test/NORMAL/[0-9a-f]{16}\.jpeg` \|", text)
    kept = [directory.report, *directory.figures.iterdir()]
    assert not [file for file in kept if b"person" in file.read_bytes()]


@pytest.mark.usefixtures("sketches")
def test_without_radiographs_the_report_says_so(tmp_path: Path) -> None:
    directory = predicted(tmp_path)
    assert "mistakes.png" in written(directory)[1]
    (tmp_path / "chest").rename(tmp_path / "elsewhere")
    text, figures = written(directory)
    assert figures.keys() == ALL - {"mistakes.png"}
    assert not (directory.figures / "mistakes.png").exists(), "an old figure is not of this report"
    assert "No pictures: none of the radiographs can be read" in text


@pytest.mark.usefixtures("sketches")
def test_grad_cams_stand_beside_their_radiographs(tmp_path: Path) -> None:
    bare = written(predicted(tmp_path / "bare"))[1]["mistakes.png"]
    path = "test/NORMAL/person5_virus_1.jpeg"
    explained = Explained(
        t=NOON + 60,
        stage="frozen",
        epoch=0,
        mistakes=[Mistake(path=path, actual=0, predicted=1, probability=0.7, loss=1.2)],
        images=np.full((1, 32, 32), 120, np.uint8),
        heat=np.ones((1, 2, 2), np.float32),
    )
    directory = predicted(tmp_path / "explained", more=[explained])
    text, figures = written(directory)
    assert "Grad-CAM" in text
    assert bare.size == (3 * PICTURE_PX, PICTURE_PX + 34), "three mistakes in a row"
    assert figures["mistakes.png"].size == (4 * PICTURE_PX, 2 * (PICTURE_PX + 34)), "two pairs in a row"
    assert [row(text, str(rank))[0] for rank in (1, 2)] == [
        f"`{path}`",
        "`test/PNEUMONIA/person6_virus_1.jpeg`",
    ]
    (tmp_path / "explained" / "chest").rename(tmp_path / "elsewhere")
    assert written(directory)[1]["mistakes.png"].size == (PICTURE_PX, PICTURE_PX + 34), (
        "what was kept is shown"
    )
    (directory.explanations / "frozen" / "01.png").write_bytes(b"\x89PNG broken")
    assert "mistakes.png" not in written(directory)[1]


def test_an_image_without_numbers_is_no_mistake() -> None:
    probabilities = both(np.where(np.arange(10) == 0, np.nan, PNEUMONIA))
    images = Images([f"{number}.png" for number in range(10)], ACTUAL, [""] * 10)
    kept = Kept(images, probabilities, probabilities, losses(probabilities))
    worst, total = kept.worst(1, 0.65, 8)
    assert ([mistake.path for mistake in worst], total) == (["5.png", "6.png", "7.png"], 3)


def test_a_mistake_leads_nowhere_but_into_the_data_folder(tmp_path: Path) -> None:
    told = list(predicted_journal(tmp_path / "secret.png"))
    _, figures = written(keep(tmp_path / "runs", told))
    assert "mistakes.png" not in figures


def predicted_journal(secret: Path) -> list[Event]:
    """That of a run without predictions, whose mistakes name a file elsewhere."""
    write_image(secret)
    root = secret.parent / "chest"
    root.mkdir()
    started, *rest = whole_run()
    assert isinstance(started, RunStarted)
    started.settings["data"]["root"] = str(root)
    worst = [
        Mistake(path=path, actual=0, predicted=1, probability=0.9, loss=2.0)
        for path in ("../secret.png", str(secret))
    ]
    mistakes = Mistakes(t=NOON, stage="unfrozen", epoch=13, total=2, worst=worst)
    return [started, *(event for event in rest if not isinstance(event, Mistakes)), mistakes]


def test_an_old_run_has_what_its_journal_tells(tmp_path: Path) -> None:
    text, figures = written(keep(tmp_path))
    assert figures.keys() == {"epochs.png", "confusion.png"}
    assert "with versions that the run did not note." in text
    assert "No curves of validation: This run kept no predictions." in text
    assert row(text, "accuracy")[3].endswith("(W)"), "Wilson's, for there is nothing to draw patients from"
    assert "How often these test images have been looked at was not counted." in text


def test_a_journal_that_lost_its_first_line_has_a_report(tmp_path: Path) -> None:
    _, *rest = whole_run()
    text, figures = written(keep(tmp_path, rest))
    assert "The run ended before it began" in text
    assert not figures


@pytest.mark.parametrize("outcome", ["interrupted", "failed"])
def test_a_run_that_came_to_nothing(tmp_path: Path, outcome: Outcome) -> None:
    started = next(iter(whole_run()))
    ended = RunEnded(t=NOON, outcome=outcome, why="a bug | in it", best_epoch=None, seconds=3.0)
    text, figures = written(keep(tmp_path, [started, ended]))
    assert not figures
    assert f"{outcome.capitalize()} (a bug | in it) after 00:03." in text
    assert "there is nothing to judge" in text
    assert "The run did not come to its end." in text


def test_the_published_protocol_is_called_optimistic(tmp_path: Path) -> None:
    text = report_of(predicted(tmp_path, data__split="recipe"))
    assert "Validation (selected on test: optimistic), 10 images" in text
    assert "The best epoch was chosen on the folder `test`, as the recipe was published." in text
    honest = report_of(predicted(tmp_path, data__split="holdout", more=of_test()))
    assert "as the recipe was published" not in honest


@pytest.mark.usefixtures("sketches")
def test_it_can_be_written_elsewhere_and_twice(tmp_path: Path) -> None:
    directory = predicted(tmp_path)
    file = tmp_path / "to a colleague.md"
    upkeep.export([summary(directory)], file)
    text, figures = written(directory, file)
    assert figures.keys() == ALL
    before = {path.name: path.read_bytes() for path in (tmp_path / "to a colleague-figures").iterdir()}
    written(directory, file)
    assert {p.name: p.read_bytes() for p in (tmp_path / "to a colleague-figures").iterdir()} == before
    assert not directory.figures.exists()
    own = written(directory, directory.report)[0]
    assert own.replace("](figures/", "](to%20a%20colleague-figures/") == text


def test_figures_are_not_written_through_a_link(tmp_path: Path) -> None:
    directory = predicted(tmp_path)
    (tmp_path / "outside").mkdir()
    directory.figures.symlink_to(tmp_path / "outside")
    with pytest.raises(NotRegular, match="a link"):
        write_report(directory)
    assert not list((tmp_path / "outside").iterdir())


def test_a_report_has_what_people_said_and_asked(tmp_path: Path) -> None:
    told = list(whole_run())
    told[8:8] = [
        ControlUsed(control="learning_rate", stage="frozen", epoch=1, value=3e-4),
        ControlUsed(control="resume", stage="frozen", epoch=None, why="SIGCONT\x1b[31m"),
    ]
    told.insert(20, Resumed(epoch=3))
    directory = keep(tmp_path, told)
    upkeep.rename(directory, "night | run")
    upkeep.set_note(directory, "first line\n<b>second</b>")
    report = report_of(directory)
    assert report.startswith("# night | run\n\n> first line\n> \\<b>second\\</b>\n\nDone (finished) after ")
    assert "It went on from a checkpoint at epoch 3." in report
    assert "* learning rate 0.0003, in epoch 1, by a person" in report
    assert "* resume, between epochs, by SIGCONT␛\\[31m" in report


def test_a_report_knows_the_folder_as_it_is_called_now(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    upkeep.rename(directory, "night run")
    moved = RunDirectory(directory.path.rename(tmp_path / "A"))
    assert "Its folder is `A`." in report_of(moved)
    upkeep.rename(moved, "")
    assert "Its folder is" not in report_of(moved)


def test_a_report_of_a_run_that_never_began(tmp_path: Path) -> None:
    directory = keep(tmp_path, [], status="failed")
    upkeep.set_note(directory, "no memory")
    report = report_of(directory)
    assert (
        report == f"# {directory.name}\n\n> no memory\n\nThe run ended before it began: nothing says why.\n"
    )
