"""A gallery of any number of pictures: only those on screen are decoded, in other threads, and few are kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, QStringListModel, Qt, Signal, Slot
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)
from shiboken6 import isValid

from crots.arrays import Array
from crots_studio.models.image_store import Bounded, PictureQueue
from crots_studio.plain import plain_tooltip
from crots_studio.widgets.picture_layers import rgb_image

Index = QModelIndex | QPersistentModelIndex
MEMORY = 24 * 2**20
PICTURE_SIDE = 128


@dataclass(frozen=True)
class Thumbnail:
    """One entry of a gallery.

    Attributes:
        key: of its picture among the kept ones; another key when the picture must be drawn again.
        load: gives the picture (h, w, 3) uint8, in another thread.
        caption: below it.
        tip: tooltip, and what a screen reader says.
        mark: a word over the picture, such as "rejected"; empty for none.
        figure: a number in the picture's lower right corner.
        crossed: draw it crossed out.
        colours: of small squares in the corner, RGB.
    """

    key: Hashable
    load: Callable[[], Array] = field(compare=False)
    caption: str = ""
    tip: str = ""
    mark: str = ""
    figure: str = ""
    crossed: bool = False
    colours: tuple[tuple[int, int, int], ...] = ()


# An entry that is about to be replaced.
NOTHING = Thumbnail(key=None, load=lambda: np.zeros((1, 1, 3), np.uint8))


class ThumbnailModel(QStringListModel):
    """Entries by row, made when asked for, so that a hundred thousand of them cost nothing.

    A list view asks for the number of rows once per row: Qt's own model returns that without a call into Python.
    """

    _loaded = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count = 0
        self._describe: Callable[[int], Thumbnail] | None = None
        self._kept: Bounded[Hashable, QImage | str] = Bounded(MEMORY, _weigh)
        self._asked: dict[Hashable, int] = {}
        self.queue = PictureQueue(self._hand_over)
        self.destroyed.connect(self.queue.stop)
        self._loaded.connect(self.take, Qt.ConnectionType.QueuedConnection)

    def _hand_over(self, key: Hashable, picture: Array | Exception) -> None:
        """On a loading thread."""
        if isValid(self):
            self._loaded.emit(key, picture)

    def show(self, count: int, describe: Callable[[int], Thumbnail]) -> None:
        """Shows other entries; pictures of equal keys are still there."""
        self._count, self._describe = count, describe
        self._asked.clear()
        self.queue.clear()
        self.setStringList([""] * count)

    def forget(self) -> None:
        """Loads all pictures again when they are next visible."""
        self._kept.clear()

    def refresh(self) -> None:
        """Updates all captions and marks; the selection stays."""
        if self._count:
            self.dataChanged.emit(self.index(0), self.index(self._count - 1))

    def entry(self, row: int) -> Thumbnail:
        """Returns one entry."""
        assert self._describe is not None
        return self._describe(row)

    def picture(self, row: int) -> QImage | str | None:
        """Returns the picture of a row, why there is none, or None while it is being loaded."""
        entry = self.entry(row)
        kept = self._kept.get(entry.key)
        if kept is None:
            self._asked[entry.key] = row
            self.queue.want(entry.key, entry.load)
        return kept

    @property
    def kept(self) -> int:
        """Pictures in memory."""
        return len(self._kept)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt asks."""
        if not index.isValid() or self._describe is None or index.row() >= self._count:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.entry(index.row()).caption
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            entry = self.entry(index.row())
            label = ", ".join(part for part in (entry.tip or entry.caption, entry.mark) if part)
            return plain_tooltip(label) if role == Qt.ItemDataRole.ToolTipRole else label
        return None

    @Slot(object, object)
    def take(self, key: Hashable, picture: Array | Exception) -> None:
        """Takes over what was read for a picture, or why it could not be."""
        self._kept.put(key, str(picture) if isinstance(picture, Exception) else rgb_image(picture))
        row = self._asked.pop(key, None)
        if row is not None and row < self._count:
            self.dataChanged.emit(self.index(row), self.index(row))


def _weigh(picture: QImage | str) -> int:
    return picture.sizeInBytes() if isinstance(picture, QImage) else 200


class ThumbnailDelegate(QStyledItemDelegate):
    """Draws one entry: picture, caption, colours, mark."""

    def __init__(self, cell: QSize, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cell = cell

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        """All cells have one size, which spares the view from asking for each."""
        return self.cell

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt asks."""
        model = index.model()
        if not isinstance(model, ThumbnailModel):
            return
        painter.save()
        option_any: Any = option
        rect, state, palette = option_any.rect, option_any.state, option_any.palette
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(rect.adjusted(1, 1, -1, -1), palette.color(QPalette.ColorRole.Highlight))
        entry = model.entry(index.row())
        line = painter.fontMetrics().height()
        area = rect.adjusted(5, 5, -5, -7 - line)
        self._draw_picture(painter, area, model.picture(index.row()), entry, palette)
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        painter.setPen(palette.color(role))
        below = QRect(rect.left() + 4, rect.bottom() - line - 3, rect.width() - 8, line)
        text = painter.fontMetrics().elidedText(entry.caption, Qt.TextElideMode.ElideMiddle, below.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, text)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Text), 1, Qt.PenStyle.DotLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect.adjusted(1, 1, -2, -2))
        painter.restore()

    def _draw_picture(
        self, painter: QPainter, area: QRect, picture: QImage | str | None, entry: Thumbnail, palette: QPalette
    ) -> None:
        if not isinstance(picture, QImage):
            painter.fillRect(area, palette.color(QPalette.ColorRole.AlternateBase))
            painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(area.adjusted(3, 3, -3, -3), flags, "unreadable" if picture else "")
            return
        size = picture.size().scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRect(0, 0, size.width(), size.height())
        target.moveCenter(area.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setOpacity(0.35 if entry.crossed else 1.0)
        painter.drawImage(target, picture)
        painter.setOpacity(1.0)
        if entry.crossed:
            painter.setPen(QPen(QColor(215, 60, 65), 3))
            painter.drawLine(target.topLeft(), target.bottomRight())
            painter.drawLine(target.topRight(), target.bottomLeft())
        for number, colour in enumerate(entry.colours[:8]):
            painter.setPen(QColor(255, 255, 255))
            painter.setBrush(QColor(*colour))
            painter.drawRect(target.left() + 3 + 13 * number, target.bottom() - 13, 10, 10)
        if entry.mark:
            self._draw_text(painter, target, entry.mark)
        if entry.figure:
            self._draw_text(painter, target, entry.figure, low=True)

    def _draw_text(self, painter: QPainter, target: QRect, mark: str, *, low: bool = False) -> None:
        """In the upper left corner of a picture, or the lower right one."""
        metrics = painter.fontMetrics()
        box = QRect(target.left(), target.top(), metrics.horizontalAdvance(mark) + 10, metrics.height() + 2)
        if low:
            box.moveBottomRight(target.bottomRight())
        painter.fillRect(box, QColor(0, 0, 0, 190))
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, mark)


class ThumbnailView(QListView):
    """A wrapping grid of thumbnails.

    Signals:
        picked(int): another row became the current one.
    """

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, several: bool = False, cell: QSize | None = None) -> None:
        super().__init__(parent)
        self.thumbnails = ThumbnailModel(self)
        self.empty_text = ""
        # Whether it is an error, and no explanation.
        self.empty_is_fault = False
        self.setModel(self.thumbnails)
        cell = cell or QSize(132, 112)
        self.setItemDelegate(ThumbnailDelegate(cell, self))
        self.setGridSize(cell)
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        mode = QAbstractItemView.SelectionMode
        self.setSelectionMode(mode.ExtendedSelection if several else mode.SingleSelection)
        self.selectionModel().currentChanged.connect(self._current_changed)

    def show_entries(self, count: int, describe: Callable[[int], Thumbnail], *, current: int = 0) -> None:
        """Shows other entries and makes one of them the current one."""
        self.thumbnails.show(count, describe)
        if 0 <= current < count:
            self.setCurrentIndex(self.thumbnails.index(current))
            self.scrollTo(self.thumbnails.index(current))

    @property
    def current(self) -> int:
        """The current row, -1 for none."""
        return self.currentIndex().row()

    @property
    def chosen(self) -> list[int]:
        """The selected rows, in order."""
        return sorted(index.row() for index in self.selectedIndexes())

    def _current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid():
            self.picked.emit(current.row())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Shows why the gallery is empty."""
        super().paintEvent(event)
        if self.thumbnails.rowCount() or not self.empty_text:
            return
        painter = QPainter(self.viewport())
        role = QPalette.ColorRole.BrightText if self.empty_is_fault else QPalette.ColorRole.PlaceholderText
        painter.setPen(self.palette().color(role))
        area = self.viewport().rect().adjusted(16, 16, -16, -16)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self.empty_text)
        painter.end()

    def stop(self) -> None:
        """Ends the loading threads."""
        self.thumbnails.queue.stop()
