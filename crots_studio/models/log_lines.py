"""The log: events as lines of text, of which warnings and errors are also listed as problems."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from crots.events import ArtifactWritten, Evaluated, Event, Metrics, Note, Scored, StageFinished, StageStarted
from crots_studio.models.names import score_title, title
from crots_studio.models.words import duration, in_window, plural

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class LogLine:
    """One line."""

    time: float
    level: Level
    text: str

    def __str__(self) -> str:
        mark = {"info": "", "warning": "warning: ", "error": "error: "}[self.level]
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(self.time))}  {mark}{self.text}"


def to_lines(events: Iterable[Event]) -> list[LogLine]:
    """Returns the lines of events; progress and pictures have none."""
    return [line for event in events if (line := _line(event)) is not None]


def _line(event: Event) -> LogLine | None:
    name = title(event.stage) if event.stage else "Run"
    match event:
        case StageStarted():
            resumed = f", resumed at {event.resumed_at}" if event.resumed_at else ""
            work = plural(event.total, event.unit.removesuffix("s"))
            text = f"{name} starts: {work} on {event.device}{resumed}"
        case Metrics():
            values = ", ".join(f"{key} {value:.4g}" for key, value in event.values.items())
            text = f"{name} step {event.step}: {values}"
        case Evaluated():
            where = f" at step {event.step}" if event.step else ""
            score = "-" if event.miou is None else f"{event.miou:.1%}"
            text = f"{name}: mIoU of {title(event.subject)}{where} {score} on {plural(event.images, 'image')}"
        case Scored():
            values = ", ".join(f"{score_title(key)} {value:.4g}" for key, value in event.values.items())
            text = f"{name} step {event.step}: {values}"
        case ArtifactWritten():
            text = f"{name} wrote {event.path}"
        case Note():
            return LogLine(
                event.time, "warning" if event.level == "warning" else "info", f"{name}: {in_window(event.line)}"
            )
        case StageFinished():
            return _ending(event, name)
        case _:
            return None
    return LogLine(event.time, "info", text)


def _ending(event: StageFinished, name: str) -> LogLine:
    if event.outcome == "failed":
        return LogLine(
            event.time, "error", f"{name} failed after {duration(event.seconds)}: {in_window(event.message)}"
        )
    text = "is done" if event.outcome == "completed" else "was stopped"
    return LogLine(event.time, "info", f"{name} {text} after {duration(event.seconds)}")
