"""A look at a few images before a run: those that cannot be read, and label maps in place of photographs."""

import numpy as np
import pytest
from PIL import Image

from crots.data.pixels import like_labels, unread
from crots.images import write_image
from crots.label_files import write_labels
from tests.banded import write_tiff

RNG = np.random.default_rng(5)


def photographs(folder, count, side=64):
    paths = [folder / f"{number:02}.png" for number in range(count)]
    for path in paths:
        write_image(path, RNG.integers(0, 256, (side, side, 3), np.uint8))
    return paths


def test_small_images_are_all_decoded_and_of_large_ones_a_few(tmp_path, monkeypatch):
    paths = photographs(tmp_path, 20)
    paths[1].write_bytes(paths[1].read_bytes()[:3000])
    faults, checked = unread(paths)
    assert checked == 20 and [paths[1].name in str(fault) for fault in faults] == [True]
    monkeypatch.setattr("crots.data.pixels._AFFORDABLE", 10 * 64 * 64)
    assert unread(paths)[1] < 20
    monkeypatch.setattr("crots.data.pixels._AFFORDABLE", 0)
    assert unread(paths) == ([], 6)


def test_what_has_to_be_chosen_before_an_image_can_be_read_is_a_field_of_its_fault(tmp_path):
    write_tiff(tmp_path / "a.tif", np.full((8, 8, 5), 100, np.uint16))
    ((fault,), checked) = unread([tmp_path / "a.tif"])
    assert (fault.field, checked) == ("data.bands", 1)
    assert unread([]) == ([], 0)


@pytest.mark.parametrize("coloured", [False, True])
def test_label_maps_look_like_labels_and_photographs_do_not(tmp_path, coloured):
    ids = np.resize(np.arange(11, dtype=np.uint8), (48, 64))
    for number in range(3):
        write_labels(tmp_path / f"{number}.png", ids)
        if coloured:
            Image.fromarray(np.stack([ids * 20, ids, 255 - ids], axis=-1)).save(tmp_path / f"{number}.png")
    labels = sorted(tmp_path.iterdir())
    assert like_labels(labels)
    assert not like_labels(photographs(tmp_path / "photos", 3))
    assert not like_labels([*labels, *photographs(tmp_path / "photos", 1)])
    assert not like_labels([])


def test_a_single_colour_and_a_lossy_file_are_no_labels(tmp_path):
    write_image(tmp_path / "grey.png", np.full((48, 64, 3), 80, np.uint8))
    Image.fromarray(np.resize(np.arange(4, dtype=np.uint8) * 60, (48, 64))).save(tmp_path / "few.jpg")
    assert not like_labels([tmp_path / "grey.png"])
    assert not like_labels([tmp_path / "few.jpg"])
