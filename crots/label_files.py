"""Reading and writing label maps and confidences as files.

In memory a label map is (H, W) of integers, a confidence (H, W) float32 in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from crots.array_files import as_shares, is_array_file, read_id_array, read_share_array
from crots.config import Size
from crots.errors import InputError
from crots.files import atomic_path
from crots.image_formats import EITHER, banded_header, count_frames, is_lossy, opened, orientation_of
from crots.images import PNG_OPTIONS, read_wide, to_rgb, write_image, write_png
from crots.jpeg2000 import why_incomplete
from crots.limits import strips
from crots.stored_pixels import NoLabelIds, check_upright, narrowed, storage_of
from crots.tiffs import read_tiff

# The PNG text chunk in which label files of CROTS record what their ids are, and how its content begins.
LABEL_NOTE = "Label ids"
TRAIN_IDS = "train ids"


@dataclass(frozen=True)
class StoredLabels:
    """A label file as it is stored.

    Attributes:
        values: (H, W) integers, or (H, W, 3) uint8 where the file is coloured.
        palette: (N, 3) uint8, the colours of the values; None where the file has none.
        says: what its writer says the values are (`LABEL_NOTE`); empty in most files.
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None = None
    says: str = ""


def read_stored(path: Path) -> StoredLabels:
    """Reads a label map with all that its file says about the values.

    Raises:
        NoLabelIds: it is a sound image of several bands or frames, of fractions, or one that says something by
            transparency or EXIF.
        InputError: it is missing, broken, in a lossy format, or an array of anything but ids.
    """
    if is_array_file(path):
        return StoredLabels(read_id_array(path))
    if is_lossy(path):
        kind = EITHER.get(path.suffix.lower())
        found = f"a {kind} file stored with loss" if kind else "a lossy format"
        raise InputError(f"{path}: found labels in {found}, expected PNG, TIFF or BMP; convert the original labels")
    if (banded := banded_header(path)) is not None:
        if banded.bands > 1:
            raise NoLabelIds(f"{path}: {banded.description}, expected label ids in one; save these alone")
        check_upright(path, banded.orientation)
        return StoredLabels(_whole(read_tiff(path, banded)[..., 0], path))
    with opened(path) as image:
        storage = storage_of(path, image, count_frames(image), orientation_of(image))
        image.load()
        if image.format == "JPEG2000" and (why := why_incomplete(path, image)):
            raise InputError(
                f"{path}: found labels in a JPEG 2000 file, but {why}; convert the original labels to PNG, or this "
                "file where you know that it is complete"
            )
        note = image.info.get(LABEL_NOTE)
        says = note if isinstance(note, str) else ""
        if image.format == "GIF" and image.mode == "P":
            # A program that writes a GIF may reorder its palette, so that only these indices keep their meaning.
            return StoredLabels(_without_palette(image))
        if image.mode == "P":
            return StoredLabels(np.array(image), _palette(image), says)
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
            _check_opaque(image.convert("LA" if image.mode in ("LA", "La") else "RGBA"), path)
        if storage.deep:
            return StoredLabels(narrowed(path, read_wide(path)), None, says)
        if image.mode in ("LA", "La"):
            image = image.convert("L")
        if image.mode == "F":
            return StoredLabels(_whole(np.array(image), path), None, says)
        if image.format == "WEBP":
            # It has no grey.
            return StoredLabels(_one_if_grey(np.array(to_rgb(image, path))))
        if image.mode in ("1", "L") or image.mode.startswith("I"):
            return StoredLabels(_integers(storage.numbers(np.array(image))), None, says)
        return StoredLabels(np.array(to_rgb(image, path)), None, says)


def _check_opaque(image: Image.Image, path: Path) -> None:
    """Refuses labels that only differ in transparency: some tools store a mask as its opaque part."""
    *values, alpha = np.moveaxis(np.asarray(image), 2, 0).astype(np.int64)
    if (alpha == 255).all():
        return
    codes = sum(value << 8 * place for place, value in enumerate(values))
    if len(np.unique(codes << 8 | alpha)) > len(np.unique(codes)):
        raise NoLabelIds(
            f"{path}: holds labels in its transparency, expected ids or colours of opaque pixels; save it again with "
            "an id or colour in place of transparent pixels"
        )


def _without_palette(image: Image.Image) -> NDArray[np.uint8]:
    return _one_if_grey(np.array(image.convert("RGB")))


def _one_if_grey(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return colours[..., 0] if (colours == colours[..., :1]).all() else colours


def _palette(image: Image.Image) -> NDArray[np.uint8] | None:
    colours = image.getpalette("RGB")
    return None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    """Label maps of geographic programs are often floating-point files of whole numbers."""
    if values.size and values.dtype.kind in "iu" and not -(2**31) <= values.min() <= values.max() < 2**31:
        raise NoLabelIds(f"{path}: holds numbers from {values.min()} to {values.max()}, expected label ids; convert it")
    real = values.dtype.kind == "f"
    if real and not (np.isfinite(values).all() and (values == np.rint(values)).all() and np.abs(values).max() < 2**24):
        raise NoLabelIds(
            f"{path}: holds floating-point pixels that are no whole numbers, expected label ids; convert it"
        )
    return values.astype(np.int32)


def _integers(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype == np.bool_:
        return labels.astype(np.uint8)
    return labels.astype(labels.dtype.newbyteorder("="))


def read_labels(path: Path, *, colour: bool = False) -> NDArray[Any]:
    """Reads a label map as it is stored.

    Args:
        path: a format without loss.
        colour: give the colours of a palette image, not its indices.

    Returns:
        (H, W) uint8, uint16 or int32 ids, or (H, W, 3) uint8 where the file is coloured.

    Raises:
        InputError: it is missing, broken, or stored with loss.
    """
    stored = read_stored(path)
    if colour and stored.palette is not None:
        return look_up_colours(stored.palette, stored.values)
    return stored.values


def look_up_colours(palette: NDArray[np.uint8], values: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns the picture (H, W, 3) of palette indices; indices without a colour are black."""
    whole = np.zeros((256, 3), np.uint8)
    whole[: len(palette)] = palette[:256]
    return np.asarray(whole[values])


def read_confidence(path: Path) -> NDArray[np.float32]:
    """Reads a confidence map: grey of 8 or 16 bits, an array, or a TIFF of floating-point numbers.

    Returns:
        (H, W) float32, 0..1.

    Raises:
        InputError: it is missing, broken or coloured, or its numbers are no probabilities.
    """
    if is_array_file(path):
        return read_share_array(path)
    shares = _fractions(path)
    return as_confidence(read_grey(path)) if shares is None else as_shares(shares, path)


def _fractions(path: Path) -> NDArray[Any] | None:
    """The floating-point numbers of a TIFF of one band; None of other files."""
    if (banded := banded_header(path)) is not None:
        values = read_tiff(path, banded)[..., 0] if banded.bands == 1 else None
        return values if values is not None and values.dtype.kind == "f" else None
    with opened(path) as image:
        # The header says so; others are not decoded twice.
        return np.array(image) if image.mode == "F" else None


def read_grey(path: Path) -> NDArray[Any]:
    """Reads a confidence map as it is stored.

    Returns:
        (H, W) uint8 or uint16, for `as_confidence`.

    Raises:
        InputError: it is missing, broken or coloured.
    """
    with opened(path) as image:
        image.load()
        if image.mode == "P":
            # Indices of a palette mean what its colours say.
            grey = _without_palette(image)
            if grey.ndim == 3:
                raise InputError(f"{path}: found a coloured palette, expected a grey confidence map of 8 or 16 bits")
            return grey
        if image.mode == "RGB" and (grey := _one_if_grey(np.array(image))).ndim == 2:
            return grey
        if image.mode != "L" and not image.mode.startswith("I;16"):
            raise InputError(
                f"{path}: found {image.mode} pixels, expected a grey confidence map of 8 or 16 bits, or a TIFF of "
                "probabilities from 0 to 1 in 32-bit floating-point numbers"
            )
        return np.array(image)


def as_confidence(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Returns a confidence, 0..1, of what `read_grey` read."""
    return (stored / np.float32(255 if stored.dtype == np.uint8 else 65535)).astype(np.float32)


def _png(path: Path, image: Image.Image, says: str = "") -> None:
    about = PngInfo()
    if says:
        about.add_itxt(LABEL_NOTE, says)
    with atomic_path(path) as partial:
        image.save(partial, format="PNG", pnginfo=about, **PNG_OPTIONS)


def write_labels(path: Path, labels: NDArray[Any], palette: NDArray[np.uint8] | None = None, says: str = "") -> None:
    """Writes labels (H, W) as an index PNG: 8 bits, or 16 where an id is above 255.

    Args:
        path: ends in ``.png``.
        labels: integers from 0 to 65535.
        palette: (256, 3) colours that viewers show for the ids; 8-bit files only.
        says: what the ids are, for `read_stored`.

    Raises:
        StageError: the folder cannot be written.
    """
    wide = labels.size and int(labels.max()) > 255
    values = np.ascontiguousarray(labels, np.uint16 if wide else np.uint8)
    if not says and (wide or palette is None):
        write_png(path, values)
        return
    image = Image.fromarray(values)
    if not wide and palette is not None:
        image.putpalette(palette[:256].astype(np.uint8).tobytes())
    _png(path, image, says)


def write_colours(path: Path, labels: NDArray[Any], palette: NDArray[np.uint8]) -> None:
    """Writes labels (H, W) as a picture in the palette's colours (`ClassSet.palette_array`).

    With up to 256 colours the PNG holds ids and palette, which is small and loses nothing.

    Raises:
        StageError: the folder cannot be written.
    """
    if len(palette) <= 256:
        write_labels(path, labels, palette)
    else:
        write_image(path, palette[labels])


def write_confidence(path: Path, confidence: NDArray[Any]) -> None:
    """Writes a confidence (H, W) in 0..1 as an 8-bit grey PNG.

    Raises:
        StageError: the folder cannot be written.
    """
    stored = np.empty(confidence.shape, np.uint8)
    for rows in strips(confidence):
        stored[rows] = np.rint(np.clip(confidence[rows], 0, 1) * 255)
    write_image(path, stored)


def resize_labels(labels: NDArray[Any], size: Size) -> NDArray[Any]:
    """Resizes labels (H, W) of any integer type with Pillow's nearest-neighbour filter."""
    if (labels.shape[1], labels.shape[0]) == size:
        return labels
    plain = labels if labels.dtype == np.uint8 else labels.astype(np.int32)
    resized = Image.fromarray(np.ascontiguousarray(plain)).resize((size.width, size.height), Image.Resampling.NEAREST)
    return np.array(resized).astype(labels.dtype, copy=False)


def resize_confidence(confidence: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Resizes a float map (H, W) bilinearly, with antialiasing."""
    if (confidence.shape[1], confidence.shape[0]) == size:
        return confidence
    source = Image.fromarray(np.ascontiguousarray(confidence, np.float32))
    return np.array(source.resize((size.width, size.height), Image.Resampling.BILINEAR))
