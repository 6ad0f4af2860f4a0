"""Label files of every form, under every name, in every folder: read rightly, or a question, or an error; no guess."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from crots.data.labels import read_truth, resolve_encoding
from crots.data.layouts import open_dataset
from crots.errors import InputError
from crots.images import TRAIN_IDS, write_labels
from crots.taxonomy import ClassSet, load_class_set

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
NAMES = [("{}", "{}"), ("{}", "{}_mask"), ("{}_image", "{}_label"), ("{}_rgb", "{}.gt"), ("img_{}", "seg_{}")]
FOLDERS = [
    ("images", "labels"), ("images/val", "masks/val"), ("img_dir/val", "ann_dir/val"), ("val/images", "val/masks"),
    ("all", "all"), ("a/b/c", "x"),
]  # fmt: skip
FORMS = ["train", "own", "colours", "mask", "marked"]
FILES = ["grey", "grey of 3 channels", "palette of the set", "palette of others", "16 bits", "32 bits"]


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
        return classes.colours(labels) if kind == "grey" else None
    if form == "own":
        table = {train: raw for raw, train in classes.raw_ids.items() if train != 255}
        void = next((raw for raw, train in classes.raw_ids.items() if train == 255), None)
        if len(table) < len(classes) or (void is None and (labels == 255).any()):
            return None
        return np.vectorize({**table, 255: void}.get, otypes=[int])(labels)
    if form == "mask":
        return np.where(labels == 1, 255, 0) if len(classes) == 2 and set(np.unique(labels)) == {0, 1} else None
    return labels.astype(int)


def write(path, values, classes, form, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if values.ndim == 3:
        Image.fromarray(values).save(path)
    elif form == "marked":
        write_labels(path, values, says=f"{TRAIN_IDS} of {classes.name}")
    elif kind == "grey of 3 channels":
        Image.fromarray(np.dstack([values.astype(np.uint8)] * 3)).save(path)
    elif kind == "16 bits":
        Image.fromarray(np.where(values == 255, 65535, values).astype(np.uint16) if form == "train" else
                        values.astype(np.uint16)).save(path)  # fmt: skip
    elif kind == "32 bits":
        wide = np.where(values == 255, -1, values) if form == "train" else values
        Image.fromarray(wide.astype(np.int32)).save(path.with_suffix(".tif"))
    else:
        image = Image.fromarray(values.astype(np.uint8))
        if kind == "palette of the set" and form == "train":
            image.putpalette(classes.palette_array().tobytes())
        elif kind == "palette of others":
            image.putpalette(np.random.default_rng(3).integers(1, 255, 768, np.uint8).tobytes())
        image.save(path)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_labels_are_read_rightly_or_not_at_all(data):
    classes = data.draw(class_sets())
    form, kind = data.draw(st.sampled_from(FORMS)), data.draw(st.sampled_from(FILES))
    (image, label), (images, labels) = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(FOLDERS))
    assume(images != labels or image != label)
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
        said = "; ".join(dataset.notes)
        right = all(np.array_equal(one, other) for one, other in zip(read, truths, strict=True))
        # Two readings that differ may be told apart by what is plausible, if that is said.
        assert right or "would fit too" in said or "warning" in said, (dataset.encoding, said)
    finally:
        shutil.rmtree(root)
