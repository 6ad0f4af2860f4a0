"""How far label-free scores may fall before the guard warns: the lower end of their healthy range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crots.methods.alarms import BOUNDS, informative
from crots_studio.models.series import Curves, Figure, figure_title


@dataclass(frozen=True)
class Level:
    """A line at ``value`` from one step to another; ``curve`` is the one it is about."""

    curve: str
    first: float
    last: float
    value: float


def levels(curves: Curves, stages: Sequence[str], figures: Sequence[Figure]) -> list[Level]:
    """Returns where each score stops being healthy in each stage, as the guard judges it: relative to its first value.

    Args:
        curves: the figures of a run.
        stages: that are shown.
        figures: the scores that are shown; those that are not judged by a bound have none, and none has one in a
            stage that began with an untrained model: its start is no reference.
    """
    found: list[Level] = []
    for stage, offset in curves.offsets(stages).items():
        scores = {name: curves.series(stage, Figure("score", name)) for name in ("information", "certainty")}
        if not informative({name: float(series.values[0]) for name, series in scores.items() if len(series)}):
            continue
        for figure in figures:
            series = curves.series(stage, figure)
            if figure.name not in BOUNDS or not len(series):
                continue
            start = float(series.values[0])
            if math.isfinite(start) and start > 0:
                first, last = (float(offset + series.steps[place]) for place in (0, -1))
                found.append(Level(figure_title(figure), first, last, BOUNDS[figure.name].warns * start))
    return found


def healthy_descriptions() -> dict[str, str]:
    """Returns, by score, what its healthy range is."""
    return {
        name: f"Healthy above {bounds.warns:.0%} of its first value in a stage (dashed line); below, {bounds.meaning}"
        for name, bounds in BOUNDS.items()
    }
