"""TIFFs that hold more than Pillow and OpenCV read: many bands, bands as pages, and wide numbers.

A header is read without a decoder, so that a file is never shown by only the part of it that a decoder supports.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from crots.config import Size
from crots.errors import InputError
from crots.limits import check_claim, check_pixels

_SUFFIXES = (".tif", ".tiff")
_BIG_TIFF = 43
# Tags of a TIFF, and what each photometric interpretation means in bands.
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _BANDS, _PLANES, _EXTRA, _FORMAT = (
    254, 256, 257, 258, 262, 274, 277, 284, 338, 339,
)  # fmt: skip
# Width and height of a tile, which is decoded as a whole even if the image is smaller.
_TILE = (322, 323)
_EXPECTED = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}
_GREY, _RGB = 1, 2
_ALPHA = (1, 2)
_UNSIGNED, _SIGNED, _REAL = 1, 2, 3
# Of a subfile: a smaller version of the picture, and a mask.
_NO_PAGE = 1 | 4
MOST_BANDS = 4096


@dataclass(frozen=True)
class TiffHeader:
    """The first directory of a TIFF, and whether others are like it.

    Attributes:
        size: as stored.
        bands: numbers for each pixel; the pages of a file of bands as pages.
        expected: how many of them are colours or transparency.
        orientation: of EXIF.
        photometric: what the numbers mean.
        bits: of a number.
        kind: of numbers, as the sample format counts them.
        apart: whether the bands are stored one after another.
        in_pages: whether each band is a page, or may be.
    """

    size: Size
    bands: int
    expected: int
    orientation: int
    photometric: int = _GREY
    bits: int = 8
    kind: int = _UNSIGNED
    apart: bool = False
    in_pages: bool = False

    @property
    def is_banded(self) -> bool:
        """Whether there are more bands than can be shown without a choice."""
        return self.bands > self.expected

    @property
    def is_wide(self) -> bool:
        """Whether Pillow does not read its numbers, or reads wrong ones: 16 bits in bands apart, 8 bits with a sign."""
        if self.photometric not in (_GREY, _RGB):
            return False
        if self.bands > 1 and not self.in_pages:
            plain = self.photometric == _RGB and not self.apart
            return self.kind != _UNSIGNED or self.bits > (16 if plain else 8)
        return self.bits > 32 or (self.kind == _REAL and self.bits < 32) or (self.kind == _SIGNED and self.bits == 8)

    @property
    def description(self) -> str:
        """What it holds."""
        if self.in_pages:
            return f"holds {self.bands} grey pages of one size"
        if self.is_banded:
            return f"has {self.bands} bands"
        return f"holds {self.bits}-bit numbers" + (f" in {self.bands} bands" if self.bands > 1 else "")


def tiff_header(path: Path) -> TiffHeader | None:
    """Reads the header of a TIFF; None for other files, and for broken ones, which a decoder reports better."""
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(8)
            head += file.read(8) if _BIG_TIFF in head[2:4] else b""
            tags = _directory(file, head, ImageFileDirectory_v2(head).next)
            first = _header_of(tags)
            pages = 1
            if _is_page(first, tags):
                pages = _count_alike(file, head, tags)
            if pages == 1:
                return first
            return replace(first, bands=pages, in_pages=True)
    except Exception:  # Pillow's parser raises nearly every type on broken files
        return None


def _directory(file: IO[bytes], head: bytes, place: int) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2(head)
    file.seek(place)
    tags.load(file)
    return tags


def _header_of(tags: ImageFileDirectory_v2) -> TiffHeader:
    photometric = _one(tags.get(_PHOTOMETRIC, _GREY))
    expected = _EXPECTED.get(photometric, 1)
    return TiffHeader(
        size=Size(_one(tags[_WIDTH]), _one(tags[_HEIGHT])),
        bands=_one(tags.get(_BANDS, 1)),
        expected=expected + min(1, sum(kind in _ALPHA for kind in _all(tags.get(_EXTRA, ())))),
        orientation=_one(tags.get(_ORIENTATION, 1)),
        photometric=photometric,
        bits=max(map(int, _all(tags.get(_BITS, 1)))),
        kind=max(map(int, _all(tags.get(_FORMAT, _UNSIGNED)))),
        apart=_one(tags.get(_PLANES, 1)) == 2,
    )


def _is_page(header: TiffHeader, tags: ImageFileDirectory_v2) -> bool:
    """Whether a page can be a band: grey, neither a smaller version nor a mask, and more than black and white."""
    grey = header.photometric in (0, _GREY) and header.bands == 1 and header.bits > 1
    return grey and not int(_one(tags.get(_SUBFILE, 0))) & _NO_PAGE


def _count_alike(file: IO[bytes], head: bytes, first: ImageFileDirectory_v2) -> int:
    """Counts the pages, which are bands only if all have the size and numbers of the first; else 1."""
    wanted, place, count, seen = _header_of(first), first.next, 1, set[int]()
    while place and place not in seen and count < MOST_BANDS:
        seen.add(place)
        tags = _directory(file, head, place)
        found, place = _header_of(tags), tags.next
        if int(_one(tags.get(_SUBFILE, 0))) & _NO_PAGE:
            continue
        if not _is_page(found, tags) or (found.size, found.bits, found.kind) != (wanted.size, wanted.bits, wanted.kind):
            return 1
        count += 1
    return count


def _all(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _one(value: Any) -> int:
    return int(_all(value)[0])


def read_tiff(path: Path, header: TiffHeader) -> NDArray[Any]:
    """Reads the bands of a TIFF that Pillow does not read; not of one with bands as pages.

    Returns:
        (H, W, bands) of the file's type.

    Raises:
        InputError: the library is missing, or the file is broken or holds no plain numbers.
    """
    with_library = _Library(path, header)
    stored = with_library.page(0)
    planes = stored[..., None] if stored.ndim == 2 else stored
    return np.moveaxis(planes, 0, 2) if header.apart and stored.ndim == 3 else planes


def read_pages(path: Path, header: TiffHeader, bands: tuple[int, ...]) -> NDArray[Any]:
    """Reads pages of a TIFF with bands as pages, as they are stored.

    Args:
        path: the file.
        header: its own.
        bands: numbers of pages, counted from 1.

    Returns:
        (H, W, len(bands)).

    Raises:
        InputError: as `read_tiff`, or there are fewer pages.
    """
    if header.is_wide:
        library = _Library(path, header)
        return np.stack([library.page(band - 1) for band in bands], axis=2)
    try:
        with path.open("rb") as file, TiffImageFile(file) as image:
            pages = []
            for band in bands:
                image.seek(band - 1)
                check_pixels(path, *image.size)
                check_pixels(path, *(int(image.tag_v2.get(side, 0)) for side in _TILE))
                # Its shape is that of the turned page only after this; from a file without a name, see `opened`.
                image.load()
                pages.append(np.array(image))
        return np.stack(pages, axis=2)
    except InputError:
        raise
    except Exception as error:  # decoders raise all kinds of exceptions on broken files
        raise _broken(path, error) from error


@dataclass(frozen=True)
class _Library:
    path: Path
    header: TiffHeader

    def page(self, number: int) -> NDArray[Any]:
        """Returns a page as it is stored."""
        check_pixels(self.path, *self.header.size)
        try:
            tifffile = importlib.import_module("tifffile")
        except ImportError:
            raise InputError(
                f"{self.path}: {self.header.description}, which takes another library to read; pip install "
                "'crots-studio[tiff]', or save it again as grey or RGB of 8 or 16 bits, with interleaved bands"
            ) from None
        try:
            with tifffile.TiffFile(self.path) as file:
                page = file.pages[number]
                check_claim(self.path, int(np.prod(page.shape)) * page.dtype.itemsize, f"its {self.header.bands} bands")
                stored = np.asarray(page.asarray())
        except InputError:
            raise
        except Exception as error:  # decoders raise all kinds of exceptions on broken files
            raise _broken(self.path, error) from error
        if stored.dtype.kind not in "uifb":
            raise InputError(f"{self.path}: holds {stored.dtype} numbers, expected plain ones; convert it")
        return stored


def _broken(path: Path, error: Exception) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"{path}: its bands cannot be read ({reason[:160]}); replace it or leave it out")
