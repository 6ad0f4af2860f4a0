"""Self-distillation on mixed images and hard patches: the method's last stage, one round of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from crots.arrays import Array
from crots.config import Size
from crots.data.spread import evenly_spread
from crots.events import Event, Note
from crots.execution.context import Context
from crots.execution.draws import random_numpy
from crots.execution.engine import Engine, evaluating
from crots.methods.augment import apply_blur, apply_flip, apply_jitter, plan_augment
from crots.methods.batch_norm import batch_norms
from crots.methods.ema import Teacher, average_with, copied_weights
from crots.methods.losses import confidence_weight
from crots.methods.mixing import apply_mix, plan_mix
from crots.methods.pseudo import ConfidentLabels, likeliest
from crots.methods.selection import LEVELS, class_thresholds, confidence_histogram
from crots.nets.model import Model
from crots.training.cropping import cut, cut_nearest
from crots.training.learner import Figures, Learner, State
from crots.training.loop import Training, train
from crots.training.material import Material
from crots.training.mixing import mix_in_groups
from crots.training.order import Order, WeightedOrder
from crots.training.patch_set import PatchSet
from crots.training_options import AdaptOptions

# Images from which the thresholds of confidence are found.
_SEEN = 100


class AdaptBatch(NamedTuple):
    """Whole images (N, H, W, 3); patches (N, h, w, 3) with labels (N, h, w)."""

    images: Array
    patches: Array | None
    patch_labels: Array | None


class Mixed(NamedTuple):
    """Mixed images (N, 3, H, W) float 0..255 with the teacher's labels (N, H, W) and confidence (N, H, W)."""

    images: Tensor
    labels: Tensor
    confidence: Tensor


class AdaptLearner(Learner):
    """Student and teacher of one round."""

    options: AdaptOptions
    teacher: Teacher[Model]

    def __init__(
        self,
        student: Model,
        material: Material,
        patches: PatchSet | None,
        engine: Engine,
        options: AdaptOptions,
        *,
        seed: int,
        stage: str,
    ) -> None:
        super().__init__(student, engine, options, len(material.samples), seed=seed, stage=stage)
        self.teacher = Teacher(student, buffers=options.teacher_buffers, decay=options.decay, ramp=not options.keep_ema)
        self.keeps_ema = options.keep_ema
        self._start = copied_weights(student.net) if options.average else {}
        self._thresholds = self.engine.floats(np.full(len(self.classes), options.confidence, np.float32))
        self.material = material
        # Whether any pixel had a loss so far, on the device; None before the first step.
        self._learnt: Tensor | None = None
        self._patches = patches if patches is not None and len(patches) else None
        if self._patches:
            self.patch_order = _patch_order(self._patches, options, seed, stage)
        if options.balance:
            self.balance(material.labels)

    @torch.no_grad()
    def begin(self, check: Callable[[], None]) -> None:
        """Finds the confidence from which the teacher's labels of each class count.

        One threshold for all classes leaves out those of which the teacher is seldom certain, and they shrink.
        """
        options, classes = self.options, len(self.classes)
        if not options.keep_share:
            return
        pixels = np.zeros((classes, LEVELS), np.int64)
        with evaluating(self.student):
            for batch in self.workers.dealt_batches(evenly_spread(self.images, _SEEN), self.engine.batch(0)):
                check()
                if batch:
                    with self.engine.autocast():
                        logits = self.student.logits(self.engine.images(self.material.images(batch)))
                    labels, confidence = (found.cpu().numpy() for found in likeliest(logits, options.confidence_from))
                    pixels += confidence_histogram(labels, confidence, classes)
        pixels = sum(self.workers.gathered(pixels), np.zeros_like(pixels))
        self._thresholds = self.engine.floats(class_thresholds(pixels, options.keep_share, options.confidence))

    def state_dict(self) -> State:
        """See `Learner.state_dict`; the thresholds come from initial weights that a resumed run lacks."""
        return {**super().state_dict(), "thresholds": self._thresholds}

    def load_state_dict(self, state: State) -> None:
        """Restores the output of `state_dict`."""
        super().load_state_dict(state)
        # Checkpoints of earlier versions, without thresholds by class, were trained with `confidence` alone.
        self._thresholds = state.get("thresholds", self._thresholds)

    def average(self, *, went_back: bool) -> bool:
        """Averages the student with the start of the round; see `Learner.average`."""
        if self._start:
            average_with(self.student.net, self._start, self.options.average)
        return bool(self._start)

    def load(self, step: int) -> AdaptBatch:
        """Reads this worker's images and patches of a step."""
        images = self.material.images(self.choose(step))
        if not self._patches:
            return AdaptBatch(images, None, None)
        indices = self.patch_order.batch(step)[self.workers.part(self.options.batch)]
        return AdaptBatch(images, self._patches.images(indices), self._patches.labels(indices))

    def step(self, step: int, data: AdaptBatch, rate: float) -> Figures:
        """One optimiser step of the method: teacher, mix, crop, augment, student, hard patches, moving average."""
        mixed = self.mix(self.engine.images(data.images), step)
        mixed = self.augment(self.crop(mixed, step), step)
        weights = confidence_weight(mixed.confidence, self._threshold_of(mixed.labels), self.options.weighting)
        learnt = (weights > 0).any() | (data.patches is not None)
        self._learnt = learnt if self._learnt is None else self._learnt | learnt
        if weights.dim() == 0:
            weights = self.workers.sum(weights) / self.workers.world

        self.set_modes()
        consistency = self.accumulate(mixed.images, mixed.labels, weights)
        figures = {"consistency": consistency, "confidence weight": weights.mean() / self.workers.world}
        if data.patches is not None and data.patch_labels is not None:
            patches, labels = self.engine.images(data.patches), self.engine.labels(data.patch_labels)
            with self._patch_statistics():
                hard_patch = self.accumulate(patches, labels, factor=self.options.patch_weight)
            figures |= {"hard patch": hard_patch, "loss": consistency + self.options.patch_weight * hard_patch}

        self.exchange()
        if self.options.ema_when == "before":  # F5
            self.teacher.follow(self.student, step)
        self.optimiser.apply(rate)
        if self.options.ema_when == "after":
            self.teacher.follow(self.student, step)
        return figures

    def _threshold_of(self, labels: Tensor) -> Tensor:
        """Returns the threshold of each pixel's class; any value will do for ignored pixels, which have no loss."""
        return self._thresholds[labels.long().clamp(max=len(self.classes) - 1)]

    @property
    def learnt_nothing(self) -> bool:
        """Whether steps were taken in which no pixel of any worker had a loss."""
        return self._learnt is not None and not self.workers.any(bool(self._learnt))

    def mix(self, images: Tensor, step: int) -> Mixed:
        """Mixes images (N, 3, H, W) with the teacher's labels and confidence of the clean ones, in groups (F6)."""
        clean = Mixed(images, *self.teach(images))

        def mix(group: Sequence[Tensor], number: int) -> Mixed:
            return self._mix_group(Mixed(*group), step, number)

        # As published, partners come from the whole batch.
        return Mixed(*mix_in_groups(self.workers, clean, mix, whole=self.options.partners == "repeated"))

    def _mix_group(self, clean: Mixed, step: int, number: int) -> Mixed:
        """Mixes the images of one group with each other; the draws are its own, on whichever worker."""
        options, images = self.options, clean.images
        plan = plan_mix(
            options.mix,
            len(images),
            Size(images.shape[-1], images.shape[-2]),
            random_numpy(self.seed, self.stage, step, f"mix {number}" if number else "mix"),
            beta=mixing_beta(options),
            partners=options.partners,
            labels=clean.labels if options.mix == "classmix" else None,
            classes=len(self.classes),
        )
        return Mixed(*(apply_mix(plan, tensor) for tensor in clean))

    @torch.no_grad()
    def teach(self, images: Tensor) -> ConfidentLabels:
        """Labels the clean images, in as many micro-batches as the student's."""
        parts = images.chunk(self.passes)
        taught = [likeliest(self._teacher_logits(part), self.options.confidence_from) for part in parts]
        return ConfidentLabels(*map(torch.cat, zip(*taught, strict=True)))

    def _teacher_logits(self, images: Tensor) -> Tensor:
        with self.engine.autocast():
            logits: Tensor = self.teacher.model.logits(images)
        return logits

    def crop(self, mixed: Mixed, step: int) -> Mixed:
        """Cuts what the student sees from the mixes, each from a place of its own.

        The teacher labels whole images, since it is more accurate there than on crops, and SpatialMix keeps the place
        of each part.

        Args:
            mixed: of whole images.
            step: 0-based.
        """
        height, width = mixed.labels.shape[-2:]
        crops = self.draw_crops(step, Size(width, height))
        if crops is None:
            return mixed
        return Mixed(cut(crops, mixed.images), cut_nearest(crops, mixed.labels), cut_nearest(crops, mixed.confidence))

    def augment(self, mixed: Mixed, step: int) -> Mixed:
        """Mirrors mixes and their labels; jitters and blurs only the images."""
        options = self.options
        count = len(mixed.images) * self.workers.world
        plan = plan_augment(
            count,
            random_numpy(self.seed, self.stage, step, "augment"),
            flip=options.flip,
            jitter=options.jitter,
            jitter_strength=options.jitter_strength,
            blur=options.blur,
            coins=options.coins,
        ).part(self.workers.part(count))
        images = apply_jitter(plan, apply_flip(plan, mixed.images), channels=options.jitter_channels)
        labels, confidence = apply_flip(plan, mixed.labels), apply_flip(plan, mixed.confidence)
        return Mixed(apply_blur(plan, images), labels, confidence)

    @contextlib.contextmanager
    def _patch_statistics(self) -> Iterator[None]:
        """F9: patches are normalised by their own statistics, which enter the running ones only as published."""
        if self.options.batch_norm != "mixes":
            yield
            return
        layers = batch_norms(self.student)
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum


def _patch_order(patches: PatchSet, options: AdaptOptions, seed: int, stage: str) -> Order | WeightedOrder:
    if options.patch_sampling == "uniform":
        return Order(len(patches), options.batch, seed=seed, stage=stage, purpose="patch order")
    return WeightedOrder(patches.rarity(), options.batch, seed=seed, stage=stage, purpose="patch order")


def mixing_beta(options: AdaptOptions) -> float:
    """Returns beta of the split point: the published stage has 0.25 with patches and 0.5 without."""
    if options.beta is not None:
        return options.beta
    return 0.25 if options.patches else 0.5


@dataclass(frozen=True)
class AdaptJob:
    """One round.

    Attributes:
        student: as it starts.
        material: the target's images and pseudo-labels.
        patches: the hard patches; None trains on mixes only.
        engine: device and precision.
        options: settled (`crots.training.budget`).
        run: where it writes, and how it is evaluated.
    """

    student: Model
    material: Material
    patches: PatchSet | None
    engine: Engine
    options: AdaptOptions
    run: Training


def adapt_student(job: AdaptJob, context: Context) -> Iterator[Event]:
    """Adapts the student for one round; see `crots.training.loop.train` for what it writes."""
    learner = AdaptLearner(
        job.student, job.material, job.patches, job.engine, job.options, seed=job.run.seed, stage=context.stage
    )
    yield from train(learner, job.run, context)
    if learner.learnt_nothing:
        text = (
            "the teacher was not confident enough of any pixel, and there were no hard patches, so this round learnt "
            "nothing; lower `adapt.confidence`"
        )
        yield Note(stage=context.stage, level="warning", text=text)
