"""The runs that a project is compared with: other projects and ticked runs; stored as text between sessions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str, int]


@dataclass
class ComparisonChoice:
    """The user's choice in one project.

    Attributes:
        projects: folders of other projects.
        ticked: keys of runs that are drawn.
        unticked: keys of runs that were seen and are not drawn; all others are new.
    """

    projects: list[str] = field(default_factory=list)
    ticked: set[Key] = field(default_factory=set)
    unticked: set[Key] = field(default_factory=set)

    @staticmethod
    def of_text(text: str) -> ComparisonChoice:
        """Reads what `text` wrote; invalid text gives an empty choice."""
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            return ComparisonChoice()
        if not isinstance(found, dict):
            return ComparisonChoice()
        projects = [value for value in _list(found.get("projects")) if isinstance(value, str)]
        return ComparisonChoice(projects, _keys(found.get("ticked")), _keys(found.get("unticked")))

    @property
    def text(self) -> str:
        """For the settings."""
        return json.dumps({"projects": self.projects, "ticked": sorted(self.ticked), "unticked": sorted(self.unticked)})

    def is_new(self, key: Key) -> bool:
        """Whether a run was never seen before."""
        return key not in self.ticked and key not in self.unticked

    def see(self, keys: Iterable[Key]) -> None:
        """Notes runs as seen; those that are not ticked stay so."""
        self.unticked |= set(keys) - self.ticked

    def tick(self, ticked: Iterable[Key]) -> None:
        """Takes over what is ticked now."""
        ticked = set(ticked)
        self.unticked = (self.unticked | self.ticked) - ticked
        self.ticked = ticked

    def without(self, folders: Iterable[str]) -> ComparisonChoice:
        """Returns the choice without some projects and their runs."""
        gone = set(folders)
        kept = [{key for key in keys if key[0] not in gone} for keys in (self.ticked, self.unticked)]
        return ComparisonChoice([folder for folder in self.projects if folder not in gone], *kept)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _keys(value: Any) -> set[Key]:
    kinds = (str, str, int)
    rows = [row for row in _list(value) if isinstance(row, list) and len(row) == len(kinds)]
    return {(row[0], row[1], row[2]) for row in rows if all(map(isinstance, row, kinds))}
