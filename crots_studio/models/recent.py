"""The list of recently opened projects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crots.artefacts import CONFIG_NAME
from crots.files import exists

MOST = 12


@dataclass(frozen=True)
class RecentProject:
    """A row of the list; ``present`` is False where the folder is gone."""

    path: Path
    present: bool

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name or str(self.path)


class Recent:
    """Folders, the latest first."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self.paths: list[str] = list(dict.fromkeys(paths))[:MOST]

    def opened(self, folder: Path) -> Recent:
        """Returns the list with a folder at its head."""
        return Recent([str(folder), *(path for path in self.paths if path != str(folder))])

    def without(self, folder: Path) -> Recent:
        """Returns the list without a folder."""
        return Recent(path for path in self.paths if path != str(folder))

    def listed(self) -> list[RecentProject]:
        """Returns the rows without looking at the disk."""
        return [RecentProject(Path(path), present=True) for path in self.paths]

    def rows(self) -> list[RecentProject]:
        """Checks on disk which projects still exist."""
        return [RecentProject(Path(path), exists(Path(path) / CONFIG_NAME)) for path in self.paths]
