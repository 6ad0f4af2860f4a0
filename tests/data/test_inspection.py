import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crots.data.datasets import open_dataset
from crots.data.inspection import inspect
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import write_confidence, write_labels
from crots.taxonomy import ClassSet, load_class_set
from tests.test_rendering import write_tiff

pytestmark = pytest.mark.safety

CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"
CLASSES = ClassSet.from_dict({"name": "three", "names": ["a", "b", "c"]})
PHOTO = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)


@pytest.fixture
def dataset(tmp_path):
    """Two splits of three images, labels for one of them."""
    for split in ("train", "val"):
        for name in "abc":
            write_image(tmp_path / "images" / split / f"{name}.png", PHOTO)
    for name in "abc":
        labels = np.zeros((32, 64), np.uint8)
        labels[:, 32:] = 1
        labels[:16] = 255
        write_labels(tmp_path / "labels" / "val" / f"{name}.png", labels)
    return tmp_path


def test_a_sound_data_set(dataset):
    seen = []
    found = inspect(dataset, CLASSES, watch=lambda done, total: seen.append((done, total)))
    assert found.kind == "data set"
    assert found.counts == {"images": 6, "labels": 3}
    assert found.sizes == {"64x32": 6}
    assert found.pixels == {"a": 0.5, "b": 0.5, "c": 0}
    assert found.problems == ()
    assert seen == [(done, 6) for done in range(1, 7)]
    text = "\n".join(found.summary)
    for words in ("split train: 3 images, 0 with labels", "split val: 3 images, 3 with labels", "never seen: c"):
        assert words in text
    assert json.loads(json.dumps(found.to_dict()))["counts"] == {"images": 6, "labels": 3}
    assert inspect(dataset, CLASSES, split="val").counts["images"] == 3


def test_every_problem_is_named(dataset):
    broken = dataset / "images" / "train" / "b.png"
    broken.write_bytes(broken.read_bytes()[:200])
    write_labels(dataset / "labels" / "val" / "a.png", np.zeros((2, 2), np.uint8))
    write_labels(dataset / "labels" / "val" / "b.png", np.full((32, 64), 9, np.uint8))
    (dataset / "labels" / "val" / "c.png").unlink()
    found = inspect(dataset, CLASSES)
    assert found.counts["unreadable"] == 1
    for words in (
        f"{broken}: broken or truncated",
        "a.png: is 2x2, but its image is 64x32",
        "b.png: found the label ids 9, which class set three does not know",
        "1 image has no label (c)",
    ):
        assert any(words in problem for problem in found.problems), (words, found.problems)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_problems_of_a_root_are_named_whatever_the_images_are(tmp_path, suffix):
    """A root of photographs and masks passed for label maps without problems where the images were JPEG."""
    for name in "abcd":
        write_image(tmp_path / "images" / f"{name}.{suffix}", PHOTO[:, ::2] if name == "c" else PHOTO)
        if name != "d":
            labels = np.zeros((32, 64), np.uint8)
            labels[:, 32:] = 1
            write_labels(tmp_path / "labels" / f"{name}.png", labels)
    broken = tmp_path / "images" / f"b.{suffix}"
    broken.write_bytes(broken.read_bytes()[:-40])
    found = inspect(tmp_path, CLASSES)
    assert found.kind == "data set" and found.counts["labels"] == 3 and len(found.problems) == 3
    for words in (f"{broken}: broken or truncated", "c.png: is 64x32, but its image is 32x32", "no label (d)"):
        assert any(words in problem for problem in found.problems), (words, found.problems)


def test_one_faulty_label_does_not_put_the_others_in_doubt(dataset):
    for name, value in {"a": 7, "b": 33, "c": 26}.items():
        write_labels(dataset / "labels" / "val" / f"{name}.png", np.full((32, 64), value, np.uint8))
    assert inspect(dataset, load_class_set("cityscapes")).problems == ()
    write_labels(dataset / "labels" / "val" / "b.png", np.full((32, 64), 77, np.uint8))
    problems = inspect(dataset, load_class_set("cityscapes")).problems
    assert problems and all("b.png: found the label ids 77" in problem for problem in problems)


def test_without_a_class_set_ids_are_counted(dataset):
    assert inspect(dataset).pixels == {"0": 0.25, "1": 0.25, "255": 0.5}


def test_label_maps(dataset):
    found = inspect(dataset / "labels", CLASSES)
    assert (found.kind, found.counts) == ("label maps", {"files": 3})
    write_labels(dataset / "labels" / "val" / "b.png", np.full((32, 64), 9, np.uint8))
    assert any("b.png" in problem for problem in inspect(dataset / "labels", CLASSES).problems)


def test_grey_photographs_are_no_label_maps(tmp_path):
    write_image(tmp_path / "a.png", PHOTO[..., 0])
    assert inspect(tmp_path).kind == "data set"


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_hard_predictions(tmp_path, classes):
    write_labels(tmp_path / "label_ids" / "a.png", np.array([[0, 1]]))
    write_labels(tmp_path / "label_ids" / "b.png", np.array([[0, 2]]))
    write_confidence(tmp_path / "confidence" / "a.png", np.ones((1, 2)))
    write_confidence(tmp_path / "confidence" / "b.png", np.zeros((1, 2)))
    found = inspect(tmp_path, classes)
    assert (found.kind, found.counts, found.problems) == ("predictions", {"predictions": 2}, ())
    assert "mean confidence 50.0%" in found.summary
    (tmp_path / "confidence" / "b.png").unlink()
    assert "no confidence map for 1 of 2" in inspect(tmp_path, classes).problems[0]


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_soft_predictions(tmp_path, classes):
    for name, count in (("a", 3), ("b", 4)):
        scores = np.full((count, 5, 6), 0.1, np.float32)
        scores[0] = 1 - 0.1 * (count - 1)
        np.savez(tmp_path / f"{name}.npz", probabilities=scores)
    found = inspect(tmp_path, classes)
    assert found.counts == {"predictions": 2, "unreadable": 1}
    assert "shape (4, 5, 6), expected (3, height, width)" in found.problems[0]


def test_foreign_ids_in_predictions(tmp_path):
    write_labels(tmp_path / "label_ids" / "a.png", np.array([[0, 7]]))
    assert "class ids 7, expected 0 to 2" in inspect(tmp_path, CLASSES).problems[0]


def test_one_image_and_a_list(tmp_path):
    write_image(tmp_path / "a.png", PHOTO)
    assert inspect(tmp_path / "a.png").kind == "image"
    (tmp_path / "list.txt").write_text("a.png\n")
    assert inspect(tmp_path / "list.txt").counts == {"images": 1}


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="found no images"):
        inspect(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        inspect(tmp_path / "absent")


@pytest.mark.skipif(not CAMVID.is_dir(), reason="shared data is not here")
def test_shared_camvid():
    found = inspect(CAMVID, load_class_set("camvid"), split="val")
    assert (found.counts, found.sizes, found.problems) == ({"images": 101, "labels": 101}, {"480x360": 101}, ())


@pytest.mark.parametrize("kind", ["floats", "bands", "transparency"])
def test_images_that_hold_no_label_ids_are_no_label_maps(tmp_path, kind):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(3):
        path = tmp_path / "images" / f"{number}.{'png' if kind == 'transparency' else 'tif'}"
        if kind == "floats":
            Image.fromarray(rng.random((8, 12)).astype(np.float32)).save(path)
        elif kind == "bands":
            write_tiff(path, rng.integers(0, 255, (8, 12, 5)).astype(np.uint8))
        else:
            grey = np.full((8, 12), number, np.uint8)
            Image.merge("LA", [Image.fromarray(grey), Image.fromarray(rng.integers(0, 255, (8, 12), np.uint8))]).save(
                path
            )
        write_labels(tmp_path / "labels" / f"{number}.png", np.full((8, 12), number))
    found = inspect(tmp_path)
    assert (found.kind, found.counts["images"], found.counts["labels"]) == ("data set", 3, 3)


@pytest.mark.parametrize(
    ("suffix", "message"), [(".jpg", "but 3 images in lossy formats"), (".npy", "found no label files")]
)
def test_labels_that_cannot_be_read_as_such_are_reported(tmp_path, suffix, message):
    for number in range(3):
        write_image(tmp_path / "images" / f"{number}.jpg", np.full((8, 12, 3), 99, np.uint8))
        path = tmp_path / "labels" / f"{number}{suffix}"
        if suffix == ".jpg":
            write_image(path, np.full((8, 12, 3), 1, np.uint8))
        else:
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.ones((8, 12)))
    dataset = open_dataset(tmp_path)
    assert dataset.labelled == 0 and message in dataset.notes[-1].text


@pytest.mark.parametrize(
    ("orientation", "height", "given"), [(1, 24, 0), (3, 24, 1), (2, 24, 1), (6, 24, 0), (6, 32, 1)]
)
def test_labels_whose_size_cannot_show_that_they_are_turned_are_warned_about(tmp_path, orientation, height, given):
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (32, height), (9, 99, 199)).save(tmp_path / "images" / "p.jpg", exif=exif)
    upright = (32, height) if orientation > 4 else (height, 32)
    write_labels(tmp_path / "labels" / "p.png", np.eye(*upright, dtype=np.uint8))
    found = inspect(tmp_path / "images", labels=tmp_path / "labels")
    warnings = [
        line for line in found.summary if line.startswith("warning: 1 labelled images (p) are turned or mirrored")
    ]
    assert not found.problems and len(warnings) == given


@pytest.mark.parametrize("last", [False, True])
def test_the_classes_of_soft_predictions_are_counted_at_either_end_of_their_shape(tmp_path, last):
    scores = np.full((3, 5, 6), 0.1, np.float32)
    scores[0] = 0.8
    np.savez(tmp_path / "a.npz", probabilities=np.moveaxis(scores, 0, 2) if last else scores)
    found = inspect(tmp_path)
    assert found.sizes == {"6x5": 1} and not found.problems


def test_what_is_odd_about_predictions_is_a_warning(tmp_path):
    for number in range(4):
        write_labels(tmp_path / "label_ids" / f"{number}.png", np.zeros((8, 16), np.uint8))
        write_confidence(tmp_path / "confidence" / f"{number}.png", np.arange(128).reshape(8, 16) / 300 + 0.5)
    found = inspect(tmp_path, ClassSet.from_dict({"name": "two", "names": ["a", "b"]}))
    (warning,) = [line for line in found.summary if line.startswith("warning")]
    assert "the 4 predictions checked say a everywhere" in warning


def test_an_image_without_a_label_is_a_problem_however_the_labels_are_named(tmp_path):
    """By the root it was counted, and with the labels named the whole folder was refused."""
    for name in "abcd":
        write_image(tmp_path / "images" / f"{name}.png", PHOTO)
        if name != "d":
            write_labels(tmp_path / "labels" / f"{name}.png", np.zeros((32, 64), np.uint8))
    by_root, named = inspect(tmp_path), inspect(tmp_path / "images", labels=tmp_path / "labels")
    assert by_root.problems == named.problems == (f"{tmp_path / 'images'}: 1 image has no label (d)",)
    assert named.counts == by_root.counts == {"images": 4, "labels": 3}
    write_labels(tmp_path / "labels" / "e.png", np.zeros((32, 64), np.uint8))
    problems = inspect(tmp_path / "images", labels=tmp_path / "labels").problems
    assert f"{tmp_path / 'labels'}: 1 labels have no image (e)" in problems and len(problems) == 2
    # To be scored, labels are not to be of other images.
    with pytest.raises(InputError, match="found no label for 1 of 4"):
        open_dataset(tmp_path / "images", labels=tmp_path / "labels")


def test_labels_of_other_images_are_no_data_set_with_gaps(tmp_path):
    write_image(tmp_path / "images" / "a.png", PHOTO)
    write_labels(tmp_path / "labels" / "other.png", np.zeros((32, 64), np.uint8))
    with pytest.raises(InputError, match="found no label for 1 of 1 images"):
        inspect(tmp_path / "images", labels=tmp_path / "labels")
