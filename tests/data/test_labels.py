from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crots.data.datasets import open_dataset
from crots.data.labels import decode, detect_encoding, read_truth, resolve_encoding
from crots.errors import InputError
from crots.events import Remark
from crots.images import write_image
from crots.label_files import write_colours, write_labels
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety

CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"
CITY = load_class_set("cityscapes")
PLAIN = ClassSet.from_dict({"name": "plain", "names": ["a", "b", "c"], "palette": [[9, 0, 0], [0, 9, 0], [0, 0, 9]]})


def label(path, rows, dtype=np.uint8):
    write_labels(path, np.array(rows, dtype))
    return path


@pytest.fixture
def pair(tmp_path):
    """A folder of one 3x2 image and a writer of its label."""
    write_image(tmp_path / "images" / "a.png", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "labels").mkdir()

    def make(labels, **options):
        write_labels(tmp_path / "labels" / "a.png", np.array(labels, np.uint8))
        return open_dataset(tmp_path, **options)

    return make


def test_raw_ids(pair):
    dataset = pair([[7, 33, 0], [26, 255, 24]], encoding="raw")
    assert read_truth(dataset.samples[0], dataset, CITY).tolist() == [[0, 18, 255], [13, 255, 11]]


def test_train_ids(pair):
    dataset = pair([[0, 18, 255], [1, 1, 1]], encoding="train")
    truth = read_truth(dataset.samples[0], dataset, CITY)
    assert truth.tolist() == [[0, 18, 255], [1, 1, 1]] and truth.dtype == np.uint8


def test_ids_out_of_range_are_listed_with_the_file(pair):
    dataset = pair([[0, 40, 77], [1, 1, 1]])
    for encoding in ("train", "raw"):
        with pytest.raises(InputError, match=r"a\.png: found the label ids 40, 77, which class set cityscapes"):
            decode(dataset.samples[0].label, encoding, CITY)
    with pytest.raises(InputError, match="names no ids"):
        decode(dataset.samples[0].label, "raw", PLAIN)


def test_unlisted_raw_ids_are_ignored_where_the_set_names_no_void(tmp_path):
    classes = ClassSet.from_dict({"name": "x", "names": ["a"], "raw_ids": {"7": 0}})
    assert decode(label(tmp_path / "l.png", [[7, 3]]), "raw", classes).tolist() == [[0, 255]]


def test_size_must_be_the_images(pair):
    dataset = pair([[0, 1], [1, 0]], encoding="train")
    with pytest.raises(InputError, match=r"is 2x2, but its image a\.png is 3x2"):
        read_truth(dataset.samples[0], dataset, CITY)
    assert read_truth(dataset.samples[0], dataset, CITY, check_size=False).shape == (2, 2)


def test_a_sample_without_label(pair, tmp_path):
    dataset = open_dataset(tmp_path / "images")
    with pytest.raises(InputError, match="has no label file"):
        read_truth(dataset.samples[0], dataset, CITY)


def test_auto_encoding_is_found_at_the_first_read_and_reported(pair):
    dataset = pair([[7, 33, 0], [26, 23, 24]])
    assert dataset.encoding == "auto"
    assert read_truth(dataset.samples[0], dataset, CITY)[0].tolist() == [0, 18, 255]
    resolved = resolve_encoding(dataset, CITY)
    assert resolved.encoding == "raw"
    text = "labels are the data set's own ids: 0, 7, 23-24, 26, 33 in 1 file checked"
    assert resolved.notes == (Remark(text, "labels"),)
    assert resolve_encoding(resolved, CITY) is resolved


@pytest.mark.parametrize(
    ("ids", "classes", "wanted"),
    [
        ([0, 5, 18, 255], CITY, "train"),
        ([7, 8, 33], CITY, "raw"),
        ([0, 1, 2, 3], load_class_set("camvid"), "raw"),
        ([0, 11], load_class_set("camvid"), "raw"),
        ([0, 2, 255], PLAIN, "train"),
    ],
)
def test_detection_by_ids(tmp_path, ids, classes, wanted):
    path = label(tmp_path / "l.png", [ids])
    encoding, reason = detect_encoding([path], classes)
    assert encoding == wanted and reason


def test_detection_refuses_what_fits_nothing(tmp_path):
    with pytest.raises(InputError, match="label ids 7, 90"):
        detect_encoding([label(tmp_path / "l.png", [[0, 7, 90]])], PLAIN)


def test_detection_looks_at_several_files(tmp_path):
    paths = [label(tmp_path / f"{index:02}.png", [[0, 1]]) for index in range(40)]
    label(paths[-1], [[33, 26]])
    assert detect_encoding(paths, CITY)[0] == "raw"


def test_detection_passes_over_broken_files(tmp_path):
    broken = tmp_path / "a.png"
    broken.write_bytes(b"nothing")
    good = label(tmp_path / "b.png", [[33, 26]])
    assert detect_encoding([broken, good], CITY)[0] == "raw"
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        detect_encoding([broken], CITY)


def test_detection_names_the_file_at_fault(tmp_path):
    paths = [label(tmp_path / "a.png", [[33, 26]]), label(tmp_path / "b.png", [[33, 99]])]
    with pytest.raises(InputError, match=r"b\.png: found the label ids 99,"):
        detect_encoding(paths, CITY)


def test_colours(tmp_path):
    labels = np.array([[0, 18, 255]], np.uint8)
    write_image(tmp_path / "c.png", CITY.colours(labels))
    assert detect_encoding([tmp_path / "c.png"], CITY)[0] == "colour"
    assert decode(tmp_path / "c.png", "colour", CITY).tolist() == labels.tolist()
    with pytest.raises(InputError, match="choose the encoding colour"):
        decode(tmp_path / "c.png", "train", CITY)


def test_official_void_colours_are_ignored(tmp_path):
    for entry in pytest.importorskip("cityscapesscripts.helpers.labels").labels:
        Image.new("RGBA", (1, 1), (*entry.color, 255)).save(tmp_path / "c.png")
        decoded = int(decode(tmp_path / "c.png", "colour", CITY)[0, 0])
        # Pole groups and licence plates share the colours of poles and cars.
        assert decoded == entry.trainId or entry.name in ("polegroup", "license plate")


def test_unknown_colours_are_named(tmp_path):
    write_image(tmp_path / "c.png", np.array([[[1, 2, 3], [128, 64, 128]]], np.uint8))
    with pytest.raises(InputError, match=r"c\.png: found the colours \(1, 2, 3\)"):
        decode(tmp_path / "c.png", "colour", CITY)


def test_palette_images_hold_ids_unless_only_their_colours_fit(tmp_path):
    write_colours(tmp_path / "p.png", np.array([[0, 2, 255]]), CITY.palette_array())
    assert detect_encoding([tmp_path / "p.png"], CITY)[0] == "train"
    shuffled = np.zeros((256, 3), np.uint8)
    shuffled[[50, 60]] = PLAIN.palette[0], PLAIN.palette[2]
    write_labels(tmp_path / "s.png", np.array([[50, 60]]), shuffled)
    assert detect_encoding([tmp_path / "s.png"], PLAIN)[0] == "colour"
    assert decode(tmp_path / "s.png", "colour", PLAIN).tolist() == [[0, 2]]


def test_ids_stored_in_three_channels(tmp_path):
    write_image(tmp_path / "g.png", np.repeat(np.array([[[7], [33]]], np.uint8), 3, 2))
    assert detect_encoding([tmp_path / "g.png"], CITY)[0] == "raw"
    assert decode(tmp_path / "g.png", "raw", CITY).tolist() == [[0, 18]]


def test_synthia_takes_the_first_of_its_sixteen_bit_channels(tmp_path):
    cv2 = pytest.importorskip("cv2")
    ids = np.array([[3, 10, 22, 0]], np.uint16)
    rgb = np.dstack([ids, ids * 0 + 517, ids * 0])
    cv2.imwrite(str(tmp_path / "l.png"), rgb[..., ::-1])
    classes = load_class_set("synthia")
    assert decode(tmp_path / "l.png", "synthia", classes).tolist() == [[0, 11, 255, 255]]
    sixteen = ClassSet.from_dict({**classes.to_dict(), "raw_ids": {"3": 0, "10": 1, "22": 255, "0": 255}})
    assert decode(tmp_path / "l.png", "synthia", sixteen).tolist() == [[0, 1, 255, 255]]
    (tmp_path / "l.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="not an image"):
        decode(tmp_path / "l.png", "synthia", classes)
    with pytest.raises(InputError, match="no such file"):
        decode(tmp_path / "absent.png", "synthia", classes)


def test_large_class_sets(tmp_path):
    classes = ClassSet.from_dict({"name": "large", "names": [f"c{index}" for index in range(400)]})
    truth = decode(label(tmp_path / "l.png", [[0, 255, 399, 65535]], np.uint16), "train", classes)
    assert truth.tolist() == [[0, 255, 399, 65535]] and truth.dtype == np.uint16
    with pytest.raises(InputError, match="label ids 400"):
        decode(label(tmp_path / "l.png", [[400]], np.uint16), "train", classes)


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
def test_whatever_is_stored_is_mapped_or_refused(tmp_path_factory, ids):
    path = label(tmp_path_factory.getbasetemp() / "wild.png", [ids], np.uint16)
    for encoding in ("train", "raw"):
        table = {255: 255, 65535: 255, **(CITY.raw_ids if encoding == "raw" else {train: train for train in range(19)})}
        try:
            assert decode(path, encoding, CITY).tolist() == [[table[value] for value in ids]]
        except InputError:
            assert any(value not in table for value in ids)


@pytest.mark.skipif(not CAMVID.is_dir(), reason="shared data is not here")
def test_shared_camvid_void_is_ignored():
    classes = load_class_set("camvid")
    dataset = open_dataset(CAMVID, split="val")
    truth = read_truth(dataset.samples[0], dataset, classes)
    assert truth.shape == (360, 480)
    assert set(np.unique(truth)) <= {*range(11), 255}
