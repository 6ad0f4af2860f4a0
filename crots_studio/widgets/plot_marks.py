"""What a plot shows beside its curves: lines and tints of the stages, and the curves' names at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QColor

from crots_studio import theme
from crots_studio.widgets.plot_curve import PlotCurve, last_value

# Opacity of a stage's tint.
_TINT = 0.09
# Of how many curves the ends are named.
_MOST_ENDS = 5
# Pixels: a name covers too much of a plot that is narrower than this; the legend names the curves there.
_ROOM_FOR_ENDS = 340
# Places along a name where curves are looked for, and pixels of it that they may touch.
_COLUMNS = 24
_TOUCH = 3.0


class StageMarks:
    """Vertical lines with names where stages begin, and tints of the steps between."""

    def __init__(self, canvas: pg.PlotWidget) -> None:
        self._canvas = canvas
        self._lines: list[pg.InfiniteLine] = []
        self._marks: tuple[tuple[float, str], ...] = ()
        self._bands: tuple[tuple[float, float, str], ...] = ()
        self._tints: list[pg.LinearRegionItem] = []
        box = canvas.getViewBox()
        box.sigXRangeChanged.connect(lambda *_: self._show_names())
        box.sigResized.connect(lambda *_: self._show_names())

    @property
    def lines(self) -> tuple[pg.InfiniteLine, ...]:
        """The drawn lines, each with its name as ``label`` if it has one."""
        return tuple(self._lines)

    @property
    def tints(self) -> tuple[pg.LinearRegionItem, ...]:
        """The drawn tints."""
        return tuple(self._tints)

    @property
    def named(self) -> bool:
        """Whether names stand along the upper edge."""
        return any(name for _, name in self._marks)

    def set_marks(self, marks: Sequence[tuple[float, str]]) -> None:
        """Draws lines at these steps; names may be empty."""
        if tuple(marks) != self._marks:
            self._marks = tuple(marks)
            self.recolour()

    def recolour(self) -> None:
        """Draws the lines in the theme's colours."""
        colours = theme.colours()
        for line in self._lines:
            self._canvas.removeItem(line)
        self._lines = []
        for x, text in self._marks:
            back = QColor(colours.background)
            back.setAlphaF(0.85)
            options = {"position": 0.97, "anchors": [(0, 0), (0, 0)], "color": colours.muted, "fill": back}
            line = pg.InfiniteLine(x, angle=90, movable=False, label=text or None, labelOpts=options)
            line.setPen(pg.mkPen(colours.grid, width=1))
            # Its name is not struck through by curves.
            line.setZValue(5)
            self._canvas.addItem(line, ignoreBounds=True)
            self._lines.append(line)
        self._show_names()

    def set_bands(self, bands: Sequence[tuple[float, float, str]]) -> None:
        """Tints the steps from one place to another, a stage each, in its colour."""
        if tuple(bands) == self._bands:
            return
        self._bands = tuple(bands)
        for item in self._tints:
            self._canvas.removeItem(item)
        self._tints = []
        for first, last, name in bands:
            colour = QColor(name)
            colour.setAlphaF(_TINT)
            item = pg.LinearRegionItem((first, last), movable=False, brush=colour, pen=pg.mkPen(None))
            item.setZValue(-20)
            self._canvas.addItem(item, ignoreBounds=True)
            self._tints.append(item)

    def _show_names(self) -> None:
        """Hides names that would overlap the next one, or whose line is out of view."""
        box = self._canvas.getViewBox()
        (left, right), width = box.viewRange()[0], box.width()
        places = [(line.value() - left) / max(right - left, 1e-12) * width for line in self._lines]
        after_last = width
        for number, (line, place) in enumerate(zip(self._lines, places, strict=True)):
            after = places[number + 1] if number + 1 < len(places) else after_last
            label = getattr(line, "label", None)  # an unnamed line has none
            if label is not None:
                label.setVisible(place >= 0 and label.boundingRect().width() < after - place)


class CurveEnds:
    """The names of a few curves at their last points."""

    def __init__(self, canvas: pg.PlotWidget) -> None:
        self._canvas = canvas
        self._items: dict[str, pg.TextItem] = {}
        self._places: dict[str, Rect] = {}

    def place_of(self, name: str) -> Rect:
        """Where a name that is seen stands."""
        return self._places[name]

    @property
    def named(self) -> frozenset[str]:
        """The curves whose name is seen."""
        return frozenset(name for name, item in self._items.items() if item.isVisible())

    def show(self, curves: Mapping[str, PlotCurve], *, log: bool) -> None:
        """Writes each name beside the last point, where it covers no curve and no other name.

        Args:
            curves: whose ends are named.
            log: whether the value axis is logarithmic.
        """
        box = self._canvas.getViewBox()
        view = _View(box.viewRange(), max(box.width(), 1.0), max(box.height(), 1.0), log)
        roomy = len(curves) <= _MOST_ENDS and box.width() >= _ROOM_FOR_ENDS
        self._places = {}
        for name in [name for name in self._items if name not in curves]:
            self._canvas.removeItem(self._items.pop(name))
        for name, curve in curves.items():
            point = last_value(curve)
            if not roomy or point is None or (log and point[1] <= 0):
                if name in self._items:
                    self._items[name].setVisible(False)
                continue
            item = self._items.get(name)
            if item is None:
                item = self._items[name] = pg.TextItem()
                self._canvas.addItem(item, ignoreBounds=True)
            item.setText(name, color=curve.colour)
            item.fill = pg.mkBrush(_see_through(theme.colours().background))
            size = item.textItem.boundingRect()
            x, y = view.place(*point)
            # Beside the end or before it, above or below the line.
            found = next(
                (
                    (anchor, rect)
                    for anchor in ((1, 1), (1, 0), (0, 1), (0, 0))
                    if view.holds(rect := Rect.at(x, y, size.width(), size.height(), anchor))
                    and not any(rect.meets(other) for other in self._places.values())
                    and not any(view.crosses(rect, other) for other in curves.values())
                ),
                None,
            )
            item.setVisible(found is not None)
            if found is not None:
                anchor, rect = found
                self._places[name] = rect
                item.setAnchor(anchor)
                item.setPos(point[0], view.drawn(point[1]))


class Rect(NamedTuple):
    """A place in pixels; y rises upwards."""

    left: float
    right: float
    low: float
    high: float

    @staticmethod
    def at(x: float, y: float, width: float, height: float, anchor: tuple[int, int]) -> Rect:
        """The place of a text that is fixed at a point by its left (0) or right (1), its top (0) or bottom (1)."""
        left, low = x - width * anchor[0], y - height * (1 - anchor[1])
        return Rect(left, left + width, low, low + height)

    def meets(self, other: Rect) -> bool:
        """Whether two places overlap."""
        return self.left < other.right and other.left < self.right and self.low < other.high and other.low < self.high


class _View(NamedTuple):
    """What part of the numbers is seen, and on how many pixels."""

    range: Sequence[Sequence[float]]
    width: float
    height: float
    log: bool

    def drawn(self, value: float) -> float:
        """The value as the axis counts it."""
        return float(np.log10(value)) if self.log else value

    def place(self, x: float, value: float) -> tuple[float, float]:
        """Pixels from the lower left."""
        (left, right), (low, high) = self.range
        across = (x - left) / max(right - left, 1e-12) * self.width
        return across, (self.drawn(value) - low) / max(high - low, 1e-12) * self.height

    def holds(self, rect: Rect) -> bool:
        """Whether all of a place is seen."""
        return rect.left >= 0 and rect.right <= self.width and rect.low >= 0 and rect.high <= self.height

    def crosses(self, rect: Rect, curve: PlotCurve) -> bool:
        """Whether a curve runs through a place; one that touches its edge does not."""
        (left, right), (low, high) = self.range
        columns = np.linspace(rect.left, rect.right, _COLUMNS) / self.width * (right - left) + left
        first, last = np.searchsorted(curve.x, columns[0]), np.searchsorted(curve.x, columns[-1], side="right")
        x, y = curve.x[max(first - 1, 0) : last + 1], curve.y[max(first - 1, 0) : last + 1]
        if len(x) == 0:
            return False
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log10(y) if self.log else y
        # A break between two stages is no line.
        seen = np.interp(columns, x, y, left=np.nan, right=np.nan)
        pixels = (seen - low) / max(high - low, 1e-12) * self.height
        return bool(((pixels > rect.low + _TOUCH) & (pixels < rect.high - _TOUCH)).any())


def _see_through(colour: str) -> QColor:
    """The background of a name that lies over lines."""
    made = QColor(colour)
    made.setAlphaF(0.75)
    return made
