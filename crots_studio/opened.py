"""The project that is open: its options, its events, and how its stages stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from crots.eventlog import running
from crots.project import Project, ProjectConfig, StageStatus, override
from crots.trust import Code, with_trust
from crots_studio.background.errands import Errands
from crots_studio.models.history import History
from crots_studio.settings import Settings


@dataclass(frozen=True)
class Found:
    """What reading a project's folder brought; ``going_on`` says that a run holds it."""

    project: Project
    history: History
    going_on: bool


class OpenProject(QObject):
    """Opens, changes and closes a project.

    Attributes:
        errands: what works beside the window.
        project: the open one.
        history: its events so far.
        status: its stages; empty until they have been looked at.
        trusted: code of others that the user trusts, for this project in this window; kept nowhere else.
        looking: whether the stages are being looked at, which takes seconds for a hundred thousand files.

    Signals (all on the window's thread):
        problem(str): something that the user should read and that has no better place.
        project_changed(): another project, or the same one read anew; `project` and `history` are both ready.
        history_changed(): what a run had said was taken back; `history` was read anew.
        config_changed(): an option of the project changed.
        trust_changed(): the user trusts more code of others.
        status_changed(list[StageStatus]): the stages' states, after a change of options, files or the run.
    """

    problem = Signal(str)
    project_changed = Signal()
    history_changed = Signal()
    config_changed = Signal()
    trust_changed = Signal()
    status_changed = Signal(list)

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.errands = Errands(self)
        self.errands.problem.connect(self.problem)
        self.settings = settings
        self.project: Project | None = None
        self.history = History()
        self.status: list[StageStatus] = []
        self.trusted: frozenset[Code] = frozenset()
        self.looking = False

    @property
    def busy(self) -> bool:
        """Whether a run goes on in this window, or is followed by it."""
        return False

    def open_project(self, folder: Path | str, failed: Callable[[Exception], None] | None = None) -> None:
        """Opens a project and reads its events; `project_changed` says when it is there."""
        path = Path(folder)

        def read() -> Found:
            project = Project.open(path)
            return Found(project, History.read(project.events_path), running(project.lock_path))

        # It may be the one whose options are being written at this moment.
        self.errands.after_saving(lambda: self.errands.in_background(read, self._opened, failed, token="open project"))

    def _opened(self, found: Found) -> None:
        self.project, self.status, self.trusted = found.project, [], frozenset()
        if not self.busy:
            # A demonstration opens its project in the middle of its run; its history is longer than the file's.
            self.history = found.history
        self.settings.recent = self.settings.recent.opened(self.project.folder)
        # Before the panels, so that their questions to the disk come after this one.
        self.refresh_status()
        self.project_changed.emit()

    def close_project(self) -> None:
        """Goes back to no project; only while nothing runs here."""
        self.project, self.history, self.status, self.looking = None, History(), [], False
        self.trusted = frozenset()
        self.project_changed.emit()
        self.status_changed.emit([])

    def trust(self, code: Iterable[Code]) -> None:
        """Lets code of others run that the user was asked about, until the project is closed."""
        self.trusted |= frozenset(code)
        self.trust_changed.emit()

    def for_run(self) -> Project:
        """The project as a run gets it: its options as they are now, trusted where the user said so of all code."""
        assert self.project is not None
        folder, config = self.project.folder, self.project.config
        return Project(folder, with_trust(config, folder, self.trusted) if self.trusted else config)

    def save_config(self, config: ProjectConfig) -> None:
        """Takes over new options, writes them to disk and asks anew what is stale."""
        if self.project is None or config == self.project.config:
            return
        self.project.config = config
        snapshot = Project(self.project.folder, config)
        self.errands.save_in_background(snapshot.save)
        self.config_changed.emit()
        self.refresh_status()

    def set_options(self, settings: Mapping[str, Any]) -> None:
        """Takes over ``{"adapt.steps": "100"}``.

        Raises:
            InputError: an option is unknown or a value does not fit; nothing was changed.
        """
        if self.project is not None:
            self.save_config(override(self.project.config, settings))

    def refresh_status(self) -> None:
        """Asks anew for the stages' states; `status_changed` brings them."""
        if self.project is None:
            return
        folder, snapshot = self.project.folder, Project(self.project.folder, self.project.config)

        def work() -> tuple[Path, list[StageStatus]]:
            return folder, snapshot.status()

        self.looking = True
        self.errands.in_background(work, self._status_found, self._status_failed, token="status")

    def _status_found(self, found: tuple[Path, list[StageStatus]]) -> None:
        folder, status = found
        if self.project is not None and self.project.folder == folder:
            self.status, self.looking = status, False
            self.status_changed.emit(status)

    def _status_failed(self, error: Exception) -> None:
        self.looking = False
        self.problem.emit(f"the stages cannot be looked at: {error}")
        self.status_changed.emit(self.status)
