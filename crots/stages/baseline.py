"""Cross-domain distillation: the student learns the source's pseudo-labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from crots.config import Size
from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine, random_numpy
from crots.methods.augment import apply_jitter, plan_augment
from crots.methods.losses import weighted_cross_entropy
from crots.methods.patches import class_thresholds
from crots.nets.model import Model
from crots.options import BaselineOptions, TrainOptions
from crots.training.balance import sampled
from crots.training.learner import Figures, Learner, shares
from crots.training.loop import Training, train
from crots.training.material import Array, Material

# Confidence is stored in so many steps.
_LEVELS = 256


class LabelledBatch(NamedTuple):
    """Images (N, H, W, 3) uint8 and labels (N, H, W)."""

    images: Array
    labels: Array


class SupervisedLearner(Learner):
    """Teaches a student fixed labels with cross-entropy, weighted by class where ``balance`` asks for it."""

    options: BaselineOptions | TrainOptions

    @abstractmethod
    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads images (N, H, W, 3) uint8 at working size."""

    @abstractmethod
    def read_labels(self, indices: Sequence[int]) -> Array:
        """Reads the labels (N, H, W) of images, at working size."""

    def load(self, step: int) -> LabelledBatch:
        """Reads this worker's images of a step and their labels, cropped and mirrored as the options say."""
        part, options = self.workers.part(self.options.batch), self.options
        chosen = self.choose(step)
        images, labels = self.read_images(chosen.indices), self.read_labels(chosen.indices)
        if crops := self.draw_crops(step, chosen, Size(labels.shape[2], labels.shape[1]), labels):
            images, labels = crops.images(images), crops.labels(labels)
        if options.flip:
            coins = random_numpy(self.seed, self.stage, step, "flip").random(options.batch)[part] < 0.5
            images, labels = mirrored(images, coins), mirrored(labels, coins)
        return LabelledBatch(images, labels)

    def step(self, step: int, data: LabelledBatch, rate: float) -> Figures:
        """One optimiser step of cross-entropy on images whose colours are jittered."""
        images, labels = self.engine.images(data.images), self.engine.labels(data.labels)
        rng = random_numpy(self.seed, self.stage, step, "jitter")
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
            loss = weighted_cross_entropy(logits, truth, None, ignore, self.class_weights) * share
            self.optimiser.backward(loss)
            total += loss.detach()
        self.exchange()
        self.optimiser.apply(rate)
        return total


class BaselineLearner(SupervisedLearner):
    """Teaches the pseudo-labels."""

    options: BaselineOptions

    def __init__(
        self, student: Model, material: Material, engine: Engine, options: BaselineOptions, *, seed: int, stage: str
    ) -> None:
        super().__init__(student, engine, options, len(material.samples), seed=seed, stage=stage)
        self._material = material
        self._min_confidence = self._thresholds()
        self.balance(self.read_labels)

    def _thresholds(self) -> float | Array:
        """Least confidence of the pixels that are taught, one for all or (K,) one for each class."""
        options, material, classes = self.options, self._material, len(self.classes)
        if not options.class_precision:
            return options.min_confidence
        pixels = np.zeros(classes * _LEVELS, np.int64)
        for index in sampled(self.images):
            labels, confidence = material.labels([index]).astype(np.int64), material.confidence([index])
            levels = np.rint(confidence * (_LEVELS - 1)).astype(np.int64)
            known = labels < classes
            pixels += np.bincount(labels[known] * _LEVELS + levels[known], minlength=len(pixels))
        return class_thresholds(pixels.reshape(classes, _LEVELS), options.class_precision, options.min_confidence)

    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads target images."""
        return self._material.images(indices)

    def read_labels(self, indices: Sequence[int]) -> Array:
        """Reads pseudo-labels, those of low confidence left out where the options say so."""
        return self._material.labels(indices, min_confidence=self._min_confidence)


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
    """Distils the pseudo-labels into the student; see `crots.training.loop.train` for what it writes."""
    learner = BaselineLearner(student, material, engine, options, seed=run.seed, stage=context.stage)
    return train(learner, run, context)
