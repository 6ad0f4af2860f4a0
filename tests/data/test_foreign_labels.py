"""Labels of tools whose files are not read are named, with what to do."""

import json
import os

import numpy as np
import pytest

from crots.data.datasets import open_dataset
from crots.errors import InputError
from crots.images import write_image

OUTLINE = {"classTitle": "car", "geometryType": "polygon", "points": {"exterior": [[1, 1], [9, 1], [9, 9]]}}
REGION = {"shape_attributes": {"name": "polygon", "all_points_x": [1, 9], "all_points_y": [1, 9]}}
TREES = {
    "Supervisely": (
        "ds/img/{}.png", "ds/ann/{}.png.json",
        json.dumps({"size": {"height": 8, "width": 12}, "objects": [OUTLINE]}), "masks",
    ),
    "VGG Image Annotator": (
        "{}.png", "via_region_data.json", json.dumps({"a.png1": {"filename": "a.png", "regions": [REGION]}}), "COCO",
    ),
    "MATLAB": ("image/{}.png", "groundTruth/{}.mat", "MATLAB 5.0 MAT-file, Platform: PCWIN64", "as PNG"),
    "Aperio ImageScope": (
        "Tissue Images/{}.png", "Annotations/{}.xml",
        '<?xml version="1.0"?><Annotations MicronsPerPixel="0.25"><Annotation/></Annotations>', "COCO",
    ),
    "numbers": ("images/{}.png", "labels/{}.regions.txt", "0 0 0 0 1 1 1 2 2 -1 -1 2\n" * 8, "as PNG"),
    "YOLO": ("images/train/{}.png", "labels/train/{}.txt", "0 0.1 0.1 0.4 0.1 0.4 0.5\n", "boxes are no labels"),
}  # fmt: skip


@pytest.mark.parametrize("tool", TREES)
def test_they_are_named_at_the_root_and_where_they_are_given(tmp_path, tool):
    images, labels, content, remedy = TREES[tool]
    for name in "ab":
        write_image(tmp_path / images.format(name), np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype("u1"))
        (tmp_path / labels.format(name)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / labels.format(name)).write_text(content)
    dataset = open_dataset(tmp_path)
    assert (len(dataset), dataset.labelled) == (2, 0)
    notes = [note.text for note in dataset.notes if tool in note.text]
    assert len(notes) == 1 and "is not read" in notes[0] and remedy in notes[0]
    with pytest.raises(InputError, match=tool):
        open_dataset(tmp_path / os.path.dirname(images), labels=(tmp_path / labels).parent)  # noqa: PTH120


@pytest.mark.parametrize("content", ['{"a": 1}', "", "\x00", "12 images\n", "0 1\n", "1 2 3 4 5\n"])
def test_other_files_are_none_of_theirs(tmp_path, content):
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype("u1"))
    for suffix in ("json", "txt"):
        (tmp_path / f"notes.{suffix}").write_text(content)
    assert open_dataset(tmp_path).notes == ()


@pytest.mark.parametrize("name", ["labels.zip", "a.png", "model.onnx", "train.txt"])
def test_a_file_in_the_place_of_their_folder_is_no_damaged_export(tmp_path, name):
    write_image(tmp_path / "images" / "a.png", np.zeros((8, 12, 3), np.uint8))
    (tmp_path / name).write_bytes(b"PK\x03\x04 \xff")
    with pytest.raises(InputError, match="found a file, expected the folder of the labels") as raised:
        open_dataset(tmp_path / "images", labels=tmp_path / name)
    assert "JSON" in str(raised.value) and "unpack" in str(raised.value)
