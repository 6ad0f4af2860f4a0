"""The formats of image files: which are read, and how a file is opened so that its content must match its suffix."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from crots.errors import CrotsError, InputError
from crots.files import exists, is_pointer, way_to_read
from crots.jpeg2000 import is_rounded
from crots.limits import check_pixels
from crots.tiffs import TiffHeader, tiff_header

# Users can neither see nor raise Pillow's own limit; `opened` has one instead.
Image.MAX_IMAGE_PIXELS = None
# Images of more pixels are decoded one at a time, since decoding takes several times the memory of the result.
_LARGE = 24 * 10**6
_one_large = threading.Lock()

_HEIF = (".heic", ".heif", ".hif")
_JPEG_2000 = (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")
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
    **dict.fromkeys(_JPEG_2000, ("JPEG2000",)),
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
_RAW, _FILM, _OTHER = "a camera's raw file; convert it", "a video; crots predict reads it", "cannot be read; convert it"
_NEEDS_HEIF = "pip install 'crots-studio[heif]' to read it"
# Files that may hold pictures but are no input here, and why.
UNREAD: dict[str, str] = {
    suffix: why
    for suffix, why in {
        **dict.fromkeys((*_HEIF, ".avif"), _NEEDS_HEIF),
        **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"), _RAW),
        **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"), _FILM),
        **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".7z", ".rar"), "compressed; unpack it"),
        **dict.fromkeys((".xcf", ".svg", ".eps", ".exr", ".hdr", ".dcm", ".fits", ".nii", ".jxl"), _OTHER),
    }.items()
    if suffix not in FORMATS
}
# Stored with loss, or as a rule.
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".dds", ".avif", *_HEIF)
# Formats that store pixels with loss or without.
EITHER: dict[str, str] = {".webp": "WebP", **dict.fromkeys(_JPEG_2000, "JPEG 2000")}
# Of files that can hold labels; of WebP and JPEG 2000 only those stored without loss, see `is_lossy`.
LABEL_SUFFIXES: frozenset[str] = IMAGE_SUFFIXES - set(_LOSSY)
# Of the head of a WebP file: more than its first chunks, profile and all, take up before the pixels as a rule.
_CHUNKS = 64

ORIENTATION_TAG = 0x0112
_SUBFILE_TAG = 254
_MOST_PAGES = 16


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
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
            if isinstance(image, TiffImageFile):
                # Without a name no memory map is made, which Pillow reads with the sides of the turned image.
                image.filename = ""
            with _one_large if image.width * image.height > _LARGE else contextlib.nullcontext():
                yield image
    except (CrotsError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        # Those of decoders have no number; the others are the disk's.
        if error.errno:
            remedy = way_to_read(error, "replace the file or leave it out")
            raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
        raise InputError(f"{path}: {_why_unreadable(path, error)}; replace the file or leave it out") from error
    except Exception as error:  # decoders raise all kinds of exceptions on broken files
        raise InputError(f"{path}: {_why_unreadable(path, error)}; replace the file or leave it out") from error


def is_lossy(path: Path) -> bool:
    """Whether a file cannot hold labels, as it stores pixels with loss.

    WebP and JPEG 2000 do both, so the heads of those files are read.
    """
    suffix = path.suffix.lower()
    look = _is_lossy_webp if suffix == ".webp" else is_rounded if suffix in _JPEG_2000 else None
    if look is None:
        return suffix in _LOSSY
    try:
        return path.is_file() and look(path)
    except OSError:  # reported where the file is opened
        return False


def _is_lossy_webp(path: Path) -> bool:
    """Looks for the chunk of the pixels: VP8 is lossy, VP8L is not; in animations it is part of a frame."""
    with path.open("rb") as file:
        if file.read(12)[8:] != b"WEBP":
            return False
        for _ in range(_CHUNKS):
            head = file.read(8)
            kind, length = head[:4], int.from_bytes(head[4:], "little")
            if kind in (b"VP8 ", b"VP8L", b"") or len(head) < 8:
                return kind == b"VP8 "
            # A frame begins with its place and size, and its chunks follow; others are passed over, padded to even.
            file.seek(16 if kind == b"ANMF" else length + length % 2, 1)
    return False


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
        return "is a Git LFS pointer, not the image itself; run `git lfs pull` in its repository"
    if isinstance(error, UnidentifiedImageError) and tiff_header(path) is not None:
        return "an unsupported kind of TIFF, such as one of 64-bit numbers; convert it to 8, 16 or 32 bits"
    if isinstance(error, UnidentifiedImageError):
        return f"not an image, though its suffix is {path.suffix}"
    return f"broken or truncated image ({str(error) or type(error).__name__})"


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation; call it before the pixels are loaded, so that size and image agree."""
    if image.format == "TIFF":
        return 1  # Pillow applies it while loading
    # PngImageFile.getexif would decode the pixels first; the base class reads the header's EXIF only.
    return int(Image.Image.getexif(image).get(ORIENTATION_TAG, 1) or 1)


def banded_header(path: Path) -> TiffHeader | None:
    """The header of a TIFF with bands or numbers that Pillow does not read, reads wrongly or leaves out silently."""
    header = tiff_header(path)
    return header if header is not None and (header.is_banded or header.is_wide) else None


def count_frames(image: Image.Image) -> int:
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
