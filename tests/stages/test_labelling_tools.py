"""Pseudo-labels go out to labelling tools and come back pixel for pixel; what was changed becomes a correction."""

import errno
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import Sample, open_dataset
from crots.data.labels import detect_encoding
from crots.data.polygons import outlined, painted
from crots.errors import InputError, StageError
from crots.events import Note
from crots.execution.context import Context
from crots.files import explained
from crots.images import image_size, read_image, write_image
from crots.label_files import write_labels
from crots.stages import labelling_tools
from crots.stages.labelling_tools import TOOLS, ExportDoubtfulJob, ImportCorrectedJob, export_doubtful, import_corrected
from crots.taxonomy import ClassSet, load_class_set
from crots.training.material import PseudoLabels

pytestmark = pytest.mark.safety

# Names and colours that a tool could take for something else.
CLASSES = ClassSet.from_dict(
    {"name": "odd", "names": ["background", "lane:1", "lane 1", "Void", "Größe"],
     "palette": [[0, 0, 0], [9, 9, 9], [9, 9, 9], [200, 0, 0], [0, 0, 200]]}
)  # fmt: skip
SIZE = Size(24, 16)
KEYS = ("a", "deep/b", "deep/c")


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(1)
    for key in KEYS:
        write_image(tmp_path / "images" / f"{key}.jpg", rng.integers(0, 256, (32, 48, 3), np.uint8))
        ids = np.kron(rng.choice([0, 1, 2, 3, 4, 255], (4, 6)), np.ones((4, 4), int))
        write_labels(tmp_path / "label_ids" / f"{key}.png", ids)
    return PseudoLabels(tmp_path / "label_ids", None, CLASSES, tmp_path / "corrections" / "label_ids")


def exported(labels, tool, folder):
    images = labels.labels.parent / "images"
    samples = [Sample(key, images / f"{key}.jpg") for key in KEYS]
    job = ExportDoubtfulJob(samples, ImageCache(None, SIZE, 0), labels, folder, tool)
    list(export_doubtful(job, Context("suspects")))
    return folder


def imported(labels, folder):
    job = ImportCorrectedJob(folder, KEYS, labels, labels.labels.parent)
    return [event.text for event in import_corrected(job, Context("suspects")) if isinstance(event, Note)][-1]


def corrections(labels):
    return {path.relative_to(labels.corrections).with_suffix("").as_posix() for path in labels.corrections.rglob("*")
            if path.is_file()}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_what_comes_back_unchanged_changes_nothing(labels, tool, tmp_path):
    text = imported(labels, exported(labels, tool, tmp_path / "out"))
    assert text.startswith("0 of 3 images were corrected, 0.0% of their pixels; nothing to import")
    assert corrections(labels) == set()


def test_a_correction_in_labelme(labels, tmp_path):
    folder = exported(labels, "labelme", tmp_path / "out")
    path = folder / "deep" / "b.json"
    found = json.loads(path.read_text())
    assert found["imagePath"] == "b.jpg" and (found["imageWidth"], found["imageHeight"]) == SIZE
    assert image_size(folder / "deep" / "b.jpg") == SIZE
    found["shapes"] += [
        {"label": "größe", "shape_type": "rectangle", "points": [[0, 0], [7, 7]]},
        {"label": "__ignore__", "shape_type": "rectangle", "points": [[0, 0], [1, 1]]},
    ]
    path.write_text(json.dumps(found))
    before = {key: labels.read(key).copy() for key in KEYS}
    assert imported(labels, folder).startswith("1 of 3 images were corrected (deep/b)")
    wanted = before["deep/b"].copy()
    wanted[:8, :8] = 4
    wanted[:2, :2] = 255
    assert np.array_equal(labels.read("deep/b"), wanted) and corrections(labels) == {"deep/b"}
    assert np.array_equal(labels.read("a"), before["a"])


@pytest.mark.parametrize("form", ["as written", "palette", "other colours", "one folder deeper", "flat names"])
def test_a_correction_in_cvat(labels, tmp_path, form):
    folder = exported(labels, "cvat", tmp_path / "out")
    assert (folder / "ImageSets/Segmentation/default.txt").read_text() == "a\ndeep/b\ndeep/c\n"
    lines = (folder / "labelmap.txt").read_text().splitlines()
    assert lines[1] == "background:0,0,0::" and all(line.count(":") == 3 for line in lines)
    colours = {line.split(":")[0]: [int(part) for part in line.split(":")[1].split(",")] for line in lines[1:]}
    assert len({tuple(colour) for colour in colours.values()}) == len(colours) == len(CLASSES) + 2
    path = folder / "SegmentationClass" / "deep" / "b.png"
    picture = read_image(path).copy()
    before = labels.read("deep/b").copy()
    picture[:8, :8], picture[:2, :2], picture[10:, :] = colours["Größe"], colours["ignore"], 0
    write_image(path, picture)
    if form == "palette":
        Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE).save(path)
    if form == "other colours":
        swapped = {**colours, "Größe": colours["lane 1"], "lane 1": colours["Größe"]}
        text = "".join(f"{name}:{','.join(map(str, colour))}::\n" for name, colour in reversed(swapped.items()))
        (folder / "labelmap.txt").write_text(text)
    if form == "one folder deeper":
        (tmp_path / "zip").mkdir()
        folder = folder.rename(tmp_path / "zip" / "task_1").parent
    if form == "flat names":
        for name in ("b", "c"):
            (folder / "SegmentationClass" / "deep" / f"{name}.png").rename(folder / "SegmentationClass" / f"{name}.png")
        path = folder / "SegmentationClass" / "b.png"
    wanted = before.copy()
    if form != "other colours":
        wanted[:8, :8] = 4
        wanted[:2, :2] = 255
        assert "1 of 3 images were corrected (deep/b)" in imported(labels, folder)
    else:
        imported(labels, folder)
        # The name of the second class reads as that of the third where colons are left out.
        lane, great = before == 1, before == 4
        wanted[lane], wanted[great] = 4, 1
        wanted[10:] = before[10:]
        wanted[:8, :8] = 1
        wanted[:2, :2] = 255
    assert np.array_equal(labels.read("deep/b"), wanted)


@pytest.mark.parametrize("tool", TOOLS)
def test_other_programs_read_what_is_exported(labels, tool, tmp_path):
    """The program itself is one of them."""
    folder = exported(labels, tool, tmp_path / "out")
    dataset = open_dataset(folder)
    assert dataset.keys == KEYS and dataset.labelled == 3
    assert dataset.layout == ("voc" if tool == "cvat" else "folder")
    if tool == "cvat":
        own = load_class_set(folder / "labelmap.txt")
        assert detect_encoding([sample.label for sample in dataset.samples], own)[0] == "colour"


def test_labels_of_another_run_are_refused(labels, tmp_path):
    folder = exported(labels, "labelme", tmp_path / "out")
    for key in KEYS:
        write_labels(labels.labels / f"{key}.png", np.full((16, 24), 4))
    with pytest.raises(InputError, match=r"% of the pixels differ from the pseudo-labels, .* nothing was imported"):
        imported(labels, folder)
    assert corrections(labels) == set()


def test_what_is_no_tools_folder_is_refused(labels, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "absent", "images"):
        with pytest.raises(InputError, match=r"found neither labelmap.txt|no such folder"):
            imported(labels, tmp_path / folder)
    folder = exported(labels, "labelme", tmp_path / "out")
    (folder / "a.json").rename(folder / "other.json")
    with pytest.raises(InputError, match="found no image for 1 of 3"):
        imported(labels, folder)


def test_other_classes_and_sizes_are_refused(labels, tmp_path):
    folder = exported(labels, "labelme", tmp_path / "out")
    found = json.loads((folder / "a.json").read_text())
    (folder / "a.json").write_text(json.dumps(found | {"imageWidth": 25}))
    with pytest.raises(InputError, match="is 25x16, but the pseudo-labels of a are 24x16"):
        imported(labels, folder)
    found["shapes"][0]["label"] = "new"
    (folder / "a.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match="unknown class of the set odd 'new'"):
        imported(labels, folder)
    folder = exported(labels, "cvat", tmp_path / "cvat")
    with (folder / "labelmap.txt").open("a") as file:
        file.write("new:1,2,3::\n")
    with pytest.raises(InputError, match="names the class 'new', which class set odd does not have"):
        imported(labels, folder)
    (folder / "labelmap.txt").write_text("background:0,0,0::\nlane 1:9,9,9::\n")
    with pytest.raises(InputError, match=r"which labelmap.txt does not name"):
        imported(labels, folder)
    assert corrections(labels) == set()


def test_a_link_in_the_place_of_a_correction_is_not_followed(labels, tmp_path):
    folder = exported(labels, "labelme", tmp_path / "out")
    found = json.loads((folder / "a.json").read_text())
    found["shapes"].append({"label": "Größe", "shape_type": "rectangle", "points": [[0, 0], [9, 9]]})
    (folder / "a.json").write_text(json.dumps(found))
    (tmp_path / "elsewhere").mkdir()
    labels.corrections.parent.mkdir()
    labels.corrections.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        imported(labels, folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)))
def test_outlines_draw_any_label_map_exactly(tmp_path_factory, ids):
    classes = ClassSet.from_dict({"name": "t", "names": ["a", "b", "c"]})
    height, width = ids.shape
    shapes = outlined(ids, {0: "a", 1: "b", 2: "c", 3: "__ignore__"})
    path = tmp_path_factory.mktemp("outlines") / "a.json"
    path.write_text(json.dumps({"shapes": shapes, "imagePath": "a.jpg", "imageWidth": width, "imageHeight": height}))
    assert np.array_equal(painted(path, classes, -1), np.array([0, 1, 2, 255])[ids])


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("there", [True, False], ids=["empty folder", "no folder"])
def test_a_disk_that_fills_up_leaves_no_part_of_an_export(tmp_path, labels, monkeypatch, tool, there):
    folder = tmp_path / "out"
    if there:
        folder.mkdir()
    written = []

    def full(path, *args):
        if len(written) == 2:
            with explained(path):
                raise OSError(errno.ENOSPC, "full")
        written.append(path)
        write_image(path, *args)

    monkeypatch.setattr(labelling_tools, "write_image", full)
    with pytest.raises(StageError, match=rf"cannot write {re.escape(str(folder))}.*the disk is full"):
        exported(labels, tool, folder)
    assert not folder.exists() or not list(folder.iterdir())
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
    monkeypatch.undo()
    exported(labels, tool, folder)
    assert list(folder.iterdir())


def changed(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ('{"imagePath": "a.jpg", "imageHeight": 16, "imageWidth": 24}', "holds no list of shapes"),
    ],
)
def test_a_damaged_file_of_labelme_is_no_image_without_corrections(labels, tmp_path, content, message):
    folder = exported(labels, "labelme", tmp_path / "out")
    (folder / "a.json").write_text(content)
    with pytest.raises(InputError, match=rf"a\.json: {message}"):
        imported(labels, folder)


def test_masks_that_are_gone_or_lossy_are_named(labels, tmp_path):
    folder = exported(labels, "cvat", tmp_path / "out")
    mask = folder / "SegmentationClass" / "a.png"
    with Image.open(mask) as image:
        image.save(mask.with_suffix(".jpg"))
    mask.unlink()
    with pytest.raises(InputError, match=r"found 2 masks, but 1 images in lossy formats.*export them again"):
        imported(labels, folder)
    for path in [*folder.glob("SegmentationClass/*.jpg"), *folder.rglob("*.png")]:
        path.unlink()
    with pytest.raises(InputError, match=r"SegmentationClass: found no masks; export them again"):
        imported(labels, folder)


def test_shapes_of_labelme_without_an_area_are_counted(labels, tmp_path):
    folder = exported(labels, "labelme", tmp_path / "out")
    thin = [("line", 2), ("point", 1), ("linestrip", 3), ("polygon", 2), ("rotation", 4), ("quadrilateral", 4)]
    corners = [[0, 0], [3, 0], [3, 3], [0, 3]]
    shapes = [{"label": "Void", "points": corners[:count], "shape_type": kind} for kind, count in thin]
    changed(folder / "a.json", lambda found: found["shapes"].extend(shapes))
    job = ImportCorrectedJob(folder, KEYS, labels, labels.labels.parent)
    texts = [event.text for event in import_corrected(job, Context("suspects")) if isinstance(event, Note)]
    assert texts[0] == "4 lines and points were passed over, since they cover no pixel"
    assert (labels.read("a")[:4, :4] == CLASSES.names.index("Void")).all()
