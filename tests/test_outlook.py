"""What is said before a run of the stages that it will run: those that it will leave out are not among them."""

import pytest

from crots.outlook import may_be_fewer, outlook, to_run
from crots.project import Project
from crots.project_config import override
from crots.project_status import statuses
from crots.student_start import foreseen
from crots.training_options import NO_ROUND
from tests.studio.fake_project import make_fake_project


def seen(project):
    return foreseen(project, busy=False)


def keys(project):
    return [stage.key for stage in to_run(seen(project))]


def changed(project, **settings):
    values = {name.replace("__", "."): value for name, value in settings.items()}
    return Project(project.folder, override(project.config, values))


@pytest.mark.parametrize("weights", ["random", "imagenet"])
def test_a_student_that_starts_afresh_has_no_rounds_to_run(tmp_path, weights):
    """Ready to run 7 stages, it said of a black box of which 4 were run."""
    project = changed(make_fake_project(tmp_path, until=""), student__weights=weights)
    assert len(project.stage_keys()) == 7
    assert keys(project) == ["pseudo-label", "baseline", "evaluate", "export"]
    assert not may_be_fewer(project, seen(project))
    rounds = {stage.key: stage for stage in seen(project)}
    assert rounds["adapt-1"].state == rounds["mine"].state == "not needed"
    assert rounds["adapt-2"].reason == NO_ROUND
    assert rounds["export"].waits_for == (("baseline", "waiting"),), "and not for rounds that are not needed"


def test_rounds_that_the_user_asked_for_are_run(tmp_path):
    project = changed(make_fake_project(tmp_path, until="pseudo-label"), adapt__stop_rounds="false")
    assert keys(project) == ["baseline", "mine", "adapt-1", "adapt-2", "evaluate", "export"]
    assert not may_be_fewer(project, seen(project))


def test_what_a_baseline_that_is_there_has_decided_holds(tmp_path):
    project = make_fake_project(tmp_path, until="baseline")
    assert "adapt-1" in keys(project), "it said nothing against a round, as one of an earlier version"
    project = changed(project, baseline__steps="7")
    assert keys(project) == ["baseline", "evaluate", "export"], "and is to be run anew"
    finished = make_fake_project(tmp_path / "finished")
    assert keys(finished) == []
    again = changed(finished, baseline__steps="7", mine__grid="3x3")
    assert keys(again) == ["baseline", "mine", "evaluate", "export"], "patches that were cut are cut again"


def test_a_baseline_that_runs_anew_may_need_rounds_after_all(tmp_path):
    project = make_fake_project(tmp_path)
    choice = project.stage_folder("baseline") / "choice.json"
    choice.write_text('{"ends_rounds": "the baseline was stopped by an alarm", "given_up": "an alarm"}')
    assert "adapt-1" not in keys(project)
    stale = changed(project, baseline__steps="7")
    found = outlook(stale, statuses(stale, busy=False), "trained")
    states = {stage.key: (stage.state, stage.waits_for) for stage in found}
    assert states["adapt-1"] == states["adapt-2"] == ("waiting", (("baseline", "stale"),))
    assert may_be_fewer(stale, found)


@pytest.mark.parametrize("until", ["", "pseudo-label", "baseline"])
def test_patches_that_were_asked_not_to_be_cut_wait_for_nothing(tmp_path, until):
    project = changed(make_fake_project(tmp_path, until=until), adapt__patches="false", student__weights="source")
    found = {stage.key: stage for stage in seen(project)}
    assert found["mine"].state == "not needed" and "`adapt.patches` is false" in found["mine"].reason
