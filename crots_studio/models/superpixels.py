"""Superpixels under a stroke: small parts of a picture that end at its edges, flooded from a regular grid of seeds.

The flooding is OpenCV's watershed, from the calmest pixel of each cell of a grid (in the manner of waterpixels,
Machairas et al. 2015). Only the surroundings of the pointer are flooded, so the size of the picture costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from crots.arrays import Array

SMALLEST = 4  # pixels
# Cells around the pointer that are flooded with it; a superpixel seldom reaches beyond the next one.
_AROUND = 3


class Superpixels:
    """The superpixels of one picture that were touched.

    Args:
        picture: (H, W, 3) uint8.
        side: about how broad one is, in pixels.
    """

    def __init__(self, picture: Array, side: int) -> None:
        self._side = max(SMALLEST, side)
        # Noise would make seeds and borders of its own.
        self._picture = cv2.GaussianBlur(picture, (3, 3), 0)
        grey = cv2.cvtColor(self._picture, cv2.COLOR_RGB2GRAY)
        self._slope = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        self.where: Array = np.zeros(picture.shape[:2], bool)

    def touch(self, points: Sequence[tuple[int, int]]) -> Array:
        """Adds the superpixels under a line through points (x, y) and returns all so far, (H, W) bool."""
        line = np.zeros(self.where.shape, np.uint8)
        for start, end in zip(points, [*points[1:], *points[-1:]], strict=True):
            cv2.line(line, start, end, 1)
        for y, x in zip(*np.nonzero(line), strict=True):
            if not self.where[y, x]:
                self._add(int(x), int(y))
        return self.where

    def _add(self, x: int, y: int) -> None:
        side = self._side
        # From cells of the grid of the whole picture, so that neighbours find the same borders.
        left, top = max(0, x // side - _AROUND) * side, max(0, y // side - _AROUND) * side
        part = np.s_[top : (y // side + _AROUND + 1) * side, left : (x // side + _AROUND + 1) * side]
        parts = self._flooded(part)
        self.where[part] |= parts == parts[y - top, x - left]

    def _flooded(self, part: tuple[slice, slice]) -> Array:
        slope, side = self._slope[part], self._side
        seeds = np.zeros(slope.shape, np.int32)
        count = 0
        inner = max(1, side // 4)
        for top in range(0, slope.shape[0], side):
            for left in range(0, slope.shape[1], side):
                cell = slope[top : top + side, left : left + side]
                # Away from the edge of its cell, where there is room.
                core = cell[inner:-inner, inner:-inner] if min(cell.shape) > 2 * inner else cell
                shift = inner if core is not cell else 0
                row, column = np.unravel_index(int(core.argmin()), core.shape)
                count += 1
                seeds[top + shift + row, left + shift + column] = count
        cv2.watershed(np.ascontiguousarray(self._picture[part]), seeds)
        # Borders, and the frame, are given to a neighbour.
        grown = cv2.dilate(seeds.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        return np.where(seeds > 0, seeds, grown)
