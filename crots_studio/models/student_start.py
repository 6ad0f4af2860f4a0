"""How a project's student starts, on which it depends whether its rounds are needed."""

from __future__ import annotations

from collections.abc import Hashable

from crots.errors import CrotsError
from crots.opening import Inputs
from crots.outlook import told_start
from crots.project import Project
from crots.training_options import Start
from crots_studio.background.loading import preload_torch


class StudentStart:
    """How a project's student starts; what a file of weights holds is read once."""

    def __init__(self) -> None:
        self._read: dict[Hashable, Start | None] = {}

    def known(self, project: Project) -> Start | None:
        """How it starts, as far as the options tell or a file was read; None where that is not known. No torch."""
        if told := told_start(project):
            return told
        try:
            if Inputs(project.config, project.folder).starts_from_source:
                return "trained"
            return self._read.get(self._key(project))
        except (CrotsError, OSError):
            return None

    def unread(self, project: Project) -> bool:
        """Whether a file of weights would have to be read."""
        try:
            return self.known(project) is None and self._key(project) not in self._read
        except (CrotsError, OSError):
            return False

    def read(self, project: Project) -> None:
        """Reads the file; takes torch, so not on the window's thread."""
        preload_torch()
        key = self._key(project)
        try:
            self._read[key] = Inputs(project.config, project.folder).start
        except (CrotsError, OSError):
            # Set-up says what is wrong with it.
            self._read[key] = None

    def _key(self, project: Project) -> Hashable:
        config = project.config
        weights = Inputs(config, project.folder).student_weights
        stamp = weights.stat() if weights is not None else None
        changed = (stamp.st_mtime_ns, stamp.st_size) if stamp else None
        return (project.folder, config.student, config.source, config.task, config.data.size, config.data.tile, changed)
