"""Mixing the images of a batch: SpatialMix, and its alternatives CutMix and ClassMix.

A plan is drawn once per step on the CPU and then applied to images, labels and confidences. Labels and confidences are
mixed instead of logits: a mix only copies pixels, so the argmax of mixed logits is the mixed argmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from crots.config import Size, unknown_name

Partners = Literal["distinct", "repeated"]


class Box(NamedTuple):
    """Rows ``top:bottom`` and columns ``left:right`` of mix ``mix`` come from image ``source``."""

    mix: int
    source: int
    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class MixPlan:
    """Where the pixels of each mix come from; mix ``i`` is image ``i`` except in the boxes and the mask.

    Attributes:
        count: images in the batch.
        size: their size.
        boxes: rectangles taken from other images.
        partners: for each mix, the image shown where ``mask`` is set; empty without a mask.
        mask: (N, H, W) bool, or None.
    """

    count: int
    size: Size
    boxes: tuple[Box, ...] = ()
    partners: tuple[int, ...] = ()
    mask: Tensor | None = None


@dataclass(frozen=True)
class MixRequest:
    """The arguments of a mixing strategy; see `plan_mix`."""

    count: int
    size: Size
    rng: np.random.Generator
    beta: float
    partners: Partners
    labels: Tensor | None
    classes: int

    def draw_others(self, image: int, wanted: int) -> list[int]:
        """Draws ``wanted`` images other than ``image``; a batch of one has only itself (corrects the crash of F6)."""
        others = [other for other in range(self.count) if other != image] or [image]
        if self.partners == "repeated":
            return [int(other) for other in self.rng.choice(others, wanted)]
        # F6: each other image once, and again only if the batch is too small.
        return [int(other) for other in np.resize(self.rng.permutation(others), wanted)]

    def draw_share(self) -> float:
        """Draws a share of a side or an area, 0.2 to 0.8, by Beta(beta, beta); one half if beta is 0 or less."""
        return 0.2 + 0.6 * float(self.rng.beta(self.beta, self.beta)) if self.beta > 0 else 0.5


def plan_mix(
    strategy: str,
    count: int,
    size: Size,
    rng: np.random.Generator,
    *,
    beta: float = 0.25,
    partners: Partners = "distinct",
    labels: Tensor | None = None,
    classes: int = 0,
) -> MixPlan:
    """Draws the mixing plan of a batch.

    Args:
        strategy: a name in `STRATEGIES`.
        count: images in the batch, N.
        size: width and height of the images.
        rng: source of every draw.
        beta: of the Beta(beta, beta) that places the split point (and sizes CutMix's box); 0 means the middle.
        partners: draw the other images without or with (fault F6) replacement.
        labels: (N, H, W) integer predictions of the images; only ClassMix needs them.
        classes: number of classes, for ClassMix; greater ids in ``labels`` count as ignored.

    Raises:
        InputError: there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise unknown_name("adapt.mix", strategy, list(STRATEGIES), what="mixing strategy")
    return STRATEGIES[strategy](MixRequest(count, size, rng, beta, partners, labels, classes))


def apply_mix(plan: MixPlan, batch: Tensor) -> Tensor:
    """Mixes images, labels, confidences or anything else with one value per pixel.

    Args:
        plan: drawn for this batch.
        batch: (N, ..., H, W), any type; stays unchanged.

    Returns:
        A new tensor of the same shape, type and memory format.
    """
    height, width = batch.shape[-2:]
    if (batch.shape[0], width, height) != (plan.count, *plan.size):
        raise ValueError(f"a mix of {plan.count} images of {plan.size} cannot be applied to {tuple(batch.shape)}")
    mixed = batch.clone()
    for mix, source, top, bottom, left, right in plan.boxes:
        mixed[mix, ..., top:bottom, left:right] = batch[source, ..., top:bottom, left:right]
    if plan.mask is not None:
        mask = plan.mask.view(plan.count, *(1,) * (batch.dim() - 3), height, width)
        mixed = torch.where(mask, batch[list(plan.partners)], mixed)
    return mixed


def plan_spatialmix(request: MixRequest) -> MixPlan:
    """Quadrants: top-left stays, the other three come from the same place of three other images."""
    boxes: list[Box] = []
    width, height = request.size
    for image in range(request.count):
        right_top, left_bottom, right_bottom = request.draw_others(image, 3)
        row, column = int(request.draw_share() * height), int(request.draw_share() * width)
        boxes.append(Box(image, right_top, 0, row, column, width))
        boxes.append(Box(image, left_bottom, row, height, 0, column))
        boxes.append(Box(image, right_bottom, row, height, column, width))
    return MixPlan(request.count, request.size, tuple(boxes))


def plan_cutmix(request: MixRequest) -> MixPlan:
    """One box of another image, of the image's aspect and 0.2 to 0.8 of its area, anywhere inside."""
    boxes: list[Box] = []
    width, height = request.size
    for image in range(request.count):
        (source,) = request.draw_others(image, 1)
        side = request.draw_share() ** 0.5
        rows, columns = max(1, round(side * height)), max(1, round(side * width))
        top = int(request.rng.integers(height - rows + 1))
        left = int(request.rng.integers(width - columns + 1))
        boxes.append(Box(image, source, top, top + rows, left, left + columns))
    return MixPlan(request.count, request.size, tuple(boxes))


def plan_classmix(request: MixRequest) -> MixPlan:
    """The pixels of half of the classes predicted in another image, rounded up."""
    if request.labels is None or request.classes < 1:
        raise ValueError("classmix needs the labels of the images and the number of classes")
    partners = tuple(request.draw_others(image, 1)[0] for image in range(request.count))
    scores = request.rng.random((request.count, request.classes + 1), dtype=np.float32)
    mask = _half_of_classes(request.labels[list(partners)], request.classes, scores)
    return MixPlan(request.count, request.size, partners=partners, mask=mask)


def _half_of_classes(labels: Tensor, classes: int, scores: np.ndarray) -> Tensor:
    """Marks the pixels of the higher-scored half of each image's classes, without synchronising with the device."""
    ids = labels.long().clamp(0, classes).flatten(1)
    present = torch.zeros(scores.shape, dtype=torch.bool, device=labels.device).scatter_(1, ids, True)
    present[:, classes] = False
    drawn = torch.from_numpy(scores).to(labels.device).masked_fill(~present, 2.0)
    rank = drawn.argsort(dim=1).argsort(dim=1)
    chosen = present & (rank < (present.sum(dim=1, keepdim=True) + 1) // 2)
    return chosen.gather(1, ids).view(labels.shape)


STRATEGIES: dict[str, Callable[[MixRequest], MixPlan]] = {
    "spatialmix": plan_spatialmix,
    "cutmix": plan_cutmix,
    "classmix": plan_classmix,
}
