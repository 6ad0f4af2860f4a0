"""The outline of an ONNX file: all of it but the numbers of its weights.

The parser of ONNX copies them in one go and holds Python's lock meanwhile: one second for half a gigabyte, in which a
window would freeze. Here a few bytes are read for each part, and nothing is copied that is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

# By message, the fields that are messages too in which a tensor can be; the numbers are those of ``onnx.proto``.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
# ``TensorProto.raw_data``; shorter ones stay, since a shape is one.
_RAW, _SHORT = 9, 4096
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
# Bytes that are read at once.
_BLOCK = 2**14
# As deep as the parser itself reads.
_DEEPEST = 100


def outline(path: Path) -> bytes:
    """Returns the model in a file without the numbers of its larger tensors; their names, shapes and places stay.

    Raises:
        ValueError: it is no such file, or damaged.
    """
    with path.open("rb") as file:
        return _outlined(_Content(file), 0, path.stat().st_size, "model", 0)


class _Content:
    """The bytes of a file, of which few are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block, self._start = b"", 0

    def byte(self, place: int) -> int:
        """The byte at a place."""
        if not 0 <= place - self._start < len(self._block):
            self._block, self._start = self.piece(place, place + _BLOCK), place
        if not self._block:
            raise ValueError("cut short")
        return self._block[place - self._start]

    def piece(self, start: int, end: int) -> bytes:
        """Those from ``start`` to before ``end``."""
        self._file.seek(start)
        return self._file.read(end - start)


def _outlined(content: _Content, start: int, end: int, kind: str, depth: int) -> bytes:
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    parts, pieces, place, kept = _PARTS[kind], list[bytes](), start, start
    while place < end:
        begun = place
        tag, place = _number(content, place)
        field, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            length, inside = _number(content, place)
            place = inside + length
            left_out = kind == "tensor" and field == _RAW
            if place <= end and length > _SHORT and (left_out or field in parts):
                pieces.append(content.piece(kept, begun))
                kept = place
                if not left_out:
                    part = _outlined(content, inside, place, parts[field], depth + 1)
                    pieces += [_written(tag), _written(len(part)), part]
        elif wire == _VARINT:
            _, place = _number(content, place)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of kind {wire}")
        if place > end:
            raise ValueError("cut short")
    return b"".join([*pieces, content.piece(kept, end)])


def _number(content: _Content, place: int) -> tuple[int, int]:
    """Reads a number of seven bits a byte; returns it and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content.byte(place)
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number of more than 64 bits")


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
