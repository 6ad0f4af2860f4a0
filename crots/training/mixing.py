"""Mixes the images of a step in groups, independently of the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from crots.execution.batches import mix_groups, whole_groups
from crots.execution.workers import Workers

# Mixes the images of one group, given with its number, and their labels.
MixGroup = Callable[[Sequence[Tensor], int], Sequence[Tensor]]


def mix_in_groups(workers: Workers, clean: Sequence[Tensor], mix: MixGroup, *, whole: bool = False) -> list[Tensor]:
    """Mixes a batch group by group; the result does not depend on the number of workers.

    Args:
        workers: each holds its part of the batch.
        clean: images (N, 3, H, W) of this worker, and their labels and confidences (N, ...).
        mix: mixes one group, with the group's own generator.
        whole: the whole batch is one group.

    Returns:
        This worker's part of the mixes.
    """
    own_count = len(clean[0])
    count = own_count * workers.world
    groups, own = [slice(0, count)] if whole else mix_groups(count), workers.part(count)
    held = own.start  # position of the first image in the global batch
    if not whole_groups(groups, count, workers.world):
        # Groups span several workers, so each worker gathers the global batch.
        clean, held = [workers.joined(tensor) for tensor in clean], 0
    touched = [(number, group) for number, group in enumerate(groups) if _overlap(group, own)]
    mixes = [mix([part[group.start - held : group.stop - held] for part in clean], number) for number, group in touched]
    if len(mixes) == 1 and len(mixes[0][0]) == own_count:
        return list(mixes[0])
    first = own.start - touched[0][1].start
    return [torch.cat(tensors)[first : first + own_count] for tensors in zip(*mixes, strict=True)]


def _overlap(one: slice, other: slice) -> bool:
    return bool(one.start < other.stop and other.start < one.stop)
