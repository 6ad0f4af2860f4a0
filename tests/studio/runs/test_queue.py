"""The queue at work: one after another, after failures too, never by itself, and in a process of its own."""

import json
from pathlib import Path

import filelock
import pytest

from crots.events import Progress, StageStarted
from crots.project import Project
from crots.project_config import override
from crots.trust import Code
from crots_studio.runs.queue import FILE, RunQueue, not_ready, prepare
from crots_studio.runs.run import RunEnd
from crots_studio.session import Session
from tests.studio.fake_project import make_fake_project

EVENTS = (
    StageStarted(stage="baseline", total=10, unit="steps", device="cpu"),
    Progress(stage="baseline", done=4, total=10),
)


class FakeRun:
    """A run that goes on until it is ended by hand."""

    detached = controllable = True
    paused = False
    end = None

    def __init__(self, prepared):
        self.project, self.waiting = prepared.project, list(EVENTS)

    def stop(self):
        self.end = RunEnd("cancelled", "baseline")

    def drain(self):
        taken, self.waiting = self.waiting, []
        return taken


@pytest.fixture
def queue(session):
    session.queue.runs = []

    def start(prepared):
        session.queue.runs.append(FakeRun(prepared))
        return session.queue.runs[-1]

    session.queue.start_run = start
    # These projects are empty; what Set-up would say of them is another test's.
    session.queue.why_not_ready = lambda project, trusted: ""
    return session.queue


def open_and_follow(qtbot, session, folder):
    """Opens a project that another process runs, as far as its lock says."""
    session.opened.open_project(folder)
    qtbot.waitUntil(lambda: session.run.busy)
    assert session.run.detached and session.project.folder == Path(folder)


def states(queue):
    return [entry.state for entry in queue.entries]


def end(qtbot, queue, number, outcome, message=""):
    """Waits for the run and ends it."""
    qtbot.waitUntil(lambda: len(queue.runs) == number)
    queue.runs[-1].end = RunEnd(outcome, "baseline", message)


def test_a_project_is_checked_before_its_run_and_not_again_where_that_failed(qtbot, queue, projects):
    """The checks open images and models."""
    asked = []
    queue.why_not_ready = lambda project, trusted: asked.append(project.folder.name) or ""
    queue.add(projects[:2])
    queue.start()
    with qtbot.waitSignal(queue.halted):
        end(qtbot, queue, 1, "failed", "out of memory")
        end(qtbot, queue, 2, "completed")
    assert asked == ["one", "two"] and states(queue) == ["failed", "done"]


def test_projects_run_one_after_another_and_a_failure_stops_none(qtbot, session, queue, projects):
    said, problems = [], []
    queue.notice.connect(said.append)
    session.problem.connect(problems.append)
    queue.add(projects)
    qtbot.wait(600)
    assert not queue.running and not queue.runs, "it never starts by itself"
    queue.start()
    qtbot.waitUntil(lambda: queue.state.done == 4)
    assert queue.summary == "Queue: one is running, 2 waiting" and states(queue) == ["running", "waiting", "waiting"]
    with qtbot.waitSignal(queue.halted):
        end(qtbot, queue, 1, "completed")
        end(qtbot, queue, 2, "failed", "out of memory; set `baseline.batch` lower")
        end(qtbot, queue, 3, "completed")
    assert states(queue) == ["done", "failed", "done"] and not queue.running
    assert [run.project.folder.name for run in queue.runs] == ["one", "two", "three"]
    failure = queue.entries[1].words
    assert "out of memory" in failure and "`" not in failure, "options are called as in the window"
    assert any("two failed: out of memory" in text for text in problems) and "Queue: one is done." in said
    queue.start()
    assert not queue.running, "nothing waits"


def test_stop_keeps_the_rest_and_start_continues(qtbot, queue, projects):
    queue.add(projects[:2])
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    with qtbot.waitSignal(queue.halted):
        queue.stop()
    assert states(queue) == ["waiting", "waiting"] and "continues" in queue.entries[0].words
    queue.start()
    qtbot.waitUntil(lambda: len(queue.runs) == 2)
    assert queue.runs[-1].project.folder.name == "one"
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_it_survives_a_restart_and_waits_for_a_click(qtbot, session, queue, projects, settings):
    queue.add(projects)
    queue.move(projects[2], -2)
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    session.close()
    later = Session(settings)
    try:
        later.queue.refresh()
        assert [entry.name for entry in later.queue.entries] == ["three", "one", "two"]
        assert states(later.queue) == ["running", "waiting", "waiting"]
        qtbot.wait(600)
        assert not later.queue.running and later.queue.waiting == 3
        started = []
        later.queue.start_run = lambda prepared: started.append(prepared) or FakeRun(prepared)
        later.queue.why_not_ready = queue.why_not_ready
        later.queue.start()
        qtbot.waitUntil(lambda: bool(started))
        assert started[0].project.folder.name == "three", "what was begun is first"
        with qtbot.waitSignal(later.queue.halted):
            later.queue.stop()
    finally:
        later.close()


def test_a_run_in_the_window_goes_first(qtbot, session, queue, projects):
    queue.window_busy = lambda: True
    queue.add(projects[:1])
    queue.start()
    qtbot.wait(600)
    assert queue.running and not queue.runs and "waits until the other run" in queue.summary
    queue.window_busy = lambda: False
    qtbot.waitUntil(lambda: bool(queue.runs))
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_a_run_that_the_window_left_behind_goes_first(qtbot, session, queue, projects):
    lock = filelock.FileLock(Project.open(Path(projects[1])).lock_path)
    with lock:
        open_and_follow(qtbot, session, projects[1])
        session.opened.open_project(projects[2])
        qtbot.waitUntil(lambda: session.project.folder == Path(projects[2]) and not session.run.busy)
        assert session.run.left == (Path(projects[1]),)
        queue.add(projects[:1])
        queue.start()
        qtbot.wait(600)
        assert queue.running and not queue.runs
    qtbot.waitUntil(lambda: bool(queue.runs))
    assert session.run.left == ()
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_a_run_from_a_terminal_is_let_go_where_the_queue_is_stopped(qtbot, queue, projects):
    queue.add(projects[:1])
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    queue.runs[0].controllable = False
    queue.runs[0].stop = lambda: pytest.fail("nothing would hear it")
    with qtbot.waitSignal(queue.halted):
        queue.stop()
    assert states(queue) == ["waiting"] and "continues where it was started" in queue.entries[0].words


def test_a_run_that_another_one_was_faster_than_is_followed(qtbot, queue, projects):
    """Both were started at the same moment, one of them in a terminal; only one gets the project's lock."""
    queue.add(projects[:1])
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    with filelock.FileLock(Project.open(Path(projects[0])).lock_path):
        end(qtbot, queue, 1, "failed", "another run holds the project")
        qtbot.waitUntil(lambda: len(queue.runs) == 2)
        assert queue.running and states(queue) == ["running"]
    with qtbot.waitSignal(queue.halted):
        end(qtbot, queue, 2, "completed")
    assert states(queue) == ["done"]


def test_a_paused_run_is_reported_to_be_paused(qtbot, queue, projects):
    queue.add(projects[:1])
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    queue.runs[0].paused = True
    qtbot.waitUntil(lambda: queue.summary == "Queue: one is paused")
    queue.runs[0].paused = False
    qtbot.waitUntil(lambda: queue.summary == "Queue: one is running")
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_two_windows_do_not_run_it_both(qtbot, session, queue, projects, settings):
    queue.add(projects)
    other = RunQueue(settings.home / FILE, session.errands, lambda: False)
    problems = []
    other.problem.connect(problems.append)
    other.refresh()
    assert other.entries == queue.entries
    queue.start()
    other.start()
    assert problems == ["Another window is running the queue."] and not other.running
    other.remove([projects[2]])
    qtbot.waitUntil(lambda: len(queue.entries) == 2)
    with qtbot.waitSignal(queue.halted):
        queue.stop()
    other.close()


def test_changes_of_the_list_can_be_undone(queue, projects):
    queue.add(projects)
    queue.move(projects[0], 2)
    queue.remove(projects[:2])
    assert [entry.name for entry in queue.entries] == ["three"]
    assert queue.undo_text == "Remove 2 projects"
    queue.undo()
    assert [entry.name for entry in queue.entries] == ["two", "three", "one"]
    queue.undo()
    queue.undo()
    assert queue.entries == ()
    queue.redo()
    assert [entry.name for entry in queue.entries] == ["one", "two", "three"]


def test_the_running_project_cannot_be_taken_out(qtbot, queue, projects):
    queue.add(projects)
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    queue.remove(projects)
    assert [entry.name for entry in queue.entries] == ["one"]
    queue.undo()
    queue.undo()
    assert "one" in [entry.name for entry in queue.entries]
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_third_party_code_runs_only_where_it_is_trusted(qtbot, queue, projects, tmp_path):
    project = Project.open(tmp_path / "one")
    Project(project.folder, override(project.config, {"source.net": "odd.module:make"})).save()
    queue.add(projects[:2])
    found = queue.untrusted()
    assert list(found) == projects[:1] and found[projects[0]][0].name == "odd.module:make"
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    assert queue.entries[0].state == "failed" and "did not trust" in queue.entries[0].words
    with qtbot.waitSignal(queue.halted):
        queue.stop()
    assert "trust" not in (tmp_path / "one" / "crots.toml").read_text()
    code = found[projects[0]]
    assert prepare(project.folder, code, queue.why_not_ready).project.config.runtime.trust
    other = (Code("source.net", "another:make", "another"),)
    with pytest.raises(Exception, match="did not trust"):
        prepare(project.folder, other)


def test_a_project_that_is_not_ready_fails_before_a_process_starts_and_says_what_is_missing(
    qtbot, session, queue, projects, tmp_path
):
    session.queue.why_not_ready = not_ready
    queue.add([projects[0], str(make_fake_project(tmp_path / "fake", until="").folder)])
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    assert [run.project.folder.name for run in queue.runs] == ["project"], "the first one was not even begun"
    assert states(queue) == ["failed", "running"]
    assert queue.entries[0].words == "not ready: choose the target images in Set-up"
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_a_run_that_goes_on_is_followed_whatever_set_up_says(projects):
    project = Project.open(Path(projects[0]))
    with filelock.FileLock(project.lock_path):
        assert prepare(project.folder, (), lambda *_: "no images").going_on


def test_a_project_that_is_gone_fails_and_the_next_one_runs(qtbot, queue, projects, tmp_path):
    queue.add([str(tmp_path / "gone"), projects[0]])
    queue.start()
    qtbot.waitUntil(lambda: bool(queue.runs))
    assert states(queue) == ["failed", "running"]
    with qtbot.waitSignal(queue.halted):
        queue.stop()


def test_a_damaged_file_is_reported_and_kept(session, queue, settings):
    problems = []
    session.problem.connect(problems.append)
    settings.home.mkdir(exist_ok=True)
    (settings.home / FILE).write_text("{")
    queue.refresh()
    queue.add(["/p/a"])
    assert problems and "damaged" in problems[0] and (settings.home / FILE).read_text() == "{"


@pytest.mark.slow
def test_a_real_process_that_fails_is_shown_with_its_reason(qtbot, session, projects):
    session.queue.why_not_ready = lambda project, trusted: ""
    session.queue.add(projects[:1])
    with qtbot.waitSignal(session.queue.halted, timeout=280_000):
        session.queue.start()
    kept = json.loads((session.settings.home / FILE).read_text())["queue"]
    assert kept[0]["state"] == "failed" and "images" in kept[0]["words"].lower(), kept
