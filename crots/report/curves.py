"""The metrics of training stages over their steps, from the stream of events, thinned for a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from crots.events import Evaluated, Event, Metrics, Note, Remark, Scored, StageFinished, StageStarted
from crots.report.facts import Curve, StageCurves

# More points would not be visible, and enlarge the page.
POINTS = 240
# These are not on the scale of a loss.
_NO_LOSS = ("confidence weight", "learning rate")
Points = dict[float, float]


@dataclass
class StageLog:
    """The latest run of a stage: points by step of every metric, notes, where it ran."""

    total: int = 0
    device: str = ""
    ended: str = ""
    losses: dict[str, Points] = field(default_factory=dict)
    scores: dict[str, Points] = field(default_factory=dict)
    miou: Points = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def begin(self, event: StageStarted) -> StageLog:
        """Returns the points that stay when the stage starts over or resumes; a resumed run repeats the rest."""
        kept = self if event.resumed_at else StageLog()
        kept.total, kept.device, kept.ended, kept.remarks = event.total, event.device, "", []
        for points in (*kept.losses.values(), *kept.scores.values(), kept.miou):
            for step in [step for step in points if step > event.resumed_at]:
                del points[step]
        return kept

    def add(self, event: Event) -> None:
        """Takes in one event."""
        match event:
            case Metrics():
                for name, value in event.values.items():
                    if name not in _NO_LOSS:
                        self.losses.setdefault(name, {})[event.step] = value
            case Scored():
                for name, value in event.values.items():
                    self.scores.setdefault(name, {})[event.step] = value
            case Evaluated() if event.step > 0 and event.miou is not None:
                self.miou[event.step] = event.miou
            case StageFinished():
                self.ended = _moment(event.time)
            case Note():
                self.remarks.append(Remark(event.line, "warning" if event.level == "warning" else "note"))

    def curves(self, key: str) -> StageCurves | None:
        """Returns the figures as curves; None where there are none."""
        losses, scores = (_curves(found) for found in (self.losses, self.scores))
        miou = _curves({"mIoU": self.miou})
        if not (losses or scores or miou):
            return None
        last = max(curve.steps[-1] for curve in (*losses, *scores, *miou))
        return StageCurves(key, max(self.total, int(last)), losses, scores, miou[0] if miou else None)


def _moment(time: float) -> str:
    try:
        return datetime.fromtimestamp(time).astimezone().isoformat(timespec="minutes")
    except (ValueError, OverflowError, OSError):
        # Not a valid time.
        return ""


def stage_logs(events: Iterable[Event]) -> dict[str, StageLog]:
    """Arranges a stream by stage."""
    stages: dict[str, StageLog] = {}
    for event in events:
        stage = stages.setdefault(event.stage, StageLog())
        if isinstance(event, StageStarted):
            stages[event.stage] = stage.begin(event)
        else:
            stage.add(event)
    return stages


def _curves(found: dict[str, Points]) -> tuple[Curve, ...]:
    made = (_thinned(name, sorted(points.items())) for name, points in found.items())
    return tuple(curve for curve in made if curve.steps)


def _thinned(name: str, points: list[tuple[float, float]]) -> Curve:
    """Joins neighbouring points to their mean where there are too many."""
    good = [(step, value) for step, value in points if math.isfinite(value)]
    together = -(-len(good) // POINTS) or 1
    parts = [good[first : first + together] for first in range(0, len(good), together)]
    means = [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
    return Curve(name, tuple(step for step, _ in means), tuple(value for _, value in means))
