"""The state of the run bar: stage, progress, remaining time, rate; paused or stopping as soon as requested."""

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
        rate: images per second.
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
    rate: float = 0.0

    def __post_init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=60)

    def begin(self, *, detached: bool = False, opening: str = STARTING) -> None:
        """The user asked for a run."""
        self.__init__(running=True, detached=detached, opening=opening)  # type: ignore[misc]

    def add(self, events: Iterable[Event]) -> None:
        """Takes in events."""
        for event in events:
            if isinstance(event, StageStarted):
                self.stage, self.unit, self.device = event.stage, event.unit, event.device
                self.done, self.total, self.rate = event.resumed_at, event.total, 0.0
                self._marks.clear()
                self._marks.append((event.time, event.resumed_at))
            elif isinstance(event, Progress):
                self.stage = event.stage
                self.done, self.total, self.rate = event.done, event.total, event.rate
                self._marks.append((event.time, event.done))
            elif isinstance(event, StageFinished):
                self.rate = 0.0

    def interrupt_clock(self) -> None:
        """Resets the rate: a pause must not count as slow work."""
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
    def seconds_left(self) -> float | None:
        """Remaining seconds of this stage, from the rate of the last minute; None while unknown.

        What follows the last step (scores, files) is of unknown length, and files take unlike times: weights are
        written in a moment, an ONNX file is traced and checked.
        """
        if self.unit == "files" or len(self._marks) < 2 or self.done >= (self.total or 0):
            return None
        (first_time, first_done), (last_time, last_done) = self._marks[0], self._marks[-1]
        if last_done <= first_done or last_time <= first_time:
            return None
        return (self.total - self.done) * (last_time - first_time) / (last_done - first_done)

    @property
    def text(self) -> str:
        """One line: ``Adapt round 1: step 4210 of 10000``."""
        if not self.running:
            return "No run"
        if not self.stage:
            text = self.opening
        else:
            unit = {"steps": "step", "images": "image", "files": "file"}.get(self.unit, self.unit)
            text = f"{title(self.stage)}: {unit} {self.done} of {self.total}"
        text = text.removesuffix(" ...") if self.discarding or self.stopping or self.paused else text
        if self.discarding:
            return f"{text}: discarding after this step ..."
        if self.stopping:
            return f"{text}: stopping after this step ..."
        return f"{text}: paused" if self.paused else text

    @property
    def pace(self) -> str:
        """``3.4 images/s, 28 min left``; empty while unknown."""
        parts = [f"{self.rate:.3g} images/s"] if self.rate else []
        left = self.seconds_left
        if left is not None and not self.paused and not self.stopping:
            parts.append(f"{duration(left)} left")
        return ", ".join(parts)
