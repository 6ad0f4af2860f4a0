import io
import math
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crots import limits
from crots.array_files import read_id_array
from crots.class_maps import build_class_map, load_class_map
from crots.config import Size
from crots.data.datasets import open_dataset
from crots.data.labels import read_truth
from crots.data.predictions import check_shape, glance, open_predictions, widest_entropy
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import read_confidence, write_confidence, write_labels
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety

CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"
SOURCE = ClassSet.from_dict({"name": "source", "names": ["a", "b", "c", "d"]})
TARGET = ClassSet.from_dict({"name": "target", "names": ["x", "y"]})
MAP = build_class_map({"a": "x", "b": "y", "c": "y", "d": "ignore"}, SOURCE, TARGET, where="map")
SIZE = Size(4, 1)


def soft(folder, array, name="probabilities", key="k", dtype=np.float32):
    folder.mkdir(exist_ok=True, parents=True)
    np.savez(folder / f"{key}.npz", **{name: np.asarray(array, dtype)})
    return open_predictions(folder, None, SOURCE, MAP).lookup([key])


def pixels(*columns):
    """An array (C, 1, W) of per-pixel distributions."""
    return np.array(columns).T[:, None, :]


def test_hard_labels_are_remapped(tmp_path):
    write_labels(tmp_path / "p" / "k.png", np.array([[0, 1, 2, 3]]))
    found = open_predictions(tmp_path / "p", None, SOURCE, MAP).lookup(["k"]).read("k", SIZE)
    assert found.labels.tolist() == [[0, 1, 1, 255]]
    assert found.confidence.tolist() == [[1, 1, 1, 0]]
    assert (found.entropy, found.probabilities) == (0.0, None)


def test_confidence_and_entropy_of_hard_labels(tmp_path):
    write_labels(tmp_path / "p" / "k.png", np.array([[0, 1, 2, 3]]))
    write_confidence(tmp_path / "c" / "k.png", np.array([[1.0, 0.8, 0.2, 0.6]]))
    found = open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).lookup(["k"]).read("k", SIZE)
    assert found.confidence == pytest.approx(np.array([[1, 0.8, 0.2, 0]]))
    # 0.8 leaves 0.2 for the other class; below 1/2 the uniform distribution is the widest; ignored pixels do not count.
    wanted = (0 - 0.8 * math.log(0.8) - 0.2 * math.log(0.2) + math.log(2)) / 3
    assert found.entropy == pytest.approx(wanted, abs=1e-6)


def test_hard_predictions_take_the_working_size(tmp_path):
    labels = np.zeros((20, 40), np.uint8)
    labels[:, 20:] = 1
    write_labels(tmp_path / "p" / "k.png", labels)
    write_confidence(tmp_path / "c" / "k.png", labels.astype(float))
    found = open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).lookup(["k"]).read("k", Size(8, 6))
    assert found.labels.shape == found.confidence.shape == (6, 8)
    assert set(np.unique(found.labels)) == {0, 1}, "labels are never blended"
    assert found.confidence.dtype == np.float32


def test_soft_predictions_are_summed(tmp_path):
    array = pixels([0.4, 0.3, 0.3, 0], [0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7], [1, 0, 0, 0])
    found = soft(tmp_path, array).read("k", SIZE)
    assert found.labels.tolist() == [[1, 0, 255, 0]], "b and c together beat a"
    assert found.confidence == pytest.approx(np.array([[0.6, 0.5, 0, 1]]))
    assert found.probabilities == pytest.approx(pixels([0.4, 0.6], [0.5, 0.4], [0.1, 0.2], [1, 0]))
    terms = [0.4, 0.6, 0.5, 0.4, 0.1, 0.1, 0.2, 0.7]
    assert found.entropy == pytest.approx(-sum(p * math.log(p) for p in terms) / 4, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["probabilities", "logits", "arr_0"])
def test_soft_arrays_by_name_type_and_kind(tmp_path, dtype, name):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 15).T.reshape(4, 3, 5)
    stored = np.log(probabilities) + 3 if name == "logits" else probabilities
    found = soft(tmp_path, stored, name, dtype=dtype).read("k", Size(5, 3))
    expected = np.stack([probabilities[0], probabilities[1] + probabilities[2]])
    assert found.probabilities == pytest.approx(expected, abs=3e-3)


def test_the_only_array_may_hold_logits(tmp_path):
    found = soft(tmp_path, np.array([5.0, -1, -1, -1]).reshape(4, 1, 1), "whatever").read("k", Size(1, 1))
    assert found.confidence[0, 0] == pytest.approx(1 / (1 + 3 * math.exp(-6)), abs=1e-6)


def test_soft_predictions_take_the_working_size(tmp_path):
    array = np.zeros((4, 2, 2))
    array[0, :, 0] = array[1, :, 1] = 1
    found = soft(tmp_path, array).read("k", Size(8, 4))
    assert found.probabilities.shape == (2, 4, 8)
    assert found.probabilities.sum(0) == pytest.approx(np.ones((4, 8)))
    assert 0.5 < found.confidence.min() < 1, "blended between the two"


@pytest.mark.parametrize(
    ("array", "name", "says"),
    [
        (np.ones((3, 1, 1)) / 3, "probabilities", r"shape \(3, 1, 1\), expected \(4, height, width\)"),
        (np.ones((4, 4)), "probabilities", "shape"),
        (np.ones((4, 0, 1)), "probabilities", "shape"),
        (
            np.array([4.0, 0, 0, 0]).reshape(4, 1, 1),
            "probabilities",
            "from 4 to 4, expected probabilities, which sum to 1",
        ),
        (np.array([2.0, -1, 0, 3]).reshape(4, 1, 1), "probabilities", "found probabilities from -1 to 3"),
        (np.zeros((4, 1, 1)), "probabilities", "says nothing"),
        (np.array([0.9, 0.2, 0.6, 0]).reshape(4, 1, 1), "x", "found scores from 0 to 0.9 .* sigmoid"),
        (np.array([0.9, 0.2, 0.6, 0]).reshape(4, 1, 1), "logits", "found logits from 0 to 0.9"),
        (np.array([0.7, 0.1, 0.1, 0.1]).reshape(4, 1, 1), "logits", "found logits .* from 1 to 1"),
        (np.array([70.0, 10, 10, 10]).reshape(4, 1, 1), "x", "from 100 to 100"),
        (np.zeros((4, 1, 1)), "x", "says nothing"),
        (np.full((4, 1, 1), np.nan), "logits", "NaN"),
    ],
)
def test_faulty_soft_predictions(tmp_path, array, name, says):
    with pytest.raises(InputError, match=says):
        soft(tmp_path, array, name).read("k", SIZE)


@pytest.mark.parametrize("name", ["logits", "scores"])
def test_logits_that_are_all_positive_are_logits(tmp_path, name):
    logits = np.array([7.0, 1, 2, 0.5]).reshape(4, 1, 1) * np.array([1, 2])
    found = soft(tmp_path, logits, name).read("k", Size(2, 1))
    expected = np.exp(logits - logits.max(0))
    assert found.confidence[0] == pytest.approx((expected / expected.sum(0))[0, 0], abs=1e-5)


def test_other_faulty_soft_files(tmp_path):
    with pytest.raises(InputError, match="int64 values"):
        soft(tmp_path, np.ones((4, 1, 1)), dtype=np.int64).read("k", SIZE)
    np.savez(tmp_path / "k.npz", a=np.ones(1), b=np.ones(1))
    found = open_predictions(tmp_path, None, SOURCE, MAP)
    with pytest.raises(InputError, match="found the arrays a, b, expected one named"):
        found.read("k", SIZE)
    np.savez(tmp_path / "k.npz", probabilities=np.array([{}], object))
    with pytest.raises(InputError, match="broken"):
        found.read("k", SIZE)
    (tmp_path / "k.npz").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match="broken"):
        found.read("k", SIZE)
    (tmp_path / "k.npz").unlink()
    with pytest.raises(InputError, match="no such file"):
        found.read("k", SIZE)


def test_faulty_hard_predictions(tmp_path):
    write_labels(tmp_path / "p" / "k.png", np.array([[0, 4, 99]]))
    found = open_predictions(tmp_path / "p", None, SOURCE, MAP)
    with pytest.raises(InputError, match=r"k\.png: found the class ids 4, 99, expected 0 to 3 or 255"):
        found.read("k", SIZE)
    write_image(tmp_path / "p" / "k.png", np.array([[[1, 2, 3]]], np.uint8))
    with pytest.raises(InputError, match="coloured picture"):
        found.read("k", SIZE)
    write_labels(tmp_path / "p" / "k.png", np.array([[0, 1]]))
    write_confidence(tmp_path / "c" / "k.png", np.ones((2, 2)))
    with pytest.raises(InputError, match="2x2, but the labels it belongs to are 2x1"):
        open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).read("k", SIZE)


def test_lookup_reports_before_anything_is_read(tmp_path):
    write_labels(tmp_path / "p" / "a.png", np.array([[0]]))
    found = open_predictions(tmp_path / "p", None, SOURCE, MAP)
    with pytest.raises(InputError, match=r"no prediction for 1 of 2 images \(b\)"):
        found.lookup(["a", "b"])
    write_confidence(tmp_path / "c" / "z.png", np.ones((1, 1)))
    with pytest.raises(InputError, match="no confidence map"):
        open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).lookup(["a"])


def test_our_own_output_folder_is_understood(tmp_path):
    write_labels(tmp_path / "label_ids" / "train" / "ulm" / "ulm_1_gtFine_labelIds.png", np.array([[0]]))
    write_labels(tmp_path / "label_color" / "train" / "ulm" / "ulm_1_gtFine_labelIds.png", np.array([[0]]))
    write_confidence(tmp_path / "confidence" / "ulm" / "ulm_1_leftImg8bit.png", np.array([[0.5]]))
    key = "ulm/ulm_1_leftImg8bit"
    found = open_predictions(tmp_path, None, SOURCE, MAP).lookup([key])
    assert found.read(key, Size(1, 1)).confidence[0, 0] == pytest.approx(0.5, abs=0.01)


def test_what_is_no_prediction_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_predictions(tmp_path / "absent", None, SOURCE, MAP)
    with pytest.raises(InputError, match="found no predictions"):
        open_predictions(tmp_path, None, SOURCE, MAP)
    np.savez(tmp_path / "k.npz", np.ones(1))
    write_labels(tmp_path / "k.png", np.array([[0]]))
    with pytest.raises(InputError, match="expected one kind"):
        open_predictions(tmp_path, None, SOURCE, MAP)
    with pytest.raises(InputError, match="give the map of that set"):
        open_predictions(tmp_path, None, TARGET, MAP)


@given(st.floats(0, 1, width=32), st.integers(1, 200))
def test_widest_entropy_is_within_bounds(confidence, classes):
    entropy = float(widest_entropy(np.array([confidence], np.float32), classes)[0])
    assert -1e-6 <= entropy <= math.log(classes) + 1e-5
    certain = float(widest_entropy(np.array([1], np.float32), classes)[0])
    assert certain == 0


@pytest.mark.skipif(not CAMVID.is_dir(), reason="shared data is not here")
def test_shared_black_box():
    city, camvid = load_class_set("cityscapes"), load_class_set("camvid")
    mapping = load_class_map("cityscapes-to-camvid", city, camvid)
    for split in ("train", "val"):
        dataset = open_dataset(CAMVID / "images" / split)
        found = open_predictions(CAMVID / "black_box", None, city, mapping).lookup(dataset.keys)
        prediction = found.read(dataset.keys[0], Size(480, 352))
        assert len(found) == len(found.confidences) == len(dataset)
        assert prediction.labels.shape == (352, 480) and set(np.unique(prediction.labels)) <= set(range(11))
        assert 0.3 < prediction.confidence.mean() < 1 and prediction.entropy > 0


@pytest.mark.skipif(not CAMVID.is_dir(), reason="shared data is not here")
def test_shared_black_box_scores_what_is_known_of_it():
    city, camvid = load_class_set("cityscapes"), load_class_set("camvid")
    dataset = open_dataset(CAMVID, split="val", classes=camvid)
    mapping = load_class_map("cityscapes-to-camvid", city, camvid)
    found = open_predictions(CAMVID / "black_box", None, city, mapping).lookup(dataset.keys)
    confusion = np.zeros((11, 11), np.int64)
    for sample in dataset.samples:
        truth, labels = read_truth(sample, dataset, camvid), found.read(sample.key, None).labels
        valid = truth != camvid.ignore
        confusion += np.bincount(truth[valid].astype(int) * 11 + labels[valid], minlength=121).reshape(11, 11)
    right = np.diag(confusion)
    assert (right / (confusion.sum(0) + confusion.sum(1) - right)).mean() == pytest.approx(0.593, abs=0.0005)


def claims(folder, shape, *, kind="<f4", content=b""):
    """A soft prediction whose header claims a shape."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": kind, "fortran_order": False, "shape": shape})
    folder.mkdir()
    with zipfile.ZipFile(folder / "k.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probabilities.npy", head.getvalue() + content)
    return open_predictions(folder, None, SOURCE, MAP).lookup(["k"])


@pytest.mark.parametrize("shape", [(4, 10**6, 10**6), (10**30,), (4, 2**40, 0), (4, 20000, 2200)])
def test_an_array_that_claims_too_much_is_refused_by_its_header(tmp_path, shape):
    found = claims(tmp_path / "p", shape)
    tracemalloc.start()
    # A side of 0 takes no memory, and is refused for what it is.
    with pytest.raises(InputError, match=r"--max-input-gb" if math.prod(shape) else r"k\.npz: found an array of shape"):
        found.read("k", SIZE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 10**6


def test_an_archive_of_zeros_is_refused_by_its_directory(tmp_path):
    # 12 MB of it in the reproduction; any size is refused that is over the limit.
    found = claims(tmp_path / "p", (4, 1, 1), content=bytes(10**7))
    limits.use({"max_input_gb": 0.02})
    try:
        with pytest.raises(InputError, match=r"limit is 0\.02 GB"):
            found.read("k", SIZE)
    finally:
        limits.use({})


def test_arrays_of_objects_and_bare_arrays_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"k\.npz"):
        claims(tmp_path / "p", (4, 1, 1), kind="|O").read("k", SIZE)
    with (tmp_path / "p" / "k.npz").open("wb") as file:
        np.save(file, np.ones((4, 1, 1), np.float32))
    with pytest.raises(InputError, match=r"broken or no \.npz file"):
        open_predictions(tmp_path / "p", None, SOURCE, MAP).lookup(["k"]).read("k", SIZE)


SIDES = st.integers(16, 4000)


@given(SIDES, SIDES, st.floats(0.1, 4))
def test_whole_images_at_any_resolution_have_the_shape_of_their_image(width, height, scale):
    found = Size(max(1, round(width * scale)), max(1, round(height * scale)))
    if min(found) >= 16:  # below, whole pixels squeeze visibly
        check_shape(Path("p.png"), found, Size(width, height))


@given(SIDES, SIDES)
def test_turned_predictions_are_refused_with_both_shapes(width, height):
    if max(width, height) / min(width, height) < 1.1:
        return
    with pytest.raises(InputError, match=rf"is {height}x{width}, but its image is {width}x{height}.*rotated by 90"):
        check_shape(Path("p.png"), Size(height, width), Size(width, height))


def test_a_part_of_an_image_is_refused_unless_images_are_stretched_to_that_size():
    with pytest.raises(InputError, match="is 30x30, but its image is 64x48"):
        check_shape(Path("p.png"), Size(30, 30), Size(64, 48))
    check_shape(Path("p.png"), Size(30, 30), Size(64, 48), Size(30, 30))


def said(tmp_path, labels, confidence=None, exif=None):
    """Predictions of two photographs, and the photographs."""
    images = {}
    for key in "ab":
        images[key] = tmp_path / "images" / f"{key}.jpg"
        write_image(images[key], np.zeros((8, 16, 3), np.uint8))
        if exif:
            with Image.open(images[key]) as image:
                tags = Image.Exif()
                tags[0x0112] = exif
                image.save(images[key], exif=tags)
        write_labels(tmp_path / "p" / f"{key}.png", np.asarray(labels))
        if confidence is not None:
            write_image(tmp_path / "c" / f"{key}.png", np.asarray(confidence, np.uint8))
    folder = None if confidence is None else tmp_path / "c"
    return open_predictions(tmp_path / "p", folder, SOURCE, MAP).lookup("ab"), images


def test_a_glance_says_what_is_odd(tmp_path):
    labels = np.arange(128).reshape(8, 16) % 3
    sure = np.full((8, 16), 200) + np.arange(16) % 2 * 2 - 1
    found = glance(*said(tmp_path / "good", labels, sure))
    assert (found.count, found.warnings) == (2, ()) and found.confidence == pytest.approx(200 / 255)
    assert "every pixel counts as certain" in glance(*said(tmp_path / "bare", labels)).warnings[0]
    (cut,) = glance(*said(tmp_path / "cut", labels, np.eye(8, 16))).warnings
    assert "nothing above 1 of 255" in cut
    (per_cent,) = glance(*said(tmp_path / "per cent", labels, np.full((8, 16), 97))).warnings
    assert "nothing above 97 of 255, as if percentages were stored" in per_cent
    void = glance(*said(tmp_path / "void", 0 * labels + 3, sure)).warnings
    assert void == ("2 of 2 predictions checked contain only ignored pixels; check their ids and class map",)
    turned = glance(*said(tmp_path / "turned", labels, sure, exif=3)).warnings
    assert len(turned) == 1 and "upright" in turned[0]
    with pytest.raises(InputError, match="is 16x8, but its image is 8x16 when upright"):
        glance(*said(tmp_path / "quarter", labels, exif=6))


def test_predictions_of_one_class_everywhere_are_said(tmp_path):
    labels = np.zeros((8, 16), np.uint8)
    for number in range(4):
        write_labels(tmp_path / "one" / f"{number}.png", labels)
        write_labels(tmp_path / "two" / f"{number}.png", labels + (number == 3))
    (one,) = [
        text for text in glance(open_predictions(tmp_path / "one", None, SOURCE, MAP), {}).warnings if "say" in text
    ]
    assert one.startswith("the 4 predictions checked say x everywhere")
    assert not [
        text for text in glance(open_predictions(tmp_path / "two", None, SOURCE, MAP), {}).warnings if "say" in text
    ]


@pytest.mark.parametrize("share", [0.03, 0.2])
def test_confidence_that_no_winning_class_can_have_is_said(tmp_path, share):
    confidence = np.arange(200).reshape(10, 20) % 20 + 230
    confidence.flat[: int(share * 200)] = 255 // len(SOURCE) - 4
    warnings = glance(*said(tmp_path, np.arange(200).reshape(10, 20) % 4, confidence)).warnings
    assert [text for text in warnings if f"a confidence below {1 / len(SOURCE):.2g}" in text] == list(warnings)
    assert bool(warnings) == (share > 0.1)
    assert not warnings or warnings[0].startswith("20% of the pixels checked")


@pytest.mark.parametrize("twice", [False, True])
def test_probabilities_of_two_softmaxes_are_said(tmp_path, twice):
    scores = np.zeros((len(SOURCE), 4, 8), np.float32)
    scores[0], scores[1, 2:] = 5, 4
    for _ in range(1 + twice):
        scores = np.exp(scores) / np.exp(scores).sum(0)
    np.savez(tmp_path / "a.npz", probabilities=scores)
    found = glance(open_predictions(tmp_path, None, SOURCE), {})
    assert bool(found.warnings) == twice
    assert not twice or "softmax had been applied twice" in found.warnings[0]


@pytest.mark.parametrize("soft_ones", [False, True])
def test_confidences_of_1_everywhere_are_said(tmp_path, soft_ones):
    labels = np.arange(128).reshape(8, 16) % len(SOURCE)
    if soft_ones:
        for key in ("a", "b"):
            soft(tmp_path, labels[None] == np.arange(len(SOURCE))[:, None, None], key=key)
        warnings = glance(open_predictions(tmp_path, None, SOURCE), {}).warnings
    else:
        warnings = glance(*said(tmp_path, labels, np.full(labels.shape, 255))).warnings
    assert len(warnings) == 1 and "no pixel checked has a confidence below 1" in warnings[0]


def test_confidence_in_a_palette_is_what_its_colours_say(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([200] * 3 + [100] * 3)
    image.save(tmp_path / "grey.png")
    assert read_confidence(tmp_path / "grey.png")[0].tolist() == pytest.approx([200 / 255, 100 / 255])
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "heat.png")
    with pytest.raises(InputError, match="found a coloured palette, expected a grey confidence map"):
        read_confidence(tmp_path / "heat.png")


@pytest.mark.parametrize("wide", [False, True])
def test_confidence_may_be_a_tiff_of_probabilities(tmp_path, wide):
    wanted = np.array([[0, 0.25], [0.5, 1]])
    path = tmp_path / "k.tif"
    if wide:
        pytest.importorskip("tifffile").imwrite(path, wanted)
    else:
        Image.fromarray(wanted.astype(np.float32)).save(path)
    assert np.array_equal(read_confidence(path), wanted)
    write_labels(tmp_path / "p" / "k.png", np.array([[0, 1], [2, 2]]))
    (tmp_path / "c").mkdir()
    path.rename(tmp_path / "c" / "k.tif")
    found = open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).lookup(["k"])
    assert np.array_equal(found.read("k", None).confidence, wanted)


@pytest.mark.parametrize(("values", "says"), [([[0, 95.5]], "from 0 to 95.5, expected prob"), ([[0, np.nan]], "nan")])
def test_a_tiff_of_other_numbers_is_no_confidence(tmp_path, values, says):
    Image.fromarray(np.array(values, np.float32)).save(tmp_path / "k.tif")
    with pytest.raises(InputError, match=says):
        read_confidence(tmp_path / "k.tif")


def test_whole_numbers_of_32_bits_are_no_confidence(tmp_path):
    Image.fromarray(np.array([[0, 1]], np.int32)).save(tmp_path / "k.tif")
    with pytest.raises(InputError, match="8 or 16 bits, or a TIFF of probabilities from 0 to 1"):
        read_confidence(tmp_path / "k.tif")


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((1, 4, 6, 8), r"array\[0\]"),
        ((1, 6, 8, 4), r"array\[0\]"),
        ((5, 6, 8), "name it in the class set"),
        ((7, 6, 8), "source"),
    ],
)
def test_axes_of_another_number_are_said_with_what_puts_them_right(tmp_path, shape, remedy):
    with pytest.raises(InputError, match=f"expected .4, height, width. or .*, a channel for each class.*{remedy}$"):
        soft(tmp_path, np.zeros(shape)).read("k", SIZE)


def array(folder, values, key="k"):
    folder.mkdir(exist_ok=True, parents=True)
    np.save(folder / f"{key}.npy", values)
    return open_predictions(folder, None, SOURCE, MAP).lookup([key])


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize("last", [False, True])
def test_scores_have_their_classes_first_or_last(tmp_path, form, last):
    scores = np.moveaxis(np.array([[[0.7, 0.1, 0.1, 0.1], [0, 0.2, 0.2, 0.6], [0.1, 0.5, 0.4, 0]]]), 2, 0)
    scores = np.asarray(np.moveaxis(scores, 0, 2) if last else scores, np.float16)
    found = (soft if form == "npz" else array)(tmp_path / "p", scores)
    assert found.soft
    assert found.read("k", None).labels.tolist() == [[0, 255, 1]]


def both_ends(folder, form, values):
    """Stores scores of which no name says what they are."""
    folder.mkdir()
    if form == "npz":
        np.savez(folder / "k.npz", scores=values)
    else:
        np.save(folder / "k.npy", values)
    return open_predictions(folder, None, SOURCE).lookup(["k"])


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_scores_whose_axes_both_fit_are_refused_where_nothing_tells_which_is_the_classes(tmp_path, form):
    wide = both_ends(tmp_path / "wide", form, np.full((4, 6, 4), -1.0))
    cube = both_ends(tmp_path / "cube", form, np.full((4, 4, 4), -1.0))
    even = both_ends(tmp_path / "even", form, np.full((4, 6, 4), 0.25))
    for found, of in ((wide, None), (wide, Size(60, 60)), (cube, Size(40, 40)), (even, None)):
        with pytest.raises(InputError, match="first and last axis both have the length of the 4 classes"):
            found.read("k", None, of=of)
    with pytest.raises(InputError, match=r"of an image of 4x6, or .* of one of 6x4"):
        wide.read("k", None)


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("length", [4, 6])
def test_probabilities_or_the_shape_of_the_image_tell_which_axis_is_the_classes(tmp_path, form, last, length):
    axis = 2 if last else 0
    logits = np.random.default_rng(length).normal(size=(4, length, 4)) * 4
    shares = np.exp(logits) / np.exp(logits).sum(axis, keepdims=True)
    expected = logits.argmax(axis)
    assert both_ends(tmp_path / "p", form, shares).read("k", None).labels.tolist() == expected.tolist()
    if length != 4:
        of = Size(10 * expected.shape[1], 10 * expected.shape[0])
        assert both_ends(tmp_path / "l", form, logits).read("k", None, of=of).labels.tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, ">u2", np.int32, np.float32])
@pytest.mark.parametrize("axis", [None, 0, 2])
def test_arrays_of_ids_are_read_like_label_files(tmp_path, dtype, axis):
    ids = np.asarray([[0, 1, 2], [3, 255, 0]], dtype)
    found = array(tmp_path, ids if axis is None else np.expand_dims(ids, axis))
    if axis is not None and np.dtype(dtype).kind == "f":
        # Those may be scores of one class.
        with pytest.raises(InputError):
            found.read("k", None)
        return
    assert not found.soft
    assert found.read("k", None).labels.tolist() == [[0, 1, 1], [255, 255, 0]]


def test_arrays_of_ids_have_the_encodings_of_label_files(tmp_path):
    for key in ("a", "b"):
        array(tmp_path, np.array([[7, 8], [26, 11]]), key)
    found, notes = open_predictions(tmp_path, None, load_class_set("cityscapes")).resolved()
    assert found.encoding == "raw", notes
    assert found.read("a", None).labels.tolist() == [[0, 1], [13, 2]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((4, 6), 0.5), "fractions in an array"),
        (np.full((4, 6), np.nan), "fractions in an array"),
        (np.zeros((4, 6, 8), np.uint8), r"shape \(4, 6, 8\) and type uint8"),
        (np.zeros((0, 6), np.uint8), "shape"),
        (np.full((4, 6), 2**40), "found numbers from"),
        (np.array([[{}]], object), "not numbers"),
        (np.array([["a"]]), "not numbers"),
        (np.zeros((2, 2), complex), "not numbers"),
    ],
)
def test_other_arrays_are_refused(tmp_path, values, words):
    with pytest.raises(InputError, match=words):
        array(tmp_path, values).read("k", None)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint64, ">i4", bool])
@given(values=st.lists(st.integers(0, 127), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrays_of_ids_are_read_in_every_type_of_numbers(tmp_path, dtype, values):
    stored = np.array([values]).astype(dtype)
    np.save(tmp_path / "k.npy", stored)
    with warnings.catch_warnings():
        # What NumPy warns of would be written to the user's terminal.
        warnings.simplefilter("error")
        assert read_id_array(tmp_path / "k.npy").tolist() == stored.astype(int).tolist()


@pytest.mark.parametrize("value", [2.0**31, 2**31, 2**63, -(2**31) - 1])
def test_numbers_that_are_no_ids_are_refused(tmp_path, value):
    np.save(tmp_path / "k.npy", np.array([[0, value]]))
    with pytest.raises(InputError, match=r"found numbers from -?\d.* to \d.*, expected label ids"):
        read_id_array(tmp_path / "k.npy")


def test_array_files_that_are_cut_or_claim_too_much_are_refused(tmp_path):
    found = array(tmp_path, np.zeros((4, 40, 60), np.float32))
    path = tmp_path / "k.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(InputError, match=r"k\.npy: broken or no \.npy file"):
        found.read("k", None)
    path.write_bytes(whole.replace(b"40, 60", b"9" * 3 + b", " + b"9" * 6))
    with pytest.raises(InputError, match=r"k\.npy: (broken|its array .* --max-input-gb)"):
        found.read("k", None)
    path.write_bytes(b"no array")
    with pytest.raises(InputError, match="broken"):
        open_predictions(tmp_path, None, SOURCE)


@pytest.mark.parametrize("kind", ["float", "half", "bytes"])
def test_confidences_may_be_arrays(tmp_path, kind):
    shares = np.array([[1, 0.8, 0.4]])
    array(tmp_path / "p", np.array([[0, 1, 2]]))
    (tmp_path / "c").mkdir()
    stored = {"float": shares, "half": shares.astype(np.float16), "bytes": np.rint(shares * 255).astype(np.uint8)}[kind]
    np.save(tmp_path / "c" / "k.npy", stored)
    found = open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).lookup(["k"]).read("k", None)
    assert found.confidence == pytest.approx(shares, abs=0.003)


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.array([[0.5, 80.0]]), "from 0.5 to 80"), (np.array([[0.5, np.nan]]), "from nan to nan"),
     (np.array([[1, 2]]), "type int64"), (np.zeros((2, 2, 2)), "shape"), (np.array([[-0.5, 1]]), "from -0.5 to 1")],
)  # fmt: skip
def test_other_arrays_are_no_confidences(tmp_path, values, words):
    array(tmp_path / "p", np.array([[0, 1]]))
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match=r"c: found no confidence maps, expected PNGs"):
        open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP)
    np.save(tmp_path / "c" / "k.npy", values)
    found = open_predictions(tmp_path / "p", tmp_path / "c", SOURCE, MAP).lookup(["k"])
    with pytest.raises(InputError, match=words):
        found.read("k", None)


def test_arrays_beside_label_images_are_refused(tmp_path):
    write_labels(tmp_path / "k.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"found 1 label images and 1 \.npy files, expected one kind"):
        array(tmp_path, np.zeros((4, 4), np.uint8))


def test_predictions_of_other_images_are_not_taken_however_alike_their_names_are(tmp_path):
    for name in ("im1", "im2"):
        write_labels(tmp_path / "p" / f"{name}.png", np.zeros((4, 4), np.uint8))
        write_confidence(tmp_path / "c" / f"{name}.png", np.ones((4, 4), np.float32))
    found = open_predictions(tmp_path / "p", tmp_path / "c", SOURCE)
    keys = ["val_im1", "val_im2"]
    assert list(found.lookup(keys).files) == keys
    assert list(found.lookup(keys, beside=["unrelated"]).confidences) == keys
    with pytest.raises(InputError, match="its 2 files are those of other images"):
        found.lookup(keys, beside=["im1", "im2"])
    # Validation images may be target images.
    assert list(found.lookup(["im1"], beside=["im1", "im2"]).files) == ["im1"]


def test_other_files_than_predictions_are_counted(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.pkl").write_bytes(b"x")
    with pytest.raises(InputError, match=r"found no predictions, but 3 .pkl files, expected label PNGs, .npy or .npz"):
        open_predictions(tmp_path, None, SOURCE)


def test_probabilities_of_an_image_in_which_nothing_is_seen_are_read(tmp_path):
    even = np.full((len(SOURCE), 4, 8), 1 / len(SOURCE))
    read = soft(tmp_path, even, "probabilities").read("k", None)
    assert np.isfinite(read.confidence).all() and read.entropy > 0


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0, math.log(len(SOURCE))])
@pytest.mark.parametrize("name", ["arr_0", "logits", "probabilities"])
def test_the_same_score_for_every_class_says_nothing(tmp_path, value, name):
    with pytest.raises(InputError, match=r"k\.npz: holds .* for every class at every pixel, which says nothing"):
        soft(tmp_path, np.full((len(SOURCE), 4, 8), value), name).read("k", None)


def test_negative_logarithms_of_probabilities_are_no_logits(tmp_path):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 15).T.reshape(4, 3, 5)
    with pytest.raises(InputError, match=r"negative logarithms of probabilities.*sign changed"):
        soft(tmp_path / "negative", -np.log(probabilities), "arr_0").read("k", None)
    plain = soft(tmp_path / "plain", np.log(probabilities), "arr_0").read("k", None)
    assert plain.probabilities.sum(0) == pytest.approx(probabilities[:3].sum(0), abs=1e-6)


@pytest.mark.parametrize(("unit", "text"), [(100, "per cent"), (255, "8 bits"), (65535, "16 bits")])
def test_probabilities_in_other_units_are_refused_with_what_to_divide_by(tmp_path, unit, text):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 15).T.reshape(4, 3, 5)
    for name in ("arr_0", "probabilities"):
        with pytest.raises(InputError, match=f"probabilities in {text}; divide them by {unit}"):
            soft(tmp_path / name, unit * probabilities, name).read("k", None)


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        (np.zeros((4, 3, 5), np.uint8), "if they are probabilities times 255, divide them by it"),
        (np.zeros((5, 3, 6), np.float32), "if the other channel is void or background, leave it out"),
        (np.zeros((3, 6), np.uint8), "store label ids in .npy or PNG files"),
    ],
)
def test_arrays_of_other_forms_are_refused_with_what_helps(tmp_path, array, remedy):
    np.savez(tmp_path / "k.npz", array)
    with pytest.raises(InputError, match=remedy):
        open_predictions(tmp_path, None, SOURCE, MAP).read("k", None)


def test_whole_numbers_for_every_class_are_refused_with_what_helps(tmp_path):
    ones = (np.arange(4)[:, None, None] == np.arange(15).reshape(3, 5) % 4).astype(np.uint8)
    for number, remedy in ((1, "argmax over the classes"), (255, "times 255, divide them by it")):
        np.save(tmp_path / "k.npy", number * ones)
        with pytest.raises(InputError, match=remedy):
            open_predictions(tmp_path, None, SOURCE, MAP).read("k", None)


@pytest.mark.parametrize("unit", [100, 255])
def test_confidences_in_other_units_are_refused_with_what_to_divide_by(tmp_path, unit):
    np.save(tmp_path / "k.npy", np.array([[0.5, 0.99]]) * unit)
    with pytest.raises(InputError, match=f"if 1 is stored as {unit}, divide them by it"):
        read_confidence(tmp_path / "k.npy")


@pytest.mark.parametrize("greatest", [100, 255, 1000, 4095])
def test_16_bit_confidences_that_use_a_fraction_of_their_range_are_said_in_their_own_units(tmp_path, greatest):
    found, images = said(tmp_path, np.arange(128).reshape(8, 16) % 4, np.full((8, 16), 200))
    for key in "ab":
        values = np.linspace(0.4, 1, 128).reshape(8, 16) * greatest
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / "c" / f"{key}.png")
    (text,) = glance(found, images).warnings
    assert "stored on another scale" in text and "65535 times the probability" in text and "of 255" not in text


def test_one_confidence_everywhere_is_said(tmp_path):
    labels = np.arange(128).reshape(8, 16) % 4
    (text,) = glance(*said(tmp_path, labels, np.full(labels.shape, 200))).warnings
    assert text.startswith("every pixel checked has the confidence 0.78")


@pytest.mark.parametrize("count", [1, 4])
def test_the_first_class_everywhere_is_said_once(tmp_path, count):
    for number in range(count):
        write_labels(tmp_path / f"{number}.png", np.zeros((8, 16), np.uint8))
    found, notes = open_predictions(tmp_path, None, SOURCE).resolved()
    texts = [*(note.text for note in notes), *glance(found, {}).warnings]
    (one,) = [text for text in texts if "everywhere" in text or "nothing but" in text]
    assert "ids or ignored_ids" in one


@pytest.mark.parametrize(
    ("found", "said_so"),
    [
        (Size(656, 496), True),
        (Size(632, 472), True),
        (Size(640, 496), True),
        (Size(640, 480), False),
        (Size(672, 504), False),
        (Size(600, 450), False),
        (Size(320, 240), False),
        (Size(160, 121), False),
    ],
)
def test_predictions_of_nearly_the_size_of_their_image_may_have_a_margin(tmp_path, found, said_so):
    write_image(tmp_path / "images" / "a.png", np.zeros((480, 640, 3), np.uint8))
    labels = np.arange(found.width * found.height).reshape(found.height, found.width) % 4
    write_labels(tmp_path / "p" / "a.png", labels)
    warnings = glance(
        open_predictions(tmp_path / "p", None, SOURCE).lookup("a"), {"a": tmp_path / "images" / "a.png"}
    ).warnings
    assert [f"{found} is stretched to its image, which is 640x480" in text for text in warnings] == [False, True][
        : 1 + said_so
    ]
