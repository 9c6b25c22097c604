"""Texts, charts' arithmetic, and what importing the dashboard costs."""

import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from xray_tui import config
from xray_tui.drawing.ticks import nice_ticks, whole_ticks
from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui.text import bar, clean, ending, film_name, fit, set_in, short_names, shorten, shorten_all
from xray_tui.words import duration, harmless, number, percent, probability


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("IM-0031.jpeg", "IM-0031.jpeg"),
        ("[red]x[/]", "[red]x[/]"),
        ("a\x1b[31mb", "a␛[31mb"),
        ("line\nbreak\ttab\x00", "line␊break␉tab␀"),
        ("\x7f\x9b31m", "\ufffd\ufffd31m"),
        ("gpj.\u202eexe", "gpj.\ufffdexe"),
        ("a\u061cb\u00adc\U000e0041d", "a\ufffdb\ufffdc\ufffdd"),
        ("88\u00a0%\u202f!", "88\u00a0%\u202f!"),
        (os.fsdecode(b"caf\xe9.png"), "caf\ufffd.png"),
        ("Röntgen 胸部", "Röntgen 胸部"),
    ],
)
def test_foreign_words_are_shown_harmlessly(foreign: str, shown: str) -> None:
    assert harmless(foreign) == shown
    text = clean(foreign)
    assert isinstance(text, Text)
    assert text.plain == shown
    assert not text.spans, "nothing in it is read as markup"


def test_numbers_are_written_alike_and_what_is_undefined_is_a_dash() -> None:
    assert [percent(0.8694), percent(None), number(0.3), number(None, 2)] == ["86.9 %", "–", "0.300", "–"]
    assert [duration(41), duration(3723), duration(None), duration(-5)] == ["00:41", "1:02:03", "–", "00:00"]


@pytest.mark.parametrize(
    ("threshold", "shown"),
    [
        (0.0, "0.00"),
        (0.5, "0.50"),
        (0.38294, "0.3829"),
        (8.979e-05, "0.00008979"),
        (1.2346e-10, "1.235e-10"),
        (0.99234, "0.9923"),
        (0.99999234, "0.99999"),
        (0.99999994, "0.9999999"),
        (1.0, "1.00"),
    ],
)
def test_a_threshold_is_not_rounded_to_another_one(threshold: float, shown: str) -> None:
    assert probability(threshold) == shown


@pytest.mark.parametrize("cells", [1, 4, 9, 40])
def test_a_bar_and_a_fitted_text_have_the_width_they_are_asked_for(cells: int) -> None:
    for fraction in (-1, 0, 0.1, 0.5, 0.999, 1, 7):
        assert len(bar(fraction, cells)) == cells
    assert bar(1, cells) == "█" * cells
    assert bar(0, cells).strip() == ""
    for words in ("", "short", "胸部胸部胸部", "a long name of a file.jpeg"):
        assert fit(Text(words), cells).cell_len == cells
        assert fit(Text(words), cells, right=True).cell_len == cells


def test_a_long_name_loses_its_middle() -> None:
    assert shorten("person1946_bacteria_4874.jpeg", 15) == "person1…74.jpeg"
    assert shorten("short", 15) == "short"
    assert shorten("肺炎 (pneumonia)", 12) == "肺炎 (…onia)"
    assert shorten("胸部胸部胸部.png", 9) == "胸部….png"


def test_a_film_that_is_cut_keeps_its_patient() -> None:
    assert film_name("PNEUMONIA/person154_bacteria_728.jpeg", 14) == "person154…_728"
    assert film_name("PNEUMONIA/person154_bacteria_728.jpeg", 22) == "person154_bacteria_728"
    assert film_name("test/NORMAL/NORMAL2-IM-0256-0001.jpeg", 11) == "…-0256-0001", "its folder is its class"
    assert film_name("test/NORMAL/NORMAL2-IM-0256-0001.jpeg", 18) == "…MAL2-IM-0256-0001"
    assert film_name("test/NORMAL/NORMAL2-IM-0256-0001.jpeg", 20) == "NORMAL2-IM-0256-0001"


RUNS = ["20261128-151200-efficientnet_lite0", "20261128-162300-efficientnet_lite0"]


@pytest.mark.parametrize(
    ("names", "cells", "shown"),
    [
        (RUNS, 34, RUNS),
        (RUNS, 20, ["20261128-151200…ite0", "20261128-162300…ite0"]),
        (RUNS, 10, ["…151200-e…", "…162300-e…"]),
        (RUNS, 6, ["…5120…", "…6230…"]),
        (["mixup, seed 1", "mixup, seed 2"], 8, ["mixu…d 1", "mixu…d 2"]),
        (["20261127-091500-resnet50", "20261128-151200-resnet50"], 9, ["…7-09150…", "…8-15120…"]),
        (["a night in november", "a night in november"], 11, ["a nig…ember"] * 2),
        (["a night in november", "a night"], 11, ["a nig…ember", "a night"]),
    ],
)
def test_names_of_a_list_lose_first_what_they_have_in_common(
    names: list[str], cells: int, shown: list[str]
) -> None:
    assert shorten_all(names, cells) == shown


@given(
    st.lists(st.text(max_size=12), max_size=4), st.text(max_size=12), st.text(max_size=12), st.integers(0, 30)
)
def test_names_of_a_list_fit_whatever_they_are(cores: list[str], head: str, tail: str, cells: int) -> None:
    names = [f"{head}{core}{tail}" for core in cores]
    for name, shown in zip(names, shorten_all(names, cells), strict=True):
        assert cell_len(shown) <= cells
        assert shown == name or cell_len(name) > cells


@given(st.text(), st.integers(0, 30))
def test_shortened_words_are_never_wider_than_asked_and_those_that_fit_stay(words: str, cells: int) -> None:
    assert cell_len(shorten(words, cells)) <= cells
    assert cell_len(ending(words, cells)) <= cells
    if cell_len(words) <= cells:
        assert shorten(words, cells) == words


def test_ticks_are_round_and_few() -> None:
    assert nice_ticks(0.0, 0.5, 5) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert nice_ticks(0.7, 1.0, 3) == [0.7, 0.8, 0.9, 1.0]
    assert whole_ticks(14, 15) == list(range(15))
    assert whole_ticks(14, 5) == [0, 5, 10]
    assert whole_ticks(299, 6) == [0, 50, 100, 150, 200, 250]
    for last in (1, 2, 3, 17, 10_000):
        assert len(whole_ticks(last, 8)) <= 9


def test_short_class_names_stay_apart() -> None:
    assert short_names(["NORMAL", "PNEUMONIA"]) == ["N", "P"]
    assert short_names(["BACTERIA", "BASE", "NORMAL"]) == ["BAC", "BAS", "NOR"]
    assert len(set(short_names(["class one", "class two", "class six"]))) == 3
    assert short_names(["肺炎", "肺癌", "Atelectasis"]) == ["肺0", "肺1", "At2"]
    many = short_names([f"Pneumo{number}" for number in range(14)])
    assert len(set(many)) == 14
    assert {cell_len(name) for name in many} == {3}


def test_the_first_frame_comes_before_torch_and_the_other_heavy_parts(tmp_path: Path) -> None:
    """Importing the dashboard and painting its form load none of what takes seconds."""
    code = textwrap.dedent(
        """
        import asyncio, sys
        heavy = ("torch", "torchvision", "tensorboard", "sklearn", "scipy")
        import xray_tui.tui.app as tui
        assert not [name for name in heavy if name in sys.modules], "at import"
        from xray_tui import config

        async def main():
            app = tui.XrayApp(config.load({"data.root": sys.argv[1]}))
            async with app.run_test() as pilot:
                await pilot.pause(0.5)
                assert "Data folder" in app.export_screenshot().replace("&#160;", " ")
                await pilot.press("3")
                await pilot.pause(0.2)
        asyncio.run(main())
        loaded = [name for name in heavy if name in sys.modules]
        assert not loaded, loaded
        """
    )
    environment = os.environ | {"XRAY_TUI_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr


_styles = st.sampled_from(["red", "bold", "bold blue", "on green", "not bold", ""])
_spans = st.tuples(st.integers(0, 12), st.integers(0, 12), _styles)


@given(st.text("ab 肺", max_size=10), _styles, st.lists(_spans, max_size=4))
def test_a_line_is_set_as_rich_sets_it(words: str, own: str, spans: list[tuple[int, int, str]]) -> None:
    ground, console = Style.parse("white on black"), Console()
    text, asked = Text(words, own), Text(words)
    asked.stylize(own)  # a text without a span has no style of its own to rich
    for start, end, style in spans:
        text.stylize(style, start, end)
        asked.stylize(style, start, end)
    expected = Segment.apply_style(asked.render(console), ground)
    assert cells(set_in(text, ground, console)) == cells(expected)


def cells(segments: Iterable[Segment]) -> list[tuple[str, Style | None]]:
    return [(character, segment.style) for segment in segments for character in segment.text]


def test_without_a_terminal_the_dashboard_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from xray_tui.tui.app import run_dashboard

    monkeypatch.setattr(sys, "__stdin__", io.StringIO())
    settings = config.load({})
    with pytest.raises(UserError, match="needs a terminal") as error:
        run_dashboard(settings=settings, origins={})
    assert error.value.hint == "without one: `xray-tui train DATA`"
    with pytest.raises(UserError, match="needs a terminal") as error:
        run_dashboard(settings=settings, origins={}, watch=RunDirectory(Path("my runs/20261124")))
    assert error.value.hint == "without one: `xray-tui runs show 'my runs/20261124'`"
