"""From a training checkpoint to the plain weights of its student or teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crots.errors import InputError
from crots.events import ArtifactWritten, Event, StageStarted
from crots.execution.context import Context
from crots.nets.weights import load_model, save_pth, save_safetensors


@dataclass(frozen=True)
class ExtractJob:
    """``checkpoint.pt`` of a training stage, and the ``.pth`` or ``.safetensors`` to write."""

    checkpoint: Path
    out: Path
    weights: Literal["student", "teacher"] = "student"
    trust: bool = False


def extract_model(job: ExtractJob, context: Context) -> Iterator[Event]:
    """Writes the plain weights.

    Raises:
        InputError: not a training checkpoint, it has no teacher, or the suffix is another.
    """
    if job.out.suffix not in (".pth", ".safetensors"):
        raise InputError(f"{job.out}: found suffix {job.out.suffix!r}, expected .pth or .safetensors", field="out")
    yield StageStarted(stage=context.stage, total=1, unit="files")
    # The checkpoint says its own net, classes and normalisation.
    model, _ = load_model(job.checkpoint, trust=job.trust, part=job.weights)
    if job.out.suffix == ".pth":
        save_pth(job.out, model.net)
    else:
        save_safetensors(job.out, model.net, model.card)
    yield ArtifactWritten(stage=context.stage, kind="model", path=str(job.out))
