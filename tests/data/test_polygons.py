"""Outlines of COCO and labelme as labels: found from the root, drawn by class names, or refused in one line."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crots.data.datasets import open_dataset
from crots.data.inspection import inspect
from crots.data.labels import read_truth, resolve_encoding
from crots.data.polygons import _packed_runs, rasterise, read_outlines
from crots.errors import InputError
from crots.images import write_image
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

PHOTO = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
CLASSES = ClassSet.from_dict({"name": "three", "names": ["background", "road", "Traffic Light"]})
BARE = ClassSet.from_dict({"name": "two", "names": ["road", "traffic light"]})
LEFT = [[0, 0], [5, 0], [5, 7], [0, 7]]
WANTED = np.zeros((8, 12), int)
WANTED[:, :6] = 1
WANTED[2:5, 4:9] = 2


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, PHOTO)


def packed(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


LAMP = {
    "polygon": {"points": [[4, 2], [8, 2], [8, 4], [4, 4]]},
    "rectangle": {"points": [[8, 4], [4, 2]]},
    "mask": {"points": [[4, 2], [8, 4]], "mask": packed(np.ones((3, 5), bool))},
}


def labelme(path, *, lamp="polygon", name="traffic_light", more=(), **changes):
    shapes = [
        {"label": "road", "points": LEFT, "shape_type": "polygon", "group_id": None, "flags": {}},
        {"label": name, "shape_type": lamp, **LAMP[lamp]},
        *more,
    ]
    found = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "x.jpg", "imageData": None,
             "imageHeight": 8, "imageWidth": 12, **changes}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return path


RLE = np.zeros((8, 12), int)
RLE[2:5, 4:9] = 1


def runs(mask):
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
    return np.diff(np.concatenate([[0], edges])).tolist()


def pack(counts):
    """As the programs of COCO write runs."""
    text = ""
    for place, count in enumerate(counts):
        value, more = count - (counts[place - 2] if place > 2 else 0), True
        while more:
            bits = value & 31
            value >>= 5
            more = not (value == -1 if bits & 16 else value == 0)
            text += chr((bits | 32 if more else bits) + 48)
    return text


def coco(path, files, *, lamp="polygon", sizes=(12, 8)):
    segmentation = {
        "polygon": [[4, 2, 8, 2, 8, 4, 4, 4]],
        "runs": {"counts": runs(RLE), "size": [8, 12]},
        "packed": {"counts": pack(runs(RLE)), "size": [8, 12]},
        "box": [],
    }[lamp]
    rows = []
    for number in range(len(files)):
        rows.append({"id": 2 * number, "image_id": number, "category_id": 7, "bbox": [],
                     "segmentation": [[value for point in LEFT for value in point]]})  # fmt: skip
        rows.append({"id": 2 * number + 1, "image_id": number, "category_id": 3, "segmentation": segmentation})
    width, height = sizes
    found = {
        "images": [{"id": number, "file_name": name, "width": width, "height": height}
                   for number, name in enumerate(files)],
        "annotations": rows,
        "categories": [{"id": 7, "name": "Road"}, {"id": 3, "name": "traffic light"}],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return path


def truths(dataset, classes=CLASSES):
    dataset = resolve_encoding(dataset, classes)
    assert dataset.encoding == "polygons"
    return dataset, [read_truth(sample, dataset, classes) for sample in dataset.samples]


def check(root, *, count=2, split="val", **more):
    dataset, found = truths(open_dataset(root, split=split, classes=CLASSES, **more))
    assert len(dataset) == dataset.labelled == count
    assert all(np.array_equal(labels, WANTED) for labels in found)
    assert "pixels outside of them are background" in dataset.notes[-1]
    return dataset


@pytest.mark.parametrize("lamp", LAMP)
def test_labelme_beside_the_images(tmp_path, lamp):
    for name in ("a", "b"):
        photo(tmp_path / f"{name}.jpg")
        labelme(tmp_path / f"{name}.json", lamp=lamp)
    check(tmp_path)
    check(tmp_path, labels=tmp_path)


def test_labelme_in_a_folder_of_labels(tmp_path):
    for name in ("a", "b"):
        photo(tmp_path / "images" / f"{name}.jpg")
        labelme(tmp_path / "labels" / f"{name}.json")
    check(tmp_path)
    check(tmp_path / "images", labels=tmp_path / "labels")
    assert inspect(tmp_path).problems == ()
    assert set(inspect(tmp_path).pixels) == {"road", "traffic_light"}


@pytest.mark.parametrize("lamp", ["polygon", "runs", "packed"])
@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations/instances_val2017.json", "val2017/{}.jpg"),
        ("annotations/instances_default.json", "images/{}.jpg"),
        ("result.json", "images/{}.jpg"),
        ("valid/_annotations.coco.json", "valid/{}.jpg"),
        ("coco.json", "{}.jpg"),
    ],
)
def test_coco_from_its_root(tmp_path, file, images, lamp):
    for name in ("a", "b"):
        photo(tmp_path / images.format(name))
    coco(tmp_path / file, ["a.jpg", "b.jpg"], lamp=lamp)
    check(tmp_path)
    check(tmp_path / file)
    check((tmp_path / images).parent, labels=tmp_path / file)
    check(tmp_path, layout="coco")


def test_coco_of_two_splits(tmp_path):
    for split in ("train", "val"):
        photo(tmp_path / f"{split}2017" / f"{split}.jpg")
        coco(tmp_path / "annotations" / f"instances_{split}2017.json", [f"{split}.jpg"])
    (tmp_path / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    assert check(tmp_path, count=1, split="val").keys == ("val",)
    assert check(tmp_path, count=1, split="train").keys == ("train",)
    with pytest.raises(InputError, match=r"found .*instances_train2017.json.* expected one of the split test"):
        open_dataset(tmp_path, split="test")
    assert len(inspect(tmp_path, CLASSES).summary) > 2 and inspect(tmp_path, CLASSES).counts["labels"] == 2


def test_images_that_a_coco_file_does_not_list_are_left_out(tmp_path):
    for name in ("a", "b", "c"):
        photo(tmp_path / "images" / "deep" / f"{name}.jpg")
    coco(tmp_path / "result.json", ["deep/a.jpg", "deep\\b.jpg"])
    check(tmp_path)


def test_without_a_background_the_rest_is_ignored(tmp_path):
    photo(tmp_path / "a.jpg")
    labelme(tmp_path / "a.json")
    dataset, (labels,) = truths(open_dataset(tmp_path), BARE)
    assert np.array_equal(labels, np.array([255, 0, 1])[WANTED])
    assert "outside of them are ignored" in dataset.notes[-1]


def test_void_shapes_are_ignored_and_lines_cover_nothing(tmp_path):
    more = [
        {"label": "__ignore__", "shape_type": "rectangle", "points": [[0, 0], [1, 1]]},
        {"label": "wire", "shape_type": "line", "points": [[0, 0], [9, 7]]},
    ]
    labels = rasterise(labelme(tmp_path / "a.json", more=more), CLASSES)
    assert (labels[:2, :2] == 255).all() and np.array_equal(labels[2:], WANTED[2:])


def test_a_circle(tmp_path):
    more = [{"label": "road", "shape_type": "circle", "points": [[8, 4], [10, 4]]}]
    labels = rasterise(labelme(tmp_path / "a.json", more=more), CLASSES)
    assert labels[4, 8] == 1 and labels[4, 10] == 1 and labels[1, 11] == 0


def test_unknown_names_are_an_error_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"unknown class of the set three 'trafic light'; did you mean Traffic Light"):
        rasterise(labelme(tmp_path / "a.json", name="trafic light"), CLASSES)


@pytest.mark.parametrize(
    "changes",
    [
        {"imageHeight": None}, {"imageWidth": "12"}, {"imageWidth": -1}, {"imageWidth": 10**9, "imageHeight": 10**9},
        {"shapes": [{"label": "road"}]}, {"shapes": [{"label": "road", "points": [[0]]}]}, {"shapes": [3]},
        {"shapes": [{"label": "road", "points": [[0, 0], [1, 1]], "shape_type": "cube"}]},
        {"shapes": [{"label": "road", "points": [["a", 0]] * 3}]},
        {"shapes": [{"label": "road", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": "@@"}]},
        {"shapes": [{"label": "road", "points": [[0, 1e300]] * 3}]},
    ],
)  # fmt: skip
def test_damaged_labelme_files(tmp_path, changes):
    with pytest.raises(InputError) as caught:
        rasterise(labelme(tmp_path / "a.json", **changes), CLASSES)
    assert "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_coco_files(tmp_path):
    photo(tmp_path / "a.jpg")
    path = coco(tmp_path / "coco.json", ["a.jpg"], lamp="box")
    with pytest.raises(InputError, match="a box without an outline; export polygons or masks"):
        truths(open_dataset(tmp_path))
    coco(path, ["a.jpg"], sizes=(13, 8))
    with pytest.raises(InputError, match=r"is 13x8, but its image a.jpg is 12x8"):
        truths(open_dataset(tmp_path))
    coco(path, ["elsewhere.jpg"])
    with pytest.raises(InputError, match=r"found no image elsewhere.jpg in .* expected the images beside"):
        open_dataset(tmp_path)
    path.write_text('{"images": [{}], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="not understood"):
        open_dataset(path)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30))
def test_packed_runs(counts):
    assert _packed_runs(pack(counts)) == counts


VALUES = st.recursive(
    st.none() | st.integers(-5, 40) | st.text(max_size=3) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["label", "points", "mask"]), inner),
    max_leaves=10,
)


@given(shape=VALUES, segmentation=VALUES, kind=st.sampled_from(["polygon", "mask", "circle", "rectangle", "point"]))
def test_any_outline_is_drawn_or_an_error_of_one_line(tmp_path_factory, shape, segmentation, kind):
    folder = tmp_path_factory.mktemp("outlines")
    row = {"label": "road", "shape_type": kind, "points": shape, "mask": segmentation}
    labelme(folder / "a.json", shapes=[row])
    whole = json.loads(coco(folder / "coco.json", ["a.jpg"]).read_text())
    whole["annotations"][0]["segmentation"] = segmentation
    (folder / "coco.json").write_text(json.dumps(whole))
    for path in (folder / "a.json", folder / "coco.json" / "a.jpg"):
        try:
            assert rasterise(path, CLASSES).shape == (8, 12)
            assert read_outlines(path).size == (12, 8)
        except InputError as error:
            assert "\n" not in str(error)
