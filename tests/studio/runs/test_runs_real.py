"""A real tiny run: in the thread of a window, in a plain thread without Qt, and in a child process; the same losses."""

import subprocess
import sys
import time

import psutil
import pytest

from crots.cli.main import main
from crots.eventlog import read_events
from crots.events import Metrics, StageFinished
from crots_studio.models.series import Figure
from crots_studio.runs.child import ChildRun, EventTail, remembered_pid
from crots_studio.runs.run import BackgroundRun, RunRequest, project_events
from crots_studio.runs.thread import ThreadRun
from tests.studio.fake_project import make_fake_project

pytestmark = pytest.mark.slow
OPTIONS = {
    "student": {"net": "compact", "weights": "random"},
    "baseline": {"steps": 3, "batch": 2, "log_every": 1, "validate_every": 100},
    "adapt": {"steps": 3, "batch": 2, "log_every": 1, "rounds": 1, "patches": False, "stop_rounds": False},
}


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path, until="", sections=OPTIONS)


def losses(events):
    return [(event.stage, event.step, event.values) for event in events if isinstance(event, Metrics)]


def finish(run, timeout=600):
    """Drains a run as the window does, to its end."""
    run.start()
    events, start = [], time.monotonic()
    while run.end is None:
        assert time.monotonic() - start < timeout
        events += run.drain()
        time.sleep(0.02)
    return events + run.drain(), run.end


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The losses of the same project in the terminal."""
    project = make_fake_project(tmp_path_factory.mktemp("headless"), until="", sections=OPTIONS)
    assert main(["run", str(project.folder), "--until", "adapt", "--quiet"]) == 0
    found = losses(read_events(project.events_path))
    assert len(found) == 6
    return found


def test_a_plain_thread_without_qt(project, expected):
    events, end = finish(BackgroundRun(project_events(project, RunRequest(until="adapt"))))
    assert end.outcome == "completed", end
    assert losses(events) == expected


def test_a_qthread(qapp, project, expected):
    events, end = finish(ThreadRun(project_events(project, RunRequest(until="adapt"))))
    assert end.outcome == "completed", end
    assert losses(events) == expected


def test_a_child_process(project, expected):
    events, end = finish(ChildRun(project, RunRequest(until="adapt")))
    assert end.outcome == "completed", end
    assert losses(events) == expected
    assert losses(read_events(project.events_path)) == expected


def test_a_child_can_be_paused_and_stopped_and_resumed_to_the_same_losses(project, expected):
    run = ChildRun(project, RunRequest(until="adapt"))
    run.start()
    seen, start = [], time.monotonic()
    while not losses(seen):
        assert time.monotonic() - start < 240
        seen += run.drain()
        time.sleep(0.01)
    run.pause()
    assert run.controllable
    run.resume()
    run.stop()
    while run.end is None:
        time.sleep(0.02)
    assert run.end.outcome in ("cancelled", "completed")
    _, end = finish(ChildRun(project, RunRequest(until="adapt"), after=0.0))
    assert end.outcome == "completed"
    assert losses(read_events(project.events_path)) == expected


def test_a_child_that_cannot_start_says_so_in_words(project):
    (project.folder / "crots.toml").write_text("format = 99\n")
    _, end = finish(ChildRun(project, RunRequest()))
    assert end.outcome == "failed"
    assert "another version" in end.message


def test_a_window_attaches_to_a_run_that_continues(qtbot, session, project):
    command = [sys.executable, "-m", "crots", "run", str(project.folder), "--until", "baseline", "--quiet"]
    with subprocess.Popen(command) as process:
        while not project.events_path.exists() and process.poll() is None:
            time.sleep(0.05)
        with qtbot.waitSignal(session.run.ended, timeout=240_000) as ended:
            session.opened.open_project(project.folder)
        assert process.wait(300) == 0
    assert ended.args[0].outcome == "completed"
    assert session.opened.history.curves.series("baseline", Figure("loss", "cross-entropy")).steps.tolist() == [1, 2, 3]


def test_a_run_continues_when_the_window_is_gone(qtbot, session, window, project, expected):
    with qtbot.waitSignal(session.opened.project_changed, timeout=60_000):
        window.project_actions.go_to_project(project.folder)
    session.run.start(RunRequest(until="adapt"), in_child=False)
    qtbot.waitUntil(lambda: bool(session.opened.history.curves.stages), timeout=240_000)
    window.leaving.leave(go_on=True)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=120_000)
    pid = remembered_pid(project)
    end = time.monotonic() + 600
    while pid is not None and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert losses(read_events(project.events_path)) == expected
    # What was asked for, and no more.
    assert project.record("adapt-1") and not project.record("export")
    assert session.run.leave()


def test_the_tail_survives_a_rewritten_file(tmp_path):
    path = tmp_path / "events.jsonl"
    line = '{{"event": "Note", "stage": "baseline", "time": {}, "text": "{}"}}\n'
    path.write_text(line.format(1, "a") + line.format(2, "b"))
    tail = EventTail(path, after=1)
    assert [event.text for event in tail.read()] == ["b"]
    with path.open("a") as file:
        file.write(line.format(3, "c") + line.format(4, "torn")[:20])
    assert [event.text for event in tail.read()] == ["c"]
    other = tmp_path / "other"
    other.write_text(line.format(1, "a") + line.format(5, "e"))
    other.replace(path)
    assert [event.text for event in tail.read()] == ["e"]
    assert tail.read() == []


def test_a_stop_ends_a_stage_with_one_event(project):
    run = BackgroundRun(project_events(project, RunRequest(until="baseline")))
    run.start()
    seen, start = [], time.monotonic()
    while not losses(seen):
        assert time.monotonic() - start < 240
        seen += run.drain()
        time.sleep(0.005)
    run.stop()
    while run.end is None:
        time.sleep(0.01)
    seen += run.drain()
    ends = [event for event in seen if isinstance(event, StageFinished) and event.stage == "baseline"]
    assert len(ends) == 1
