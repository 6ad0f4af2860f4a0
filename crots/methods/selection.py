"""Selects pseudo-labels: the most confident share of each class, and source and student fused by rank. NumPy only.

Confidences are comparable among pixels of the same class, but not across classes or models: one threshold for all
classes keeps the errors of common classes and loses the rare ones. So everything here uses the *rank* of a pixel's
confidence among the pixels that the same model assigns to the same class, 0 (least confident) to 1 (most confident).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]
Confidence = npt.NDArray[np.floating[Any]]
Histogram = npt.NDArray[np.int64]
# Number of levels in which confidence is stored.
LEVELS = 256
# Confidence from which a label that is among the most confident of all classes is kept, regardless of its rank within
# its own class.
CERTAIN = 0.9
# Confidence that a teacher's label needs in a round, even if it is among the most confident of its class.
LEAST = 0.7
# Weight of labels that are left out, where they are learnt at all.
UNSURE_WEIGHT = 0.3
# Mean confidence, averaged over the classes, from which most of a source's left-out labels are correct too. It lies
# between 0.90, from one eye clinic to another, and 0.77 between countries or 0.71 and 0.76 on rendered images.
SURE_SOURCE = 0.82


def confidence_histogram(labels: Labels, confidence: Confidence, classes: int) -> Histogram:
    """Counts the pixels of each class by confidence.

    Args:
        labels: any shape; ids beyond the classes (ignore) are left out.
        confidence: of the same shape, 0..1.
        classes: K.

    Returns:
        (K, LEVELS) int64; sum them over several images.
    """
    known = labels < classes
    bins = labels[known].astype(np.int64) * LEVELS + levels(confidence[known])
    return np.bincount(bins, minlength=classes * LEVELS).reshape(classes, LEVELS)


def levels(confidence: Confidence) -> npt.NDArray[np.int64]:
    """Returns the stored level of each confidence, 0 to ``LEVELS - 1``."""
    found: npt.NDArray[np.int64] = np.rint(np.clip(confidence, 0, 1) * (LEVELS - 1)).astype(np.int64)
    return found


def keep_thresholds(pixels: Histogram, share: float) -> npt.NDArray[np.float32]:
    """Returns, for each class, the confidence threshold that keeps the most confident ``share`` of its pixels.

    After the class-balanced thresholds of Zou et al. (ECCV 2018). Pixels of one level are kept or left out together, so
    slightly more than the share may be kept, never less.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.
        share: 0..1; 1 keeps everything.

    Returns:
        (K,) float32; 0 for a class that has no pixels.
    """
    kept = pixels[:, ::-1].cumsum(axis=1)
    wanted = np.ceil(share * pixels.sum(axis=1, keepdims=True))
    place = LEVELS - 1 - (kept >= wanted).argmax(axis=1)
    # Half a level lower, since a confidence read from an image may differ slightly from its level.
    thresholds = (place - 0.5) / (LEVELS - 1)
    return np.where(pixels.sum(axis=1) > 0, np.maximum(thresholds, 0.0), 0.0).astype(np.float32)


def learnt_thresholds(pixels: Histogram, share: float) -> npt.NDArray[np.float32]:
    """Returns, for each class, the confidence from which a student that starts afresh learns a label.

    It keeps the most confident ``share`` of each class and, beyond that, labels that are certain: of confidence
    `CERTAIN` and among the most confident share of all pixels. Without these, a class such as road, which is confident
    almost everywhere, loses a third of its correct labels, and the student gives this area to its neighbours. The
    second condition keeps a source that is confident everywhere from passing its errors through.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.
        share: 0..1; 1 keeps everything.

    Returns:
        (K,) float32, at most those of `keep_thresholds`.
    """
    overall = keep_thresholds(pixels.sum(axis=0, keepdims=True), share)[0]
    return np.minimum(keep_thresholds(pixels, share), max(overall, np.float32(CERTAIN)))


def class_thresholds(pixels: Histogram, share: float, confidence: float) -> npt.NDArray[np.float32]:
    """Returns, for each class, the confidence from which a teacher's label is learnt in a round.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.
        share: the most confident share of each class is learnt from a confidence of `LEAST` on; 0 for none.
        confidence: labels of this confidence are learnt in any class.

    Returns:
        (K,) float32; ``confidence`` for a class that has no pixels.
    """
    # Of a class that the teacher does not predict yet, nothing is known.
    known = (pixels.sum(axis=1) > 0) & (share > 0)
    own = np.maximum(keep_thresholds(pixels, share), LEAST)
    return np.where(known, np.minimum(own, confidence), confidence).astype(np.float32)


def left_out_weight(pixels: Histogram) -> float:
    """Returns the weight with which a trained student learns the labels that a selection by class leaves out.

    The most confident share of each class leaves out more of common classes than of rare ones where the two meet, so
    rare classes grow. Where the source is unsure, this corrects it; where it is sure of all its classes, it does harm:
    vessels of the eye swell, since nothing tells the student where they end.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.
    """
    totals = pixels.sum(axis=1)
    if not (present := totals > 0).any():
        return 0.0
    means = pixels[present] @ np.linspace(0, 1, LEVELS) / totals[present]
    return UNSURE_WEIGHT if means.mean() >= SURE_SOURCE else 0.0


def rank_table(pixels: Histogram) -> npt.NDArray[np.float32]:
    """Returns the rank of every confidence level within its class.

    Args:
        pixels: (K, LEVELS), as `confidence_histogram` counts them.

    Returns:
        (K, LEVELS) float32, 0..1: the share of the class's pixels with lower confidence plus half of those with equal.
    """
    below = pixels.cumsum(axis=1) - pixels / 2
    table: npt.NDArray[np.float32] = (below / np.maximum(pixels.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    return table


def ranks(labels: Labels, confidence: Confidence, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns the rank of each pixel, 0 where the label is no class (ignore).

    Args:
        labels: any shape.
        confidence: of the same shape, 0..1.
        table: from `rank_table`.
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
    """Fuses two models' labels of the same pixels.

    Source and student err in different places. Where they agree, the label is kept unless both have low confidence;
    where they differ, the label that ranks high in its class, and clearly higher than the other, is taken.

    Args:
        source: (H, W) labels of the source; ``ignore`` where it has none.
        source_rank: (H, W), 0..1.
        student: (H, W) labels of the student.
        student_rank: (H, W), 0..1.
        ignore: label of pixels where neither is taken.
        agreed: least rank of the higher of two equal labels.
        alone: least rank of a label that the other model contradicts.
        ahead: least difference to the other's rank.

    Returns:
        (H, W) of the source's type.
    """
    same = source == student
    keep = same & (np.maximum(source_rank, student_rank) >= agreed)
    by_student = ~same & (student_rank >= alone) & (student_rank >= source_rank + ahead)
    by_source = ~same & (source_rank >= alone) & (source_rank >= student_rank + ahead)
    fused = np.where(keep | by_source, source, np.where(by_student, student, ignore))
    return fused.astype(source.dtype)
