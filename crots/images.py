"""Reading and writing images, label maps and confidences as files.

In memory an image is (H, W, 3) uint8 RGB, a label map (H, W) of integers, a confidence (H, W) float32 in 0..1.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import TiffImageFile

from crots import rendering
from crots.config import Size
from crots.errors import CrotsError, InputError
from crots.files import atomic_path, exists, is_pointer
from crots.limits import check_pixels
from crots.stored_pixels import NoLabelIds, narrowed, storage_of

# Users can neither see nor raise Pillow's own limit; `_opened` has one instead.
Image.MAX_IMAGE_PIXELS = None
# Images of more pixels are decoded one at a time, since decoding takes several times the memory of the result.
_LARGE = 24 * 10**6
_one_large = threading.Lock()

_HEIF = (".heic", ".heif", ".hif")
# The formats that a suffix may have. All of them are still images that Pillow decodes itself; what starts another
# program (EPS) is none of them.
FORMATS: dict[str, tuple[str, ...]] = {
    ".png": ("PNG",),
    ".apng": ("PNG",),
    # Phones write pictures of several frames (MPO) under the name of plain JPEG.
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), ("JPEG", "MPO")),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    ".webp": ("WEBP",),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    ".gif": ("GIF",),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
    **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), ("JPEG2000",)),
    **dict.fromkeys((".tga", ".vda", ".icb", ".vst"), ("TGA",)),
    ".pcx": ("PCX",),
    **dict.fromkeys((".sgi", ".rgb", ".bw"), ("SGI",)),
    ".ras": ("SUN",),
    ".qoi": ("QOI",),
    ".dds": ("DDS",),
    ".psd": ("PSD",),
    **({".avif": ("AVIF",)} if find_spec("PIL._avif") else {}),
    **(dict.fromkeys(_HEIF, ("HEIF",)) if find_spec("pillow_heif") else {}),
}
# Those that a file shows by its first bytes.
_EVERY_FORMAT = sorted({name for names in FORMATS.values() for name in names} - {"MPO", "HEIF", "TGA"})
IMAGE_SUFFIXES: frozenset[str] = frozenset(FORMATS)
_RAW, _FILM, _OTHER = "a camera's raw file; convert it", "a film; crots predict reads it", "cannot be read; convert it"
_NEEDS_HEIF = "pip install 'crots-studio[heif]' to read it"
# Pictures that are no input here, and why.
UNREAD: dict[str, str] = {
    suffix: why
    for suffix, why in {
        **dict.fromkeys((*_HEIF, ".avif"), _NEEDS_HEIF),
        **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"), _RAW),
        **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"), _FILM),
        **dict.fromkeys((".xcf", ".svg", ".eps", ".exr", ".hdr", ".dcm", ".fits", ".nii", ".jxl"), _OTHER),
    }.items()
    if suffix not in FORMATS
}
# Stored with loss, or as a rule.
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".dds", ".avif", *_HEIF)
LABEL_SUFFIXES: frozenset[str] = IMAGE_SUFFIXES - set(_LOSSY)

# The PNG text under which label files of CROTS say what their ids are, and the beginning of what stands there.
LABEL_NOTE = "Label ids"
TRAIN_IDS = "train ids"

_ORIENTATION_TAG = 0x0112
_SUBFILE_TAG = 254
_MOST_PAGES = 16
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Opens a file whose content must match its suffix; any error of a decoder becomes an `InputError`."""
    formats = FORMATS.get(path.suffix.lower())
    if formats is None:
        why = UNREAD.get(path.suffix.lower())
        but, kinds = f" ({why})" if why else "", ", ".join(sorted(FORMATS))
        raise InputError(f"{path}: found the suffix {path.suffix!r}{but}, expected one of {kinds}")
    if exists(path) and not path.is_file():
        # Reading a pipe would block for ever.
        raise InputError(f"{path}: cannot be read (it is not a regular file); leave it out")
    try:
        with _identified(path, formats) as image:
            check_decoded(path, image)
            with _one_large if image.width * image.height > _LARGE else contextlib.nullcontext():
                yield image
    except (CrotsError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        # Those of decoders have no number; the others are the disk's.
        if error.errno:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        raise InputError(f"{path}: {_why_unreadable(path, error)}; replace the file or leave it out") from error
    except Exception as error:  # decoders raise all kinds of exceptions on broken files
        raise InputError(f"{path}: {_why_unreadable(path, error)}; replace the file or leave it out") from error


def _identified(path: Path, formats: tuple[str, ...]) -> Image.Image:
    if "HEIF" in formats:
        _register_heif()
    try:
        # The decoder of JPEG opens MPO too.
        return Image.open(path, formats=[name for name in formats if name != "MPO"])
    except UnidentifiedImageError:
        with Image.open(path, formats=_EVERY_FORMAT) as image:
            found = image.format
        raise InputError(f"{path}: holds a {found} image under the suffix {path.suffix}; rename it") from None


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def check_decoded(path: Path, image: Image.Image) -> None:
    """Refuses an image whose header states more pixels than the limit, for the image or one of its tiles.

    Raises:
        InputError: it is larger; the message names the option.
    """
    check_pixels(path, *image.size)
    if isinstance(image, TiffImageFile):
        # Width and height of a tile, which is decoded as a whole even if the image is smaller.
        width, height = (image.tag_v2.get(number, 0) for number in (322, 323))
        check_pixels(path, int(width), int(height))


def _why_unreadable(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    if is_pointer(path):
        return "is a pointer of Git LFS and not the image itself; run `git lfs pull` where it comes from"
    if isinstance(error, UnidentifiedImageError) and rendering.tiff_header(path) is not None:
        return (
            "a TIFF of a kind that is not read here, as those of 64 bits a number are; convert it to 8, 16 or 32 bits"
        )
    if isinstance(error, UnidentifiedImageError):
        return f"not an image, though its suffix is {path.suffix}"
    return f"broken or truncated image ({str(error) or type(error).__name__})"


def _orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation; call it before the pixels are loaded, so that size and image agree."""
    if image.format == "TIFF":
        return 1  # Pillow applies it while loading
    # PngImageFile.getexif would decode the pixels first; the base class reads the header's EXIF only.
    return int(Image.Image.getexif(image).get(_ORIENTATION_TAG, 1) or 1)


def image_size(path: Path) -> Size:
    """Returns the size of an image after its EXIF rotation, from the header only.

    Raises:
        InputError: it is missing or not an image.
    """
    if (banded := _banded(path)) is not None:
        check_pixels(path, *banded.size)
        width, height = banded.size
        return Size(height, width) if banded.orientation in (5, 6, 7, 8) else banded.size
    with _opened(path) as image:
        width, height = image.size
        orientation = _orientation(image)
        if isinstance(image, TiffImageFile):
            # Whether the size is rotated before the pixels are loaded depends on the version of Pillow; tags do not.
            width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
            orientation = int(image.tag_v2.get(_ORIENTATION_TAG, 1))
        return Size(height, width) if orientation in (5, 6, 7, 8) else Size(width, height)


def is_turned(path: Path) -> bool:
    """Whether the EXIF orientation of an image rotates or mirrors it.

    Raises:
        InputError: it is missing or no image.
    """
    if (banded := _banded(path)) is not None:
        return banded.orientation in _TRANSPOSITIONS
    with _opened(path) as image:
        if isinstance(image, TiffImageFile):
            return int(image.tag_v2.get(_ORIENTATION_TAG, 1)) in _TRANSPOSITIONS
        return _orientation(image) in _TRANSPOSITIONS


def read_image(path: Path) -> NDArray[np.uint8]:
    """Reads an image and applies its EXIF rotation: grey, palette and 16-bit become 8-bit RGB without transparency.

    What `crots.rendering` notes of the file decides about bands and white.

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: it is missing, truncated, not an image, or of another format than its suffix.
    """
    if (banded := _banded(path)) is not None:
        rgb = Image.fromarray(rendering.to_8_bits(path, rendering.read_bands(path, banded))).convert("RGB")
        return _upright(rgb, banded.orientation)
    with _opened(path) as image:
        orientation = _orientation(image)
        wide = bool(rendering.of(path).white) and _has_16_bits(image) and not image.mode.startswith("I")
        image.load()
        return _upright(_to_rgb(image, path, wide=wide), orientation)


def _upright(rgb: Image.Image, orientation: int) -> NDArray[np.uint8]:
    transposition = _TRANSPOSITIONS.get(orientation)
    return np.array(rgb if transposition is None else rgb.transpose(transposition))


def is_plain(path: Path) -> bool:
    """Whether an image needs no choice of bands or white value."""
    return not rendering.of(path).words and _banded(path) is None


def _banded(path: Path) -> rendering.TiffHeader | None:
    """The header of a TIFF with more bands than Pillow reads, or than it would leave out silently."""
    header = rendering.tiff_header(path)
    return header if header is not None and header.is_banded else None


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
    if (banded := _banded(path)) is not None:
        values = rendering.read_bands(path, banded)
        return PixelFacts(int(values.max()) if values.dtype == np.uint16 else None)
    with _opened(path) as image:
        deep, frames = _has_16_bits(image), _frames(image)
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


def _frames(image: Image.Image) -> int:
    """Counts frames or pages; the smaller versions of the same picture that many a TIFF holds are none."""
    count = int(getattr(image, "n_frames", 1))
    if count == 1 or not isinstance(image, TiffImageFile):
        return count
    whole = 0
    for number in range(min(count, _MOST_PAGES)):
        image.seek(number)
        whole += not int(image.tag_v2.get(_SUBFILE_TAG, 0)) & 1
    image.seek(0)
    return whole


def _has_16_bits(image: Image.Image) -> bool:
    if image.mode.startswith("I"):
        return True
    if isinstance(image, TiffImageFile):
        return bool(np.max(image.tag_v2.get(258, 8)) > 8)
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _to_rgb(image: Image.Image, path: Path, *, wide: bool = False) -> Image.Image:
    """Converts a decoded image to RGB of 8 bits; ``wide`` reads the 16 bits of its colours, of which Pillow keeps 8."""
    chosen = rendering.of(path)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns when it drops a palette's transparency in one step
    number = image.mode.startswith(("I", "F"))
    if not (number or chosen.bands or chosen.white):
        return image.convert("RGB")
    if not number and image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    values = _read_wide(path) if wide else np.asarray(image)
    values = rendering.pick(path, values) if chosen.bands else values
    return Image.fromarray(rendering.to_8_bits(path, values)).convert("RGB")


def decode_wide(path: Path) -> NDArray[Any] | None:
    """Decodes a file of 16 bits a channel, of which Pillow keeps 8; BGR, None where it fails.

    OpenCV believes the header, so the size must be checked before.
    """
    import cv2

    try:
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if values is None else np.asarray(values)


def _read_wide(path: Path) -> NDArray[Any]:
    """Reads colours of 16 bits; the size was checked before."""
    values = decode_wide(path)
    if values is None:
        raise InputError(f"{path}: its 16 bits cannot be read; save it as a plain PNG or TIFF of 16 bits")
    # OpenCV turns RGB into BGR.
    return values if values.ndim == 2 else values[..., [2, 1, 0, *range(3, values.shape[2])]]


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
        InputError: it is missing, broken, or in a lossy format.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES - LABEL_SUFFIXES:
        raise InputError(
            f"{path}: found labels in a lossy format, expected PNG, TIFF or BMP; convert the original labels"
        )
    if (banded := _banded(path)) is not None:
        raise NoLabelIds(f"{path}: has {banded.bands} bands, expected label ids in one; save these alone")
    with _opened(path) as image:
        storage = storage_of(path, image, _frames(image), _orientation(image))
        image.load()
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
            return StoredLabels(narrowed(path, _read_wide(path)), None, says)
        if image.mode in ("LA", "La"):
            image = image.convert("L")
        if image.mode == "F":
            return StoredLabels(_whole(np.array(image), path), None, says)
        if image.mode in ("1", "L") or image.mode.startswith("I"):
            return StoredLabels(_integers(storage.numbers(np.array(image))), None, says)
        return StoredLabels(np.array(_to_rgb(image, path)), None, says)


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
    colours = np.array(image.convert("RGB"))
    return colours[..., 0] if (colours == colours[..., :1]).all() else colours


def _palette(image: Image.Image) -> NDArray[np.uint8] | None:
    colours = image.getpalette("RGB")
    return None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    """Label maps of geographic programs are often floating-point files of whole numbers."""
    if not (np.isfinite(values).all() and (values == np.rint(values)).all() and np.abs(values).max() < 2**24):
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
    """Reads a confidence map, 8- or 16-bit grey.

    Returns:
        (H, W) float32, 0..1.

    Raises:
        InputError: it is missing, broken or coloured.
    """
    return as_confidence(read_grey(path))


def read_grey(path: Path) -> NDArray[Any]:
    """Reads a confidence map as it is stored.

    Returns:
        (H, W) uint8 or uint16, for `as_confidence`.

    Raises:
        InputError: it is missing, broken or coloured.
    """
    with _opened(path) as image:
        image.load()
        if image.mode not in ("L", "P") and not image.mode.startswith("I;16"):
            raise InputError(f"{path}: found {image.mode} pixels, expected a grey confidence map of 8 or 16 bits")
        return np.array(image)


def as_confidence(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Returns a confidence, 0..1, of what `read_grey` read."""
    return (stored / np.float32(255 if stored.dtype == np.uint8 else 65535)).astype(np.float32)


def _png(path: Path, image: Image.Image, says: str = "") -> None:
    about = PngInfo()
    if says:
        about.add_itxt(LABEL_NOTE, says)
    with atomic_path(path) as partial:
        image.save(partial, format="PNG", pnginfo=about)


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
    if labels.size and int(labels.max()) > 255:
        _png(path, Image.fromarray(np.ascontiguousarray(labels.astype(np.uint16))), says)
        return
    image = Image.fromarray(np.ascontiguousarray(labels.astype(np.uint8)))
    if palette is not None:
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


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Writes an image (H, W, 3) or grey (H, W); the suffix decides the format, JPEG at quality 95.

    Raises:
        StageError: the folder cannot be written.
    """
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    with atomic_path(path) as partial:
        Image.fromarray(np.ascontiguousarray(image)).save(partial, **options)


def write_confidence(path: Path, confidence: NDArray[Any]) -> None:
    """Writes a confidence (H, W) in 0..1 as an 8-bit grey PNG.

    Raises:
        StageError: the folder cannot be written.
    """
    write_image(path, np.rint(np.clip(confidence, 0, 1) * 255).astype(np.uint8))


def _pair(size: Size) -> tuple[int, int]:
    return size.width, size.height


def resize_image(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resizes an image (H, W, 3) with Pillow's bicubic filter, as the published code does."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.array(Image.fromarray(image).resize(_pair(size), Image.Resampling.BICUBIC))


def resize_labels(labels: NDArray[Any], size: Size) -> NDArray[Any]:
    """Resizes labels (H, W) of any integer type with Pillow's nearest-neighbour filter."""
    if (labels.shape[1], labels.shape[0]) == size:
        return labels
    plain = labels if labels.dtype == np.uint8 else labels.astype(np.int32)
    resized = Image.fromarray(np.ascontiguousarray(plain)).resize(_pair(size), Image.Resampling.NEAREST)
    return np.array(resized).astype(labels.dtype, copy=False)


def resize_confidence(confidence: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Resizes a float map (H, W) bilinearly, with antialiasing."""
    if (confidence.shape[1], confidence.shape[0]) == size:
        return confidence
    source = Image.fromarray(np.ascontiguousarray(confidence, np.float32))
    return np.array(source.resize(_pair(size), Image.Resampling.BILINEAR))
