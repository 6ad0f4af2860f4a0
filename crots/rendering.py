"""Converts images with other than three bands, more than 8 bits or floating-point values to 8-bit RGB.

What a project chooses holds for each of its images in every reader: `use` notes it by file.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from crots.config import Size
from crots.errors import InputError
from crots.limits import check_claim, check_pixels, strips

_TIFF = (".tif", ".tiff")
_BIG_TIFF = 43
# Tags of a TIFF, and what each photometric interpretation means in bands.
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _BANDS, _EXTRA = 256, 257, 258, 262, 274, 277, 338
_EXPECTED = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}
_ALPHA = (1, 2)
_MOST_BANDS = 4096


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
    def words(self) -> tuple[str, ...]:
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
    if len(numbers) != len(parts) or len(numbers) not in (0, 1, 3) or not all(1 <= n <= _MOST_BANDS for n in numbers):
        raise InputError(
            f"data.bands: found {bands!r}, expected the numbers of the bands that are red, green and blue, counted "
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


@dataclass(frozen=True)
class TiffHeader:
    """The first directory of a TIFF.

    Attributes:
        size: as stored.
        bands: numbers for each pixel.
        expected: how many of them are colours or transparency.
        orientation: of EXIF.
    """

    size: Size
    bands: int
    expected: int
    orientation: int

    @property
    def is_banded(self) -> bool:
        """Whether there are more bands than any program would show by itself."""
        return self.bands > self.expected


def tiff_header(path: Path) -> TiffHeader | None:
    """Reads the header of a TIFF; None for other files, and for broken ones, which a decoder reports better."""
    if path.suffix.lower() not in _TIFF or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(8)
            head += file.read(8) if _BIG_TIFF in head[2:4] else b""
            tags = ImageFileDirectory_v2(head)
            file.seek(tags.next)
            tags.load(file)
        photometric = _one(tags.get(_PHOTOMETRIC, 1))
        extra = tags.get(_EXTRA, ())
        alpha = sum(kind in _ALPHA for kind in (extra if isinstance(extra, tuple) else (extra,)))
        expected = _EXPECTED.get(photometric, 1)
        return TiffHeader(
            Size(_one(tags[_WIDTH]), _one(tags[_HEIGHT])),
            _one(tags.get(_BANDS, 1)),
            expected + min(1, alpha),
            _one(tags.get(_ORIENTATION, 1)),
        )
    except Exception:  # Pillow's parser raises nearly every type on broken files
        return None


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def read_bands(path: Path, header: TiffHeader) -> NDArray[Any]:
    """Reads the chosen bands of a TIFF that has more than can be shown.

    Returns:
        (H, W, 3) or (H, W) of the file's type.

    Raises:
        InputError: none are chosen, they are not there, the library is missing, or the file is broken.
    """
    if not of(path).bands:
        raise InputError(
            f"{path}: has {header.bands} bands, expected one (grey) or three (red, green, blue); say which to take "
            "(`data.bands` 3,2,1: the bands that are red, green and blue, counted from 1)",
            field="data.bands",
        )
    check_pixels(path, *header.size)
    tifffile = _tifffile(path)
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            check_claim(path, int(np.prod(page.shape)) * page.dtype.itemsize, f"its {header.bands} bands")
            stored = page.asarray()
            apart = stored.ndim == 3 and page.planarconfig == 2
    except InputError:
        raise
    except Exception as error:  # decoders raise all kinds of exceptions on broken files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: its bands cannot be read ({reason[:160]}); replace it or leave it out") from error
    return pick(path, np.moveaxis(stored, 0, 2) if apart else stored)


def _tifffile(path: Path) -> Any:
    try:
        return importlib.import_module("tifffile")
    except ImportError:
        raise InputError(
            f"{path}: has more than three bands, which takes another library; pip install 'crots-studio[tiff]'"
        ) from None


def pick(path: Path, stored: NDArray[Any]) -> NDArray[Any]:
    """Returns the chosen bands of an image (H, W) or (H, W, bands).

    Raises:
        InputError: there are not as many.
    """
    bands = of(path).bands
    planes = stored[..., None] if stored.ndim == 2 else stored
    if max(bands) > planes.shape[2]:
        raise InputError(
            f"{path}: has {planes.shape[2]} bands, but data.bands is {','.join(map(str, bands))}; choose others",
            field="data.bands",
        )
    taken = planes[..., [band - 1 for band in bands]]
    return taken[..., 0] if len(bands) == 1 else taken


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
