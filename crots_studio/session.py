"""What all panels share: the open project, its run and the work beside the window.

Panels connect to the signals of these parts and never to each other.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from crots.project import Project
from crots_studio import theme
from crots_studio.background.errands import Errands
from crots_studio.models.words import in_window
from crots_studio.opened import OpenProject
from crots_studio.runs.active import ActiveRun
from crots_studio.runs.queue import FILE, RunQueue
from crots_studio.settings import Settings


class Session(QObject):
    """The shared state of a window.

    Attributes:
        settings: what is remembered between sessions.
        errands: work beside the window.
        opened: the open project, its history, its stages' states and its changes.
        run: the run of that project.
        queue: projects that are run one after another, each in a process of its own.

    Signals (all on the window's thread):
        problem(str): something that the user should read and that has no better place; those of the parts too.
        notice(str): information that needs no action; likewise.
        copied(str): what was put on the clipboard, which shows nowhere else.
        theme_changed(bool): dark or not.
    """

    problem = Signal(str)
    notice = Signal(str)
    copied = Signal(str)
    theme_changed = Signal(bool)

    def __init__(self, settings: Settings | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.settings = settings or Settings()
        self.errands = Errands(self)
        self.opened = OpenProject(self.settings, self.errands, self)
        self.run = ActiveRun(self.opened, self.settings, self.errands, self)
        self.queue = RunQueue(
            self.settings.home / FILE, self.errands, lambda: self.run.busy or bool(self.run.left), self
        )
        for part in (self.errands, self.opened, self.run, self.queue):
            part.problem.connect(self._report)
        self.opened.notice.connect(self.notice)
        self.queue.notice.connect(self.notice)

    def _report(self, text: str) -> None:
        # Errors that no caller handles come as the core words them.
        self.problem.emit(in_window(text))

    @property
    def project(self) -> Project | None:
        """The open project."""
        return self.opened.project

    def set_theme(self, mode: str) -> None:
        """Takes and remembers a mode of `crots_studio.theme.MODES`."""
        self.settings.theme = mode
        self.refresh_theme()

    def set_text_size(self, name: str) -> None:
        """Takes and remembers a size of `crots_studio.theme.TEXT_SIZES`."""
        self.settings.text_size = name
        self.refresh_theme()

    def refresh_theme(self) -> None:
        """Applies the remembered mode, which may follow the system."""
        dark = theme.wants_dark(self.settings.theme)
        theme.apply(dark, theme.TEXT_SIZES[self.settings.text_size])
        self.theme_changed.emit(dark)

    def close(self) -> None:
        """Ends threads and timers; a run in this process must have ended before."""
        self.run.close()
        self.queue.close()
        self.errands.end_errands()
        self.settings.sync()
