"""An errand that yields events, such as an export: they arrive on the window's thread, and it can be stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from crots.events import Event
from crots_studio.background.errands import Errands

if TYPE_CHECKING:
    from crots.execution.control import Control

_POLL_MS = 150


class EventErrand(QObject):
    """One at a time; closing whatever waits for it stops it after what it is at.

    Signals (on the window's thread):
        arrived(Event): an event of it.
        ended(object): it is over; the exception it failed with, or None.
    """

    arrived = Signal(object)
    ended = Signal(object)

    def __init__(self, errands: Errands, parent: QObject) -> None:
        super().__init__(parent)
        self._errands = errands
        self._events: deque[Event] = deque()
        self._control: Control | None = None
        self._timer = QTimer(self, interval=_POLL_MS)
        self._timer.timeout.connect(self._drain)

    @property
    def running(self) -> bool:
        """Whether it is running."""
        return self._control is not None

    def start(self, make: Callable[[Control], Iterator[Event]]) -> None:
        """Begins; ``make`` is called on another thread."""
        from crots.execution.control import Control

        self._events, self._control = deque(), Control(beside_window=True)
        events, control = self._events, self._control

        def work() -> None:
            for event in make(control):
                events.append(event)

        self._errands.in_background(work, self._done, self._failed)
        self._timer.start()

    def stop(self) -> None:
        """Stops it after the current item."""
        if self._control is not None:
            self._control.stop()

    def leave(self) -> None:
        """Stops it without further signals: its receiver is gone."""
        self.stop()
        self._timer.stop()
        self.blockSignals(True)

    def _drain(self) -> None:
        while self._events:
            self.arrived.emit(self._events.popleft())

    def _done(self, _: None) -> None:
        self._end(None)

    def _failed(self, error: Exception) -> None:
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._drain()
        self._timer.stop()
        self._control = None
        self.ended.emit(error)
