"""The stage rail: the inputs, then the stages in running order, each with its state."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from crots.artefacts import CORRECTIONS
from crots.differences import Change
from crots.outlook import FINISHED, NEEDLESS
from crots.project_status import StageStatus, State
from crots.report.results import SOURCE
from crots.text import gain
from crots_studio.models.history import History, StageHistory
from crots_studio.models.names import title
from crots_studio.models.project_form import Finding, fault
from crots_studio.models.run_state import RunState
from crots_studio.models.words import duration, in_window, option_title, plural

# What a demonstration does before the stages that every project has.
DEMO_STAGES = ("render", "train")
LOOKING = "checking …"
# Rows that are inputs and not stages.
INPUTS = {"target": "Target images", "source": "Source"}
_INPUT_STATES = {"good": "done", "warning": "done", "bad": "failed", "checking": "checking", "empty": "missing"}
_UNSCORED: Mapping[str, float] = MappingProxyType({})
# Stages that a click on Run may start; the others lack inputs, or are running.
_STARTABLE = ("ready", "stale", "interrupted", "failed", "done")


@dataclass(frozen=True)
class RailRow:
    """One line of the rail.

    Attributes:
        key: stage key, or ``target`` and ``source``.
        title: what people read.
        state: one of `crots.project_status.State`, or ``checking`` and ``missing`` for inputs.
        text: the state in words, with percent or reason.
        reason: the whole reason, for a tooltip.
        fraction: progress while running, else None.
        time: how long it took, empty where it did not end.
        miou: ``41.3%`` or empty.
        startable: whether this stage can be run now.
        warned: it is done or chosen, with a warning: something is wrong with its model, or an input has faults.
        paused: it is running, and halted for now.
        result: it has a result, if only an earlier one.
    """

    key: str
    title: str
    state: str
    text: str
    reason: str = ""
    fraction: float | None = None
    time: str = ""
    miou: str = ""
    startable: bool = False
    warned: bool = False
    paused: bool = False
    result: bool = False

    @property
    def look(self) -> str:
        """The state that sets colour and sign: a stage that is done with a warning is not green."""
        return "stale" if self.warned else self.state

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage of the project, and no input."""
        return self.key not in INPUTS and self.key not in DEMO_STAGES

    @property
    def spoken(self) -> str:
        """The whole row for a screen reader."""
        facts = [self.title, self.text, self.time, f"mIoU {self.miou}" if self.miou else "", self.reason]
        return ", ".join(fact for fact in facts if fact)


def rail_rows(
    status: Sequence[StageStatus], run: RunState, findings: Mapping[str, Finding], history: History
) -> list[RailRow]:
    """Returns all rows from top to bottom.

    Args:
        status: of `Project.status`.
        run: the active run.
        findings: of Set-up, by check.
        history: knows of what a demonstration does before its project's own stages.
    """
    inputs = [_input_row(key, findings.get(name)) for key, name in (("target", "data.target"), ("source", "source"))]
    keys = {stage.key for stage in status}
    own = [_own_stage(stage) for key, stage in history.stages.items() if key in DEMO_STAGES and key not in keys]
    # As in the other panels, also where a stage or the evaluation is stale; until then, what its training measured.
    scored = history.evaluated()
    stages = [_unless_blocked(_stage_row(stage, run, scored), fault(findings)) for stage in status]
    return [*(_stage_row(stage, run) for stage in own), *inputs, *stages]


def _unless_blocked(row: RailRow, reason: str) -> RailRow:
    """What Set-up keeps from running is not ready, though the project, which only knows stages, says so."""
    return (
        dataclasses.replace(row, state="waiting", text="waiting", reason=reason)
        if row.state == "ready" and reason
        else row
    )


def problem_of(stage: StageStatus, scored: Mapping[str, float]) -> str:
    """What is wrong with the model of a stage that is done, in words that follow the stage's name.

    Args:
        stage: as it is now.
        scored: what the evaluation measured (`History.evaluated`).
    """
    if stage.state != "done":
        return ""
    source, own = scored.get(SOURCE), scored.get(stage.key)
    below = source is not None and own is not None and gain(own, source) < 0
    return stage.problem or ("scores below the source" if below else "")


def looking_rows(keys: Sequence[str]) -> list[StageStatus]:
    """Returns rows for stages whose state is not known yet."""
    return [StageStatus(key, "waiting", LOOKING) for key in keys]


def _own_stage(stage: StageHistory) -> StageStatus:
    """The state of a stage that only a demonstration has, from its events."""
    end, progress = stage.finished, stage.progress
    state: State = "interrupted" if end is None else "done" if end.outcome == "completed" else "interrupted"
    if end is not None and end.outcome == "failed":
        state = "failed"
    done = progress.done if progress else 0
    return StageStatus(stage.key, state, seconds=end.seconds if end else None, done=done, total=stage.total)


def _input_row(key: str, finding: Finding | None) -> RailRow:
    finding = finding or Finding("empty", "not chosen yet")
    warned = finding.level == "warning"
    return RailRow(key, INPUTS[key], _INPUT_STATES[finding.level], finding.short, finding.text, warned=warned)


def _stage_row(stage: StageStatus, run: RunState, scored: Mapping[str, float] = _UNSCORED) -> RailRow:
    miou, problem = scored.get(stage.key, stage.miou), problem_of(stage, scored)
    running_here = run.running and run.stage == stage.key
    state = "running" if running_here and stage.state != "done" else stage.state
    if stage.reason == LOOKING and not running_here:
        return RailRow(stage.key, title(stage.key), "checking", LOOKING, "its files are being checked")
    fraction = None
    if state == "running":
        done, total = (run.done, run.total) if running_here else (stage.done, stage.total)
        fraction = done / total if total else 0.0
    return RailRow(
        key=stage.key,
        title=title(stage.key),
        state=state,
        text=_text(stage, state, fraction, run, problem),
        reason="; ".join(filter(None, (reason_text(stage), stage.kept))),
        fraction=fraction,
        time=duration(stage.took) if stage.took is not None and state == stage.state else "",
        miou=f"{miou:.1%}" if miou is not None and state != "running" and stage.result else "",
        warned=bool(problem),
        paused=state == "running" and run.paused,
        startable=not run.running and stage.state in _STARTABLE and stage.key not in DEMO_STAGES,
        result=state != "running" and stage.result,
    )


def _text(stage: StageStatus, state: str, fraction: float | None, run: RunState, problem: str) -> str:
    if state == "running":
        word = "stopping" if run.stopping else "paused" if run.paused else "running"
        return f"{word} {fraction or 0:.0%}"
    if state == "interrupted":
        return f"interrupted at {stage.done / stage.total:.0%}" if stage.total else "interrupted"
    if state == "failed" and stage.keeps_earlier:
        return "failed; its earlier result is kept"
    if state == "stale":
        return f"stale: {reason}" if (reason := _in_short(stage)) else "stale"
    if state == "done":
        # The mark comes first, since a long duration cuts the end of the text. Why is a long sentence, and stands in
        # the tooltip and the log.
        return ", ".join(filter(None, ("oracle" if stage.by_labels else "", "done", problem)))
    return state


def reason_text(stage: StageStatus) -> str:
    """Says why a stage is stale, waits or failed, as the window calls options and stages."""
    if stage.state == "stale":
        return ", ".join(f"{_name_of(change)} {_what_of(change)}" for change in stage.changes)
    if stage.waits_for:
        return "; ".join(f"{title(key)} is {state}" for key, state in stage.waits_for)
    return in_window(stage.reason)


def _in_short(stage: StageStatus) -> str:
    """Leaves room for the stages below: the first of several changes, and how many more there are."""
    missing = next((change for change in stage.changes if change.missing), None)
    if len(stage.changes) < 2 or missing:
        return f"{missing.missing} is missing" if missing else reason_text(stage)
    return f"{_name_of(stage.changes[0])} and {len(stage.changes) - 1} more changed"


def _what_of(change: Change) -> str:
    return "is missing" if change.missing else "changed"


def _name_of(change: Change) -> str:
    if change.missing:
        return change.missing
    if change.section == CORRECTIONS:
        return "your corrections"
    if not change.name:
        return title(change.section)
    # Files are no options: ``files``, ``files of data/target``.
    is_file = change.name == "files" or " " in change.name
    return change.name if is_file else option_title(f"{change.section}.{change.name}")


def summary(rows: Sequence[RailRow]) -> str:
    """Summarises the project's progress in one line."""
    stages = [row for row in rows if row.is_stage]
    if not stages:
        return "No project"
    if all(row.state == "checking" for row in stages):
        return "Checking the files …"
    # Counts every listed row, those of a demonstration included.
    inputs = sum(row.key in INPUTS for row in rows)
    worked = [row for row in rows if row.key not in INPUTS and row.state != NEEDLESS]
    done = sum(row.state in FINISHED for row in worked)
    text = f"{done} of {len(worked)} stages done"
    stale, warned = (sum(row.state == "stale" for row in stages), sum(row.warned for row in stages))
    marks = ", ".join(filter(None, (f"{warned} with a warning" if warned else "", f"{stale} stale" if stale else "")))
    return f"{text}, {marks}" if marks else f"{plural(inputs, 'input')}, {text}"


def next_stage(rows: Sequence[RailRow]) -> RailRow | None:
    """Returns the first stage that is not done."""
    return next((row for row in rows if row.is_stage and row.state not in FINISHED), None)
