"""Of names as people have them no image is ever given the label of another, and clear ones are not refused.

``CROTS_NAMES=20000 pytest tests/data/test_naming.py`` tries many more of them.
"""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from crots.data.matching import match
from crots.errors import InputError
from tests.data.wild_names import draw_names, is_told_apart

TRIED = int(os.environ.get("CROTS_NAMES", "250"))


def matched(images, labels, **options):
    files = {label: Path(label) for label in labels}
    return {key: str(path) for key, path in match(list(images), files, what="label", folder=Path(), **options).items()}


@seed(13)
@settings(max_examples=TRIED, deadline=None, database=None)
@given(st.integers(0, 2**32))
def test_no_image_is_given_the_label_of_another(number):
    names = draw_names(Random(number))
    if not is_told_apart(names):
        return
    try:
        found = matched(names.images, names.labels, partial=True)
    except InputError:
        return
    wrong = {key: label for key, label in found.items() if names.images[key] != names.labels[label]}
    assert not wrong, (sorted(names.images), sorted(names.labels))
    assert len({names.kinds[label] for label in found.values()}) <= 1, (sorted(names.images), sorted(names.labels))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["day/rgb/3_sat", "night/rgb/4_sat"], ["night/gt/3_gt", "day/gt/4_gt"]),
        (["frame_IMG_248 - Copy", "frame_IMG_69_1", "frame_IMG_277"], ["IMG_248 copy_gt", "IMG_129_gt"]),
        (["b.x", "b009.x", "über000.x"], ["m_b_b_0", "m_plot_0", "m_über_0"]),
        (["seq3_frame17"], ["seq3_frame4_mask", "seq4_frame8_mask"]),
        (["S10W5"], ["N10E7", "N11W5"]),
        (["seq1/rgb_1", "seq1/rgb_2"], ["seq2/gt_1", "seq2/gt_2"]),
        (["IMG_1722_1", "IMG_1729"], ["IMG_1722_labels_1"]),
        (["rgb-IMG_1", "rgb-IMG_9", "rgb-IMG_5", "rgb-IMG_5_1"], ["IMG_1_1_gt", "IMG_9_1_gt"]),
        (["IMG_1", "IMG_1 COPY", "IMG_2", "IMG_2 COPY", "IMG_3"], ["IMG_2 copy_gt", "IMG_3 copy_gt"]),
        (["1_left", "2_left", "3_left"], ["1_right", "2_right", "3_right"]),
        (["train_1", "train_2", "train_3"], ["val_1", "val_2", "val_3"]),
        (["Train_001", "Train_002", "Train_003"], ["val_1_gt", "val_2_gt", "val_3_gt"]),
        # A word that all or most images have, and only some labels.
        (["10/IMG_29 (1) image", "1/IMG_36 (1) image"], ["1/img_36_label", "10/img_29_label", "1/img_29 (1)_label"]),
        (["B/T1_img_16_edit", "A/T1_img_24_edit"], ["img_16_mask", "img_24_mask", "img_34_edit_mask", "img_34_mask"]),
        (["2/IMG_10_edit_x", "2/IMG_34_edit_x", "1/IMG_19_edit_x", "1/IMG_19_x", "1/IMG_30_edit_x"],
         ["IMG_10", "IMG_30"]),
        (["a0036_sat", "a_sat", "plot0036_sat", "plot_sat", "site_sat"], ["labels/plot36_gt", "labels/site36_gt"]),
        (["2/plot2037", "2/south2037"], ["plot_color", "south_color", "plot_b_color", "über2037_color"]),
        (["day/AB", "day/ROAD", "seq2/BONN", "seq2/ROAD-SITE"], ["day/AB-PLOT", "day/ROAD-PLOT", "seq2/BONN-PLOT",
                                                                 "day/BONN-ULM", "seq2/AB-ULM"]),
        # Two folders with one thing each, or with the same views of another thing.
        (["A/IMG a", "B/IMG a"], ["A/ulm_gt", "B/ulm_gt"]),
        (["rgb/A/ulm_v2.1_rgb", "rgb/B/ulm_v2.1_rgb"], ["gt/A/plot_v2.1_gt", "gt/B/plot_v2.1_gt", "gt/A/a_v3.1_gt"]),
        (["A/rgb-13 LEFT", "A/rgb-13 RIGHT"], ["label29 LEFT", "label29 RIGHT"]),
        (["day/000001-000004_training", "night/000003-000004_training"],
         ["000004-000001_color", "000004-000003_color"]),
        (["10/b_road_training", "10/site_road_training"],
         ["10/b.jpg", "10/b_bonn.jpg", "10/site.jpg", "10/site_ab.jpg"]),
        (["rgb/B/1 night", "rgb/B/3 night", "rgb/day/1 night"], ["gt/B/gt_1 day", "gt/B/gt_3 day", "gt/day/gt_1 day"]),
        (["2/IMG_4_edit_0000", "2/IMG_7_edit_0000", "1/IMG_1_edit_0000"],
         ["gt/2/gt_IMG_0004", "gt/2/gt_IMG_0007", "gt/1/gt_IMG_0001", "gt/1/gt_IMG_0008_edit"]),
    ],
)  # fmt: skip
def test_what_only_looks_alike_is_not_matched(images, labels):
    with pytest.raises(InputError):
        matched(images, labels)
    assert matched(images, labels, partial=True) == {}


def test_a_number_behind_a_word_of_all_goes_with_it():
    images = [f"IMG_{number}{more}_0000" for number in (648, 741, 1436) for more in ("", "_1")]
    labels = [f"labels/IMG_{number}_manual1" for number in (648, 741, 1436)]
    expected = {f"IMG_{number}_0000": f"labels/IMG_{number}_manual1" for number in (648, 741, 1436)}
    assert matched(images, labels, partial=True) == expected


@pytest.mark.parametrize(("own", "other"), [("val", "train"), ("test", "training"), ("validation", "test")])
def test_labels_of_another_part_are_no_rivals_of_those_of_the_same_name(own, other):
    images = [f"A_{own}_0{number}" for number in range(1, 4)]
    labels = [f"{part}s/A_{part}_0{number}" for part in (own, other) for number in range(1, 6)]
    assert matched(images, labels) == {image: f"{own}s/{image}" for image in images}
    with pytest.raises(InputError):
        matched(images, [label for label in labels if other in label])


def test_masks_of_the_field_of_view_beside_labels_are_a_doubt():
    names = [f"mask/{number}_test_mask" for number in range(1, 4)]
    names += [f"{number}st_manual/{image}_manual{number}" for number in (1, 2) for image in range(1, 4)]
    with pytest.raises(InputError, match="the label of 1_test may be 1st_manual/1_manual1 or mask/1_test_mask"):
        matched(["1_test", "2_test", "3_test"], names)


def test_kinds_of_labels_that_few_images_have_are_a_doubt_too():
    depths = [f"{number}_depth" for number in range(9)]
    with pytest.raises(InputError, match="the label of 0 may be 0_depth or 0_mask"):
        matched([str(number) for number in range(9)], [*depths, "0_mask", "1_mask"], partial=True)


VIEWS = [("day", "night"), ("before", "after"), ("pre", "post"), ("summer", "winter"), ("t0", "t1"), ("left", "right")]


@pytest.mark.parametrize(("one", "other"), VIEWS)
@pytest.mark.parametrize(
    ("image", "label"),
    [("{}_{}", "{}_{}_label"), ("{}_{}", "{}_{}"), ("{1}/{0}", "{1}/{0}"), ("{1}_{0}", "{1}_{0}_gt"),
     ("{1}/{0}_rgb", "{1}/{0}_gt"), ("rgb-{}-{}", "seg-{}-{}")],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 5])
def test_another_view_is_another_image(image, label, one, other, count):
    names = ["street", *range(1, 5)][:count]
    images, labels = [image.format(name, one) for name in names], [label.format(name, other) for name in names]
    assert matched(images, labels, partial=True) == {}


@pytest.mark.parametrize(("one", "other"), [*VIEWS, ("wet", "dry"), ("color", "depth")])
@pytest.mark.parametrize("label", ["{}_{}_label", "{}_{}"])
def test_where_images_show_both_views_labels_are_of_one(one, other, label):
    images = [f"{number}_{view}" for number in range(5) for view in (one, other)]
    labels = {f"{number}_{other}": label.format(number, other) for number in range(5)}
    assert matched(images, labels.values(), partial=True) == labels
    few = [*(f"{number}_{one}" for number in range(5)), f"1_{other}"]
    try:
        found = matched(few, labels.values(), partial=True)
    except InputError:
        return
    assert found.items() <= labels.items()


@pytest.mark.parametrize("ends", [("_label", "_inst"), ("_L", "_color"), ("", "_label"), ("", "_L"), ("_L", "_inst")])
@pytest.mark.parametrize("first", [97, 60, 30])
@pytest.mark.parametrize("options", [{}, {"partial": True}])
def test_labels_of_two_kinds_are_not_mixed(ends, first, options):
    labels = [f"{number}{ends[number >= first]}" for number in range(100)]
    with pytest.raises(InputError, match=r"several kinds|the label of 3 may be"):
        matched(
            [str(number) for number in range(100)], [*labels, *(f"{number}{ends[1]}" for number in (3, 5))], **options
        )


@pytest.mark.parametrize(
    ("image", "label"),
    [("{0}/{1}", "{0}/{1}"), ("{0}/{0}_{1}_leftImg8bit", "{0}/{0}_{1}_gtFine_labelIds"), ("{0}_{1}", "{0}_{1}"),
     ("{0}_{1}", "{0}_{1}_mask"), ("rgb/{0}/{1}", "gt/{0}/{1}"), ("{1}_{0}_image", "{1}_{0}_label")],
)  # fmt: skip
@pytest.mark.parametrize("other", ["zurich", "weimar"])
def test_labels_of_other_scenes_beside_those_of_the_images_are_no_other_kind(image, label, other):
    """They were taken for labels of another kind of the images that have none, and all labels were refused."""
    names = {
        image.format(scene, number): label.format(scene, number)
        for scene in ("aachen", "bochum")
        for number in range(5)
    }
    expected = {one: file for one, file in names.items() if "aachen" in one}
    labels = [*expected.values(), *(label.format(other, number) for number in range(5))]
    assert matched(names, labels, partial=True) == expected


@pytest.mark.parametrize("turned", ["{}_flip", "hflip_{}", "{}_Mirrored", "{}_rot90", "aug/rotated_{}"])
def test_an_image_that_was_turned_has_not_the_label_of_the_original(turned):
    """Where all images are such copies, nothing else tells them from their originals."""
    images = [turned.format(number) for number in range(1, 6)]
    assert matched(images, [f"{number}_mask" for number in range(1, 6)], partial=True) == {}
    with pytest.raises(InputError, match=r"found no label for 5 of 5 images.* is taken to mean turned copies"):
        matched(images, [f"{number}_mask" for number in range(1, 6)])
    labels = {image: f"{image}_mask" for image in images}
    assert matched(labels, labels.values()) == labels


def test_a_word_that_means_turned_copies_or_something_else_is_named():
    """In German, the images may be of the red band: they are not matched by guess, and the message says why."""
    images, labels = [f"{number}_rot" for number in range(5)], [f"{number}_maske" for number in range(5)]
    with pytest.raises(InputError, match=r"; 'rot' is taken to mean turned copies, which no label of an original fits"):
        matched(images, labels)
    with pytest.raises(InputError, match="'mirror' is taken"):
        matched(labels, [f"mirror_{number}" for number in range(5)])
    with pytest.raises(InputError) as unlike:
        matched(images, [f"other_{number}_rot" for number in range(7, 12)])
    assert "turned" not in str(unlike.value)


def test_an_ordinal_is_one_word():
    images = ["rgb-IMG_30_1", "rgb-IMG_30", "rgb-IMG_2_1", "rgb-IMG_2"]
    found = matched(images, ["IMG_2_1stHO", "IMG_30_1stHO"], partial=True)
    assert found == {"rgb-IMG_30": "IMG_30_1stHO", "rgb-IMG_2": "IMG_2_1stHO"}


def test_names_of_which_some_are_written_otherwise_are_all_matched():
    images = ["IMG_0857.x", "IMG_1405.x", "IMG_1405_edit.x", "IMG_2092.x"]
    labels = ["IMG_857-seg", "IMG_1405-seg", "IMG_1405_edit-seg", "IMG_2092-seg"]
    assert matched(images, labels) == dict(zip(images, labels, strict=True))
    assert matched(["1", "2", "11"], ["01_L", "02_L", "11_L"]) == {"1": "01_L", "2": "02_L", "11": "11_L"}


@pytest.mark.parametrize("signed", [["3", "-3", "12", "-12"], ["0fce", "32ed", "f334"]])
def test_a_hyphen_that_all_names_have_is_no_minus(signed):
    images, labels = [f"rgb-{name}" for name in signed], [f"{name}_mask" for name in signed]
    assert matched(images, labels) == dict(zip(images, labels, strict=True))


@pytest.mark.parametrize(("image", "label"), [("img_{}", "{}_mask"), ("{}_image", "{}_label"), ("rgb-{}", "{}.ah")])
def test_a_legend_beside_the_labels_is_no_doubt(image, label):
    words = ["ulm", "bonn", "north", "south", "site", "field", "plot", "road", "a", "b", "c", "3c4b", "12", "ulm_north"]
    expected = {image.format(word): label.format(word) for word in words}
    found = matched([*expected, "preview"], [*expected.values(), "legend"], partial=True)
    assert found == expected


def test_folders_of_both_sides_that_vary_belong_together_only_where_they_are_equal():
    images, labels = ["a/1", "a/2", "b/3", "b/4"], ["a/1_gt", "a/2_gt", "c/3_gt", "c/4_gt"]
    with pytest.raises(InputError):
        matched(images, labels)


def test_clear_names_are_matched():
    clear = [names for names in map(draw_names, map(Random, range(2 * TRIED))) if names.clear and is_told_apart(names)]
    refused = []
    for names in clear:
        try:
            matched(names.images, names.labels)
        except InputError:
            refused.append((sorted(names.images)[:3], sorted(names.labels)[:3]))
    assert len(clear) > TRIED / 5 and len(refused) <= 0.06 * len(clear), (len(clear), refused)
