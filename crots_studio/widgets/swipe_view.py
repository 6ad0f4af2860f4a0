"""Two pictures in one place, with a divider to drag: left of it the one, right of it the other."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsRectItem, QWidget

from crots.arrays import Array
from crots_studio.widgets.image_view import ImageView
from crots_studio.widgets.picture_layers import Content, Layers

_GRIP = 9
_STEP = 0.02


class SwipeView(ImageView):
    """An `ImageView` with a second content over the first, right of a divider. Left and right arrows move it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._split = 0.5
        self._swiping = False
        self._clip = QGraphicsRectItem()
        self._clip.setPen(QPen(Qt.PenStyle.NoPen))
        self._clip.setFlag(QGraphicsItem.GraphicsItemFlag.ItemClipsChildrenToShape)
        self.scene().addItem(self._clip)
        self.right_layers = Layers(self.scene(), self._clip)

    @property
    def split(self) -> float:
        """Where the divider is, 0..1 of the picture's width."""
        return self._split

    def show_pair(self, left: Content | None, right: Content | None) -> None:
        """Shows two contents of one size."""
        self.right_layers.show(right)
        self.right_layers.set_opacity(self.opacity)
        self.show_content(left)
        if left and right:
            self.setAccessibleName(f"{left.title} left of the divider, {right.title} right of it")
        self.set_split(self._split)

    def set_split(self, split: float) -> None:
        """Moves the divider."""
        self._split = min(max(split, 0.0), 1.0)
        if self.content is not None:
            width, height = self.content.size
            start = self._split * width
            self._clip.setRect(QRectF(start, 0, width - start, height))
        self.viewport().update()

    def set_table(self, table: Array) -> None:
        """Sets the colours of labels on both sides."""
        super().set_table(table)
        self.right_layers.set_table(table)

    def set_opacity(self, opacity: float) -> None:
        """Fades the overlay on both sides."""
        super().set_opacity(opacity)
        self.right_layers.set_opacity(opacity)

    def side(self, x: int) -> int:
        """Returns which content a column of pixels shows: 0 left, 1 right."""
        return int(self.content is not None and x >= self._split * self.content.size.width)

    def _divider(self) -> float:
        """The divider's place in the viewport."""
        width = self.content.size.width if self.content else 1
        return float(self.mapFromScene(QPointF(self._split * width, 0)).x())

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Grabs the divider if it is near, else pans."""
        self._swiping = self.content is not None and abs(event.position().x() - self._divider()) <= _GRIP
        if self._swiping:
            self.setFocus(Qt.FocusReason.MouseFocusReason)
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Drags the divider, or does what the view does."""
        if self._swiping and self.content is not None:
            self.set_split(self.mapToScene(event.position().toPoint()).x() / self.content.size.width)
        else:
            near = self.content is not None and abs(event.position().x() - self._divider()) <= _GRIP
            plain = Qt.CursorShape.CrossCursor if self._drawing else Qt.CursorShape.ArrowCursor
            self.viewport().setCursor(Qt.CursorShape.SplitHCursor if near else plain)
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Lets go."""
        if self._swiping:
            self._swiping = False
        else:
            super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Fits, and puts the divider in the middle."""
        super().mouseDoubleClickEvent(event)
        if not self._drawing:
            self.set_split(0.5)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Moves the divider; the rest is the view's."""
        steps = {Qt.Key.Key_Left: -_STEP, Qt.Key.Key_Right: _STEP}
        if event.key() in steps and self.content is not None:
            self.set_split(self._split + steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def drawForeground(self, painter: QPainter, rect: QRectF | Any) -> None:  # noqa: N802
        """Adds the divider and the title of the right side."""
        super().drawForeground(painter, rect)
        if self.content is None:
            return
        painter.save()
        painter.resetTransform()
        x, height = self._divider(), self.viewport().height()
        for colour, width in ((QColor(0, 0, 0, 180), 4), (QColor(255, 255, 255), 2)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(x, 0), QPointF(x, height))
        painter.setPen(QPen(QColor(0, 0, 0, 180), 1))
        painter.setBrush(QColor(255, 255, 255))
        painter.drawRoundedRect(QRectF(x - 6, height / 2 - 16, 12, 32), 4, 4)
        painter.setPen(QPen(QColor(90, 90, 90), 1))
        for offset in (-2, 2):
            painter.drawLine(QPointF(x + offset, height / 2 - 8), QPointF(x + offset, height / 2 + 8))
        right = self.right_layers.content
        if right and right.title:
            self._draw_title(painter, right.title, right=True)
        painter.restore()
