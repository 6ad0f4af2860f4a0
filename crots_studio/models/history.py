"""The events of a project so far, arranged for display: figures by step, scores, notes and endings of each stage.

The earlier events of a resumed or repeated stage are dropped here as they are on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from crots.eventlog import read_events
from crots.events import (
    ArtifactWritten,
    Evaluated,
    Event,
    Note,
    Progress,
    StageFinished,
    StageStarted,
)
from crots_studio.models.series import Curves


@dataclass
class StageHistory:
    """The latest run of one stage.

    Attributes:
        key: ``adapt-2``.
        started: its first event, None before.
        progress: the latest.
        evaluations: scores against labels in the order they came; several subjects in the stage ``evaluate``.
        earlier: those of its earlier runs, in the stage ``evaluate``: they hold until a model is trained again.
        notes: what the user should read.
        artifacts: files written.
        finished: its end, None while it runs or where it was interrupted.
    """

    key: str
    started: StageStarted | None = None
    progress: Progress | None = None
    evaluations: list[Evaluated] = field(default_factory=list)
    earlier: list[Evaluated] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    artifacts: list[ArtifactWritten] = field(default_factory=list)
    finished: StageFinished | None = None

    @property
    def total(self) -> int:
        """Steps, images or files of the whole stage, 0 while unknown."""
        return self.started.total if self.started else 0

    @property
    def miou(self) -> float | None:
        """The latest score, 0..1."""
        return self.evaluations[-1].miou if self.evaluations else None


class History:
    """All stages of a project, in the order in which they first ran.

    Attributes:
        stages: by key.
        curves: their figures by step.
        current: key of the stage of the last event, empty before.
        latest: time of the last event, seconds since the epoch.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.stages: dict[str, StageHistory] = {}
        self.curves = Curves()
        self.current = ""
        self.latest = 0.0
        self.add(events)

    @staticmethod
    def read(path: Path) -> History:
        """Replays the stream of a project; takes seconds for a million events, so not on the window's thread."""
        return History(read_events(path))

    def stage(self, key: str) -> StageHistory:
        """Returns the history of a stage; an empty one if it never ran."""
        return self.stages.get(key, StageHistory(key))

    def add(self, events: Iterable[Event]) -> None:
        """Takes in events in their order."""
        for event in events:
            self._add(event)
            self.curves.add([event])

    def _add(self, event: Event) -> None:
        self.current, self.latest = event.stage, event.time
        stage = self.stages.setdefault(event.stage, StageHistory(event.stage))
        match event:
            case StageStarted():
                self._start(stage, event)
            case Progress():
                stage.progress = event
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
            # A resumed run repeats what came after.
            stage.evaluations = [score for score in stage.evaluations if score.step <= (event.resumed_at or 0)]
            stage.notes, stage.artifacts, stage.progress = [], [], None
        else:
            earlier = [*stage.earlier, *stage.evaluations] if event.stage == "evaluate" else []
            # The latest of each model is enough, however often it is run.
            latest = {score.subject: score for score in earlier}
            stage = self.stages[event.stage] = StageHistory(event.stage, earlier=list(latest.values()))
        stage.started, stage.finished = event, None

    def opening(self, key: str) -> list[Event]:
        """Returns the start and the latest progress of a stage, from which a view that comes later catches up."""
        stage = self.stage(key)
        return [event for event in (stage.started, stage.progress) if event is not None]

    def evaluated(self) -> dict[str, float]:
        """Returns what the stage ``evaluate`` measured of each model (``source``, ``baseline``, ``adapt-1`` ...).

        Without models that were trained again since. It measures at the size of the labels; a training at the working
        size, which differs by a few tenths.
        """
        stage = self.stage("evaluate")
        found: dict[str, float] = {}
        for event in (*stage.earlier, *stage.evaluations):
            trained = self.stage(event.subject).started
            if event.miou is not None and (trained is None or trained.time <= event.time):
                found[event.subject] = event.miou
        return found
