"""Meets the other workers that ``torchrun`` started, for a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from crots.execution.workers import Workers, become, current, launched


@contextlib.contextmanager
def session(device: str) -> Iterator[Workers]:
    """Meets the other workers, for a block.

    Args:
        device: as `crots.options.RuntimeOptions` names it.

    Raises:
        InputError: the device cannot be used by several.
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
