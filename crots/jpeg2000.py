"""JPEG 2000 files as labels: whether a file is lossless, or was truncated to reach a given size.

The file names its wavelet: 9-7 rounds. With the reversible 5-3 an encoder may still drop the last coding passes of each
block, which no field of the file records. But encoding is deterministic: the decoded pixels, encoded again with the
same parameters, give the same bytes if nothing was dropped, and otherwise different ones, nearly always more.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

# How a codestream begins, by itself or in a box: its start, and the marker of its size.
_BEGIN = b"\xff\x4f\xff\x51"
_SIZE, _CODING, _TILE, _DATA, _END = 0xFF51, 0xFF52, 0xFF90, 0xFF93, 0xFFD9
# Quantisation, comments and lengths leave the number of bytes of the blocks as it is; other markers may not.
_HARMLESS = {_TILE, 0xFF5C, 0xFF64, 0xFF55, 0xFF57, 0xFF58, 0xFF63}
# Bytes within which the wavelet is named; if the header is longer, comparing the encoded pixels decides.
_HEAD = 2**20
_ORDERS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_PRECINCTS, _MARKED = 1, 6
_USUAL_BLOCK = (64, 64)
# What the format allows: halvings of the picture, and of a block's sides the exponents over 4.
_MOST_LEVELS, _MOST_BLOCK = 32, 8
# Exponent of a precinct's sides; of smaller ones a large image has too many for the memory.
_LEAST_PRECINCT = 4


class _UnknownCoding(Exception):
    """It was made in a way that cannot be repeated here."""


def is_rounded(path: Path) -> bool:
    """Whether a file was encoded with the irreversible wavelet; False if it is not a JPEG 2000 file."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    wavelets = (content[9:10] for marker, content in _segments(head) if marker == _CODING)
    return next(wavelets, b"") == b"\0"


def why_incomplete(path: Path, image: Image.Image) -> str:
    """Returns why a file may have lost data; empty if it is lossless.

    Args:
        path: of a file with the reversible wavelet.
        image: it, decoded.
    """
    try:
        options, found = _coding(path.read_bytes())
        if "tile_size" in options and image.mode.startswith("I"):
            # Pillow writes those wrongly.
            raise _UnknownCoding("tiles of 16 bits")
        again = io.BytesIO()
        image.save(again, "JPEG2000", no_jp2=True, irreversible=False, **options)
        complete = _coding(again.getvalue())[1]
    except _UnknownCoding as error:
        return f"it cannot be determined whether it was truncated to a given size ({error})"
    except (OSError, ValueError, OverflowError, SystemError, struct.error):
        return "it cannot be determined whether it was truncated to a given size (this image cannot be encoded again)"
    if found == complete:
        return ""
    sizes = f"its pixels take {len(found):,} bytes, complete ones {len(complete):,}"
    if len(found) < len(complete):
        return f"{sizes}, as if it was truncated to a given size"
    return f"it cannot be determined whether it was truncated to a given size (another encoder made it: {sizes})"


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the markers of a codestream with what they hold; the blocks of a tile are held by `_DATA`."""
    begin = data.find(_BEGIN)
    place, end = begin + 2 if begin >= 0 else len(data), len(data)
    while place + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, place)
        if marker == _END:
            return
        after = max(end, place + 2) if marker == _DATA else place + 2 + max(length, 2)
        content = data[place + (2 if marker == _DATA else 4) : after]
        if marker == _TILE:
            # The last one may go to the end of the file.
            end = place + int.from_bytes(content[2:6], "big") if any(content[2:6]) else len(data) - 2
        yield marker, content
        place = after


def _coding(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Reads the parameters, as Pillow takes them, and the bytes of the blocks without the tiles' headers."""
    options: dict[str, Any] = {}
    blocks: list[bytes] = []
    for marker, content in _segments(data):
        if marker == _SIZE:
            options |= _tiles(content)
        elif marker == _CODING:
            options |= _blocks(content)
        elif marker == _DATA:
            blocks.append(content)
        elif marker not in _HARMLESS:
            raise _UnknownCoding(f"marker {marker:x}")
    return options, b"".join(blocks)


def _tiles(content: bytes) -> dict[str, Any]:
    width, height, left, top, tile_width, tile_height, tile_left, tile_top = struct.unpack(">8I", content[2:34])
    if any((left, top, tile_left, tile_top)) or any(side != 1 for side in content[37::3] + content[38::3]):
        raise _UnknownCoding("an offset, or some of its channels at another size")
    # Of a single tile some writers give another size than the image's.
    whole = tile_width >= width and tile_height >= height
    return {} if whole else {"tile_size": (min(tile_width, width), min(tile_height, height))}


def _blocks(content: bytes) -> dict[str, Any]:
    style, order, layers, mixed, levels, wide, high, passes = struct.unpack(">BBHBBBBB", content[:9])
    if layers != 1 or passes or style & _MARKED or order >= len(_ORDERS):
        raise _UnknownCoding("several layers, or blocks of a special form")
    # The encoder ends the process on more than the format allows.
    if levels > _MOST_LEVELS or max(wide, high, wide + high) > _MOST_BLOCK or mixed > 1:
        raise _UnknownCoding("parameters that the format does not allow")
    options: dict[str, Any] = {"num_resolutions": levels + 1, "progression": _ORDERS[order], "mct": mixed}
    if (sides := (4 << wide, 4 << high)) != _USUAL_BLOCK:
        # Pillow leaves the precincts out where blocks that it takes anyway are asked for beside them.
        options["codeblock_size"] = sides
    if style & _PRECINCTS:
        # From the smallest picture to the whole one; the encoder halves them in that order.
        (whole,) = struct.unpack_from(">B", content, 10 + levels)
        if min(whole & 15, whole >> 4) < _LEAST_PRECINCT:
            raise _UnknownCoding("tiny precincts")
        options["precinct_size"] = (1 << (whole & 15), 1 << (whole >> 4))
    return options
