"""Several projects and one computer: leaving a run that goes on elsewhere, and starting one beside another."""

import time
from pathlib import Path

import filelock
import pytest

from crots.project import Project
from crots_studio.runs.queue import FILE, RunQueue
from crots_studio.runs.run import RunRequest
from crots_studio.widgets.run_question import other_run, start_run
from tests.studio.runs.test_queue import FakeRun, open_and_follow


@pytest.fixture
def queue(session):
    session.queue.start_run = FakeRun
    session.queue.why_not_ready = lambda project, trusted: ""
    return session.queue


@pytest.fixture
def lock(projects):
    """As if a process ran the first project."""
    with filelock.FileLock(Project.open(Path(projects[0])).lock_path) as lock:
        yield lock


def end(qtbot, session, lock):
    """As if the process ended; the window would wait for it."""
    lock.release()
    qtbot.waitUntil(lambda: not session.run.busy)


def test_another_project_is_opened_during_a_run_in_its_own_process(qtbot, session, window, projects, lock):
    received = []
    session.notice.connect(received.append)
    open_and_follow(qtbot, session, projects[0])
    actions = window.menus.actions
    assert actions["Open project"].isEnabled() and actions["Close project"].isEnabled()
    window.project_actions.go_to_project(Path(projects[1]))
    qtbot.waitUntil(lambda: session.project.folder == Path(projects[1]))
    assert not session.run.busy and session.run.left == (Path(projects[0]),)
    assert received == ["The run of one continues in the background. Open the project again to follow it."]
    window.project_actions.go_to_project(Path(projects[0]))
    qtbot.waitUntil(lambda: session.run.busy)
    assert session.run.detached and session.run.left == ()
    window.project_actions.close_project()
    assert session.project is None and not session.run.busy and session.run.left == (Path(projects[0]),)


def test_a_project_that_cannot_be_opened_leaves_the_run_in_view(qtbot, session, window, projects, lock, tmp_path):
    open_and_follow(qtbot, session, projects[0])
    window.project_actions.go_to_project(tmp_path / "nothing")
    qtbot.waitUntil(lambda: hasattr(window.project_actions, "message"))
    assert session.run.busy and session.project.folder == Path(projects[0])
    end(qtbot, session, lock)


def test_the_same_project_opened_again_is_still_followed(qtbot, session, window, projects, lock):
    received = []
    session.notice.connect(received.append)
    open_and_follow(qtbot, session, projects[0])
    with qtbot.waitSignal(session.opened.project_changed):
        window.project_actions.go_to_project(Path(projects[0]))
    qtbot.waitUntil(lambda: session.run.busy)
    assert not received and not session.run.left
    end(qtbot, session, lock)


def test_a_run_of_the_window_itself_keeps_its_project(qtbot, session, window, projects, scripted, open_project):
    scripted(wait_for_stop)
    open_project(projects[0])
    session.run.start()
    assert not window.menus.actions["Open project"].isEnabled()
    window.project_actions.go_to_project(Path(projects[1]))
    assert "separate process" in window.project_actions.message.text()
    assert session.project.folder == Path(projects[0])
    session.run.stop()
    qtbot.waitUntil(lambda: not session.run.busy)


def wait_for_stop(control):
    while True:
        control.check()
        time.sleep(0.01)


def test_a_run_beside_the_queue_is_asked_about(qtbot, session, window, queue, projects, open_project, monkeypatch):
    started = []
    monkeypatch.setattr(session.run, "start", lambda request=None: started.append(request))
    queue.add(projects[:1])
    queue.start()
    qtbot.waitUntil(lambda: queue.state.done == 4)
    open_project(projects[1])
    question = start_run(session, window)
    assert "one is running. Run two at the same time?" in question.text() and not started
    assert question.defaultButton() is question.queue_button
    question.queue_button.click()
    assert [Path(entry.folder).name for entry in queue.entries] == ["one", "two"] and not started
    question = start_run(session, window)
    question.run_button.click()
    assert started == [RunRequest()]
    # One stage cannot wait in the queue, which runs whole projects.
    question = start_run(session, window, RunRequest(only="baseline"))
    assert not question.queue_button.isVisibleTo(question)
    question.reject()
    assert len(started) == 1
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_the_project_that_the_queue_is_starting_is_not_started_again(qtbot, session, window, queue, projects):
    queue.start_run = FakeRun
    queue.add(projects[:1])
    queue.start()
    qtbot.waitUntil(lambda: queue.state.done == 4)
    with qtbot.waitSignal(session.opened.project_changed):
        session.opened.open_project(projects[0])
    assert not window.run_bar.run.isEnabled()
    assert not window.menus.actions["Run all remaining stages"].isEnabled()
    received = []
    session.notice.connect(received.append)
    assert start_run(session, window) is None and not session.run.busy and "already" in received[0]
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_the_queue_of_another_window_counts_too(qtbot, session, queue, projects, settings, open_project):
    other = RunQueue(settings.home / FILE, session.errands, lambda: False)
    other.start_run, other.why_not_ready = FakeRun, queue.why_not_ready
    other.add(projects[:1])
    other.start()
    qtbot.waitUntil(lambda: other.state.done == 4)
    assert not queue.running and Path(other_run(session)).name == "one"
    with qtbot.waitSignal(other.halted):
        other.stop()
    assert other_run(session) == ""
    other.close()


def test_a_run_that_was_left_counts_until_it_has_ended(qtbot, session, projects, lock):
    open_and_follow(qtbot, session, projects[0])
    session.opened.open_project(projects[1])
    qtbot.waitUntil(lambda: session.run.left == (Path(projects[0]),))
    assert other_run(session) == projects[0]
    lock.release()
    qtbot.waitUntil(lambda: not session.run.left)
    assert other_run(session) == ""
