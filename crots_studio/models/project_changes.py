"""Changes of a project's options as values by name: differences, their titles, and merging two changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crots.config import describe, to_plain
from crots.options import SECTIONS
from crots.project_config import ProjectConfig
from crots_studio.models.option_form import shown
from crots_studio.models.words import option_title, plural, section_title

# By ``adapt.steps``; ``profile`` and ``preset`` too.
Values = Mapping[str, Any]
_HEAD = ("profile", "preset")


def values_of(config: ProjectConfig) -> dict[str, Any]:
    """Returns all that a project's file can say."""
    values: dict[str, Any] = {name: getattr(config, name) for name in _HEAD}
    for section, options_class in SECTIONS.items():
        options = getattr(config, section)
        values |= {
            f"{section}.{info.name}": getattr(options, info.name) for info in describe(options_class) if info.stored
        }
    return values


def with_values(config: ProjectConfig, values: Values) -> ProjectConfig:
    """Returns the configuration with some values replaced."""
    sections: dict[str, dict[str, Any]] = {}
    head: dict[str, Any] = {}
    for path, value in values.items():
        section, _, name = path.partition(".")
        if name:
            sections.setdefault(section, {})[name] = value
        else:
            head[section] = value
    replaced = {name: dataclasses.replace(getattr(config, name), **options) for name, options in sections.items()}
    return dataclasses.replace(config, **head, **replaced)


def difference(before: ProjectConfig, after: ProjectConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the values that differ, as they were and as they are."""
    old, new = values_of(before), values_of(after)
    names = [name for name in old if to_plain(old[name]) != to_plain(new[name])]
    return {name: old[name] for name in names}, {name: new[name] for name in names}


def name_of(path: str) -> str:
    """``Steps of Adaptation`` for ``adapt.steps``."""
    section, _, name = path.partition(".")
    return f"{option_title(path)} ({section_title(section)})" if name else option_title(section)


def change_summary(values: Values) -> str:
    """The name of a change in the menu: ``Steps (Adaptation)``, ``preset street``, ``3 options``."""
    if values.get("preset"):
        return f"preset {values['preset']}"
    names = [name for name in values if name not in _HEAD] or list(values)
    return name_of(names[0]) if len(names) == 1 else plural(len(names), "option")


@dataclass(frozen=True)
class Conflict:
    """One option that was changed both here and in the file, differently."""

    path: str
    mine: Any
    theirs: Any

    def __str__(self) -> str:
        here, there = shown(self.mine) or "nothing", shown(self.theirs) or "nothing"
        return f"{name_of(self.path)}: here {here}, in the file {there}"


@dataclass(frozen=True)
class MergedChanges:
    """Two changes of one configuration, merged.

    Attributes:
        config: both; where they conflict, what was changed here.
        taken: what the other one changed and this now has too.
        conflicts: what both changed differently.
    """

    config: ProjectConfig
    taken: Values
    conflicts: tuple[Conflict, ...]


def merge(base: ProjectConfig, mine: ProjectConfig, theirs: ProjectConfig) -> MergedChanges:
    """Merges two configurations that were changed from the same base."""
    _, new = difference(base, theirs)
    here = values_of(mine)
    _, changed_here = difference(base, mine)
    both = [path for path in new if path in changed_here and to_plain(new[path]) != to_plain(here[path])]
    taken = {path: value for path, value in new.items() if path not in changed_here}
    conflicts = tuple(Conflict(path, here[path], new[path]) for path in both)
    return MergedChanges(with_values(mine, taken), taken, conflicts)


def listed(paths: Iterable[str]) -> str:
    """Names of options, with commas."""
    return ", ".join(map(name_of, paths))
