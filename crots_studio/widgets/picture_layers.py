"""The layers of a picture view: an image or a map of numbers, coloured labels, and ignored pixels.

Labels stay ids: their colours are a table of the picture, so that fading and hiding classes costs no work on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QGraphicsItem, QGraphicsScene, QStyleOptionGraphicsItem, QWidget

from crots.arrays import Array
from crots.config import Size
from crots.taxonomy import ClassSet

Line = tuple[float, float, float, float]
_VEIL = (205, 20, 40, 170)


@dataclass(frozen=True)
class Outline:
    """A box to draw round a part of the picture: left, top, width, height; and whether it is the one to look at."""

    box: tuple[int, int, int, int]
    colour: tuple[int, int, int] = (255, 255, 255)
    strong: bool = False


@dataclass(frozen=True, eq=False)
class Content:
    """What a view shows, from the bottom up.

    Attributes:
        title: shown in the corner.
        size: of the coordinates that are read out; the picture may have more pixels.
        image: (h, w, 3) uint8.
        values: (H, W) float32, 0..1, in place of the image.
        scale: colours of ``values``: a name in `SCALES`.
        ends: what the ends of the scale are called.
        labels: (H, W) class ids, drawn with the colour table.
        veil: (H, W) bool, pixels to mark as not counting.
        lines: to draw over all, x0, y0, x1, y1.
        outlines: boxes to draw over all.
    """

    title: str
    size: Size
    image: Array | None = None
    values: Array | None = None
    scale: str = "confidence"
    ends: tuple[str, str] = ("0", "1")
    labels: Array | None = None
    veil: Array | None = None
    lines: tuple[Line, ...] = ()
    outlines: tuple[Outline, ...] = ()


def _ramp(*stops: tuple[int, int, int]) -> Array:
    """Returns 256 opaque colours (256, 4) through the given ones."""
    places = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), places, [stop[channel] for stop in stops]) for channel in range(3)]
    return np.stack([*channels, np.full(256, 255)], axis=1).round().astype(np.uint8)


# Of steadily rising brightness, so that they read the same without colour vision.
SCALES: dict[str, Array] = {
    "confidence": _ramp((13, 8, 60), (64, 44, 122), (46, 110, 142), (53, 171, 121), (170, 220, 50), (253, 246, 170)),
    "entropy": _ramp((4, 4, 14), (72, 18, 100), (160, 42, 98), (225, 90, 50), (250, 165, 30), (252, 250, 180)),
}


def doubt_colour(doubt: float) -> tuple[int, int, int]:
    """Returns the colour of a doubt of 0..1, seen on any picture: red for little, yellow for much."""
    red, green, blue = (int(part) for part in SCALES["entropy"][round(255 * (0.5 + 0.4 * doubt)), :3])
    return red, green, blue


def colour_table(classes: ClassSet, shown: frozenset[int] | None = None) -> Array:
    """Returns colours with alpha by label, (ignore + 1, 4) uint8: ignored and hidden classes are transparent."""
    table = np.zeros((classes.ignore + 1, 4), np.uint8)
    table[:, :3] = classes.palette_array()
    visible = sorted(range(len(classes)) if shown is None else shown)
    table[visible, 3] = 255
    return table


def rgb_image(array: Array) -> QImage:
    """Returns a picture (h, w, 3) uint8 as an image of its own."""
    rows = np.ascontiguousarray(array)
    height, width = rows.shape[:2]
    return QImage(rows.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def indexed_image(ids: Array, table: Array) -> QImage:
    """Returns ids (H, W) with a colour table (n, 4); beyond 256 colours the pixels are coloured here."""
    height, width = ids.shape
    if len(table) > 256:
        pixels = np.ascontiguousarray(table[ids])
        return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
    rows = np.ascontiguousarray(ids.astype(np.uint8))
    image = QImage(rows.data, width, height, width, QImage.Format.Format_Indexed8).copy()
    image.setColorTable(packed(table))
    return image


def packed(table: Array) -> list[int]:
    """Returns a colour table (n, 4) as Qt wants it."""
    red, green, blue, alpha = (table[:, channel].astype(np.uint32) for channel in range(4))
    return [int(value) for value in (alpha << 24) | (red << 16) | (green << 8) | blue]


class PictureItem(QGraphicsItem):
    """An image stretched over the coordinates of the maps; smooth where it shrinks, plain pixels where it grows."""

    def __init__(self, parent: QGraphicsItem | None = None) -> None:
        super().__init__(parent)
        self._image = QImage()
        self._rect = QRectF()
        # Scaled once per zoom and not per repaint: moving the pointer or fading labels repaints often.
        self.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)

    @property
    def image(self) -> QImage:
        """What is drawn."""
        return self._image

    def show_image(self, image: QImage, size: Size) -> None:
        """Draws another image over ``size``; a null one draws nothing."""
        rect = QRectF(0, 0, size.width, size.height)
        if rect != self._rect:
            self.prepareGeometryChange()
        self._image, self._rect = image, rect
        self.update()

    def set_table(self, table: Array) -> None:
        """Changes the colours of ids without changing the ids."""
        if self._image.format() == QImage.Format.Format_Indexed8:
            self._image.setColorTable(packed(table))
            self.update()

    def boundingRect(self) -> QRectF:  # noqa: N802 - Qt's name
        """Qt asks."""
        return self._rect

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        """Qt asks."""
        if self._image.isNull():
            return
        shown = painter.worldTransform().m11() * self._rect.width()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shown < 1.5 * self._image.width())
        painter.drawImage(self._rect, self._image)


class Layers:
    """The items of one content: picture, labels, veil; shared by views that show one or two of them."""

    def __init__(self, scene: QGraphicsScene, parent: QGraphicsItem | None = None) -> None:
        self.base, self.labels, self.veil = (PictureItem(parent) for _ in range(3))
        if parent is None:
            for item in (self.base, self.labels, self.veil):
                scene.addItem(item)
        self.content: Content | None = None
        self._table = np.zeros((256, 4), np.uint8)

    def show(self, content: Content | None) -> None:
        """Draws another content."""
        self.content = content
        size = content.size if content else Size(0, 0)
        self.base.show_image(_base_image(content), size)
        self.labels.show_image(self._label_image(), size)
        veil = content.veil if content else None
        table = np.array([(0, 0, 0, 0), _VEIL], np.uint8)
        self.veil.show_image(QImage() if veil is None else indexed_image(veil.astype(np.uint8), table), size)

    def set_table(self, table: Array) -> None:
        """Recolours the labels."""
        self._table = table
        if len(table) <= 256:
            self.labels.set_table(table)
        elif self.content:
            self.labels.show_image(self._label_image(), self.content.size)

    def set_opacity(self, opacity: float) -> None:
        """Fades the labels, 0..1; where there is no picture below they stay."""
        covers = self.content is not None and self.content.image is None and self.content.values is None
        self.labels.setOpacity(1.0 if covers else opacity)

    def _label_image(self) -> QImage:
        if self.content is None or self.content.labels is None:
            return QImage()
        return indexed_image(self.content.labels, self._table)


def _base_image(content: Content | None) -> QImage:
    if content is None:
        return QImage()
    if content.values is not None:
        ids = np.clip(np.nan_to_num(content.values) * 255, 0, 255).round().astype(np.uint8)
        return indexed_image(ids, SCALES[content.scale])
    return QImage() if content.image is None else rgb_image(content.image)
