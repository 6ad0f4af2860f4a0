"""The session: background work, tokens, opening, saving, runs by a scripted runner."""

import gc
import threading
import time
import weakref

import psutil

from crots.errors import InputError
from crots.events import Metrics, Progress, StageFinished, StageStarted
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots_studio.app import Collector
from crots_studio.models.series import Figure
from crots_studio.runs.run import RunRequest


def test_background_work_is_delivered_on_the_window_s_thread(qtbot, session):
    got = []
    session.errands.in_background(
        lambda: threading.current_thread().name, lambda name: got.append((name, threading.current_thread()))
    )
    qtbot.waitUntil(lambda: bool(got))
    assert got[0][0].startswith("crots-pool")
    assert got[0][1] is threading.main_thread()


def test_garbage_is_collected_on_the_window_s_thread_alone(qtbot, session):
    class Node:
        pass

    node = Node()
    node.itself, gone = node, []
    weakref.finalize(node, lambda: gone.append(threading.current_thread()))
    del node
    threads = []
    session.errands.in_background(lambda: threads.append(gc.collect()), lambda _: None)
    qtbot.waitUntil(lambda: threads == [0])
    # The window's own timer may have collected it already.
    gc.collect()
    assert gone == [threading.main_thread()], "a run or a library that collects on its own thread destroys nothing"
    assert not gc.isenabled()


def test_an_answer_on_its_way_to_the_window_is_not_idle(qtbot, session):
    got = []
    errands = session.errands
    errands.in_background(lambda: "answer", got.append)
    while errands.working:
        time.sleep(0.001)
    assert not errands.idle and got == [], "the thread is done, the window has not heard of it"
    qtbot.waitUntil(lambda: errands.idle)
    assert got == ["answer"]


def test_what_a_library_brought_is_never_looked_through(session):
    collector = session.findChild(Collector)
    try:
        loaded = [[number] for number in range(60_000)]
        collector.collect()
        assert gc.get_freeze_count() > 60_000, "looking through them would hold the window and a training up"
        before = gc.get_freeze_count()
        collector.collect()
        del loaded
        assert gc.get_freeze_count() < before - 50_000, "what nobody refers to is freed all the same"
    finally:
        gc.unfreeze()


def test_only_the_latest_request_of_a_token_is_answered(qtbot, session):
    got = []
    gate = threading.Event()

    def slow():
        gate.wait(300)
        return "old"

    session.errands.in_background(slow, got.append, token="check")
    session.errands.in_background(lambda: "new", got.append, token="check")
    session.errands.in_background(lambda: "other", got.append)
    gate.set()
    qtbot.waitUntil(lambda: len(got) == 2)
    qtbot.wait(50)
    assert sorted(got) == ["new", "other"]


def test_a_failure_goes_to_its_handler_or_becomes_a_problem(qtbot, session):
    failures = []

    def fail():
        raise InputError("found this, expected that")

    session.errands.in_background(fail, lambda _: None, failures.append)
    with qtbot.waitSignal(session.problem) as problem:
        session.errands.in_background(fail, lambda _: None)
    assert problem.args == ["found this, expected that"]
    qtbot.waitUntil(lambda: bool(failures))
    assert isinstance(failures[0], InputError)


def test_opening_reads_project_history_and_status(qtbot, session, open_project, folder):
    (folder / "events.jsonl").write_text('{"event": "StageStarted", "stage": "baseline", "time": 5, "total": 9}\n')
    project = open_project(folder)
    assert project.folder == folder
    assert session.opened.history.stage("baseline").total == 9
    assert [status.key for status in session.opened.status] == list(project.stage_keys())
    assert session.settings.recent.paths == [str(folder)]


def test_a_folder_without_a_project_is_reported(qtbot, session, tmp_path):
    with qtbot.waitSignal(session.problem) as problem:
        session.opened.open_project(tmp_path)
    assert "no crots.toml" in problem.args[0]
    assert session.project is None


def test_saved_options_are_on_disk_and_ask_for_the_status(qtbot, session, open_project, folder):
    project = open_project(folder)
    with qtbot.waitSignal(session.opened.status_changed):
        session.opened.save_config(override(project.config, {"adapt.rounds": 3}))
    qtbot.waitUntil(lambda: Project.open(folder).config.adapt.rounds == 3)
    assert "adapt-3" in [status.key for status in session.opened.status]


def test_a_run_s_events_arrive_in_batches_and_in_order(qtbot, session, open_project, folder, scripted):
    open_project(folder)
    metrics = [Metrics(stage="baseline", step=step, values={"loss": 1 / step}) for step in range(1, 501)]
    scripted(
        StageStarted(stage="baseline", total=500),
        *metrics,
        StageFinished(stage="baseline", outcome="completed", seconds=1),
    )
    batches = []
    session.run.events_arrived.connect(batches.append)
    with qtbot.waitSignal(session.run.ended) as ended:
        session.run.start()
        assert session.run.busy
    assert ended.args[0].outcome == "completed"
    assert not session.run.busy
    assert len(batches) < 10
    assert sum(len(batch) for batch in batches) == 502
    assert session.opened.history.curves.series("baseline", Figure("loss", "loss")).steps.tolist() == list(
        range(1, 501)
    )


def test_stop_answers_at_once_and_ends_after_the_step(qtbot, session, open_project, folder, scripted):
    open_project(folder)
    in_step = threading.Event()
    may_end = threading.Event()

    def step(control):
        in_step.set()
        may_end.wait(300)

    start = StageStarted(stage="baseline", total=2)
    scripted(start, step, Progress(stage="baseline", done=1, total=2))
    session.run.start()
    assert in_step.wait(300)
    # Returns while the step still waits.
    session.run.stop()
    assert session.run.state.stopping and "stopping" in session.run.state.text
    with qtbot.waitSignal(session.run.ended) as ended:
        may_end.set()
    assert ended.args[0].outcome == "cancelled"


def test_an_exception_outside_of_stages_ends_the_run_in_words(qtbot, session, open_project, folder, scripted):
    open_project(folder)

    def fail(control):
        raise InputError("another run goes on in this project")

    scripted(fail)
    with qtbot.waitSignal(session.run.ended) as ended:
        session.run.start(RunRequest(only="baseline"))
    assert ended.args[0].outcome == "failed"
    assert ended.args[0].message == "another run goes on in this project"


def test_two_hundred_runs_leave_no_thread_behind(qtbot, session, open_project, folder, scripted):
    open_project(folder)
    session.run.drain_timer.setInterval(1)
    scripted(StageStarted(stage="baseline", total=1), lambda control: time.sleep(0.001))
    # Of the system: Python's own list keeps a name for Qt's threads that have ended.
    before = psutil.Process().num_threads()
    for number in range(200):
        with qtbot.waitSignal(session.run.ended, timeout=30_000):
            session.run.start()
            if number % 2:
                session.run.pause()
                session.run.resume()
            session.run.stop()
    assert psutil.Process().num_threads() <= before + 2


def test_a_project_that_is_still_being_opened_does_not_come_into_a_run(
    qtbot, session, open_project, folder, tmp_path, scripted, monkeypatch
):
    open_project(folder)
    other, gate, read = Project.create(tmp_path / "other", ProjectConfig()).folder, threading.Event(), Project.open
    monkeypatch.setattr(Project, "open", staticmethod(lambda path: gate.wait(300) and read(path)))
    problems, said = [], threading.Event()
    session.problem.connect(problems.append)
    session.problem.connect(lambda _: said.set())
    scripted(StageStarted(stage="baseline", total=1), lambda control: said.wait(300))
    with qtbot.waitSignal(session.run.ended):
        session.opened.open_project(other)
        qtbot.waitUntil(lambda: session.errands.working)
        session.run.start()
        gate.set()
        qtbot.waitUntil(lambda: bool(problems))
        assert session.project.folder == folder and "other was not opened" in problems[0]


def test_nor_into_a_demonstration(qtbot, session, open_project, folder, tmp_path, monkeypatch):
    began, gate, read = threading.Event(), threading.Event(), Project.open
    monkeypatch.setattr(Project, "open", staticmethod(lambda path: began.set() or (gate.wait(300) and read(path))))
    session.opened.open_project(folder)
    qtbot.waitUntil(began.is_set)
    with qtbot.waitSignal(session.run.ended):
        session.run.start_demo(lambda control: iter([control.check() or Progress(stage="render", done=1, total=1)]),
                           tmp_path / "demo")  # fmt: skip
        gate.set()
    qtbot.waitUntil(lambda: session.errands.idle)
    qtbot.wait(50)
    assert session.project is None


def test_options_that_are_being_written_are_read_again(qtbot, session, open_project, folder, monkeypatch):
    open_project(folder)
    gate, save = threading.Event(), Project.save
    monkeypatch.setattr(Project, "save", lambda project: gate.wait(300) and save(project))
    session.opened.set_options({"adapt.steps": "77"})
    session.opened.close_project()
    session.opened.open_project(folder)
    qtbot.wait(100)
    gate.set()
    qtbot.waitUntil(lambda: session.project is not None)
    assert session.project.config.adapt.steps == 77


def test_it_is_busy_until_what_was_cancelled_is_gone(qtbot, session, open_project, folder, scripted, monkeypatch):
    project = open_project(folder)
    gate = threading.Event()
    monkeypatch.setattr("crots_studio.runs.active.discard", lambda project, key: gate.wait(300))
    done = Progress(stage="baseline", done=1, total=1)
    scripted(StageStarted(stage="baseline", total=1), done, lambda control: control.wait_for_stop(300), done)
    with qtbot.waitSignal(session.run.ended) as ended:
        session.run.start()
        qtbot.waitUntil(lambda: session.run.state.done == 1)
        session.run.stop(discard=True)
        qtbot.waitUntil(lambda: session.run.current is None, timeout=10_000)
        assert session.run.busy
        session.run.start()
        assert session.run.current is None and len(scripted.requests) == 1, (
            "no run begins among files that are being deleted"
        )
        gate.set()
    assert ended.args[0].outcome == "cancelled" and not session.run.busy and session.project is project


def test_a_flood_of_events_comes_in_portions_and_the_run_ends_after_the_last(
    qtbot, session, open_project, folder, scripted
):
    open_project(folder)
    portions = []
    session.run.events_arrived.connect(lambda events: portions.append(len(events)))
    session.run.drain_timer.setInterval(1)
    scripted(*(Progress(stage="baseline", done=number, total=5000) for number in range(5000)))
    with qtbot.waitSignal(session.run.ended, timeout=20_000):
        session.run.start()
    assert max(portions) <= 1000 and sum(portions) == 5000
