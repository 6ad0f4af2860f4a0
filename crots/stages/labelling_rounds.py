"""The jobs that take a project's doubtful images to a labelling tool, and the corrected labels back."""

from __future__ import annotations

from pathlib import Path

from crots.errors import InputError
from crots.project import Project
from crots.stages.labelling_tools import ExportDoubtfulJob, ImportCorrectedJob, Tool
from crots.stages.project_stages import open_material
from crots.stages.suspects import FOLDER, INDEX, STAGE
from crots.stages.suspicion_file import load_suspicion
from crots.stages.workbench import Workbench
from crots.training.material import Material


def export_doubtful_job(project: Project, count: int, out: Path, tool: Tool) -> ExportDoubtfulJob:
    """Returns the export of the images that were found most doubtful.

    Raises:
        InputError: nothing was searched yet, or there are no pseudo-labels.
    """
    found = load_suspicion(project.folder / FOLDER / INDEX)
    if found is None:
        raise InputError(f"{project.folder}: no search for suspicious labels yet; run `crots suspects` first")
    data = _material(project)
    assert data.pseudo_labels is not None
    samples = {sample.key: sample for sample in data.samples}
    keys = [row["key"] for row in found["images"][:count]]
    chosen = [samples[key] for key in keys if key in samples]
    return ExportDoubtfulJob(chosen, data.cache, data.pseudo_labels, out, tool)


def import_corrected_job(project: Project, folder: Path) -> ImportCorrectedJob:
    """Returns the import of labels that were corrected in a labelling tool.

    Raises:
        InputError: there are no pseudo-labels to correct.
    """
    project.check_places()
    data = _material(project)
    assert data.pseudo_labels is not None
    return ImportCorrectedJob(folder, [sample.key for sample in data.samples], data.pseudo_labels, project.folder)


def _material(project: Project) -> Material:
    return open_material(project, Workbench(project.config, project.folder, project.cache_folder, STAGE))
