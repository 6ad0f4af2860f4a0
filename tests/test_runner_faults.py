"""Runs of whole tiny projects: failures, kills, full disks, and what stays."""

import json
import os
import resource

import pytest
import torch

from crots.artefacts import CHECKPOINT, STUDENT
from crots.errors import StageError
from crots.eventlog import EventLog, read_events
from crots.events import Metrics, Note, Scored, StageFinished, StageStarted
from crots.execution.context import Context
from crots.project_status import statuses
from crots.runner import failure, run_project, run_stage
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import ends, metrics_at, run, states, student_of

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.safety]


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
    assert "restarts it" in last.message and "run again" not in last.message
    assert torch.load(project.work_folder("baseline") / CHECKPOINT, weights_only=True)["step"] == 4
    assert states(project)["baseline"] == "failed" and states(project)["pseudo-label"] == "done"
    monkeypatch.undo()
    assert world.of(run(project, until="baseline"), StageStarted)[0].resumed_at == 4


def test_nan_weights_are_not_checkpointed_either(tmp_path, monkeypatch):
    from crots.stages.baseline import BaselineLearner

    project = world.white_box(tmp_path, baseline={"steps": 8, "log_every": 8, "refresh": 3})
    original = BaselineLearner.step

    def step(self, number, data, rate):
        figures = original(self, number, data, rate)
        if number == 3:
            with torch.no_grad():
                self.student.net.head.weight[0] = float("inf")
        return figures

    monkeypatch.setattr(BaselineLearner, "step", step)
    last = run(project)[-1]
    assert last.outcome == "failed" and "weights became" in last.message and "step 3 is kept" in last.message
    assert torch.load(project.work_folder("baseline") / CHECKPOINT, weights_only=True)["step"] == 3


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


def test_bugs_keep_their_traceback():
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
    status = next(status for status in statuses(wrong) if status.key == "adapt-1")
    assert status.state == "failed" and status.result and status.keeps_earlier
    # With the options as they were, everything is still there.
    assert set(states(project).values()) == {"done"} and run(project) == []


def test_a_stage_whose_inputs_did_not_fit_shows_its_failure(tmp_path):
    project = world.white_box(tmp_path)
    run(project, until="pseudo-label")
    project = world.change(project, student__weights=str(tmp_path / "missing.pth"))
    events = run(project)
    status = {status.key: status for status in statuses(project)}["baseline"]
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


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_the_end_of_a_resumed_stage_says_what_all_its_parts_took(tmp_path, outcome):
    log, recorded = EventLog(tmp_path / "events.jsonl"), []
    log.append(StageStarted(stage="mine", time=1000, total=9))
    log.append(Note(stage="mine", time=1070, text="a"))

    def body(context):
        yield StageStarted(stage="mine", total=9, resumed_at=4)
        if outcome == "failed":
            raise StageError("no")

    context = Context("mine", log=log, resume=True)
    end = list(run_stage(body, context, record=lambda seconds, miou: recorded.append(seconds)))[-1]
    assert end.outcome == outcome and 70 <= end.seconds < 130
    assert recorded == ([end.seconds] if outcome == "completed" else [])


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
    assert broken.name in events[-1].message and "`data.skip_bad`" in events[-1].message
    assert not list(project.stage_folder("pseudo-label").rglob("*.png"))
    lenient = world.change(project, data__skip_bad=True)
    events = run(lenient)
    assert set(ends(events).values()) == {"completed"}
    assert world.of(events, Scored, "adapt-1")
    assert any(broken.name in event.text and event.level == "warning" for event in world.of(events, Note))
    assert json.loads((project.stage_folder("pseudo-label") / "skipped.json").read_text()).keys() == {world.key(1)}
    assert not list(project.folder.rglob("*street_001*.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mine": {"rare": "lamp"}}, "lamp"),
        ({"mine": {"rare": "7"}}, "found train id 7"),
        ({"mine": {"grid": "64x64"}}, "choose a coarser grid"),
        ({"baseline": {"refresh": 1, "keep_ema": False}}, "baseline.keep_ema"),
        ({"baseline": {"batch": 3, "accumulate": 2}}, "accumulate"),
        ({"adapt": {"batch": 3, "accumulate": 2}}, "accumulate"),
        ({"student": {"weights": "nowhere.pth"}}, "nowhere.pth"),
    ],
)
def test_what_a_later_stage_would_refuse_is_refused_before_the_first(tmp_path, options, message):
    project = world.white_box(tmp_path, **options)
    (end,) = run(project)
    assert (end.stage, end.outcome, end.exit_code) == ("pseudo-label", "failed", 2) and message in end.message
    assert not project.started_path("pseudo-label").exists()


def test_a_set_of_classes_without_published_rare_ones_is_refused_before_the_first_stage(tmp_path, monkeypatch):
    monkeypatch.setattr("crots.opening.published_rare", lambda class_map: ())
    (end,) = run(world.white_box(tmp_path, mine={"rare": "published"}))
    assert end.stage == "pseudo-label" and "no published rare classes" in end.message
