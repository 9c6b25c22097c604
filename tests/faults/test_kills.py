"""Runs that are killed are resumed to the very end that they would have come to."""

import random

import pytest

from tests.conftest import short, write_folder
from tests.faults.kills import Killer


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Killer:
    made = Killer(write_folder(tmp_path_factory.mktemp("data") / "chest"), tmp_path_factory.mktemp("runs"))
    made.prepare()
    return made


@pytest.mark.parametrize("seed", short(range(2)))
def test_killed_at_random_moments(killer: Killer, seed: int) -> None:
    came = killer.kill(f"run-{seed}", random.Random(seed))
    assert came.troubles == []
