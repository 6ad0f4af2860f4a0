"""Recognises unchanged inputs by content: if time stamps differ, a digest decides whether an input changed.

A data set that was copied again has other times and the same bytes. What stages record of an input is its stamp (sizes
and times), which is cheap; beside that stamp lies a digest of the bytes, made once as the stage begins.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crots.errors import CrotsError
from crots.files import digest, files_below, is_left_by_viewers, write_json
from crots.records import read_object

# Bytes that are read to compare an input; of larger ones the stamps decide.
MOST_BYTES = 10 * 10**9
# Bytes between two looks at whether the user wants to stop.
_AT_ONCE = 2**24
# Digests made in this process, by place and stamp: a status is asked for often.
_made: dict[str, str] = {}

Check = Callable[[], object]


def _nothing() -> None:
    """Stops nothing."""


class Contents:
    """The digests that a project keeps, by the name of an input."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self, name: str, place: Path, stamp: Any, *, without: Path) -> Any:
        """Returns the stamp that was noted, where the input still has the bytes of that time; else the present one.

        Args:
            name: of the input.
            place: its file or folder.
            stamp: its present sizes and times.
            without: a folder that is none of it.
        """
        known = self._known().get(name)
        if not isinstance(known, dict) or stamp in (known.get("stamp"), known.get("again")):
            return known.get("stamp", stamp) if isinstance(known, dict) else stamp
        content = known.get("content")
        return known.get("stamp", stamp) if content and content == _content(place, stamp, without) else stamp

    def note(self, name: str, place: Path, stamp: Any, *, without: Path, check: Check = _nothing) -> None:
        """Notes what an input holds, unless that is known; to be called before a stage reads it.

        Args:
            name: of the input.
            place: its file or folder.
            stamp: its present sizes and times.
            without: a folder that is none of it.
            check: called now and then while it is read; may raise an error to stop that.
        """
        known = self._known()
        old = known.get(name)
        old = old if isinstance(old, dict) else {}
        if stamp in (old.get("stamp"), old.get("again")):
            return
        content = _content(place, stamp, without, check)
        if not content:
            return
        same = content == old.get("content")
        known[name] = {**old, "again": stamp} if same else {"stamp": stamp, "content": content}
        write_json(self._path, known)

    def _known(self) -> dict[str, Any]:
        # Without it, or where it is damaged, the stamps decide.
        with contextlib.suppress(CrotsError):
            return read_object(self._path) or {}
        return {}


def _content(place: Path, stamp: Any, without: Path, check: Check = _nothing) -> str:
    """A digest of the bytes of a file, or of names and bytes of all files of a folder; empty where that is too much."""
    name = digest([str(place), stamp])
    if name not in _made:
        try:
            _made[name] = _digest(place, without, check)
        except OSError:  # it has gone, or may not be read
            return ""
    return _made[name]


def _digest(place: Path, without: Path, check: Check) -> str:
    if place.is_file():
        return _of_file(place, check) if place.stat().st_size <= MOST_BYTES else ""
    found, files, total = hashlib.sha256(), [], 0
    for name, entry in files_below(place, lambda entry: Path(entry.path) != without):
        if is_left_by_viewers(entry.name):
            continue
        total += entry.stat().st_size
        files.append((name, Path(entry.path)))
        if total > MOST_BYTES:
            return ""
    for name, path in sorted(files):
        found.update(f"{digest(name)} {_of_file(path, check)}\n".encode())
    return found.hexdigest()


def _of_file(path: Path, check: Check) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_AT_ONCE):
            check()
            found.update(part)
    return found.hexdigest()
