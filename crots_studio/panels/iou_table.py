"""IoU of each class: over validations or over models as curves, and as a table with the change since earlier models."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from crots_studio import theme
from crots_studio.models.iou import (
    ClassLook,
    ClassTable,
    Score,
    Scores,
    class_table,
    fallen,
    over_models,
    over_validations,
    table_csv,
    validations_csv,
)
from crots_studio.models.names import title
from crots_studio.models.series import MIOU
from crots_studio.session import Session
from crots_studio.widgets.class_table import ClassTableView, percent
from crots_studio.widgets.plot_tools import EmptyState, ExportButton, Redraw
from crots_studio.widgets.series_plot import Curve, SeriesPlot

_EMPTY = (
    "No scores yet.\n\nThey need validation images with labels: name them in the settings under Images. "
    "Labels are never used to train, only to show how well it goes."
)


class IouPanel(QWidget):
    """Curves left, table right."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._scores = Scores()
        self._look = ClassLook()
        self._followed = ""
        self._build(session)
        self.redraw = Redraw(self, self._draw)
        session.theme_changed.connect(self._recolour)

    def _build(self, session: Session) -> None:
        self.subject = QComboBox()
        self.subject.setAccessibleName("Model in the table")
        self.subject.setToolTip("Whose classes the table shows")
        self.subject.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.axis = QComboBox()
        self.axis.addItems(["over validations", "over models"])
        self.axis.setAccessibleName("Horizontal axis of the plot")
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        self.plot = SeriesPlot("IoU of each class", legend=False)
        self.table = ClassTableView()
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.summary)
        column.addWidget(self.table, 1)
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.addWidget(self.plot)
        self.split.addWidget(right)
        self.split.setSizes([400, 360])
        self.split.setChildrenCollapsible(False)
        self.save_plot = ExportButton(session, self.plot, self._curves_table, "validations")
        self.save_plot.setText("Save plot")
        self.save_table = ExportButton(session, right, self._class_table, "classes")
        self.save_table.setText("Save table")
        self.stack = QStackedWidget()
        self.stack.addWidget(EmptyState(_EMPTY))
        self.stack.addWidget(self.split)
        bar = QHBoxLayout()
        for widget in (self.axis, self.save_plot):
            bar.addWidget(widget)
        bar.addStretch(1)
        for widget in (self.subject, self.save_table):
            bar.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(bar)
        layout.addWidget(self.stack, 1)
        self.subject.activated.connect(self._choose_subject)
        self.axis.activated.connect(self._choose_axis)
        self.table.selectionModel().selectionChanged.connect(
            lambda *_: self.plot.emphasise(self.table.selected_class())
        )

    # Data.

    def show_scores(self, scores: Scores) -> None:
        """Shows another project's scores."""
        self._scores = scores
        self._look = ClassLook.of(self._session.project)
        self._followed = ""
        over_steps = bool(scores.stages) or not scores.subjects
        self.axis.setCurrentIndex(0 if over_steps else 1)
        self.plot.fit()
        self.redraw.ask()

    def update_scores(self) -> None:
        """The scores given to `show_scores` have grown."""
        self.redraw.ask()

    def _curves_table(self) -> str:
        return validations_csv(self._scores, self._look)

    def _class_table(self) -> str:
        table = self.table.model_of_classes.table
        return table_csv(table) if table else ""

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Catches up with what came while the panel was hidden."""
        super().showEvent(event)
        self.redraw.shown()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Escape shows all classes alike again."""
        if event.key() == Qt.Key.Key_Escape:
            self.table.clearSelection()
        else:
            super().keyPressEvent(event)

    # Drawing.

    def _draw(self) -> None:
        subjects = self._scores.subjects
        self.stack.setCurrentIndex(1 if subjects else 0)
        for widget in (self.subject, self.axis, self.save_plot, self.save_table):
            widget.setEnabled(bool(subjects))
        self._list_subjects(subjects)
        chosen = self.subject.currentData()
        table = class_table(self._scores, chosen, self._look) if chosen else None
        self.table.show_table(table)
        self.summary.setText(summary(table) if table else "")
        self._draw_curves()

    def _list_subjects(self, subjects: tuple[str, ...]) -> None:
        """Follows the latest model until the user chooses one."""
        listed = tuple(self.subject.itemData(place) for place in range(self.subject.count()))
        if listed != subjects:
            self.subject.clear()
            for name in subjects:
                self.subject.addItem(title(name), name)
        wanted = self._followed if self._followed in subjects else subjects[-1] if subjects else ""
        self.subject.setCurrentIndex(self.subject.findData(wanted))

    def _draw_curves(self) -> None:
        if self.axis.currentIndex() == 0:
            points, marks = over_validations(self._scores)
            self.plot.name_steps(())
            self.plot.set_marks(marks if len(marks) > 1 else [])
        else:
            points = over_models(self._scores)
            self.plot.set_marks([])
            self.plot.name_steps([title(score.subject) for _, score in points])
        self.plot.set_curves(list(self._curves(points)))

    def _curves(self, points: list[tuple[float, Score]]) -> Iterable[Curve]:
        x = np.array([place for place, _ in points], float)
        names = self._look.order(dict.fromkeys(name for _, score in points for name in score.per_class))
        for name in names:
            values = [score.per_class.get(name) for _, score in points]
            y = np.array([np.nan if value is None else 100 * value for value in values])
            yield Curve(name, x, y, readable(QColor(*self._look.colour(name))).name())
        means = [np.nan if score.miou is None else 100 * score.miou for _, score in points]
        yield Curve(MIOU, x, np.array(means), theme.colours().text)

    # What the user does.

    def _choose_subject(self) -> None:
        self._followed = self.subject.currentData() or ""
        self.redraw.now()

    def _choose_axis(self) -> None:
        self.plot.fit()
        self.redraw.now()

    def _recolour(self) -> None:
        self.plot.recolour()
        self.redraw.ask()


def summary(table: ClassTable) -> str:
    """Says in a line how a model stands, and which classes fell."""
    colours = theme.colours()
    parts = [f"<b>{title(table.subject)}: mIoU {percent(table.mean.iou)} %</b>"]
    for name, change in zip(table.compared, table.mean.changes, strict=True):
        if change is not None:
            colour = colours.good if change > 0 else colours.bad if change < 0 else colours.muted
            parts.append(f"<span style='color:{colour}'>{percent(change, signed=True)}</span> vs {title(name)}")
    if table.score.images:
        parts.append(f"{table.score.images} images")
    if table.score.oracle:
        parts.append(f"<span style='color:{colours.warning}'>oracle: chosen by these labels</span>")
    lost = [f"{row.name} {percent(row.changes[0], signed=True)}" for row in fallen(table)]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        text = f"fell since {title(table.compared[0])}: {', '.join(lost[:3])}{more}"
        parts.append(f"<span style='color:{colours.bad}'>{text}</span>")
    return " &nbsp;·&nbsp; ".join(parts)


def readable(colour: QColor) -> QColor:
    """Keeps the hue of a class but makes it stand out from the plot's background."""
    background = QColor(theme.colours().background).lightnessF()
    lightness = max(colour.lightnessF(), 0.5) if background < 0.5 else min(colour.lightnessF(), 0.55)
    return QColor.fromHslF(max(colour.hslHueF(), 0.0), colour.hslSaturationF(), lightness)
