"""The card in an ONNX file or an exported program, read without running it and without the library that would.

An ONNX file is a message of protobuf: a chain of numbered fields, of which the metadata is one kind and the network
another, which is passed over. TorchScript and exported programs are zip archives that hold the card as a file.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import IO

from crots.card import CARD_KEY, MOST_CARD, ModelCard, read_card
from crots.files import is_file
from crots.records import parse

# Where our own programs keep their card.
CARD_FILE = "crots.json"
# The number of the field of ONNX's message that holds an entry of the metadata, and of key and value in that.
_METADATA, _KEY, _VALUE = 14, 1, 2
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
    # Files may be anybody's, and damaged in any way.
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
        for _ in range(_MOST_FIELDS):
            tag = _number(file)
            if tag is None:
                return None
            field, kind = tag >> 3, tag & 7
            if kind == _NUMBER:
                _number(file)
            elif kind == _BYTES:
                length = _number(file) or 0
                if field == _METADATA and length <= MOST_CARD:
                    entry = _entry(file.read(length))
                    if entry.get(_KEY) == CARD_KEY.encode():
                        return entry.get(_VALUE)
                else:
                    file.seek(length, 1)
            elif kind in (_EIGHT, _FOUR):
                file.seek(8 if kind == _EIGHT else 4, 1)
            else:
                return None
    return None


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
