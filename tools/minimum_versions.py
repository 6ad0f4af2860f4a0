"""The lowest versions that the project allows, for pip: ``python tools/minimum_versions.py zoo studio``.

Prints ``name==version`` for every dependency of the project and of the extras that are named, as far as they are
installed on this Python and system. `pyproject.toml` is the one place that says which they are.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def minimum(requirement: Requirement) -> str:
    """`name==version` of the lowest version that a requirement allows.

    Raises:
        ValueError: When it names no lowest version, or excludes the one that it names.
    """
    lowest = [clause.version for clause in requirement.specifier if clause.operator in {">=", "==", "~="}]
    if len(lowest) != 1:
        raise ValueError(f"{requirement}: found {len(lowest)} lowest versions, expected one (name>=version)")
    if not requirement.specifier.contains(lowest[0], prereleases=True):
        raise ValueError(f"{requirement}: its lowest version {lowest[0]} is excluded; name the next one")
    return f"{requirement.name}=={lowest[0]}"


def lowest_versions(project: dict[str, Any], extras: Sequence[str] = ()) -> Iterator[str]:
    """The lowest version of each dependency that this Python and system install.

    Args:
        project: The table `[project]` of a `pyproject.toml`.
        extras: Optional dependencies to list too.

    Yields:
        One line for each, in the order of the file.

    Raises:
        ValueError: For an extra that does not exist, or a requirement without a lowest version.
    """
    optional: dict[str, list[str]] = project.get("optional-dependencies", {})
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        raise ValueError(f"found the extras {', '.join(unknown)}, expected some of {', '.join(optional)}")
    for line in [*project["dependencies"], *(line for extra in extras for line in optional[extra])]:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            yield minimum(requirement)


def main(extras: Sequence[str]) -> int:
    """Prints the list, or one line that says what is wrong."""
    try:
        lines = list(lowest_versions(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"], extras))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
