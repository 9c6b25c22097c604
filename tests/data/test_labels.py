"""Labels in a CSV file, as people write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import write_image
from xray_tui import config
from xray_tui.data import checks, labels
from xray_tui.data.folders import Listing
from xray_tui.data.pseudonyms import hiding, locate, own_key
from xray_tui.data.sources import scan, scan_labelled
from xray_tui.data.splits import assign, patient_of
from xray_tui.errors import UserError
from xray_tui.settings import DataSettings

FILES = [f"p{patient}/view {number}.png" for patient in range(6) for number in range(2)]
"""Two images of each of six patients, called alike."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bilder ü")
    for number, file in enumerate(FILES):
        write_image(root / file, bright=number >= 6, seed=number, size=(16, 16))
    return root


def write(folder: Path, text: str, name: str = "labels.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8", newline="")
    return file


def listed(file: Path, columns: str = "") -> dict[str, list[tuple[str, str, str]]]:
    listing = scan(file, columns)
    return {
        split: [(image.path, listing.classes[image.label], image.patient) for image in files]
        for split, files in listing.folders.items()
    }


def test_path_label_split_and_patient(images: Path) -> None:
    splits = ["train"] * 6 + ["Validation"] * 2 + ["TESTING"] * 4
    rows = [
        f"{file},{'sick' if at % 2 else 'well'},{split},{file[1]}"
        for at, (file, split) in enumerate(zip(FILES, splits, strict=True))
    ]
    file = write(images, "path,label,split,patient\n" + "\n".join(rows))
    found = listed(file)
    assert {split: len(files) for split, files in found.items()} == {"train": 6, "val": 2, "test": 4}
    assert found["val"] == [("p3/view 0.png", "well", "3"), ("p3/view 1.png", "sick", "3")]
    listing = scan(file)
    assert (listing.root, listing.source, listing.classes) == (images, file, ["sick", "well"])
    assert {patient_of(image) for image in listing.folders["test"]} == {"4", "5"}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "names", [("Image_Index", "Finding Labels"), ("FILE NAME", "Target"), ("img", "class")]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_words_that_people_use(
    images: Path, separator: str, names: tuple[str, str], end: str
) -> None:
    rows = [names, *((file, "a, b" if at < 6 else "c") for at, file in enumerate(FILES))]
    text = end.join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    found = listed(write(images, "\ufeff" + text + end + end))
    assert list(found) == ["train"]
    assert [label for _, label, _ in found["train"]] == ["a, b"] * 6 + ["c"] * 6


def test_a_blank_after_the_separator_belongs_to_nothing(images: Path) -> None:
    rows = [("path", "label"), *((file, "a" if at < 6 else "b") for at, file in enumerate(FILES))]
    found = listed(write(images, "\n".join(f'{path}, "{label}"' for path, label in rows)))
    assert [label for _, label, _ in found["train"]] == ["a"] * 6 + ["b"] * 6


def test_what_separates_is_told_by_the_columns_that_are_known(images: Path) -> None:
    rows = [
        "path,label,seen: left|right|top|base",
        *(f"{file},{'ab'[at < 6]}," for at, file in enumerate(FILES)),
    ]
    assert len(listed(write(images, "\n".join(rows)))["train"]) == 12


def test_absolute_paths_may_go_through_a_link_to_the_folder(images: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(images)
    rows = ["path,label", *(f"{link / file},{'a' if at < 6 else 'b'}" for at, file in enumerate(FILES))]
    for seen_as in (images, link):
        assert len(listed(write(seen_as, "\n".join(rows)))["train"]) == 12
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "film.png").touch()
    with pytest.raises(UserError, match="not in the folder"):
        listed(write(images, f"path,label\n{tmp_path / 'elsewhere' / 'film.png'},a"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="not in the folder"):
        listed(write(images, f"path,label\n{tmp_path / 'loop' / 'film.png'},a"))


def test_columns_can_be_told(images: Path) -> None:
    rows = "\n".join(f"{at % 2},{file},{at < 6},7,x" for at, file in enumerate(FILES))
    file = write(images, f"label,Study,Ground Truth,MRN,split\n{rows}")
    with pytest.raises(
        UserError, match=r"no column is known to be the path; they are label, Study, Ground"
    ) as raised:
        scan(file)
    assert "--columns" in str(raised.value.hint)
    found = listed(file, "path=study, label=Ground Truth, patient=MRN, split=")
    assert {(label, patient) for _, label, patient in found["train"]} == {("True", "7"), ("False", "7")}
    with pytest.raises(UserError, match="has no column Case"):
        scan(file, "path=Case,label=label")
    for wrong in ("path", "pfad=Study", "path=a,path=b"):
        with pytest.raises(UserError, match="not understood"):
            scan(file, wrong)


def test_two_columns_that_may_be_the_path(images: Path) -> None:
    with pytest.raises(UserError, match="several columns may be the path: image, file"):
        scan(write(images, "image,file,label\na,b,c\n"))


def rows_of(*extra: str, head: str = "path,label,split") -> str:
    good = [f"{file},{'well' if at % 2 else 'sick'},train" for at, file in enumerate(FILES)]
    return "\n".join([head, *good, *extra])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("nowhere.png,sick,train",), r"no such file: row 14 \(nowhere\.png\)"),
        (
            ("", "../out.png,sick,train"),
            r"not in the folder of the CSV file: row 15 \(\.\./out",
        ),
        (("/etc/passwd,sick,train",), r"not in the folder of the CSV file: row 14 \(/etc/passwd\)"),
        ((f"./{FILES[3]},sick,train",), r"the same image again: row 14 \(\./p1/view 1\.png, as row 5\)"),
        ((f"{FILES[0]},,train",), r"the same image again: row 14"),
        (("x\x1b[31m,sick,train",), r"row 14 \(x␛\[31m\)"),
        (tuple(f"no{n},sick,train" for n in range(7)), r"no such file: row 14 .* row 18 \(no4\) and 2 more"),
    ],
)
def test_rows_that_do_not_fit_are_told_by_number(images: Path, extra: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scan(write(images, rows_of(*extra)))


def test_an_unknown_split_and_a_missing_label_are_told(images: Path) -> None:
    text = rows_of().replace("sick,train", ",train", 1).replace("well,train", "well,holdout", 1)
    with pytest.raises(UserError, match=r"no label .*: row 2; unknown split: row 3 \(holdout\)") as raised:
        scan(write(images, text))
    assert "--columns split=" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "has only none"),
        (f"path,label\n{FILES[0]},a\n{FILES[1]},a\n", "has only a"),
        (f"path,label,split\n{FILES[0]},a,train\n{FILES[1]},b,test\n", "no train image of b"),
        (f"path,label,split\n{FILES[0]},a,val\n{FILES[1]},b,val\n", "no row of train"),
        (f'path,label\n"{"x" * 200_000}', "row 2: field larger"),
    ],
)
def test_a_file_without_a_classifier_in_it(images: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scan(write(images, text))


def test_other_encodings_and_other_files(images: Path) -> None:
    (images / "latin.csv").write_bytes("path,label\nä,b".encode("latin-1"))
    with pytest.raises(UserError, match="not in UTF-8"):
        scan(images / "latin.csv")
    with pytest.raises(UserError, match="is no data") as raised:
        scan(images / FILES[0])
    assert "a CSV file of labels" in str(raised.value.hint)


def test_without_splits_patients_are_held_out(images: Path) -> None:
    """No column tells them: an image is its own patient, though images of many are called alike."""
    rows = "\n".join(f"{file},{'ab'[at % 2]}" for at, file in enumerate(FILES))
    listing = scan(write(images, f"path,label\n{rows}"))
    roles = assign(listing, DataSettings(holdout=0.3), 0)
    assert roles.split == "holdout"
    assert "nothing is left to test on (auto: only train is there)" in roles.note
    assert (len(roles.train), len(roles.validation), len(roles.test)) == (8, 4, 0)
    with pytest.raises(UserError, match="no test images"):
        assign(listing, DataSettings(split="recipe"), 0)


def test_train_and_val_alone_are_taken_as_named(images: Path) -> None:
    rows = "\n".join(f"{file},{'ab'[at % 2]},{'val' if at > 7 else 'train'}" for at, file in enumerate(FILES))
    roles = assign(scan(write(images, f"path,label,split\n{rows}")), DataSettings(), 0)
    assert (roles.split, len(roles.train), len(roles.validation), roles.test) == ("folders", 8, 4, [])


def test_images_to_be_judged_need_no_train(images: Path) -> None:
    rows = "\n".join(f"{file},{'ab'[at % 2]},{'test' if at > 7 else 'val'}" for at, file in enumerate(FILES))
    file = write(images, f"path,label,split\n{rows}")
    assert len(scan_labelled(file).folders["test"]) == 4
    assert {name: len(files) for name, files in scan_labelled(file, "split=").folders.items()} == {"": 12}
    with pytest.raises(UserError, match="no row of test"):
        scan_labelled(write(images, f"path,label,split\n{rows.replace('test', 'val')}"))


def whole(images: Path) -> Path:
    rows = "\n".join(
        f"{file},{'ab'[at >= 6]},{'test' if at % 6 > 3 else 'train'},{file[1]}"
        for at, file in enumerate(FILES)
    )
    return write(images, f"Study,Finding,split,patient\n{rows}")


def test_the_check_takes_it_as_it_takes_a_folder(images: Path) -> None:
    settings = config.load({"data.columns": "path=Study"})
    survey = checks.survey(whole(images), settings)
    report = checks.judge(survey, checks.read(survey).facts)
    assert report.root.endswith("labels.csv")
    assert [(role.role, role.folders, role.classes) for role in report.roles] == [
        ("train", ["train"], {"a": 4, "b": 4}),
        ("validation", ["test"], {"a": 2, "b": 2}),
    ]
    assert not [
        finding for finding in report.findings if finding.kind in ("unreadable", "nameless", "outside")
    ]


def test_an_image_is_found_by_what_a_run_calls_it(images: Path) -> None:
    """Below the CSV file; with hidden names no folder is left, and no setting need be known to find it."""
    file = whole(images)
    assert locate(file / FILES[3]) == images / FILES[3]
    listing = scan(file, "path=Study")
    names = hiding(own_key(), listing)
    roles = names.hide(assign(listing, DataSettings(split="recipe"), 0))
    for image in roles.train + roles.validation:
        assert len(image.path) == 16 + len(".png")
        assert locate(file / image.path) == images / image.place
        assert names.patient(image).startswith("patient-")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_listing_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    try:
        found: object = labels.read(file)
    except UserError as error:
        found = error.message
    assert isinstance(found, Listing) or found
