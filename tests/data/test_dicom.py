"""DICOM files to grey images: the numbers are worked out by hand from the standard's formulas."""

import io
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless, RLELossless

from tests.data.dicoms import MRN, NAME, dataset, lut, write_dicom
from xray_tui.data import dicom
from xray_tui.data.decoding import decode, head, measure
from xray_tui.data.unreadable import Measured, Unreadable

STORED = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
"""256 values of 12 bits, from 0 to 4080."""
LARGER = np.kron(STORED, np.ones((4, 4), np.uint16))
"""JPEG 2000 halves an image five times."""


def shown(tmp_path: Path, pixels: NDArray[Any], *values: int, **given: Any) -> list[int]:
    """The grey levels of the pixels that have these stored values."""
    grey = decode(write_dicom(tmp_path / "x.dcm", pixels, **given))
    assert grey.dtype == np.uint8
    assert grey.shape == pixels.shape[:2]
    return [int(grey[pixels == value][0]) for value in values]


def test_without_a_window_the_darkest_pixel_is_black_and_the_brightest_white(tmp_path: Path) -> None:
    assert shown(tmp_path, STORED + 15, 15, 15 + 2048, 15 + 4080, bits=12) == [0, 128, 255]


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    inverted = shown(tmp_path, STORED, 0, 2048, 4080, bits=12, PhotometricInterpretation="MONOCHROME1")
    assert inverted == [255, 127, 0]


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2040, "WindowWidth": 4081}], ids=["", "window"])
def test_padding_is_background_and_sets_no_range(
    tmp_path: Path, kind: str, signed: bool, window: dict[str, int]
) -> None:
    low, fill = (-4000, -32768) if signed else (0, 65535)
    pixels = STORED.astype(np.int16 if signed else np.uint16) + np.array(
        low, np.int16 if signed else np.uint16
    )
    pixels[0, :8] = fill  # the eight darkest
    darkest, brightest = low + 128, low + 4080
    if window:
        window = window | {"WindowCenter": window["WindowCenter"] + low}
    found = shown(
        tmp_path,
        pixels,
        fill,
        darkest,
        brightest,
        PixelPaddingValue=fill,
        PhotometricInterpretation=kind,
        **window,
    )
    ends = (8, 255) if window else (0, 255)
    assert found == [0, *(255 - end if kind == "MONOCHROME1" else end for end in ends)]


def test_padding_may_be_a_range(tmp_path: Path) -> None:
    limits = {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 4080}
    assert shown(tmp_path, STORED, 0, 3984, 4000, 4080, **limits) == [0, 255, 0, 0]
    everything = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4080}
    assert shown(tmp_path, STORED, 0, 4080, **everything) == [0, 0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # (x - (c - 0.5)) / (w - 1) + 0.5: 1024 is black, 3071 would be white
        (None, [0, 0, 2, 128, 253, 255, 255]),
        # (x - c) / w + 0.5: 1024 is black, 3072 white
        ("LINEAR_EXACT", [0, 0, 2, 128, 253, 255, 255]),
        # 1 / (1 + exp(-4 (x - c) / w)): 1024 is 1 / (1 + e²), 3072 the rest of it
        ("SIGMOID", [5, 30, 31, 128, 224, 225, 250]),
    ],
)
def test_window(tmp_path: Path, function: str | None, expected: list[int]) -> None:
    values = (0, 1024, 1040, 2048, 3056, 3072, 4080)
    extra = {"VOILUTFunction": function} if function else {}
    found = shown(tmp_path, STORED, *values, bits=12, WindowCenter=2048, WindowWidth=2048, **extra)
    assert found == expected


def test_linear_and_linear_exact_differ_by_half_a_value(tmp_path: Path) -> None:
    narrow = np.tile(np.arange(8, dtype=np.uint16), (8, 1))
    linear = {"WindowCenter": 4, "WindowWidth": 4}
    # Linear: 2 and below are black, from 5 on white, two steps between. Exact: from 2 to 6.
    assert shown(tmp_path, narrow, 2, 3, 4, 5, **linear) == [0, 85, 170, 255]
    assert shown(tmp_path, narrow, 2, 3, 4, 6, **linear, VOILUTFunction="LINEAR_EXACT") == [0, 64, 128, 255]


def test_the_first_of_several_windows_counts(tmp_path: Path) -> None:
    several = {"WindowCenter": [1024, 2048], "WindowWidth": [512, 4096]}
    assert shown(tmp_path, STORED, 512, 1024, 1536, **several) == [0, 128, 255]


@pytest.mark.parametrize("width", [0, 1, "", None])
def test_a_window_that_is_none_counts_as_not_there(tmp_path: Path, width: Any) -> None:
    window = {"WindowCenter": 100} | ({} if width is None else {"WindowWidth": width})
    assert shown(tmp_path, STORED, 0, 2048, 4080, **window) == [0, 128, 255]


def test_the_window_is_of_rescaled_values(tmp_path: Path) -> None:
    """Signed: -1024 … 3056 become -2048 … 2032 Hounsfield-like units by 1 × x - 1024, halved by 0.5 × x."""
    signed = (STORED.astype(np.int32) - 1024).astype(np.int16)
    rescale = {"RescaleSlope": 0.5, "RescaleIntercept": -100}
    window = {"WindowCenter": 100, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}
    # 0 → -100 → black; 400 → 100 → middle; 800 → 300 → white
    assert shown(tmp_path, signed, -1024, 0, 400, 800, 3056, **rescale, **window) == [0, 0, 128, 255, 255]


def test_signed_values_without_a_window(tmp_path: Path) -> None:
    signed = (STORED.astype(np.int32) - 2048).astype(np.int16)
    assert shown(tmp_path, signed, -2048, 0, 2032) == [0, 128, 255]


def test_a_voi_lut_goes_before_a_window(tmp_path: Path) -> None:
    eight = np.tile(np.arange(8, dtype=np.uint16), (8, 1))
    table = lut([0, 1023, 512, 256], first=2, bits=10)  # below 2 as 2, above 5 as 5
    found = shown(tmp_path, eight, 0, 2, 3, 4, 5, 7, VOILUTSequence=[table], WindowCenter=4, WindowWidth=4)
    assert found == [0, 0, 255, 128, 64, 64]


def test_a_modality_lut(tmp_path: Path) -> None:
    eight = np.tile(np.arange(8, dtype=np.uint8), (8, 1))
    table = lut([700, 600, 500, 400, 300, 200, 100, 0], first=0, bits=16)
    assert shown(tmp_path, eight, 0, 1, 7, ModalityLUTSequence=[table]) == [255, 219, 0]


def test_eight_bits_and_colour(tmp_path: Path) -> None:
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert shown(tmp_path, eight, 0, 77, 255) == [0, 77, 255]
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    red[8:] = 200
    grey = decode(write_dicom(tmp_path / "colour.dcm", red))
    assert (grey[:8] == 76).all()  # 0.299 × 255
    assert (grey[8:] == 200).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_is_the_same_image(tmp_path: Path, syntax: str) -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 3000}
    plain = decode(write_dicom(tmp_path / "plain", LARGER, bits=12, **window))
    packed = write_dicom(tmp_path / "packed", LARGER, syntax, bits=12, **window)
    assert np.array_equal(decode(packed), plain)


SHIPPED = Path(str(get_testdata_file("MR_small.dcm", download=False))).parent


@pytest.mark.parametrize(
    "name", ["RLE", "jp2klossless", "jpeg_ls_lossless", "implicit", "bigendian", "expb", "padded"]
)
def test_files_that_pydicom_ships_are_the_same_image_in_every_transfer_syntax(name: str) -> None:
    assert np.array_equal(decode(SHIPPED / f"MR_small_{name}.dcm"), decode(SHIPPED / "MR_small.dcm"))


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk", "SC_rgb_dcmtk_+eb+cy+s2", "SC_ybr_full_422_uncompressed", "SC_rgb_rle"]
)
def test_colours_of_pydicom_s_files_are_the_same(name: str) -> None:
    """JPEG and YBR beside RGB: bars of colours, and of grey."""
    apart = decode(SHIPPED / f"{name}.dcm").astype(int) - decode(SHIPPED / "SC_rgb_gdcm_KY.dcm")
    assert np.abs(apart).mean() < 1


@pytest.mark.parametrize("name", ["693_J2KI", "JPEG2000", "JPGExtended", "GDCMJ2K_TextGBR"])
def test_other_compressions_are_read(name: str) -> None:
    """Lossy JPEG 2000, JPEG of 12 bits, JPEG 2000 in a JP2 container."""
    assert decode(SHIPPED / f"{name}.dcm").std() > 10


def test_size_and_depth_come_from_the_head(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "x", np.zeros((24, 16), np.uint16), bits=12)
    whole = file.read_bytes()
    expected = Measured(16, 24, "12-bit grey DICOM")
    assert measure(io.BytesIO(whole)) == head(io.BytesIO(whole)) == expected
    assert head(io.BytesIO(whole[: -16 * 24 * 2])) == expected
    with pytest.raises(Unreadable, match="damaged"):
        measure(io.BytesIO(whole[:-100]))


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"Rows": 60_000, "Columns": 60_000}, "60000 × 60000 pixels: no radiograph"),
        ({"Rows": 4}, "16 × 4 pixels: no radiograph"),
        ({"NumberOfFrames": 30}, "30 images"),
        ({"PixelData": None}, "without pixel data"),
        ({"Rows": None}, "without an image"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "1 × 32 bits"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "kind of pixels"),
        ({"RescaleSlope": "1e308", "RescaleIntercept": 0}, "no number"),
        ({"VOILUTSequence": [lut([], 0, 10)]}, "look-up tables"),
    ],
)
def test_what_is_no_radiograph_says_why(tmp_path: Path, elements: dict[str, Any], why: str) -> None:
    file = write_dicom(tmp_path / "x.dcm", STORED, **elements)
    with pytest.raises(Unreadable, match=why):
        decode(file)


def test_a_compressed_image_that_is_larger_than_the_header_says_is_not_decoded(tmp_path: Path) -> None:
    found = dataset(np.zeros((512, 512), np.uint8))
    found.compress(JPEG2000Lossless)
    found.Rows = found.Columns = 16
    found.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    with pytest.raises(Unreadable, match="differ in size"):
        decode(tmp_path / "bomb.dcm")


def test_what_is_deflated_is_not_inflated() -> None:
    with pytest.raises(Unreadable, match="deflated"):
        decode(SHIPPED / "image_dfl.dcm")


def test_files_of_one_id_are_of_one_patient_and_nothing_tells_whose(tmp_path: Path) -> None:
    patients = []
    for number, patient in enumerate([MRN, MRN, "other", "", None]):
        file = write_dicom(tmp_path / f"{number}", STORED, PatientID=patient)
        with file.open("rb") as opened:
            patients.append(dicom.patient_of(opened))
    one, same, other, *none = patients
    assert one == same != other
    assert none == ["", ""]
    assert MRN not in one


def test_the_header_is_never_quoted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Broken values of elements that are asked for; pydicom's words would have them in."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = write_dicom(tmp_path / "x.dcm", STORED, WindowCenter="1", WindowWidth="9", NumberOfFrames=1)
    caplog.clear()
    whole = file.read_bytes()
    for old, new in ((b"DS\x02\x009 ", b"DS\x02\x00^^"), (b"IS\x02\x001 ", b"IS\x02\x00^^")):
        assert old in whole
        file.write_bytes(whole.replace(old, new))
        with pytest.raises(Unreadable) as raised:
            decode(file)
        assert "^" not in str(raised.value)
        assert raised.value.__suppress_context__
    assert not caplog.records
    asked = "import pathlib, sys; from xray_tui.data.decoding import *; decode(pathlib.Path(sys.argv[1]))"
    own = subprocess.run([sys.executable, "-c", asked, file], capture_output=True, text=True, check=False)
    assert own.stderr.strip().splitlines()[-1].startswith("xray_tui.data.unreadable.Unreadable: a damaged")
    assert "^^'" not in own.stderr  # a warning would quote it


def test_without_pydicom_the_reason_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_dicom(tmp_path / "x.dcm", STORED)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(Unreadable, match=r"pip install 'xray-tui\[dicom\]'") as raised:
        decode(file)
    assert raised.value.for_now  # installed, it can be read: nothing may keep that it could not


GOOD = {}
for _syntax in ("", RLELossless, JPEG2000Lossless):
    _buffer = io.BytesIO()
    _found = dataset(LARGER, bits=12, WindowCenter=2000, WindowWidth=3000)
    if _syntax:
        _found.compress(_syntax, generate_instance_uid=False)
    _found.save_as(_buffer, enforce_file_format=True)
    GOOD[_syntax] = _buffer.getvalue()


@given(st.data(), st.sampled_from(sorted(GOOD)))
def test_broken_bytes_are_unreadable_or_an_image_and_nothing_else(data: st.DataObject, syntax: str) -> None:
    broken = bytearray(GOOD[syntax])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(132, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    content = bytes(broken[: data.draw(st.integers(0, len(broken)))])
    readers: list[Callable[[Any], object]] = [dicom.grey, dicom.head, dicom.patient_of, measure, head]
    for read in readers:
        try:
            found = read(io.BytesIO(content))
        except Unreadable as error:
            found = str(error)
        told = found if isinstance(found, str) else ""
        assert read is dicom.patient_of or told or isinstance(found, np.ndarray | Measured)
        assert NAME not in told
        assert MRN not in told
