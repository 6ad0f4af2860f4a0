import json

import pytest

from crots import runner
from crots.cli.commands import run as run_module
from crots.estimate.decide import Plan
from crots.estimate.facts import Estimate
from crots.events import Evaluated, StageFinished, StageStarted
from crots.files import write_json
from crots.project import Project


@pytest.fixture
def project(crots, city, weights, tmp_path):
    folder = tmp_path / "p"
    ran = crots(
        "init", folder, "--target", city / "images" / "train", "--classes", "camvid", "--source", weights,
        "--net", "deeplabv2_resnet18",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def seen(monkeypatch):
    """Replaces the runner by one that notes what it was asked for, and tells of two subjects."""
    calls = []

    def run_project(project, *, control, until, only, measure):
        assert measure, "a run says first what it takes"
        calls.append((project, until, only))
        yield StageStarted(stage="evaluate", total=1, unit="images")
        for subject, miou in (("source", 0.5), ("baseline", 0.625)):
            yield Evaluated(stage="evaluate", subject=subject, miou=miou, per_class_iou={"road": miou})
        yield StageFinished(stage="evaluate", outcome="completed", seconds=1.0)

    monkeypatch.setattr(run_module, "run_project", run_project)
    return calls


def test_runs_and_prints_the_table(crots, project, seen):
    ran = crots("run", project, "--until", "baseline")
    assert ran.code == 0
    assert "+12.5" in ran.out
    assert seen[0][1:] == ("baseline", None)


def test_rounds_and_set_are_kept_device_and_trust_are_not(crots, project, seen):
    crots("run", project, "--rounds", "5", "--set", "adapt.steps=9", "--device", "cpu", "--trust")
    asked = seen[0][0].config
    assert (asked.adapt.rounds, asked.adapt.steps, asked.runtime.device, asked.runtime.trust) == (5, 9, "cpu", True)
    kept = Project.open(project).config
    assert (kept.adapt.rounds, kept.adapt.steps, kept.runtime.device, kept.runtime.trust) == (5, 9, "auto", False)


def test_paths_that_are_set_are_those_of_the_current_folder(crots, project, city, seen, monkeypatch):
    # As crots init takes them; they were searched for in the project.
    monkeypatch.chdir(city)
    (project / "own").mkdir()
    words = (
        "--set",
        "data.val_images=images/val",
        "--set",
        "data.val_labels=labels/val",
        "--set",
        "student.weights=own",
    )
    assert crots("run", project, *words).code == 0
    kept = Project.open(project).config
    assert (kept.data.val_images, kept.data.val_labels) == (city / "images" / "val", city / "labels" / "val")
    assert kept.student.weights == "own", "what is not there is left as it is"


def test_a_path_of_the_project_itself_stays_relative(crots, project, refused, seen, tmp_path, monkeypatch):
    # A whole path would make the stages stale, and the project could no longer be moved.
    (project / "own").mkdir()
    monkeypatch.chdir(project)
    assert crots("run", ".", "--set", "student.weights=own").code == 0
    assert Project.open(project).config.student.weights == "own"
    (tmp_path / "other" / "own").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "other")
    line = refused("run", project, "--set", "student.weights=own")
    assert str(tmp_path / "other" / "own") in line and str(project / "own") in line and "whole path" in line


def test_json_tells_scores(crots, project, seen):
    found = json.loads(crots("run", project, "--json").out)
    assert [(row["subject"], row["miou"]) for row in found["scores"]] == [("source", 0.5), ("baseline", 0.625)]


def test_nothing_to_do(crots, project, monkeypatch):
    monkeypatch.setattr(run_module, "run_project", lambda *_, **__: iter(()))
    assert "nothing to do" in crots("run", project).out


@pytest.fixture
def ended(project):
    """A project whose baseline, the last stage that is done, ended the rounds."""
    found = Project.open(project)
    for key in ("pseudo-label", "baseline"):
        found.begin(key)
        choice = {"words": "", "ends_rounds": "it started afresh; `adapt.stop_rounds` = false runs them anyway"}
        write_json(found.work_folder(key) / "choice.json", choice)
        found.finish(key, 1.0, None)
    return found


def test_rounds_that_are_not_needed_are_not_called_done(crots, project, ended):
    ran = crots("run", project, "--until", "adapt", "--set", "adapt.rounds=2").out.splitlines()
    assert ran[-2] == (
        "adapt-1, adapt-2: not needed, since it started afresh; adapt.stop_rounds = false runs them anyway"
    )
    assert ran[-1].startswith("nothing to do, all stages up to adapt-2 that are needed are done")
    assert "mine: not needed, since only rounds" in crots("run", project, "--until", "mine").out
    # The export is still to be done.
    assert "nothing to do, all stages up to baseline are done" in crots("run", project, "--until", "baseline").out
    ended.begin("export")
    ended.finish("export", 1.0, None)
    assert "nothing to do, all stages that are needed are done" in crots("run", project).out


def test_a_stage_that_was_asked_for_is_estimated_even_if_it_is_done(crots, project, ended, monkeypatch):
    asked = []

    def decide_options(project, keys, *, busy, asked):
        assert asked and tuple(keys) == ("baseline",)
        return Plan(Estimate({}, {}))

    monkeypatch.setattr("crots.estimate.decide.decide_options", decide_options)
    assert crots("run", project, "--only", "baseline", "--estimate").code == 0
    assert not asked


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--until", "bassline"), "baseline"),
        (("--only", "evaluate"), "export; for an evaluation give data.val_images"),
        (("--only", "pseudo_label"), "did you mean pseudo-label?"),
        (("--until", "Export"), "did you mean export?"),
        (("--until", "adapt-7"), "--rounds is 1"),
        # Of an unset variable of a shell: all stages would run again.
        (("--only", ""), "expected one of pseudo-label"),
        (("--until", ""), "expected one of pseudo-label"),
        (("--until", "pseudo"), "expected one of pseudo-label"),
        (("--until", "mine", "--only", "mine"), "leave the other out"),
        (("--rounds", "0"), "--rounds"),
        (("--set", "adapt.mix=catmix"), "cutmix"),
        (("--set", "adapt"), "section.option=value"),
        (("--events", "-", "--json"), "standard output"),
    ],
)
def test_wrong_use(refused, project, seen, words, part):
    before = (project / "crots.toml").read_text()
    assert part in refused("run", project, *words)
    assert not seen
    assert (project / "crots.toml").read_text() == before


def test_no_project(refused, tmp_path):
    assert "the folder of a project" in refused("run", tmp_path)


def test_another_run_is_active(refused, project):
    with runner.locked(Project.open(project)):
        assert "another run" in refused("run", project, "--set", "adapt.steps=9")
        assert "another run" in refused("run", project)
    assert Project.open(project).config.adapt.steps != 9


def test_demo_is_wired(crots, monkeypatch, tmp_path):
    asked = []

    def demo_events(folder, *, tiny, control):
        asked.append((folder, tiny))
        yield StageFinished(stage="train", outcome="completed", seconds=1.0)

    module = type("Module", (), {"demo_events": staticmethod(demo_events)})
    monkeypatch.setitem(__import__("sys").modules, "crots.demo.run", module)
    ran = crots("demo", tmp_path / "d", "--tiny")
    assert ran.code == 0
    assert asked == [(tmp_path / "d", True)]
    assert "crots status" in ran.out
