"""The open project: its options, its events, and the state of its stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from crots.errors import CrotsError
from crots.estimate.facts import Estimate, known_estimate
from crots.eventlog import running
from crots.outlook import decides_rounds, outlook
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.project_status import StageStatus, statuses
from crots.student_start import StudentStart
from crots.trust import Code, with_trust
from crots_studio.background.errands import Errands
from crots_studio.background.loading import preload_torch
from crots_studio.models import class_map
from crots_studio.models.history import History
from crots_studio.models.project_changes import (
    MergedChanges,
    Values,
    change_summary,
    difference,
    listed,
    merge,
    with_values,
)
from crots_studio.models.project_file import Foreign, ProjectFile
from crots_studio.models.undo import Step, UndoStack
from crots_studio.models.words import fault_text
from crots_studio.settings import Settings

_MOST_STEPS = 500


@dataclass(frozen=True)
class OpenedFiles:
    """The content of a project's folder; ``going_on``: a run holds it."""

    project: Project
    history: History
    going_on: bool


@dataclass(frozen=True)
class FoundStages:
    """The stages of the project in a folder; ``unread``: whether rounds follow shows once its weights were read."""

    folder: Path
    status: list[StageStatus]
    estimate: Estimate | None
    unread: Project | None


class OpenProject(QObject):
    """Opens, changes and closes a project.

    Attributes:
        project: the open one.
        history: its events so far.
        status: its stages; empty until they have been read.
        estimate: what is known of the rest of its run, with the options as they were when its stages were read.
        trusted: third-party code that the user trusts, for this project in this window; kept nowhere else.
        looking: whether the stages are being read, which takes seconds for a hundred thousand files.
        conflict: options that were changed both here and in the project's file; nothing is written until one side is
            chosen. None for none.
        guard: tells, before the project of this folder is opened, whether a run keeps the present one open.

    Signals (all on the window's thread):
        problem(str): something that the user should read and that has no better place.
        notice(str): information that needs no action.
        conflict_found(MergedChanges): `conflict` is waiting for an answer.
        undo_changed(): something else can be undone or done again, here or in a panel.
        class_map_changed(): the project's class map was written, perhaps without a change of an option.
        project_changed(): another project, or the same one read again; `project` and `history` are both ready.
        opened(bool): after that, where a project was opened: whether a run holds it.
        history_changed(): events of a run were discarded; `history` was read again.
        config_changed(): an option of the project changed.
        corrections_imported(list[Import]): a labelling tool's corrections of the open project were written.
        trust_changed(): the user trusts more third-party code.
        status_changed(list[StageStatus]): the stages' states, after a change of options, files or the run.
    """

    problem = Signal(str)
    notice = Signal(str)
    conflict_found = Signal(object)
    undo_changed = Signal()
    class_map_changed = Signal()
    project_changed = Signal()
    opened = Signal(bool)
    history_changed = Signal()
    config_changed = Signal()
    corrections_imported = Signal(object)
    trust_changed = Signal()
    status_changed = Signal(list)

    def __init__(self, settings: Settings, errands: Errands, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings, self._errands = settings, errands
        self.guard: Callable[[Path], bool] = lambda _: False
        self.project: Project | None = None
        self.history = History()
        self.status: list[StageStatus] = []
        self.estimate: Estimate | None = None
        self.trusted: frozenset[Code] = frozenset()
        self.looking = False
        self.conflict: MergedChanges | None = None
        # The last message about the project's file, and whether it could not be written then.
        self._fault, self._unsaved = "", False
        self._file: ProjectFile | None = None
        self._start = StudentStart()
        # Which of the changes by others the options here are joined with.
        self._turn = 0
        self._changes: UndoStack[Values] = UndoStack(self._restore, _MOST_STEPS)

    def open_project(self, folder: Path | str, failed: Callable[[Exception], None] | None = None) -> None:
        """Opens a project and reads its events; `project_changed` says when it is there."""
        path = Path(folder)

        def read() -> OpenedFiles:
            project = Project.open(path)
            return OpenedFiles(project, History.read(project.events_path), running(project.lock_path))

        # It may be the one whose options are being written at this moment.
        self._errands.after_saving(
            lambda: self._errands.in_background(read, self._opened, failed, token="open project")
        )

    def _opened(self, found: OpenedFiles) -> None:
        busy = self.guard(found.project.folder)
        if busy and self.project is not None:
            # It was requested before the run, which continues in the other project.
            self.problem.emit(f"{found.project.folder} was not opened: a run was started meanwhile")
            return
        self.project, self.status, self.trusted = found.project, [], frozenset()
        self.estimate = None
        self._begin_changes(ProjectFile(found.project))
        if not busy:
            # A demonstration opens its project in the middle of its run; its history is longer than the file's.
            self.history = found.history
        self._settings.recent = self._settings.recent.opened(self.project.folder)
        # Before the panels, so that their questions to the disk come after this one.
        self.refresh_status()
        self.project_changed.emit()
        self.opened.emit(found.going_on)

    def take_history(self, history: History) -> None:
        """Replaces the history after events of a run were discarded."""
        self.history = history
        self.history_changed.emit()

    def close_project(self) -> None:
        """Goes back to no project; only while nothing runs here."""
        self.project, self.history, self.status, self.looking = None, History(), [], False
        self.estimate = None
        self.trusted = frozenset()
        self._begin_changes(None)
        self.project_changed.emit()
        self.status_changed.emit([])

    def trust(self, code: Iterable[Code]) -> None:
        """Lets third-party code run that the user was asked about, until the project is closed."""
        self.trusted |= frozenset(code)
        self.trust_changed.emit()

    def for_run(self) -> Project:
        """The project as a run gets it: its options as they are now, trusted where the user trusts all its code."""
        assert self.project is not None
        folder, config = self.project.folder, self.project.config
        return Project(folder, with_trust(config, folder, self.trusted) if self.trusted else config)

    # Changes of the project: each can be undone.

    def _begin_changes(self, file: ProjectFile | None) -> None:
        self._file, self.conflict, self._turn = file, None, 0
        self._changes = UndoStack(self._restore, _MOST_STEPS)
        self.undo_changed.emit()

    def save_config(self, config: ProjectConfig, title: str = "") -> None:
        """Takes over new options, writes them to disk and checks again what is stale; it can be undone.

        Args:
            config: all options.
            title: what the change is called; by default after what it changes.
        """
        if self.project is None or config == self.project.config:
            return
        before, after = difference(self.project.config, config)
        self._do(Step(title or change_summary(after), "", before, after))

    def write_class_map(self, text: str, title: str) -> None:
        """Writes the class map of the project's own and uses it; it can be undone.

        Raises:
            StageError: it cannot be written; nothing was changed.
        """
        if self.project is None:
            return
        path = self.project.folder / class_map.FILE
        before, after = difference(
            self.project.config, override(self.project.config, {"task.class_map": class_map.FILE})
        )
        old = {**before, class_map.FILE: class_map.read_text(path)}
        self._do(Step(title, "", old, {**after, class_map.FILE: text}))

    def _do(self, step: Step[Values]) -> None:
        self._changes.do(step)
        self.undo_changed.emit()

    def _restore(self, _part: str, values: Values) -> None:
        """Makes or undoes a change: only the options that it concerns are set."""
        assert self.project is not None
        options = {name: value for name, value in values.items() if name != class_map.FILE}
        config = with_values(self.project.config, options)
        if class_map.FILE in values:
            # Small; written here, so that the check that follows finds it.
            class_map.write_text_or_none(self.project.folder / class_map.FILE, values[class_map.FILE])
            self.class_map_changed.emit()
        self._take_config(config)

    def _take_config(self, config: ProjectConfig) -> None:
        assert self.project is not None
        self.project.config = config
        self._write()
        self.config_changed.emit()
        self.refresh_status()

    @property
    def undo_text(self) -> str:
        """The change of options, set-up or class map that `undo` reverts; empty if there is none."""
        return self._changes.undo_text

    @property
    def redo_text(self) -> str:
        """The change that `redo` repeats; likewise."""
        return self._changes.redo_text

    def undo(self) -> None:
        """Undoes the last change of options, set-up or class map."""
        self._walk(self._changes.undo)

    def redo(self) -> None:
        """Redoes the change that was undone last."""
        self._walk(self._changes.redo)

    def _walk(self, step: Callable[[], object]) -> None:
        if self.project is None:
            return
        try:
            step()
        except (CrotsError, OSError) as error:
            self.problem.emit(fault_text(error))
        self.undo_changed.emit()

    # The project's file, which another window or an editor may change too.

    def _write(self) -> None:
        if self._file is None or self.project is None or self.conflict is not None:
            return
        file, config, turn = self._file, self.project.config, self._turn
        self._errands.save_in_background(
            lambda: file.write(config, turn), lambda found: self._found_in_file(file, found), self._not_written
        )

    def _not_written(self, error: Exception) -> None:
        self._unsaved = True
        self.problem.emit(fault_text(error))

    def look_at_file(self) -> None:
        """Merges changes that another program wrote into the project's file."""
        if self._file is not None and self.conflict is None:
            file = self._file
            self._errands.save_in_background(
                file.changed, lambda found: self._found_in_file(file, found), self._file_unreadable
            )

    def _file_unreadable(self, error: Exception) -> None:
        # Checked every few seconds, but reported once.
        if fault_text(error) != self._fault:
            self._fault = fault_text(error)
            self.problem.emit(self._fault)

    def _found_in_file(self, file: ProjectFile, found: Foreign | None) -> None:
        if file is not self._file or self.project is None:
            return
        self._fault, unsaved, self._unsaved = "", self._unsaved, False
        if found is None:
            if unsaved:
                self._write()
            return
        self._turn = found.turn
        merged = merge(found.before, self.project.config, found.theirs)
        if merged.conflicts:
            self.conflict = merged
            self.conflict_found.emit(merged)
        else:
            self._join(merged.config, merged.taken)

    def settle_conflict(self, *, mine: bool) -> None:
        """Keeps what was changed here, or what is in the file, where both were changed; the rest is joined."""
        merged, self.conflict = self.conflict, None
        if merged is None or self.project is None:
            return
        theirs = {} if mine else {conflict.path: conflict.theirs for conflict in merged.conflicts}
        # Changes made here while the question was open are kept.
        self._join(with_values(self.project.config, {**merged.taken, **theirs}), {**merged.taken, **theirs})

    def _join(self, config: ProjectConfig, taken: Values) -> None:
        if taken:
            self.notice.emit(f"The project file was changed elsewhere; now used: {listed(taken)}")
        self._take_config(config)

    def set_options(self, settings: Mapping[str, Any]) -> None:
        """Takes over ``{"adapt.steps": "100"}``.

        Raises:
            InputError: an option is unknown or a value does not fit; nothing was changed.
        """
        if self.project is not None:
            self.save_config(override(self.project.config, settings))

    def refresh_status(self) -> None:
        """Reads the stages' states again; `status_changed` delivers them."""
        if self.project is None:
            return
        folder, snapshot = self.project.folder, Project(self.project.folder, self.project.config)

        start = self._start

        def work() -> FoundStages:
            status = outlook(snapshot, statuses(snapshot), start.known(snapshot))
            unread = decides_rounds(snapshot, status) and start.unread(snapshot)
            return FoundStages(folder, status, known_estimate(snapshot, status), snapshot if unread else None)

        self.looking = True
        self._errands.in_background(work, self._status_found, self._status_failed, token="status")

    def _status_found(self, found: FoundStages) -> None:
        if self.project is None or self.project.folder != found.folder:
            return
        self.status, self.estimate, self.looking = found.status, found.estimate, False
        self.status_changed.emit(found.status)
        if (unread := found.unread) is not None:
            # It takes torch, and the states are not to wait for that.
            self._errands.in_background(
                partial(_read_start, self._start, unread),
                self._start_found,
                lambda _: None,
                token="start of the student",
            )

    def _start_found(self, _: None) -> None:
        self.refresh_status()

    def _status_failed(self, error: Exception) -> None:
        self.looking = False
        self.problem.emit(f"the stages cannot be checked: {fault_text(error)}")
        self.status_changed.emit(self.status)


def _read_start(start: StudentStart, project: Project) -> None:
    preload_torch()
    start.read(project)
