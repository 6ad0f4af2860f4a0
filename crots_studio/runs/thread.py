"""A run on a QThread: its events wait in a buffer until the window asks."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QThread

from crots_studio.runs.run import BackgroundRun, EventSource, RunEnd


class _Thread(QThread):
    """A thread for one piece of work."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("crots-run")
        self._work = work

    def run(self) -> None:
        """Called by Qt on the new thread."""
        self._work()
        # Breaks the reference cycle of run and thread, so that both are freed as soon as the session drops them.
        del self._work


class ThreadRun(BackgroundRun):
    """A run on a QThread of this process.

    No signal reaches the thread while it is busy, so stop and pause go through `Control`'s own flags.
    """

    def __init__(self, source: EventSource) -> None:
        super().__init__(source)
        self._thread = _Thread(self.work)

    def start(self) -> None:
        """Begins on the thread."""
        # Below the window's own thread, so that a click is answered while two cores compute.
        self._thread.start(QThread.Priority.LowPriority)

    @property
    def end(self) -> RunEnd | None:
        """How it ended, once the thread has ended too: a running QThread must not be destroyed. Never waits."""
        return super().end if self._thread.wait(0) else None
