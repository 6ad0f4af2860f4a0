"""Simpler ways to adapt, to compare the method with: batch-norm statistics, Tent, plain self-training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from crots.arrays import Array
from crots.artefacts import STUDENT
from crots.events import Event
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.methods.batch_norm import forget_statistics, mean_entropy, train_affine_only
from crots.methods.ema import Teacher
from crots.nets.model import Model
from crots.project import Project
from crots.stages.adapt import AdaptLearner, Mixed
from crots.stages.project_stages import open_material
from crots.stages.workbench import Workbench
from crots.training.learner import Figures, Learner
from crots.training.loop import Training, train
from crots.training.material import Material
from crots.training_options import AdaptOptions


class ImagesLearner(Learner):
    """Learns from unmixed images, in the order of `AdaptLearner`."""

    options: AdaptOptions

    def __init__(
        self, student: Model, data: Material, engine: Engine, options: AdaptOptions, *, seed: int, stage: str
    ) -> None:
        super().__init__(student, engine, options, len(data.samples), seed=seed, stage=stage)
        self._data = data

    def load(self, step: int) -> Array:
        """Reads the images (N, H, W, 3) of a step."""
        return self._data.images(self.order.batch(step))


class StatisticsLearner(ImagesLearner):
    """Re-estimates the batch-norm statistics on target images; no weight changes."""

    def __init__(
        self, student: Model, data: Material, engine: Engine, options: AdaptOptions, *, seed: int, stage: str
    ) -> None:
        forget_statistics(student.net)
        super().__init__(student, data, engine, options, seed=seed, stage=stage)

    @torch.no_grad()
    def step(self, step: int, data: Array, rate: float) -> Figures:
        """One forward pass in train mode."""
        self.student.train()
        with self.engine.autocast():
            logits = self.student(self.engine.images(data))
        return {"entropy": mean_entropy(logits)}


class TentLearner(ImagesLearner):
    """Minimises the entropy of the predictions by batch norm's scale and shift alone.

    Tent was made for a stream of test batches whose statistics it uses; here it has a training budget, so the running
    statistics that the model is scored with follow the batches, as in every other method of the comparison.
    """

    def __init__(
        self, student: Model, data: Material, engine: Engine, options: AdaptOptions, *, seed: int, stage: str
    ) -> None:
        train_affine_only(student.net)
        super().__init__(student, data, engine, options, seed=seed, stage=stage)

    def step(self, step: int, data: Array, rate: float) -> Figures:
        """One step down the entropy of a batch, in as many parts as ``accumulate`` says."""
        self.student.train()
        images, parts = self.engine.images(data), self.passes
        total = torch.zeros((), device=images.device)
        for part in images.chunk(parts):
            with self.engine.autocast():
                logits = self.student.logits(part)
            loss = mean_entropy(logits) / parts
            self.optimiser.backward(loss)
            total += loss.detach()
        self.optimiser.apply(rate)
        return {"entropy": total}


class SelfTrainingLearner(AdaptLearner):
    """Learns the confident hard labels of the model that the round starts from; no mixing, no moving average.

    The rest is set by options: pixels below ``confidence`` have no weight, and there are no patches.
    """

    def __init__(
        self, student: Model, data: Material, engine: Engine, options: AdaptOptions, *, seed: int, stage: str
    ) -> None:
        super().__init__(student, data, None, engine, options, seed=seed, stage=stage)
        self.teacher = _Standing(student)
        self.keeps_ema = False

    def mix(self, images: Tensor, step: int) -> Mixed:
        """The clean images with the labels and confidence of the round's start."""
        return Mixed(images.float(), *self.teach(images))


class _Standing(Teacher[Model]):
    """A teacher that is never updated."""

    def follow(self, student: torch.nn.Module, step: int) -> None:
        """Does nothing."""


LEARNERS: dict[str, type[ImagesLearner] | type[SelfTrainingLearner]] = {
    "statistics": StatisticsLearner,
    "tent": TentLearner,
    "self-training": SelfTrainingLearner,
}


def run_rival(name: str, project: Project, bench: Workbench, context: Context, *, from_source: bool) -> Iterator[Event]:
    """Runs one round of a method of `LEARNERS` in place of the stage ``adapt-N``; the last step is kept.

    Args:
        name: of the learner.
        project: the branch that gets the result.
        bench: of its configuration.
        context: the stage is the round's key.
        from_source: start from the student's own starting weights instead of the round before.

    Raises:
        InputError: the method does not work with this network.
    """
    options = bench.config.adapt
    before = project.upstream(context.stage)[0]
    student = bench.new_student() if from_source else bench.load_student(project.stage_folder(before) / STUDENT)
    bench.check_training(student, options, [bench.size])
    seed = bench.config.runtime.seed
    data = open_material(project, bench).tiled(bench.tiling)
    learner = LEARNERS[name](student, data, bench.engine, options, seed=seed, stage=context.stage)
    run = Training(folder=project.work_folder(context.stage), seed=seed, notes=tuple(bench.notes))
    return train(learner, run, context)
