"""Cross-domain distillation: the student learns the source's pseudo-labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from crots.events import Event
from crots.methods.augment import apply_jitter, plan_augment
from crots.methods.losses import weighted_cross_entropy
from crots.nets.model import Model
from crots.options import BaselineOptions, TrainOptions
from crots.stages.context import Context
from crots.stages.engine import Engine, random_numpy
from crots.stages.material import Array, Material
from crots.stages.order import Order
from crots.stages.training import Figures, Learner, Training, shares, train


class LabelledBatch(NamedTuple):
    """Images (N, H, W, 3) uint8 and labels (N, H, W)."""

    images: Array
    labels: Array


# So many label maps tell how frequent classes are.
_COUNTED = 200


class SupervisedLearner(Learner):
    """Teaches a student fixed labels with cross-entropy, weighted by class where ``balance`` asks for it."""

    options: BaselineOptions | TrainOptions
    _class_weights: Tensor | None = None

    def __init__(
        self,
        student: Model,
        engine: Engine,
        options: BaselineOptions | TrainOptions,
        images: int,
        *,
        seed: int,
        stage: str,
    ) -> None:
        super().__init__(student, engine, options, images)
        self._seed, self._stage = seed, stage
        self._order = Order(images, options.batch, seed=seed, stage=stage)

    @abstractmethod
    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads images (N, H, W, 3) uint8 at working size."""

    @abstractmethod
    def read_labels(self, indices: Sequence[int]) -> Array:
        """Reads the labels (N, H, W) of images, at working size."""

    def weigh_classes(self) -> None:
        """Sets the class weights from how often classes occur in a sample of the labels."""
        if not self.options.balance:
            return
        counts = np.zeros(len(self.classes), np.int64)
        for index in np.unique(np.linspace(0, self.images - 1, min(_COUNTED, self.images)).astype(int)):
            labels = self.read_labels([int(index)])
            counts += np.bincount(labels[labels < len(counts)].ravel(), minlength=len(counts))
        self._class_weights = self.engine.floats(class_weights(counts, self.options.balance))

    def load(self, step: int) -> LabelledBatch:
        """Reads this worker's images of a step and their labels, cropped and mirrored as the options say."""
        part, options = self.workers.part(self.options.batch), self.options
        indices = self._order.batch(step)[part]
        images, labels = self.read_images(indices), self.read_labels(indices)
        if crops := self.draw_crops(images, random_numpy(self._seed, self._stage, step, "crop")):
            images, labels = crops.images(images), crops.labels(labels)
        if options.flip:
            coins = random_numpy(self._seed, self._stage, step, "flip").random(options.batch)[part] < 0.5
            images, labels = mirrored(images, coins), mirrored(labels, coins)
        return LabelledBatch(images, labels)

    def step(self, step: int, data: LabelledBatch, rate: float) -> Figures:
        """One optimiser step of cross-entropy on images whose colours are jittered."""
        images, labels = self.engine.images(data.images), self.engine.labels(data.labels)
        rng = random_numpy(self._seed, self._stage, step, "jitter")
        count = len(images) * self.workers.world
        plan = plan_augment(count, rng, jitter=self.options.jitter).part(self.workers.part(count))
        return {"cross-entropy": self._descend(apply_jitter(plan, images), labels, rate)}

    def _descend(self, images: Tensor, labels: Tensor, rate: float) -> Tensor:
        parts, ignore = self.passes, self.classes.ignore
        total = torch.zeros((), device=images.device)
        self.student.train()
        counted = shares(labels, parts, ignore, workers=self.workers)
        for part, truth, share in zip(images.chunk(parts), labels.chunk(parts), counted, strict=True):
            with self.engine.autocast():
                logits = self.student.logits(part)
            loss = weighted_cross_entropy(logits, truth, self._pixel_weights(truth), ignore) * share
            self.optimiser.backward(loss)
            total += loss.detach()
        self.exchange()
        self.optimiser.apply(rate)
        return total

    def _pixel_weights(self, labels: Tensor) -> Tensor | None:
        if self._class_weights is None:
            return None
        return self._class_weights[labels.clamp(max=len(self.classes) - 1)]


def class_weights(counts: Array, power: float) -> Array:
    """Returns a weight a class, rarer ones heavier, whose mean over the counted pixels is 1.

    Args:
        counts: (K,) pixels of each class; one that does not occur gets the greatest weight of the others.
        power: 0 gives 1 everywhere, 1 makes every class count the same.
    """
    weights = np.ones(len(counts))
    present = counts > 0
    weights[present] = (counts[present] / counts.sum()) ** -power
    weights[~present] = weights[present].max(initial=1.0)
    normalised: Array = weights * counts.sum() / max((weights * counts).sum(), 1e-12)
    return normalised


class BaselineLearner(SupervisedLearner):
    """Teaches the pseudo-labels."""

    options: BaselineOptions

    def __init__(
        self, student: Model, material: Material, engine: Engine, options: BaselineOptions, *, seed: int, stage: str
    ) -> None:
        super().__init__(student, engine, options, len(material.samples), seed=seed, stage=stage)
        self._material = material
        self.weigh_classes()

    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads target images."""
        return self._material.images(indices)

    def read_labels(self, indices: Sequence[int]) -> Array:
        """Reads pseudo-labels, those of low confidence left out where the options say so."""
        return self._material.labels(indices, min_confidence=self.options.min_confidence)


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
