"""Cross-domain distillation: the student learns the source's pseudo-labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.methods.patches import class_thresholds
from crots.nets.model import Model
from crots.options import BaselineOptions
from crots.training.balance import sampled
from crots.training.loop import Training, train
from crots.training.material import Array, Material
from crots.training.supervised import SupervisedLearner

# Confidence is stored in so many steps.
_LEVELS = 256


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
