import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.training.balance import GREATEST_WEIGHT, class_weights, count_pixels, sampled


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
