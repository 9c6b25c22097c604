"""Checks a data folder before a run learns from it: how many, how large, readable, apart from each other."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from msgspec import Struct

from xray_tui import config
from xray_tui.data.check_cache import Fact
from xray_tui.data.facts import Reading, read_facts
from xray_tui.data.findings import Finding, Survey, find
from xray_tui.data.pixel_cache import Usage
from xray_tui.data.pseudonyms import OWN_NAMES, hiding, own_key
from xray_tui.data.sources import scan
from xray_tui.data.splits import assign
from xray_tui.settings import Settings
from xray_tui.words import bytes_in_words, count, percent

_BINS = 40


class RoleCount(Struct, frozen=True):
    role: str
    folders: list[str]
    """Where its images lie, or the splits that a file of labels tells."""
    images: int
    classes: dict[str, int]
    """Images by class, by name."""


class Size(Struct, frozen=True):
    width: int
    """In pixels."""
    height: int


class Sizes(Struct, frozen=True):
    """How large the readable images are."""

    images: int
    bytes: int
    """Of their files."""
    distinct: int
    """Different sizes among them."""
    smallest: Size
    """By area."""
    median: Size
    """Of widths and of heights, each for itself."""
    largest: Size
    commonest: Size
    commonest_images: int
    short_from: int
    """The shortest of the short sides, in pixels, and the longest: what the histogram spans."""
    short_to: int
    histogram: list[int]
    """Images by short side, in bins of equal width."""
    modes: dict[str, int]
    """Images by Pillow's word for channels and depth, the most frequent first."""


class DataReport(Struct, frozen=True):
    """What is known of a data folder; less of it while its files are still being read."""

    root: str
    classes: list[str]
    split: str
    split_note: str
    roles: list[RoleCount]
    folders: dict[str, dict[str, int]]
    """Images by split folder and class."""
    files: int
    read: int
    """Files whose content is known."""
    sizes: Sizes | None
    findings: list[Finding]
    """The gravest first."""
    cache: Usage | None = None
    """What the decoded pixels of all runs take, where somebody looked."""

    @property
    def complete(self) -> bool:
        return self.read == self.files

    @property
    def spoils(self) -> bool:
        """Whether something spoils a run or its numbers."""
        return any(finding.severity == "spoils" for finding in self.findings)


def survey(
    root: Path, settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None
) -> Survey:
    """Look at the names in a data folder; of DICOM files the headers are read, no other is opened.

    All images get their roles: a run's ``limit`` says nothing of the data.

    Args:
        progress: called with how many of how many images are unpacked, or headers read, where any are.

    Raises:
        UserError: the folder is none, cannot be looked into, or does not allow the split.
    """
    everything = config.replace(settings, {"data.limit": 0})
    listing = scan(root, settings.data.columns, progress)
    roles = assign(listing, everything.data, everything.training.seed, progress)
    names = hiding(own_key(), listing) if settings.data.hash_names else OWN_NAMES
    return Survey(listing, names.hide(roles), everything, names)


def judge(survey: Survey, facts: Mapping[str, Fact]) -> DataReport:
    """What the names and the facts known so far come to."""
    folder_of = {f.place: folder for folder, files in survey.listing.folders.items() for f in files}
    roles = [
        RoleCount(
            role,
            sorted({folder_of[file.place] for file in files}),
            len(files),
            survey.counts(files),
        )
        for role, files in survey.by_role.items()
    ]
    return DataReport(
        root=str(survey.listing.source).encode(errors="backslashreplace").decode(),
        classes=survey.listing.classes,
        split=survey.roles.split,
        split_note=survey.roles.note,
        roles=roles,
        folders=survey.listing.counts,
        files=sum(role.images for role in roles),
        read=len(facts),
        sizes=_sizes([fact for fact in facts.values() if fact.state == "ok"]),
        findings=find(survey, facts),
    )


def read(
    survey: Survey,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
    gentle: bool = False,
) -> Reading:
    """Read every image file that has a role; see :func:`read_facts`."""
    every = [file for files in survey.by_role.values() for file in files]
    return read_facts(survey.listing.root, every, progress=progress, stopped=stopped, gentle=gentle)


def sizes_in_words(sizes: Sizes) -> list[str]:
    """Sizes, depth and bytes, on a line or two."""
    common = sizes.commonest
    if sizes.distinct == 1:
        first = f"{count(common.width)} × {count(common.height)} px, all of them"
    else:
        shown = [
            f"{count(size.width)} × {count(size.height)}"
            for size in (sizes.median, sizes.smallest, sizes.largest)
        ]
        first = f"median {shown[0]} px; {shown[1]} to {shown[2]}"
        if sizes.commonest_images > 0.1 * sizes.images:
            share = percent(sizes.commonest_images / sizes.images, 0)
            first += f"; {count(common.width)} × {count(common.height)} is the commonest ({share})"
    if len(sizes.modes) == 1:
        modes = mode_in_words(next(iter(sizes.modes)))
    else:
        modes = ", ".join(f"{count(images)} {mode_in_words(mode)}" for mode, images in sizes.modes.items())
    return [first, f"{modes}; {bytes_in_words(sizes.bytes)}"]


def mode_in_words(mode: str) -> str:
    """Pillow's word for channels and depth, for a person."""
    known = {
        "1": "black and white",
        "L": "8-bit grey",
        "LA": "8-bit grey with transparency",
        "P": "palette",
        "RGB": "8-bit RGB",
        "RGBA": "8-bit RGB with transparency",
        "CMYK": "8-bit CMYK",
        "I;16": "16-bit grey",
        "I": "32-bit grey",
    }
    return known.get(mode, mode)


def _sizes(facts: list[Fact]) -> Sizes | None:
    if not facts:
        return None
    both = Counter((fact.width, fact.height) for fact in facts)
    (commonest, commonest_images), *_ = both.most_common(1)
    by_area = sorted(both, key=lambda size: (size[0] * size[1], size))
    short = [min(fact.width, fact.height) for fact in facts]
    low, high = min(short), max(short)
    histogram = [0] * _BINS
    for side in short:
        histogram[min(_BINS - 1, (side - low) * _BINS // max(1, high - low))] += 1
    return Sizes(
        images=len(facts),
        bytes=sum(fact.size_bytes for fact in facts),
        distinct=len(both),
        smallest=Size(*by_area[0]),
        median=Size(round(median(f.width for f in facts)), round(median(f.height for f in facts))),
        largest=Size(*by_area[-1]),
        commonest=Size(*commonest),
        commonest_images=commonest_images,
        short_from=low,
        short_to=high,
        histogram=histogram,
        modes=dict(Counter(fact.mode for fact in facts).most_common()),
    )
