"""Refuses inputs that lie where CROTS writes, since they would be replaced or deleted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from crots.errors import InputError
from crots.files import exists


def check_inputs(inputs: Mapping[str, Path], places: Iterable[Path]) -> None:
    """Makes sure that no input is one of the places that are written to, or lies in one.

    Links are followed, and upper and lower case may mean the same file; an input may contain a place.

    Args:
        inputs: files and folders by the option that names them; missing ones are skipped.
        places: files and folders.

    Raises:
        InputError: an input lies there.
    """
    places = tuple(places)
    for name, path in inputs.items():
        if not exists(path):
            continue
        real = path.resolve()
        around = {_identity(part) for part in (real, *real.parents)}
        place = next((place for place in places if exists(place) and _identity(place) in around), None)
        if place is not None:
            raise InputError(
                f"{path}: lies in {place}, which CROTS writes to and would replace it; move it elsewhere, and name "
                "its new place",
                field=name,
            )


def _identity(path: Path) -> tuple[int, int] | str:
    """The identity of a file or folder, equal for all its names."""
    status = path.stat()
    # Some file systems on Windows have no file numbers.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.normcase(path.resolve())
