"""The context of a stage: its key, stop and pause, and the event stream."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from crots.eventlog import EventLog
from crots.events import ArtifactWritten, Event, Progress, Remark
from crots.execution.control import Control
from crots.execution.workers import current

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """Surroundings of one run of a stage.

    Attributes:
        stage: its key, ``adapt-2``.
        control: the user's stop and pause.
        resume: continue the output of an interrupted run; otherwise it is cleared.
        log: the project's event stream, None for a stage that is run alone.
        notes: what the user should read when the stage begins.
    """

    stage: str
    control: Control = field(default_factory=Control)
    resume: bool = False
    log: EventLog | None = None
    notes: tuple[Remark, ...] = ()

    @property
    def position(self) -> int:
        """Bytes of the event stream so far."""
        return self.log.position if self.log else 0

    def check(self) -> None:
        """Checks, between two steps of all workers, whether the run is paused or stopped.

        Raises:
            Stopped: on all workers, if the user stopped any of them.
        """
        current().check(self.control)

    def rewind(self, position: int) -> None:
        """Removes this stage's events after ``position``."""
        if self.log:
            self.log.drop(self.stage, after=position)

    def rewind_run(self) -> None:
        """Removes all events of an interrupted run that left nothing to resume."""
        if self.log:
            self.log.drop_latest(self.stage)


class Meter:
    """Progress with a rate once it is steady, at most a few times a second."""

    def __init__(self, stage: str, total: int, *, images: int = 1, done: int = 0, every: float = 0.5) -> None:
        self._stage, self._total, self._images, self._every = stage, total, images, every
        self._shown = time.monotonic()
        self._shown_done = done
        # Until the first are done, which wait for much that comes once, no rate is known.
        self._steady = False
        self._rate = 0.0

    def tick(self, done: int) -> Iterator[Progress]:
        """Yields a `Progress` when the last one is old enough, or the end is reached."""
        now = time.monotonic()
        if now - self._shown < self._every and done < self._total:
            return
        if self._steady:
            fresh = (done - self._shown_done) * self._images / max(now - self._shown, 1e-6)
            self._rate = fresh if not self._rate else 0.7 * self._rate + 0.3 * fresh
        self._steady = True
        self._shown, self._shown_done = now, done
        yield Progress(stage=self._stage, done=done, total=self._total, rate=round(self._rate, 3))


def at_their_place(events: Iterator[Event], work: Path, final: Path) -> Iterator[Event]:
    """Makes events name files of unfinished work by their final place."""
    for event in events:
        if isinstance(event, ArtifactWritten) and (path := Path(event.path)).is_relative_to(work):
            event = dataclasses.replace(event, path=str(final / path.relative_to(work)))
        yield event


def metered(items: Iterable[T], total: int, context: Context, act: Callable[[T], None]) -> Iterator[Progress]:
    """Acts on each item, checking for a stop before each, and yields progress."""
    meter = Meter(context.stage, total)
    for done, item in enumerate(items, 1):
        context.check()
        act(item)
        yield from meter.tick(done)
