"""How a project's student starts, on which it depends whether its rounds are needed; and the stages that follow."""

from __future__ import annotations

from collections.abc import Hashable

from crots.errors import CrotsError
from crots.options import IMAGENET
from crots.outlook import decides_rounds, outlook
from crots.project import Project
from crots.project_status import StageStatus, statuses
from crots.training_options import Start

# Where the option names no file, it says all: weights of the source that do not fit are an error.
_TOLD: dict[str, Start] = {"random": "random", IMAGENET: "pretrained", "source": "trained", "": "trained"}


class StudentStart:
    """How a project's student starts; what a file of weights holds is read once."""

    def __init__(self) -> None:
        self._read: dict[Hashable, Start | None] = {}

    def known(self, project: Project) -> Start | None:
        """How it starts, as far as the options tell or a file was read; None where that is not known. No torch."""
        if told := _TOLD.get(project.config.student.weights):
            return told
        # A status that needs no input is not to wait for what reads them.
        from crots.opening import Inputs

        try:
            if Inputs(project.config, project.folder).starts_from_source:
                return "trained"
            return self._read.get(_key(project))
        except (CrotsError, OSError):
            return None

    def unread(self, project: Project) -> bool:
        """Whether a file of weights would have to be read."""
        try:
            return self.known(project) is None and _key(project) not in self._read
        except (CrotsError, OSError):
            return False

    def read(self, project: Project) -> None:
        """Reads the file. Imports torch."""
        from crots.opening import Inputs

        key = _key(project)
        try:
            self._read[key] = Inputs(project.config, project.folder).start
        except (CrotsError, OSError):
            # The checks of the inputs say what is wrong with it.
            self._read[key] = None


def _key(project: Project) -> Hashable:
    from crots.opening import Inputs

    config = project.config
    weights = Inputs(config, project.folder).student_weights
    stamp = weights.stat() if weights is not None else None
    changed = (stamp.st_mtime_ns, stamp.st_size) if stamp else None
    return (project.folder, config.student, config.source, config.task, config.data.size, config.data.tile, changed)


def foreseen(project: Project, *, busy: bool | None = None) -> list[StageStatus]:
    """Returns the state of every stage, the rounds among them as a run will need them.

    Imports torch only where that depends on what a file of weights holds.

    Args:
        project: whose stages.
        busy: whether a run is in progress; None checks.
    """
    status, start = statuses(project, busy=busy), StudentStart()
    if not decides_rounds(project, status):
        return outlook(project, status, None)
    if start.unread(project):
        start.read(project)
    return outlook(project, status, start.known(project))
