"""The application's icon: four quadrants from four places, as SpatialMix puts an image together."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPixmap

_SIDE = 128
_SPLIT = (0.42, 0.58)
_COLOURS = ("#1f6fd1", "#58c48c", "#e5b04c", "#c22f35")


def app_icon() -> QIcon:
    """Paints the icon; needs an application."""
    picture = QPixmap(_SIDE, _SIDE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    outline = QPainterPath()
    outline.addRoundedRect(QRectF(6, 6, _SIDE - 12, _SIDE - 12), 24, 24)
    painter.setClipPath(outline)
    x, y = (round(share * _SIDE) for share in _SPLIT)
    places = ((0, 0, x, y), (x, 0, _SIDE - x, y), (0, y, x, _SIDE - y), (x, y, _SIDE - x, _SIDE - y))
    for place, colour in zip(places, _COLOURS, strict=True):
        painter.fillRect(*place, QColor(colour))
    painter.end()
    return QIcon(picture)
