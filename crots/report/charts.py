"""Curves as SVG: lines over the steps of several stages, in colours that the page's style sheet sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from crots.report.facts import Curve
from crots.report.markup import Markup, joined, tag

COLOURS = 8
# Up to this many points are marked: each is an evaluation.
_DOTTED = 12
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 18, 20


class Stretch(NamedTuple):
    """A stage's stretch of the axis: its title, its length in steps, and its curves."""

    title: str
    length: float
    curves: Sequence[Curve]


class PlotSize(NamedTuple):
    """Size of a picture, and how many lines across it has at least."""

    width: float
    height: float
    ticks: int = 4


LARGE, SMALL = PlotSize(980, 240), PlotSize(250, 112, 2)


class _Frame:
    """Turns steps and values into places in the picture."""

    def __init__(self, box: PlotSize, parts: Sequence[Stretch]) -> None:
        self.box = box
        self.starts = [sum(part.length for part in parts[:place]) for place in range(len(parts))]
        self._length = max(1.0, sum(part.length for part in parts))
        values = [value for part in parts for curve in part.curves for value in curve.values]
        self.ticks = ticks(min(values), max(values), box.ticks)
        self._low, self._high = self.ticks[0], self.ticks[-1]

    def x(self, step: float) -> float:
        return _LEFT + (self.box.width - _LEFT - _RIGHT) * step / self._length

    def y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return _TOP + (self.box.height - _TOP - _BOTTOM) * (1 - share)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Returns round numbers, evenly spaced, from at most ``low`` to at least ``high``."""
    if high <= low:
        margin = max(abs(high), 1e-6) / 20
        low, high = low - margin, high + margin
    room = high - low
    rough = room / count
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [place * step for place in range(first, last + 1)]


def chart(parts: Sequence[Stretch], names: Sequence[str], description: str, box: PlotSize = LARGE) -> Markup:
    """Draws curves; the stages follow one another on the axis.

    Args:
        parts: stages with their curves; at least one value.
        names: of the curves; their order gives the colours.
        description: text alternative for screen readers.
        box: how large.
    """
    frame = _Frame(box, parts)
    drawn = [*_grid(frame), *_stages(frame, parts)]
    for part, start in zip(parts, frame.starts, strict=True):
        drawn += [_line(frame, curve, start, names.index(curve.name) % COLOURS) for curve in part.curves]
    return tag("svg", *drawn, viewBox=f"0 0 {box.width:g} {box.height:g}", role="img", aria_label=description)


def _grid(frame: _Frame) -> list[Markup]:
    lines = []
    for value in frame.ticks:
        y = f"{frame.y(value):.1f}"
        lines.append(tag("line", x1=_LEFT, x2=f"{frame.box.width - _RIGHT:g}", y1=y, y2=y, class_="grid"))
        lines.append(tag("text", f"{value:.6g}", x=_LEFT - 6, y=f"{frame.y(value) + 3.5:.1f}", text_anchor="end"))
    return lines


def _stages(frame: _Frame, parts: Sequence[Stretch]) -> list[Markup]:
    drawn = []
    for number, (part, start) in enumerate(zip(parts, frame.starts, strict=True)):
        x, bottom = frame.x(start), frame.box.height - _BOTTOM
        if number:
            drawn.append(tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=_TOP - 8, y2=f"{bottom:g}", class_="stage"))
        middle = frame.x(start + part.length / 2)
        drawn.append(tag("text", part.title, x=f"{middle:.1f}", y=f"{frame.box.height - 5:g}", text_anchor="middle"))
    return drawn


def _line(frame: _Frame, curve: Curve, start: float, colour: int) -> Markup:
    points = [
        f"{frame.x(start + step):.1f},{frame.y(value):.1f}"
        for step, value in zip(curve.steps, curve.values, strict=True)
    ]
    line = tag("polyline", points=" ".join(points), class_=f"line c{colour}")
    if len(points) > _DOTTED:
        return line
    places = (point.split(",") for point in points)
    return joined([line, *(tag("circle", cx=x, cy=y, r="2.5", class_=f"dot c{colour}") for x, y in places)])


def legend(names: Sequence[str]) -> Markup:
    """Says which colour is which curve."""
    keys = (
        tag("span", tag("i", class_=f"key k{place % COLOURS}"), name, class_="entry")
        for place, name in enumerate(names)
    )
    return tag("p", *keys, class_="legend")
