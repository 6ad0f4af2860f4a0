"""One plot of curves against steps: legend with values, crosshair, log scale, and a zoom that stays while data flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from crots_studio import theme
from crots_studio.models.healthy import Level
from crots_studio.models.series import Numbers, value_at
from crots_studio.plain import Label
from crots_studio.widgets.plot_canvas import HINT, Canvas
from crots_studio.widgets.plot_curve import PlotCurve, last_value, number, same_data
from crots_studio.widgets.plot_legend import PlotLegend
from crots_studio.widgets.plot_marks import CurveEnds, StageMarks

# Height of a stage's name and of the gap below it, in lines of text.
_NAME_LINES = 2.0
# Pixels, with room for a number as long as 1.73e-05; longer ones are not written.
_AXIS_WIDTH = 62
_SHOW_POINTS_UP_TO = 40
# Of the steps, beside which the crosshair still takes the first or last one.
_MARGIN = 0.05
# Of a step, beside the first and the last that have names.
_EDGE = 0.4


class SeriesPlot(QWidget):
    """A titled plot.

    Args:
        title: above it.
        parent: its owner.
        legend: whether names and values stand above the curves.
        least: the value axis never shows less than that; 0 shows whatever the curves span.

    Attributes:
        title: above it.
        emphasised: the curve that stands out, None where all are alike.
        canvas: where the curves are drawn.
        legend: their names and values.
        marks: lines and tints of the stages.
        ends: the curves' names at their ends.

    Signals:
        cursor_moved(float | None): x under the mouse; a panel hands it to the plots that belong together.
        held(bool): the user has zoomed, so the plot no longer follows the data.
    """

    cursor_moved = Signal(object)
    held = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None, *, legend: bool = True, least: float = 0.0) -> None:
        super().__init__(parent)
        self.title = title
        self._curves: dict[str, PlotCurve] = {}
        self._items: dict[str, tuple[pg.PlotDataItem, pg.PlotDataItem]] = {}
        self._looks: dict[str, tuple[object, ...]] = {}
        self._drawn: dict[str, tuple[PlotCurve, bool]] = {}
        self._hidden: set[str] = set()
        self.emphasised: str | None = None
        self._step_names: tuple[str, ...] = ()
        self._log = False
        self._leader: SeriesPlot | None = None
        self._room: pg.PlotDataItem | None = None
        self._levels: tuple[Level, ...] = ()
        self._level_items: list[tuple[str, pg.PlotDataItem]] = []
        self._extent: pg.PlotDataItem | None = None
        self._cursor_x: float | None = None
        self._has_legend = legend
        self._build()
        if least:
            self.canvas.getViewBox().setLimits(minYRange=least)
        self.recolour()

    def _build(self) -> None:
        self._heading = Label(self.title)
        self._heading.setProperty("role", "muted")
        self._step = Label()
        self._step.setProperty("role", "muted")
        self.canvas = Canvas()
        self.canvas.setAccessibleName(f"Plot of {self.title}")
        self.canvas.setToolTip(HINT)
        self.legend = PlotLegend()
        self.legend.setAccessibleName(f"Curves of {self.title}")
        self.legend.toggled.connect(self.set_shown)
        # Without a legend, the names beside the plot tell the curves apart; an exported picture still shows it.
        self.legend.setVisible(self._has_legend)
        head = QHBoxLayout()
        head.setContentsMargins(4, 0, 4, 0)
        head.setSpacing(8)
        # Beside the first line of a long legend.
        top = Qt.AlignmentFlag.AlignTop
        head.addWidget(self._heading, 0, top)
        head.addWidget(self._step, 0, top)
        head.addWidget(self.legend, 1, top)
        self.setProperty("role", "plot")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 4)
        layout.setSpacing(1)
        layout.addLayout(head)
        layout.addWidget(self.canvas, 1)
        plot = self.canvas.getPlotItem()
        plot.getAxis("left").setWidth(_AXIS_WIDTH)
        plot.getAxis("left").enableAutoSIPrefix(False)
        plot.getAxis("bottom").enableAutoSIPrefix(False)
        plot.showGrid(y=True, alpha=0.25)  # grid lines are expensive: only these are drawn
        self.marks = StageMarks(self.canvas)
        self.ends = CurveEnds(self.canvas)
        plot.getViewBox().sigResized.connect(lambda *_: self._resized())
        plot.getViewBox().sigRangeChanged.connect(lambda *_: self._show_ends())
        plot.getViewBox().sigRangeChangedManually.connect(lambda *_: self.held.emit(True))
        self._line = pg.InfiniteLine(angle=90, movable=False)
        self._line.setVisible(False)
        plot.addItem(self._line, ignoreBounds=True)
        self.canvas.cursor.connect(self._hovered)
        self.canvas.stepped.connect(self._step_cursor)
        self.canvas.fit_asked.connect(self.fit)

    # What is shown.

    def set_title(self, title: str) -> None:
        """Changes the title."""
        self.title = title
        self._heading.setText(title)
        self.canvas.setAccessibleName(f"Plot of {title}")
        self.legend.setAccessibleName(f"Curves of {title}")

    @property
    def names(self) -> tuple[str, ...]:
        """Curves in the order of the legend."""
        return tuple(self._curves)

    @property
    def shown(self) -> dict[str, PlotCurve]:
        """Curves that the user has not hidden."""
        return {name: curve for name, curve in self._curves.items() if name not in self._hidden}

    def set_curves(self, curves: Sequence[PlotCurve]) -> None:
        """Draws these curves in place of the old ones, where they changed; the user's zoom and hidden curves stay."""
        self._curves = {curve.name: curve for curve in curves if np.isfinite(curve.y).any()}
        for name in [name for name in self._items if name not in self._curves]:
            self._drop(name)
        for curve in self._curves.values():
            self._draw(curve)
        # A single curve that is called like the plot needs no heading beside its legend.
        alone = self._has_legend and [name.lower() for name in self._curves] == [self.title.lower()]
        self._heading.setVisible(not alone)
        self._make_room()
        self._show_values()
        self._describe()
        # Now rather than while painting, which would then have to be done twice.
        self.canvas.getViewBox().updateAutoRange()
        self._show_ends()

    def _make_room(self) -> None:
        """Gives a single step or value an axis around it, with numbers of its own size."""
        if self._room is not None:
            self.canvas.removeItem(self._room)
            self._room = None
        drawn = [(curve.x, self._drawable(curve.y)) for curve in self.shown.values()]
        points = [(x[known], y[known]) for x, y in drawn if (known := np.isfinite(y)).any()]
        if not points:
            return
        x, y = np.concatenate([one for one, _ in points]), np.concatenate([one for _, one in points])
        (left, right), (low, high) = (float(x.min()), float(x.max())), (float(y.min()), float(y.max()))
        flat = high - low <= 1e-9 * max(abs(low), abs(high))
        if right > left and not flat:
            if not self.marks.named:
                return
            # The names of stages stand above the curves.
            share = _NAME_LINES * self.fontMetrics().height() / max(self.canvas.getViewBox().height(), 1.0)
            high = high * (high / low) ** share if self._log else high + share * (high - low)
        elif right == left:
            left, right = max(left - 1, min(left, 0.0)), right + 1
        if flat:
            reach = 0.1 * abs(high) or 1.0
            low, high = (low / 1.2, high * 1.2) if self._log else (low - reach, high + reach)
        self._room = pg.PlotDataItem([left, right], [low, high], pen=pg.mkPen((0, 0, 0, 0)))
        self.canvas.addItem(self._room)
        self._room.setLogMode(False, self._log)

    def _draw(self, curve: PlotCurve) -> None:
        if curve.name not in self._items:
            self._items[curve.name] = (self._new_item(), self._new_item(curve.name))
            self.legend.add(curve.name, curve.name not in self._hidden)
        faint, line = self._items[curve.name]
        few = not curve.reference and int(np.isfinite(curve.y).sum()) <= _SHOW_POINTS_UP_TO
        self._dress(curve, few)
        before = self._drawn.get(curve.name)
        if before is not None and before[1] == self._log and same_data(before[0], curve):
            return
        self._drawn[curve.name] = (curve, self._log)
        self._set_points(line, curve.x, curve.y)
        if curve.faint is not None:
            self._set_points(faint, curve.x, curve.faint)
        elif faint.xData is not None and len(faint.xData):
            faint.setData([], [])
        for item in (faint, line):
            item.setVisible(curve.name not in self._hidden)

    def _dress(self, curve: PlotCurve, few: bool) -> None:
        """Sets pens and symbols where they changed: each of these calls makes pyqtgraph draw the whole curve anew."""
        emphasis = None if self.emphasised is None else self.emphasised == curve.name
        look = (curve.colour, curve.dashed, few, emphasis)
        if self._looks.get(curve.name) == look:
            return
        self._looks[curve.name] = look
        faint, line = self._items[curve.name]
        colour, pale = QColor(curve.colour), QColor(curve.colour)
        colour.setAlphaF(0.25 if emphasis is False else 1)
        pale.setAlphaF(0.3)
        # A pen of one pixel: anything wider is many times slower, and so is antialiasing.
        style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
        line.setPen(pg.mkPen(colour, width=2 if emphasis else 1, style=style))
        line.setSymbol("o" if few else None)
        if few:
            line.setSymbolSize(5)
            line.setSymbolBrush(colour)
            line.setSymbolPen(None)
        faint.setPen(pg.mkPen(pale, width=1))

    def _new_item(self, name: str | None = None) -> pg.PlotDataItem:
        item = pg.PlotDataItem(
            name=name, connect="finite", autoDownsample=True, downsampleMethod="peak", clipToView=True
        )
        self.canvas.addItem(item)
        item.setLogMode(False, self._log)
        return item

    def _drawable(self, values: Numbers) -> Numbers:
        """A logarithm has no place for zero and below."""
        return np.where(values > 0, values, np.nan) if self._log else values

    def _set_points(self, item: pg.PlotDataItem, x: Numbers, y: Numbers) -> None:
        """Sets the points of an item; pyqtgraph warns of a curve without drawable points."""
        y = self._drawable(y)
        item.setData(*((x, y) if np.isfinite(y).any() else ([], [])))

    def _drop(self, name: str) -> None:
        self._looks.pop(name, None)
        self._drawn.pop(name, None)
        for item in self._items.pop(name):
            self.canvas.removeItem(item)
        self.legend.drop(name)

    def emphasise(self, name: str | None) -> None:
        """Emphasises one curve; None none."""
        if name != self.emphasised:
            self.emphasised = name
            self.set_curves(list(self._curves.values()))

    def set_marks(self, marks: Sequence[tuple[float, str]]) -> None:
        """Draws vertical lines with names (which may be empty), where a stage begins."""
        self.marks.set_marks(marks)

    def set_bands(self, bands: Sequence[tuple[float, float, str]]) -> None:
        """Tints the steps from one place to another, a stage each, in its colour."""
        self.marks.set_bands(bands)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The lower ends of healthy ranges that are seen."""
        return tuple(level for level in self._levels if level.curve in self.shown)

    def set_levels(self, levels: Sequence[Level]) -> None:
        """Draws the lower end of the healthy range of curves, dashed in their colours; after `set_curves`."""
        if tuple(levels) != self._levels:
            self._levels = tuple(levels)
            for _, item in self._level_items:
                self.canvas.removeItem(item)
            self._level_items = []
            for level in levels:
                item = pg.PlotDataItem([level.first, level.last], [level.value, level.value])
                item.setZValue(-5)
                self.canvas.addItem(item)
                self._level_items.append((level.curve, item))
        for name, item in self._level_items:
            curve = self.shown.get(name)
            item.setVisible(curve is not None)
            if curve is not None:
                item.setPen(pg.mkPen(curve.colour, width=1, style=Qt.PenStyle.DashLine))
        self.canvas.getViewBox().updateAutoRange()

    def _resized(self) -> None:
        if self.marks.named:
            self._make_room()
        self._show_ends()

    def _show_ends(self) -> None:
        """Names the curves at their ends, if there are several; one beside a reference is called like the plot."""
        several = sum(not curve.reference for curve in self._curves.values()) > 1
        named = {name: curve for name, curve in self.shown.items() if several or curve.reference}
        self.ends.show(named, log=self._log)

    def set_log(self, log: bool) -> None:
        """Switches the value axis between linear and logarithmic."""
        if log == self._log:
            return
        self._log = log
        self.canvas.getPlotItem().setLogMode(False, log)
        self.set_curves(list(self._curves.values()))
        self.fit()

    def fit(self) -> None:
        """Shows everything and follows the data again."""
        box = self.canvas.getViewBox()
        box.enableAutoRange(y=True) if self._linked else box.enableAutoRange()
        self.held.emit(False)

    @property
    def following(self) -> bool:
        """Whether the view grows with the data, as it does until the user zooms."""
        x, y = self.canvas.getViewBox().autoRangeEnabled()
        return bool(y) and (self._linked or bool(x))

    def link_x(self, other: SeriesPlot | None) -> None:
        """Shows the same steps as another plot, which must be seen; None lets go."""
        if self._leader is other:
            return
        own = self.canvas.getViewBox()
        if self._leader is not None:
            self._leader.canvas.getViewBox().sigXRangeChanged.disconnect(self._follow)
            own.sigRangeChangedManually.disconnect(self._lead)
        self._leader = other
        if other is not None:
            # pyqtgraph's own link aligns plots by pixels, which cuts the steps of one that is narrower.
            other.canvas.getViewBox().sigXRangeChanged.connect(self._follow)
            own.sigRangeChangedManually.connect(self._lead)
            self._follow(None, other.canvas.getViewBox().viewRange()[0])
        else:
            own.enableAutoRange(x=True)

    def _follow(self, _box: object, steps: Sequence[float]) -> None:
        """Shows the steps that the leading plot shows."""
        self.canvas.getViewBox().setXRange(*steps, padding=0)

    def _lead(self, *_: object) -> None:
        """The user zoomed or panned here: the leading plot shows the same steps, and with it all others."""
        if self._leader is not None:
            self._leader.canvas.getViewBox().setXRange(*self.canvas.getViewBox().viewRange()[0], padding=0)
            self._leader.held.emit(True)

    @property
    def _linked(self) -> bool:
        return self._leader is not None

    def cover(self, first: float, last: float) -> None:
        """Shows these steps too while the view follows the data, though no curve of this plot may reach them."""
        height = next((float(y) for curve in self._curves.values() for y in curve.y if np.isfinite(y)), 0.0)
        if self._extent is None:
            self._extent = pg.PlotDataItem(pen=pg.mkPen((0, 0, 0, 0)))
            self.canvas.addItem(self._extent)
        self._extent.setLogMode(False, self._log)
        self._extent.setData([first, last], self._drawable(np.array([height, height])))
        self.canvas.getViewBox().updateAutoRange()

    def name_steps(self, names: Sequence[str]) -> None:
        """Writes names under 0, 1, 2 ... of the step axis in place of numbers; no names restore the numbers."""
        self._step_names = tuple(names)
        ticks = [list(enumerate(names))] if names else None
        self.canvas.getPlotItem().getAxis("bottom").setTicks(ticks)
        if names:
            # Room for the first and the last name, which would be left out at the very edge.
            self.cover(-_EDGE, len(names) - 1 + _EDGE)
        elif self._extent is not None:
            self.canvas.removeItem(self._extent)
            self._extent = None

    # Legend.

    def explain(self, descriptions: Mapping[str, str]) -> None:
        """Explains the curves in the legend's tooltips."""
        self.legend.explain(descriptions)

    def set_shown(self, name: str, shown: bool) -> None:
        """Shows or hides a curve."""
        (self._hidden.discard if shown else self._hidden.add)(name)
        for item in self._items.get(name, ()):
            item.setVisible(shown)
        self.set_levels(self._levels)
        self._show_ends()
        self._show_values()

    def _show_values(self) -> None:
        found = self.values_at(self._cursor_x)
        step = next((x for x, _ in found.values()), None)
        self._step.setText(self._step_name(step) if step is not None and self._cursor_x is not None else "")
        for name, curve in self._curves.items():
            text = f"{name} {number(found[name][1])}" if name in found else name
            self.legend.show_entry(name, text, curve.colour, shown=name not in self._hidden, dashed=curve.dashed)

    def _step_name(self, step: float) -> str:
        known = self._step_names and 0 <= step < len(self._step_names)
        return self._step_names[int(step)] if known else f"step {step:,.0f}"

    def values_at(self, x: float | None) -> Mapping[str, tuple[float, float]]:
        """Returns step and value of every shown curve that reaches ``x``, next to it; the latest ones for None."""
        place = None if x is None else self._inside(x)
        found = {name: last_value(curve) if place is None else value_at(curve.x, curve.y, place)
                 for name, curve in self.shown.items()}  # fmt: skip
        return {name: point for name, point in found.items() if point is not None}

    def _inside(self, x: float) -> float:
        """Snaps a place just outside of all curves to their end, which is hard to hit exactly."""
        known = [curve.x[np.isfinite(curve.y)] for curve in self.shown.values()]
        ends = [(float(steps[0]), float(steps[-1])) for steps in known if len(steps)]
        if not ends:
            return x
        first, last = min(end[0] for end in ends), max(end[1] for end in ends)
        near = max(0.5, _MARGIN * (last - first))
        return min(max(x, first), last) if first - near <= x <= last + near else x

    def _describe(self) -> None:
        """Describes the plot for a screen reader."""
        latest = ", ".join(f"{name} {number(value)}" for name, (_, value) in self.values_at(None).items())
        self.canvas.setAccessibleDescription(f"Latest values: {latest}" if latest else "No values yet")

    # Crosshair.

    def _hovered(self, x: float | None) -> None:
        self.set_cursor(x)
        self.cursor_moved.emit(x)

    def set_cursor(self, x: float | None) -> None:
        """Puts the crosshair at the step next to ``x``; None hides it."""
        found = next(iter(self.values_at(x).values()), None) if x is not None else None
        # Kept even where no curve is: values of other steps would be taken for those of this one.
        self._cursor_x = x
        self._line.setVisible(found is not None)
        if found:
            self._line.setPos(found[0])
        self._show_values()

    @property
    def cursor_step(self) -> float | None:
        """The crosshair's position; None while it is hidden."""
        return float(self._line.value()) if self._line.isVisible() else None

    def _step_cursor(self, direction: int) -> None:
        curve = max(self.shown.values(), key=lambda curve: len(curve.x), default=None)
        if curve is None:
            return
        steps = np.unique(curve.x[np.isfinite(curve.y)])
        if not len(steps):
            return
        now = self.cursor_step
        place = len(steps) - 1 if now is None else int(np.searchsorted(steps, now)) + direction
        self._hovered(float(steps[min(max(place, 0), len(steps) - 1)]))

    # Colours.

    def recolour(self) -> None:
        """Takes over the theme's colours; the curves' own come with the next `set_curves`."""
        colours = theme.colours()
        self.canvas.setBackground(colours.background)
        plot = self.canvas.getPlotItem()
        for side in ("left", "bottom"):
            plot.getAxis(side).setPen(pg.mkPen(colours.grid))
            plot.getAxis(side).setTextPen(pg.mkPen(colours.muted))
        self._line.setPen(pg.mkPen(colours.accent, width=1))
        self.marks.recolour()
        self._show_ends()
