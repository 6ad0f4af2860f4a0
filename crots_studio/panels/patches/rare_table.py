"""The classes as a table: which are rare, how rare, how surely predicted, how many patches, and why."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from crots.taxonomy import ClassSet
from crots_studio.models.patch_gallery import RareRow
from crots_studio.plain import plain_tooltip
from crots_studio.widgets.class_legend import percent, show_boxes, swatch

# Names such as "motorcycle" are whole.
_NARROWEST = 304
_HEADS = ("Rare class", "Share", "Conf.", "Patches")
_TIPS = (
    "Patches are cut for the ticked classes",
    "Share of all predicted pixels",
    "Mean confidence of the pixels predicted as this class",
    "Patches that show the class; with rejected ones: trained on / all",
)


class RareTable(QTableWidget):
    """A row for each class.

    Signals:
        rare_changed(frozenset[int]): the user ticked another set.
        class_picked(int): a row became the current one.
    """

    rare_changed = Signal(object)
    class_picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_HEADS), parent)
        self.setAccessibleName("Rare classes")
        for column, (head, tip) in enumerate(zip(_HEADS, _TIPS, strict=True)):
            item = QTableWidgetItem(head)
            item.setToolTip(plain_tooltip(tip))
            side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            self.setHorizontalHeaderItem(column, item)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setHighlightSections(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setIconSize(QSize(14, 14))
        self.setShowGrid(False)
        # Names such as "traffic light" and "traffic sign" begin alike.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setMinimumWidth(_NARROWEST)
        show_boxes(self)
        self.itemChanged.connect(self._item_changed)
        self.currentCellChanged.connect(self._cell_changed)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            show_boxes(self)

    def show_rows(self, rows: Sequence[RareRow], classes: ClassSet | None) -> None:
        """Shows the classes; the current row stays."""
        with QSignalBlocker(self):
            self.setRowCount(len(rows))
            for place, row in enumerate(rows):
                self._show_row(place, row, classes)

    def _show_row(self, place: int, row: RareRow, classes: ClassSet | None) -> None:
        name = self._cell(place, 0)
        name.setText(row.name)
        name.setIcon(swatch(classes.palette[row.id]) if classes is not None else QIcon())
        name.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable)
        name.setCheckState(Qt.CheckState.Checked if row.rare else Qt.CheckState.Unchecked)
        patches = "" if not row.patches else f"{row.patches:,}"
        if row.kept != row.patches:
            patches = f"{row.kept:,}/{row.patches:,}"
        sure = "–" if row.confidence is None else f"{row.confidence:.2f}"  # noqa: RUF001
        tip = f"{row.name}: {row.reason}" if row.reason else f"{row.name}: not rare"
        name.setToolTip(plain_tooltip(tip))
        for column, text in enumerate((percent(row.share), sure, patches), start=1):
            cell = self._cell(place, column)
            cell.setText(text)
            cell.setToolTip(plain_tooltip(tip))
            cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        """Keeps what is there: it is shown anew with every change of the options."""
        if (cell := self.item(row, column)) is None:
            cell = QTableWidgetItem()
            self.setItem(row, column, cell)
        return cell

    @property
    def rare(self) -> frozenset[int]:
        """The ticked classes."""
        names = [(row, self.item(row, 0)) for row in range(self.rowCount())]
        return frozenset(row for row, item in names if item and item.checkState() == Qt.CheckState.Checked)

    def reason(self, row: int) -> str:
        """Why the class of a row is rare, or that it is not."""
        item = self.item(row, 0)
        return item.toolTip() if item else ""

    def _item_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            self.rare_changed.emit(self.rare)

    def _cell_changed(self, row: int, _column: int, before: int, _before_column: int) -> None:
        if row >= 0 and row != before:
            self.class_picked.emit(row)
