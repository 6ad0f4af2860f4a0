"""Reading pictures and maps: reduced decoding, bounded memory, newest wish first."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

from crots.errors import InputError
from crots.images import write_image
from crots.label_files import write_labels
from crots.taxonomy import load_class_set
from crots_studio.models.image_store import Bounded, ImageMaps, ImageStore, PictureQueue, entropy_map, read_small
from tests.studio.fake_project import KEYS, make_fake_project, scene


def test_small_pictures_keep_the_shape(tmp_path):
    write_image(tmp_path / "wide.jpg", np.zeros((300, 1200, 3), np.uint8))
    assert read_small(tmp_path / "wide.jpg", 120).shape == (30, 120, 3)
    write_image(tmp_path / "tiny.png", np.zeros((10, 12, 3), np.uint8))
    assert read_small(tmp_path / "tiny.png", 120).shape == (10, 12, 3)


def test_small_pictures_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_small(tmp_path / "turned.jpg", 40).shape == (40, 20, 3)


def test_sixteen_bit_pictures_are_not_clipped(tmp_path):
    Image.fromarray(np.full((20, 40), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert abs(int(read_small(tmp_path / "deep.png", 20).mean()) - 127) <= 1


def test_broken_pictures_say_so(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        read_small(tmp_path / "broken.png", 100)
    with pytest.raises(InputError, match="no such file"):
        read_small(tmp_path / "gone.png", 100)


def test_entropy_of_certain_and_of_evenly_split_pixels():
    entropy = entropy_map(np.array([[1.0, 0.25, 0.0, 0.7]], np.float32), 4)
    assert f"{entropy[0, 0]:.2f}" == "0.00"
    assert entropy[0, 1] == pytest.approx(np.log(4), rel=1e-5)
    assert entropy[0, 2] == pytest.approx(np.log(4), rel=1e-5)
    assert entropy[0, 3] == pytest.approx(-0.7 * np.log(0.7) - 0.3 * np.log(0.1), rel=1e-5)
    assert not entropy_map(np.ones((2, 2), np.float32), 1).any()


def test_the_store_keeps_within_its_bound():
    kept = Bounded(100, len)
    for number in range(50):
        kept.put(number, b"x" * 30)
    assert kept.nbytes <= 100
    assert kept.get(49) is not None
    assert kept.get(0) is None
    kept.put("large", b"x" * 500)
    assert len(kept) == 1, "one that is larger than the bound is kept alone"


def test_what_was_used_last_stays():
    kept = Bounded(100, len)
    for number in range(3):
        kept.put(number, b"x" * 30)
    kept.get(0)
    kept.put(3, b"x" * 30)
    assert kept.get(0) is not None
    assert kept.get(1) is None


def test_maps_of_a_project(tmp_path):
    project = make_fake_project(tmp_path, until="pseudo-label")
    store = ImageStore(project, load_class_set("camvid"))
    maps = store.maps(KEYS[0], tmp_path / "target" / f"{KEYS[0]}.png")
    assert np.array_equal(maps.labels, scene(0)[1])
    assert maps.confidence.shape == maps.labels.shape
    assert maps.size == (64, 48)
    assert store.maps(KEYS[0], tmp_path / "target" / f"{KEYS[0]}.png") is maps


def test_repainted_labels_are_what_is_shown(tmp_path):
    project = make_fake_project(tmp_path, until="pseudo-label")
    store = ImageStore(project, load_class_set("camvid"))
    path = tmp_path / "target" / f"{KEYS[0]}.png"
    store.maps(KEYS[0], path)
    write_labels(project.corrections_path / "label_ids" / f"{KEYS[0]}.png", np.full((48, 64), 3, np.uint8))
    assert (store.maps(KEYS[0], path).labels == 3).all()


def test_what_is_repainted_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    project = make_fake_project(tmp_path, until="pseudo-label")
    store, read = ImageStore(project, load_class_set("camvid")), ImageStore._read
    path, label = tmp_path / "target" / f"{KEYS[0]}.png", project.corrections_path / "label_ids" / f"{KEYS[0]}.png"

    def slow(self, key, path, shown):
        maps = read(self, key, path, shown)
        write_labels(label, np.full((48, 64), 3, np.uint8))
        return maps

    monkeypatch.setattr(ImageStore, "_read", slow)
    assert not (store.maps(KEYS[0], path).labels == 3).all()
    monkeypatch.setattr(ImageStore, "_read", read)
    assert (store.maps(KEYS[0], path).labels == 3).all()


def test_without_pseudo_labels_there_is_the_picture_alone(tmp_path):
    project = make_fake_project(tmp_path, until="")
    maps = ImageStore(project, load_class_set("camvid")).maps(KEYS[0], tmp_path / "target" / f"{KEYS[0]}.png")
    assert maps.labels is None
    assert maps.size == (64, 48)
    assert isinstance(maps, ImageMaps)


def test_the_newest_wish_is_loaded_first_and_old_ones_are_forgotten():
    gate, loaded, all_done = threading.Event(), [], threading.Event()

    def ready(key, picture):
        loaded.append(key)
        if key == 96:
            all_done.set()

    queue = PictureQueue(ready, workers=1, most=4)
    queue.want("first", lambda: gate.wait(300) or np.zeros(1))
    while queue.waiting:
        time.sleep(0.001)
    for number in range(100):
        queue.want(number, lambda: np.zeros(1))
    gate.set()
    assert all_done.wait(300)
    queue.stop()
    assert loaded == ["first", 99, 98, 97, 96]


def test_an_error_is_delivered_in_place_of_the_picture():
    got, done = [], threading.Event()

    def ready(key, picture):
        got.append(picture)
        done.set()

    def broken():
        raise InputError("bad file")

    queue = PictureQueue(ready)
    queue.want(1, broken)
    assert done.wait(300)
    queue.stop()
    assert str(got[0]) == "bad file"
