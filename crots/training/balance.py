"""Rare classes in training: class weights of the loss, and crops that are centred on rare classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crots.data.feed import prefetch, readers
from crots.data.spread import evenly_spread
from crots.execution.draws import random_numpy

Array = npt.NDArray[Any]
ReadLabels = Callable[[Sequence[int]], Array]
NO_CLASS = -1
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


class RareCrops:
    """Replaces some images with images of rare classes, and centres their crops on a pixel of the class.

    The class is drawn with a weight of one over the square root of its share of all pixels, then an image that shows it
    (after the rare class sampling of DAFormer, Hoyer et al., CVPR 2022, whose weights fall off exponentially).

    Args:
        counts: (M, K) pixels of each class in each image.
        share: of the crops that are drawn this way, 0..1.
        seed: of the run.
        stage: name of the stage, part of the seed.
    """

    # A class with a smaller share of an image is as likely a labelling mistake as an object.
    _LEAST = 2e-4

    def __init__(self, counts: Array, share: float, *, seed: int, stage: str) -> None:
        self._share, self._seed, self._stage = share, seed, stage
        least = self._LEAST * counts.sum(axis=1)
        self._images = [np.flatnonzero((column > 0) & (column >= least)) for column in counts.T]
        pixels = counts.sum(axis=0)
        shown = np.array([len(images) > 0 for images in self._images])
        weights = np.zeros(len(pixels))
        weights[shown] = (pixels[shown] / pixels.sum()) ** -0.5
        self._chances = weights / weights.sum() if shown.any() else weights

    def draw(self, indices: Sequence[int], step: int) -> tuple[list[int], list[int]]:
        """Returns the images of a step's crops, and the class that each has to show, or `NO_CLASS`."""
        rng = random_numpy(self._seed, self._stage, step, "rare crops")
        chosen, wanted = list(indices), [NO_CLASS] * len(indices)
        for place, coin in enumerate(rng.random(len(chosen))):
            if coin < self._share and self._chances.any():
                wanted[place] = int(rng.choice(len(self._chances), p=self._chances))
                chosen[place] = int(rng.choice(self._images[wanted[place]]))
        return chosen, wanted
