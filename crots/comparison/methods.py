"""The methods that can be compared on a project's images, and an ablation of the switches F2 to F10. No torch.

A method is a line in `METHODS`: options that differ from the project's, and where needed a learner of
`crots.comparison.rivals`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from crots import options as opt
from crots.config import Profile, describe, to_plain, unknown_name
from crots.project_config import ProjectConfig, override
from crots.training_options import AdaptOptions

Kind = Literal["methods", "ablation"]

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
        profile: gives the options in which the profiles differ; None keeps the project's.
        learner: a name in `crots.comparison.rivals.LEARNERS`, '' for the method's own rounds.
        rounds: adapts at all; ``source`` and ``baseline`` are scored as they are.
        whole: one run of the length of all rounds, for methods that know none.
        passes: forward passes of networks per optimiser step, one batch each; patches add one.
        asked_only: not part of a comparison unless it is named.
    """

    name: str
    title: str
    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    profile: Profile | None = "recommended"
    learner: str = ""
    rounds: bool = True
    whole: bool = False
    passes: int = 2
    asked_only: bool = False

    @property
    def oracle(self) -> bool:
        """Whether its checkpoint is chosen with target labels."""
        return self.settings.get("adapt.select") == "oracle"


# Other methods use none of this package's additions: they run their whole budget and are scored at its end.
_PLAIN = {
    "adapt.patches": False,
    "adapt.average": 0,
    "adapt.keep_share": 0,
    "adapt.select": "last",
    "adapt.guard": False,
    "adapt.stop_rounds": False,
}

METHODS: tuple[Method, ...] = (
    Method("source", "source", "The source model, or its predictions, as they are.", rounds=False, passes=0),
    Method("baseline", "baseline", "The student trained on the source's pseudo-labels; all others start here.",
           rounds=False, passes=1),
    Method("bn", "batch-norm statistics",
           "Batch-norm statistics re-estimated on target images: the source's if it is the student, else the "
           "baseline's.",
           _PLAIN, learner="statistics", whole=True, passes=1),
    Method("tent", "Tent", "Entropy minimised; only the scale and shift of batch norm are trained.",
           _PLAIN, learner="tent", whole=True, passes=1),
    Method("self-training", "self-training",
           "Trained on confident hard labels from each round's start, on clean images.",
           {**_PLAIN, "adapt.weighting": "pixel", "adapt.jitter": 0, "adapt.blur": 0},
           learner="self-training"),
    Method("cutmix", "baseline + CutMix", "Mean teacher with CutMix, without hard patches.",
           {**_PLAIN, "adapt.mix": "cutmix"}),
    Method("classmix", "baseline + ClassMix", "Mean teacher with ClassMix, without hard patches.",
           {**_PLAIN, "adapt.mix": "classmix"}),
    Method("published", "CROTS published",
           "CROTS with every fault of the published code, those of its patches included.",
           profile="published"),
    Method("recommended", "CROTS recommended",
           "CROTS with the options of this project, and with rounds even if its student needs none."),
    Method("published-oracle", "CROTS published", "As published, including the choice of checkpoint by target labels.",
           {"adapt.select": "oracle"}, profile="published", asked_only=True),
)  # fmt: skip

# Options that are the same for all methods, although the profiles differ in them.
_BUDGET = ("steps", "batch", "learning_rate", "rounds")

REFERENCES: dict[Kind, str] = {"methods": "baseline", "ablation": "recommended"}


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
    """Returns the rows of an ablation: the recommended method, each fault put back alone, and patches and mixes.

    The faults come from the options' own descriptions; one that the configuration has already makes no row.

    Args:
        config: of the project.
        names: ``F3``, ``no-patches``, ``mix-cutmix`` ...; none takes all. The unchanged method is always the first row.

    Raises:
        InputError: there is no such row.
    """
    whole = next(method for method in METHODS if method.name == "recommended")
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
            listed = ", ".join(f"{path} = {_shown(value)}" for path, value in settings.items())
            yield Method(fault, f"{fault}: {listed}", f"As recommended, except {listed}.", settings)


def _other_rows(config: ProjectConfig) -> Iterator[Method]:
    if config.adapt.patches:
        yield Method("no-patches", "no patches", "As recommended, without hard patches.", {"adapt.patches": False})
        if config.adapt.patch_sampling != "uniform":
            settings = {"adapt.patch_sampling": "uniform"}
            yield Method(
                "uniform-patches", "patches drawn uniformly", "As recommended, patches drawn uniformly.", settings
            )
    if config.adapt.average:
        yield Method(
            "no-average", "no average", "As recommended, rounds not averaged with their start.", {"adapt.average": 0}
        )
    mixes = next(info for info in describe(AdaptOptions) if info.name == "mix").choices
    for mix in mixes:
        if mix != config.adapt.mix:
            yield Method(f"mix-{mix}", f"mixing by {mix}", f"As recommended, with {mix}.", {"adapt.mix": mix})


def _shown(value: Any) -> str:
    plain = to_plain(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def base_config(config: ProjectConfig) -> ProjectConfig:
    """Returns the configuration that every row starts from: recommended, and chosen without labels."""
    config = switched(config, "recommended", _SECTIONS)
    return override(config, {"adapt.select": "last"}) if config.adapt.select == "oracle" else config


def switched(config: ProjectConfig, profile: Profile, sections: Sequence[str]) -> ProjectConfig:
    """Returns a configuration with the switches of a profile: the options in which the profiles differ.

    Steps, batch, learning rates and rounds stay. A configuration of that profile already keeps what the user chose.
    """
    if config.profile == profile:
        return config
    settings = {
        f"{section}.{info.name}": info.default_for(profile)
        for section in sections
        for info in describe(opt.SECTIONS[section])
        if info.default != info.published and info.name not in _BUDGET
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
        config = switched(dataclasses.replace(config, profile="recommended"), "published", ("mine", "adapt"))
        settings["adapt.select"] = "last"
        if not published_rare:
            settings["mine.rare"] = "auto"
    if method.whole:
        settings |= {"adapt.rounds": 1, "adapt.steps": config.adapt.rounds * config.adapt.steps}
    config = override(config, settings | dict(method.settings))
    if not config.adapt.kept_by_evaluations:
        # Evaluations during training have no effect here, and their time must not count.
        config = override(config, {"adapt.validate_every": config.adapt.steps})
    return config if config.adapt.select == "oracle" else _blind(config)


def _blind(config: ProjectConfig) -> ProjectConfig:
    """Without the validation labels, which only the scoring stage of a comparison may read."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, val_images=None, val_labels=None))
