"""A run in a separate process: the same command line, which survives the window and a crash of the graphics driver.

The child writes its events to the project's stream, and the window follows that file; so a run that was started in a
terminal, or by a window that is gone, is shown in the same way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import psutil

from crots.comparison.plan import FOLDER
from crots.errors import CrotsError, InputError
from crots.eventlog import running
from crots.events import Event, StageFinished, from_json
from crots.execution.control import STOP_FILE
from crots.files import make_folder, mentions_memory, write_json
from crots.interpreter import child_environment, module_command
from crots.ownership import check_place
from crots.project import STUDIO, Project
from crots.records import Count, fits, read_json
from crots_studio.runs.demo import is_unfinished
from crots_studio.runs.run import KILLED, RunEnd, RunRequest, end_of, log_tail, process_memory

_POLL = 0.1


def command_line(project: Project, request: RunRequest) -> list[str]:
    """Returns the command that does the same in a terminal."""
    if is_unfinished(project):
        return ["crots", "demo", str(project.folder)]
    command = ["crots", "compare-methods" if request.compares else "run", str(project.folder)]
    if request.compares:
        command += ["--seeds", *map(str, request.seeds)]
    if request.compares and request.steps:
        command += ["--steps", str(request.steps)]
    if request.only:
        command += ["--only", request.only]
    if request.estimate:
        command += ["--estimate"]
    if request.until:
        command += ["--until", request.until]
    if project.config.runtime.trust:
        # Never stored in a project file: it is given for each run.
        command += ["--trust"]
    return command


class EventTail:
    """Reads what is appended to a stream of events, and of a file that was there or rewritten what is newer.

    Newer is what has a later time than the last event. What is appended is new whatever the clock says: it may be set
    back, and two events may have the same time.
    """

    def __init__(self, path: Path, *, after: float) -> None:
        self._path, self._latest = path, after
        self._file_id: tuple[int, int] | None = None
        self._offset = 0

    def read(self) -> list[Event]:
        """Returns the events since the last call."""
        try:
            status = self._path.stat()
            anew = (status.st_dev, status.st_ino) != self._file_id or status.st_size < self._offset
            if anew:
                self._file_id, self._offset = (status.st_dev, status.st_ino), 0
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError:
            return []
        # The last line may be half written.
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = [event for event in _events(whole) if not anew or event.time > self._latest]
        if found:
            self._latest = found[-1].time
        return found


def _events(content: bytes) -> Iterator[Event]:
    # Not splitlines, which splits at characters that a line of the stream may contain.
    for line in content.decode("utf-8", "replace").split("\n"):
        with contextlib.suppress(InputError):
            yield from_json(line)


class ChildRun:
    """A run in another process, started here or found going on.

    Attributes:
        project: whose run it is.
        request: what it runs.
        tail: reads its events.

    Args:
        project: its folder's ``events.jsonl`` is followed.
        request: what to run; None attaches to the active run.
        after: time of the last event that the window knows.
        at_work: the stage that has no end among the events that the window knows, empty for none.
    """

    detached = True

    def __init__(self, project: Project, request: RunRequest | None, *, after: float = 0.0, at_work: str = "") -> None:
        self.project, self._attached = project, request is None
        self.request = request or remembered_request(project)
        path = project.events_path
        if self.request.compares:
            # A comparison has a stream of its own, of which the window knows nothing yet.
            began = remembered(project).get("started", 0.0) if self._attached else time.time()
            path, after = project.folder / FOLDER / path.name, began
        self.tail = EventTail(path, after=after)
        self._buffer: deque[Event] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._last: StageFinished | None = None
        self._at_work = at_work
        self._stages = () if self.request.compares else project.stage_keys()
        self._stopped = False
        self._end: RunEnd | None = None

    @property
    def waiting(self) -> int:
        """How many events `drain` would take."""
        return len(self._buffer)

    @property
    def log_path(self) -> Path:
        """The file of the child's output."""
        return self.project.folder / STUDIO / "run.log"

    def start(self) -> None:
        """Starts the process, or attaches to the active one."""
        self._pid = remembered_pid(self.project) if self._attached else self._spawn()
        threading.Thread(target=self._follow, name="crots-child", daemon=True).start()

    def _spawn(self) -> int:
        for path in (self.log_path, self._stop_path):
            check_place(self.project.folder, path, "file")
        make_folder(self.log_path.parent)
        self._stop_path.unlink(missing_ok=True)
        command = module_command(*command_line(self.project, self.request), "--events", os.devnull)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=child_environment(**{STOP_FILE: str(self._stop_path)}), **_detachment(),
            )  # fmt: skip
        # Without the note only a later window could not stop it, and it may have ended already.
        with contextlib.suppress(CrotsError, OSError, psutil.Error):
            remember(self.project, self._process.pid, self.request)
        return self._process.pid

    @property
    def _stop_path(self) -> Path:
        """The file that stops the child if no signal reaches it."""
        return self.project.folder / STUDIO / "stop"

    def _follow(self) -> None:
        waiting: list[Event] = []
        while self._alive():
            waiting += self.tail.read()
            self._take(self._settled(waiting))
            time.sleep(_POLL)
        self._take([*waiting, *self.tail.read()])
        self._end = self._ending()

    def _settled(self, waiting: list[Event]) -> list[Event]:
        """Takes the events up to the end of a stage whose result is not in its place yet: listeners read it at once."""
        count = next((place for place, event in enumerate(waiting) if self._unsettled(event)), len(waiting))
        taken, waiting[:] = waiting[:count], waiting[count:]
        return taken

    def _unsettled(self, event: Event) -> bool:
        ended = isinstance(event, StageFinished) and event.outcome == "completed"
        return ended and event.stage in self._stages and self.project.started_path(event.stage).exists()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self._at_work = event.stage
            if isinstance(event, StageFinished):
                self._last, self._at_work = event, ""
        self._buffer.extend(events)

    def _alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return running(self.project.lock_path)

    def _ending(self) -> RunEnd:
        if self._process is None and self._at_work:
            message = "its process ended in the middle of the stage; run again to resume from the last checkpoint"
            return RunEnd("failed", self._at_work, message, exit_code=KILLED)
        code = self._process.returncode if self._process is not None else 0
        if self._last is not None and (code in (0, 130) or self._last.outcome != "completed"):
            return end_of(self._last)
        if code == 0:
            return RunEnd("completed", message="there was nothing left to do")
        tail = log_tail(self.log_path)
        if self._stopped and (code in (130, -signal.SIGINT) or tail.rstrip().endswith("KeyboardInterrupt")):
            # It was stopped before it could handle the request.
            return RunEnd("cancelled", self._at_work, "stopped by the user; run again to resume", exit_code=130)
        if code < 0:
            # Its last output is unrelated.
            text = f"its process was killed ({_signal_name(-code)})"
            return RunEnd("failed", self._at_work, text, tail, KILLED)
        # The last line of its output is the reason: our own message, or the end of a traceback.
        text = tail.strip().splitlines()[-1] if tail.strip() else "no output"
        message = f"the run's process ended with code {code}: {text}"
        return RunEnd("failed", self._at_work, message, tail, code, "memory" if mentions_memory(text) else "")

    def stop(self) -> None:
        """Stops the run after the current step."""
        self._stopped = True
        self.resume()
        # On a disk that is too full for an empty file, the run ends by itself.
        with contextlib.suppress(OSError):
            self._stop_path.touch()
        if sys.platform != "win32":
            # Besides, since it is heard while the process still starts. On Windows it would reach nobody: the child has
            # no console, or one of its own; elsewhere one whose parents ignore interrupts hears none until it listens.
            self._send(lambda process: process.send_signal(signal.SIGINT))

    def pause(self) -> None:
        """Suspends the process."""
        self._send(psutil.Process.suspend)

    def resume(self) -> None:
        """Resumes the process."""
        self._send(psutil.Process.resume)

    def _send(self, act: Callable[[psutil.Process], None]) -> None:
        # It may end at this moment.
        with contextlib.suppress(psutil.Error):
            if (process := self._psutil()) is not None:
                act(process)

    def _psutil(self) -> psutil.Process | None:
        try:
            return psutil.Process(self._pid) if self._pid and self._end is None else None
        except psutil.Error:
            return None

    @property
    def paused(self) -> bool:
        """Whether its process is suspended, perhaps by a window that was closed."""
        try:
            process = self._psutil()
            return process is not None and process.status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False

    @property
    def controllable(self) -> bool:
        """Whether its process is known, so that it can be stopped from here."""
        return self._psutil() is not None

    def drain(self) -> list[Event]:
        """Takes the events so far."""
        return [self._buffer.popleft() for _ in range(len(self._buffer))]

    def memory(self) -> int:
        """Resident memory of the other process."""
        return process_memory(self._pid) if self._pid else 0

    @property
    def end(self) -> RunEnd | None:
        """How it ended, None while it is active."""
        return self._end


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _detachment() -> dict[str, Any]:
    """Arguments that let a child survive the window and a terminal's Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


class _Noted(TypedDict):
    pid: Count
    started: float
    seeds: NotRequired[list[int]]
    steps: NotRequired[Count]


def remember(project: Project, pid: int, request: RunRequest) -> None:
    """Notes the process of a run and what it does, for a later window."""
    noted = {"pid": pid, "started": psutil.Process(pid).create_time(), "seeds": request.seeds, "steps": request.steps}
    write_json(project.folder / STUDIO / "run.json", noted)


def remembered(project: Project) -> dict[str, Any]:
    """Returns the note about the active run, nothing if no studio started it."""
    noted = read_json(project.folder / STUDIO / "run.json")
    if noted is None or not fits(noted, _Noted):
        return {}
    with contextlib.suppress(psutil.Error):
        if abs(psutil.Process(noted["pid"]).create_time() - noted["started"]) < 1:
            return noted
    return {}


def remembered_pid(project: Project) -> int | None:
    """Returns the process of the active run, None if no studio started it."""
    pid = remembered(project).get("pid")
    return int(pid) if pid is not None else None


def remembered_request(project: Project) -> RunRequest:
    """Returns the request of the active run, as far as the window needs it."""
    noted = remembered(project)
    try:
        return RunRequest(seeds=tuple(noted.get("seeds", ())), steps=int(noted.get("steps", 0)))
    except (TypeError, ValueError):
        return RunRequest()
