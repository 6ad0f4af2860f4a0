"""A curve of a plot as data, its last value, and how figures are written beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crots_studio.models.series import Numbers


@dataclass(frozen=True)
class PlotCurve:
    """A curve: x and y (N,) with NaN where the line breaks.

    ``faint`` are unsmoothed values drawn behind it; a ``reference`` is one value for all steps, drawn without points.
    """

    name: str
    x: Numbers
    y: Numbers
    colour: str
    faint: Numbers | None = None
    dashed: bool = False
    reference: bool = False


def same_data(one: PlotCurve, other: PlotCurve) -> bool:
    """Returns whether two curves have the same points."""
    if (one.faint is None) != (other.faint is None):
        return False
    pairs = [(one.x, other.x), (one.y, other.y)]
    if one.faint is not None and other.faint is not None:
        pairs.append((one.faint, other.faint))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def last_value(curve: PlotCurve) -> tuple[float, float] | None:
    """Returns the last point of a curve; None where it has none."""
    known = np.flatnonzero(np.isfinite(curve.y[-64:]))
    return (float(curve.x[-64:][known[-1]]), float(curve.y[-64:][known[-1]])) if known.size else None


def number(value: float) -> str:
    """Formats a figure briefly: 0.523, 12.4, 1e-05."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:.2g}"
