"""The validation images in another order: where a model is wrong first, or where it gained or lost most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crots.errors import InputError
from crots.project import Project
from crots.stages.image_scores import ImageScores, read_image_scores
from crots.text import points
from crots_studio.models.predictions import SOURCE

Sort = Literal["name", "worst", "gain", "loss", "cell"]
SORTS: dict[Sort, str] = {
    "name": "Name",
    "worst": "Most errors first",
    "gain": "Largest gain first",
    "loss": "Largest loss first",
}


@dataclass(frozen=True)
class Question:
    """Asks for the images of a class, or of a class that is predicted as another.

    Attributes:
        subject: the model.
        truth: the true class.
        prediction: the predicted class; empty asks for all errors of ``truth``.
    """

    subject: str
    truth: str
    prediction: str = ""

    @property
    def text(self) -> str:
        """The name of the order."""
        if not self.prediction:
            return f"errors of {self.truth}"
        how = "correct" if self.prediction == self.truth else f"predicted as {self.prediction}"
        return f"{self.truth} {how}"


@dataclass(frozen=True)
class Ranking:
    """Images of a list in this order, with the number that each is sorted by."""

    places: tuple[int, ...]
    figures: Mapping[int, str]


def read_all(project: Project, subjects: Sequence[str]) -> dict[str, ImageScores]:
    """Reads the confusions of each image; a damaged file counts as none."""
    found: dict[str, ImageScores] = {}
    for subject in subjects:
        try:
            scores = read_image_scores(project.shown_folder("evaluate"), subject)
        except InputError:
            continue
        if scores is not None:
            found[subject] = scores
    return found


def rank(
    keys: Sequence[str], scores: Mapping[str, ImageScores], subject: str, sort: Sort, label: str, cell: Question | None
) -> Ranking | None:
    """Returns the images of a list in an order; None where nothing is known of them or their names are asked for.

    Args:
        keys: of the images listed.
        scores: by model.
        subject: the model to sort by.
        sort: the order.
        label: the class it is about, empty for all.
        cell: what ``cell`` sorts by.
    """
    own = scores.get(subject)
    if own is None or sort == "name":
        return None
    if sort == "cell":
        if cell is None or not {cell.truth, cell.prediction} <= set(own.classes):
            return None
        pixels = own.confused(own.classes.index(cell.truth), own.classes.index(cell.prediction))
        return _ranked(keys, own.keys, np.where(pixels > 0, pixels, np.nan).astype(float), _count)
    number = own.classes.index(label) if label in own.classes else None
    if sort == "worst":
        wrong = own.wrong(number)
        return _ranked(keys, own.keys, np.where(wrong > 0, wrong, np.nan).astype(float), _count)
    before = scores.get(reference(list(scores), subject))
    if before is None or before.classes != own.classes:
        return None
    past = dict(zip(before.keys, before.quality(number), strict=True))
    change = own.quality(number) - np.array([past.get(key, np.nan) for key in own.keys])
    return _ranked(keys, own.keys, change if sort == "gain" else -change, _points(1 if sort == "gain" else -1))


def reference(subjects: Sequence[str], subject: str) -> str:
    """Returns the model that a gain is measured against: the source, or the first where that has no scores."""
    first = SOURCE if SOURCE in subjects else next(iter(subjects), "")
    return first if first != subject else ""


def _ranked(keys: Sequence[str], scored: Sequence[str], values: npt.NDArray[Any], caption: Any) -> Ranking:
    """Greatest first; images without a value are left out."""
    value = dict(zip(scored, values, strict=True))
    found = [(place, float(value.get(key, np.nan))) for place, key in enumerate(keys)]
    found = sorted([row for row in found if not np.isnan(row[1])], key=lambda row: -row[1])
    return Ranking(tuple(place for place, _ in found), {place: caption(number) for place, number in found})


def _count(pixels: float) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if pixels >= size:
            return f"{pixels / size:.1f}{unit}"
    return f"{pixels:.0f}"


def _points(sign: int) -> Any:
    return lambda change: points(sign * change).replace("-", "\u2212")
