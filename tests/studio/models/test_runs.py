"""Past runs: told apart by their beginnings, with their own curves and scores; oracle runs and children marked."""

import csv
import io

import filelock
import pytest

from crots.artefacts import CHOICE
from crots.errors import InputError
from crots.eventlog import EventLog
from crots.events import Evaluated, Metrics, StageFinished, StageStarted
from crots.files import write_json
from crots.project import Project
from crots.project_config import build_config
from crots_studio.models.iou import ClassLook
from crots_studio.models.runs import (
    class_names,
    common_figures,
    differing_options,
    labels,
    read_runs,
    run_curves_csv,
    runs_csv,
)
from crots_studio.models.series import MIOU, Figure


def project(folder, events=()):
    made = Project.create(folder, build_config({"task": {"classes": "demo"}}))
    log = EventLog(made.events_path)
    for event in events:
        log.append(event)
    return made


def training(stage, miou, *, steps=20, resumed_at=0, outcome="completed", **options):
    yield StageStarted(stage=stage, total=steps, resumed_at=resumed_at, options={"steps": steps, **options})
    for step in range(resumed_at + 10, steps + 1, 10):
        yield Metrics(stage=stage, step=step, values={"loss": miou / step})
    yield Evaluated(stage=stage, subject=stage, step=steps, miou=miou, per_class_iou={"road": miou, "sky": None})
    yield StageFinished(stage=stage, outcome=outcome, seconds=3.0)


def scored(subject, miou, oracle=False):
    return Evaluated(stage="evaluate", subject=subject, miou=miou, per_class_iou={"road": miou}, oracle=oracle)


def test_each_beginning_is_a_run_with_its_own_curves_and_scores(tmp_path):
    project(tmp_path / "a", [
        *training("baseline", 0.3), scored("source", 0.2), scored("baseline", 0.31),
        *training("baseline", 0.4, steps=40), scored("baseline", 0.41),
    ])  # fmt: skip
    source, first, second = read_runs(tmp_path / "a").runs
    assert (source.stage, source.score.miou, source.state) == ("source", 0.2, "given")
    assert (first.number, first.final.miou, first.validation.miou) == (1, 0.31, 0.3)
    assert (second.number, second.score.miou, second.title) == (2, 0.41, "Baseline, run 2")
    assert first.curves.series("baseline", Figure("loss", "loss")).steps.tolist() == [10, 20]
    assert second.curves.series("baseline", Figure("loss", "loss")).steps.tolist() == [10, 20, 30, 40]


def test_a_resumed_run_is_one_run(tmp_path):
    project(tmp_path / "a", [
        *training("adapt-1", 0.3, outcome="cancelled"), *training("adapt-1", 0.5, steps=40, resumed_at=20),
    ])  # fmt: skip
    (run,) = read_runs(tmp_path / "a").runs
    assert run.curves.series("adapt-1", Figure("loss", "loss")).steps.tolist() == [10, 20, 30, 40]
    # The last end says what all parts took.
    assert (run.seconds, run.outcome, run.state) == (3.0, "completed", "done")


def test_an_interrupted_run_has_no_end(tmp_path):
    project(tmp_path / "a", list(training("adapt-1", 0.3))[:-1])
    (run,) = read_runs(tmp_path / "a").runs
    assert (run.outcome, run.seconds, run.state) == (None, None, "unfinished")


def test_a_run_that_is_at_work_is_running(tmp_path):
    """It was called unfinished, as one that was killed."""
    made = project(tmp_path / "a", [*list(training("adapt-1", 0.3))[:-1], *list(training("baseline", 0.4))[:-1]])
    with filelock.FileLock(made.lock_path):
        found = read_runs(made.folder)
    assert [(run.stage, run.state) for run in found.runs] == [("baseline", "running"), ("adapt-1", "unfinished")]
    assert [row["state"] for row in csv.DictReader(io.StringIO(runs_csv(found.runs, found.look)))] == [
        "running",
        "unfinished",
    ]
    EventLog(made.events_path).append(StageStarted(stage="evaluate", total=3, unit="images"))
    with filelock.FileLock(made.lock_path):
        assert {run.state for run in read_runs(made.folder).runs} == {"unfinished"}, "another stage is at work"


def test_oracle_marks_a_run_and_what_grew_from_it(tmp_path):
    project(tmp_path / "a", [
        *training("baseline", 0.3), *training("adapt-1", 0.3, select="oracle"), *training("adapt-2", 0.3),
    ])  # fmt: skip
    assert [run.oracle for run in read_runs(tmp_path / "a").runs] == [False, True, True]


def test_a_score_marked_oracle_marks_the_run(tmp_path):
    project(tmp_path / "a", [*training("adapt-1", 0.3), scored("adapt-1", 0.4, oracle=True)])
    assert read_runs(tmp_path / "a").runs[0].oracle


def test_reports_fill_in_where_events_are_missing(tmp_path):
    made = project(tmp_path / "a", [scored("baseline", 0.3)])
    write_json(made.stage_folder("evaluate") / "baseline.json", {"miou": 0.9, "per_class_iou": {"road": 0.9}})
    write_json(made.stage_folder("evaluate") / "adapt-1.json", {"miou": 0.6, "per_class_iou": {"road": 0.6}})
    runs = read_runs(tmp_path / "a").runs
    assert [(run.stage, run.score.miou) for run in runs] == [("baseline", 0.3), ("adapt-1", 0.6)]


def test_a_report_on_a_model_that_was_trained_again_says_nothing_of_it(tmp_path):
    made = project(tmp_path / "a", [*training("baseline", 0.3), scored("baseline", 0.3), *training("baseline", 0.5)])
    write_json(made.stage_folder("evaluate") / "baseline.json", {"miou": 0.3, "per_class_iou": {"road": 0.3}})
    assert [run.score.miou for run in read_runs(tmp_path / "a").runs] == [0.3, 0.5]


def test_no_project_is_an_error_in_words(tmp_path):
    with pytest.raises(InputError, match=r"no crots\.toml"):
        read_runs(tmp_path)


def test_projects_of_another_version_can_still_be_compared(tmp_path):
    made = project(tmp_path / "a", training("baseline", 0.3))
    (made.folder / "crots.toml").write_text("format = 99\n", encoding="utf-8")
    past = read_runs(made.folder)
    assert len(past.runs) == 1 and past.look.names == ()


def test_differing_options_are_named_within_a_kind(tmp_path):
    project(tmp_path / "a", [
        *training("baseline", 0.3, mix="never compared"),
        *training("adapt-1", 0.3, mix="spatialmix", learning_rate=1e-5, flip=True, log_every=1),
        *training("adapt-2", 0.3, mix="cutmix", learning_rate=1e-5, flip=False, log_every=2),
    ])  # fmt: skip
    runs = read_runs(tmp_path / "a").runs
    assert list(differing_options(runs).values()) == ["", "mix spatialmix, flip on", "mix cutmix, flip off"]


def test_what_an_empty_option_means_is_said_in_the_words_of_the_window(tmp_path):
    for place, crop, time in (("a", None, None), ("b", "256x192", "1h")):
        project(tmp_path / place, training("baseline", 0.3, crop=crop, time=time))
    runs = [run for place in "ab" for run in read_runs(tmp_path / place).runs]
    assert next(iter(differing_options(runs).values())) == "crop whole images, time none"


def test_projects_of_one_name_are_distinguished(tmp_path):
    made = [project(tmp_path / place / "camvid", training("baseline", 0.3)) for place in ("x", "y")]
    runs = [read_runs(one.folder).runs[0] for one in made]
    assert labels(runs) == ["x/camvid: Baseline", "y/camvid: Baseline"]
    assert labels(runs[:1]) == ["Baseline"]
    assert len({run.key for run in runs}) == 2


def test_tables_as_csv_equal_the_runs(tmp_path):
    project(tmp_path / "a", [*training("baseline", 1 / 3), *training("adapt-1", 2 / 3, select="oracle")])
    past = read_runs(tmp_path / "a")
    rows = list(csv.DictReader(io.StringIO(runs_csv(past.runs, past.look))))
    assert [(row["model"], row["oracle"], float(row["mIoU"])) for row in rows] == [
        ("baseline", "no", 1 / 3), ("adapt-1", "yes", 2 / 3),
    ]  # fmt: skip
    assert class_names(past.runs, ClassLook()) == ("road", "sky") and rows[0]["sky"] == ""
    figure = Figure("score", MIOU)
    assert figure in common_figures(past.runs)
    curves = list(csv.DictReader(io.StringIO(run_curves_csv(past.runs, figure))))
    assert [(row["model"], float(row[MIOU])) for row in curves] == [("baseline", 1 / 3), ("adapt-1", 2 / 3)]


def test_a_run_whose_model_has_a_problem_is_not_simply_done(tmp_path):
    made = project(tmp_path / "city", [*training("baseline", 0.4), *training("baseline", 0.5)])
    made.begin("baseline")
    made.finish("baseline", 1.0, 0.5)
    write_json(made.stage_folder("baseline") / CHOICE, {"problem": "has not learnt the pseudo-labels"})
    first, second = read_runs(made.folder).runs
    assert first.state == "done", "its model was replaced, and nobody knows"
    assert second.state == "done, with a warning" and second.problem.startswith("has not learnt")
