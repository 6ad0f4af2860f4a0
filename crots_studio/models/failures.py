"""The message for a user whose run failed, and the remedies that one click applies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from crots.artefacts import section_of
from crots.config import Size
from crots.events import StageFinished
from crots.project_config import ProjectConfig
from crots.training_options import TrainingOptions
from crots_studio.models.names import title
from crots_studio.models.words import in_window

LOG_TAIL = 60
# Labels of remedies that set these options; others are named by their value.
_OFFERS = {
    "data.skip_bad": "\u201cSkip unreadable images\u201d",
    "runtime.time_budget": "a time budget of {}",
}


@dataclass(frozen=True)
class Remedy:
    """A change of options that may help; ``settings`` are for `crots.project_config.override`."""

    label: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """What the failure dialog says.

    Attributes:
        heading: "Round 1 ran out of memory".
        message: what happened.
        todo: what to do.
        remedies: offers, the mildest first; empty where only the user can fix it.
        detail: the traceback for a bug report; empty for a mistake of the user's.
    """

    heading: str
    message: str
    todo: str
    remedies: tuple[Remedy, ...] = ()
    detail: str = ""


def advise(failure: StageFinished, config: ProjectConfig, *, estimate: bool = False) -> Advice:
    """Explains why a stage failed and what can be done.

    Args:
        failure: the end of the run.
        config: of the project.
        estimate: it was to tell how long a run takes, and would have changed nothing.
    """
    name = title(failure.stage) if failure.stage else "The estimate" if estimate else "The run"
    if failure.exit_code < 0:
        remedies = memory_remedies(failure.stage, config)
        todo = (
            "Finished work is kept: run again to resume from the last checkpoint. Systems kill processes like this "
            "when memory is short"
        )
        todo += "; if it happens again, choose a remedy below." if remedies else "; close other programs."
        return Advice(f"{name} was killed", _sentence(failure.message), todo, remedies, failure.detail)
    if failure.cause == "memory":
        remedies = memory_remedies(failure.stage, config)
        todo = (
            "Choose a remedy below and run again: it resumes from the last checkpoint where the options allow."
            if remedies
            else "Close other programs, choose another device, or set a smaller working size, and run again."
        )
        return Advice(f"{name} ran out of memory", _sentence(failure.message), todo, remedies, failure.detail)
    if failure.exit_code == 2:
        remedies = tuple(_offered(option, value) for option, value in failure.settings.items())
        todo = "Fix this and run again; finished work is kept."
        return Advice(f"{name} cannot continue", _sentence(failure.message), todo, remedies)
    if failure.detail:
        todo = "This is a bug in CROTS: please copy the report and send it in. Running again may work."
        return Advice(f"{name} stopped unexpectedly", _sentence(failure.message), todo, (), failure.detail)
    todo = "Finished work is kept. Fix the cause and run again: the run resumes from the last checkpoint."
    return Advice(f"{name} failed", _sentence(failure.message), todo)


def _offered(option: str, value: str) -> Remedy:
    return Remedy(_OFFERS.get(option, f"{option} {{}}").format(value), {option: value})


def memory_remedies(stage: str, config: ProjectConfig) -> tuple[Remedy, ...]:
    """Offers more micro-batches, then a smaller batch, then smaller images."""
    section = section_of(stage)
    options = getattr(config, section, None)
    found: list[Remedy] = []
    if isinstance(options, TrainingOptions):
        found += _batch_remedies(section, options)
    elif (batch := getattr(options, "batch", 0)) > 1:
        label = f"{batch // 2} images at a time instead of {batch}"
        found.append(Remedy(label, {f"{section}.batch": str(batch // 2)}))
    if config.data.size and min(config.data.size) >= 128:
        size = Size(*(max(64, side * 3 // 4 // 32 * 32) for side in config.data.size))
        label = f"smaller images: {size} instead of {config.data.size} (all stages start over)"
        found.append(Remedy(label, {"data.size": str(size)}))
    return tuple(found)


def _batch_remedies(section: str, options: TrainingOptions) -> list[Remedy]:
    """`accumulate` must divide the batch, so the next divisor is the next thing to try."""
    batch, parts = options.batch, options.accumulate
    found: list[Remedy] = []
    more = next((number for number in range(parts + 1, batch + 1) if batch % number == 0), None)
    if more:
        label = f"the same batch of {batch}, {batch // more} at a time (accumulate {more})"
        found.append(Remedy(label, {f"{section}.accumulate": str(more)}))
    if batch > 1:
        half = batch // 2
        label = f"a smaller batch: {half} instead of {batch}, one at a time" if half > 1 else "one image a step"
        found.append(Remedy(label, {f"{section}.batch": str(half), f"{section}.accumulate": str(half)}))
    return found


def _sentence(text: str) -> str:
    text = in_window(text.strip()) or "no reason was given"
    return text[0].upper() + text[1:] + ("" if re.search(r"[.!?]$", text) else ".")


def report_text(advice: Advice, log: list[str], versions: str) -> str:
    """Returns all that a bug report needs, for the clipboard."""
    tail = "\n".join(log[-LOG_TAIL:])
    parts = [advice.heading, advice.message, versions, advice.detail, f"Log:\n{tail}" if tail else ""]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
