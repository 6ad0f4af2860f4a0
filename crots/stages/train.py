"""Supervised training with labels: for a source model, or for an upper bound to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crots.data.cache import ImageCache
from crots.data.labels import read_truth
from crots.data.layouts import Dataset
from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.images import resize_labels
from crots.nets.model import Model
from crots.options import TrainOptions
from crots.stages.evaluate import labelled
from crots.training.loop import Training, train
from crots.training.material import Array
from crots.training.supervised import SupervisedLearner


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
        seed: int,
        stage: str,
    ) -> None:
        self._samples, self._dataset, self._cache = labelled(dataset), dataset, cache
        super().__init__(student, engine, options, len(self._samples), seed=seed, stage=stage)
        self.balance(self.read_labels)

    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads images at working size."""
        return np.stack([self._cache.get(self._samples[index].image) for index in indices])

    def read_labels(self, indices: Sequence[int], step: int = 0) -> Array:
        """Reads ground truth at working size."""
        truths = (read_truth(self._samples[index], self._dataset, self.classes) for index in indices)
        return np.stack([resize_labels(truth, self._cache.size) for truth in truths])


@dataclass(frozen=True)
class TrainJob:
    """One run of the stage.

    Attributes:
        student: as it starts.
        dataset: images with labels.
        cache: gives them at working size.
        engine: device and precision.
        options: of the stage.
        run: where it writes, and how it is evaluated.
    """

    student: Model
    dataset: Dataset
    cache: ImageCache
    engine: Engine
    options: TrainOptions
    run: Training


def supervise(job: TrainJob, context: Context) -> Iterator[Event]:
    """Trains on labelled images; see `crots.training.loop.train` for what it writes."""
    learner = TrainLearner(
        job.student, job.dataset, job.cache, job.engine, job.options, seed=job.run.seed, stage=context.stage
    )
    return train(learner, job.run, context)
