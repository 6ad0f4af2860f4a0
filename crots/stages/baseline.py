"""Cross-domain distillation: the student learns the source's pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crots.arrays import Array
from crots.config import Size
from crots.events import Event, Note
from crots.execution.context import Context
from crots.execution.draws import random_numpy
from crots.execution.engine import Engine
from crots.methods.alarms import surest_lost
from crots.methods.augment import apply_blur, apply_jitter, plan_augment
from crots.methods.ema import average_with, copied_weights
from crots.methods.mixing import apply_mix, plan_mix
from crots.methods.patches import drop_unsure
from crots.methods.scores import LEAST_OF_CLASS, SOUND_OF_CLASS
from crots.methods.selection import keep_thresholds, learnt_thresholds, left_out_weight, rank_table, ranks
from crots.nets.model import Model
from crots.ownership import remove_tree
from crots.training.balance import sampled
from crots.training.label_free import SUREST
from crots.training.loop import REFRESHED, Training, train
from crots.training.material import Material
from crots.training.mixing import mix_in_groups
from crots.training.refresh import Refreshed, make_refreshed, refreshed_folder, source_histogram
from crots.training.supervised import SupervisedLearner
from crots.training_options import BaselineOptions


class BaselineLearner(SupervisedLearner):
    """Trains on pseudo-labels: the most confident of each class, refreshed at times with what the student has learnt.

    Args:
        student: as it starts.
        material: the target's images and pseudo-labels.
        engine: device and precision.
        options: settled (`crots.training.budget`).
        folder: of the stage, for refreshed labels; without one they are never refreshed.
        trained: the student starts as a model of these classes.
        seed: of the run.
        stage: its key.
    """

    options: BaselineOptions

    def __init__(
        self,
        student: Model,
        material: Material,
        engine: Engine,
        options: BaselineOptions,
        *,
        folder: Path | None = None,
        trained: bool = False,
        seed: int,
        stage: str,
    ) -> None:
        super().__init__(student, engine, options, len(material.samples), trained=trained, seed=seed, stage=stage)
        self._material, self._folder = material, folder
        self.refreshes = refresh_steps(options) if folder and options.keep_ema else ()
        self._least: float | Array = options.min_confidence
        self.unsure_weight = options.unsure_weight or 0.0
        if options.keep_share < 1 or self.refreshes:
            pixels = source_histogram(material, sampled(self.images), len(self.classes))
            self._source_ranks = rank_table(pixels)
            self._surest = keep_thresholds(pixels, SUREST)
            # A trained student does better without the less confident labels, even where their confidence is high.
            thresholds = (keep_thresholds if trained else learnt_thresholds)(pixels, options.keep_share)
            self._least = np.maximum(thresholds, np.float32(options.min_confidence))
            if options.unsure_weight is None:
                self.unsure_weight = left_out_weight(pixels)
        self._refreshed: dict[int, Refreshed] = {}
        self._start = copied_weights(student.net) if trained and options.guard else {}
        self.balance(self.read_labels)

    def read_images(self, indices: Sequence[int]) -> Array:
        """Reads target images."""
        return self._material.images(indices)

    def read_labels(self, indices: Sequence[int], step: int = 0) -> Array:
        """Reads pseudo-labels without those of low confidence; after a refresh, fused with its labels."""
        if refreshed := self._last_refreshed(step):
            return np.stack([self._fused(index, refreshed) for index in indices])
        return self._material.labels(indices, min_confidence=self._least)

    def read_weighted(self, indices: Sequence[int], step: int) -> tuple[Array, Array | None]:
        """Reads labels; where `read_labels` has none, the source's label with a smaller weight."""
        if not self.unsure_weight or (self.options.keep_share == 1 and not self.refreshes):
            return self.read_labels(indices, step), None
        source = self._material.labels(indices, min_confidence=self.options.min_confidence)
        if self._last_refreshed(step):
            sure = self.read_labels(indices, step)
        else:
            # As `read_labels`, without reading the source's labels a second time.
            sure = drop_unsure(source, self._material.confidence(indices), self._least, self.classes.ignore)
        left_out = sure == self.classes.ignore
        weights = np.where(left_out, np.float32(self.unsure_weight), np.float32(1))
        return np.where(left_out, source, sure), weights

    def _last_refreshed(self, step: int) -> Refreshed | None:
        """Returns the labels of the last refresh before a step that was not undone."""
        made = (self._labels_of(number) for number, refresh in enumerate(self.refreshes) if refresh <= step)
        return next((labels for labels in reversed(list(made)) if not labels.undone), None)

    def _labels_of(self, number: int) -> Refreshed:
        if number not in self._refreshed:
            found = Refreshed.open(self._place(number))
            assert found is not None, "the loop makes the labels before the steps that read them"
            self._refreshed[number] = found
        return self._refreshed[number]

    def _lost(self, before: Sequence[Array], after: Sequence[Array], indices: Sequence[int]) -> str:
        """Describes how many of the source's most confident pixels a refresh would change; empty if few.

        Pixels that are left out teach nothing wrong, and do not count.
        """
        classes = len(self.classes)
        counts = np.zeros((2, 2, classes))
        for index, labels in zip(indices, zip(before, after, strict=True), strict=True):
            source, confidence = self._material.labels([index])[0], self._material.confidence([index])[0]
            known = source < classes
            sure = known & (confidence >= self._surest[np.where(known, source, 0)])
            for row, predicted in zip(counts, labels, strict=True):
                held = sure & (predicted[0] != self.classes.ignore)
                row[0] += np.bincount(source[held & (predicted[0] == source)], minlength=classes)[:classes]
                row[1] += np.bincount(source[held], minlength=classes)[:classes]
        shares = counts[:, 0] / np.maximum(counts[:, 1], 1)
        lost, pixels = shares[0] - shares[1], counts[:, 1].min(axis=0)
        counted, sound = pixels >= LEAST_OF_CLASS, pixels >= SOUND_OF_CLASS
        mean, worst = float(lost[counted].mean()) if counted.any() else 0.0, float(lost[sound].max(initial=0.0))
        return surest_lost(mean, worst)

    def _fused(self, index: int, refreshed: Refreshed) -> Array:
        key = self._material.samples[index].key
        source, confidence = self._material.labels([index])[0], self._material.confidence([index])[0]
        own_ranks = ranks(source, confidence, self._source_ranks)
        return refreshed.fused(key, source, own_ranks, self._material.repainted(index), self.classes.ignore)

    def _place(self, number: int) -> Path:
        assert self._folder is not None
        return refreshed_folder(self._folder, number)

    def refresh(self, number: int, check: Callable[[], None]) -> str:
        """Labels all images with the moving average; see `Learner.refresh`."""
        assert self.teacher is not None
        place = self._place(number)
        if self.workers.from_first(lambda: Refreshed.open(place) is None):
            make_refreshed(self.teacher.model, self._material, self.engine, place, check)
        indices, step = sampled(self.images), self.refreshes[number]
        before = [self.read_labels([index], step - 1) for index in indices]
        after = [self.read_labels([index], step) for index in indices]
        if lost := self._labels_of(number).undone or self._lost(before, after, indices):
            self.workers.from_first(lambda: self._labels_of(number).undo(lost))
            del self._refreshed[number]
            return f"labels refreshed at step {step} are not used: {lost}"
        ignore = self.classes.ignore
        kept = float(np.mean([(labels != ignore).mean() for labels in after]))
        both = [(old != ignore) & (new != ignore) for old, new in zip(before, after, strict=True)]
        changed = sum(int((old != new)[mask].sum()) for old, new, mask in zip(before, after, both, strict=True))
        counted = max(1, sum(int(mask.sum()) for mask in both))
        return f"labels refreshed at step {step}: {kept:.0%} of the pixels have one, {changed / counted:.1%} changed"

    def average(self, *, went_back: bool) -> bool:
        """Averages a student that went back with its start, if that was trained; see `Learner.average`.

        What the later checkpoints are warned of has begun earlier.
        """
        if not went_back or not self._start:
            return False
        average_with(self.student.net, self._start, 0.5)
        return True

    def settle(self) -> None:
        """Keeps the moving average; refreshed labels are no longer needed."""
        super().settle()
        if folder := self._folder:
            self.workers.from_first(lambda: remove_tree(folder / REFRESHED))

    def mix(self, clean: Sequence[Tensor], step: int) -> Sequence[Tensor]:
        """Mixes a share of the images with others of their group, with their labels and weights."""
        options, images = self.options, clean[0]
        if options.mix == "none" or not options.mix_share:
            return clean

        def mix(group: Sequence[Tensor], number: int) -> Sequence[Tensor]:
            rng = random_numpy(self.seed, self.stage, step, f"mix {number}")
            size = Size(images.shape[-1], images.shape[-2])
            plan = plan_mix(options.mix, len(group[0]), size, rng, labels=group[1], classes=len(self.classes))
            chosen = torch.from_numpy(rng.random(len(group[0])) < options.mix_share).to(images.device)
            return [
                torch.where(chosen.view(-1, *[1] * (tensor.dim() - 1)), apply_mix(plan, tensor), tensor)
                for tensor in group
            ]

        return mix_in_groups(self.workers, clean, mix)

    def augment(self, images: Tensor, step: int) -> Tensor:
        """Jitters the colours and blurs."""
        options, count = self.options, len(images) * self.workers.world
        plan = plan_augment(
            count,
            random_numpy(self.seed, self.stage, step, "jitter"),
            jitter=options.jitter,
            blur=options.blur,
        ).part(self.workers.part(count))
        return apply_blur(plan, apply_jitter(plan, images))


def refresh_steps(options: BaselineOptions) -> tuple[int, ...]:
    """Returns the steps before which labels are refreshed: evenly from 40 to 80 % of the run."""
    if not options.refresh or options.total < 2:
        return ()
    shares = np.linspace(0.4, 0.8, options.refresh) if options.refresh > 1 else np.array([0.6])
    steps = {round(share * options.total) for share in shares.tolist()}
    return tuple(sorted(step for step in steps if 0 < step < options.total))


@dataclass(frozen=True)
class BaselineJob:
    """One run of the stage.

    Attributes:
        student: as it starts.
        material: the target's images and pseudo-labels.
        engine: device and precision.
        options: settled (`crots.training.budget`).
        run: where it writes, and how it is evaluated.
        trained: the student starts as a model of these classes.
    """

    student: Model
    material: Material
    engine: Engine
    options: BaselineOptions
    run: Training
    trained: bool = False


def distil_student(job: BaselineJob, context: Context) -> Iterator[Event]:
    """Distils the pseudo-labels into the student; see `crots.training.loop.train` for what it writes.

    Raises:
        InputError: the options contradict each other.
    """
    job.options.check()
    learner = BaselineLearner(
        job.student, job.material, job.engine, job.options,
        folder=job.run.folder, trained=job.trained, seed=job.run.seed, stage=context.stage,
    )  # fmt: skip
    if learner.unsure_weight and job.options.unsure_weight is None:
        what = "the source is confident in all its classes, so its less confident labels are learnt too"
        yield Note(stage=context.stage, text=f"{what}, with a weight of {learner.unsure_weight:g}")
    yield from train(learner, job.run, context)
