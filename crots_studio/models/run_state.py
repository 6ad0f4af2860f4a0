"""The state of the run bar: stage, progress, speed and remaining time; paused or stopping as soon as requested."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from crots.events import Event, Progress, StageFinished, StageStarted
from crots_studio.models.names import title
from crots_studio.models.words import duration

STARTING = "Starting ..."
# Both may take a minute on a processor.
MEASURING = "Starting: timing a few steps of each stage ..."
ESTIMATING = "Estimating: timing a few steps of each stage ..."
# Seconds: over so long a time the speed is measured.
_RECENT = 60.0
_ONE = {"steps": "step", "images": "image", "files": "file"}


@dataclass
class RunState:
    """The active run, or the last one.

    Attributes:
        running: from the click on Run to the run's end.
        paused: asked to halt, whether or not it has halted already.
        stopping: asked to stop.
        discarding: what the stage wrote is to be thrown away after the stop.
        stage: key of the stage that is at work, empty before the first.
        opening: what is done before the first stage.
    """

    running: bool = False
    paused: bool = False
    stopping: bool = False
    discarding: bool = False
    detached: bool = False
    stage: str = ""
    opening: str = STARTING
    unit: str = "steps"
    device: str = ""
    done: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        # Times and what was done then; those of the last minute, and the one before.
        self._marks: deque[tuple[float, int]] = deque()

    def begin(self, *, detached: bool = False, opening: str = STARTING) -> None:
        """The user asked for a run."""
        self.__init__(running=True, detached=detached, opening=opening)  # type: ignore[misc]

    def add(self, events: Iterable[Event]) -> None:
        """Takes in events."""
        for event in events:
            if isinstance(event, StageStarted):
                self.stage, self.unit, self.device = event.stage, event.unit, event.device
                self.done, self.total = event.resumed_at, event.total
                self._marks.clear()
                self._mark(event.time, event.resumed_at)
            elif isinstance(event, Progress):
                self.stage = event.stage
                self.done, self.total = event.done, event.total
                self._mark(event.time, event.done)
            elif isinstance(event, StageFinished):
                self._marks.clear()

    def _mark(self, time: float, done: int) -> None:
        self._marks.append((time, done))
        while len(self._marks) > 2 and self._marks[1][0] <= time - _RECENT:
            self._marks.popleft()

    def interrupt_clock(self) -> None:
        """Forgets how fast it was: a pause must not count as slow work."""
        self._marks.clear()

    @property
    def fraction(self) -> float:
        """0..1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def fraction_known(self) -> bool:
        """Whether `fraction` is meaningful: not before a stage's first step nor after its last one."""
        return 0 < self.done < self.total or self.paused

    @property
    def seconds_each(self) -> float | None:
        """Seconds that a step or an image took in the last minute; None while unknown.

        What follows the last step (scores, files) is of unknown length, and files take unlike times: weights are
        written in a moment, an ONNX file is traced and checked.
        """
        if self.unit == "files" or len(self._marks) < 2 or self.done >= (self.total or 0):
            return None
        (first_time, first_done), (last_time, last_done) = self._marks[0], self._marks[-1]
        if last_done <= first_done or last_time <= first_time:
            return None
        return (last_time - first_time) / (last_done - first_done) or None

    @property
    def seconds_left(self) -> float | None:
        """Remaining seconds of this stage, at the speed of the last minute; None while unknown."""
        each = self.seconds_each
        return None if each is None else (self.total - self.done) * each

    @property
    def text(self) -> str:
        """One line: ``Adapt round 1: step 4210 of 10000``."""
        if not self.running:
            return "No run"
        if not self.stage:
            text = self.opening
        else:
            text = f"{title(self.stage)}: {_ONE.get(self.unit, self.unit)} {self.done} of {self.total}"
        text = text.removesuffix(" ...") if self.discarding or self.stopping or self.paused else text
        if self.discarding:
            return f"{text}: discarding after this step ..."
        if self.stopping:
            return f"{text}: stopping after this step ..."
        return f"{text}: paused" if self.paused else text

    @property
    def pace(self) -> str:
        """``3.4 steps/s, 28 min left``; empty while unknown. Both say the same, since they are of the same figure."""
        each, left = self.seconds_each, self.seconds_left
        if each is None or left is None or self.paused:
            return ""
        speed = f"{1 / each:.3g} {self.unit}/s" if each < 1 else f"{each:.3g} s per {_ONE.get(self.unit, self.unit)}"
        return speed if self.stopping else f"{speed}, {duration(left)} left"
