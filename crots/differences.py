"""What changed between the inputs that a stage was run with and those of today, across versions of CROTS. No torch.

Versions add options and remove others. An option that one version lacks counts there with the value that has the same
effect: its default if it was added, off if it was removed. So an upgrade alone makes no finished stage stale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crots.config import Profile, defaults, to_mapping
from crots.options import SECTIONS

# Values with which an option has no effect.
_OFF = (None, "", "0", "0.0", "False", "none", "[]")
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """An option, an input or an earlier stage that differs; as a string ``adapt.steps changed``.

    Attributes:
        section: of the options, ``corrections``, or the key of an earlier stage.
        name: of the option, or ``files of data/target``; empty where the result of an earlier stage differs.
        missing: the file or folder that is not there any more; empty where what is there differs.
    """

    section: str
    name: str = ""
    missing: str = ""

    def __str__(self) -> str:
        if self.missing:
            return f"{self.missing} is missing"
        return f"{self.section}.{self.name} changed" if self.name else f"{self.section} changed"


def changed_inputs(old: Inputs, new: Inputs, profile: Profile) -> Iterator[Change]:
    """Yields each option, input and earlier stage that differs.

    Args:
        old: of a stage's record: values by section and option, the digest of an earlier stage as ``after baseline``.
        new: those of now.
        profile: whose defaults options have that were not there yet.
    """
    for section in sorted({*old, *new}):
        before, after = old.get(section), new.get(section)
        if section.startswith("after ") or not (_is_table(before) and _is_table(after)):
            if before != after:
                yield Change(section.removeprefix("after "))
            continue
        before, after = before or {}, after or {}
        for name in sorted({*before, *after}):
            if not _same(section, name, before, after, profile):
                yield Change(section, name)


def _is_table(value: Any) -> bool:
    # A section that one side lacks has nothing in it.
    return value is None or isinstance(value, Mapping)


def _same(section: str, name: str, before: Inputs, after: Inputs, profile: Profile) -> bool:
    if name in before and name in after:
        return bool(before[name] == after[name])
    usual = to_mapping(defaults(SECTIONS[section], profile)) if section in SECTIONS else {}
    found = after[name] if name in after else before[name]
    if name in usual:
        return bool(found == usual[name])
    # Files that came or went are no options, and are named by words.
    return " " not in name and section in SECTIONS and (found is None or str(found) in _OFF)
