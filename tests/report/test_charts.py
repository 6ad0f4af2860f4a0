import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.report.charts import LARGE, Stretch, chart, ticks
from crots.report.facts import Curve

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


@given(FINITE, FINITE, st.integers(1, 8))
def test_ticks_enclose_the_values_and_are_few(one, other, count):
    low, high = sorted((one, other))
    found = ticks(low, high, count)
    room = found[-1] - found[0]
    assert found[0] <= low + 1e-6 * room and found[-1] >= high - 1e-6 * room
    assert 2 <= len(found) <= 3 * count + 3
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 3, [0, 1, 2, 3]), (0.41, 0.45, [0.41, 0.42, 0.43, 0.44, 0.45])]
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high, 4) == pytest.approx(expected)


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_every_point_lies_in_the_picture(values):
    curve = Curve("loss", tuple(map(float, range(len(values)))), tuple(values))
    drawn = chart([Stretch("baseline", 30, [curve]), Stretch("round 1", 30, [curve])], ["loss"], "loss")
    places = [pair.split(",") for line in re.findall(r'points="([^"]+)"', drawn) for pair in line.split()]
    assert len(places) == 2 * len(values)
    assert all(0 <= float(x) <= LARGE.width and 0 <= float(y) <= LARGE.height for x, y in places)


def test_few_points_are_marked_and_many_are_not():
    few, many = (Curve("loss", tuple(map(float, range(n))), (1.0,) * n) for n in (3, 40))
    assert chart([Stretch("a", 40, [few])], ["loss"], "x").count("<circle") == 3
    assert chart([Stretch("a", 40, [many])], ["loss"], "x").count("<circle") == 0
