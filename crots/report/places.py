"""Shortens the paths of a report, which is sent to others: whose computer it was, and where on it, is nobody's concern.

What lies in the project is named from there, so that it is found in a copy. Of what the options name elsewhere the last
two parts stay; model files are told by their hash.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from crots.project import Project
from crots.project_config import named_paths
from crots.report.facts import Facts

# Stands for the folders that are left out.
_ABOVE = "..."
_KEPT_PARTS = 2
# What people wrote themselves stays.
_OWN_WORDS = ("note", "run_notes")
# Whole paths that the options do not name, or no longer.
_OTHER = re.compile(r"(?<![\w.~/-])(?:/[^\s/:;,'\"<>|]+){3,}")


def without_places(facts: Facts, project: Project) -> Facts:
    """Returns the facts with paths that say nothing of this computer.

    Args:
        facts: of the project.
        project: whose options name the paths.
    """
    short = _shorter(project)
    pattern = re.compile("|".join(_found(path) for path in sorted(short, key=len, reverse=True)))

    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return _OTHER.sub(lambda found: _end(found[0]), pattern.sub(lambda found: short[found[0]], value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes = {field.name: shown(getattr(value, field.name)) for field in dataclasses.fields(value)}
            return dataclasses.replace(value, **changes)
        if isinstance(value, tuple):
            return tuple(map(shown, value))
        if isinstance(value, Mapping):
            return {name: shown(one) for name, one in value.items()}
        return value

    own: dict[str, Any] = {name: getattr(facts, name) for name in _OWN_WORDS}
    shorter: Facts = shown(facts)
    return dataclasses.replace(shorter, **own)


def _end(path: str) -> str:
    return "/".join((_ABOVE, *PurePosixPath(path.replace("\\", "/")).parts[-_KEPT_PARTS:]))


def _found(path: str) -> str:
    """A pattern of a path, and not of the beginning or the end of another."""
    return rf"(?<![\w.~-]){re.escape(path)}" + ("" if path.endswith(("/", "\\")) else r"(?![\w-]|\.\w)")


def _shorter(project: Project) -> dict[str, str]:
    """What takes the place of each path, as it is written on this system."""
    found = dict[str, str]()
    home = Path.home()
    if len(home.parts) > 1:
        found |= dict.fromkeys(_spellings(home), "~")
    inside = _spellings(project.folder.absolute())
    values = [value for _, value in named_paths(project.config).values()]
    for value in [*values, Path(project.config.preset)]:
        for whole in _spellings(Path(value)):
            own = any(whole.startswith(folder + os.sep) for folder in inside)
            if Path(value).is_absolute() and len(Path(whole).parts) > _KEPT_PARTS + 1 and not own:
                found[whole] = _end(whole)
    for whole in inside:
        found |= {whole: project.folder.name, f"{whole}/": "", f"{whole}{os.sep}": ""}
    return found


def _spellings(path: Path) -> set[str]:
    return {str(path), path.as_posix(), os.path.realpath(path)}
