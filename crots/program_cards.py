"""The card in an ONNX file or an exported program, read without running it and without the library that would.

An ONNX file is a message of protobuf: a chain of numbered fields, of which the metadata is one kind and the network
another, which is passed over. TorchScript and exported programs are zip archives that hold the card as a file.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from crots.card import CARD_KEY, MOST_CARD, ModelCard, read_card
from crots.files import is_file
from crots.records import parse

# Where our own programs keep their card.
CARD_FILE = "crots.json"
# The numbers of the fields of ONNX's message that hold the network and an entry of the metadata, and in the latter of
# key and value.
_GRAPH, _METADATA, _KEY, _VALUE = 7, 14, 1, 2
_MOST_FIELDS = 100_000
# Bytes of the longest number in a message.
_LONGEST = 10
# Kinds of fields: a number, 8 bytes, bytes of a stated length, 4 bytes.
_NUMBER, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def program_card(path: Path) -> ModelCard | None:
    """Returns the card of an ONNX file or of a program; None for other, missing and damaged files.

    Raises:
        InputError: it has a card that is not of this version.
    """
    card: object = None
    # Files may come from anyone and be damaged in any way.
    with contextlib.suppress(Exception):
        if is_file(path):
            card = _in_archive(path) if zipfile.is_zipfile(path) else _in_onnx(path)
    return None if card is None else read_card(card, path)


def _in_archive(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(f"/extra/{CARD_FILE}") and member.file_size <= MOST_CARD:
                about = parse(archive.read(member), most=MOST_CARD)
                return about.get(CARD_KEY) if isinstance(about, dict) else None
    return None


def _in_onnx(path: Path) -> bytes | None:
    if path.suffix.lower() != ".onnx":
        return None
    with path.open("rb") as file:
        for field, length in _fields(file):
            if field == _METADATA and 0 < length <= MOST_CARD:
                entry = _entry(file.read(length))
                if entry.get(_KEY) == CARD_KEY.encode():
                    return entry.get(_VALUE)
    return None


def is_whole_onnx(path: Path) -> bool:
    """Whether a file is a message of ONNX with a network in it, from end to end; the network itself is passed over."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return any(field == _GRAPH for field, _ in list(_fields(file))) and file.tell() == size
    except (OSError, ValueError):
        return False


def _fields(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """The fields of a message: number, and length in bytes, at whose start the file then stands; 0 for numbers.

    Raises:
        ValueError: it is no message.
    """
    for _ in range(_MOST_FIELDS):
        tag = _number(file)
        if tag is None:
            return
        field, kind = tag >> 3, tag & 7
        length = 0
        if kind == _NUMBER:
            _number(file)
        elif kind == _BYTES:
            length = _number(file) or 0
        elif kind in (_EIGHT, _FOUR):
            file.seek(8 if kind == _EIGHT else 4, 1)
        else:
            raise ValueError(f"a field of kind {kind}")
        start = file.tell()
        yield field, length
        file.seek(start + length)


def _entry(data: bytes) -> dict[int, bytes]:
    """The fields of one entry of the metadata."""
    found: dict[int, bytes] = {}
    file = io.BytesIO(data)
    while (tag := _number(file)) is not None and tag & 7 == _BYTES:
        found[tag >> 3] = file.read(_number(file) or 0)
    return found


def _number(file: IO[bytes]) -> int | None:
    """The next number, seven bits a byte, lowest first; None at the end of the file."""
    value = 0
    for place in range(_LONGEST):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return value
    return None
