"""Reading, writing and resizing images, which in memory are (H, W, 3) uint8 RGB."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from crots import rendering
from crots.config import Size
from crots.errors import InputError
from crots.files import atomic_path
from crots.image_formats import ORIENTATION_TAG, banded_header, count_frames, opened, orientation_of
from crots.limits import check_pixels, strips

# For Pillow: only matches at a distance of one byte, since PNG's filters leave few others. Labels become as small as
# with its default, in half of the time.
PNG_OPTIONS: dict[str, Any] = {"compress_type": zlib.Z_RLE}
# Orientations from this one on exchange width and height.
_FIRST_QUARTER_TURN = 5
# What makes an image (H, W, 3) of each EXIF orientation upright, as a view of it.
_TRANSPOSITIONS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


def image_size(path: Path) -> Size:
    """Returns the size of an image after its EXIF rotation, from the header only.

    Raises:
        InputError: it is missing or not an image.
    """
    if (banded := banded_header(path)) is not None:
        check_pixels(path, *banded.size)
        width, height = banded.size
        return Size(height, width) if banded.orientation in (5, 6, 7, 8) else banded.size
    with opened(path) as image:
        width, height = image.size
        orientation = orientation_of(image)
        if isinstance(image, TiffImageFile):
            # Whether the size is rotated before the pixels are loaded depends on the version of Pillow; tags do not.
            width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
            orientation = int(image.tag_v2.get(ORIENTATION_TAG, 1))
        return Size(height, width) if orientation in (5, 6, 7, 8) else Size(width, height)


def is_turned(path: Path) -> bool:
    """Whether the EXIF orientation of an image rotates or mirrors it.

    Raises:
        InputError: it is missing or no image.
    """
    if (banded := banded_header(path)) is not None:
        return banded.orientation in _TRANSPOSITIONS
    with opened(path) as image:
        if isinstance(image, TiffImageFile):
            return int(image.tag_v2.get(ORIENTATION_TAG, 1)) in _TRANSPOSITIONS
        return orientation_of(image) in _TRANSPOSITIONS


def is_turned_unseen(path: Path) -> bool:
    """Whether the EXIF orientation rotates or mirrors an image without changing its size, so that sizes do not show it.

    Raises:
        InputError: it is missing or no image.
    """
    if not is_turned(path):
        return False
    size = image_size(path)
    if size.width == size.height:
        return True
    if (banded := banded_header(path)) is not None:
        return banded.orientation < _FIRST_QUARTER_TURN
    with opened(path) as image:
        if isinstance(image, TiffImageFile):
            return int(image.tag_v2.get(ORIENTATION_TAG, 1)) < _FIRST_QUARTER_TURN
        return orientation_of(image) < _FIRST_QUARTER_TURN


def read_image(path: Path) -> NDArray[np.uint8]:
    """Reads an image and applies its EXIF rotation: grey, palette and 16-bit become 8-bit RGB without transparency.

    `crots.rendering` decides which bands are read and which value is white.

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: it is missing, truncated, not an image, or of another format than its suffix.
    """
    if (banded := banded_header(path)) is not None:
        values = rendering.to_8_bits(path, rendering.read_bands(path, banded))
        # Pillow, which reads pages, turns them while it does.
        turned = banded.in_pages and not banded.is_wide
        return _upright(_as_rgb(Image.fromarray(values)), 1 if turned else banded.orientation)
    with opened(path) as image:
        orientation = orientation_of(image)
        wide = bool(rendering.of(path).white) and _has_16_bits(image) and not image.mode.startswith("I")
        image.load()
        by_pixel = not rendering.of(path).key and _has_colours(image)
        values = _as_rgb(image) if by_pixel else np.array(to_rgb(image, path, wide=wide))
    return _upright(values, orientation)


def _has_colours(image: Image.Image) -> bool:
    """Whether every pixel becomes RGB by itself, whatever the others are."""
    transparent = image.mode == "P" and "transparency" in image.info
    return not (transparent or image.mode.startswith(("I", "F")))


def _as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Converts a decoded image in strips: Pillow would copy a large one several times."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in strips(pixels):
        strip = image.crop((0, rows.start, image.width, min(rows.stop, image.height)))
        pixels[rows] = np.asarray(strip.convert("RGB"))
    return pixels


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    turned = _TRANSPOSITIONS.get(orientation)
    return image if turned is None else np.ascontiguousarray(turned(image))


def is_plain(path: Path) -> bool:
    """Whether an image needs no choice of bands or white value."""
    return not rendering.of(path).key and banded_header(path) is None


@dataclass(frozen=True)
class PixelFacts:
    """Facts about an image's pixels besides its colours.

    Attributes:
        greatest: value of an image of 16 bits; None for one of 8.
        transparent: share of its pixels that are not opaque.
        frames: or pages.
    """

    greatest: int | None = None
    transparent: float = 0.0
    frames: int = 1


def pixel_facts(path: Path) -> PixelFacts:
    """Decodes an image to find transparency, frames and its greatest 16-bit value.

    Raises:
        InputError: it is missing or broken.
    """
    if (banded := banded_header(path)) is not None:
        values = rendering.read_bands(path, banded)
        deep = values.dtype.kind in "iu" and values.dtype.itemsize > 1
        return PixelFacts(int(values.max()) if deep else None)
    with opened(path) as image:
        # Floating-point values have no fixed range.
        deep, frames = _has_16_bits(image) and image.mode != "F", count_frames(image)
        image.load()
        greatest = None
        if deep and image.mode.startswith("I"):
            greatest = int(np.asarray(image).max())
        elif deep:
            # Colours come with the upper 8 bits alone.
            greatest = int(np.asarray(image.convert("RGB")).max()) * 256 + 255
        transparent = 0.0
        if image.has_transparency_data:
            alpha = np.asarray(image.convert("RGBA").getchannel("A"))
            transparent = float((alpha < 255).mean())
        return PixelFacts(greatest, transparent, frames)


def _has_16_bits(image: Image.Image) -> bool:
    if image.mode.startswith("I"):
        return True
    if isinstance(image, TiffImageFile):
        return bool(np.max(image.tag_v2.get(258, 8)) > 8)
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def to_rgb(image: Image.Image, path: Path, *, wide: bool = False) -> Image.Image:
    """Converts a decoded image to RGB of 8 bits; ``wide`` reads the 16 bits of its colours, of which Pillow keeps 8."""
    chosen = rendering.of(path)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns when it drops a palette's transparency in one step
    number = image.mode.startswith(("I", "F"))
    if not (number or chosen.bands or chosen.white):
        return image.convert("RGB")
    if not number and image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    values = read_wide(path) if wide else np.asarray(image)
    values = rendering.pick(path, values) if chosen.bands else values
    return Image.fromarray(rendering.to_8_bits(path, values)).convert("RGB")


def decode_wide(path: Path) -> NDArray[Any] | None:
    """Decodes a file of 16 bits per channel, of which Pillow keeps 8; BGR, None where it fails.

    OpenCV trusts the header, so the size must be checked before.
    """
    import cv2

    try:
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if values is None else np.asarray(values)


def read_wide(path: Path) -> NDArray[Any]:
    """Reads colours of 16 bits; the size was checked before."""
    values = decode_wide(path)
    if values is None:
        raise InputError(f"{path}: its 16 bits cannot be read; save it as a plain PNG or TIFF of 16 bits")
    # OpenCV turns RGB into BGR.
    return values if values.ndim == 2 else values[..., [2, 1, 0, *range(3, values.shape[2])]]


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Writes an image (H, W, 3) or grey (H, W); the suffix decides the format, JPEG at quality 95.

    Raises:
        StageError: the folder cannot be written.
    """
    if path.suffix.lower() == ".png":
        write_png(path, image)
        return
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    with atomic_path(path) as partial:
        Image.fromarray(np.ascontiguousarray(image)).save(partial, **options)


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Writes a PNG of an image (H, W, 3) uint8 RGB, or of grey (H, W) uint8 or uint16.

    OpenCV, told the filter, makes files as small as Pillow's, which tries all filters, in a quarter of the time.

    Raises:
        StageError: the folder cannot be written.
    """
    import cv2

    options = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
    options += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    encoded = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, options)[1]
    with atomic_path(path) as partial:
        partial.write_bytes(encoded.data)


def resize_image(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resizes an image (H, W, 3) with Pillow's bicubic filter, as the published code does."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.array(Image.fromarray(image).resize((size.width, size.height), Image.Resampling.BICUBIC))
