"""Runs the projects of the queue one after another, each in a process of its own, whatever the window shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from crots.errors import CrotsError, InputError
from crots.eventlog import running
from crots.project import Project
from crots.trust import Code, code_of, listed, with_trust
from crots_studio.background.errands import Errands
from crots_studio.models.history import History
from crots_studio.models.names import title
from crots_studio.models.project_cards import read_card
from crots_studio.models.run_queue import (
    Entries,
    QueueEntry,
    QueueFile,
    State,
    added,
    following,
    marked,
    moved,
    removed,
    restored,
)
from crots_studio.models.run_state import RunState
from crots_studio.models.undo import Step, Undoable
from crots_studio.models.words import fault_text, in_window, plural
from crots_studio.runs.run import Run, RunEnd, RunRequest

FILE = "queue.json"
_LOOK_MS = 250
_MOST_STEPS = 100


@dataclass(frozen=True)
class Prepared:
    """A project that is about to run: its options on disk, what its stream holds, whether a process runs it already."""

    project: Project
    latest: float = 0.0
    at_work: str = ""
    going_on: bool = False


# Returns why a project cannot run, given the third-party code that is trusted; empty if it can.
WhyNotReady = Callable[[Project, Collection[Code]], str]


def not_ready(project: Project, trusted: Collection[Code]) -> str:
    """Asks Set-up's checks; not on the window's thread."""
    # Only now: they would delay the first paint.
    from crots_studio.checks.fields import why_not_ready

    return why_not_ready(project, trusted)


def prepare(folder: Path, trusted: Iterable[Code], why: WhyNotReady = not_ready) -> Prepared:
    """Reads a project for a run; not on the window's thread.

    Raises:
        InputError: it is gone or damaged, would execute third-party code that is not trusted, or something that it
            needs is missing or refused in Set-up.
    """
    project, trusted = Project.open(folder), tuple(trusted)
    config = with_trust(project.config, folder, trusted)
    if (code := code_of(config, folder)) and not config.runtime.trust:
        raise InputError(f"it would execute third-party code, which you did not trust: {listed(code)}")
    history = History.read(project.events_path)
    last = history.stage(history.current)
    at_work = last.key if last.started and not last.finished else ""
    going_on = running(project.lock_path)
    if not going_on and (reason := why(project, trusted)):
        raise InputError(f"not ready: {reason}")
    return Prepared(Project(folder, config), history.latest, at_work, going_on)


def outcome_summary(folder: Path) -> str:
    """Describes what a finished run gained and what is wrong with its models; not on the window's thread."""
    project = Project.open(folder)
    choices = {key: project.choice(key) or {} for key in project.stage_keys()}
    problems = [f"{title(key)}: {choice.get('words', '')}" for key, choice in choices.items() if choice.get("problem")]
    return ". ".join(filter(None, (read_card(folder).gain, *problems)))


def start_child(prepared: Prepared) -> Run:
    """Starts the process of a run, or follows the one that runs this project already."""
    # Only now: subprocess and psutil would delay the first paint.
    from crots_studio.runs.child import ChildRun

    request = None if prepared.going_on else RunRequest()
    run = ChildRun(prepared.project, request, after=prepared.latest, at_work=prepared.at_work)
    run.start()
    return run


class RunQueue(Undoable[Entries], QObject):
    """The queue of this window; it never starts by itself.

    Attributes:
        entries: the projects, first to last.
        running: whether this window runs them.
        current: folder of the one that is running here, empty for none.
        state: its progress.
        start_run: starts one; tests replace it.
        why_not_ready: asks the checks of Set-up before a project starts; tests replace it.
        window_busy: whether this window runs its own project, which goes first.

    Signals:
        changed(): entries, progress or `running`.
        said(str): something that the user should know, such as the end of a run.
        problem(str): something failed.
        halted(): the queue stopped or came to its end.
    """

    changed = Signal()
    notice = Signal(str)
    problem = Signal(str)
    halted = Signal()

    def __init__(
        self, path: Path, errands: Errands, window_busy: Callable[[], bool], parent: QObject | None = None
    ) -> None:
        QObject.__init__(self, parent)
        Undoable.__init__(self, _MOST_STEPS)
        self._file, self._errands = QueueFile(path), errands
        self.window_busy = window_busy
        self._stamp: tuple[int, ...] = ()
        self.entries: Entries = ()
        self.running = False
        self.current = ""
        self.state = RunState()
        self.start_run: Callable[[Prepared], Run] = start_child
        self.why_not_ready: WhyNotReady = not_ready
        self._trusted: frozenset[Code] = frozenset()
        self._run: Run | None = None
        self._stopping = False
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)

    @property
    def run(self) -> Run | None:
        """The run of `current`, None while it is being prepared."""
        return self._run

    # The list.

    def refresh(self) -> None:
        """Reads the file anew where another window changed it."""
        if (stamp := self._file.stamp) == self._stamp:
            return
        self._stamp = stamp
        try:
            self.entries = self._file.read()
        except CrotsError as error:
            self.entries = ()
            self.problem.emit(f"The queue of runs: {fault_text(error)}")
        self.changed.emit()

    def _change(self, act: Callable[[Entries], Entries]) -> None:
        self.entries = self._file.change(act)
        self._stamp = self._file.stamp
        self.changed.emit()

    def _do(self, label: str, act: Callable[[Entries], Entries]) -> None:
        """Makes a change that the user can take back."""
        self.refresh()
        before, after = self.entries, act(self.entries)
        if before != after:
            self._say_problem(lambda: self._steps.do(Step(label, "", before, after)))

    def _write(self, part: str, state: Entries) -> None:
        self._change(lambda entries: restored(entries, self._with_current(state)))

    def _with_current(self, wanted: Entries) -> Entries:
        """What is running is in the list, whatever is taken back."""
        here = [entry for entry in self.entries if entry.folder == self.current]
        return wanted if any(entry.folder == self.current for entry in wanted) else (*here, *wanted)

    def _say_problem(self, act: Callable[[], object]) -> None:
        try:
            act()
        except CrotsError as error:
            self.problem.emit(fault_text(error))
        # What can be undone is known only after the list was written.
        self.changed.emit()

    def add(self, folders: Iterable[str]) -> None:
        """Puts projects at the end of the queue."""
        folders = list(folders)
        label = f"Add {QueueEntry(folders[0]).name}" if len(folders) == 1 else f"Add {plural(len(folders), 'project')}"
        self._do(label, lambda entries: added(entries, folders))

    def remove(self, folders: Iterable[str]) -> None:
        """Takes projects out of the queue, but not the one that is running here."""
        gone = [folder for folder in folders if folder != self.current]
        if gone:
            label = f"Remove {QueueEntry(gone[0]).name}" if len(gone) == 1 else f"Remove {plural(len(gone), 'project')}"
            self._do(label, lambda entries: removed(entries, gone))

    def move(self, folder: str, by: int) -> None:
        """Moves a project by so many places."""
        self._do(f"Move {QueueEntry(folder).name}", lambda entries: moved(entries, folder, by))

    def undo(self) -> None:
        """Undoes the last change of the list; what has run since keeps its result."""
        self._say_problem(self._steps.undo)

    def redo(self) -> None:
        """Makes it again."""
        self._say_problem(self._steps.redo)

    # Running it.

    @property
    def waiting(self) -> int:
        """How many projects wait, without the one that runs."""
        return sum(entry.state in ("waiting", "running") and entry.folder != self.current for entry in self.entries)

    @property
    def summary(self) -> str:
        """The state of the queue in a line; empty while it is idle."""
        if not self.running:
            return ""
        count = f", {self.waiting} waiting" if self.waiting else ""
        if not self.current:
            return f"Queue: waits until the other run has ended{count}"
        stands = "is paused" if self.state.paused else "is running"
        return f"Queue: {QueueEntry(self.current).name} {stands}{count}"

    @property
    def at_work(self) -> str:
        """The folder of the project that the queue runs at this moment, here or in another window; empty for none."""
        if self.running or not self._file.claimed_elsewhere:
            return self.current
        self.refresh()
        return next((entry.folder for entry in self.entries if entry.state == "running"), "")

    def untrusted(self) -> dict[str, tuple[Code, ...]]:
        """Returns the third-party code that waiting projects would execute, by folder; not on the window's thread."""
        found: dict[str, tuple[Code, ...]] = {}
        for entry in self.entries:
            if entry.state in ("waiting", "running"):
                try:
                    project = Project.open(Path(entry.folder))
                    code = code_of(project.config, project.folder)
                except (CrotsError, OSError):  # it is shown as failed when its turn comes
                    continue
                if any(piece not in self._trusted for piece in code):
                    found[entry.folder] = code
        return found

    def start(self, trusted: Iterable[Code] = ()) -> None:
        """Runs the waiting projects one after another.

        Args:
            trusted: third-party code that the user trusts; it holds in this window, and no file keeps it.
        """
        self._trusted |= frozenset(trusted)
        self.refresh()
        if self.running or following(self.entries) is None:
            return
        try:
            mine = self._file.claim()
        except CrotsError as error:
            self.problem.emit(fault_text(error))
            return
        if not mine:
            self.problem.emit("Another window is running the queue.")
            return
        self.running, self._stopping = True, False
        self._timer.start()
        self._look()
        self.changed.emit()

    def stop(self) -> None:
        """Ends the current run after its step, which keeps its work; the others go on waiting."""
        if not self.running:
            return
        self._stopping = True
        if self._run is not None and self._run.end is None and not self._run.controllable:
            # It was started in a terminal: no request to stop would reach it.
            self._ended(RunEnd("cancelled"), "It continues where it was started; the queue was stopped.")
        elif self._run is not None:
            self._run.stop()
            self.state.stopping = True
        elif not self.current:
            self._halt()
        self.changed.emit()

    def _look(self) -> None:
        self.refresh()
        if self._run is not None:
            self._follow(self._run)
        elif self.running and not self.current:
            self._next()

    def _next(self) -> None:
        entry = following(self.entries)
        if entry is None or self._stopping:
            self._halt()
        elif not self.window_busy():
            self.current, self.state = entry.folder, RunState(running=True, detached=True)
            self._mark("running")
            folder, trusted, why = Path(entry.folder), self._trusted, self.why_not_ready
            # Its options may just be on their way to the disk.
            self._errands.after_saving(
                lambda: self._errands.in_background(
                    lambda: prepare(folder, trusted, why), self._begin, self._not_begun, token="queued run"
                )
            )

    def _begin(self, prepared: Prepared) -> None:
        if self._stopping:
            self._ended(RunEnd("cancelled"))
            return
        try:
            self._run = self.start_run(prepared)
        except (OSError, CrotsError) as error:
            self._not_begun(error)
        self.changed.emit()

    def _not_begun(self, error: Exception) -> None:
        self._ended(RunEnd("failed", message=fault_text(error)))

    def _follow(self, run: Run) -> None:
        end = run.end
        if events := run.drain():
            self.state.add(events)
            self.changed.emit()
        if run.paused != self.state.paused:
            self.state.paused = run.paused
            self.changed.emit()
        if end is not None and end.outcome == "failed":
            self._look_closer(end)
        elif end is not None:
            self._ended(end)

    def _look_closer(self, end: RunEnd) -> None:
        """A run fails if another one was started in a terminal just before: that one is followed."""
        folder, trusted, self._run = Path(self.current), self._trusted, None

        def found(prepared: Prepared) -> None:
            if prepared.going_on:
                self._begin(prepared)
            else:
                self._ended(end)

        self._errands.in_background(
            # Not Set-up's checks, which would open images and models once more.
            lambda: prepare(folder, trusted, lambda *_: ""),
            found,
            lambda _: self._ended(end),
            token="queued run",
        )

    def _ended(self, end: RunEnd, text: str = "Stopped; it continues from there.") -> None:
        name, message = QueueEntry(self.current).name, in_window(end.message)
        if end.outcome == "cancelled":
            # After a stop by the user, the next one must not start at once.
            self._stopping = True
            self._mark("waiting", text)
        elif end.outcome == "failed":
            self._mark("failed", message)
            self.problem.emit(f"Queue: {name} failed: {message}")
        else:
            self._mark("done", message)
            self.notice.emit(f"Queue: {name} is done.")
            self._sum_up(self.current)
        self._run, self.current = None, ""
        self.state = RunState()
        self._next()
        self.changed.emit()

    def _sum_up(self, folder: str) -> None:
        """Adds to the finished runs what they gained, and which stages the guard stopped."""

        def found(text: str) -> None:
            if text:
                self._say_problem(lambda: self._change(lambda entries: marked(entries, folder, "done", text)))

        self._errands.in_background(lambda: outcome_summary(Path(folder)), found, lambda _: None)

    def _mark(self, state: State, text: str = "") -> None:
        folder = self.current
        self._say_problem(lambda: self._change(lambda entries: marked(entries, folder, state, text)))

    def _halt(self) -> None:
        was, self.running, self._stopping = self.running, False, False
        self._timer.stop()
        self._file.release()
        self.changed.emit()
        if was:
            self.halted.emit()

    def close(self) -> None:
        """Lets go: a run continues in its own process and is found again, the others wait until they are started."""
        self._errands.forget("queued run")
        self._timer.stop()
        self._file.release()
        self._run, self.current, self.running = None, "", False
