"""Supervised learning of fixed labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from crots.arrays import Array
from crots.config import Size
from crots.execution.draws import random_numpy
from crots.execution.engine import Engine
from crots.methods.augment import apply_jitter, plan_augment
from crots.methods.ema import Teacher
from crots.nets.model import Model
from crots.training.learner import Figures, Learner
from crots.training_options import BaselineOptions, TrainOptions


class LabelledBatch(NamedTuple):
    """Images (N, H, W, 3) uint8, labels (N, H, W) and their weights in the loss, (N, H, W) float32 or None for 1."""

    images: Array
    labels: Array
    weights: Array | None = None


class SupervisedLearner(Learner):
    """Trains a student on fixed labels with cross-entropy, class-weighted if ``balance`` is set.

    The moving average of a student that is already trained on these classes (``trained``) begins as it is.
    """

    options: BaselineOptions | TrainOptions

    def __init__(
        self,
        student: Model,
        engine: Engine,
        options: BaselineOptions | TrainOptions,
        images: int,
        *,
        trained: bool = False,
        seed: int,
        stage: str,
    ) -> None:
        super().__init__(student, engine, options, images, seed=seed, stage=stage)
        self.keeps_ema = options.keep_ema
        if options.keep_ema:
            self.teacher = Teacher(student, decay=options.decay, ramp=not trained)

    @abstractmethod
    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads images (N, H, W, 3) uint8 at working size."""

    @abstractmethod
    def read_labels(self, indices: Sequence[int], step: int = 0) -> Array:
        """Reads the labels (N, H, W) of images at working size, as of a step."""

    def read_weighted(self, indices: Sequence[int], step: int) -> tuple[Array, Array | None]:
        """Reads labels and their weights (N, H, W) as of a step; here all labels weigh the same, None."""
        return self.read_labels(indices, step), None

    def load(self, step: int) -> LabelledBatch:
        """Reads this worker's images of a step and their labels, cropped and mirrored as the options say."""
        part, options = self.workers.part(self.options.batch), self.options
        chosen = self.choose(step)
        images, (labels, weights) = self.read_images(chosen), self.read_weighted(chosen, step)
        if crops := self.draw_crops(step, Size(labels.shape[2], labels.shape[1])):
            images, labels = crops.images(images), crops.labels(labels)
            weights = None if weights is None else crops.labels(weights)
        if options.flip:
            coins = random_numpy(self.seed, self.stage, step, "flip").random(options.batch)[part] < 0.5
            images, labels = mirrored(images, coins), mirrored(labels, coins)
            weights = None if weights is None else mirrored(weights, coins)
        return LabelledBatch(images, labels, weights)

    def step(self, step: int, data: LabelledBatch, rate: float) -> Figures:
        """One optimiser step of cross-entropy on mixed and colour-jittered images."""
        clean = [self.engine.images(data.images), self.engine.labels(data.labels)]
        if data.weights is not None:
            clean.append(self.engine.floats(data.weights))
        images, labels, *weights = self.mix(clean, step)
        self.set_modes()
        loss = self.accumulate(self.augment(images, step), labels, *weights)
        self.exchange()
        self.optimiser.apply(rate)
        if self.teacher:
            self.teacher.follow(self.student, step)
        return {"cross-entropy": loss}

    def mix(self, clean: Sequence[Tensor], step: int) -> Sequence[Tensor]:
        """Mixes some of the images (N, 3, H, W) with each other, with their labels and weights (N, H, W); here none."""
        return clean

    def augment(self, images: Tensor, step: int) -> Tensor:
        """Changes the colours of images (N, 3, H, W)."""
        count = len(images) * self.workers.world
        rng = random_numpy(self.seed, self.stage, step, "jitter")
        return apply_jitter(plan_augment(count, rng, jitter=self.options.jitter).part(self.workers.part(count)), images)


def mirrored(batch: Array, coins: Array) -> Array:
    """Mirrors the entries of (N, H, W, ...) whose coin is True."""
    batch = batch.copy()
    batch[coins] = batch[coins, :, ::-1]
    return batch
