"""The estimate of a run: stored estimates where they still hold, measurements for the rest."""

from __future__ import annotations

from collections.abc import Iterable

from crots.estimate.facts import Estimate, StageEstimate, left_to_do, store, stored
from crots.estimate.trial import Stopwatch, Trial
from crots.project import Project


def estimate_stages(
    project: Project,
    keys: Iterable[str],
    watch: Stopwatch | None = None,
    *,
    busy: bool | None = None,
    asked: bool = False,
) -> Estimate:
    """Estimates the time of the stages that will run; measurements are stored in the project.

    Args:
        project: with its options.
        keys: of the stages that are to be run.
        watch: measures times, and checks for a stop.
        busy: whether a run is in progress; None checks.
        asked: the stages were asked for by name, as in `left_to_do`.

    Raises:
        CrotsError: the inputs of a stage do not fit.
        Stopped: the user asked to stop.
    """
    left = left_to_do(project, keys, busy=busy, asked=asked)
    return Estimate({key: of_stage(project, key, watch) for key in left}, left)


def of_stage(project: Project, key: str, watch: Stopwatch | None = None) -> StageEstimate:
    """Returns the estimate of one stage, measured where none is stored for the project's options.

    Raises:
        CrotsError: its inputs do not fit.
        Stopped: the user asked to stop.
    """
    # Rounds of equal options share one, stored by the first of them.
    if found := stored(project, [key]).get(key):
        return found
    found = Trial(project, watch).estimate(key)
    store(project, key, found)
    return found
