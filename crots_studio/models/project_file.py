"""``crots.toml`` as this window knows it: read and written without losing changes by other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crots.errors import InputError
from crots.files import exists
from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig
from crots_studio.models.project_changes import difference
from crots_studio.models.words import fault_text


@dataclass(frozen=True)
class Foreign:
    """Options that another program wrote.

    Attributes:
        before: what was in the file as far as this window knew.
        theirs: what is in it now.
        turn: how often it was found changed; the next writer states which one it knows.
    """

    before: ProjectConfig
    theirs: ProjectConfig
    turn: int


class ProjectFile:
    """What lies in the file of a project. Reading and writing take turns: all calls come from one thread.

    Args:
        project: as it was read.
    """

    def __init__(self, project: Project) -> None:
        self._folder, self._known = project.folder, project.config
        self._stamp = _stamp(self._path)
        self._turn = 0

    @property
    def _path(self) -> Path:
        return self._folder / CONFIG_NAME

    def write(self, config: ProjectConfig, turn: int) -> Foreign | None:
        """Writes the options, unless another program has changed the file: then nothing is written.

        Args:
            config: all options.
            turn: of the last `Foreign` that they are joined with, 0 for none. Where they do not know of a later one,
                nothing is written either: that one is on its way to be joined.

        Raises:
            InputError: the file is there and cannot be read; nothing was written.
        """
        if (found := self.changed()) is not None or turn != self._turn:
            return found
        if exists(self._path) and not any(difference(self._known, config)):
            # Another program may be writing at this moment.
            return None
        Project(self._folder, config).save()
        self._known, self._stamp = config, _stamp(self._path)
        return None

    def changed(self) -> Foreign | None:
        """Returns changes that another program made to the file; each change is returned once.

        Raises:
            InputError: the file is there and cannot be read.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return None
        if not exists(self._path):
            # It was deleted: the next change writes it again.
            self._stamp = stamp
            return None
        try:
            theirs = Project.open(self._folder).config
        except InputError as error:
            raise InputError(
                f"{fault_text(error)}; the options are kept here and written when it can be read again"
            ) from None
        before, self._known, self._stamp = self._known, theirs, stamp
        if not any(difference(before, theirs)):
            return None
        self._turn += 1
        return Foreign(before, theirs, self._turn)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino
