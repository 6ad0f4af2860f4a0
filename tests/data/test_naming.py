"""Of names as people have them no image is ever given the label of another, and clear ones are not refused.

``CROTS_NAMES=20000 pytest tests/data/test_naming.py`` tries many more of them.
"""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from crots.data import naming
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
    ],
)
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


def test_names_are_looked_through_once_for_all_changes_with_endings_of_one_length():
    class Looked(list):
        times = 0

        def __iter__(self):
            self.times += 1
            return super().__iter__()

    names = Looked(naming._Name(str(number), (), ("a", "_", str(number % 7))) for number in range(50))
    sides = naming._Sides(names, [], naming._Form.EXACT)
    assert [sides.some_end_with(0, ("_", str(number))) for number in range(9)] == [True] * 7 + [False] * 2
    assert names.times == 1 and not sides.some_end_with(0, ())


def test_masks_of_the_field_of_view_beside_labels_are_a_doubt():
    names = [f"mask/{number}_test_mask" for number in range(1, 4)]
    names += [f"{number}st_manual/{image}_manual{number}" for number in (1, 2) for image in range(1, 4)]
    with pytest.raises(InputError, match="the label of 1_test may be 1st_manual/1_manual1 or mask/1_test_mask"):
        matched(["1_test", "2_test", "3_test"], names)


def test_kinds_of_labels_that_few_images_have_are_a_doubt_too():
    depths = [f"{number}_depth" for number in range(9)]
    with pytest.raises(InputError, match="the label of 0 may be 0_depth or 0_mask"):
        matched([str(number) for number in range(9)], [*depths, "0_mask", "1_mask"], partial=True)


def test_clear_names_are_matched():
    clear = [names for names in map(draw_names, map(Random, range(2 * TRIED))) if names.clear and is_told_apart(names)]
    refused = []
    for names in clear:
        try:
            matched(names.images, names.labels)
        except InputError:
            refused.append((sorted(names.images)[:3], sorted(names.labels)[:3]))
    assert len(clear) > TRIED / 5 and len(refused) <= 0.06 * len(clear), (len(clear), refused)
