"""Converts images with other than three bands, more than 8 bits or floating-point values to 8-bit RGB.

A project's choice applies to each of its images in every reader: `use` stores it by file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.errors import InputError
from crots.limits import check_pixels, strips
from crots.tiffs import MOST_BANDS, TiffHeader, read_pages, read_tiff


@dataclass(frozen=True)
class Rendering:
    """The choice for the images of a data set.

    Attributes:
        bands: which become red, green and blue, or one that becomes grey; counted from 1. Empty takes images as they
            are.
        white: the value that becomes white; 0 takes the greatest that 8 or 16 bits hold.
    """

    bands: tuple[int, ...] = ()
    white: float = 0.0

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the choice; empty if images are read as they are."""
        return () if self == _PLAIN else (",".join(map(str, self.bands)), f"{self.white!r}")


_PLAIN = Rendering()
_chosen: dict[Path, Rendering] = {}


def parse_rendering(bands: str, white: float) -> Rendering:
    """Reads the options ``data.bands`` and ``data.white``.

    Raises:
        InputError: the bands are no numbers, or neither one nor three.
    """
    parts = [part.strip() for part in bands.replace(";", ",").split(",")] if bands.strip() else []
    numbers = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= 4)
    if len(numbers) != len(parts) or len(numbers) not in (0, 1, 3) or not all(1 <= n <= MOST_BANDS for n in numbers):
        raise InputError(
            f"`data.bands`: found {bands!r}, expected the numbers of the bands that are red, green and blue, counted "
            "from 1, like 3,2,1; or one for grey images",
            field="data.bands",
        )
    return Rendering(numbers, white)


def use(paths: Iterable[Path], chosen: Rendering) -> None:
    """Notes how these images are read from now on."""
    for path in paths:
        if chosen == _PLAIN:
            _chosen.pop(path, None)
        else:
            _chosen[path] = chosen


def of(path: Path) -> Rendering:
    """Returns how an image is read."""
    return _chosen.get(path, _PLAIN)


def read_bands(path: Path, header: TiffHeader) -> NDArray[Any]:
    """Reads the chosen bands of a TIFF that Pillow does not read, or not the whole of; its colours where none are.

    Returns:
        (H, W, 3) or (H, W) of the file's type.

    Raises:
        InputError: they have to be chosen, they are not there, the library is missing, or the file is broken.
    """
    bands = of(path).bands
    if header.is_banded and not bands:
        wanted, each = "expected one (grey) or three (red, green, blue)", "bands"
        if header.in_pages:
            wanted, each = "which can be the bands of one image, or an image each", "pages"
        first = ", or 1 for the first alone" if header.in_pages else ""
        raise InputError(
            f"{path}: {header.description}, {wanted}; say which to take (`data.bands` 3,2,1: the {each} that are red, "
            f"green and blue, counted from 1{first})",
            field="data.bands",
        )
    check_pixels(path, *header.size)
    if not bands:
        bands = (1, 2, 3) if header.bands > 2 else (1,)
    _check_bands(path, bands, header.bands)
    if header.in_pages:
        return _as_picture(read_pages(path, header, bands))
    return _as_picture(read_tiff(path, header)[..., [band - 1 for band in bands]])


def pick(path: Path, stored: NDArray[Any]) -> NDArray[Any]:
    """Returns the chosen bands of an image (H, W) or (H, W, bands).

    Raises:
        InputError: there are not as many.
    """
    bands = of(path).bands
    planes = stored[..., None] if stored.ndim == 2 else stored
    _check_bands(path, bands, planes.shape[2])
    return _as_picture(planes[..., [band - 1 for band in bands]])


def _check_bands(path: Path, bands: tuple[int, ...], count: int) -> None:
    if max(bands) > count:
        raise InputError(
            f"{path}: has {count} bands, but `data.bands` is {','.join(map(str, bands))}; choose others",
            field="data.bands",
        )


def _as_picture(planes: NDArray[Any]) -> NDArray[Any]:
    return planes[..., 0] if planes.shape[2] == 1 else planes


def to_8_bits(path: Path, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scales values of any type to 0..255: what is chosen as white, or the greatest of 16 bits, becomes 255.

    Raises:
        InputError: it is not known what white is.
    """
    white = of(path).white
    if not white:
        if values.dtype == np.uint8:
            return np.asarray(values)
        white = 65535.0
        known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        if values.dtype.kind == "f" or low < 0 or high > white:
            kind = "floating-point values" if values.dtype.kind == "f" else "values"
            raise InputError(
                f"{path}: holds {kind} from {low:g} to {high:g}, expected 8 or 16 bits; say which value is white "
                "(`data.white`; what is below 0 becomes black)",
                field="data.white",
            )
    narrow = np.empty(values.shape, np.uint8)
    for rows in strips(values):
        part = np.nan_to_num(values[rows].astype(np.float64), nan=0.0, posinf=white, neginf=0.0)
        narrow[rows] = np.floor(np.clip(part / white, 0, 1) * 255 + 0.5)
    return narrow
