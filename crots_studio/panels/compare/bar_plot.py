"""Bars side by side: one group per class or model, one bar per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QVBoxLayout, QWidget

from crots_studio import theme
from crots_studio.plain import Label

_GROUP = 0.84
_LONGEST_NAME = 110


@dataclass(frozen=True)
class Bars:
    """One value per group, None where there is none; ``hatched`` sets them apart in more than colour.

    With a ``width`` each run has a group of its own, which is its name, so that no legend is needed.
    """

    name: str
    values: tuple[float | None, ...]
    colour: str
    hatched: bool = False
    width: float | None = None


class NameAxis(pg.AxisItem):  # type: ignore[misc]
    """Names of groups; in two lines, or written upwards, where they would run into each other."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()  # the base class reads it in its constructor
        self.written: tuple[str, ...] = ()
        self.upright = False
        super().__init__("bottom")

    def set_names(self, names: Sequence[str]) -> None:
        """Takes over the names of groups 0, 1, 2 ..."""
        self._names = tuple(names)
        self._fit()

    def resizeEvent(self, event: Any = None) -> None:  # noqa: N802
        """Turns the names where they no longer fit."""
        super().resizeEvent(event)
        self._fit()

    def _width(self, names: Sequence[str]) -> int:
        """Of the longest line."""
        metrics = QFontMetrics(self.font())
        return max((metrics.horizontalAdvance(line) for name in names for line in name.split("\n")), default=0)

    def _fit(self) -> None:
        """Chooses how the names are written."""
        room = self.size().width() / max(len(self._names), 1) - 6
        broken = tuple(name.replace(": ", ":\n", 1) for name in self._names)
        written = self._names if self._width(self._names) <= room or self._width(broken) > room else broken
        if written != self.written:
            self.written = written
            self.setTicks([list(enumerate(written))])
        self.upright = self._width(written) > room
        lines = max((name.count("\n") + 1 for name in written), default=1)
        longest = min(self._width(written), _LONGEST_NAME)
        self.setHeight(longest + 10 if self.upright else lines * QFontMetrics(self.font()).height() + 8)

    def drawPicture(self, painter: QPainter, axis: Any, ticks: Any, texts: Any) -> None:  # noqa: N802
        """Draws axis, ticks and names."""
        if not self.upright:
            super().drawPicture(painter, axis, ticks, texts)
            return
        super().drawPicture(painter, axis, ticks, [])
        painter.setPen(self.textPen())
        metrics = QFontMetrics(self.font())
        for x, text in self.upright_names():
            painter.save()
            painter.translate(x, 6)
            painter.rotate(-90)
            place = QRectF(-_LONGEST_NAME, -metrics.height() / 2, _LONGEST_NAME, metrics.height())
            elided = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, _LONGEST_NAME)
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, elided)
            painter.restore()

    def upright_names(self) -> list[tuple[float, str]]:
        """Where the names stand; the base class leaves out those that would overlap if they lay flat."""
        (left, right), area = self.range, self.mapRectFromParent(self.linkedView().geometry())
        places = [(group, name) for group, name in enumerate(self._names) if left <= group <= right]
        every = -(-len(places) * QFontMetrics(self.font()).height() // max(int(area.width()), 1)) or 1
        scale = area.width() / max(right - left, 1e-9)
        return [(area.left() + (group - left) * scale, name) for group, name in places[::every]]


class BarPlot(QWidget):
    """Grouped bars with a legend, from zero upwards."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.names = NameAxis()
        self.canvas = pg.PlotWidget(axisItems={"bottom": self.names})
        self.canvas.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.canvas.setAccessibleName(f"Bars of {title}")
        self.canvas.setMenuEnabled(False)
        self.canvas.hideButtons()
        self.legend = Label()
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self._items: list[pg.GraphicsObject] = []
        self._shown: tuple[tuple[str, ...], tuple[Bars, ...]] = ((), ())
        layout = QVBoxLayout(self)
        self.setProperty("role", "plot")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout.setContentsMargins(8, 8, 8, 4)
        layout.setSpacing(2)
        layout.addWidget(self.legend)
        layout.addWidget(self.canvas, 1)
        self.canvas.getPlotItem().getViewBox().setMouseEnabled(x=True, y=False)
        self.canvas.getPlotItem().getAxis("left").setWidth(50)
        self.canvas.getPlotItem().showGrid(y=True, alpha=0.25)
        for side in ("left", "bottom"):
            # Their lines are behind the bars.
            self.canvas.getPlotItem().getAxis(side).setZValue(-1)
        self.recolour()

    @property
    def shown(self) -> tuple[tuple[str, ...], tuple[Bars, ...]]:
        """Names of the groups, and the bars, that are drawn."""
        return self._shown

    def set_bars(self, groups: Sequence[str], bars: Sequence[Bars]) -> None:
        """Draws these in place of the old ones."""
        if (tuple(groups), tuple(bars)) == self._shown:
            return
        self._shown = tuple(groups), tuple(bars)
        for item in self._items:
            self.canvas.removeItem(item)
        self._items = [self._item(place, len(bars), one) for place, one in enumerate(bars)]
        self._items += [self._value(group, one) for one in bars if one.width for group in range(len(one.values))]
        self._items = [item for item in self._items if item is not None]
        self.names.set_names(groups)
        top = max((value for one in bars for value in one.values if value is not None), default=1.0)
        self.canvas.setYRange(0, top * 1.12 or 1.0, padding=0)
        self.canvas.setXRange(-0.6, max(len(groups), 1) - 0.4, padding=0)
        named = [one for one in bars if not one.width]
        entries = [f"<span style='color:{one.colour}'>■</span>&nbsp;{_unbroken(one.name)}" for one in named]
        self.legend.setText(" &nbsp; ".join(entries))
        self.legend.setVisible(bool(entries))
        self.canvas.setAccessibleDescription("; ".join(_description(groups, one) for one in bars) or "Nothing to show")

    def _item(self, place: int, count: int, bars: Bars) -> pg.BarGraphItem:
        width = bars.width or _GROUP / max(count, 1)
        place, count = (0, 1) if bars.width else (place, count)
        known = [(group, value) for group, value in enumerate(bars.values) if value is not None]
        x = np.array([group for group, _ in known], float) + (place - (count - 1) / 2) * width
        colour = QColor(bars.colour)
        brush = QBrush(colour, Qt.BrushStyle.BDiagPattern) if bars.hatched else QBrush(colour)
        height = np.array([value for _, value in known], float)
        item = pg.BarGraphItem(x=x, y0=0, height=height, width=width * 0.92, brush=brush, pen=pg.mkPen(colour))
        self.canvas.addItem(item)
        return item

    def _value(self, group: int, bars: Bars) -> pg.TextItem | None:
        """Writes a value above a bar that stands alone."""
        value = bars.values[group]
        if value is None:
            return None
        item = pg.TextItem(f"{value:.1f}", color=theme.colours().text, anchor=(0.5, 1))
        item.setPos(group, value)
        self.canvas.addItem(item, ignoreBounds=True)
        return item

    def recolour(self) -> None:
        """Takes over the theme's colours; the bars' own come with the next `set_bars`."""
        colours = theme.colours()
        groups, bars = self._shown
        self._shown = ((), ())
        self.set_bars(groups, bars)
        self.canvas.setBackground(colours.background)
        for side in ("left", "bottom"):
            axis = self.canvas.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colours.grid))
            axis.setTextPen(pg.mkPen(colours.muted))


def _unbroken(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(" ", "&nbsp;")


def _description(groups: Sequence[str], bars: Bars) -> str:
    pairs = zip(groups, bars.values, strict=True)
    return f"{bars.name}: " + ", ".join(f"{name} {value:.1f}" for name, value in pairs if value is not None)
