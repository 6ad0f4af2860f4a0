"""The main window: the welcome page or the workspace, and what its menus do."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QTimer, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMainWindow, QMessageBox, QStackedWidget

from crots.errors import CrotsError
from crots.events import StageFinished
from crots.project import Project, ProjectConfig
from crots_studio.background import RunEnd, RunRequest
from crots_studio.icon import app_icon
from crots_studio.leaving import Leaving
from crots_studio.menus import Menus
from crots_studio.models.option_form import run_command
from crots_studio.models.words import in_window
from crots_studio.panels.welcome import WelcomePanel
from crots_studio.session import Session

if TYPE_CHECKING:
    from crots_studio.dialogs.failure import FailureDialog
    from crots_studio.workspace import Workspace

_TITLE = "CROTS Studio"
_SMALLEST = (1000, 640)
# What a desktop may put around a window.
_FRAME = 40


class MainWindow(QMainWindow):
    """The window of one session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        # Benchmarks and soak tests have nobody to answer.
        self.dialogs_are_quiet = False
        self.workspace: Workspace | None = None
        self._building = self._build()
        self._closed = False
        self.welcome = WelcomePanel(session)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.welcome)
        self.setCentralWidget(self.pages)
        self.setWindowTitle(_TITLE)
        self.setWindowIcon(app_icon())
        self.setMinimumSize(*_SMALLEST)
        self.resize(1280, 720)
        self.restoreGeometry(session.settings.layout("window"))
        self.leaving = Leaving(self, session)
        self.menus = Menus(self)
        self._connect()

    def open_up(self) -> None:
        """Shows itself; where its size and a frame have no room on the screen, it fills that."""
        room = self.screen().availableGeometry()
        if room.width() < self.width() + _FRAME or room.height() < self.height() + _FRAME:
            self.showMaximized()
        else:
            self.show()

    def _connect(self) -> None:
        session, welcome = self.session, self.welcome
        welcome.new_wanted.connect(self.new_project)
        welcome.open_wanted.connect(self.open_project)
        welcome.demo_wanted.connect(self.try_demo)
        welcome.project_chosen.connect(lambda path: self.go_to_project(Path(path)))
        session.project_changed.connect(self._turn_page)
        session.busy_changed.connect(self._busy)
        session.run_ended.connect(self._run_ended)
        session.blocker_changed.connect(lambda _: self.menus.refresh())
        session.status_changed.connect(lambda _: self.menus.refresh())
        session.run_changed.connect(self.menus.refresh)

    # The workspace is made after the first paint.

    def build_workspace(self) -> None:
        """Makes all panels that are not there yet."""
        for _ in self._building:
            pass

    def build_gently(self) -> None:
        """Makes the panels one by one, so that the window answers in between."""
        if not self._closed and next(self._building, "done") != "done":
            QTimer.singleShot(0, self.build_gently)

    def _build(self) -> Iterator[None]:
        from crots_studio.workspace import Workspace

        yield
        page = Workspace(self.session, self.export)
        yield from page.build_tabs()
        self.rail, self.settings_panel, self.log_panel = page.rail, page.settings_panel, page.log_panel
        self.run_bar, self.tabs, self.panels = page.run_bar, page.tabs, page.panels
        self.pages.addWidget(page)
        self.workspace = page
        self.menus.fill_view()
        self._turn_page()

    def show_tab(self, module: str) -> None:
        """Brings a tab to the front by its panel's module name."""
        if self.workspace is not None:
            self.workspace.show_tab(module)

    def act_in_front(self, name: str) -> None:
        """Calls a method of the tab in front, where it has it."""
        if self.workspace is not None:
            self.workspace.act_in_front(name)

    # Projects.

    def new_project(self) -> None:
        """Asks for a place and makes a project there."""
        from crots_studio.dialogs.new_project import NewProjectDialog

        if self._refuse_while_busy():
            return
        dialog = NewProjectDialog(self.session.settings, self)
        if dialog.exec():
            self.create_project(dialog.folder, dialog.config)
        dialog.deleteLater()

    def create_project(self, folder: Path, config: ProjectConfig) -> None:
        """Makes a project and opens it."""
        try:
            Project.create(folder, config)
        except CrotsError as error:
            self.tell("New project", str(error))
            return
        self.go_to_project(folder)

    def open_project(self) -> None:
        """Asks for a project folder."""
        if self._refuse_while_busy():
            return
        chosen = QFileDialog.getExistingDirectory(self, "Open a project", self.session.settings.folder("projects"))
        if chosen:
            self.session.settings.set_folder("projects", str(Path(chosen).parent))
            self.go_to_project(Path(chosen))

    def go_to_project(self, folder: Path) -> None:
        """Opens a project; says why where it cannot be opened."""
        # Panels that came after the project would have missed its signals.
        self.build_workspace()
        if not self._refuse_while_busy():
            self.session.open_project(folder, self._cannot_open)

    def _cannot_open(self, error: Exception) -> None:
        self.welcome.refresh()
        self.tell("Open project", str(error))

    def close_project(self) -> None:
        """Goes back to the welcome page."""
        if not self._refuse_while_busy():
            self.session.close_project()

    def try_demo(self) -> None:
        """Asks for a folder and runs the demonstration there, live."""
        from crots_studio.dialogs.new_project import DemoDialog

        if self._refuse_while_busy():
            return
        dialog = DemoDialog(self.session.settings, self)
        if dialog.exec():
            self.start_demo(dialog.folder)
        dialog.deleteLater()

    def start_demo(self, folder: Path, *, tiny: bool = False) -> None:
        """Runs the demonstration into a folder, or goes on with one."""
        from crots_studio.demo import demo_source

        self.build_workspace()
        self.session.start_demo(demo_source(folder, tiny=tiny), folder)

    def open_folder(self) -> None:
        """Shows the project folder in the desktop's file manager."""
        project = self.session.project
        if project is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(project.folder))):
            self.tell("Open project folder", f"No file manager opened it; the folder is {project.folder}")

    def export(self) -> None:
        """Opens the export dialog."""
        self.open_dialog("export", "ExportDialog")

    def open_dialog(self, module: str, name: str) -> None:
        """Opens a dialog by module and class; it is imported only now."""
        dialog = getattr(importlib.import_module(f"crots_studio.dialogs.{module}"), name)(self.session, self)
        dialog.exec()
        dialog.deleteLater()

    # Runs and commands.

    def run_chosen(self) -> None:
        """Runs the stage that is chosen in the rail."""
        row = self.rail.current if self.workspace is not None else None
        if row is not None and row.is_stage and row.startable:
            self.session.start_run(RunRequest(only=row.key))

    def copy_init_command(self) -> None:
        """Puts the command that makes this project on the clipboard."""
        if self.workspace is not None:
            self.settings_panel.copy_command()

    def copy_run_command(self) -> None:
        """Puts the command that runs this project on the clipboard."""
        if self.session.project is not None:
            project = self.session.for_run()
            QGuiApplication.clipboard().setText(run_command(project.folder, trust=project.config.runtime.trust))

    def find_option(self) -> None:
        """Goes to the search field of the settings."""
        if self.workspace is not None:
            self.settings_panel.setVisible(True)
            self.settings_panel.search.setFocus()

    # What happens to the window.

    def _turn_page(self) -> None:
        project = self.session.project
        live = project is not None or self.session.busy
        if self.workspace is not None:
            self.pages.setCurrentWidget(self.workspace if live else self.welcome)
        self.setWindowTitle(f"{project.folder.name} - {_TITLE}" if project is not None else _TITLE)
        self.menus.refresh()

    def _busy(self, busy: bool) -> None:
        if busy:
            self._turn_page()
            request = self.session.request
            # Patches are cut while one looks at them.
            if request.only != "mine":
                self.show_tab("methods" if request.compares else "monitor")
        self.menus.refresh()

    def _run_ended(self, end: RunEnd) -> None:
        if end.outcome == "failed" and not self.leaving.under_way and not self.dialogs_are_quiet:
            self._show_failure(end)

    def _show_failure(self, end: RunEnd) -> None:
        from crots_studio.dialogs.failure import FailureDialog
        from crots_studio.models.failures import LOG_TAIL, advise

        project, code, words = self.session.project, end.exit_code, end.message
        stage = StageFinished(
            stage=end.stage, outcome="failed", seconds=0, exit_code=code, message=words, detail=end.detail
        )
        tail = "\n".join(self.log_panel.text.splitlines()[-LOG_TAIL:])
        advice = advise(stage, project.config if project is not None else ProjectConfig())
        dialog = FailureDialog(advice, tail, self)
        dialog.accepted.connect(lambda: self._mend(dialog))
        dialog.finished.connect(dialog.deleteLater)
        self.failure = dialog
        # Not exec: the session's events still arrive.
        dialog.open()

    def _mend(self, dialog: FailureDialog) -> None:
        if dialog.settings:
            self.session.set_options(dialog.settings)
        if dialog.again:
            self.session.start_run(self.session.request)

    def tell(self, title: str, words: str) -> None:
        """Says something that the user asked for and did not get."""
        words = in_window(words)
        self.session.problem.emit(words)
        box = QMessageBox(QMessageBox.Icon.Warning, title, words, QMessageBox.StandardButton.Ok, self)
        box.finished.connect(box.deleteLater)
        self.message = box
        box.open()

    def _refuse_while_busy(self) -> bool:
        if self.session.busy:
            self.tell("A run goes on", "Stop the run before changing to another project.")
        return self.session.busy

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Follows the desktop from light to dark."""
        if event.type() == QEvent.Type.ThemeChange and self.session.settings.theme == "system":
            QTimer.singleShot(0, self.session.refresh_theme)
        super().changeEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 (Qt's name)
        """Asks what is to become of a run in this process; one in another process goes on by itself."""
        if not self.leaving.may_leave():
            event.ignore()
            return
        self.session.settings.set_layout("window", self.saveGeometry())
        if self.workspace is not None:
            self.workspace.remember_layout()
        self._closed = True
        self.session.close()
        event.accept()
