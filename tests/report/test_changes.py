import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.config import Size
from crots.data.datasets import Sample
from crots.report.changes import Compared, Counts, chosen, evenly, fitting


def test_the_more_confident_half_of_each_class_is_what_counts():
    before = np.array([[0, 0, 0, 0, 1, 1, 255]])
    after = np.array([[0, 0, 1, 1, 1, 0, 0]])
    confidence = np.array([[0.9, 0.8, 0.3, 0.2, 0.1, 0.9, 1.0]], np.float32)
    counts = Counts(3)
    counts.add(before, after, confidence)
    # Of class 0 the two sure pixels stay; of class 1 the sure one goes.
    assert (counts.kept(0), counts.kept(1), counts.kept(2)) == (1.0, 0.0, None)
    old, new = counts.shares()
    assert old == pytest.approx([4 / 6, 2 / 6, 0])
    assert new == pytest.approx([3 / 6, 3 / 6, 0])


def test_without_confidence_all_pixels_count():
    counts = Counts(2)
    counts.add(np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 1]]), np.ones((1, 4), np.float32))
    assert counts.kept(0) == 0.75


def looked(key, changed):
    return Compared(Sample(key, None), changed, None, None, None)


def test_the_most_changed_and_the_typical_are_shown():
    ranked = [looked(str(place), share) for place, share in enumerate((0.9, 0.8, 0.7, 0.5, 0.4, 0.39, 0.1, 0.0))]
    found = chosen(ranked)
    assert [(look.sample.key, kind) for look, kind in found] == [
        ("0", "most changed"), ("1", "most changed"), ("2", "most changed"),
        ("4", "typical"), ("5", "typical"), ("3", "typical"),
    ]  # fmt: skip
    assert chosen([]) == []
    assert len(chosen(ranked[:2])) == 2


@given(st.integers(0, 500), st.integers(1, 200))
def test_images_are_spread_evenly(count, most):
    samples = [Sample(str(place), None) for place in range(count)]
    found = evenly(samples, most)
    assert len(found) == min(count, most)
    if len(found) > 1:
        assert (found[0], found[-1]) == (samples[0], samples[-1])


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_pictures_are_of_modest_size(width, height):
    found = fitting(Size(width, height))
    assert 1 <= found.width <= 480 and 1 <= found.height <= 360
