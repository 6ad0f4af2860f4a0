"""The state of each stage of a project: what is done, stale, interrupted or waiting, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from crots.differences import Change, changed_inputs
from crots.eventlog import last_endings, running
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
        changes: likewise of a stale stage, one by one.
        waits_for: the stages that it waits for, and their states.
        seconds: how long it took, None while not done.
        miou: score of its model where one was measured, 0..1.
        done: units finished, of ``total``, of an interrupted stage.
        kept: which checkpoint a training stage kept, as a sentence; empty where it kept the last.
        problem: what is wrong with the model of a training stage that is done, in few words that follow the stage's
            name: ``went back to its start``, ``has not learnt the pseudo-labels``; empty if nothing is known.
        by_labels: the checkpoint was chosen with validation labels (oracle), so its score is no result of the
            adaptation alone.
    """

    key: str
    state: State
    reason: str = ""
    seconds: float | None = None
    miou: float | None = None
    done: int = 0
    total: int = 0
    kept: str = ""
    problem: str = ""
    by_labels: bool = False
    changes: tuple[Change, ...] = ()
    waits_for: tuple[tuple[str, State], ...] = ()


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


class _States:
    """What the states of all stages are read from."""

    def __init__(self, project: Project, busy: bool) -> None:
        self._project = project
        self._busy = busy
        self._endings = last_endings(project.events_path)
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
        project, ending = self._project, self._endings.get(key)
        record = project.record(key)
        status = partial(StageStatus, key, done=ending.done if ending else 0, total=ending.total if ending else 0)
        if project.started_path(key).exists() and (unfinished := self._unfinished(key, record)):
            return status(*unfinished)
        if record:
            differing = changed_inputs(record.get("inputs", {}), self._inputs[key], project.config.profile)
            changes = tuple(project.dependencies.with_missing(key, differing))
            choice = project.choice(key) or {}
            return status(
                "stale" if changes else "done",
                ", ".join(map(str, changes)),
                changes=changes,
                seconds=record.get("seconds"),
                miou=record.get("miou"),
                kept=str(choice.get("words", "")),
                problem=str(choice.get("problem", "")),
                by_labels=_chosen_by_labels(choice),
            )
        waits_for = tuple((name, before[name]) for name in project.upstream(key) if before.get(name) in _NOT_DONE)
        if waits_for:
            return status("waiting", "; ".join(f"{name} is {state}" for name, state in waits_for), waits_for=waits_for)
        if ending and ending.outcome == "failed":
            # Its inputs did not fit, so it never began.
            return status("failed", ending.message)
        return status("ready", ", ".join(f"{path} is missing" for path in project.dependencies.missing(key)))

    def _unfinished(self, key: str, record: Mapping[str, Any] | None) -> tuple[State, str] | None:
        """State and reason of a stage that was begun; None if its last result counts."""
        ending = self._endings.get(key)
        if self._busy and ending and ending.outcome is None:
            return "running", ""
        if record and not self._project.files(key).continues(self._inputs[key]):
            # The options have changed since: it will not be resumed.
            return None
        if ending and ending.outcome == "failed":
            return "failed", ending.message
        stays = "; the previous result stays until then" if record else ""
        return "interrupted", f"run again to resume from the last checkpoint{stays}"


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
