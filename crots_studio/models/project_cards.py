"""The cards of the welcome page: a project's picture, progress, gain, and time of the last change."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crots.arrays import Array
from crots.artefacts import IMAGE_ROWS, LABEL_COLOUR
from crots.config import Size
from crots.errors import CrotsError
from crots.eventlog import running
from crots.files import exists
from crots.images import read_image, resize_image
from crots.outlook import NEEDLESS, outlook
from crots.project import CONFIG_NAME, Project
from crots.project_status import statuses
from crots.records import is_safe_key, parse
from crots.report.results import SOURCE, result_of
from crots.student_start import StudentStart
from crots_studio.models.listing import target_dataset
from crots_studio.models.words import fault_text

PICTURE = Size(width=128, height=72)
# A line of ``images.jsonl`` is that of the first image; longer than this it is not one of ours.
_LONGEST_LINE = 1 << 16


@dataclass(frozen=True, eq=False)
class ProjectCard:
    """One project of the list.

    Attributes:
        path: its folder.
        present: False where it is gone or cannot be read.
        fault: whether it is there and cannot be read, and ``state`` is the error.
        state: ``5 of 7 stages done, 2 stale``, ``running``.
        changed: when something last happened in it, seconds since 1970; None where nothing has.
        first: mIoU of the source, 0..1, None without validation labels.
        last: mIoU of the last model.
        picture: (72, 128, 3) uint8, None where there is none.
    """

    path: Path
    present: bool = True
    fault: bool = False
    state: str = ""
    changed: float | None = None
    first: float | None = None
    last: float | None = None
    picture: Array | None = None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name or str(self.path)

    @property
    def date(self) -> str:
        """``29 Nov 2026``, empty where nothing has happened."""
        return "" if self.changed is None else f"{datetime.datetime.fromtimestamp(self.changed):%d %b %Y}".lstrip("0")

    @property
    def gain(self) -> str:
        """``mIoU 41.3% → 52.6%``, or one figure, or nothing."""
        if self.first is not None and self.last is not None:
            return f"mIoU {self.first:.1%} → {self.last:.1%}"
        known = self.last if self.last is not None else self.first
        return "" if known is None else f"mIoU {known:.1%}"

    @property
    def spoken(self) -> str:
        """The whole card for a screen reader."""
        place = str(self.path) if self.present or self.fault else f"{self.path}, not found"
        return ", ".join(filter(None, (self.name, place, self.date, self.gain, self.state)))


def read_card(path: Path) -> ProjectCard:
    """Reads a card from a few small files of a project; not on the window's thread."""
    if not exists(path / CONFIG_NAME):
        return ProjectCard(path, present=False, state="not found")
    try:
        project = Project.open(path)
        going_on = running(project.lock_path)
        text = "running" if going_on else _standing(project)
        # Those of the models as they are now, which may have been trained again since the evaluation.
        scores = {score.subject: score.miou for score in result_of(project).scores}
    except (CrotsError, OSError) as error:
        return ProjectCard(path, present=False, fault=True, state=f"cannot be opened: {fault_text(error)}")
    first = scores.pop(SOURCE, None)
    last = list(scores.values())[-1] if scores else None
    return ProjectCard(
        path,
        state=text,
        changed=_changed(project),
        first=first,
        last=last,
        picture=_picture(project),
    )


def _standing(project: Project) -> str:
    """``all stages done``, but not where options or inputs have changed since."""
    stages = outlook(project, statuses(project, busy=False), StudentStart().known(project))
    states = [stage.state for stage in stages]
    warned = sum(bool(stage.problem) for stage in stages if stage.state == "done")
    needed = [state for state in states if state != NEEDLESS]
    done, stale = needed.count("done"), needed.count("stale")
    if not any(project.record(key) for key in project.stage_keys()):
        return "nothing run yet"
    text = "all stages done" if done == len(needed) else f"{done} of {len(needed)} stages done"
    marks = (f"{warned} with a warning" if warned else "", f"{stale} stale" if stale else "")
    return ", ".join(filter(None, (text, *marks)))


def _changed(project: Project) -> float | None:
    times = []
    for path in (project.events_path, project.folder / CONFIG_NAME):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=None)


def _picture(project: Project) -> Array | None:
    """The first image, its lower right half in the colours of its pseudo-labels."""
    folder = project.stage_folder("pseudo-label")
    try:
        with (folder / IMAGE_ROWS).open("rb") as file:
            row = parse(file.readline(_LONGEST_LINE))
        key, image = (row.get("key"), row.get("image")) if isinstance(row, dict) else (None, None)
        if not (is_safe_key(key) and is_safe_key(image)) or project.config.data.target is None:
            return None
        root, data = project.path(project.config.data.target), project.config.data
        if not exists(root / str(image)):
            # The images of a data set's split lie further down, where only its layout tells.
            root = target_dataset(root, data.layout, data.split).root
        photograph = resize_image(read_image(root / str(image)), PICTURE)
        labels = resize_image(read_image(folder / LABEL_COLOUR / f"{key}.png"), PICTURE)
    except (CrotsError, OSError, ValueError):
        return None
    rows, columns = np.mgrid[: PICTURE.height, : PICTURE.width]
    beneath = (columns / PICTURE.width + rows / PICTURE.height > 1)[..., None]
    return np.ascontiguousarray(np.where(beneath, labels // 2 + photograph // 2, photograph))
