"""Finds the pseudo-labels to correct first: the doubt of each pixel, and regions ranked by it. No torch.

``doubt = (1 - confidence) + 1/4 * (confidence of the student, where it predicts another class)``, at most 1. The
quarter, the window and the least area were tuned on the first half of CamVid's validation images and checked on the
second. Mistakes that the source is confident of are missed by the first term, and those that the student has learnt by
the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]
Map = npt.NDArray[np.float32]

DISAGREEMENT = 0.25
# Share of all pixels, most doubtful first, that form regions.
SHARE = 0.2
# Window and least area as parts of the image's width and area: the window joins specks, the least area drops them.
WINDOW = 1 / 44
LEAST_AREA = 3e-4
# A student that disagrees on less of a region than this does not explain it.
_WORTH_SAYING = 0.1


class Opinion(NamedTuple):
    """A student's predictions of an image: train ids (H, W) and confidence, float32 0..1."""

    labels: Labels
    confidence: Map


@dataclass(frozen=True)
class Region:
    """A connected area of one pseudo-label in which the label is doubtful.

    Attributes:
        box: left, top, width and height in pixels of the label map.
        area: pixels.
        label: train id of the pseudo-label.
        doubt: mean, 0..1.
        score: share of the image's pixels times doubt; regions are ranked by it.
        other: the class that the student predicts most often besides the label; None if it agrees or is missing.
        disagreement: share of the region in which the student predicts that class.
    """

    box: tuple[int, int, int, int]
    area: int
    label: int
    doubt: float
    score: float
    other: int | None = None
    disagreement: float = 0.0

    def reason(self, names: Sequence[str]) -> str:
        """Explains why the region is suspicious.

        Args:
            names: class names in train-id order.
        """
        text = f"{names[self.label]}: doubt {self.doubt:.2f} on {self.area} pixels"
        if self.other is None or self.disagreement < _WORTH_SAYING:
            return f"{text}, the source has low confidence"
        return f"{text}, the student predicts {names[self.other]} on {self.disagreement:.0%} of them"


def doubt(labels: Labels, confidence: Map, *, ignore: int, student: Opinion | None = None) -> Map:
    """Returns the doubt of each pseudo-label, (H, W) float32 0..1.

    Args:
        labels: (H, W) train ids or ``ignore``; ignored pixels are not trained on and have no doubt.
        confidence: (H, W) of the source, 0..1.
        ignore: id of pixels without a label.
        student: predictions of a model trained on these labels, at the same size; None if there is none.
    """
    unsure = 1.0 - confidence.astype(np.float32)
    if student is not None:
        unsure = unsure + DISAGREEMENT * np.where(student.labels != labels, student.confidence, 0)
    found: Map = np.where(labels == ignore, 0, np.clip(unsure, 0, 1)).astype(np.float32)
    return found


def smoothed(doubt_map: Map) -> Map:
    """Returns the mean doubt around each pixel, so that regions are more than specks."""
    side = max(1, round(doubt_map.shape[1] * WINDOW))
    return np.asarray(cv2.blur(np.ascontiguousarray(doubt_map, np.float32), (side, side)), np.float32)


def threshold_of(histogram: npt.NDArray[np.integer[Any]], share: float = SHARE) -> float:
    """Returns the smoothed doubt above which the most doubtful ``share`` of all pixels lie.

    A share rather than a fixed doubt, since the confidences of sources differ.

    Args:
        histogram: pixels by doubt, in equal bins over 0..1.
        share: of all pixels, 0..1.
    """
    above = histogram[::-1].cumsum()[::-1]
    within = np.flatnonzero(above <= share * histogram.sum())
    place = int(within[0]) if len(within) else len(histogram)
    # If the first bin holds everything: zero doubt is never suspicious.
    return max(place, 1) / len(histogram)


def suspicious_regions(
    labels: Labels, doubt_map: Map, threshold: float, *, ignore: int, student: Labels | None = None
) -> list[Region]:
    """Finds the connected areas of one class whose surroundings are more doubtful than ``threshold``, worst first.

    Args:
        labels: (H, W) pseudo-labels.
        doubt_map: (H, W) of `doubt`.
        threshold: of the smoothed doubt, see `threshold_of`.
        ignore: id of pixels without a label.
        student: (H, W) labels of the student, for the reasons; None if there is none.
    """
    mask = (smoothed(doubt_map) >= threshold) & (labels != ignore)
    regions: list[Region] = []
    for label in np.unique(labels[mask]):
        regions += _of_class(labels, doubt_map, mask & (labels == label), int(label), student)
    return sorted(regions, key=lambda region: -region.score)


def _of_class(labels: Labels, doubt_map: Map, mask: npt.NDArray[np.bool_], label: int, student: Any) -> list[Region]:
    count, parts, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sums = np.bincount(parts.ravel(), doubt_map.ravel(), minlength=count)
    regions: list[Region] = []
    for number in range(1, count):
        left, top, width, height, area = (int(value) for value in figures[number])
        if area < LEAST_AREA * labels.size:
            continue
        mean = float(sums[number] / area)
        other, disagreement = None, 0.0
        if student is not None:
            rows, columns = slice(top, top + height), slice(left, left + width)
            other, disagreement = _student_class(student[rows, columns][parts[rows, columns] == number], label)
        score = area / labels.size * mean
        regions.append(Region((left, top, width, height), area, label, mean, score, other, disagreement))
    return regions


def _student_class(student: Labels, label: int) -> tuple[int | None, float]:
    """The class that the student predicts most often in a region besides ``label``, and on which share of it."""
    others = student[student != label]
    if not others.size:
        return None, 0.0
    counts = np.bincount(others)
    return int(counts.argmax()), float(counts.max() / student.size)
