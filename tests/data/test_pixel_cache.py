"""The pixel cache: what it gives back, and what becomes of it when things go wrong."""

import errno
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import write_image
from xray_tui import config
from xray_tui.data import pixel_cache, pixels
from xray_tui.data.folders import ImageFile
from xray_tui.data.pixel_cache import PixelCache, cache_of, key_of
from xray_tui.data.pixel_file import Index, map_file, packed
from xray_tui.data.pixels import MappedImages, Pixels, read_plain, read_train
from xray_tui.errors import UserError

GB = 1e9
COUNT = 9


@pytest.fixture
def cache(tmp_path: Path) -> PixelCache:
    return PixelCache(tmp_path / "cache" / "pixels", GB)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images of several sizes, one of them broken."""
    folder = tmp_path / "data"
    for number in range(COUNT):
        write_image(folder / f"{number}.png", seed=number, size=(40 + 7 * number, 50 + number))
    (folder / "3.png").write_text("no image")
    return folder


def files(count: int = COUNT) -> list[ImageFile]:
    return [ImageFile(f"{number}.png", number % 2) for number in range(count)]


def train(
    root: Path, cache: PixelCache | None, progress: Callable[[int], None] = lambda done: None
) -> Pixels:
    return read_train(root, files(), 48, progress, cache)


def kept_in(cache: PixelCache) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir()) if cache.folder.exists() else []


def same(one: Pixels, other: Pixels) -> bool:
    images = zip(one.images, other.images, strict=True)
    return (
        all(torch.equal(a, b) for a, b in images)
        and torch.equal(one.labels, other.labels)
        and (one.files, one.broken) == (other.files, other.broken)
    )


def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are decoded from now on."""
    seen: list[str] = []
    decode = pixels.decode
    monkeypatch.setattr(pixels, "decode", lambda path, side: seen.append(path.name) or decode(path, side))
    return seen


def test_the_second_reading_decodes_nothing_and_gives_the_same(
    root: Path, cache: PixelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = train(root, None)
    first = train(root, cache)
    seen, told = decodings(monkeypatch), list[int]()
    second = train(root, cache, told.append)
    assert same(in_memory, first)
    assert same(in_memory, second)
    assert [broken.why for broken in second.broken] == ["not a JPEG, PNG or DICOM image"]
    assert (seen, told) == ([], [COUNT])


def test_images_are_a_sequence_of_views(root: Path, cache: PixelCache) -> None:
    plain = train(root, None).images
    images = train(root, cache).images
    assert isinstance(images, MappedImages)
    assert len(images) == COUNT - 1
    assert torch.equal(images[-1], plain[-1])
    assert [image.shape for image in images[1:6:2]] == [plain[i].shape for i in (1, 3, 5)]
    assert images[2].data_ptr() == images[2].data_ptr(), "no copy is made"
    with pytest.raises(IndexError):
        images[COUNT]


@pytest.mark.filterwarnings("error")
def test_what_is_written_to_an_image_reaches_no_file(root: Path, cache: PixelCache) -> None:
    image = train(root, cache).images[0]
    before = image.clone()
    image.zero_()
    assert torch.equal(train(root, cache).images[0], before)


@pytest.mark.parametrize("part", [slice(0, 4), slice(4, 99), slice(0, 0), slice(0, 6, 2)])
def test_images_of_one_size_are_stacked(root: Path, cache: PixelCache, part: slice) -> None:
    both = [read_plain(root, files(), 48, 40, lambda done: None, where) for where in (cache, None)]
    if part == slice(0, 0):
        assert len(both[0].images[part]) == 0
        return
    assert torch.equal(both[0].stacked(part), both[1].stacked(part))


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.none(), max_size=12))
def test_whatever_is_put_in_comes_out(
    sizes: list[tuple[int, int] | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = PixelCache(tmp_path_factory.mktemp("pixels"), GB)
    rng = np.random.default_rng(0)
    images = [None if size is None else rng.integers(0, 255, size, np.uint8) for size in sizes]
    with cache.building("0" * 32, Path("/data"), len(images)) as part:
        for image in images:
            part.pass_over("why", for_now=False) if image is None else part.add(image)
        part.finish()
    kept = cache.find("0" * 32)
    assert kept is not None
    assert kept.broken == {number: "why" for number, image in enumerate(images) if image is None}
    wanted = [image for image in images if image is not None]
    assert [image[0].numpy().tolist() for image in MappedImages(kept)] == [i.tolist() for i in wanted]


@pytest.mark.parametrize("change", ["time", "size", "gone", "order", "form", "root"])
def test_whatever_changes_the_pixels_changes_the_key(root: Path, change: str) -> None:
    paths, form, where = [file.path for file in files()], "train 48", root
    before = key_of(where, paths, form)
    assert key_of(where, paths, form) == before
    match change:
        case "time":
            os.utime(root / "1.png", ns=(1, 1))
        case "size":
            stat = (root / "1.png").stat()
            (root / "1.png").write_bytes(b"x")
            os.utime(root / "1.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
        case "gone":
            (root / "1.png").unlink()
        case "order":
            paths.reverse()
        case "form":
            form = "train 49"
        case "root":
            where = root.parent / "link"
            where.symlink_to(root)
    assert key_of(where, paths, form) != before


@pytest.mark.parametrize("decoder", ["pillow", "pydicom"])
def test_another_release_of_a_decoder_reads_again(
    root: Path, cache: PixelCache, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    train(root, cache)
    seen = decodings(monkeypatch)
    train(root, cache)
    assert seen == []
    monkeypatch.setattr(pixels, "version", lambda name: "99" if name == decoder else version(name))
    train(root, cache)
    assert len(seen) == COUNT


def test_a_mended_file_is_read_again(root: Path, cache: PixelCache) -> None:
    train(root, cache)
    write_image(root / "3.png")
    assert not train(root, cache).broken


def test_a_file_that_may_not_be_read_is_asked_again(
    root: Path, cache: PixelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = os.open

    def opened(path: Path, *given: int) -> int:
        if path == root / "5.png":  # by mode alone root would not be kept from it
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return allowed(path, *given)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        assert [broken.why for broken in train(root, cache).broken][1:] == ["Permission denied"]
    assert len(train(root, cache).broken) == 1


def test_what_the_file_system_would_not_give_is_not_kept(root: Path, cache: PixelCache) -> None:
    (root / "5.png").unlink()
    found = train(root, cache)
    assert [broken.why for broken in found.broken][1:] == ["No such file or directory"]
    assert len(found.images) == COUNT - 2
    assert kept_in(cache) == []
    assert found.images[0].any(), "the pixels of this run are there all the same"


@pytest.mark.parametrize("damage", ["cut", "longer", "index", "foreign", "empty"])
def test_a_file_that_is_not_whole_is_built_anew(root: Path, cache: PixelCache, damage: str) -> None:
    good = train(root, cache)
    (file,) = cache.folder.iterdir()
    content = file.read_bytes()
    file.unlink()  # it is mapped: what stands there now is another file
    match damage:
        case "cut":
            content = content[:-100]
        case "longer":
            content += b"\0"
        case "index":
            content = content[:-60] + bytes([content[-60] ^ 1]) + content[-59:]
        case "foreign":
            content = b"not ours" * 1000
        case "empty":
            content = b""
    file.write_bytes(content)
    assert same(train(root, cache), good)
    assert file.read_bytes() != content


def test_another_keys_file_is_not_believed(root: Path, cache: PixelCache) -> None:
    train(root, cache)
    (file,) = cache.folder.iterdir()
    file.rename(cache.folder / f"{'0' * 32}.pixels")
    assert cache.find("0" * 32) is None


def test_a_stop_leaves_nothing_behind(root: Path, cache: PixelCache) -> None:
    def stop(done: int) -> None:
        if done == 4:
            raise InterruptedError("asked to stop")  # an OSError, but none of the cache's

    with pytest.raises(InterruptedError, match="asked to stop"):
        train(root, cache, stop)
    assert kept_in(cache) == []


@pytest.mark.parametrize(("side", "most"), [(48, 32), (2000, 2)])
def test_few_images_are_decoded_ahead(
    root: Path, cache: PixelCache, monkeypatch: pytest.MonkeyPatch, side: int, most: int
) -> None:
    monkeypatch.setattr(pixels, "processors", lambda: 1)
    seen, ahead = decodings(monkeypatch), list[int]()
    for number in range(COUNT, 200):
        write_image(root / f"{number}.png")

    def look(done: int) -> None:
        time.sleep(0.002)
        ahead.append(len(seen) - done)

    read_train(root, files(200), side, look, cache)
    assert max(ahead) <= most


def test_memory_does_not_grow_with_the_images(root: Path, cache: PixelCache) -> None:
    image = np.zeros((500, 500), np.uint8)
    tracemalloc.start()
    try:
        with cache.building("0" * 32, root, 200) as part:
            for _ in range(200):
                part.add(image)
            images = MappedImages(part.finish())
        assert len(images) == 200
        assert tracemalloc.get_traced_memory()[1] < 1e6  # the pixels are 50 MB
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="about how Linux promises memory")
def test_a_file_larger_than_all_memory_is_mapped(tmp_path: Path) -> None:
    height = 2 * psutil.virtual_memory().total // 2**20
    with (tmp_path / "sparse").open("wb+", buffering=0) as file:
        file.truncate(height * 2**20)
        kept = map_file(file, Index("", b"", packed([height]), packed([2**20]), packed([0]), {}))
    assert MappedImages(kept)[0][0, -1, -1] == 0


def test_a_full_disk_says_what_is_needed_and_the_way_out(
    root: Path, cache: PixelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pixel_cache.Part._write

    def fill_up(part: pixel_cache.Part, content: memoryview) -> None:
        with part._cache._told(part._needed):
            if part._bytes > 4000:
                raise OSError(errno.ENOSPC, "No space left on device")
        write(part, content)

    monkeypatch.setattr(pixel_cache.Part, "_write", fill_up)
    with pytest.raises(UserError, match=r"the disk is full: no room in \S+/pixels for") as error:
        train(root, cache)
    assert "the pixels of 9 images, about " in error.value.message
    assert "--cache DIR" in error.value.hint
    assert "--cache off" in error.value.hint
    assert kept_in(cache) == []


def test_a_folder_that_cannot_be_written_says_the_way_out(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot keep pixels in .*/file/pixels: Not a directory") as error:
        train(root, PixelCache(tmp_path / "file" / "pixels", GB))
    assert "--cache off" in error.value.hint


def put(cache: PixelCache, digit: str, kilobytes: int) -> object:
    with cache.building(digit * 32, Path("/data"), 1) as part:
        part.add(np.zeros((kilobytes, 1000), np.uint8))
        return part.finish()


def test_the_longest_unused_goes_first_and_what_is_in_use_stays(cache: PixelCache) -> None:
    for digit in "abc":
        put(cache, digit, 100)
        os.utime(cache.folder / f"{digit * 32}.pixels", ns=(ord(digit), ord(digit)))
    used = cache.find("a" * 32)  # by this run: the newest now, and in use
    bounded = PixelCache(cache.folder, 250e3)
    (cache.folder / "notes.txt").write_text("somebody's own")
    mapped = put(bounded, "d", 100)
    assert kept_in(cache) == sorted([f"{'a' * 32}.pixels", f"{'d' * 32}.pixels", "notes.txt"])
    assert used is not None
    del used, mapped
    PixelCache(cache.folder, 1).prune()
    assert kept_in(cache) == ["notes.txt"]


def test_what_another_removed_goes_on_for_who_has_it_mapped(root: Path, cache: PixelCache) -> None:
    found = train(root, cache)
    before = [image.clone() for image in found.images]
    for file in cache.folder.iterdir():
        file.unlink()
    assert all(torch.equal(a, b) for a, b in zip(found.images, before, strict=True))


def test_usage_tells_whose_the_bytes_are(root: Path, cache: PixelCache) -> None:
    assert cache.usage(root).bytes == 0
    train(root, cache)
    put(cache, "a", 10)
    usage = cache.usage(root)
    assert usage.bytes == sum(path.stat().st_size for path in cache.folder.iterdir())
    assert usage.of_this_data == usage.bytes - (cache.folder / f"{'a' * 32}.pixels").stat().st_size


@pytest.mark.parametrize(
    ("cache", "folder"), [("auto", "XRAY_TUI_CACHE_DIR"), ("off", None), ("~/mine", "HOME")]
)
def test_the_setting_names_the_folder(cache: str, folder: str | None) -> None:
    found = cache_of(config.load({"data.cache": cache}).data)
    if folder is None:
        assert found is None
    else:
        assert found is not None
        below = "pixels" if cache == "auto" else "mine/pixels"
        assert found.folder == Path(os.environ[folder]) / below


# As read_train does it, without the seconds that torch takes to be imported.
BUILD = """
import sys
from pathlib import Path
from xray_tui.data.decoding import Unreadable, decode
from xray_tui.data.pixel_cache import PixelCache
root, folder, key, total = *map(Path, sys.argv[1:3]), sys.argv[3], int(sys.argv[4])
with PixelCache(folder, 1e9).building(key, root, total) as part:
    for number in range(total):
        try:
            part.add(decode(root / f"{number}.png"))
        except Unreadable as error:
            part.pass_over(str(error), for_now=False)
        if number == 3:
            print("building", flush=True)
            sys.stdin.readline()
    print(int(part.finish().pixels.sum()))
"""


def builder(root: Path, cache: PixelCache, key: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", BUILD, str(root), str(cache.folder), key, str(COUNT)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_build_at_once_and_a_dead_ones_part_is_removed(root: Path, cache: PixelCache) -> None:
    mine = read_train(root, files(), 200, lambda done: None, cache)  # large enough to shrink none
    (kept,) = kept_in(cache)
    (cache.folder / kept).unlink()
    both = [builder(root, cache, kept.removesuffix(".pixels")) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
    assert len([name for name in kept_in(cache) if name.endswith(".part")]) == 2
    both[0].send_signal(signal.SIGKILL)
    both[0].communicate()
    again = read_train(root, files(), 200, lambda done: None, cache)  # the third one finds both parts
    assert len([name for name in kept_in(cache) if name.endswith(".part")]) == 1, "the living one's"
    out, _ = both[1].communicate("go on\n")
    assert same(mine, again)
    assert int(out) == sum(int(image.sum()) for image in mine.images)
    assert kept_in(cache) == [kept]
