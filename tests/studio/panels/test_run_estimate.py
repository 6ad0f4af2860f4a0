"""The estimate beside Run: shown where one is stored, asked for where none is, never measured by the window."""

import sys

import pytest

from crots.estimate.facts import StageEstimate, store
from crots.events import StageFinished
from crots_studio.panels.run_bar import RunBar
from crots_studio.panels.run_estimate import RunEstimate
from crots_studio.runs.child import command_line
from crots_studio.runs.run import BackgroundRun, RunRequest, project_events
from crots_studio.widgets.notifier import Notifier
from tests.studio.fake_project import make_fake_project
from tests.studio.scripts import step


@pytest.fixture
def opened(qtbot, session, tmp_path):
    project = make_fake_project(tmp_path, until="mine")
    session.opened.open_project(project.folder)
    qtbot.waitUntil(lambda: session.project is not None and bool(session.opened.status), timeout=60_000)
    return session


@pytest.fixture
def label(qtbot, opened):
    widget = RunEstimate(opened)
    qtbot.addWidget(widget)
    return widget


def store_estimates(project, seconds=6.0):
    for key in ("adapt-1", "evaluate"):
        store(project, key, StageEstimate("steps", 100, seconds, memory=1.3e9, each="4 images of 64x48"))


def test_without_a_stored_estimate_it_asks_for_one(qtbot, session, opened, label, scripted):
    assert label.text() == "Estimate" and label.isVisibleTo(None)
    scripted()
    label.click()
    assert scripted.requests == [RunRequest(estimate=True)]
    assert session.run.state.text.startswith("Estimating")
    qtbot.waitUntil(lambda: not session.run.busy, timeout=60_000)


def test_a_stored_estimate_is_shown_with_its_parts(qtbot, session, opened, label):
    store_estimates(opened.project)
    with qtbot.waitSignal(session.opened.status_changed, timeout=60_000):
        session.opened.refresh_status()
    assert label.text().startswith("about 30 min, 1.3 GB")
    assert "up to 2 rounds 20 min (100 steps of 4 images of 64x48)" in label.toolTip()
    # With other options it no longer holds.
    with qtbot.waitSignal(session.opened.status_changed, timeout=60_000):
        session.opened.set_options({"adapt.batch": "8"})
    qtbot.waitUntil(lambda: label.text() == "Estimate", timeout=60_000)


def test_it_is_not_there_during_a_run_or_nothing_is_left(qtbot, session, tmp_path, scripted):
    project = make_fake_project(tmp_path)
    session.opened.open_project(project.folder)
    qtbot.waitUntil(lambda: bool(session.opened.status), timeout=60_000)
    widget = RunEstimate(session)
    qtbot.addWidget(widget)
    assert not widget.isVisibleTo(None)
    session.opened.close_project()
    assert not widget.isVisibleTo(None)


def test_looking_for_it_loads_no_torch(session, opened):
    assert session.opened.estimate is None
    loaded = [name for name in sys.modules if name.startswith("crots.estimate.")]
    assert "crots.estimate.facts" in loaded


def test_a_request_for_it_runs_nothing_and_says_what_does_not_fit(tmp_path):
    adapt = {"batch": 3, "accumulate": 2, "stop_rounds": False}
    project = make_fake_project(tmp_path, until="mine", sections={"adapt": adapt})
    run = BackgroundRun(project_events(project, RunRequest(estimate=True)))
    run.work()
    assert run.end.outcome == "failed" and "accumulate" in run.end.message and not run.end.detail, run.end
    assert not [event for event in run.drain() if isinstance(event, StageFinished)]
    assert not project.started_path("adapt-1").exists()


def test_a_child_process_is_asked_for_it_alone(tmp_path):
    project = make_fake_project(tmp_path, until="mine")
    words = command_line(project, RunRequest(estimate=True))
    assert words == ["crots", "run", str(project.folder), "--estimate"]


def test_an_estimate_that_was_stopped_is_no_run(qtbot, session, opened, scripted):
    notifier, bar = Notifier(session), RunBar(session)
    for widget in (notifier, bar):
        qtbot.addWidget(widget)
    scripted(*[step()] * 2000)
    session.run.start(RunRequest(estimate=True))
    assert bar.text.text().startswith("Estimating: timing a few steps") and not bar.cancel.isEnabled()
    session.run.stop()
    qtbot.waitUntil(lambda: not session.run.busy)
    assert notifier.text.text() == "The estimate was stopped. Nothing was changed."


def test_a_run_says_what_it_does_before_its_first_stage(qtbot, session, opened, scripted):
    scripted(*[step()] * 2000)
    session.run.start()
    assert session.run.state.text == "Starting: timing a few steps of each stage ..."
    session.run.stop()
    assert session.run.state.text == "Starting: timing a few steps of each stage: stopping after this step ..."
    qtbot.waitUntil(lambda: not session.run.busy)
