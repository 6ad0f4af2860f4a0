"""Scores against labels: per class, over validations, changes since earlier models, and confusions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from crots.artefacts import is_round, round_number
from crots.errors import InputError
from crots.events import Evaluated, Event, StageStarted
from crots.opening import Inputs
from crots.project import Project
from crots.records import Count, fits, misfit, read_object
from crots.taxonomy import ClassSet, Colour, make_palette
from crots.text import gain
from crots_studio.models.history import History
from crots_studio.models.names import running_order, title
from crots_studio.models.series import csv_text

Normalisation = Literal["truth", "prediction", "pixels"]
Matrix = NDArray[np.float64]


class _StoredReport(TypedDict):
    """What is read of ``evaluation/<subject>.json``."""

    miou: float | None
    per_class_iou: dict[str, float | None]
    images: NotRequired[Count]
    confusion: NotRequired[list[list[int]] | None]
    oracle: NotRequired[bool]


@dataclass(frozen=True)
class Score:
    """The scores of a model; IoU 0..1.

    Attributes:
        subject: ``source``, ``baseline``, ``adapt-1`` ...
        miou: mean over the classes that occur; None where none does.
        per_class: by name, None for a class that occurs nowhere.
        step: optimiser step of a validation during training, 0 for a finished model.
        images: how many were scored.
        confusion: (K, K) pixels, rows are true classes; None where it was not kept.
        oracle: its checkpoint was chosen with labels.
    """

    subject: str
    miou: float | None
    per_class: Mapping[str, float | None]
    step: int = 0
    images: int = 0
    confusion: tuple[tuple[int, ...], ...] | None = None
    oracle: bool = False

    @staticmethod
    def of_event(event: Evaluated) -> Score:
        """Takes the scores of an event."""
        return Score(
            subject=event.subject,
            miou=event.miou,
            per_class=event.per_class_iou,
            step=event.step,
            images=event.images,
            confusion=_rows(event.confusion),
            oracle=event.oracle,
        )

    @staticmethod
    def of_report(subject: str, report: Mapping[str, Any]) -> Score:
        """Takes the scores of ``evaluation/<subject>.json``.

        Raises:
            InputError: it is no such report.
        """
        if not fits(report, _StoredReport):
            what = misfit(report, _StoredReport)
            raise InputError(f"{subject}: not an evaluation report of CROTS ({what}); evaluate it again")
        return Score(
            subject=subject,
            miou=report["miou"],
            per_class=dict(report["per_class_iou"]),
            images=report.get("images", 0),
            confusion=_rows(report.get("confusion")),
            oracle=report.get("oracle", False),
        )


def _rows(matrix: Sequence[Sequence[int]] | None) -> tuple[tuple[int, ...], ...] | None:
    return tuple(map(tuple, matrix)) if matrix else None


def counts(name: str, rounds: int | None) -> bool:
    """Whether a stage or model is not a round, or one of the project's ``rounds``; None for any number."""
    number = round_number(name)
    return rounds is None or number is None or number <= rounds


class Scores:
    """The scores that count now: the latest of every model, and the validations of every stage.

    Attributes:
        rounds: how many rounds the project has; those of an earlier run beyond them count no longer. None: all do.
    """

    def __init__(self, events: Iterable[Event] = (), reports: Iterable[Score] = ()) -> None:
        self.rounds: int | None = None
        self._latest: dict[str, Score] = {score.subject: score for score in reports}
        self._validations: dict[str, list[Score]] = {}
        self.add(events)

    @staticmethod
    def of_history(history: History, reports: Iterable[Score] = ()) -> Scores:
        """Takes over the earlier events of a project; ``reports`` stand in for models without any."""
        events: list[Event] = []
        for stage in history.stages.values():
            events += [stage.started] if stage.started else []
            events += (*stage.earlier, *stage.evaluations)
        # In order of time: scores from before a model was trained again are dropped.
        return Scores(sorted(events, key=lambda event: event.time), reports)

    def add(self, events: Iterable[Event]) -> bool:
        """Takes in new events; says whether any score changed."""
        changed = False
        for event in events:
            if isinstance(event, StageStarted):
                changed |= self._restart(event)
            elif isinstance(event, Evaluated):
                self._take(Score.of_event(event), event.stage)
                changed = True
        return changed

    def _restart(self, event: StageStarted) -> bool:
        """A model that is being trained again loses its old scores."""
        old = self._validations.get(event.stage, [])
        kept = [score for score in old if score.step <= event.resumed_at]
        if len(kept) == len(old) and event.stage not in self._latest:
            return False
        self._validations[event.stage] = kept
        self._latest.pop(event.stage, None)
        if kept:
            self._latest[event.stage] = kept[-1]
        return True

    def _take(self, score: Score, stage: str) -> None:
        self._latest[score.subject] = score
        if score.step > 0:
            validations = self._validations.setdefault(stage, [])
            validations[:] = [old for old in validations if old.step < score.step]
            validations.append(score)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Models that have a score, in running order."""
        return tuple(sorted(filter(self._counts, self._latest), key=running_order))

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that were validated while they ran, in running order."""
        found = (stage for stage, scores in self._validations.items() if scores and self._counts(stage))
        return tuple(sorted(found, key=running_order))

    def _counts(self, name: str) -> bool:
        return counts(name, self.rounds)

    def latest(self, subject: str) -> Score | None:
        """Returns a model's score; None while it has none."""
        return self._latest.get(subject)

    def validations(self, stage: str) -> tuple[Score, ...]:
        """Returns the validations of a stage, by step."""
        return tuple(self._validations.get(stage, ()))

    def earlier(self, subject: str) -> tuple[str, ...]:
        """Returns the models that a model is compared with: the one before it, and the stage before its rounds.

        Round 3 has round 2 and the baseline, round 1 the baseline and the source; whatever has no score is passed over.
        """
        before = [name for name in self.subjects if running_order(name) < running_order(subject)]
        stages = [name for name in before if not is_round(name)]
        return tuple(dict.fromkeys([*before[-1:], *(name for name in stages[::-1] if name not in before[-1:])]))[:2]


def read_reports(folder: Path) -> list[Score]:
    """Reads the reports of a project's ``evaluation`` folder; files that are none are passed over."""
    scores: list[Score] = []
    for path in sorted(folder.glob("*.json")):
        try:
            scores.append(Score.of_report(path.stem, read_object(path) or {}))
        except (InputError, OSError):
            continue
    return scores


class ClassLook:
    """Order and colours of classes: those of the project's class set, made-up ones for names that are not in it."""

    def __init__(self, classes: ClassSet | None = None) -> None:
        self.names: tuple[str, ...] = classes.names if classes else ()
        self._colours: dict[str, Colour] = dict(zip(classes.names, classes.palette, strict=True)) if classes else {}

    @staticmethod
    def of(project: Project | None) -> ClassLook:
        """Returns the look of a project's classes; a class set that cannot be read is reported elsewhere."""
        if project is None:
            return ClassLook()
        try:
            return ClassLook(Inputs(project.config, project.folder).classes)
        except (InputError, OSError):
            return ClassLook()

    def colour(self, name: str) -> Colour:
        """Returns the RGB colour of a class."""
        if name not in self._colours:
            self._colours[name] = make_palette(1, self._colours.values())[0]
        return self._colours[name]

    def order(self, names: Iterable[str]) -> tuple[str, ...]:
        """Returns names in the order of the class set; unknown ones last, as they came."""
        places = {name: place for place, name in enumerate(self.names)}
        return tuple(sorted(names, key=lambda name: places.get(name, len(places))))


@dataclass(frozen=True)
class ClassRow:
    """One line of the table; ``earlier`` are the IoU of those in `ClassTable.compared`."""

    name: str
    colour: Colour
    iou: float | None
    earlier: tuple[float | None, ...]

    @property
    def changes(self) -> tuple[float | None, ...]:
        """The changes since, as the figures that are shown have them."""
        return tuple(None if self.iou is None or old is None else gain(self.iou, old) for old in self.earlier)


@dataclass(frozen=True)
class ClassTable:
    """IoU of every class of one model, with the change since earlier models."""

    subject: str
    compared: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    mean: ClassRow
    score: Score


def make_class_table(scores: Scores, subject: str, look: ClassLook) -> ClassTable | None:
    """Returns the table of a model; None while it has no score."""
    score = scores.latest(subject)
    if score is None:
        return None
    compared = scores.earlier(subject)
    others = [found for found in map(scores.latest, compared) if found]
    rows = tuple(
        ClassRow(
            name,
            look.colour(name),
            score.per_class[name],
            tuple(other.per_class.get(name) for other in others),
        )
        for name in look.order(score.per_class)
    )
    mean = ClassRow("mean", (128, 128, 128), score.miou, tuple(other.miou for other in others))
    return ClassTable(subject, compared, rows, mean, score)


def fallen(table: ClassTable, by: float = 0.02) -> list[ClassRow]:
    """Returns the classes that lost at least ``by`` since the model before, the worst first."""
    lost = [row for row in table.rows if row.changes and row.changes[0] is not None and row.changes[0] <= -by]
    return sorted(lost, key=lambda row: row.changes[0] or 0.0)


def over_validations(scores: Scores) -> tuple[list[tuple[float, Score]], list[tuple[float, str]]]:
    """Returns the validations of all stages one after another, with their places; and where each stage begins."""
    points: list[tuple[float, Score]] = []
    marks: list[tuple[float, str]] = []
    start = 0.0
    for stage in scores.stages:
        marks.append((start, stage))
        points += [(start + score.step, score) for score in scores.validations(stage)]
        start = points[-1][0]
    return points, marks


def over_models(scores: Scores) -> list[tuple[float, Score]]:
    """Returns the latest score of every model, at 0, 1, 2 ... in running order."""
    found = [score for score in map(scores.latest, scores.subjects) if score]
    return [(float(place), score) for place, score in enumerate(found)]


def table_csv(table: ClassTable) -> str:
    """Returns the table as CSV; IoU 0..1, empty for a class that occurs nowhere."""
    header = ["class", f"{title(table.subject)} IoU", *(f"change since {title(name)}" for name in table.compared)]
    rows = []
    for row in (*table.rows, table.mean):
        changes = [None if row.iou is None or old is None else row.iou - old for old in row.earlier]
        rows.append([row.name, *("" if value is None else value for value in (row.iou, *changes))])
    return csv_text(header, rows)


def validations_csv(scores: Scores, look: ClassLook) -> str:
    """Returns every validation as CSV: one row per stage and step, one column per class."""
    found = [(stage, score) for stage in scores.stages for score in scores.validations(stage)]
    names = look.order(dict.fromkeys(name for _, score in found for name in score.per_class))
    rows = [[stage, score.step, *score_cells(score, names)] for stage, score in found]
    return csv_text(["stage", "step", "mIoU", *names], rows)


def score_cells(score: Score | None, names: Sequence[str]) -> list[float | str]:
    """Returns mIoU and IoU of the named classes for a row of CSV, empty where unknown."""
    values = [score.miou, *map(score.per_class.get, names)] if score else [None] * (1 + len(names))
    return ["" if value is None else value for value in values]


def normalised(confusion: Sequence[Sequence[int]] | NDArray[np.int64], how: Normalisation) -> Matrix:
    """Returns a confusion matrix (K, K) as shares of true pixels (rows sum to 1), of predicted ones, or as pixels."""
    matrix = np.asarray(confusion, np.float64)
    if how == "pixels":
        return matrix
    sums = matrix.sum(axis=1, keepdims=True) if how == "truth" else matrix.sum(axis=0, keepdims=True)
    shares = np.zeros_like(matrix)
    np.divide(matrix, sums, out=shares, where=sums > 0)
    return shares


@dataclass(frozen=True)
class Mistake:
    """``share`` of the pixels of class ``truth`` are taken for ``prediction``."""

    truth: str
    prediction: str
    share: float
    pixels: int


def mistakes(confusion: Sequence[Sequence[int]], names: Sequence[str], count: int = 8) -> list[Mistake]:
    """Returns the commonest mistakes by share of the true class, greatest first."""
    shares, pixels = normalised(confusion, "truth"), np.asarray(confusion)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:count]
    cells = [divmod(int(index), len(names)) for index in order]
    return [
        Mistake(names[row], names[column], float(shares[row, column]), int(pixels[row, column]))
        for row, column in cells
        if shares[row, column] > 0
    ]


def most_mistaken(confusion: NDArray[np.int64], count: int) -> list[int]:
    """Returns the classes with the largest share of mistakes, of the true or of the predicted pixels, worst first."""
    wrong = np.maximum(normalised(confusion, "truth"), normalised(confusion, "prediction"))
    np.fill_diagonal(wrong, 0)
    worst = np.maximum(wrong.max(axis=0), wrong.max(axis=1))
    return [int(place) for place in np.argsort(-worst, kind="stable")[:count]]


def confusion_csv(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Returns the pixel counts as CSV, rows are true classes."""
    rows = [[name, *row] for name, row in zip(names, confusion, strict=True)]
    return csv_text(["true \\ predicted", *names], rows)
