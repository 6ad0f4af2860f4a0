import os
import threading

import numpy as np
import pytest

from crots.config import Size
from crots.data import cache as cache_module
from crots.data.cache import ImageCache
from crots.errors import InputError
from crots.images import read_image, resize_image, write_image

pytestmark = pytest.mark.safety

SIZE = Size(8, 4)
ENTRY = 8 * 4 * 3 + 128  # bytes of an entry: pixels and the header of .npy


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "a.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8))
    return path


@pytest.fixture
def reads(monkeypatch):
    """The paths that were really decoded."""
    seen = []

    def counting(path):
        seen.append(path)
        return read_image(path)

    monkeypatch.setattr(cache_module, "read_image", counting)
    return seen


def entries(folder):
    return sorted(folder.rglob("*")) if folder.exists() else []


def test_an_image_is_decoded_once(image, reads, tmp_path):
    wanted = resize_image(read_image(image), SIZE)
    for _ in range(2):
        cache = ImageCache(tmp_path / "cache", SIZE, 10**6)
        assert (cache.get(image) == wanted).all()
        assert (cache.get(image) == wanted).all()
    assert len(reads) == 1
    assert [path.suffix for path in entries(tmp_path / "cache")] == ["", ".npy"]


def test_without_a_folder_nothing_is_kept(image, reads, tmp_path):
    cache = ImageCache(None, SIZE, 10**6)
    assert cache.get(image).shape == (4, 8, 3)
    cache.get(image)
    assert len(reads) == 2


def test_a_changed_image_replaces_its_entry(image, reads, tmp_path):
    cache = ImageCache(tmp_path / "cache", SIZE, 10**6)
    cache.get(image)
    write_image(image, np.full((16, 32, 3), 7, np.uint8))
    os.utime(image, ns=(1, 1))
    assert (cache.get(image) == 7).all()
    assert len([path for path in entries(tmp_path / "cache") if path.is_file()]) == 1


def test_sizes_do_not_mix(image, tmp_path):
    assert ImageCache(tmp_path / "cache", SIZE, 10**6).get(image).shape == (4, 8, 3)
    assert ImageCache(tmp_path / "cache", Size(4, 4), 10**6).get(image).shape == (4, 4, 3)


def test_the_limit_holds(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for path in paths:
        write_image(path, np.zeros((4, 8, 3), np.uint8))
    for _ in range(2):
        cache = ImageCache(tmp_path / "cache", SIZE, 3 * ENTRY)
        for path in paths:
            assert cache.get(path).shape == (4, 8, 3)
        files = [path for path in entries(tmp_path / "cache") if path.is_file()]
        assert len(files) == 3


def test_results_may_be_written_to_and_change_nothing(image, tmp_path):
    cache = ImageCache(tmp_path / "cache", SIZE, 10**6)
    first = cache.get(image).copy()
    for _ in range(2):
        got = cache.get(image)
        assert got.flags.writeable
        got[:] = 0
    assert (cache.get(image) == first).all()


def test_a_damaged_entry_is_read_again(image, reads, tmp_path):
    cache = ImageCache(tmp_path / "cache", SIZE, 10**6)
    wanted = cache.get(image).copy()
    entry = next(path for path in entries(tmp_path / "cache") if path.is_file())
    for content in (b"", b"\x93NUMPY", entry.read_bytes()[:-5]):
        entry.write_bytes(content)
        assert (cache.get(image) == wanted).all()
    np.save(entry, np.zeros((2, 2), np.uint8))
    assert (cache.get(image) == wanted).all()


def test_a_folder_that_cannot_be_written_is_no_error(image, tmp_path):
    (tmp_path / "file").touch()
    cache = ImageCache(tmp_path / "file", SIZE, 10**6)
    assert cache.get(image).shape == (4, 8, 3)
    assert cache.get(image).shape == (4, 8, 3)


def test_missing_images_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        ImageCache(tmp_path / "cache", SIZE, 10**6).get(tmp_path / "absent.png")


def test_threads(image, tmp_path):
    cache = ImageCache(tmp_path / "cache", SIZE, 10**6)
    wanted = resize_image(read_image(image), SIZE)
    results = []
    threads = [threading.Thread(target=lambda: results.append((cache.get(image) == wanted).all())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 16
    assert len([path for path in entries(tmp_path / "cache") if path.is_file()]) == 1


def test_what_other_writers_add_counts_towards_the_limit(tmp_path):
    room = 4 * (4 * 8 * 3 + 128)
    for writers, kept in ((1, 4), (2, 2), (4, 1)):
        cache = ImageCache(tmp_path / str(writers), SIZE, room, writers=writers)
        for number in range(5):
            write_image(tmp_path / f"{number}.png", np.full((4, 8, 3), number, np.uint8))
            cache.get(tmp_path / f"{number}.png")
        assert len([path for path in entries(tmp_path / str(writers)) if path.is_file()]) == kept
