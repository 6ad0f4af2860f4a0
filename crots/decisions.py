"""Options that a run decided by measuring, stored in the project so that a resumed run keeps them. No torch.

``records/decided.json`` holds, by stage, options in place of those that the user left open: the arithmetic that was
faster, the steps and crops that fit into a time budget. A decision holds as long as the options that it was made for;
an option that a later version adds leaves it as it is, unless the option is changed from its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from crots.errors import InputError
from crots.files import digest, write_json
from crots.records import read_as

_REMEDY = "delete it; a stage that is not done is then decided again and started over"
# The time budget that a decision was made for is stored under this name.
BUDGET = "runtime.time_budget"
# Records may come from strangers: nothing else can be decided by one.
DECIDABLE = (BUDGET, "runtime.precision", "baseline.steps", "baseline.crop", "adapt.steps", "adapt.crop")


# Plain values by section and option.
Values = Mapping[str, Mapping[str, Any]]


class Decision(TypedDict):
    """What was decided for a stage.

    Attributes:
        made_for: the options that it was made for, by section; earlier versions stored their digest.
        options: by ``section.option``, as the user would type them.
    """

    made_for: str | Values
    options: dict[str, str]


class _File(TypedDict):
    stages: dict[str, Decision]


def read_decisions(path: Path) -> dict[str, Decision]:
    """Returns the decisions of a project by stage; none where there is no file.

    Raises:
        InputError: it is damaged, or decides an option that is not to be decided.
    """
    found = read_as(path, _File, remedy=_REMEDY)
    stages = found["stages"] if found else {}
    for key, decision in stages.items():
        for name in decision["options"]:
            if name not in DECIDABLE:
                raise InputError(f"{path}: found {name} for {key}, expected {' or '.join(DECIDABLE)}; {_REMEDY}")
    return stages


def holds(decision: Decision, now: Values, usual: Values) -> bool:
    """Whether a decision still applies.

    Args:
        decision: as stored.
        now: the current options.
        usual: their defaults, which options that the decision does not know must have.
    """
    made_for = decision["made_for"]
    if isinstance(made_for, str):
        return made_for == digest(now)
    known = {section: {**usual.get(section, {}), **made_for.get(section, {})} for section in now}
    # By digest, since JSON turns tuples into lists.
    return all(digest(known[section].get(name)) == digest(v) for section in now for name, v in now[section].items())


def write_decisions(path: Path, decisions: Mapping[str, Decision]) -> None:
    """Adds decisions to those of a project, in the place of earlier ones of the same stages."""
    write_json(path, {"stages": {**read_decisions(path), **decisions}}, durable=True)
