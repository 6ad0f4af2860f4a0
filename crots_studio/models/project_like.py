"""The options of a new project that copies another one, with its images or without."""

from __future__ import annotations

import os
from typing import Any

from crots.files import exists
from crots.options import path_options
from crots.project import Project
from crots.project_config import ProjectConfig, override

# What belongs to the other project's images.
_OF_THE_IMAGES = (
    "data.target", "data.layout", "data.split", "data.val_images", "data.val_labels", "data.val_layout",
    "data.val_encoding", "source.predictions", "source.confidence",
)  # fmt: skip


def config_like(project: Project, *, images: bool = False) -> ProjectConfig:
    """Returns a project's options; what they name in its folder is found from anywhere.

    Args:
        project: the other one.
        images: also takes over its images, for a variant of the same run.
    """
    config, empty = project.config, ProjectConfig()
    values = {} if images else {path: _value(empty, path) for path in _OF_THE_IMAGES}
    for path, info in path_options().items():
        value = _value(config, path)
        if path in values or value in (None, ""):
            continue
        found = project.path(value)
        if info.path != "name or file" or (exists(found) and found.is_file()):
            values[path] = os.path.normpath(found)
    return override(config, values)


def _value(config: ProjectConfig, path: str) -> Any:
    section, name = path.split(".")
    return getattr(getattr(config, section), name)
