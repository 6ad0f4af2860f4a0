"""How fast a stage works and how long it will take, from its events: one measure for both, so that they agree."""

from __future__ import annotations

from collections import deque

from crots.events import Event, Progress, StageFinished, StageStarted

# Seconds over which it is measured; and that many of the longest pauses between two steps, as for a validation, lest
# one of them is most of what is measured.
_RECENT, _PAUSES = 60.0, 10
# Before so many seconds and units, the first of which waits for much that comes once, nothing is said.
_LEAST_SECONDS, _LEAST_UNITS = 5.0, 2


class Pace:
    """Follows the events of a run.

    Attributes:
        unit: what the stage at work counts: ``steps``, ``images``, ``files`` ...
        done: how many of them are done, of ``total``, which is 0 while unknown.
    """

    def __init__(self) -> None:
        self.unit = "steps"
        self.done = self.total = 0
        # Times and what was done then.
        self._marks: deque[tuple[float, int]] = deque()
        self._longest = 0.0

    def add(self, event: Event) -> None:
        """Takes in an event."""
        if isinstance(event, StageStarted):
            self.unit, self.done, self.total = event.unit, event.resumed_at, event.total
            self.forget()
        elif isinstance(event, Progress):
            self.done, self.total = event.done, event.total
            self._mark(event.time, event.done)
        elif isinstance(event, StageFinished):
            self.forget()

    def forget(self) -> None:
        """Forgets how fast it was: time in which the run was halted must not count as slow work."""
        self._marks.clear()
        self._longest = 0.0

    def _mark(self, time: float, done: int) -> None:
        if self._marks:
            self._longest = max(self._longest, time - self._marks[-1][0])
        self._marks.append((time, done))
        recent = max(_RECENT, _PAUSES * self._longest)
        while len(self._marks) > 2 and self._marks[1][0] <= time - recent:
            self._marks.popleft()

    @property
    def seconds_each(self) -> float | None:
        """Seconds that a step or an image took of late; None while unknown.

        What follows the last step (scores, files) is of unknown length, and files take unlike times: weights are
        written in a moment, an ONNX file is traced and checked.
        """
        if self.unit == "files" or len(self._marks) < 2 or 0 < self.total <= self.done:
            return None
        (first_time, first_done), (last_time, last_done) = self._marks[0], self._marks[-1]
        seconds, units = last_time - first_time, last_done - first_done
        return seconds / units if seconds >= _LEAST_SECONDS and units >= _LEAST_UNITS else None

    @property
    def seconds_left(self) -> float | None:
        """Remaining seconds of the stage at that speed; None while unknown."""
        each = self.seconds_each
        return None if each is None or not self.total else (self.total - self.done) * each

    @property
    def speed(self) -> str:
        """``3.4 steps/s`` or ``5 s per step``; empty while unknown."""
        each = self.seconds_each
        if each is None:
            return ""
        return f"{1 / each:.3g} {self.unit}/s" if each < 1 else f"{each:.3g} s per {self.unit.removesuffix('s')}"
