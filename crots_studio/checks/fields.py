"""Checks one field of a project; whatever goes wrong becomes a finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

from crots.data.layouts import AmbiguousLayout
from crots.data.readings import ENCODING_TEXTS, AmbiguousLabels
from crots.errors import CrotsError
from crots.nets.units import OtherUnits
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.trust import Code
from crots_studio.checks.classes import check_class_map, check_classes, check_source_classes
from crots_studio.checks.images import check_size, check_target
from crots_studio.checks.setup import Setup
from crots_studio.checks.source import check_source
from crots_studio.checks.student import check_student
from crots_studio.checks.validation import check_validation
from crots_studio.models.project_form import TITLES, Finding, Offer, ProjectForm
from crots_studio.models.words import fault_text

_VERSIONS = "There are several versions of the same images. Which ones are to be used?"
CHECKS: dict[str, Callable[[Setup], Finding]] = {
    "data.target": check_target,
    "data.size": check_size,
    "task.classes": check_classes,
    "task.source_classes": check_source_classes,
    "task.class_map": check_class_map,
    "source": check_source,
    "student": check_student,
    "validation": check_validation,
}
# The options of each check that name files or folders.
INPUTS = {
    "data.target": (("data", "target"),),
    "task.classes": (("task", "classes"),),
    "task.source_classes": (("task", "source_classes"),),
    "task.class_map": (("task", "class_map"),),
    "source": (("source", "file"), ("source", "predictions"), ("source", "confidence")),
    "student": (("student", "weights"),),
    "validation": (("data", "val_images"), ("data", "val_labels")),
}


def check(name: str, config: ProjectConfig, root: Path, trusted: Collection[Code] = ()) -> Finding:
    """Checks one field; every error becomes a finding."""
    setup = Setup(config, root, trusted)
    try:
        _check_place(name, setup)
        return CHECKS[name](setup)
    except CrotsError as error:
        if owner := _shown_by(name, setup, fault_text(error)):
            return Finding("empty", f"Checked once this is fixed: {TITLES[owner]}.")
        # Labels that can be read in two ways are a question.
        choices = error.choices if isinstance(error, AmbiguousLabels) else {}
        field = error.field or ""
        offers = tuple(Offer(f"Read as {ENCODING_TEXTS[name]}", {field: name}) for name in choices)
        if isinstance(error, AmbiguousLayout):
            option = "data.val_layout" if name == "validation" else "data.layout"
            offers = tuple(Offer(f"Take {layout}", {option: layout}) for layout in error.choices)
            return Finding("bad", _VERSIONS, brief="which version?", offers=offers)
        if isinstance(error, OtherUnits):
            offers = (Offer(f"Use {error.value}", {field: error.value}),)
        text = _beside_its_field(fault_text(error, offered=bool(offers)), name, setup)
        return Finding("bad", text, offers=offers)
    except OSError as error:
        return Finding("bad", f"cannot be read: {error.strerror or fault_text(error)}")
    except Exception as error:  # a broken file may raise anything; the window must go on
        return Finding("bad", f"{type(error).__name__}: {fault_text(error)}")


def _beside_its_field(text: str, name: str, setup: Setup) -> str:
    """Shortens a path that stands in the field above a message to its last part."""
    for section, option in INPUTS.get(name, ()):
        value = getattr(getattr(setup.config, section), option)
        if isinstance(value, Path) and text.startswith(f"{setup.path(value)}: "):
            path = setup.path(value)
            return f"{path.name}{text.removeprefix(str(path))}"
    return text


def why_not_ready(project: Project, trusted: Collection[Code] = ()) -> str:
    """Returns why Set-up would keep this project from running, as it says beside Run; empty where it would not."""
    form = ProjectForm()
    for name in form.due(project.config):
        form.found(name, check(name, project.config, project.folder, trusted))
    return form.blocker


def _check_place(name: str, setup: Setup) -> None:
    """Refuses the field's own inputs where the project writes, as a run does."""
    config, empty = setup.config, ProjectConfig()
    alone = {section: getattr(empty, section) for section in ("data", "task", "source", "student")}
    for section, option in INPUTS.get(name, ()):
        value = getattr(getattr(config, section), option)
        alone[section] = dataclasses.replace(alone[section], **{option: value})
    Project(setup.root, dataclasses.replace(config, **alone)).check_inputs()


def _shown_by(name: str, setup: Setup, message: str) -> str:
    """The field further up that already shows this error; empty where there is none."""
    for owner, look in (
        ("data.target", lambda: setup.target),
        ("task.classes", lambda: setup.classes),
        ("task.source_classes", lambda: setup.source_classes),
        ("task.class_map", lambda: setup.class_map),
    ):
        if owner == name:
            break
        if owner == "data.target" and setup.config.data.target is None:
            continue
        try:
            look()
        except (CrotsError, OSError) as error:
            if fault_text(error) == message:
                return owner
    return ""
