"""Past runs of projects, for comparison: options, curves and scores, and whether labels chose the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crots.errors import InputError
from crots.eventlog import read_events, running
from crots.events import Evaluated, Event, Metrics, Outcome, Scored, StageFinished, StageStarted
from crots.notes import Notes, RunNote, read_notes, run_key
from crots.options import all_options
from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig
from crots_studio.models.iou import ClassLook, Score, read_reports, score_cells
from crots_studio.models.names import running_order, title
from crots_studio.models.option_groups import special_name
from crots_studio.models.series import Curves, Figure, csv_text

_NO_OPTION_WORTH_NAMING = ("log_every", "checkpoint_every", "validate_every", "rounds")


@dataclass
class PastRun:
    """One training run of a stage, or the source, which ran nowhere.

    Attributes:
        project: name of its folder.
        folder: of the project.
        stage: ``baseline``, ``adapt-1`` or ``source``.
        number: 1 for the first run of this stage in the project.
        started: seconds since the epoch, 0 for the source.
        total: optimiser steps.
        options: of the stage.
        curves: its figures.
        seconds: how long it took, over all its parts; None while it has no end.
        outcome: how it ended; None while it is active or was interrupted.
        running: it is active.
        final: its score as a finished model.
        validation: its latest score during training.
        oracle: its checkpoint, or that of a model it started from, was chosen with labels.
        problem: what is wrong with its model, in words that follow the stage's name; empty if nothing is known.
        note: its title and note.
        project_note: likewise of its project.
    """

    project: str
    folder: Path
    stage: str
    number: int = 1
    started: float = 0.0
    total: int = 0
    device: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)
    seconds: float | None = None
    outcome: Outcome | None = None
    running: bool = False
    final: Score | None = None
    validation: Score | None = None
    oracle: bool = False
    problem: str = ""
    note: RunNote = RunNote()
    project_note: RunNote = RunNote()

    @property
    def key(self) -> tuple[str, str, int]:
        """The identity of the run."""
        return str(self.folder), self.stage, self.number

    @property
    def score(self) -> Score | None:
        """The score of the finished model, or of the latest validation."""
        return self.final or self.validation

    @property
    def note_key(self) -> str:
        """What its note is kept under."""
        return run_key(self.stage, self.started)

    @property
    def model(self) -> str:
        """What was trained, "Round 1, run 2"."""
        return title(self.stage) + (f", run {self.number}" if self.number > 1 else "")

    @property
    def title(self) -> str:
        """What it is called within its project: "Round 1, run 2 (no mixing)"."""
        return f"{self.model} ({self.note.title})" if self.note.title else self.model

    @property
    def project_title(self) -> str:
        """The title of its project; the folder's name if it has none."""
        return self.project_note.title or self.project

    @property
    def state(self) -> str:
        """Its state in a word or two."""
        if self.stage == "source":
            return "given"
        if self.running:
            return "running"
        if self.outcome == "completed" and self.problem:
            return "done, with a warning"
        return {"completed": "done", "cancelled": "stopped", "failed": "failed", None: "unfinished"}[self.outcome]


@dataclass(frozen=True)
class PastRuns:
    """The runs of one project."""

    project: str
    folder: Path
    runs: tuple[PastRun, ...]
    look: ClassLook

    def with_notes(self) -> PastRuns:
        """Returns them with the notes that lie on the disk now."""
        try:
            notes = read_notes(self.folder)
        except InputError:  # writing a note reports the error
            notes = Notes()
        for run in self.runs:
            run.note, run.project_note = notes.of(run.note_key), notes.project
        return self


def read_runs(folder: Path) -> PastRuns:
    """Reads a project's runs; takes a second for a million events, so not on the window's thread.

    Raises:
        InputError: there is no project.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise InputError(f"{folder}: no {CONFIG_NAME} there; choose the folder of a project", field="project")
    folder = folder.resolve()
    # Its options may be of another version, and are not needed.
    project = Project(folder, ProjectConfig())
    events, reports = read_events(project.events_path), read_reports(project.stage_folder("evaluate"))
    reader = _RunReader(folder)
    runs = reader.read(events, reports)
    for run in reader.now.values():
        run.problem = model_problem(project, run.stage) if run.outcome == "completed" else ""
    if running(project.lock_path) and (latest := reader.now.get(reader.begun)) is not None:
        latest.running = latest.outcome is None
    return PastRuns(folder.name, folder, tuple(runs), _look(folder)).with_notes()


def model_problem(project: Project, key: str) -> str:
    """What is wrong with the model of a stage that was trained, in words that follow the stage's name."""
    try:
        choice = project.choice(key)
    except InputError:  # the status of the stage says so
        choice = None
    return str(choice.get("problem", "")) if choice else ""


def _look(folder: Path) -> ClassLook:
    try:
        return ClassLook.of(Project.open(folder))
    except InputError:  # of another version: its events can be shown all the same
        return ClassLook()


class _RunReader:
    """Walks through an event stream; a run begins wherever a training stage starts over.

    Attributes:
        runs: in the order in which they began.
        now: the latest run of each stage.
        begun: the stage that began last, whether or not it trains.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[PastRun] = []
        self.now: dict[str, PastRun] = {}
        self.begun = ""

    def read(self, events: Iterable[Event], reports: Sequence[Score]) -> list[PastRun]:
        for event in events:
            self._take(event)
        for report in reports:
            # A model that was trained may have been trained again since.
            if report.subject not in self.now:
                self._subject(report.subject).final = report
        for run in self.runs:
            run.oracle |= any(score.oracle for score in (run.final, run.validation) if score)
        return sorted(self.runs, key=lambda run: (running_order(run.stage), run.number))

    def _take(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self.begun = event.stage
        if isinstance(event, StageStarted) and event.unit == "steps":
            self._start(event)
        elif isinstance(event, Evaluated) and event.step == 0:
            self._subject(event.subject).final = Score.of_event(event)
        elif run := self.now.get(event.stage):
            self._follow(run, event)

    def _start(self, event: StageStarted) -> None:
        run = self.now.get(event.stage)
        if run is None or not event.resumed_at:
            run = self._open(event)
        run.outcome = None
        run.curves.add([event])
        run.oracle = event.options.get("select") == "oracle" or self._grew_from_oracle(event.stage)

    def _open(self, event: StageStarted) -> PastRun:
        number = sum(run.stage == event.stage for run in self.runs) + 1
        run = PastRun(
            project=self.folder.name,
            folder=self.folder,
            stage=event.stage,
            number=number,
            started=event.time,
            total=event.total,
            device=event.device,
            options=dict(event.options),
        )
        self.runs.append(run)
        self.now[event.stage] = run
        return run

    def _grew_from_oracle(self, stage: str) -> bool:
        before = [run for run in self.now.values() if running_order(run.stage) < running_order(stage)]
        return bool(before) and max(before, key=lambda run: running_order(run.stage)).oracle

    @staticmethod
    def _follow(run: PastRun, event: Event) -> None:
        if isinstance(event, StageFinished):
            run.outcome = event.outcome
            run.seconds = event.seconds
        elif isinstance(event, (Metrics, Scored, Evaluated)):
            run.curves.add([event])
            if isinstance(event, Evaluated):
                run.validation = Score.of_event(event)

    def _subject(self, subject: str) -> PastRun:
        """The run whose model is meant; one is made up for models without events, such as the source."""
        if subject not in self.now:
            self.now[subject] = PastRun(self.folder.name, self.folder, subject, outcome="completed")
            self.runs.append(self.now[subject])
        return self.now[subject]


def differing_options(runs: Sequence[PastRun]) -> dict[tuple[str, str, int], str]:
    """Returns, by run key, the options that differ from other runs of its kind: "steps 400, mix cutmix".

    Baselines are compared with baselines and rounds with rounds.
    """
    found: dict[tuple[str, str, int], str] = {}
    for run in runs:
        others = [other.options for other in runs if _kind(other) == _kind(run) and other is not run and other.options]
        names = [
            name
            for name, value in run.options.items()
            if name not in _NO_OPTION_WORTH_NAMING and any(other.get(name) != value for other in others)
        ]
        found[run.key] = ", ".join(f"{name.replace('_', ' ')} {_short(run, name)}" for name in names)
    return found


def _kind(run: PastRun) -> str:
    return run.stage.split("-")[0]


def _short(run: PastRun, name: str) -> str:
    value, section = run.options[name], _kind(run)
    if value is None:
        info = all_options().get(f"{section}.{name}")
        return (special_name(section, info) if info is not None else "") or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def latest_runs(runs: Sequence[PastRun]) -> list[PastRun]:
    """Returns the last run of each stage of each project, in running order over all projects."""
    latest = {(run.folder, run.stage): run for run in sorted(runs, key=lambda run: run.number)}
    return sorted(latest.values(), key=lambda run: running_order(run.stage))


def in_order_of_colours(runs: Sequence[PastRun]) -> list[PastRun]:
    """Sorts runs so that each keeps its colour when later ones of its project come; projects stay in their order."""
    folders = list(dict.fromkeys(run.folder for run in runs))
    return sorted(runs, key=lambda run: (folders.index(run.folder), run.started, running_order(run.stage), run.number))


def labels(runs: Sequence[PastRun]) -> list[str]:
    """Returns a distinct name for each run, with the project before it where there are several."""
    folders = {run.folder for run in runs}
    names = {run.project_title for run in runs}
    if len(folders) == 1:
        return [run.title for run in runs]
    # Two projects of one name are distinguished by the folder they lie in.
    alike = len(names) < len(folders)
    return [f"{f'{run.folder.parent.name}/' if alike else ''}{run.project_title}: {run.title}" for run in runs]


def common_figures(runs: Sequence[PastRun]) -> tuple[Figure, ...]:
    """Returns the figures that at least one run has, for choosing what to draw."""
    found: dict[Figure, None] = {}
    for run in runs:
        found |= dict.fromkeys(run.curves.figures())
    return tuple(sorted(found, key=lambda figure: figure.group != "score"))


def class_names(runs: Sequence[PastRun], look: ClassLook) -> tuple[str, ...]:
    """Returns the classes that any run was scored on."""
    return look.order(dict.fromkeys(name for run in runs if run.score for name in run.score.per_class))


def runs_csv(runs: Sequence[PastRun], look: ClassLook) -> str:
    """Returns a table of runs as CSV: scores 0..1, empty where unknown."""
    names, differs = class_names(runs, look), differing_options(runs)
    header = ["project", "folder", "model", "run", "state", "steps", "seconds", "oracle", "mIoU", *names, "options"]
    header += ["project title", "title", "project note", "note"]
    rows = [
        [
            run.project,
            str(run.folder),
            run.stage,
            run.number,
            run.state,
            run.total or "",
            "" if run.seconds is None else run.seconds,
            "yes" if run.oracle else "no",
            *score_cells(run.score, names),
            differs[run.key],
            run.project_note.title,
            run.note.title,
            run.project_note.note,
            run.note.note,
        ]
        for run in runs
    ]
    return csv_text(header, rows)


def run_curves_csv(runs: Sequence[PastRun], figure: Figure) -> str:
    """Returns one figure of several runs as CSV: one row per run and step."""
    rows = [
        [run.project, run.stage, run.number, int(step), value]
        for run in runs
        for series in [run.curves.series(run.stage, figure)]
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True)
    ]
    return csv_text(["project", "model", "run", "step", figure.name], rows)
