"""Work beside the window: done on a few threads, handed over on the window's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot
from shiboken6 import isValid

from crots_studio.pool import Pool

T = TypeVar("T")


class Errands(QObject):
    """Runs errands for panels.

    Signals:
        problem(str): something that the user should read and that has no better place.
    """

    problem = Signal(str)
    _delivered = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = Pool()
        # One thread, so that the last of several states is the one that stays on disk.
        self._saver = Pool(threads=1)
        self._closed = False
        self._delivered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

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
            work: must not touch widgets; torch is imported here or nowhere.
            done: gets the result; not called when its widget is gone.
            failed: gets the exception; None reports it as a `problem`.
            token: of requests with the same token only the latest is answered.
        """
        number = self._pool.number(token)

        def hand_over(target: Callable[[Any], None]) -> Callable[[Any], None]:
            def emit(result: Any) -> None:
                if not self._closed and isValid(self):
                    self._delivered.emit((target, result, token, number))

            return emit

        self._pool.submit(work, hand_over(done), hand_over(failed or self._report), token, number)

    @Slot(object)
    def _deliver(self, delivery: tuple[Callable[[Any], None], Any, str | None, int]) -> None:
        target, result, token, number = delivery
        owner = getattr(target, "__self__", None)
        gone = isinstance(owner, QObject) and not isValid(owner)
        if not (self._closed or gone or self._pool.superseded(token, number)):
            target(result)

    def _report(self, error: Exception) -> None:
        self.problem.emit(str(error) or type(error).__name__)

    @property
    def idle(self) -> bool:
        """Whether nothing is being worked on in the background."""
        return self._pool.idle and self._saver.idle

    def save_in_background(self, work: Callable[[], None]) -> None:
        """Writes to disk, one after the other; a failure becomes a `problem`."""
        self._saver.submit(work, lambda _: None, lambda error: self._hand(self._report, error))

    def after_saving(self, act: Callable[[], None]) -> None:
        """Acts on the window's thread when all that was to be written is written."""
        self._saver.submit(lambda: None, lambda _: self._hand(lambda _: act(), None), lambda _: None)

    def _hand(self, target: Callable[[Any], None], result: Any) -> None:
        if not self._closed and isValid(self):
            self._delivered.emit((target, result, None, 0))

    def end_errands(self) -> None:
        """Nothing is handed over any more; the threads end after what they are at."""
        self._closed = True
        self._pool.close()
        self._saver.close()
