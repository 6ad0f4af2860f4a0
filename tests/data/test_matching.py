from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.data.folder_listing import key_of
from crots.data.matching import match, matched_names, plain_stem, some
from crots.errors import InputError

HERE = Path("folder")


def files(*keys):
    return {key: HERE / f"{key}.png" for key in keys}


def matched(keys, *candidates, **options):
    found = match(keys, files(*candidates), what="label", folder=HERE, **options)
    return {key: path.with_suffix("").relative_to(HERE).as_posix() for key, path in found.items()}


def test_equal_keys_win():
    assert matched(["a/1", "b/1"], "b/1", "a/1", "c/9") == {"a/1": "a/1", "b/1": "b/1"}


def test_cityscapes_names():
    image, label = "ulm/ulm_000000_000019_leftImg8bit", "ulm_000000_000019_gtFine_labelIds"
    for found in (f"ulm/{label}", f"train/ulm/{label}", label, label.replace("labelIds", "labelTrainIds")):
        assert matched([image], found) == {image: found}


def test_endings_are_ignored_within_equal_folders():
    keys = ["a/1_leftImg8bit", "b/1_leftImg8bit"]
    assert matched(keys, "a/1_gtFine_color", "b/1_gtFine_color") == {
        "a/1_leftImg8bit": "a/1_gtFine_color",
        "b/1_leftImg8bit": "b/1_gtFine_color",
    }


def test_camvid_names():
    assert matched(["0001TP_006690"], "0001TP_006690_L") == {"0001TP_006690": "0001TP_006690_L"}


def test_ambiguous_stems_are_refused_with_names():
    with pytest.raises(InputError) as error:
        matched(["1"], "a/1", "b/1")
    assert "a/1" in str(error.value) and "b/1" in str(error.value)
    with pytest.raises(InputError, match="does not decide"):
        matched(["a/1", "b/1"], "1")


def test_missing_files_are_named():
    with pytest.raises(InputError, match=r"no label for 5 of 5 images \(0, 1, 2 and 2 more\)"):
        matched([str(i) for i in range(5)], "x")
    assert matched(["a", "b"], "a", partial=True) == {"a": "a"}


def test_the_file_of_one_image_is_not_used_for_another():
    with pytest.raises(InputError, match=r"no label for 1 of 2 images \(b/1\)"):
        matched(["a/1", "b/1"], "a/1")
    with pytest.raises(InputError, match="no label for 1"):
        matched(["a/1", "b/1"], "a/1", "c/1")


@given(st.lists(st.from_regex(r"([ab]/)?[ab](_L|_color)?", fullmatch=True), unique=True, max_size=8), st.data())
def test_no_file_is_given_twice(keys, data):
    candidates = data.draw(st.lists(st.sampled_from([*keys, "x", "a/x", "b/a", "a"]), unique=True))
    try:
        found = matched(keys, *candidates, partial=True)
    except InputError:
        return
    assert len(set(found.values())) == len(found)
    for key in keys:
        assert key not in candidates or found[key] == key


def test_keys_and_stems():
    assert key_of("a/b.c.png") == "a/b.c"
    assert plain_stem("a/x_gtFine_labelTrainIds") == "x"
    assert plain_stem("a/_L") == "_L", "nothing would be left"
    assert some([1, 2, 3, 4, 5]) == "1, 2, 3 and 2 more"
    assert some([1, 2]) == "1, 2"


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("{}_image", "{}_label"),
        ("{}", "{}_mask"),
        ("{}", "{}.ah"),
        ("{}_training", "{}_manual1"),
        ("{}_color", "{}_depth"),
        ("{}", "{}.jpg"),
        ("img_{}", "mask_{}"),
        ("{}", "GT_{}"),
        ("rgb-{}-in", "seg-{}-out"),
        ("night/rgb/{}", "night/gt/{}"),
        ("{}/rgb", "{}/labels"),
        ("{}_sat", "{}"),
        ("Image_{}L", "Image_{}L_1stHO"),
        ("{}_rgb_anon", "{}_gt_labelTrainIds"),
        ("a/{}_leftImg8bit", "b/{}_gtFine_labellevel3Ids"),
        ("leftImg8bit/{}/1_leftImg8bit", "gtFine/{}/1_gtFine_labelIds"),
        ("cafe\u0301_{}", "caf\u00e9_{}"),
        ("{} (1)", "{} (1) mask"),
    ],
)
@pytest.mark.parametrize(
    "names", [["1", "2", "3"], ["0001", "0010", "0100"], ["7", "70", "700"], ["ulm", "bonn", "ulm-2"]]
)
def test_what_names_have_in_common_decides(image, label, names):
    keys, found = [image.format(name) for name in names], [label.format(name) for name in names]
    assert matched(keys, *reversed(found)) == dict(zip(keys, found, strict=True))
    # One that has no label takes nobody else's.
    with pytest.raises(InputError, match="no label for 1 of 3"):
        matched(keys, *found[:-1])
    assert len(matched(keys, *found[:-1], partial=True)) == 2


@pytest.mark.parametrize(
    ("image", "label"), [("x_image", "x_label"), ("21_training", "21_manual1"), ("im0004", "im0004.ah")]
)
def test_a_single_pair(image, label):
    assert matched([image], label) == {image: label}
    with pytest.raises(InputError, match=r"no label for 1 of 1 images \(frame_1\) among 1 file \(frame_2\)"):
        matched(["frame_1"], "frame_2")


def test_two_kinds_of_labels_are_refused_with_names_of_both_sides():
    keys = ["a1", "a2", "a3"]
    both = [f"{key}_{kind}" for key in keys for kind in ("mask", "depth")]
    with pytest.raises(InputError) as error:
        matched(keys, *both)
    for words in ("a1, a2, a3", "a1_depth, a1_mask, a2_depth", "a1_depth", "one kind"):
        assert words in str(error.value)


def test_a_label_of_two_images_is_refused_with_both():
    keys = [f"{number}_{kind}" for number in range(3) for kind in ("normals", "rgb")]
    with pytest.raises(InputError, match="the label 0_sem may be that of 0_normals or 0_rgb; found"):
        matched(keys, *(f"{number}_sem" for number in range(3)))


def test_numbers_distinguish_images():
    with pytest.raises(InputError, match="no label"):
        matched(["s_1", "s_2", "s_3"], "s_1_label", "s_20_label", "s_30_label")
    assert matched(["10", "20"], "1_m", "2_m", partial=True) == {}


@given(
    st.lists(st.integers(0, 999).map(str), unique=True, min_size=2, max_size=8),
    st.sampled_from(["_image", "", "_rgb", ".x", "-in"]),
    st.sampled_from(["_label", "_mask", "", ".gt", " seg"]),
    st.sampled_from(["", "a/", "frame_", "X/y/img"]),
)
def test_learned_names_are_never_another_images(names, image, label, before):
    keys, found = [f"{before}{name}{image}" for name in names], [f"{before}{name}{label}" for name in names]
    got = matched(keys, *found, partial=True)
    assert got == dict(zip(keys, found, strict=True))


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("img{}", "mask{:03}"),
        ("t{}_sat_5", "t{}_mask_5"),
        ("front/{:03}", "front_{:03}"),
        ("front_{:03}", "front/{:03}"),
        ("tile-{}-77", "tile_{}_77"),
        ("train_images/{}", "train_masks/{}"),
        ("IMG {}", "img_{:04}"),
        ("scene{}/Camera/77", "scene{}/Segmentation/77"),
    ],
)
def test_names_that_differ_in_one_word_and_in_signs(image, label):
    keys, found = [image.format(number) for number in range(1, 13)], [label.format(number) for number in range(1, 13)]
    # Of two cameras, so that the last parts alone do not decide.
    for one, other in (("front", "rear"), ("train", "val"), ("_5", "_6"), ("77", "88")):
        if one in image and one in label:
            keys += [key.replace(one, other) for key in keys]
            found += [key.replace(one, other) for key in found]
            break
    assert matched(keys, *reversed(found)) == dict(zip(keys, found, strict=True))


@pytest.mark.parametrize(
    ("image", "label"),
    [("x{0}_y{1}", "row{0}_col{1}"), ("r{0}_c{1}", "c{0}_r{1}"), ("{0}_{1}_a", "{1}_{0}_b_{0}")],
)
def test_numbers_that_may_have_changed_places_are_not_compared(image, label):
    places = [(row, column) for row in range(3) for column in range(3)]
    with pytest.raises(InputError):
        matched([image.format(*place) for place in places], *(label.format(*place) for place in places))


def test_numbers_that_are_padded_differently():
    names = ["0001", "0002", "0010", "0100"]
    assert matched(names, "1", "2", "10", "100") == dict(zip(names, ["1", "2", "10", "100"], strict=True))
    assert matched(["a_01", "a_2"], "a_1", "a_002") == {"a_01": "a_1", "a_2": "a_002"}
    with pytest.raises(InputError):
        matched(["1", "01"], "001", "0001")


SIGNED = [("{}", "{}"), ("img_{}", "mask_{}"), ("{}_image", "{}_label"), ("img{}", "mask{}"), ("a/{}", "b/{}"),
          ("{}", "{}_mask"), ("img {}", "label {}"), ("x_{}_rgb", "x_{}_gt"), ("t{}", "t{}.ah")]  # fmt: skip


@pytest.mark.parametrize(("image", "label"), SIGNED)
def test_a_minus_before_a_number_counts(image, label):
    """Where half of the images have labels, and one label no image, nobody gets that of another sign."""
    generator = np.random.default_rng(0)
    for form in ("d", "03d"):
        for _ in range(40):
            numbers = [format(number, form) for number in generator.choice(np.arange(-12, 13), 7, replace=False)]
            images, labelled = numbers[:6], [*numbers[:3], numbers[6]]
            files = {label.format(number): Path(label.format(number)) for number in labelled}
            found = match([image.format(number) for number in images], files, what="label", folder=Path(), partial=True)
            wanted = {image.format(number): files[label.format(number)] for number in images[:3]}
            assert found == wanted, (images, labelled)


def test_a_hyphen_in_all_names_is_none():
    files = {f"mask_{number}": Path(f"mask_{number}.png") for number in (1, 2)}
    found = match(["img-01", "img-02"], files, what="label", folder=Path())
    assert found == {"img-01": files["mask_1"], "img-02": files["mask_2"]}


@pytest.mark.parametrize(
    ("image", "label", "said"),
    [
        ("anna_1", "bert_1", "labels are matched by name, as bert_1.png for anna_1"),
        ("day/x_image", "x_mask", "labels are matched by name, as x_mask.png for x_image"),
        ("a/0001TP_1", "0001TP_1_L", ""),
        ("bonn_000000_leftImg8bit", "bonn_000000_gtFine_labelIds", ""),
        ("a/street_1", "1f3a5b7c-street_1", ""),
    ],
)
def test_names_that_differ_are_shown_by_an_example(image, label, said):
    assert matched_names({image: Path(f"labels/{label}.png")}, "label") == said
