import os
import re
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import write_folder
from xray_tui import config
from xray_tui.data import pseudonyms
from xray_tui.data.folders import ImageFile, scan
from xray_tui.data.pseudonyms import Names, Pseudonyms, check_key, key_file, locate, own_key, read_key
from xray_tui.data.splits import Roles, assign, patient_of
from xray_tui.errors import UserError

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def roles_of(root: Path) -> Roles:
    return assign(scan(root), config.load({}).data, 0)


def test_names_are_hidden_and_split_class_and_suffix_stay(chest: Path) -> None:
    plain = roles_of(chest)
    hidden = Pseudonyms(KEY).hide(plain)
    for role in ("train", "validation", "test"):
        before, after = getattr(plain, role), getattr(hidden, role)
        assert [file.place for file in after] == [file.path for file in before]
        assert [file.label for file in after] == [file.label for file in before]
        for old, new in zip(before, after, strict=True):
            assert re.fullmatch(r"(train|test|val)/(NORMAL|PNEUMONIA)/[0-9a-f]{16}\.png", new.path)
            assert new.path.rpartition("/")[0] == old.path.rpartition("/")[0]
    paths = [file.path for role in (hidden.train, hidden.validation, hidden.test) for file in role]
    assert len(set(paths)) == len(paths)


def test_without_the_setting_names_are_the_files_own(chest: Path) -> None:
    plain = roles_of(chest)
    assert Names().hide(plain) is plain
    assert all(file.place == file.path for file in plain.train)
    assert Names().patient(plain.train[0]) == patient_of(plain.train[0])


def test_a_pseudonym_depends_on_key_and_path_and_nothing_else() -> None:
    names = Pseudonyms(KEY)
    assert names.path("test/A/x.jpeg") == Pseudonyms(KEY).path("test/A/x.jpeg")
    others = {
        names.path("test/A/y.jpeg"),
        names.path("test/B/x.jpeg"),
        Pseudonyms(OTHER).path("test/A/x.jpeg"),
    }
    assert len({path.rpartition("/")[2] for path in others | {names.path("test/A/x.jpeg")}}) == 4


def test_one_patient_has_one_pseudonym_and_no_other_has_it() -> None:
    names = Pseudonyms(KEY)
    of = {
        path: names.patient(names._hidden(ImageFile(path, 0)))
        for path in (
            "train/P/person14_virus_1.jpeg",
            "test/P/person14_bacteria_2.jpeg",
            "train/P/person15_virus_1.jpeg",
            "train/P/scan.jpeg",
        )
    }
    one, same, other, nameless = of.values()
    assert one == same
    assert len({one, other, nameless}) == 3
    assert all(re.fullmatch(r"patient-[0-9a-f]{16}", patient) for patient in of.values())
    assert nameless.removeprefix("patient-") not in names.path("train/P/scan.jpeg")


def test_a_name_that_is_not_utf_8_has_a_pseudonym_too() -> None:
    assert re.fullmatch(r"test/A/[0-9a-f]{16}\.JPG", Pseudonyms(KEY).path("test/A/\udcff.JPG"))


def test_two_images_with_one_pseudonym_are_told(chest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "DIGITS", 1)
    with pytest.raises(UserError, match="same pseudonym"):
        Pseudonyms(KEY).hide(roles_of(chest))


def test_an_image_in_two_roles_is_no_collision(chest: Path) -> None:
    plain = roles_of(chest)
    Pseudonyms(KEY).hide(replace(plain, test=plain.validation))


# The key


def test_the_key_is_made_once_and_for_its_user_alone() -> None:
    old = os.umask(0o000)
    try:
        key = own_key()
    finally:
        os.umask(old)
    assert len(key) == 32
    assert own_key() == read_key() == key
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    assert list(key_file().parent.iterdir()) == [key_file()]


def test_processes_that_make_it_at_once_have_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each sees no key, then all of them write one.
    together, make = threading.Barrier(8), pseudonyms._make_key

    def make_late(file: Path) -> None:
        together.wait(10)
        make(file)

    monkeypatch.setattr(pseudonyms, "_make_key", make_late)
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(own_key())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_no_key_is_made_where_one_is_only_read() -> None:
    with pytest.raises(UserError, match="not on this machine"):
        read_key()
    assert not key_file().exists()


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"\xff" * 64, b"ab" * 31])
def test_a_damaged_key_is_told_and_kept(content: bytes) -> None:
    key_file().write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        own_key()
    assert key_file().read_bytes() == content


def test_a_state_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XRAY_TUI_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(UserError, match="key of the pseudonyms"):
        own_key()


# Back to the file


def test_a_pseudonym_leads_to_its_file_and_a_name_to_itself(chest: Path) -> None:
    names = Pseudonyms(own_key())
    for file in roles_of(chest).validation:
        assert locate(chest / names.path(file.path)) == chest / file.path
        assert locate(chest / file.path) == chest / file.path


def test_a_file_that_is_named_like_a_pseudonym_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "test" / "A" / "0123456789abcdef.png"
    file.parent.mkdir(parents=True)
    file.touch()
    assert locate(file) == file


def test_without_the_key_the_file_cannot_be_found_and_that_is_said(chest: Path) -> None:
    path = chest / Pseudonyms(KEY).path("test/NORMAL/IM-1000-0001.png")
    with pytest.raises(UserError, match="not on this machine"):
        locate(path)
    own_key()
    with pytest.raises(UserError, match="no file of the data folder has this pseudonym"):
        locate(path)


def test_without_the_data_folder_that_is_said(tmp_path: Path) -> None:
    own_key()
    with pytest.raises(UserError, match="is not there"):
        locate(tmp_path / "gone" / "test" / "A" / "0123456789abcdef.png")


def test_another_key_is_noticed(chest: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "chest")
    check_key(root, [Pseudonyms(own_key()).path("test/NORMAL/IM-1000-0001.png")])
    check_key(root, [])
    with pytest.raises(UserError, match="the key was another one"):
        check_key(root, [Pseudonyms(KEY).path("test/NORMAL/IM-1000-0001.png")])
