import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.training.balance import GREATEST_WEIGHT, NO_CLASS, RareCrops, class_weights, count_pixels, sampled


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any), st.floats(0, 1))
def test_weights_average_to_one_over_the_pixels_and_never_favour_the_frequent(counts, power):
    counts = np.array(counts)
    weights = class_weights(counts, power)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, rel=1e-3)
    assert weights.max() <= GREATEST_WEIGHT
    order = np.argsort(counts)
    assert (np.diff(weights[order]) <= 1e-9).all()


def test_power_one_makes_every_class_count_the_same():
    counts = np.array([400, 350, 250])
    assert np.ptp(class_weights(counts, 1.0) * counts) == pytest.approx(0, abs=1e-9)
    assert class_weights(counts, 0.0) == pytest.approx(1)


def test_labels_of_a_rare_class_never_count_more_than_ten_times():
    # Labels of rare classes are wrong more often, and a greater weight teaches the mistakes.
    counts = np.array([9900, 90, 10])
    assert class_weights(counts, 1.0)[1:] == pytest.approx([10.0, 10.0])
    assert class_weights(counts, 1.0)[0] == pytest.approx((10000 - 1000) / 9900)


def test_pixels_are_counted_image_by_image():
    maps = np.array([[[0, 0], [1, 255]], [[2, 2], [2, 9]]])
    counts = count_pixels(lambda indices: maps[list(indices)], range(2), 3)
    assert counts.tolist() == [[2, 1, 0], [0, 0, 3]]


@given(st.integers(1, 5000))
def test_a_sample_is_spread_over_all_images(images):
    found = sampled(images)
    assert found[0] == 0 and found[-1] == images - 1 and len(found) == min(images, 200) == len(set(found))


COUNTS = np.array([[900, 100, 0]] * 8 + [[500, 480, 20], [0, 0, 0]])


def drawn(share, steps=200, **more):
    rare = RareCrops(COUNTS, share, **{"seed": 1, "stage": "baseline", **more})
    pairs = [rare.draw([0, 1, 9], step) for step in range(steps)]
    return np.array([indices for indices, _ in pairs]), np.array([wanted for _, wanted in pairs])


def test_rare_classes_are_drawn_most_and_from_images_that_show_them():
    indices, wanted = drawn(1.0)
    often = [(wanted == number).mean() for number in range(3)]
    assert often[2] > often[1] > often[0] > 0 and sum(often) == 1
    assert (indices[wanted == 2] == 8).all() and (COUNTS[indices[wanted == 1], 1] > 0).all()
    shares = (COUNTS.sum(axis=0) / COUNTS.sum()) ** -0.5
    assert often == pytest.approx(shares / shares.sum(), abs=0.07)


def test_the_share_says_how_many_crops_are_drawn_so():
    indices, wanted = drawn(0.25)
    assert (wanted != NO_CLASS).mean() == pytest.approx(0.25, abs=0.05)
    assert (indices == [0, 1, 9])[wanted == NO_CLASS].all()


def test_draws_of_rare_crops_depend_on_seed_stage_and_step():
    assert all((one == other).all() for one, other in zip(drawn(0.5), drawn(0.5), strict=True))
    assert any((drawn(0.5)[0] != drawn(0.5, **more)[0]).any() for more in ({"seed": 2}, {"stage": "adapt-1"}))


def test_labels_without_any_class_leave_the_images_as_they_are():
    rare = RareCrops(np.zeros((3, 4), int), 1.0, seed=0, stage="baseline")
    assert rare.draw([2, 0], 5) == ([2, 0], [NO_CLASS, NO_CLASS])
