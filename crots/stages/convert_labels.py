"""Train-id labels from a dataset's own: the step that the published code mentions but does not contain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crots.artefacts import LABEL_COLOUR, LABEL_IDS
from crots.class_maps import ClassMap
from crots.data.datasets import Dataset, Sample
from crots.data.labels import read_truth
from crots.errors import InputError
from crots.events import ArtifactWritten, Event, Note, StageStarted
from crots.execution.context import Context, metered
from crots.label_files import TRAIN_IDS, write_colours, write_labels
from crots.stages.evaluate import labelled


@dataclass(frozen=True)
class ConvertJob:
    """One run: labels of ``dataset`` are read with ``class_map.source`` and written as ids of ``class_map.target``."""

    dataset: Dataset
    class_map: ClassMap
    out: Path
    colour: bool = False


def convert(job: ConvertJob, context: Context) -> Iterator[Event]:
    """Writes one 8-bit (or 16-bit) index PNG per label file, under the image's key.

    Raises:
        InputError: no labels, or ids that the class set does not know.
    """
    samples = labelled(job.dataset)
    target = job.class_map.target
    pixels = np.zeros(len(target), np.int64)
    yield StageStarted(stage=context.stage, total=len(samples), unit="files")

    def convert(sample: Sample) -> None:
        labels = job.class_map.remap(read_truth(sample, job.dataset, job.class_map.source))
        write_labels(job.out / LABEL_IDS / f"{sample.key}.png", labels, says=f"{TRAIN_IDS} of {target.name}")
        if job.colour:
            write_colours(job.out / LABEL_COLOUR / f"{sample.key}.png", labels, target.palette_array())
        counts = np.bincount(labels[labels < len(target)].ravel(), minlength=len(target))
        np.add(pixels, counts, out=pixels)

    yield from metered(samples, len(samples), context, convert)
    missing = [name for name, count in zip(target.names, pixels, strict=True) if not count]
    if len(missing) == len(target):
        raise InputError(f"{job.dataset.root}: no pixel holds a class of {target.name}; choose another class set")
    yield ArtifactWritten(stage=context.stage, kind="labels", path=str(job.out))
    absent = f"; classes that occur nowhere: {', '.join(missing)}" if missing else ""
    yield Note(stage=context.stage, text=f"wrote {len(samples)} label files{absent}")
