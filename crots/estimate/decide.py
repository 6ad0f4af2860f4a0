"""Options that a run decides by measuring before its first stage: precision ``auto``, and a time budget's steps."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crots.artefacts import is_scoring, stage_kind
from crots.config import Duration, defaults
from crots.data.tiles import in_parts
from crots.decisions import BUDGET, Decision, write_decisions
from crots.errors import InputError
from crots.estimate.facts import Estimate, left_to_do, rounded, store
from crots.estimate.measure import estimate_stages, of_stage
from crots.estimate.trial import Stopwatch
from crots.execution.device import resolve_device
from crots.nets.registry import net_info
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.stages.workbench import Workbench
from crots.text import duration
from crots.training.budget import crop_of
from crots.training_options import TrainingOptions

# Shorter runs use fp32: timing another precision would take longer than it could save.
WORTH_MEASURING = 180.0
# bf16 is used up to this ratio of times to fp32; repeated timings differ by some percent.
FASTER = 0.85
# Shares of an image's sides that crops are made of, one after the other, until the run fits.
CROPS = (0.55, 0.4)
LEAST_STEPS = 50
# Share of the budget that is planned: a few timed steps are an estimate.
_PLANNED = 0.95
TRAINED = ("baseline", "adapt")


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    Attributes:
        estimate: what it takes.
        notes: what was decided, for the user.
    """

    estimate: Estimate
    notes: tuple[str, ...] = ()


def decide_options(
    project: Project,
    keys: Iterable[str],
    watch: Stopwatch | None = None,
    *,
    busy: bool | None = None,
    asked: bool = False,
) -> Plan:
    """Decides options left open, for stages that have not begun, and stores the decisions in the project.

    A decision holds as long as options and images stay, so that a resumed run ends with the same result.

    Args:
        project: with its options.
        keys: of the stages that are to be run.
        watch: measures times, and checks for a stop.
        busy: whether a run is in progress; None checks.
        asked: the stages were asked for by name, as in `left_to_do`.

    Raises:
        CrotsError: the inputs of a stage do not fit, or the time budget is too small.
        Stopped: the user asked to stop.
    """
    left = left_to_do(project, keys, busy=busy, asked=asked)
    fresh = [key for key in left if not project.resumable(key)]
    notes = [*_choose_precision(project, fresh, left, watch), *_fit(project, fresh, left, watch)]
    return Plan(estimate_stages(project, left, watch, busy=busy, asked=asked), tuple(notes))


def _variant(project: Project, key: str, **options: str) -> Project:
    """The project with a stage's options as decided so far and others besides, as if the user had set them."""
    named = {name.replace("__", "."): value for name, value in options.items()}
    return Project(project.folder, override(project.config_of(key), named))


def _keep(project: Project, keys: Iterable[str], options: Mapping[str, str]) -> None:
    """Stores decisions for stages, together with earlier ones that still hold."""
    decisions: dict[str, Decision] = {}
    for key in keys:
        joined = {**project.decided(key), **options}
        decisions[key] = {"made_for": project.dependencies.for_decision(key, joined), "options": joined}
    write_decisions(project.decisions_path, decisions)


# Precision.


def _choose_precision(
    project: Project, fresh: Iterable[str], left: Mapping[str, int], watch: Stopwatch | None
) -> list[str]:
    """Decides between fp32 and bf16 on a processor, for labelling and for training apart."""
    runtime = project.config.runtime
    if runtime.precision != "auto" or resolve_device(runtime.device).type != "cpu":
        return []
    # Scores are always computed in fp32.
    undecided = [key for key in fresh if not is_scoring(key) and "runtime.precision" not in project.decided(key)]
    if not undecided:
        return []
    full = {key: of_stage(_variant(project, key, runtime__precision="fp32"), key, watch) for key in left}
    if Estimate(full, left).seconds < WORTH_MEASURING:
        _keep(project, undecided, {"runtime.precision": "fp32"})
        return []
    notes = []
    for alike in (["pseudo-label"], [key for key in undecided if key != "pseudo-label"]):
        part = [key for key in alike if key in undecided]
        if not part:
            continue
        probe = part[0]
        reduced = of_stage(_variant(project, probe, runtime__precision="bf16"), probe, watch)
        ratio = reduced.seconds / full[probe].seconds if full[probe].seconds else 1.0
        chosen = "bf16" if ratio <= FASTER else "fp32"
        _keep(project, part, {"runtime.precision": chosen})
        notes.append(f"{probe}: bf16 takes {ratio:.2f} of the time of fp32 here, so precision auto is {chosen}")
    return notes


# The time budget.


def _fit(project: Project, fresh: Iterable[str], left: Mapping[str, int], watch: Stopwatch | None) -> list[str]:
    """Fits the stages that have not begun to the time budget; returns notes on what was shortened."""
    budget = project.config.runtime.time_budget
    fresh = [key for key in fresh if stage_kind(key) in TRAINED and BUDGET not in project.decided(key)]
    if not budget or not fresh:
        return []
    whole = estimate_stages(project, left, watch, busy=False)
    room = 60 * budget.minutes * _PLANNED
    if whole.seconds <= room:
        _keep(project, fresh, {BUDGET: str(budget)})
        return [f"the run fits into the time budget of {budget} as it is"]
    fitting = _Fitting(project, [key for key in fresh if whole.stages[key].count], whole, room, watch)
    fitting.shrink_crops()
    fitting.take_fewer_steps()
    for key in fresh:
        _keep(project, [key], {BUDGET: str(budget), **fitting.options.get(stage_kind(key), {})})
        store(project, key, fitting.stages[key])
    return [fitting.description()]


class _Fitting:
    """Makes stages shorter until the run fits.

    Attributes:
        stages: estimates of all stages that are left, as far as they were made to fit.
        options: what has to be set for it, by ``baseline`` and ``adapt``.
    """

    def __init__(
        self, project: Project, fresh: Sequence[str], whole: Estimate, room: float, watch: Stopwatch | None
    ) -> None:
        self._project, self._fresh, self._whole, self._room, self._watch = project, fresh, whole, room, watch
        self._bench = Workbench(project.config, project.folder, project.cache_folder, "baseline")
        self.stages = dict(whole.stages)
        self.options: dict[str, dict[str, str]] = {}

    @property
    def _now(self) -> Estimate:
        return Estimate(self.stages, self._whole.done)

    def _keys(self, group: str) -> list[str]:
        return [key for key in self._fresh if stage_kind(key) == group]

    def _open(self, option: str) -> list[str]:
        """The stages, ``baseline`` and ``adapt``, of which the user has not set an option."""
        groups = dict.fromkeys(map(stage_kind, self._fresh))
        return [group for group in groups if is_open(self._project.config, group, option)]

    def shrink_crops(self) -> None:
        """Uses smaller crops where they save time."""
        net = self._bench.student_net
        info = net_info(net, trust=self._bench.trusts(net))
        if info.fixed:
            return
        for share, group in itertools.product(CROPS, self._open("crop")):
            first = self._keys(group)[0]
            crop = crop_of(self._bench.size, info.multiple, share)
            smaller = crop.width * crop.height < self.stages[first].pixels
            if self._now.seconds <= self._room or not smaller:
                continue
            found = of_stage(_variant(self._project, first, **{f"{group}__crop": str(crop)}), first, self._watch)
            if found.seconds < self.stages[first].seconds:
                self.options.setdefault(group, {})[f"{group}.crop"] = str(crop)
                self.stages |= dict.fromkeys(self._keys(group), found)

    def take_fewer_steps(self) -> None:
        """Shortens all stages with automatic steps by the same share, none of them below its least number."""
        total = self._now.seconds
        groups = self._open("steps")
        if total <= self._room or not groups:
            return
        keys = [key for group in groups for key in self._keys(group)]
        fixed = total - sum(self.stages[key].count * self.stages[key].seconds for key in keys)
        least = {key: min(LEAST_STEPS, self.stages[key].count) for key in keys}
        needed = fixed + sum(least[key] * self.stages[key].seconds for key in keys)
        if needed > self._room:
            enough = Duration(math.ceil(needed / _PLANNED / 60))
            raise InputError(
                f"time budget: found {self._project.config.runtime.time_budget}, expected at least {enough} for these "
                f"images: {LEAST_STEPS} steps of each training take {duration(needed - fixed)}, all else "
                f"{duration(fixed)}; give more time, fewer images or a smaller working size (`data.size`)",
                field="runtime.time_budget",
                settings={"runtime.time_budget": str(enough)},
            )
        counts = self._shared_out(keys, least, self._room - fixed)
        for key in keys:
            stage = self.stages[key]
            steps = counts[key]
            self.options.setdefault(stage_kind(key), {})[f"{stage_kind(key)}.steps"] = str(steps)
            self.stages[key] = dataclasses.replace(stage, count=steps)

    def _shared_out(self, keys: Sequence[str], least: Mapping[str, int], seconds: float) -> dict[str, int]:
        """Returns the steps of each stage that together take so long."""
        counts: dict[str, int] = {}
        while True:
            others = [key for key in keys if key not in counts]
            room = seconds - sum(self.stages[key].seconds * count for key, count in counts.items())
            share = room / max(sum(self.stages[key].count * self.stages[key].seconds for key in others), 1e-9)
            short = {key: least[key] for key in others if share * self.stages[key].count < least[key]}
            if not short:
                return counts | {key: int(share * self.stages[key].count) for key in others}
            counts |= short

    def description(self) -> str:
        """Describes the shortened run and its expected cost in quality."""
        budget = self._project.config.runtime.time_budget
        parts = [self._shorter(group) for group in self.options]
        if self._now.seconds > self._room:
            more = f"; {'; '.join(parts)}" if parts else ""
            return (
                f"the run takes about {rounded(self._now.seconds)}, more than the time budget of {budget}, with the "
                f"chosen steps and crops{more}"
            )
        return (
            f"to fit into {budget}: {'; '.join(parts)}. Expect a part of what the full run, about "
            f"{rounded(self._whole.seconds)}, would gain"
        )

    def _shorter(self, group: str) -> str:
        key = self._keys(group)[0]
        was, now = self._whole.stages[key], self.stages[key]
        batch = getattr(self._project.config, group).batch
        images = max(1, len(in_parts(self._bench.dataset.samples, self._bench.tiling)))
        parts = []
        if crop := self.options[group].get(f"{group}.crop"):
            part = now.pixels / (self._bench.size.width * self._bench.size.height)
            parts.append(f"sees crops of {crop}, {part:.0%} of an image at a time")
        if f"{group}.steps" in self.options[group]:
            views, before = (stage.count * batch / images for stage in (now, was))
            seen = f"each image seen {views:.3g} times instead of {before:.3g}"
            parts.append(f"takes {now.count} of {was.count} steps, {seen}")
        return f"{group} {', and '.join(parts)}"


def is_open(config: ProjectConfig, section: str, option: str) -> bool:
    """Whether an option of a training stage is automatic: the defaults of steps and crops mean that."""
    options: TrainingOptions = getattr(config, section)
    value = getattr(options, option)
    return not value or value == getattr(defaults(type(options), config.profile), option)
