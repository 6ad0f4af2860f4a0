"""Runs of whole tiny projects: one at a time, stopped, halted, gone on with, thrown away."""

import re
import threading
import time

import filelock
import pytest
import torch

from crots.artefacts import CHECKPOINT, STUDENT, TEACHER
from crots.errors import InputError
from crots.eventlog import read_events
from crots.events import Metrics, Note, StageStarted
from crots.execution.control import Control
from crots.runner import discard, locked, run_project
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import ends, metrics_at, run, states, stop_at

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_second_run_is_refused_while_the_first_holds_the_project(tmp_path):
    project = world.white_box(tmp_path)
    first = run_project(project)
    next(first)
    with pytest.raises(InputError, match="another run is active"):
        next(run_project(project))
    first.close()
    assert set(ends(run(project)).values()) == {"completed"}


def test_asking_for_the_state_does_not_refuse_a_run(tmp_path):
    project = world.white_box(tmp_path)
    asking = filelock.FileLock(project.lock_path, thread_local=False)
    asking.acquire()
    timer = threading.Timer(0.1, asking.release)
    timer.start()
    with locked(project):
        timer.join()


@pytest.mark.parametrize(("stage", "step"), [("baseline", 1), ("baseline", 3), ("adapt-1", 1), ("adapt-2", 3)])
def test_a_stop_keeps_a_checkpoint_and_continues_to_the_same_weights(tmp_path, stage, step):
    whole, stopped = world.white_box(tmp_path / "whole"), world.white_box(tmp_path / "stopped")
    run(whole, until=stage)
    events = stop_at(stopped, metrics_at(stage, step), until=stage)
    last = events[-1]
    assert (last.stage, last.outcome, last.exit_code) == (stage, "cancelled", 130)
    assert "run again to resume" in last.message
    # The step that was under way is finished and kept, also between two regular checkpoints.
    assert torch.load(stopped.work_folder(stage) / CHECKPOINT, weights_only=True)["step"] == step
    assert states(stopped)[stage] == "interrupted"
    again = run(stopped, until=stage)
    assert world.of(again, StageStarted)[0].resumed_at == step
    for name in (STUDENT, TEACHER):
        place = stopped.stage_folder(stage) / name
        if place.exists():
            assert world.weights_of(place) == world.weights_of(whole.stage_folder(stage) / name)
    steps = [event.step for event in world.of(read_events(stopped.events_path), Metrics, stage)]
    assert steps == [1, 2, 3, 4]


def test_work_that_other_options_leave_behind_is_reported(tmp_path):
    project = world.white_box(tmp_path)
    stop_at(project, metrics_at("baseline", 3), until="baseline")
    other = world.change(project, baseline__learning_rate="0.002")
    events = run(other, until="baseline")
    assert world.of(events, StageStarted, "baseline")[0].resumed_at == 0
    notes = [event.text for event in world.of(events, Note) if event.level == "warning"]
    # How far it came is noted now and then.
    words = r"what the interrupted run has done( \(\d of 4\))? is not continued: baseline.learning_rate changed"
    assert any(re.fullmatch(words, text) for text in notes), notes
    assert not any("is not continued" in event.text for event in world.of(run(other), Note))


@pytest.mark.parametrize("stage", ["pseudo-label", "mine", "export"])
def test_other_stages_stop_too(tmp_path, stage):
    project = world.white_box(tmp_path, export={"formats": ["safetensors", "pth"]}, adapt={"rounds": 1})
    events = stop_at(project, lambda event: isinstance(event, StageStarted) and event.stage == stage)
    assert (events[-1].stage, events[-1].outcome) == (stage, "cancelled")
    assert set(ends(run(project)).values()) == {"completed"}


def test_pause_halts_between_two_steps_and_resume_continues(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    control, events, reached = Control(), [], threading.Event()

    def work():
        for event in run_project(project, control=control, until="baseline"):
            events.append(event)
            if metrics_at("baseline", 2)(event):
                control.pause()
                reached.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(300) and control.paused
    time.sleep(0.4)
    halted = len(events)
    time.sleep(0.4)
    assert thread.is_alive() and len(events) == halted
    assert max(event.step for event in world.of(events, Metrics)) == 2
    control.resume()
    thread.join(60)
    assert not thread.is_alive() and ends(events)["baseline"] == "completed"


def test_a_halted_run_can_be_stopped(tmp_path):
    project = world.white_box(tmp_path)
    control = Control()
    control.pause()
    events = []
    thread = threading.Thread(target=lambda: events.extend(run_project(project, control=control)))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    control.stop()
    thread.join(60)
    assert events[-1].outcome == "cancelled"
    # After a stop there is no pausing any more: nobody would end it.
    control.pause()
    assert not control.paused


def test_a_stop_before_a_stage_has_begun_takes_no_finished_result_back(tmp_path):
    project = world.black_box(tmp_path)
    run(project, until="pseudo-label")
    control = Control()
    control.stop()
    events = run(project, control=control, only="pseudo-label")
    assert ends(events) == {"pseudo-label": "cancelled"} and "nothing was changed" in events[-1].message
    assert states(project)["pseudo-label"] == "done" and run(project, until="pseudo-label") == []
    discard(project, "pseudo-label")
    assert list((project.stage_folder("pseudo-label") / "label_ids").rglob("*.png")), "what is done is nobody's rest"


def test_a_kill_while_work_is_discarded_leaves_nothing_to_continue_from(tmp_path, monkeypatch):
    project = world.black_box(tmp_path)
    stop_at(project, lambda event: isinstance(event, StageStarted), only="pseudo-label")
    assert states(project)["pseudo-label"] == "interrupted"

    def killed(folder, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("crots.stagefiles.remove_tree", killed)
    with pytest.raises(KeyboardInterrupt):
        discard(project, "pseudo-label")
    assert not project.resumable("pseudo-label")


def test_nothing_is_discarded_during_a_run(tmp_path):
    project = world.black_box(tmp_path)
    with locked(project), pytest.raises(InputError, match="another run is active"):
        discard(project, "pseudo-label")
