"""The studio's icons, drawn in the colours of the current theme, which they follow."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from crots.resources import resource_folder
from crots_studio import theme


def icon_file(name: str) -> Path:
    """Returns the drawing of an icon, black on nothing, of which the shape alone counts."""
    return resource_folder() / "icons" / "ui" / f"{name}.svg"


def icon(name: str, role: str = "text") -> QIcon:
    """Returns an icon.

    Args:
        name: of a drawing in ``resources/icons/ui``.
        role: a colour of `crots_studio.theme.Colours`, or ``white`` for filled buttons.
    """
    return QIcon(_Engine(name, role))


def paint(painter: QPainter, rect: QRect, name: str, colour: QColor) -> None:
    """Draws an icon into a square of a widget that paints itself."""
    ratio = painter.device().devicePixelRatioF()
    painter.drawPixmap(rect.topLeft(), _tinted(name, rect.width(), ratio, colour.rgba()))


@cache
def _drawing(name: str) -> QSvgRenderer:
    return QSvgRenderer(str(icon_file(name)))


@cache
def _tinted(name: str, side: int, ratio: float, rgba: int) -> QPixmap:
    pixels = max(1, round(side * ratio))
    pixmap = QPixmap(pixels, pixels)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _drawing(name).render(painter, QRectF(0, 0, pixels, pixels))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(0, 0, pixels, pixels, QColor.fromRgba(rgba))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


class _Engine(QIconEngine):
    """Reads the theme's colour when it paints, so that icons need no update."""

    def __init__(self, name: str, role: str) -> None:
        super().__init__()
        self._name, self._role = name, role

    def clone(self) -> QIconEngine:
        """Qt copies icons."""
        return _Engine(self._name, self._role)

    def _colour(self, mode: QIcon.Mode) -> QColor:
        role = self._role
        colour = QColor("#ffffff" if role == "white" else getattr(theme.colours(), role))
        if mode == QIcon.Mode.Disabled:
            colour = QColor(theme.colours().muted)
            colour.setAlphaF(0.5)
        elif mode == QIcon.Mode.Selected:
            colour = QColor("#ffffff")
        return colour

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Draws into a rectangle, as large as fits."""
        side = min(rect.width(), rect.height())
        square = QRect(0, 0, side, side)
        square.moveCenter(rect.center())
        paint(painter, square, self._name, self._colour(mode))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Returns a picture of its own."""
        return self.scaledPixmap(size, mode, state, 1.0)

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float) -> QPixmap:  # noqa: N802
        """Returns a picture of ``size`` device pixels."""
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap
