"""The adapted model as files for other programs, each loaded back and compared on real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from crots.arrays import Array
from crots.events import ArtifactWritten, Event, Note, Progress, StageStarted
from crots.execution.context import Context
from crots.nets.export import export_as
from crots.nets.model import Model
from crots.stages.export_aside import PROGRAMS, export_in_child


@dataclass(frozen=True)
class ExportJob:
    """One run of the stage.

    Attributes:
        model: what is exported.
        targets: the file to write for each format.
        images: (H, W, 3) uint8 at working size, on which files and network are compared.
        device: where the comparison runs.
    """

    model: Model
    targets: Mapping[str, Path]
    images: Sequence[Array]
    device: torch.device


def export_model(job: ExportJob, context: Context) -> Iterator[Event]:
    """Writes and checks every format.

    Raises:
        InputError: a format that the network does not allow.
        StageError: a file gives other results than the network.
    """
    yield StageStarted(stage=context.stage, total=len(job.targets), unit="files", device=str(job.device))
    model = job.model.to(job.device).eval()
    for done, (name, path) in enumerate(job.targets.items(), 1):
        context.control.check()
        write = export_as
        if context.control.beside_window and name in PROGRAMS:
            write = partial(export_in_child, control=context.control)
        # Trusted: the model in hand was built by the same factory.
        report = write(model, path, name, sample_images=job.images, device=job.device, trust=True)
        yield ArtifactWritten(stage=context.stage, kind="export", path=str(path))
        yield Note(
            stage=context.stage,
            about=path.name,
            text=f"on {report.images} images the largest difference to the network's logits is "
            f"{report.max_difference:.2g}, {report.agreement:.2%} of the pixels have the same class",
        )
        yield from (Note(stage=context.stage, about=path.name, text=text) for text in report.notes)
        yield Progress(stage=context.stage, done=done, total=len(job.targets))
