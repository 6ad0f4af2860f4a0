"""The demonstration as a source of events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crots.errors import InputError
from crots.events import Event
from crots.execution.control import Control
from crots.files import exists
from crots.project import CONFIG_NAME, Project, unfit
from crots_studio.models.words import fault_text
from crots_studio.runs.run import EventSource


def demo_source(folder: Path, *, tiny: bool = False) -> EventSource:
    """Returns what renders two small domains, trains on one and adapts to the other, in a project of its own."""

    def source(control: Control) -> Iterator[Event]:
        # Loads torch, so not before the run has its own thread.
        from crots.demo.run import demo_events

        yield from demo_events(folder, tiny=tiny, control=control)

    return source


def refusal(folder: Path) -> str:
    """Why no demonstration can be made or resumed in a folder; empty where one can."""
    if not exists(folder / CONFIG_NAME):
        return unfit(folder)
    try:
        config = Project.open(folder).config
    except InputError as error:
        return fault_text(error)
    # The renderer and the training are loaded only if it may be one.
    if config.task.classes == "demo":
        from crots.demo.run import is_demo

        if is_demo(config):
            return ""
    return f"{folder} holds another project; choose another folder for the demonstration."


def is_unfinished(project: Project) -> bool:
    """Whether a project is a demonstration whose images or source model are not created yet."""
    if project.config.task.classes != "demo":
        return False
    from crots.demo.run import is_demo, stage_mark

    return is_demo(project.config) and not (project.folder / stage_mark("train")).exists()
