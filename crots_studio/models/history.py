"""The events of a project so far, arranged for display: figures by step, scores, notes and endings of each stage.

The earlier events of a resumed or repeated stage are dropped here as they are on disk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from crots.eventlog import read_events
from crots.events import (
    ArtifactWritten,
    Evaluated,
    Event,
    Metrics,
    Note,
    Progress,
    Scored,
    StageFinished,
    StageStarted,
)


@dataclass
class StepSeries:
    """One figure over optimiser steps; both lists have the same length and ``steps`` rises."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: int, value: float) -> None:
        """Appends a point; a step that is there already, or lies after it, is replaced."""
        self.cut(step - 1)
        self.steps.append(step)
        self.values.append(value)

    def cut(self, step: int) -> None:
        """Drops all points after ``step``."""
        keep = bisect_right(self.steps, step)
        del self.steps[keep:], self.values[keep:]


@dataclass
class StageHistory:
    """The latest run of one stage.

    Attributes:
        key: ``adapt-2``.
        started: its first event, None before.
        progress: the latest.
        metrics: figures by name (``consistency``, ``learning rate`` ...).
        evaluations: scores against labels in the order they came; several subjects in the stage ``evaluate``.
        scores: label-free scores by name.
        notes: what the user should read.
        artifacts: files written.
        finished: its end, None while it runs or where it was interrupted.
    """

    key: str
    started: StageStarted | None = None
    progress: Progress | None = None
    metrics: dict[str, StepSeries] = field(default_factory=dict)
    evaluations: list[Evaluated] = field(default_factory=list)
    scores: dict[str, StepSeries] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    artifacts: list[ArtifactWritten] = field(default_factory=list)
    finished: StageFinished | None = None

    @property
    def total(self) -> int:
        """Steps, images or files of the whole stage, 0 while unknown."""
        return self.started.total if self.started else 0

    @property
    def last_step(self) -> int:
        """The latest step with figures, 0 where there are none."""
        return max((series.steps[-1] for series in self.metrics.values() if series.steps), default=0)

    @property
    def miou(self) -> float | None:
        """The latest score, 0..1."""
        return self.evaluations[-1].miou if self.evaluations else None

    def rewind(self, step: int) -> None:
        """Drops everything after ``step``, since a resumed run repeats it."""
        for series in (*self.metrics.values(), *self.scores.values()):
            series.cut(step)
        self.evaluations = [event for event in self.evaluations if event.step <= step]


class History:
    """All stages of a project, in the order in which they first ran.

    Attributes:
        stages: by key.
        current: key of the stage of the last event, empty before.
        latest: time of the last event, seconds since the epoch.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.stages: dict[str, StageHistory] = {}
        self.current = ""
        self.latest = 0.0
        self.add(events)

    @staticmethod
    def read(path: Path) -> History:
        """Replays the stream of a project; takes a second for a million events, so not on the window's thread."""
        return History(read_events(path))

    def stage(self, key: str) -> StageHistory:
        """Returns the history of a stage; an empty one if it never ran."""
        return self.stages.get(key, StageHistory(key))

    def add(self, events: Iterable[Event]) -> None:
        """Takes in events in their order."""
        for event in events:
            self._add(event)

    def _add(self, event: Event) -> None:
        self.current, self.latest = event.stage, event.time
        stage = self.stages.setdefault(event.stage, StageHistory(event.stage))
        match event:
            case StageStarted():
                self._start(stage, event)
            case Progress():
                stage.progress = event
            case Metrics():
                for name, value in event.values.items():
                    stage.metrics.setdefault(name, StepSeries()).add(event.step, value)
            case Scored():
                for name, value in event.values.items():
                    stage.scores.setdefault(name, StepSeries()).add(event.step, value)
            case Evaluated():
                stage.evaluations.append(event)
            case ArtifactWritten():
                stage.artifacts.append(event)
            case Note():
                stage.notes.append(event)
            case StageFinished():
                stage.finished = event

    def _start(self, stage: StageHistory, event: StageStarted) -> None:
        if event.resumed_at:
            stage.rewind(event.resumed_at)
            stage.notes, stage.artifacts, stage.progress = [], [], None
        else:
            stage = self.stages[event.stage] = StageHistory(event.stage)
        stage.started, stage.finished = event, None

    def opening(self, key: str) -> list[Event]:
        """Returns the start and the latest progress of a stage, from which a view that comes later catches up."""
        stage = self.stage(key)
        return [event for event in (stage.started, stage.progress) if event is not None]

    def evaluated(self) -> dict[str, Evaluated]:
        """Returns the latest score of each subject (``source``, ``baseline``, ``adapt-1`` ...), finished models first.

        The stage ``evaluate`` scores finished models; validations during a run stand in where it has not run.
        """
        found: dict[str, Evaluated] = {}
        for stage in self.stages.values():
            for event in stage.evaluations:
                old = found.get(event.subject)
                if old is None or event.stage == "evaluate" or old.stage != "evaluate":
                    found[event.subject] = event
        return found
