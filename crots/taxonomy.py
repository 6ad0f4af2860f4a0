"""Class sets: names, colours and ids of the classes, and labels of them.

Train ids run from 0 to K-1; a pixel that counts for nothing holds ``ignore``. The TOML form is described at the head
of the shipped files, ``resources/classes/*.toml``.
"""

from __future__ import annotations

import colorsys
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots import classlists
from crots.config import unknown_name
from crots.errors import InputError
from crots.files import exists, expanded, is_file
from crots.limits import strips
from crots.records import read_toml
from crots.resources import shipped

Colour = tuple[int, int, int]
# In class maps in place of a target class, and so no name of a class.
IGNORE_WORD = "ignore"
_SET_KEYS = (
    "name", "classes", "ignored_ids", "ignored_colours", "also_train_ids", "published_rare", "subsets",
    "other_names",
)  # fmt: skip
_CLASS_KEYS = ("name", "colour", "ids")
_PLAIN_KEYS = ("name", "names", "palette", "raw_ids", "subsets", "published_rare", "ignored_colours")
MOST_CLASSES = 65535
# Bytes of a TOML file; the largest class set with colours and ids needs half.
_MOST_TOML = 8 * 10**6


@dataclass(frozen=True)
class ClassSet:
    """The classes of a data set or model, in train-id order.

    Attributes:
        name: what it is called.
        names: one per class.
        palette: colours for display and colour-coded labels, RGB.
        raw_ids: the data set's own id -> train id or `ignore`; empty where its files hold train ids.
        subsets: further means to report, ``miou16`` -> class names.
        published_rare: train ids that the published code mines patches of (F11).
        ignored_colours: colours of colour-coded labels that mean no class, besides black.
        also_train_ids: whether label files of train ids go round as well as files of the raw ids. It says how to read
            files, nothing of the classes, and model files do not keep it.
        other_names: further names that outlines of the data set use -> train id or `ignore`; not kept either.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    raw_ids: Mapping[int, int] = field(default_factory=dict)
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    published_rare: tuple[int, ...] = ()
    ignored_colours: tuple[Colour, ...] = ()
    also_train_ids: bool = field(default=False, compare=False)
    other_names: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ignore(self) -> int:
        """The label of pixels that count for nothing: 255, or 65535 in sets of more than 255 classes."""
        return ignore_label(len(self.names))

    @property
    def lists_all_raw_ids(self) -> bool:
        """Whether the set names its void ids too, so that any other id in a label file is an error."""
        return self.ignore in self.raw_ids.values()

    def index(self, name: str) -> int:
        """Returns the train id of a class.

        Raises:
            InputError: there is no such class; the nearest are named.
        """
        if name not in self.names:
            raise unknown_name(f"class set {self.name}", name, list(self.names), what="class")
        return self.names.index(name)

    def palette_array(self) -> NDArray[np.uint8]:
        """Returns the colours by label, (ignore + 1, 3) uint8: 256 rows, or 65536 in large sets; the rest is black."""
        colours = np.zeros((self.ignore + 1, 3), np.uint8)
        colours[: len(self)] = self.palette
        return colours

    def colours(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Returns the picture (H, W, 3) of train ids (H, W); ignored pixels are black."""
        return look_up(self.palette_array(), labels)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "name": self.name,
            "names": list(self.names),
            "palette": [list(colour) for colour in self.palette],
            "raw_ids": {str(raw): train for raw, train in self.raw_ids.items()},
            "subsets": {key: list(names) for key, names in self.subsets.items()},
            "published_rare": list(self.published_rare),
            "ignored_colours": [list(colour) for colour in self.ignored_colours],
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ClassSet:
        """Reads what `to_dict` gave; all but ``name`` and ``names`` may be missing.

        Raises:
            InputError: it is no class set; the message names the key.
        """
        return _of_plain(values)


def _of_plain(values: object) -> ClassSet:
    where = "classes"
    if not isinstance(values, Mapping):
        raise _misfit(where, values, "a class set")
    if unknown := [key for key in values if key not in _PLAIN_KEYS]:
        raise _misfit(where, unknown[0], f"the keys {', '.join(_PLAIN_KEYS)}")
    names = _plain_names(values.get("names"), f"{where}.names")
    if not isinstance(values.get("name"), str):
        raise _misfit(f"{where}.name", values.get("name"), "text")
    palette = _plain_colours(values.get("palette") or (), f"{where}.palette")
    if palette and len(palette) != len(names):
        raise _misfit(f"{where}.palette", f"{len(palette)} colours", f"one for each of the {len(names)} classes")
    subsets = _plain_mapping(values.get("subsets", {}), f"{where}.subsets")
    return ClassSet(
        name=values["name"],
        names=names,
        palette=palette or make_palette(len(names)),
        raw_ids=_plain_ids(values.get("raw_ids", {}), len(names), f"{where}.raw_ids"),
        subsets={key: _plain_subset(found, names, f"{where}.subsets") for key, found in subsets.items()},
        published_rare=_plain_rare(values.get("published_rare", ()), len(names), f"{where}.published_rare"),
        ignored_colours=_plain_colours(values.get("ignored_colours", ()), f"{where}.ignored_colours"),
    )


def _misfit(where: str, found: object, expected: str) -> InputError:
    # Values from strangers may have any length and depth.
    return InputError(f"{where}: found {reprlib.repr(found)}, expected {expected}", field=where)


def _plain_list(found: object, where: str, expected: str) -> Sequence[Any]:
    if not isinstance(found, (list, tuple)) or len(found) > MOST_CLASSES + 1:
        raise _misfit(where, found, f"a list of at most {MOST_CLASSES + 1} {expected}")
    return found


def _plain_names(found: object, where: str) -> tuple[str, ...]:
    names = tuple(_plain_list(found, where, "class names"))
    if not 1 <= len(names) <= MOST_CLASSES:
        raise _misfit(where, f"{len(names)} classes", f"1 to {MOST_CLASSES}")
    for name in names:
        if not isinstance(name, str) or not name:
            raise _misfit(where, name, "a class name")
    if len(set(names)) < len(names):
        raise _misfit(where, Counter(names).most_common(1)[0][0], "each class once")
    return names


def _plain_colours(found: object, where: str) -> tuple[Colour, ...]:
    rows = _plain_list(found, where, "colours")
    for row in rows:
        if not isinstance(row, (list, tuple)) or len(row) != 3 or not all(_is_whole(part, 255) for part in row):
            raise _misfit(where, row, "[red, green, blue] from 0 to 255")
    return _colours(rows)


def _is_whole(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _plain_mapping(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise _misfit(where, found, "a table")
    return found


def _plain_ids(found: object, classes: int, where: str) -> dict[int, int]:
    ids: dict[int, int] = {}
    for raw, train in _plain_mapping(found, where).items():
        # Not every digit of Unicode is one that int() reads.
        fits = raw.isascii() and raw.isdigit() and len(raw) <= 5 and int(raw) <= 65535
        if not fits or not (_is_whole(train, classes - 1) or train == ignore_label(classes)):
            raise _misfit(where, {raw: train}, f"ids from 0 to 65535 and classes from 0 to {classes - 1}")
        ids[int(raw)] = int(train)
    return ids


def _plain_subset(found: object, names: tuple[str, ...], where: str) -> tuple[str, ...]:
    known = frozenset(names)
    members = tuple(_plain_list(found, where, "class names"))
    for member in members:
        if not isinstance(member, str) or member not in known:
            raise _misfit(where, member, "a class of the set")
    return members


def _plain_rare(found: object, classes: int, where: str) -> tuple[int, ...]:
    rare = tuple(_plain_list(found, where, "train ids"))
    for train in rare:
        if not _is_whole(train, classes - 1):
            raise _misfit(where, train, f"a train id from 0 to {classes - 1}")
    return rare


def ignore_label(classes: int) -> int:
    """Returns the ignore label of a set of ``classes`` classes."""
    return 255 if classes <= 255 else 65535


def _colours(rows: Iterable[Iterable[int]]) -> tuple[Colour, ...]:
    return tuple((int(r), int(g), int(b)) for r, g, b in rows)


# After so many steps all hues were there.
_DISTINCT = 10_000


def make_palette(count: int, taken: Iterable[Colour] = ()) -> tuple[Colour, ...]:
    """Makes up ``count`` distinct colours, none of them black or in ``taken``; always the same ones."""
    used: set[Colour] = {(0, 0, 0), *taken}
    made: list[Colour] = []
    step = 0
    while len(made) < count:
        # Steps of the golden angle keep neighbours in the list far apart in hue.
        rgb = colorsys.hsv_to_rgb(step * 0.618034 % 1, (0.85, 0.55, 0.7)[step % 3], (0.95, 0.75, 0.55)[step // 3 % 3])
        colour = (round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255))
        step += 1
        if colour in used and step > _DISTINCT:
            colour = (step % 256, step // 256 % 256, 128)
        if colour not in used:
            used.add(colour)
            made.append(colour)
    return tuple(made)


def shipped_class_sets() -> tuple[str, ...]:
    """Returns the names of the class sets that come with the program."""
    return tuple(shipped("classes"))


def load_class_set(name_or_path: str | Path) -> ClassSet:
    """Reads a shipped class set by name, or the user's own from a TOML file.

    Raises:
        InputError: there is none of that name or path, or the file is not a class set.
    """
    path = find_file(name_or_path, "classes", "class set")
    return _shipped_class_set(path) if str(name_or_path) in shipped("classes") else _read_class_set(path)


def _read_class_set(path: Path) -> ClassSet:
    if path.suffix.lower() in classlists.SUFFIXES:
        return _class_set(classlists.read_class_list(path), path)
    return _class_set(read_toml(path, "class set"), path)


# They stay as they are while the program runs; a user's own file may change at any time.
_shipped_class_set = cache(_read_class_set)


def find_file(name_or_path: str | Path, kind: str, what: str) -> Path:
    """Returns the file of a shipped name, or the user's own.

    Args:
        name_or_path: what the user gave.
        kind: folder of the shipped files, ``classes`` or ``class-maps``.
        what: how messages call it.

    Raises:
        InputError: there is neither.
    """
    text = str(name_or_path)
    if text in shipped(kind):
        return shipped(kind)[text]
    path = expanded(text)
    if is_file(path):
        return path
    if path.suffix == ".toml" or exists(path) or len(path.parts) > 1:
        found = "a folder" if exists(path) else "no such file"
        raise InputError(f"{what} {text[:300]}: {found}; give a TOML file or one of {', '.join(shipped(kind))}")
    raise unknown_name(what, text, list(shipped(kind)), what=what)


def unknown_class(file: Path, name: str, classes: ClassSet) -> InputError:
    """Returns the error for labels that name a class which the set does not have."""
    return unknown_name(
        str(file), name, list(classes.names), what=f"class of the set {classes.name}",
        remedy="give the class set of these labels, or write under [other_names] in the file of the class set which "
        f'class it is, or "{IGNORE_WORD}"',
    )  # fmt: skip


def _class_set(values: dict[str, Any], path: Path) -> ClassSet:
    for key in values:
        if key not in _SET_KEYS:
            raise unknown_name(f"class set {path}: {key}", key, list(_SET_KEYS), what="key")
    rows = [_class_row(row, path) for row in _list(values, "classes", path)]
    names = tuple(str(row["name"]) for row in rows)
    if not 1 <= len(names) <= MOST_CLASSES:
        raise InputError(f"class set {path}: found {len(names)} classes, expected 1 to {MOST_CLASSES} under `classes`")
    _refuse_repeats(names, "class", path)
    ignored = _colour_list(_list(values, "ignored_colours", path), path)
    rare = _members(_list(values, "published_rare", path), names, "published_rare", path)
    also = values.get("also_train_ids", False)
    if not isinstance(also, bool):
        raise InputError(f"class set {path}: also_train_ids is {reprlib.repr(also)}, expected true or false")
    index = {name: train for train, name in enumerate(names)}
    found = ClassSet(
        name=str(values.get("name", path.stem)),
        names=names,
        palette=_palette(rows, ignored, path),
        raw_ids=_raw_ids(rows, _list(values, "ignored_ids", path), path),
        subsets=_subsets(values.get("subsets", {}), names, path),
        published_rare=tuple(index[name] for name in rare),
        ignored_colours=ignored,
        also_train_ids=also,
        other_names=_other_names(values.get("other_names", {}), index, ignore_label(len(names)), path),
    )
    check_several(found, f"class set {path}")
    return found


def check_several(classes: ClassSet, where: str) -> None:
    """Refuses a set of one class: a model of it is always sure, so that no label, score or alarm means anything.

    Args:
        classes: the set.
        where: what the error names, the file.

    Raises:
        InputError: it has one class.
    """
    if len(classes) == 1:
        raise InputError(
            f"{where}: found one class, {classes.names[0]}, expected 2 or more; add one for all other pixels, such as "
            "background",
            field="task.classes",
        )


def _other_names(values: object, index: Mapping[str, int], ignore: int, path: Path) -> dict[str, int]:
    if not isinstance(values, dict):
        raise InputError(f"class set {path}: other_names is {reprlib.repr(values)}, expected a table [other_names]")
    for name, meant in values.items():
        if not isinstance(meant, str) or (meant != IGNORE_WORD and meant not in index):
            raise unknown_name(f"class set {path}: other_names.{name}", str(meant), [*index, IGNORE_WORD], what="class")
    return {name: index.get(meant, ignore) for name, meant in values.items()}


def _list(values: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    found = values.get(key, [])
    if not isinstance(found, list):
        raise InputError(f"class set {path}: {key} is {reprlib.repr(found)}, expected a list")
    return found


def _class_row(row: object, path: Path) -> dict[str, Any]:
    row = {"name": row} if isinstance(row, str) else row
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
        raise InputError(f"class set {path}: found the class {reprlib.repr(row)}, expected a name or {{ name = ... }}")
    for key in row:
        if key not in _CLASS_KEYS:
            raise unknown_name(f"class set {path}: class {row['name']}", key, list(_CLASS_KEYS), what="key")
    if row["name"] == IGNORE_WORD:
        raise InputError(f"class set {path}: `ignore` is no class name; list its ids under ignored_ids")
    return row


def _refuse_repeats(items: Iterable[Any], what: str, path: Path) -> None:
    seen: set[Any] = set()
    for item in items:
        if item in seen:
            raise InputError(f"class set {path}: the {what} {item!r} is listed twice, expected once")
        seen.add(item)


def _colour_list(rows: list[Any], path: Path) -> tuple[Colour, ...]:
    rows = [(classlists.hex_colour(row) or row) if isinstance(row, str) else row for row in rows]
    for row in rows:
        numbers = (
            isinstance(row, list) and len(row) == 3 and all(type(part) is int and 0 <= part <= 255 for part in row)
        )
        if not numbers:
            raise InputError(
                f"class set {path}: found the colour {reprlib.repr(row)}, expected [red, green, blue] from 0 to 255 or "
                '"#rrggbb"'
            )
    return _colours(rows)


def _palette(rows: list[dict[str, Any]], ignored: tuple[Colour, ...], path: Path) -> tuple[Colour, ...]:
    given = _colour_list([row["colour"] for row in rows if "colour" in row], path)
    _refuse_repeats([*given, *ignored], "colour", path)
    made = iter(make_palette(len(rows) - len(given), (*given, *ignored)))
    given_one = iter(given)
    return tuple(next(given_one) if "colour" in row else next(made) for row in rows)


def _raw_ids(rows: list[dict[str, Any]], ignored: list[Any], path: Path) -> dict[int, int]:
    pairs = [(raw, train) for train, row in enumerate(rows) for raw in _list(row, "ids", path)]
    if ignored and not pairs:
        # Only the void ids are named: the files hold train ids apart from those.
        pairs = [(train, train) for train in range(len(rows))]
    pairs += [(raw, ignore_label(len(rows))) for raw in ignored]
    for raw, _ in pairs:
        if type(raw) is not int or not 0 <= raw <= 65535:
            raise InputError(
                f"class set {path}: found the id {reprlib.repr(raw)}, expected a whole number from 0 to 65535"
            )
    _refuse_repeats([raw for raw, _ in pairs], "id", path)
    return dict(pairs)


def _members(found: object, names: tuple[str, ...], key: str, path: Path) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise InputError(f"class set {path}: {key} is {reprlib.repr(found)}, expected a list of class names")
    known = frozenset(names)
    for name in found:
        if name not in known:
            raise unknown_name(f"class set {path}: {key}", name, list(names), what="class")
    return tuple(found)


def _subsets(values: object, names: tuple[str, ...], path: Path) -> dict[str, tuple[str, ...]]:
    if not isinstance(values, dict):
        raise InputError(f"class set {path}: subsets is {reprlib.repr(values)}, expected a table [subsets]")
    return {key: _members(found, names, f"subsets.{key}", path) for key, found in values.items()}


def unique_labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Returns the distinct values of a label map, ascending."""
    if labels.dtype in (np.uint8, np.uint16):  # counting is many times faster than sorting
        return np.flatnonzero(count_labels(labels)).astype(np.int64)
    return np.unique(labels).astype(np.int64)


def count_labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Counts each value from 0 to the greatest in a label map; none may be negative."""
    counts = np.zeros(int(labels.max()) + 1 if labels.size else 0, np.int64)
    for rows in strips(labels):
        part = np.bincount(labels[rows].ravel())
        counts[: len(part)] += part
    return counts


def look_up(table: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Returns ``table[labels]`` without an index of 8 bytes for every pixel of the image at once."""
    found = np.empty((*labels.shape, *table.shape[1:]), table.dtype)
    for rows in strips(labels):
        found[rows] = np.take(table, labels[rows], axis=0)
    return found


def label_dtype(classes: ClassSet) -> type[np.uint8] | type[np.uint16]:
    """Returns the smallest type that holds the labels of a class set."""
    return np.uint8 if classes.ignore == 255 else np.uint16
