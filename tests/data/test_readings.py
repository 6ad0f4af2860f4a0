"""What label files mean is found by evidence: the one reading that fits is taken and said, two are a question."""

import numpy as np
import pytest
from PIL import Image

from crots.config import describe
from crots.data.datasets import open_dataset
from crots.data.encodings import ENCODINGS
from crots.data.inspection import inspect
from crots.data.labels import decode, detect_encoding, resolve_encoding
from crots.data.predictions import glance, open_predictions
from crots.data.readings import AmbiguousLabels
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import TRAIN_IDS, write_labels
from crots.options import DataOptions
from crots.taxonomy import ClassSet, load_class_set

CITY = load_class_set("cityscapes")
TWO = ClassSet.from_dict({"name": "two", "names": ["background", "road"]})
TWO_IDS = ClassSet.from_dict({"name": "two-ids", "names": ["background", "road"], "raw_ids": {"0": 0, "255": 1}})
THREE = ClassSet.from_dict({"name": "three", "names": ["a", "b", "c"]})
FOUR = ClassSet.from_dict(
    {"name": "four", "names": list("wfdl"), "raw_ids": {"0": 255, "1": 0, "2": 1, "3": 2, "4": 3}}
)
SPARSE = ClassSet.from_dict({"name": "sparse", "names": list("abc"), "raw_ids": {"7": 0, "11": 1, "21": 2}})
UNNAMED_VOID = ClassSet.from_dict({"name": "loose", "names": list("abc"), "raw_ids": {"1": 0, "2": 1, "3": 2}})
# What Cityscapes train ids look like: raw ids would fit, and leave most of the pixels without a class.
TRAIN_IDS_OF_A_STREET = [0] * 8 + [1, 1, 2, 2, 2, 2, 2, 5, 6, 7, 8, 8, 8, 9, 10, 10, 11, 13, 13, 18, 255]


def file(path, ids, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([ids], dtype)).save(path)
    return path


def read(tmp_path, files, classes, **options):
    """The encoding, what is said of it, and the labels of each file."""
    paths = [file(tmp_path / f"{number}.png", ids) for number, ids in enumerate(files)]
    encoding, notes = detect_encoding(paths, classes, **options)
    return (
        encoding,
        "\n".join(note.line for note in notes),
        [decode(path, encoding, classes)[0].tolist() for path in paths],
    )


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("classes", [TWO, TWO_IDS])
def test_masks_of_two_classes_hold_0_and_255(tmp_path, suffix, channels, classes):
    mask = np.array([[0, 255, 255]], np.uint8)
    path = tmp_path / f"m{suffix}"
    Image.fromarray(mask if channels == 1 else np.dstack([mask] * 3)).save(path)
    encoding, notes = detect_encoding([path], classes)
    assert decode(path, encoding, classes).tolist() == [[0, 1, 1]]
    assert encoding == ("mask" if classes is TWO else "raw")
    assert "255 is road" in notes[0].text or "as class set two-ids says" in notes[0].text


def test_train_ids_among_own_ids_are_said(tmp_path):
    own, more = [7, 8, 11, 21, 23, 26], [7, 7, 7, 7, 1, 4, 4, 4, 4, 4]
    _, notes, _ = read(tmp_path, [own, TRAIN_IDS_OF_A_STREET, own, TRAIN_IDS_OF_A_STREET], CITY)
    assert "own ids" in notes
    assert "warning: 2 of 4 files checked, such as 1.png (0-2, 5-11, 13, 18, 255), look like train ids" in notes
    encoding, notes, _ = read(tmp_path, [own, more, own, own], CITY)
    assert encoding == "raw" and "warning" not in notes, "much of that one is the car itself"


def test_masks_that_a_palette_inverts_are_a_question(tmp_path):
    image = Image.fromarray(np.array([[0, 255, 255]], np.uint8))
    image.putpalette([level for shade in range(255, -1, -1) for level in (shade,) * 3])
    image.save(tmp_path / "m.png")
    with pytest.raises(
        AmbiguousLabels, match=r"train \(255 is ignored\) or mask \(as coloured, 0 is road, 255 is background"
    ):
        detect_encoding([tmp_path / "m.png"], TWO)
    assert decode(tmp_path / "m.png", "mask", TWO).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("predictions", [False, True])
def test_masks_that_are_nearly_all_thing_may_be_inverted(tmp_path, white, predictions):
    mask = [0, *[white] * 9]
    _, notes, (labels,) = read(tmp_path, [mask], TWO, predictions=predictions)
    assert labels == [0, *[1] * 9]
    assert f"road is 90% of their pixels, as if road and background were exchanged; if {white} means" in notes
    assert f"ids = [{white}] for background, ids = [0] for road" in notes
    found = ClassSet.from_dict({"name": "said", "names": ["background", "road"], "raw_ids": {"0": 1, str(white): 0}})
    _, notes, (labels,) = read(tmp_path, [mask], found)
    assert labels == [1, *[0] * 9] and "exchanged" not in notes
    _, notes, _ = read(tmp_path, [mask[:4]], TWO, predictions=predictions)
    assert "exchanged" not in notes, "three quarters may well be one thing"


def test_masks_where_255_may_be_ignored_are_a_question(tmp_path):
    with pytest.raises(
        AmbiguousLabels, match=r"train \(255 is ignored\) or mask \(1 and 255 are road.*data.val_encoding"
    ) as error:
        read(tmp_path, [[0, 1], [0, 255]], TWO)
    assert error.value.field == "data.val_encoding"
    for encoding, wanted in {"train": [0, 255], "mask": [0, 1]}.items():
        assert encoding in error.value.choices
        assert decode(tmp_path / "1.png", encoding, TWO)[0].tolist() == wanted
    with pytest.raises(AmbiguousLabels):
        read(tmp_path, [[255, 255]], TWO)


def test_255_beside_1_in_one_file_is_ignored(tmp_path):
    assert read(tmp_path, [[0, 1, 255], [0, 255]], TWO)[::2] == ("train", [[0, 1, 255], [0, 255]])
    with pytest.raises(InputError, match="holds both 1 and 255"):
        decode(tmp_path / "0.png", "mask", TWO)
    with pytest.raises(InputError, match="for two classes, and class set three has 3"):
        decode(tmp_path / "1.png", "mask", THREE)


def test_a_warning_where_only_the_first_class_and_void_occur(tmp_path):
    encoding, said, labels = read(tmp_path, [[0, 255]], THREE)
    assert (encoding, labels) == ("train", [[0, 255]])
    assert "warning: nothing but a and ignored pixels" in said
    assert "warning" not in read(tmp_path, [[0, 1, 255]], THREE)[1]
    assert "warning: nothing but a occurs in them" in read(tmp_path, [[0, 0]], THREE)[1], "black files, void or a"


def test_labels_without_any_class_are_read_with_a_warning(tmp_path):
    assert "warning: no pixel of them has a class" in read(tmp_path, [[255, 255]], THREE)[1]
    with pytest.raises(AmbiguousLabels, match=r"train \(0 is w\) or raw \(0 ignored\)"):
        read(tmp_path, [[0, 0]], FOUR)
    assert "warning: no pixel of them has a class" in read(tmp_path, [[9]], UNNAMED_VOID)[1]


def test_what_the_class_set_says_counts(tmp_path):
    encoding, said, labels = read(tmp_path, [[0, 1, 2, 3]], FOUR)
    assert (encoding, labels) == ("raw", [[255, 0, 1, 2]])
    assert "as class set four says" in said


def test_own_output_is_known_as_train_ids(tmp_path):
    write_labels(tmp_path / "a.png", np.array([[0, 1, 2]]), says=f"{TRAIN_IDS} of four")
    assert detect_encoding([tmp_path / "a.png"], FOUR)[0] == "train"
    write_labels(tmp_path / "a.png", np.array([[0, 7, 8]]), says=f"{TRAIN_IDS} of cityscapes")
    assert detect_encoding([tmp_path / "a.png"], CITY)[0] == "train"
    # White is a class of it, and the colour of what is ignored.
    write_labels(tmp_path / "a.png", np.full((1, 8), 255), says=f"{TRAIN_IDS} of loveda")
    encoding, notes = detect_encoding([tmp_path / "a.png"], load_class_set("loveda"))
    assert encoding == "train" and notes[-1].text == "no pixel of them has a class, so they score nothing"


@pytest.mark.parametrize(
    "ids", [[0, 4, 7, 8, 11, 17], [0, 7, 11], [2, 8, 10, 11, 13], [0, 1, 2, 3, 4, 7, 7, 7, 8, 8, 11]]
)
def test_sets_that_are_common_in_both_forms_are_a_question(tmp_path, ids):
    with pytest.raises(AmbiguousLabels, match=r"which can mean train \(.*\) or raw \(7 is road|raw \(8 is sidewalk"):
        read(tmp_path, [ids], CITY)


def test_train_ids_of_a_whole_street_are_no_question(tmp_path):
    encoding, said, labels = read(tmp_path, [TRAIN_IDS_OF_A_STREET], CITY)
    assert (encoding, labels) == ("train", [TRAIN_IDS_OF_A_STREET])
    assert "own ids would fit too" in said and "`data.val_encoding` raw" in said


def test_ids_that_no_class_names_are_ignored_or_asked_for(tmp_path):
    encoding, said, labels = read(tmp_path, [[1, 3, 7]], UNNAMED_VOID)
    assert (encoding, labels) == ("raw", [[0, 2, 255]])
    assert "does not name are ignored: 7" in said
    with pytest.raises(AmbiguousLabels):
        read(tmp_path, [[0, 1, 2]], UNNAMED_VOID)
    with pytest.raises(AmbiguousLabels):
        read(tmp_path, [[0, 1]], TWO_IDS)


def test_labels_of_more_classes_than_the_set_has_are_doubted(tmp_path):
    """Eleven classes passed for the seven of a set that numbers its own from 0, the others counting as ignored."""
    counted = ClassSet("seven", tuple("abcdefg"), FOUR.palette[:1] * 7, raw_ids={n: n for n in range(7)})
    encoding, notes = detect_encoding([file(tmp_path / "a.png", [*range(12)])], counted)
    assert encoding == "raw" and notes[-1].warning
    assert "ids that class set seven does not have (7-11, 42% of the pixels)" in notes[-1].text
    # One more is what is ignored.
    assert not any(note.warning for note in detect_encoding([file(tmp_path / "b.png", [*range(8)])], counted)[1])


def test_train_ids_of_cityscapes_that_count_from_one_are_a_question(tmp_path):
    with pytest.raises(AmbiguousLabels) as caught:
        read(tmp_path, [list(range(1, 20)), [*range(1, 12), 0, 255]], CITY)
    assert list(caught.value.choices) == ["from-one", "raw"]
    assert "1 is road, 2 is sidewalk" in str(caught.value)
    # Own ids as they occur in a street.
    encoding, _, _ = read(tmp_path, [[1, 3, 4, 7, 7, 7, 8, 8, 11, 11, 11, 17, 19]], CITY)
    assert encoding == "raw"


def test_classes_that_count_from_one(tmp_path):
    with pytest.raises(AmbiguousLabels, match=r"from-one \(1 is a, 2 is b, 3 is c, 0 ignored.*ignored_ids = \[3\]"):
        read(tmp_path, [[0, 1, 2, 3]], THREE)
    assert decode(tmp_path / "0.png", "from-one", THREE).tolist() == [[255, 0, 1, 2]]


@pytest.mark.parametrize(("value", "dtype"), [(-1, np.int32), (65535, np.uint16), (255, np.uint8), (65535, np.int32)])
def test_values_without_a_class_in_any_set(tmp_path, value, dtype):
    path = file(tmp_path / "v.tif", [0, 2, value], dtype)
    assert detect_encoding([path], THREE)[0] == "train"
    for encoding in ("train", "raw"):
        assert decode(path, encoding, FOUR if encoding == "raw" else THREE)[0, 2] == 255


def test_floating_point_files_of_whole_numbers(tmp_path):
    path = file(tmp_path / "f.tif", [0, 1, 2, -1], np.float32)
    assert detect_encoding([path], THREE)[0] == "train"
    assert decode(path, "train", THREE).tolist() == [[0, 1, 2, 255]]
    for strange in (0.5, np.nan, np.inf, 1e30):
        with pytest.raises(InputError, match="no whole numbers"):
            decode(file(path, [0, strange], np.float32), "train", THREE)


def palette_file(path, ids, colours):
    image = Image.fromarray(np.array([ids], np.uint8))
    image.putpalette([part for colour in colours for part in colour])
    image.save(path)
    return path


def test_a_palette_says_what_indices_mean(tmp_path):
    # Read as own ids 0 would be ignored; the palette says that it is the first class.
    path = palette_file(tmp_path / "p.png", [0, 1, 2], FOUR.palette)
    assert detect_encoding([path], FOUR)[0] == "train"
    path = palette_file(tmp_path / "p.png", [1, 2, 3], [(0, 0, 0), *FOUR.palette])
    assert detect_encoding([path], FOUR)[0] == "raw"
    with pytest.raises(AmbiguousLabels, match=r"train .* or colour"):
        detect_encoding([palette_file(tmp_path / "p.png", [0, 1], [THREE.palette[1], THREE.palette[0]])], THREE)


def test_black_and_white_palettes(tmp_path):
    black, white = (0, 0, 0), (255, 255, 255)
    assert detect_encoding([palette_file(tmp_path / "p.png", [0, 1], [black, white])], TWO)[0] == "train"
    path = palette_file(tmp_path / "p.png", [0, 1], [white, black])
    with pytest.raises(AmbiguousLabels):
        detect_encoding([path], TWO)
    assert decode(path, "mask", TWO).tolist() == [[1, 0]]


def test_grey_levels_that_are_the_colours_of_the_set(tmp_path):
    grey = ClassSet.from_dict({"name": "g", "names": list("abc"), "palette": [[0] * 3, [127] * 3, [255] * 3]})
    assert read(tmp_path, [[0, 127, 255]], grey)[::2] == ("colour", [[0, 1, 2]])
    with pytest.raises(AmbiguousLabels):
        read(tmp_path, [[0, 255]], grey)


@pytest.mark.parametrize(("ids", "remedy"), [([0, 77], "ids = "), ([0, -7], "whole numbers from 0 to 65535, and -1")])
def test_a_remedy_is_one_that_is_accepted(tmp_path, ids, remedy):
    with pytest.raises(InputError, match=remedy):
        detect_encoding([file(tmp_path / "a.tif", ids, np.int32)], THREE)
    assert ("ignored_ids" in remedy) is False
    if min(ids) >= 0:
        named = ClassSet.from_dict({**THREE.to_dict(), "raw_ids": {"0": 0, "1": 1, "2": 2, "77": 255}})
        assert detect_encoding([tmp_path / "a.tif"], named)[0] == "raw"


def predictions(tmp_path, files, classes):
    for number, ids in enumerate(files):
        file(tmp_path / f"{number}.png", ids)
    found = open_predictions(tmp_path, None, classes)
    return [found.read(str(number), None).labels[0].tolist() for number in range(len(files))]


def test_predictions_hold_train_ids_unless_only_something_else_fits(tmp_path):
    assert predictions(tmp_path, [[0, 1, 2]], FOUR) == [[0, 1, 2]]
    assert predictions(tmp_path, [TRAIN_IDS_OF_A_STREET], CITY) == [TRAIN_IDS_OF_A_STREET]
    assert predictions(tmp_path, [[0, 255, 255]], TWO) == [[0, 1, 1]]
    assert predictions(tmp_path, [[7, 26, 33]], CITY) == [[0, 13, 18]]
    assert predictions(tmp_path, [[1, 255]], TWO) == [[1, 255]]
    with pytest.raises(InputError, match="class ids 11, expected 0 to 10"):
        predictions(tmp_path, [[0, 11]], load_class_set("camvid"))


def test_predictions_without_any_class_are_not_said_to_be_scored(tmp_path):
    file(tmp_path / "0.png", [255, 255])
    found, notes = open_predictions(tmp_path, None, THREE).resolved()
    texts = [*(note.text for note in notes if note.kind == "warning"), *glance(found, {}).warnings]
    assert [text for text in texts if "ignored pixels" in text or "no pixel" in text] == [
        "1 of 1 predictions checked contain only ignored pixels; check their ids and class map"
    ]
    assert "they score nothing" in read(tmp_path, [[255, 255]], THREE)[1]


def test_predictions_in_own_ids_that_could_be_train_ids_are_a_question(tmp_path):
    with pytest.raises(AmbiguousLabels, match=r"choose one by `source.encoding`") as caught:
        predictions(tmp_path, [[7, 8, 11]], CITY)
    assert caught.value.field == "source.encoding" and set(caught.value.choices) == {"train", "raw"}


@pytest.mark.parametrize(("encoding", "labels"), [("train", [7, 8, 11]), ("raw", [0, 1, 2])])
def test_such_predictions_are_read_as_told(tmp_path, encoding, labels):
    file(tmp_path / "0.png", [7, 8, 11])
    found = open_predictions(tmp_path, None, CITY, encoding=encoding)
    assert found.resolved() == (found, [])
    assert found.read("0", None).labels.tolist() == [labels]


def test_masks_of_predictions_that_differ_are_a_question_with_the_option_of_predictions(tmp_path):
    with pytest.raises(AmbiguousLabels, match=r"train .* or mask .*source.encoding"):
        predictions(tmp_path, [[0, 255], [0, 1]], TWO)


def test_predictions_in_two_forms_that_differ_are_a_question_whatever_the_class_set(tmp_path):
    # The ids count from one, and no pixel is of the first class or ignored.
    with pytest.raises(AmbiguousLabels, match=r"train \(1 is f, 2 is d\) or raw \(1 is w, 2 is f\).*source.encoding"):
        read(tmp_path, [[1, 2]], FOUR, predictions=True)
    assert read(tmp_path, [[0, 1, 2]], FOUR, predictions=True)[0] == "train"
    with pytest.raises(AmbiguousLabels, match=r"from-one \(1 is a, 3 is c\); choose one by `source.encoding`"):
        read(tmp_path, [[1, 3]], THREE, predictions=True)
    path = tmp_path / "palette.png"
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette(np.array(THREE.palette, np.uint8)[[1, 0, 2]].tobytes())
    image.save(path)
    with pytest.raises(AmbiguousLabels, match=r"train \(0 is a, 1 is b, 2 is c\) or colour \(0 is b, 1 is a, 2 is c\)"):
        detect_encoding([path], THREE, predictions=True)


def test_pictures_in_place_of_predictions_are_refused_by_their_colours(tmp_path):
    write_image(tmp_path / "a.png", np.full((2, 2, 3), (1, 2, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.png: found the colours \(1, 2, 3\), which class set three does not know"):
        open_predictions(tmp_path, None, THREE).lookup(["a"]).read("a", None)


def test_coloured_predictions(tmp_path):
    write_image(tmp_path / "0.png", THREE.colours(np.array([[0, 2, 1]])))
    found = open_predictions(tmp_path, None, THREE)
    assert found.read("0", None).labels.tolist() == [[0, 2, 1]]


@pytest.fixture
def folder(tmp_path):
    """Three images with label files to be written."""
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.jpg", np.zeros((2, 2, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize("ids", [[0, 77], [0, -7], [0, 9999]])
def test_a_fault_is_counted_once(folder, ids):
    for name in "abc":
        file(folder / "masks" / f"{name}.tif", [[0, 1], [1, 2]])
    Image.fromarray(np.array([ids, ids], np.int32)).save(folder / "masks" / "b.tif")
    for name in "ac":
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(folder / "masks" / f"{name}.tif")
    found = inspect(folder / "images", THREE, labels=folder / "masks")
    assert len(found.problems) == 1 and "b.tif" in found.problems[0]


def test_coloured_labels_at_fault_are_counted_once(folder):
    for name in "abc":
        write_image(folder / "masks" / f"{name}.png", np.full((2, 2, 3), (1, 2, 3 + (name == "b")), np.uint8))
    found = inspect(folder / "images", THREE, labels=folder / "masks")
    assert len(found.problems) == 3 and all("found the colours" in problem for problem in found.problems)


def test_ambiguous_labels_are_one_problem_and_their_ids_are_counted(folder):
    for name in "abc":
        write_labels(folder / "masks" / f"{name}.png", np.array([[7, 8], [0, 11]]))
    found = inspect(folder / "images", CITY, labels=folder / "masks")
    assert len(found.problems) == 1 and "train" in found.problems[0] and "raw" in found.problems[0]
    assert found.pixels == {"0": 0.25, "7": 0.25, "8": 0.25, "11": 0.25}
    chosen = inspect(folder / "images", CITY, labels=folder / "masks", encoding="raw")
    assert not chosen.problems and chosen.pixels["road"] == pytest.approx(1 / 3)


def test_the_option_offers_every_encoding():
    assert next(info for info in describe(DataOptions) if info.name == "val_encoding").choices == ENCODINGS


def test_a_class_set_that_is_common_in_both_forms_says_so(tmp_path):
    assert CITY.also_train_ids and not load_class_set("camvid").also_train_ids
    (tmp_path / "x.toml").write_text("classes = ['a']\nalso_train_ids = 'yes'\n")
    with pytest.raises(InputError, match="also_train_ids is 'yes', expected true or false"):
        load_class_set(tmp_path / "x.toml")


def test_resolving_reports_the_warnings(folder):
    for name in "abc":
        write_labels(folder / "masks" / f"{name}.png", np.array([[0, 255], [0, 0]]))
    dataset = open_dataset(folder / "images", labels=folder / "masks")
    assert any(note.line.startswith("warning: nothing but a") for note in resolve_encoding(dataset, THREE).notes)


@pytest.mark.parametrize("filler", [(0, 0, 0), (224, 224, 192)])
def test_a_colour_that_only_fills_the_palette_is_no_evidence(tmp_path, filler):
    voc = load_class_set("voc")
    assert voc.palette[0] == (0, 0, 0), "black is a class"
    image = Image.fromarray(np.array([[0, 1, 20, 255]], np.uint8))
    image.putpalette([*np.array(voc.palette, np.uint8).ravel().tolist(), *filler * (256 - len(voc))])
    image.save(tmp_path / "a.png")
    encoding, notes = detect_encoding([tmp_path / "a.png"], voc)
    assert encoding == "train" and ("255 has none" in notes[0].text) == (filler == (0, 0, 0))
    assert decode(tmp_path / "a.png", encoding, voc).tolist() == [[0, 1, 20, 255]]


def test_a_palette_that_gives_a_class_the_colour_of_another_is_a_question(tmp_path):
    voc = load_class_set("voc")
    palette = np.array(voc.palette, np.uint8)
    palette[2] = palette[1]
    image = Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8))
    image.putpalette([*palette.ravel().tolist(), *[0] * 3 * (256 - len(voc))])
    image.save(tmp_path / "a.png")
    with pytest.raises(AmbiguousLabels):
        detect_encoding([tmp_path / "a.png"], voc)


@pytest.mark.parametrize(("white", "dtype"), [(255, np.uint8), (65535, np.uint16)])
def test_one_mask_of_many_empty_ones_says_what_255_is(tmp_path, white, dtype):
    rows = [[0, 0, 0]] * 5 + [[0, white, 0]] + [[0, 0, 0]] * 60
    paths = [file(tmp_path / f"{number:02}.png", row, dtype) for number, row in enumerate(rows)]
    encoding, notes = detect_encoding(paths, TWO)
    assert encoding == "mask", notes
    assert decode(paths[5], encoding, TWO).tolist() == [[0, 1, 0]]


def test_one_coloured_file_of_many_black_ones_says_that_labels_are_colours(tmp_path):
    paths = [tmp_path / f"{number:02}.png" for number in range(66)]
    for number, path in enumerate(paths):
        picture = np.zeros((1, 2, 3), np.uint8)
        picture[0, 0] = CITY.palette[0] if number == 5 else 0
        Image.fromarray(picture).save(path)
    encoding, notes = detect_encoding(paths, CITY)
    assert encoding == "colour", notes
    assert decode(paths[5], encoding, CITY).tolist() == [[0, 255]]


def test_files_of_one_value_are_all_looked_at_and_one_class_is_no_question(tmp_path):
    paths = [file(tmp_path / f"{number:02}.png", [0, 255]) for number in range(40)]
    assert "in 40 files checked" in detect_encoding(paths, THREE)[1][0].text
    one = ClassSet.from_dict({"name": "one", "names": ["cell"]})
    assert "in 16 files checked" in detect_encoding(paths, one)[1][0].text


def test_broken_files_among_those_that_are_looked_at_further_are_passed_over(tmp_path):
    paths = [file(tmp_path / f"{number:02}.png", [0, 255 * (number == 5)]) for number in range(40)]
    for number in (6, 7, 8):
        paths[number].write_bytes(b"\x89PNG" + bytes(2000))
    assert detect_encoding(paths, TWO)[0] == "mask"


def test_train_ids_among_files_of_own_ids_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"0\.png: holds 0-2, as train ids, but 1\.png holds 7, 11"):
        read(tmp_path, [[0, 1, 2], [7, 11, 3]], SPARSE)
    # An image of nothing that the set names is no contradiction, unless it looks like train ids.
    assert read(tmp_path, [[5, 5, 6], [7, 11, 0]], SPARSE)[2] == [[255, 255, 255], [0, 1, 255]]


def test_black_of_a_grey_file_does_not_outdo_the_ids_of_the_class_set(tmp_path):
    """0 is a by its colour and as a train id, but b by the ids that the set states."""
    classes = ClassSet.from_dict(
        {"name": "both", "names": list("abc"), "raw_ids": {"2": 0, "0": 1, "5": 2},
         "palette": [[0, 0, 0], [88, 44, 122], [90, 174, 217]]}
    )  # fmt: skip
    with pytest.raises(AmbiguousLabels) as caught:
        read(tmp_path, [[0] * 4], classes)
    assert set(caught.value.choices) == {"raw", "train"}
    assert read(tmp_path, [[0, 5, 5]], classes)[0] == "raw"
