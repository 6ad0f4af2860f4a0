"""Scores and choices of a project's models, read quickly from its files, without torch or the events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crots.artefacts import STATISTICS
from crots.errors import InputError
from crots.files import digest
from crots.methods.alarms import VANISHING, everywhere
from crots.project import Project
from crots.records import read_json
from crots.report.facts import KeptModel, ModelScore, Result
from crots.text import gain

SOURCE = "source"


def result_of(project: Project) -> Result:
    """Returns the scores and choices that hold for the models as they are now.

    Args:
        project: finished or not.
    """
    keys = trained_keys(project)
    subjects = [SOURCE, *keys] if keys else []
    scores = tuple(filter(None, (_score(project, subject) for subject in subjects)))
    choices = (_choice(project, key) for key in keys)
    key = keys[-1] if keys else ""
    return Result(
        key,
        scores,
        tuple(filter(None, choices)),
        _everywhere(project),
        predictions=project.config.source.predictions is not None,
        other_start=bool(scores) and _other_start(project),
    )


def trained_keys(project: Project) -> list[str]:
    """The stages whose students are done, in running order, up to the first that another student or labels preceded.

    A stage that ran again leaves the later ones stale: what lies between them and it is not what they changed.
    """
    found: list[str] = []
    before = "pseudo-label"
    for key in project.training_keys():
        if not (made := record(project, key)):
            break
        after = mapping(made.get("inputs")).get(f"after {before}")
        if after is not None and after != digest(record(project, before).get("inputs")):
            break
        found.append(key)
        before = key
    return found


def record(project: Project, key: str) -> dict[str, Any]:
    """The record of a finished stage; empty where it is not done, or its record is damaged."""
    return mapping(project.record(key))


def _everywhere(project: Project) -> str:
    if not record(project, "pseudo-label"):
        return ""
    found = mapping(read_json(project.stage_folder("pseudo-label") / STATISTICS)).get("pixels")
    label = everywhere([number(count) or 0.0 for count in found]) if isinstance(found, list) else None
    if label is None:
        return ""
    # Only here, so that the summary of a run needs no NumPy as a rule.
    from crots.opening import Inputs

    try:
        names = Inputs(project.config, project.folder).classes.names
    except InputError:  # reported where the classes are used
        return ""
    return names[label] if label < len(names) else ""


def _other_start(project: Project) -> bool:
    # As in `_everywhere`; only models with a score are compared with the source.
    from crots.opening import Inputs

    try:
        return not Inputs(project.config, project.folder).starts_from_source
    except InputError:  # reported where the source is used
        return False


def mapping(value: Any) -> dict[str, Any]:
    """A table from a file that may have been edited by hand; empty if it is not a table."""
    return value if isinstance(value, dict) else {}


def tables(value: Any) -> list[dict[str, Any]]:
    """The tables of a list in such a file; other items are ignored."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """A finite number of such a file; None where it is none."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers of a table, by name."""
    found = {str(name): number(part) for name, part in mapping(value).items()}
    return {name: part for name, part in found.items() if part is not None}


def _score(project: Project, subject: str) -> ModelScore | None:
    if is_evaluated(project, subject):
        report = mapping(read_json(project.stage_folder("evaluate") / f"{subject}.json"))
        miou = number(report.get("miou"))
        if miou is not None:
            per_class = {str(name): number(iou) for name, iou in mapping(report.get("per_class_iou")).items()}
            images = int(number(report.get("images")) or 0)
            return ModelScore(subject, miou, per_class, images, oracle=bool(report.get("oracle")))
    return _score_on_the_way(project, subject)


def is_evaluated(project: Project, subject: str) -> bool:
    """Whether the evaluation scored the model as it is now; the source is asked for with the baseline."""
    inputs = mapping(record(project, "evaluate").get("inputs"))
    key = "baseline" if subject == SOURCE else subject
    return inputs.get(f"after {key}") == digest(record(project, key).get("inputs"))


def _score_on_the_way(project: Project, subject: str) -> ModelScore | None:
    """The validation during training of the checkpoint that the stage kept."""
    miou = number(record(project, subject).get("miou"))
    if miou is None:
        return None
    choice = mapping(project.choice(subject))
    return ModelScore(subject, miou, step=int(number(choice.get("kept")) or 0), oracle=choice.get("rule") == "oracle")


def _choice(project: Project, key: str) -> KeptModel | None:
    found = mapping(project.choice(key))
    if not found:
        return None
    looks = tables(found.get("looks"))
    kept = int(number(found.get("kept")) or 0)
    start = next((look for look in looks if look.get("step") == 0), {})
    # The last of that step: an average follows the weights that it was made of.
    end: dict[str, Any] = next((look for look in reversed(looks) if look.get("step") == kept), {})
    named = [(str(alarm.get("name", "")), str(alarm.get("text", ""))) for alarm in tables(end.get("alarms"))]
    return KeptModel(
        key=key,
        kept=kept,
        of=int(number(found.get("of")) or 0),
        words=str(found.get("words", "")),
        start=numbers(start.get("values")),
        end=numbers(end.get("values")),
        vanishing=tuple(name.removeprefix(VANISHING) for name, _ in named if name.startswith(VANISHING)),
        alarms=(
            *([str(found.get("words", ""))] if found.get("useless") is True else []),
            *(text for name, text in named if not name.startswith(VANISHING)),
        ),
        given_up=str(found.get("given_up", "")),
    )


def changed_names(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> dict[str, float]:
    """Returns by how much each class's score changed, for those that both models have."""
    both = ((name, new, before.get(name)) for name, new in after.items())
    return {name: gain(new, old) for name, new, old in both if new is not None and old is not None}
