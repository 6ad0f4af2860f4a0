"""Finds rare classes from the predictions alone (corrects fault F11). NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from crots.errors import InputError
from crots.limits import strips
from crots.methods.alarms import everywhere
from crots.records import Count
from crots.taxonomy import ClassSet

Rule = Literal["confidence", "frequency"]


class StatisticsShape(TypedDict):
    """`ClassStatistics` as plain data: three lists of the same length; sums over many images need large numbers."""

    pixels: list[int]
    confidence: list[float]
    images: list[Count]


class ClassStatistics:
    """How often and with what confidence each class was predicted.

    Attributes:
        pixels: (K,) int64, predicted pixels.
        confidence: (K,) float64, sum of their confidences.
        images: (K,) int64, images that show the class.
    """

    def __init__(self, classes: int) -> None:
        self.pixels: npt.NDArray[np.int64] = np.zeros(classes, np.int64)
        self.confidence: npt.NDArray[np.float64] = np.zeros(classes, np.float64)
        self.images: npt.NDArray[np.int64] = np.zeros(classes, np.int64)

    def add(self, labels: npt.NDArray[np.integer[Any]], confidence: npt.NDArray[np.floating[Any]]) -> None:
        """Adds one image.

        Args:
            labels: (H, W) predicted train ids; others, such as ignore, are left out.
            confidence: (H, W), 0..1.
        """
        classes = len(self.pixels)
        seen = np.zeros(classes, bool)
        for rows in strips(labels):
            # Values that are no class share the last bin.
            part = labels[rows]
            bins = np.where((part >= 0) & (part < classes), part, classes).ravel()
            pixels = np.bincount(bins, minlength=classes + 1)[:classes]
            self.pixels += pixels
            self.confidence += np.bincount(bins, confidence[rows].ravel(), minlength=classes + 1)[:classes]
            seen |= pixels > 0
        self.images += seen

    def merge(self, other: ClassStatistics) -> None:
        """Adds the statistics of other images."""
        self.pixels += other.pixels
        self.confidence += other.confidence
        self.images += other.images

    @property
    def everywhere(self) -> int | None:
        """The class that nearly every pixel was predicted as, where there are others; None if there is none."""
        return everywhere(self.pixels.tolist())

    def to_dict(self) -> dict[str, list[Any]]:
        """Returns plain JSON data."""
        return {name: getattr(self, name).tolist() for name in ("pixels", "confidence", "images")}

    @staticmethod
    def from_dict(values: StatisticsShape) -> ClassStatistics:
        """Reads the output of `to_dict`.

        Raises:
            InputError: its lists differ in length.
        """
        if not len(values["pixels"]) == len(values["confidence"]) == len(values["images"]):
            raise InputError("the class statistics are damaged; run the pseudo-label stage again")
        statistics = ClassStatistics(len(values["pixels"]))
        statistics.pixels[:] = values["pixels"]
        statistics.confidence[:] = values["confidence"]
        statistics.images[:] = values["images"]
        return statistics


@dataclass(frozen=True)
class RareClass:
    """A class to mine, and the reason.

    Attributes:
        id: train id.
        rules: which of the two rules chose it.
        mean_confidence: of the pixels predicted as this class, 0..1.
        share: of all predicted pixels, 0..1.
    """

    id: int
    rules: tuple[Rule, ...]
    mean_confidence: float
    share: float

    @property
    def reason(self) -> str:
        """The rules in words."""
        share = f"{self.share:.0%}" if self.share >= 0.1 else f"{100 * self.share:.2g}%"
        reasons = {
            "confidence": f"among the least confident (mean {self.mean_confidence:.2f})",
            "frequency": f"among the least frequent ({share} of pixels)",
        }
        return " and ".join(reasons[rule] for rule in self.rules)


# A class of more than this share of the pixels is not rare, however few others there are.
_MOST = 0.5


def rule_count(classes: int) -> int:
    """Returns how many classes each rule gives by default: 5 per 19 classes, at least 1."""
    return max(1, round(5 * classes / 19))


def rare_classes(statistics: ClassStatistics, count: int = 0) -> list[RareClass]:
    """Finds the classes of least mean confidence together with those of fewest predicted pixels.

    Classes that were never predicted are left out, since no patch can show them. Where few others are, one that most
    pixels show is not among the least frequent. If all mean confidences are equal (predictions without confidence),
    that rule is skipped.

    Args:
        statistics: of the predictions of all target images.
        count: number of classes that each rule picks; 0 takes `rule_count`.

    Returns:
        The rare classes by id; at most ``2 * count``.
    """
    count = count or rule_count(len(statistics.pixels))
    seen = np.flatnonzero(statistics.pixels)
    if not len(seen):
        return []
    means = statistics.confidence[seen] / statistics.pixels[seen]
    shares = statistics.pixels[seen] / statistics.pixels.sum()
    # Stable sorting: ties are broken by the lower id, on every machine.
    frequency = {place for place in np.argsort(shares, kind="stable")[:count].tolist() if shares[place] <= _MOST}
    differ = np.ptp(means) > 1e-6
    confidence = set(np.argsort(means, kind="stable")[:count].tolist()) if differ else set()
    found: list[RareClass] = []
    for place in sorted(frequency | confidence):
        rules: list[Rule] = ["confidence"] if place in confidence else []
        rules += ["frequency"] if place in frequency else []
        found.append(RareClass(int(seen[place]), tuple(rules), float(means[place]), float(shares[place])))
    return found


def asked_rare(asked: str, classes: ClassSet, published: Sequence[int]) -> dict[int, str] | None:
    """Returns the rare classes that ``mine.rare`` asks for, id -> reason; None for ``auto``, which finds them.

    Args:
        asked: the option.
        classes: of the target.
        published: the published set of rare classes in those of the target, empty where there is none.

    Raises:
        InputError: a class that the set does not have, or no published set.
    """
    asked = asked.strip()
    if asked == "auto":
        return None
    if asked == "published":
        if not published:
            raise InputError(
                f"`mine.rare`: class set {classes.name} has no published rare classes; use auto or name them",
                field="mine.rare",
            )
        return dict.fromkeys(published, "in the published set")
    words = (word.strip() for word in asked.split(","))
    return {_train_id(word, classes): "chosen in the options" for word in words if word}


def _train_id(word: str, classes: ClassSet) -> int:
    """Reads a train id or a class name."""
    # Not isdigit, which ² is too.
    if not word.isdecimal():
        try:
            return classes.index(word)
        except InputError as error:
            raise InputError(f"`mine.rare`: {error}", field="mine.rare") from None
    if int(word) >= len(classes):
        raise InputError(
            f"`mine.rare`: found train id {word}, expected 0 to {len(classes) - 1} of class set "
            f"{classes.name}; name others, or set it to auto if a preset of other classes named them",
            field="mine.rare",
        )
    return int(word)
