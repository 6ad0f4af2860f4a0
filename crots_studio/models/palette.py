"""Finds actions and options by a few letters, best match first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PaletteEntry:
    """An entry of the command palette.

    Attributes:
        title: what it is called.
        place: where it stands otherwise, "File" or "Settings, Adaptation".
        keys: its shortcut.
        keywords: more words by which it is found.
        enabled: whether it can be chosen now.
    """

    title: str
    place: str = ""
    keys: str = ""
    keywords: str = ""
    enabled: bool = True


def rank(entry: PaletteEntry, text: str) -> int | None:
    """Returns how well an entry matches the typed text, smaller is better; None if it does not match.

    What is called so comes first, then what has the text inside its title, then what only mentions it.
    """
    wanted = text.lower().split()
    title, keywords = entry.title.lower(), entry.keywords.lower()
    everywhere = f"{title} {entry.place.lower()} {keywords}"
    if not all(word in everywhere for word in wanted):
        return None
    if not wanted:
        return 0
    # The words of an option begin with its name in the project's file.
    if any(name.startswith(text.strip().lower()) for name in (title, keywords)):
        return 0
    starts = title.split()
    if all(any(start.startswith(word) for start in starts) for word in wanted):
        return 1
    return 2 if all(word in title for word in wanted) else 3


def find(entries: Iterable[PaletteEntry], text: str, most: int = 200) -> list[PaletteEntry]:
    """Returns the entries that fit, best first, those that can be chosen before the others."""
    ranked = [(rank(entry, text), entry) for entry in entries]
    fitting = [(place, entry) for place, entry in ranked if place is not None]
    fitting.sort(key=lambda pair: (pair[0], not pair[1].enabled))
    return [entry for _, entry in fitting[:most]]
