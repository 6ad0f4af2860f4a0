"""Superpixels under a stroke: they end at edges of the picture, cost what is touched, and are the same each time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crots_studio.models.superpixels import SMALLEST, Superpixels


def two_sides(height=120, width=160, noise=6):
    """A picture with a slanted edge, and which side each pixel is on."""
    rows, columns = np.mgrid[:height, :width]
    right = columns > 60 + rows // 3
    grey = np.where(right, 170, 90) + np.random.default_rng(0).normal(0, noise, (height, width))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2), right


@pytest.mark.parametrize("side", [8, 12, 20])
def test_they_end_at_the_edge(side):
    picture, right = two_sides()
    for x, y in ((58, 20), (90, 80), (40, 60), (110, 100)):
        where = Superpixels(picture, side).touch([(x, y)])
        assert where[y, x]
        wrong = (where & (right != right[y, x])).sum() / where.sum()
        assert wrong < 0.12, (x, y, wrong)
        assert where.sum() < 8 * side * side


def test_a_stroke_adds_what_it_crosses_and_touching_again_adds_nothing():
    picture, _ = two_sides()
    parts = Superpixels(picture, 10)
    first = parts.touch([(20, 60)]).copy()
    line = parts.touch([(20, 60), (50, 60)]).copy()
    assert (line & first).sum() == first.sum() < line.sum()
    assert line[60, 20:51].all()
    assert np.array_equal(parts.touch([(30, 60)]), line)
    assert np.array_equal(Superpixels(picture, 10).touch([(20, 60)]), first), "the same each time"


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 60), st.data())
def test_any_picture_has_one_wherever_it_is_touched(height, width, side, data):
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    where = Superpixels(picture, side).touch([(x, y)])
    assert where.shape == (height, width) and where[y, x]
    assert where.sum() <= (2 * 3 + 1) ** 2 * max(side, SMALLEST) ** 2
