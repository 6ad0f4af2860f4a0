"""Outlines of COCO and labelme as labels: found from the root, drawn by class names, or refused in one line."""

import base64
import io
import json
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crots import limits
from crots.config import Size
from crots.data.coco import packed_runs
from crots.data.datasets import open_dataset
from crots.data.inspection import inspect
from crots.data.labels import read_truth, resolve_encoding
from crots.data.polygons import album_labels, rasterise, read_outlines
from crots.data.shapes import filled
from crots.errors import InputError
from crots.images import write_image
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety

PHOTO = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
CLASSES = ClassSet.from_dict({"name": "three", "names": ["background", "road", "Traffic Light"]})
BARE = ClassSet.from_dict({"name": "two", "names": ["road", "traffic light"]})
# Pixels, as labelme and Cityscapes write them; and the same from edge to edge, as COCO and CVAT do.
LEFT = [[0, 0], [5, 0], [5, 7], [0, 7]]
LEFT_EDGES = [[0, 0], [6, 0], [6, 8], [0, 8]]
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
        "polygon": [[4, 2, 9, 2, 9, 5, 4, 5]],
        "runs": {"counts": runs(RLE), "size": [8, 12]},
        "packed": {"counts": pack(runs(RLE)), "size": [8, 12]},
        "box": [],
    }[lamp]
    rows = []
    for number in range(len(files)):
        rows.append({"id": 2 * number, "image_id": number, "category_id": 7, "bbox": [],
                     "segmentation": [[value for point in LEFT_EDGES for value in point]]})  # fmt: skip
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
    assert "pixels outside of them are background" in dataset.notes[-1].text
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
    assert "outside of them are ignored" in dataset.notes[-1].text


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
    with pytest.raises(InputError, match=r"'trafic light'; did you mean Traffic Light\?; give .* \[other_names\]"):
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


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("order", [("annotations", "images", "categories"), ("categories", "annotations", "images")])
def test_the_lists_of_coco_may_stand_in_any_order(tmp_path, order, indent):
    photo(tmp_path / "a.jpg")
    path = coco(tmp_path / "coco.json", ["a.jpg"])
    found = {"info": {"images": [1, {"annotations": []}]}, **json.loads(path.read_text()), "licenses": []}
    path.write_text("\ufeff \n" + json.dumps({key: found[key] for key in ("info", *order, "licenses")}, indent=indent))
    check(tmp_path, count=1)


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text + "]", lambda text: text[:-1] + ",}",
                                    lambda text: text.replace("}, {", "} {", 1), lambda text: "[" * 9**5,
                                    lambda text: '{"images":' * 9**5, lambda text: text.encode("utf-16"),
                                    lambda text: text.replace('"annotations"', '"others"')])  # fmt: skip
def test_json_of_other_forms_is_no_file_of_coco(tmp_path, change):
    photo(tmp_path / "a.jpg")
    path = coco(tmp_path / "coco.json", ["a.jpg"])
    changed = change(path.read_text())
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(InputError, match="no file of COCO"):
        open_dataset(path)
    assert open_dataset(tmp_path).layout == "folder"


@pytest.mark.parametrize("text", ['{"images": [], "annotations": [], "categories": []}',
                                  '{"images": [], "annotations": [null], "categories": []}',
                                  '{"images": [null], "annotations": [], "categories": []}'])  # fmt: skip
def test_a_file_of_coco_without_images_is_refused_as_labels(tmp_path, text):
    photo(tmp_path / "images" / "a.jpg")
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(InputError, match=r"coco.json: (lists no images|holds a shape that is not understood)"):
        open_dataset(tmp_path / "images", labels=tmp_path / "coco.json")


def test_a_class_that_coco_does_not_list_is_refused_at_once(tmp_path):
    photo(tmp_path / "a.jpg")
    path = coco(tmp_path / "coco.json", ["a.jpg"])
    path.write_text(path.read_text().replace('"category_id": 3', '"category_id": 99'))
    with pytest.raises(InputError, match="no 99"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found["images"][1].update(id=0), r"coco\.json: two images have the id 0: a\.jpg and b\.jpg"),
        (lambda found: found["categories"][1].update(id=7), "two categories have the id 7: Road and traffic light"),
        (
            lambda found: [one.update(file_name=f"/x/{one['id']}/a.jpg") for one in found["images"]],
            r"coco\.json: its images are whole paths, and some of one name lie in several folders",
        ),
    ],
)
def test_files_of_coco_that_were_merged_without_counting_on_are_refused(tmp_path, change, says):
    for name in ("a.jpg", "b.jpg"):
        photo(tmp_path / name)
    path = coco(tmp_path / "coco.json", ["a.jpg", "b.jpg"])
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match=says):
        open_dataset(path)


@pytest.mark.parametrize("head", ["C:\\data\\images\\", "/home/someone/images/"])
def test_whole_paths_of_another_computer_in_coco(tmp_path, head):
    photo(tmp_path / "images" / "a.jpg")
    coco(tmp_path / "annotations" / "coco.json", [head + "a.jpg"])
    check(tmp_path, count=1)


def test_a_large_file_of_coco_takes_little_more_memory_than_its_size(tmp_path):
    photo(tmp_path / "a.jpg")
    path = coco(tmp_path / "coco.json", ["a.jpg"])
    found = json.loads(path.read_text())
    found["annotations"] *= 60_000
    path.write_text(json.dumps(found))
    tracemalloc.start()
    try:
        dataset = open_dataset(path)
        held, peak = (size / path.stat().st_size for size in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    assert dataset.labelled == 1
    assert held < 1.5 and peak < 3
    limits.use({"max_input_gb": 0.01})
    try:
        path.touch()
        with pytest.raises(InputError, match="max-input-gb"):
            album_labels(path)
    finally:
        limits.use({})


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30))
def test_packed_runs(counts):
    assert packed_runs(pack(counts)) == counts


def cvat(path, names, *, lamp="polygon", subset="", head="", more=""):
    """As CVAT for images writes it: the lamp stands first but lies above by its z_order; masks go row by row."""
    shapes = {
        "polygon": 'polygon {} points="4.00,2.00;9.00,2.00;9.00,5.00;4.00,5.00"',
        "box": 'box {} xtl="4.00" ytl="2.00" xbr="9.00" ybr="5.00"',
        "turned": 'box {} xtl="5.00" ytl="1.00" xbr="8.00" ybr="6.00" rotation="90.00"',
        "mask": 'mask {} rle="0, 5, 1, 11, 1" left="4" top="2" width="6" height="3"',
    }
    about = 'label="{}" source="manual" occluded="0" {} z_order="{}"'
    drawn = [f"<{shapes[lamp].format(about.format('traffic light', '', 1))}/>",
             f"<polygon {about.format('road', '', 0)} points=\"0,0;6,0;6,8;0,8\"></polygon>", more]  # fmt: skip
    where = f'subset="{subset}"' if subset else ""
    images = [f'<image id="{number}" name="{name}" {where} width="12" height="8">{"".join(drawn)}</image>'
              for number, name in enumerate(names)]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version><meta><task>'
                    f"<name>x</name></task></meta>{''.join(images)}</annotations>")  # fmt: skip
    return path


@pytest.mark.parametrize("lamp", ["polygon", "box", "turned"])
@pytest.mark.parametrize("images", ["images/{}.jpg", "{}.jpg", "images/default/{}.jpg"])
def test_cvat_for_images_from_its_root(tmp_path, images, lamp):
    for name in ("a", "b"):
        photo(tmp_path / images.format(name))
    file = cvat(tmp_path / "annotations.xml", ["a.jpg", "b.jpg"], lamp=lamp)
    assert check(tmp_path).layout == "coco"
    check(file)
    check((tmp_path / images).parent, labels=file)


def test_a_mask_of_cvat(tmp_path):
    labels = rasterise(cvat(tmp_path / "annotations.xml", ["a.jpg"], lamp="mask") / "a.jpg", CLASSES)
    wanted = np.zeros((8, 12), int)
    wanted[:, :6] = 1
    wanted[2:5, 4:10] = np.array([[2, 2, 2, 2, 2, 0], [2, 2, 2, 2, 2, 2], [2, 2, 2, 2, 2, 0]])
    wanted[2, 9] = wanted[4, 9] = 0
    assert np.array_equal(labels, wanted)


def test_a_project_of_cvat_has_subsets(tmp_path):
    for subset, name in (("Train", "a"), ("Validation", "b")):
        photo(tmp_path / "images" / subset / f"{name}.jpg")
    file = cvat(tmp_path / "annotations.xml", ["a.jpg"], subset="Train")
    rows = [found.read_text() for found in (file, cvat(tmp_path / "b.xml", ["b.jpg"], subset="Validation"))]
    (tmp_path / "b.xml").unlink()
    file.write_text(rows[0].replace("</annotations>", rows[1][rows[1].index("<image") :]))
    assert [check(tmp_path, count=1, split=split).keys for split in ("train", "val")] == [("a",), ("b",)]
    with pytest.raises(InputError, match="found images of train, validation, expected the split test"):
        open_dataset(tmp_path, split="test")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head": '<!DOCTYPE x [<!ENTITY a "b">]>'}, "a document type"),
        ({"more": "<cuboid label='road' xtl1='3'/>"}, "the shape 'cuboid'"),
        ({"more": "<mask label='road' rle='3, 4' left='0' top='0' width='5' height='5'/>"}, "runs do not fill"),
        ({"more": "<polygon label='road' points='3;4'/>"}, "not understood"),
        ({"more": "<polygon points='0,0;1,1;2,0'/>"}, "no 'label'"),
        ({"more": "</image><track id='0'></track><image>"}, "tracks of a video"),
        ({"more": "<open>"}, "mismatched tag"),
        ({"names": ["a.jpg", "a.jpg"]}, "two images called"),
    ],
)
def test_damaged_files_of_cvat(tmp_path, change, says):
    photo(tmp_path / "images" / "a.jpg")
    file = cvat(tmp_path / "annotations.xml", **{"names": ["a.jpg"], **change})
    with pytest.raises(InputError, match=says):
        truths(open_dataset(tmp_path / "images", labels=file, classes=CLASSES))


def test_other_xml_is_no_labels(tmp_path):
    photo(tmp_path / "images" / "a.jpg")
    (tmp_path / "about.xml").write_text("<annotation><folder>VOC2012</folder></annotation>")
    assert open_dataset(tmp_path).layout == "folder"
    with pytest.raises(InputError, match="no file of COCO, CVAT or Label Studio"):
        open_dataset(tmp_path / "about.xml")


def test_segments_of_coco_panoptic(tmp_path):
    """Pictures of segment numbers of three bytes, each with its class in the JSON file."""
    file = tmp_path / "annotations" / "panoptic_val2017.json"
    segments = {0: None, 1: (300, "road"), 2: (70000, "traffic light")}
    ids = np.array([0 if found is None else found[0] for found in segments.values()])[WANTED]
    picture = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    for name in ("a", "b"):
        photo(tmp_path / "val2017" / f"{name}.jpg")
        path = tmp_path / "annotations" / "panoptic_val2017" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    infos = [{"id": 300, "category_id": 7, "iscrowd": 0}, {"id": 70000, "category_id": 3, "iscrowd": 0}]
    found = json.loads(coco(file, ["a.jpg", "b.jpg"]).read_text())
    rows = [
        {"image_id": number, "file_name": f"{name}.png", "segments_info": infos} for number, name in enumerate("ab")
    ]
    file.write_text(json.dumps({**found, "annotations": rows}))
    check(tmp_path)
    check(tmp_path / "val2017", labels=file)
    (path.parent / "b.png").unlink()
    with pytest.raises(InputError, match=r"expected the pictures of the segments in .*panoptic_val2017"):
        truths(open_dataset(tmp_path, split="val"))


def test_several_files_of_one_split_are_reported(tmp_path):
    photo(tmp_path / "val2017" / "a.jpg")
    for kind in ("instances", "stuff"):
        coco(tmp_path / "annotations" / f"{kind}_val2017.json", ["a.jpg"])
    dataset = check(tmp_path, count=1)
    assert "labels are those of instances_val2017.json; for stuff_val2017.json, give" in dataset.notes[0].text


@pytest.mark.parametrize(
    ("classes", "names", "wanted"),
    [
        ("cityscapes", ["road", "traffic light", "cargroup", "polegroup", "license plate"], [0, 6, 13, 255, 255]),
        ("cityscapes16", ["road", "traffic light", "train", "bicyclegroup", "out of roi"], [0, 6, 255, 15, 255]),
        ("idd", ["parking", "polegroup", "animal", "fallback background", "ego vehicle"], [1, 20, 4, 25, 255]),
    ],
)
def test_outlines_of_cityscapes_and_idd(tmp_path, classes, names, wanted):
    """IDD is released with outlines alone, whose names are finer than its classes."""
    classes = load_class_set(classes)
    photo(tmp_path / "leftImg8bit" / "val" / "7" / "x_leftImg8bit.png")
    boxes = [[[2 * place, 0], [2 * place + 1, 0], [2 * place + 1, 7], [2 * place, 7]] for place in range(6)]
    rows = [{"label": name, "polygon": box, "deleted": 0} for name, box in zip(names, boxes, strict=False)]
    rows += [{"label": "nobody knows", "polygon": boxes[0], "deleted": 1}]
    file = tmp_path / "gtFine" / "val" / "7" / "x_gtFine_polygons.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"imgHeight": 8, "imgWidth": 12, "objects": rows}))
    _, (labels,) = truths(open_dataset(tmp_path, split="val", classes=classes), classes)
    assert labels[3, ::2].tolist() == [*wanted, 255] and labels[3, 1::2].tolist() == [*wanted, 255]


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


@pytest.mark.parametrize(
    ("ring", "rows", "columns"),
    [
        ([3, 1, 6, 1, 6, 4, 3, 4], slice(1, 4), slice(3, 6)),
        # The ends of the image, and past them.
        ([9, 5, 12, 5, 12, 8, 9, 8], slice(5, 8), slice(9, 12)),
        ([10, -4, 13, -4, 13, 9, 10, 9], slice(0, 8), slice(10, 12)),
        # Too thin to hold the centre of a pixel: on the last edge, and within.
        ([12, 0, 12, 8, 12, 4], slice(0, 8), slice(11, 12)),
        ([2, 7.7, 5, 7.7, 5, 8, 2, 8], slice(7, 8), slice(2, 6)),
    ],
)
def test_outlines_from_edge_to_edge_hold_as_many_pixels_as_they_are_long(tmp_path, ring, rows, columns):
    file = coco(tmp_path / "coco.json", ["a.jpg"])
    found = json.loads(file.read_text())
    found["annotations"] = [{"id": 1, "image_id": 0, "category_id": 7, "segmentation": [ring]}]
    file.write_text(json.dumps(found))
    wanted = np.zeros((8, 12), int)
    wanted[rows, columns] = 1
    assert np.array_equal(rasterise(file / "a.jpg", CLASSES), wanted)


def test_outlines_between_pixels_hold_the_centres_inside_as_another_program_finds_them():
    generator = np.random.default_rng(0)
    for _ in range(20):
        ring = generator.uniform(-3, 20, (6, 2))
        drawn = np.zeros((20 * 64, 24 * 64), np.uint8)
        cv2.fillPoly(drawn, [np.rint((ring + 4) * 64).astype(np.int32)], 1)
        wanted = drawn[4 * 64 + 32 : 16 * 64 : 64, 4 * 64 + 32 : 20 * 64 : 64] > 0
        found = filled([tuple(map(tuple, ring.tolist()))], Size(16, 12))
        # A centre may lie on an edge.
        assert not wanted.any() or (found != wanted).sum() <= 1


def test_outlines_of_another_size_of_the_image_are_refused(tmp_path):
    file = coco(tmp_path / "coco.json", ["a.jpg"])
    found = json.loads(file.read_text())
    large = [0, 0, 40, 0, 40, 30, 0, 30]
    found["annotations"] = [{"id": 1, "image_id": 0, "category_id": 7, "segmentation": [large]}]
    file.write_text(json.dumps(found))
    path = labelme(tmp_path / "a.json", shapes=[{"label": "road", "points": np.reshape(large, (4, 2)).tolist()}])
    for broken in (file / "a.jpg", path):
        with pytest.raises(InputError, match=r"3 of 4 points of its outlines lie outside of the image of 12x8"):
            rasterise(broken, CLASSES)


def test_sides_may_be_written_with_a_point(tmp_path):
    file = coco(tmp_path / "coco.json", ["a.jpg"], sizes=(12.0, 8.0))
    assert np.array_equal(rasterise(file / "a.jpg", CLASSES), WANTED)


SHARES = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]


def test_outlines_in_shares_of_the_sides_are_refused(tmp_path):
    photo(tmp_path / "a.jpg")
    file = coco(tmp_path / "coco.json", ["a.jpg"])
    found = json.loads(file.read_text())
    found["annotations"] = [{"id": 1, "image_id": 0, "category_id": 7, "segmentation": [np.ravel(SHARES).tolist()]}]
    file.write_text(json.dumps(found))
    files = [
        file / "a.jpg",
        labelme(tmp_path / "labelme" / "a.json", shapes=[{"label": "road", "points": SHARES}]),
    ]
    for path in files:
        with pytest.raises(InputError, match=r"from 0 to 1 in an image of 12x8, as shares .* multiply x by the width"):
            rasterise(path, CLASSES)
    # A dot in the corner, or the whole of an image of one pixel, is no share.
    labelme(tmp_path / "labelme" / "a.json", shapes=[{"label": "road", "points": [[0, 0], [1, 0], [0, 0]]}])
    assert (rasterise(files[1], CLASSES) == 1).sum() == 2
