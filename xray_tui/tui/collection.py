"""The radiographs of one data folder, as the Data tab shows them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from rich.text import Text

from xray_tui.data import checks
from xray_tui.data.check_cache import Fact
from xray_tui.data.checks import DataReport
from xray_tui.data.facts import Gate
from xray_tui.data.findings import Finding, Survey
from xray_tui.data.folders import ImageFile
from xray_tui.settings import Settings
from xray_tui.tui.panes.bars import class_colours
from xray_tui.tui.panes.gallery import Shot
from xray_tui.tui.themes import Palette
from xray_tui.words import bytes_in_words, count, harmless


def look_into(root: Path, settings: Settings) -> "Collection":
    """What the names in a folder tell.

    Raises:
        UserError: the folder is none, or does not allow the split.
        OSError: it cannot be looked into.
    """
    return Collection(checks.survey(root, settings))


@dataclass
class Collection:
    """What is known of a folder so far. Made in a thread: it judges all that is known."""

    survey: Survey
    facts: dict[str, Fact] = field(default_factory=dict)
    report: DataReport = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.survey.listing.root)
        self.report = checks.judge(self.survey, self.facts)
        self._places = {file.path: file.place for _, _, file in self._files()}
        self._mixed = {role: _mixed(files) for role, files in self.survey.by_role.items()}

    @property
    def positive(self) -> str:
        """The class that stands out; empty: the last by name."""
        return self.survey.settings.data.positive

    @property
    def roles(self) -> list[str]:
        return list(self.survey.by_role)

    def read_files(
        self, progress: Callable[[int, int], None], stopped: Callable[[], bool], *, gentle: bool
    ) -> tuple["Collection", str]:
        """The collection with all files read, and why what was found out could not be kept, if so."""
        reading = checks.read(self.survey, progress=progress, stopped=stopped, gentle=gentle)
        return Collection(self.survey, reading.facts), reading.unkept

    def read(self, path: str, decode: Callable[[Path], Image.Image]) -> Image.Image:
        """One radiograph, unless it is a pipe or leads out of the folder. For threads.

        Raises:
            NotOpened: it is one of those.
        """
        return decode(self.gate.find(self._places.get(path, path))[0])

    def of_role(self, role: str, palette: Palette) -> list[Shot]:
        """The classes evenly mixed, so that every page shows what the role holds."""
        classes, colours = self.survey.listing.classes, self._colours(palette)
        return [
            Shot(file.path, classes[file.label], colours[classes[file.label]]) for file in self._mixed[role]
        ]

    def of_finding(self, finding: Finding, palette: Palette) -> list[Shot]:
        """The files that a finding concerns, in its order."""
        place = {file.path: (role, name) for role, name, file in self._files()}
        colours, shots = self._colours(palette), []
        for path in finding.files:
            role, name = place.get(path, ("", ""))
            shots.append(Shot(path, f"{role} · {name}", colours.get(name, palette.muted)))
        return shots

    def about(self, path: str, palette: Palette) -> Text:
        """Class, role, patient and size of one radiograph, and which others are the same."""
        role, name, file = next(found for found in self._files() if found[2].path == path)
        words, fact = [name, role], self.facts.get(path)
        patient = self.survey.names.named_patient(file)
        words.append(f"patient {patient.removeprefix('patient-')}" if patient else "no patient in its name")
        if fact is not None and fact.state == "ok":
            words.append(f"{count(fact.width)} × {count(fact.height)} px {fact.mode}")
            words.append(bytes_in_words(fact.size_bytes))
        elif fact is not None:
            words.append(fact.why)
        text = Text(harmless(" · ".join(words)), palette.muted, justify="center")
        for finding in self.report.findings:
            for group in finding.groups if finding.kind.startswith("copies") else ():
                if path in group.files:
                    same = ", ".join(harmless(file) for file in group.files if file != path)
                    text.append(f"\nthe same as {same}", palette.warning)
        return text

    def _colours(self, palette: Palette) -> dict[str, str]:
        return class_colours(self.survey.listing.classes, self.positive, palette)

    def _files(self) -> Iterator[tuple[str, str, ImageFile]]:
        """All images, each with its role and class."""
        for role, files in self.survey.by_role.items():
            for file in files:
                yield role, self.survey.listing.classes[file.label], file


def _mixed(files: Sequence[ImageFile]) -> list[ImageFile]:
    total, seen = Counter(file.label for file in files), Counter[int]()
    placed = []
    for file in files:
        seen[file.label] += 1
        placed.append(((seen[file.label] - 0.5) / total[file.label], file.label, file))
    return [file for _, _, file in sorted(placed, key=lambda entry: entry[:2])]
