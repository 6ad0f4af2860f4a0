"""Compares methods on the project's images: the table with deviations over seeds and cost, and its run."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from crots_studio import theme
from crots_studio.models.methods_table import VIEWS, MethodsTable, View
from crots_studio.plain import Label, plain_tooltip
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session
from crots_studio.widgets.controls import indent
from crots_studio.widgets.plot_tools import EmptyState, ExportButton
from crots_studio.widgets.run_question import start_run

_EMPTY = (
    "No comparison yet.\n\nCompare methods trains this project's student with several methods, each with several "
    "seeds and the same steps, and scores them on the validation labels. It takes about as long as that many rounds, "
    "runs in a separate process, and can be stopped and resumed."
)
_LOOK_MS = 2000


class MethodsPanel(QWidget):
    """The bar above, the table below."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Methods")
        self._session = session
        self.shown = MethodsTable()
        self.view = QComboBox()
        self.view.setAccessibleName("What the table shows")
        for key, text in VIEWS.items():
            self.view.addItem(text, key)
        self.seeds = _spin("Seeds", 1, 20, 3, "Number of seeds: each method runs once per seed")
        self.steps = _spin(
            "Steps of the baseline and of each round", 0, 10**6, 0, "Fewer steps give a rougher answer sooner"
        )
        self.steps.setSpecialValueText("the project's")
        self.run_button = QPushButton("Co&mpare methods")
        self.table = QTableWidget()
        self.table.setAccessibleName("Methods compared")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setAlternatingRowColors(True)
        self.table.verticalHeader().hide()
        self.caption = Label()
        self.caption.setProperty("role", "muted")
        self.caption.setWordWrap(True)
        self.save = ExportButton(session, self.table, lambda: self.shown.csv, "methods")
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._build()
        self._connect()
        self._show(MethodsTable())

    def _build(self) -> None:
        bar = QHBoxLayout()
        bar.addWidget(self.view)
        bar.addWidget(self.save)
        bar.addStretch(1)
        for text, box in (("See&ds", self.seeds), ("S&teps", self.steps)):
            label = Label(text)
            label.setBuddy(box)
            bar.addWidget(label)
            bar.addWidget(box)
        bar.addWidget(self.run_button)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.table, 1)
        column.addWidget(self.caption)
        self.stack = QStackedWidget()
        self.stack.addWidget(EmptyState(_EMPTY))
        self.stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(bar)
        layout.addWidget(self.stack, 1)

    def _connect(self) -> None:
        session = self._session
        self.view.currentIndexChanged.connect(self._fill)
        self.run_button.clicked.connect(self.run)
        self._timer.timeout.connect(self._read)
        session.opened.project_changed.connect(self._another_project)
        session.run.busy_changed.connect(self._busy)
        session.theme_changed.connect(self._fill)
        for signal in (session.opened.config_changed, session.run.blocker_changed, session.run.changed):
            signal.connect(self._enable)

    # The table.

    def _another_project(self) -> None:
        self._show(MethodsTable())
        self._read()

    def _read(self) -> None:
        project = self._session.project
        if project is not None:
            folder = project.folder
            self._session.errands.in_background(
                lambda: (folder, MethodsTable.read(folder)), self._found, token="methods"
            )

    def _found(self, found: tuple[Path, MethodsTable]) -> None:
        project = self._session.project
        if project is not None and project.folder == found[0] and found[1] != self.shown:
            self._show(found[1])

    def _show(self, table: MethodsTable) -> None:
        self.shown = table
        self.stack.setCurrentIndex(1 if table else 0)
        self.caption.setText(table.caption)
        self._fill()
        self._enable()

    def _fill(self) -> None:
        view: View = self.view.currentData()
        header, *rows = self.shown.cells(view) or [[]]
        self.table.setColumnCount(len(header))
        self.table.setHorizontalHeaderLabels(header)
        if first := self.table.horizontalHeaderItem(0):
            first.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(1, len(header)):
            if item := self.table.horizontalHeaderItem(column):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.table.setRowCount(len(rows))
        marked, about, warning = self.shown.marked(view), self.shown.about, QColor(theme.colours().warning)
        for place, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if (place if view == "methods" else column) in marked:
                    item.setForeground(warning)
                if view == "methods":
                    item.setToolTip(plain_tooltip(about[place]))
                self.table.setItem(place, column, item)
        heading = self.table.horizontalHeader()
        heading.setHighlightSections(False)
        heading.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        if header:
            heading.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    # The run.

    def _enable(self) -> None:
        session = self._session
        project = session.project
        labels = project is not None and project.config.data.val_labels is not None
        reason = session.run.blocker or (
            "" if labels else "It needs validation images with labels; choose them in Set-up"
        )
        if session.run.busy:
            reason = "A run is in progress"
        self.run_button.setEnabled(project is not None and not reason)
        self.run_button.setToolTip(
            plain_tooltip(reason or "Trains and scores every method with every seed, in a separate process")
        )
        for box in (self.seeds, self.steps):
            box.setEnabled(project is not None and not session.run.busy)
        self.view.setEnabled(bool(self.shown))
        self.save.setEnabled(bool(self.shown))

    def run(self) -> None:
        """Starts the comparison in a child process; what an earlier one finished is kept."""
        request = RunRequest(seeds=tuple(range(self.seeds.value())), steps=self.steps.value())
        start_run(self._session, self, request)

    def _busy(self, busy: bool) -> None:
        self._enable()
        if busy and self._session.run.request.compares:
            self._timer.start()
        else:
            self._timer.stop()
            self._read()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Checks whether a comparison in a terminal has written results meanwhile."""
        super().showEvent(event)
        self._read()


def _spin(name: str, least: int, most: int, value: int, tip: str) -> QSpinBox:
    box = QSpinBox()
    indent(box)
    box.setRange(least, most)
    box.setValue(value)
    box.setAccessibleName(name)
    box.setToolTip(plain_tooltip(tip))
    return box
