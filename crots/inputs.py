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
    written = {mark: place for place in places if exists(place) and (mark := _chain(place)[0]) is not None}
    for name, path in inputs.items():
        place = next((written[mark] for mark in _chain(path) if mark in written), None) if exists(path) else None
        if place is not None:
            raise InputError(
                f"{path}: lies in {place}, where CROTS writes and would replace it; move it elsewhere, and give its "
                "new path",
                field=name,
            )


def refuse_inputs(places: Iterable[Path], inputs: Iterable[Path], *, around: bool = True) -> None:
    """Makes sure that a command's output does not replace its input, under whatever name.

    Args:
        places: the files and folders that are written.
        inputs: those that are read.
        around: a place inside an input folder is refused too, and not only an input inside a place.

    Raises:
        InputError: a place is an input, contains one, or lies in one.
    """
    chains = [(place, _chain(place)) for place in places]
    for path in inputs:
        if not exists(path):
            continue
        chain = _chain(path)
        for place, above in chains:
            inside = around and chain[0] in above
            if inside or (above[0] is not None and above[0] in chain):
                found = f"lies in {path}, which this command reads" if inside else f"holds {path}, which is read"
                raise InputError(f"{place}: {found}; choose another place to write to", field="out")


def _chain(path: Path) -> list[tuple[int, int] | str | None]:
    """Identities of a path and of the folders that it really lies in, equal for all their names; None if missing."""
    real = Path(os.path.realpath(path))
    return [_identity(part) for part in (real, *real.parents)]


def _identity(path: Path) -> tuple[int, int] | str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # Some file systems on Windows have no file numbers.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.normcase(path)
