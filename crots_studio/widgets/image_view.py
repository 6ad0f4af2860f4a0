"""A picture with its maps over it: zoom, pan, a label overlay that fades without any work on arrays, a read-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPalette,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

from crots.arrays import Array
from crots.config import Size
from crots_studio.widgets.picture_layers import SCALES, Content, Layers, Line, Outline, indexed_image

# Screen pixels that one pixel of the picture can have.
_MOST_ZOOM = 40.0
_STEP = 1.25
# In screen pixels.
NARROWEST = 120
# Of a lower view a legend would cover too much.
_ROOMY_LINES = 9
# The share of a view that a shown box fills, and the greatest zoom for that.
_BOX_SHARE = 0.35
_BOX_ZOOM = 8.0


@dataclass(frozen=True)
class Viewpoint:
    """Where a view looks: the middle in 0..1 of the picture, and how much larger than fitting."""

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0


class ImageView(QGraphicsView):
    """Shows one `Content`. Wheel, + and - zoom, dragging and arrows pan, 0 fits.

    While a tool draws, the middle button or the space bar held down pan.

    Signals:
        hovered(int, int): the pixel under the pointer, or (-1, -1) when it leaves.
        moved(Viewpoint): the user zoomed or panned.
        clicked(int, int): a pixel was clicked.
        stroked(int, int, bool): while ``drawing``: a pixel that the pressed pointer is on; True where it begins.
        stroke_ended(): the button was let go.

    Attributes:
        layers: the picture, its labels and what lies over them.
        empty_text: shown where there is no picture.
        empty_is_fault: whether it is an error, and no explanation.
        marker: the pixel that another view points at.
        opacity: of the labels over the picture.
        hand: whether a drag moves the picture whatever the tool, as while the space bar is down.
    """

    hovered = Signal(int, int)
    moved = Signal(object)
    clicked = Signal(int, int)
    stroked = Signal(int, int, bool)
    stroke_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setScene(QGraphicsScene(self))
        self.layers = Layers(self.scene())
        self.empty_text = ""
        self.empty_is_fault = False
        # Whether the content's title is written over the picture.
        self.titled = True
        self._place = Viewpoint()
        self.marker: tuple[int, int] | None = None
        self._pressed: QPoint | None = None
        self._dragged_from: QPointF | None = None
        self.opacity = 1.0
        self._drawing = False
        self._stroking = False
        self.hand = False
        # Width of the brush in pixels of the picture, 0 for none, and where the pointer is in those of the view.
        self._brush = 0
        self._pointer: QPointF | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setProperty("role", "picture")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(NARROWEST, 80)
        self.setAccessibleName("Picture")
        self.setToolTip("")

    @property
    def content(self) -> Content | None:
        """What is shown."""
        return self.layers.content

    @property
    def place(self) -> Viewpoint:
        """Where it looks."""
        return self._place

    def show_content(self, content: Content | None) -> None:
        """Shows something else; the place stays."""
        self.layers.show(content)
        self.layers.set_opacity(self.opacity)
        self.setAccessibleName(content.title if content else "Picture")
        self._apply()

    def set_table(self, table: Array) -> None:
        """Sets the colours of labels, (n, 4)."""
        self.layers.set_table(table)

    def set_opacity(self, opacity: float) -> None:
        """Fades the label overlay, 0..1."""
        self.opacity = opacity
        self.layers.set_opacity(opacity)

    def set_drawing(self, drawing: bool) -> None:
        """A drag draws and does not move the picture."""
        self._drawing = drawing
        self._show_cursor()

    def set_brush(self, width: int) -> None:
        """Shows the outline of a brush under the pointer; its width is in pixels of the picture, 0 for none."""
        self._brush = width
        self.viewport().update()

    def _show_cursor(self) -> None:
        moves = self._dragged_from is not None
        hand = Qt.CursorShape.ClosedHandCursor if moves else Qt.CursorShape.OpenHandCursor
        tool = Qt.CursorShape.CrossCursor if self._drawing else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(hand if self.hand or (moves and self._drawing) else tool)

    def _stroke(self, position: QPointF, *, begins: bool) -> None:
        if pixel := self.pixel_at(position):
            self.stroked.emit(*pixel, begins)

    def set_marker(self, pixel: tuple[int, int] | None) -> None:
        """Marks the pixel that the pointer is on in another view."""
        if pixel != self.marker:
            self.marker = pixel
            self.viewport().update()

    def fit(self) -> None:
        """Shows the whole picture."""
        self._go(Viewpoint())

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zooms about a point of the viewport, or its middle."""
        fitting = self._fitting()
        if not fitting:
            return
        zoom = min(max(self._place.zoom * factor, 1.0), max(1.0, _MOST_ZOOM / fitting))
        middle = QPointF(self.viewport().rect().center())
        at = at or middle
        before = self.mapToScene(at.toPoint())
        scale = fitting * zoom
        x, y = (before.x() - (at.x() - middle.x()) / scale), (before.y() - (at.y() - middle.y()) / scale)
        self._look_at(x, y, zoom)

    @property
    def percent(self) -> int:
        """How large a pixel of the picture is on the screen, 100 for as large as one of the screen's."""
        return round(100 * self._fitting() * self._place.zoom)

    def look_at_box(self, box: tuple[int, int, int, int]) -> None:
        """Brings a box of the picture (left, top, width, height) to the middle, with some of what is around it."""
        if self.content is None:
            return
        left, top, width, height = box
        size = self.content.size
        zoom = _BOX_SHARE * min(size.width / max(1, width), size.height / max(1, height))
        self._look_at(left + width / 2, top + height / 2, min(max(zoom, 1.0), _BOX_ZOOM))

    def look(self, place: Viewpoint) -> None:
        """Shows the same place as another view; emits no signal."""
        if place != self._place:
            self._place = place
            self._apply()

    def _look_at(self, x: float, y: float, zoom: float) -> None:
        size = self.content.size if self.content else Size(1, 1)
        inside = 0.5 / zoom
        # At most half of the view is empty, so that the picture is never lost.
        clamp = (max(0.0, inside - 0.5), min(1.0, 1.5 - inside))
        column, row = (min(max(part, clamp[0]), clamp[1]) for part in (x / size.width, y / size.height))
        self._go(Viewpoint(column, row, zoom))

    def _go(self, place: Viewpoint) -> None:
        if place.zoom <= 1.0001:
            place = Viewpoint()
        if place != self._place:
            self.look(place)
            self.moved.emit(place)

    def _fitting(self) -> float:
        """Screen pixels per picture pixel when the whole picture is seen."""
        if self.content is None:
            return 0.0
        view, size = self.viewport().size(), self.content.size
        return min(view.width() / size.width, view.height() / size.height)

    def _apply(self) -> None:
        fitting = self._fitting()
        if not fitting or self.content is None:
            self.viewport().update()
            return
        size, scale = self.content.size, fitting * self._place.zoom
        self.setSceneRect(-size.width, -size.height, 3 * size.width, 3 * size.height)
        self.setTransform(QTransform.fromScale(scale, scale))
        self.centerOn(self._place.x * size.width, self._place.y * size.height)
        self.viewport().update()

    def pixel_at(self, position: QPointF) -> tuple[int, int] | None:
        """Returns the pixel at a place of the viewport, None outside the picture."""
        if self.content is None:
            return None
        point = self.mapToScene(position.toPoint())
        x, y = int(np.floor(point.x())), int(np.floor(point.y()))
        inside = 0 <= x < self.content.size.width and 0 <= y < self.content.size.height
        return (x, y) if inside else None

    # Mouse and keyboard.

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Zooms about the pointer."""
        self.zoom_by(_STEP ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Begins a pan or a click."""
        if event.button() == Qt.MouseButton.MiddleButton or (event.button() == Qt.MouseButton.LeftButton and self.hand):
            # Not a click: nothing is chosen or painted.
            self._pressed, self._dragged_from = None, event.position()
            self._show_cursor()
        elif event.button() == Qt.MouseButton.LeftButton and self._drawing:
            self._stroking = True
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            self._stroke(event.position(), begins=True)
        elif event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()
            self._dragged_from = event.position()
            self.setFocus(Qt.FocusReason.MouseFocusReason)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Pans, or reports the pixel under the pointer."""
        if self._stroking:
            self._stroke(event.position(), begins=False)
        elif self._dragged_from is not None and event.buttons() & (
            Qt.MouseButton.LeftButton | Qt.MouseButton.MiddleButton
        ):
            step = event.position() - self._dragged_from
            self._dragged_from = event.position()
            self._pan(-step.x(), -step.y())
        self._pointer = event.position()
        if self._brush and self._drawing:
            self.viewport().update()
        pixel = self.pixel_at(event.position()) or (-1, -1)
        self.hovered.emit(*pixel)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Ends a stroke or a pan; without movement it was a click."""
        if self._stroking:
            self._stroking = False
            self.stroke_ended.emit()
            return
        if self._pressed is not None and (event.position().toPoint() - self._pressed).manhattanLength() < 4:
            pixel = self.pixel_at(event.position())
            if pixel:
                self.clicked.emit(*pixel)
        self._pressed = self._dragged_from = None
        self._show_cursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Fits; while drawing it is the second of two strokes."""
        if self._drawing:
            self.mousePressEvent(event)
        else:
            self.fit()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        """Reports that no pixel is under the pointer."""
        self._pointer = None
        self.viewport().update()
        self.hovered.emit(-1, -1)
        super().leaveEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Ends the effect of the space bar, whose release goes to another widget now."""
        self.hand = False
        self._show_cursor()
        super().focusOutEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Ends panning when the space bar is released."""
        if event.key() == Qt.Key.Key_Space and self.hand:
            self.hand = self.hand and event.isAutoRepeat()
            self._show_cursor()
        else:
            event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Zooms and pans; other keys go to the panel."""
        key, step = event.key(), 0.1 * self.viewport().width()
        moves = {
            Qt.Key.Key_Left: (-step, 0.0),
            Qt.Key.Key_Right: (step, 0.0),
            Qt.Key.Key_Up: (0.0, -step),
            Qt.Key.Key_Down: (0.0, step),
        }
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(_STEP)
        elif key == Qt.Key.Key_Minus:
            self.zoom_by(1 / _STEP)
        elif key == Qt.Key.Key_0:
            self.fit()
        elif key == Qt.Key.Key_Space:
            self.hand = True
            self._show_cursor()
        elif key in moves and self._place.zoom > 1:
            self._pan(*moves[Qt.Key(key)])
        else:
            event.ignore()

    def _pan(self, right: float, down: float) -> None:
        fitting = self._fitting()
        if fitting and self.content is not None and self._place.zoom > 1:
            size, scale = self.content.size, fitting * self._place.zoom
            x, y = self._place.x * size.width + right / scale, self._place.y * size.height + down / scale
            self._look_at(x, y, self._place.zoom)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Keeps the place."""
        super().resizeEvent(event)
        self._apply()

    # What lies over the picture.

    def drawForeground(self, painter: QPainter, rect: QRectF | Any) -> None:  # noqa: N802
        """Draws split lines and the marker in picture coordinates, title and focus in screen pixels."""
        if self.content:
            self._draw_lines(painter, self.content.lines)
            self._draw_outlines(painter, self.content.outlines)
        if self.marker and self.content:
            self._draw_marker(painter, *self.marker)
        if (ring := self.brush_ring) is not None:
            self._draw_ring(painter, ring)
        painter.save()
        painter.resetTransform()
        if self.content and self.content.title and self.titled:
            self._draw_title(painter, f"{self.content.title}   {self.percent}%")
        roomy = self.viewport().height() >= _ROOMY_LINES * self.fontMetrics().height()
        if self.content and self.content.values is not None and roomy:
            self._draw_scale(painter, self.content)
        if self.content is None and self.empty_text:
            role = QPalette.ColorRole.BrightText if self.empty_is_fault else QPalette.ColorRole.PlaceholderText
            painter.setPen(self.palette().color(role))
            area = self.viewport().rect().adjusted(12, 12, -12, -12)
            painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self.empty_text)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.viewport().rect().adjusted(1, 1, -1, -1))
        painter.restore()

    def _draw_lines(self, painter: QPainter, lines: tuple[Line, ...]) -> None:
        # White on black, so that they are seen on any picture.
        for colour, width in ((QColor(0, 0, 0, 180), 4), (QColor(255, 255, 255), 2)):
            pen = QPen(colour, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            for x0, y0, x1, y1 in lines:
                painter.drawLine(QPointF(x0, y0), QPointF(x1, y1))

    def _draw_outlines(self, painter: QPainter, outlines: tuple[Outline, ...]) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for outline in sorted(outlines, key=lambda outline: outline.strong):
            inner = 3 if outline.strong else 1.5
            for colour, width in ((QColor(0, 0, 0, 180), inner + 2), (QColor(*outline.colour), inner)):
                pen = QPen(colour, width)
                pen.setCosmetic(True)
                painter.setPen(pen)
                painter.drawRect(QRectF(*outline.box))

    def _draw_marker(self, painter: QPainter, x: int, y: int) -> None:
        reach = 7 / max(1e-6, painter.worldTransform().m11())
        middle = QPointF(x + 0.5, y + 0.5)
        for colour, width in ((QColor(0, 0, 0, 200), 3), (QColor(255, 255, 255), 1)):
            pen = QPen(colour, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawLine(middle - QPointF(reach, 0), middle + QPointF(reach, 0))
            painter.drawLine(middle - QPointF(0, reach), middle + QPointF(0, reach))

    @property
    def brush_ring(self) -> QRectF | None:
        """What the brush would cover, in pixels of the picture; None where there is no brush or pointer."""
        pixel = self.pixel_at(self._pointer) if self._pointer is not None else None
        if pixel is None or not (self._brush and self._drawing) or self.hand:
            return None
        reach = self._brush / 2
        return QRectF(pixel[0] + 0.5 - reach, pixel[1] + 0.5 - reach, self._brush, self._brush)

    def _draw_ring(self, painter: QPainter, ring: QRectF) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in ((QColor(0, 0, 0, 200), 3), (QColor(255, 255, 255), 1)):
            pen = QPen(colour, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawEllipse(ring)

    def _draw_scale(self, painter: QPainter, content: Content) -> None:
        """The colours of numbers, in the lower left corner."""
        metrics, (low, high) = painter.fontMetrics(), content.ends
        before, after = (metrics.horizontalAdvance(end) + 8 for end in (low, high))
        bar, height = 80, metrics.height() + 4
        box = QRectF(4, self.viewport().height() - height - 4, before + bar + after, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 165))
        painter.drawRoundedRect(box, 4, 4)
        ramp = QRectF(box.left() + before, box.top() + 4, bar, height - 8)
        painter.drawImage(ramp, indexed_image(np.arange(256)[None], SCALES[content.scale]))
        painter.setPen(QColor(255, 255, 255))
        middle = Qt.AlignmentFlag.AlignCenter
        painter.drawText(QRectF(box.left(), box.top(), before, height), middle, low)
        painter.drawText(QRectF(ramp.right(), box.top(), after, height), middle, high)

    def _draw_title(self, painter: QPainter, title: str, *, right: bool = False) -> None:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.92)
        painter.setFont(font)
        text = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, self.viewport().width() - 20)
        width, height = painter.fontMetrics().horizontalAdvance(text) + 12, painter.fontMetrics().height() + 4
        left = self.viewport().width() - width - 4 if right else 4
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 165))
        painter.drawRoundedRect(QRectF(left, 4, width, height), 4, 4)
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(QRectF(left, 4, width, height), Qt.AlignmentFlag.AlignCenter, text)
