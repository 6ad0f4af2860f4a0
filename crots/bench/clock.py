"""Timing in alternating repeats, so that other load on the machine affects both sides alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from crots.execution.engine import Engine

Work = Callable[[], object]


def seconds(work: Work, engine: Engine | None = None) -> float:
    """Returns the seconds of ``work``, including the device's part."""
    if engine:
        engine.synchronise()
    began = time.perf_counter()
    work()
    if engine:
        engine.synchronise()
    return time.perf_counter() - began


def taking_turns(*works: Work, repeats: int, engine: Engine | None = None) -> list[float]:
    """Returns the median seconds of each work; all warm up once, then take turns."""
    for work in works:
        work()
    rounds = [[seconds(work, engine) for work in works] for _ in range(repeats)]
    return [median(column) for column in zip(*rounds, strict=True)]
