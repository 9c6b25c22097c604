"""DICOM files for tests, made by pydicom."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

NAME, MRN = "Doe^Jane", "MRN-4711"
"""What must never be seen anywhere."""


def dataset(pixels: NDArray[Any], bits: int = 0, **elements: Any) -> Dataset:
    """A radiograph of these stored values, uint8 or (u)int16 (H, W); of uint8 (H, W, 3) in RGB.

    Args:
        bits: stored (default: all).
        elements: by keyword; ``None`` leaves one out.
    """
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = DigitalXRayImageStorageForPresentation
    found.SOPInstanceUID = generate_uid(entropy_srcs=["one"])
    found.PatientName, found.PatientID = NAME, MRN
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    found.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated = 8 * pixels.itemsize
    found.BitsStored = bits or found.BitsAllocated
    found.HighBit = found.BitsStored - 1
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    found.PixelData = pixels.tobytes()
    found["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in elements.items():
        if value is None:
            delattr(found, name)
        else:
            setattr(found, name, value)
    return found


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    """An item of a modality or VOI LUT sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def write_dicom(path: Path, pixels: NDArray[Any], syntax: str = "", **given: Any) -> Path:
    """A file of :func:`dataset`; compressed, where ``syntax`` names a transfer syntax that can be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = dataset(pixels, **given)
    if syntax:
        found.compress(syntax, generate_instance_uid=False)
    found.save_as(path, enforce_file_format=True)
    return path


def write_dicom_folder(root: Path, name: str = "{number:02}.dcm") -> Path:
    """A data folder of 12-bit MONOCHROME1 radiographs, two of each patient; PNEUMONIA is brighter."""
    rng = np.random.default_rng(0)
    number = 0
    for split, count in (("train", 6), ("test", 2)):
        for label, of_class in enumerate(("NORMAL", "PNEUMONIA")):
            for at in range(2 * count):
                stored = rng.normal(2700 if label == 0 else 1300, 300, (40, 48)).clip(0, 4095)
                number += 1
                write_dicom(
                    root / split / of_class / name.format(number=number),
                    stored.astype(np.uint16),
                    bits=12,
                    PhotometricInterpretation="MONOCHROME1",
                    PatientID=f"{MRN}-{split}-{label}-{at // 2}",
                    WindowCenter=2048,
                    WindowWidth=4096,
                )
    return root
