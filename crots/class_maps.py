"""Class maps, from the classes of a source to those of a target: read, checked, proposed and applied.

Their TOML form is described at the head of the shipped files, ``resources/class-maps/*.toml``.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.config import unknown_name
from crots.errors import InputError
from crots.files import file_or_name
from crots.records import read_toml
from crots.taxonomy import IGNORE_WORD, ClassSet, find_file, label_dtype, load_class_set, look_up, unique_labels


class UnknownIds(InputError):
    """Labels hold ids that are no classes of their set: perhaps they are in another one.

    Attributes:
        found: what was found and what was expected, without what to do.
    """

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}; give the class set of the source")
        self.found = found


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Maps the classes of a source to those of a target.

    Attributes:
        source: classes of the source's predictions.
        target: classes of the result.
        table: (len(source),) integers, target id or the target's ignore label by source id.
    """

    source: ClassSet
    target: ClassSet
    table: NDArray[np.int64]

    def remap(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Renames hard labels.

        Args:
            labels: (H, W) source ids, or the source's ignore label.

        Returns:
            (H, W) target ids, uint8, or uint16 for large sets.

        Raises:
            UnknownIds: an id is no source class; the ids are listed.
        """
        found = unique_labels(labels)
        wrong = found[((found < 0) | (found >= len(self.source))) & (found != self.source.ignore)]
        if wrong.size:
            raise UnknownIds(
                f"found the class ids {_some(wrong)}, expected 0 to {len(self.source) - 1} or {self.source.ignore} "
                f"(class set {self.source.name})"
            )
        lookup = np.full(self.source.ignore + 1, self.target.ignore, label_dtype(self.target))
        lookup[: len(self.source)] = self.table
        return look_up(lookup, labels)

    def matrix(self) -> NDArray[np.float32]:
        """Returns (S, T + 1) float32 zeros and ones; the last column stands for "ignore"."""
        matrix = np.zeros((len(self.source), len(self.target) + 1), np.float32)
        columns = np.where(self.table == self.target.ignore, len(self.target), self.table)
        matrix[np.arange(len(self.source)), columns] = 1
        return matrix

    @property
    def joins(self) -> bool:
        """Whether it turns a model of the source's classes into one of the target's by joining some of them.

        Not where a target class has no source class, nor where there are as many classes: by its shape alone, the last
        layer of such a model would be taken as it is.
        """
        return len(self.source) > len(self.target) and not self.unreached

    @property
    def unreached(self) -> tuple[str, ...]:
        """The target classes that no source class is mapped to."""
        reached = set(self.table.tolist())
        return tuple(name for train, name in enumerate(self.target.names) if train not in reached)

    def names(self) -> dict[str, str]:
        """Returns source name -> target name or ``ignore``, as in the TOML file."""
        targets = {self.target.ignore: IGNORE_WORD, **dict(enumerate(self.target.names))}
        return {name: targets[int(self.table[index])] for index, name in enumerate(self.source.names)}


def _some(values: Iterable[Any], most: int = 8) -> str:
    items = [str(value) for value in values]
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def identity_map(classes: ClassSet) -> ClassMap:
    """Returns the map of a class set onto itself."""
    return ClassMap(classes, classes, np.arange(len(classes)))


def build_class_map(names: Mapping[str, str], source: ClassSet, target: ClassSet, *, where: str) -> ClassMap:
    """Makes a class map of source name -> target name or ``ignore``.

    Args:
        names: one entry per source class.
        source: classes of the source.
        target: classes of the result.
        where: what errors name, the file.

    Raises:
        InputError: a name is unknown or a source class is missing.
    """
    known = frozenset(source.names)
    ids = {IGNORE_WORD: target.ignore, **{name: train for train, name in enumerate(target.names)}}
    for name, value in names.items():
        if name not in known:
            raise unknown_name(where, name, list(source.names), what=f"class of the source set {source.name}")
        if not isinstance(value, str) or value not in ids:
            choices = [*target.names, IGNORE_WORD]
            raise unknown_name(f"{where}: {name}", str(value), choices, what=f"class of the target set {target.name}")
    missing = [name for name in source.names if name not in names]
    if missing:
        raise InputError(
            f'{where}: no line for {_some(missing)}; map every class of {source.name}, or write = "ignore"'
        )
    if {names[name] for name in source.names} == {IGNORE_WORD}:
        raise InputError(
            f"{where}: ignores every class of {source.name}, so that nothing would be labelled; map some of them "
            f"to classes of {target.name}"
        )
    return ClassMap(source, target, np.array([ids[names[name]] for name in source.names], np.int64))


def load_class_map(path: str | Path, source: ClassSet | None, target: ClassSet) -> ClassMap:
    """Reads a class map from a TOML file, or a shipped one by name.

    Args:
        path: the file, or ``cityscapes-to-camvid``.
        source: classes of the source; None takes the set that the file names under ``source``.
        target: classes of the result.

    Raises:
        InputError: it is missing, malformed, for other class sets, or leaves a source class out.
    """
    file = find_file(path, "class-maps", "class map")
    values = read_toml(file, "class map")
    source = source or _source_of(values, file)
    if source is None:
        raise InputError(f'class map {file}: names no source class set; add a line source = "NAME" or give the set')
    names = {key: value for key, value in values.items() if not _is_header(key, source)}
    return build_class_map(names, source, target, where=f"class map {file}")


def class_map_source(path: str | Path) -> ClassSet | None:
    """Returns the source's class set as a class map names it; None where it names none.

    Raises:
        InputError: the map is missing or no TOML, or there is no such class set.
    """
    file = find_file(path, "class-maps", "class map")
    return _source_of(read_toml(file, "class map"), file)


def _source_of(values: Mapping[str, Any], file: Path) -> ClassSet | None:
    return _named_set(values, file, "source")


def _named_set(values: Mapping[str, Any], file: Path, key: str) -> ClassSet | None:
    if key not in values:
        return None
    name = values[key]
    if not isinstance(name, str):
        raise InputError(
            f"class map {file}: {key} is {reprlib.repr(name)}, expected the name or the file of a class set in quotes"
        )
    try:
        return load_class_set(file_or_name(name, file.parent))
    except InputError as error:
        # The user gave the map, and may not know that it names this set.
        raise InputError(f"class map {file}: {key}: {error}") from error


def class_map_target(path: str | Path) -> ClassSet | None:
    """Returns the target's class set as a class map names it; None where it names none.

    Raises:
        InputError: as `class_map_source`.
    """
    file = find_file(path, "class-maps", "class map")
    values = read_toml(file, "class map")
    source = _source_of(values, file)
    # A source may have a class of that name.
    return _named_set(values, file, "target") if source is None or _is_header("target", source) else None


def _is_header(key: str, source: ClassSet) -> bool:
    return key in ("source", "target") and key not in source.names


def propose_class_map(source: ClassSet, target: ClassSet) -> dict[str, str]:
    """Guesses a class map by equal, similar, then contained names; the rest becomes ``ignore``."""
    return {name: _nearest(name, target.names) or IGNORE_WORD for name in source.names}


def _nearest(name: str, choices: tuple[str, ...]) -> str | None:
    plain = {"".join(_words(choice)): choice for choice in choices}
    near = difflib.get_close_matches("".join(_words(name)), list(plain), n=1, cutoff=0.8)
    if near:
        return plain[near[0]]
    words = set(_words(name))
    return next((choice for choice in choices if words <= set(_words(choice)) or words >= set(_words(choice))), None)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())
