"""The table of past runs with scores and differing options; ticked runs are drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics
from PySide6.QtWidgets import QHeaderView, QTableView, QWidget

from crots_studio import theme
from crots_studio.models.iou import ClassLook
from crots_studio.models.names import running_order
from crots_studio.models.runs import PastRun, class_names, differing_options
from crots_studio.models.words import duration
from crots_studio.plain import plain_tooltip
from crots_studio.widgets.class_legend import show_boxes
from crots_studio.widgets.class_table import percent
from crots_studio.widgets.plot_legend import swatch

Index = QModelIndex | QPersistentModelIndex
Key = tuple[str, str, int]
SORT = Qt.ItemDataRole.UserRole
FOLDER = Qt.ItemDataRole.UserRole + 1
# Pixels: a box to tick, and around the words of the state.
_BOX, _AIR = 16, 16
_WIDEST_CLASS = 110
_FIXED = ("Model", "Project", "mIoU %", "Steps", "Took", "State", "Differs in", "Note")
_STATE = _FIXED.index("State")
_ORACLE = (
    "Oracle: this checkpoint, or one it started from, was chosen with validation labels. "
    "Read its score as an upper bound."
)


class RunTableModel(QAbstractTableModel):
    """Rows are runs; one column per class follows the fixed ones.

    Signals:
        ticked(): the choice of what to draw changed.
    """

    ticked = Signal()

    def __init__(self, colour: Callable[[PastRun], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colour = colour
        self.runs: tuple[PastRun, ...] = ()
        self.chosen: set[Key] = set()
        self._classes: tuple[str, ...] = ()
        self._differs: dict[Key, str] = {}

    def show(self, runs: Sequence[PastRun], look: ClassLook) -> None:
        """Takes over runs; those that were ticked stay so."""
        self.beginResetModel()
        self.runs = tuple(runs)
        self._classes = class_names(runs, look)
        self._differs = differing_options(runs)
        self.endResetModel()

    def class_of(self, column: int) -> str:
        """The class whose IoU stands in a column; empty where it is another figure."""
        return self._classes[column - len(_FIXED)] if column >= len(_FIXED) else ""

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """One per run."""
        return 0 if parent.isValid() else len(self.runs)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """The fixed ones and one per class."""
        return 0 if parent.isValid() else len(_FIXED) + len(self._classes)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802
        """Names of columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return (*_FIXED, *self._classes)[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        if role == Qt.ItemDataRole.ToolTipRole and section >= len(_FIXED):
            return plain_tooltip(f"IoU of {self._classes[section - len(_FIXED)]} in percent")
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """The first column can be ticked."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def data(self, index: Index, role: int = 0) -> Any:
        """What a cell shows."""
        if not index.isValid():
            return None
        run, column = self.runs[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(run, column)
        if role == SORT:
            return self._rank(run, column)
        if role == FOLDER:
            return str(run.folder)
        if role == Qt.ItemDataRole.CheckStateRole and column == 0:
            return Qt.CheckState.Checked if run.key in self.chosen else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return swatch(self._colour(run), filled=run.key in self.chosen)
        marked = (column == 2 and run.oracle) or (column == _STATE and run.problem)
        if role == Qt.ItemDataRole.ForegroundRole and marked:
            return QColor(theme.colours().warning)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return plain_tooltip(self._tip(run, column) or "") if role == Qt.ItemDataRole.ToolTipRole else None

    def _tip(self, run: PastRun, column: int) -> str | None:
        if column == 1:
            return "\n".join(filter(None, (str(run.folder), run.project_note.note)))
        if column == 7:
            return run.note.note or None
        if column == 2 and run.oracle:
            return _ORACLE
        if column == _STATE and run.problem:
            return f"{run.model} {run.problem}"
        if column == 0 and run.started:
            return time.strftime("Started %Y-%m-%d %H:%M", time.localtime(run.started)) + f" on {run.device}"
        if name := self.class_of(column):
            return f"A double click, or Return, shows the images of {name}, the worst first"
        return self._differs.get(run.key) or None if column == 6 else None

    def setData(self, index: Index, value: Any, role: int = 0) -> bool:  # noqa: N802
        """Ticks a run."""
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != 0:
            return False
        key = self.runs[index.row()].key
        (self.chosen.add if Qt.CheckState(value) == Qt.CheckState.Checked else self.chosen.discard)(key)
        self.dataChanged.emit(index, index)
        self.ticked.emit()
        return True

    def _text(self, run: PastRun, column: int) -> str:
        if column >= len(_FIXED):
            return percent(run.score.per_class.get(self._classes[column - len(_FIXED)])) if run.score else "\u2013"
        if column == 2:
            return percent(run.score.miou if run.score else None) + (" oracle" if run.oracle else "")
        took = "" if run.seconds is None else duration(run.seconds)
        steps = f"{run.total:,}" if run.total else ""
        differs, note = self._differs.get(run.key, ""), " ".join(run.note.note.split())
        return (run.title, run.project_title, "", steps, took, run.state, differs, note)[column]

    def _rank(self, run: PastRun, column: int) -> Any:
        """Numbers sort as numbers, models in running order."""
        if column == 0:
            order = running_order(run.stage)
            return order[0] * 1e6 + order[1] * 1e3 + run.number
        if column == 2 or column >= len(_FIXED):
            name = self._classes[column - len(_FIXED)] if column != 2 else ""
            value = (run.score.per_class.get(name) if name else run.score.miou) if run.score else None
            return -1.0 if value is None else value
        return {3: float(run.total), 4: run.seconds or 0.0}.get(column, self._text(run, column))


def _alignment(column: int) -> Qt.AlignmentFlag:
    """Figures end under the end of their heading, words begin under its beginning."""
    figures = column in (2, 3, 4) or column >= len(_FIXED)
    side = Qt.AlignmentFlag.AlignRight if figures else Qt.AlignmentFlag.AlignLeft
    # Apart from the figures before it.
    side = Qt.AlignmentFlag.AlignHCenter if column == _STATE else side
    return side | Qt.AlignmentFlag.AlignVCenter


class RunTableView(QTableView):
    """The table as a widget; the space bar ticks.

    Signals:
        iou_opened(PastRun, str): a double click, or Return, on the IoU of a class.
    """

    iou_opened = Signal(object, str)

    def __init__(self, colour: Callable[[PastRun], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = RunTableModel(colour, self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSortRole(SORT)
        self._sorted.setSourceModel(self.table)
        self.setModel(self._sorted)
        self.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.horizontalHeader().setHighlightSections(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(QFontMetrics(self.font()).height() + 8)
        self.setAccessibleName("Runs; the space bar ticks what is drawn")
        show_boxes(self)
        self.activated.connect(self._open)

    def _open(self, index: QModelIndex) -> None:
        place = self._sorted.mapToSource(index)
        run, name = self.table.runs[place.row()], self.table.class_of(place.column())
        if name and run.score is not None:
            self.iou_opened.emit(run, name)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            show_boxes(self)

    def show_runs(self, runs: Sequence[PastRun], look: ClassLook) -> None:
        """Shows runs, those that were selected still so; a column of projects only where there are several."""
        selected = {run.key for run in self._selected_runs()}
        self.table.show(runs, look)
        self._select(selected)
        # Before the widths: a hidden column has none.
        one = len({run.folder for run in runs}) < 2
        self.setColumnHidden(1, one and not any(run.project_note for run in runs))
        self.setColumnHidden(6, not any(self.table._differs.values()))
        self.setColumnHidden(7, not any(run.note.note for run in runs))
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.resizeColumnsToContents()
        # The tick boxes of the theme are wider than those that the width is computed with.
        self.setColumnWidth(0, self.columnWidth(0) + _BOX)
        self.setColumnWidth(_STATE, self.columnWidth(_STATE) + _AIR)
        for column in range(6, self.table.columnCount()):
            self.setColumnWidth(column, min(self.columnWidth(column), 260 if column in (6, 7) else _WIDEST_CLASS))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        """Space ticks all selected rows alike, whichever column the cursor is in."""
        rows = self.selectionModel().selectedRows(0)
        if event.key() != Qt.Key.Key_Space or not rows:
            super().keyPressEvent(event)
            return
        checked = rows[0].data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
        state = Qt.CheckState.Unchecked if checked else Qt.CheckState.Checked
        for row in rows:
            self.model().setData(row, state, Qt.ItemDataRole.CheckStateRole)

    def _selected_runs(self) -> list[PastRun]:
        rows = self.selectionModel().selectedRows(0)
        return [self.table.runs[self._sorted.mapToSource(row).row()] for row in rows]

    def _select(self, keys: set[Key]) -> None:
        found = QItemSelection()
        for row, run in enumerate(self.table.runs):
            if run.key in keys:
                index = self._sorted.mapFromSource(self.table.index(row, 0))
                found.select(index, index)
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.selectionModel().select(found, flags)

    def selected_run(self) -> PastRun | None:
        """Returns the run of the selected row; None where none or several are selected."""
        runs = self._selected_runs()
        return runs[0] if len(runs) == 1 else None

    def selected_projects(self) -> set[str]:
        """Returns the folders of the projects of selected rows."""
        rows = self.selectionModel().selectedRows(1)
        return {str(row.data(FOLDER)) for row in rows}
