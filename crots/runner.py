"""Runs the stages of a project in order; every stage ends with exactly one `StageFinished`, whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import filelock

from crots.artefacts import stage_kind
from crots.errors import CrotsError, InputError, NotBegun, Stopped
from crots.eventlog import EventLog, last_endings, seconds_before
from crots.events import Cause, Evaluated, Event, Remark, StageFinished
from crots.execution.context import Context, at_their_place
from crots.execution.control import Control
from crots.execution.launch import process_group
from crots.execution.workers import current
from crots.files import explained, is_file, is_partial, machine_fault, out_of_memory, remove_partials
from crots.project import Project
from crots.project_status import dropped, statuses

StageBody = Callable[[Context], Iterator[Event]]


def run_project(
    project: Project,
    *,
    control: Control | None = None,
    until: str | None = None,
    only: str | None = None,
    measure: bool = False,
    compared: bool = False,
) -> Iterator[Event]:
    """Runs every stage that is not done, in order, and yields the events that it also writes to ``events.jsonl``.

    Args:
        project: the folder.
        control: for stopping and pausing.
        until: the last stage to run; ``adapt`` means its last round.
        only: run this stage alone, even where it is done.
        compared: a comparison of methods uses what it makes, whatever the project's own stages need.
        measure: say at the start what the run will take, from a few timed steps; with several workers nothing is timed.

    Raises:
        InputError: no such stage, or another run goes on in this project.
    """
    # torch is imported only here: nothing before a run needs it.
    from crots.stages.project_stages import stage_events

    control, budgeted = control or Control(), project.config.runtime.time_budget is not None
    keys = planned(project, until=until, only=only)
    with process_group(project.config.runtime.device) as workers, contextlib.ExitStack() as stack:
        if budgeted and workers.world > 1:
            raise InputError(
                f"time budget: it is supported in one process only, and this run has {workers.world} workers; set "
                "`runtime.time_budget` to none, and set `baseline.steps` and `adapt.steps`",
                field="runtime.time_budget",
            )
        log = workers.from_first(lambda: _taken(project, stack))
        tried = False
        for key in keys:
            todo, resume = workers.from_first(partial(_due, project, key, only is not None))
            if not todo:
                continue
            lost = "" if resume else workers.from_first(partial(dropped, project, key))
            unused = "" if compared else workers.from_first(partial(_unused, project, key))
            notes = tuple(Remark(text, "warning") for text in (lost, unused) if text)
            context = Context(key, control, resume=resume, log=log if workers.first else None, notes=notes)
            body = partial(_begun, project, stage_events)
            if not tried:
                body, tried = partial(_tried, project, keys[keys.index(key) :], body), True
            prepare = None
            if (measure or budgeted) and workers.world == 1:
                prepare = partial(_measured, project, keys[keys.index(key) :], only is not None)
                measure = budgeted = False
            record = partial(project.finish, key) if workers.first else None
            for event in run_stage(body, context, record=record, prepare=prepare):
                yield event
            if not isinstance(event, StageFinished) or event.outcome != "completed":
                return


def _taken(project: Project, stack: contextlib.ExitStack) -> EventLog:
    """Locks the project for a run."""
    stack.enter_context(locked(project))
    project.check_inputs()
    log = EventLog(project.events_path)
    tidy(project)
    return log


def _due(project: Project, key: str, asked: bool) -> tuple[bool, bool]:
    """Decides whether a stage runs, and whether it continues an interrupted run."""
    # The active run is this one.
    state = next(status.state for status in statuses(project, busy=False) if status.key == key)
    return asked or state not in ("done", "not needed"), project.resumable(key)


def _unused(project: Project, key: str) -> str:
    """Says that the result of a stage that was asked for will not be used; empty where it will be."""
    if not (reason := project.needless(key)):
        return ""
    if key == "mine":
        return f"no stage will use these patches: {reason}"
    return f"evaluation and export will not use this round, but {project.training_keys()[-1]}: {reason}"


def _begun(project: Project, stage_events: Callable[[Project, Context], Iterator[Event]], context: Context) -> Any:
    """Begins a stage after its inputs were checked."""
    workers = current()
    try:
        context.check()
        workers.from_first(lambda: project.check_upstream(context.stage))
        events = workers.together(lambda: stage_events(project, context))
        # The user may have stopped the run while torch was being imported.
        context.check()
        # Checks for a stop itself: the other workers wait meanwhile.
        workers.from_first(lambda: project.begin(context.stage, context.control.check))
    except Stopped:
        raise NotBegun from None
    return at_their_place(events, project.work_folder(context.stage), project.stage_folder(context.stage))


def _tried(project: Project, keys: tuple[str, ...], body: StageBody, context: Context) -> Iterator[Event]:
    """Begins a run's first stage after checking the inputs of later ones too: a refusal should not come after hours."""
    _go_on(context)
    current().from_first(lambda: _try_inputs(project, keys))
    return body(context)


def _go_on(context: Context) -> None:
    """Raises NotBegun if the user stopped the run."""
    try:
        context.check()
    except Stopped:
        raise NotBegun from None


def _try_inputs(project: Project, keys: tuple[str, ...]) -> None:
    # Help and status need neither of these modules, and no numpy.
    from crots.data.labels import tried_labels
    from crots.execution.batches import check_batch_size
    from crots.opening import Inputs

    inputs, stages = Inputs(project.config, project.folder), {stage_kind(key) for key in keys}
    inputs.check_stages(stages)
    for options in (getattr(project.config, stage) for stage in ("baseline", "adapt") if stage in stages):
        check_batch_size(options.batch, current().world)
    if stages & {"baseline", "adapt", "evaluate"} and inputs.validation:
        tried_labels(inputs.validation, inputs.classes)


def _measured(project: Project, keys: tuple[str, ...], asked: bool, context: Context) -> Context:
    """Estimates the run, for the notes of its first stage."""
    estimated = map(Remark, _estimated(project, keys, asked, context))
    return dataclasses.replace(context, notes=(*context.notes, *estimated))


def _estimated(project: Project, keys: tuple[str, ...], asked: bool, context: Context) -> tuple[str, ...]:
    """Returns the estimate in words; the run goes on without one where a stage fails in its trial.

    Raises:
        InputError: an input does not fit one of the stages.
        Stopped: by the user.
    """
    from crots.estimate.decide import decide_options
    from crots.estimate.trial import Stopwatch

    try:
        plan = decide_options(project, keys, Stopwatch(check=context.check), busy=False, asked=asked)
    except Stopped:
        raise NotBegun from None
    except InputError:
        # Also where only a later stage would refuse the input; a stop that came meanwhile counts first.
        _go_on(context)
        raise
    except CrotsError:
        # The stage itself raises the error when it runs.
        return ()
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return (f"a trial of this run ran out of memory ({str(error).splitlines()[0]}); use a smaller batch",)
    return (*plan.notes, *filter(None, [plan.estimate.summary]))


def estimate_project(project: Project, *, control: Control | None = None) -> Iterator[Event]:
    """Measures what a run would take and stores it with the project; runs nothing, and has no events.

    Raises:
        CrotsError: another run goes on, the inputs do not fit, or the user asked to stop.
    """
    from crots.estimate.decide import decide_options
    from crots.estimate.trial import Stopwatch

    control = control or Control()
    with locked(project):
        project.check_inputs()
        decide_options(project, project.stage_keys(), Stopwatch(check=control.check), busy=False)
    yield from ()


def planned(project: Project, *, until: str | None, only: str | None) -> tuple[str, ...]:
    """Returns the stages to consider, in running order.

    Raises:
        InputError: no such stage.
    """
    keys = project.stage_keys()
    for name in (until, only):
        if name is None or _matching(keys, name):
            continue
        raise project.no_such_stage(name, keys, where="stage", field="until")
    if only is not None:
        return _matching(keys, only)
    return keys if until is None else keys[: keys.index(_matching(keys, until)[-1]) + 1]


def _matching(keys: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(key for key in keys if key == name or stage_kind(key) == name)


@contextlib.contextmanager
def locked(project: Project) -> Iterator[None]:
    """Holds the project for one run.

    Raises:
        InputError: another process runs it, or a link lies where the project writes.
    """
    project.check_places()
    if is_file(project.lock_path) and project.lock_path.stat().st_size:
        raise InputError(f"{project.lock_path}: found a file with content, expected none or an empty one; move it away")
    lock = filelock.FileLock(project.lock_path)
    try:
        with explained(project.lock_path):
            # Checking for an active run holds the lock for a moment, so this waits briefly.
            lock.acquire(timeout=0.3)
    except filelock.Timeout:
        raise InputError(f"{project.folder}: another run is active in this project; wait for it or stop it") from None
    try:
        project.settle()
        yield
    finally:
        lock.release()


def tidy(project: Project) -> None:
    """Removes the half-written files that a kill left."""
    stages = (place(key) for key in project.stage_keys() for place in (project.stage_folder, project.work_folder))
    for folder in (project.cache_folder, project.folder / "records", *stages):
        remove_partials(folder)
    # Only of the stream: others may be writing crots.toml, and subfolders may hold the user's own images.
    for path in project.folder.glob(f".*.partial{project.events_path.suffix}"):
        if is_partial(path.name):
            path.unlink(missing_ok=True)


def run_stage(
    body: StageBody,
    context: Context,
    *,
    record: Callable[[float, float | None], None] | None = None,
    prepare: Callable[[Context], Context] | None = None,
) -> Iterator[Event]:
    """Runs one stage, writes its events to the stream and ends it with a `StageFinished`.

    Args:
        body: makes the stage's generator.
        context: its surroundings.
        record: called with seconds and mIoU when the stage is complete, before its end is yielded.
        prepare: what comes before the stage and is no work of it, though it may fail; returns the stage's surroundings.
    """
    start, miou = time.monotonic(), None

    def seconds() -> float:
        earlier = seconds_before(context.log.path, context.stage) if context.log and context.resume else 0.0
        return earlier + time.monotonic() - start

    end: StageFinished | None = None
    try:
        if prepare:
            context = prepare(context)
            start = time.monotonic()
        for event in body(context):
            if isinstance(event, Evaluated):
                miou = event.miou
            if context.log:
                context.log.append(event)
            yield event
    except Exception as error:  # every failure of a stage becomes its last event
        end = failure(error, context.stage, seconds())
        current().tell(end.message)
    end = end or StageFinished(stage=context.stage, outcome="completed", seconds=seconds())
    try:
        if context.log:
            context.log.append(end)
        if end.outcome == "completed" and record:
            # After the event: a kill in between leaves a stage to be resumed at its last step, not one without a start.
            record(end.seconds, miou)
    except CrotsError as error:  # a full disk: the first failure is more useful
        end = failure(error, context.stage, end.seconds) if end.outcome == "completed" else end
    yield end


def failure(error: Exception, stage: str, seconds: float) -> StageFinished:
    """Describes a failure."""
    if isinstance(error, Stopped):
        early: Cause = "not begun" if isinstance(error, NotBegun) else ""
        return StageFinished(
            stage=stage, outcome="cancelled", seconds=seconds, exit_code=130, message=str(error), cause=early
        )
    cause: Cause = "memory" if out_of_memory(error) else ""
    if isinstance(error, CrotsError):
        return StageFinished(
            stage=stage,
            outcome="failed",
            seconds=seconds,
            exit_code=error.exit_code,
            message=str(error),
            cause=cause,
            settings=error.settings,
        )
    if fault := machine_fault(error):
        return StageFinished(stage=stage, outcome="failed", seconds=seconds, exit_code=1, message=fault, cause=cause)
    detail = "".join(traceback.format_exception(error))
    message = f"unexpected {type(error).__name__}: {error}"
    if cause:
        message = (
            "out of memory; use a smaller batch, split it with accumulate, or a smaller `data.size`, and run again"
        )
    return StageFinished(
        stage=stage, outcome="failed", seconds=seconds, exit_code=1, message=message, detail=detail, cause=cause
    )


def discard(project: Project, key: str) -> None:
    """Discards the files and events of an unfinished run of a stage; what its last complete run did stays.

    Raises:
        InputError: a run goes on in the project.
    """
    with locked(project):
        begun = project.started_path(key).exists()
        project.discard(key)
        ending = last_endings(project.events_path).get(key)
        if begun and ending is not None and ending.outcome != "completed":
            EventLog(project.events_path).drop_latest(key)
