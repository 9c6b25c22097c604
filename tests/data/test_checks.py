import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_folder, write_image
from xray_tui import config
from xray_tui.data import checks, decoding, facts
from xray_tui.data.checks import DataReport
from xray_tui.data.decoding import Unreadable, decode, measure
from xray_tui.data.findings import Finding, Survey
from xray_tui.data.folders import ImageFile, Listing
from xray_tui.data.splits import assign
from xray_tui.errors import UserError
from xray_tui.files import cache_folder


def check(root: Path, **options: Any) -> DataReport:
    """The whole check, with test/ as validation; ``data__split="holdout"`` sets ``data.split``."""
    given = {name.replace("__", "."): value for name, value in options.items()}
    settings = config.load({"data.split": "recipe"} | given)
    survey = checks.survey(root, settings)
    return checks.judge(survey, checks.read(survey).facts)


def found(report: DataReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def kinds(report: DataReport) -> list[str]:
    return [finding.kind for finding in report.findings]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of the files whose pixels are decoded from now on."""
    inodes: list[int] = []

    def noting(file: BinaryIO) -> decoding.Measured:
        inodes.append(os.fstat(file.fileno()).st_ino)
        return measure(file)

    monkeypatch.setattr(facts, "measure", noting)
    return inodes


def test_counts_by_role_and_by_folder(chest: Path) -> None:
    report = check(chest)
    assert [(role.role, role.folders, role.images) for role in report.roles] == [
        ("train", ["train"], 24),
        ("validation", ["test"], 14),
        ("test", ["val"], 4),
    ]
    assert report.roles[1].classes == {"NORMAL": 6, "PNEUMONIA": 8}
    assert report.folders["val"] == {"NORMAL": 2, "PNEUMONIA": 2}
    assert report.files == report.read == 42
    assert report.complete


def test_names_alone_tell_the_counts_and_some_findings(chest: Path) -> None:
    report = checks.judge(checks.survey(chest, config.load({})), {})
    assert report.roles[0].images == 24
    assert not report.complete
    assert report.sizes is None
    assert "few" in kinds(report)


def test_a_limit_of_the_run_says_nothing_of_the_data(chest: Path) -> None:
    assert check(chest, data__limit=4).roles[0].images == 24


def test_sizes_and_modes(chest: Path) -> None:
    write_image(chest / "train" / "NORMAL" / "wide.png", size=(30, 200))
    Image.new("RGB", (16, 12)).save(chest / "train" / "NORMAL" / "small.png")
    sizes = check(chest).sizes
    assert sizes is not None
    assert (sizes.smallest, sizes.largest) == (checks.Size(16, 12), checks.Size(200, 30))
    assert (sizes.median, sizes.commonest, sizes.commonest_images) == (
        checks.Size(40, 48),
        checks.Size(40, 48),
        42,
    )
    assert (sizes.distinct, sizes.short_from, sizes.short_to, sum(sizes.histogram)) == (3, 12, 40, 44)
    assert sizes.modes == {"L": 43, "RGB": 1}
    first, second = checks.sizes_in_words(sizes)
    assert first == "median 40 × 48 px; 16 × 12 to 200 × 30; 40 × 48 is the commonest (95 %)"
    assert second.startswith("43 8-bit grey, 1 8-bit RGB; ")


def test_the_size_is_that_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 20)).save(tmp_path / "x.jpeg", exif=exif)
    with (tmp_path / "x.jpeg").open("rb") as file:
        found = measure(file)
    assert (found.width, found.height) == decode(tmp_path / "x.jpeg").shape[::-1] == (20, 40)


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_a_jpeg_cut_anywhere_is_judged_as_decoding_it_does(tmp_path: Path, progressive: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 56), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpeg", progressive=progressive)
    whole = (tmp_path / "whole.jpeg").read_bytes()

    def verdict(read: Callable[[], object]) -> str:
        try:
            read()
        except Unreadable as error:
            return str(error)
        return "ok"

    file, verdicts = tmp_path / "cut.jpeg", set()
    for length in range(0, len(whole) + 1, 40):
        file.write_bytes(whole[:length])
        with file.open("rb") as stream:
            measured = verdict(partial(measure, stream))
        assert measured == verdict(lambda: decode(file)), f"cut after {length} bytes"
        verdicts.add(measured.split("(")[0])
    assert len(verdicts) >= 3, "empty, no image, truncated"


def test_files_that_cannot_be_read_are_named_with_the_reason(chest: Path) -> None:
    (chest / "train" / "NORMAL" / "IM-9-empty.jpeg").write_bytes(b"")
    cut = chest / "train" / "PNEUMONIA" / "person0000_virus_1.png"
    cut.write_bytes(cut.read_bytes()[:200])
    report = check(chest, data__unreadable=0.5)
    finding = found(report, "unreadable")
    assert finding.severity == "look"
    assert finding.title == "2 files cannot be read"
    assert {group.name: group.files for group in finding.groups}["empty"] == ["train/NORMAL/IM-9-empty.jpeg"]
    assert "train/PNEUMONIA/person0000_virus_1.png" in finding.files
    assert not report.spoils
    assert report.sizes is not None
    assert report.sizes.images == 41


def test_more_unreadable_files_than_a_run_allows_spoil_it(chest: Path) -> None:
    (chest / "train" / "NORMAL" / "IM-9-empty.jpeg").write_bytes(b"")
    report = check(chest, data__unreadable=0.01)
    assert found(report, "unreadable").severity == "spoils"
    assert report.findings[0].kind == "unreadable", "the gravest comes first"
    assert report.spoils


def test_the_same_bytes_in_two_roles_spoil_the_numbers(chest: Path) -> None:
    original = chest / "train" / "NORMAL" / "IM-0003-0001.png"
    shutil.copy(original, chest / "test" / "NORMAL" / "IM-0777-0001.png")
    report = check(chest)
    finding = found(report, "copies across roles")
    assert finding.severity == "spoils"
    assert finding.title == "1 image stands in more than one role"
    (group,) = finding.groups
    assert group.name == "train and validation"
    assert group.files == ["train/NORMAL/IM-0003-0001.png", "test/NORMAL/IM-0777-0001.png"]
    assert "copies" not in kinds(report)


def test_the_same_bytes_in_two_classes_are_a_wrong_label(chest: Path) -> None:
    original = chest / "train" / "NORMAL" / "IM-0003-0001.png"
    shutil.copy(original, chest / "train" / "PNEUMONIA" / "person7777_virus_1.png")
    report = check(chest)
    assert found(report, "copies across classes").groups[0].name == "NORMAL and PNEUMONIA"
    assert not report.spoils


def test_copies_within_a_role_are_counted_once(chest: Path) -> None:
    original = chest / "train" / "NORMAL" / "IM-0003-0001.png"
    for number in (1, 2):
        shutil.copy(original, original.with_name(f"IM-88{number}-0001.png"))
    finding = found(check(chest), "copies")
    assert finding.title == "2 copies of 1 train image"
    assert len(finding.files) == 3
    assert finding.severity == "look", "2 of 26 are many"


def test_files_of_one_size_with_other_bytes_are_no_copies(chest: Path) -> None:
    first = (chest / "train" / "NORMAL" / "IM-0003-0001.png").read_bytes()
    (chest / "train" / "NORMAL" / "IM-0900-0001.png").write_bytes(first[:-1] + bytes([first[-1] ^ 1]))
    assert not any(kind.startswith("copies") for kind in kinds(check(chest)))


def test_a_patient_number_in_two_roles_may_be_another_child(chest: Path) -> None:
    write_image(chest / "test" / "PNEUMONIA" / "person0003_bacteria_9.png", seed=5)
    finding = found(check(chest), "patients")
    assert finding.title == "1 patient number in train and validation"
    assert finding.severity == "look"
    assert "may be another child" in finding.means
    (group,) = finding.groups
    assert group.name == "person0003"
    assert len(group.files) == 2
    assert "holdout" in finding.advice


def test_names_without_a_patient_are_no_patients_in_common(tmp_path: Path) -> None:
    for seed, folder in enumerate(("train/a", "train/b", "test/a", "test/b")):
        write_image(tmp_path / folder / "0001.png", seed=seed)
    report = check(tmp_path)
    assert "patients" not in kinds(report)
    finding = found(report, "nameless")
    assert finding.title == "4 file names tell no patient"
    assert finding.severity == "note"


def test_small_roles_and_uneven_classes() -> None:
    folders = {
        split: [
            ImageFile(f"{split}/{name}/{number}.png", label)
            for label, (name, count) in enumerate(counts.items())
            for number in range(count)
        ]
        for split, counts in {"train": {"a": 60, "b": 360}, "test": {"a": 4, "b": 40}}.items()
    }
    settings = config.load({})
    listing = Listing(Path("/data"), ["a", "b"], folders)
    report = checks.judge(Survey(listing, assign(listing, settings.data, 0), settings), {})
    few = found(report, "few")
    assert few.title == "validation is small: 4 a"
    assert few.means == "One image more or less moves a class's rate by 25 points."
    uneven = found(report, "uneven")
    assert uneven.title == "train has 6.0 b for each a"
    assert uneven.severity == "look"
    assert "right in 90.9 % of validation" in uneven.means


def test_a_role_without_a_class_has_no_rate_of_it(chest: Path) -> None:
    for file in (chest / "val" / "NORMAL").iterdir():
        file.unlink()
    few = [finding for finding in check(chest).findings if finding.title.startswith("test is small")]
    assert few[0].title == "test is small: 0 NORMAL, 2 PNEUMONIA"
    assert "AUC" in few[0].means


def test_a_class_with_larger_images_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for seed, file in enumerate((tmp_path / "train" / "PNEUMONIA").iterdir()):
        write_image(file, size=(96, 80), seed=seed)
    finding = found(check(tmp_path), "larger")
    assert finding.title == "PNEUMONIA images are larger than NORMAL ones"
    assert "80 × 96 against 40 × 48 px" in finding.means


def test_images_smaller_than_the_run_wants(chest: Path) -> None:
    finding = found(check(chest, training__image_size=128), "enlarged")
    assert finding.title == "42 images are smaller than 150 px"
    assert "--image-size 32" in finding.advice
    assert "enlarged" not in kinds(check(chest, training__image_size=32))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_never_opened(chest: Path, opened: list[int]) -> None:
    os.mkfifo(chest / "train" / "NORMAL" / "IM-0900-0001.jpeg")  # opening it would wait for ever
    (chest / "train" / "NORMAL" / "IM-0901-0001.jpeg").symlink_to("/dev/zero")
    report = check(chest)
    finding = found(report, "special")
    assert finding.severity == "spoils"
    assert finding.files == ["train/NORMAL/IM-0900-0001.jpeg"]
    assert found(report, "outside").files == ["train/NORMAL/IM-0901-0001.jpeg"]
    assert len(opened) == 42


def test_links_out_of_the_folder_are_not_followed(chest: Path, tmp_path: Path, opened: list[int]) -> None:
    elsewhere = write_image(tmp_path / "elsewhere" / "secret.png")
    (chest / "train" / "NORMAL" / "IM-0900-0001.png").symlink_to(elsewhere)
    shutil.move(chest / "test" / "NORMAL", tmp_path / "moved")
    (chest / "test" / "NORMAL").symlink_to(tmp_path / "moved")
    finding = found(check(chest), "outside")
    assert finding.title == "7 files lead out of the folder: not opened"
    assert elsewhere.stat().st_ino not in opened
    assert len(opened) == 42 - 6


def test_links_within_the_folder_are_copies_and_loops_lead_nowhere(chest: Path) -> None:
    (chest / "test" / "NORMAL" / "IM-0900-0001.png").symlink_to(chest / "train/NORMAL/IM-0003-0001.png")
    loop = chest / "train" / "NORMAL" / "IM-0901-0001.png"
    loop.symlink_to(loop)
    (chest / "train" / "NORMAL" / "below").symlink_to(chest)
    report = check(chest)
    assert found(report, "copies across roles").severity == "spoils"
    assert found(report, "unreadable").files == ["train/NORMAL/IM-0901-0001.png"]


def test_strange_names_go_into_a_report_that_is_text(chest: Path) -> None:
    folder = os.fsencode(chest / "train" / "NORMAL")
    for name in (b"IM-1\xff.png", b"IM-\x1b[31m2.png"):
        shutil.copy(os.fsencode(chest / "train/NORMAL/IM-0003-0001.png"), folder + b"/" + name)
    report = check(chest)
    assert found(report, "unreadable").groups[0].name == "its name is not UTF-8"
    again = msgspec.json.decode(msgspec.json.encode(report), type=DataReport)
    assert again == report


def test_a_split_that_the_folders_do_not_allow_is_an_error(tmp_path: Path) -> None:
    write_folder(tmp_path, {split: {"a": 2, "b": 2} for split in ("train", "test")})
    with pytest.raises(UserError, match="no images in val/"):
        check(tmp_path, data__split="folders")


def test_only_changed_files_are_read_again(chest: Path, opened: list[int]) -> None:
    first = check(chest)
    assert len(opened) == 42
    opened.clear()
    assert check(chest) == first
    assert opened == []
    changed = write_image(chest / "train" / "NORMAL" / "IM-0003-0001.png", size=(20, 20), seed=77)
    new = write_image(chest / "train" / "NORMAL" / "IM-0950-0001.png", seed=78)
    again = check(chest)
    assert sorted(opened) == sorted(path.stat().st_ino for path in (changed, new))
    assert again.sizes is not None
    assert again.sizes.smallest == checks.Size(20, 20)


@pytest.mark.parametrize("content", [b"", b"\x00broken", msgspec.msgpack.encode({"version": 0})])
def test_a_broken_cache_is_built_anew(chest: Path, opened: list[int], content: bytes) -> None:
    first = check(chest)
    (file,) = (cache_folder() / "checks").iterdir()
    file.write_bytes(content)
    opened.clear()
    assert check(chest) == first
    assert len(opened) == 42
    opened.clear()
    check(chest)
    assert opened == []


def test_a_cache_folder_that_cannot_be_written_is_told(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XRAY_TUI_CACHE_DIR", str(tmp_path / "file"))
    survey = checks.survey(chest, config.load({}))
    reading = checks.read(survey)
    assert reading.unkept
    assert len(reading.facts) == 42


def test_a_stopped_reading_keeps_what_it_has(chest: Path, opened: list[int]) -> None:
    stop = threading.Event()
    survey = checks.survey(chest, config.load({}))
    reading = checks.read(
        survey,
        progress=lambda done, total: stop.set() if done >= 10 else None,
        stopped=stop.is_set,
        gentle=True,
    )
    assert 10 <= len(reading.facts) < 42
    assert not checks.judge(survey, reading.facts).complete
    before = len(opened)
    assert checks.judge(survey, checks.read(survey).facts).complete
    assert len(opened) == 42, f"{before} of them were known"


def test_progress_counts_to_the_end(chest: Path) -> None:
    told: list[tuple[int, int]] = []
    checks.read(
        checks.survey(chest, config.load({})), progress=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 42) for done in range(43)]
