"""The export of doubtful images to a labelling tool and the import of corrections, as forms and as events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crots.errors import InputError
from crots.events import Event
from crots.files import exists, free_place
from crots.project import Project
from crots_studio.background.loading import preload_torch
from crots_studio.models.label_edit import Import, LabelEdits
from crots_studio.models.suspicion import INDEX
from crots_studio.models.words import command_text

if TYPE_CHECKING:
    from crots.execution.context import Context
    from crots.execution.control import Control
    from crots.stages.labelling_tools import Tool

# What the formats are called, as their tools call them.
TOOLS: dict[Tool, str] = {
    "cvat": "CVAT (Segmentation mask 1.1)",
    "labelme": "labelme, X-AnyLabeling (a JSON file beside each image)",
}


def new_folder(project: Project) -> Path:
    """Returns a folder beside the project that is not there yet."""
    return free_place(project.folder.with_name(f"{project.folder.name}-to-correct"))


@dataclass(frozen=True)
class LabellingExport:
    """What the user chose to export."""

    project: Project
    count: int
    tool: Tool
    out: Path | None

    def problem(self) -> str:
        """Says what is missing; empty where nothing is."""
        if self.out is None:
            return "Choose a new folder for the images."
        out, target = self.out.resolve(), self.project.config.data.target
        if exists(out) and (not out.is_dir() or any(out.iterdir())):
            return f"{self.out} is not empty; choose a new folder."
        if out.is_relative_to(self.project.folder.resolve()):
            return f"{self.out} lies in the project; choose a folder outside of it."
        if target is not None and out.is_relative_to(self.project.path(target).resolve()):
            return f"{self.out} lies among the target images; choose another folder."
        return ""

    def command(self) -> str:
        """Returns the command line that writes the same files."""
        words = ["crots", "suspects", str(self.project.folder), "--top", str(self.count), "--export", str(self.out)]
        return command_text([*words, "--tool", self.tool, *_trust(self.project)])


@dataclass(frozen=True)
class ImportForm:
    """What the user chose to import."""

    project: Project
    folder: Path | None

    def problem(self) -> str:
        """Says what is missing; empty where nothing is."""
        if self.folder is None:
            return "Choose the unpacked export of the labelling tool."
        return (
            "" if self.folder.is_dir() else f"{self.folder} is not a folder; unpack the export of the labelling tool."
        )

    def command(self) -> str:
        """Returns the command line that does the same."""
        words = ["crots", "suspects", str(self.project.folder), "--import", str(self.folder)]
        return command_text([*words, *_trust(self.project)])


def _trust(project: Project) -> list[str]:
    return ["--trust"] if project.config.runtime.trust else []


def export_events(form: LabellingExport, control: Control) -> Iterator[Event]:
    """Exports images with their pseudo-labels; searches for doubtful ones first if that was not done.

    Loads torch, so not on the window's thread.

    Raises:
        InputError: the form has a problem, or there are no pseudo-labels.
    """
    preload_torch()
    from crots.runner import run_stage
    from crots.stages.labelling_rounds import export_doubtful_job
    from crots.stages.labelling_tools import export_doubtful
    from crots.stages.suspects import search, suspects_of

    if form.problem() or form.out is None:
        raise InputError(form.problem())
    if not exists(form.project.folder / INDEX):
        job = suspects_of(form.project)
        yield from run_stage(partial(search, form.project, job), _context(control))
        if not exists(form.project.folder / INDEX):
            return
    job_out = export_doubtful_job(form.project, form.count, form.out, form.tool)
    yield from run_stage(partial(export_doubtful, job_out), _context(control))


def import_events(form: ImportForm, found: list[Import], control: Control) -> Iterator[Event]:
    """Imports corrections; likewise.

    Args:
        form: what the user chose.
        found: gets what changed, for undo.
        control: stops before anything is written.

    Raises:
        InputError: the form has a problem, or there are no pseudo-labels.
    """
    preload_torch()
    from crots.runner import run_stage
    from crots.stages.labelling_rounds import import_corrected_job
    from crots.stages.labelling_tools import import_corrected

    if form.problem() or form.folder is None:
        raise InputError(form.problem())
    job = import_corrected_job(form.project, form.folder)
    before = LabelEdits(job.labels).states()
    try:
        yield from run_stage(partial(import_corrected, job), _context(control))
    finally:
        after = LabelEdits(job.labels).states()
        found += [
            Import(key, before.get(key), after.get(key))
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]


def _context(control: Control) -> Context:
    from crots.execution.context import Context
    from crots.stages.suspects import STAGE

    return Context(STAGE, control)
