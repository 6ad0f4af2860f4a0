"""A run in another process, without running one: what comes when it cannot start, dies, or the clock jumps."""

import os
import signal
import subprocess
import sys
import time

import pytest

from crots.errors import StageError
from crots.eventlog import EventLog
from crots.events import Note, StageFinished, StageStarted
from crots.execution.control import STOP_FILE, Control
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.runner import locked
from crots_studio.runs import child
from crots_studio.runs.child import ChildRun, EventTail, remembered_request
from crots_studio.runs.run import KILLED, RunRequest

LINE = '{{"event": "Note", "stage": "baseline", "time": {}, "text": "{}"}}\n'


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project", ProjectConfig())


def wait_for_end(run, seconds=600):
    end = time.monotonic() + seconds
    while run.end is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return run.end


def test_what_is_appended_is_new_whatever_the_clock_says(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(LINE.format(100, "old"))
    tail = EventTail(path, after=100)
    assert tail.read() == []
    for time_, text in ((200, "first"), (200, "same time"), (50, "clock set back"), (51, "after that")):
        with path.open("a") as file:
            file.write(LINE.format(time_, text))
        assert [event.text for event in tail.read()] == [text]


def test_ends_of_lines_within_a_text_do_not_tear_it(tmp_path):
    path = tmp_path / "events.jsonl"
    EventLog(path).append(Note(stage="mine", text="one\u2028two\x85three"))
    assert [event.text for event in EventTail(path, after=0).read()] == ["one\u2028two\x85three"]


@pytest.mark.parametrize("spoil", ["folder", "note"])
def test_a_disk_that_refuses_is_reported_and_the_window_does_not_stay_busy(qtbot, session, project, monkeypatch, spoil):
    with qtbot.waitSignal(session.opened.project_changed):
        session.opened.open_project(project.folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    refused = StageError("cannot write studio: the disk is full; free some space and run again")

    def refuse(*args, **more):
        raise refused

    monkeypatch.setattr(child, "make_folder" if spoil == "folder" else "write_json", refuse)
    problems = []
    session.problem.connect(problems.append)
    session.run.start(RunRequest(only="mine"), in_child=True)
    qtbot.waitUntil(lambda: bool(problems) if spoil == "folder" else session.run.current is not None)
    if spoil == "folder":
        assert "the disk is full" in problems[0]
    else:
        # Without the note it runs all the same, and is followed to its end.
        assert session.run.busy and session.run.controllable
        qtbot.waitUntil(lambda: not session.run.busy, timeout=60_000)
    assert not session.run.busy and not session.run.state.running


def test_a_run_of_a_terminal_that_is_killed_has_not_completed(project):
    log = EventLog(project.events_path)
    with locked(project):
        log.append(StageStarted(stage="baseline", total=10))
        run = ChildRun(project, None, after=0.0)
        run.start()
        while not run.waiting:
            time.sleep(0.01)
    end = wait_for_end(run)
    assert (end.outcome, end.stage, end.exit_code) == ("failed", "baseline", KILLED)
    assert "run again to resume" in end.message


def test_so_it_has_not_where_the_window_came_later_than_its_last_event(project):
    run = ChildRun(project, None, after=time.time(), at_work="adapt-1")
    run.start()
    assert wait_for_end(run).stage == "adapt-1"


def test_a_run_of_a_terminal_that_ended_has_its_own_end(project):
    log = EventLog(project.events_path)
    log.append(StageFinished(stage="mine", outcome="completed", seconds=1))
    run = ChildRun(project, None, after=0.0, at_work="mine")
    run.start()
    assert wait_for_end(run).outcome == "completed"


def test_buttons_for_a_process_that_is_gone_do_nothing(project):
    run = ChildRun(project, RunRequest())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    run._pid = process.pid
    for act in (run.pause, run.resume, run.stop):
        act()


def test_a_note_of_another_make_is_no_request(project, monkeypatch):
    monkeypatch.setattr(child, "remembered", lambda project: {"seeds": 5, "steps": "many"})
    assert remembered_request(project) == RunRequest()


def test_where_no_signal_arrives_a_file_stops_the_command(project, tmp_path, monkeypatch):
    from crots.cli.follow import stop_file

    path = tmp_path / "stop"
    monkeypatch.setenv(STOP_FILE, str(path))
    control = Control()
    with stop_file(control):
        time.sleep(0.4)
        assert not control.stopping
        run = ChildRun(project, RunRequest())
        monkeypatch.setattr(ChildRun, "_stop_path", path)
        monkeypatch.setattr(child.sys, "platform", "win32")
        run.stop()
        end = time.monotonic() + 10
        while not control.stopping:
            assert time.monotonic() < end
            time.sleep(0.02)
    assert os.environ[STOP_FILE] == str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="takes a signal")
def test_a_window_that_comes_later_shows_that_the_run_is_halted(qtbot, session, project):
    code = (
        "import sys, time, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    EventLog(project.events_path).append(StageStarted(stage="baseline", total=10))
    command = [sys.executable, "-c", code, str(project.lock_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        child.remember(project, process.pid, RunRequest())
        before = ChildRun(project, None)
        before.start()
        before.pause()
        session.opened.open_project(project.folder)
        qtbot.waitUntil(lambda: session.run.busy)
        assert session.run.state.paused and session.run.state.stage == "baseline"
        session.run.toggle_pause()
        qtbot.waitUntil(lambda: not before.paused)
        process.kill()
    qtbot.waitUntil(lambda: not session.run.busy, timeout=10_000)


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no signals")


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@posix
def test_a_killed_child_is_named_with_its_stage_and_not_with_what_it_printed(project, sleeper, monkeypatch):
    run = ChildRun(project, RunRequest())

    def spawn():
        run.log_path.parent.mkdir()
        run.log_path.write_text("[adapt-1] step 7: loss 0.3\n")
        run._process = sleeper
        return sleeper.pid

    monkeypatch.setattr(run, "_spawn", spawn)
    run.start()
    EventLog(project.events_path).append(StageStarted(stage="adapt-1", total=100))
    wait_for(run.drain)
    sleeper.kill()
    end = wait_for_end(run)
    assert (end.outcome, end.stage, end.exit_code) == ("failed", "adapt-1", KILLED)
    assert "SIGKILL" in end.message and "loss" not in end.message


@pytest.mark.parametrize(("delay", "deaf"), [(0.0, False), (0.02, False), (0.05, False), (0.02, True)])
def test_a_stop_while_the_process_is_still_starting_is_a_stop(project, delay, deaf):
    # A shell's scripts start what runs in the background deaf to interrupts.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.default_int_handler)
    try:
        run = ChildRun(project, RunRequest())
        run.start()
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(delay)
    run.stop()
    end = wait_for_end(run)
    assert end.outcome == "cancelled", end
