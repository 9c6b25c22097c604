"""What is wrong with a data folder, or good to know of it: each with what it means and what to do."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Literal

from msgspec import Struct

from xray_tui.data.check_cache import Fact
from xray_tui.data.folders import ImageFile, Listing
from xray_tui.data.pseudonyms import OWN_NAMES, Names
from xray_tui.data.splits import Roles
from xray_tui.settings import Settings
from xray_tui.words import count, percent

Severity = Literal["spoils", "look", "note"]
"""``spoils`` a run or its numbers; ``look`` at it before you trust them; a ``note`` is good to know."""
MARKS: dict[Severity, str] = {"spoils": "✕", "look": "!", "note": "·"}
"""The gravest first."""

_FEW_TRAIN, _FEW_JUDGED = 50, 30
"""Images of a class below which it is near-empty: to learn from, and to be judged by (3 points an image)."""
_UNEVEN, _VERY_UNEVEN = 1.5, 5.0
_SHIFT, _SHIFT_P = 0.05, 0.001
"""Beyond that, in parts of the images and in chance, classes are commoner in one role than in another."""
SAME_BYTES = "Byte for byte."
_LARGER = 1.5
"""So many times the area makes one class's images larger than another's."""


class Group(Struct, frozen=True):
    """Files that belong together: copies of one image, the images of one patient."""

    name: str
    files: list[str]


class Finding(Struct, frozen=True):
    kind: str
    severity: Severity
    title: str
    """With the numbers, on one line."""
    means: str
    """One plain sentence or two."""
    advice: str
    groups: list[Group] = []

    @property
    def files(self) -> list[str]:
        return [file for group in self.groups for file in group.files]


@dataclass(frozen=True)
class Survey:
    """What is known of a data folder without opening a file."""

    listing: Listing
    roles: Roles
    settings: Settings
    names: Names = OWN_NAMES

    @property
    def by_role(self) -> dict[str, list[ImageFile]]:
        """In the order train, validation, test; a role without images is left out."""
        files = {"train": self.roles.train, "validation": self.roles.validation, "test": self.roles.test}
        return {role: images for role, images in files.items() if images}

    def counts(self, files: Iterable[ImageFile]) -> dict[str, int]:
        """Images by class."""
        by_label = Counter(file.label for file in files)
        return {name: by_label[label] for label, name in enumerate(self.listing.classes)}


def find(survey: Survey, facts: Mapping[str, Fact]) -> list[Finding]:
    """Everything that the names and the facts known so far tell, the gravest first."""
    found = [finding for rule in _RULES for finding in rule(survey, facts)]
    gravity = list(MARKS)
    return sorted(found, key=lambda finding: gravity.index(finding.severity))


Facts = Mapping[str, Fact]


def _special(survey: Survey, facts: Facts) -> Iterable[Finding]:
    groups = _by_reason(facts, "special")
    if groups:
        yield Finding(
            "special",
            "spoils",
            f"{_plural(_total(groups), 'image')} {_be(_total(groups))} no regular file: not opened",
            "A run that opens such a file may wait for it for ever.",
            "Move them out of the folder.",
            groups,
        )


def _unreadable(survey: Survey, facts: Facts) -> Iterable[Finding]:
    groups = _by_reason(facts, "unreadable")
    if not groups:
        return
    learned = [file.path for role in ("train", "validation") for file in survey.by_role.get(role, ())]
    broken = sum(path in facts and facts[path].state == "unreadable" for path in learned)
    allowed = survey.settings.data.unreadable
    spoils = broken > allowed * len(learned)
    need = min(1.0, broken / len(learned) + 0.005)
    yield Finding(
        "unreadable",
        "spoils" if spoils else "look",
        f"{_plural(_total(groups), 'file')} cannot be read",
        f"More than {allowed:.0%} of train and validation: a run refuses to begin."
        if spoils
        else "A run passes them over, and counts them.",
        f"Mend or remove them, or allow it with --unreadable {need:.2f}."
        if spoils
        else "Fetch them again, or remove them.",
        groups,
    )


def _outside(survey: Survey, facts: Facts) -> Iterable[Finding]:
    groups = _by_reason(facts, "outside")
    if groups:
        yield Finding(
            "outside",
            "look",
            f"{_plural(_total(groups), 'file')} {_lead(groups)} out of the folder: not opened",
            "A run follows them; what they lead to was not checked here.",
            "Check the folder they lead to, or copy the images into this one.",
            groups,
        )


def copies(survey: Survey, facts: Facts) -> Iterable[Finding]:
    """Files with the same bytes: across roles, across classes, and within both."""
    place = {file.path: (role, file.label) for role, files in survey.by_role.items() for file in files}
    same: dict[str, list[str]] = defaultdict(list)
    for path in place:
        fact = facts.get(path)
        if fact and fact.state == "ok":
            same[fact.digest].append(path)
    across_roles, across_classes, within = [], [], defaultdict(list)
    for paths in same.values():
        if len(paths) < 2:
            continue
        roles = list(dict.fromkeys(place[path][0] for path in paths))
        labels = list(dict.fromkeys(place[path][1] for path in paths))
        if len(roles) > 1:
            across_roles.append(_group(" and ".join(roles), paths))
        if len(labels) > 1:
            names = [survey.listing.classes[label] for label in labels]
            across_classes.append(_group(" and ".join(names), paths))
        if len(roles) == len(labels) == 1:
            name = f"{survey.listing.classes[labels[0]]} × {len(paths)}"
            within[roles[0]].append(_group(name, paths))
    if across_roles:
        yield Finding(
            "copies across roles",
            "spoils",
            f"{_plural(len(across_roles), 'image')} {_stand(across_roles)} in more than one role",
            f"{SAME_BYTES} The network is judged on what it has seen: its numbers look too good.",
            "Keep each image in one role only.",
            across_roles,
        )
    if across_classes:
        yield Finding(
            "copies across classes",
            "look",
            f"{_plural(len(across_classes), 'image')} {_stand(across_classes)} in more than one class",
            f"{SAME_BYTES} One of the labels is wrong, and the network is told both.",
            "Find out which is right, and remove the other copy.",
            across_classes,
        )
    for role, groups in within.items():
        surplus = _total(groups) - len(groups)
        many = surplus > 0.01 * len(survey.by_role[role])
        yield Finding(
            "copies",
            "look" if many else "note",
            f"{count(surplus)} {'copy' if surplus == 1 else 'copies'} of "
            f"{_plural(len(groups), f'{role} image')}",
            f"{SAME_BYTES} The network sees these images more often than the others."
            if role == "train"
            else f"{SAME_BYTES} Each copy counts again in the numbers of {role}.",
            "Remove the copies." if many else "Remove the copies; so few change little.",
            groups,
        )


def patients(survey: Survey, _: Facts) -> Iterable[Finding]:
    """Patients that occur in two roles. The published data begins its numbers anew in test."""
    certain = all(file.patient for files in survey.by_role.values() for file in files)
    by_role: dict[str, dict[str, list[str]]] = {}
    for role, files in survey.by_role.items():
        images = by_role[role] = defaultdict(list)
        for file in files:
            patient = survey.names.named_patient(file)
            if patient is not None:
                images[patient].append(file.path)
    for first, second in combinations(by_role, 2):
        both = [patient for patient in by_role[first] if patient in by_role[second]]
        if both:
            yield Finding(
                "patients",
                "look",
                f"{_plural(len(both), 'patient' if certain else 'patient number')} in {first} and {second}",
                f"{second} is easier than new patients would be: its numbers look too good."
                if certain
                else "Same number, may be another child: each folder may count from 1. If it is the same "
                f"child, {second} is easier than new patients would be.",
                "--split holdout keeps the patients of train and validation apart."
                if (first, second) == ("train", "validation") and survey.roles.split != "holdout"
                else "Keep each patient in one role only."
                if certain
                else "Names alone cannot tell: ask where the data comes from.",
                [_group(patient, by_role[first][patient] + by_role[second][patient]) for patient in both],
            )


def shift(survey: Survey, _: Facts) -> Iterable[Finding]:
    """Classes that are commoner, or rarer, where the network is judged than where it learns."""
    train = survey.counts(survey.roles.train)
    learned = sum(train.values())
    for role, files in survey.by_role.items():
        there = survey.counts(files)
        more = {name: there[name] / len(files) - part / learned for name, part in train.items()}
        name = max(more, key=lambda name: (round(abs(more[name]), 9), train[name], more[name]))
        if abs(more[name]) <= _SHIFT:
            continue
        from scipy.stats import chi2_contingency  # imported late: half a second of start-up

        known = [each for each in train if train[each] + there[each]]
        table = [[counts[each] for each in known] for counts in (train, there)]
        if chi2_contingency(table, correction=False).pvalue < _SHIFT_P:
            yield Finding(
                "shift",
                "look",
                f"{percent(there[name] / len(files), 0)} of {role} are {name}, "
                f"{percent(train[name] / learned, 0)} of train",
                "How common a class is, the network learns from train: its probabilities lean to what is "
                "commoner there.",
                "Read AUC, sensitivity and specificity beside accuracy; see --operating-point.",
            )


def _nameless(survey: Survey, _: Facts) -> Iterable[Finding]:
    every = (file for files in survey.by_role.values() for file in files)
    nameless = [file.path for file in every if survey.names.named_patient(file) is None]
    if nameless:
        yield Finding(
            "nameless",
            "look" if survey.roles.split == "holdout" else "note",
            f"{_plural(len(nameless), 'file name')} {'tells' if len(nameless) == 1 else 'tell'} no patient",
            "Each counts as a patient of its own: whether one person's images lie on both sides of the "
            "split cannot be seen.",
            "If people have several images, name them like person12_1.jpeg.",
            [_group("", nameless)],
        )


def _few(survey: Survey, _: Facts) -> Iterable[Finding]:
    for role, files in survey.by_role.items():
        enough = _FEW_TRAIN if role == "train" else _FEW_JUDGED
        few = {name: images for name, images in survey.counts(files).items() if images < enough}
        if not few:
            continue
        smallest = min(few.values())
        if role == "train":
            means = "That is little to learn a class from; each epoch's numbers will jump."
        elif smallest == 0:
            means = "A rate over no images does not exist: sensitivity or specificity, and AUC, stay empty."
        else:
            means = f"One image more or less moves a class's rate by {100 / smallest:.0f} points."
        advice = (
            "Add images of it."
            if role == "train"
            else f"Do not compare runs by {role}; --split holdout makes validation larger."
            if role == "validation"
            else "Read its numbers by their intervals, and do not compare runs by them."
        )
        shown = ", ".join(f"{count(images)} {name}" for name, images in few.items())
        yield Finding("few", "look", f"{role} is small: {shown}", means, advice)


def _uneven(survey: Survey, _: Facts) -> Iterable[Finding]:
    counts = survey.counts(survey.roles.train)
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    ratio = counts[most] / max(1, counts[least])
    if ratio < _UNEVEN:
        return
    judged = survey.counts(survey.roles.validation)
    share = judged[most] / max(1, sum(judged.values()))
    yield Finding(
        "uneven",
        "look" if ratio >= _VERY_UNEVEN else "note",
        f"train has {ratio:.1f} {most} for each {least}",
        f"Always answering {most} is right in {percent(share)} of validation: accuracy begins there.",
        "Read sensitivity, specificity and AUC beside accuracy.",
    )


def _larger(survey: Survey, facts: Facts) -> Iterable[Finding]:
    """A class whose images are larger: a short cut that networks take."""
    sides: dict[int, list[Fact]] = defaultdict(list)
    for file in survey.roles.train:
        fact = facts.get(file.path)
        if fact and fact.state == "ok":
            sides[file.label].append(fact)
    if len(sides) < 2:
        return
    middle = {
        label: (median(f.width for f in found), median(f.height for f in found))
        for label, found in sides.items()
    }
    area = {label: width * height for label, (width, height) in middle.items()}
    large, small = max(area, key=area.__getitem__), min(area, key=area.__getitem__)
    if area[large] >= _LARGER * area[small]:
        shown = {label: f"{width:,.0f} × {height:,.0f}" for label, (width, height) in middle.items()}
        names = survey.listing.classes
        yield Finding(
            "larger",
            "look",
            f"{names[large]} images are larger than {names[small]} ones",
            f"Medians of train: {shown[large]} against {shown[small]} px. After shrinking, sharpness and "
            "shape can tell the class without the lungs.",
            "See with Grad-CAM where the network looks; test on images of another source.",
        )


def _enlarged(survey: Survey, facts: Facts) -> Iterable[Finding]:
    wanted = survey.settings.training.resize
    short = [min(fact.width, fact.height) for fact in facts.values() if fact.state == "ok"]
    small = sum(side < wanted for side in short)
    if 2 * small > len(short):
        # Networks halve their maps five times: a multiple of 32 loses no edge.
        fits = 32 * round(median(short) * survey.settings.training.image_size / wanted / 32)
        yield Finding(
            "enlarged",
            "note",
            f"{_plural(small, 'image')} {_be(small)} smaller than {wanted} px",
            f"A run makes the short side {wanted} px: enlarging takes time and adds no detail.",
            f"--image-size {fits} takes them about as they are." if fits else "Use larger images.",
        )


_RULES: Sequence[Callable[[Survey, Facts], Iterable[Finding]]] = (
    _special,
    _unreadable,
    _outside,
    copies,
    patients,
    shift,
    _few,
    _larger,
    _uneven,
    _nameless,
    _enlarged,
)


def _by_reason(facts: Facts, state: str) -> list[Group]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for path, fact in facts.items():
        if fact.state == state:
            reasons[fact.why].append(path)
    return [_group(why, paths) for why, paths in reasons.items()]


def _group(name: str, paths: Iterable[str]) -> Group:
    return Group(_text(name), [_text(path) for path in paths])


def _text(name: str) -> str:
    """A name that is no UTF-8, written out: a report is text."""
    return name.encode(errors="backslashreplace").decode()


def _total(groups: Sequence[Group]) -> int:
    return sum(len(group.files) for group in groups)


def _plural(number: int, word: str) -> str:
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _stand(groups: Sequence[Group]) -> str:
    return "stands" if len(groups) == 1 else "stand"


def _lead(groups: Sequence[Group]) -> str:
    return "leads" if _total(groups) == 1 else "lead"
