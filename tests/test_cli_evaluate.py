"""``xray-tui evaluate``, as a person or a script uses it."""

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import write_folder
from tests.engine.conftest import Run, run_recipe
from xray_tui import metrics
from xray_tui.cli import main
from xray_tui.engine import room
from xray_tui.engine.controls import Controls, Stop
from xray_tui.errors import UserError
from xray_tui.evaluating import evaluate_test
from xray_tui.events import Progress, TestEvaluated, TestUnsealed
from xray_tui.runs import follow, state
from xray_tui.runs.claim import Claim
from xray_tui.runs.evaluated import Elsewhere, evaluated
from xray_tui.runs.index import summary
from xray_tui.runs.predictions import KeptPredictions, read_test
from xray_tui.runs.record import RunRecord
from xray_tui.words import probability

Call = Callable[..., tuple[int, str, str]]
SHORT = {"training.frozen.epochs": 0, "training.unfrozen.epochs": 1}
YOUDEN = SHORT | {"evaluation.operating_point": "youden", "evaluation.calibrate": True}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the program in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def record_of(run: Run) -> RunRecord:
    return RunRecord.of(follow.read(run.directory))


def test_what_the_run_kept_is_read_and_test_is_left_alone(
    call: Call, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_TUI_OPERATING_POINT", "likeliest")  # for runs to come: this one has its own
    run = run_recipe(chest, tmp_path / "runs", YOUDEN)
    journal = run.directory.journal.read_bytes()
    (test,) = run.of(TestEvaluated)
    for file in chest.rglob("*.png"):
        file.unlink()
    code, out, err = call("--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    for name in ("accuracy", "auc", "sensitivity", "loss", "mcc", "confusion"):
        assert found["metrics"][name] == getattr(test, name)
    by_patient = {name: list(bounds) for name, bounds in test.intervals.items()}
    assert {k: v for k, v in found["intervals"].items() if k not in found["wilson"]} == by_patient
    point = record_of(run).point
    assert (found["rule"], found["threshold"], found["times"]) == ("youden", point.threshold, 1)
    assert (found["images"], found["patients"], found["of_classes"]) == (14, 14, {})
    code, out, _ = call(run.directory.name)
    assert "14 images, each of another patient as far as is known; test looked at once" in out
    assert f"PNEUMONIA is called from p ≥ {probability(point.threshold)} (youden, on validation)" in out
    assert "positive: PNEUMONIA (the last by name)" in out.splitlines()
    assert run.directory.journal.read_bytes() == journal


def test_a_sealed_run_is_evaluated_as_it_would_have_been(call: Call, chest: Path, tmp_path: Path) -> None:
    open_run = run_recipe(chest, tmp_path / "open", YOUDEN)
    sealed = run_recipe(chest, tmp_path / "runs", YOUDEN | {"evaluation.unseal": "never"})
    code, out, err = call("--json")
    assert code == 0
    assert "14 test images are unsealed: test looked at 2 times" in err
    wanted, record = open_run.of(TestEvaluated)[0], record_of(sealed)
    for name in ("accuracy", "auc", "loss", "confusion", "intervals", "epoch", "images"):
        assert getattr(record.test, name) == getattr(wanted, name)
    kept = read_test(sealed.directory, record.classes)
    assert np.array_equal(kept.probabilities, wanted.probabilities)
    assert state.read(sealed.directory).status == "done"
    assert summary(sealed.directory).status == "done"
    assert "14 images" in sealed.directory.report.read_text()
    lines = [json.loads(line) for line in sealed.directory.journal.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [line["type"] for line in lines[-2:]] == ["test_unsealed", "test_evaluated"]
    assert json.loads(out)["times"] == 2
    # From now on it has looked, and need not again.
    assert call("--json")[1:] == (out, "")
    assert len([e for e in follow.read(sealed.directory) if isinstance(e, TestUnsealed)]) == 1


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A test image that is in train too, and one that is in validation."""
    data = write_folder(tmp_path / "d", {role: {"a": 9, "b": 9} for role in ("train", "val", "test")})
    shutil.copy(data / "train/b/person0001_virus_1.png", data / "test/b/one.png")
    shutil.copy(data / "val/b/person1001_virus_1.png", data / "test/b/other.png")
    return data


def test_a_sealed_run_tells_of_copies_as_it_would_have(copied: Path, tmp_path: Path) -> None:
    folders = SHORT | {"data.split": "folders"}
    wanted = run_recipe(copied, tmp_path / "open", folders)
    sealed = run_recipe(copied, tmp_path / "runs", folders | {"evaluation.unseal": "never"})
    evaluate_test(sealed.directory, lambda event: None, Controls())
    told, own = (
        [(w.kind, w.message, w.paths) for w in RunRecord.of(follow.read(run.directory)).warnings]
        for run in (sealed, wanted)
    )
    assert told == own
    assert own[-1][2] == [
        "train/b/person0001_virus_1.png = test/b/one.png",
        "val/b/person1001_virus_1.png = test/b/other.png",
    ]
    assert "= test/b/one.png" in sealed.directory.report.read_text()


def test_where_train_cannot_be_read_any_more_it_says_that_copies_were_not_looked_for(
    copied: Path, tmp_path: Path
) -> None:
    sealed = run_recipe(
        copied, tmp_path / "runs", SHORT | {"data.split": "folders", "evaluation.unseal": "never"}
    )
    for file in copied.glob("train/*/*"):
        file.write_bytes(b"")
    evaluate_test(sealed.directory, lambda event: None, Controls())
    record = record_of(sealed)
    assert record.test.images == 20
    (told,) = [w.message for w in record.warnings if w.kind == "duplicates"]
    assert told.startswith("copies of test images in train and validation were not looked for: 18 of 36")


def test_a_run_of_a_device_that_is_not_here_is_evaluated_on_another(
    call: Call, chest: Path, tmp_path: Path
) -> None:
    run = run_recipe(
        chest, tmp_path / "runs", YOUDEN | {"data.split": "holdout", "evaluation.unseal": "never"}
    )
    kept = run.directory.config.read_text()
    run.directory.config.write_text(kept.replace('device = "cpu"', 'device = "cuda:99"'))
    code, out, err = call()
    assert (code, out) == (2, "")
    assert "error: --device cuda:99: this machine has" in err
    assert "use --device auto or cpu" in err
    assert record_of(run).unsealed is None, "nothing was looked at"
    code, out, _ = call("--device", "cpu")
    assert code == 0
    assert "on test" in out
    code, _, err = call("--device", "gpu")
    assert (code, err) == (2, "error: --device gpu: there is no such choice\n  auto, cpu, cuda[:N] or mps\n")


def test_memory_that_only_training_needs_is_not_asked_for(
    call: Call, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_recipe(chest, tmp_path / "runs", SHORT | {"evaluation.unseal": "never"})
    monkeypatch.setattr(room, "_free_bytes", lambda device: 2e3)
    code, _, err = call()
    assert code == 0, err


def test_another_operating_point_is_chosen_on_validation(call: Call, chest: Path, tmp_path: Path) -> None:
    run = run_recipe(chest, tmp_path / "runs", SHORT | {"data.split": "recipe"})
    record = record_of(run)
    found = json.loads(call("--json", "--operating-point", "sensitivity:1")[1])
    kept = KeptPredictions(run.directory, record.classes)
    scores = kept.epoch(record.best.epoch).probabilities[:, 1]
    lowest = scores[kept.images().actual == 1].min()
    assert np.array_equal(scores >= found["threshold"], scores >= lowest), "what it calls, and no more"
    test = read_test(run.directory, record.classes)
    own = metrics.evaluate(test.probabilities, test.losses, test.images.actual, 1, found["threshold"])
    assert found["metrics"]["sensitivity"] == own.sensitivity
    assert found["selected_on_test"]
    assert "selected on test" in call()[1]


def test_a_rate_without_a_mistake_has_wilsons_interval(
    call: Call, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_recipe(chest, tmp_path / "runs", SHORT)
    record = record_of(run)
    kept = read_test(run.directory, record.classes)
    positive = kept.images.actual.astype(np.float32)
    positive[kept.images.actual.argmin()] = 1.0  # one NORMAL is called PNEUMONIA
    sure = replace(kept, probabilities=np.stack([1 - positive, positive], 1))
    monkeypatch.setattr("xray_tui.runs.evaluated.read_test", lambda directory, classes: sure)
    found = json.loads(call("--json")[1])
    assert found["wilson"] == ["sensitivity"]
    ill = int(kept.images.actual.sum())
    assert found["intervals"]["sensitivity"] == list(metrics.interval(ill, ill))
    lines = call()[1].splitlines()
    (line,) = (line for line in lines if line.startswith("sensitivity"))
    assert line.split() == ["sensitivity", "100.0", "%", "67.6", "%", "to", "100.0", "%", "(W)"]
    assert "(W): Wilson's interval of a proportion, each image for itself" in lines
    others = evaluated(run.directory, record, elsewhere=Elsewhere(tmp_path, sure, 0, 0, 1))
    assert others.wilson == ["sensitivity"]


def test_three_classes_each_against_the_rest(call: Call, tmp_path: Path) -> None:
    classes = {"bacterial": 6, "normal": 7, "viral": 8}
    data = write_folder(tmp_path / "d", dict.fromkeys(("train", "val", "test"), classes))
    run = run_recipe(data, tmp_path / "runs", SHORT | {"data.split": "folders"})
    found = json.loads(call("--json")[1])
    assert list(found["of_classes"]) == list(classes)
    sensitivities = [scores["sensitivity"] for scores in found["of_classes"].values()]
    assert found["macro"]["sensitivity"] == pytest.approx(np.mean(sensitivities))
    out = call(run.directory.name)[1]
    assert "against the rest" in out
    together, of_classes = (line.split("  ")[0] for line in out.splitlines() if line.startswith("Brier"))
    assert together == "Brier score, halved"
    assert of_classes == "Brier score", "of two classes it is what is usual"


@pytest.mark.parametrize("rule", ["best", "sensitivity:2", "specificity:"])
def test_what_is_no_rule_is_told_before_all_else(call: Call, rule: str) -> None:
    code, out, err = call("--operating-point", rule)
    assert (code, out) == (2, "")
    assert err.startswith("error: --operating-point")


def test_a_run_that_is_live_or_has_nothing_to_evaluate_is_refused(chest: Path, tmp_path: Path) -> None:
    def evaluate(run: Run) -> None:
        evaluate_test(run.directory, lambda event: None, Controls())

    run = run_recipe(chest, tmp_path / "runs", SHORT | {"evaluation.unseal": "never"})
    with Claim(run.directory), pytest.raises(UserError, match="another command is writing into"):
        evaluate(run)
    (chest / "test" / "NORMAL" / "new.png").write_bytes(b"")
    with pytest.raises(UserError, match="holds other images"):
        evaluate(run)
    (chest / "test" / "NORMAL" / "new.png").unlink()
    run.directory.checkpoints.joinpath("best.safetensors").unlink()
    with pytest.raises(UserError, match="no checkpoint"):
        evaluate(run)


def test_stopped_it_has_evaluated_nothing(chest: Path, tmp_path: Path) -> None:
    run = run_recipe(chest, tmp_path / "runs", SHORT | {"evaluation.unseal": "never"})
    controls, told = Controls(), []

    def stop(event: Any) -> None:
        told.append(event)
        if isinstance(event, Progress) and event.phase == "test":
            controls.stop(signal.Signals.SIGINT.name)

    with pytest.raises(Stop):
        evaluate_test(run.directory, stop, controls)
    assert not any(isinstance(event, TestEvaluated) for event in told)
    record = record_of(run)
    assert record.test.skipped
    with pytest.raises(UserError, match="kept no predictions"):
        evaluated(run.directory, record)
