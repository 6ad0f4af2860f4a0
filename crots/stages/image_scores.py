"""What a model confuses in each validation image, in ``evaluation/images/<subject>.json``; read back without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from crots.errors import InputError
from crots.records import Count, Key, read_as

FOLDER = "images"
_REMEDY = "run the stage Evaluation again"


class _Row(TypedDict):
    key: Key
    # True class, predicted class (the number of classes for none) and pixels; pairs that occur.
    pixels: list[tuple[Count, Count, Count]]


class _FileShape(TypedDict):
    classes: list[str]
    images: list[_Row]


@dataclass(frozen=True, eq=False)
class ImageScores:
    """Confusions by image.

    Attributes:
        classes: their names.
        keys: of the images.
        pixels: (N, 4) int64: image, true class, predicted class (the number of classes for none), pixels.
    """

    classes: tuple[str, ...]
    keys: tuple[str, ...]
    pixels: npt.NDArray[np.int64]

    def confused(self, truth: int, prediction: int) -> npt.NDArray[np.int64]:
        """Returns, for each image, the pixels of one class that are predicted as another, or as the same."""
        return self._sum((self.pixels[:, 1] == truth) & (self.pixels[:, 2] == prediction))

    def wrong(self, label: int | None = None) -> npt.NDArray[np.int64]:
        """Returns, for each image, the pixels that are wrong; of one class, its false negatives and false positives."""
        _, truth, predicted, _ = self.pixels.T
        wrong = truth != predicted
        return self._sum(wrong if label is None else wrong & ((truth == label) | (predicted == label)))

    def quality(self, label: int | None = None) -> npt.NDArray[np.float64]:
        """Returns, for each image, the share of correct pixels, or the IoU of one class; nan where there are none."""
        _, truth, predicted, _ = self.pixels.T
        counted = np.ones(len(truth), bool) if label is None else (truth == label) | (predicted == label)
        whole = self._sum(counted)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(whole > 0, self._sum(counted & (truth == predicted)) / whole, np.nan)

    def _sum(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        rows = self.pixels[chosen]
        found = np.bincount(rows[:, 0], weights=rows[:, 3], minlength=len(self.keys))
        return found.astype(np.int64)


def image_row(key: str, matrix: npt.NDArray[np.int64], ignored: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Returns what the file says of one image.

    Args:
        key: of the image.
        matrix: (K, K) pixels by true and predicted class.
        ignored: (K,) pixels that were predicted as no class, by true class.
    """
    whole = np.column_stack([matrix, ignored])
    pairs = [[int(row), int(column), int(whole[row, column])] for row, column in zip(*np.nonzero(whole), strict=True)]
    return {"key": key, "pixels": pairs}


def image_file(classes: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the content of a file."""
    return {"classes": list(classes), "images": sorted(rows, key=lambda row: str(row["key"]))}


def read_image_scores(evaluation: Path, subject: str) -> ImageScores | None:
    """Reads the confusions of a model; None where its images were not scored one by one.

    Args:
        evaluation: folder of the stage.
        subject: ``source``, ``baseline``, ``adapt-1`` ...

    Raises:
        InputError: the file is damaged.
    """
    path = evaluation / FOLDER / f"{subject}.json"
    found = read_as(path, _FileShape, remedy=_REMEDY)
    if found is None:
        return None
    classes, images = tuple(found["classes"]), found["images"]
    rows = [(place, *pair) for place, image in enumerate(images) for pair in image["pixels"]]
    pixels = np.array(rows, np.int64).reshape(-1, 4)
    if len(pixels) and (pixels[:, 1].max() >= len(classes) or pixels[:, 2].max() > len(classes)):
        raise InputError(f"{path}: is damaged (a class beyond its {len(classes)}); {_REMEDY}")
    return ImageScores(classes, tuple(image["key"] for image in images), pixels)
