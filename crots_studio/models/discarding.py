"""Describes what discarding the unfinished work of a stage deletes, and what it keeps."""

from __future__ import annotations

import time
from dataclasses import dataclass

from crots.errors import InputError
from crots.project import Project
from crots_studio.models.names import title
from crots_studio.models.words import plural


@dataclass(frozen=True)
class Loss:
    """What discarding a stage deletes and keeps.

    Attributes:
        stage: its key.
        goes: what is thrown away.
        stays: what is kept.
    """

    stage: str
    goes: str
    stays: str

    @property
    def question(self) -> str:
        """``Discard the unfinished run of Round 1?``."""
        return f"Discard the unfinished run of {title(self.stage)}?"


def loss(project: Project | None, key: str, *, done: int, total: int, unit: str = "steps") -> Loss:
    """Describes what discarding a stage deletes and what it keeps.

    Args:
        project: None where a demonstration has not made its own yet.
        key: of the stage.
        done: units that its unfinished run has done.
        total: of the whole stage; 0 where it is not known.
        unit: ``steps``, ``images`` or ``files``.
    """
    goes = (
        f"Its {done:,} of {plural(total, unit.removesuffix('s'))} will be lost"
        if total
        else "Its work so far will be lost"
    )
    return Loss(key, f"{goes}; this cannot be undone.", f"{_stays(project, key)} Other stages keep their results.")


def _stays(project: Project | None, key: str) -> str:
    none = f"There is no earlier result of {title(key)}."
    if project is None or not project.record_path(key).exists():
        return none
    try:
        record = project.record(key)
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(project.record_path(key).stat().st_mtime))
    except (InputError, OSError):
        return f"The earlier result of {title(key)} stays."
    if record is None:
        return none
    miou = record.get("miou")
    score = f", mIoU {miou:.1%}" if isinstance(miou, float) else ""
    return f"The earlier result of {title(key)} stays ({made}{score})."
