"""IoU of each class: over validations or over models as curves, and as a table with the change since earlier models."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import QComboBox

from crots_studio import theme
from crots_studio.models.image_ranking import Question
from crots_studio.models.iou import (
    ClassTable,
    Score,
    Scores,
    fallen,
    make_class_table,
    over_models,
    over_validations,
    table_csv,
    validations_csv,
)
from crots_studio.models.names import title
from crots_studio.models.series import MIOU
from crots_studio.models.words import plural
from crots_studio.panels.monitor.score_panel import ScorePanel, column_of
from crots_studio.plain import Label, strong
from crots_studio.session import Session
from crots_studio.widgets.class_table import ClassTableView, percent
from crots_studio.widgets.plot_curve import PlotCurve
from crots_studio.widgets.plot_tools import ExportButton
from crots_studio.widgets.series_plot import SeriesPlot

_EMPTY = (
    "No scores yet.\n\nThey need validation images with labels: choose them in Set-up. "
    "Labels are never used for training, only to score the results."
)


class IouPanel(ScorePanel):
    """Curves left, table right.

    Signals:
        images_wanted(Question): an IoU or a change was clicked.
    """

    images_wanted = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session, _EMPTY)
        self.subject.setAccessibleName("Model in the table")
        self.subject.setToolTip("The model whose classes the table shows")
        self.axis = QComboBox()
        self.axis.addItems(["over training steps", "by model"])
        self.axis.setAccessibleName("Horizontal axis of the plot")
        self.summary = Label()
        self.summary.setWordWrap(True)
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        self.plot = SeriesPlot("IoU of each class and their mean (dashed), %", legend=False)
        self.table = ClassTableView()
        right = column_of(self.summary, self.table, stretched=self.table)
        self.save_plot = ExportButton(session, self.plot, self._curves_table, "validations")
        self.save_plot.setText("Save plot")
        self.save_table = ExportButton(session, right, self._class_table, "classes")
        self.save_table.setText("Save table")
        self.fill_split(self.plot, right, [400, 360])
        self.bar.addWidget(self.axis)
        self.bar.addWidget(self.save_plot)
        self.bar.addStretch(1)
        self.bar.addWidget(self.subject)
        self.bar.addWidget(self.save_table)
        self.table.setToolTip(
            "Click a class to see its curve, and an IoU, or press Return, to see the images, worst first"
        )
        self.table.clicked.connect(lambda index: self._ask_for_images() if index.column() else None)
        self.axis.activated.connect(self._choose_axis)
        self.table.selectionModel().selectionChanged.connect(
            lambda *_: self.plot.emphasise(self.table.selected_class())
        )

    # Data.

    def show_scores(self, scores: Scores) -> None:
        """Shows another project's scores."""
        over_steps = bool(scores.stages) or not scores.subjects
        self.axis.setCurrentIndex(0 if over_steps else 1)
        self.plot.fit()
        super().show_scores(scores)

    def _curves_table(self) -> str:
        return validations_csv(self._scores, self.look)

    def _class_table(self) -> str:
        table = self.table.model_of_classes.table
        return table_csv(table) if table else ""

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Escape shows all classes alike again; Return asks for the images of the chosen one."""
        if event.key() == Qt.Key.Key_Escape:
            self.table.clearSelection()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.table.hasFocus():
            self._ask_for_images()
        else:
            super().keyPressEvent(event)

    def _ask_for_images(self) -> None:
        if (name := self.table.selected_class()) is not None:
            self.images_wanted.emit(Question(str(self.subject.currentData() or ""), name))

    # Drawing.

    def _draw(self) -> None:
        subjects = self._scores.subjects
        for widget in (self.subject, self.axis, self.save_plot, self.save_table):
            widget.setEnabled(bool(subjects))
        self.list_subjects(subjects)
        chosen = self.subject.currentData()
        table = make_class_table(self._scores, chosen, self.look) if chosen else None
        self.table.show_table(table)
        self.summary.setText(summary(table) if table else "")
        self._draw_curves()

    def _draw_curves(self) -> None:
        if self.axis.currentIndex() == 0:
            points, marks = over_validations(self._scores)
            names: list[str] = []
        else:
            points, marks = over_models(self._scores), []
            names = [title(score.subject) for _, score in points]
        several = len(marks) > 1
        self.plot.set_marks([(place, title(stage)) for place, stage in marks] if several else [])
        self.plot.set_bands(_bands(marks, points[-1][0]) if several else [])
        self.plot.set_curves(list(self._curves(points)))
        self.plot.name_steps(names)
        if several:
            # From where the first stage begins, so that its name is seen.
            self.plot.cover(marks[0][0], points[-1][0])

    def _curves(self, points: list[tuple[float, Score]]) -> Iterable[PlotCurve]:
        x = np.array([place for place, _ in points], float)
        names = self.look.order(dict.fromkeys(name for _, score in points for name in score.per_class))
        for name in names:
            values = [score.per_class.get(name) for _, score in points]
            y = np.array([np.nan if value is None else 100 * value for value in values])
            yield PlotCurve(name, x, y, readable(QColor(*self.look.colour(name))).name())
        means = [np.nan if score.miou is None else 100 * score.miou for _, score in points]
        yield PlotCurve(MIOU, x, np.array(means), theme.colours().text, dashed=True)

    # What the user does.

    def _choose_axis(self) -> None:
        self.plot.fit()
        self.redraw.now()

    def _recolour(self) -> None:
        self.plot.recolour()
        self.redraw.now()


def _bands(marks: Sequence[tuple[float, str]], end: float) -> list[tuple[float, float, str]]:
    """From where to where each stage goes, in its colour."""
    ends = [*(place for place, _ in marks[1:]), end]
    return [(first, last, theme.stage_colour(name)) for (first, name), last in zip(marks, ends, strict=True)]


def summary(table: ClassTable) -> str:
    """Summarises in a line the mIoU of a model, and the classes that fell."""
    colours = theme.colours()
    parts = [strong(f"{html.escape(title(table.subject))}: mIoU {percent(table.mean.iou)}%")]
    for name, change in zip(table.compared, table.mean.changes, strict=True):
        if change is not None:
            colour = colours.good if change > 0 else colours.bad if change < 0 else colours.muted
            parts.append(
                f"<span style='color:{colour}'>{percent(change, signed=True)}</span> vs {html.escape(title(name))}"
            )
    if table.score.images:
        parts.append(plural(table.score.images, "image"))
    if table.score.oracle:
        parts.append(f"<span style='color:{colours.warning}'>oracle: chosen by these labels</span>")
    lost = [f"{row.name} {percent(row.changes[0], signed=True)}" for row in fallen(table)]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        text = f"fell since {title(table.compared[0])}: {', '.join(lost[:3])}{more}"
        parts.append(f"<span style='color:{colours.bad}'>{html.escape(text)}</span>")
    return " &nbsp;·&nbsp; ".join(parts)


def readable(colour: QColor) -> QColor:
    """Keeps the hue of a class but makes it stand out from the plot's background."""
    background = QColor(theme.colours().background).lightnessF()
    lightness = max(colour.lightnessF(), 0.5) if background < 0.5 else min(colour.lightnessF(), 0.55)
    return QColor.fromHslF(max(colour.hslHueF(), 0.0), colour.hslSaturationF(), lightness)
