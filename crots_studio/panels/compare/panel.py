"""Past runs of this project and of others on one chart and in one table; oracle runs are marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from crots.errors import CrotsError
from crots.events import Evaluated, Event, StageFinished, StageStarted
from crots.notes import RunNote, write_note
from crots.options import TaskOptions
from crots_studio import theme
from crots_studio.models.comparison_choice import ComparisonChoice, Key
from crots_studio.models.image_ranking import Question
from crots_studio.models.iou import ClassLook
from crots_studio.models.runs import (
    PastRun,
    PastRuns,
    common_figures,
    in_order_of_colours,
    latest_runs,
    read_runs,
    run_curves_csv,
    runs_csv,
)
from crots_studio.models.series import Figure
from crots_studio.models.undo import Step, UndoStack
from crots_studio.models.words import fault_text
from crots_studio.opened import OpenProject
from crots_studio.panels.compare.note_row import NoteRow
from crots_studio.panels.compare.run_chart import CLASSES, SCORES, RunChart, What
from crots_studio.panels.compare.run_table import RunTableView
from crots_studio.plain import Elided
from crots_studio.session import Session
from crots_studio.widgets.drop_hint import DropHint, dropped_paths, leave_drops
from crots_studio.widgets.plot_tools import CurveTools, EmptyState, ExportButton, Redraw

_EMPTY = (
    "Nothing to compare yet.\n\nFinished and running trainings of this project are listed here. "
    "Add other projects with the button above, or drop their folders here."
)
_TICKED_AT_FIRST = 8
_MOST_STEPS = 100
# Key in the settings for the projects to compare with.
_CHOICE = "compare"


class ComparePanel(QWidget):
    """Chart above, table below.

    Signals:
        like_wanted(str): a new project with the options of the one in this folder is asked for.
        queue_wanted(list[str]): the projects in these folders are to be put into the queue of runs.
        images_wanted(Question): the images that a score is about.
    """

    like_wanted = Signal(str)
    queue_wanted = Signal(list)
    images_wanted = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._own: PastRuns | None = None
        self._others: dict[str, PastRuns] = {}
        self._choice = ComparisonChoice()
        self._places: dict[Key, int] = {}
        self._task: TaskOptions | None = None
        self._stale = False
        self._notes: UndoStack[RunNote] = UndoStack(self._write_note, _MOST_STEPS)
        self.setAccessibleName("Compare runs")
        self.setAcceptDrops(True)
        self.drop_hint = DropHint(self)
        self.redraw = Redraw(self, self._draw)
        self._build(session)
        session.opened.project_changed.connect(self._change_project)
        session.opened.history_changed.connect(self._refresh)
        session.opened.config_changed.connect(self._config_changed)
        session.run.events_arrived.connect(self._take)
        # A run that is killed ends without an event.
        session.run.busy_changed.connect(self._look_again)
        session.theme_changed.connect(self._recolour)
        self._change_project()

    def _build(self, session: Session) -> None:
        self.what = QComboBox()
        self.what.setAccessibleName("Quantity to plot")
        self.what.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.tools = CurveTools(session, "compare")
        self.add_button = QPushButton("&Add project")
        self.add_button.setAccessibleName("Add another project")
        self.add_button.setToolTip("Compare with the runs of another project")
        self.add_menu = QMenu(self)
        self.add_menu.aboutToShow.connect(self._list_recent)
        self.add_button.setMenu(self.add_menu)
        self.remove_button = QPushButton("Re&move")
        self.remove_button.setToolTip("Removes the selected rows' projects from the comparison; nothing is deleted")
        self.remove_button.setAccessibleName("Remove project from the comparison")
        self.like_button = QPushButton("&New project like this")
        self.like_button.setToolTip(
            "Creates a project with the options and the source of the selected run, for other images"
        )
        self.queue_button = QPushButton("Add to &queue")
        self.queue_button.setToolTip("Puts the projects of the selected runs into the queue of runs")
        self.chart = RunChart(self.colour_of)
        self.table = RunTableView(self.colour_of)
        self.note_row = NoteRow()
        self.save_chart = ExportButton(session, self.chart, self.chart_table, "comparison-chart")
        self.save_chart.setText("Save chart")
        self.save_table = ExportButton(session, self.table, self.run_table, "comparison")
        self.save_table.setText("Save table")
        self.hint = Elided(
            "Ticked runs are drawn. Hatched or dashed: oracle (checkpoint chosen with validation labels)."
        )
        self.hint.setProperty("role", "muted")
        self._lay_out()
        leave_drops(self)
        self._connect()

    def _lay_out(self) -> None:
        bar, below = QHBoxLayout(), QHBoxLayout()
        bar.addWidget(self.what)
        bar.addWidget(self.tools)
        bar.addStretch(1)
        bar.addWidget(self.save_chart)
        bar.addWidget(self.add_button)
        below.addWidget(self.hint)
        below.addStretch(1)
        below.addWidget(self.queue_button)
        below.addWidget(self.like_button)
        below.addWidget(self.save_table)
        below.addWidget(self.remove_button)
        lower = QWidget()
        column = QVBoxLayout(lower)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(below)
        column.addWidget(self.table, 1)
        column.addWidget(self.note_row)
        self.split = QSplitter(Qt.Orientation.Vertical)
        self.split.addWidget(self.chart)
        self.split.addWidget(lower)
        self.split.setChildrenCollapsible(False)
        self.split.setSizes([300, 220])
        self.stack = QStackedWidget()
        self.stack.addWidget(EmptyState(_EMPTY))
        self.stack.addWidget(self.split)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(bar)
        layout.addWidget(self.stack, 1)

    def _connect(self) -> None:
        self.what.activated.connect(self._choose)
        self.tools.changed.connect(self._change_tools)
        self.chart.curves.set_log(self.tools.log.isChecked())
        self.tools.fit_asked.connect(self.chart.fit)
        self.table.table.ticked.connect(self._ticked)
        self.table.iou_opened.connect(self._ask_for_images)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._enable())
        self.note_row.edited.connect(self._take_note)
        self.remove_button.clicked.connect(self._remove)
        self.like_button.clicked.connect(self._ask_for_like)
        self.queue_button.clicked.connect(lambda: self.queue_wanted.emit(sorted(self.table.selected_projects())))

    # The list of runs.

    def _change_project(self) -> None:
        self.note_row.show_run(None)
        self._own, self._others = None, {}
        self._notes = UndoStack(self._write_note, _MOST_STEPS)
        self._session.opened.undo_changed.emit()
        project, settings = self._session.project, self._session.settings
        kept = settings.project_value(project.folder, _CHOICE) if project is not None else ""
        self._task = project.config.task if project is not None else None
        self._choice = ComparisonChoice.of_text(kept)
        self.table.table.chosen = set(self._choice.ticked)
        self._session.errands.forget("own runs")
        self._show_runs()
        self._refresh()
        for folder in self._choice.projects:
            self.add_project(folder, quiet=True)

    def _config_changed(self) -> None:
        project = self._session.project
        task = project.config.task if project is not None else None
        if task != self._task:
            # Order and colours of classes follow the class set.
            self._task = task
            self._refresh()

    def _take(self, events: Sequence[Event]) -> None:
        if any(isinstance(event, (StageStarted, StageFinished, Evaluated)) for event in events):
            self._look_again()

    def _look_again(self, _busy: bool = False) -> None:
        self._stale = True
        if self.isVisible():
            self._refresh()

    def _refresh(self) -> None:
        """Reads this project's runs again, in the background."""
        self._stale = False
        if self._session.project is not None:
            folder = self._session.project.folder
            self._session.errands.in_background(lambda: read_runs(folder), self._found_own, token="own runs")

    def _found_own(self, found: PastRuns) -> None:
        if self._session.project is not None and self._session.project.folder == found.folder:
            self._own = found
            self._others.pop(str(found.folder), None)
            self._show_runs()

    def add_project(self, folder: Path | str, *, quiet: bool = False) -> None:
        """Adds the runs of another project; errors are shown, unless ``quiet``."""
        path, choice = Path(folder), self._choice

        def found(runs: PastRuns) -> None:
            if choice is not self._choice:
                # Another project was opened meanwhile; it has its own comparison.
                return
            self._found_other(runs)
            if not quiet and str(runs.folder) in self._others:
                # Remembered projects are kept even while their disk is missing.
                choice.projects = list(dict.fromkeys([*choice.projects, str(runs.folder)]))
                self._remember()

        failed = (lambda _: None) if quiet else None
        self._session.errands.in_background(lambda: read_runs(path), found, failed)

    def _found_other(self, found: PastRuns) -> None:
        if self._own is None or self._own.folder != found.folder:
            self._others[str(found.folder)] = found
            self._show_runs()

    def _remember(self) -> None:
        project = self._session.project
        if project is not None:
            self._session.settings.set_project_value(project.folder, _CHOICE, self._choice.text)

    def _ticked(self) -> None:
        self._choice.tick(self.table.table.chosen)
        self._remember()
        self.redraw.now()

    def _remove(self) -> None:
        removed = self.table.selected_projects() & self._others.keys()
        for folder in removed:
            self._others.pop(folder, None)
        self._choice = self._choice.without(removed)
        self.table.table.chosen = set(self._choice.ticked)
        self._remember()
        self._show_runs()

    @property
    def runs(self) -> tuple[PastRun, ...]:
        """All runs, those of this project first."""
        parts = ([self._own] if self._own else []) + list(self._others.values())
        return tuple(run for part in parts for run in part.runs)

    @property
    def chosen(self) -> tuple[PastRun, ...]:
        """Ticked runs."""
        return tuple(run for run in self.runs if run.key in self.table.table.chosen)

    @property
    def _look(self) -> ClassLook:
        return self._own.look if self._own else next((part.look for part in self._others.values()), ClassLook())

    def _show_runs(self) -> None:
        runs, ticked, choice = self.runs, self.table.table.chosen, self._choice
        for run in latest_runs(runs)[::-1]:
            # What is new here is ticked while there is room, the furthest rounds first.
            if choice.is_new(run.key) and len(ticked & {run.key for run in runs}) < _TICKED_AT_FIRST:
                ticked.add(run.key)
        if any(choice.is_new(run.key) for run in runs):
            choice.tick(ticked)
            choice.see(run.key for run in runs)
            self._remember()
        self._places = {run.key: place for place, run in enumerate(in_order_of_colours(runs))}
        self.table.show_runs(runs, self._look)
        self.redraw.ask()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Shows changes that came while the panel was hidden."""
        super().showEvent(event)
        if self._stale:
            self._refresh()
        self.redraw.shown()

    # Drawing.

    def colour_of(self, run: PastRun) -> str:
        """Returns the colour of a run in the charts."""
        # The latest runs of this project have the colours of their stages, as everywhere in the window.
        if self._own is not None and run.key in {latest.key for latest in latest_runs(self._own.runs)}:
            return theme.stage_colour(run.stage)
        return theme.run_colour(self._places.get(run.key, 0))

    def _draw(self) -> None:
        self.stack.setCurrentIndex(1 if self.runs else 0)
        self._list_figures()
        self._enable()
        what: What = self.what.currentData() or SCORES
        self.chart.show_runs(what, self.chosen, self._look, self.tools.points)

    def _list_figures(self) -> None:
        wanted: list[tuple[str, What]] = [(SCORES, SCORES), (CLASSES, CLASSES)]
        wanted += [(f"{figure.name} over steps", figure) for figure in common_figures(self.runs)]
        if [self.what.itemText(place) for place in range(self.what.count())] == [text for text, _ in wanted]:
            return
        kept = self.what.currentText()
        self.what.clear()
        for text, data in wanted:
            self.what.addItem(text, data)
        self.what.setCurrentIndex(max(self.what.findText(kept), 0))

    def _enable(self) -> None:
        any_runs, is_curve = bool(self.runs), isinstance(self.what.currentData(), Figure)
        for widget in (self.what, self.save_chart, self.save_table):
            widget.setEnabled(any_runs)
        self.tools.setEnabled(any_runs and is_curve)
        self.note_row.show_run(self.table.selected_run())
        self.queue_button.setEnabled(bool(self.table.selected_projects()))
        self.like_button.setEnabled(len(self.table.selected_projects()) == 1)
        self.remove_button.setEnabled(bool(self.table.selected_projects() & self._others.keys()))

    # Tables for saving.

    def _ask_for_images(self, run: PastRun, name: str) -> None:
        """Images can be listed only for the present models of the open project."""
        project = self._session.project
        if project is None or run.folder != project.folder:
            self._session.notice.emit(f"Open the project {run.project_title} to see the images of {name}")
        elif any(other.stage == run.stage and other.number > run.number for other in self.runs):
            self._session.notice.emit(f"{run.title} was run again since: only its latest model is there")
        else:
            self.images_wanted.emit(Question(run.stage, name))

    def chart_table(self) -> str:
        """What the chart shows as CSV."""
        what = self.what.currentData()
        return run_curves_csv(self.chosen, what) if isinstance(what, Figure) else runs_csv(self.chosen, self._look)

    def run_table(self) -> str:
        """All runs as CSV."""
        return runs_csv(self.runs, self._look)

    # Titles and notes.

    def _take_note(self, run: PastRun, of_project: bool, note: RunNote) -> None:
        key, before = ("", run.project_note) if of_project else (run.note_key, run.note)
        what = run.project if of_project else run.model
        step = f"{'Title' if note.title != before.title else 'Note'} of {what}"
        self._walk(lambda: self._notes.do(Step(step, f"{key}\n{run.folder}", before, note)))

    def _write_note(self, part: str, note: RunNote) -> None:
        key, _, folder = part.partition("\n")
        write_note(Path(folder), key, note)
        for runs in filter(None, (self._own, *self._others.values())):
            runs.with_notes()
        self._show_runs()

    def _walk(self, step: Callable[[], object]) -> None:
        try:
            step()
        except CrotsError as error:
            self._session.problem.emit(fault_text(error))
        self._session.opened.undo_changed.emit()

    @property
    def history(self) -> UndoStack[RunNote] | OpenProject:
        """Titles and notes; changes of options where none were written here."""
        return self._notes if self._notes.undo_text or self._notes.redo_text else self._session.opened

    def undo(self) -> None:
        """Takes the last title or note back."""
        self._walk(self.history.undo)

    def redo(self) -> None:
        """Writes it again."""
        self._walk(self.history.redo)

    # What the user does.

    def _choose(self) -> None:
        self.chart.fit()
        self.redraw.now()

    def _change_tools(self) -> None:
        self.chart.curves.set_log(self.tools.log.isChecked())
        self.redraw.now()

    def _recolour(self) -> None:
        self.chart.recolour()
        self.table.viewport().update()
        self.redraw.now()

    def _list_recent(self) -> None:
        self.add_menu.clear()
        shown = {str(run.folder) for run in self.runs}
        for folder in self._session.settings.recent.paths:
            if folder not in shown:
                self.add_menu.addAction(folder).triggered.connect(partial(self.add_project, folder))
        if not self.add_menu.isEmpty():
            self.add_menu.addSeparator()
        self.add_menu.addAction("Choose a &folder ...").triggered.connect(self._ask_project)

    def _ask_for_like(self) -> None:
        for folder in self.table.selected_projects():
            self.like_wanted.emit(folder)

    def _ask_project(self) -> None:
        start = self._session.settings.folder("projects")
        if folder := QFileDialog.getExistingDirectory(self, "Add a project to the comparison", start):
            self.add_project(folder)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        """Takes folders."""
        if folders := [path for path in dropped_paths(event) if path.is_dir()]:
            event.acceptProposedAction()
            self.drop_hint.tell([f"Compare with {folder.name}" for folder in folders])

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Adds the projects that were dropped."""
        for path in dropped_paths(event):
            self.add_project(path)
