"""The state of the run bar: stage, progress, speed and remaining time; paused or stopping as soon as requested."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crots.events import Event, Progress, StageStarted
from crots.pace import Pace
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
        self._pace = Pace()

    def begin(self, *, detached: bool = False, opening: str = STARTING) -> None:
        """The user asked for a run."""
        self.__init__(running=True, detached=detached, opening=opening)  # type: ignore[misc]

    def add(self, events: Iterable[Event]) -> None:
        """Takes in events."""
        for event in events:
            self._pace.add(event)
            if isinstance(event, StageStarted):
                self.stage, self.unit, self.device = event.stage, event.unit, event.device
                self.done, self.total = event.resumed_at, event.total
            elif isinstance(event, Progress):
                self.stage = event.stage
                self.done, self.total = event.done, event.total

    def interrupt_clock(self) -> None:
        """Forgets how fast it was: a pause must not count as slow work."""
        self._pace.forget()

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
        """Remaining seconds of this stage; None while unknown."""
        return self._pace.seconds_left

    @property
    def text(self) -> str:
        """One line: ``Adapt round 1: step 4210 of 10000``."""
        if not self.running:
            return "No run"
        if not self.stage:
            text = self.opening
        else:
            text = f"{title(self.stage)}: {self.unit.removesuffix('s')} {self.done} of {self.total}"
        text = text.removesuffix(" ...") if self.discarding or self.stopping or self.paused else text
        if self.discarding:
            return f"{text}: discarding after this step ..."
        if self.stopping:
            return f"{text}: stopping after this step ..."
        return f"{text}: paused" if self.paused else text

    @property
    def pace(self) -> str:
        """``3.4 steps/s, 28 min left``; empty while unknown."""
        speed, left = self._pace.speed, self.seconds_left
        if left is None or self.paused:
            return ""
        return speed if self.stopping else f"{speed}, {duration(left)} left"
