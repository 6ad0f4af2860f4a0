"""What reduced precision does to labels and losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crots.artefacts import CONFIDENCE, LABEL_IDS
from crots.bench.stages import exhaust
from crots.bench.world import World
from crots.errors import InputError
from crots.events import Metrics
from crots.execution.context import Context
from crots.label_files import read_confidence, read_labels
from crots.stages.project_stages import label_job, run_baseline
from crots.stages.pseudo_label import label_images


@dataclass(frozen=True)
class PrecisionCheck:
    """Reduced precision beside fp32, on the same images and weights.

    Attributes:
        precision: the reduced one.
        equal: share of pixels with the same pseudo-label.
        equal_where_sure: the same among pixels of an fp32 confidence of at least 0.9; None where there are none.
        confidence_difference: greatest difference of a pixel's confidence.
        mean_confidence_difference: mean of its absolute value.
        losses: of the baseline's steps in fp32.
        reduced_losses: of the same steps in reduced precision.
        loss_difference: greatest difference of the two, as a share of the fp32 loss.
    """

    precision: str
    equal: float
    equal_where_sure: float | None
    confidence_difference: float
    mean_confidence_difference: float
    losses: list[float]
    reduced_losses: list[float]
    loss_difference: float


def check_precision(world: World, precision: str, steps: int) -> PrecisionCheck:
    """Labels the world's images and trains the baseline a few steps, in fp32 and in reduced precision.

    Args:
        world: images and source; its own precision is ignored here.
        precision: ``bf16`` or ``fp16``.
        steps: of the baseline.

    Raises:
        InputError: ``precision`` is not a reduced one.
    """
    if precision == "fp32":
        raise InputError("precision: found fp32, expected bf16 or fp16 to compare with it", field="runtime.precision")
    full = _labels(world, "fp32")
    reduced = _labels(world, precision)
    same = np.concatenate([(a[0] == b[0]).ravel() for a, b in zip(full, reduced, strict=True)])
    sure = np.concatenate([a[1].ravel() for a in full]) >= 0.9
    apart = np.concatenate([np.abs(a[1] - b[1]).ravel() for a, b in zip(full, reduced, strict=True)])
    losses, others = _losses(world, "fp32", steps), _losses(world, precision, steps)
    worst = max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(losses, others, strict=True))
    return PrecisionCheck(
        precision, float(same.mean()), float(same[sure].mean()) if sure.any() else None, float(apart.max()),
        float(apart.mean()), losses, others, worst,
    )  # fmt: skip


def _labels(world: World, precision: str) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    project = world.project(f"labels-{precision}", precision=precision)
    out = project.stage_folder("pseudo-label")
    bench = world.bench(project, "pseudo-label")
    exhaust(label_images(label_job(bench, out), Context("pseudo-label")))
    keys = [sample.key for sample in bench.dataset.samples]
    folders = out / LABEL_IDS, out / CONFIDENCE
    return [(read_labels(folders[0] / f"{key}.png"), read_confidence(folders[1] / f"{key}.png")) for key in keys]


def _losses(world: World, precision: str, steps: int) -> list[float]:
    """Losses of the baseline's first steps; in either precision it learns the fp32 labels."""
    project = world.project("labels-fp32", keep=True, steps=steps, log_every=1, precision=precision)
    events = run_baseline(project, world.bench(project, "baseline"), Context("baseline"))
    return [event.values["cross-entropy"] for event in events if isinstance(event, Metrics)]
