"""Learning-rate schedules as functions of the step, so that resuming needs no state. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable

from crots.config import unknown_name

POLY_POWER = 0.9
# Epochs of the published cosine, after which it is at zero (fault F14).
RESTART_EPOCHS = 10


def learning_rate(
    step: int, total: int, base: float, kind: str, steps_per_epoch: int = 1, *, warm_up: float = 0.0
) -> float:
    """Returns the learning rate of a step.

    Args:
        step: number of earlier optimiser steps, 0 to total - 1.
        total: steps of the run.
        base: learning rate at the start.
        kind: a name in `SCHEDULES`.
        steps_per_epoch: optimiser steps per epoch; only ``restarts`` uses it.
        warm_up: share of the run in which the rate rises linearly from almost 0; the curve spans the rest.

    Raises:
        InputError: there is no such schedule.
    """
    if kind not in SCHEDULES:
        raise unknown_name("schedule", kind, list(SCHEDULES), what="learning-rate schedule")
    rising = round(warm_up * total)
    if step < rising:
        return base * (step + 1) / (rising + 1)
    return base * SCHEDULES[kind](step - rising, max(1, total - rising), max(1, steps_per_epoch))


def cosine(step: int, total: int, _steps_per_epoch: int) -> float:
    """Half a cosine from 1 to 0 over the real length of the run (corrects F14)."""
    return 0.5 * (1.0 + math.cos(math.pi * min(step, total) / total))


def poly(step: int, total: int, _steps_per_epoch: int) -> float:
    """Polynomial decay from 1 to 0 over the run, as in DeepLab."""
    return math.pow(1.0 - min(step, total) / total, POLY_POWER)


def constant(_step: int, _total: int, _steps_per_epoch: int) -> float:
    """Constant 1."""
    return 1.0


def restarts(step: int, _total: int, steps_per_epoch: int) -> float:
    """The published cosine (fault F14): set once an epoch, zero after 10 epochs and up again after 20."""
    return 0.5 * (1.0 + math.cos(math.pi * (step // steps_per_epoch) / RESTART_EPOCHS))


SCHEDULES: dict[str, Callable[[int, int, int], float]] = {
    "cosine": cosine,
    "poly": poly,
    "constant": constant,
    "restarts": restarts,
}
