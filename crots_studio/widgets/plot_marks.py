"""What a plot shows beside its curves: lines and tints of the stages, and the curves' names at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
# Pixels between two names.
_LINE = 15


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

    @property
    def named(self) -> frozenset[str]:
        """The curves whose name is seen."""
        return frozenset(name for name, item in self._items.items() if item.isVisible())

    def show(self, curves: Mapping[str, PlotCurve], *, log: bool) -> None:
        """Writes the names, where they do not lie over each other.

        Args:
            curves: whose ends are named.
            log: whether the value axis is logarithmic.
        """
        ends = {name: last_value(curve) for name, curve in curves.items()}
        box = self._canvas.getViewBox()
        (low, high), height = box.viewRange()[1], max(box.height(), 1.0)
        taken: list[float] = []
        for name in [name for name in self._items if name not in ends]:
            self._canvas.removeItem(self._items.pop(name))
        for name, point in ends.items():
            fits = point is not None and len(ends) <= _MOST_ENDS and box.width() >= _ROOM_FOR_ENDS
            y = place = 0.0
            if point is not None:
                y = float(np.log10(point[1])) if log and point[1] > 0 else point[1]
                place = (y - low) / max(high - low, 1e-12) * height
                fits = fits and not (log and point[1] <= 0)
                fits = fits and all(abs(place - other) > _LINE for other in taken)
                taken.append(place)
            item = self._items.get(name)
            if not fits or point is None:
                if item is not None:
                    item.setVisible(False)
                continue
            if item is None:
                item = self._items[name] = pg.TextItem(anchor=(1, 1))
                self._canvas.addItem(item, ignoreBounds=True)
            item.setText(name, color=curves[name].colour)
            item.fill = pg.mkBrush(_see_through(theme.colours().background))
            item.setAnchor((1, 0) if place > height - _LINE - 4 else (1, 1))
            item.setPos(point[0], y)
            item.setVisible(True)


def _see_through(colour: str) -> QColor:
    """The background of a name that lies over lines."""
    made = QColor(colour)
    made.setAlphaF(0.75)
    return made
