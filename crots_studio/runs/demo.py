"""The demonstration as a source of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crots.events import Event
from crots.execution.control import Control
from crots.project import Project, ProjectConfig
from crots_studio.runs.run import EventSource

if TYPE_CHECKING:
    from crots.demo.run import Scale


def demo_source(folder: Path, *, tiny: bool = False) -> EventSource:
    """Returns what renders two small domains, trains on one and adapts to the other, in a project of its own."""

    def source(control: Control) -> Iterator[Event]:
        # Loads torch, so not before the run has its own thread.
        from crots.demo.run import demo_events

        yield from demo_events(folder, tiny=tiny, control=control)

    return source


def is_unfinished(project: Project) -> bool:
    """Whether a project is a demonstration whose images or source model are still to be made."""
    if project.config.task.classes != "demo":
        return False
    from crots.demo.run import demo_config, stage_mark

    return _is_demo(project, demo_config) and not (project.folder / stage_mark("train")).exists()


def _is_demo(project: Project, demo_config: Callable[[Scale], ProjectConfig]) -> bool:
    from crots.demo.run import FULL

    wanted, found = demo_config(FULL), project.config
    return (wanted.data.target, wanted.source.file) == (found.data.target, found.source.file)
