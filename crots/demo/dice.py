"""Random draws for the renderer, made from uniform doubles alone so that they are equal on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Item = TypeVar("Item")


class Dice:
    """A seeded stream of draws; equal keys give equal streams."""

    def __init__(self, *key: int) -> None:
        self._uniform = np.random.default_rng(list(key)).random

    def between(self, low: float, high: float) -> float:
        """Returns a number from ``low`` to ``high``."""
        return low + (high - low) * float(self._uniform())

    def chance(self, probability: float) -> bool:
        """Returns True with the given probability."""
        return float(self._uniform()) < probability

    def whole(self, low: int, high: int) -> int:
        """Returns a whole number from ``low`` to ``high``, both included."""
        return low + int(float(self._uniform()) * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """Returns one of ``items``, each equally likely."""
        return items[int(float(self._uniform()) * len(items))]

    def weighted(self, items: Sequence[tuple[Item, float]]) -> Item:
        """Returns one of ``items``, given with their relative weights."""
        left = float(self._uniform()) * sum(weight for _, weight in items)
        for item, weight in items:
            left -= weight
            if left < 0:
                return item
        return items[-1][0]

    def floats(self, *shape: int) -> Floats:
        """Returns uniform numbers from 0 to 1."""
        return np.asarray(self._uniform(shape))

    def spread(self, *shape: int) -> Floats:
        """Returns bell-shaped numbers of mean 0 and deviation 1 (sums of three uniform ones, so within 3)."""
        a, b, c = self.floats(3, *shape)
        total: Floats = np.asarray(2.0 * (a + b + c - 1.5))
        return total
