"""Facts about a project and the changes by its run, as frozen data; nothing here reads a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crots.events import Remark
from crots.notes import RunNote

Colour = tuple[int, int, int]
# Target images that the adapted model is run on: enough for shares of pixels, and minutes of the slowest net on a CPU.
IMAGES = 24
MOST_IMAGES = 200


@dataclass(frozen=True)
class Setting:
    """An option that differs from its profile's default; both values as the user would type them."""

    path: str
    value: str
    default: str
    help: str


@dataclass(frozen=True)
class FileFact:
    """A file, with what identifies it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SourceFacts:
    """Where the labels came from: a model's file, or a folder of predictions.

    Attributes:
        file: the model, None for predictions and where it is gone.
        net: of the model, empty where the file names it.
        folder: of predictions, as it is written in the project.
        predictions: files in it.
        confidence: files in the folder of confidences, None where there is none.
        student: the network that learnt.
        weights: what it started from.
    """

    file: FileFact | None = None
    net: str = ""
    folder: str = ""
    predictions: int = 0
    confidence: int | None = None
    student: str = ""
    weights: str = ""


@dataclass(frozen=True)
class ClassFacts:
    """The classes in train-id order, and the class map: ``mapped`` is source name -> target name."""

    name: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    source_name: str = ""
    mapped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetFacts:
    """The unlabelled images: their folder as written in the project, how many were labelled, working size.

    Attributes:
        repainted: images whose labels a person corrected.
        patches: hard patches that a person rejected or relabelled.
    """

    folder: str
    images: int
    size: str
    repainted: int = 0
    patches: int = 0


@dataclass(frozen=True)
class StageFacts:
    """One stage: see `crots.project_status.StageStatus`; ``device``, ``remarks`` and ``ended`` are of its latest run.

    ``ended`` is a date and time, ISO; empty where it has no end. ``changed``: options or inputs have since its result.
    """

    key: str
    state: str
    reason: str = ""
    seconds: float | None = None
    kept: str = ""
    device: str = ""
    remarks: tuple[Remark, ...] = ()
    ended: str = ""
    changed: bool = False


@dataclass(frozen=True)
class ModelScore:
    """How well a model does against validation labels; IoU 0..1, None for a class that occurs nowhere.

    Attributes:
        subject: ``source``, ``baseline``, ``adapt-1`` ...
        miou: mean over the classes that occur.
        per_class: by class name.
        images: how many were scored, 0 where unknown.
        step: of a validation on the way, 0 for the finished model.
        oracle: this checkpoint was chosen with the labels.
    """

    subject: str
    miou: float
    per_class: Mapping[str, float | None] = field(default_factory=dict)
    images: int = 0
    step: int = 0
    oracle: bool = False


@dataclass(frozen=True)
class KeptModel:
    """The checkpoint that a training stage kept: its step, the reason, and the alarms at that evaluation.

    Attributes:
        start: label-free scores before the stage.
        end: of what was kept.
        vanishing: classes with an alarm that they are being lost.
        alarms: texts of the other alarms; also that a student has not learnt its labels.
        given_up: why the stage was stopped before its end and went back to this checkpoint; empty if it was not.
    """

    key: str
    kept: int
    of: int
    words: str = ""
    start: Mapping[str, float] = field(default_factory=dict)
    end: Mapping[str, float] = field(default_factory=dict)
    vanishing: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    given_up: str = ""


@dataclass(frozen=True)
class Result:
    """What the files of evaluation, choice and records say of the models; enough for the summary of a run.

    Attributes:
        key: of the stage whose model is the result: the last one that is done.
        scores: in running order, the source first.
        choices: of the training stages that chose.
        everywhere: the class that the source says nearly everywhere, so that nothing else can be learnt from it;
            empty where there is none.
        predictions: the source is a folder of them.
        other_start: the student did not start from the source's weights.
    """

    key: str
    scores: tuple[ModelScore, ...] = ()
    choices: tuple[KeptModel, ...] = ()
    everywhere: str = ""
    predictions: bool = False
    other_start: bool = False

    def score(self, subject: str) -> ModelScore | None:
        """Returns a model's score; None while it has none."""
        return next((score for score in self.scores if score.subject == subject), None)


@dataclass(frozen=True)
class ClassChange:
    """The change of a class on the images that the adapted model was run on; shares of their pixels, 0..1.

    Attributes:
        before: share that the source calls so.
        after: share that the adapted model calls so.
        kept: of the more confident half of the source's pixels of this class, the share that is unchanged; None if
            there are none.
        vanishing: the class is about to be lost, or false positives were corrected.
    """

    name: str
    before: float
    after: float
    kept: float | None
    vanishing: bool = False


@dataclass(frozen=True)
class Picture:
    """One target image, and the share of its pixels whose label changed; files to be shown, ready to be embedded.

    Attributes:
        kind: among the most changed, or typical.
        photo: JPEG.
        before: PNG of the source's labels in their colours.
        after: PNG of the adapted model's.
    """

    key: str
    changed: float
    kind: Literal["most changed", "typical"]
    photo: bytes
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Changes:
    """Source and adapted model compared on some target images.

    Attributes:
        model: key of the stage.
        images: share of changed labels by image key, the most changed first.
        classes: in train-id order, those that occur.
        sure: the source gave confidence, so that its surer half is known.
        pictures: of a few images.
        mirrored: the source's labels are means with those of the mirrored images, and the model's are not.
    """

    model: str
    images: Mapping[str, float]
    classes: tuple[ClassChange, ...]
    sure: bool
    pictures: tuple[Picture, ...] = ()
    mirrored: bool = False

    @property
    def changed(self) -> float:
        """Mean share of changed labels."""
        return sum(self.images.values()) / max(1, len(self.images))


@dataclass(frozen=True)
class Curve:
    """A figure over optimiser steps; ``steps`` rise."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class StageCurves:
    """The figures of one training stage by kind: losses, label-free scores, and mIoU where it was validated."""

    key: str
    total: int
    losses: tuple[Curve, ...] = ()
    scores: tuple[Curve, ...] = ()
    miou: Curve | None = None


@dataclass(frozen=True)
class Facts:
    """All that a report shows.

    Attributes:
        project: the folder's name.
        made: date and time of the report, ISO.
        profile: of the settings.
        preset: they began with, or empty.
        shares: of each class in the pixels of all pseudo-labels, 0..1 by name.
        outputs: exported files.
        versions: of the programs, by name.
        gaps: what could not be read and is left out, a line each.
        curves: of the training stages in running order.
        changes: None where the model was not run.
        note: title and note of the project.
        run_notes: likewise of the latest runs, by stage.
    """

    project: str
    made: str
    profile: str
    preset: str
    settings: tuple[Setting, ...]
    source: SourceFacts
    classes: ClassFacts | None
    target: TargetFacts
    stages: tuple[StageFacts, ...]
    result: Result
    versions: Mapping[str, str]
    shares: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[FileFact, ...] = ()
    curves: tuple[StageCurves, ...] = ()
    changes: Changes | None = None
    gaps: tuple[str, ...] = ()
    note: RunNote = RunNote()
    run_notes: Mapping[str, RunNote] = field(default_factory=dict)


def plain_facts(facts: Facts) -> dict[str, Any]:
    """Returns the facts as JSON-able data, without the pictures' files."""
    values = dataclasses.asdict(facts)
    for picture in (values["changes"] or {}).get("pictures", ()):
        for name in ("photo", "before", "after"):
            del picture[name]
    return values
