"""The user's stop and pause of a run."""

from __future__ import annotations

import threading

from crots.errors import Stopped

# Environment variable with the path of a file: creating this file stops the run, as Ctrl-C does.
STOP_FILE = "CROTS_STOP_FILE"


class Control:
    """Stop and pause, set from any thread; a running stage checks them between two steps.

    Attributes:
        beside_window: whether the run shares its process with a window, which must not stand still.
    """

    def __init__(self, *, beside_window: bool = False) -> None:
        self.beside_window = beside_window
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()

    def stop(self) -> None:
        """Ends the run after the current step; the work so far is kept."""
        self._stop.set()
        self._go.set()

    def pause(self) -> None:
        """Pauses the run after the current step."""
        if not self._stop.is_set():
            self._go.clear()

    def resume(self) -> None:
        """Resumes a paused run."""
        self._go.set()

    @property
    def stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether the run is, or will soon be, paused."""
        return not self._go.is_set()

    def wait_for_stop(self, seconds: float) -> bool:
        """Waits until a stop is requested; returns whether it was within that time."""
        return self._stop.wait(seconds)

    def check(self) -> None:
        """Waits while paused.

        Raises:
            Stopped: the user stopped the run.
        """
        self._go.wait()
        if self._stop.is_set():
            raise Stopped("stopped by the user; run again to resume")
