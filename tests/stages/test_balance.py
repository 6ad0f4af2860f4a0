import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.stages.baseline import class_weights


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any), st.floats(0, 1))
def test_weights_average_to_one_over_the_pixels_and_never_favour_the_frequent(counts, power):
    counts = np.array(counts)
    weights = class_weights(counts, power)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    order = np.argsort(counts)
    assert (np.diff(weights[order]) <= 1e-9).all()


def test_power_one_makes_every_class_count_the_same():
    counts = np.array([900, 90, 10])
    assert np.ptp(class_weights(counts, 1.0) * counts) == pytest.approx(0, abs=1e-9)
    assert class_weights(counts, 0.0) == pytest.approx(1)
