"""Data sets as they are released are understood from their root and from parts of it, without renaming a file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crots.data.datasets import open_dataset
from crots.data.inspection import inspect
from crots.data.labels import read_truth, resolve_encoding
from crots.data.layouts import LAYOUTS, AmbiguousLayout
from crots.data.releases import RELEASES
from crots.errors import InputError
from crots.taxonomy import ClassSet, load_class_set

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8))


def save(root: Path, images: str, labels: str, ids, *, numbers=(1, 2), colours=None, palette=None):
    """Writes photographs and labels under names with a number in them."""
    for number in numbers:
        for name, picture in ((images, PHOTO), (labels, None)):
            if not name:
                continue
            path = root / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.resize(np.array(ids, np.uint8), (8, 12))
            if picture is None:
                picture = Image.fromarray(values if colours is None else np.array(colours, np.uint8)[values])
                if palette is not None:
                    picture.putpalette(palette)
            picture.save(path)
    return root


# By layout: images, labels, ids in them, class set, train ids of the first pixels, and a part that may be picked too.
CITY = "ulm_000000_00000{}"
TREES = {
    "cityscapes": (
        f"leftImg8bit/val/ulm/{CITY}_leftImg8bit.png", f"gtFine/val/ulm/{CITY}_gtFine_labelIds.png",
        [7, 26, 0], "cityscapes", [0, 13, 255], "leftImg8bit/val/ulm",
    ),
    **{f"{name}-{beta}": (f"{folder}/val/ulm/{CITY}_leftImg8bit_foggy_beta_{beta}.png",
                          f"gtFine/val/ulm/{CITY}_gtFine_labelIds.png",
                          [7, 26, 0], "cityscapes", [0, 13, 255], f"{folder}/val")
       for name, folder in (("cityscapes-foggy", "leftImg8bit_foggy"),
                            ("cityscapes-foggy-dbf", "leftImg8bit_foggyDBF")) for beta in ("0.005", "0.01", "0.02")},
    "cityscapes-rain": (
        f"leftImg8bit_rain/val/ulm/{CITY}_leftImg8bit_rain_alpha_0.01_beta_0.005_dropsize_0.01_pattern_1.png",
        f"gtFine/val/ulm/{CITY}_gtFine_labelIds.png", [7, 26, 0], "cityscapes", [0, 13, 255], "leftImg8bit_rain/val",
    ),
    "cityscapes-sequence": (
        f"leftImg8bit_sequence/val/ulm/{CITY}_leftImg8bit.png", f"gtFine/val/ulm/{CITY}_gtFine_labelIds.png",
        [7, 26, 0], "cityscapes", [0, 13, 255], "leftImg8bit_sequence/val/ulm",
    ),
    "gta5": ("images/0000{}.png", "labels/0000{}.png", [7, 26, 34], "gta5", [0, 13, 255], ""),
    "synthia": ("RAND_CITYSCAPES/RGB/000000{}.png", "RAND_CITYSCAPES/parsed_LABELS/000000{}.png",
                [3, 8, 0], "synthia", [0, 13, 255], "RAND_CITYSCAPES"),
    "camvid": ("val/0001TP_00{}.png", "valannot/0001TP_00{}.png", [0, 10, 11], "camvid", [0, 10, 255], ""),
    "camvid-raw": ("701_StillsRaw_full/0001TP_00{}.png", "LabeledApproved_full/0001TP_00{}_L.png",
                   [0, 1, 2], "camvid32", [17, 5, 255], "701_StillsRaw_full"),
    "idd": ("leftImg8bit/val/47/frame{}_leftImg8bit.png", "gtFine/val/47/frame{}_gtFine_labellevel3Ids.png",
            [0, 25, 255], "idd", [0, 25, 255], "leftImg8bit/val"),
    "acdc": ("rgb_anon/fog/val/G1/G1_frame_{}_rgb_anon.png", "gt/fog/val/G1/G1_frame_{}_gt_labelTrainIds.png",
             [0, 18, 255], "cityscapes", [0, 18, 255], "rgb_anon"),
    "acdc-archives": ("rgb_anon_trainvaltest/rgb_anon/fog/val/G1/G1_frame_{}_rgb_anon.png",
                      "gt_trainval/gt/fog/val/G1/G1_frame_{}_gt_labelTrainIds.png",
                      [0, 18, 255], "cityscapes", [0, 18, 255], "rgb_anon_trainvaltest"),
    "dark-zurich": ("rgb_anon/val/night/G/G_{}_rgb_anon.png", "gt/val/night/G/G_{}_gt_labelTrainIds.png",
                    [0, 18, 255], "cityscapes", [0, 18, 255], "rgb_anon/val"),
    "bdd100k": ("bdd100k/images/10k/val/ab-{}.jpg", "bdd100k/labels/sem_seg/masks/val/ab-{}.png",
                [0, 18, 255], "cityscapes", [0, 18, 255], "bdd100k/images/10k"),
    "bdd100k-old": ("bdd100k/seg/images/val/ab-{}.jpg", "bdd100k/seg/labels/val/ab-{}_train_id.png",
                    [0, 18, 255], "cityscapes", [0, 18, 255], "bdd100k/seg"),
    "mapillary": ("validation/images/x{}.jpg", "validation/v1.2/labels/x{}.png",
                  [13, 64, 65], "mapillary", [13, 64, 255], "validation"),
    "kitti": ("training/image_2/00000{}_10.png", "training/semantic/00000{}_10.png",
              [7, 26, 0], "cityscapes", [0, 13, 255], "training"),
    "voc": ("VOCdevkit/VOC2012/JPEGImages/2007_{}.jpg", "VOCdevkit/VOC2012/SegmentationClass/2007_{}.png",
            [0, 20, 255], "voc", [0, 20, 255], "VOCdevkit/VOC2012"),
    "ade20k": ("ADE/images/validation/ADE_val_0000000{}.jpg", "ADE/annotations/validation/ADE_val_0000000{}.png",
               [1, 150, 0], "ade20k", [0, 149, 255], "ADE/images/validation"),
    "loveda": ("Val/Urban/images_png/{}.png", "Val/Urban/masks_png/{}.png", [1, 7, 0], "loveda", [0, 6, 255], "Val"),
    "uavid": ("uavid_val/seq16/Images/000{}00.png", "uavid_val/seq16/Labels/000{}00.png",
              [0, 1, 2], "uavid", [0, 1, 2], "uavid_val/seq16"),
    "aeroscapes": ("JPEGImages/00000{}_001.jpg", "SegmentationClass/00000{}_001.png",
                   [0, 11, 10], "aeroscapes", [0, 11, 10], "JPEGImages"),
    **{f"potsdam-{bands.lower()}": (f"{folder}/top_potsdam_2_{{}}_{bands}.tif",
                                    "5_Labels_all/top_potsdam_2_{}_label.tif", [0, 1, 2], "isprs", [0, 4, 255], folder)
       for bands, folder in (("RGB", "2_Ortho_RGB"), ("IRRG", "3_Ortho_IRRG"), ("RGBIR", "4_Ortho_RGBIR"))},
    "vaihingen": ("top/top_mosaic_09cm_area{}.tif", "gts_for_participants/top_mosaic_09cm_area{}.tif",
                  [0, 1, 2], "isprs", [0, 4, 255], "top"),
    "drive": ("test/images/2{}_test.tif", "test/1st_manual/2{}_manual1.gif", [0, 255, 0], "vessels", [0, 1, 0], "test"),
    "stare": ("stare-images/im000{}.ppm", "labels-ah/im000{}.ah.ppm",
              [0, 255, 0], "vessels", [0, 1, 0], "stare-images"),
    "chase": ("Image_0{}L.jpg", "Image_0{}L_1stHO.png", [0, 255, 0], "vessels", [0, 1, 0], ""),
    "labelme-folders": ("x{}_json/img.png", "x{}_json/label.png", [0, 10, 11], "camvid", [0, 10, 255], ""),
    "hrf": ("images/0{}_dr.JPG", "manual1/0{}_dr.tif", [0, 255, 0], "vessels", [0, 1, 0], "images"),
    "cityscapes-export": ("imgsFine/leftImg8bit/val/a{}_leftImg8bit.png", "gtFine/val/a{}_gtFine_labelIds.png",
                          [0, 10, 11], "camvid", [0, 10, 255], "imgsFine/leftImg8bit/val"),
    "mmsegmentation": ("img_dir/val/{}.jpg", "ann_dir/val/{}.png", [0, 10, 11], "camvid", [0, 10, 255], "img_dir"),
    "splits-of-pairs": ("val/images/{}.jpg", "val/masks/{}_mask.png", [0, 10, 11], "camvid", [0, 10, 255], "val"),
    "pairs": ("images/val/{}.jpg", "masks/val/{}.png", [0, 10, 11], "camvid", [0, 10, 255], ""),
}  # fmt: skip
_ISPRS = [(255, 255, 255), (255, 255, 0), (0, 0, 0)]
COLOURS = {
    "uavid": [(0, 0, 0), (128, 0, 0), (128, 64, 128)],
    "camvid-raw": [(128, 64, 128), (64, 0, 128), (0, 0, 0)],
    **dict.fromkeys(("potsdam-rgb", "potsdam-irrg", "potsdam-rgbir", "vaihingen"), _ISPRS),
}


def _beside(name: str, root: Path) -> None:
    """What else marks a release."""
    if name == "labelme-folders":
        save(root, "x{}_json/label_viz.png", "", [0])
    elif name == "aeroscapes":
        save(root, "Visualizations/00000{}_001.png", "", [0])
        (root / "ImageSets").mkdir()
        (root / "ImageSets" / "val.txt").write_text("000001_001\n000002_001\n")
        (root / "ImageSets" / "trn.txt").write_text("000003_001\n")


@pytest.fixture(params=sorted(TREES))
def tree(request, tmp_path):
    """The layout's name and the root of a small data set of it."""
    images, labels, ids, classes, wanted, part = TREES[request.param]
    save(tmp_path, images, labels, ids, colours=COLOURS.get(request.param))
    _beside(request.param, tmp_path)
    return request.param, tmp_path, load_class_set(classes), wanted, part


def test_every_release_has_a_tree():
    # Outlines have tests of their own, and so have folders that hold what they like.
    assert set(TREES) == set(LAYOUTS) - {"folder", "coco", "splits"}
    assert set(RELEASES) < set(TREES)


def test_a_release_is_known_at_its_root_and_at_a_part(tree):
    name, root, classes, wanted, part = tree
    for picked in {root, root / part}:
        dataset = open_dataset(picked, split="val", classes=classes)
        assert (dataset.layout, len(dataset), dataset.labelled) == (name, 2, 2), picked
    assert read_truth(dataset.samples[0], dataset, classes).ravel()[:3].tolist() == wanted
    found = inspect(root, classes)
    assert found.problems == () and found.counts == {"images": 2, "labels": 2}, found.summary


@pytest.mark.parametrize("tree", sorted(set(TREES) - {"labelme-folders"}), indirect=True)
def test_the_labels_of_a_release_may_be_named_by_any_folder_around_them(tree):
    """More lies there than the labels of these images: the images of other parts of LoveDA, lists, other splits."""
    name, root, classes, wanted, _ = tree
    images, labels, ids, *_ = TREES[name]
    if name == "loveda":
        save(root, images.replace("Urban", "Rural"), labels.replace("Urban", "Rural"), ids, numbers=[7, 8])
    images_at, folder = (root / images).parent, (root / labels).parent
    by_root = {sample.image: sample.label for sample in open_dataset(root, split="val", classes=classes).samples}
    while folder != root.parent:
        dataset = open_dataset(images_at, split="val", labels=folder, classes=classes)
        assert {sample.image: sample.label for sample in dataset.samples}.items() <= by_root.items(), folder
        assert len(dataset) == dataset.labelled == 2, folder
        dataset = resolve_encoding(dataset, classes)
        assert read_truth(dataset.samples[0], dataset, classes).ravel()[:3].tolist() == wanted, folder
        folder = folder.parent


def test_labels_are_told_from_the_images_of_another_part(tmp_path):
    """Rural with the labels in Val, which holds the images and labels of Urban too, was refused."""
    for part, numbers in (("Rural", (100, 101, 102)), ("Urban", (110, 111, 112))):
        save(tmp_path, f"Val/{part}/images_png/{{}}.png", f"Val/{part}/masks_png/{{}}.png", [1, 7, 0], numbers=numbers)
    classes = load_class_set("loveda")
    for labels in (tmp_path / "Val", tmp_path):
        dataset = open_dataset(tmp_path / "Val/Rural", split="val", labels=labels, classes=classes)
        assert {sample.label.parts[-3] for sample in dataset.samples} == {"Rural"}
        assert (len(dataset), dataset.labelled, dataset.encoding) == (3, 3, "raw")
    (tmp_path / "Val/Rural/images_png/100.png").unlink()
    with pytest.raises(InputError, match="found 3 labels for 2 images"):
        open_dataset(tmp_path / "Val/Rural", split="val", labels=tmp_path / "Val", classes=classes)
    (tmp_path / "Val/Rural/masks_png/101.png").unlink()
    with pytest.raises(InputError, match="found no label for 2 of 2 images"):
        open_dataset(tmp_path / "Val/Rural", split="val", labels=tmp_path / "Val", classes=classes)


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("chase", ["Image_0{}L_2ndHO.png"]),
        ("cityscapes", [f"gtFine/val/ulm/{CITY}_gtFine_{kind}.png" for kind in ("color", "instanceIds")]),
        ("idd", [f"gtFine/val/47/frame{{}}_gtFine_{kind}.png" for kind in ("labelcsTrainIds", "instancelevel3Ids")]),
        ("acdc", [f"gt/fog/val/G1/G1_frame_{{}}_gt_{kind}.png" for kind in ("labelColor", "invIds", "labelIds")]),
        ("mapillary", ["validation/v1.2/instances/x{}.png", "validation/v2.0/labels/x{}.png"]),
        ("drive", ["test/mask/2{}_test_mask.gif", "test/2nd_manual/2{}_manual2.gif"]),
    ],
)
def test_label_files_of_other_kinds_beside_are_no_labels_without_an_image(name, beside, tmp_path):
    images, labels, ids, classes, wanted, _ = TREES[name]
    save(tmp_path, images, labels, ids)
    for other in beside:
        save(tmp_path, "", other, [0, 1, 2])
    found = load_class_set(classes)
    for folder in ((tmp_path / labels).parent, tmp_path):
        dataset = open_dataset(tmp_path, split="val", labels=folder, classes=found)
        assert dataset.labelled == len(dataset) == 2 and inspect(tmp_path, found, labels=folder).problems == ()
        dataset = resolve_encoding(dataset, found)
        assert read_truth(dataset.samples[0], dataset, found).ravel()[:3].tolist() == wanted, folder


def test_labels_that_the_list_of_a_split_leaves_out_are_of_other_splits(tmp_path):
    save(tmp_path, "JPEGImages/2007_{}.jpg", "SegmentationClass/2007_{}.png", [0, 20, 255], numbers=(1, 2, 3))
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("2007_1\n2007_2\n")
    for labels in (tmp_path / "SegmentationClass", tmp_path):
        dataset = open_dataset(tmp_path, split="val", labels=labels, classes=load_class_set("voc"))
        assert (len(dataset), dataset.labelled) == (2, 2), labels


def test_the_images_of_another_split_are_no_labels(tmp_path):
    """Of UAVid, whose images and labels have the same names: those of val were given to the images of test."""
    images, labels, ids, classes, *_ = TREES["uavid"]
    save(tmp_path, images, labels, ids, colours=COLOURS["uavid"])
    save(tmp_path, "uavid_test/seq21/Images/000{}00.png", "", [0])
    classes = load_class_set(classes)
    for partial in (False, True):
        with pytest.raises(InputError, match="found no label for 2 of 2 images"):
            open_dataset(tmp_path, split="test", labels=tmp_path / "uavid_val", classes=classes, partial=partial)


def test_labels_of_a_folder_that_names_another_split_are_doubted(tmp_path):
    save(tmp_path, "set_train/{}.png", "set_val/{}.png", [0, 1])
    (note,) = open_dataset(tmp_path / "set_train", labels=tmp_path / "set_val").notes
    assert note.warning and "images of set_train are given labels of set_val" in note.text


@pytest.mark.parametrize("name", sorted(set(TREES) - {"chase", "labelme-folders"}))
def test_a_release_is_known_through_the_folders_of_archives(name, tmp_path):
    images, labels, ids, classes, wanted, _ = TREES[name]
    root = save(tmp_path / "unpacked" / "Data Set 1.2", images, labels, ids, colours=COLOURS.get(name))
    _beside(name, root)
    (tmp_path / "unpacked" / "__MACOSX" / "Data Set 1.2").mkdir(parents=True)
    (tmp_path / "unpacked" / "readme.txt").touch()
    for picked in (root.parent, tmp_path):
        dataset = open_dataset(picked, split="val", classes=load_class_set(classes))
        assert (dataset.layout, len(dataset), dataset.labelled) == (name, 2, 2), picked
        assert read_truth(dataset.samples[0], dataset, load_class_set(classes)).ravel()[:3].tolist() == wanted


def outlines(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = [{"label": name, "polygon": [[4 * x, 0], [4 * x + 3, 0], [4 * x + 3, 7], [4 * x, 7]]}
              for x, name in enumerate(names)]  # fmt: skip
    path.write_text(json.dumps({"imgHeight": 8, "imgWidth": 12, "objects": shapes}))


@pytest.mark.parametrize("frame", ["005506", "frame0029"])
def test_idd_as_it_is_downloaded_has_outlines_alone(tmp_path, frame):
    """It passed for Cityscapes, whose folders are cities."""
    for split in ("train", "val"):
        save(tmp_path, f"leftImg8bit/{split}/{{}}/{frame}_leftImg8bit.png", "", [0])
        for number in (1, 2):
            outlines(tmp_path / f"gtFine/{split}/{number}/{frame}_gtFine_polygons.json", "road", "autorickshaw", "sky")
    classes = load_class_set("idd")
    for picked in (tmp_path, tmp_path / "leftImg8bit", tmp_path / "leftImg8bit/val"):
        dataset = open_dataset(picked, split="val", classes=classes)
        assert (dataset.layout, len(dataset), dataset.labelled) == ("idd", 2, 2), picked
        dataset = resolve_encoding(dataset, classes)
        assert dataset.encoding == "polygons" and "outside of them are ignored" in dataset.notes[-1].text
        assert read_truth(dataset.samples[0], dataset, classes)[0, [0, 4, 8]].tolist() == [0, 8, 25]
    assert "the class set of this data set is idd" in [note.text for note in open_dataset(tmp_path).notes]
    # Drawn labels go first.
    for split in ("train", "val"):
        save(tmp_path, "", f"gtFine/{split}/{{}}/{frame}_gtFine_labellevel3Ids.png", [1])
    assert open_dataset(tmp_path, classes=classes).samples[0].label.suffix == ".png"


def test_outlines_of_cityscapes_are_not_those_of_idd(tmp_path):
    save(tmp_path, f"leftImg8bit/val/ulm/{CITY}_leftImg8bit.png", "", [0])
    for number in (1, 2):
        outlines(tmp_path / f"gtFine/val/ulm/{CITY}_gtFine_polygons.json".format(number), "road", "car", "sky")
    dataset = open_dataset(tmp_path, split="val", classes=load_class_set("cityscapes"))
    assert (dataset.layout, dataset.labelled) == ("cityscapes", 2)


def test_the_labels_of_bdd100k_are_one_folder_of_several(tmp_path):
    """Train ids, pictures of them and outlines of the same images: names alone do not decide."""
    for split in ("train", "val"):
        save(tmp_path, f"images/10k/{split}/{split}-{{}}.jpg", f"labels/sem_seg/masks/{split}/{split}-{{}}.png", [0, 8])
        save(tmp_path, f"labels/sem_seg/colormaps/{split}/{split}-{{}}.png", "", [0])
        (tmp_path / "labels/sem_seg/polygons").mkdir(exist_ok=True)
        (tmp_path / f"labels/sem_seg/polygons/sem_seg_{split}.json").write_text("[]")
    for classes in (load_class_set("cityscapes"), None):
        for labels in ("labels", "labels/sem_seg", "labels/sem_seg/masks"):
            dataset = open_dataset(tmp_path / "images/10k/val", split="val", labels=tmp_path / labels, classes=classes)
            assert (dataset.labelled, dataset.encoding) == (2, "train"), labels
            assert {sample.label.parts[-3] for sample in dataset.samples} == {"masks"}
    # The labels alone are of the splits that are there, and no images.
    assert inspect(tmp_path / "labels").counts == {"images": 4, "labels": 4}


def test_lists_of_other_names_make_up_the_splits_of_voc(tmp_path):
    save(tmp_path, "JPEGImages/00000{}_001.jpg", "SegmentationClass/00000{}_001.png", [0, 1], numbers=(1, 2, 3))
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "trn.txt").write_text("000001_001\n000002_001\n")
    (tmp_path / "ImageSets" / "val.txt").write_text("000003_001\n")
    for split, count in (("train", 2), ("val", 1)):
        dataset = open_dataset(tmp_path, split=split)
        assert (dataset.layout, dataset.split, len(dataset), dataset.labelled) == ("voc", split, count, count)
    assert open_dataset(tmp_path / "ImageSets" / "trn.txt").split == "train"
    with pytest.raises(InputError, match="found val, trn, expected the split test"):
        open_dataset(tmp_path, split="test")


def test_cityscapes_as_its_archives_unpack(tmp_path):
    for split in ("train", "val"):
        save(tmp_path, f"leftImg8bit_trainvaltest/leftImg8bit/{split}/ulm/{CITY}_leftImg8bit.png",
             f"gtFine_trainvaltest/gtFine/{split}/ulm/{CITY}_gtFine_labelIds.png", [7, 26, 0])  # fmt: skip
    for picked in (
        tmp_path,
        tmp_path / "leftImg8bit_trainvaltest",
        tmp_path / "leftImg8bit_trainvaltest/leftImg8bit/val",
    ):
        dataset = open_dataset(picked, split="val", classes=load_class_set("cityscapes"))
        assert (dataset.layout, dataset.split, len(dataset), dataset.labelled) == ("cityscapes", "val", 2, 2), picked


@pytest.mark.parametrize("word", ["val", "valid", "validation"])
@pytest.mark.parametrize("rest", ["test/images", "train/images", "test/mask"])
def test_splits_of_pairs_beside_a_split_without_labels(tmp_path, word, rest):
    save(tmp_path, f"{word}/images/{{}}.jpg", f"{word}/labels/{{}}.png", [0, 10, 11])
    save(tmp_path, f"{rest}/{{}}.jpg", "", [0])
    for picked in (tmp_path, tmp_path / word, tmp_path / word / "images"):
        dataset = open_dataset(picked, split="val", classes=load_class_set("camvid"))
        assert (dataset.layout, dataset.split, dataset.labelled) == ("splits-of-pairs", "val", 2), picked
        assert all(word in sample.image.parts for sample in dataset.samples)


def test_the_photographs_of_cityscapes_at_night(tmp_path):
    below = "test/night/a{}"
    save(tmp_path, f"leftImg8bit/{below}_leftImg8bit.png",
         f"gtCoarse_daytime_trainvaltest/{below}_gtCoarse_labelTrainIds.png", [0, 18, 255])  # fmt: skip
    dataset = open_dataset(tmp_path, split="test", classes=load_class_set("cityscapes"))
    assert (dataset.layout, len(dataset), dataset.labelled) == ("cityscapes", 2, 2)


def test_an_export_in_the_form_of_cityscapes_has_ids_of_its_own(tmp_path):
    for kind in ("labelIds", "color", "instanceIds"):
        save(tmp_path, "imgsFine/leftImg8bit/default/a{}_leftImg8bit.png",
             f"gtFine/default/a{{}}_gtFine_{kind}.png", [0, 2, 1])  # fmt: skip
    classes = ClassSet.from_dict({"name": "own", "names": ["background", "road", "car"]})
    dataset = resolve_encoding(open_dataset(tmp_path, classes=classes), classes)
    assert (dataset.layout, dataset.labelled, dataset.encoding) == ("cityscapes-export", 2, "train")
    assert read_truth(dataset.samples[0], dataset, classes).ravel()[:3].tolist() == [0, 2, 1]
    with pytest.raises(InputError, match="expected the split val"):
        open_dataset(tmp_path, split="val", classes=classes)


def test_two_folders_of_the_same_places_in_other_bands_are_a_question(tmp_path):
    folder = tmp_path / "Potsdam"
    classes = load_class_set("isprs")
    for name in ("potsdam-rgb", "potsdam-irrg"):
        images, labels, ids, *_ = TREES[name]
        save(folder, images, labels, ids, colours=COLOURS[name])
    for end in ("all_noBoundary/top_potsdam_2_{}_label_noBoundary", "for_participants/top_potsdam_2_{}_label"):
        save(folder, "", f"5_Labels_{end}.tif", [2, 2, 2], colours=COLOURS["potsdam-rgb"])
    for picked in (folder, tmp_path):
        with pytest.raises(InputError, match=r"found 2_Ortho_RGB, 3_Ortho_IRRG, which show the same .* pick the one"):
            open_dataset(picked, classes=classes)
    dataset = open_dataset(folder / "3_Ortho_IRRG", classes=classes)
    assert (dataset.layout, len(dataset), dataset.labelled) == ("potsdam-irrg", 2, 2)
    assert {sample.label.parent.name for sample in dataset.samples} == {"5_Labels_all"}
    assert all("IRRG" in sample.image.name for sample in dataset.samples)
    # Labels alone.
    assert inspect(folder / "5_Labels_all", classes).problems == ()


def test_cityscapes_in_fog_of_several_densities_is_a_question(tmp_path):
    """Adaptation is measured in the densest; others train on all, and a folder does not say which are meant."""
    _, labels, ids, name, *_ = TREES["cityscapes-foggy-0.02"]
    classes = load_class_set(name)
    layouts = [f"cityscapes-foggy-{beta}" for beta in ("0.005", "0.01", "0.02")]
    for layout in layouts:
        save(tmp_path, TREES[layout][0], labels, ids)
    for picked in (tmp_path, tmp_path / "leftImg8bit_foggy", tmp_path / "leftImg8bit_foggy/val/ulm"):
        with pytest.raises(AmbiguousLayout, match=r"`data\.layout`") as caught:
            open_dataset(picked, split="val", classes=classes)
        assert caught.value.choices == tuple(layouts)
        for layout in layouts:
            dataset = open_dataset(picked, split="val", classes=classes, layout=layout)
            assert (dataset.layout, len(dataset), dataset.labelled) == (layout, 2, 2), picked
            assert all(sample.key.endswith(layout.rpartition("-")[2]) for sample in dataset.samples)
    # Beside the clear images, those in fog have to be picked.
    save(tmp_path, TREES["cityscapes"][0], "", [0])
    assert open_dataset(tmp_path, split="val", classes=classes).layout == "cityscapes"


def test_a_release_says_its_class_set(tmp_path):
    images, labels, ids, *_ = TREES["loveda"]
    save(tmp_path, images, labels, ids)
    (note,) = open_dataset(tmp_path, split="val").notes
    assert note.text == "the class set of this data set is loveda"


def test_what_is_no_image_of_a_release_is_left_out(tmp_path):
    images, labels, *_ = TREES["acdc"]
    save(tmp_path, images, labels, [0])
    save(tmp_path, images.replace("_rgb_anon.png", "_ref_rgb_anon.png").replace("/val/", "/val_ref/"), "", [0])
    assert len(open_dataset(tmp_path, split="val")) == 2
    save(tmp_path / "chase", "Image_0{}L.jpg", "Image_0{}L_1stHO.png", [0, 255])
    save(tmp_path / "chase", "", "Image_0{}L_2ndHO.png", [0, 255])
    dataset = open_dataset(tmp_path / "chase")
    assert [sample.label.name for sample in dataset.samples] == ["Image_01L_1stHO.png", "Image_02L_1stHO.png"]


def test_a_folder_far_below_the_root_may_be_picked(tmp_path):
    """Down to the last folder of images, and its labels are those of its own split and part."""
    for split in ("train", "val"):
        for weather in ("fog", "night"):
            images, labels = (
                f"rgb_anon/{weather}/{split}/G/{{}}_rgb_anon.png",
                f"gt/{weather}/{split}/G/{{}}_gt_labelIds.png",
            )
            save(tmp_path / "acdc", images, labels, [7])
    for place in ("Urban", "Rural"):
        save(tmp_path / "love", f"Val/{place}/images_png/{{}}.png", f"Val/{place}/masks_png/{{}}.png", [1])
    save(tmp_path / "dark", "rgb_anon/val/night/G/{}_rgb_anon.png", "gt/val/night/G/{}_gt_labelTrainIds.png", [0])
    for root, deepest, classes in (
        ("acdc", "rgb_anon/night/val/G", "cityscapes"), ("love", "Val/Urban/images_png", "loveda"),
        ("dark", "rgb_anon/val/night/G", "cityscapes"),
    ):  # fmt: skip
        picked = tmp_path / root / deepest
        while picked.parent not in (tmp_path / root, tmp_path / root / "rgb_anon"):
            dataset = open_dataset(picked, split="val", classes=load_class_set(classes))
            assert dataset.labelled == len(dataset) >= 2, picked
            assert all(sample.label.parts[-4:-2] in {("night", "val"), ("Val", "Urban"), ("val", "night")} or
                       "Rural" in sample.label.parts for sample in dataset.samples), picked  # fmt: skip
            picked = picked.parent


def test_labels_of_one_split_are_never_those_of_another(tmp_path):
    """The test images of ACDC have no labels, and their names may occur in the other splits."""
    for split in ("train", "test"):
        save(tmp_path, f"rgb_anon/fog/{split}/G/{{}}_rgb_anon.png", "", [0])
    save(tmp_path, "", "gt/fog/train/G/{}_gt_labelTrainIds.png", [0])
    assert open_dataset(tmp_path, split="train").labelled == 2
    dataset = open_dataset(tmp_path, split="test")
    assert (dataset.labelled, dataset.notes) == (0, ())


def test_gta5_is_read_with_the_classes_of_cityscapes(tmp_path):
    images, labels, ids, *_ = TREES["gta5"]
    for classes in ("cityscapes", "cityscapes16", "cityscapes13", "gta5"):
        save(tmp_path, images, labels, ids)
        found = load_class_set(classes)
        truth = read_truth(open_dataset(tmp_path).samples[0], open_dataset(tmp_path, classes=found), found)
        assert [found.names[train] for train in truth.ravel()[:2]] == ["road", "car"] and truth.ravel()[2] == 255


def test_train_ids_under_numbered_names_are_not_taken_for_those_of_gta5(tmp_path):
    """Anybody's images may be called 00001.png."""
    classes = load_class_set("cityscapes")
    save(tmp_path, "images/0000{}.png", "labels/0000{}.png", [0, 1, 2, 8, 10, 13, 255])
    dataset = resolve_encoding(open_dataset(tmp_path, classes=classes), classes)
    assert dataset.encoding == "train"


def test_idd_in_its_other_forms(tmp_path):
    save(tmp_path, "leftImg8bit/train/472/{}_image.jpg", "gtFine/train/472/{}_label.png", [0, 6, 255])
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.labelled, dataset.encoding) == ("idd", 2, "train")
    save(tmp_path, "", "gtFine/train/472/{}_inst_label.png", [0, 6, 255])
    dataset = open_dataset(tmp_path)
    assert dataset.labelled == 2 and not any("inst" in sample.label.name for sample in dataset.samples)


@pytest.mark.parametrize(
    ("name", "classes", "used"),
    [("idd", "cityscapes", False), ("idd", "camvid", False), ("loveda", "ade20k", False), ("ade20k", "voc", False),
     ("kitti", "gta5", True), ("kitti", "cityscapes16", True), ("bdd100k", "gta5", True),
     ("bdd100k", "cityscapes16", False), ("idd", "idd", True), ("synthia", "cityscapes16", False),
     ("synthia", "cityscapes", False), ("synthia", "synthia", True), ("camvid", "cityscapes", False)],
)  # fmt: skip
def test_ids_of_one_known_class_set_are_not_read_as_those_of_another(tmp_path, name, classes, used):
    images, labels, ids, *_ = TREES[name]
    save(tmp_path, images, labels, ids)
    dataset = open_dataset(tmp_path, split="val", classes=load_class_set(classes))
    assert dataset.labelled == (2 if used else 0)
    assert used or f"which mean other classes in {classes}" in dataset.notes[-1].text


def test_own_class_sets_may_give_the_ids_of_a_known_set_other_names(tmp_path):
    images, labels, *_ = TREES["idd"]
    save(tmp_path, images, labels, [0, 1, 255])
    own = ClassSet.from_dict({"name": "own", "names": ["Strasse", "Weg"]})
    dataset = resolve_encoding(open_dataset(tmp_path, split="val", classes=own), own)
    assert (dataset.labelled, dataset.encoding) == (2, "train")


@pytest.fixture
def vistas(tmp_path):
    """Both versions of Mapillary Vistas, each with the file of its classes."""
    for version, ids, names in (("v1.2", [0, 1, 2], ["Bird", "Curb"]), ("v2.0", [0, 1, 3], ["Bird", "Wall", "Curb"])):
        save(tmp_path, "training/images/{}.jpg", f"training/{version}/labels/{{}}.png", ids)
        # As in version 2, a colour may stand twice.
        rows = [{"name": f"x--{name}", "readable": name, "color": [250, 170, 30]} for name in names]
        rows.append({"name": "void--unlabeled", "readable": "Unlabeled", "color": [0, 0, 0]})
        (tmp_path / f"config_{version}.json").write_text(json.dumps({"labels": rows}))
    return tmp_path


@pytest.mark.parametrize(("version", "wanted"), [("v1.2", [0, 1, 255]), ("v2.0", [0, 1, 255])])
def test_the_version_of_vistas_follows_its_class_file(vistas, version, wanted):
    classes = load_class_set(vistas / f"config_{version}.json")
    dataset = open_dataset(vistas, classes=classes)
    assert dataset.layout == "mapillary" and dataset.labelled == 2
    assert dataset.samples[0].label.parent.parent.name == version
    assert read_truth(dataset.samples[0], dataset, classes).ravel()[:3].tolist() == wanted


def test_other_classes_than_those_of_the_labels_are_reported(vistas):
    dataset = open_dataset(vistas, classes=load_class_set("mapillary"))
    assert dataset.labelled == 0
    assert "are of the classes in" in dataset.notes[0].text and "config_v1.2.json" in dataset.notes[0].text
    for version in ("v1.2", "v2.0"):
        (vistas / f"config_{version}.json").unlink()
    dataset = open_dataset(vistas, classes=load_class_set("mapillary"))
    assert {sample.label.parent.parent.name for sample in dataset.samples} == {"v1.2"}
    shutil.rmtree(vistas / "training/v1.2")
    dataset = open_dataset(vistas, classes=load_class_set("mapillary"))
    assert dataset.labelled == 0 and "another version (config_v2.0.json)" in dataset.notes[0].text


def test_voc_takes_the_list_of_its_split(tmp_path):
    images, labels, ids, *_ = TREES["voc"]
    save(tmp_path, images, labels, ids, numbers=range(6))
    lists = tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_1\n2007_4\n")
    assert open_dataset(tmp_path, split="val").keys == ("2007_1", "2007_4")
    with pytest.raises(InputError, match="found val, expected the split train"):
        open_dataset(tmp_path, split="train")
    (lists / "val.txt").rename(lists / "default.txt")
    assert len(open_dataset(tmp_path, split="train")) == 6
    listed = open_dataset(lists / "default.txt")
    assert (listed.keys, listed.labelled, listed.split) == (("2007_1", "2007_4"), 2, "")
    shutil.copy(lists / "default.txt", lists / "validation.txt")
    assert open_dataset(lists / "validation.txt").split == "val"
    (lists / "default.txt").write_text("2007_1 1\n2007_9 -1\n")
    with pytest.raises(InputError, match=r"1 of 2 images are not in .*JPEGImages \(2007_9\)"):
        open_dataset(lists / "default.txt")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_folder_of_two_splits_is_that_of_the_wanted_one(tmp_path, split):
    save(tmp_path, "training/image_2/00000{}_10.png", "training/semantic/00000{}_10.png", [7, 26, 0])
    for picked in (tmp_path, tmp_path / "training", tmp_path / "training/image_2"):
        dataset = open_dataset(picked, split=split, classes=load_class_set("cityscapes"))
        assert (dataset.layout, dataset.split, dataset.labelled) == ("kitti", split, 2), picked


@pytest.mark.parametrize("name", ["kitti", "cityscapes"])
def test_a_class_set_that_only_counts_does_not_take_the_ids_of_another_unsaid(tmp_path, name):
    images, labels, *_ = TREES[name]
    save(tmp_path, images, labels, [0, 1, 4, 7, 26, 33])
    own = tmp_path / "own.toml"
    own.write_text('classes = [{name="road", ids=[0]}, {name="car", ids=[1]}, {name="sky", ids=[2]}]\n')
    classes = load_class_set(own)
    dataset = resolve_encoding(open_dataset(tmp_path, split="val", classes=classes), classes)
    assert dataset.layout == name
    assert any("labels hold ids that class set own does not have (4, 7, 26, 33" in n.text for n in dataset.notes)


def test_images_that_a_list_leaves_out_are_counted(tmp_path):
    save(tmp_path, "JPEGImages/f_{}.jpg", "SegmentationClass/f_{}.png", [0, 1, 2], numbers=range(5))
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("f_0\nf_1\n")
    for picked in (tmp_path, tmp_path / "JPEGImages"):
        dataset = open_dataset(picked)
        assert (dataset.layout, dataset.split, len(dataset)) == ("voc", "train", 2), picked
        assert any("3 images that the list of the split" in str(note) and "f_2" in str(note) for note in dataset.notes)


def test_another_split_than_the_one_there_is_reported(tmp_path):
    images, labels, ids, *_ = TREES["loveda"]
    save(tmp_path, images, labels, ids)
    with pytest.raises(InputError, match="found val, expected the split train"):
        open_dataset(tmp_path)


def test_an_export_of_cvat(tmp_path):
    save(tmp_path, "JPEGImages/f_{}.jpg", "SegmentationClass/f_{}.png", [0, 1, 2],
         colours=[(0, 0, 0), (48, 112, 32), (176, 112, 32)])  # fmt: skip
    save(tmp_path, "", "SegmentationObject/f_{}.png", [0, 1])
    save(tmp_path, "JPEGImages/not_annotated_{}.jpg", "", [0], numbers=[7])
    labelmap = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nCat:48,112,32::\nDog:176,112,32::\n"
    (tmp_path / "labelmap.txt").write_text(labelmap)
    classes = load_class_set(tmp_path / "labelmap.txt")
    assert classes.names == ("background", "Cat", "Dog")
    dataset = open_dataset(tmp_path, classes=classes)
    assert (dataset.layout, len(dataset), dataset.labelled) == ("voc", 3, 2)
    assert read_truth(dataset.samples[0], dataset, classes).ravel()[:3].tolist() == [0, 1, 2]


def test_an_export_of_labelme_in_the_form_of_voc(tmp_path):
    save(tmp_path, "JPEGImages/f_{}.jpg", "SegmentationClassPNG/f_{}.png", [0, 1, 2])
    save(tmp_path, "SegmentationClassVisualization/f_{}.jpg", "", [0])
    (tmp_path / "SegmentationClass").mkdir()
    for number in (1, 2):
        np.save(tmp_path / "SegmentationClass" / f"f_{number}.npy", np.zeros((8, 12), np.int32))
    (tmp_path / "class_names.txt").write_text("_background_\nCat\nDog\n")
    classes = load_class_set(tmp_path / "class_names.txt")
    dataset = resolve_encoding(open_dataset(tmp_path, classes=classes), classes)
    assert (dataset.layout, len(dataset), dataset.labelled) == ("voc", 2, 2)
    assert read_truth(dataset.samples[0], dataset, classes).ravel()[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("label_colors.txt", "128 64 128\tRoad\n0 0 0\tVoid\n64 0 128  Car\n", ("Road", "Car")),
        ("config.json", '{"labels": [{"name": "a--b", "readable": "B", "color": [1, 2, 3]}, '
         '{"name": "a--c", "readable": "C", "color": [4, 5, 6]}, '
         '{"name": "void", "readable": "Unlabeled", "color": [0, 0, 0]}]}', ("B", "C")),
    ],
)  # fmt: skip
def test_class_sets_that_data_sets_bring(tmp_path, name, text, names):
    (tmp_path / name).write_text(text)
    assert load_class_set(tmp_path / name).names == names
    for bad in ("", "nonsense", "[]", '{"labels": 3}', '{"labels": [{"name": 1}]}'):
        (tmp_path / name).write_text(bad)
        with pytest.raises(InputError, match="classes"):
            load_class_set(tmp_path / name)


def test_the_lists_of_voc_as_others_name_them(tmp_path):
    """``Train.txt`` of a project of CVAT, and ``train_aug.txt``, whose labels lie in a folder of their own."""
    save(tmp_path, "JPEGImages/f {}.jpg", "SegmentationClassAug/f {}.png", [0, 1, 2], numbers=range(6))
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "Train.txt").write_text("f 0\r\nf 1\r\nf 2\r\n", encoding="utf-16")
    (lists / "Validation.txt").write_text("f 3 1\nf 4 -1\n")
    (lists / "train_aug.txt").write_text("/JPEGImages/f 5.jpg /SegmentationClassAug/f 5.png\n")
    assert open_dataset(tmp_path).labelled == 3
    # The usual labels, of fewer images.
    save(tmp_path, "", "SegmentationClass/f {}.png", [0, 1, 1], numbers=range(2, 5))
    wanted = {"train": ("Aug", 3), "val": ("Class", 2), "train_aug": ("Aug", 1)}
    for split, (folder, count) in wanted.items():
        dataset = open_dataset(tmp_path, split=split)
        assert (dataset.layout, len(dataset), dataset.labelled) == ("voc", count, count), split
        assert all(sample.label.parent.name.endswith(folder) for sample in dataset.samples)
    for name, (folder, count) in zip(("Train", "Validation", "train_aug"), wanted.values(), strict=True):
        dataset = open_dataset(lists / f"{name}.txt")
        assert (len(dataset), dataset.labelled) == (count, count), name
        assert all(sample.label.parent.name.endswith(folder) for sample in dataset.samples)
    with pytest.raises(InputError, match="found train, validation, expected the split test"):
        open_dataset(tmp_path, split="test")


def test_what_is_said_of_labels_is_about_those_that_are_given(tmp_path):
    save(tmp_path, "training/images/{}.jpg", "training/v1.2/labels/{}.png", [0, 13, 65])
    save(tmp_path, "", "training/v2.0/labels/{}.png", [0, 13, 100])
    (tmp_path / "config_v1.2.json").write_text('{"labels": []}')
    assert "config_v1.2.json" in open_dataset(tmp_path).notes[0].text
    for classes in (None, load_class_set("mapillary")):
        given = open_dataset(tmp_path / "training/images", labels=tmp_path / "training/v2.0/labels", classes=classes)
        assert given.labelled == 2 and given.notes == ()
    given = open_dataset(tmp_path / "training/images", labels=tmp_path / "training/v1.2/labels")
    assert "config_v1.2.json" in given.notes[0].text
