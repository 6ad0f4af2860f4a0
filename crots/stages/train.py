"""Supervised training with labels: for a source model, or for an upper bound to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crots.data.cache import ImageCache
from crots.data.labels import read_truth
from crots.data.layouts import Dataset
from crots.events import Event
from crots.images import resize_labels
from crots.methods.augment import apply_jitter, plan_augment
from crots.nets.model import Model
from crots.options import TrainOptions
from crots.stages.baseline import LabelledBatch, SupervisedLearner, mirrored
from crots.stages.context import Context
from crots.stages.engine import Engine, random_numpy
from crots.stages.evaluate import labelled
from crots.stages.material import Array
from crots.stages.order import Order
from crots.stages.training import Figures, Training, train


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
        self._samples = labelled(dataset)
        super().__init__(student, engine, options, len(self._samples))
        self._dataset, self._cache, self._seed, self._stage = dataset, cache, seed, stage
        self._order = Order(self.images, options.batch, seed=seed, stage=stage)
        self.weigh_classes()

    def read_labels(self, indices: Sequence[int]) -> Array:
        """Reads ground truth at working size."""
        truths = (read_truth(self._samples[index], self._dataset, self.classes) for index in indices)
        return np.stack([resize_labels(truth, self._cache.size) for truth in truths])

    def load(self, step: int) -> LabelledBatch:
        """Reads the images of a step and their labels, at working size."""
        indices = self._order.batch(step)
        images = np.stack([self._cache.get(self._samples[index].image) for index in indices])
        labels = self.read_labels(indices)
        if self.options.flip:
            coins = random_numpy(self._seed, self._stage, step, "flip").random(len(indices)) < 0.5
            images, labels = mirrored(images, coins), mirrored(labels, coins)
        return LabelledBatch(images, labels)

    def step(self, step: int, data: LabelledBatch, rate: float) -> Figures:
        """One step of cross-entropy to the labels."""
        images, labels = self.engine.images(data.images), self.engine.labels(data.labels)
        rng = random_numpy(self._seed, self._stage, step, "jitter")
        plan = plan_augment(len(images), rng, jitter=self.options.jitter)
        return {"cross-entropy": self.descend(apply_jitter(plan, images), labels, rate)}


def supervise(
    student: Model,
    dataset: Dataset,
    cache: ImageCache,
    engine: Engine,
    options: TrainOptions,
    run: Training,
    context: Context,
) -> Iterator[Event]:
    """Trains on labelled images; see `crots.stages.training.train` for what it writes."""
    learner = TrainLearner(student, dataset, cache, engine, options, seed=run.seed, stage=context.stage)
    return train(learner, run, context)
