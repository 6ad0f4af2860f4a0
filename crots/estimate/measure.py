"""The estimate of a run: what is stored and still holds, and the rest measured."""

from __future__ import annotations

from collections.abc import Iterable

from crots.estimate.facts import Estimate, StageEstimate, group_of, left_to_do, store, stored
from crots.estimate.trial import Stopwatch, Trial
from crots.project import Project


def estimate(
    project: Project, keys: Iterable[str], watch: Stopwatch | None = None, *, busy: bool | None = None
) -> Estimate:
    """Estimates what the stages that are not done will take; what is measured is stored with the project.

    Args:
        project: with its options.
        keys: of the stages that are to be run.
        watch: times, and asks for a stop.
        busy: whether a run goes on; None looks.

    Raises:
        CrotsError: the inputs of a stage do not fit.
        Stopped: the user asked to stop.
    """
    left = left_to_do(project, keys, busy=busy)
    found = stored(project, left)
    trial = Trial(project, watch)
    fresh: dict[str, StageEstimate] = {}
    for key in left:
        if key not in found and group_of(key) not in fresh:
            fresh[group_of(key)] = trial.estimate(key)
    if fresh:
        store(project, fresh)
    return Estimate({key: found.get(key) or fresh[group_of(key)] for key in left}, left)
