"""The plain procedure, as a first version of the method would be written: the reference for all measures together.

Single precision, contiguous memory, one image at a time, no cache; the network runs once for the labels and once more
for the patches, each time with a flip; mixes, optimiser and moving average are loops. It shares no code with the
stages.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from crots.bench.clock import seconds
from crots.bench.stages import StageTime
from crots.bench.world import GRID, World
from crots.config import Size
from crots.execution.engine import Engine

_CONFIDENCE = 0.968
_PATCH_WEIGHT = 0.1


@dataclass(frozen=True)
class PlainTime:
    """The plain procedure beside ours.

    Attributes:
        work: ``labels and patches``, ``baseline`` or ``adapt``.
        unit: what one is: ``image`` or ``step``.
        plain: seconds of the plain procedure.
        ours: seconds of the stages.
        factor: plain by ours.
    """

    work: str
    unit: str
    plain: float
    ours: float
    factor: float


class Plain:
    """The procedure on files.

    Args:
        net: on its device, in its random or trained state.
        images: files.
        out: gets pictures.
        size: working size.
        batch: images per step.
    """

    def __init__(self, net: nn.Module, images: tuple[Path, ...], out: Path, size: Size, batch: int) -> None:
        self.student, self.teacher = net, copy.deepcopy(net)
        self.images, self.out, self.size, self.batch = images, out, size, batch
        self.device = next(net.parameters()).device
        self.optimiser = torch.optim.Adam(net.parameters(), lr=1e-5, foreach=False, fused=False)
        self.steps = 0
        out.mkdir(parents=True, exist_ok=True)

    def read(self, path: Path) -> Tensor:
        """Returns an image (1, 3, H, W) as the network takes it."""
        image = Image.open(path).convert("RGB").resize((self.size.width, self.size.height), Image.Resampling.BICUBIC)
        x = torch.from_numpy(np.array(image)[:, :, ::-1].copy()).permute(2, 0, 1).float()
        return (x - 110)[None].contiguous().to(self.device)

    @torch.no_grad()
    def predict(self, path: Path) -> Tensor:
        """Returns probabilities (1, K, H, W) of an image and its mirror image."""
        self.student.eval()
        x = self.read(path)
        logits = self.upsample(self.student(x)) + self.upsample(self.student(x.flip(3))).flip(3)
        return logits.softmax(1)

    def upsample(self, logits: Tensor) -> Tensor:
        """Resizes logits to the working size."""
        return F.interpolate(logits, (self.size.height, self.size.width), mode="bilinear", align_corners=True)

    def label(self, path: Path) -> None:
        """Writes labels and confidence."""
        confidence, labels = self.predict(path)[0].max(0)
        Image.fromarray(labels.byte().cpu().numpy()).save(self.out / f"{path.stem}_labels.png")
        Image.fromarray(labels.byte().cpu().numpy() * 10).save(self.out / f"{path.stem}_colours.png")
        Image.fromarray((confidence * 255).byte().cpu().numpy()).save(self.out / f"{path.stem}_confidence.png")

    def cut(self, path: Path) -> None:
        """Predicts once more and writes every cell with its labels."""
        labels = self.predict(path)[0].argmax(0).byte().cpu().numpy()
        picture = np.array(
            Image.open(path).convert("RGB").resize((self.size.width, self.size.height), Image.Resampling.BICUBIC)
        )
        height, width = self.size.height // GRID, self.size.width // GRID
        for row in range(GRID):
            for column in range(GRID):
                rows, columns = slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)
                name = f"{path.stem}_{row * GRID + column + 1}"
                Image.fromarray(picture[rows, columns]).save(self.out / f"{name}.png")
                Image.fromarray(labels[rows, columns]).save(self.out / f"{name}_ids.png")
                Image.fromarray(labels[rows, columns] * 10).save(self.out / f"{name}_colours.png")

    def labels_and_patches(self) -> None:
        """Labels and patches of every image."""
        for path in self.images:
            self.label(path)
        for path in self.images:
            self.cut(path)

    def baseline(self) -> None:
        """One step on labels that `label` wrote."""
        images = torch.cat([self.read(path) for path in self._batch()])
        labels = torch.cat([self._read_labels(f"{path.stem}_labels.png") for path in self._batch()])
        self.student.train()
        self._descend(F.cross_entropy(self.upsample(self.student(images)), labels))

    def adapt(self) -> None:
        """One step of the adaptation; needs what `labels_and_patches` wrote."""
        images = torch.cat([self.read(path) for path in self._batch()])
        self.teacher.train()
        with torch.no_grad():
            logits = self.upsample(self.teacher(images))
        mixes, mixed = self._mix(images), self._mix(logits)
        if random.random() < 0.5:
            mixes, mixed = mixes.flip(3), mixed.flip(3)
        mixes = v2.ColorJitter(0.25, 0.25, 0.25, 0.25)((mixes + 110).clamp(0, 255) / 255) * 255 - 110
        kernel = int(0.1 * self.size.height) // 2 * 2 + 1
        mixes = v2.GaussianBlur(kernel, (0.15, 1.15))(mixes)
        confidence, labels = mixed.softmax(1).max(1)
        weight = (confidence >= _CONFIDENCE).float().mean()
        self.student.train()
        loss = weight * F.cross_entropy(self.upsample(self.student(mixes)), labels)
        patches, truth = self._patches()
        logits = F.interpolate(self.student(patches), truth.shape[1:], mode="bilinear", align_corners=True)
        self._descend(loss + _PATCH_WEIGHT * F.cross_entropy(logits, truth))
        self._follow()

    def _batch(self) -> list[Path]:
        return [self.images[(self.steps * self.batch + place) % len(self.images)] for place in range(self.batch)]

    def _read_labels(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(Image.open(self.out / name))).long()[None].to(self.device)

    def _patches(self) -> tuple[Tensor, Tensor]:
        images, labels = [], []
        for number, path in enumerate(self._batch(), 1):
            patch = np.array(Image.open(self.out / f"{path.stem}_{number}.png"))[:, :, ::-1].copy()
            images.append((torch.from_numpy(patch).permute(2, 0, 1).float() - 110)[None])
            labels.append(self._read_labels(f"{path.stem}_{number}_ids.png"))
        return torch.cat(images).to(self.device), torch.cat(labels)

    def _mix(self, batch: Tensor) -> Tensor:
        height, width = self.size.height // 2, self.size.width // 2
        mixed = torch.empty_like(batch)
        for image in range(len(batch)):
            places = [(0, 0), (0, width), (height, 0), (height, width)]
            for number, (top, left) in enumerate(places):
                rows, columns = slice(top, top + height), slice(left, left + width)
                mixed[image, :, rows, columns] = batch[(image + number) % len(batch), :, rows, columns]
        return mixed

    def _descend(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.steps += 1

    @torch.no_grad()
    def _follow(self) -> None:
        alpha = min(1 - 1 / (self.steps + 1), 0.99)
        for own, other in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            own.copy_(alpha * own + (1 - alpha) * other)


def against_plain(world: World, stages: list[StageTime]) -> Iterator[PlainTime]:
    """Times the plain procedure once through and yields it beside the stages that were timed.

    Args:
        world: what both run on.
        stages: of `crots.bench.stages`.
    """
    engine = Engine(world.runtime)
    net = copy.deepcopy(world.model.net).to(engine.device)
    plain = Plain(net, world.images, world.folder / "plain", world.options.size, world.options.batch)
    ours: dict[str, Any] = {stage.stage: stage.seconds for stage in stages}
    count = len(world.images)
    first = seconds(plain.labels_and_patches, engine) / count
    if own := ours.get("pseudo-label + mine"):
        yield PlainTime("labels and patches", "image", first, own, first / own)
    works: dict[str, Callable[[], None]] = {"baseline": plain.baseline, "adapt": plain.adapt}
    for name, work in works.items():
        if own := ours.get(name):
            work()
            taken = median(seconds(work, engine) for _ in range(min(2, world.options.repeats)))
            yield PlainTime(name, "step", taken, own, taken / own)
