import shutil
from pathlib import Path

import pytest

from crots.data.datasets import open_dataset
from crots.data.layouts import LAYOUTS
from crots.errors import InputError
from crots.taxonomy import ClassSet, load_class_set
from tests.data.trees import label_names, touch

CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"


def test_cityscapes(cityscapes):
    dataset = open_dataset(cityscapes)
    assert (dataset.layout, dataset.split, dataset.encoding) == ("cityscapes", "train", "raw")
    assert dataset.root == cityscapes / "leftImg8bit" / "train"
    assert dataset.keys == ("aachen/aachen_000000_000019_leftImg8bit", "ulm/ulm_000000_000019_leftImg8bit")
    assert label_names(dataset) == ["aachen_000000_000019_gtFine_labelIds.png", "ulm_000000_000019_gtFine_labelIds.png"]
    assert dataset.labelled == len(dataset) == 2


@pytest.mark.parametrize("picked", ["", "leftImg8bit", "leftImg8bit/val", "leftImg8bit/val/bonn"])
def test_cityscapes_from_any_folder(cityscapes, picked):
    dataset = open_dataset(cityscapes / picked, split="val")
    assert (dataset.layout, dataset.split, dataset.labelled) == ("cityscapes", "val", 1)
    assert dataset.keys[0].endswith("bonn_000000_000019_leftImg8bit")


def test_cityscapes_encodings(cityscapes):
    touch(cityscapes, "gtFine/val/bonn/bonn_000000_000019_gtFine_labelTrainIds.png")
    plain = ClassSet.from_dict({"name": "no raw ids", "names": ["a"]})
    options = {"split": "val"}
    assert open_dataset(cityscapes, **options).encoding == "raw"
    assert open_dataset(cityscapes, **options, classes=plain).encoding == "train"
    chosen = open_dataset(cityscapes, **options, encoding="colour")
    assert (chosen.encoding, label_names(chosen)) == ("colour", ["bonn_000000_000019_gtFine_color.png"])
    only_train = open_dataset(cityscapes, **options, encoding="train")
    assert label_names(only_train) == ["bonn_000000_000019_gtFine_labelTrainIds.png"]


def test_images_made_of_a_frame_share_its_label(cityscapes):
    name = "leftImg8bit_rain/train/ulm/ulm_000000_000019_leftImg8bit_rain_alpha_0.0{}_pattern_{}.png"
    touch(cityscapes, *(name.format(alpha, pattern) for alpha in (1, 2) for pattern in (1, 12)))
    images, labels = cityscapes / "leftImg8bit_rain/train", cityscapes / "gtFine/train"
    for dataset in (open_dataset(images), open_dataset(images, labels=labels, layout="folder"),
                    open_dataset(images / "ulm", labels=labels / "ulm", layout="folder")):  # fmt: skip
        assert label_names(dataset) == ["ulm_000000_000019_gtFine_labelIds.png"] * 4
        assert dataset.encoding == "raw"
    assert open_dataset(cityscapes).layout == "cityscapes"


def test_labels_of_the_left_camera_are_not_used_for_the_right_one(cityscapes, tmp_path):
    touch(cityscapes, "rightImg8bit/train/ulm/ulm_000000_000019_rightImg8bit.png")
    with pytest.raises(InputError, match="are of the left camera, and do not fit images of the right one"):
        open_dataset(cityscapes / "rightImg8bit/train", labels=cityscapes / "gtFine/train")
    assert open_dataset(cityscapes / "rightImg8bit").labelled == 0
    shutil.rmtree(cityscapes / "leftImg8bit")
    both = open_dataset(cityscapes)
    assert both.labelled == 0 and "of the left camera" in both.why_unlabelled
    kitti = touch(tmp_path / "kitti", *(f"training/{folder}/000001_10.png" for folder in ("image_3", "semantic")))
    with pytest.raises(InputError, match="of the left camera"):
        open_dataset(kitti / "training/image_3", labels=kitti / "training/semantic")


def test_splits_of_a_year(tmp_path):
    names = ("images/{0}/{1}.jpg", "annotations/{0}/{1}.png")
    root = touch(tmp_path, *(name.format(*one) for name in names for one in (("train2017", 9), ("val2017", 25))))
    for split, stem in (("train", "9"), ("val", "25")):
        dataset = open_dataset(root, split=split)
        assert (dataset.layout, dataset.split, dataset.keys, dataset.labelled) == ("pairs", split, (stem,), 1)
    with pytest.raises(InputError, match="found train2017, val2017, expected the split test"):
        open_dataset(root, split="test")


@pytest.mark.parametrize(
    ("images", "labels"),
    [("seq1/Images", "seq2/Labels"), ("image_01/rect", "image_00/semantic"), ("train/a", "gt/val"), ("left", "right")],
)
def test_labels_of_another_part_are_a_warning(tmp_path, images, labels):
    touch(tmp_path, f"{images}/0001.jpg", f"{labels}/0001.png")
    dataset = open_dataset(tmp_path / images, labels=tmp_path / labels)
    assert dataset.labelled == 1
    assert any(note.warning and "make sure that they belong together" in note.text for note in dataset.notes)
    same = open_dataset(tmp_path / images, labels=touch(tmp_path / "x", "0001.png"))
    assert not any(note.warning for note in same.notes)


def test_archives_of_the_coarse_labels(cityscapes):
    image = "leftImg8bit_trainextra/leftImg8bit/train_extra/ulm/ulm_000000_000019_leftImg8bit.png"
    root = touch(cityscapes / "extra", image, "gtCoarse/train_extra/ulm/ulm_000000_000019_gtCoarse_labelIds.png")
    for picked in (root, root / image.removesuffix(image.rpartition("/")[2])):
        assert open_dataset(picked, split="train_extra").labelled == 1


def test_cityscapes_needs_no_labels(cityscapes):
    for path in (cityscapes / "gtFine").rglob("*aachen*.png"):
        path.unlink()
    dataset = open_dataset(cityscapes)
    assert label_names(dataset) == [None, "ulm_000000_000019_gtFine_labelIds.png"]
    assert "1 of 2 images have no label" in dataset.notes[0].text


def test_cityscapes_of_an_absent_split_lists_the_others(cityscapes):
    with pytest.raises(InputError, match=r"found train, val, expected the split test"):
        open_dataset(cityscapes, split="test")


def test_gta5(tmp_path):
    touch(tmp_path, "images/00001.png", "images/00002.png", "labels/00001.png", "labels/00002.png")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.encoding, dataset.keys) == ("gta5", "auto", ("00001", "00002"))
    assert dataset.labelled == 2


def test_synthia(tmp_path):
    touch(tmp_path, "RAND_CITYSCAPES/RGB/0000000.png", "RAND_CITYSCAPES/GT/LABELS/0000000.png")
    for picked in (tmp_path, tmp_path / "RAND_CITYSCAPES"):
        dataset = open_dataset(picked)
        assert (dataset.layout, dataset.encoding, dataset.keys) == ("synthia", "synthia", ("0000000",))
        assert dataset.labelled == 1


def test_camvid_of_segnet(tmp_path):
    touch(tmp_path, "train/a.png", "trainannot/a.png", "test/b.png", "testannot/b.png")
    dataset = open_dataset(tmp_path, split="test")
    assert (dataset.layout, dataset.keys, dataset.labelled) == ("camvid", ("b",), 1)
    with pytest.raises(InputError, match="found the splits train, test, expected val"):
        open_dataset(tmp_path, split="val")


def test_camvid_with_coloured_labels(tmp_path):
    touch(tmp_path, "train/0001TP_006690.png", "train_labels/0001TP_006690_L.png")
    assert label_names(open_dataset(tmp_path)) == ["0001TP_006690_L.png"]


def test_pairs_with_and_without_splits(tmp_path):
    touch(tmp_path / "flat", "images/x/a.jpg", "masks/x/a.png")
    flat = open_dataset(tmp_path / "flat")
    assert (flat.layout, flat.keys, flat.labelled) == ("pairs", ("x/a",), 1)
    touch(tmp_path / "split", "images/train/a.jpg", "images/val/b.jpg", "labels/val/b.png")
    assert open_dataset(tmp_path / "split").labelled == 0
    assert open_dataset(tmp_path / "split", split="val").labelled == 1


def test_plain_folder(tmp_path):
    touch(tmp_path, "b.jpg", "deep/er/a.webp", "deep/c.TIFF", "deep/notes.txt", "x_gtFine_labelIds.png")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.split) == ("folder", "")
    assert dataset.keys == ("b", "deep/c", "deep/er/a"), "sorted by key"
    assert "1 label files" in dataset.notes[0].text


def test_folders_named_after_splits_are_splits_whatever_is_in_them(tmp_path):
    root = touch(tmp_path / "set", "Train/Image/1.tif", "Train/Image/2.tif", "Valid/Image/3.tif", "README.txt")
    for picked in (root, tmp_path):
        found = {split: open_dataset(picked, split=split) for split in ("train", "val")}
        assert [(one.layout, one.split) for one in found.values()] == [("splits", "train"), ("splits", "val")]
        assert [one.keys for one in found.values()] == [("Image/1", "Image/2"), ("Image/3",)]
        with pytest.raises(InputError, match="found Train, Valid, expected the split test"):
            open_dataset(picked, split="test")
    # What lies beside them says that they are no splits.
    assert len(open_dataset(touch(root, "photo.png"))) == 4
    assert len(open_dataset(touch(tmp_path / "trains", "train/1.jpg", "bus/1.jpg"))) == 2
    assert len(open_dataset(touch(tmp_path / "one", "test/1.jpg", "testing/2.jpg"), split="val")) == 2


def test_layout_can_be_forced(cityscapes):
    dataset = open_dataset(cityscapes / "leftImg8bit", layout="folder")
    assert len(dataset) == 3 and dataset.labelled == 0
    with pytest.raises(InputError, match="not of the layout gta5"):
        open_dataset(cityscapes, layout="gta5")
    with pytest.raises(InputError, match="did you mean cityscapes"):
        open_dataset(cityscapes, layout="cityscape")
    with pytest.raises(InputError, match="unknown encoding"):
        open_dataset(cityscapes, encoding="rgb")


def test_every_layout_says_what_it_looks_for():
    assert all(detector.__doc__ and detector.__doc__.endswith(".") for detector in LAYOUTS.values())


@pytest.mark.skipif(not CAMVID.is_dir(), reason="shared data is not here")
def test_shared_camvid():
    train, val = open_dataset(CAMVID), open_dataset(CAMVID, split="val")
    assert (train.layout, len(train), train.labelled) == ("camvid", 367, 0)
    assert (val.layout, len(val), val.labelled) == ("camvid", 101, 101)
    given = open_dataset(CAMVID / "images/val", labels=CAMVID / "labels/val", classes=load_class_set("camvid"))
    assert [sample.label for sample in given.samples] == [
        (CAMVID / "labels/val" / f"{key}.png").absolute() for key in given.keys
    ]
    assert list(given.keys) == sorted(given.keys)
