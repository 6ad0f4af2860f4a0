"""Outlines and masks of labels, as the readers of all such files give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from crots.config import Size
from crots.errors import InputError
from crots.limits import check_pixels

# Bytes of a file; the outlines of a hundred thousand images take about half of it.
MOST_BYTES = 3 * 10**8
REMEDY = "export the labels again"
# Exceptions that reading untrusted values may raise.
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Shape:
    """One outline, or one mask, with the name of its class.

    Attributes:
        name: of the class.
        rings: polygons, each a list of (x, y), which together are the shape.
        mask: (h, w) bool where the shape is given by pixels.
        corner: x and y of the mask's first pixel.
    """

    name: str
    rings: tuple[Ring, ...] = ()
    mask: NDArray[np.bool_] | None = None
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Outlines:
    """The labels of one image: later shapes lie over earlier ones.

    Attributes:
        size: of the image.
        shapes: in the order of the file.
        between: whether coordinates count from the edges of the pixels, so that an outline from 0 to 8 holds eight
            pixels; otherwise they are pixels, which all belong to the shape.
    """

    size: Size
    shapes: tuple[Shape, ...]
    between: bool = False


@dataclass(frozen=True)
class Album:
    """The labels of many images in one file.

    Attributes:
        path: the file.
        sizes: of the images, by their names.
        shapes: by image, makers of its shapes, which are read when they are needed.
        parts: by image, the subset that it is in, where the file says one.
    """

    path: Path
    sizes: Mapping[str, Size]
    shapes: Mapping[str, Sequence[Callable[[], Iterable[Shape]]]]
    parts: Mapping[str, str]

    def outlines(self, name: str) -> Outlines:
        """Returns the labels of an image.

        Raises:
            InputError: there is none of this name, or a shape is not understood.
        """
        if name not in self.sizes:
            raise InputError(f"{self.path}: holds no image {name}; {REMEDY}")
        size = self.sizes[name]
        check_pixels(self.path, *size)
        try:
            shapes = tuple(shape for made in self.shapes[name] for shape in made())
        except MALFORMED as error:
            raise malformed(self.path / name, error) from None
        check_scale(self.path / name, shapes, size)
        return Outlines(size, shapes, between=True)


class Misshapen(InputError):
    """A file of a known form with values that are not those of its form."""


def malformed(path: Path, error: Exception) -> Misshapen:
    """The error for a file whose values are not those of its form."""
    kind = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return Misshapen(f"{path}: holds a shape that is not understood ({kind[:160]}); {REMEDY}")


def check_scale(path: Path, shapes: Iterable[Shape], size: Size) -> None:
    """Refuses outlines that are all within the first pixel, as shares of the sides, or that lie outside of the image.

    Raises:
        Misshapen: they are, or most of their points do.
    """
    points = [point for shape in shapes for ring in shape.rings for point in ring]
    outside = sum(not (-1 <= x <= size.width + 1 and -1 <= y <= size.height + 1) for x, y in points)
    if outside > len(points) / 2:
        raise Misshapen(
            f"{path}: {outside} of {len(points)} points of its outlines lie outside of the image of {size}, as if they "
            f"were of another size of it; {REMEDY} with the images as they are"
        )
    values = [value for point in points for value in point]
    # The corners of the whole image, or a dot, may be pixels as well.
    if size != (1, 1) and values and 0 <= min(values) <= max(values) <= 1 and any(value % 1 for value in values):
        raise Misshapen(
            f"{path}: its outlines go from {min(values):.3g} to {max(values):.3g} in an image of {size}, as shares of "
            "the sides do; expected pixels; multiply x by the width and y by the height, or export without normalising"
        )


def whole(value: Any) -> int:
    """Returns the side of an image, or another whole number above 0, which some programs write as 640.0."""
    if type(value) not in (int, float) or not 1 <= value < 1e9 or value % 1:
        raise ValueError(f"found the size {value!r:.40}")
    return int(value)


def point(found: Any) -> tuple[float, float]:
    """Returns (x, y) of a list of two numbers."""
    x, y = (float(value) for value in found)
    if not (abs(x) < 1e6 and abs(y) < 1e6):
        raise ValueError(f"the point {found!r:.40}")
    return x, y


def rectangle(left: float, top: float, right: float, bottom: float) -> Ring:
    """Returns the outline of a box."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def ellipse(x: float, y: float, wide: float, high: float) -> Ring:
    """Returns the outline of an ellipse around (x, y), with its two radii."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return tuple((x + wide * float(np.cos(angle)), y + high * float(np.sin(angle))) for angle in angles)


def filled(rings: Iterable[Ring], size: Size) -> NDArray[np.bool_]:
    """Returns the pixels, (H, W), whose centres lie in one of some outlines between pixels.

    A thin outline that holds no centre covers the pixels that it touches, so that it is not lost.
    """
    pixels = np.zeros((size.height, size.width), bool)
    for ring in rings:
        inside = _centres_inside(ring, size)
        pixels |= inside if inside.any() else _touched(ring, size)
    return pixels


def _centres_inside(ring: Ring, size: Size) -> NDArray[np.bool_]:
    """By the even-odd rule: each row is switched on and off where an edge crosses the line of its centres."""
    points = np.array(ring)
    x, y = points.T
    next_x, next_y = np.roll(points, -1, axis=0).T
    down = next_y > y
    top, bottom = np.where(down, y, next_y), np.where(down, next_y, y)
    first, end = (np.clip(np.ceil(side - 0.5), 0, size.height).astype(int) for side in (top, bottom))
    counts = end - first
    edge = np.repeat(np.arange(len(points)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    crossing = x[edge] + (row + 0.5 - y[edge]) * ((next_x - x)[edge] / (next_y - y)[edge])
    column = np.clip(np.ceil(crossing - 0.5), 0, size.width).astype(int)
    inside = np.zeros((size.height, size.width), bool)
    if len(row):
        rows, columns = (slice(int(found.min()), int(found.max()) + 1) for found in (row, column))
        switches = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        np.bitwise_xor.at(switches, (row - rows.start, column - columns.start), 1)
        drawn = np.bitwise_xor.accumulate(switches, axis=1)
        inside[rows, columns] = drawn[:, : size.width - columns.start]
    return inside


def _touched(ring: Ring, size: Size) -> NDArray[np.bool_]:
    (left, top), (right, bottom) = np.min(ring, axis=0), np.max(ring, axis=0)
    canvas = Image.new("1", (size.width, size.height))
    if right >= 0 and bottom >= 0 and left <= size.width and top <= size.height:
        # An edge of the image is that of its last pixels.
        points = [(min(int(x), size.width - 1), min(int(y), size.height - 1)) for x, y in ring]
        ImageDraw.Draw(canvas).line([*points, points[0]], fill=1)
    return np.array(canvas)


def from_runs(runs: Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """Returns the pixels, in a row, of a mask in runs of absent and present ones."""
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise ValueError("a mask whose runs do not fill it")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)
