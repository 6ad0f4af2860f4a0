"""Runs a comparison after those of the project's own stages that it needs. torch is loaded only then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crots.comparison.plan import CompareJob, needed_stages
from crots.errors import InputError
from crots.eventlog import EventLog
from crots.events import Event, StageFinished
from crots.execution.context import Context
from crots.execution.control import Control
from crots.execution.workers import launched
from crots.files import remove_partials
from crots.project_status import statuses
from crots.runner import locked, run_project, run_stage


def run_comparison(job: CompareJob, *, control: Control | None = None) -> Iterator[Event]:
    """Runs a comparison of methods in a project's folder, after those of the project's own stages that it needs.

    Its events go to ``compare/events.jsonl``, those of each method to the method's folder.

    Raises:
        InputError: the project has no validation labels, another run is active in it, or there are several workers.
    """
    from crots.comparison.run import STAGE, check_comparison, compare

    control, project = control or Control(), job.project
    if launched():
        raise InputError("a comparison runs in one process; start it without torchrun, with `runtime.device` for a GPU")
    check_comparison(job)
    for key in needed_stages(job):
        if next(status.state for status in statuses(project) if status.key == key) == "done":
            continue
        for event in run_project(project, control=control, only=key, compared=True):
            yield event
        if not isinstance(event, StageFinished) or event.outcome != "completed":
            return
    with locked(project):
        project.check_inputs()
        log = EventLog(job.folder / project.events_path.name)
        remove_partials(job.folder)
        yield from run_stage(partial(compare, job), Context(STAGE, control, log=log))
