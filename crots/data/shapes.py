"""Outlines and masks of labels, as the readers of all such files give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.config import Size
from crots.errors import InputError
from crots.limits import check_pixels

# Bytes of a file; the outlines of a hundred thousand images take about half of it.
MOST_BYTES = 3 * 10**8
REMEDY = "export the labels again"
# What reading values of strangers may raise.
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
    """The labels of one image: later shapes lie over earlier ones."""

    size: Size
    shapes: tuple[Shape, ...]


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
            return Outlines(size, tuple(shape for made in self.shapes[name] for shape in made()))
        except MALFORMED as error:
            raise malformed(self.path / name, error) from None


class Misshapen(InputError):
    """A file of a known form with values that are not those of its form."""


def malformed(path: Path, error: Exception) -> Misshapen:
    """The error for a file whose values are not those of its form."""
    kind = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return Misshapen(f"{path}: holds a shape that is not understood ({kind[:160]}); {REMEDY}")


def whole(value: object) -> int:
    """Returns the side of an image, which is a whole number."""
    if type(value) is not int or value < 1:
        raise ValueError(f"found the size {value!r:.40}")
    return value


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


def from_runs(runs: Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """Returns the pixels, in a row, of a mask in runs of absent and present ones."""
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise ValueError("a mask whose runs do not fill it")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)
