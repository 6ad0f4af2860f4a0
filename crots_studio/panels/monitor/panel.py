"""Live plots: losses, scores, confidence weight and learning rate over the same steps; classes; mistakes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from crots.events import Evaluated, Event, Metrics, Scored, StageFinished, StageStarted
from crots.options import TaskOptions
from crots_studio import theme
from crots_studio.background.loading import preload_torch
from crots_studio.models.healthy import healthy_descriptions, levels
from crots_studio.models.iou import Scores, counts, read_reports
from crots_studio.models.monitor_tiles import loss_tile, miou_tile, time_tile
from crots_studio.models.names import SCORES, score_title, title
from crots_studio.models.series import MIOU, Curves, Figure, curves_csv, figure_title
from crots_studio.panels.monitor.alarm import AlarmBanner
from crots_studio.panels.monitor.confusion import ConfusionPanel
from crots_studio.panels.monitor.iou_table import IouPanel
from crots_studio.panels.monitor.tile import Tile
from crots_studio.plain import Label
from crots_studio.session import Session
from crots_studio.widgets.plot_curve import PlotCurve
from crots_studio.widgets.plot_tools import CurveTools, EmptyState, ExportButton, Redraw
from crots_studio.widgets.series_plot import SeriesPlot

Plot = Literal["miou", "loss", "score", "weight", "rate"]
_TITLES: dict[Plot, str] = {
    "miou": "mIoU, %",
    "loss": "Losses",
    "score": "Label-free scores",
    "weight": "Confidence weight",
    "rate": "Learning rate",
}
# Differences of a tenth of a point, which are noise, must not fill the plot.
_LEAST: dict[Plot, float] = {"miou": 2.0}
# Tooltips of the figures.
_DESCRIPTIONS = {
    "cross-entropy": "Loss on the pseudo-labels",
    "consistency": "Loss on mixed images, against the teacher's labels",
    "hard patch": "Loss on patches of rare classes",
    "loss": "Total loss: the weighted sum that training minimises",
    "confidence weight": "Share of pixels whose teacher confidence is above the threshold",
    "learning rate": "Learning rate of the optimiser",
    "mIoU": "Mean IoU on the validation images; never used for training",
    "Source": "Mean IoU of the source on the same images: the line to beat",
}
_NOISY = ("loss", "weight")
# Label-free scores that are drawn unasked.
_FEW = 3
# Training the source of a demonstration is not part of the adaptation.
_BEFORE = ("render", "train")
_WHOLE_RUN = "whole run"
_ABOUT = "Losses and scores appear here while a model is trained."
_EMPTY = f"{_ABOUT}\n\nStart a run to see them. Earlier runs are shown too."
# Pseudo-labels, which come first, have no curves.
_TO_COME = f"{_ABOUT}\n\nThe first ones come with the run's first training steps."


class MonitorPanel(QWidget):
    """The figures of training, in three tabs.

    Signals:
        images_wanted(Question): the images behind a score are asked for.
    """

    images_wanted = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Monitor")
        self.training = TrainingCurves(session)
        self.classes = IouPanel(session)
        self.confusion = ConfusionPanel(session)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Views of the monitor")
        self.tabs.addTab(self.training, "&Training")
        self.tabs.addTab(self.classes, "&Classes")
        self.tabs.addTab(self.confusion, "Confusio&n")
        self.alarm = AlarmBanner()
        self.miou, self.time, self.loss = Tile("mIoU"), Tile("Time"), Tile("Loss")
        tiles = QHBoxLayout()
        tiles.setContentsMargins(8, 8, 8, 4)
        tiles.setSpacing(8)
        for tile in (self.miou, self.time, self.loss):
            tiles.addWidget(tile, 2)
        tiles.addWidget(self.alarm, 3)
        self._align_tiles()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(tiles)
        layout.addWidget(self.tabs, 1)
        self.classes.images_wanted.connect(self.images_wanted)
        self.confusion.images_wanted.connect(self.images_wanted)
        self._session = session
        self._explained = False
        self._task: TaskOptions | None = None
        self.scores = Scores()
        session.opened.project_changed.connect(self._reload)
        session.opened.history_changed.connect(self._reload)
        session.opened.config_changed.connect(self._config_changed)
        session.run.events_arrived.connect(self._take)
        session.run.changed.connect(self._show_tiles)
        session.run.busy_changed.connect(self.training.expect)
        self._reload()

    def _align_tiles(self) -> None:
        self.alarm.setFixedHeight(self.miou.sizeHint().height())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follows the size of the text, once the tiles have done so."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            QTimer.singleShot(0, self, self._align_tiles)

    def _reload(self) -> None:
        project, history = self._session.project, self._session.opened.history
        reports = read_reports(project.stage_folder("evaluate")) if project else []
        self.scores = Scores.of_history(history, reports)
        self._task = project.config.task if project is not None else None
        self._count_rounds()
        self.training.set_rounds(self.scores.rounds)
        self.training.set_source(self._source)
        self.training.start_over()
        self.classes.show_scores(self.scores)
        self.confusion.show_scores(self.scores)
        if project is not None and not self._explained:
            self._explained = True
            self._session.errands.in_background(
                score_descriptions, self.training.explain_scores, token="scores explained"
            )
        self._show_tiles()
        self.alarm.show_history(history)

    def _show_tiles(self) -> None:
        if not self.isVisible():
            return
        session, project = self._session, self._session.project
        labelled = project is not None and project.config.data.val_labels is not None
        for tile, text in (
            (self.miou, miou_tile(self.scores, labelled)),
            (self.time, time_tile(session.run.state, session.opened.history)),
            (self.loss, loss_tile(self.training.curves)),
        ):
            tile.say(text.figure, text.note, text.tone)
        self.time.caption.setText("Time left" if session.run.state.running else "Time")

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Catches up with what came while the panel was hidden."""
        super().showEvent(event)
        self._show_tiles()

    def _count_rounds(self) -> bool:
        """Leaves out rounds that the project no longer has; says whether there are more or fewer now."""
        before, project = self.scores.rounds, self._session.project
        self.scores.rounds = len(project.needed_rounds()) if project else None
        return self.scores.rounds != before

    def _config_changed(self) -> None:
        project = self._session.project
        task = project.config.task if project is not None else None
        if task != self._task:
            self._task = task
            for panel in (self.classes, self.confusion):
                panel.take_look()
        if self._count_rounds():
            self._show_scores()
            self.training.set_rounds(self.scores.rounds)

    @property
    def _source(self) -> float | None:
        """The mIoU of the source, None while it is not known."""
        score = self.scores.latest("source")
        return score.miou if score is not None else None

    def _show_scores(self) -> None:
        self.training.set_source(self._source)
        self.classes.update_scores()
        self.confusion.update_scores()

    def _take(self, events: list[Event]) -> None:
        self.training.take(events)
        if not self._session.run.request.compares:
            self.alarm.take(events)
        ended = any(isinstance(event, StageFinished) for event in events) and self._count_rounds()
        if self.scores.add(events) or ended:
            self._show_scores()
        self._show_tiles()


class TrainingCurves(QWidget):
    """Up to five linked plots.

    Signals:
        stage_chosen(str): a stage to show alone, empty for all.
    """

    stage_chosen = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._colours: dict[Figure, int] = {}
        self._score_descriptions: dict[str, str] = {}
        self._stages: tuple[str, ...] = ()
        self._rounds: int | None = None
        self._source: float | None = None
        self._arranged: tuple[Plot, ...] = ()
        self.plots: dict[Plot, SeriesPlot] = {
            plot: SeriesPlot(text, least=_LEAST.get(plot, 0.0)) for plot, text in _TITLES.items()
        }
        self._build(session)
        self.redraw = Redraw(self, self._draw)
        session.theme_changed.connect(self._recolour)

    def _build(self, session: Session) -> None:
        self.stage = QComboBox()
        self.stage.setAccessibleName("Stage to plot")
        self.stage.setToolTip("Plot the whole run, or one stage alone")
        self.stage.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.stage.addItem(_WHOLE_RUN, "")
        self.tools = CurveTools(session, "training")
        self.more_scores = QCheckBox("&All scores")
        self.more_scores.setToolTip("Draws every label-free score, not only the three that tell most")
        self.more_scores.toggled.connect(lambda _: self.redraw.now())
        self.held = Label("zoomed in: press Fit to follow the run")
        self.held.setProperty("role", "muted")
        self.held.hide()
        self.save = ExportButton(session, self._plot_area(), self.table, "training")
        bar = QHBoxLayout()
        for widget in (self.stage, self.tools, self.more_scores, self.held):
            bar.addWidget(widget)
        bar.addStretch(1)
        bar.addWidget(self.save)
        self.stack = QStackedWidget()
        self.empty = EmptyState(_EMPTY)
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.area)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(bar)
        layout.addWidget(self.stack, 1)
        self.stage.currentIndexChanged.connect(self._choose_stage)
        self.tools.changed.connect(self._change_tools)
        self.plots["loss"].set_log(self.tools.log.isChecked())
        self.tools.fit_asked.connect(self._fit)

    def _plot_area(self) -> QWidget:
        self.area = QWidget()
        self._grid = QGridLayout(self.area)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._first: SeriesPlot | None = None
        for plot in self.plots.values():
            # A plot that has never been shown has to go with the panel too.
            plot.setParent(self.area)
            plot.hide()
            plot.cursor_moved.connect(self._move_cursor)
            plot.held.connect(self._show_held)
        return self.area

    def _link(self, groups: Sequence[Plot]) -> None:
        """Joins the steps of the plots that are seen: one that is hidden has no place to align to."""
        first = self.plots[groups[0]] if groups else None
        if first is not self._first:
            self._first = first
            for plot in self.plots.values():
                plot.link_x(None if plot is first else first)
            self._fit()

    # Data.

    def start_over(self) -> None:
        """Shows another project's figures, all of them."""
        self._stages = ()
        self._colours.clear()
        self._fit()
        self.redraw.ask()

    def expect(self, busy: bool) -> None:
        """Shows when the first curves will come, if there are none yet."""
        self.empty.tell(_TO_COME if busy else _EMPTY)

    def take(self, events: Sequence[Event]) -> None:
        """Draws what new events have added to the curves."""
        if any(isinstance(event, (StageStarted, Metrics, Scored, Evaluated)) for event in events):
            self.redraw.ask()

    def explain_scores(self, descriptions: dict[str, str]) -> None:
        """Sets the explanations of the label-free scores."""
        self._score_descriptions = descriptions
        self.redraw.ask()

    def table(self) -> str:
        """The curves that are shown as CSV: every recorded number, unsmoothed."""
        return curves_csv(self.curves, self.chosen)

    def set_rounds(self, rounds: int | None) -> None:
        """Leaves out rounds beyond these, which the project no longer has; None shows all."""
        if rounds != self._rounds:
            self._rounds = rounds
            self.redraw.ask()

    def set_source(self, miou: float | None) -> None:
        """Draws the source's mIoU (0 to 1) as the line to beat; None draws none."""
        if miou != self._source:
            self._source = miou
            self.redraw.ask()

    @property
    def _known(self) -> tuple[str, ...]:
        """Stages with figures that the project still has."""
        return tuple(stage for stage in self.curves.stages if counts(stage, self._rounds))

    @property
    def curves(self) -> Curves:
        """All figures of the open project."""
        return self._session.opened.history.curves

    def _figures(self, plot: Plot, stages: Sequence[str]) -> list[Figure]:
        """What a plot draws: the mIoU has one of its own, and of the label-free scores most wait to be asked for."""
        if plot == "miou":
            return [figure for figure in self.curves.figures(stages, "score") if figure.name == MIOU]
        found = list(self.curves.figures(stages, plot))
        if plot != "score":
            return found
        ranks = {name: rank for rank, name in enumerate(SCORES)}
        ranked = sorted(
            (figure for figure in found if figure.name != MIOU), key=lambda figure: ranks.get(figure.name, len(ranks))
        )
        return ranked if self.more_scores.isChecked() else ranked[:_FEW]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Stages that are shown."""
        one = self.stage.currentData()
        return tuple(stage for stage in self._known if one == stage or (one == "" and stage not in _BEFORE))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Catches up with what came while the panel was hidden."""
        super().showEvent(event)
        self.redraw.shown()

    # Drawing.

    def _draw(self) -> None:
        self._list_stages()
        stages = self.chosen
        groups = [plot for plot in self.plots if self._figures(plot, stages)]
        self.stack.setCurrentIndex(1 if groups else 0)
        self.save.setEnabled(bool(groups))
        self._arrange(groups)
        self._link(groups)
        offsets = self.curves.offsets(stages)
        marks = [(x, title(stage)) for stage, x in offsets.items()] if len(stages) > 1 else []
        bands = [(x, x + self.curves.total(stage), theme.stage_colour(stage)) for stage, x in offsets.items()]
        for group in groups:
            named = group == groups[0] or len(groups) <= 2
            self.plots[group].set_bands(bands if len(stages) > 1 else [])
            self.plots[group].set_marks(marks if named else [(x, "") for x, _ in marks])
            figures = self._figures(group, stages)
            curves = [self._curve(figure, stages) for figure in figures]
            self.plots[group].set_curves(curves + self._reference(curves) if group == "miou" else curves)
            self.plots[group].set_levels(levels(self.curves, stages, figures) if group == "score" else [])
            self.plots[group].explain({**self._score_descriptions, **_DESCRIPTIONS})
        steps = [curve.x for group in groups for curve in self.plots[group].shown.values() if len(curve.x)]
        if self._first is not None and steps:
            self._first.cover(min(float(x[0]) for x in steps), max(float(x[-1]) for x in steps))

    def _curve(self, figure: Figure, stages: Sequence[str]) -> PlotCurve:
        points = self.tools.points if figure.group in _NOISY else 1
        x, raw = self.curves.joined(figure, stages)
        y = self.curves.joined(figure, stages, points)[1] if points > 1 else raw
        colour, dashed = self._look(figure)
        if figure.name == MIOU:
            raw, y = 100 * raw, 100 * y
            colour = theme.colours().accent
        return PlotCurve(figure_title(figure), x, y, colour, raw if points > 1 else None, dashed)

    def _reference(self, curves: Sequence[PlotCurve]) -> list[PlotCurve]:
        """The source's mIoU at the steps of these curves."""
        if self._source is None or not curves:
            return []
        x = np.unique(np.concatenate([curve.x[np.isfinite(curve.x)] for curve in curves]))
        y = np.full(len(x), 100 * self._source)
        return [PlotCurve(title("source"), x, y, theme.colours().muted, dashed=True, reference=True)]

    def _look(self, figure: Figure) -> tuple[str, bool]:
        """A figure keeps its look while a project is open; after the last colour, colours repeat with dashed lines."""
        # The mIoU is a score with a plot of its own: it takes no colour from the others, whichever came first.
        alone = figure.name == MIOU
        beside = sum(old.group == figure.group and old.name != MIOU for old in self._colours)
        number = self._colours.setdefault(figure, 0 if alone else beside)
        choice = theme.colours().series
        return choice[number % len(choice)], number >= len(choice)

    def _list_stages(self) -> None:
        if self._known == self._stages:
            return
        self._stages = self._known
        kept = self.stage.currentData()
        self.stage.blockSignals(True)
        self.stage.clear()
        self.stage.addItem(_WHOLE_RUN, "")
        for stage in self._stages:
            self.stage.addItem(title(stage), stage)
        self.stage.setCurrentIndex(max(self.stage.findData(kept), 0))
        self.stage.blockSignals(False)

    def _arrange(self, groups: Sequence[Plot]) -> None:
        """One plot fills the panel, three leave the whole width to the first, four are a square, five two rows."""
        if self._arranged == tuple(groups):
            return
        self._arranged = tuple(groups)
        for plot in self.plots.values():
            self._grid.removeWidget(plot)
            plot.setVisible(False)
        # In quarters of the width; of five, the scores have most curves.
        places = {
            1: [(0, 0, 4)],
            2: [(0, 0, 4), (1, 0, 4)],
            3: [(0, 0, 4), (1, 0, 2), (1, 2, 2)],
            4: [(0, 0, 2), (0, 2, 2), (1, 0, 2), (1, 2, 2)],
            5: [(0, 0, 2), (0, 2, 2), (1, 0, 2), (1, 2, 1), (1, 3, 1)],
        }.get(len(groups), [])
        for group, (row, column, span) in zip(groups, places, strict=False):
            self._grid.addWidget(self.plots[group], row, column, 1, span)
            self.plots[group].setVisible(True)
        for row in (0, 1):
            self._grid.setRowStretch(row, (3, 2)[row] if len(groups) > 1 or row == 0 else 0)
        for column in range(4):
            self._grid.setColumnStretch(column, 1)

    # What the user does.

    def _choose_stage(self) -> None:
        self._fit()
        self.redraw.now()
        self.stage_chosen.emit(self.stage.currentData() or "")

    def _change_tools(self) -> None:
        self.plots["loss"].set_log(self.tools.log.isChecked())
        self.redraw.now()

    def _fit(self) -> None:
        for plot in self.plots.values():
            plot.fit()

    def _move_cursor(self, x: float | None) -> None:
        for plot in self.plots.values():
            if plot is not self.sender():
                plot.set_cursor(x)

    def _show_held(self) -> None:
        self.held.setVisible(not all(plot.following for plot in self.plots.values()))

    def _recolour(self) -> None:
        for plot in self.plots.values():
            plot.recolour()
        self.redraw.now()


def score_descriptions() -> dict[str, str]:
    """Returns what each label-free score can and cannot show, in lines; loads torch."""
    preload_torch()
    from crots.methods.scores import describe

    healthy = healthy_descriptions()
    plain = {name: text.removeprefix("Returns ").replace("`", "") for name, text in describe().items()}
    texts = {name: textwrap.fill(text[:1].upper() + text[1:], 80) for name, text in plain.items()}
    joined = {name: "\n".join(filter(None, (text, healthy.get(name)))) for name, text in {**healthy, **texts}.items()}
    return {score_title(name): text for name, text in joined.items()}
