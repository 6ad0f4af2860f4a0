"""What is mistaken for what: the confusion matrix of a model, and its commonest mistakes in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from crots_studio.models.iou import (
    ClassLook,
    Normalisation,
    Score,
    Scores,
    confusion_csv,
    mistakes,
    normalised,
)
from crots_studio.models.names import title
from crots_studio.session import Session
from crots_studio.widgets.matrix_view import MatrixView
from crots_studio.widgets.plot_tools import EmptyState, ExportButton, Redraw

_WAYS: dict[Normalisation, str] = {
    "truth": "share of the true class",
    "prediction": "share of the predicted class",
    "pixels": "pixels",
}
_EMPTY = "No confusion matrix yet.\n\nIt comes with the first validation, which needs images with labels."


class ConfusionPanel(QWidget):
    """Matrix left, mistakes right."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._scores = Scores()
        self._look = ClassLook()
        self._followed = ""
        self._shown: tuple[Score, Normalisation, bool] | None = None
        self._build(session)
        self.redraw = Redraw(self, self._draw)
        session.theme_changed.connect(self._recolour)

    def _build(self, session: Session) -> None:
        self.subject = QComboBox()
        self.subject.setAccessibleName("Model of the confusion matrix")
        self.subject.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.way = QComboBox()
        self.way.setAccessibleName("What the cells show")
        for key, text in _WAYS.items():
            self.way.addItem(text, key)
        self.view = MatrixView()
        self.view.setAccessibleName("Confusion matrix: rows are true classes, columns predicted ones")
        self.read_out = QLabel()
        self.read_out.setWordWrap(True)
        self.mistakes = QListWidget()
        self.mistakes.setAccessibleName("Commonest mistakes")
        self.mistakes.setSpacing(2)
        left, right = QWidget(), QWidget()
        self.save = ExportButton(session, left, self.table, "confusion")
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        axes = QLabel("Rows: what it is. Columns: what the model says.")
        axes.setProperty("role", "muted")
        column.addWidget(axes)
        column.addWidget(self.view, 1)
        column.addWidget(self.read_out)
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(QLabel("Commonest mistakes"))
        column.addWidget(self.mistakes, 1)
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.addWidget(left)
        self.split.addWidget(right)
        self.split.setSizes([640, 240])
        self.split.setChildrenCollapsible(False)
        self.stack = QStackedWidget()
        self.stack.addWidget(EmptyState(_EMPTY))
        self.stack.addWidget(self.split)
        bar = QHBoxLayout()
        for widget in (self.subject, self.way):
            bar.addWidget(widget)
        bar.addStretch(1)
        bar.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(bar)
        layout.addWidget(self.stack, 1)
        self._connect()

    def _connect(self) -> None:
        self.subject.activated.connect(self._choose_subject)
        self.way.activated.connect(lambda: self.redraw.now())
        self.view.entered.connect(self._read)
        self.view.selectionModel().currentChanged.connect(self._read)
        self.mistakes.currentRowChanged.connect(self._find)

    # Data.

    def show_scores(self, scores: Scores) -> None:
        """Shows another project's scores."""
        self._scores, self._followed, self._shown = scores, "", None
        self._look = ClassLook.of(self._session.project)
        self.redraw.ask()

    def update_scores(self) -> None:
        """The scores given to `show_scores` have grown."""
        self.redraw.ask()

    def table(self) -> str:
        """The pixel counts of the shown model as CSV."""
        score = self._score()
        return confusion_csv(score.confusion, tuple(score.per_class)) if score and score.confusion else ""

    def _score(self) -> Score | None:
        return self._scores.latest(self.subject.currentData() or "")

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Catches up with what came while the panel was hidden."""
        super().showEvent(event)
        self.redraw.shown()

    # Drawing.

    def _draw(self) -> None:
        found = {name: self._scores.latest(name) for name in self._scores.subjects}
        subjects = tuple(name for name, score in found.items() if score and score.confusion)
        self.stack.setCurrentIndex(1 if subjects else 0)
        for widget in (self.subject, self.way, self.save):
            widget.setEnabled(bool(subjects))
        if tuple(self.subject.itemData(place) for place in range(self.subject.count())) != subjects:
            self.subject.clear()
            for name in subjects:
                self.subject.addItem(title(name), name)
        wanted = self._followed if self._followed in subjects else subjects[-1] if subjects else ""
        self.subject.setCurrentIndex(self.subject.findData(wanted))
        score = self._score()
        if score and score.confusion:
            self._show(score)

    def _show(self, score: Score) -> None:
        way: Normalisation = self.way.currentData()
        names = tuple(score.per_class)
        assert score.confusion is not None
        shares = normalised(score.confusion, "truth" if way == "pixels" else way)
        pixels = np.asarray(score.confusion, np.int64)
        texts = [[_cell(pixels[r, c], shares[r, c], way) for c in range(len(names))] for r in range(len(names))]
        words = _words(names, pixels, way)
        self.view.matrix.show(names, tuple(map(self._look.colour, names)), shares, texts, words)
        self._mistakes = mistakes(score.confusion, names, 12)
        self.mistakes.clear()
        self.mistakes.addItems(
            [f"{_percent(row.share)}  {row.truth} taken for {row.prediction}" for row in self._mistakes]
            or ["There are none."]
        )
        if not self.read_out.text():
            self.read_out.setText("Point at a cell, or walk with the arrow keys.")

    # What the user does.

    def _choose_subject(self) -> None:
        self._followed = self.subject.currentData() or ""
        self.redraw.now()

    def _read(self, index: QModelIndex) -> None:
        if index.isValid():
            self.read_out.setText(str(index.data(Qt.ItemDataRole.ToolTipRole)))

    def _find(self, row: int) -> None:
        """Goes to the cell of a mistake."""
        if 0 <= row < len(self._mistakes):
            names, mistake = self.view.matrix.names, self._mistakes[row]
            cell = self.view.matrix.index(names.index(mistake.truth), names.index(mistake.prediction))
            self.view.setCurrentIndex(cell)
            self.view.scrollTo(cell)

    def _recolour(self) -> None:
        self.view.viewport().update()
        self.redraw.ask()


def _cell(pixels: int, share: float, way: Normalisation) -> str:
    if not pixels:
        return ""
    if way != "pixels":
        return f"{100 * share:.0f}" if share >= 0.01 else ""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if pixels >= size:
            return f"{pixels / size:.0f}{unit}"
    return str(pixels)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%" if share >= 0.1 else f"{100 * share:.1f}\u00a0%"


def _words(names: Sequence[str], pixels: NDArray[np.int64], way: Normalisation) -> list[list[str]]:
    """One sentence a cell."""
    by_truth, by_prediction = normalised(pixels, "truth"), normalised(pixels, "prediction")

    def sentence(row: int, column: int) -> str:
        truth, said, count = names[row], names[column], int(pixels[row, column])
        if way == "prediction":
            return f"{_percent(by_prediction[row, column])} of what is called {said} is {truth} ({count:,} pixels)"
        verb = "is recognised" if row == column else f"is taken for {said}"
        return f"{_percent(by_truth[row, column])} of {truth} {verb} ({count:,} pixels)"

    return [[sentence(row, column) for column in range(len(names))] for row in range(len(names))]
