"""The files that version 0.1 wrote. It kept no listing, so they are those that its own index files name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from crots.errors import InputError
from crots.ownership import is_below, walk
from crots.records import parse, read_plain

# The names of that version, which stay as they are if the present ones change.
_TRAINED = ("checkpoint.pt", "best.pt", "student.safetensors", "teacher.safetensors", "choice.json")
_LABELLED = ("images.jsonl", "statistics.json", "skipped.json", "easy.txt", "hard.txt")
_EXPORTED = ("adapted.pth", "adapted.safetensors", "adapted.onnx", "adapted.pt")
_SCORES = ("source.json", "baseline.json")


def earlier_names(key: str, folder: Path) -> set[str]:
    """Returns the existing files that version 0.1 wrote for a stage, relative to its folder.

    Args:
        key: of the stage; ``suspects`` is the search for suspicious labels.
        folder: of its result.
    """
    there = {name for name, entry in walk(folder) if entry.is_file(follow_symlinks=False)}
    return {name for name in _written(key, folder, there) if name in there and is_below(name)}


def _written(key: str, folder: Path, there: set[str]) -> Iterator[str]:
    if key == "pseudo-label":
        yield from _LABELLED
        yield from _pictures(("label_ids", "label_color", "confidence"), _keys(folder / "images.jsonl"))
    elif key == "mine":
        yield "patches.json"
        index = _read(folder / "patches.json")
        yield from _pictures(("patches", "labels", "color_labels"), _column(index, "patches", "name"))
    elif key == "suspects":
        yield "suspicion.json"
        index = _read(folder / "suspicion.json")
        yield from _pictures(("doubt", "student", "overlays"), _column(index, "images", "key"))
    elif key == "evaluate":
        yield from _SCORES
        yield from (name for name in there if name.startswith("adapt-") and name.endswith(".json"))
    else:
        yield from _EXPORTED if key == "export" else _TRAINED


def _pictures(folders: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    return (f"{folder}/{name}.png" for name in names for folder in folders)


def _keys(listed: Path) -> list[str]:
    lines = (_content(listed) or b"").split(b"\n")
    return [key for line in lines for key in _column({"rows": [_parsed(line)]}, "rows", "key")]


def _column(index: Any, rows: str, name: str) -> Iterator[str]:
    """The strings under a key in the rows of an index; empty if it has another form."""
    found = index.get(rows) if isinstance(index, dict) else None
    for row in found if isinstance(found, list) else ():
        if isinstance(row, dict) and isinstance(row.get(name), str):
            yield row[name]


def _read(path: Path) -> Any:
    return _parsed(_content(path) or b"")


def _content(path: Path) -> bytes | None:
    # An unreadable index names no files.
    with contextlib.suppress(InputError):
        return read_plain(path)
    return None


def _parsed(content: bytes) -> Any:
    with contextlib.suppress(ValueError):
        return parse(content)
    return None
