"""Confusion matrix and IoU, equal to the official Cityscapes evaluation (``cityscapesscripts``). NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crots.errors import InputError
from crots.limits import strips

Labels = npt.NDArray[np.integer[Any]]


class Confusion:
    """Counts pixels by true and predicted class.

    Pixels whose truth is ``ignore`` do not count. A prediction of ``ignore`` on a labelled pixel is a false negative of
    the true class and a false positive of none, as in the official evaluation.

    Attributes:
        classes: number of classes, K.
        ignore: label without a class in truth and predictions.
        matrix: (K, K) int64, rows are true classes.
        ignored_predictions: (K,) int64, labelled pixels that were predicted as ``ignore``, by true class.
        images: number of images added.
    """

    def __init__(self, classes: int, ignore: int = 255) -> None:
        self.classes = classes
        self.ignore = ignore
        self.matrix: npt.NDArray[np.int64] = np.zeros((classes, classes), np.int64)
        self.ignored_predictions: npt.NDArray[np.int64] = np.zeros(classes, np.int64)
        self.images = 0
        # Bins: the classes, then ignore, then everything that is neither.
        self._bins = np.full(65536, classes + 1, np.int64)
        self._bins[:classes] = np.arange(classes)
        self._bins[ignore] = classes

    def add(self, truth: Labels, prediction: Labels) -> None:
        """Adds one image.

        Args:
            truth: (H, W) train ids or ``ignore``.
            prediction: the same shape.

        Raises:
            InputError: shapes differ, or ids are neither a class nor ``ignore``; nothing is counted then.
        """
        if truth.shape != prediction.shape:
            found = " and ".join("x".join(str(side) for side in labels.shape[::-1]) for labels in (truth, prediction))
            raise InputError(
                f"labels and prediction are {found} pixels, expected equal sizes; resize the prediction to the labels"
            )
        side = self.classes + 2
        counts = np.zeros((side, side), np.int64)
        for rows in strips(truth):
            pairs = self._binned(truth[rows], "labels") * side + self._binned(prediction[rows], "prediction")
            counts += np.bincount(pairs.ravel(), minlength=side * side).reshape(side, side)
        if counts[-1].any():
            raise self._unknown_ids(truth, "labels")
        if counts[:, -1].any():
            raise self._unknown_ids(prediction, "prediction")
        self.matrix += counts[: self.classes, : self.classes]
        self.ignored_predictions += counts[: self.classes, self.classes]
        self.images += 1

    def merge(self, other: Confusion) -> None:
        """Adds the counts of another confusion of the same classes."""
        self.matrix += other.matrix
        self.ignored_predictions += other.ignored_predictions
        self.images += other.images

    @property
    def unpredicted(self) -> float:
        """Share of the labelled pixels that are predicted as ``ignore``, 0..1."""
        ignored, known = int(self.ignored_predictions.sum()), int(self.matrix.sum())
        return ignored / (ignored + known) if ignored else 0.0

    def iou(self) -> list[float | None]:
        """Returns the IoU of each class, 0..1; None for a class in neither truth nor prediction."""
        hits = self.matrix.diagonal()
        misses = self.matrix.sum(axis=1) + self.ignored_predictions - hits
        alarms = self.matrix.sum(axis=0) - hits
        unions = hits + misses + alarms
        return [int(hit) / int(union) if union else None for hit, union in zip(hits, unions, strict=True)]

    def report(self, names: Sequence[str], subsets: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
        """Returns the scores as JSON-able data.

        Args:
            names: class names in train-id order.
            subsets: names of further means (``miou16``) with their classes.

        Returns:
            ``miou``, one entry for each subset, ``per_class_iou`` by name, ``confusion`` (rows are true classes),
            ``ignored_predictions`` by true class and ``images``. Scores are 0..1, None if no class occurs.
        """
        by_name = dict(zip(names, self.iou(), strict=True))
        means = {key: mean_iou([by_name[name] for name in chosen]) for key, chosen in (subsets or {}).items()}
        return {
            "miou": mean_iou(list(by_name.values())),
            **means,
            "per_class_iou": by_name,
            "confusion": self.matrix.tolist(),
            "ignored_predictions": self.ignored_predictions.tolist(),
            "images": self.images,
        }

    def _binned(self, labels: Labels, what: str) -> npt.NDArray[np.int64]:
        if labels.dtype not in (np.uint8, np.uint16):
            if labels.size and (labels.min() < 0 or labels.max() > 65535):
                raise self._unknown_ids(labels, what)
            labels = labels.astype(np.uint16)
        binned: npt.NDArray[np.int64] = self._bins[labels]
        return binned

    def _unknown_ids(self, labels: Labels, what: str) -> InputError:
        ids = np.unique(labels)
        unknown = ids[(ids < 0) | ((ids >= self.classes) & (ids != self.ignore))]
        shown = ", ".join(str(value) for value in unknown[:8]) + (" ..." if len(unknown) > 8 else "")
        return InputError(
            f"the {what} hold the ids {shown}, expected 0 to {self.classes - 1} or {self.ignore} (ignore); "
            "choose the class set or class map that belongs to these files"
        )


def mean_iou(scores: Sequence[float | None]) -> float | None:
    """Returns the mean of the scores that are not None; None if all are."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
