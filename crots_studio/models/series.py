"""The figures of training as curves: losses, confidence weight, learning rate, scores; from events, live or past."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crots.events import Evaluated, Event, Metrics, Scored, StageStarted
from crots_studio.models.names import running_order, score_title

Numbers = NDArray[np.float64]
Group = Literal["loss", "score", "weight", "rate"]
GROUPS: tuple[Group, ...] = ("loss", "score", "weight", "rate")
MIOU = "mIoU"
_NO_LOSS: dict[str, Group] = {"confidence weight": "weight", "learning rate": "rate"}


class Figure(NamedTuple):
    """The name of one curve: ``Figure("loss", "consistency")``."""

    group: Group
    name: str


def figure_title(figure: Figure) -> str:
    """Returns what a curve is called in the window."""
    return score_title(figure.name) if figure.group == "score" else figure.name


class Series:
    """Values by optimiser step, in rising order of steps. Appending is cheap: the arrays double when they are full."""

    def __init__(self, steps: Sequence[float] = (), values: Sequence[float] = ()) -> None:
        self._data = np.array([steps, values], np.float64) if steps else np.empty((2, 64))
        self._length = len(steps)

    def __len__(self) -> int:
        return self._length

    @property
    def steps(self) -> Numbers:
        """Steps, (N,); a view that later steps do not change."""
        return self._data[0, : self._length]

    @property
    def values(self) -> Numbers:
        """Values, (N,); a view that later values do not change."""
        return self._data[1, : self._length]

    def append(self, step: float, value: float) -> None:
        """Adds a value; values at this step or later are dropped, as a resumed stage repeats its steps."""
        if self._length and step <= self._data[0, self._length - 1]:
            self.cut(step - 1)
        if self._length == self._data.shape[1]:
            self._data = np.concatenate([self._data, np.empty_like(self._data)], axis=1)
        self._data[:, self._length] = step, value
        self._length += 1

    def cut(self, last: float) -> None:
        """Drops the steps after ``last``."""
        self._length = int(np.searchsorted(self.steps, last, side="right"))
        # Views of the old values must not change.
        self._data = self._data.copy()


class Curves:
    """Every figure of a stream of events, by stage.

    A stage that starts over loses its old figures, one that resumes at step N those after N: what remains is what the
    run that counts has shown.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._series: dict[str, dict[Figure, Series]] = {}
        self._totals: dict[str, int] = {}
        self.add(events)

    def add(self, events: Iterable[Event]) -> bool:
        """Takes in new events; says whether any curve changed."""
        changed = False
        for event in events:
            if isinstance(event, StageStarted):
                changed |= self._start(event)
            elif isinstance(event, (Metrics, Scored, Evaluated)):
                changed |= self._take(event)
        return changed

    def _start(self, event: StageStarted) -> bool:
        if event.unit == "steps":
            self._totals[event.stage] = event.total
        old = self._series.get(event.stage, {})
        for series in old.values():
            # If a stage starts over, its evaluation at step 0 is outdated too.
            series.cut(event.resumed_at or -1)
        return bool(old)

    def _take(self, event: Metrics | Scored | Evaluated) -> bool:
        if isinstance(event, Metrics):
            found = {Figure(_NO_LOSS.get(name, "loss"), name): value for name, value in event.values.items()}
        elif isinstance(event, Scored):
            found = {Figure("score", name): value for name, value in event.values.items()}
        elif event.step > 0 and event.miou is not None:
            found = {Figure("score", MIOU): event.miou}
        else:  # the score of a finished model is no point of a curve
            return False
        stage = self._series.setdefault(event.stage, {})
        for figure, value in found.items():
            stage.setdefault(figure, Series()).append(event.step, value)
        return bool(found)

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that have figures, in running order."""
        kept = (stage for stage, series in self._series.items() if any(map(len, series.values())))
        return tuple(sorted(kept, key=running_order))

    def total(self, stage: str) -> int:
        """The total steps of a stage, or those so far if its start was not seen."""
        drawn = [series for series in self._series.get(stage, {}).values() if len(series)]
        longest = max((int(series.steps[-1]) for series in drawn), default=0)
        return max(self._totals.get(stage, 0), longest)

    def figures(self, stages: Sequence[str] | None = None, group: Group | None = None) -> tuple[Figure, ...]:
        """Figures that have values, by group and in order of appearance."""
        found: dict[Figure, None] = {}
        for stage in self.stages if stages is None else stages:
            for figure, series in self._series.get(stage, {}).items():
                if len(series) and group in (None, figure.group):
                    found.setdefault(figure)
        return tuple(sorted(found, key=lambda figure: GROUPS.index(figure.group)))

    def series(self, stage: str, figure: Figure) -> Series:
        """Returns a curve; an empty one where there is none."""
        return self._series.get(stage, {}).get(figure, Series())

    def offsets(self, stages: Sequence[str]) -> dict[str, int]:
        """Steps before each stage, where several are drawn behind each other."""
        starts = np.cumsum([0, *(self.total(stage) for stage in stages)]).tolist()
        return dict(zip(stages, starts[:-1], strict=True))

    def joined(self, figure: Figure, stages: Sequence[str], window: int = 1) -> tuple[Numbers, Numbers]:
        """Returns x and y of one curve over several stages, with NaN between them; smoothed within each stage."""
        parts: list[Numbers] = []
        for stage, offset in self.offsets(stages).items():
            series = self.series(stage, figure)
            if not len(series):
                continue
            if parts:
                parts.append(np.array([[parts[-1][0, -1]], [np.nan]]))
            parts.append(np.stack([series.steps + offset, rolling_mean(series.values, window)]))
        if not parts:
            return np.empty(0), np.empty(0)
        x, y = np.concatenate(parts, axis=1)
        return x, y


def rolling_mean(values: Numbers, window: int) -> Numbers:
    """Returns the mean of each value and up to ``window - 1`` before it; values that are not finite are left out."""
    if window <= 1:
        return values
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    first = np.maximum(np.arange(len(values)) + 1 - window, 0)
    shares = counts[1:] - counts[first]
    means = np.full(len(values), np.nan)
    np.divide(sums[1:] - sums[first], shares, out=means, where=shares > 0)
    return means


def value_at(x: Numbers, y: Numbers, position: float) -> tuple[float, float] | None:
    """Returns the point of a curve that is nearest to a position; None before its first one and after its last."""
    known = np.flatnonzero(np.isfinite(y))
    if not known.size or not x[known[0]] <= position <= x[known[-1]]:
        return None
    nearest = known[np.abs(x[known] - position).argmin()]
    return float(x[nearest]), float(y[nearest])


def curves_csv(curves: Curves, stages: Sequence[str] | None = None) -> str:
    """Returns every figure as CSV: one row per stage and step, one column per figure, empty where a step has no value.

    Numbers are written so that reading them back gives the very same ones.
    """
    stages = curves.stages if stages is None else stages
    figures = curves.figures(stages)
    rows: list[list[Any]] = []
    for stage in stages:
        columns = [curves.series(stage, figure) for figure in figures]
        by_step: dict[float, dict[int, float]] = {}
        for number, series in enumerate(columns):
            for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
                by_step.setdefault(step, {})[number] = value
        for step in sorted(by_step):
            found = by_step[step]
            rows.append([stage, f"{step:.0f}", *(found.get(number, "") for number in range(len(figures)))])
    return csv_text(["stage", "step", *(figure.name for figure in figures)], rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns a table as CSV; floats keep every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([repr(cell) if isinstance(cell, float) else cell for cell in row] for row in rows)
    return out.getvalue()
