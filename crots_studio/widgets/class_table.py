"""The table of IoU by class: a bar in the class's colour, and the change since earlier models in words and colour."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRectF, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from crots_studio import theme
from crots_studio.models.iou import ClassTable
from crots_studio.models.names import title
from crots_studio.plain import plain_tooltip
from crots_studio.widgets.class_legend import EDGE, swatch

Index = QModelIndex | QPersistentModelIndex
SORT = Qt.ItemDataRole.UserRole
BAR = Qt.ItemDataRole.UserRole + 1
_NOWHERE = "not in these images"


class ClassTableModel(QAbstractTableModel):
    """Rows are classes; columns are class, IoU and one change for each earlier model."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table: ClassTable | None = None

    def show(self, table: ClassTable | None) -> None:
        """Takes over a table; the selection stays where rows and columns are the same."""
        old, self.table = self.table, table
        if old and table and _shape(old) == _shape(table):
            last = self.index(self.rowCount() - 1, self.columnCount() - 1)
            self.dataChanged.emit(self.index(0, 0), last)
        else:
            self.beginResetModel()
            self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """One per class."""
        return len(self.table.rows) if self.table and not parent.isValid() else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Class, IoU, changes."""
        return 2 + len(self.table.compared) if self.table and not parent.isValid() else 0

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802
        """Names of columns."""
        if self.table is None or orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return ["Class", "IoU %", *(f"vs {title(name)}" for name in self.table.compared)][section]
        if role == Qt.ItemDataRole.ToolTipRole and section >= 2:
            since = title(self.table.compared[section - 2])
            return plain_tooltip(f"Change of the IoU since {since}, in percentage points")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft if section == 0 else Qt.AlignmentFlag.AlignRight
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        """The content of a cell."""
        if self.table is None or not index.isValid():
            return None
        row, column = self.table.rows[index.row()], index.column()
        value = (row.iou, *row.changes)[column - 1] if column else None
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name if column == 0 else percent(value, signed=column > 1)
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return swatch(row.colour, 12)
        if role == Qt.ItemDataRole.ForegroundRole and column > 1:
            return change_colour(value)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return None if row.iou is not None else plain_tooltip(f"{row.name}: {_NOWHERE}")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.name if column == 0 else f"{row.name} {percent(value, signed=column > 1)}"
        if role == SORT:
            return index.row() if column == 0 else -2.0 if value is None else value
        return (row.iou, QColor(*row.colour)) if role == BAR and column == 1 else None


def _shape(table: ClassTable) -> tuple[Any, ...]:
    return table.subject, table.compared, tuple(row.name for row in table.rows)


def percent(value: float | None, *, signed: bool = False) -> str:
    """Writes a share as percent with one digit; a change with its sign, a proper minus included."""
    if value is None:
        return "\u2013"
    text = f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"
    text = "0.0" if float(text) == 0 else text
    return text.replace("-", "\u2212")


def change_colour(value: float | None) -> QColor:
    """Green for better, red for worse, muted for small changes."""
    colours = theme.colours()
    if value is None or abs(value) < 0.0005:
        return QColor(colours.muted)
    return QColor(colours.good if value > 0 else colours.bad)


class BarDelegate(QStyledItemDelegate):
    """Draws the IoU as a bar beside its number."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draws one cell."""
        found = index.data(BAR)
        if found and found[0] is not None:
            # Its number stands beside it, and is as easy to read whatever the class's colour.
            number = QFontMetrics(option.font).horizontalAdvance(" 100.0 ")
            room = QRectF(option.rect).adjusted(4, 3, -4 - number, -2)
            colour, empty = QColor(found[1]), QColor(theme.colours().grid)
            empty.setAlphaF(0.35)
            painter.fillRect(room, empty)
            bar = QRectF(room.left(), room.top(), room.width() * found[0], room.height())
            painter.fillRect(bar, colour)
            # Classes may be as dark, or as light, as the table itself.
            painter.save()
            painter.setPen(QColor(EDGE))
            painter.drawRect(bar.toAlignedRect().adjusted(0, 0, -1, -1))
            painter.restore()
        super().paint(painter, option, index)


_WIDEST_NAME = 130


class ClassTableView(QTableView):
    """The table as a widget; sorts by any column."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model_of_classes = ClassTableModel(self)
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSortRole(SORT)
        self.sorted.setSourceModel(self.model_of_classes)
        self.setModel(self.sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        self.setItemDelegateForColumn(1, BarDelegate(self))
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        # Long names that begin alike are distinguished by their ends.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.horizontalHeader().setHighlightSections(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(QFontMetrics(self.font()).height() + 8)
        self.setAccessibleName("IoU of each class")

    def show_table(self, table: ClassTable | None) -> None:
        """Shows a table."""
        self.model_of_classes.show(table)
        header, metrics = self.horizontalHeader(), QFontMetrics(self.font())
        for column in range(self.model_of_classes.columnCount()):
            mode = QHeaderView.ResizeMode.Stretch if column == 1 else QHeaderView.ResizeMode.Interactive
            header.setSectionResizeMode(column, mode)
            if column == 0:
                self.setColumnWidth(column, min(self.sizeHintForColumn(column) + 6, _WIDEST_NAME))
            elif column > 1:
                name = str(self.model_of_classes.headerData(column, Qt.Orientation.Horizontal, 0))
                self.setColumnWidth(column, metrics.horizontalAdvance(name) + 18)

    def selected_class(self) -> str | None:
        """Returns the class of the selected row."""
        rows = self.selectionModel().selectedRows()
        return str(rows[0].data()) if rows else None
