"""Evaluates a student without labels while it trains, for display, choice of the checkpoint, and the alarm."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crots.arrays import Array
from crots.artefacts import stage_kind
from crots.data.spread import evenly_spread
from crots.execution.context import Context
from crots.execution.engine import Engine, evaluating
from crots.methods.alarms import everywhere
from crots.methods.scores import (
    Summary,
    agreement_beyond_chance,
    class_shares,
    collapsed_classes,
    join,
    kept,
    kept_by_class,
    score,
    summarise,
)
from crots.methods.selection import LEAST, confidence_histogram, keep_thresholds
from crots.nets.model import Model
from crots.training.balance import count_pixels
from crots.training.material import Material
from crots.training_options import TrainingOptions

IMAGES = 32
# The fewest images that still reveal a collapse.
LEAST_IMAGES = 8
# Share of a run's computation that all evaluations together may take.
_BUDGET = 0.05
# Cost of a training step per image in forward passes: teacher, student, and a backward pass that counts as two.
_FORWARDS_A_STEP = 4
# One in this many images is evaluated in four more views, so an evaluation takes two forward passes per image.
_VIEWED = 4
_PIXELS = 256
# Share of each class's pixels; of these, 94 % are labelled right.
SUREST = 0.25
_SMALLER = 0.75


def images_to_score(options: TrainingOptions, evaluations: int) -> int:
    """Returns the number of images per evaluation, so that all evaluations cost a small part of the run.

    Args:
        options: of the stage.
        evaluations: number of evaluations in the whole run, including the one at its start.
    """
    forwards = _BUDGET * options.total * options.batch * _FORWARDS_A_STEP
    return int(min(IMAGES, max(LEAST_IMAGES, forwards / (2 * max(1, evaluations)))))


class LabelFreeScores:
    """Scores a student on a few fixed target images, relative to its start and to the source.

    Args:
        student: in its initial state.
        data: the target's images, with the source's labels if they are known.
        engine: device and precision.
        context: of the stage; checked for a stop before each batch of images.
        images: greatest number of images, evenly spread.
        trained: the student is already a model of these classes. Otherwise its start is no reference, and the
            source's class shares are used instead.

    Raises:
        Stopped: the user stopped the run, here or while the student is scored.
    """

    def __init__(
        self,
        student: Model,
        data: Material,
        engine: Engine,
        context: Context,
        *,
        images: int = IMAGES,
        trained: bool = True,
    ) -> None:
        places = evenly_spread(len(data.samples), images)
        self._data = dataclasses.replace(data, samples=[data.samples[place] for place in places])
        self._count = len(places)
        self._student, self._engine, self._context = student, engine, context
        self._pseudo_labels = confident_labels(self._data) if data.pseudo_labels else None
        # Labels of one class alone fit other images as well.
        self._alike = self._count == 1 or (data.pseudo_labels is not None and self._of_one_class())
        nothing: tuple[Array, Array] = (np.empty(0), np.empty(0))
        self._surest, sure = surest_labels(self._data) if data.pseudo_labels else nothing
        self._sure = torch.from_numpy(sure).to(engine.device)
        engine.place(student)
        self._start = self._evaluate(None)
        self._trained = trained
        if not trained and self._pseudo_labels is not None:
            self._start = self._start._replace(shares=self._source_shares())

    @torch.inference_mode()
    def _evaluate(self, teacher: Model | None) -> Summary:
        # The same seed for every call, since `agreement` compares the same pixels.
        generator = torch.Generator().manual_seed(0)
        batch = self._engine.batch(0)
        summaries: list[Summary] = []
        with evaluating(self._student, *([teacher] if teacher else [])), self._engine.autocast():
            for first in range(0, self._count, batch):
                self._context.control.check()
                places = range(first, min(first + batch, self._count))
                images = self._engine.images(self._data.images(places))
                summaries.append(self._summary(images, places, teacher, generator))
        return join(summaries)

    def _summary(self, images: Tensor, places: range, teacher: Model | None, generator: torch.Generator) -> Summary:
        logits = self._student.logits(images)
        summary, labels = summarise(logits, _PIXELS, generator), logits.argmax(dim=1)
        if self._pseudo_labels is not None:
            ignore = self._student.classes.ignore
            own, others = (self._source_labels(places, shift) for shift in (0, 1))
            surest = self._engine.labels(self._surest[places.start : places.stop])
            by_class = kept_by_class(labels, surest, len(self._student.classes))
            sure = self._sure.expand(len(places), -1)
            summary = summary._replace(source=kept(labels, own, ignore), surest=by_class, sure=sure)
            summary = summary if self._alike else summary._replace(others=kept(labels, others, ignore))
        chosen = [row for row, place in enumerate(places) if place % _VIEWED == 0]
        if not chosen:
            none = torch.empty(0, device=labels.device)
            return summary._replace(flip=none, scale=none, colour=none, teacher=none)
        return self._views(summary, images[chosen], labels[chosen], teacher)

    def _source_labels(self, places: range, shift: int) -> Tensor:
        assert self._pseudo_labels is not None
        return self._engine.labels(
            np.stack([self._pseudo_labels[(place + shift) % len(self._pseudo_labels)] for place in places])
        )

    def _of_one_class(self) -> bool:
        pixels = count_pixels(self._data.labels, range(self._count), len(self._student.classes)).sum(axis=0)
        return everywhere(pixels.tolist()) is not None

    def _source_shares(self) -> Tensor:
        assert self._pseudo_labels is not None
        labels = self._engine.labels(self._data.labels(range(self._count)))
        return torch.stack([class_shares(image, len(self._student.classes)) for image in labels])

    def _views(self, summary: Summary, images: Tensor, labels: Tensor, teacher: Model | None) -> Summary:
        """Adds the agreement of the labels (n, H, W) of images (n, 3, H, W) with other views and with the teacher."""
        size, classes = (images.shape[-2], images.shape[-1]), len(self._student.classes)
        none = torch.empty(0, device=labels.device)

        def stable(view: Tensor, *, mirrored: bool = False) -> Tensor:
            seen = self._student.logits(view, size).argmax(dim=1)
            return agreement_beyond_chance(labels, seen.flip(2) if mirrored else seen, classes)

        info = self._student.info
        smaller = None if info.fixed else _smaller(size, info.multiple)
        return summary._replace(
            flip=stable(images.flip(3), mirrored=True),
            scale=stable(_resized(images, smaller)) if smaller else none,
            colour=stable(_in_other_light(images)),
            teacher=kept(labels, teacher.logits(images).argmax(dim=1)) if teacher else none,
        )

    def __call__(self, teacher: Model | None = None) -> tuple[dict[str, float], dict[str, str]]:
        """Scores the student in its current state.

        Args:
            teacher: its moving average, if there is one.

        Returns:
            The scores by name, and a message for each vanishing class, by class name.
        """
        now = self._of_several_classes(self._evaluate(teacher))
        lost = collapsed_classes(self._start.shares.mean(dim=0), now.shares.mean(dim=0))
        values = score(now, self._start)
        present = int((self._start.shares.mean(dim=0) >= _PRESENT).sum())
        if not self._trained:
            del values["agreement"]
        values["classes kept"] = 1.0 - len(lost) / max(1, present)
        return values, {self._student.classes.names[number]: self._vanishing(number, now) for number in lost}

    def _of_several_classes(self, summary: Summary) -> Summary:
        """Leaves out the views of images that showed one class alone at the start.

        Beyond chance no two views of these agree, however well the model knows them: many tiles of aerial images would
        look as if nothing was recognised in them.
        """
        several = self._start.shares[::_VIEWED].amax(dim=1) < _ONE_CLASS
        flip, scale, colour = (
            values[several] if len(values) else values for values in (summary.flip, summary.scale, summary.colour)
        )
        return summary._replace(flip=flip, scale=scale, colour=colour)

    def _vanishing(self, number: int, now: Summary) -> str:
        name = self._student.classes.names[number]
        before, after = (float(summary.shares.mean(dim=0)[number]) for summary in (self._start, now))
        # The baseline learns no patches.
        patches = " or raise `adapt.patch_weight`" if stage_kind(self._context.stage) == "adapt" else ""
        return (
            f"class {name} is vanishing: predicted on {before:.2%} of the pixels at the start and on {after:.2%} now; "
            f"if these predictions were right, stop and lower the learning rate{patches}"
        )


# Share of predicted pixels: a class with less at the start is not reported as vanishing.
_PRESENT = 1e-4
# Likewise: an image in which a class has more shows no other.
_ONE_CLASS = 0.99


def confident_labels(material: Material) -> Array:
    """Returns the source's labels (N, H, W) of images, with ``ignore`` where its confidence is below the median.

    Half of the pixels rather than a fixed threshold, since the confidences of sources differ.

    Raises:
        InputError: the labels have another size than the images.
    """
    labels = material.pseudo_labels
    assert labels is not None
    maps = material.labels(range(len(material.samples)))
    if labels.confidence is None:
        return maps
    confidence = material.confidence(range(len(material.samples)))
    counted = maps != labels.classes.ignore
    if counted.any():
        maps = np.where(confidence >= np.median(confidence[counted]), maps, labels.classes.ignore).astype(maps.dtype)
    return maps


def surest_labels(material: Material, share: float = SUREST) -> tuple[Array, Array]:
    """Returns the source's labels of images where it is surest, by class, and the classes of which it is sure.

    The surest half of all pixels hardly holds any of the rare classes; this holds as large a part of each.

    Args:
        material: with pseudo-labels; all count where the source gave no confidence.
        share: of each class's pixels.

    Returns:
        (N, H, W) labels with ``ignore`` where the source is not among the surest of a class; and (K,) bool, false where
        even these pixels are doubtful, as many may be wrong.

    Raises:
        InputError: the labels have another size than the images.
    """
    labels = material.pseudo_labels
    assert labels is not None
    indices = range(len(material.samples))
    maps = material.labels(indices)
    classes = len(labels.classes)
    if labels.confidence is None:
        return maps, np.ones(classes, bool)
    confidence = material.confidence(indices)
    least = keep_thresholds(confidence_histogram(maps, confidence, classes), share)
    known = maps < classes
    surest = known & (confidence >= least[np.where(known, maps, 0)])
    return np.where(surest, maps, labels.classes.ignore).astype(maps.dtype), least >= LEAST


def _smaller(size: tuple[int, int], multiple: int) -> tuple[int, int] | None:
    """A smaller size that the net accepts, perhaps in one direction only; None if there is none."""
    sides = tuple(max(1, round(_SMALLER * side / multiple)) * multiple for side in size)
    good = sides != size and all(side / 2 <= small <= side for small, side in zip(sides, size, strict=True))
    return (sides[0], sides[1]) if good else None


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=True)


def _in_other_light(images: Tensor) -> Tensor:
    """Less contrast and warmer colours: a change within the range of a camera's white balance."""
    tint = torch.tensor([12.0, 0.0, -12.0], device=images.device).view(1, 3, 1, 1)
    return ((images.float() - 127.5) * 0.8 + 127.5 + tint).clamp(0, 255)
