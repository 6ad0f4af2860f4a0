"""The confusion matrix of a model, and its most frequent confusions as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QComboBox, QListWidget, QListWidgetItem

from crots_studio.models.image_ranking import Question
from crots_studio.models.iou import (
    Normalisation,
    Score,
    confusion_csv,
    mistakes,
    most_mistaken,
    normalised,
)
from crots_studio.panels.monitor.matrix_view import MatrixView
from crots_studio.panels.monitor.score_panel import ScorePanel, column_of
from crots_studio.plain import Label, plain_tooltip
from crots_studio.session import Session
from crots_studio.widgets.plot_tools import ExportButton

_WAYS: dict[Normalisation, str] = {
    "truth": "share of the true class",
    "prediction": "share of the predicted class",
    "pixels": "pixels",
}
# With more classes, cells are too small to be read: the worst ones come first.
_MANY, _SHOWN = 40, 20
_EMPTY = "No confusion matrix yet.\n\nIt comes with the first validation, which needs images with labels."


class ConfusionPanel(ScorePanel):
    """Matrix left, mistakes right.

    Signals:
        images_wanted(Question): a cell was clicked.
    """

    images_wanted = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session, _EMPTY)
        self.subject.setAccessibleName("Model of the confusion matrix")
        self.way = QComboBox()
        self.way.setAccessibleName("What the cells show")
        for key, text in _WAYS.items():
            self.way.addItem(text, key)
        self.which = QComboBox()
        self.which.setAccessibleName("Classes in the matrix")
        self.which.addItem(f"the {_SHOWN} most confused classes", "worst")
        self.which.addItem("all classes", "all")
        self.which.hide()
        self.view = MatrixView()
        self.view.setAccessibleName("Confusion matrix: rows are true classes, columns predicted ones")
        self.read_out = Label()
        self.read_out.setWordWrap(True)
        self.mistakes = QListWidget()
        self.mistakes.setAccessibleName("Most frequent confusions")
        self.mistakes.setSpacing(2)
        # Two long names go on in the next line: what is predicted must not be cut off.
        self.mistakes.setWordWrap(True)
        self.mistakes.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        axes = Label("Rows: true class. Columns: predicted class.")
        axes.setProperty("role", "muted")
        left = column_of(axes, self.view, self.read_out, stretched=self.view)
        right = column_of(Label("Most frequent confusions"), self.mistakes, stretched=self.mistakes)
        self.save = ExportButton(session, left, self.table, "confusion")
        self.fill_split(left, right, [640, 300])
        self.bar.addWidget(self.subject)
        self.bar.addWidget(self.way)
        self.bar.addWidget(self.which)
        self.bar.addStretch(1)
        self.bar.addWidget(self.save)
        for choice in (self.way, self.which):
            choice.activated.connect(lambda: self.redraw.now())
        self.view.setToolTip("Click a cell, or press Return, to see its images, the worst first")
        self.view.chosen.connect(self._ask_for_images)
        self.view.entered.connect(self._read)
        self.view.selectionModel().currentChanged.connect(self._read)
        self.mistakes.currentRowChanged.connect(self._find)

    # Data.

    def table(self) -> str:
        """The pixel counts of the shown model as CSV."""
        score = self._score()
        return confusion_csv(score.confusion, tuple(score.per_class)) if score and score.confusion else ""

    # Drawing.

    def _draw(self) -> None:
        found = {name: self._scores.latest(name) for name in self._scores.subjects}
        subjects = tuple(name for name, score in found.items() if score and score.confusion)
        for widget in (self.subject, self.way, self.save):
            widget.setEnabled(bool(subjects))
        self.list_subjects(subjects)
        score = self._score()
        if score and score.confusion:
            self._show(score)

    def _show(self, score: Score) -> None:
        way: Normalisation = self.way.currentData()
        assert score.confusion is not None
        given = tuple(score.per_class)
        matrix = np.asarray(score.confusion, np.int64)
        every = normalised(matrix, "truth" if way == "pixels" else way)
        self.which.setVisible(len(given) > _MANY)
        few = len(given) > _MANY and self.which.currentData() == "worst"
        kept = set(most_mistaken(matrix, _SHOWN)) if few else set(range(len(given)))
        names = tuple(name for name in self.look.order(given) if given.index(name) in kept)
        places = [given.index(name) for name in names]
        shares, pixels = every[np.ix_(places, places)], matrix[np.ix_(places, places)]
        texts = [[_cell(pixels[r, c], shares[r, c], way) for c in range(len(names))] for r in range(len(names))]
        tips = _tips(names, matrix, places, way)
        self.view.matrix.show(names, tuple(map(self.look.colour, names)), shares, texts, tips)
        self._mistakes = mistakes(score.confusion, given, 12)
        self.mistakes.clear()
        lines = [f"{_percent(row.share)}  {row.truth} predicted as {row.prediction}" for row in self._mistakes]
        for line in lines or ["None."]:
            item = QListWidgetItem(line)
            item.setToolTip(plain_tooltip(line))
            self.mistakes.addItem(item)
        if not self.read_out.text():
            self.read_out.setText("Click a cell, or go there with the arrow keys and press Return, to see its images.")

    # What the user does.

    def _read(self, index: QModelIndex) -> None:
        if index.isValid():
            self.read_out.setText(str(index.data(Qt.ItemDataRole.AccessibleTextRole)))

    def _ask_for_images(self, index: QModelIndex) -> None:
        names, subject = self.view.matrix.names, str(self.subject.currentData() or "")
        self.images_wanted.emit(Question(subject, names[index.row()], names[index.column()]))

    def _find(self, row: int) -> None:
        """Goes to the cell of a mistake."""
        if 0 <= row < len(self._mistakes):
            names, mistake = self.view.matrix.names, self._mistakes[row]
            if mistake.truth not in names or mistake.prediction not in names:
                return
            cell = self.view.matrix.index(names.index(mistake.truth), names.index(mistake.prediction))
            self.view.setCurrentIndex(cell)
            self.view.scrollTo(cell)

    def _recolour(self) -> None:
        self.view.viewport().update()
        self.redraw.now()


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
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _tips(
    names: Sequence[str], matrix: NDArray[np.int64], places: Sequence[int], way: Normalisation
) -> list[list[str]]:
    """One sentence per cell; shares are of all classes, shown or not."""
    cells = np.ix_(places, places)
    by_truth, by_prediction = normalised(matrix, "truth")[cells], normalised(matrix, "prediction")[cells]
    pixels = matrix[cells]

    def sentence(row: int, column: int) -> str:
        truth, predicted, count = names[row], names[column], int(pixels[row, column])
        if way == "prediction":
            share = _percent(by_prediction[row, column])
            return f"{share} of the pixels predicted as {predicted} are {truth} ({count:,} pixels)"
        verb = "is predicted correctly" if row == column else f"is predicted as {predicted}"
        return f"{_percent(by_truth[row, column])} of {truth} {verb} ({count:,} pixels)"

    return [[sentence(row, column) for column in range(len(names))] for row in range(len(names))]
