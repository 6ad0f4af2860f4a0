"""What ``suspicion/suspicion.json`` holds, read back without torch."""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict

from crots.records import Count, Key, read_as

_Box = tuple[Count, Count, Count, Count]


class ImageDoubtShape(TypedDict):
    """One image; see `crots.stages.suspects.ImageDoubt`."""

    key: Key
    doubt: float
    suspicious: NotRequired[float]
    regions: NotRequired[Count]


class RegionShape(TypedDict):
    """One region; the box is left, top, width and height."""

    key: Key
    box: _Box
    reason: str
    doubt: NotRequired[float]


class SuspicionShape(TypedDict):
    """The file, as far as it is read."""

    images: list[ImageDoubtShape]
    regions: list[RegionShape]


def load_suspicion(path: Path) -> SuspicionShape | None:
    """Reads it; None if no search for suspicious labels was run.

    Raises:
        InputError: it is damaged.
    """
    return read_as(path, SuspicionShape, remedy="run crots suspects again")
