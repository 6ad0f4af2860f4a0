"""The list of classes that Roboflow writes beside its masks: ``_classes.csv`` with a name for each pixel value."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from crots.classlists import is_void
from crots.data.encodings import Encoding
from crots.data.readings import raw_table, train_table
from crots.errors import InputError
from crots.records import read_plain
from crots.taxonomy import ClassSet, unknown_class

NAME = "_classes.csv"
_HEADER = ["pixel value", "class"]
_MOST_BYTES = 10**6


def listed_encoding(labels: Iterable[Path], classes: ClassSet) -> tuple[Encoding, str] | None:
    """Returns how label files store the classes that the list beside them names; None where there is no such list.

    Returns:
        The encoding, and a note about it.

    Raises:
        InputError: the values mean other classes than in the class set, or lists differ; with the ids to write.
    """
    lists = {folder / NAME: found for folder in {path.parent for path in labels} if (found := _read(folder / NAME))}
    if not lists:
        return None
    file, names = min(lists.items())
    if other := next((path for path, found in lists.items() if found != names), None):
        raise InputError(f"{file} and {other} name other classes, expected one list; give the labels of one of them")
    wanted = {value: _train_id(name, classes, file) for value, name in names.items()}
    encodings: tuple[tuple[Encoding, dict[int, int]], ...] = (
        ("train", train_table(classes)),
        ("raw", raw_table(classes) if classes.raw_ids else {}),
    )
    for encoding, table in encodings:
        if all(table.get(value, classes.ignore) == train for value, train in wanted.items()):
            return encoding, f"labels are {'train ids' if encoding == 'train' else 'own ids'}, as {file} lists them"
    ids = ", ".join(f"{name}: ids = [{value}]" for value, name in names.items() if wanted[value] != classes.ignore)
    ignored = [value for value in names if wanted[value] == classes.ignore]
    raise InputError(
        f"{file}: its pixel values mean other classes in the class set {classes.name}; write them into its file ({ids}"
        + (f", ignored_ids = {ignored}" if ignored else "")
        + f"), or give {NAME} itself as the class set"
    )


def _train_id(name: str, classes: ClassSet, file: Path) -> int:
    known = {**{other.lower(): train for other, train in classes.other_names.items()},
             **{own.lower(): train for train, own in enumerate(classes.names)}}  # fmt: skip
    if name.lower() in known:
        return known[name.lower()]
    # Pixels that were not labelled, as with outlines.
    if is_void(name) or name.lower() == "background":
        return classes.ignore
    raise unknown_class(file, name, classes)


def _read(file: Path) -> dict[int, str]:
    """Returns value -> name; empty where there is no such file, or one of another kind."""
    content = read_plain(file, most=_MOST_BYTES, remedy="export the labels again")
    rows = list(csv.reader((content or b"").decode("utf-8-sig", errors="replace").splitlines()))
    if not rows or [cell.strip().lower() for cell in rows[0]] != _HEADER:
        return {}
    try:
        return {int(value): name.strip() for value, name in (row for row in rows[1:] if row)}
    except ValueError:
        raise InputError(f"{file}: found a line of another form than `1, road`; export the labels again") from None
