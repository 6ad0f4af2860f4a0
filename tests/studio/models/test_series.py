"""Curves from events: resumed and repeated stages, smoothing, joining stages, and CSV that equals the series."""

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.events import Evaluated, Metrics, Note, Scored, StageStarted
from crots_studio.models.series import (
    MIOU,
    Curves,
    Figure,
    Series,
    csv_text,
    curves_csv,
    rolling_mean,
    value_at,
)

LOSS = Figure("loss", "loss")


def started(stage, total=100, resumed_at=0):
    return StageStarted(stage=stage, total=total, resumed_at=resumed_at)


def losses(stage, values, first=1):
    return [Metrics(stage=stage, step=step, values={"loss": value}) for step, value in enumerate(values, first)]


def test_series_grows_and_keeps_old_views():
    series = Series()
    for step in range(1000):
        series.append(step, step * 0.5)
    view = series.values
    series.append(500, -1.0)
    assert series.steps.tolist() == list(range(501))
    assert series.values[-1] == -1.0
    assert view[500] == 250.0


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(-1e6, 1e6)), max_size=200))
def test_steps_always_rise(points):
    series = Series()
    for step, value in points:
        series.append(step, value)
        assert (series.steps[-1], series.values[-1]) == (step, value)
    assert np.all(np.diff(series.steps) > 0)


def test_figures_are_sorted_into_groups():
    curves = Curves([
        Metrics(stage="adapt-1", step=1, values={"loss": 1.0, "confidence weight": 0.2, "learning rate": 1e-5}),
        Scored(stage="adapt-1", step=1, values={"information": 0.5}),
        Evaluated(stage="adapt-1", subject="adapt-1", step=1, miou=0.4, per_class_iou={}),
        Evaluated(stage="evaluate", subject="adapt-1", step=0, miou=0.4, per_class_iou={}),
        Note(stage="evaluate", text="nothing to draw"),
    ])  # fmt: skip
    assert curves.stages == ("adapt-1",)
    assert curves.figures() == (
        LOSS, Figure("score", "information"), Figure("score", MIOU), Figure("weight", "confidence weight"),
        Figure("rate", "learning rate"),
    )  # fmt: skip
    assert curves.figures(group="score") == (Figure("score", "information"), Figure("score", MIOU))


def test_a_repeated_stage_forgets_and_a_resumed_one_continues():
    curves = Curves([started("baseline"), *losses("baseline", [5, 4, 3, 2])])
    curves.add([started("baseline", resumed_at=2), *losses("baseline", [30], first=3)])
    assert curves.series("baseline", LOSS).values.tolist() == [5, 4, 30]
    assert curves.add([started("baseline")])
    assert len(curves.series("baseline", LOSS)) == 0
    assert curves.stages == ()


def test_adding_says_whether_anything_changed():
    curves = Curves()
    assert not curves.add([started("baseline"), Note(stage="baseline", text="hello")])
    assert curves.add(losses("baseline", [1.0]))


def test_stages_are_joined_in_running_order_with_a_gap():
    curves = Curves([started("adapt-10", 5), *losses("adapt-10", [1, 1])])
    curves.add([started("adapt-2", 10), *losses("adapt-2", [2, 2]), started("baseline", 20), *losses("baseline", [3])])
    assert curves.stages == ("baseline", "adapt-2", "adapt-10")
    assert curves.offsets(curves.stages) == {"baseline": 0, "adapt-2": 20, "adapt-10": 30}
    x, y = curves.joined(LOSS, curves.stages)
    assert x.tolist() == [1, 1, 21, 22, 22, 31, 32]
    assert [None if math.isnan(value) else value for value in y] == [3, None, 2, 2, None, 1, 1]


def test_smoothing_does_not_run_over_from_one_stage_into_the_next():
    curves = Curves([*losses("baseline", [8, 8, 8]), *losses("adapt-1", [2, 2, 2])])
    _, y = curves.joined(LOSS, curves.stages, window=3)
    assert y[np.isfinite(y)].tolist() == [8, 8, 8, 2, 2, 2]


@given(st.lists(st.floats(-100, 100) | st.just(math.nan), max_size=80), st.integers(1, 20))
def test_rolling_mean_is_the_mean_of_the_last_values(values, window):
    found = rolling_mean(np.array(values, float), window)
    for index in range(len(values)):
        part = [value for value in values[max(0, index + 1 - window) : index + 1] if math.isfinite(value)]
        if window > 1:
            expected = sum(part) / len(part) if part else math.nan
            assert found[index] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_value_at_takes_the_nearest_known_point():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([10.0, np.nan, 30.0])
    assert value_at(x, y, 1.9) == (1.0, 10.0)
    assert value_at(x, y, 3) == (3.0, 30.0)
    assert value_at(x, y, 99) is None and value_at(x, y, -1) is None, "no curve, no value"
    assert value_at(np.empty(0), np.empty(0), 1) is None


wild = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(wild, min_size=1, max_size=40), st.lists(wild, min_size=1, max_size=40))
def test_csv_equals_the_series(baseline, rounds):
    """Every number of every curve comes back from the CSV as the same float, and nothing else does."""
    curves = Curves([*losses("baseline", baseline), *losses("adapt-1", rounds)])
    curves.add([Scored(stage="adapt-1", step=2, values={"information": 1 / 3})])
    rows = list(csv.DictReader(io.StringIO(curves_csv(curves))))
    for stage in curves.stages:
        for figure in curves.figures():
            read = [
                (float(row["step"]), float(row[figure.name]))
                for row in rows
                if row["stage"] == stage and row[figure.name]
            ]
            series = curves.series(stage, figure)
            assert read == list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def test_csv_of_some_stages_leaves_the_others_out():
    curves = Curves([*losses("baseline", [1.5]), *losses("adapt-1", [0.5])])
    assert curves_csv(curves, ["adapt-1"]) == "stage,step,loss\nadapt-1,1,0.5\n"
    assert csv_text(["a"], [['with "quotes", and commas']]) == 'a\n"with ""quotes"", and commas"\n'
