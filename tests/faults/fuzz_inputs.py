"""How inputs for the parsers are made: valid ones to begin from, and ways to damage them."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from xray_tui import event_lines
from xray_tui.data.pixel_file import Index, ending, packed
from xray_tui.events import Event

Inputs = st.SearchStrategy[bytes]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], mend: Callable[[bytes], bytes] = bytes) -> bytes:
    """A valid input with bits turned, parts cut out, doubled or taken from another one.

    Args:
        seeds: the valid ones.
        mend: puts checksums right again, so that what lies behind them is reached; applied to half of them.
    """
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(("turn", "set", "cut", "drop", "double", "splice", "insert"))):
            case "turn" if at < len(content):
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if at < len(content):
                content[at] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0x30, 0x2D, 0x5B, 0x7B, 0x22)))
            case "cut":
                del content[at:]
            case "drop":
                del content[at : at + draw(st.integers(1, 64))]
            case "double":
                part = content[at : at + draw(st.integers(1, 64))]
                content[at:at] = part * draw(st.sampled_from((1, 3, 200)))
            case "splice":
                other = draw(st.sampled_from(seeds))
                start = draw(st.integers(0, len(other)))
                content[at:] = other[start:]
            case "insert":
                content[at:at] = draw(st.one_of(st.binary(max_size=8), st.sampled_from(_WORDS)))
    return mend(bytes(content)) if draw(st.booleans()) else bytes(content)


_WORDS = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"1e999", b"-1", b"9" * 40, b"NaN", b"null"]
_WORDS += [b"\xc3\x28", b"\xed\xa0\x80", b"\x1b[31m", b"[" * 3000, b'{"a":' * 3000, b"\r\n", b"\0", b"../"]

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["frozen", "unfrozen", "NORMAL", "", "\x1b[31m", "running", 0, 1, -1, 10**9, 1e308]),
)


def _or_nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)


_VALUES = st.recursive(_SCALARS, _or_nested)


@st.composite
def altered(draw: st.DrawFn, trees: list[Any]) -> bytes:
    """JSON in which some values are others: of the right shape, and yet none of ours."""
    whole = json.loads(json.dumps(draw(st.sampled_from(trees))))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(whole))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.integers(0, 5)) == 0:
            del holder[key]
        else:
            holder[key] = draw(_VALUES)
    return json.dumps(whole).encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(tree[key])


def worded(words: str, *more: str) -> Inputs:
    """Texts made of the words of a grammar, and of any others."""
    part = st.one_of(st.sampled_from([*words.split(" "), *more]), st.text(max_size=6))
    return st.lists(part, max_size=12).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass"))


def image(kind: str, mode: str = "L", **options: object) -> bytes:
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 20), np.uint8))
    if mode == "I;16":
        grey = Image.fromarray(np.asarray(grey).astype(np.uint16) * 16)
    elif mode == "P":
        grey = grey.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    else:
        grey = grey.convert(mode)
    out = io.BytesIO()
    grey.save(out, kind, **options)
    return out.getvalue()


def image_seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a word"
    pngs = [image("PNG", mode) for mode in ("L", "RGB", "RGBA", "LA", "P", "1", "I;16")]
    pngs += [
        image("PNG", "P", transparency=3),
        image("PNG", exif=exif, dpi=(300, 300), icc_profile=b"x" * 200),
    ]
    jpegs = [image("JPEG", mode) for mode in ("L", "RGB", "CMYK")]
    return [*pngs, *jpegs, image("JPEG", "RGB", progressive=True), image("JPEG", exif=exif, comment=b"a")]


def dicom_seeds() -> list[bytes]:
    from pydicom.data import get_testdata_file
    from pydicom.uid import JPEG2000Lossless, RLELossless

    from tests.data.dicoms import dataset, lut

    stored, found = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64), []
    window = {"WindowCenter": "2000", "WindowWidth": "3000", "RescaleSlope": "2", "RescaleIntercept": "-9"}
    for syntax in ("", RLELossless, JPEG2000Lossless):
        for looks in (window, {"VOILUTSequence": [lut([0, 200, 100], 5, 10)], "NumberOfFrames": "1"}):
            made, out = dataset(stored, bits=12, **looks), io.BytesIO()
            if syntax:
                made.compress(syntax, generate_instance_uid=False)
            made.save_as(out, enforce_file_format=True)
            found.append(out.getvalue())
    shipped = ("MR_small_jpeg_ls_lossless", "SC_rgb_jpeg_dcmtk", "JPGExtended")
    files = [str(get_testdata_file(f"{name}.dcm", download=False)) for name in shipped]
    return found + [Path(file).read_bytes() for file in files]


def array_seeds() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        images, labels = np.zeros((4, 9, 9), np.uint8), np.eye(2, dtype=int).reshape(4, 1)
        save(out, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
        found.append(out.getvalue())
    return found


def with_sums(content: bytes) -> bytes:
    """A PNG with the right checksum behind each chunk."""
    if not content.startswith(b"\x89PNG"):
        return content
    mended, at = bytearray(content[:8]), 8
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        chunk = content[at + 4 : at + 8 + length]
        mended += content[at : at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + length
    return bytes(mended)


def torch_seeds() -> list[bytes]:
    import torch

    small_state = {"0.weight": torch.ones(2, 3), "0.bias": torch.zeros(2)}
    found = []
    for content in (small_state, {"state_dict": small_state, "epoch": 3}):
        for as_zip in (True, False):
            out = io.BytesIO()
            torch.save(content, out, _use_new_zipfile_serialization=as_zip)
            found.append(out.getvalue())
    return found


def safe_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    return [
        save({"0.weight": torch.ones(2, 3), "0.bias": torch.zeros(2)}),
        save({"body.0.weight": torch.ones(2, 3), "body.0.bias": torch.zeros(2)}, {"position": "{}"}),
    ]


def with_zip_sums(content: bytes) -> bytes:
    """A zip archive made anew from the members of a damaged one that can still be read."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as read, zipfile.ZipFile(out, "w") as written:
            for member in read.infolist():
                at = member.header_offset + 30 + len(member.filename) + len(member.extra)
                part = content[at : at + min(member.compress_size, 1 << 16)]
                written.writestr(member.filename, part)
    except Exception:  # it is too damaged for that
        return content
    return out.getvalue()


def npz_seeds() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, probabilities=np.full((3, 2), 0.5, np.float32), loss=np.ones(3, np.float32))
        found.append(out.getvalue())
    return found


def pixel_seeds() -> list[bytes]:
    index = Index("key", b"/data", packed([3, 2]), packed([4, 5]), packed([7, 8]), {1: "empty"})
    return [bytes(22) + ending(index, 22), ending(Index("key", b"/", b"", b"", b"", {}), 0)]


def with_digest(content: bytes) -> bytes:
    """A pixel file whose footer fits its index."""
    if len(content) < 48 or not content.endswith(b"xray-tui pixels\n"):
        return content
    begins = min(22, len(content) - 48)
    encoded = content[begins:-48]
    digest = blake2b(encoded, digest_size=16).digest()
    return content[:-48] + struct.pack("<QQ16s16s", begins, len(encoded), digest, content[-16:])


def trees_of(told: list[Event]) -> list[Any]:
    seen: dict[str, Any] = {}
    for number, event in enumerate(told):
        found = json.loads(event_lines.encode(event, number))
        seen.setdefault(found["type"], found)
    return list(seen.values())
