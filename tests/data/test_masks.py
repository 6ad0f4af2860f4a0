"""Masks among the images of a folder are no targets, and what is left out is counted with its reason."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from crots.data.datasets import open_dataset
from crots.data.inspection import inspect
from crots.data.pixels import pixel_warnings
from crots.errors import InputError
from crots.image_formats import UNREAD
from crots.images import write_image
from crots.label_files import write_labels

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
MASK = np.kron([[0, 1], [2, 0]], np.ones((12, 16), np.uint8)).astype(np.uint8)
DEPTH = (np.arange(24 * 32, dtype=np.uint16) * 61).reshape(24, 32)


def write_pixels(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, PHOTO)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.jpg", "{}_mask.png"),
        ("{}.png", "{}_mask.png"),
        ("{}.jpg", "{}.png"),
        ("{}_rgb.png", "{}_seg.png"),
        ("img_{}.png", "gt_{}.png"),
        ("{}.ppm", "{}.ah.pgm"),
        ("day/{}.tif", "day/{}.label.tif"),
        ("{}.jpg", "{}.jpg.png"),
    ],
)
@pytest.mark.parametrize("names", ["1 2 3", "a b c", "road_0 road_1 road_10"])
def test_images_and_masks_in_one_folder(tmp_path, image, mask, names):
    for name in names.split():
        photo(tmp_path / image.format(name))
        path = tmp_path / mask.format(name)
        Image.fromarray(MASK).save(path)
    dataset = open_dataset(tmp_path)
    assert sorted(sample.image.name for sample in dataset.samples) == sorted(
        (tmp_path / image.format(name)).name for name in names.split()
    )
    assert dataset.labelled == 3
    assert all(
        sample.label.name.startswith(sample.key.rsplit("/")[-1][:1]) or "gt_" in mask for sample in dataset.samples
    )
    assert "3 label files among the images were left out" in dataset.notes[0].text
    assert inspect(tmp_path).counts == {"images": 3, "labels": 3}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("rgb/{}.png", "seg/{}.png"),
        ("{}/image.png", "{}/label.png"),
        ("{}/rgb/0.png", "{}/semantic/0.png"),
        ("Original/{}.tif", "Ground Truth/{}.tif"),
        ("left/{}.png", "labels/{}.png"),
        ("left/{}.png", "labels/{}_gt.png"),
        ("street/train_img/{}.bmp", "street/train_mask/{}.bmp"),
    ],
)
@pytest.mark.parametrize("count", [3, 40])
def test_images_and_masks_of_one_format_in_folders_of_their_own(tmp_path, image, mask, count):
    for number in range(count):
        photo(tmp_path / image.format(number))
        write_pixels(tmp_path / mask.format(number), MASK)
    dataset = open_dataset(tmp_path)
    wanted = {tmp_path / image.format(number): tmp_path / mask.format(number) for number in range(count)}
    assert {sample.image: sample.label for sample in dataset.samples} == wanted
    assert f"{count} label files among the images were left out" in dataset.notes[0].text


def test_masks_of_names_that_end_in_numbers_of_several_lengths_are_no_images(tmp_path):
    for name in ("mosaic_area1", "mosaic_area3", "mosaic_area11", "mosaic_area38"):
        photo(tmp_path / "top" / f"{name}.tif")
        write_pixels(tmp_path / "gts_of_all" / f"{name}.tif", MASK)
    dataset = open_dataset(tmp_path)
    assert (len(dataset), dataset.labelled) == (4, 4)
    assert all(sample.image.parent.name == "top" for sample in dataset.samples)


def test_photographs_of_several_drives_are_all_images(tmp_path):
    for drive in ("berlin", "ulm", "0001"):
        for number in range(3):
            photo(tmp_path / drive / f"{number}.png")
    assert len(open_dataset(tmp_path)) == 9


def test_one_odd_mask_among_photographs(tmp_path):
    for number in range(4):
        photo(tmp_path / f"{number}.jpg")
    write_labels(tmp_path / "ego_mask.png", MASK)
    dataset = open_dataset(tmp_path)
    assert dataset.keys == ("0", "1", "2", "3") and "ego_mask.png" in dataset.notes[0].text
    (tmp_path / "2.jpg").write_bytes(b"broken")
    found = inspect(tmp_path)
    assert found.kind == "data set" and len(found.problems) == 1 and "2.jpg" in found.problems[0]


def test_an_odd_name_among_images_of_few_values_is_an_image(tmp_path):
    for number in range(6):
        write_pixels(tmp_path / f"drawing_{number}.png", MASK)
    write_pixels(tmp_path / "cover.png", MASK)
    assert len(open_dataset(tmp_path)) == 7


@pytest.mark.parametrize("odd", ["ego_mask.png", "mask.png", "sub/roi.png"])
def test_one_odd_mask_among_photographs_of_its_own_format(tmp_path, odd):
    for number in range(6):
        photo(tmp_path / f"frame_{number:04}.png")
    write_pixels(tmp_path / odd, MASK)
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 6 and odd in dataset.notes[0].text


@pytest.mark.parametrize(
    ("image", "other", "values"),
    [
        ("{}_color.jpg", "{}_depth.png", "depth"),
        ("rgb_{:04}.png", "depth_{:04}.png", "depth"),
        ("rgb/{}.png", "depth/{}.png", "depth"),
        ("{}_color.jpg", "{}_depth.tiff", "metres"),
        ("{}.jpg", "{}_instance.png", "instances"),
    ],
)
def test_depths_and_instances_are_no_labels(tmp_path, image, other, values):
    for number in range(3):
        photo(tmp_path / image.format(number))
        path = tmp_path / other.format(number)
        path.parent.mkdir(exist_ok=True)
        found = {"depth": DEPTH, "metres": DEPTH.astype(np.float32) / 7, "instances": MASK.astype(np.uint16) * 1000}
        Image.fromarray(found[values]).save(path)
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 3 and dataset.labelled == 0
    assert "3 files of numbers that are not classes" in dataset.notes[0].text


def test_labels_are_chosen_beside_pictures_and_instances_of_them(tmp_path):
    for number in range(3):
        photo(tmp_path / f"{number}.jpg")
        write_pixels(tmp_path / f"{number}_label.png", MASK)
        write_pixels(tmp_path / f"{number}_color.png", np.repeat(MASK[..., None] * 80, 3, 2))
        Image.fromarray(MASK.astype(np.uint16) * 1000).save(tmp_path / f"{number}_instance.png")
    dataset = open_dataset(tmp_path)
    assert [sample.label.name for sample in dataset.samples] == ["0_label.png", "1_label.png", "2_label.png"]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_named_like_other_images_are_reported_and_take_no_labels(tmp_path, suffix):
    for number in range(3):
        photo(tmp_path / f"{number}.jpg")
        photo(tmp_path / f"{number}_overlay.{suffix}")
        write_pixels(tmp_path / f"{number}_mask.png", MASK)
    dataset = open_dataset(tmp_path)
    labelled = {sample.image.name: sample.label.name for sample in dataset.samples if sample.label}
    assert labelled == {f"{number}.jpg": f"{number}_mask.png" for number in range(3)}
    assert any(
        "3 of 6 images have the names of others but for a word (0_overlay" in note.text for note in dataset.notes
    )


@pytest.mark.parametrize("names", ["road_a road_b road_c", "cam_x1 cam_x2 cam_x3", "1_north 2_south 3_north", "a b c"])
def test_images_with_names_of_their_own_are_not_taken_for_pictures_of_others(tmp_path, names):
    for name in names.split():
        photo(tmp_path / f"{name}.png")
    assert open_dataset(tmp_path).notes == ()


def test_photographs_of_two_cameras_are_all_images(tmp_path):
    for number in range(3):
        for side in ("left", "right"):
            photo(tmp_path / f"{number}_{side}.png")
        photo(tmp_path / f"{number}.jpg")
    assert len(open_dataset(tmp_path)) == 9


def test_a_folder_of_masks_alone_is_listed(tmp_path):
    for number in range(3):
        write_labels(tmp_path / f"{number}_x.png", MASK)
        write_labels(tmp_path / f"{number}.png", MASK)
    assert len(open_dataset(tmp_path)) in (3, 6)


def test_what_is_left_out_is_counted(tmp_path):
    photo(tmp_path / "ok.jpg")
    for name in ("a.DNG", "b.dng", "c.mp4", "d.ppm.gz", "._ok.jpg", ".hidden.png", "notes.txt", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    dataset = open_dataset(tmp_path)
    assert dataset.keys == ("ok",)
    for words in (
        "2 .dng (a camera's raw file",
        "1 .mp4 (a video",
        "1 .gz (compressed; unpack it)",
        "2 hidden files",
        "1 dead links",
    ):
        assert words in dataset.notes[0].text
    (tmp_path / "ok.jpg").unlink()
    with pytest.raises(InputError, match=re.escape("found no images (left out: 2 .dng")):
        open_dataset(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_are_left_out_and_counted(tmp_path):
    photo(tmp_path / "ok.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert open_dataset(tmp_path).notes[0].text == "left out: 1 pipes or devices"


@pytest.mark.skipif(".heic" not in UNREAD, reason="pillow-heif is installed")
def test_heic_says_what_to_install(tmp_path):
    photo(tmp_path / "ok.jpg")
    (tmp_path / "IMG_1.HEIC").touch()
    assert "1 .heic (pip install 'crots-studio[heif]' to read it)" in open_dataset(tmp_path).notes[0].text
    with pytest.raises(InputError, match="crots-studio"):
        open_dataset(tmp_path / "IMG_1.HEIC")


@pytest.mark.parametrize(("factor", "bits"), [(16, 12), (1, 8), (257, 0), (64, 14)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bits_of_which_few_are_used(tmp_path, factor, bits, suffix, colour):
    cv2 = pytest.importorskip("cv2")
    values = PHOTO.astype(np.uint16) * factor
    cv2.imwrite(str(tmp_path / f"a{suffix}"), values if colour else values[..., 0])
    warning = "".join(warning.text for warning in pixel_warnings([tmp_path / f"a{suffix}"]))
    assert bool(warning) == bool(bits)
    if bits:
        assert f"use {bits} of them" in warning
        assert any("16 bits" in line for line in inspect(tmp_path).summary)
    write_image(tmp_path / "a.png", PHOTO)
    assert pixel_warnings([tmp_path / "a.png"]) == ()


def test_labels_beside_the_images_may_be_named_by_their_folder(tmp_path):
    for number in range(3):
        photo(tmp_path / f"{number}.png")
        write_labels(tmp_path / f"{number}_mask.png", MASK)
    assert open_dataset(tmp_path, labels=tmp_path).labelled == 3


def test_masks_named_by_another_pattern_are_none_of_the_images(tmp_path):
    for number in range(1, 5):
        photo(tmp_path / f"T1_{number}.png")
        write_labels(tmp_path / f"label{number:03}.png", MASK)
    dataset = open_dataset(tmp_path)
    assert [sample.image.name for sample in dataset.samples] == [f"T1_{number}.png" for number in range(1, 5)]
