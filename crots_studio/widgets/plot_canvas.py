"""The area that curves are drawn in: zoom, pan and crosshair by mouse and by keyboard."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter
from PySide6.QtWidgets import QWidget

from crots_studio import theme

HINT = "Wheel zooms, dragging pans, double-click or F fits again; arrow keys move the crosshair."


class StepAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis of steps, which are whole."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:  # noqa: N802, N803
        """Called by pyqtgraph: the distances between numbers, and where they begin."""
        spacings = super().tickSpacing(minVal, maxVal, size)
        return [(spacing, first) for spacing, first in spacings if float(spacing).is_integer()] or [(1.0, 0.0)]


class Canvas(pg.PlotWidget):  # type: ignore[misc]
    """The plot itself, which can be used from the keyboard alone."""

    stepped = Signal(int)
    cursor = Signal(object)
    fit_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, axisItems={"bottom": StepAxis("bottom")})
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMinimumHeight(70)
        self.scene().sigMouseMoved.connect(self._hover)

    def _hover(self, place: QPointF) -> None:
        box = self.getViewBox()
        inside = box.sceneBoundingRect().contains(place)
        self.cursor.emit(float(box.mapSceneToView(place).x()) if inside else None)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        """Hides the crosshair."""
        self.cursor.emit(None)
        super().leaveEvent(event)

    def mouseDoubleClickEvent(self, event: Any) -> None:  # noqa: N802
        """Shows everything again."""
        self.fit_asked.emit()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Shows that keys act here."""
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Shows that keys act elsewhere."""
        super().focusOutEvent(event)
        self.viewport().update()

    def drawForeground(self, painter: QPainter, rect: Any) -> None:  # noqa: N802
        """Frames the plot while it has the focus."""
        if self.hasFocus():
            painter.save()
            painter.resetTransform()
            painter.setPen(QColor(theme.colours().accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.viewport().rect().adjusted(0, 0, -1, -1))
            painter.restore()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Arrows move the crosshair, with Shift the picture; plus and minus zoom, F fits."""
        key, box = event.key(), self.getViewBox()
        sideways: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        (left, right), (low, high) = box.viewRange()
        if key in sideways and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            box.translateBy(x=sideways[key] * (right - left) / 10, y=0)
        elif key in sideways:
            self.stepped.emit(sideways[key])
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            box.translateBy(x=0, y=(1 if key == Qt.Key.Key_Up else -1) * (high - low) / 10)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            box.scaleBy((1.25, 1.25) if key == Qt.Key.Key_Minus else (0.8, 0.8))
        elif key in (Qt.Key.Key_F, Qt.Key.Key_0):
            self.fit_asked.emit()
        elif key == Qt.Key.Key_Escape:
            self.cursor.emit(None)
        else:
            super().keyPressEvent(event)
