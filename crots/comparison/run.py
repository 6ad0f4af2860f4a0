"""Compares methods on a project's own images: same student, steps, batch and seeds, one baseline for all of a seed.

Everything lies below the project's folder ``compare/``; what is finished there with the present options is not run
again, and a run that was stopped or killed resumes from its checkpoint. Only the scoring reads labels.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crots.artefacts import STUDENT, TEACHER, is_round, stage_kind
from crots.comparison.methods import base_config
from crots.comparison.plan import Branch, CompareJob, PlannedRun, plan_runs
from crots.comparison.rivals import run_rival
from crots.comparison.table import SUFFIXES, comparison_results, read_score, write_results
from crots.errors import InputError
from crots.eventlog import EventLog
from crots.events import ArtifactWritten, Event, Note, Progress, StageStarted
from crots.execution.context import Context, at_their_place
from crots.files import write_json
from crots.methods.metrics import Confusion
from crots.project import CONTINUED_FROM
from crots.project_config import override
from crots.stages.evaluate import evaluated, labelled, score
from crots.stages.labellers import Predict
from crots.stages.project_stages import (
    STAGES,
    model_predict,
    open_material,
    settle,
    settle_round,
    source_can_be_scored,
    source_predict,
)
from crots.stages.workbench import Workbench

STAGE = "compare"


@dataclass(frozen=True)
class _Task:
    """A stage that has to be run: the branch that owns it, its key, and the first run that needs it."""

    branch: Branch
    key: str
    run: PlannedRun

    @property
    def steps(self) -> int:
        config = self.branch.config
        return {"baseline": config.baseline.total, "mine": 0}.get(self.key, config.adapt.total)

    @property
    def name(self) -> str:
        """``tent, seed 1: adapt-1``."""
        who = {"baseline": "baseline", "mine": "patches"}.get(self.key, self.run.method.name)
        return f"{who}, seed {self.run.seed}" + (f": {self.key}" if is_round(self.key) else "")


def check_comparison(job: CompareJob) -> Workbench:
    """Returns the project's workbench.

    Raises:
        InputError: there are no validation labels.
    """
    bench = Workbench(job.options, job.project.folder, job.project.cache_folder, STAGE)
    if bench.validation is None:
        raise InputError(
            "a comparison is scored on validation labels and this project names none; "
            "set `data.val_images` and `data.val_labels`",
            field="data.val_images",
        )
    return bench


def with_steps(job: CompareJob, bench: Workbench) -> CompareJob:
    """Settles the steps that the options leave open as the project's own run would, the same for all methods."""
    config, usual = job.options, base_config(job.options)
    if (config.baseline.steps and config.adapt.steps) or all(method.name == "source" for method in job.methods):
        return job
    images = len(open_material(job.project, bench).tiled(bench.tiling).samples)
    student = bench.new_student()
    steps = {
        "baseline.steps": settle(bench, usual.baseline, student, images, bench.start).total,
        "adapt.steps": settle_round(
            bench, usual.adapt, student, images, from_source=bench.inputs.starts_from_source
        ).total,
    }
    return dataclasses.replace(job, config=override(config, steps))


def compare(job: CompareJob, context: Context) -> Iterator[Event]:
    """Runs every method with every seed, scores it, and rewrites the table after each.

    Raises:
        InputError: there are no validation labels, or the options do not fit.
    """
    return _Comparer(job, check_comparison(job), context).events()


class _Comparer:
    def __init__(self, job: CompareJob, bench: Workbench, context: Context) -> None:
        self.job = job = with_steps(job, bench)
        self.bench, self.context = bench, context
        self.runs = plan_runs(job, published_rare=bool(bench.inputs.published_rare))
        if any(run.method.name == "source" for run in self.runs) and not source_can_be_scored(bench):
            self.runs = [run for run in self.runs if run.method.name != "source"]
        self.scores: dict[tuple[str, int], dict[str, Any]] = {}
        self.impossible: dict[str, str] = {}
        self.done = self.total = 0

    def events(self) -> Iterator[Event]:
        for branch in (branch for run in self.runs for branch in run.branches):
            branch.check_places()
            # A finished stage whose result was not moved because of a kill is not run again.
            branch.settle()
        tasks = {task.branch.stage_folder(task.key): task for run in self.runs for task in _tasks(run)}
        self.total = sum(task.steps for task in tasks.values() if not task.branch.finished(task.key))
        names = [method.name for method in self.job.methods]
        yield StageStarted(
            stage=self.context.stage,
            total=self.total,
            device=self.bench.engine.name,
            options={"methods": names, "seeds": list(self.job.seeds)},
        )
        yield from self.bench.notes
        for run in self.runs:
            yield from self._run(run)
            self._write()
        for suffix in SUFFIXES:
            path = self.job.results_path.with_suffix(suffix)
            yield ArtifactWritten(stage=self.context.stage, kind="comparison", path=str(path))

    def _run(self, run: PlannedRun) -> Iterator[Event]:
        """Runs the stages of one method and seed that are not done, and scores its model."""
        for task in _tasks(run):
            if task.branch.finished(task.key):
                continue
            self.context.control.check()
            yield from self._stage(task)
            if run.method.name in self.impossible:
                return
        self.context.control.check()
        found = self._score(run)
        self.scores[run.method.name, run.seed] = found
        name = f"{run.method.name}, seed {run.seed}"
        # At step 0 the score would count as that of the finished stage.
        yield evaluated(
            found["report"], self.context.stage, name, step=max(1, found["steps"]), oracle=run.method.oracle
        )

    def _stage(self, task: _Task) -> Iterator[Event]:
        """Runs one stage in its branch; passes its warnings and progress on as the comparison's own."""
        branch, run = task.branch, task.run
        log = EventLog(branch.events_path)
        inner = Context(task.key, self.context.control, resume=branch.resumable(task.key), log=log)
        bench = Workbench(branch.config, branch.folder, branch.cache_folder, task.key)
        try:
            events = self._body(task, bench, inner)
        except InputError as error:
            if not run.method.learner:
                raise
            # The network has no batch norm: the other methods run all the same.
            self.impossible[run.method.name] = str(error)
            yield Note(stage=self.context.stage, level="warning", text=f"{run.method.name} is left out: {error}")
            return
        branch.begin(task.key)
        started, share = time.monotonic(), 1.0
        for event in at_their_place(events, branch.work_folder(task.key), branch.stage_folder(task.key)):
            log.append(event)
            if isinstance(event, StageStarted):
                share = (event.total - event.resumed_at) / max(1, event.total)
            yield from self._passed_on(event, task)
        # For a resumed stage, only the remaining steps were timed.
        # The optimiser's state of every method and seed would soon fill a disk; what is finished needs none.
        branch.finish(task.key, (time.monotonic() - started) / (share or 1.0), None, without=CONTINUED_FROM)
        self.done += task.steps

    def _body(self, task: _Task, bench: Workbench, inner: Context) -> Iterator[Event]:
        method = task.run.method
        if is_round(task.key) and method.learner:
            source = method.learner == "statistics" and bench.inputs.starts_from_source
            return run_rival(method.learner, task.branch, bench, inner, from_source=source)
        return STAGES[stage_kind(task.key)](task.branch, bench, inner)

    def _passed_on(self, event: Event, task: _Task) -> Iterator[Event]:
        stage = self.context.stage
        if isinstance(event, StageStarted):
            yield Note(stage=stage, text=task.name)
        elif isinstance(event, Note) and event.level == "warning":
            yield Note(stage=stage, level="warning", text=f"{task.name}: {event.line}")
        elif isinstance(event, Progress) and task.steps:
            yield Progress(stage=stage, done=self.done + event.done, total=self.total, rate=event.rate)

    def _score(self, run: PlannedRun) -> dict[str, Any]:
        """The score of a run: the stored one if nothing has changed, else a new one."""
        inputs = run.branch.scored_with(run.last_key)
        kept = read_score(run.score_path, self.bench.classes.names)
        if kept is not None and kept["inputs"] == inputs:
            return kept
        confusion = Confusion(len(self.bench.classes), self.bench.classes.ignore)
        dataset = self.bench.validation
        assert dataset is not None
        batch = self.bench.engine.batch(self.job.options.evaluate.batch)
        samples = labelled(dataset)
        for _ in score(self._predict(run), samples, dataset, self.bench.classes, confusion, batch=batch):
            self.context.control.check()
        found = {
            "inputs": inputs,
            "method": run.method.name,
            "seed": run.seed,
            "steps": run.steps,
            "passes": run.passes,
            "seconds": run.seconds(),
            "report": confusion.report(self.bench.classes.names, self.bench.classes.subsets),
        }
        write_json(run.score_path, found, durable=True)
        return found

    def _predict(self, run: PlannedRun) -> Predict:
        options = self.job.options.evaluate
        if run.method.name == "source":
            return source_predict(self.bench)
        folder = run.branch.stage_folder(run.last_key)
        teacher = folder / TEACHER
        path = teacher if options.weights == "teacher" and teacher.exists() else folder / STUDENT
        return model_predict(self.bench, path, flip=options.flip)

    def _write(self) -> None:
        missing = sum((run.method.name, run.seed) not in self.scores for run in self.runs)
        write_results(
            self.job.results_path,
            comparison_results(
                self.job, self.runs, self.scores, self.impossible, self.bench.classes.names, complete=not missing
            ),
        )


def _tasks(run: PlannedRun) -> Iterator[_Task]:
    """The stages that a run needs, in order, but for those of the project itself."""
    if run.last_key == "pseudo-label":
        return
    if run.baseline is not None:
        yield _Task(run.baseline, "baseline", run)
    if run.last_key == "baseline":
        return
    if run.patches is not None:
        yield _Task(run.patches, "mine", run)
    for key in run.branch.round_keys():
        yield _Task(run.branch, key, run)
        # Ignores the choice of an earlier run with other options.
        if run.branch.finished(key) and run.branch.ends_rounds(key):
            return
