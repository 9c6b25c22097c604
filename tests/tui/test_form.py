"""The start form: checked as one types, remembered, and turned into the run's settings."""

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Select, Static
from tui_support import (
    CHECKS,
    FakeEngine,
    Script,
    dashboard,
    header,
    in_front,
    keys,
    toasts,
    until,
    until_epoch,
)

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.kinds import in_words
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui import remembered
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.form import Checks, FormPane
from xray_tui.tui.tabs.history import HistoryTab


def field(app: XrayApp, name: str) -> Input:
    return app.query_one(f"#field-{name}", Input)


def verdict(app: XrayApp, name: str) -> str:
    return str(app.query_one(f"#field-{name}-verdict", Static).render())


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    """A folder with a space and a letter beyond ASCII in its name."""
    (tmp_path / "Röntgen bilder" / "train").mkdir(parents=True)
    return tmp_path / "Röntgen bilder"


async def test_the_folder_is_judged_as_one_types(chest: Path) -> None:
    app = dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        assert "holds train/ and test/" in verdict(app, "data-root")
        field(app, "data-root").focus()
        await pilot.press(*"/nowhere")
        await until(pilot, lambda: "no such folder: /nowhere" in verdict(app, "data-root"))
        assert field(app, "data-root").has_class("-wrong")
        field(app, "data-root").value = str(chest)
        await until(pilot, lambda: "train 1,341 + 3,875, test 234 + 390" in verdict(app, "data-root"))
        assert not field(app, "data-root").has_class("-wrong")


async def test_a_positive_class_that_is_not_there_is_told_or_was_an_old_runs(chest: Path) -> None:
    given = config.load({"data.root": str(chest), "data.positive": "COVID"})
    app = dashboard(settings=given, origins={"data.positive": "command line"})
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "no class COVID, which data.positive names" in verdict(app, "data-root"))
        assert "not ready: data folder" in str(app.query_one("#form-foot", Static).render())
    app = dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        app.on_history_tab_again(HistoryTab.Again(given))
        await until(pilot, lambda: "1,341" in verdict(app, "data-root"))
        assert app.next_run.value("data.positive") == ""


async def test_a_home_folder_may_be_written_with_a_tilde(
    chest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(chest.parent))
    app = dashboard(settings=config.load({"data.root": "~/Röntgen bilder"}))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "1,341" in verdict(app, "data-root"))


WRONG = [
    ("model-backbone", "resnet5", "did you mean resnet50?"),
    ("training-frozen-epochs", "-1", ">= 0"),
    ("training-frozen-epochs", "ten", "whole number"),
    ("training-unfrozen-epochs", "2.5", "whole number"),
    ("hardware-device", "gpu", "auto, cpu, cuda[:N] or mps"),
]


async def test_a_wrong_value_is_told_beside_its_field_and_does_not_start(chest: Path) -> None:
    engine = FakeEngine()
    app = dashboard(settings=config.load({"data.root": str(chest)}), launch=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "1,341" in verdict(app, "data-root"))
        for name, typed, words in WRONG:
            right, field(app, name).value = field(app, name).value, typed
            await until(pilot, lambda name=name, words=words: words in verdict(app, name))
            await pilot.press("s")
            assert app.focused is field(app, name), "s goes to what is wrong"
            assert words in toasts(app)[-1]
            field(app, name).value = right
            app.screen.set_focus(None)
            await pilot.pause()
        assert engine.settings is None


async def test_no_epochs_at_all_is_refused(chest: Path) -> None:
    app = dashboard(settings=config.load({"data.root": str(chest)}))
    async with app.run_test(size=(120, 40)) as pilot:
        field(app, "training-frozen-epochs").value = "0"
        field(app, "training-unfrozen-epochs").value = "0"
        await until(pilot, lambda: "nothing to train" in verdict(app, "training-unfrozen-epochs"))
        field(app, "training-frozen-epochs").value = "1"
        await until(pilot, lambda: "nothing to train" not in verdict(app, "training-unfrozen-epochs"))


async def test_s_starts_the_run_with_what_the_form_says(chest: Path) -> None:
    engine = FakeEngine()
    tuned = config.load({"preset": "tuned"}).training
    settings = config.load({"data.root": str(chest), "training.batch_size": 16})
    app = dashboard(settings=settings, launch=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        field(app, "model-backbone").value = "efficientnet_lite0"
        app.query_one(Select).value = "tuned"
        epochs = str(tuned.frozen.epochs)
        await until(pilot, lambda: field(app, "training-frozen-epochs").value == epochs)
        field(app, "training-unfrozen-epochs").value = "2"
        await pilot.press("s")
        await until(pilot, lambda: engine.settings is not None)
        assert in_front(app) == "train"
        engine.let_go.set()
    started = engine.settings
    assert started is not None
    assert started.data.root == str(chest)
    assert started.model.backbone == "efficientnet_lite0"
    assert (started.training.frozen.epochs, started.training.unfrozen.epochs) == (tuned.frozen.epochs, 2)
    assert started.training.batchnorm == tuned.batchnorm, "the preset's other settings come along"
    assert started.training.batch_size == 16, "what was given on the command line stays"


async def test_s_pressed_too_early_starts_once_the_folder_is_known(chest: Path) -> None:
    import threading

    found = threading.Event()

    def slow(root: Path, columns: str) -> Any:
        found.wait(5)
        return CHECKS.scan(root, columns)

    engine = FakeEngine()
    checks = Checks(slow, CHECKS.backbones, CHECKS.check_backbone)
    app = dashboard(settings=config.load({"data.root": str(chest)}), launch=engine, checks=checks)
    async with app.run_test() as pilot:
        await pilot.press("s")
        assert engine.settings is None
        found.set()
        await until(pilot, lambda: engine.settings is not None)
        engine.let_go.set()


async def test_a_start_that_fails_is_not_offered_again(chest: Path, tmp_path: Path) -> None:
    engine = FakeEngine(raises=UserError("there is no cuda", "choose another device"))
    other = FakeEngine()
    app = dashboard(settings=config.load({"data.root": str(chest)}), launch=engine, resume=other)
    async with app.run_test() as pilot:
        field(app, "hardware-device").value = "cuda"
        await pilot.pause()
        await pilot.press("s")
        await until(pilot, lambda: app.desk.main is not None and app.desk.main.failed)
        assert remembered.load() == {}
        app.post_message(HistoryTab.Resume(RunDirectory(tmp_path)))
        await until(pilot, lambda: other.settings is not None)
        assert remembered.load() == {}, "another run's beginning says nothing of that start"
        other.let_go.set()


async def test_the_last_values_come_back_but_what_is_given_wins(chest: Path, tmp_path: Path) -> None:
    engine = FakeEngine(directory=tmp_path / "run")
    app = dashboard(settings=config.load({"data.root": str(chest)}), launch=engine)
    async with app.run_test() as pilot:
        field(app, "model-backbone").value = "efficientnet_lite0"
        field(app, "training-frozen-epochs").value = "7"
        await pilot.pause()
        field(app, "hardware-device").focus()
        await pilot.press("enter")
        await until(pilot, lambda: bool(remembered.load()))
        engine.let_go.set()

    given = config.load({"training.frozen.epochs": 2})
    app = dashboard(settings=given, origins={"training.frozen.epochs": "command line"})
    async with app.run_test():
        assert field(app, "data-root").value == str(chest)
        assert field(app, "model-backbone").value == "efficientnet_lite0"
        assert field(app, "training-frozen-epochs").value == "2"


async def test_what_an_older_version_remembered_wrongly_is_left_out(state: Path) -> None:
    remembered.save(
        {"model.backbone": "resnet18", "hardware.device": "quantum", "training.frozen.epochs": "x"}
    )
    app = dashboard()
    async with app.run_test():
        assert field(app, "model-backbone").value == "resnet18"
        assert field(app, "hardware-device").value == "auto"
        assert field(app, "training-frozen-epochs").value == "10"
    (state / "start.toml").write_text("not [ toml")
    assert remembered.load() == {}


async def test_fields_take_letters_and_escape_gives_the_keys_back(chest: Path) -> None:
    app = dashboard(settings=config.load({"data.root": str(chest)}))
    async with app.run_test() as pilot:
        assert app.focused is None
        await pilot.press("tab")
        assert app.focused is field(app, "data-root")
        await pilot.press("end", "q", "3")
        assert field(app, "data-root").value.endswith("q3")
        await pilot.press("escape")
        assert app.focused is None
        await pilot.press("3")
        assert in_front(app) == "history"


async def test_what_a_person_can_mend_is_shown_and_the_form_comes_back(chest: Path) -> None:
    from xray_tui.errors import UserError

    engine = FakeEngine(raises=UserError("no weights for [red]resnet50[/]", "put them into ~/.cache"))
    app = dashboard(settings=config.load({"data.root": str(chest)}), launch=engine, start=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "failed" in header(app))
        words = str(app.query_one("OpeningPane").render())
        assert "no weights for [red]resnet50[/]" in words
        assert "put them into ~/.cache" in words
        await pilot.press("s")
        assert in_front(app) == "form"
        assert app.query_one(FormPane).settings is not None
        await pilot.press("q")
    assert app.return_value == 1


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("no backbone x", "no backbone x; try y"),
        ("There is no backbone “x”.", "There is no backbone “x”. try y"),
    ],
)
def test_a_problem_and_its_remedy_stand_on_one_line(message: str, words: str) -> None:
    assert in_words(UserError(message, "try y"), "model.backbone") == words


@pytest.mark.parametrize("key", ["1", "escape"])
async def test_the_form_over_a_live_run_lets_the_run_come_back(key: str) -> None:
    app = dashboard(Script(until_epoch(3)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
        assert "back to the run" not in keys(app)
        app.on_history_tab_again(HistoryTab.Again(config.load({})))
        await until(pilot, lambda: in_front(app) == "form" and "esc back to the run" in keys(app))
        await pilot.press("5", "1")
        assert in_front(app) == "form", "from another tab one comes back to it"
        await pilot.press(key)
        assert in_front(app) == "train"
        await until(pilot, lambda: "back to the run" not in keys(app))
