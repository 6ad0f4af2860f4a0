"""The base of all learners: optimiser, learning rate, order of images, crops, class weights."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from crots.config import Size
from crots.data.crops import Crops, draw_windows
from crots.execution.batches import passes
from crots.execution.draws import random_numpy
from crots.execution.engine import Engine
from crots.execution.workers import Workers
from crots.methods.batch_norm import batch_norms
from crots.methods.ema import Teacher
from crots.methods.losses import pad_to_multiple, weighted_cross_entropy
from crots.methods.schedule import learning_rate
from crots.nets.model import Model
from crots.training.balance import ReadLabels, class_weights, count_pixels, sampled
from crots.training.optimiser import Optimiser
from crots.training.order import Order
from crots.training_options import TrainingOptions

Figures = Mapping[str, Tensor]
State = dict[str, Any]


class Learner(ABC):
    """The student of a training stage, perhaps with a teacher, and one optimiser step.

    Attributes:
        student: the model that is scored and exported.
        teacher: moving average of the student's weights, if there is one.
        keeps_ema: the teacher's weights are scored and kept instead of the student's.
        refreshes: steps before which `refresh` renews the labels.
        optimiser: of the student.
        engine: device and precision.
        images: number of images, the length of an epoch.
        workers: take each step together; each processes its part of the batch.
        passes: micro-batches that this worker's part is split into.
        classes: of the student's logits.
        options: of the stage.
        seed: of the run; with stage and step it seeds every draw.
        stage: name of the stage.
        order: order in which images are visited.
        class_weights: (K,) class weights of the loss; None weights all classes equally.
    """

    teacher: Teacher[Model] | None = None
    keeps_ema = False
    refreshes: tuple[int, ...] = ()
    class_weights: Tensor | None = None

    def __init__(
        self, student: Model, engine: Engine, options: TrainingOptions, images: int, *, seed: int, stage: str
    ) -> None:
        self.student, self.engine, self.options, self.images = student, engine, options, images
        self.seed, self.stage = seed, stage
        self.order = Order(images, options.batch, seed=seed, stage=stage)
        self.classes = student.classes
        self.workers = engine.workers
        self.passes = passes(options.batch, options.accumulate, self.workers.world)
        engine.place(student)
        self.optimiser = Optimiser(student, options, engine)

    @abstractmethod
    def load(self, step: int) -> Any:
        """Reads the data of a step; runs in other threads, uses no device, draws from the step's own generator."""

    @abstractmethod
    def step(self, step: int, data: Any, rate: float) -> Figures:
        """Takes one optimiser step (0-based).

        Returns:
            Its metrics as scalar tensors on the device; of several workers, each one's share.
        """

    def align(self) -> None:
        """Gives all workers the same weights, and batch norm over the global batch if the device supports it."""
        self.workers.align(self.student.net)
        if self.teacher:
            self.workers.align(self.teacher.model.net)

    def set_modes(self) -> None:
        """Puts the student in train mode, but for batch norm where it is frozen."""
        self.student.train()
        if self.options.frozen:
            for layer in batch_norms(self.student):
                layer.eval()

    def accumulate(
        self, images: Tensor, labels: Tensor, weights: Tensor | None = None, *, factor: float = 1.0
    ) -> Tensor:
        """Adds the gradient of ``factor`` times the mean cross-entropy, in micro-batches.

        Args:
            images: (N, 3, H, W), this worker's; padded to what the network needs.
            labels: (N, H, W).
            weights: of the loss, () of the batch, (N,) of each image or (N, H, W) of each pixel; None is 1.
            factor: of the gradient.

        Returns:
            The loss without the factor; of several workers, this one's share of it.
        """
        parts, ignore = self.passes, self.classes.ignore
        total = torch.zeros((), device=images.device)
        by_image = weights is not None and weights.dim() == 1
        counted = shares(labels, parts, ignore, by_image=by_image, workers=self.workers)
        for index, (part, truth) in enumerate(zip(images.chunk(parts), labels.chunk(parts), strict=True)):
            weight = weights if weights is None or weights.dim() == 0 else weights.chunk(parts)[index]
            padded, _ = pad_to_multiple(part, None, self.student.info.multiple, ignore)
            with self.engine.autocast():
                logits = self.student.logits(padded)
            if padded is not part:
                logits = logits[..., : part.shape[-2], : part.shape[-1]]
            loss = weighted_cross_entropy(logits, truth, weight, ignore, self.class_weights) * counted[index]
            self.optimiser.backward(factor * loss)
            total += loss.detach()
        return total

    def exchange(self) -> None:
        """Adds up the gradients of all workers, before the optimiser takes its step."""
        self.workers.sum_gradients(self.student.net)
        self.workers.share_statistics(self.student.net)
        if self.teacher:
            self.workers.share_statistics(self.teacher.model.net)

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        epoch = max(1, self.images // self.options.batch)
        options = self.options
        return learning_rate(step, options.total, options.rate, options.schedule, epoch, warm_up=options.warm_up)

    @property
    def crops(self) -> bool:
        """Whether the student is trained on crops."""
        return self.options.crop is not None or self.options.scale != 1

    def balance(self, read_labels: ReadLabels) -> None:
        """Computes class weights (`TrainingOptions.balance`) from the training labels."""
        options, classes = self.options, len(self.classes)
        if options.balance:
            counts = count_pixels(read_labels, sampled(self.images), classes).sum(axis=0)
            self.class_weights = self.engine.floats(class_weights(counts, options.balance))

    def begin(self, check: Callable[[], None]) -> None:  # noqa: B027 - few stages have anything to prepare
        """Prepares the first step, with the weights that the stage starts from; a resumed run restores the result.

        Args:
            check: raises `Stopped` if the user stopped the run.
        """

    def choose(self, step: int) -> Sequence[int]:
        """Chooses this worker's images of a step, by index."""
        return self.order.batch(step)[self.workers.part(self.options.batch)]

    def draw_crops(self, step: int, size: Size) -> Crops | None:
        """Draws where to crop this worker's images of a step; None if whole images are used.

        Args:
            step: 0-based.
            size: of the images.
        """
        if not self.crops:
            return None
        crop, part = self.options.crop or size, self.workers.part(self.options.batch)
        rng = random_numpy(self.seed, self.stage, step, "crop")
        return Crops(draw_windows(self.options.batch, size, crop, self.options.scale, rng)[part], crop)

    def average(self, *, went_back: bool) -> bool:
        """Averages the student's weights with the stage's start where the stage does so; returns whether it did.

        Args:
            went_back: the student is not the last one, since later ones have warnings.
        """
        return False

    def refresh(self, number: int, check: Callable[[], None]) -> str:
        """Renews the labels for the following steps, and describes what changed.

        An interrupted refresh continues with the labels that it had made.

        Args:
            number: index in `refreshes`.
            check: raises `Stopped` if the user stopped the run.
        """
        raise NotImplementedError

    @contextlib.contextmanager
    def as_kept(self) -> Iterator[None]:
        """Within a block, gives the student the weights that would be kept now: its own, or the moving average's."""
        if not self.keeps_ema or self.teacher is None:
            yield
            return
        swap_weights(self.student.net, self.teacher.model.net)
        try:
            yield
        finally:
            swap_weights(self.student.net, self.teacher.model.net)

    def settle(self) -> None:
        """At the end of the stage, gives the student the weights that are kept."""
        if self.keeps_ema and self.teacher is not None:
            self.student.net.load_state_dict(self.teacher.model.net.state_dict())

    def state_dict(self) -> State:
        """Everything that a resumed run needs; no generator state, since each step is seeded by itself."""
        return {**self.weights(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restores the output of `state_dict`."""
        self.load_weights(state)
        self.optimiser.load_state_dict(state["optimiser"])

    def weights(self) -> State:
        """Weights of student and teacher, under the network's own keys."""
        teacher = self.teacher.model.net.state_dict() if self.teacher else None
        return {"student": self.student.net.state_dict(), "teacher": teacher}

    def load_weights(self, state: State) -> None:
        """Restores the output of `weights`."""
        self.student.net.load_state_dict(state["student"])
        if self.teacher:
            self.teacher.model.net.load_state_dict(state["teacher"])


def swap_weights(one: nn.Module, other: nn.Module) -> None:
    """Exchanges the parameters and buffers of two networks of one architecture; nothing is copied."""
    for first, second in zip((*one.parameters(), *one.buffers()), (*other.parameters(), *other.buffers()), strict=True):
        first.data, second.data = second.data, first.data


def shares(
    labels: Tensor, parts: int, ignore: int, *, by_image: bool = False, workers: Workers | None = None
) -> Tensor:
    """Returns the weight of each part's mean loss, so that the weighted sum is the mean loss of the global batch.

    Args:
        labels: (N, H, W), this worker's.
        parts: number of equal micro-batches.
        ignore: label of pixels without a loss.
        by_image: the loss is a mean over images, not over pixels.
        workers: hold the parts of the global batch.

    Returns:
        (parts,) float32.
    """
    workers = workers or Workers()
    if by_image:
        return torch.full((parts,), 1.0 / (parts * workers.world), device=labels.device)
    counts = torch.stack([(part != ignore).sum() for part in labels.chunk(parts)])
    return counts / workers.sum(counts.sum()).clamp(min=1)
