"""The main window: welcome page or workspace; rail left, tabs in the middle, settings right, log and run bar below."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from crots.errors import CrotsError
from crots.events import StageFinished
from crots.project import Project
from crots_studio.background import RunEnd, RunRequest
from crots_studio.models.option_form import run_command
from crots_studio.panels.welcome import WelcomePanel
from crots_studio.session import Session
from crots_studio.theme import MODES


@dataclass(frozen=True)
class Tab:
    """A tab of the workspace; its panel is imported after the window is shown."""

    title: str
    module: str
    panel: str
    tip: str = ""


TABS = (
    Tab("Set-up", "setup", "SetupPanel", "Which images, which source, which classes"),
    Tab("Mixing", "preview", "PreviewPanel", "What the student will see: images mixed of your own"),
    Tab("Pseudo-labels", "pseudo_labels", "PseudoLabelPanel", "What the source says of each image"),
    Tab("Hard patches", "patches", "PatchPanel", "Patches of rare classes: look, reject, relabel"),
    Tab("Monitor", "monitor", "MonitorPanel", "Losses, scores and classes, live"),
    Tab("Before and after", "before_after", "BeforeAfterPanel", "Source, baseline and rounds on the same image"),
    Tab("Compare", "compare", "ComparePanel", "Past runs on one chart"),
)
_TITLE = "CROTS Studio"
_SMALLEST = (1000, 640)


class MainWindow(QMainWindow):
    """The window of one session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.panels: dict[str, QWidget] = {}
        self.dialogs_are_quiet = False
        self._leaving = False
        self._continue_in_child = False
        self.welcome = WelcomePanel(session)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.welcome)
        self.setCentralWidget(self.pages)
        self.workspace: QWidget | None = None
        self._building = self._build()
        self.setWindowTitle(_TITLE)
        self.setAcceptDrops(False)
        self.setMinimumSize(*_SMALLEST)
        self.resize(1280, 720)
        self.restoreGeometry(session.settings.layout("window"))
        self.welcome.new_wanted.connect(self.new_project)
        self.welcome.open_wanted.connect(self.open_project)
        self.welcome.demo_wanted.connect(self.try_demo)
        self.welcome.project_chosen.connect(lambda path: self.go_to_project(Path(path)))
        session.project_changed.connect(self._another_project)
        session.busy_changed.connect(self._busy)
        session.run_ended.connect(self._run_ended)
        session.blocker_changed.connect(lambda _: self._refresh_actions())
        session.status_changed.connect(lambda _: self._refresh_actions())
        session.run_changed.connect(self._refresh_actions)
        self._make_actions()
        self._refresh_actions()

    # The workspace, made when the first paint is over.

    def build_workspace(self) -> None:
        """Makes all panels that are not there yet."""
        for _ in self._building:
            pass

    def build_gently(self) -> None:
        """Makes the panels one by one, so that the window answers in between."""
        if next(self._building, "done") != "done":
            QTimer.singleShot(0, self.build_gently)

    def _build(self) -> Iterator[None]:
        from crots_studio.panels.log import LogPanel
        from crots_studio.panels.rail import RailPanel
        from crots_studio.panels.run_bar import RunBar
        from crots_studio.panels.settings import SettingsPanel

        yield
        self.rail = RailPanel(self.session)
        self.settings_panel = SettingsPanel(self.session)
        self.log = LogPanel(self.session)
        self.run_bar = RunBar(self.session)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Views")
        page = self._lay_out()
        self.pages.addWidget(page)
        for tab in TABS:
            yield
            self._add_tab(tab)
        self.rail.chosen.connect(self._stage_chosen)
        setup = self.panels.get("setup")
        if setup is not None:
            setup.checked.connect(self.rail.take_findings)  # type: ignore[attr-defined]
        self._fill_view_menu()
        self.workspace = page
        self._another_project()

    def _lay_out(self) -> QWidget:
        self.rows = QSplitter(Qt.Orientation.Vertical)
        self.rows.addWidget(self.tabs)
        self.rows.addWidget(self.log)
        self.rows.setSizes([470, 110])
        self.rows.setCollapsible(0, False)
        self.rows.setStretchFactor(0, 1)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        for widget in (self.rail, self.rows, self.settings_panel):
            self.columns.addWidget(widget)
        self.columns.setSizes([205, 750, 325])
        self.columns.setStretchFactor(1, 1)
        self.columns.setCollapsible(1, False)
        for name in ("columns", "rows"):
            getattr(self, name).restoreState(self.session.settings.layout(name))
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.columns, 1)
        column.addWidget(self.run_bar)
        return page

    def _add_tab(self, tab: Tab) -> None:
        panel = self._make_panel(tab)
        self.panels[tab.module] = panel
        index = self.tabs.addTab(panel, tab.title)
        self.tabs.setTabToolTip(index, tab.tip)

    def _make_panel(self, tab: Tab) -> QWidget:
        name = f"crots_studio.panels.{tab.module}"
        if importlib.util.find_spec(name) is None:
            missing = QLabel(f"{tab.title}: not there yet")
            missing.setAlignment(Qt.AlignmentFlag.AlignCenter)
            return missing
        panel: QWidget = getattr(importlib.import_module(name), tab.panel)(self.session)
        return panel

    def show_tab(self, module: str) -> None:
        """Brings a tab to the front by its panel's module name."""
        if module in self.panels:
            self.tabs.setCurrentWidget(self.panels[module])

    def _stage_chosen(self, key: str) -> None:
        self.settings_panel.go_to(key)
        if key in ("target", "source"):
            self.show_tab("setup")

    # Menus. Every action is a method, so that tests and shortcuts take the same way.

    def _make_actions(self) -> None:
        menus = {name: self.menuBar().addMenu(name) for name in ("&File", "&Edit", "&Run", "&View", "&Help")}
        self.actions_by_name: dict[str, QAction] = {}
        self._file_menu(menus["&File"])
        self._edit_menu(menus["&Edit"])
        self._run_menu(menus["&Run"])
        self.view_menu = menus["&View"]
        self._theme_menu(self.view_menu.addMenu("&Theme"))
        self._help_menu(menus["&Help"])

    def _action(self, menu: QMenu, words: str, act: Callable[[], object], keys: object = None) -> QAction:
        action = menu.addAction(words)
        action.triggered.connect(lambda _=False: act())
        if keys is not None:
            action.setShortcut(QKeySequence(keys))  # type: ignore[call-overload]
        self.actions_by_name[words.replace("&", "").removesuffix(" ...")] = action
        return action

    def _file_menu(self, menu: QMenu) -> None:
        self._action(menu, "&New project ...", self.new_project, QKeySequence.StandardKey.New)
        self._action(menu, "&Open project ...", self.open_project, QKeySequence.StandardKey.Open)
        self.recent_menu = menu.addMenu("Open &recent")
        self.recent_menu.aboutToShow.connect(self._fill_recent)
        self._action(menu, "Try the &demonstration ...", self.try_demo)
        menu.addSeparator()
        self.export_action = self._action(menu, "&Export ...", self.export, "Ctrl+E")
        self.folder_action = self._action(menu, "Open project &folder", self.open_folder)
        self.close_action = self._action(menu, "&Close project", self.close_project, "Ctrl+W")
        menu.addSeparator()
        self._action(menu, "&Quit", self.close, QKeySequence.StandardKey.Quit)

    def _edit_menu(self, menu: QMenu) -> None:
        self._action(menu, "&Undo", lambda: self._to_panel("undo"), QKeySequence.StandardKey.Undo)
        self._action(menu, "&Redo", lambda: self._to_panel("redo"), QKeySequence.StandardKey.Redo)
        menu.addSeparator()
        self._action(menu, "Copy &command that makes this project", self._copy_command)
        self._action(menu, "Copy command that &runs this project", self._copy_run_command)
        self._action(menu, "&Find an option", self._find_option, QKeySequence.StandardKey.Find)

    def _run_menu(self, menu: QMenu) -> None:
        self.run_action = self._action(menu, "&Run all that remains", self.session.start_run, "Ctrl+R")
        self.run_one_action = self._action(menu, "Run the chosen stage &alone", self.run_chosen, "Ctrl+Shift+R")
        menu.addSeparator()
        self.pause_action = self._action(menu, "&Pause or resume", self.toggle_pause, "Ctrl+P")
        self.stop_action = self._action(menu, "&Stop and keep", self.session.stop, "Ctrl+.")
        self.cancel_action = self._action(menu, "&Cancel and discard", lambda: self.session.stop(discard=True))

    def _theme_menu(self, menu: QMenu) -> None:
        group = QActionGroup(menu)
        for mode in MODES:
            action = menu.addAction(f"&{mode.capitalize()}")
            action.setCheckable(True)
            action.setChecked(self.session.settings.theme == mode)
            action.triggered.connect(lambda _=False, mode=mode: self.session.set_theme(mode))
            group.addAction(action)

    def _help_menu(self, menu: QMenu) -> None:
        self._action(menu, "&Help on the stages", self.show_help, QKeySequence.StandardKey.HelpContents)
        self._action(menu, "&Shortcuts", self.show_shortcuts, "Ctrl+?")
        self._action(menu, "&About", self.show_about)

    def _fill_view_menu(self) -> None:
        self.view_menu.addSeparator()
        for number, tab in enumerate(TABS, 1):
            self._action(self.view_menu, tab.title, partial(self.show_tab, tab.module), f"Alt+{number}")
        self.view_menu.addSeparator()
        for words, widget, keys in (
            ("Stage &rail", self.rail, "F2"),
            ("Se&ttings", self.settings_panel, "F3"),
            ("&Log", self.log, "F4"),
        ):
            action = self.view_menu.addAction(words)
            action.setCheckable(True)
            action.setChecked(True)
            action.setShortcut(keys)
            action.toggled.connect(widget.setVisible)

    def _fill_recent(self) -> None:
        self.recent_menu.clear()
        for row in self.session.settings.recent.rows():
            action = self.recent_menu.addAction(str(row.path))
            action.setEnabled(row.present)
            action.triggered.connect(lambda _=False, path=row.path: self.go_to_project(path))

    def _refresh_actions(self) -> None:
        session = self.session
        project, busy = session.project is not None, session.busy
        remains = any(stage.state != "done" for stage in session.status)
        self.run_action.setEnabled(project and not busy and not session.blocker and remains)
        self.run_one_action.setEnabled(project and not busy and not session.blocker)
        for action in (self.pause_action, self.stop_action, self.cancel_action):
            action.setEnabled(busy and not session.run_state.stopping)
        for action in (self.export_action, self.folder_action):
            action.setEnabled(project)
        self.close_action.setEnabled(project and not busy)

    # What the actions do.

    def new_project(self) -> None:
        """Asks for a place and makes a project there."""
        from crots_studio.dialogs.new_project import NewProjectDialog

        if self._refuse_while_busy():
            return
        dialog = NewProjectDialog(self.session.settings, self)
        if dialog.exec():
            self.create_project(dialog.folder, dialog)
        dialog.deleteLater()

    def create_project(self, folder: Path, dialog: object) -> None:
        """Makes the project that the dialog describes and opens it."""
        try:
            Project.create(folder, dialog.config)  # type: ignore[attr-defined]
        except CrotsError as error:
            self.tell("New project", str(error))
            return
        self.go_to_project(folder)

    def open_project(self) -> None:
        """Asks for a project folder."""
        if self._refuse_while_busy():
            return
        start = self.session.settings.folder("projects")
        chosen = QFileDialog.getExistingDirectory(self, "Open a project", start)
        if chosen:
            self.session.settings.set_folder("projects", str(Path(chosen).parent))
            self.go_to_project(Path(chosen))

    def go_to_project(self, folder: Path) -> None:
        """Opens a project; says why where it cannot be opened."""
        # Panels that came after the project would have missed its signals.
        self.build_workspace()
        if not self._refuse_while_busy():
            self.session.open_project(folder, lambda error: self.tell("Open project", str(error)))

    def close_project(self) -> None:
        """Goes back to the welcome page."""
        if not self._refuse_while_busy():
            self.session.close_project()

    def try_demo(self) -> None:
        """Asks for a folder and runs the demonstration there, live."""
        if self._refuse_while_busy():
            return
        start = str(Path(self.session.settings.folder("projects")) / "crots-demo")
        chosen, _ = QFileDialog.getSaveFileName(self, "Folder of the demonstration", start)
        if chosen:
            self.start_demo(Path(chosen))

    def start_demo(self, folder: Path, *, tiny: bool = False) -> None:
        """Runs the demonstration into a folder."""
        from crots_studio.demo import demo_source

        self.build_workspace()
        self.session.start_demo(demo_source(folder, tiny=tiny), folder)

    def open_folder(self) -> None:
        """Shows the project folder in the desktop's file manager."""
        from PySide6.QtCore import QUrl
        from PySide6.QtGui import QDesktopServices

        if self.session.project is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.session.project.folder)))

    def export(self) -> None:
        """Opens the export dialog."""
        self._open_dialog("export", "ExportDialog")

    def show_shortcuts(self) -> None:
        """Lists the keys."""
        self._open_dialog("shortcuts", "ShortcutsDialog")

    def show_help(self) -> None:
        """Explains the stages."""
        self._open_dialog("help", "HelpDialog")

    def _open_dialog(self, module: str, name: str) -> None:
        dialog = getattr(importlib.import_module(f"crots_studio.dialogs.{module}"), name)(self.session, self)
        dialog.exec()
        dialog.deleteLater()

    def show_about(self) -> None:
        """Says what this is."""
        import crots

        words = f"CROTS Studio {crots.__version__}\n\nAdapts segmentation models to your own images, without labels."
        QMessageBox.about(self, "About", words)

    def run_chosen(self) -> None:
        """Runs the stage that is chosen in the rail."""
        row = self.rail.current if self.workspace is not None else None
        if row is not None and row.is_stage and row.startable:
            self.session.start_run(RunRequest(only=row.key))

    def toggle_pause(self) -> None:
        """Pauses the run, or lets it go on."""
        self.run_bar.toggle_pause()

    def _to_panel(self, name: str) -> None:
        panel = self.tabs.currentWidget() if self.workspace is not None else None
        act = getattr(panel, name, None)
        if callable(act):
            act()

    def _copy_command(self) -> None:
        if self.workspace is not None:
            self.settings_panel.copy_command()

    def _copy_run_command(self) -> None:
        if self.session.project is not None:
            QGuiApplication.clipboard().setText(run_command(self.session.project.folder))

    def _find_option(self) -> None:
        if self.workspace is not None:
            self.settings_panel.search.setFocus()

    # What happens to the window.

    def _another_project(self) -> None:
        project = self.session.project
        live = project is not None or self.session.busy
        if self.workspace is not None:
            self.pages.setCurrentWidget(self.workspace if live else self.welcome)
        self.setWindowTitle(f"{project.folder.name} - {_TITLE}" if project is not None else _TITLE)
        self._refresh_actions()

    def _busy(self, busy: bool) -> None:
        if busy:
            self._another_project()
            self.show_tab("monitor")
        self._refresh_actions()

    def _run_ended(self, end: RunEnd) -> None:
        if self._leaving:
            self._leave()
        elif end.outcome == "failed":
            self._show_failure(end)
        elif end.outcome == "completed" and not self.isActiveWindow():
            QApplication.alert(self)

    def _show_failure(self, end: RunEnd) -> None:
        from crots.project import ProjectConfig
        from crots_studio.dialogs.failure import FailureDialog
        from crots_studio.models.failures import LOG_TAIL, advise

        project = self.session.project
        code, words = end.exit_code, end.message
        stage = StageFinished(
            stage=end.stage, outcome="failed", seconds=0, exit_code=code, message=words, detail=end.detail
        )
        tail = "\n".join(self.log.text.splitlines()[-LOG_TAIL:])
        advice = advise(stage, project.config if project is not None else ProjectConfig())
        dialog = FailureDialog(advice, tail, self)
        dialog.accepted.connect(lambda: self._mend(dialog))
        dialog.finished.connect(dialog.deleteLater)
        self.failure = dialog
        # Not exec: events of the session still arrive, and tests can look at it.
        dialog.open()

    def _mend(self, dialog: object) -> None:
        settings = dialog.settings  # type: ignore[attr-defined]
        if settings:
            self.session.set_options(settings)
        self.session.start_run()

    def tell(self, title: str, words: str) -> None:
        """Says something that the user asked for and did not get."""
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
        if self.session.busy and not self.session.detached:
            event.ignore()
            if not self._leaving:
                self._ask_before_leaving()
            return
        self._remember_layout()
        self.session.close()
        event.accept()

    def _ask_before_leaving(self) -> None:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("A run goes on")
        box.setText("What is to become of the run?")
        box.setInformativeText("It ends after the current step, and the work so far is kept either way.")
        keep = box.addButton("Stop and keep", QMessageBox.ButtonRole.AcceptRole)
        go_on = box.addButton("Go on without the window", QMessageBox.ButtonRole.AcceptRole)
        go_on.setEnabled(self.session.project is not None)
        back = box.addButton("Back to the window", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(back)
        box.setEscapeButton(back)
        keep.clicked.connect(lambda: self.leave(go_on=False))
        go_on.clicked.connect(lambda: self.leave(go_on=True))
        box.finished.connect(box.deleteLater)
        self.question = box
        box.open()

    def leave(self, *, go_on: bool) -> None:
        """Stops the run and then closes; with ``go_on`` a child process takes over where it stopped."""
        self._leaving, self._continue_in_child = True, go_on
        self.session.stop()

    def _leave(self) -> None:
        if self._continue_in_child:
            self.session.start_run(in_child=True)
            QTimer.singleShot(0, self._close_when_child_runs)
        else:
            QTimer.singleShot(0, self.close)

    def _close_when_child_runs(self) -> None:
        if self.session.detached or self.session.idle:
            self.close()
        else:
            QTimer.singleShot(50, self._close_when_child_runs)

    def _remember_layout(self) -> None:
        settings = self.session.settings
        settings.set_layout("window", self.saveGeometry())
        if self.workspace is not None:
            settings.set_layout("columns", self.columns.saveState())
            settings.set_layout("rows", self.rows.saveState())
