"""The state of each stage of a project: what is done, stale, interrupted or waiting, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from crots.differences import Change, changed_inputs
from crots.eventlog import Ending, last_endings, running
from crots.project import Project

State = Literal["ready", "waiting", "running", "done", "stale", "interrupted", "failed", "not needed"]
# Of a stage that others wait for.
_NOT_DONE = ("waiting", "ready", "stale", "interrupted", "failed", "running")


@dataclass(frozen=True)
class StageStatus:
    """The state of one stage, for the rail and ``crots status``.

    Attributes:
        key: ``adapt-2``.
        state: see `State`.
        reason: why it is stale, waiting or failed, as a sentence.
        result: a complete result is there, if only an earlier one; not told while it runs or where it is not needed.
        changes: what differs from the options and inputs of that result, one by one.
        waits_for: the stages that it waits for, and their states.
        seconds: how long that result took, None without one.
        miou: score of its model where one was measured, 0..1.
        done: units finished, of ``total``, of unfinished work that is running or can be continued.
        kept: which checkpoint a training stage kept, as a sentence; empty where it kept the last.
        problem: what is wrong with the model of a training stage that is done, in few words that follow the stage's
            name: ``went back to its start``, ``has not learnt the pseudo-labels``; empty if nothing is known.
        by_labels: the checkpoint was chosen with validation labels (oracle), so its score is no result of the
            adaptation alone.
    """

    key: str
    state: State
    reason: str = ""
    result: bool = False
    seconds: float | None = None
    miou: float | None = None
    done: int = 0
    total: int = 0
    kept: str = ""
    problem: str = ""
    by_labels: bool = False
    changes: tuple[Change, ...] = ()
    waits_for: tuple[tuple[str, State], ...] = ()

    @property
    def keeps_earlier(self) -> bool:
        """Whether there is a result, but not the one that a run would give now."""
        return self.result and self.state != "done"

    @property
    def took(self) -> float | None:
        """``seconds`` to show beside the state: that of an earlier result would seem to be the time until a failure."""
        return self.seconds if self.state in ("done", "stale") else None


def statuses(project: Project, *, busy: bool | None = None) -> list[StageStatus]:
    """Returns the state of every stage, in running order.

    Args:
        project: whose stages.
        busy: whether a run is in progress; None checks.
    """
    states = _States(project, running(project.lock_path) if busy is None else busy)
    result: list[StageStatus] = []
    for key in project.stage_keys():
        result.append(states.status(key, {status.key: status.state for status in result}))
    return result


def waiting(key: str, waits_for: Sequence[tuple[str, State]]) -> StageStatus:
    """Returns the status of a stage that waits for others.

    Args:
        key: of the stage.
        waits_for: the others, and their states.
    """
    words = "; ".join(f"{name} is {state}" for name, state in waits_for)
    return StageStatus(key, "waiting", words, waits_for=tuple(waits_for))


class _States:
    """What the states of all stages are read from."""

    def __init__(self, project: Project, busy: bool) -> None:
        self._project = project
        self._endings = last_endings(project.events_path)
        self._at_work = next(reversed(self._endings), "") if busy else ""
        self._inputs = project.inputs()

    def status(self, key: str, before: Mapping[str, State]) -> StageStatus:
        """Returns the state of a stage, given those before it."""
        found = self._found(key, before)
        # Any stage can be run by name. Patches are also looked at and corrected, so that those that are there count.
        if found.state == "running" or (key == "mine" and found.state == "done"):
            return found
        if not (reason := self._project.needless(key)):
            return found
        there = "; the result of an earlier run is not used" if self._project.record(key) else ""
        return StageStatus(key, "not needed", reason + there)

    def _found(self, key: str, before: Mapping[str, State]) -> StageStatus:
        """The state of a stage as its files and records have it."""
        project, record = self._project, self._project.record(key)
        latest = self._latest(key, earlier=record is not None)
        if latest and latest.state == "running":
            return latest
        if record:
            return self._with_result(key, record, latest)
        if latest and self._begun(key):
            return latest
        waits_for = tuple((name, before[name]) for name in project.upstream(key) if before.get(name) in _NOT_DONE)
        if waits_for:
            return waiting(key, waits_for)
        missing = ", ".join(f"{path} is missing" for path in project.dependencies.missing(key))
        return latest or StageStatus(key, "ready", missing)

    def _with_result(self, key: str, record: Mapping[str, Any], latest: StageStatus | None) -> StageStatus:
        """The state of a stage that has a complete result, and perhaps a later run that has not replaced it."""
        project = self._project
        differing = changed_inputs(record.get("inputs", {}), self._inputs[key], project.config.profile)
        changes = tuple(project.dependencies.with_missing(key, differing))
        status = partial(
            StageStatus, key, result=True, changes=changes, seconds=record.get("seconds"), miou=record.get("miou")
        )
        # What was begun with other options is not what a run would do now; and a result that is up to date stays so
        # where a run of it never began.
        if latest and (self._continues(key) if self._begun(key) else changes):
            return status(latest.state, latest.reason, done=latest.done, total=latest.total)
        choice = project.choice(key) or {}
        return status(
            "stale" if changes else "done",
            ", ".join(map(str, changes)),
            kept=str(choice.get("words", "")),
            problem=str(choice.get("problem", "")),
            by_labels=_chosen_by_labels(choice),
        )

    def _latest(self, key: str, *, earlier: bool) -> StageStatus | None:
        """What the latest run of a stage left unfinished; None if nothing.

        Args:
            key: of the stage.
            earlier: it has a complete result of an earlier run.
        """
        ending, begun = self._endings.get(key, Ending()), self._begun(key)
        if begun and key == self._at_work and ending.outcome is None:
            return StageStatus(key, "running", done=ending.done, total=ending.total)
        continued = begun and self._continues(key)
        status = partial(StageStatus, key, done=ending.done if continued else 0, total=ending.total if continued else 0)
        if ending.outcome == "failed":
            # Where nothing was begun, its inputs did not fit.
            return status("failed", ending.message)
        if not begun:
            return None
        stays = "; the previous result stays until then" if earlier else ""
        resumed = f"run again to resume from the last checkpoint{stays}"
        return status("interrupted", resumed if continued else dropped(self._project, key))

    def _begun(self, key: str) -> bool:
        """Whether there is unfinished work."""
        return self._project.started_path(key).exists()

    def _continues(self, key: str) -> bool:
        """Whether the unfinished work was begun with the inputs of now, so that a run would continue it."""
        return self._project.files(key).continues(self._inputs[key])


def _chosen_by_labels(choice: Mapping[str, Any]) -> bool:
    return choice.get("rule") == "oracle" and not choice.get("given_up") and not choice.get("useless")


def dropped(project: Project, key: str) -> str:
    """Explains why the work of an interrupted run of a stage is not continued; empty if nothing is lost."""
    started = project.files(key).read_start()
    if started is None or not started.get("inputs") or project.resumable(key):
        return ""
    changes = changed_inputs(started["inputs"], project.inputs()[key], project.config.profile)
    reasons = list(map(str, project.dependencies.with_missing(key, changes)))
    ending = last_endings(project.events_path).get(key)
    if not reasons or ending is None or ending.outcome == "completed":
        return ""
    # Of short runs no progress may be noted yet.
    count = f" ({ending.done} of {ending.total})" if ending.done else ""
    return (
        f"what the interrupted run has done{count} is not continued: "
        f"{', '.join(reasons[:4])}{' ...' if len(reasons) > 4 else ''}"
    )
