"""Options of training: what all training stages share, and what the baseline, `crots train` and the adaptation add.

As in `crots.options`, defaults are the profile ``recommended`` and ``published=`` gives the published code's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from crots.config import Size, option
from crots.errors import InputError

# How a student starts: as a model of its classes, from an encoder's weights, or from none.
Start = Literal["trained", "pretrained", "random"]

# Why no round follows the baseline of a student that starts afresh (docs/results.md).
NO_ROUND = (
    "a student that did not start as a model of these classes gains nothing from a round; `adapt.stop_rounds` = false "
    "runs it anyway"
)

_BALANCE = "Weight classes by their frequency to this power, so that rare ones count more; 0 is off"


@dataclass(frozen=True)
class TrainingOptions:
    """What all training stages share.

    Attributes:
        REMOVED: options of earlier versions that measured no gain, with the figure.
    """

    REMOVED: ClassVar[Mapping[str, str]] = {
        "rare_crops": "since it cost 1.7 points of mIoU on CamVid",
        "anchor": "since it cost 2.6 points of mIoU on CamVid",
    }

    steps: int = option(
        0,
        "Optimiser steps; the schedule spans them. 0 fits them to the number of images and the start.",
        low=0,
        high=10**8,
        unit="steps",
        published=4000,
    )
    batch: int = option(
        6, "Images per optimiser step: the global batch size.", low=1, high=4096, published=4, title="Batch size"
    )
    accumulate: int = option(
        1,
        "Forward and backward passes that a step's images are split into.",
        low=1,
        high=4096,
        title="Accumulation passes",
    )
    optimiser: Literal["adam", "adamw"] = option(
        "adamw",
        "Optimiser; adamw decouples weight decay from the gradient and exempts norms and biases from it.",
        published="adam",
    )
    learning_rate: float | None = option(1e-4, "Peak learning rate of the encoder.", low=0, high=10)
    head_rate: float = option(
        5.0,
        "Learning rate of the head as a multiple of the encoder's.",
        low=0.01,
        high=1000,
        published=1.0,
        title="Learning-rate factor of the head",
    )
    warm_up: float = option(
        0.05,
        "Share of the steps in which the learning rate rises to its peak.",
        low=0,
        high=0.9,
        published=0.0,
        title="Warm-up share",
    )
    weight_decay: float = option(0.01, "Weight decay; with adam it is an L2 penalty.", low=0, high=1, published=0.0)
    clip: float = option(
        1.0,
        "Gradient clipping: maximum norm of the gradient; 0 is off.",
        low=0,
        high=10**6,
        published=0.0,
        title="Gradient clipping",
    )
    keep_ema: bool = option(
        True,
        "Score and keep the moving average of the student's weights (EMA) instead of its last weights.",
        published=False,
        title="Keep the moving average",
    )
    ema_decay: float | None = option(
        None,
        "Final decay of the moving average, a round's teacher; none is 1 - 10 / steps, within 0.98 to 0.9995.",
        low=0,
        high=1,
        published=0.99,
        title="EMA decay",
    )
    crop: Size | None = option(
        None,
        "Train on random crops of this size; none trains on whole images, but on a CPU on crops of large ones, unless "
        "scale is 1.",
        low=8,
        unit="px",
        title="Crop size",
    )
    scale: float = option(
        1.5,
        "Maximum factor by which crops are enlarged or shrunk at random; 1 is off.",
        low=1,
        high=4,
        published=1.0,
        title="Crop scaling",
    )
    balance: float | None = option(0.0, f"{_BALANCE}.", low=0, high=1)
    schedule: Literal["cosine", "poly", "constant", "restarts"] = option(
        "cosine",
        "Learning-rate curve; restarts is the published cosine of 10 epochs that rises again.",
        fault="F14",
        published="restarts",
        title="Learning-rate schedule",
    )
    log_every: int = option(
        10, "Steps between two records of the metrics.", low=1, high=10**6, unit="steps", affects_result=False
    )
    checkpoint_every: int = option(
        200, "Steps between two checkpoints.", low=1, high=10**7, unit="steps", affects_result=False
    )
    validate_every: int = option(
        0,
        "Steps between two evaluations: label-free scores, and validation if labels were given; 0 is ten per run.",
        low=0,
        high=10**7,
        unit="steps",
        affects_result=False,
    )

    @property
    def total(self) -> int:
        """Steps of the run; `crots.training.budget` computes them if the options leave them to the data."""
        if not self.steps:
            raise ValueError("the number of steps is not computed yet")
        return self.steps

    @property
    def rate(self) -> float:
        """Peak learning rate; computed as `total` is."""
        if self.learning_rate is None:
            raise ValueError("the learning rate is not computed yet")
        return self.learning_rate

    @property
    def decay(self) -> float:
        """Decay of the moving average; by default it averages over about a tenth of the run."""
        return min(0.9995, max(0.98, 1 - 10 / self.total)) if self.ema_decay is None else self.ema_decay

    # Not every training stage has these options.

    @property
    def guarded(self) -> bool:
        """Whether a serious alarm stops the stage."""
        return False

    @property
    def selection(self) -> Literal["last", "label-free", "oracle"]:
        """Which checkpoint the stage keeps."""
        return "last"

    @property
    def kept_by_evaluations(self) -> bool:
        """Whether the checkpoint that the stage keeps depends on when it was evaluated."""
        return self.guarded or self.selection != "last"

    @property
    def frozen(self) -> bool:
        """Whether batch norm is frozen."""
        return False

    def check(self) -> None:
        """Refuses options that contradict each other.

        Raises:
            InputError: with the reason.
        """
        if self.batch % self.accumulate:
            raise InputError(
                f"batch {self.batch} cannot be split into {self.accumulate} equal parts; choose accumulate so that it "
                "divides the batch",
                field="accumulate",
            )


def _guard() -> Any:
    help = "Stop at a serious alarm and go back to the best healthy checkpoint."
    return option(True, help, published=False, title="Guard against collapse")


@dataclass(frozen=True)
class BaselineOptions(TrainingOptions):
    """Distillation of the pseudo-labels into the student."""

    min_confidence: float = option(
        0.0,
        "Pixels below this confidence are ignored; 0 keeps all.",
        low=0,
        high=1,
        fault="F10",
        published=0.0,
        title="Minimum confidence",
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate of the encoder; none is 1e-4 from a trained start, 5e-4 from pretrained and 1e-3 from "
        "random weights.",
        low=0,
        high=10,
        published=1e-4,
    )
    keep_share: float = option(
        0.66,
        "Share of the pixels of each class, most confident first, whose labels are used; a fresh student also uses all "
        "labels of high confidence. The others have the weight unsure_weight. 1 keeps all.",
        low=0.01,
        high=1,
        published=1.0,
        title="Share of labels used",
    )
    balance: float | None = option(
        None,
        f"{_BALANCE}; none is off from a trained start and 0.5 otherwise.",
        low=0,
        high=1,
        published=0.0,
        title="Class weighting",
    )
    unsure_weight: float | None = option(
        None,
        "Weight of the source's labels that keep_share or a refresh leaves out; 0 ignores these pixels. none is 0.3, "
        "but 0 from a trained start unless the source is confident in all its classes: a fresh student that is never "
        "trained on hard pixels predicts rare classes there.",
        low=0,
        high=1,
        published=0.0,
        title="Weight of the other labels",
    )
    batch_norm: Literal["batch", "auto", "frozen"] = option(
        "auto",
        "Batch norm uses the statistics of each batch, or is frozen; auto freezes it if the student is already trained "
        "on these classes.",
        published="batch",
        title="Batch-norm statistics",
    )
    mix: Literal["auto", "none", "classmix", "cutmix", "spatialmix"] = option(
        "auto",
        "How images are mixed with each other, with their labels; auto is classmix from a trained start and none "
        "otherwise.",
        published="none",
        title="Mixing method",
    )
    mix_share: float = option(0.5, "Share of the images that are mixed.", low=0, high=1, title="Share of mixed images")
    refresh: int | None = option(
        None,
        "How often the labels are refreshed within the run, from the source and the moving average; needs keep_ema. "
        "none is 3 from a trained start and 0 otherwise.",
        low=0,
        high=100,
        published=0,
        title="Label refreshes",
    )
    flip: bool = option(True, "Mirror half of the images.", published=False, title="Mirroring")
    jitter: float = option(0.8, "Probability of colour jitter.", low=0, high=1, published=0.0, title="Colour jitter")
    blur: float = option(
        0.3, "Probability of Gaussian blur, sigma 0.15 to 1.15.", low=0, high=1, published=0.0, title="Gaussian blur"
    )
    guard: bool = _guard()

    @property
    def guarded(self) -> bool:
        """See `TrainingOptions`."""
        return self.guard

    @property
    def frozen(self) -> bool:
        """See `TrainingOptions`."""
        return self.batch_norm == "frozen"

    def check(self) -> None:
        """See `TrainingOptions`; labels cannot be refreshed by a moving average that is not kept."""
        super().check()
        if self.refresh and not self.keep_ema:
            raise InputError(
                "`baseline.refresh` renews the labels with the moving average; keep it with `baseline.keep_ema`, or "
                "refresh no labels (0)",
                field="baseline.refresh",
            )


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Supervised training with labels, for a source model or an upper bound."""

    steps: int = option(4000, "Optimiser steps; the schedule spans them.", low=1, high=10**8, unit="steps")
    learning_rate: float = option(5e-4, "Peak learning rate of the encoder.", low=0, high=10)
    head_rate: float = option(1.0, "Learning rate of the head as a multiple of the encoder's.", low=0.01, high=1000)
    balance: float = option(0.0, f"{_BALANCE}.", low=0, high=1)
    flip: bool = option(True, "Mirror half of the images.")
    jitter: float = option(0.0, "Probability of colour jitter.", low=0, high=1)


@dataclass(frozen=True)
class AdaptOptions(TrainingOptions):
    """Self-distillation on mixed images and hard patches, one round."""

    rounds: int = option(
        1,
        "Maximum number of rounds, each starting from the previous one.",
        low=1,
        high=100,
        published=2,
        affects_result=False,
    )
    stop_rounds: bool = option(
        True,
        "Skip the rounds after a stage that was stopped by an alarm or kept its start, those after a round that ended "
        "with warnings or changed less than 5 % of the labels, and all of a student that does not start as a model of "
        "its classes.",
        published=False,
        affects_result=False,
        title="Skip needless rounds",
    )
    learning_rate: float = option(5e-5, "Peak learning rate of the encoder.", low=0, high=10, published=1e-5)
    balance: float = option(0.0, f"{_BALANCE}.", low=0, high=1, title="Class weighting")
    mix: Literal["spatialmix", "cutmix", "classmix"] = option(
        "spatialmix", "How images are mixed.", title="Mixing method"
    )
    beta: float | None = option(
        None,
        "Beta(b, b) of the split point, 0 for the middle; none is 0.25 with patches and 0.5 without.",
        low=0,
        high=100,
        title="Split beta",
    )
    partners: Literal["distinct", "repeated"] = option(
        "distinct",
        "Draw the other images of a mix without or with replacement.",
        fault="F6",
        published="repeated",
        title="Mixing partners",
    )
    confidence: float = option(
        0.968, "Teacher confidence from which a pixel counts as confident.", low=0, high=1, title="Confidence threshold"
    )
    keep_share: float | None = option(
        None,
        "Share of the pixels of each class, most confident first at the start of the round, that count as confident "
        "too, from 0.7 on; 0 leaves it to confidence. none is 0.66 for a student that started from the source, and 0 "
        "for others.",
        low=0,
        high=1,
        published=0.0,
        title="Share of labels used",
    )
    confidence_from: Literal["softmax", "logit"] = option(
        "softmax",
        "Confidence is the greatest probability, or the greatest raw logit.",
        fault="F2",
        published="logit",
        title="Confidence measure",
    )
    average: float = option(
        0.5,
        "Share of the initial weights in the average that a round ends with; 0 is off. The mean is seldom worse than "
        "the better of the two.",
        low=0,
        high=0.9,
        published=0.0,
        title="Average with the start",
    )
    weighting: Literal["batch", "image", "pixel"] = option(
        "pixel",
        "Share of confident pixels as one weight for the batch or for each image, or confident pixels only.",
        fault="F3",
        published="batch",
        title="Confidence weighting",
    )
    teacher_buffers: bool = option(
        True,
        "The teacher runs in eval mode and its batch-norm statistics follow the student.",
        fault="F4",
        published=False,
        title="Teacher in eval mode",
    )
    ema_when: Literal["after", "before"] = option(
        "after",
        "Update the teacher after or before the optimiser step.",
        fault="F5",
        published="before",
        title="Teacher update",
    )
    coins: Literal["image", "batch"] = option(
        "image",
        "Flip, jitter and blur are drawn for each image or once for the batch.",
        fault="F7",
        published="batch",
        title="Random draws per",
    )
    jitter_channels: Literal["rgb", "bgr"] = option(
        "rgb",
        "Channel order in which colour jitter works.",
        fault="F8",
        published="bgr",
        title="Channel order of jitter",
    )
    flip: float = option(0.5, "Probability of a mirrored mix.", low=0, high=1, title="Mirroring")
    jitter: float = option(0.8, "Probability of colour jitter.", low=0, high=1, title="Colour jitter")
    jitter_strength: float = option(
        0.25,
        "Strength of brightness, contrast, saturation and hue jitter.",
        low=0,
        high=0.5,
        title="Strength of colour jitter",
    )
    blur: float = option(0.5, "Probability of Gaussian blur, sigma 0.15 to 1.15.", low=0, high=1, title="Gaussian blur")
    patches: bool = option(True, "Train on hard patches too.", title="Train on hard patches")
    patch_sampling: Literal["rarity", "uniform"] = option(
        "rarity",
        "Draw patches more often the rarer their rarest class is, or uniformly.",
        published="uniform",
        title="Sampling of patches",
    )
    patch_weight: float = option(
        0.1, "Weight of the loss on hard patches.", low=0, high=100, title="Weight of hard patches"
    )
    batch_norm: Literal["separate", "mixes", "frozen"] = option(
        "frozen",
        "Batch-norm statistics come from mixes and patches separately, from mixes only, or are frozen.",
        fault="F9",
        published="separate",
        title="Batch-norm statistics",
    )
    select: Literal["last", "label-free", "oracle"] = option(
        "label-free",
        "Which checkpoint a round keeps; oracle reads validation labels and is marked so.",
        fault="F13",
        published="oracle",
        title="Checkpoint to keep",
    )
    guard: bool = _guard()

    @property
    def guarded(self) -> bool:
        """See `TrainingOptions`."""
        return self.guard

    @property
    def selection(self) -> Literal["last", "label-free", "oracle"]:
        """See `TrainingOptions`."""
        return self.select

    @property
    def frozen(self) -> bool:
        """See `TrainingOptions`."""
        return self.batch_norm == "frozen"
