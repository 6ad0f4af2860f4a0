"""Splits a batch over workers, micro-batches and mixing groups, identically on all workers."""

from __future__ import annotations

from collections.abc import Iterable

from crots.errors import InputError

# Images that are mixed with each other, see `mix_groups`.
MIX_GROUP = 4


def check_batch_size(batch: int, world: int) -> None:
    """Refuses batch sizes that cannot be split evenly.

    Raises:
        InputError: with the nearest batch size that can.
    """
    if batch % world:
        raise InputError(
            f"batch {batch} cannot be split evenly over {world} workers; choose a batch that {world} divides, such as "
            f"{-(-batch // world) * world}, or another number of workers",
            field="batch",
        )


def passes(batch: int, accumulate: int, world: int = 1) -> int:
    """Returns the number of micro-batches that a worker splits its part of a batch into.

    Several workers share the micro-batches of one process: none holds more images at once than that would.

    Args:
        batch: global batch size; ``world`` and ``accumulate`` divide it.
        accumulate: micro-batches of one process.
        world: number of workers.
    """
    part = batch // world
    return next(count for count in range(-(-accumulate // world), part + 1) if part % count == 0)


def mix_groups(batch: int) -> list[slice]:
    """Returns the images of a batch that are mixed with each other: groups of four, the first ones up to seven.

    The groups depend only on the batch size, so any number of workers draws the same mixes.
    """
    count = max(1, batch // MIX_GROUP)
    sizes = [batch // count + (number < batch % count) for number in range(count)]
    ends = [sum(sizes[: number + 1]) for number in range(count)]
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def whole_groups(groups: Iterable[slice], batch: int, world: int) -> bool:
    """Returns whether every group lies on one worker."""
    starts = {group.start for group in groups}
    return all(rank * batch // world in starts for rank in range(world))
