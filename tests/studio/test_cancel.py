"""Cancel asks, says what is lost and what stays, and never takes the place of another button."""

import pytest
from PySide6.QtCore import Qt

from crots.eventlog import EventLog, last_endings
from crots.events import Evaluated, StageFinished
from crots_studio.runs.run import RunRequest
from crots_studio.widgets.discard_question import DiscardQuestion
from tests.studio.scripts import START, FakeChild, long_run


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_double_click_on_run_meets_no_other_button_and_no_button_moves(qtbot, session, ready, scripted):
    long_run(scripted)
    bar = ready.run_bar
    buttons = [bar.run, bar.pause, bar.stop, bar.cancel]
    places = [button.geometry() for button in buttons]
    qtbot.mouseDClick(bar, Qt.MouseButton.LeftButton, pos=bar.run.geometry().center())
    qtbot.mouseClick(bar.run, Qt.MouseButton.LeftButton)
    assert bar.childAt(places[0].center()) is bar.run
    qtbot.mouseClick(bar.childAt(places[0].center()), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.run.state.done == 1)
    for pause in (True, False):
        qtbot.mouseClick(bar.pause, Qt.MouseButton.LeftButton)
        assert session.run.state.paused == pause
        qtbot.wait(20)
        assert [button.geometry() for button in buttons] == places
    assert session.run.busy and not session.run.state.stopping


@pytest.fixture
def cancelling(qtbot, session, ready, scripted):
    """A second run of a stage that has a result, with the question whether to cancel it."""
    long_run(scripted)
    project = session.project
    project.begin("baseline")
    write(project.work_folder("baseline") / "student.safetensors", b"first")
    log = EventLog(project.events_path)
    for event in (START, Evaluated(stage="baseline", subject="baseline", step=9, miou=0.5, per_class_iou={}, images=1)):
        log.append(event)
    log.append(StageFinished(stage="baseline", outcome="completed", seconds=9))
    project.finish("baseline", 9.0, 0.5)
    project.begin("baseline")
    write(project.work_folder("baseline") / "checkpoint.pt", b"x")
    log.append(START)
    session.run.start()
    qtbot.waitUntil(lambda: session.run.state.done == 1)
    qtbot.mouseClick(ready.run_bar.cancel, Qt.MouseButton.LeftButton)
    question = ready.findChild(DiscardQuestion)
    yield question
    if session.run.busy:
        session.run.stop()
        qtbot.waitUntil(lambda: not session.run.busy)


def answer(box, words):
    next(button for button in box.buttons() if button.text() == words).click()


def test_cancel_asks_and_says_what_goes_and_what_stays(qtbot, session, cancelling):
    assert cancelling.isVisible() and session.run.busy and not session.run.state.stopping
    text = cancelling.informativeText()
    assert "1 of 100 steps" in text and "cannot be undone" in text
    assert "earlier result of Baseline stays" in text and "mIoU 50.0%" in text
    assert cancelling.defaultButton().text() == "Keep running"
    cancelling.reject()
    assert session.run.busy and not session.run.state.stopping


def test_cancel_discards_only_once_agreed_and_the_earlier_result_stays(qtbot, session, ready, cancelling):
    project = session.project
    answer(cancelling, "Discard")
    qtbot.waitUntil(lambda: not session.run.busy)
    assert not project.work_folder("baseline").exists()
    assert (project.stage_folder("baseline") / "student.safetensors").read_bytes() == b"first"
    assert project.record("baseline")["miou"] == 0.5
    # What the earlier run had said is shown again, here and after the next start.
    assert session.opened.history.stage("baseline").miou == 0.5
    assert last_endings(project.events_path)["baseline"].outcome == "completed"
    assert "cancelled" not in ready.log_panel.text


def test_the_question_can_stop_and_keep_instead(qtbot, session, cancelling):
    project = session.project
    answer(cancelling, "Stop and keep")
    qtbot.waitUntil(lambda: not session.run.busy)
    assert (project.work_folder("baseline") / "checkpoint.pt").exists()


def test_the_question_goes_when_another_stage_is_at_work(qtbot, session, cancelling):
    session.run.state.stage = "mine"
    session.run.changed.emit()
    assert not cancelling.isVisible() and not session.run.state.stopping


def test_the_rail_asks_before_it_discards(qtbot, session, ready):
    project = session.project
    project.begin("pseudo-label")
    write(project.work_folder("pseudo-label") / "half", b"x")
    ready.rail.discard("pseudo-label")
    question = ready.findChild(DiscardQuestion)
    assert "no earlier result" in question.informativeText()
    answer(question, "Keep")
    assert project.work_folder("pseudo-label").exists()
    ready.rail.discard("pseudo-label")
    answer(ready.findChildren(DiscardQuestion)[-1], "Discard")
    qtbot.waitUntil(lambda: not session.run.busy)
    assert not project.work_folder("pseudo-label").exists()


def test_a_comparison_cannot_be_discarded(session, ready):
    child = FakeChild([])
    session.run.request = RunRequest(seeds=(0,))
    session.run.begin(child)
    assert not ready.run_bar.cancel.isEnabled() and ready.run_bar.stop.isEnabled()
    assert not ready.menus.actions["Cancel and discard"].isEnabled()
    assert session.run.leave()
