"""The events of a running stage: plain and frozen, the same live, on disk and in the studio.

Events carry numbers and strings; pictures are files they name. A stage's first event is `StageStarted`, its last
`StageFinished`; a stage without its end was interrupted.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from crots.errors import InputError
from crots.records import Count, Moment, fits, misfit, parse

Outcome = Literal["completed", "cancelled", "failed"]
Cause = Literal["", "memory", "not begun"]
Unit = Literal["images", "tiles", "predictions", "steps", "files"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events.

    Attributes:
        stage: key of the stage it belongs to (``baseline``, ``adapt-2``).
        time: seconds since the epoch.
    """

    stage: str
    time: Moment = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage begins, or resumes at step ``resumed_at`` of ``total`` (images, optimiser steps ..., see ``unit``)."""

    total: Count
    unit: Unit = "steps"
    resumed_at: Count = 0
    device: str = "cpu"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """``done`` of ``total`` units are finished; ``rate`` is the recent images per second, 0 while unknown."""

    done: Count
    total: Count
    rate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Metrics(Event):
    """Training metrics at optimiser step ``step`` (1-based): losses, confidence weight, learning rate ..."""

    step: Count
    values: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """Scores against labels, 0..1. They are shown to the user; nothing is chosen by them unless marked ``oracle``.

    Attributes:
        subject: what was scored: ``source``, ``baseline``, ``adapt-1`` ...
        step: optimiser step, 0 for a finished model.
        miou: mean over classes that occur; None where no pixel has a class.
        per_class_iou: by class name, None for a class that occurs nowhere.
        confusion: rows are true classes, columns predicted ones; pixels.
        oracle: the labels were also used to choose a checkpoint.
    """

    subject: str
    miou: float | None
    per_class_iou: dict[str, float | None]
    step: Count = 0
    images: Count = 0
    confusion: list[list[int]] | None = None
    oracle: bool = False


@dataclass(frozen=True, kw_only=True)
class Scored(Event):
    """Label-free scores of a checkpoint at ``step``; higher is better for every value."""

    step: Count
    values: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ArtifactWritten(Event):
    """A result is on disk; ``kind`` is ``pseudo-labels``, ``patches``, ``checkpoint``, ``model`` or ``export``."""

    kind: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something the user should read.

    Attributes:
        text: for people.
        level: ``info`` or ``warning``.
        about: the name of a file, if it is about one.
        known: it follows from the inputs and options and was found before the stage began, so it is not about the
            course of the stage.
    """

    text: str
    level: Literal["info", "warning"] = "info"
    about: str = ""
    known: bool = False

    @property
    def line(self) -> str:
        """The text, after the name of the file."""
        return f"{self.about}: {self.text}" if self.about else self.text


@dataclass(frozen=True)
class Remark:
    """Something found about the inputs that the user should read, before any stage has begun.

    Attributes:
        text: for people.
        kind: ``labels`` and ``unused labels`` are not about images; the latter explains why label files are not used.
            ``surplus labels`` are of no image, ``names`` shows how labels were matched with images, ``classes`` names
            the class set of the labels that the data set has itself.
    """

    text: str
    kind: Literal["note", "warning", "labels", "unused labels", "surplus labels", "names", "classes"] = "note"

    @property
    def warning(self) -> bool:
        """Whether something may be wrong."""
        return self.kind == "warning"

    @property
    def line(self) -> str:
        """The text, marked where it is a warning."""
        return f"warning: {self.text}" if self.warning else self.text


def noted(stage: str, remark: Remark) -> Note:
    """Makes an event of a remark about the inputs."""
    return Note(stage=stage, text=remark.text, level="warning" if remark.warning else "info")


@dataclass(frozen=True, kw_only=True)
class StageFinished(Event):
    """The end of a stage, successful or not.

    Attributes:
        seconds: how long it took, with the earlier parts of a resumed stage.
        message: why it failed or was stopped.
        detail: the traceback, for a bug report.
        exit_code: exit code of the command line: 0 done, 1 failed, 2 wrong input, 130 stopped.
        cause: the kind of failure, if the user is shown more than the message for it.
        settings: options with which it would not have failed; see `crots.errors.CrotsError`.
    """

    outcome: Outcome
    seconds: float
    exit_code: int = 0
    message: str = ""
    detail: str = ""
    cause: Cause = ""
    settings: dict[str, str] = field(default_factory=dict)


# Left out of the stream where they are empty, since versions that do not know them skip events that have them.
_LATER = ("about", "cause", "known", "settings")

KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (StageStarted, Progress, Metrics, Evaluated, Scored, ArtifactWritten, Note, StageFinished)
}


def to_json(event: Event) -> str:
    """Returns the event as one line of JSON; ``event`` holds its class name."""
    fields = {name: value for name, value in dataclasses.asdict(event).items() if value or name not in _LATER}
    return json.dumps({"event": type(event).__name__, **fields}, ensure_ascii=False)


def from_json(line: str) -> Event:
    """Reads one line written by `to_json`.

    Raises:
        InputError: the line is not an event of this version.
    """
    try:
        fields = parse(line)
        kind = KINDS[fields.pop("event")]
        if not fits(fields, kind):
            raise ValueError(misfit(fields, kind))
        return kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not an event of this version of CROTS: {line[:80]!r} ({error})") from error
