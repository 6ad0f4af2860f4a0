"""The order of training images: permutations computed from the step alone, so no state has to be saved."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from crots.execution.draws import random_numpy


class Order:
    """An endless stream of image indices, a fresh permutation every epoch.

    With fewer images than the batch size, a batch spans several epochs, so no step is empty.
    """

    def __init__(self, images: int, batch: int, *, seed: int, stage: str, purpose: str = "order") -> None:
        self._images, self._batch = images, batch
        self._key = (seed, stage, purpose)

    def batch(self, step: int) -> list[int]:
        """Returns the indices of the images of a step (0-based)."""
        first = step * self._batch
        return [self._index(position) for position in range(first, first + self._batch)]

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, self._images)
        return int(_permutation(*self._key, epoch, self._images)[place])


class WeightedOrder:
    """Weighted draws, each step from its own generator; no index twice in a batch if there are enough."""

    def __init__(
        self, weights: np.ndarray[Any, Any], batch: int, *, seed: int, stage: str, purpose: str = "order"
    ) -> None:
        self._chances = weights / weights.sum()
        self._batch = batch
        self._key = (seed, stage, purpose)

    def batch(self, step: int) -> list[int]:
        """Returns the indices of a step (0-based)."""
        seed, stage, purpose = self._key
        count = len(self._chances)
        rng = random_numpy(seed, stage, step, purpose)
        return [int(index) for index in rng.choice(count, self._batch, replace=count < self._batch, p=self._chances)]


@functools.lru_cache(maxsize=8)
def _permutation(seed: int, stage: str, purpose: str, epoch: int, images: int) -> np.ndarray[Any, Any]:
    return random_numpy(seed, stage, epoch, purpose).permutation(images)
