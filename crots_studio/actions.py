"""The actions on projects, for menus, the welcome page and the command line."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from crots.errors import CrotsError
from crots.project import Project
from crots.project_config import ProjectConfig
from crots_studio.background.loading import preload_torch
from crots_studio.models.option_form import run_command
from crots_studio.models.words import fault_text
from crots_studio.pages import Pages
from crots_studio.runs.run import RunRequest
from crots_studio.session import Session
from crots_studio.widgets.run_question import start_run

if TYPE_CHECKING:
    from crots_studio.dialogs.queue import QueueDialog

_KEPT = (
    "This run is in the window's own process. Stop the run first, which keeps its work; or tick 'separate process' "
    "before "
    "the "
    "next one, which then continues whatever the window shows."
)


def write_report_page(project: Project) -> Path:
    """Writes the report of a project and returns its path; not on the window's thread."""
    preload_torch()
    from crots.report.write import write_report

    return write_report(project)


class ProjectActions(QObject):
    """Opens, makes, runs, exports and closes projects.

    Args:
        session: what it acts on.
        pages: where the panels are.
        window: over which dialogs and messages open.

    Signals:
        changed(): something else can be done now.
    """

    changed = Signal()

    def __init__(self, session: Session, pages: Pages, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._pages, self._window = session, pages, window
        self._reporting = False
        self.queue_dialog: QueueDialog | None = None

    # Projects.

    def new_project(self) -> None:
        """Asks for a place and makes a project there."""
        if not self._refuse_while_kept():
            self._ask_for_project()

    def _ask_for_project(self, like: Project | None = None) -> None:
        from crots_studio.dialogs.new_project import NewProjectDialog

        dialog = NewProjectDialog(self._session.settings, self._window, like=like)
        if dialog.exec():
            self.create_project(dialog.folder, dialog.config)
        dialog.deleteLater()

    def new_project_like(self, folder: str = "") -> None:
        """Asks for a place and makes a project with the options of another one: of the open one, or in a folder."""
        if self._refuse_while_kept():
            return
        try:
            like = Project.open(Path(folder)) if folder else self._session.project
        except CrotsError as error:
            self.tell("New project", fault_text(error))
            return
        if like is not None:
            self._ask_for_project(like)

    def create_project(self, folder: Path, config: ProjectConfig) -> None:
        """Makes a project and opens it."""
        try:
            Project.create(folder, config)
        except CrotsError as error:
            self.tell("New project", fault_text(error))
            return
        self.go_to_project(folder)

    def open_project(self) -> None:
        """Asks for a project folder."""
        if self._refuse_while_kept():
            return
        settings = self._session.settings
        chosen = QFileDialog.getExistingDirectory(self._window, "Open a project", settings.folder("projects"))
        if chosen:
            settings.set_folder("projects", str(Path(chosen).parent))
            self.go_to_project(Path(chosen))

    def go_to_project(self, folder: Path) -> None:
        """Opens a project; shows why if it cannot be opened."""
        # Panels that are created after the project would miss its signals.
        self._pages.build_workspace()
        if not self._refuse_while_kept():
            self._session.opened.open_project(folder, self._cannot_open)

    def _cannot_open(self, error: Exception) -> None:
        self._pages.welcome.refresh()
        self.tell("Open project", fault_text(error))

    def close_project(self) -> None:
        """Goes back to the welcome page."""
        if not self._refuse_while_kept():
            self._session.run.leave()
            self._session.opened.close_project()

    def try_demo(self) -> None:
        """Asks for a folder and runs the demonstration there, live."""
        from crots_studio.dialogs.new_project import DemoDialog

        if self._refuse_while_kept():
            return
        dialog = DemoDialog(self._session.settings, self._window)
        if dialog.exec():
            self.start_demo(dialog.folder)
        dialog.deleteLater()

    def start_demo(self, folder: Path, *, tiny: bool = False) -> None:
        """Runs the demonstration into a folder, or resumes one."""
        from crots_studio.runs.demo import demo_source

        self._pages.build_workspace()
        self._session.run.leave()
        self._session.run.start_demo(demo_source(folder, tiny=tiny), folder)

    def open_folder(self) -> None:
        """Shows the project folder in the desktop's file manager."""
        project = self._session.project
        if project is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(project.folder))):
            self.tell("Open project folder", f"No file manager opened it; the folder is {project.folder}")

    def export(self) -> None:
        """Opens the export dialog."""
        self.open_dialog("export", "ExportDialog")

    def apply(self, stage: str = "") -> None:
        """Opens the dialog that applies a model to other images; ``stage`` chooses whose."""
        if self._session.project is not None:
            self.open_dialog("apply", "ApplyDialog", stage=stage)

    def export_doubtful(self) -> None:
        """Opens the dialog that writes the most doubtful images for a labelling tool."""
        self.open_dialog("labelling", "ExportDoubtfulDialog")

    def import_corrected(self) -> None:
        """Opens the dialog that reads what was corrected in a labelling tool."""
        self.open_dialog("labelling", "ImportCorrectedDialog")

    def report(self) -> None:
        """Writes the report of what the runs changed, beside the window, and opens it in the browser."""
        project = self._session.project
        if project is None or self.report_waits_for:
            return
        snapshot, self._reporting = Project(project.folder, project.config), True
        self._session.notice.emit("Writing the report; the browser opens it in a moment.")
        self._session.errands.in_background(partial(write_report_page, snapshot), self._reported, self._not_reported)
        self.changed.emit()

    @property
    def report_waits_for(self) -> str:
        """The reason why no report can be written now; empty if it can."""
        session = self._session
        if session.project is None:
            return "Open a project first."
        if session.run.busy:
            return "Wait until the run has finished."
        if self._reporting:
            return "The report is being written; a network is predicting some of the images."
        if not any(stage.result for stage in session.opened.status):
            return "Nothing has run in this project yet."
        return ""

    def _reported(self, page: Path) -> None:
        self._reporting = False
        self.changed.emit()
        if QDesktopServices.openUrl(QUrl.fromLocalFile(str(page))):
            # A browser may fail without a word.
            self._session.notice.emit(f"The report is {page}")
        else:
            self.tell("Report", f"No browser opened it; the report is {page}")

    def _not_reported(self, error: Exception) -> None:
        self._reporting = False
        self.changed.emit()
        self.tell("Report", fault_text(error))

    def show_queue(self) -> None:
        """Shows the queue of runs; the window stays in use."""
        from crots_studio.dialogs.queue import QueueDialog

        if self.queue_dialog is None:
            self.queue_dialog = dialog = QueueDialog(self._session, self._window)
            dialog.open_wanted.connect(lambda folder: self.go_to_project(Path(folder)))
            dialog.finished.connect(self._queue_closed)
        self.queue_dialog.show()
        self.queue_dialog.raise_()
        self.queue_dialog.activateWindow()

    def _queue_closed(self) -> None:
        if self.queue_dialog is not None:
            self.queue_dialog.deleteLater()
            self.queue_dialog = None

    @property
    def queueing_waits_for(self) -> str:
        """The reason why the open project cannot be put into the queue; empty if it can."""
        session = self._session
        if session.project is None:
            return "Open a project first."
        return f"Not ready: {session.run.blocker}" if session.run.blocker else ""

    def queue(self, folders: Iterable[str] = ()) -> None:
        """Puts projects at the end of the queue, by default the open one, and shows it."""
        project = self._session.project
        chosen = list(folders) or ([str(project.folder)] if project is not None else [])
        if chosen:
            self._session.queue.add(chosen)
            self.show_queue()

    def help(self) -> None:
        """Opens the help on the tab in front, or on the stage that was selected since."""
        self.open_dialog("help", "HelpDialog", topic=self._pages.topic)

    def open_dialog(self, module: str, name: str, **options: str) -> None:
        """Opens a dialog by module and class; it is imported only now."""
        kind = getattr(importlib.import_module(f"crots_studio.dialogs.{module}"), name)
        dialog = kind(self._session, self._window, **options)
        dialog.exec()
        dialog.deleteLater()

    # Runs and commands.

    def run(self) -> None:
        """Runs all that is not done."""
        start_run(self._session, self._window)

    def run_chosen(self) -> None:
        """Runs the stage that is chosen in the rail, or says why it cannot be run alone."""
        page = self._pages.workspace
        row = page.rail.current if page is not None else None
        if row is not None and row.is_stage and row.startable:
            start_run(self._session, self._window, RunRequest(only=row.key))
        elif page is not None and row is not None:
            self._session.notice.emit(page.rail.why_not)

    def cancel_run(self) -> None:
        """Asks whether to stop the run and to discard its unfinished stage."""
        from crots_studio.widgets.discard_question import ask_to_discard

        ask_to_discard(self._session, self._window)

    def copy_init_command(self) -> None:
        """Copies the command that creates this project."""
        if self._pages.workspace is not None:
            self._pages.workspace.settings_panel.copy_command()

    def copy_run_command(self) -> None:
        """Copies the command that runs this project."""
        if self._session.project is not None:
            project = self._session.opened.for_run()
            QGuiApplication.clipboard().setText(run_command(project.folder, trust=project.config.runtime.trust))
            self._session.copied.emit("Copied the command that runs this project")

    def show_option(self, path: str) -> None:
        """Goes to an option of the settings, ``adapt.steps``."""
        if self._pages.workspace is not None:
            self._pages.workspace.show_settings(True)
            self._pages.workspace.settings_panel.reveal(path)

    def save_bundle(self) -> None:
        """Asks for a file and writes what a bug report needs: log, options, events and versions, no images."""
        from crots_studio.dialogs.about import versions
        from crots_studio.models.debug_bundle import SUFFIX, write_bundle

        settings, page = self._session.settings, self._pages.workspace
        start = str(Path(settings.folder("bug report")) / f"crots-studio-report{SUFFIX}")
        chosen, _ = QFileDialog.getSaveFileName(self._window, "Save a bug report", start, f"Archive (*{SUFFIX})")
        if not chosen:
            return
        path = Path(chosen) if chosen.endswith(SUFFIX) else Path(chosen + SUFFIX)
        settings.set_folder("bug report", str(path.parent))
        log = page.log_panel.text if page is not None else ""
        self._session.errands.in_background(
            partial(write_bundle, path, self._session.project, log, versions()),
            lambda written: self._session.notice.emit(f"Saved {written}: log, options and versions, no images"),
            lambda error: self.tell("Bug report", fault_text(error)),
        )

    def find_option(self) -> None:
        """Goes to the search field of the settings."""
        if self._pages.workspace is not None:
            self._pages.workspace.show_settings(True)
            self._pages.workspace.settings_panel.search.setFocus()

    @property
    def undo_texts(self) -> tuple[str, str]:
        """The changes that can be undone and redone at the user's place; empty if there are none."""
        return self._pages.undo_texts

    def undo(self) -> None:
        """Undoes the last change at the user's place."""
        self._pages.undo()

    def redo(self) -> None:
        """Redoes the change that was undone last."""
        self._pages.redo()

    # Messages.

    def tell(self, title: str, message: str) -> None:
        """Shows why a request of the user failed."""
        self._session.problem.emit(message)
        box = QMessageBox(QMessageBox.Icon.Warning, title, message, QMessageBox.StandardButton.Ok, self._window)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.finished.connect(box.deleteLater)
        self.message = box
        box.open()

    def _refuse_while_kept(self) -> bool:
        kept = self._session.run.keeps_project
        if kept:
            self.tell("A run is in progress", _KEPT)
        return kept
