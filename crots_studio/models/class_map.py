"""The class map as an editable table: one row per source class, with its target class or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from crots.class_maps import load_class_map, propose_class_map
from crots.errors import InputError
from crots.files import write_text
from crots.taxonomy import IGNORE_WORD, ClassSet
from crots_studio.models.words import fault_text

FILE = "class-map.toml"


class ClassMapForm:
    """An editable class map.

    Attributes:
        rows: source class -> target class or ``ignore``; every source class is listed.
    """

    def __init__(self, source: ClassSet, target: ClassSet, rows: Mapping[str, str] | None = None) -> None:
        self.source, self.target = source, target
        self.rows: dict[str, str] = dict.fromkeys(source.names, IGNORE_WORD)
        self.rows |= {name: value for name, value in (rows or {}).items() if self._fits(name, value)}

    def _fits(self, name: str, value: str) -> bool:
        return name in self.source.names and value in self.choices

    @staticmethod
    def read(path: Path | str, source: ClassSet, target: ClassSet) -> ClassMapForm:
        """Reads a file, or a shipped map by name.

        Raises:
            InputError: it does not fit the two class sets.
        """
        return ClassMapForm(source, target, load_class_map(path, source, target).names())

    @staticmethod
    def proposed(source: ClassSet, target: ClassSet) -> ClassMapForm:
        """Starts from a shipped map of the two sets, or from the names alone."""
        try:
            return ClassMapForm.read(f"{source.name}-to-{target.name}", source, target)
        except InputError:
            return ClassMapForm(source, target, propose_class_map(source, target))

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that a row can have."""
        return (*self.target.names, IGNORE_WORD)

    def set(self, name: str, value: str) -> None:
        """Maps one source class.

        Raises:
            InputError: an unknown class.
        """
        if not self._fits(name, value):
            raise InputError(f"class map: cannot map {name!r} to {value!r}; choose classes of the two sets")
        self.rows[name] = value

    def with_rows(self, rows: Mapping[str, str]) -> ClassMapForm:
        """Returns a copy with some rows replaced."""
        return ClassMapForm(self.source, self.target, {**self.rows, **rows})

    @property
    def unreached(self) -> tuple[str, ...]:
        """Target classes that no source class is mapped to; they can never be predicted."""
        used = Counter(self.rows.values())
        return tuple(name for name in self.target.names if not used[name])

    @property
    def summary(self) -> str:
        """One line: how many classes are mapped, ignored and unreachable."""
        ignored = sum(value == IGNORE_WORD for value in self.rows.values())
        text = f"{len(self.rows) - ignored} of {len(self.rows)} source classes are mapped"
        if ignored:
            text += f", {ignored} ignored"
        if self.unreached:
            text += f"; no source class is mapped to {', '.join(self.unreached)}"
        return text

    @property
    def text(self) -> str:
        """The TOML file that a project names."""
        heads = {"source": self.source.name, "target": self.target.name}
        head = {key: value for key, value in heads.items() if key not in self.source.names}
        text = f"# A class map from {self.source.name} to {self.target.name}: source class = target class or ignore.\n"
        return text + tomli_w.dumps({**head, **self.rows})


@dataclass(frozen=True)
class Proposal:
    """What a proposal by name would change in a class map.

    Attributes:
        old: the map as it is.
        filled: rows that are ignored now, with what is proposed.
        replaced: rows that have a class now, with another that is proposed.
    """

    old: ClassMapForm
    filled: Mapping[str, str]
    replaced: Mapping[str, str]

    @staticmethod
    def of(old: ClassMapForm, new: ClassMapForm) -> Proposal:
        """Compares two maps of the same class sets."""
        differs = {name: value for name, value in new.rows.items() if old.rows[name] != value}
        filled = {name: value for name, value in differs.items() if old.rows[name] == IGNORE_WORD}
        return Proposal(old, filled, {name: value for name, value in differs.items() if name not in filled})

    def __bool__(self) -> bool:
        return bool(self.filled or self.replaced)

    @property
    def lines(self) -> list[str]:
        """``car: vehicle -> truck``, one line per row."""
        rows = {**self.filled, **self.replaced}
        return [f"{name}: {self.old.rows[name]} \u2192 {value}" for name, value in rows.items()]


def read_text(path: Path) -> str | None:
    """Returns the text of a class map file, None if there is none.

    Raises:
        InputError: it is no text, or cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({fault_text(error)}); move it away") from None


def write_text_or_none(path: Path, text: str | None) -> None:
    """Writes a class map, or deletes it if the text is None."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write_text(path, text)
