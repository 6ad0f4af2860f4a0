"""The stored values of a label file, where Pillow would scale them to brightness or drop bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from crots.errors import InputError

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
# What Pillow multiplies grey of few bits by.
_FEW_BITS = {"L;2": 85, "L;4": 17}


class NoLabelIds(InputError):
    """A valid image of a kind that holds no label ids."""


@dataclass(frozen=True)
class Storage:
    """How a file stores its pixels; to be found before Pillow decodes it.

    Attributes:
        deep: its colours have 16 bits each, of which Pillow keeps 8.
        factor: what Pillow multiplies the numbers by.
        greatest: the maximum value stated in a PPM file, to which Pillow scales; 0 for other files.
    """

    deep: bool = False
    factor: int = 1
    greatest: int = 0

    def numbers(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns the numbers of one channel as they are stored, for those that Pillow decoded."""
        if self.greatest:
            white = 255 if values.dtype == np.uint8 else 65535
            return np.rint(values * (self.greatest / white)).astype(values.dtype)
        return values // self.factor if self.factor > 1 else values


def storage_of(path: Path, image: Image.Image, frames: int, orientation: int) -> Storage:
    """Finds out how an opened label file stores its pixels.

    Args:
        path: the file.
        image: opened, not yet decoded.
        frames: how many it has.
        orientation: of its EXIF.

    Raises:
        NoLabelIds: the file can be read in two ways that differ, or loses some of what it stores.
    """
    if frames > 1:
        raise NoLabelIds(f"{path}: holds {frames} frames or pages, expected one label map; save that one alone")
    check_upright(path, orientation)
    if isinstance(image, TiffImageFile):
        _check_tiff(path, image)
    tiles: list[Any] = getattr(image, "tile", [])
    decoder, arguments = (tiles[0][0], tiles[0][3]) if tiles else ("", ())
    values = arguments if isinstance(arguments, tuple) else (arguments,)
    raw = str(values[0]) if values else image.mode
    greatest = int(values[1]) if decoder in ("ppm", "ppm_plain") and len(values) > 1 else 0
    if image.mode == "RGB" and greatest not in (0, 255):
        raise NoLabelIds(f"{path}: its colours go from 0 to {greatest}, expected 0 to 255; save it as PNG")
    return Storage(";16" in raw and not image.mode.startswith("I"), _FEW_BITS.get(raw, 1), greatest)


def check_upright(path: Path, orientation: int) -> None:
    """Refuses a label file that its EXIF turns.

    Raises:
        NoLabelIds: it is turned or mirrored.
    """
    if orientation > 1:
        raise NoLabelIds(
            f"{path}: its EXIF says that it is turned or mirrored (orientation {orientation}), expected labels as they "
            "are; save it upright and without EXIF"
        )


def _check_tiff(path: Path, image: TiffImageFile) -> None:
    if image.info.get("compression") == "jpeg":
        raise NoLabelIds(f"{path}: is compressed with loss (JPEG in TIFF), expected labels; convert the original ones")
    if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise NoLabelIds(
            f"{path}: stores white as 0 (photometric interpretation 0), so that values and brightness disagree; save "
            "it as PNG, or with 0 as black"
        )


def narrowed(path: Path, deep: NDArray[Any]) -> NDArray[Any]:
    """Returns colours of 8 bits, or ids of 16 where the channels are alike, for colours of 16 bits (H, W, 3 or 4).

    Raises:
        NoLabelIds: the colours use all 16 bits.
    """
    colours = deep[..., :3]
    if (colours == colours[..., :1]).all():
        return colours
    if colours.max(initial=0) <= 255:
        return colours.astype(np.uint8)
    for factor in (257, 256):
        if not (colours % factor).any():
            return (colours // factor).astype(np.uint8)
    raise NoLabelIds(
        f"{path}: holds colours of 16 bits, expected ids in one channel or colours of 8 bits; if it is a label file of "
        "SYNTHIA, choose the encoding synthia"
    )
