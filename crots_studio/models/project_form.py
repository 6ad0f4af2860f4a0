"""The set-up page: its fields, the checks that a change calls for, and the reason why Run is blocked.

The checks themselves are in `crots_studio.checks`, off the window's thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from crots.config import to_plain
from crots.options import TaskOptions
from crots.project_config import ProjectConfig
from crots.taxonomy import ClassSet
from crots.trust import Code
from crots_studio.models.words import option_title

Level = Literal["empty", "checking", "good", "warning", "bad"]


@dataclass(frozen=True)
class Offer:
    """An offer to fix a finding.

    Attributes:
        label: what is clicked.
        settings: options to change, for `crots.project_config.override`.
        trust: third-party code that the user is asked to trust; no option can.
        classes: become those of the target, from a file that is written into the project.
    """

    label: str
    settings: Mapping[str, str] = field(default_factory=dict)
    trust: tuple[Code, ...] = ()
    classes: ClassSet | None = None


@dataclass(frozen=True)
class Finding:
    """The finding of a check.

    Attributes:
        level: ``bad`` keeps Run from starting.
        text: one or two sentences.
        details: more lines, for those who look closer.
        brief: a few words for the rail; empty takes the first words of the text.
        offers: what one click would change.
        plain_to_see: the field itself shows it, so that at most ``brief`` is shown beside it.
    """

    level: Level
    text: str
    details: tuple[str, ...] = ()
    brief: str = ""
    offers: tuple[Offer, ...] = ()
    plain_to_see: bool = False

    @property
    def short(self) -> str:
        """A few words; of a file that they begin with, its name."""
        if self.brief:
            return self.brief
        place, colon, rest = self.text.partition(": ")
        text = f"{PurePath(place).name}: {rest}" if colon and PurePath(place).is_absolute() else self.text
        return text if len(text) <= 40 else text[:37].rstrip() + "..."


_WORST: tuple[Level, ...] = ("bad", "empty", "checking", "warning", "good")


def step_state(findings: Sequence[Finding]) -> tuple[Level, str]:
    """Returns the level of a step of several fields, the worst of theirs, and its words."""
    if not findings:
        return "empty", ""
    worst = min(findings, key=lambda finding: _WORST.index(finding.level))
    # If all is well, the first field is the most informative.
    return worst.level, (findings[0] if worst.level == "good" else worst).text


def classes_chosen(config: ProjectConfig) -> bool:
    """Whether the user chose classes or a class map, as far as the options show."""
    return config.task != TaskOptions() or bool(config.preset)


CHECKING = Finding("checking", "checking ...")
# Replaces errors about files that a demonstration creates in its run.
STILL_TO_BE_MADE = Finding("empty", "Created when the demonstration runs.", brief="not created yet")

# By check: the options whose change calls for it. A whole section stands for all its options.
DEPENDS: dict[str, tuple[str, ...]] = {
    "data.target": ("data.target", "data.layout", "data.split", "data.bands", "data.white", "data.skip_bad"),
    "data.size": ("data.size", "data.tile", "data.tile_overlap", "data.target", "data.layout", "data.split"),
    "task.classes": ("task.classes", "source.file", "source.predictions", "data.target", "data.layout", "data.split"),
    "task.source_classes": ("task", "source.file", "source.predictions"),
    "task.class_map": ("task", "source.file", "source.predictions"),
    "source": ("source", "task", "data.target", "data.layout", "data.split", "data.size", "data.tile"),
    "student": (
        "student",
        "source.file",
        "source.net",
        "source.predictions",
        "task",
        "data.size",
        "data.tile",
        "data.target",
        "data.layout",
        "data.split",
    ),
    "validation": (
        "data.val_images",
        "data.val_labels",
        "data.val_layout",
        "data.val_encoding",
        "task.classes",
        "data.target",
        "data.layout",
        "data.split",
        "data.bands",
        "data.white",
    ),
}
# In the order in which a user should fix them.
ORDER = tuple(DEPENDS)
TITLES = {name: option_title(name) for name in DEPENDS}
# Without these nothing can begin.
_NEEDED = {"data.target": "choose the target images in Set-up", "source": "choose a source in Set-up"}


def fault(findings: Mapping[str, Finding]) -> str:
    """The first thing to mend before a stage can run; empty if nothing that was found keeps it from running."""
    for name in ORDER:
        finding = findings.get(name)
        if finding == STILL_TO_BE_MADE:
            return finding.text
        if finding is not None and finding.level == "bad":
            named = finding.text.lower().startswith(TITLES[name].lower())
            return finding.text if named else f"{TITLES[name]}: {finding.text}"
        if finding is not None and finding.level == "empty" and name in _NEEDED:
            return _NEEDED[name]
    return ""


class ProjectForm:
    """Findings by check, with the option values that they were made for."""

    def __init__(self) -> None:
        self.findings: dict[str, Finding] = {}
        self._seen: dict[str, Any] = {}
        self._refused: set[str] = set()

    def clear(self) -> None:
        """Drops all findings, for another project or a new check."""
        self.findings.clear()
        self._seen.clear()
        self._refused.clear()

    def forget(self, *names: str) -> None:
        """Marks some checks as due, since their files changed."""
        for name in names:
            self._seen.pop(name, None)
            self._refused.discard(name)

    def refuse(self, name: str, finding: Finding) -> None:
        """Records an error in typed text that no option can hold; it stays until `forget`."""
        self._refused.add(name)
        self.findings[name] = finding

    def refused(self, name: str) -> bool:
        """Whether a field holds text that is no valid option value."""
        return name in self._refused

    def due(self, config: ProjectConfig) -> list[str]:
        """Returns the checks whose options changed since they were last asked for, and marks them as under way."""
        names = []
        for name, paths in DEPENDS.items():
            values = tuple(_value(config, path) for path in paths)
            if self._seen.get(name) != values and name not in self._refused:
                self._seen[name] = values
                self.findings[name] = CHECKING
                names.append(name)
        return names

    def found(self, name: str, finding: Finding) -> None:
        """Takes the result of a check; it says nothing of what was typed since and not taken over."""
        if name not in self._refused:
            self.findings[name] = finding

    @property
    def blocker(self) -> str:
        """The reason why Run cannot start; empty if it can."""
        if found := fault(self.findings):
            return found
        if not self.findings or any(finding.level == "checking" for finding in self.findings.values()):
            return "checking the project ..."
        return ""


def _value(config: ProjectConfig, path: str) -> Any:
    section, _, name = path.partition(".")
    options = getattr(config, section)
    return to_plain(getattr(options, name)) if name else repr(options)


def level_name(level: str) -> str:
    """What a screen reader says before a finding."""
    return {"good": "OK", "warning": "warning", "bad": "error", "checking": "checking", "empty": "empty"}[level]


def worst(findings: Mapping[str, Finding]) -> Level:
    """Returns the level that matters most."""
    levels: tuple[Level, ...] = ("bad", "warning", "checking", "empty", "good")
    present = {finding.level for finding in findings.values()}
    return next((level for level in levels if level in present), "empty")
