"""Estimates as they are stored and shown. No torch: the studio and ``crots status`` read them."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from crots.artefacts import is_round, stage_kind
from crots.config import to_mapping
from crots.files import digest, write_json
from crots.project import Project
from crots.project_status import StageStatus, statuses
from crots.records import Count, fits, read_json
from crots.text import byte_count, duration

# Measurements kept for earlier settings, so that undoing a change needs no new measurement.
_MOST = 64
# Stages that take long enough to be timed; mining and exporting take seconds.
TIMED = ("pseudo-label", "baseline", "adapt", "evaluate")


class _Stored(TypedDict):
    """`StageEstimate` as plain data."""

    unit: str
    count: Count
    seconds: float
    extra: float
    memory: float
    device_memory: float
    each: str
    pixels: Count


@dataclass(frozen=True)
class StageEstimate:
    """Time and memory of one stage.

    Attributes:
        unit: what ``count`` counts, images or steps.
        count: of the whole stage; 0 of a round that will not be needed.
        seconds: that one of them takes.
        extra: seconds besides the steps: reading, evaluations of the student, refreshes of labels.
        memory: bytes of the process at most.
        device_memory: bytes on the graphics card at most; 0 without one.
        each: number and size of what a step sees.
        pixels: of the part of an image that a step sees.
    """

    unit: str
    count: int
    seconds: float
    extra: float = 0.0
    memory: float = 0.0
    device_memory: float = 0.0
    each: str = ""
    pixels: int = 0

    @property
    def text(self) -> str:
        """What the steps process; empty if that is not known."""
        return f"{self.count} {self.unit} of {self.each}" if self.each else ""

    def total(self, done: int = 0) -> float:
        """Seconds for what is left after ``done`` units."""
        left = max(0.0, 1.0 - done / self.count) if self.count else 1.0
        return left * (self.count * self.seconds + self.extra)


@dataclass(frozen=True)
class Estimate:
    """Time and memory of the stages that are not done, in running order; each round has its own key.

    Attributes:
        stages: by key.
        done: units that an interrupted stage has finished, by key.
    """

    stages: Mapping[str, StageEstimate]
    done: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def of(self, key: str) -> float:
        """Seconds that one stage still takes."""
        return self.stages[key].total(self.done.get(key, 0))

    @property
    def seconds(self) -> float:
        """Seconds of all of them."""
        return sum(map(self.of, self.stages))

    @property
    def memory(self) -> float:
        """Bytes of the process at most."""
        return max((stage.memory for stage in self.stages.values()), default=0.0)

    @property
    def device_memory(self) -> float:
        """Bytes on the graphics card at most."""
        return max((stage.device_memory for stage in self.stages.values()), default=0.0)

    @property
    def short(self) -> str:
        """``about 14 min, 1.3 GB``."""
        card = f", {byte_count(self.device_memory)} on the graphics card" if self.device_memory else ""
        return f"about {rounded(self.seconds)}, {byte_count(self.memory)} of memory{card}"

    @property
    def summary(self) -> str:
        """One line for the user; empty where nothing takes long."""
        if not self.stages:
            return ""
        return f"this run takes {self.short}: {', '.join(self.parts())}"

    def parts(self) -> list[str]:
        """The time of each stage, with rounds of equal length grouped."""
        rounds = [key for key in self.stages if is_round(key)]
        parts = []
        for key, stage in self.stages.items():
            if key in rounds[1:] or not stage.count:
                continue
            what = f"up to {len(rounds)} rounds" if len(rounds) > 1 and key == rounds[0] else key
            seconds = sum(map(self.of, rounds)) if key in rounds else self.of(key)
            parts.append(f"{what} {rounded(seconds)}" + (f" ({stage.text})" if stage.text else ""))
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        stages = {key: {"seconds": self.of(key), **dataclasses.asdict(stage)} for key, stage in self.stages.items()}
        for key, stage in self.stages.items():
            stages[key] |= {"seconds": self.of(key), "seconds_each": stage.seconds, "text": stage.text}
        return {
            "seconds": self.seconds,
            "memory": self.memory,
            "device_memory": self.device_memory,
            "stages": stages,
        }


def rounded(seconds: float) -> str:
    """Rounds a time to the precision of a few timed steps."""
    if seconds < 60:
        return duration(max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)).replace(".0 s", " s")
    return duration(60 * round(seconds / 60)).replace(" 00 s", "")


def made_for(project: Project, key: str) -> str:
    """Returns the digest of everything that the time of a stage depends on, this machine among it."""
    config, group = project.config_of(key), stage_kind(key)
    sections = {
        "pseudo-label": ("data", "task", "source", "pseudo_label"),
        "baseline": ("data", "task", "student", "source", "baseline"),
        "adapt": ("data", "task", "student", "source", "mine", "adapt"),
        "evaluate": ("data", "task", "student", "source", "evaluate"),
    }[group]
    values = {name: to_mapping(getattr(config, name)) for name in (*sections, "runtime")}
    # Trust and the seed do not change the time, nor does the number of rounds that of one.
    for name in ("trust", "seed", "cache_gb", "time_budget"):
        del values["runtime"][name]
    values.get("adapt", {}).pop("rounds", None)
    if group == "evaluate":
        # One model more for each round.
        values["adapt"] = {"rounds": config.adapt.rounds, "stop_rounds": config.adapt.stop_rounds}
    machine = [platform.node(), os.cpu_count(), os.environ.get("CUDA_VISIBLE_DEVICES", "")]
    return digest({"sections": values, "machine": machine})


def stored(project: Project, keys: Iterable[str]) -> dict[str, StageEstimate]:
    """Returns the estimates of stages that are stored for the project's present settings."""
    entries, found = _entries(project), {}
    for key in keys:
        entry = entries.get(made_for(project, key))
        # It can be measured again, so a damaged record is ignored.
        # A round that was expected not to be needed is, once there is a baseline that it follows.
        unexpected = is_round(key) and project.record("baseline") is not None
        if isinstance(entry, dict) and fits(entry, _Stored) and (entry["count"] or not unexpected):
            found[key] = StageEstimate(**{field.name: entry[field.name] for field in dataclasses.fields(StageEstimate)})
    return found


def store(project: Project, key: str, stage: StageEstimate) -> None:
    """Keeps the estimate of a stage with the project's present settings."""
    entries = _entries(project)
    entries.pop(made_for(project, key), None)
    entries[made_for(project, key)] = dataclasses.asdict(stage)
    write_json(project.estimate_path, {"stages": dict(list(entries.items())[-_MOST:])})


def _entries(project: Project) -> dict[str, Any]:
    entries = (read_json(project.estimate_path) or {}).get("stages")
    return entries if isinstance(entries, dict) else {}


def left_to_do(
    project: Project,
    keys: Iterable[str],
    *,
    busy: bool | None = None,
    status: Sequence[StageStatus] | None = None,
    asked: bool = False,
) -> dict[str, int]:
    """Returns the timed stages that will run, each with the units that an interrupted run has finished.

    Args:
        project: whose stages.
        keys: of the stages to consider.
        busy: whether a run is in progress; None checks.
        status: the states of all stages; None finds them.
        asked: the stages were asked for by name, and run even where they are done or not needed.
    """
    keys = [key for key in keys if stage_kind(key) in TIMED]
    states = {stage.key: stage for stage in status or statuses(project, busy=busy)}
    open_keys = [key for key in keys if asked or states[key].state not in ("done", "not needed")]
    begun = ("interrupted", "failed", "running")
    return {key: states[key].done if states[key].state in begun and project.resumable(key) else 0 for key in open_keys}


def known_estimate(project: Project, status: Sequence[StageStatus] | None = None) -> Estimate | None:
    """Returns what is known of the rest of a project's run without measuring; None where some stage was not timed."""
    left = left_to_do(project, project.stage_keys(), status=status)
    found = stored(project, left)
    return Estimate(found, left) if left and found.keys() == left.keys() else None
