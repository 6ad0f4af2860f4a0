"""Plans a comparison: the options, folders and shared baseline of each run. No torch.

Every method gets the project's student, steps, batch and learning rates, and starts from the same baseline, which is
trained once for each seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.artefacts import EVENTS
from crots.comparison.methods import REFERENCES, Kind, Method, base_config, method_config
from crots.config import describe, to_mapping
from crots.errors import InputError
from crots.files import digest
from crots.ownership import check_place
from crots.project import COMPARISON, Project
from crots.project_config import ProjectConfig

FOLDER = COMPARISON


class Branch(Project):
    """A variant of a project: its data, labels and corrections with other options and folders.

    Attributes:
        project: where the data are.
        home: gets the stages that are its own, their records and their events.
        places: the folders of stages that others own.
    """

    # Rounds follow every baseline: they are what is compared.
    may_end_at_baseline = False

    def __init__(self, project: Project, config: ProjectConfig, home: Path, places: Mapping[str, Path]) -> None:
        super().__init__(project.folder, config)
        self.project, self._home, self.places = project, home, dict(places)

    @property
    def home(self) -> Path:
        """The branch's own folder."""
        return self._home

    @property
    def events_path(self) -> Path:
        """The branch's own event stream."""
        return self.home / EVENTS

    def stage_folder(self, key: str) -> Path:
        """The result of a stage, in this branch or in the one it shares the stage with."""
        return self.places.get(key, self.home / key)

    def check_places(self) -> None:
        """Makes sure that what is written to the branch is written there; its project is checked already.

        Raises:
            InputError: a link, or something else than a branch has, lies in the place of a file or folder of it.
        """
        check_place(self.folder, self.home, "folder")
        check_place(self.home, self.events_path, "file")

    def noted_inputs(self, key: str) -> Iterator[dict[str, Any]]:
        """Those of its own stages, and of the project's, which it may share."""
        yield from super().noted_inputs(key)
        yield from self.project.noted_inputs(key)

    def finished(self, key: str) -> bool:
        """Whether one of its own stages is done with the current options and inputs."""
        record = self.record(key)
        return record is not None and digest(record.get("inputs")) == digest(self.inputs()[key])

    def scored_with(self, key: str) -> str:
        """Returns a digest of all that the score of a stage's model depends on."""
        evaluate, data = self.config.evaluate, self.project.config.data
        validation = {name: value for name, value in to_mapping(data).items() if name.startswith("val_")}
        stamps = [self.dependencies.stamps(place) for place in (data.val_images, data.val_labels)]
        return digest([self.inputs()[key], to_mapping(evaluate, only_result=True), validation, stamps])


@dataclass(frozen=True)
class CompareJob:
    """The request for a comparison.

    Attributes:
        project: with validation labels; its pseudo-labels, and its patches where methods need them, are made already.
        methods: the rows.
        seeds: each method runs once with each.
        kind: ``ablation`` compares with the unchanged method and keeps its results apart.
        config: options to use in place of the project's; data, task, source and pseudo-labels are the project's.
    """

    project: Project
    methods: Sequence[Method]
    seeds: Sequence[int]
    kind: Kind = "methods"
    config: ProjectConfig | None = None

    @property
    def options(self) -> ProjectConfig:
        """The options that methods change; steps that they leave open are settled before the first run."""
        return self.config or self.project.config

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return self.project.folder / FOLDER

    @property
    def results_path(self) -> Path:
        """The results as JSON; CSV and text lie beside them."""
        return self.folder / ("results.json" if self.kind == "methods" else f"{self.kind}.json")

    @property
    def reference(self) -> str:
        """The row that the others are compared with."""
        return REFERENCES[self.kind]


@dataclass(frozen=True)
class PlannedRun:
    """One method with one seed.

    Attributes:
        method: the row.
        seed: of every draw.
        branch: runs the rounds and keeps the score.
        baseline: trains the baseline, shared by all methods of the seed that have its options; None where the project
            has that very baseline.
        patches: mines the patches; None where they are the project's own, or there are none.
    """

    method: Method
    seed: int
    branch: Branch
    baseline: Branch | None
    patches: Branch | None

    @property
    def branches(self) -> tuple[Branch, ...]:
        """All places that it writes to."""
        return tuple(filter(None, (self.branch, self.baseline, self.patches)))

    @property
    def last_key(self) -> str:
        """The stage whose model is scored."""
        if self.method.rounds:
            return self.branch.training_keys()[-1]
        return "pseudo-label" if self.method.name == "source" else "baseline"

    @property
    def steps(self) -> int:
        """Optimiser steps of what is the method's own: its rounds that were needed, or the baseline's."""
        config = self.branch.config
        rounds = len(self.branch.needed_rounds()) * config.adapt.total
        return {"pseudo-label": 0, "baseline": config.baseline.total}.get(self.last_key, rounds)

    @property
    def passes(self) -> int:
        """Forward passes per optimiser step."""
        return self.method.passes + int(self.method.rounds and self.branch.config.adapt.patches)

    @property
    def score_path(self) -> Path:
        """Where the score is kept."""
        return self.branch.home / "score.json"

    def seconds(self) -> float:
        """How long the method's own stages took; 0 for the source."""
        if self.method.rounds:
            return sum(_seconds(self.branch, key) for key in self.branch.needed_rounds())
        owner = self.baseline or self.branch.project
        return _seconds(owner, "baseline") if self.last_key == "baseline" else 0.0


def _seconds(owner: Project, key: str) -> float:
    return float((owner.record(key) or {}).get("seconds") or 0.0)


def plan_runs(job: CompareJob, *, published_rare: bool = True) -> list[PlannedRun]:
    """Lays out a comparison, seed by seed.

    Args:
        job: what is compared.
        published_rare: whether a published set of rare classes exists for the project's classes.
    """
    # The source has no seed.
    return [
        _plan(job, method, seed, published_rare=published_rare)
        for seed in job.seeds
        for method in job.methods
        if method.name != "source" or seed == job.seeds[0]
    ]


def _plan(job: CompareJob, method: Method, seed: int, *, published_rare: bool) -> PlannedRun:
    config = method_config(job.options, method, seed, published_rare=published_rare)
    places = {key: job.project.stage_folder(key) for key in ("pseudo-label", "baseline", "mine")}
    baseline = _baseline(job, config, places)
    if baseline:
        places["baseline"] = baseline.stage_folder("baseline")
    patches = _patches(job, config, places) if method.rounds and config.adapt.patches else None
    if patches:
        places["mine"] = patches.stage_folder("mine")
    home = job.folder / f"seed-{seed}" / ("baseline-score" if method.name == "baseline" else method.name)
    home = job.folder / "source" if method.name == "source" else home
    return PlannedRun(method, seed, Branch(job.project, config, home, places), baseline, patches)


def _baseline(job: CompareJob, config: ProjectConfig, places: Mapping[str, Path]) -> Branch | None:
    """The branch that trains a baseline with these options and this seed; None where the project has that very one."""
    usual = config.baseline == base_config(job.options).baseline
    name = "baseline" if usual else f"baseline-{_short(config.baseline)}"
    home = job.folder / f"seed-{config.runtime.seed}" / name
    branch = Branch(job.project, config, home, {"pseudo-label": places["pseudo-label"]})
    record = job.project.record("baseline")
    same = record is not None and digest(record.get("inputs")) == digest(branch.inputs()["baseline"])
    return None if same else branch


def _patches(job: CompareJob, config: ProjectConfig, places: Mapping[str, Path]) -> Branch | None:
    """The branch that mines patches with these options; None where the project's own patches have them."""
    if config.mine == job.project.config.mine:
        return None
    # Mining draws nothing, so that one set of patches serves all seeds.
    config = dataclasses.replace(config, runtime=job.project.config.runtime)
    home = job.folder / f"patches-{_short(config.mine)}"
    return Branch(job.project, config, home, {"pseudo-label": places["pseudo-label"]})


def needed_stages(job: CompareJob) -> tuple[str, ...]:
    """The project's own stages that have to be done before the comparison."""
    runs = [run for run in plan_runs(job) if run.method.name != "source"]
    mined = any(run.method.rounds and run.branch.config.adapt.patches and run.patches is None for run in runs)
    return (("pseudo-label",) if runs else ()) + (("mine",) if mined else ())


def _short(options: Any) -> str:
    return digest(to_mapping(options, only_result=True))[:8]


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Returns the seeds, each once.

    Raises:
        InputError: there is none, or one is out of range.
    """
    if not seeds:
        raise InputError("seeds: none given, expected at least one whole number", field="seeds")
    info = next(info for info in describe(opt.RuntimeOptions) if info.name == "seed")
    for seed in seeds:
        if not (info.low or 0) <= seed <= (info.high or 0):
            raise InputError(f"seeds: found {seed}, expected {info.low} to {info.high}", field="seeds")
    return tuple(dict.fromkeys(seeds))
