"""What tests of whole tiny projects ask and do."""

from crots.artefacts import STUDENT
from crots.events import Metrics, StageFinished
from crots.execution.control import Control
from crots.project_status import statuses
from crots.runner import run_project
from tests.stages import tiny_world as world


def states(project):
    return {status.key: status.state for status in statuses(project)}


def ends(events):
    return {event.stage: event.outcome for event in world.of(events, StageFinished)}


def student_of(project, key):
    return world.weights_of(project.stage_folder(key) / STUDENT)


def run(project, **more):
    return list(run_project(project, **more))


def stop_at(project, matches, **more):
    """Runs a project and asks it to stop at the first event for which ``matches`` is true."""
    control, events = Control(), []
    for event in run_project(project, control=control, **more):
        events.append(event)
        if matches(event):
            control.stop()
    return events


def metrics_at(stage, step):
    return lambda event: isinstance(event, Metrics) and (event.stage, event.step) == (stage, step)
