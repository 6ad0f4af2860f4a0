"""Label files of every form, under every name, in every folder: read rightly, or a question, or an error; no guess."""

import shutil
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from crots.data.datasets import open_dataset
from crots.data.labels import read_truth, resolve_encoding, tried_labels
from crots.errors import InputError
from crots.label_files import TRAIN_IDS, write_labels
from crots.taxonomy import ClassSet, load_class_set
from tests.saved import png_file

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
# Of an image and its label; the second of a number's forms is padded with zeros.
NAMES = [
    ("{}", "{}"), ("{}", "{}_mask"), ("{}_image", "{}_label"), ("{}_rgb", "{}.gt"), ("img_{}", "seg_{}"),
    ("{}", "{:04}"), ("{:03}_training", "{:03}_manual1"), ("{}", "{}.jpg"), ("a{}/x", "a{}/x"), ("{}/cam", "{}/gt"),
    ("caf\u00e9 {}", "cafe\u0301 {}"), ("{}_leftImg8bit", "{}_gtFine_labelIds"), ("IMG {}", "IMG {} (mask)"),
]  # fmt: skip
FOLDERS = [
    ("images", "labels"), ("images/val", "masks/val"), ("img_dir/val", "ann_dir/val"), ("val/images", "val/masks"),
    ("all", "all"), ("a/b/c", "x"), ("JPEGImages", "SegmentationClass"), ("rgb", "semantic"),
    ("my data/img", "my data/gt"),
]  # fmt: skip
FORMS = ["train", "own", "colours", "mask", "wide mask", "marked", "from one"]
FILES = [
    "grey", "grey of 3 channels", "palette of the set", "palette of others", "16 bits", "32 bits",
    "16 bits of 3 channels", "opaque", "floats", "tif", "bmp", "gif", "pgm", "few bits",
]  # fmt: skip
COLOURED = ("grey", "opaque", "16 bits of 3 channels", "tif", "bmp")


@st.composite
def class_sets(draw):
    if draw(st.booleans()):
        return load_class_set(draw(st.sampled_from(["cityscapes", "camvid", "loveda", "voc", "gta5", "vessels"])))
    count = draw(st.integers(2, 5))
    values = {"name": "own", "names": [f"c{number}" for number in range(count)]}
    if draw(st.booleans()):
        ids = draw(st.lists(st.integers(0, 255), unique=True, min_size=count, max_size=count + 3))
        void = {str(value): 255 for value in ids[count:]}
        values["raw_ids"] = {**{str(value): train for train, value in enumerate(ids[:count])}, **void}
    return ClassSet.from_dict(values)


def stored(labels, classes, form, kind):
    """What a file of a form holds for train ids: values or colours, or None where the form cannot say it."""
    if form == "colours":
        if any(colour == (0, 0, 0) for colour in classes.palette) and (labels == 255).any():
            return None
        return classes.colours(labels) if kind in COLOURED else None
    if form == "own":
        table = {train: raw for raw, train in classes.raw_ids.items() if train != 255}
        void = next((raw for raw, train in classes.raw_ids.items() if train == 255), None)
        if len(table) < len(classes) or (void is None and (labels == 255).any()):
            return None
        return np.vectorize({**table, 255: void}.get, otypes=[int])(labels)
    if form in ("mask", "wide mask"):
        white = 255 if form == "mask" else 65535
        whole = len(classes) == 2 and set(np.unique(labels)) == {0, 1} and (white == 255 or kind == "16 bits")
        return np.where(labels == 1, white, 0) if whole else None
    if form == "from one":
        # Of classes that have ids, these are meant; without the last one, ids that count from 0 fit as well.
        counted = not classes.raw_ids and len(classes) - 1 in labels
        return np.where(labels == 255, 0, labels.astype(int) + 1) if counted else None
    return labels.astype(int)


def write(path, values, classes, form, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    narrow = values.astype(np.uint8)
    if form == "marked":
        write_labels(path, values, says=f"{TRAIN_IDS} of {classes.name}")
    elif kind in ("grey of 3 channels", "16 bits of 3 channels", "opaque"):
        planes = values if values.ndim == 3 else np.dstack([values] * 3)
        if kind.startswith("16"):
            wide = np.where(planes == 255, 65535, planes) if form == "train" else planes
            cv2.imencode(".png", wide[..., ::-1].astype(np.uint16))[1].tofile(path)
        else:
            alpha = [np.full(planes.shape[:2], 255)] if kind == "opaque" else []
            Image.fromarray(np.dstack([planes, *alpha]).astype(np.uint8)).save(path)
    elif kind == "16 bits":
        Image.fromarray(np.where(values == 255, 65535, values).astype(np.uint16) if form == "train" else
                        values.astype(np.uint16)).save(path)  # fmt: skip
    elif kind in ("32 bits", "floats"):
        wide = np.where(values == 255, -1, values) if form == "train" else values
        Image.fromarray(wide.astype(np.int32 if kind == "32 bits" else np.float32)).save(
            path.with_name(path.name[:-3] + "tif")
        )
    elif kind in ("tif", "bmp", "gif"):
        Image.fromarray(narrow).save(path.with_name(path.name[:-3] + kind))
    elif kind == "pgm":
        white = max(1, int(values.max()))
        path.with_name(path.name[:-3] + kind).write_bytes(b"P5 8 6 %d\n" % white + narrow.tobytes())
    elif kind == "few bits":
        few_bits(path, narrow)
    else:
        image = Image.fromarray(narrow)
        if kind == "palette of the set" and form == "train":
            image.putpalette(classes.palette_array().tobytes())
        elif kind == "palette of others":
            image.putpalette(np.random.default_rng(3).integers(1, 255, 768, np.uint8).tobytes())
        image.save(path)


def few_bits(path, values):
    """Writes a grey PNG of as few bits as hold the values."""

    bits = next(bits for bits in (1, 2, 4, 8) if values.max() < 2**bits)
    places = np.arange(bits - 1, -1, -1)
    rows = [b"\0" + np.packbits(((row[:, None] >> places) & 1).astype(np.uint8).ravel()).tobytes() for row in values]
    header = struct.pack(">IIBBBBB", 8, 6, bits, 0, 0, 0, 0)
    path.write_bytes(png_file(header, zlib.compress(b"".join(rows))))


PLAIN = ClassSet.from_dict({"name": "plain", "names": ["a", "b", "c", "d"]})


def read_back(root, images, labels, image, label, kind, truths, classes=PLAIN):
    for number, truth in enumerate(truths):
        path = root / images / f"{image.format(number)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        PHOTO.save(path)
        write(
            root / labels / f"{label.format(number)}.png", stored(truth, classes, "train", kind), classes, "train", kind
        )
    asked = root / labels if images == "a/b/c" else None
    dataset = open_dataset(root / images if asked else root, split="val", labels=asked, classes=classes)
    dataset = resolve_encoding(dataset, classes)
    return [read_truth(sample, dataset, classes) for sample in dataset.samples]


@pytest.mark.parametrize("kind", FILES)
def test_train_ids_in_every_kind_of_file(tmp_path, kind):
    truths = [np.resize(np.array([0, 1, 2, 3, void], np.uint8), (6, 8)) for void in (255, 0, 3)]
    truths = truths[1:] if kind == "few bits" else truths
    read = read_back(tmp_path, "images", "labels", "{}", "{}", kind, truths)
    assert np.array_equal(read, truths)


@pytest.mark.parametrize(("images", "labels"), FOLDERS)
@pytest.mark.parametrize(("image", "label"), NAMES)
def test_labels_are_found_under_every_name_in_every_folder(tmp_path, images, labels, image, label):
    if (images == labels and image == label) or "labelIds" in label:
        pytest.skip("the same file, or a name that says something else of the ids")
    truths = [np.resize(np.array([0, 1, 2, 3, place], np.uint8), (6, 8)) for place in range(3)]
    assert np.array_equal(read_back(tmp_path, images, labels, image, label, "grey", truths), truths)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_labels_are_read_rightly_or_not_at_all(data):
    classes = data.draw(class_sets())
    form, kind = data.draw(st.sampled_from(FORMS)), data.draw(st.sampled_from(FILES))
    (image, label), (images, labels) = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(FOLDERS))
    assume(images != labels or image != label)
    # A name that says what the ids are is believed.
    assume("labelIds" not in label or form == "own")
    # What the class set says its files hold is what they hold, but for files that say themselves what they are.
    assume(form != "train" or not classes.raw_ids or classes.also_train_ids or kind == "palette of the set")
    # Two classes of which only the first occurs look like a mask of 0 and 255, and are read so, which is said.
    choices = st.lists(st.sampled_from([*range(len(classes)), 255]), min_size=1, max_size=6)
    truths = [np.resize(np.array(data.draw(choices), np.uint8), (6, 8)) for _ in range(3)]
    ids = set(np.unique(truths).tolist())
    assume(not (len(classes) == 2 and form == "train" and 255 in ids and 1 not in ids))
    values = [stored(truth, classes, form, kind) for truth in truths]
    assume(all(value is not None for value in values))
    root = Path(tempfile.mkdtemp())
    try:
        for number, value in enumerate(values):
            path = root / images / f"{image.format(number)}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            PHOTO.save(path)
            write(root / labels / f"{label.format(number)}.png", value, classes, form, kind)
        asked = None if images != "a/b/c" else root / labels
        try:
            dataset = open_dataset(root if asked is None else root / images, split="val", labels=asked, classes=classes)
            assert len(dataset) == 3
            dataset = resolve_encoding(dataset, classes)
            read = [read_truth(sample, dataset, classes) for sample in dataset.samples]
        except InputError as error:
            assert len(str(error)) < 2000
            return
        message = "; ".join(note.line for note in dataset.notes)
        right = all(np.array_equal(one, other) for one, other in zip(read, truths, strict=True))
        # Two readings that differ may be told apart by what is plausible, if that is said.
        assert right or "would fit too" in message or "warning" in message, (dataset.encoding, message)
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif", ".pgm"])
def test_masks_of_0_and_255_are_warned_of_in_every_format(tmp_path, suffix):
    three = ClassSet("three", ("a", "b", "c"), ((10, 20, 30), (40, 50, 60), (70, 80, 90)))
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for name in "xyz":
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "images" / f"{name}.png")
        mask = np.zeros((16, 16), np.uint8)
        mask[4:9] = 255
        Image.fromarray(mask).save(tmp_path / "labels" / f"{name}{suffix}")
    found = open_dataset(tmp_path / "images", labels=tmp_path / "labels", classes=three)
    warned = [note.text for note in tried_labels(found, three).notes if note.warning]
    assert len(warned) == 1 and warned[0].startswith("nothing but a and ignored pixels occurs in them")
