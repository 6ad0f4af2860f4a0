"""The stages as a run will leave them: a project knows that no round is needed only once a baseline has said so."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

from crots.artefacts import is_round
from crots.errors import CrotsError
from crots.opening import Inputs
from crots.options import IMAGENET
from crots.project import Project
from crots.project_status import StageStatus
from crots.training_options import NO_ROUND, Start
from crots_studio.background.loading import preload_torch

NEEDLESS = "not needed"
FINISHED = ("done", NEEDLESS)
_NO_PATCHES = "only rounds train on hard patches, and none is needed"


def to_run(status: Sequence[StageStatus]) -> list[StageStatus]:
    """Returns the stages that a run of all of them runs; later rounds among them may turn out not to be needed."""
    return [stage for stage in status if stage.state not in FINISHED]


def may_be_fewer(project: Project, status: Sequence[StageStatus]) -> bool:
    """Whether a stage to run may decide that rounds after it are not needed."""
    trained = [stage.key for stage in to_run(status) if stage.key == "baseline" or is_round(stage.key)]
    return project.config.adapt.stop_rounds and any(map(is_round, trained[1:]))


def decides_rounds(project: Project, status: Sequence[StageStatus]) -> bool:
    """Whether a baseline is to run that ends the rounds if its student starts afresh."""
    baseline = next((stage for stage in status if stage.key == "baseline"), None)
    return project.config.adapt.stop_rounds and project.may_end_at_baseline and _open(baseline)


class StudentStart:
    """How a project's student starts; what a file of weights holds is read once."""

    def __init__(self) -> None:
        self._read: dict[Hashable, Start | None] = {}

    def known(self, project: Project) -> Start | None:
        """How it starts, as far as the options tell or a file was read; None where that is not known. No torch."""
        weights = project.config.student.weights
        if weights in ("random", IMAGENET):
            return "random" if weights == "random" else "pretrained"
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


def outlook(project: Project, status: Sequence[StageStatus], start: Start | None) -> list[StageStatus]:
    """Returns the stages with which rounds will be run, where the stage that decides about them is still to run.

    Args:
        project: whose stages.
        status: as `crots.project_status.statuses` gives them.
        start: how the student starts; None where that is not known.
    """
    trained = project.training_keys()
    states = {stage.key: stage for stage in status}
    if start in ("random", "pretrained") and decides_rounds(project, status):
        return [_left_out(project, stage) for stage in status]
    last = states.get(trained[-1])
    if last is None or not _open(last):
        return list(status)
    # An earlier result of this stage ended the rounds; the new one decides anew.
    return [
        dataclasses.replace(stage, state="waiting", reason="", waits_for=((last.key, last.state),))
        if stage.state == NEEDLESS
        else stage
        for stage in status
    ]


def _open(stage: StageStatus | None) -> bool:
    return stage is not None and stage.state not in FINISHED


def _left_out(project: Project, stage: StageStatus) -> StageStatus:
    """A stage as it is after the baseline of a student that starts afresh."""
    if stage.state in ("running", *FINISHED):
        return stage
    if is_round(stage.key):
        return StageStatus(stage.key, "not needed", NO_ROUND)
    cut = project.record_path("mine").exists() or project.started_path("mine").exists()
    if stage.key == "mine" and not cut:
        return StageStatus("mine", "not needed", _NO_PATCHES)
    return stage
