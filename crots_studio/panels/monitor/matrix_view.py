"""A square matrix as a heat map that keys, mouse and screen readers can walk through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from crots.taxonomy import Colour
from crots_studio import theme
from crots_studio.models.iou import Matrix
from crots_studio.plain import plain_tooltip
from crots_studio.widgets.class_legend import swatch

Index = QModelIndex | QPersistentModelIndex
SHARE = Qt.ItemDataRole.UserRole
_SMALLEST, _WIDEST, _HIGHEST = 14, 88, 56
_WIDEST_NAME = 150
_WRITTEN_FROM = 22
_SWATCH = 10
_FLAT = "QHeaderView::section { background: transparent; border: none; padding: 0 4px; }"


class MatrixModel(QAbstractTableModel):
    """Cells with a text and a share 0..1 that sets their colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names: tuple[str, ...] = ()
        self.colours: tuple[Colour, ...] = ()
        self.shares: Matrix | None = None
        self.texts: Sequence[Sequence[str]] = ()
        self.tips: Sequence[Sequence[str]] = ()

    def show(
        self,
        names: tuple[str, ...],
        colours: tuple[Colour, ...],
        shares: Matrix | None,
        texts: Sequence[Sequence[str]],
        tips: Sequence[Sequence[str]],
    ) -> None:
        """Takes over a matrix: ``texts`` stand in the cells, ``words`` say each cell as a sentence."""
        same = names == self.names and (shares is None) == (self.shares is None)
        self.names, self.colours, self.shares, self.texts, self.tips = names, colours, shares, texts, tips
        if same and names:
            self.dataChanged.emit(self.index(0, 0), self.index(len(names) - 1, len(names) - 1))
            for side in (Qt.Orientation.Horizontal, Qt.Orientation.Vertical):
                self.headerDataChanged.emit(side, 0, len(names) - 1)
        else:
            self.beginResetModel()
            self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """One per true class."""
        return len(self.names) if self.shares is not None and not parent.isValid() else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """One per predicted class."""
        return self.rowCount(parent)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802
        """Class names with their colours."""
        if not 0 <= section < len(self.names):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.names[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(self.names[section])
        if role == Qt.ItemDataRole.DecorationRole and orientation == Qt.Orientation.Vertical:
            return swatch(self.colours[section], _SWATCH)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        """Text, sentence or share of a cell."""
        if self.shares is None or not index.isValid():
            return None
        row, column = index.row(), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.texts[row][column]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.tips[row][column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(self.tips[row][column])
        return float(self.shares[row, column]) if role == SHARE else None


class HeatDelegate(QStyledItemDelegate):
    """Fills a cell by its share: the diagonal in the theme's colour for good, the rest in that for bad."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draws one cell."""
        rect: QRect = option.rect
        share, colours = float(index.data(SHARE) or 0.0), theme.colours()
        colour = QColor(colours.good if index.row() == index.column() else colours.bad)
        # The square root makes confusions of one percent visible.
        fill = mixed(QColor(colours.background), colour, share**0.5 * 0.9)
        painter.fillRect(rect.adjusted(0, 0, -1, -1), fill)
        if rect.width() >= _WRITTEN_FROM:
            painter.setPen(text_on(fill))
            font = QFont(painter.font())
            font.setPixelSize(min(12, rect.height() - 3))
            painter.setFont(font)
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, str(index.data()))
        view = self.parent()
        if isinstance(view, QTableView) and view.currentIndex() == index:
            painter.setPen(QColor(colours.text if view.hasFocus() else colours.muted))
            painter.drawRect(rect.adjusted(0, 0, -2, -2))


def text_on(fill: QColor) -> QColor:
    """Returns white or black, whichever is read better on a colour, by the contrast of WCAG."""
    shares = (fill.redF(), fill.greenF(), fill.blueF())
    parts = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return QColor("#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000")


def mixed(first: QColor, second: QColor, share: float) -> QColor:
    """Returns a colour between two."""
    pairs = ((first.red(), second.red()), (first.green(), second.green()), (first.blue(), second.blue()))
    return QColor(*(round(a + (b - a) * share) for a, b in pairs))


class RotatedHeader(QHeaderView):
    """Column names written upwards, so that narrow columns can have long names."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setMinimumSectionSize(_SMALLEST)

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:  # noqa: N802
        """Draws one name."""
        painter.save()
        painter.translate(rect.left(), rect.bottom())
        painter.rotate(-90)
        model = self.model()
        painter.drawPixmap(2, (rect.width() - _SWATCH) // 2, self._swatch(section).pixmap(_SWATCH, _SWATCH))
        painter.setPen(self.palette().windowText().color())
        text = str(model.headerData(section, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))
        place = QRect(16, 0, rect.height() - 18, rect.width())
        elided = QFontMetrics(self.font()).elidedText(text, Qt.TextElideMode.ElideMiddle, place.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, elided)
        painter.restore()

    def _swatch(self, section: int) -> Any:
        return self.model().headerData(section, Qt.Orientation.Vertical, Qt.ItemDataRole.DecorationRole)

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as the longest name, up to a limit."""
        model, metrics = self.model(), QFontMetrics(self.font())
        names = [
            str(model.headerData(section, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))
            for section in range(self.count())
        ]
        longest = max((metrics.horizontalAdvance(name) for name in names), default=0)
        return QSize(super().sizeHint().width(), min(longest, 110) + 24)


class MatrixView(QTableView):
    """The heat map; its cells fill the room there is.

    Signals:
        chosen(QModelIndex): a cell was clicked, or Return was pressed on it.
    """

    chosen = Signal(QModelIndex)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.matrix = MatrixModel(self)
        self.setModel(self.matrix)
        self.setHorizontalHeader(RotatedHeader(self))
        self.setItemDelegate(HeatDelegate(self))
        self.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().setStyleSheet(_FLAT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setMinimumSectionSize(_SMALLEST)
        self.verticalHeader().setMaximumWidth(_WIDEST_NAME)
        self.verticalHeader().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        self.matrix.modelReset.connect(self._fit)
        self.clicked.connect(self.chosen)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Return does what a click does."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fits the cells to the new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        count = len(self.matrix.names)
        if not count:
            return
        frame = 2 * self.frameWidth()
        room = (
            self.width() - min(self.verticalHeader().sizeHint().width(), _WIDEST_NAME) - frame,
            self.height() - self.horizontalHeader().sizeHint().height() - frame,
        )
        width = min(max(room[0] // count, _SMALLEST), _WIDEST)
        height = min(max(room[1] // count, _SMALLEST), _HIGHEST, width)
        self.horizontalHeader().setDefaultSectionSize(width)
        self.verticalHeader().setDefaultSectionSize(height)
