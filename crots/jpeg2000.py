"""JPEG 2000 as a format of labels: whether a file kept every pixel, or was cut to fit a limit of size.

The rounding wavelet 9-7 is named in the file. With the whole-number wavelet 5-3 an encoder may still leave out the last
passes of each block, which no entry of the file says. But the coder is deterministic: of complete pixels it makes the
same bytes again if it is given the same parameters, and of what a cut file shows it makes others, nearly always more.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

# The most boxes and markers before the pixels, more than any file has.
_MOST = 64
_START, _SIZE, _CODING, _TILE, _DATA, _END = 0xFF4F, 0xFF51, 0xFF52, 0xFF90, 0xFF93, 0xFFD9
# Quantisation, comments and lengths leave the number of bytes of the blocks as it is; other markers may not.
_HARMLESS = {0xFF5C, 0xFF64, 0xFF55, 0xFF57, 0xFF58, 0xFF63}
_ORDERS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_PRECINCTS, _MARKED = 1, 6
_USUAL_BLOCK = (64, 64)
_MOST_TILE_PARTS = 65535


@dataclass(frozen=True)
class _Coding:
    """How a codestream was made, and the bytes of its blocks."""

    options: dict[str, Any]
    data: bytes


class _UnknownCoding(Exception):
    """It was made in a way that cannot be repeated here."""


def is_rounded(path: Path) -> bool:
    """Whether a file was made with the rounding wavelet; False where it is no JPEG 2000."""
    with path.open("rb") as file:
        if not _seek(file):
            return False
        for _ in range(_MOST):
            marker, length = file.read(2), int.from_bytes(file.read(2), "big")
            if marker == _CODING.to_bytes(2, "big"):
                return file.read(length - 2)[9:10] == b"\0"
            if marker == _TILE.to_bytes(2, "big") or length < 2:
                return False
            file.seek(length - 2, 1)
    return False


def why_incomplete(path: Path, image: Image.Image) -> str:
    """Says why a file may not hold every pixel as it was; empty where it does.

    Args:
        path: of a file with the whole-number wavelet.
        image: it, decoded.
    """
    try:
        with path.open("rb") as file:
            found = _coding(file) if _seek(file) else None
        if found is None:
            return ""
        if "tile_size" in found.options and image.mode.startswith("I"):
            # Pillow writes those wrongly.
            raise _UnknownCoding("tiles of 16 bits")
        again = io.BytesIO()
        image.save(again, "JPEG2000", no_jp2=True, irreversible=False, **found.options)
        again.seek(2)
        complete = _coding(again).data
    except _UnknownCoding as error:
        return f"it cannot be told whether it was cut to fit a limit of size ({error})"
    except (OSError, ValueError, struct.error):
        return "it cannot be told whether it was cut to fit a limit of size (this image cannot be encoded again)"
    if found.data == complete:
        return ""
    sizes = f"its pixels take {len(found.data):,} bytes, and complete ones {len(complete):,}"
    if len(found.data) < len(complete):
        return f"{sizes}, as if it was cut to fit a limit of size"
    return f"it cannot be told whether it was cut to fit a limit of size (another encoder made it: {sizes})"


def _seek(file: IO[bytes]) -> bool:
    """Moves to the first marker after the start of the codestream, which may lie in a box."""
    start = _START.to_bytes(2, "big")
    if file.read(2) == start:
        return True
    file.seek(0)
    for _ in range(_MOST):
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"jp2c":
            file.seek(8 if length == 1 else 0, 1)
            return file.read(2) == start
        # The length of a large box follows; that of the last one may be left out.
        passed = int.from_bytes(file.read(8), "big") - 16 if length == 1 else length - 8
        if passed < 0 or len(head) < 8:
            return False
        file.seek(passed, 1)
    return False


def _coding(file: IO[bytes]) -> _Coding:
    """Reads the parameters, and the bytes of the tiles without their headers."""
    options: dict[str, Any] = {}
    data = bytearray()
    for _ in range(_MOST_TILE_PARTS + _MOST):
        marker, content = _segment(file)
        if marker == _END:
            break
        if marker == _SIZE:
            options |= _tiles(content)
        elif marker == _CODING:
            options |= _blocks(content)
        elif marker == _TILE:
            data += _tile_part(file, *struct.unpack(">HIBB", content)[1:2])
        elif marker not in _HARMLESS:
            raise _UnknownCoding(f"marker {marker:x}")
    return _Coding(options, bytes(data))


def _segment(file: IO[bytes]) -> tuple[int, bytes]:
    marker = int.from_bytes(file.read(2), "big")
    # Some writers leave the end out.
    if marker in (_END, 0):
        return _END, b""
    length = int.from_bytes(file.read(2), "big") - 2
    return marker, file.read(max(0, length))


def _tiles(content: bytes) -> dict[str, Any]:
    width, height, left, top, tile_width, tile_height, tile_left, tile_top, count = struct.unpack(
        ">8IH", content[2:36]
    )  # fmt: skip
    if any((left, top, tile_left, tile_top)) or any(side != 1 for side in content[37::3] + content[38::3]):
        raise _UnknownCoding(f"an offset, or some of its {count} channels at another size")
    return {} if (tile_width, tile_height) == (width, height) else {"tile_size": (tile_width, tile_height)}


def _blocks(content: bytes) -> dict[str, Any]:
    style, order, layers, mixed, levels, wide, high, passes, _ = struct.unpack(">BBHBBBBBB", content[:10])
    if layers != 1 or passes or style & _MARKED or order >= len(_ORDERS):
        raise _UnknownCoding("several layers, or blocks of a special form")
    options: dict[str, Any] = {
        "num_resolutions": levels + 1,
        "progression": _ORDERS[order],
        "mct": mixed,
    }
    if (sides := (4 << wide, 4 << high)) != _USUAL_BLOCK:
        # Pillow leaves the precincts out where blocks that it takes anyway are asked for beside them.
        options["codeblock_size"] = sides
    if style & _PRECINCTS:
        # From the smallest picture to the whole one; the encoder halves them in that order.
        precincts = [(1 << (byte & 15), 1 << (byte >> 4)) for byte in content[10 : 11 + levels]]
        options["precinct_size"] = precincts[-1]
    return options


def _tile_part(file: IO[bytes], length: int) -> bytes:
    start = file.tell() - 12
    while True:
        marker = int.from_bytes(file.read(2), "big")
        if marker == _DATA:
            break
        if marker not in _HARMLESS:
            raise _UnknownCoding(f"marker {marker:x} of a tile")
        file.seek(int.from_bytes(file.read(2), "big") - 2, 1)
    begin = file.tell()
    # The last one may go to the end of the file.
    end = start + length if length else file.seek(0, 2) - 2
    file.seek(begin)
    return file.read(max(0, end - begin))
