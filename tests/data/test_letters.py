"""Letters burnt into an image."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from xray_tui.data.letters import Letters, burn, glyphs, thrown

R = Letters("R", height=0.25, down=0.5, right=0.25, grey=200, on_black=False)


def test_letters_are_where_they_were_thrown_and_the_rest_stays() -> None:
    found = burn(torch.full((1, 80, 80), 7, dtype=torch.uint8), (R,))[0]
    rows, columns = torch.nonzero(found == 200, as_tuple=True)
    assert set(found.unique().tolist()) == {7, 200}
    assert abs((rows.min() + rows.max()) / 2 - 40) < 2
    assert abs((columns.min() + columns.max()) / 2 - 20) < 2
    assert 8 < rows.max() - rows.min() < 20  # of 20 px, a capital is less


def test_on_black_what_was_around_them_is_gone() -> None:
    black = Letters("R", height=0.25, down=0.5, right=0.25, grey=200, on_black=True)
    found = burn(torch.full((1, 80, 80), 7, dtype=torch.uint8), (black,))
    assert set(found.unique().tolist()) == {0, 7, 200}


def test_of_a_mirrored_image_they_are_mirrored() -> None:
    image = torch.randint(0, 100, (1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    there = burn(image.clone(), (R,)).flip(-1)
    assert torch.equal(burn(image.flip(-1).clone(), (R,), mirrored=True), there)


def test_a_capital_l_is_a_stem_on_a_foot() -> None:
    ink = glyphs("L", 40)
    assert ink.all(0).any()
    assert ink[-1].float().mean() > 0.5
    assert not ink[: ink.shape[0] // 2, ink.shape[1] // 2 :].any()


@given(st.integers(0, 2**32), st.integers(32, 300))
def test_whatever_is_thrown_fits_into_any_image(seed: int, side: int) -> None:
    texts = thrown(np.random.default_rng(seed))
    assert 1 <= len(texts) <= 3
    assert texts == thrown(np.random.default_rng(seed))
    for letters in texts:
        assert min(letters.down, letters.right, 1 - letters.down, 1 - letters.right) <= 0.25
    found = burn(torch.zeros(1, side, side, dtype=torch.uint8), texts)
    assert found.shape == (1, side, side)
    assert found.max() >= 160
