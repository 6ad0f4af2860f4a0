"""The stages as a run will leave them: a project knows that no round is needed only once a baseline has said so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crots.artefacts import is_round
from crots.project import NO_PATCHES, Project
from crots.project_status import StageStatus, State, waiting
from crots.training_options import NO_ROUND, Start

NEEDLESS: Final[State] = "not needed"
FINISHED: Final[tuple[State, ...]] = ("done", NEEDLESS)


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


def outlook(project: Project, status: Sequence[StageStatus], start: Start | None) -> list[StageStatus]:
    """Returns the stages with which rounds will be run, where the stage that decides about them is still to run.

    Args:
        project: whose stages.
        status: as `crots.project_status.statuses` gives them.
        start: how the student starts; None where that is not known.
    """
    states = {stage.key: stage for stage in status}
    if start in ("random", "pretrained") and decides_rounds(project, status):
        return [_left_out(project, stage, states["baseline"]) for stage in status]
    trained = project.training_keys()
    last = states.get(trained[-1])
    if last is None or not _open(last):
        return list(status)
    # An earlier result of this stage ended the rounds; the new one decides anew, and about patches too.
    undecided = {*project.round_keys()}.difference(trained)
    if project.config.adapt.patches and undecided:
        undecided.add("mine")
    return [
        waiting(stage.key, [(last.key, last.state)]) if stage.state == NEEDLESS and stage.key in undecided else stage
        for stage in status
    ]


def _open(stage: StageStatus | None) -> bool:
    return stage is not None and stage.state not in FINISHED


def _left_out(project: Project, stage: StageStatus, baseline: StageStatus) -> StageStatus:
    """A stage as it is after the baseline of a student that starts afresh."""
    if stage.state in ("running", *FINISHED):
        return stage
    if is_round(stage.key):
        return StageStatus(stage.key, NEEDLESS, NO_ROUND)
    cut = project.record_path("mine").exists() or project.started_path("mine").exists()
    if stage.key == "mine" and not cut:
        return StageStatus("mine", NEEDLESS, NO_PATCHES)
    if stage.state == "waiting" and any(is_round(key) for key, _ in stage.waits_for):
        kept = [(key, state) for key, state in stage.waits_for if not is_round(key)]
        return waiting(stage.key, kept or [(baseline.key, baseline.state)])
    return stage
