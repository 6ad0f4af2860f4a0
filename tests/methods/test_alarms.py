"""The alarm's rules on made-up scores: what warns, what stops, and what is left alone."""

import pytest

from crots.methods.alarms import (
    BOUNDS,
    EMPTY,
    UNFITTING,
    UNREADABLE,
    Alarm,
    healthy,
    informative,
    judge,
    surest_lost,
    usable,
)

START = {
    "certainty": 0.8, "information": 0.6, "neighbourhood": 0.74, "agreement": 1.0, "stability": 1.0, "flip": 0.92,
    "scale": 0.84, "colour": 0.85, "teacher": 1.0, "source": 1.0, "fit": 1.0, "classes kept": 1.0,
    "surest": 0.97, "worst class": 1.0,
}  # fmt: skip
# After a round that gained 4 points.
GAINED = START | {"information": 0.585, "agreement": 0.82, "stability": 0.99, "source": 0.946, "fit": 0.87}


def raised(now, start=START, *, vanishing=None, trained=True):
    alarms = judge([start, now], vanishing or {}, trained=trained)
    return {alarm.name: alarm.serious for alarm in alarms}


def test_a_run_that_gains_raises_nothing():
    assert raised(GAINED) == {}


@pytest.mark.parametrize("name", [name for name in BOUNDS if name != "consistency"])
def test_every_score_warns_below_its_first_bound_and_is_serious_below_its_second(name):
    bounds, before = BOUNDS[name], START[name]
    assert raised(START | {name: before * (bounds.warns + 0.01)}) == {}
    assert raised(START | {name: before * (bounds.warns - 0.01)}) == {f"{name} falls": False}
    found = raised(START | {name: before * (bounds.stops - 0.01)})
    assert found == {f"{name} lost": True}
    text = judge([START, START | {name: before * (bounds.stops - 0.01)}], {}, trained=True)[0].text
    assert "learning rate" in text and f"{before:.2f} at the start" in text


@pytest.mark.parametrize(
    ("mean", "worst", "lost"), [(0.0, 0.0, False), (0.01, 0.1, False), (0.011, 0.0, True), (0.0, 0.11, True)]
)
def test_refreshed_labels_may_hardly_change_the_most_confident_pixels_of_the_source(mean, worst, lost):
    assert bool(surest_lost(mean, worst)) is lost


def test_what_refreshed_labels_would_lose_is_a_figure_above_its_bound():
    said = surest_lost(0.0104, 0.0)
    assert "1.04% on average (at most 1%)" in said and "worst class" not in said
    assert "on average" not in surest_lost(0.0, 0.11) and "11.00% in the worst class (at most 10%)" in surest_lost(
        0, 0.11
    )


def test_the_three_views_count_together():
    assert raised(START | {"scale": 0.7}) == {}
    assert raised(START | {"scale": 0.7, "flip": 0.8}) == {"consistency falls": False}
    assert raised(START | {"scale": 0.0, "flip": 0.0, "colour": 0.0}) == {"consistency lost": True}
    # The model said so little of any image that there was no smaller one to compare with.
    short = {name: value for name, value in START.items() if name not in ("flip", "scale", "colour")}
    assert raised(short, short) == {}


def test_uniform_and_overconfident_predictions_stop_a_run():
    assert raised(START | {"certainty": 0.01})["uniform"]
    assert raised(GAINED | {"certainty": 0.95}) == {}, "self-training makes any model surer"
    assert raised(GAINED | {"certainty": 0.999}) == {}
    assert raised(GAINED | {"certainty": 0.999, "agreement": 0.7})["overconfident"]
    found = raised(GAINED | {"certainty": 0.93, "fit": 0.6})
    assert found["growing sure"] is False and found["fit falls"] is False


def test_outputs_that_are_not_finite_stop_a_run():
    assert raised(START | {"information": float("nan")}) == {"not finite": True}
    assert raised(START | {"information": float("nan")}, trained=False) == {"not finite": True}


def test_a_vanishing_class_is_reported_and_alone_is_no_warning():
    alarms = judge([START, GAINED], {"bicycle": "class bicycle is vanishing"}, trained=True)
    assert [alarm.text for alarm in alarms] == ["class bicycle is vanishing"] and healthy(alarms)
    assert not healthy([Alarm("fit falls", "")]) and healthy([])


def test_images_without_anything_in_them_stop_a_stage_at_its_start():
    (alarm,) = judge([START | {"scale": UNREADABLE - 0.01}], {}, trained=True)
    assert alarm.serious and "recognises nothing" in alarm.text
    assert judge([START], {}, trained=True) == []


def test_labels_of_other_images_stop_what_learns_them():
    start = START | {"fit": UNFITTING - 0.01}
    (alarm,) = judge([start], {}, trained=True, distils=True)
    assert alarm.serious and "belong to these images" in alarm.text
    (alarm,) = judge([start], {}, trained=True)
    assert not alarm.serious


def test_a_start_of_rare_things_alone_is_informative_and_losing_them_stops():
    """Spots on 0.5 % of the pixels: little information can be had, and the guard took the start for an empty one."""
    rare = START | {"certainty": 0.914, "information": 0.022}
    losing = rare | {"certainty": 0.965, "information": 0.0063, "surest": 0.888, "classes kept": 0.5}
    assert raised(rare, rare) == {}
    assert raised(losing, rare)["information lost"] is True
    assert informative({"certainty": 0.902, "information": 0.00996})
    # Random weights, which are unsure, and a network that says one class everywhere, whatever it sees.
    assert not informative({"certainty": 0.004, "information": 0.002})
    assert not informative({"certainty": 0.95, "information": 0.002})


def test_an_uninformative_start_cannot_be_lost():
    nothing = START | {"information": EMPTY - 0.01, "certainty": 0.01, "fit": 0.0}
    assert raised(START | {"agreement": 0.0, "stability": 0.05, "fit": 0.3}, nothing) == {}
    looks = [START | {"fit": fit} for fit in (0.0, 0.3, 0.8, 0.3)]
    assert judge(looks[:2], {}, trained=False) == judge(looks[:3], {}, trained=False) == []
    assert [alarm.name for alarm in judge(looks, {}, trained=False)] == ["fit lost"]
    assert [usable(look) for look in looks] == [False, False, True, False] and usable({})
