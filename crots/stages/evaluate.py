"""Scoring against labels: per-class IoU of a model, or of existing predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crots.arrays import Array
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import Dataset, Sample
from crots.data.feed import prefetch
from crots.data.labels import read_truth, resolve_encoding
from crots.data.predictions import PredictionSet
from crots.errors import InputError
from crots.events import Evaluated, Event, Note, StageStarted, Unit, noted
from crots.execution.context import Context, Meter
from crots.execution.workers import current
from crots.files import write_json
from crots.methods.metrics import Confusion
from crots.stages.image_scores import FOLDER, image_file, image_row
from crots.taxonomy import ClassSet

if TYPE_CHECKING:
    from crots.execution.engine import Engine
    from crots.nets.model import Model
    from crots.stages.labellers import Predict
    from crots.training.tiled import Tiles

# Share of the labelled pixels without a predicted class from which a warning is given.
_MUCH = 0.3


@dataclass(frozen=True)
class Subject:
    """Something to score: ``source``, ``baseline``, ``adapt-1`` ...; ``load`` is called when its turn comes.

    Attributes:
        name: see above.
        load: see above.
        oracle: its checkpoint was chosen with target labels.
        choice: the checkpoint that its stage kept and its distance to the best one, for the report.
    """

    name: str
    load: Callable[[], Predict]
    oracle: bool = False
    choice: dict[str, Any] | None = None


@dataclass(frozen=True)
class EvaluateJob:
    """One run of the stage.

    Attributes:
        dataset: images with labels.
        classes: what the labels mean.
        out: folder that gets ``<subject>.json`` and ``images/<subject>.json``; None writes nothing.
        batch: images per forward pass.
    """

    dataset: Dataset
    classes: ClassSet
    subjects: Sequence[Subject]
    out: Path | None = None
    batch: int = 1
    device: str = "cpu"


def evaluate_subjects(job: EvaluateJob, context: Context) -> Iterator[Event]:
    """Scores every subject on every labelled image.

    Raises:
        InputError: labels are missing, or do not fit the class set or the images.
    """
    dataset = resolve_encoding(job.dataset, job.classes)
    samples = labelled(dataset)
    total = len(samples) * len(job.subjects)
    unit: Unit = "images" if len(job.subjects) == 1 else "predictions"
    yield StageStarted(stage=context.stage, total=total, unit=unit, device=job.device)
    yield from (noted(context.stage, note) for note in dataset.notes[len(job.dataset.notes) :])
    meter = Meter(context.stage, total)
    for number, subject in enumerate(job.subjects):
        confusion = Confusion(len(job.classes), job.classes.ignore)
        predict = subject.load()
        rows: list[dict[str, Any]] = []
        for done in score(predict, samples, dataset, job.classes, confusion, batch=job.batch, rows=rows):
            context.check()
            yield from meter.tick(number * len(samples) + done)
        report = confusion.report(job.classes.names, job.classes.subsets)
        if confusion.unpredicted > _MUCH:
            text = (
                f"{subject.name} predicts no class for {confusion.unpredicted:.0%} of the labelled pixels, which count "
                "as wrong; check its classes and the class map if that is not intended"
            )
            yield Note(stage=context.stage, text=text, level="warning")
        if subject.oracle:
            report["oracle"] = True
        if subject.choice:
            report["choice"] = subject.choice
        if job.out:
            current().from_first(partial(_write, job.out, subject.name, report, image_file(job.classes.names, rows)))
        yield evaluated(report, context.stage, subject.name, oracle=subject.oracle)


def _write(out: Path, subject: str, report: dict[str, Any], images: dict[str, Any]) -> None:
    write_json(out / FOLDER / f"{subject}.json", images)
    write_json(out / f"{subject}.json", report)


def labelled(dataset: Dataset) -> list[Sample]:
    """Returns the samples that have labels.

    Raises:
        InputError: none has.
    """
    samples = [sample for sample in dataset.samples if sample.label]
    if not samples:
        raise InputError(
            f"{dataset.root}: no labels found for its {len(dataset.samples)} images; give `data.val_labels`"
        )
    return samples


def score(
    predict: Predict,
    samples: Sequence[Sample],
    dataset: Dataset,
    classes: ClassSet,
    confusion: Confusion,
    *,
    batch: int = 1,
    rows: list[dict[str, Any]] | None = None,
) -> Iterator[int]:
    """Adds the predictions of samples to a confusion; yields how many are done.

    Several workers share the batches, and all have the whole confusion matrix in the end, and the ``rows``: what
    `crots.stages.image_scores` keeps of each image.
    """

    def load(part: Sequence[Sample] | None) -> tuple[Sequence[Sample], list[Array]]:
        return part or [], [read_truth(sample, dataset, classes) for sample in part or []]

    workers, added = current(), Confusion(confusion.classes, confusion.ignore)
    own: list[dict[str, Any]] = []
    parts = [samples[first : first + batch] for first in range(0, len(samples), batch)]
    loading = prefetch(workers.dealt(parts), load, workers=1, depth=2)
    try:
        for turn, (part, truths) in enumerate(loading, 1):
            sizes = [Size(truth.shape[1], truth.shape[0]) for truth in truths]
            for sample, truth, prediction in zip(part, truths, predict(part, sizes) if part else [], strict=True):
                before = (added.matrix.copy(), added.ignored_predictions.copy()) if rows is not None else None
                added.add(truth, prediction)
                if before is not None:
                    own.append(image_row(sample.key, added.matrix - before[0], added.ignored_predictions - before[1]))
            yield min(len(samples), turn * workers.world * batch)
    finally:
        loading.close()
    for counted in workers.gathered(added):
        confusion.merge(counted)
    if rows is not None:
        rows.extend(row for part in workers.gathered(own) for row in part)


def evaluated(report: dict[str, Any], stage: str, subject: str, *, step: int = 0, oracle: bool = False) -> Evaluated:
    """Makes an event of a report."""
    return Evaluated(
        stage=stage,
        subject=subject,
        step=step,
        miou=report["miou"],
        per_class_iou=report["per_class_iou"],
        confusion=report["confusion"],
        images=report["images"],
        oracle=oracle,
    )


def predict_with_model(
    model: Model, engine: Engine, read: Callable[[Sample], Array], *, flip: bool, tiles: Tiles | None = None
) -> Predict:
    """Predicts with a network: logits up-sampled to the size of the labels, then the greatest.

    Args:
        model: on the engine's device.
        engine: device and precision.
        read: gives an image at the model's working size, (H, W, 3) uint8; at its own where there are tiles.
        flip: add the prediction of the mirror image.
        tiles: images are cut into tiles; None where they are resized.
    """
    # Only here, so that scoring predictions on disk needs no torch.
    import torch

    from crots.execution.engine import evaluating
    from crots.training.tiled import logits_of

    if tiles is not None:
        look, cut = logits_of(model, engine, flip=flip), tiles
        return lambda samples, sizes: [cut.labels(read(sample), look) for sample in samples]

    def predict(samples: Sequence[Sample], sizes: Sequence[Size]) -> list[Array]:
        batch = engine.images(np.stack([read(sample) for sample in samples]))
        with evaluating(model), torch.inference_mode(), engine.autocast():
            # At the network's resolution, so that logits are up-sampled once, to the labels.
            logits = model(batch).float()
            logits = (logits + model(batch.flip(3)).float().flip(3)) / 2 if flip else logits
            return [
                model.upsample(logits[index : index + 1], (size.height, size.width)).argmax(1)[0].cpu().numpy()
                for index, size in enumerate(sizes)
            ]

    return predict


def predict_from_files(predictions: PredictionSet, stretched: Size | None = None) -> Predict:
    """Reads predictions that were matched to the samples before.

    Args:
        predictions: of the samples.
        stretched: a size of another shape than the labels' that they may have.
    """

    def predict(samples: Sequence[Sample], sizes: Sequence[Size]) -> list[Array]:
        return [
            predictions.read(sample.key, size, of=size, stretched=stretched).labels
            for sample, size in zip(samples, sizes, strict=True)
        ]

    return predict


def score_model(
    model: Model,
    dataset: Dataset,
    classes: ClassSet,
    engine: Engine,
    cache: ImageCache,
    context: Context,
    *,
    flip: bool,
    batch: int,
    tiles: Tiles | None = None,
) -> dict[str, Any]:
    """Scores a model in one go, as validation during training does; returns the report.

    Raises:
        Stopped: the user asked to stop meanwhile.
    """
    confusion = Confusion(len(classes), classes.ignore)
    predict = predict_with_model(model, engine, lambda sample: cache.get(sample.image), flip=flip, tiles=tiles)
    for _ in score(predict, labelled(dataset), dataset, classes, confusion, batch=1 if tiles else batch):
        context.check()
    return confusion.report(classes.names, classes.subsets)
