"""Cross-domain distillation: the student learns the source's pseudo-labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from crots.events import Event
from crots.methods.losses import weighted_cross_entropy
from crots.nets.model import Model
from crots.options import BaselineOptions
from crots.stages.context import Context
from crots.stages.engine import Engine, random_numpy
from crots.stages.material import Array, Material
from crots.stages.order import Order
from crots.stages.training import Figures, Learner, Training, train


class LabelledBatch(NamedTuple):
    """Images (N, H, W, 3) uint8 and labels (N, H, W)."""

    images: Array
    labels: Array


class SupervisedLearner(Learner):
    """Teaches a student fixed labels with plain cross-entropy."""

    def supervise(self, batch: LabelledBatch, rate: float) -> Figures:
        """One optimiser step on a batch, in as many parts as ``accumulate`` says."""
        images, labels = self.engine.images(batch.images), self.engine.labels(batch.labels)
        return {"cross-entropy": self.descend(images, labels, rate)}

    def descend(self, images: Tensor, labels: Tensor, rate: float) -> Tensor:
        """Takes the optimiser step; returns the mean loss."""
        parts, ignore = self.options.accumulate, self.classes.ignore
        total = torch.zeros((), device=images.device)
        self.student.train()
        for part, truth in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            with self.engine.autocast():
                logits = self.student.logits(part)
            loss = weighted_cross_entropy(logits, truth, None, ignore) * len(part) / len(images)
            self.optimiser.backward(loss)
            total += loss.detach()
        self.optimiser.apply(rate)
        return total


class BaselineLearner(SupervisedLearner):
    """Teaches the pseudo-labels; whole images, mirrored half of the time in the corrected profile."""

    options: BaselineOptions

    def __init__(
        self, student: Model, material: Material, engine: Engine, options: BaselineOptions, *, seed: int, stage: str
    ) -> None:
        super().__init__(student, engine, options, len(material.samples))
        self._material, self._seed, self._stage = material, seed, stage
        self._order = Order(self.images, options.batch, seed=seed, stage=stage)

    def load(self, step: int) -> LabelledBatch:
        """Reads the images of a step and their pseudo-labels."""
        indices = self._order.batch(step)
        images = self._material.images(indices)
        labels = self._material.labels(indices, min_confidence=self.options.min_confidence)
        if self.options.flip:
            coins = random_numpy(self._seed, self._stage, step, "flip").random(len(indices)) < 0.5
            images, labels = mirrored(images, coins), mirrored(labels, coins)
        return LabelledBatch(images, labels)

    def step(self, step: int, data: LabelledBatch, rate: float) -> Figures:
        """One step of cross-entropy to the pseudo-labels."""
        return self.supervise(data, rate)


def mirrored(batch: Array, coins: Array) -> Array:
    """Mirrors those entries of (N, H, W, ...) whose coin is True."""
    batch = batch.copy()
    batch[coins] = batch[coins, :, ::-1]
    return batch


def baseline(
    student: Model,
    material: Material,
    engine: Engine,
    options: BaselineOptions,
    run: Training,
    context: Context,
) -> Iterator[Event]:
    """Distils the pseudo-labels into the student; see `crots.stages.training.train` for what it writes."""
    learner = BaselineLearner(student, material, engine, options, seed=run.seed, stage=context.stage)
    return train(learner, run, context)
