"""Who has looked at test: each run once, whatever happens to the ledger."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import write_image
from xray_tui.data import folders, unsealings
from xray_tui.data.pseudonyms import Pseudonyms
from xray_tui.data.splits import Roles
from xray_tui.data.unsealings import Looks, digest_of, ledger_file, look

ONE, OTHER = Path("/runs/one"), Path("/runs/other")


def test_each_run_counts_once() -> None:
    assert [look("test", run).times for run in (ONE, OTHER, ONE, OTHER)] == [1, 2, 2, 2]
    assert look("other images", OTHER).times == 1
    assert len(ledger_file().read_bytes().splitlines()) == 3, "what is known is not noted again"


def test_the_digest_knows_the_images_by_label_place_and_size(chest: Path) -> None:
    test = folders.scan(chest).folders["test"]
    digest = digest_of(chest, test)
    assert digest_of(chest, test[::-1]) == digest
    assert digest_of(chest, test[1:]) != digest
    hidden = Pseudonyms(b"k" * 32).hide(Roles([], [], test, "holdout", "")).test
    assert hidden[0].path != test[0].path
    assert digest_of(chest, hidden) == digest, "they are the same images, whatever they are called"
    moved = chest.with_name("elsewhere")
    chest.rename(moved)
    assert digest_of(moved, test) == digest
    write_image(moved / test[0].path, seed=99, size=(90, 90))
    assert digest_of(moved, test) != digest


def test_the_ledger_is_made_with_the_umask() -> None:
    before = os.umask(0o027)
    try:
        look("test", ONE)
    finally:
        os.umask(before)
    assert ledger_file().stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "rubbish", [b"not json\n", b'{"t":1}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n", b'{"t":1,"test":"te']
)
def test_what_cannot_be_read_is_counted_and_stays(rubbish: bytes) -> None:
    look("test", ONE)
    before = ledger_file().read_bytes()
    ledger_file().write_bytes(before + rubbish)
    assert look("test", OTHER) == Looks(2, 1)
    assert ledger_file().read_bytes().startswith(before + rubbish)
    assert look("test", ONE) == Looks(2, 1)


def test_a_full_disk_leaves_no_half_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    look("test", ONE)
    before, write = ledger_file().read_bytes(), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[:9]))
        with pytest.raises(OSError, match="No space left") as caught:
            look("test", OTHER)
    assert caught.value.errno == errno.ENOSPC
    assert ledger_file().read_bytes() == before
    assert look("test", OTHER) == Looks(2, 0)


def test_a_pipe_in_its_place_is_not_waited_for() -> None:
    ledger_file().parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(ledger_file())
    with pytest.raises(OSError, match="a named pipe"):
        look("test", ONE)


def test_one_who_holds_it_for_good_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    look("test", ONE)
    monkeypatch.setattr(unsealings, "_PATIENCE_SECONDS", 0.02)
    with ledger_file().open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process holds it"):
            look("test", OTHER)


def test_runs_that_look_at_the_same_time_all_count() -> None:
    with ThreadPoolExecutor(8) as pool:
        times = list(pool.map(lambda number: look("test", Path(f"/runs/{number}")).times, range(24)))
    assert sorted(times) == list(range(1, 25))


def test_a_folder_of_another_encoding_is_a_run_too() -> None:
    strange = Path(os.fsdecode(b"/runs/\xff"))
    assert look("test", strange).times == look("test", strange).times == 1
