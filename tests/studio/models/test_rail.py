"""The rail: states in words, live progress over the state on disk, a demonstration's own stages, Run or Resume."""

import time

import pytest

from crots.differences import Change
from crots.eventlog import EventLog
from crots.events import Evaluated, Progress, StageFinished, StageStarted
from crots.project import Project
from crots.project_config import override
from crots.project_status import StageStatus, statuses
from crots.taxonomy import load_class_set
from crots_studio.models.history import History
from crots_studio.models.iou import ClassLook, Scores, make_class_table
from crots_studio.models.monitor_tiles import miou_tile
from crots_studio.models.project_form import STILL_TO_BE_MADE, Finding
from crots_studio.models.rail import next_stage, rail_rows, reason_text, summary
from crots_studio.models.run_state import RunState
from crots_studio.models.runs import read_runs
from tests.studio.fake_project import CLASSES, make_fake_project, report_of


def rows(*status, run=None, findings=None, history=None):
    return rail_rows(status, run or RunState(), findings or {}, history or History())


def stale(key, *changes, **more):
    return StageStatus(key, "stale", ", ".join(map(str, changes)), result=True, changes=changes, **more)


def by_key(found):
    return {row.key: row for row in found}


def test_states_in_words_with_duration_and_score():
    found = by_key(
        rows(
            StageStatus("pseudo-label", "done", result=True, seconds=75.0, miou=0.593),
            stale("baseline", Change("baseline", "steps"), seconds=5.0),
            StageStatus("mine", "interrupted", done=30, total=120),
            StageStatus("adapt-1", "waiting"),
            StageStatus("export", "failed", reason="the disk is full"),
        )
    )
    assert (found["pseudo-label"].time, found["pseudo-label"].miou) == ("1 min 15 s", "59.3%")
    assert found["baseline"].text == "stale: Steps changed"
    assert found["mine"].text == "interrupted at 25%"
    assert not found["adapt-1"].startable
    assert found["export"].startable and found["export"].reason == "the disk is full"
    assert "Pseudo-labels, done" in found["pseudo-label"].spoken


def test_a_folder_that_is_gone_is_called_missing():
    gone = Change("data", "files of data/target", missing="/photographs")
    found = by_key(rows(stale("baseline", Change("baseline", "steps"), gone), stale("mine", gone)))
    assert found["baseline"].text == "stale: /photographs is missing"
    assert found["baseline"].reason == "Steps changed, /photographs is missing"
    assert found["mine"].text == "stale: /photographs is missing"


def test_many_reasons_of_a_stale_stage_leave_room_for_the_stages_below():
    found = by_key(
        rows(
            stale("baseline", *(Change("baseline", name) for name in ("steps", "batch", "mix", "refresh"))),
            stale("mine", Change("data", "files of my images, all/a.b"), Change("pseudo-label")),
        )
    )
    assert found["baseline"].text == "stale: Steps and 3 more changed"
    assert found["baseline"].reason.count(" changed") == 4, "the tooltip has all of them"
    assert found["mine"].text.startswith("stale: files of my images, all/a.b and 1 more"), "a name that holds a comma"


def test_a_failed_stage_says_that_its_earlier_result_is_kept():
    found = by_key(
        rows(
            StageStatus("baseline", "failed", "out of memory", result=True, seconds=5.0, miou=0.4),
            StageStatus("adapt-1", "failed", "out of memory"),
        )
    )
    kept, first = found["baseline"], found["adapt-1"]
    assert (kept.text, kept.miou, kept.result) == ("failed; its earlier result is kept", "40.0%", True)
    assert kept.look == "failed" and kept.reason == "out of memory" and "out of memory" in kept.spoken
    assert (first.text, first.miou, first.result) == ("failed", "", False)


def test_a_part_of_a_demonstration_that_failed_has_no_earlier_result():
    failure = StageFinished(stage="train", outcome="failed", seconds=5.0, message="out of memory", time=2)
    history = History([StageStarted(stage="train", total=9, time=1), failure])
    assert by_key(rows(StageStatus("baseline", "waiting"), history=history))["train"].text == "failed"


def test_a_choice_by_labels_is_marked():
    # Both sentences name the labels.
    kept = "kept the checkpoint of step 20, of 40; by labels (oracle, after the choice): mIoU 45.3%"
    found = by_key(
        rows(
            StageStatus("adapt-1", "done", kept=kept, by_labels=True),
            StageStatus("adapt-2", "done", kept=kept),
        )
    )
    assert (found["adapt-1"].text, found["adapt-2"].text) == ("oracle, done", "done")


def test_the_live_run_overrules_the_disk():
    run = RunState()
    run.begin()
    run.add([StageStarted(stage="baseline", total=100), Progress(stage="baseline", done=42, total=100)])
    row = by_key(rows(StageStatus("baseline", "ready"), run=run))["baseline"]
    assert (row.state, row.text, row.fraction) == ("running", "running 42%", 0.42)
    assert not row.startable
    run.paused = True
    row = by_key(rows(StageStatus("baseline", "ready"), run=run))["baseline"]
    assert row.text == "paused 42%" and row.paused, "its sign is that of a pause, not of play"
    run.stopping = True
    assert by_key(rows(StageStatus("baseline", "ready"), run=run))["baseline"].text == "stopping 42%"


def test_inputs_show_what_was_found():
    findings = {"data.target": Finding("good", "2975 images, cityscapes layout", brief="2975 images")}
    found = by_key(rows(StageStatus("baseline", "ready"), findings=findings))
    assert (found["target"].state, found["target"].text) == ("done", "2975 images")
    assert found["source"].state == "missing" and not found["source"].is_stage


def test_nothing_is_ready_without_its_inputs():
    for level, state in (("empty", "waiting"), ("bad", "waiting"), ("warning", "ready"), ("checking", "ready")):
        row = by_key(rows(StageStatus("pseudo-label", "ready"), findings={"source": Finding(level, "x")}))[
            "pseudo-label"
        ]
        assert row.state == state


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        ({"source": Finding("empty", "")}, "choose a source in Set-up"),
        ({"data.target": Finding("bad", "/photographs is missing")}, "Target images: /photographs is missing"),
        ({"student": Finding("bad", "no weights")}, "Student: no weights"),
        ({"data.target": STILL_TO_BE_MADE}, "Created when the demonstration runs."),
    ],
)
def test_what_keeps_run_from_starting_keeps_the_first_stage_from_being_ready(findings, reason):
    """Whichever step of Set-up it is in."""
    row = by_key(rows(StageStatus("pseudo-label", "ready"), findings=findings))["pseudo-label"]
    assert (row.text, row.reason, row.look) == ("waiting", reason, "waiting")


def test_reasons_use_the_words_of_the_window():
    changes = (
        Change("adapt", "validate_every"), Change("adapt-1"), Change("data", "files of my images, all/a.b"),
        Change("source", "files"), Change("adapt", "an_old_option"), Change("pseudo-label"),
    )  # fmt: skip
    assert reason_text(stale("adapt-2", *changes)) == (
        "Validate every changed, Round 1 changed, files of my images, all/a.b changed, files changed, An old option "
        "changed, Pseudo-labels changed"
    )
    corrected = Change("corrections", "files of corrections/label_ids")
    assert reason_text(stale("mine", corrected)) == "your corrections changed"
    waiting = StageStatus("mine", "waiting", waits_for=(("pseudo-label", "ready"), ("baseline", "stale")))
    assert reason_text(waiting) == "Pseudo-labels is ready; Baseline is stale"
    assert reason_text(StageStatus("export", "failed", "set `adapt.steps`")).startswith("set \u201cSteps\u201d")
    assert reason_text(StageStatus("mine", "ready")) == ""


def test_a_demonstration_s_own_stages_come_first():
    end = StageFinished(stage="render", outcome="completed", seconds=2)
    history = History([StageStarted(stage="render", total=4), end])
    found = rows(StageStatus("baseline", "ready"), history=history)
    assert found[0].key == "render" and found[0].state == "done"
    assert summary(found) == "2 inputs, 1 of 2 stages done"


def test_summary_next_and_the_button_s_words():
    found = rows(StageStatus("pseudo-label", "done"), StageStatus("baseline", "stale"), StageStatus("mine", "ready"))
    assert summary(found) == "1 of 3 stages done, 1 stale"
    assert next_stage(found).key == "baseline"


def test_the_score_of_a_model_is_that_of_the_evaluation_until_it_is_trained_again():
    """Trainings validate at the working size, which differs by a few tenths from the size of the labels."""
    event = Evaluated(stage="evaluate", subject="baseline", miou=0.481, per_class_iou={}, step=0, time=3)
    history = History(
        [StageStarted(stage="baseline", total=9, time=1), StageStarted(stage="evaluate", total=3, time=2)]
    )
    history.add([event])

    def miou(state):
        scores = {"baseline": 0.486, "evaluate": 0.481}
        status = [StageStatus(key, state, result=True, miou=score) for key, score in scores.items()]
        return by_key(rail_rows(status, RunState(), {}, history))["baseline"].miou

    assert miou("done") == "48.1%" and miou("stale") == "48.1%", "an option that changed makes it no other model"
    history.add([StageStarted(stage="evaluate", total=3, time=4)])
    assert miou("stale") == "48.1%", "nor does an evaluation that was broken off"
    history.add([StageStarted(stage="baseline", total=9, time=5)])
    assert miou("done") == "48.6%"


def test_a_model_has_one_score_wherever_it_stands(tmp_path):
    """In the rail, the tiles, the table of classes and in Compare, also where its stage is stale."""
    project = make_fake_project(tmp_path / "fake")
    scores = report_of("adapt-2", load_class_set(CLASSES))["per_class_iou"]
    again = Evaluated(stage="evaluate", subject="adapt-2", miou=0.123, per_class_iou=scores, time=time.time())
    EventLog(project.events_path).append(again)
    Project(project.folder, override(project.config, {"adapt.learning_rate": "0.001"})).save()
    project = Project.open(project.folder)
    history = History.read(project.events_path)
    row = by_key(rail_rows(statuses(project), RunState(), {}, history))["adapt-2"]
    table = make_class_table(Scores.of_history(history), "adapt-2", ClassLook())
    (run,) = (run for run in read_runs(project.folder).runs if run.stage == "adapt-2")
    assert row.state == "stale" and (row.miou, miou_tile(Scores.of_history(history)).figure) == ("12.3%", "12.3%")
    assert (table.mean.iou, run.score.miou) == (0.123, 0.123)
