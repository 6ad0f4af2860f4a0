"""Chooses a representative sample of images where reading all would take too long. No torch."""

from __future__ import annotations

import numpy as np

# Images, and images per forward pass, from which a target's batch-norm statistics are estimated.
_STATISTICS, _TOGETHER = 200, 4


def evenly_spread(count: int, most: int) -> list[int]:
    """Returns places of at most ``most`` of ``count`` images, evenly spread; the same ones in every run."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))]


def statistics_groups(count: int) -> list[list[int]]:
    """Returns the indices of the images for a target's batch-norm statistics, in groups of one forward pass.

    Args:
        count: images of the target; of a single one no statistics can be estimated, and the list is empty.
    """
    if count < 2:
        return []
    places = evenly_spread(count, _STATISTICS)
    groups = [places[first : first + _TOGETHER] for first in range(0, len(places), _TOGETHER)]
    return [group for group in groups if len(group) == _TOGETHER] or [places]
