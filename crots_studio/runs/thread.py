"""A run on a QThread: the worker object lives on that thread, its events wait in a buffer until the window asks."""

from __future__ import annotations

from PySide6.QtCore import QObject, QThread, Slot

from crots.events import Event
from crots_studio.runs.run import BackgroundRun, EventSource, RunEnd


class RunWorker(QObject):
    """Does the work of a run on the thread that it was moved to."""

    def __init__(self, run: BackgroundRun) -> None:
        super().__init__()
        self._run = run

    @Slot()
    def work(self) -> None:
        """Runs to the end, then lets the thread's event loop end too."""
        self._run.work()
        self.thread().quit()


class ThreadRun:
    """A run on a QThread of this process.

    The worker never hears a queued signal while it is busy, so stop and pause go through `Control`'s own flags.
    """

    detached = False
    controllable = True

    def __init__(self, source: EventSource) -> None:
        self._run = BackgroundRun(source)
        self._thread = QThread()
        self._thread.setObjectName("crots-run")
        self._worker = RunWorker(self._run)
        self._worker.moveToThread(self._thread)
        self._thread.started.connect(self._worker.work)

    def start(self) -> None:
        """Begins on the thread."""
        # Below the window's own thread, so that a click is answered while two cores compute.
        self._thread.start(QThread.Priority.LowPriority)

    def stop(self) -> None:
        """Ends the run after the current step."""
        self._run.stop()

    def pause(self) -> None:
        """Halts the run after the current step."""
        self._run.pause()

    def resume(self) -> None:
        """Lets it go on."""
        self._run.resume()

    def drain(self) -> list[Event]:
        """Takes the events so far."""
        return self._run.drain()

    def memory(self) -> int:
        """Resident memory of this process."""
        return self._run.memory()

    @property
    def end(self) -> RunEnd | None:
        """How it ended, once the thread has ended too: a running QThread must not be destroyed."""
        if self._run.end is None or not self._thread.wait(1000):
            return None
        return self._run.end
