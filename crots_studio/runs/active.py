"""The run of the open project: started, followed and stopped here, in this process or another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from crots.errors import CrotsError
from crots.eventlog import running
from crots.events import Event, Note, StageFinished, StageStarted
from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig
from crots.runner import discard
from crots_studio.background.errands import Errands
from crots_studio.models.history import History
from crots_studio.models.run_state import ESTIMATING, MEASURING, STARTING, RunState
from crots_studio.models.words import fault_text
from crots_studio.opened import OpenProject
from crots_studio.runs.demo import demo_source, is_unfinished
from crots_studio.runs.run import EventSource, Run, RunEnd, RunRequest, project_events, release_memory
from crots_studio.runs.thread import ThreadRun
from crots_studio.settings import Settings

if TYPE_CHECKING:
    from crots_studio.runs.child import ChildRun

SourceMaker = Callable[[Project, RunRequest], EventSource]

# Redrawing on every event would cost the training a third of its speed; eight times a second costs nothing.
DRAIN_MS = 125
# Drawing more of them in one go would block the window; the others wait for the next time.
_AT_ONCE = 1000
_LOOK_FOR_RUNS_MS = 2000


class ActiveRun(QObject):
    """Starts a run of the open project, or follows one that is going on, and hands its events to the history.

    Attributes:
        state: what the run is doing.
        request: the latest request; a child process that takes over gets the same.
        blocker: why Run has to wait; empty where it need not.
        left: folders of projects whose runs go on in other processes while the window shows another project.
        make_source: makes the events of a run in this process.
        drain_timer: how often events of the run are taken over.
        look_timer: how often other runs and changes of the project's file are looked for.

    Signals (all on the window's thread):
        problem(str): something that the user should read and that has no better place.
        events_arrived(list[Event]): new events, already in the project's history; at most eight times a second.
        busy_changed(bool): a run began or ended.
        changed(): `state` changed.
        ended(RunEnd): how it ended.
        blocker_changed(str): `blocker` changed.
    """

    problem = Signal(str)
    events_arrived = Signal(list)
    busy_changed = Signal(bool)
    changed = Signal()
    ended = Signal(object)
    blocker_changed = Signal(str)

    def __init__(self, opened: OpenProject, settings: Settings, errands: Errands, parent: QObject) -> None:
        super().__init__(parent)
        self._opened, self._settings, self._errands = opened, settings, errands
        self.state = RunState()
        self.blocker = ""
        self.make_source: SourceMaker = project_events
        self.request = RunRequest()
        self.left: tuple[Path, ...] = ()
        self._run: Run | None = None
        self._waiting: deque[Event] = deque()
        self._awaited: Path | None = None
        # Between two states: a child is being started, or work is being discarded.
        self._turning = False
        self.drain_timer = self._timer(DRAIN_MS, self._drain)
        self.look_timer = self._timer(_LOOK_FOR_RUNS_MS, self._look_for_run)
        opened.guard = lambda folder: not self.leave(folder)
        opened.opened.connect(self._project_opened)
        opened.project_changed.connect(self._project_changed)

    def _timer(self, interval: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval)
        timer.timeout.connect(slot)
        return timer

    def set_blocker(self, reason: str) -> None:
        """Says why Run has to wait; empty where it need not."""
        if reason != self.blocker:
            self.blocker = reason
            self.blocker_changed.emit(reason)

    def _project_opened(self, going_on: bool) -> None:
        self.look_timer.start()
        if going_on:
            self._attach()

    def _project_changed(self) -> None:
        if self._project is None:
            if not self.left:
                self.look_timer.stop()
        elif self._project.folder in self.left:
            # It is followed again.
            self.left = tuple(folder for folder in self.left if folder != self._project.folder)

    @property
    def _project(self) -> Project | None:
        return self._opened.project

    @property
    def busy(self) -> bool:
        """Whether a run is active in this window, or is followed by it."""
        return self._run is not None or self._turning

    @property
    def detached(self) -> bool:
        """Whether the run is in another process."""
        return self._run is not None and self._run.detached

    @property
    def keeps_project(self) -> bool:
        """Whether the run would be lost to view, or end, if the window showed another project."""
        return self.busy and (not self.detached or self._turning or self.state.stopping)

    def leave(self, going_to: Path | None = None) -> bool:
        """Lets go of a run in another process, which goes on; False where the run keeps its project open.

        Args:
            going_to: the project that the window shows next.
        """
        if self.keeps_project:
            return False
        if self._run is None:
            return True
        self._run, paused = None, self.state.paused
        self.drain_timer.stop()
        self._waiting.clear()
        self.state = RunState()
        if self._project is not None and self._project.folder != going_to:
            folder = self._project.folder
            self.left = (*(one for one in self.left if one != folder), folder)
            text = "stays paused" if paused else "continues in the background"
            self._opened.notice.emit(f"The run of {folder.name} {text}. Open the project again to follow it.")
        self.busy_changed.emit(False)
        self.changed.emit()
        return True

    @property
    def controllable(self) -> bool:
        """Whether the run can be stopped from here; one that was started in a terminal cannot."""
        return self._run is None or self._run.controllable

    @property
    def in_child(self) -> bool:
        """Whether runs of this project go on in a process of their own; it is remembered for the project."""
        folder = self._project.folder if self._project is not None else None
        return folder is not None and self._settings.project_value(folder, "in_child") == "true"

    @in_child.setter
    def in_child(self, value: bool) -> None:
        if self._project is not None:
            self._settings.set_project_value(self._project.folder, "in_child", "true" if value else "")

    def start(self, request: RunRequest | None = None, *, in_child: bool | None = None) -> None:
        """Runs one stage, or all that remain, in a thread or (by the settings) in a child process."""
        if self._project is None or self.busy:
            return
        self.request = request = request or RunRequest()
        child = request.compares or (self.in_child if in_child is None else in_child)
        if child:
            self._turning = True
            self._errands.after_saving(lambda: self.begin(self.child_run(request)))
        else:
            self.begin(ThreadRun(self._source(request)))

    def _source(self, request: RunRequest) -> EventSource:
        assert self._project is not None
        return (
            demo_source(self._project.folder)
            if self.demo_unfinished
            else self.make_source(self._opened.for_run(), request)
        )

    @property
    def demo_unfinished(self) -> bool:
        """Whether the project is a demonstration whose images or source are not created yet; a run makes them."""
        return self._project is not None and is_unfinished(self._project)

    def start_demo(self, make_events: EventSource, folder: Path) -> None:
        """Runs what makes a project of its own, and opens that as soon as it is there."""
        if self.busy:
            return
        self._errands.forget("open project")
        self._opened.close_project()
        self._awaited, self.request = folder, RunRequest()
        self.begin(ThreadRun(make_events))

    def _open_awaited(self) -> None:
        if self._awaited is not None and (self._awaited / CONFIG_NAME).is_file():
            folder, self._awaited = self._awaited, None
            self._opened.open_project(folder)

    def child_run(self, request: RunRequest | None) -> ChildRun:
        """Returns a run of the project in a process of its own, not started; None is the one that goes on."""
        # Only now: subprocess and psutil would delay the first paint.
        from crots_studio.runs.child import ChildRun

        assert self._project is not None
        last = self._opened.history.stage(self._opened.history.current)
        at_work = last.key if last.started and not last.finished else ""
        return ChildRun(self._opened.for_run(), request, after=self._opened.history.latest, at_work=at_work)

    @property
    def current(self) -> Run | None:
        """The run that goes on, here or in another process."""
        return self._run

    def begin(self, run: Run) -> None:
        """Starts a run, or follows one that goes on, unless there is another."""
        self._turning = False
        if self._run is not None:
            return
        self._run = run
        self._waiting.clear()
        self.state.begin(detached=run.detached, opening=self._opening())
        try:
            run.start()
        except (OSError, CrotsError) as error:
            self._run = None
            self.state.running = False
            self.problem.emit(f"the run's process could not be started: {fault_text(error)}")
            self.changed.emit()
            return
        self.drain_timer.start()
        self.busy_changed.emit(True)
        self.changed.emit()

    def _opening(self) -> str:
        """What a run does before its first stage."""
        if self.request.estimate:
            return ESTIMATING
        return STARTING if self.request.compares or self._project is None or self.demo_unfinished else MEASURING

    def _attach(self) -> None:
        if not self.busy and self._project is not None:
            run = self.child_run(None)
            self.request = run.request
            self.begin(run)
            self.state.paused = run.paused
            if not run.request.compares:
                self.state.add(self._opened.history.opening(self._opened.history.current))
            self.changed.emit()

    def _look_for_run(self) -> None:
        """Notices a run that was started in a terminal, and what was written to the project's file elsewhere."""
        self._opened.look_at_file()
        self._look_for_left()
        if self._project is None or self.busy:
            return
        path, lock = self._project.events_path, self._project.lock_path
        latest = self._opened.history.latest

        def look() -> bool:
            return path.exists() and path.stat().st_mtime > latest and running(lock)

        # A missing disk is reported elsewhere, and not every two seconds.
        token = "look for run"
        self._errands.in_background(look, lambda found: self._attach() if found else None, lambda _: None, token=token)

    def _look_for_left(self) -> None:
        if not (left := self.left):
            return

        def look() -> tuple[Path, ...]:
            return tuple(folder for folder in left if running(Project(folder, ProjectConfig()).lock_path))

        self._errands.in_background(look, self._left_found, lambda _: None, token="runs left")

    def _left_found(self, going_on: tuple[Path, ...]) -> None:
        if going_on != self.left:
            self.left = going_on
            self.changed.emit()

    def pause(self) -> None:
        """Pauses the run after the current step."""
        if self._run is not None:
            self._run.pause()
            self.state.paused = True
            self.changed.emit()

    def resume(self) -> None:
        """Resumes a paused run."""
        if self._run is not None:
            self._run.resume()
            self.state.paused = False
            self.state.interrupt_clock()
            self.changed.emit()

    def toggle_pause(self) -> None:
        """Pauses the run, or resumes it."""
        if self.state.paused:
            self.resume()
        else:
            self.pause()

    def stop(self, *, discard: bool = False) -> None:
        """Stops the run after the current step; keeps the unfinished stage, or discards it."""
        if self._run is not None:
            self._run.stop()
            self.state.paused, self.state.stopping = False, True
            self.state.discarding = discard
            self.changed.emit()

    def memory(self) -> int:
        """Host memory of the run's process in bytes, 0 where there is none."""
        return self._run.memory() if self._run is not None else 0

    def _drain(self) -> None:
        if self._run is None:
            self.drain_timer.stop()
            return
        # Asked before draining, so that nothing can come after the last drain.
        end = self._run.end
        waiting = self._waiting
        waiting.extend(self._run.drain())
        if waiting:
            self._take([waiting.popleft() for _ in range(min(len(waiting), _AT_ONCE))])
        if end is not None and not waiting:
            self._finish(end)

    def _take(self, events: list[Event]) -> None:
        self.state.add(events)
        if self.request.compares:
            # A comparison is not part of the project's history: its table is read from its file.
            events = [event for event in events if isinstance(event, (Note, StageFinished))]
        else:
            self._opened.history.add(events)
        self.events_arrived.emit(events)
        self.changed.emit()
        self._open_awaited()
        if any(isinstance(event, (StageStarted, StageFinished)) for event in events):
            self._opened.refresh_status()

    def _finish(self, end: RunEnd) -> None:
        self._run = None
        self.drain_timer.stop()
        # The run's own thread must not: it could destroy widgets.
        release_memory(only_cards=True)
        self._open_awaited()
        self._awaited = None
        if self.state.discarding and end.outcome == "cancelled" and end.stage:
            self._discard(end.stage, lambda: self._conclude(end))
        else:
            self._conclude(end)

    def _conclude(self, end: RunEnd) -> None:
        state = self.state
        state.running = state.paused = state.stopping = False
        self._opened.refresh_status()
        self.busy_changed.emit(False)
        self.changed.emit()
        self.ended.emit(end)

    def _discard(self, key: str, then: Callable[[], None]) -> None:
        """Busy until all is gone, which takes seconds for many files: the next run must not write among them."""
        if self._project is None:
            then()
            return
        project, self._turning = self._project, True

        def work() -> History:
            discard(project, key)
            return History.read(project.events_path)

        def done(history: History) -> None:
            self._opened.take_history(history)
            end()

        def failed(error: Exception) -> None:
            self.problem.emit(fault_text(error))
            end()

        def end() -> None:
            self._turning = False
            then()

        self._errands.in_background(work, done, failed)

    def discard_stage(self, key: str) -> None:
        """Discards the unfinished work of a stage; its last complete result stays."""
        if not self.busy:
            self._discard(key, self._opened.refresh_status)

    def close(self) -> None:
        """Stops the timers; a run in this process must have ended before."""
        self.drain_timer.stop()
        self.look_timer.stop()
