"""Runs networks on images larger than their input: on overlapping tiles, whose outputs are blended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crots.arrays import Array
from crots.config import Size
from crots.data.crops import Window
from crots.data.tiles import Span, Tiling, cut_image
from crots.execution.engine import Engine, evaluating
from crots.methods.pseudo import likeliest
from crots.nets.model import Model

# Maps images (N, 3, h, w) to values for each pixel (N, C, h, w).
Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tiles:
    """Runs networks on large images.

    Attributes:
        tiling: how images are cut.
        engine: device and precision.
        batch: tiles per forward pass.
    """

    tiling: Tiling
    engine: Engine
    batch: int = 1

    def blocks(self, image: Array, look: Look, *, taper: bool = True) -> Iterator[tuple[Window, Tensor]]:
        """Runs a network on the tiles of an image and blends its outputs, as if it had seen the whole image.

        Neighbours fade into each other, so that no seam is seen. What is returned comes in blocks, each of which
        belongs to one tile, and only one row of overlaps is held in memory, which hardly grows with the image.

        Args:
            image: (H, W, 3) uint8.
            look: the network; gives logits, or anything that may be averaged.
            taper: False where it may not, as labels; then each pixel is taken from one tile.

        Yields:
            Windows that together cover the image, and the output for each, (C, h, w).
        """
        size = Size(image.shape[1], image.shape[0])
        rows, columns = (side(size, taper=taper) for side in (self.tiling.rows, self.tiling.columns))
        above: list[Tensor | None] = [None] * len(columns)
        for row in rows:
            left: Tensor | None = None
            for place, (column, seen) in enumerate(zip(columns, self._seen(image, row, columns, look), strict=True)):
                block, left, above[place] = _joined(seen, row, column, left, above[place])
                yield Window(column.first, row.first, block.shape[2], block.shape[1]), block

    def _seen(self, image: Array, row: Span, columns: list[Span], look: Look) -> Iterator[Tensor]:
        """The network's outputs for the tiles of one row, (C, h, w) each."""
        size = self.tiling.size
        for first in range(0, len(columns), self.batch):
            windows = [Window(column.start, row.start, *size) for column in columns[first : first + self.batch]]
            tiles = np.stack([cut_image(image, window) for window in windows])
            yield from look(self.engine.images(tiles))

    def labels(self, image: Array, look: Look, *, hard: bool = False) -> Array:
        """Returns the likeliest class (H, W) of each pixel of an image (H, W, 3).

        Args:
            image: see above.
            look: the network.
            hard: it gives labels, (N, 1, h, w), and no logits.
        """
        found: Array | None = None
        for window, block in self.blocks(image, look, taper=not hard):
            if found is None:
                found = np.empty(image.shape[:2], np.uint16 if hard or len(block) > 256 else np.uint8)
            fill(found, window, block[0] if hard else block.argmax(0))
        assert found is not None
        return found

    def likeliest(self, image: Array, logits: Look) -> tuple[Array, Array]:
        """Returns the likeliest class (H, W) of each pixel of an image (H, W, 3), and its probability."""
        labels, confidence = np.empty(image.shape[:2], np.uint16), np.empty(image.shape[:2], np.float32)
        for window, block in self.blocks(image, logits):
            predicted = likeliest(block[None])
            fill(labels, window, predicted.labels[0])
            fill(confidence, window, predicted.confidence[0])
        return labels, confidence


def logits_of(model: Model, engine: Engine, *, flip: bool = False) -> Look:
    """Returns a function that runs one of our networks.

    Args:
        model: on the engine's device.
        engine: device and precision.
        flip: add the logits of the mirror image.
    """

    def look(images: Tensor) -> Tensor:
        with evaluating(model), torch.inference_mode(), engine.autocast():
            return model.flip_logits(images) if flip else model.logits(images)

    return look


def fill(whole: Array, window: Window, part: Tensor) -> None:
    """Writes a part (h, w) of a map into the whole."""
    x, y, width, height = window
    whole[y : y + height, x : x + width] = part.cpu().numpy()


@torch.inference_mode()
def _joined(
    seen: Tensor, row: Span, column: Span, left: Tensor | None, above: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Blends a tile (C, h, w), in place, with its neighbours in the overlaps.

    Args:
        seen: the network's output for the tile.
        row: where the tile lies.
        column: where the tile lies.
        left: the share of the tile to the left in their overlap.
        above: the share of the tile above.

    Returns:
        What is finished, and the shares for the tiles to the right and below.
    """
    part = seen[
        :, row.first - row.start : row.last - row.start, column.first - column.start : column.last - column.start
    ]
    for span, across in ((row, part.transpose(1, 2)), (column, part)):
        if not (span.rise or span.fall):
            continue
        weights = torch.from_numpy(span.weights()).to(part.device)
        # Most of a tile has no neighbour, and its weight is 1.
        across[..., : span.rise] *= weights[: span.rise]
        across[..., len(weights) - span.fall :] *= weights[len(weights) - span.fall :]
    if left is not None:
        part[:, :, : column.rise] += left
    wide, high = part.shape[2] - column.fall, part.shape[1] - row.fall
    # Copies, so that no view keeps the whole tile in memory.
    right = part[:, :, wide:].clone() if column.fall else None
    if above is not None:
        part[:, : row.rise, :wide] += above
    below = part[:, high:, :wide].clone() if row.fall else None
    return part[:, :high, :wide], right, below
