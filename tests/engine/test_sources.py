"""A whole run on images and labels as people have them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.dicoms import MRN, NAME, write_dicom_folder
from tests.engine.conftest import Run
from xray_tui.events import RunEnded, RunStarted

Recipe = Callable[..., Run]

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_folder_of_dicom(tmp_path: Path, recipe: Recipe) -> None:
    run = recipe(write_dicom_folder(tmp_path / "hospital"), {"data.split": "holdout"})
    (started,), (ended,) = run.of(RunStarted), run.of(RunEnded)
    assert ended.outcome == "done"
    assert started.unreadable == 0
    assert sum(started.patients.values()) == 16
    written = [file for file in run.directory.path.rglob("*") if file.is_file()]
    assert len(written) > 8
    for file in written:
        content = file.read_bytes()
        assert MRN.encode() not in content
        assert NAME.encode() not in content
