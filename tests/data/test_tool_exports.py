"""What Label Studio and Roboflow export, as labels: read by the names in it, or refused in one line."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crots.config import Size
from crots.data.datasets import open_dataset
from crots.data.label_studio import brush
from crots.data.labels import read_truth, resolve_encoding
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import write_labels
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety

PHOTO = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
CLASSES = ClassSet.from_dict({"name": "three", "names": ["background", "road", "lamp"]})
ROAD, LAMP = np.zeros((8, 12), bool), np.zeros((8, 12), bool)
ROAD[:, :6] = True
LAMP[2:5, 4:9] = True
WANTED = np.where(LAMP, 2, np.where(ROAD, 1, 0))
LENGTHS = (3, 4, 8, 16)


def runs(mask, literal=0):
    """Packs a mask as Label Studio does: RGBA with the mask as alpha; the first values one by one where asked."""
    values = np.zeros((*mask.shape, 4), np.uint8)
    values[..., 3] = mask * 255
    flat = values.reshape(-1).tolist()
    bits = f"{len(flat):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in LENGTHS)
    if literal:
        bits += f"0{3:02b}{literal - 1:016b}" + "".join(f"{value:08b}" for value in flat[:literal])
    place = literal
    while place < len(flat):
        end = place
        while end < len(flat) and flat[end] == flat[place]:
            end += 1
        kind = next(kind for kind, length in enumerate(LENGTHS) if end - place <= 2**length)
        bits += f"1{kind:02b}" + format(end - place - 1, f"0{LENGTHS[kind]}b") + f"{flat[place]:08b}"
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def region(kind, value, number="r1", **more):
    return {"id": number, "type": kind, "from_name": "tag", "to_name": "image", "original_width": 12,
            "original_height": 8, "image_rotation": 0, "value": value, **more}  # fmt: skip


def brushed(name, mask, number="r1", **more):
    return region("brushlabels", {"format": "rle", "rle": runs(mask), "brushlabels": [name]}, number, **more)


def task(number, image, *regions, **more):
    return {"id": number, "data": {"image": f"/data/upload/3/{image}"}, "annotations": [{"id": 7, "result": regions}],
            **more}  # fmt: skip


@pytest.fixture
def export(tmp_path):
    """Writes images and a file of tasks, and opens them as the labels of the images."""

    def write(tasks, images=("a.jpg",)):
        for name in images:
            (tmp_path / "images").mkdir(exist_ok=True)
            Image.fromarray(PHOTO).save(tmp_path / "images" / name)
        (tmp_path / "project-1.json").write_text(json.dumps(tasks))
        return open_dataset(tmp_path / "images", labels=tmp_path / "project-1.json", classes=CLASSES)

    return write


def truth(dataset, classes=CLASSES, place=0):
    return read_truth(dataset.samples[place], resolve_encoding(dataset, classes), classes)


@pytest.mark.parametrize("name", ["1a2b3c4d-a.jpg", "a.jpg"])
def test_brushes_of_label_studio(export, name):
    found = truth(export([task(1, name, brushed("road", ROAD), brushed("Lamp", LAMP, "r2"))]))
    assert (found == WANTED).all()


def test_a_root_with_an_export_of_label_studio(tmp_path, export):
    export([task(1, "1a2b3c4d-a.jpg", brushed("road", ROAD), brushed("lamp", LAMP, "r2"))])
    write_image(tmp_path / "images" / "b.png", PHOTO)
    dataset = open_dataset(tmp_path, classes=CLASSES)
    assert (dataset.layout, dataset.keys, dataset.labelled) == ("coco", ("a",), 1)
    assert (truth(dataset) == WANTED).all()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("polygonlabels", {"points": [[0, 0], [50, 0], [50, 100], [0, 100]], "polygonlabels": ["road"]}),
        ("rectanglelabels", {"x": 0, "y": 0, "width": 50, "height": 100, "rectanglelabels": ["road"]}),
    ],
)
def test_outlines_of_label_studio_are_in_per_cent(export, kind, value):
    found = truth(export([task(1, "a.jpg", region(kind, value))]))
    assert (found == np.where(ROAD, 1, 0)).all()


def test_shapes_and_classes_of_two_rows_and_what_covers_nothing(export):
    rows = [
        region("brush", {"format": "rle", "rle": runs(ROAD)}),
        region("labels", {"format": "rle", "labels": ["road"]}),
        {"id": "c", "type": "choices", "value": {"choices": ["night"]}},
        region("keypointlabels", {"x": 5, "y": 5, "width": 1, "keypointlabels": ["lamp"]}, "k"),
    ]
    assert (truth(export([task(1, "a.jpg", *rows)])) == np.where(ROAD, 1, 0)).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one["annotations"].append(one["annotations"][0]), "2 annotations of task 1"),
        (lambda one: one["annotations"][0]["result"][0].update(image_rotation=90), "rotated"),
        (lambda one: one["annotations"][0]["result"][0]["value"].update(brushlabels=["road", "lamp"]), "2 classes"),
        (lambda one: one["annotations"][0]["result"][0]["value"].pop("brushlabels"), "without a class"),
        (lambda one: one["annotations"][0]["result"][0]["value"].update(rle=[0, 0, 1]), "cut short"),
        (lambda one: one["annotations"][0]["result"][0]["value"].update(rle=runs(ROAD)[:-9]), "cut short"),
        (lambda one: one["annotations"][0]["result"][0]["value"].update(rle=runs(ROAD[:4])), "a brush of"),
        (lambda one: one["annotations"][0]["result"][0]["value"].update(rle=[999, -1]), "not understood"),
        (lambda one: one["annotations"][0]["result"][0]["value"].update(brushlabels=["tram"]), "unknown class"),
    ],
)
def test_what_label_studio_leaves_open_is_refused(export, change, says):
    one = task(1, "a.jpg", brushed("road", ROAD))
    change(one)
    with pytest.raises(InputError, match=says):
        truth(export([one]))


def minimal(number, image, *regions, annotation=7):
    """A record of JSON-MIN: the task's data, and its regions under the names of their tags."""
    tags = {}
    for row in regions:
        sides = {key: row[key] for key in ("original_width", "original_height")}
        tags.setdefault(row["from_name"], []).append({**row["value"], **sides})
    return {"image": f"/data/upload/3/{image}", "id": number, **tags, "annotator": 1, "annotation_id": annotation,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "lead_time": 9.5}  # fmt: skip


OUTLINE = {"points": [[0, 0], [50, 0], [50, 100], [0, 100]], "polygonlabels": ["road"]}


@pytest.mark.parametrize("road", [brushed("road", ROAD), region("polygonlabels", OUTLINE)])
def test_the_short_export_of_label_studio(export, tmp_path, road):
    """JSON-MIN."""
    lamp = brushed("Lamp", LAMP) | {"from_name": "brush"}
    found = export([minimal(1, "1a2b3c4d-a.jpg", road, lamp), minimal(2, "b.jpg", annotation=None)])
    assert (truth(found) == WANTED).all()
    root = open_dataset(tmp_path, classes=CLASSES)
    assert (root.layout, root.keys, root.labelled) == ("coco", ("a",), 1)


def test_shapes_and_their_classes_under_two_names_of_the_short_export(export):
    drawn = region("brush", {"format": "rle", "rle": runs(ROAD)}, from_name="brush")
    named = region("labels", {"format": "rle", "rle": runs(ROAD), "labels": ["road"]})
    assert (truth(export([minimal(1, "a.jpg", drawn, named)])) == np.where(ROAD, 1, 0)).all()
    other = region("labels", {"format": "rle", "rle": runs(LAMP), "labels": ["lamp"]})
    with pytest.raises(InputError, match="without a class"):
        truth(export([minimal(1, "a.jpg", drawn, other)]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found.append(dict(found[0], annotation_id=8)), "2 annotations of task 1"),
        (lambda found: found[0]["tag"][0].update(brushlabels=["road", "lamp"]), "2 classes"),
        (lambda found: found[0]["tag"][0].update(rle=[0, 0, 1]), "cut short"),
        (lambda found: found[0]["tag"][0].update(rotation=3), "rotated"),
        (lambda found: found[0]["tag"][0].pop("original_height"), "original_height"),
        (lambda found: found[0].update(tag=[]), "holds no finished annotation"),
        (lambda found: found[0].update(image="a"), "a task with 0 images"),
    ],
)
def test_what_the_short_export_leaves_open_is_refused(export, change, says):
    found = [minimal(1, "a.jpg", brushed("road", ROAD))]
    change(found)
    with pytest.raises(InputError, match=says):
        truth(export(found))


def test_two_tasks_of_one_image_are_refused(export):
    tasks = [task(number, f"{number}a2b3c4d-a.jpg", brushed("road", ROAD)) for number in (1, 2)]
    with pytest.raises(InputError, match="the file name alone does not decide"):
        export(tasks)
    with pytest.raises(InputError, match=r"two tasks with the image a\.jpg"):
        export([task(number, "a.jpg", brushed("road", ROAD)) for number in (1, 2)])


def test_cancelled_annotations_and_tasks_without_any_are_left_out(export, tmp_path):
    one = task(1, "a.jpg", brushed("road", ROAD))
    one["annotations"].append({"id": 8, "was_cancelled": True, "result": [brushed("lamp", LAMP)]})
    found = export([one, task(2, "b.jpg")], ("a.jpg",))
    assert (truth(found) == np.where(ROAD, 1, 0)).all()


def test_an_export_without_annotations_keeps_no_folder_from_being_images(tmp_path):
    write_image(tmp_path / "a.png", PHOTO)
    (tmp_path / "project-1.json").write_text(json.dumps([task(1, "a.png"), task(2, "b.png")]))
    assert open_dataset(tmp_path).keys == ("a",)
    with pytest.raises(InputError, match="holds no finished annotation"):
        open_dataset(tmp_path, labels=tmp_path / "project-1.json")


def test_masks_that_are_named_by_tasks_are_refused(tmp_path):
    write_image(tmp_path / "images" / "1.png", PHOTO)
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in ("task-1-annotation-2-by-1-tag-road-0", "task-1-annotation-2-by-me@home.org-tag-lamp-1"):
        Image.fromarray(ROAD).save(folder / f"{name}.png")
    with pytest.raises(InputError, match=r"found 2 masks of Label Studio .*, which are named by the numbers of tasks"):
        open_dataset(tmp_path / "images", labels=folder)


@given(st.integers(0, 96), st.data())
def test_any_brush_is_unpacked(literal, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=24, max_size=24))).reshape(4, 6)
    assert (brush(runs(mask, literal), Size(6, 4)) == mask).all()


@given(st.lists(st.integers(0, 255), max_size=60))
def test_damaged_brushes_are_an_error_of_values(found):
    with pytest.raises(ValueError, match="brush"):
        brush(found, Size(6, 4))


def roboflow(folder, listed, values, *, coco=False):
    """One split as Roboflow exports it: images with their masks beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "street_jpg.rf.0123456789abcdef0123456789abcdef"
    Image.fromarray(PHOTO).save(folder / f"{name}.jpg")
    if coco:
        corners = [0, 0, 6, 0, 6, 8, 0, 8]
        kinds = [{"id": 0, "name": "things", "supercategory": "none"},
                 {"id": 1, "name": "road", "supercategory": "things"}]  # fmt: skip
        one = {"id": 0, "image_id": 0, "category_id": 1, "segmentation": [corners], "iscrowd": 0, "area": 48}
        found = {"info": {}, "licenses": [], "categories": kinds, "annotations": [one],
                 "images": [{"id": 0, "file_name": f"{name}.jpg", "height": 8, "width": 12}]}  # fmt: skip
        (folder / "_annotations.coco.json").write_text(json.dumps(found))
        return
    Image.fromarray(np.asarray(values, np.uint8)).save(folder / f"{name}_mask.png")
    lines = ["Pixel Value, Class", *(f"{value}, {name}" for value, name in listed.items())]
    (folder / "_classes.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("part", ["", "valid"])
def test_masks_of_roboflow(tmp_path, part):
    for split in ("train", "valid", "test"):
        roboflow(tmp_path / split, {0: "background", 1: "road", 2: "lamp"}, WANTED)
    dataset = open_dataset(tmp_path / part, split="val", classes=CLASSES)
    assert len(dataset) == dataset.labelled == 1
    assert (truth(dataset) == WANTED).all()
    assert "_classes.csv" in resolve_encoding(dataset, CLASSES).notes[-1].text


def test_values_of_roboflow_that_mean_other_classes_are_refused(tmp_path):
    roboflow(tmp_path, {0: "background", 1: "lamp", 2: "road"}, WANTED)
    with pytest.raises(InputError, match=r"lamp: ids = \[1\], road: ids = \[2\]"):
        truth(open_dataset(tmp_path, classes=CLASSES))
    # As the message says.
    ids = ClassSet("mine", CLASSES.names, CLASSES.palette, {0: 0, 2: 1, 1: 2})
    swapped = np.array([0, 2, 1])[WANTED]
    assert (truth(open_dataset(tmp_path, classes=CLASSES), ids) == swapped).all()
    own = load_class_set(tmp_path / "_classes.csv")
    assert own.names == ("background", "lamp", "road")
    assert (truth(open_dataset(tmp_path, classes=own), own) == WANTED).all()


def test_unknown_classes_of_roboflow_are_refused_with_the_nearest(tmp_path):
    roboflow(tmp_path, {0: "background", 1: "roads"}, ROAD)
    with pytest.raises(InputError, match="unknown class of the set three 'roads'; did you mean road"):
        truth(open_dataset(tmp_path, classes=CLASSES))


def test_coco_of_roboflow(tmp_path):
    for split in ("train", "valid", "test"):
        roboflow(tmp_path / split, {}, None, coco=True)
    dataset = open_dataset(tmp_path, split="val", classes=CLASSES)
    assert (dataset.layout, dataset.split, dataset.labelled) == ("coco", "val", 1)
    assert (truth(dataset) == np.where(ROAD, 1, 0)).all()


@pytest.mark.parametrize(
    ("inner", "beside"),
    [
        ("label_ids", ["label_color", "overlay"]),
        ("SegmentationClass", ["SegmentationObject"]),
        ("SegmentationClassPNG", ["SegmentationClass"]),
    ],
)
def test_labels_for_images_elsewhere_may_be_named_by_what_was_exported(tmp_path, inner, beside):
    """Our own results were refused as labels, by the root that is accepted of predictions."""
    for name in "ab":
        for folder in (inner, *beside):
            write_labels(tmp_path / "out" / folder / f"{name}.png", np.zeros((4, 4), np.uint8))
        write_image(tmp_path / "images" / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    dataset = open_dataset(tmp_path / "images", labels=tmp_path / "out")
    assert {sample.label.parent.name for sample in dataset.samples} == {inner}
