"""Background work: done on a few threads, with results delivered on the window's thread.

The threads know errands by number only. Did they hold what is to be called, theirs could be the last reference to a
widget, which would then be destroyed on the wrong thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot
from shiboken6 import isValid

from crots_studio.background.pool import Pool

T = TypeVar("T")


class _Relay(QObject):
    """Passed to the threads: carries an errand's number, its success, and the result or the exception."""

    arrived = Signal(int, bool, object)

    def tell(self, number: int, well: bool) -> Callable[[Any], None]:
        """Returns a function for a thread to call at the end."""

        def emit(result: Any) -> None:
            if isValid(self):
                self.arrived.emit(number, well, result)

        return emit


class Errands(QObject):
    """Runs errands for panels.

    Signals:
        problem(str): an errand failed whose error no caller handles.
    """

    problem = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = Pool()
        # One thread, so that the last of several states is the one that stays on disk.
        self._saver = Pool(threads=1)
        self._closed = False
        # Callbacks for success and failure, by the errand's number.
        self._targets: dict[int, tuple[Callable[[Any], None], Callable[[Exception], None]]] = {}
        self._latest: dict[str, int] = {}
        self._count = 0
        self._relay = _Relay()
        self._relay.arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def in_background(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
        *,
        token: str | None = None,
    ) -> None:
        """Works on another thread and hands the result over on the window's.

        Args:
            work: must not touch widgets, nor hold them; torch is imported here or nowhere.
            done: gets the result; not called when its widget is gone.
            failed: gets the exception; None reports it as a `problem`.
            token: of requests with the same token only the latest is answered.
        """
        self._send(self._pool, work, done, failed or self._report, token)

    def _send(
        self,
        pool: Pool,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        token: str | None = None,
    ) -> None:
        self._count += 1
        number, relay = self._count, self._relay
        if token is not None:
            self.forget(token)
            self._latest[token] = number
        self._targets[number] = (done, failed)
        pool.submit(work, relay.tell(number, True), relay.tell(number, False), token)

    def forget(self, *tokens: str) -> None:
        """Drops the latest requests of these tokens, whose subject is gone."""
        for token in tokens:
            self._targets.pop(self._latest.get(token, 0), None)

    @Slot(int, bool, object)
    def _deliver(self, number: int, well: bool, result: Any) -> None:
        # A later request with the same token replaced it.
        done, failed = self._targets.pop(number, (None, None))
        target = done if well else failed
        owner = getattr(target, "__self__", None)
        gone = isinstance(owner, QObject) and not isValid(owner)
        if target is not None and not (self._closed or gone):
            target(result)

    def _report(self, error: Exception) -> None:
        self.problem.emit(str(error) or type(error).__name__)

    @property
    def working(self) -> bool:
        """Whether a thread is at work."""
        return not (self._pool.idle and self._saver.idle)

    @property
    def idle(self) -> bool:
        """Whether nothing is being worked on in the background and every answer has arrived in the window."""
        return not self.working and not self._targets

    def save_in_background(
        self,
        work: Callable[[], T],
        done: Callable[[T], None] = lambda _: None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Writes to disk, one after the other; a failure becomes a `problem` where nobody takes it."""
        self._send(self._saver, work, done, failed or self._report)

    def after_saving(self, act: Callable[[], None]) -> None:
        """Acts on the window's thread when all that was to be written is written."""
        self._send(self._saver, lambda: None, lambda _: act(), self._report)

    def end_errands(self) -> None:
        """Delivers nothing any more; the threads end after their current work."""
        self._closed = True
        self._targets.clear()
        self._pool.close()
        self._saver.close()
