"""Radiographs as hospitals have them: a DICOM file's grey image, its size, and which patient it is of.

The pixels become what a workstation would show: stored values → modality LUT or rescale → VOI LUT or
window (the first of several; with none, from the darkest pixel to the brightest) → MONOCHROME1 inverted
(DICOM PS3.3 C.11.1, C.11.2, C.7.6.3.1.2). As the stored values have 16 bits at most, that whole chain is a
table of what each becomes, and a pixel costs one look-up.

Of the header only the elements named here are asked for; the patient's name is none of them. Nothing that
pydicom says goes on from here, neither an exception's words nor a warning: they may quote the header.
"""

import hashlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_tui.data.unreadable import Measured, Unreadable, check_size

if TYPE_CHECKING:
    from pydicom import Dataset

EXTRA = "pip install 'xray-tui[dicom]'"

_SHAPE = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation")
_DEPTH = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration")
_LOOKS = (
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
)
_PIXELS = ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_ISSUER, _LAST_OF_SHAPE = 0x0010_0021, 0x0028_0103
"""The tags of IssuerOfPatientID and of PixelRepresentation: elements are sorted by tag."""
_DEFLATED, _RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
_OTHER_BYTES = 32_000_000
"""What a file may hold beside its pixels: overlays, thumbnails, private elements."""
_JP2 = b"\0\0\0\x0cjP  "
_SIZE_IN_JPEG2000 = b"\xff\x4f\xff\x51"
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""The markers that a JPEG's size follows (SOF); 0xF7 is JPEG-LS's."""

# As Pillow's: for the whole process and once.
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)|pylibjpeg|openjpeg|libjpeg|xray_tui\.data\.dicom$")


def head(file: BinaryIO) -> Measured:
    """Size and depth, from the header alone.

    Raises:
        Unreadable: it is damaged, has no image or several, an image that no radiograph has, or pydicom is
            not installed.
    """
    with _no_words_of_others():
        header = _header(file)
        bits = int(header.get("BitsStored") or header.BitsAllocated)
        kind = "grey" if header.PhotometricInterpretation in _GREY else "RGB"
        return Measured(int(header.Columns), int(header.Rows), f"{bits}-bit {kind} DICOM")


def grey(file: BinaryIO) -> NDArray[np.uint8]:
    """The image as it is meant to be seen, in grey: uint8 (H, W), black is 0. Colour becomes luma.

    Raises:
        Unreadable: as :func:`head`; also where its pixels are damaged, or their compression is not known.
    """
    with _no_words_of_others():
        header = _header(file)
        return _grey(_read(file, (*_SHAPE, *_DEPTH, *_LOOKS, *_PIXELS)), header)


def patient_of(file: BinaryIO) -> str:
    """The same for the files of one patient ID, which it does not tell; empty where there is none.

    For grouping in memory: an ID can be guessed, so this is not to be written anywhere.

    Raises:
        Unreadable: the header is damaged, or pydicom is not installed.
    """
    with _no_words_of_others():
        told = _read(file, ("PatientID", "IssuerOfPatientID"), after=_ISSUER)
        patient = str(told.get("PatientID") or "").strip()
        if not patient:
            return ""
        whole = f"{told.get('IssuerOfPatientID') or ''}\0{patient}"
        return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@contextmanager
def _no_words_of_others() -> Iterator[None]:
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except OSError as error:
        if error.strerror:  # the file system's
            raise
        raise Unreadable("a damaged DICOM file") from None
    except Exception as error:  # few exceptions are not raised by some broken bytes
        raise Unreadable(f"a damaged DICOM file ({type(error).__name__})") from None


def _pydicom() -> ModuleType:
    try:
        import pydicom  # late: most folders have no DICOM, and it takes as long as numpy
        import pydicom.filereader
    except ImportError:
        raise Unreadable(f"DICOM, to read it: {EXTRA}", for_now=True) from None
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    return pydicom


def _read(file: BinaryIO, names: Sequence[str], *, after: int | None = None) -> "Dataset":
    """These elements of a file, those that it has; nothing after the tag ``after`` is looked at."""
    reader = _pydicom().filereader
    file.seek(0)
    reader.read_preamble(file, False)
    meta = reader.read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if str(meta.get("TransferSyntaxUID") or "").strip("\0 ") == _DEFLATED:
        raise Unreadable("deflated DICOM: not read")  # pydicom would inflate it, however large that is
    file.seek(0)
    wanted = [_pydicom().tag.Tag(name) for name in names]
    stop = None if after is None else lambda tag, *_: tag > after
    found: Dataset = reader.read_partial(file, stop, specific_tags=wanted)
    return found


def _header(file: BinaryIO) -> "Dataset":
    """What tells the shape of the image, checked before any memory is taken for it."""
    header = _read(file, (*_SHAPE, *_DEPTH), after=_LAST_OF_SHAPE)
    if not header.get("Rows") or not header.get("Columns"):
        raise Unreadable("a DICOM file without an image")
    width, height = int(header.Columns), int(header.Rows)
    check_size(width, height)
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1:
        raise Unreadable(f"a DICOM file of {frames} images: no radiograph")
    kind, bits = header.PhotometricInterpretation, int(header.BitsAllocated)
    samples = int(header.get("SamplesPerPixel") or 1)
    if (kind in _GREY and (samples != 1 or bits not in (8, 16))) or (
        kind in _COLOUR and (samples != 3 or bits != 8)
    ):
        raise Unreadable(f"a DICOM image of {samples} × {bits} bits: no radiograph")
    if kind not in (*_GREY, *_COLOUR):
        raise Unreadable("a DICOM image whose kind of pixels is not read")
    file.seek(0, 2)
    if file.tell() > 2 * width * height * samples * bits // 8 + _OTHER_BYTES:
        raise Unreadable("a DICOM file of far more bytes than its image takes")
    return header


def _grey(found: "Dataset", header: "Dataset") -> NDArray[np.uint8]:
    stored = _pixels(found, int(header.Columns), int(header.Rows))
    if header.PhotometricInterpretation in _COLOUR:
        return np.asarray(Image.fromarray(stored).convert("L"))
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    codes = np.arange(2 ** (8 * stored.itemsize), dtype=np.uint32)
    unsigned = codes.astype(f"u{stored.itemsize}")
    values = unsigned.view(stored.dtype).astype(np.float64)
    padding = _padding(found, values)
    film = stored[~padding[stored.view(unsigned.dtype)]] if padding.any() else stored
    table = _seen(found, values, film if film.size else stored)
    if header.PhotometricInterpretation == "MONOCHROME1":
        table = 1 - table
    table[padding] = 0
    eight: NDArray[np.uint8] = np.rint(255 * table).astype(np.uint8)
    shown: NDArray[np.uint8] = eight[stored.view(unsigned.dtype)]
    return shown


def _pixels(found: "Dataset", width: int, height: int) -> NDArray[Any]:
    """The stored values, (H, W); of colour RGB, uint8 (H, W, 3)."""
    from pydicom.pixels.decoders.base import get_decoder  # late: as above

    if not found.get("PixelData"):
        raise Unreadable("a DICOM file without pixel data")
    syntax = found.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise Unreadable("DICOM whose compression is not read") from None
    if not decoder.is_available:
        raise Unreadable(f"DICOM whose compression needs more: {EXTRA}", for_now=True)
    if decoder.is_encapsulated and syntax != _RLE:
        from pydicom.encaps import get_frame  # late: as above

        samples = int(found.get("SamplesPerPixel") or 1)
        if _coded_size(get_frame(found.PixelData, 0, number_of_frames=1)) != (width, height, samples):
            raise Unreadable("a damaged DICOM file: header and compressed image differ in size")
    # pydicom's own is slower than pylibjpeg-rle, which panics on broken bytes: on standard error, and as what
    # no `except Exception` catches.
    stored, _ = decoder.as_array(found, index=0, decoding_plugin="pydicom" if syntax == _RLE else "")
    if stored.shape[:2] != (height, width):
        raise Unreadable("a damaged DICOM file: its pixels have not the size that it tells")
    return stored


def _coded_size(coded: bytes) -> tuple[int, int, int]:
    """Columns, rows and components that a JPEG of any kind itself tells: by these its decoder takes memory.

    Raises:
        Unreadable: it tells none.
    """
    box = 0
    while coded.startswith(_JP2) and box < len(coded) and coded[box + 4 : box + 8] != b"jp2c":
        box += max(8, int.from_bytes(coded[box : box + 4]))  # ITU-T T.800 I.4: the stream may lie in a box
    coded = coded[box + 8 :] if box else coded
    if coded.startswith(_SIZE_IN_JPEG2000):  # ITU-T T.800 A.5.1: of the grid, less what is left of the image
        right, bottom, left, top = (int.from_bytes(coded[at : at + 4]) for at in (8, 12, 16, 20))
        return right - left, bottom - top, int.from_bytes(coded[40:42])
    at = 2 if coded.startswith(b"\xff\xd8") else len(coded)
    while coded[at : at + 1] == b"\xff":  # ITU-T T.81 B.1.1.4: segments with their lengths
        marker = coded[at + 1]
        if marker in _JPEG_FRAMES:
            rows, columns = (int.from_bytes(coded[at + skip : at + skip + 2]) for skip in (5, 7))
            return columns, rows, coded[at + 9]
        at += 1 if marker == 0xFF else 2 + int.from_bytes(coded[at + 2 : at + 4])  # 0xFF pads
    raise Unreadable("a damaged DICOM file: the head of its compressed image cannot be read")


def _seen(found: "Dataset", values: NDArray[np.float64], stored: NDArray[Any]) -> NDArray[np.float64]:
    """What stored values look like, from 0 (black) to 1.

    Args:
        values: in the order of their codes.
        stored: the pixels that are of the film.
    """
    little_endian = found.original_encoding[1] is not False
    if found.get("ModalityLUTSequence"):
        values, _ = _look_up(values, found.ModalityLUTSequence[0], little_endian)
    else:
        slope, intercept = _first(found, "RescaleSlope", 1.0), _first(found, "RescaleIntercept", 0.0)
        values = values * slope + intercept
    if not np.isfinite(values).all():
        raise Unreadable("a damaged DICOM file: its rescale is no number")
    if found.get("VOILUTSequence"):
        looked_up, most = _look_up(values, found.VOILUTSequence[0], little_endian)
        return np.clip(looked_up / most, 0, 1)
    width, centre = _first(found, "WindowWidth", 0.0), _first(found, "WindowCenter", np.nan)
    function = str(found.get("VOILUTFunction") or "LINEAR")
    narrowest = 0 if function in ("SIGMOID", "LINEAR_EXACT") else 1
    if np.isfinite(centre) and np.isfinite(width) and width > narrowest:
        return _window(values, centre, width, function)
    # No window, or one that is none: as the pixels are.
    shown = values[np.arange(int(stored.min()), int(stored.max()) + 1)]  # -1 has the last code
    low, high = float(shown.min()), float(shown.max())
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def _padding(found: "Dataset", values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which stored values are no film but what fills the image up (DICOM PS3.3 C.7.5.1.1.2): background."""
    ends = [_number(found, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return np.zeros(len(values), np.bool_)
    # The codes of both: a negative value may be told as one without a sign.
    told = [values[end % len(values)] for end in ends if end is not None]
    padding: NDArray[np.bool_] = (values >= min(told)) & (values <= max(told))
    return padding


def _number(found: "Dataset", name: str) -> int | None:
    value = found.get(name)
    if isinstance(value, bytes):  # of one of two kinds, and the file does not tell which
        return int.from_bytes(value, "little" if found.original_encoding[1] is not False else "big")
    return None if value in (None, "") else int(value)


def _window(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3, with 0 and 1 as the ends of the output."""
    if function == "SIGMOID":
        level: NDArray[np.float64] = 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    elif function == "LINEAR_EXACT":
        level = (values - centre) / width + 0.5
    else:
        level = (values - (centre - 0.5)) / (width - 1) + 0.5
    return np.clip(level, 0, 1)


def _look_up(
    values: NDArray[np.float64], lut: "Dataset", little_endian: bool
) -> tuple[NDArray[np.float64], float]:
    """Values through a LUT (DICOM PS3.3 C.11.1.1), and the largest that it can give."""
    entries, first, bits = (int(each) for each in lut.LUTDescriptor)
    raw = lut.LUTData
    if isinstance(raw, bytes):
        raw = np.frombuffer(raw, "<u2" if little_endian else ">u2")
    table = np.atleast_1d(np.asarray(raw, np.float64))[: entries or 2**16]
    if not len(table) or not np.isfinite(table).all() or not 8 <= bits <= 16:
        raise Unreadable("a damaged DICOM file: one of its look-up tables is none")
    return table[np.clip(np.rint(values - first), 0, len(table) - 1).astype(np.int64)], 2.0**bits - 1


def _first(found: "Dataset", name: str, absent: float) -> float:
    """The first number of an element that may have several, or none."""
    value = found.get(name)
    if value is None or value == "":
        return absent
    if isinstance(value, Sequence) and not isinstance(value, str):
        return float(value[0]) if len(value) else absent
    return float(value)
