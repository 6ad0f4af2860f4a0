"""Random crops at random scale, cut before the images go to the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crots.arrays import Array
from crots.config import Size


class Window(NamedTuple):
    """A part of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int


def draw_windows(count: int, size: Size, crop: Size, scale: float, rng: np.random.Generator) -> list[Window]:
    """Draws where crops are taken.

    Args:
        count: how many.
        size: of the images.
        crop: of what the network sees.
        scale: the content of a crop is enlarged by a factor drawn, on a logarithmic scale, from 1/scale to scale, and
            by more where an image is too small for that.
        rng: of the step.

    Returns:
        Windows within the image, of the crop's proportions.
    """
    windows = []
    for factor in scale ** rng.uniform(-1.0, 1.0, count):
        enlarged = max(factor, crop.width / size.width, crop.height / size.height)
        width = min(size.width, max(1, round(crop.width / enlarged)))
        height = min(size.height, max(1, round(crop.height / enlarged)))
        x, y = rng.integers(size.width - width + 1), rng.integers(size.height - height + 1)
        windows.append(Window(int(x), int(y), width, height))
    return windows


@dataclass(frozen=True)
class Crops:
    """Windows of a batch, one per image, and the size they are brought to."""

    windows: Sequence[Window]
    size: Size

    def images(self, batch: Array) -> Array:
        """Cuts (N, H, W, 3) uint8, interpolated."""
        import cv2  # late: the studio's window reads windows of images without it

        return self._cut(batch, cv2.INTER_LINEAR)

    def labels(self, batch: Array) -> Array:
        """Cuts (N, H, W) labels, uint8 or uint16, or their confidence, float32; the nearest pixel's counts."""
        import cv2

        # OpenCV's default nearest-neighbour rule shifts labels against their image by up to half a pixel.
        return self._cut(batch, cv2.INTER_NEAREST_EXACT)

    def _cut(self, batch: Array, how: int) -> Array:
        import cv2

        crops = []
        for image, window in zip(batch, self.windows, strict=True):
            part = image[window.y : window.y + window.height, window.x : window.x + window.width]
            # A mean over the area where content shrinks: picking pixels makes thin things flicker in and out.
            shrinks = how == cv2.INTER_LINEAR and window.width > self.size.width
            crops.append(cv2.resize(part, tuple(self.size), interpolation=cv2.INTER_AREA if shrinks else how))
        return np.stack(crops)
