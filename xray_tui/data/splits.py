"""Which images play train, validation and test, and which patient an image is of."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from xray_tui.data import patients
from xray_tui.data.folders import SPLIT_FOLDERS, ImageFile, Listing
from xray_tui.errors import UserError
from xray_tui.settings import DataSettings

_PATIENT = re.compile(r"^(person\d+|NORMAL2-IM-\d+|IM-\d+)(?=[-_.]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """The images of a run by role; ``test`` may be empty."""

    train: list[ImageFile]
    validation: list[ImageFile]
    test: list[ImageFile]
    split: Literal["recipe", "folders", "holdout"]
    note: str
    """The split in words, for a person."""


def named_patient(file: ImageFile) -> str | None:
    """The patient that an image is known to be of, or that the name of its file tells; else ``None``.

    Knows the names of Kermany, Zhang & Goldbaum (2018): ``person12_bacteria_34``, ``IM-0031-0001``,
    ``NORMAL2-IM-0031-0001``.
    """
    if file.patient:
        return file.patient
    match = _PATIENT.match(PurePosixPath(file.place).name)
    return match[1] if match else None


def patient_of(file: ImageFile) -> str:
    """The patient of an image, as :func:`named_patient`; an image without an id is its own patient."""
    named = named_patient(file)
    if named is not None:
        return named
    return file.place  # all of it: images of many patients may be called alike, in folders of their own


def assign(
    listing: Listing,
    settings: DataSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Roles:
    """Give the images their roles, then limit each. Of DICOM files the headers are read, for their patients.

    Args:
        progress: called with how many of how many headers are read.

    Raises:
        UserError: the folders do not allow the split asked for.
    """
    folders = patients.told(listing, progress).folders
    train, val, test = (folders.get(name, []) for name in SPLIT_FOLDERS)
    split, why = settings.split, "as asked"
    if split == "auto" and not test:
        split, why = ("folders", "auto: val/ is there") if val else ("holdout", "auto: only train is there")
    elif split == "auto":
        tiny = len(val) < 50 and len(val) < len(test) / 10
        split = "recipe" if tiny else "folders"
        why = f"auto: val/ {'is tiny' if val else 'is missing'}" if tiny else "auto: val/ is there"
    if split == "recipe":
        if not test:
            raise UserError(
                f"{listing.source} has no test images, which --split recipe validates on",
                "use --split holdout",
            )
        validation, test = test, val
        note = "recipe: folder test validates" + (
            ", folder val tests" if val else "; nothing is left to test on"
        )
    elif split == "folders":
        if not val:
            raise UserError(
                f"{listing.source} has no images in val/, which --split folders validates on",
                "use --split recipe (test/ validates) or --split holdout (patients of train/ validate)",
            )
        validation = val
        note = "folders: as they are named" + ("" if test else "; nothing is left to test on")
    else:
        known = any(map(named_patient, train + val))
        train, validation = _hold_out(train + val, settings.holdout, seed)
        left = "test is sealed to the end" if test else "nothing is left to test on"
        how = ", by patient" if known else ", of which none tells its patient"
        note = f"holdout: {settings.holdout:.0%} of the images validate{how}; {left}"
    classes = len(listing.classes)
    for role, files in (("train", train), ("validation", validation)):
        absent = sorted(set(range(classes)) - {file.label for file in files})
        if absent:
            names = ", ".join(listing.classes[label] for label in absent)
            raise UserError(
                f"no {role} image of {names} with --split {split}", "use another --split, or more images"
            )
    return Roles(
        train=limit(train, settings.limit, seed),
        validation=limit(validation, settings.limit, seed),
        test=limit(test, settings.limit, seed),
        split=split,
        note=f"{note} ({why})",
    )


def limit(files: list[ImageFile], count: int, seed: int) -> list[ImageFile]:
    """At most ``count`` files (0: all) with the classes' proportions kept, the same ones for a seed.

    Seats go to the classes by largest remainder; a class that has images keeps one where
    ``count`` allows. The order of the files is kept.
    """
    if count == 0 or count >= len(files):
        return files
    by_class: dict[int, list[int]] = defaultdict(list)
    for number, file in enumerate(files):
        by_class[file.label].append(number)
    exact = {label: count * len(numbers) / len(files) for label, numbers in by_class.items()}
    seats = {label: int(share) for label, share in exact.items()}
    for label in sorted(exact, key=lambda label: (int(exact[label]) - exact[label], label)):
        if sum(seats.values()) < count:
            seats[label] += 1
    for label in [label for label, number in seats.items() if number == 0]:
        richest = max(seats, key=lambda other: seats[other])
        if seats[richest] > 1:
            seats[richest] -= 1
            seats[label] += 1
    chosen: list[int] = []
    for label, numbers in sorted(by_class.items()):
        rng = np.random.default_rng((seed, label))
        chosen += rng.permutation(numbers)[: seats[label]].tolist()
    return [files[number] for number in sorted(chosen)]


def _hold_out(files: list[ImageFile], fraction: float, seed: int) -> tuple[list[ImageFile], list[ImageFile]]:
    """Train and validation, no patient in both; each class gives ``fraction`` of its images or a few more.

    A patient may have images of several classes: who is held out for one is held out for all.
    """
    images: dict[int, Counter[str]] = defaultdict(Counter)
    for file in files:
        images[file.label][patient_of(file)] += 1
    out: set[str] = set()
    for label, of_patient in sorted(images.items()):
        patients = sorted(of_patient)
        wanted = fraction * of_patient.total()
        held = sum(of_patient[patient] for patient in patients if patient in out)
        for number in np.random.default_rng((seed, label)).permutation(len(patients)):
            if held >= wanted:
                break
            if (patient := patients[number]) not in out:
                out.add(patient)
                held += of_patient[patient]
    train: list[ImageFile] = []
    validation: list[ImageFile] = []
    for file in sorted(files, key=attrgetter("path")):
        (validation if patient_of(file) in out else train).append(file)
    return train, validation
