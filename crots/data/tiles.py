"""Large images cut into overlapping tiles at native size: their places, and the pixels that each determines.

No torch: the geometry is shown before a run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crots.arrays import Array
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.crops import Window
from crots.data.datasets import Sample
from crots.images import image_size

# Tiles begin at multiples of this, so that the strides of a network fall on the same pixels as in the whole image.
_STRIDE = 32


@dataclass(frozen=True)
class Span:
    """One tile along one side of an image, in pixels.

    Attributes:
        start: where it begins.
        first: from here on its predictions count; rising from nothing over ``ramp`` pixels.
        last: up to here its predictions count; falling to nothing over the last pixels of that.
        rise: pixels over which they rise at ``first``, 0 at the image's border.
        fall: pixels over which they fall before ``last``.
    """

    start: int
    first: int
    last: int
    rise: int
    fall: int

    def weights(self) -> npt.NDArray[np.float32]:
        """How much its predictions count, from ``first`` to ``last``; with those of its neighbours they sum to 1."""
        weights = np.ones(self.last - self.first, np.float32)
        weights[: self.rise] = _ramp(self.rise)
        if self.fall:
            weights[-self.fall :] = 1 - _ramp(self.fall)
        return weights


def _ramp(length: int) -> npt.NDArray[np.float32]:
    return ((np.arange(length) + 0.5) / max(1, length)).astype(np.float32)


@dataclass(frozen=True)
class Tiling:
    """How images are cut.

    Attributes:
        size: of a tile, which is what a network sees.
        overlap: least share of a tile's sides that it has in common with the next.
    """

    size: Size
    overlap: float

    def spans(self, length: int, tile: int, *, taper: bool = True) -> list[Span]:
        """Returns the tiles along one side of an image.

        In the middle half of an overlap one tile's predictions fade into the next one's. The outer quarters do not
        count, since near a tile's edge a network predicts other classes than it would in the whole image.

        Args:
            length: of the image.
            tile: its length along that side.
            taper: False lets each tile's predictions end where the next one's begin.
        """
        starts = self._starts(length, tile)
        ramps = [self._ramp(one, other, tile, taper=taper) for one, other in itertools.pairwise(starts)]
        spans = []
        for place, start in enumerate(starts):
            first, rise = ramps[place - 1] if place else (0, 0)
            begin, fall = ramps[place] if place < len(ramps) else (length, 0)
            spans.append(Span(start, first, begin + fall, rise, fall))
        return spans

    def _starts(self, length: int, tile: int) -> list[int]:
        if length <= tile:
            return [0]
        return [*range(0, length - tile, self._step(tile)), length - tile]

    def _step(self, tile: int) -> int:
        step = max(1, math.floor(tile * (1 - self.overlap)))
        return step - step % _STRIDE if step >= _STRIDE else step

    def _ramp(self, one: int, other: int, tile: int, *, taper: bool) -> tuple[int, int]:
        """Where the predictions of a tile at ``one`` fade into those of the next at ``other``, and over how much."""
        common = one + tile - other
        # No wider than half a step, so that no more than two tiles meet where the last overlap is a large one.
        width = min(math.floor(tile * self.overlap), self._step(tile)) // 2 if taper else 0
        return other + (common - width) // 2, width

    def rows(self, image: Size, *, taper: bool = True) -> list[Span]:
        """Returns the tiles of a column, from above."""
        return self.spans(image.height, self.size.height, taper=taper)

    def columns(self, image: Size, *, taper: bool = True) -> list[Span]:
        """Returns the tiles of a row, from the left."""
        return self.spans(image.width, self.size.width, taper=taper)

    def windows(self, image: Size) -> list[Window]:
        """Returns all tiles of an image, row by row; those of small images reach beyond it."""
        return [
            Window(column.start, row.start, self.size.width, self.size.height)
            for row in self.rows(image)
            for column in self.columns(image)
        ]


@dataclass(frozen=True)
class TileSample(Sample):
    """A tile of an image, as a sample of its own.

    Attributes:
        key: of its own, which no other tile has.
        whole: key of the image.
        window: of the image; of a small image it reaches beyond.
    """

    whole: str = ""
    window: Window = Window(0, 0, 0, 0)


def parts_of(sample: Sample, image: Size, tiling: Tiling) -> Iterator[TileSample]:
    """Yields the tiles of an image.

    Args:
        sample: the image.
        image: its size.
        tiling: how it is cut.
    """
    for number, window in enumerate(tiling.windows(image), 1):
        yield TileSample(f"{sample.key}~{number}", sample.image, sample.label, sample.key, window)


def in_parts(samples: Sequence[Sample], tiling: Tiling | None) -> Sequence[Sample]:
    """Returns the tiles of images, whose headers are read for it; the images themselves where they are not cut.

    Raises:
        InputError: one is missing or broken.
    """
    if tiling is None:
        return samples
    return [part for sample in samples for part in parts_of(sample, image_size(sample.image), tiling)]


def read_sample(cache: ImageCache, sample: Sample) -> Array:
    """Returns an image (H, W, 3), or a tile of one.

    Raises:
        InputError: it is missing or broken.
    """
    image = cache.get(sample.image)
    return cut_image(image, sample.window) if isinstance(sample, TileSample) else image


def place_of(sample: Sample) -> tuple[str, Window | None]:
    """Returns the key of the image that a sample is, or is a tile of, and the tile's window."""
    return (sample.whole, sample.window) if isinstance(sample, TileSample) else (sample.key, None)


def cut_image(image: Array, window: Window) -> Array:
    """Returns a tile of an image (H, W, ...); beyond the image it is mirrored."""
    part = image[window.y : window.y + window.height, window.x : window.x + window.width]
    return _filled(part, window, mode="symmetric")


def cut_map(values: Array, window: Window, beyond: int | float) -> Array:
    """Returns a tile of a map (H, W), with ``beyond`` where it reaches beyond the image."""
    part = values[window.y : window.y + window.height, window.x : window.x + window.width]
    return _filled(part, window, mode="constant", constant_values=beyond)


def _filled(part: Array, window: Window, **how: Any) -> Array:
    missing = [window.height - part.shape[0], window.width - part.shape[1]]
    if not any(missing):
        return part
    widths: Sequence[tuple[int, int]] = [(0, missing[0]), (0, missing[1]), *[(0, 0)] * (part.ndim - 2)]
    return np.asarray(np.pad(part, widths, **how))
