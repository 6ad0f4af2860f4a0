"""Which pseudo-labels to learn from: the surest share of each class, and source and student joined by rank. NumPy only.

A confidence says how sure a model is among the pixels of the same class, not across classes or models: one threshold
for all classes keeps the errors of common classes and loses the rare ones. So everything here goes by the *rank* of a
pixel's confidence among the pixels that the same model gives the same class, 0 (least sure) to 1 (surest).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]
Confidence = npt.NDArray[np.floating[Any]]
Histogram = npt.NDArray[np.int64]
# Confidence is stored in so many steps.
LEVELS = 256


def confidence_histogram(labels: Labels, confidence: Confidence, classes: int) -> Histogram:
    """Counts the pixels of each class by confidence.

    Args:
        labels: any shape; ids beyond the classes (ignore) are left out.
        confidence: of the same shape, 0..1.
        classes: K.

    Returns:
        (K, LEVELS) int64; those of several images add up.
    """
    known = labels < classes
    bins = labels[known].astype(np.int64) * LEVELS + levels(confidence[known])
    return np.bincount(bins, minlength=classes * LEVELS).reshape(classes, LEVELS)


def levels(confidence: Confidence) -> npt.NDArray[np.int64]:
    """Returns the stored step of each confidence, 0 to ``LEVELS - 1``."""
    found: npt.NDArray[np.int64] = np.rint(np.clip(confidence, 0, 1) * (LEVELS - 1)).astype(np.int64)
    return found


def keep_thresholds(pixels: Histogram, share: float) -> npt.NDArray[np.float32]:
    """Returns, for each class, the confidence from which on the surest ``share`` of its pixels lie.

    After the class-balanced thresholds of Zou et al. (ECCV 2018). Pixels of one step are kept or left out together, so
    a little more than the share may be kept, never less.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.
        share: 0..1; 1 keeps everything.

    Returns:
        (K,) float32; 0 for a class that has no pixels.
    """
    kept = pixels[:, ::-1].cumsum(axis=1)
    wanted = np.ceil(share * pixels.sum(axis=1, keepdims=True))
    place = LEVELS - 1 - (kept >= wanted).argmax(axis=1)
    # Half a step lower, since a confidence read from an image need not be the very number of its step.
    thresholds = (place - 0.5) / (LEVELS - 1)
    return np.where(pixels.sum(axis=1) > 0, np.maximum(thresholds, 0.0), 0.0).astype(np.float32)


def rank_table(pixels: Histogram) -> npt.NDArray[np.float32]:
    """Returns the rank of every step of confidence within its class.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.

    Returns:
        (K, LEVELS) float32, 0..1: the share of the class's pixels that are less sure, and half of the equally sure.
    """
    below = pixels.cumsum(axis=1) - pixels / 2
    table: npt.NDArray[np.float32] = (below / np.maximum(pixels.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    return table


def ranks(labels: Labels, confidence: Confidence, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns the rank of each pixel, 0 where the label is no class (ignore).

    Args:
        labels: any shape.
        confidence: of the same shape, 0..1.
        table: as `rank_table` gives it.
    """
    known = labels < len(table)
    place = np.where(known, labels, 0).astype(np.int64)
    return np.where(known, table[place, levels(confidence)], np.float32(0))


def fuse_by_rank(
    source: Labels,
    source_rank: npt.NDArray[np.float32],
    student: Labels,
    student_rank: npt.NDArray[np.float32],
    ignore: int,
    *,
    agreed: float = 0.2,
    alone: float = 0.66,
    ahead: float = 0.2,
) -> Labels:
    """Joins two models' labels of the same pixels.

    Source and student err in different places. Where they agree, the label is kept unless both are unsure; where they
    differ, the one that is among the surest of its class, and clearly surer than the other, is believed.

    Args:
        source: (H, W) labels of the source; ``ignore`` where it has none.
        source_rank: (H, W), 0..1.
        student: (H, W) labels of the student.
        student_rank: (H, W), 0..1.
        ignore: what pixels become on which nobody is believed.
        agreed: rank that one of two equal labels needs.
        alone: rank that a label needs that the other model contradicts.
        ahead: by how much it must exceed the other's rank.

    Returns:
        (H, W) of the source's type.
    """
    same = source == student
    keep = same & (np.maximum(source_rank, student_rank) >= agreed)
    by_student = ~same & (student_rank >= alone) & (student_rank >= source_rank + ahead)
    by_source = ~same & (source_rank >= alone) & (source_rank >= student_rank + ahead)
    fused = np.where(keep | by_source, source, np.where(by_student, student, ignore))
    return fused.astype(source.dtype)
