"""Supervised training with labels: for a source model, or for an upper bound to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crots.arrays import Array
from crots.data.cache import ImageCache
from crots.data.datasets import Dataset, Sample
from crots.data.labels import read_truth
from crots.data.tiles import Tiling, cut_map, in_parts, place_of, read_sample
from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.label_files import resize_labels
from crots.nets.model import Model
from crots.stages.evaluate import labelled
from crots.taxonomy import ClassSet
from crots.training.loop import Training, train
from crots.training.supervised import SupervisedLearner
from crots.training_options import TrainOptions


class TrainLearner(SupervisedLearner):
    """Teaches ground truth."""

    options: TrainOptions

    def __init__(
        self,
        student: Model,
        dataset: Dataset,
        cache: ImageCache,
        engine: Engine,
        options: TrainOptions,
        *,
        tiling: Tiling | None = None,
        label_classes: ClassSet | None = None,
        seed: int,
        stage: str,
    ) -> None:
        # A model's own set does not say how label files are read.
        self._label_classes = label_classes or student.classes
        self._samples = in_parts(labelled(dataset), tiling)
        self._dataset, self._cache = dataset, cache
        super().__init__(student, engine, options, len(self._samples), seed=seed, stage=stage)
        self.balance(self.read_labels)

    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads images at working size."""
        return np.stack([read_sample(self._cache, self._samples[index]) for index in indices])

    def read_labels(self, indices: Sequence[int], step: int = 0) -> Array:
        """Reads ground truth at working size."""
        return np.stack([self._truth(self._samples[index]) for index in indices])

    def _truth(self, sample: Sample) -> Array:
        if self._cache.size is not None:
            return resize_labels(self._read(sample), self._cache.size)
        assert sample.label is not None
        _, window = place_of(sample)
        # Of a large map, decoded once, only the tile is read.
        truth = self._cache.map_of(sample.label, lambda _: self._read(sample), self._kind)
        return truth if window is None else cut_map(truth, window, self.classes.ignore)

    def _read(self, sample: Sample) -> Array:
        return read_truth(sample, self._dataset, self._label_classes)

    @property
    def _kind(self) -> list[Any]:
        """What decides how a label file is read."""
        return ["truth", self._dataset.encoding, self._label_classes.to_dict(), dict(self._label_classes.other_names)]


@dataclass(frozen=True)
class TrainJob:
    """One run of the stage.

    Attributes:
        student: as it starts.
        dataset: images with labels.
        cache: gives them at working size, or at their own where they are cut into tiles.
        engine: device and precision.
        options: of the stage.
        run: where it writes, and how it is evaluated.
        tiling: how images are cut into tiles; None where they are resized.
        label_classes: the student's classes, as their file says that labels are read; None takes what the student says.
    """

    student: Model
    dataset: Dataset
    cache: ImageCache
    engine: Engine
    options: TrainOptions
    run: Training
    tiling: Tiling | None = None
    label_classes: ClassSet | None = None


def supervise(job: TrainJob, context: Context) -> Iterator[Event]:
    """Trains on labelled images, or tiles of them; see `crots.training.loop.train` for what it writes."""
    learner = TrainLearner(
        job.student,
        job.dataset,
        job.cache,
        job.engine,
        job.options,
        tiling=job.tiling,
        label_classes=job.label_classes,
        seed=job.run.seed,
        stage=context.stage,
    )
    return train(learner, job.run, context)
