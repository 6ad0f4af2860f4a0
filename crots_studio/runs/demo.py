"""The demonstration as a source of events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crots.events import Event
from crots.execution.control import Control
from crots.project import Project
from crots_studio.runs.run import EventSource


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
    from crots.demo.run import is_demo, stage_mark

    return is_demo(project.config) and not (project.folder / stage_mark("train")).exists()
