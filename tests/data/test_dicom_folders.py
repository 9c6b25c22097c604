"""Folders of DICOM, wherever a folder of JPEG does."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_image
from tests.data.dicoms import MRN, NAME, write_dicom, write_dicom_folder
from xray_tui import config
from xray_tui.data import checks, pixels
from xray_tui.data.findings import patients
from xray_tui.data.folders import scan
from xray_tui.data.pixel_cache import PixelCache
from xray_tui.data.pseudonyms import OWN_NAMES, Pseudonyms, locate, own_key
from xray_tui.data.splits import assign, patient_of
from xray_tui.settings import DataSettings


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom_folder(tmp_path_factory.mktemp("ward 7 ü"))


@pytest.mark.parametrize(
    "name", ["{number}.dcm", "{number}.DICOM", "{number}.IMA", "IM{number:06}", "1.2.840.{number}"]
)
def test_files_are_known_by_suffix_or_by_magic(tmp_path: Path, name: str) -> None:
    root = write_dicom_folder(tmp_path, name)
    for other in ("README", "notes.txt", "1.2.3", "DICOMDIR"):
        (root / "train" / "NORMAL" / other).write_bytes(
            b"\0" * 128 + (b"DICM" if other == "DICOMDIR" else b"no")
        )
    listing = scan(root)
    assert listing.counts["train"] == {"NORMAL": 12, "PNEUMONIA": 12}
    assert all(file.is_dicom for file in listing.folders["train"])


def test_holdout_keeps_the_images_of_one_patient_id_together(hospital: Path) -> None:
    roles = assign(scan(hospital), DataSettings(split="holdout", holdout=0.3), 0)
    train, validation = ({patient_of(file) for file in files} for files in (roles.train, roles.validation))
    assert train.isdisjoint(validation)
    assert len(train | validation) == 12
    assert len(roles.train) + len(roles.validation) == 24
    assert all(len({f.path for f in roles.train if patient_of(f) == patient}) == 2 for patient in train)


def test_patients_are_numbered_in_the_order_of_the_files(hospital: Path) -> None:
    roles = assign(scan(hospital), DataSettings(split="recipe"), 0)
    assert [patient_of(file) for file in roles.train[:3]] == ["#1", "#1", "#2"]
    names = Pseudonyms(b"k" * 32)
    hidden = names.hide(roles)
    assert OWN_NAMES.patient(roles.train[0]) == "#1"
    assert names.patient(hidden.train[0]) == names.patient(hidden.train[1]) != names.patient(hidden.train[2])


def test_one_patient_in_two_roles_is_certain(tmp_path: Path) -> None:
    root = write_dicom_folder(tmp_path)
    write_dicom(root / "test" / "NORMAL" / "again", np.eye(16, dtype=np.uint16), PatientID=f"{MRN}-train-0-0")
    (finding,) = patients(checks.survey(root, config.load({"data.split": "recipe"})), {})
    assert finding.title == "1 patient in train and validation"
    assert "too good" in finding.means
    assert len(finding.files) == 3


def test_the_check_reads_them_and_tells_no_patient(hospital: Path) -> None:
    survey = checks.survey(hospital, config.load({"data.split": "recipe"}))
    report = checks.judge(survey, checks.read(survey).facts)
    assert report.sizes is not None
    assert report.sizes.modes == {"12-bit grey DICOM": 32}
    assert not [finding for finding in report.findings if finding.kind in ("unreadable", "nameless")]
    assert MRN not in repr((survey, report))
    assert NAME not in repr((survey, report))


def test_pixels_are_those_of_the_same_images_as_png(hospital: Path, tmp_path: Path) -> None:
    """Through the pixel cache. MONOCHROME1 with a window of all 12 bits: 255 − x / 16 or so."""
    listing = scan(hospital)
    files = listing.folders["train"]
    found = pixels.read_plain(hospital, files, 40, 40, lambda done: None, PixelCache(tmp_path, 1e9))
    again = pixels.read_plain(hospital, files, 40, 40, lambda done: None, PixelCache(tmp_path, 1e9))
    assert not found.broken
    normal, pneumonia = (found.stacked(slice(0, 24))[found.labels == label].float() for label in (0, 1))
    assert abs(normal.mean() - (255 - 2700 / 16)) < 3
    assert abs(pneumonia.mean() - (255 - 1300 / 16)) < 3
    assert again.marks.tolist() == found.marks.tolist()


def test_a_pseudonym_ends_in_no_part_of_a_uid_and_is_found(tmp_path: Path) -> None:
    root = write_dicom_folder(tmp_path, "1.2.840.{number}")
    write_image(root / "train" / "NORMAL" / "x.JPG")
    hidden = Pseudonyms(own_key()).hide(assign(scan(root), DataSettings(split="recipe"), 0))
    for file in hidden.train:
        assert Path(file.path).suffix == ("" if file.is_dicom else ".JPG")
        assert locate(root / file.path) == root / file.place
