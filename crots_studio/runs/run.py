"""Runs beside the window, without Qt: a loop over events in the calling thread, with a buffer that others drain.

In the studio the thread is a QThread (`crots_studio.runs.thread`); `BackgroundRun` itself takes a plain one, so that a
run can be tried where no Qt is.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crots.events import Cause, Event, Outcome, StageFinished
from crots.execution.control import Control
from crots.project import Project
from crots.runner import estimate_project, failure, run_project
from crots_studio.background.loading import preload_torch

EventSource = Callable[[Control], Iterator[Event]]

# Exit code of a run whose process was killed.
KILLED = -1


@dataclass(frozen=True)
class RunRequest:
    """What to run: one stage (``only``), all that are not done up to ``until``, or a comparison of methods.

    Attributes:
        only: a stage.
        until: likewise.
        seeds: of a comparison; empty for a run of the project. A comparison takes a child process.
        steps: of a comparison's baseline and rounds; 0 takes the project's.
        estimate: only measure what a run would take.
    """

    only: str | None = None
    until: str | None = None
    seeds: tuple[int, ...] = ()
    steps: int = 0
    estimate: bool = False

    @property
    def compares(self) -> bool:
        """Whether it is a comparison of methods."""
        return bool(self.seeds)


@dataclass(frozen=True)
class RunEnd:
    """How a run ended; ``stage`` is empty if none had begun, ``exit_code`` is `KILLED` if its process was killed.

    The other attributes are those of `crots.events.StageFinished`.
    """

    outcome: Outcome
    stage: str = ""
    message: str = ""
    detail: str = ""
    exit_code: int = 0
    cause: Cause = ""
    settings: Mapping[str, str] = field(default_factory=dict)


class Run(Protocol):
    """The interface of a run, in this process or another."""

    detached: bool

    def start(self) -> None:
        """Begins; returns at once."""

    def stop(self) -> None:
        """Requests a stop after the current step; returns at once."""

    def pause(self) -> None:
        """Requests a pause after the current step; returns at once."""

    def resume(self) -> None:
        """Resumes a paused run."""

    def drain(self) -> list[Event]:
        """Takes the events that came since the last call."""

    def memory(self) -> int:
        """Host memory of the run's process in bytes."""

    @property
    def controllable(self) -> bool:
        """Whether it can be stopped from here."""

    @property
    def paused(self) -> bool:
        """Whether it is paused, or will soon be."""

    @property
    def end(self) -> RunEnd | None:
        """How it ended, None while it is active."""


def project_events(project: Project, request: RunRequest) -> EventSource:
    """Returns what runs the stages of a project, with its options as they are now."""
    snapshot = Project(project.folder, project.config)

    def source(control: Control) -> Iterator[Event]:
        if request.estimate:
            return estimate_project(snapshot, control=control)
        return run_project(snapshot, control=control, until=request.until, only=request.only, measure=True)

    return source


class BackgroundRun:
    """One run: its control, its events since the last drain, its end."""

    detached = False
    controllable = True

    def __init__(self, source: EventSource) -> None:
        self.control = Control(beside_window=True)
        self._source = source
        self._buffer: deque[Event] = deque()
        self._last: StageFinished | None = None
        self._end: RunEnd | None = None

    def start(self) -> None:
        """Works on a plain thread."""
        threading.Thread(target=self.work, name="crots-run", daemon=True).start()

    def work(self) -> None:
        """Runs to the end in the calling thread; nothing escapes."""
        fault = self._consume()
        # Only here, where the traceback is gone that pinned the tensors of a run out of memory.
        release_memory()
        self._end = _end_of(fault or self._last)

    def _consume(self) -> StageFinished | None:
        try:
            preload_torch()
            for event in self._source(self.control):
                self._buffer.append(event)
                if isinstance(event, StageFinished):
                    self._last = event
        except Exception as error:  # the window shows any error
            return failure(error, "", 0.0)
        return None

    def stop(self) -> None:
        """Stops the run after the current step."""
        self.control.stop()

    def pause(self) -> None:
        """Pauses the run after the current step."""
        self.control.pause()

    def resume(self) -> None:
        """Resumes the run."""
        self.control.resume()

    def drain(self) -> list[Event]:
        """Takes the events so far; a deque's ends are safe between two threads."""
        return [self._buffer.popleft() for _ in range(len(self._buffer))]

    @property
    def paused(self) -> bool:
        """Whether it is paused, or will soon be."""
        return self.control.paused

    def memory(self) -> int:
        """Resident memory of this process."""
        return process_memory()

    @property
    def end(self) -> RunEnd | None:
        """How it ended; drain once more after it is there."""
        return self._end


def _end_of(last: StageFinished | None) -> RunEnd:
    if last is None:
        return RunEnd("completed", message="there was nothing left to do")
    return end_of(last)


def end_of(last: StageFinished) -> RunEnd:
    """Returns the end of a run whose last stage ended so."""
    return RunEnd(last.outcome, last.stage, last.message, last.detail, last.exit_code, last.cause, last.settings)


def release_memory(*, only_cards: bool = False) -> None:
    """Gives back what a run held on the graphics card; the collector is off in the studio, so it is called by hand.

    Args:
        only_cards: do nothing where no card is in use: a collection takes a moment.
    """
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    used = cuda is not None and cuda.is_initialized()
    if used or not only_cards:
        gc.collect()
    if cuda is not None and used:
        cuda.empty_cache()


def process_memory(pid: int | None = None) -> int:
    """Returns the resident memory of a process in bytes, 0 where it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def log_tail(path: Path, lines: int = 40) -> str:
    """Returns the last lines of a text file, empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 200 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
