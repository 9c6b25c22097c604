"""The strip of epochs, the slider's steps, and the heat over a film: what they draw."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from tui_support import dashboard

from xray_tui.heat import Overlay, lay_over
from xray_tui.runs.predictions import Fate
from xray_tui.tui.panes.slider import Division, Slider
from xray_tui.tui.panes.strip import in_words, strip
from xray_tui.tui.themes import Palette


def fates(probabilities: Sequence[float]) -> list[Fate]:
    return [Fate(epoch, p > 0.5, p) for epoch, p in enumerate(probabilities)]


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [
        ([], ""),
        ([0.2], "wrong in the only epoch so far"),
        ([0.9, 0.9], "right in all 2 epochs"),
        ([0.1, 0.2, 0.3], "wrong in all 3 epochs"),
        ([0.1, 0.9, 0.2, 0.8, 0.9], "wrong in 2 of 5 epochs, right since epoch 3"),
        ([0.9, 0.1, 0.2], "wrong in 2 of 3 epochs, wrong since epoch 1"),
        ([0.1, 0.9], "wrong in 1 of 2 epochs, right in the last one"),
    ],
)
def test_a_fate_in_words(probabilities: list[float], words: str) -> None:
    assert in_words(fates(probabilities)) == words


def test_a_fate_in_fewer_words() -> None:
    assert in_words(fates([0.1, 0.9, 0.9]), 30) == "wrong in 1 of 3, right since 1"


@pytest.fixture
async def palette() -> Palette:
    async with dashboard().run_test() as pilot:
        return Palette.of(pilot.app)


async def test_a_bar_is_as_high_as_the_probability_and_red_where_it_is_wrong(palette: Palette) -> None:
    upper, lower, marks = strip(fates([0.05, 0.5, 0.75, 1.0]), 16, palette, boundary=2, best=3, current=0)
    assert upper.plain.replace(" ", "") == "▄▄▄███"
    assert lower.plain.replace(" ", "") == "▁▁▁█████████"
    assert marks.plain.split() == ["▴", "┊", "★"]
    colours = [str(span.style).split()[0] for span in lower.spans]
    reds = [int(colour[1:3], 16) > int(colour[3:5], 16) for colour in colours]
    assert reds == [True, True, False, False]


async def test_many_epochs_share_bars(palette: Palette) -> None:
    lines = strip(fates([0.1] * 500 + [0.9] * 500), 50, palette, best=999)
    assert [line.cell_len for line in lines] == [50, 50, 50]
    assert lines[1].plain == "▂" * 25 + "█" * 25
    assert lines[2].plain.index("★") == 49


def test_holding_a_key_moves_the_threshold_faster() -> None:
    now = 0.0
    slider = Slider(clock=lambda: now)
    at, steps = 0.5, []
    for _ in range(12):
        now += 0.03
        slider._division = Division(at, ("N", "P"))
        steps.append(round(slider.stepped(1) - at, 3))
        at += 0.01
    assert steps[0] == 0.01
    assert steps[-1] == 0.04
    now += 1
    assert slider.stepped(1) == pytest.approx(slider._threshold + 0.01)


def test_the_threshold_stays_between_0_and_1() -> None:
    slider = Slider(clock=lambda: 0.0)
    slider._division = Division(0.995, ("N", "P"))
    assert slider.stepped(1) == 1.0
    slider._division = Division(0.004, ("N", "P"))
    assert slider.stepped(-1) == 0.0


GREY = Image.fromarray(np.full((100, 200), 120, np.uint8))


def test_heat_lies_where_it_belongs_and_the_unseen_film_is_dim() -> None:
    heat = np.array([[0.0, 1.0], [0.0, 0.0]], np.float32)
    pixels = np.asarray(lay_over(GREY, Overlay(heat, (0.25, 0.0, 0.75, 1.0)))).astype(int)
    assert pixels.shape == (100, 200, 3)
    assert (pixels[:, :48] == 60).all()
    assert (pixels[90, 60] == 120).all(), "where there is no heat the film is as it was"
    red, green, blue = pixels[5, 145]
    assert red > green > blue, "amber"


def test_the_film_shows_through_the_heat() -> None:
    bright = np.zeros((100, 100), np.uint8)
    bright[:, 50:] = 255
    over = np.asarray(
        lay_over(Image.fromarray(bright), Overlay(np.ones((1, 1), np.float32), (0, 0, 1, 1)))
    ).astype(int)
    assert over[50, 80].sum() > over[50, 20].sum() + 150


def test_no_heat_changes_nothing() -> None:
    over = np.asarray(lay_over(GREY, Overlay(np.zeros((4, 4), np.float32), (0, 0, 1, 1))))
    assert (over == 120).all()
