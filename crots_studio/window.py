"""The main window: its title, its pages and menus, and the message when a run failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow

from crots.events import StageFinished
from crots.project_config import ProjectConfig
from crots_studio.actions import ProjectActions
from crots_studio.icon import app_icon
from crots_studio.leaving import Leaving
from crots_studio.menus import Menus
from crots_studio.models.project_changes import MergedChanges
from crots_studio.pages import Pages
from crots_studio.runs.run import RunEnd
from crots_studio.session import Session
from crots_studio.widgets.run_question import start_run

if TYPE_CHECKING:
    from crots_studio.dialogs.failure import FailureDialog
    from crots_studio.workspace import Workspace

_TITLE = "CROTS Studio"
_SMALLEST = (1000, 640)
# What a desktop may put around a window.
_FRAME = 40


class MainWindow(QMainWindow):
    """The window of one session.

    Attributes:
        session: what it is about.
        pages: the welcome page and the workspace.
        project_actions: what its menus and the welcome page call.
        workspace: the page of an open project, None until it is made; its parts are at hand here too.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        # Benchmarks and soak tests have no user to answer.
        self.dialogs_are_quiet = False
        self.workspace: Workspace | None = None
        self.pages = Pages(session)
        self.welcome = self.pages.welcome
        self.setCentralWidget(self.pages)
        self.setWindowTitle(_TITLE)
        self.setWindowIcon(app_icon())
        self.setMinimumSize(*_SMALLEST)
        self.resize(1280, 720)
        self.restoreGeometry(session.settings.layout("window"))
        self.leaving = Leaving(self, session)
        self.project_actions = ProjectActions(session, self.pages, self)
        self.menus = Menus(self, session, self.project_actions)
        self._connect()

    def open_up(self) -> None:
        """Shows itself; where its size and a frame have no room on the screen, it fills that."""
        room = self.screen().availableGeometry()
        if room.width() < self.width() + _FRAME or room.height() < self.height() + _FRAME:
            self.showMaximized()
        else:
            self.show()

    def _connect(self) -> None:
        session, welcome, actions = self.session, self.welcome, self.project_actions
        welcome.new_wanted.connect(actions.new_project)
        welcome.open_wanted.connect(actions.open_project)
        welcome.demo_wanted.connect(actions.try_demo)
        welcome.project_chosen.connect(lambda path: actions.go_to_project(Path(path)))
        self.pages.built.connect(self._take_workspace)
        self.pages.export_wanted.connect(actions.export)
        session.opened.project_changed.connect(self._turn_page)
        session.run.busy_changed.connect(self._busy)
        session.run.ended.connect(self._run_ended)
        session.opened.conflict_found.connect(self._ask_about_conflict)
        session.run.blocker_changed.connect(self.menus.refresh)
        session.opened.status_changed.connect(self.menus.refresh)
        session.run.changed.connect(self.menus.refresh)

    def _take_workspace(self) -> None:
        self.workspace = page = self.pages.workspace
        assert page is not None
        self.rail, self.settings_panel, self.log_panel = page.rail, page.settings_panel, page.log_panel
        self.run_bar, self.tabs, self.panels = page.run_bar, page.tabs, page.panels
        self.rail.apply_wanted.connect(self.project_actions.apply)
        self.rail.failure_wanted.connect(self._explain_failure)
        self.run_bar.apply_wanted.connect(self.project_actions.apply)
        self.run_bar.report_wanted.connect(self.project_actions.report)
        self.panels["compare"].like_wanted.connect(self.project_actions.new_project_like)  # type: ignore[attr-defined]
        labels, act = self.panels["pseudo_labels"], self.project_actions
        labels.export_wanted.connect(act.export_doubtful)  # type: ignore[attr-defined]
        labels.import_wanted.connect(act.import_corrected)  # type: ignore[attr-defined]
        self.panels["compare"].queue_wanted.connect(self.project_actions.queue)  # type: ignore[attr-defined]
        self.menus.fill_view(page)
        self._turn_page()

    # What happens to the window.

    def _turn_page(self) -> None:
        project = self.session.project
        self.pages.show_fitting()
        self.setWindowTitle(f"{project.folder.name} - {_TITLE}" if project is not None else _TITLE)
        self.menus.refresh()

    def _busy(self, busy: bool) -> None:
        if busy:
            self._turn_page()
            request = self.session.run.request
            # Patches are cut while they are shown.
            if request.only != "mine" and not request.estimate:
                self.pages.show_tab("methods" if request.compares else "monitor")
        self.menus.refresh()

    def _ask_about_conflict(self, merged: MergedChanges) -> None:
        from crots_studio.dialogs.conflict import ConflictQuestion

        ConflictQuestion(self.session, merged, self).open()

    def _run_ended(self, end: RunEnd) -> None:
        if end.outcome == "failed" and not self.leaving.under_way and not self.dialogs_are_quiet:
            self._show_failure(end)

    def _explain_failure(self, key: str) -> None:
        """Says again why a stage failed, also after its project was closed."""
        ended = self.session.opened.history.stage(key).finished
        if ended is not None and ended.outcome == "failed":
            self._explain(ended, estimate=False)

    def _show_failure(self, end: RunEnd) -> None:
        stage = StageFinished(
            stage=end.stage,
            outcome="failed",
            seconds=0,
            exit_code=end.exit_code,
            message=end.message,
            detail=end.detail,
            cause=end.cause,
            settings=dict(end.settings),
        )
        self._explain(stage, estimate=self.session.run.request.estimate)

    def _explain(self, stage: StageFinished, *, estimate: bool) -> None:
        from crots_studio.dialogs.failure import FailureDialog
        from crots_studio.models.failures import LOG_TAIL, advise

        project = self.session.project
        tail = "\n".join(self.log_panel.text.splitlines()[-LOG_TAIL:])
        config = project.config if project is not None else ProjectConfig()
        advice = advise(stage, config, estimate=estimate)
        dialog = FailureDialog(advice, tail, self)
        dialog.accepted.connect(lambda: self._mend(dialog))
        dialog.finished.connect(dialog.deleteLater)
        self.failure = dialog
        # Not exec: the session's events still arrive.
        dialog.open()

    def _mend(self, dialog: FailureDialog) -> None:
        if dialog.settings:
            self.session.opened.set_options(dialog.settings)
        if dialog.again:
            start_run(self.session, self, self.session.run.request)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Follows the desktop from light to dark."""
        if event.type() == QEvent.Type.ThemeChange and self.session.settings.theme == "system":
            QTimer.singleShot(0, self.session.refresh_theme)
        super().changeEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 (Qt's name)
        """Asks whether to stop a run in this process; one in another process continues by itself."""
        if not self.leaving.may_leave():
            event.ignore()
            return
        self.session.settings.set_layout("window", self.saveGeometry())
        self.pages.end()
        self.session.close()
        event.accept()
