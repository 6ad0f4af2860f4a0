"""Connects the workers that ``torchrun`` started, for a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from crots.execution.workers import Workers, become, current, launched


@contextlib.contextmanager
def process_group(device: str) -> Iterator[Workers]:
    """Connects the workers, for a block.

    Args:
        device: as `crots.options.RuntimeOptions` names it.

    Raises:
        InputError: the device cannot be shared by several workers.
        StageError: the others cannot be reached.
    """
    if not launched():
        yield current()
        return
    from crots.execution.group import Group

    group = Group.meet(device)
    become(group)
    try:
        yield group
    finally:
        become(Workers())
        group.leave()
