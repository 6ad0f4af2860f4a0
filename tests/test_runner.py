"""Runs of whole tiny projects: order, endings, stop and pause, failures, what stays."""

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "stages"))

import tiny_world as world

from crots.errors import InputError, StageError
from crots.eventlog import EventLog, read_events
from crots.events import ArtifactWritten, Evaluated, Metrics, Note, Scored, StageFinished, StageStarted
from crots.nets.weights import load_model
from crots.runner import discard, failure, locked, planned, run_project, run_stage
from crots.stages.context import Context, Control
from crots.stages.training import CHECKPOINT, STUDENT, TEACHER
from crots.stages.workbench import Workbench

pytestmark = pytest.mark.usefixtures("one_thread")


def states(project):
    return {status.key: status.state for status in project.status()}


def ends(events):
    return {event.stage: event.outcome for event in world.of(events, StageFinished)}


def student_of(project, key):
    return world.weights_of(project.stage_folder(key) / STUDENT)


def run(project, **more):
    return list(run_project(project, **more))


@pytest.mark.parametrize("make", [world.white_box, world.black_box])
def test_a_whole_project_runs_to_its_export_without_a_label_file_on_disk(tmp_path, make):
    project = make(tmp_path)
    events = run(project)
    keys = project.stage_keys()
    assert "evaluate" not in keys
    assert [event.stage for event in world.of(events, StageStarted)] == list(keys)
    assert ends(events) == dict.fromkeys(keys, "completed")
    assert set(states(project).values()) == {"done"}
    # Nothing was scored, since there was nothing to score with.
    assert not world.of(events, Evaluated)
    model, _ = load_model(project.stage_folder("export") / "adapted.safetensors", trust=True)
    assert model.classes.names == world.NAMES
    rounds = [student_of(project, key) for key in ("baseline", "adapt-1", "adapt-2")]
    assert len({data for _, data in rounds}) == 3
    assert list(read_events(project.events_path)) == events
    # What the source of a black box said came as predictions; of ground truth there is nothing.
    assert not (tmp_path / "truth").exists() and not (tmp_path / "val").exists()


@pytest.mark.parametrize("profile", ["corrected", "published"])
def test_no_stage_but_evaluation_and_validation_opens_a_label_file(tmp_path, monkeypatch, profile):
    # The target lies in a layout that has labels right beside the images, and all of them are forged.
    import crots.data.labels
    import crots.images

    project = world.white_box(tmp_path, profile=profile, adapt={"select": "last"}, mine={"rare": "light"})
    root = tmp_path / "cityscapes"
    for number in range(6):
        name = f"aachen/aachen_{number:06d}_000019"
        world.write_image(root / "leftImg8bit" / "train" / f"{name}_leftImg8bit.png", world.paint(number)[0])
        forged = root / "gtFine" / "train" / f"{name}_gtFine_labelTrainIds.png"
        forged.parent.mkdir(parents=True, exist_ok=True)
        forged.write_bytes(b"forged")
    project = world.change(project, data__target=str(root))
    bench = Workbench(project.config, project.folder, None, "baseline")
    assert len(bench.dataset) == 6 and not bench.dataset.labelled, "the stages are not even told where labels are"
    opened = []
    original = crots.images._opened

    def watched(path):
        opened.append(Path(path))
        return original(path)

    def forbidden(*args, **more):
        raise AssertionError("ground truth was read")

    monkeypatch.setattr(crots.images, "_opened", watched)
    for name in ("read_truth", "decode", "detect_encoding", "resolve_encoding"):
        monkeypatch.setattr(crots.data.labels, name, forbidden)
    monkeypatch.setattr("crots.stages.evaluate.read_truth", forbidden)
    events = run(project)
    assert set(ends(events).values()) == {"completed"}
    assert opened and not [path for path in opened if "gtFine" in str(path)]


def test_validation_labels_are_seen_by_validation_and_evaluation_and_change_no_weight(tmp_path, monkeypatch):
    blind = world.white_box(tmp_path / "blind")
    seeing = world.white_box(tmp_path / "seeing", data=world.with_validation(tmp_path))
    run(blind)
    events = run(seeing)
    scored = world.of(events, Evaluated)
    assert {event.stage for event in scored} == {"baseline", "adapt-1", "adapt-2", "evaluate"}
    assert not any(event.oracle for event in scored)
    for key in ("baseline", "adapt-1", "adapt-2"):
        assert student_of(blind, key) == student_of(seeing, key), key


@pytest.mark.parametrize("select", ["last", "label-free"])
def test_what_is_chosen_without_labels_is_the_same_whatever_the_labels_say(tmp_path, select):
    students = []
    for name, shift in (("right", 0), ("wrong", 1)):
        folder = tmp_path / name
        data = world.with_validation(folder)
        for path in (folder / "truth").rglob("*.png"):
            world.write_labels(path, (world.read_labels(path) + shift) % 4)
        project = world.white_box(folder, data=data, adapt={"select": select, "rounds": 1})
        run(project)
        students.append(student_of(project, "adapt-1"))
    assert students[0] == students[1]


def test_oracle_is_marked_in_events_card_and_scores(tmp_path):
    project = world.white_box(
        tmp_path, data=world.with_validation(tmp_path), adapt={"select": "oracle"}, evaluate={"weights": "teacher"}
    )
    events = run(project)
    during = [event for event in world.of(events, Evaluated) if event.stage.startswith("adapt")]
    assert during and all(event.oracle for event in during)
    assert not any(event.oracle for event in world.of(events, Evaluated, "baseline"))
    final = {event.subject: event.oracle for event in world.of(events, Evaluated, "evaluate")}
    assert final == {"source": False, "baseline": False, "adapt-1": True, "adapt-2": True}
    for subject, marked in final.items():
        report = json.loads((project.stage_folder("evaluate") / f"{subject}.json").read_text())
        assert report.get("oracle", False) is marked, subject
    for place in ("adapt-2/" + STUDENT, "adapt-2/" + TEACHER, "export/adapted.safetensors"):
        assert load_model(project.folder / place, trust=True)[0].card.oracle, place
    assert not load_model(project.folder / "baseline" / STUDENT, trust=True)[0].card.oracle
    assert any("oracle" in event.text for event in world.of(events, Note, "adapt-1"))


def test_oracle_without_labels_says_so_and_keeps_the_last(tmp_path):
    project = world.white_box(tmp_path, adapt={"select": "oracle", "rounds": 1})
    events = run(project)
    assert any("no validation labels" in event.text for event in world.of(events, Note, "adapt-1"))
    assert not load_model(project.folder / "adapt-1" / STUDENT, trust=True)[0].card.oracle


def test_validation_images_without_labels_are_left_alone(tmp_path):
    images = world.write_images(tmp_path / "val", 2, first=50)
    project = world.white_box(tmp_path, data={"val_images": str(images)})
    events = run(project, until="baseline")
    assert ends(events) == {"pseudo-label": "completed", "baseline": "completed"}


def test_a_finished_project_has_nothing_to_do_and_one_stage_can_be_run_again(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    run(project)
    before = {path: world.weights_of(path) for path in project.folder.rglob("*.safetensors")}
    assert run(project) == []
    again = run(project, only="baseline")
    assert ends(again) == {"baseline": "completed"}
    assert world.of(again, StageStarted)[0].resumed_at == 0
    assert {path: world.weights_of(path) for path in before} == before


def test_until_and_only_choose_stages_and_refuse_names_that_are_none(tmp_path):
    project = world.white_box(tmp_path)
    assert planned(project, until="mine", only=None) == ("pseudo-label", "baseline", "mine")
    assert planned(project, until="adapt", only=None)[-1] == "adapt-2"
    assert planned(project, until=None, only="adapt") == ("adapt-1", "adapt-2")
    assert planned(project, until="adapt-1", only=None)[-1] == "adapt-1"
    for name in ("adpt", "adapt-3", "a"):
        with pytest.raises(InputError, match="expected one of pseudo-label"):
            run(project, until=name)
    assert not project.events_path.exists()


def test_a_second_run_is_refused_while_the_first_holds_the_project(tmp_path):
    project = world.white_box(tmp_path)
    first = run_project(project)
    next(first)
    with pytest.raises(InputError, match="another run goes on"):
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


@pytest.mark.parametrize(("stage", "step"), [("baseline", 1), ("baseline", 3), ("adapt-1", 1), ("adapt-2", 3)])
def test_a_stop_keeps_a_checkpoint_and_goes_on_to_the_same_weights(tmp_path, stage, step):
    whole, stopped = world.white_box(tmp_path / "whole"), world.white_box(tmp_path / "stopped")
    run(whole, until=stage)
    events = stop_at(stopped, metrics_at(stage, step), until=stage)
    last = events[-1]
    assert (last.stage, last.outcome, last.exit_code) == (stage, "cancelled", 130)
    assert "run again to go on" in last.message
    # The step that was under way is finished and kept, also between two regular checkpoints.
    assert torch.load(stopped.stage_folder(stage) / CHECKPOINT, weights_only=True)["step"] == step
    assert states(stopped)[stage] == "interrupted"
    again = run(stopped, until=stage)
    assert world.of(again, StageStarted)[0].resumed_at == step
    for name in (STUDENT, TEACHER):
        place = stopped.stage_folder(stage) / name
        if place.exists():
            assert world.weights_of(place) == world.weights_of(whole.stage_folder(stage) / name)
    steps = [event.step for event in world.of(read_events(stopped.events_path), Metrics, stage)]
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize("stage", ["pseudo-label", "mine", "export"])
def test_other_stages_stop_too(tmp_path, stage):
    project = world.white_box(tmp_path, export={"formats": ["safetensors", "pth"]}, adapt={"rounds": 1})
    events = stop_at(project, lambda event: isinstance(event, StageStarted) and event.stage == stage)
    assert (events[-1].stage, events[-1].outcome) == (stage, "cancelled")
    assert set(ends(run(project)).values()) == {"completed"}


def test_pause_halts_between_two_steps_and_resume_goes_on(tmp_path):
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
    assert reached.wait(60) and control.paused
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


def poisoned(monkeypatch, at_step):
    """The loss becomes NaN at a step (0-based) of the baseline."""
    from crots.stages.baseline import BaselineLearner

    original = BaselineLearner.step

    def step(self, number, data, rate):
        figures = original(self, number, data, rate)
        if number == at_step:
            return {name: value * float("nan") for name, value in figures.items()}
        return figures

    monkeypatch.setattr(BaselineLearner, "step", step)


def test_a_nan_loss_stops_the_stage_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    project = world.white_box(tmp_path, baseline={"steps": 8, "log_every": 8})
    poisoned(monkeypatch, 4)
    events = run(project)
    last = events[-1]
    assert (last.stage, last.outcome, last.exit_code) == ("baseline", "failed", 1)
    assert "NaN" in last.message and "checkpoint of step 4 is kept" in last.message and "learning rate" in last.message
    assert "starts it anew" in last.message and "run again" not in last.message
    assert torch.load(project.stage_folder("baseline") / CHECKPOINT, weights_only=True)["step"] == 4
    assert states(project)["baseline"] == "failed" and states(project)["pseudo-label"] == "done"
    monkeypatch.undo()
    assert world.of(run(project, until="baseline"), StageStarted)[0].resumed_at == 4


def test_nan_weights_are_not_checkpointed_either(tmp_path, monkeypatch):
    from crots.stages.baseline import BaselineLearner

    project = world.white_box(tmp_path, baseline={"steps": 8, "log_every": 8})
    original = BaselineLearner.step

    def step(self, number, data, rate):
        figures = original(self, number, data, rate)
        if number == 3:
            with torch.no_grad():
                self.student.net.head.weight[0] = float("inf")
        return figures

    monkeypatch.setattr(BaselineLearner, "step", step)
    last = run(project)[-1]
    assert last.outcome == "failed" and "weights became" in last.message and "step 2 is kept" in last.message
    assert torch.load(project.stage_folder("baseline") / CHECKPOINT, weights_only=True)["step"] == 2


def test_a_nan_before_the_first_checkpoint_says_that_there_is_none(tmp_path, monkeypatch):
    project = world.white_box(tmp_path)
    poisoned(monkeypatch, 0)
    assert "no checkpoint was written yet" in run(project)[-1].message


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_running_out_of_memory_says_what_to_do(error):
    end = failure(error, "adapt-1", 1.0)
    assert end.outcome == "failed" and end.exit_code == 1
    assert "out of memory" in end.message and "smaller batch" in end.message and "accumulate" in end.message
    assert "\n" not in end.message and end.detail


def test_memory_that_really_runs_out_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert "out of memory" in failure(caught.value, "baseline", 0.0).message


def test_our_own_faults_keep_their_traceback():
    try:
        {}["missing"]
    except KeyError as error:
        end = failure(error, "mine", 0.0)
    assert "unexpected KeyError" in end.message and "Traceback" in end.detail


def test_a_failure_leaves_what_was_done_before(tmp_path):
    project = world.white_box(tmp_path)
    run(project, until="mine")
    before = {path: path.read_bytes() for key in ("pseudo-label", "baseline", "mine")
              for path in project.stage_folder(key).rglob("*") if path.is_file()}  # fmt: skip
    (project.stage_folder("baseline") / STUDENT).rename(tmp_path / "gone")
    before.pop(project.stage_folder("baseline") / STUDENT)
    events = run(project)
    assert ends(events) == {"adapt-1": "failed"} and events[-1].exit_code == 2
    assert STUDENT in events[-1].message
    assert {path: path.read_bytes() for path in before} == before
    (tmp_path / "gone").rename(project.stage_folder("baseline") / STUDENT)
    assert set(ends(run(project)).values()) == {"completed"}


def test_an_input_that_does_not_fit_takes_no_earlier_result_back(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    run(project)
    wrong = world.change(project, adapt__batch=3, adapt__accumulate=2)
    events = run(wrong)
    assert ends(events) == {"adapt-1": "failed"} and "accumulate" in events[-1].message
    assert states(wrong)["adapt-1"] == "stale"
    # With the options as they were, everything is still there.
    assert set(states(project).values()) == {"done"} and run(project) == []


def test_a_stage_whose_inputs_did_not_fit_shows_its_failure(tmp_path):
    project = world.change(world.white_box(tmp_path), student__weights=str(tmp_path / "missing.pth"))
    events = run(project)
    status = {status.key: status for status in project.status()}["baseline"]
    assert status.state == "failed" and status.reason == events[-1].message and "missing.pth" in status.reason


def test_a_kill_before_a_changed_stage_began_does_not_bring_the_old_checkpoint_back(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    run(project)
    changed = world.change(project, baseline__learning_rate=0.01, adapt__learning_rate=0.01)
    before = student_of(project, "baseline")
    # Killed right after the start was noted: the very next thing would have been the first event.
    changed.begin("baseline")
    events = run(changed)
    assert world.of(events, StageStarted, "baseline")[0].resumed_at == 0
    assert student_of(project, "baseline") != before
    labels = project.stage_folder("pseudo-label")
    other = world.change(changed, pseudo_label__flip=False)
    other.begin("pseudo-label")
    (labels / "label_ids" / f"{world.key(0)}.png").unlink()
    run(other, until="pseudo-label")
    assert (labels / "label_ids" / f"{world.key(0)}.png").exists()


def test_steps_that_no_checkpoint_kept_are_in_the_stream_once(tmp_path):
    project = world.white_box(tmp_path, baseline={"checkpoint_every": 100})
    for event in (running := run_project(project)):
        if metrics_at("baseline", 3)(event):
            running.close()
    assert len(world.of(read_events(project.events_path), Metrics, "baseline")) == 3
    run(project, until="baseline")
    found = list(read_events(project.events_path))
    assert [event.step for event in world.of(found, Metrics, "baseline")] == [1, 2, 3, 4]
    assert len(world.of(found, StageStarted, "pseudo-label")) == 1


def test_an_earlier_finished_run_of_a_stage_stays_in_the_stream(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    run(project, until="baseline")
    run(world.change(project, baseline__learning_rate=0.01), until="baseline")
    assert len(world.of(read_events(project.events_path), StageStarted, "baseline")) == 2
    assert [event.step for event in world.of(read_events(project.events_path), Metrics)] == [1, 2, 3, 4] * 2


def test_every_stage_ends_once_even_where_the_stream_cannot_be_written(tmp_path, monkeypatch):
    project = world.white_box(tmp_path)
    original, full = EventLog.append, []

    def append(self, event):
        if full or metrics_at("baseline", 3)(event):
            full.append(event)
            raise StageError("cannot write events.jsonl: the disk is full; free some space and run again")
        original(self, event)

    monkeypatch.setattr(EventLog, "append", append)
    events = run(project)
    assert ends(events) == {"pseudo-label": "completed", "baseline": "failed"}
    assert len(world.of(events, StageFinished)) == 2 and "disk is full" in events[-1].message
    monkeypatch.undo()
    assert set(ends(run(project)).values()) == {"completed"}
    assert [event.step for event in world.of(read_events(project.events_path), Metrics, "baseline")] == [1, 2, 3, 4]


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    first, long, last = (Note(stage="mine", text=text) for text in ("a", "b" * 500, "c"))
    log.append(first)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.position + 100, before[1]))
    try:
        with pytest.raises(StageError, match="too large"):
            log.append(long)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.append(last)
    assert list(read_events(log.path)) == [first, last]


def test_a_line_that_a_power_cut_spoiled_does_not_stop_a_resumed_run(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    note = Note(stage="baseline", text="a")
    log.append(note)
    with log.path.open("ab") as file:
        file.write(b"\0\0\0\n[]\n")
    log.append(Note(stage="mine", text="b"))
    log.drop("mine", after=0)
    log.drop_latest("baseline")
    assert list(read_events(log.path)) == [note]


def test_a_record_that_cannot_be_written_is_a_failure(tmp_path):
    def refuse(seconds, miou):
        raise StageError("cannot write records: the disk is full")

    context = Context("mine", log=EventLog(tmp_path / "events.jsonl"))
    events = list(run_stage(lambda _: iter([Note(stage="mine", text="a")]), context, record=refuse))
    assert [type(event) for event in events] == [Note, StageFinished] and events[-1].outcome == "failed"


def test_half_written_files_of_a_kill_are_removed_and_nothing_else(tmp_path):
    project = world.white_box(tmp_path)
    mine = project.folder / "notes" / ".0123abcd.partial.txt"
    left = [
        project.folder / ".0123abcd.partial.jsonl",
        project.folder / "records" / ".0123abcd.partial.json",
        project.folder / "baseline" / ".0123abcd.partial.pt",
        project.folder / "pseudo-labels" / "label_ids" / "day" / ".0123abcd.partial.png",
        project.folder / "cache" / "00" / ".0123abcd.partial.npy",
    ]
    for path in (*left, mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    run(project, until="pseudo-label")
    assert not [path for path in left if path.exists()] and mine.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_project_is_one_line(tmp_path):
    project = world.white_box(tmp_path)
    project.folder.chmod(0o500)
    try:
        with pytest.raises(StageError, match="no permission"):
            run(project)
    finally:
        project.folder.chmod(0o700)


def test_a_broken_image_stops_the_run_before_labelling_or_is_left_out_everywhere(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    # The first of all, which export and the label-free scores would look at.
    broken = tmp_path / "images" / f"{world.key(1)}.png"
    broken.write_bytes(broken.read_bytes()[:200])
    events = run(project)
    assert ends(events) == {"pseudo-label": "failed"} and events[-1].exit_code == 2
    assert broken.name in events[-1].message and "--skip-bad" in events[-1].message
    assert not list(project.stage_folder("pseudo-label").rglob("*.png"))
    lenient = world.change(project, data__skip_bad=True)
    events = run(lenient)
    assert set(ends(events).values()) == {"completed"}
    assert world.of(events, Scored, "adapt-1")
    assert any(broken.name in event.text and event.level == "warning" for event in world.of(events, Note))
    assert json.loads((project.stage_folder("pseudo-label") / "skipped.json").read_text()).keys() == {world.key(1)}
    assert not list(project.folder.rglob("*street_001*.png"))


def test_the_published_file_names_do_not_stop_a_project(tmp_path):
    project = world.white_box(tmp_path, pseudo_label={"published_layout": True}, adapt={"rounds": 1})
    assert set(ends(run(project)).values()) == {"completed"}


def test_a_size_that_the_student_cannot_take_is_refused_before_its_first_step(tmp_path):
    project = world.white_box(
        tmp_path, data={"size": "40x32"}, student={"net": "tiny_nets:plain32", "weights": "random"}
    )
    events = run(project)
    assert ends(events) == {"pseudo-label": "completed", "baseline": "failed"}
    assert not world.of(events, StageStarted, "baseline")
    assert "multiples of 32" in events[-1].message and events[-1].exit_code == 2


def test_batch_1_works_or_is_refused_before_the_first_step_with_the_reason(tmp_path):
    single = {"batch": 1}
    project = world.white_box(tmp_path / "a", baseline=single, adapt={**single, "rounds": 1})
    assert set(ends(run(project)).values()) == {"completed"}
    project = world.white_box(
        tmp_path / "b", baseline=single, student={"net": "tiny_nets:pooling", "weights": "random"}
    )
    events = run(project)
    assert ends(events)["baseline"] == "failed" and not world.of(events, StageStarted, "baseline")
    assert "batch of at least 2" in events[-1].message


def test_fewer_images_than_a_batch_still_train(tmp_path):
    project = world.white_box(tmp_path, images=1, baseline={"batch": 4}, adapt={"batch": 4, "rounds": 1})
    assert set(ends(run(project)).values()) == {"completed"}


def test_no_patches_are_a_warning_and_the_round_trains_on_mixes(tmp_path):
    project = world.white_box(tmp_path, mine={"min_pixels": 10_000}, adapt={"rounds": 1})
    events = run(project)
    assert set(ends(events).values()) == {"completed"}
    assert any("no hard patches" in event.text for event in world.of(events, Note, "adapt-1"))
    assert all("hard patch" not in event.values for event in world.of(events, Metrics, "adapt-1"))


def test_corrections_reach_the_stages_that_they_concern(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 1})
    run(project)
    index = json.loads((project.stage_folder("mine") / "patches.json").read_text())
    rejected = [patch["name"] for patch in index["patches"]]
    project.corrections_path.mkdir()
    (project.corrections_path / "patches.json").write_text(json.dumps({"rejected": rejected}))
    stale = [key for key, state in states(project).items() if state == "stale"]
    assert stale == ["adapt-1", "export"]
    assert any("no hard patches" in event.text for event in world.of(run(project), Note))
    repainted = project.corrections_path / "label_ids" / f"{world.key(1)}.png"
    labels = np.full((world.SIZE.height, world.SIZE.width), world.SKY, np.uint8)
    world.write_labels(repainted, labels)
    stale = [key for key, state in states(project).items() if state == "stale"]
    assert stale == ["baseline", "mine", "adapt-1", "export"]
    run(project)
    assert not list((project.stage_folder("mine") / "patches").rglob("*street_001*"))


def test_every_path_in_the_stream_exists(tmp_path):
    project = world.black_box(tmp_path, adapt={"rounds": 1})
    for event in world.of(run(project), ArtifactWritten):
        assert Path(event.path).exists()


@pytest.mark.slow
def test_a_real_network_goes_through_every_stage(tmp_path):
    # 64x64 pictures in a 3x3 grid: patches of 21x21, which such networks must be given as they are.
    pytest.importorskip("torchvision")
    net = {"net": "torchvision:lraspp_mobilenet_v3_large", "weights": "random"}
    few = {"steps": 2, "accumulate": 2, "batch": 4}
    project = world.black_box(
        tmp_path, data={"size": "64x64"}, student=net, baseline=few, adapt={**few, "rounds": 1}, mine={"grid": "3x3"}
    )
    events = run(project)
    assert set(ends(events).values()) == {"completed"}
    figures = world.of(events, Metrics, "adapt-1")[-1].values
    assert "hard patch" in figures and all(np.isfinite(value) for value in figures.values())


@pytest.mark.parametrize("guard", [True, False])
def test_guard_decides_whether_checkpoints_are_put_by(tmp_path, guard):
    project = world.white_box(tmp_path, baseline={"guard": guard}, adapt={"guard": guard, "rounds": 1})
    events = run(project, until="adapt")
    for key in ("baseline", "adapt-1"):
        assert (project.choice(key) is not None) is guard
    assert (project.stage_folder("adapt-1") / "best.pt").exists() is guard
    assert bool(world.of(events, Scored, "baseline")) is guard, "nobody else looks at the baseline"


def test_a_round_that_is_not_needed_is_not_run_and_the_export_takes_the_one_before(tmp_path):
    project = world.white_box(tmp_path, adapt={"rounds": 2, "stop_rounds": True, "select": "label-free", "steps": 2})
    run(project, until="adapt-1")
    path = project.stage_folder("adapt-1") / "choice.json"
    choice = json.loads(path.read_text())
    assert bool(choice["ends_rounds"]) is bool(project.ends_rounds("adapt-1"))
    path.write_text(json.dumps({**choice, "ends_rounds": "it kept its start"}))
    events = run(project)
    assert [event.stage for event in world.of(events, StageStarted)] == ["export"]
    assert states(project)["adapt-2"] == "not needed" and run(project) == []
    assert student_of(project, "adapt-1")[1] == world.weights_of(project.folder / "export/adapted.safetensors")[1]


def test_a_stop_before_a_stage_has_begun_takes_no_finished_result_back(tmp_path):
    project = world.black_box(tmp_path)
    run(project, until="pseudo-label")
    control = Control()
    control.stop()
    events = run(project, control=control, only="pseudo-label")
    assert ends(events) == {"pseudo-label": "cancelled"}
    assert states(project)["pseudo-label"] == "done" and run(project, until="pseudo-label") == []
    discard(project, "pseudo-label")
    assert list((project.stage_folder("pseudo-label") / "label_ids").rglob("*.png")), "what is done is nobody's rest"


def test_a_kill_while_work_is_thrown_away_leaves_nothing_to_go_on_from(tmp_path, monkeypatch):
    project = world.black_box(tmp_path)
    stop_at(project, lambda event: isinstance(event, StageStarted), only="pseudo-label")
    assert states(project)["pseudo-label"] == "interrupted"

    def killed(folder, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("crots.runner.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        discard(project, "pseudo-label")
    assert not project.resumable("pseudo-label")


def test_nothing_is_thrown_away_while_a_run_goes_on(tmp_path):
    project = world.black_box(tmp_path)
    with locked(project), pytest.raises(InputError, match="another run goes on"):
        discard(project, "pseudo-label")
