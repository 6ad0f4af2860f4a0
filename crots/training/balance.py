"""Rare classes in training: class weights of the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crots.arrays import Array
from crots.data.feed import prefetch, readers
from crots.data.spread import evenly_spread

ReadLabels = Callable[[Sequence[int]], Array]
# Enough label maps to estimate class frequencies.
_COUNTED = 200
GREATEST_WEIGHT = 10.0
# Rescaling passes after weights were capped, so that the mean is 1 again.
_ROUNDS = 50


def count_pixels(read: ReadLabels, indices: Sequence[int], classes: int) -> Array:
    """Counts the pixels of each class in each of the label maps ``indices``, (len(indices), K) int64."""
    counts = np.zeros((len(indices), classes), np.int64)
    for row, labels in zip(counts, prefetch(indices, lambda index: read([index]), workers=readers()), strict=True):
        row += np.bincount(labels[labels < classes].ravel(), minlength=classes)
    return counts


def sampled(images: int) -> list[int]:
    """Indices of evenly spread images from which class frequencies are estimated."""
    return evenly_spread(images, _COUNTED)


def class_weights(counts: Array, power: float) -> Array:
    """Returns a weight for each class, greater for rarer ones, whose mean over the counted pixels is 1.

    No weight is above `GREATEST_WEIGHT`: labels of rare classes are wrong more often than those of others.

    Args:
        counts: (K,) pixels of each class; one that does not occur gets the greatest weight of the others.
        power: 0 gives 1 everywhere, 1 makes every class count the same, as far as the greatest weight lets it.
    """
    weights = np.ones(len(counts))
    present = counts > 0
    if not present.any():
        return weights
    weights[present] = (counts[present] / counts.sum()) ** -power
    weights[~present] = weights[present].max(initial=1.0)
    capped: Array = weights
    for _ in range(_ROUNDS):
        weights = weights / ((capped * counts).sum() / counts.sum())
        capped = np.minimum(weights, GREATEST_WEIGHT)
    return capped
