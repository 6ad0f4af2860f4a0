"""What can be compared on a project's own images: methods, and the switches F2 to F10 one by one. No torch.

A method is a line in `METHODS`: options that differ from the project's, and where needed a learner of
`crots.stages.rivals`. Every method gets the project's student, steps, batch and learning rates, and starts from the
same baseline, which is trained once for each seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from crots import options as opt
from crots.config import Profile, describe, to_mapping, to_plain, unknown_name
from crots.errors import InputError
from crots.files import digest
from crots.ownership import check_place
from crots.project import COMPARISON, Project, ProjectConfig, looks_decide, override

Kind = Literal["methods", "ablation"]
FOLDER = COMPARISON
# The faults of the published code that a training run can be ablated by, in the sections that it depends on.
ABLATED_FAULTS = tuple(f"F{number}" for number in range(2, 11))
_SECTIONS = ("mine", "baseline", "adapt")


@dataclass(frozen=True)
class Method:
    """One row of a comparison.

    Attributes:
        name: what the user types.
        title: what the table says.
        about: one sentence.
        settings: ``section.option`` values on top of ``profile``'s switches.
        profile: whose values the options have in which the profiles differ; None keeps the project's.
        learner: a name in `crots.stages.rivals.LEARNERS`, '' for the method's own rounds.
        rounds: adapts at all; ``source`` and ``baseline`` are scored as they are.
        whole: one run of the length of all rounds, for methods that know none.
        passes: forward passes of networks an optimiser step, a batch each; patches are one more.
        asked_only: not part of a comparison unless it is named.
    """

    name: str
    title: str
    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    profile: Profile | None = "corrected"
    learner: str = ""
    rounds: bool = True
    whole: bool = False
    passes: int = 2
    asked_only: bool = False

    @property
    def oracle(self) -> bool:
        """Whether target labels choose its checkpoint."""
        return self.settings.get("adapt.select") == "oracle"


# Rivals have nothing of what this package adds: they run their whole budget and are scored at its end.
_PLAIN = {
    "adapt.patches": False,
    "adapt.anchor": 0,
    "adapt.average": 0,
    "adapt.select": "last",
    "adapt.guard": False,
    "adapt.stop_rounds": False,
}

METHODS: tuple[Method, ...] = (
    Method("source", "source", "The source model, or its predictions, as they are.", rounds=False, passes=0),
    Method("baseline", "baseline", "The student after the source's pseudo-labels; all others start here.",
           rounds=False, passes=1),
    Method("bn", "batch-norm statistics",
           "Statistics re-estimated on target images: of the source where the student is it, else of the baseline.",
           _PLAIN, learner="statistics", whole=True, passes=1),
    Method("tent", "Tent", "Entropy minimised by batch norm's scale and shift alone.",
           _PLAIN, learner="tent", whole=True, passes=1),
    Method("self-training", "self-training", "Hard labels of each round's start where it is sure; clean images.",
           {**_PLAIN, "adapt.weighting": "pixel", "adapt.jitter": 0, "adapt.blur": 0},
           learner="self-training"),
    Method("cutmix", "baseline + CutMix", "Mean teacher on images with a box of another one, without patches.",
           {**_PLAIN, "adapt.mix": "cutmix"}),
    Method("classmix", "baseline + ClassMix", "Mean teacher on images with classes of another one, without patches.",
           {**_PLAIN, "adapt.mix": "classmix"}),
    Method("published", "CROTS published", "The method with every fault of the published code, its patches included.",
           profile="published"),
    Method("corrected", "CROTS corrected", "The method as this project would run it."),
    Method("published-oracle", "CROTS published", "As published, its choice of checkpoint by target labels included.",
           {"adapt.select": "oracle"}, profile="published", asked_only=True),
)  # fmt: skip
REFERENCES: dict[Kind, str] = {"methods": "baseline", "ablation": "corrected"}


def default_methods() -> tuple[str, ...]:
    """Names of the methods that a comparison has when none are named."""
    return tuple(method.name for method in METHODS if not method.asked_only)


def chosen_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """Returns methods in the order of `METHODS`; none named are the default ones.

    Raises:
        InputError: there is no such method.
    """
    known = [method.name for method in METHODS]
    for name in names:
        if name not in known:
            raise unknown_name("methods", name, known, what="method")
    wanted = set(names or default_methods())
    return tuple(method for method in METHODS if method.name in wanted)


def ablations(config: ProjectConfig, names: Sequence[str] = ()) -> tuple[Method, ...]:
    """Returns the rows of an ablation: the corrected method, each fault put back alone, and patches and mixes.

    The faults come from the options' own descriptions; one that the configuration has already makes no row.

    Args:
        config: of the project.
        names: ``F3``, ``no-patches``, ``mix-cutmix`` ...; none takes all. The unchanged method is always the first row.

    Raises:
        InputError: there is no such row.
    """
    whole = next(method for method in METHODS if method.name == "corrected")
    rows = [whole, *_fault_rows(base_config(config)), *_other_rows(base_config(config))]
    known = [row.name for row in rows]
    for name in names:
        if name not in known:
            raise unknown_name("methods", name, known, what="row of the ablation")
    return tuple(row for row in rows if not names or row is whole or row.name in names)


def _fault_rows(config: ProjectConfig) -> Iterator[Method]:
    for fault in ABLATED_FAULTS:
        settings = {
            f"{section}.{info.name}": info.published
            for section in _SECTIONS
            for info in describe(opt.SECTIONS[section])
            if info.fault == fault and getattr(getattr(config, section), info.name) != info.published
        }
        if settings:
            said = ", ".join(f"{path} = {_shown(value)}" for path, value in settings.items())
            yield Method(fault, f"{fault}: {said}", f"As corrected, but for {said}.", settings)


def _other_rows(config: ProjectConfig) -> Iterator[Method]:
    if config.adapt.patches:
        yield Method("no-patches", "no patches", "As corrected, without hard patches.", {"adapt.patches": False})
        if config.adapt.patch_sampling != "uniform":
            settings = {"adapt.patch_sampling": "uniform"}
            yield Method("uniform-patches", "patches drawn alike", "As corrected, patches drawn alike.", settings)
    if config.adapt.anchor:
        yield Method("no-anchor", "no anchor", "As corrected, the teacher's word alone.", {"adapt.anchor": 0})
    if config.adapt.average:
        yield Method("no-average", "no average", "As corrected, a round's end alone.", {"adapt.average": 0})
    mixes = next(info for info in describe(opt.AdaptOptions) if info.name == "mix").choices
    for mix in mixes:
        if mix != config.adapt.mix:
            yield Method(f"mix-{mix}", f"adapt.mix = {mix}", f"As corrected, with {mix}.", {"adapt.mix": mix})


def _shown(value: Any) -> str:
    plain = to_plain(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def base_config(config: ProjectConfig) -> ProjectConfig:
    """Returns the configuration that every row starts from: corrected, and chosen without labels."""
    config = switched(config, "corrected", _SECTIONS)
    return override(config, {"adapt.select": "last"}) if config.adapt.select == "oracle" else config


def switched(config: ProjectConfig, profile: Profile, sections: Sequence[str]) -> ProjectConfig:
    """Returns a configuration whose switches, the options in which the profiles differ, are those of a profile.

    A configuration of that profile already keeps what the user chose.
    """
    if config.profile == profile:
        return config
    settings = {
        f"{section}.{info.name}": info.default_for(profile)
        for section in sections
        for info in describe(opt.SECTIONS[section])
        if info.default != info.published
    }
    return override(config, settings)


def method_config(config: ProjectConfig, method: Method, seed: int, *, published_rare: bool = True) -> ProjectConfig:
    """Returns the configuration that a method runs with.

    Args:
        config: of the project.
        method: the row.
        seed: of every draw.
        published_rare: whether a published set of rare classes exists for these classes.
    """
    config = base_config(config)
    settings: dict[str, Any] = {"runtime.seed": seed}
    if method.profile == "published":
        # The baseline stays the one that all share.
        config = switched(dataclasses.replace(config, profile="corrected"), "published", ("mine", "adapt"))
        settings["adapt.select"] = "last"
        if not published_rare:
            settings["mine.rare"] = "auto"
    if method.whole:
        settings |= {"adapt.rounds": 1, "adapt.steps": config.adapt.rounds * config.adapt.steps}
    config = override(config, settings | dict(method.settings))
    if not looks_decide(config.adapt):
        # Nobody goes by what is seen on the way, and the time it takes is none of the method's.
        config = override(config, {"adapt.validate_every": config.adapt.steps})
    return config if config.adapt.select == "oracle" else _blind(config)


def _blind(config: ProjectConfig) -> ProjectConfig:
    """Without the validation labels: no stage of a comparison but the scoring may see them."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, val_images=None, val_labels=None))


class Branch(Project):
    """A variant of a project: its data, labels and corrections, but other options and folders of its own.

    Attributes:
        project: where the data are.
        home: gets the stages that are its own, their records and their events.
        places: the folders of stages that others own.
    """

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
        return self.home / "events.jsonl"

    def stage_folder(self, key: str) -> Path:
        """The result of a stage, of its own or of the branch that owns it."""
        return self.places.get(key, self.home / key)

    def check_places(self) -> None:
        """Makes sure that what is written to the branch is written there; its project is checked already.

        Raises:
            InputError: a link, or something else than a branch has, lies in the place of a file or folder of it.
        """
        check_place(self.folder, self.home, "folder")
        check_place(self.home, self.events_path, "file")

    def finished(self, key: str) -> bool:
        """Whether a stage of its own is done with the present options and inputs."""
        record = self.record(key)
        return record is not None and digest(record.get("inputs")) == digest(self.inputs()[key])

    def scored_with(self, key: str) -> str:
        """Returns a digest of all that the score of a stage's model depends on."""
        data, evaluate = self.project.config.data, self.config.evaluate
        validation = {name: value for name, value in to_mapping(data).items() if name.startswith("val_")}
        stamps = [self._stamps(data.val_images), self._stamps(data.val_labels)]
        return digest([self.inputs()[key], to_mapping(evaluate, only_result=True), validation, stamps])


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        project: with validation labels; its pseudo-labels, and its patches where methods need them, are made already.
        methods: the rows.
        seeds: each method runs once with each.
        kind: ``ablation`` compares with the unchanged method and has results of its own.
        config: options to use in place of the project's; data, task, source and pseudo-labels are the project's.
    """

    project: Project
    methods: Sequence[Method]
    seeds: Sequence[int]
    kind: Kind = "methods"
    config: ProjectConfig | None = None

    @property
    def options(self) -> ProjectConfig:
        """The options that methods change."""
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
        """The row that differences are to."""
        return REFERENCES[self.kind]


@dataclass(frozen=True)
class Run:
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
        """All that it writes to."""
        return tuple(filter(None, (self.branch, self.baseline, self.patches)))

    @property
    def last_key(self) -> str:
        """The stage whose model is scored."""
        if self.method.rounds:
            return self.branch.needed_rounds()[-1]
        return "pseudo-label" if self.method.name == "source" else "baseline"

    @property
    def steps(self) -> int:
        """Optimiser steps of what is the method's own: its rounds that were needed, or the baseline's."""
        config = self.branch.config
        rounds = len(self.branch.needed_rounds()) * config.adapt.steps
        return {"pseudo-label": 0, "baseline": config.baseline.steps}.get(self.last_key, rounds)

    @property
    def passes(self) -> int:
        """Forward passes an optimiser step."""
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


def plan_runs(job: Comparison, *, published_rare: bool = True) -> list[Run]:
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


def _plan(job: Comparison, method: Method, seed: int, *, published_rare: bool) -> Run:
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
    return Run(method, seed, Branch(job.project, config, home, places), baseline, patches)


def _baseline(job: Comparison, config: ProjectConfig, places: Mapping[str, Path]) -> Branch | None:
    """The branch that trains a baseline with these options and this seed; None where the project has that very one."""
    usual = config.baseline == base_config(job.options).baseline
    name = "baseline" if usual else f"baseline-{_short(config.baseline)}"
    home = job.folder / f"seed-{config.runtime.seed}" / name
    branch = Branch(job.project, config, home, {"pseudo-label": places["pseudo-label"]})
    record = job.project.record("baseline")
    same = record is not None and digest(record.get("inputs")) == digest(branch.inputs()["baseline"])
    return None if same else branch


def _patches(job: Comparison, config: ProjectConfig, places: Mapping[str, Path]) -> Branch | None:
    """The branch that mines patches with these options; None where the project's own patches have them."""
    if config.mine == job.project.config.mine:
        return None
    # Mining draws nothing, so that one set of patches serves all seeds.
    config = dataclasses.replace(config, runtime=job.project.config.runtime)
    home = job.folder / f"patches-{_short(config.mine)}"
    return Branch(job.project, config, home, {"pseudo-label": places["pseudo-label"]})


def needed_stages(job: Comparison) -> tuple[str, ...]:
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
