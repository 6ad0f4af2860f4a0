import os

import pytest

from crots import contents
from crots.differences import Change
from crots.errors import Stopped
from crots.eventlog import EventLog
from crots.events import Progress, StageFinished, StageStarted
from crots.files import digest, write_json
from crots.project import Project
from crots.project_config import build_config, override
from crots.project_status import statuses
from crots.records import read_object
from crots.training.patch_set import PatchCorrections

pytestmark = pytest.mark.safety


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"1")
    return folder


@pytest.fixture
def project(tmp_path, target):
    config = build_config({"data": {"target": str(target)}, "adapt": {"rounds": 2}})
    return Project.create(tmp_path / "project", config)


def states(project):
    return {status.key: status.state for status in statuses(project)}


def complete(project, *keys):
    for key in keys:
        project.begin(key)
        project.finish(key, 1.5, None)


def test_stages_wait_for_those_they_need(project):
    assert states(project) == {
        "pseudo-label": "ready", "baseline": "waiting", "mine": "waiting",
        "adapt-1": "waiting", "adapt-2": "waiting", "export": "waiting",
    }  # fmt: skip
    complete(project, "pseudo-label")
    assert states(project)["baseline"] == states(project)["mine"] == "ready"


def test_a_changed_option_makes_its_stage_and_all_after_it_stale_and_says_why(project):
    complete(project, *project.stage_keys())
    assert set(states(project).values()) == {"done"}
    project.config = override(project.config, {"mine.min_pixels": 5})
    found = {status.key: status for status in statuses(project)}
    assert [key for key, status in found.items() if status.state == "stale"] == ["mine", "adapt-1", "adapt-2", "export"]
    assert "mine.min_pixels changed" in found["mine"].reason
    assert "mine" in found["adapt-1"].reason
    assert found["baseline"].state == "done"


def test_options_that_change_no_result_leave_everything_done(project):
    complete(project, *project.stage_keys())
    project.config = override(project.config, {"runtime.device": "cuda", "adapt.log_every": 1})
    assert set(states(project).values()) == {"done"}


@pytest.mark.parametrize(
    ("select", "guard"), [("last", False), ("last", True), ("oracle", False), ("label-free", False)]
)
def test_the_evaluation_interval_affects_the_result_where_a_checkpoint_may_be_restored(project, select, guard):
    project.config = override(project.config, {"adapt.select": select, "adapt.guard": guard, "baseline.guard": guard})
    complete(project, *project.stage_keys())
    project.config = override(project.config, {"adapt.validate_every": 7, "baseline.validate_every": 7})
    found = {status.key: status for status in statuses(project)}
    stale = guard or select != "last"
    assert found["adapt-1"].state == ("stale" if stale else "done")
    assert found["baseline"].state == ("stale" if guard else "done")
    assert ("adapt.validate_every changed" in found["adapt-1"].reason) == stale


def test_a_new_round_leaves_the_earlier_ones_done(project):
    complete(project, *project.stage_keys())
    project.config = override(project.config, {"adapt.rounds": 3})
    found = states(project)
    assert found["adapt-2"] == "done" and found["adapt-3"] == "ready" and found["export"] == "stale"


def test_a_changed_image_makes_everything_stale(project, target):
    complete(project, *project.stage_keys())
    (target / "a.png").write_bytes(b"22")
    found = {status.key: status for status in statuses(project)}
    assert {status.state for status in found.values()} == {"stale"}
    assert "files of" in found["pseudo-label"].reason


def test_what_is_not_there_any_more_is_called_missing_and_not_changed(project, target, tmp_path):
    (tmp_path / "said").mkdir()
    (tmp_path / "said" / "a.png").write_bytes(b"1")
    project.config = override(project.config, {"source.predictions": str(tmp_path / "said")})
    complete(project, *project.stage_keys())
    target.rename(tmp_path / "elsewhere")
    found = {status.key: status for status in statuses(project)}["pseudo-label"]
    assert (found.state, found.reason) == ("stale", f"{target} is missing")
    (tmp_path / "said").rename(tmp_path / "said-elsewhere")
    found = {status.key: status for status in statuses(project)}["pseudo-label"]
    assert found.reason == f"{target} is missing, {tmp_path / 'said'} is missing"
    # Another folder that is named instead is a change.
    project.config = override(project.config, {"data.target": str(tmp_path / "elsewhere")})
    found = {status.key: status for status in statuses(project)}["pseudo-label"]
    assert "data.target changed" in found.reason and f"{target} is missing" not in found.reason


def test_inputs_that_were_never_there_are_said_before_a_run(project, target, tmp_path):
    target.rename(tmp_path / "elsewhere")
    found = {status.key: status for status in statuses(project)}["pseudo-label"]
    assert (found.state, found.reason) == ("ready", f"{target} is missing")


def test_corrections_make_the_rounds_stale(project):
    complete(project, *project.stage_keys())
    project.corrections_path.mkdir()
    (project.corrections_path / "patches.json").write_text("{}")
    assert states(project)["adapt-1"] == "stale"


def test_a_project_with_corrections_may_be_moved(project):
    labels = project.corrections_path / "label_ids"
    labels.mkdir(parents=True)
    (labels / "a.png").write_bytes(b"1")
    complete(project, *project.stage_keys())
    elsewhere = project.folder.with_name("elsewhere")
    project.folder.rename(elsewhere)
    assert set(states(Project.open(elsewhere)).values()) == {"done"}


def test_an_interrupted_stage_resumes_with_the_same_options_only(project):
    complete(project, "pseudo-label")
    assert project.begin("baseline") is False
    log = EventLog(project.events_path)
    log.append(StageStarted(stage="baseline", total=10))
    log.append(Progress(stage="baseline", done=4, total=10))
    status = next(status for status in statuses(project) if status.key == "baseline")
    assert (status.state, status.done, status.total) == ("interrupted", 4, 10)
    assert project.begin("baseline") is True
    project.config = override(project.config, {"baseline.learning_rate": 0.5})
    assert project.begin("baseline") is False


def test_the_record_keeps_the_inputs_of_the_start(project):
    complete(project, "pseudo-label")
    project.begin("baseline")
    project.config = override(project.config, {"baseline.learning_rate": 0.5})
    project.finish("baseline", 1.0, 0.4)
    status = next(status for status in statuses(project) if status.key == "baseline")
    assert status.state == "stale" and "learning_rate" in status.reason and status.miou == 0.4


def test_status_needs_no_torch(project):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from crots.project import Project\n"
        "from crots.project_status import statuses\n"
        f"statuses(Project.open(Path({str(project.folder)!r}))); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}).returncode == 0


def choose(project, key, **values):
    """Runs a training stage that leaves its choice."""
    project.begin(key)
    write_json(project.work_folder(key) / "choice.json", {"ends_rounds": "", "words": "", "oracle": None, **values})
    project.finish(key, 1.0, 0.125)


def test_rounds_after_one_that_learnt_nothing_are_not_needed(project):
    project.config = override(project.config, {"adapt.rounds": 3})
    complete(project, "pseudo-label", "baseline", "mine")
    choose(project, "adapt-1")
    assert states(project)["adapt-2"] == "ready"
    choose(project, "adapt-1", ends_rounds="it kept its start")
    found = {status.key: status for status in statuses(project)}
    assert [found[f"adapt-{number}"].state for number in (1, 2, 3)] == ["done", "not needed", "not needed"]
    assert found["adapt-2"].reason == "it kept its start" and found["export"].state == "ready"
    assert project.needed_rounds() == ("adapt-1",) and project.upstream("export") == ("adapt-1",)
    complete(project, "export")
    # More rounds at most do not bring back those that are not needed; the switch does.
    project.config = override(project.config, {"adapt.rounds": 5})
    assert states(project)["export"] == "done" and states(project)["adapt-5"] == "not needed"
    project.config = override(project.config, {"adapt.stop_rounds": False})
    found = states(project)
    assert (found["adapt-1"], found["adapt-2"], found["export"]) == ("done", "ready", "stale")


def test_no_round_and_no_patches_are_needed_after_a_baseline_that_ends_the_rounds(project):
    complete(project, "pseudo-label")
    choose(project, "baseline", ends_rounds="it started afresh")
    found = {status.key: status for status in statuses(project)}
    assert (found["adapt-1"].state, found["adapt-1"].reason) == ("not needed", "it started afresh")
    assert found["mine"].state == "not needed" and found["export"].state == "ready"
    assert project.training_keys() == ("baseline",) and project.needed_rounds() == ()
    assert project.upstream("export") == ("baseline",)
    # Patches that were cut all the same are a result like any other.
    complete(project, "mine")
    assert states(project)["mine"] == "done"
    project.config = override(project.config, {"adapt.stop_rounds": False})
    assert states(project)["adapt-1"] == "ready"


def test_patches_that_no_round_needs_are_not_cut_again(project):
    complete(project, "pseudo-label")
    choose(project, "baseline", ends_rounds="it started afresh")
    complete(project, "mine")
    project.config = override(project.config, {"mine.min_pixels": 7})
    (mine,) = (status for status in statuses(project) if status.key == "mine")
    assert mine.state == "not needed" and "the result of an earlier run is not used" in mine.reason
    # The same of work that was begun.
    project.begin("mine")
    assert states(project)["mine"] == "not needed"
    # A run of it by name is seen.
    EventLog(project.events_path).append(StageStarted(stage="mine", total=1, unit="images"))
    assert {status.key: status.state for status in statuses(project, busy=True)}["mine"] == "running"


def test_of_two_stages_without_an_end_only_the_later_one_is_running(project):
    """The round had been killed before the baseline began again: both were said to run."""
    complete(project, "pseudo-label", "baseline", "mine")
    log = EventLog(project.events_path)
    for key in ("baseline", "adapt-1", "baseline"):
        project.begin(key)
        log.append(StageStarted(stage=key, total=9, unit="steps"))
    found = {status.key: status.state for status in statuses(project, busy=True)}
    assert (found["baseline"], found["adapt-1"]) == ("running", "interrupted")


def test_without_training_on_patches_none_are_cut(project):
    complete(project, "pseudo-label", "baseline")
    assert states(project)["mine"] == "ready"
    project.config = override(project.config, {"adapt.patches": False})
    found = {status.key: status for status in statuses(project)}
    assert found["mine"].state == "not needed" and "`adapt.patches`" in found["mine"].reason
    assert found["adapt-1"].state == "ready"


def test_a_finished_project_of_an_earlier_version_keeps_its_round(project):
    """Its baseline said why no round should follow, which nobody read: its model was to be replaced by the baseline."""
    complete(project, "pseudo-label", "baseline", "mine", "adapt-1", "adapt-2", "export")
    before = states(project)
    choose(project, "baseline", ends_rounds="the previous round changed 3.3% of the labels, less than 5%")
    assert states(project) == before and project.needed_rounds() == ("adapt-1", "adapt-2")


def test_a_round_that_begins_again_decides_again(project):
    complete(project, "pseudo-label", "baseline", "mine")
    choose(project, "adapt-1", ends_rounds="it kept its start")
    project.config = override(project.config, {"adapt.steps": 7})
    assert states(project)["adapt-1"] == "stale"
    project.begin("adapt-1")
    # Until it is complete, the last result is what there is.
    assert project.needed_rounds() == ("adapt-1",)
    project.finish("adapt-1", 1.0, None)
    assert project.needed_rounds() == ("adapt-1", "adapt-2")


def test_status_says_which_checkpoint_was_kept_and_its_score(project):
    complete(project, "pseudo-label")
    hindsight = {"miou": 0.25, "best_step": 4, "best_miou": 0.5}
    choose(project, "baseline", words="went back to step 2", problem="went back to its start", oracle=hindsight)
    choose(project, "adapt-1", words="kept step 2", rule="oracle")
    status = {status.key: status for status in statuses(project)}
    assert (status["baseline"].kept, status["baseline"].miou) == ("went back to step 2", 0.25)
    assert status["baseline"].problem == "went back to its start" and not status["baseline"].by_labels
    assert status["adapt-1"].by_labels and not status["adapt-1"].problem


@pytest.mark.parametrize(
    ("noted", "problem"),
    [
        ({"given_up": "a class is lost", "kept": 0}, "went back to its start"),
        ({"given_up": "a class is lost", "kept": 40}, "went back to the checkpoint of step 40"),
        ({"given_up": "", "useless": True, "kept": 90}, "has not learnt the pseudo-labels"),
        ({"given_up": "", "useless": False, "kept": 90}, ""),
        ({"given_up": "a class is lost", "kept": 0, "problem": "ended with warnings"}, "ended with warnings"),
    ],
)
def test_a_round_of_an_earlier_version_that_noted_no_problem_is_not_simply_done(project, noted, problem):
    complete(project, "pseudo-label")
    choose(project, "baseline", words="what happened", **noted)
    assert {status.key: status.problem for status in statuses(project)}["baseline"] == problem


def test_reasons_are_given_one_by_one_too(project):
    waiting = statuses(project)[1]
    assert waiting.waits_for == (("pseudo-label", "ready"),) and waiting.reason == "pseudo-label is ready"
    complete(project, "pseudo-label", "baseline")
    project.config = override(project.config, {"baseline.steps": 5, "pseudo_label.flip": False})
    stale = statuses(project)[1]
    assert stale.changes == (Change("pseudo-label"), Change("baseline", "steps"))
    assert stale.reason == "pseudo-label changed, baseline.steps changed"


def test_corrections_that_are_undone_leave_nothing_stale(project):
    labels = project.corrections_path / "label_ids"
    labels.mkdir(parents=True)
    (labels / "a.png").write_bytes(b"1")
    first = PatchCorrections(frozenset({"a"}))
    first.write(project.corrections_path)
    complete(project, *project.stage_keys())
    (labels / "a.png").write_bytes(b"2")
    PatchCorrections(frozenset({"a", "b"})).write(project.corrections_path)
    assert {states(project)[key] for key in ("baseline", "mine", "adapt-1")} == {"stale"}
    (labels / "a.png").write_bytes(b"1")
    first.write(project.corrections_path)
    assert set(states(project).values()) == {"done"}


def test_the_first_correction_that_is_undone_leaves_nothing_stale(project):
    complete(project, *project.stage_keys())
    PatchCorrections(frozenset({"a"})).write(project.corrections_path)
    assert states(project)["adapt-1"] == "stale"
    PatchCorrections().write(project.corrections_path)
    assert set(states(project).values()) == {"done"}


def copied_anew(folder, time=10**9):
    """The same bytes with other times."""
    for path in folder.iterdir():
        os.utime(path, ns=(time, time))


def test_a_data_set_copied_again_is_still_done_and_another_one_is_not(project, target):
    complete(project, "pseudo-label", "baseline", "mine")
    copied_anew(target)
    assert {states(project)[key] for key in ("pseudo-label", "baseline", "mine")} == {"done"}
    # Another process, which has digested nothing yet.
    contents._made.clear()
    assert states(project)["pseudo-label"] == "done"
    (target / "a.png").write_bytes(b"2")
    copied_anew(target, 2 * 10**9)
    assert states(project)["pseudo-label"] == "stale"


@pytest.fixture
def read(monkeypatch):
    """The files whose bytes were read to compare inputs."""
    read = []

    def of_file(path, check, real=contents._of_file):
        read.append(path.name)
        return real(path, check)

    monkeypatch.setattr(contents, "_of_file", of_file)
    return read


def test_a_copy_is_read_once_and_not_at_every_status(project, target, read):
    complete(project, "pseudo-label")
    read.clear()
    copied_anew(target)
    for _ in range(3):
        assert states(project)["pseudo-label"] == "done"
    assert len(read) == 1


@pytest.mark.parametrize("stage", ["pseudo-label", "baseline"])
def test_an_interrupted_stage_goes_on_with_a_copy_of_its_inputs_and_not_with_others(
    project, target, tmp_path, read, stage
):
    weights = tmp_path / "start" / "weights.pth"
    weights.parent.mkdir()
    weights.write_bytes(b"1234")
    project.config = override(project.config, {"student.weights": str(weights)})
    if stage == "baseline":
        complete(project, "pseudo-label")
    project.begin(stage)
    for time in (10**9, 2 * 10**9):
        for folder in (target, weights.parent):
            copied_anew(folder, time)
        # Another process, which has digested nothing yet.
        contents._made.clear()
        assert project.resumable(stage) and project.begin(stage) is True
        contents._made.clear()
        read.clear()
        assert project.begin(stage) is True and read == [], "the copy is known now"
    changed = weights if stage == "baseline" else target / "a.png"
    changed.write_bytes(bytes(reversed(changed.read_bytes())) + b"0")
    assert not project.resumable(stage) and project.begin(stage) is False


def test_a_stop_while_inputs_are_read_leaves_a_stage_that_has_not_begun(project):
    def stop():
        raise Stopped("stopped by the user; run again to resume")

    with pytest.raises(Stopped):
        project.begin("pseudo-label", stop)
    assert states(project)["pseudo-label"] == "ready" and not project.started_path("pseudo-label").exists()
    assert project.begin("pseudo-label") is False


def test_what_is_too_large_to_be_read_or_not_known_goes_by_its_times(project, target, monkeypatch):
    monkeypatch.setattr(contents, "MOST_BYTES", 0)
    complete(project, "pseudo-label")
    assert not (project.folder / "records" / "contents.json").exists()
    copied_anew(target)
    assert states(project)["pseudo-label"] == "stale"


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"files of x": 1}', b"\xff"])
def test_damaged_digests_are_as_none(project, target, damage):
    complete(project, "pseudo-label")
    (project.folder / "records" / "contents.json").write_bytes(damage)
    assert states(project)["pseudo-label"] == "done"
    copied_anew(target)
    assert states(project)["pseudo-label"] == "stale"


def as_an_earlier_version(project, change):
    """Lets every record say what another version would have written: its own options, and its own digests."""
    written = {}
    for key in project.stage_keys():
        path = project.record_path(key)
        record = read_object(path)
        inputs = change(record["inputs"])
        inputs |= {name: digest(written[name.removeprefix("after ")]) for name in inputs if name.startswith("after ")}
        written[key] = inputs
        write_json(path, {**record, "inputs": inputs})


def without(section, name):
    return lambda inputs: {
        key: {n: v for n, v in value.items() if n != name} if key == section else value for key, value in inputs.items()
    }


def with_option(section, name, value):
    return lambda inputs: {key: {**old, name: value} if key == section else old for key, old in inputs.items()}


OTHER_VERSIONS = {
    "removed while off": with_option("baseline", "rare_crops", 0.0),
    "removed while off, in the first stage": with_option("runtime", "old_idea", False),
    "removed without a note": with_option("adapt", "old_idea", 0),
    "added with a default": without("mine", "min_pixels"),
    "added to all stages": without("runtime", "seed"),
    "added to the images": without("data", "size"),
    "a section added": lambda inputs: {key: value for key, value in inputs.items() if key != "corrections"},
}


@pytest.mark.parametrize("change", OTHER_VERSIONS.values(), ids=list(OTHER_VERSIONS))
def test_an_upgrade_leaves_a_finished_project_finished(project, change):
    complete(project, *project.stage_keys())
    as_an_earlier_version(project, change)
    assert set(states(project).values()) == {"done"}
    # A change still makes stale what it concerns, and nothing before it.
    project.config = override(project.config, {"mine.min_pixels": 5})
    found = {status.key: status for status in statuses(project)}
    assert [key for key, status in found.items() if status.state == "stale"] == ["mine", "adapt-1", "adapt-2", "export"]
    assert found["mine"].reason == "mine.min_pixels changed"


CHANGES = {
    "an option removed while on": with_option("baseline", "rare_crops", 0.5),
    "an option added and changed since": without("baseline", "steps"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_an_upgrade_that_changes_a_result_makes_it_stale(project, change):
    project.config = override(project.config, {"baseline.steps": 77})
    complete(project, *project.stage_keys())
    as_an_earlier_version(project, change)
    assert states(project)["baseline"] == states(project)["adapt-1"] == states(project)["export"] == "stale"
    assert states(project)["mine"] == "done"


def test_an_upgrade_resumes_what_was_interrupted(project):
    complete(project, "pseudo-label", "baseline", "mine")
    project.begin("adapt-1")
    project.finish("adapt-1", 1.0, None)
    complete(project, "adapt-2", "export")
    project.begin("adapt-1")
    as_an_earlier_version(project, with_option("baseline", "rare_crops", 0.0))
    # An interrupted stage has its inputs in another file.
    write_json(project.started_path("adapt-1"), read_object(project.record_path("adapt-1")))
    assert project.resumable("adapt-1")
    project.record_path("adapt-1").unlink()
    assert project.resumable("adapt-1")


def test_a_stage_run_again_by_a_version_with_another_option_makes_the_later_ones_stale(project):
    complete(project, *project.stage_keys())
    as_an_earlier_version(project, without("baseline", "keep_share"))
    project.begin("baseline")
    assert project.resumable("baseline") and states(project)["baseline"] == "interrupted"
    project.discard("baseline")
    assert set(states(project).values()) == {"done"}
    complete(project, "baseline")
    found = states(project)
    assert (found["baseline"], found["mine"], found["adapt-1"], found["export"]) == ("done", "done", "stale", "stale")
    assert read_object(project.record_path("baseline"))["inputs"]["baseline"]["keep_share"] == 0.66


def test_a_stage_run_again_after_an_upgrade_makes_the_later_ones_stale(project):
    complete(project, *project.stage_keys())
    as_an_earlier_version(project, with_option("baseline", "rare_crops", 0.5))
    complete(project, "baseline")
    found = states(project)
    assert found["baseline"] == "done"
    assert found["adapt-1"] == "stale"


def refuse(project, key, message="the images are gone"):
    """Ends a run of a stage before it begins, as `crots.runner.run_stage` does: without a start."""
    EventLog(project.events_path).append(StageFinished(stage=key, outcome="failed", seconds=1, message=message))


def fail(project, key, message="out of memory"):
    """Fails a stage on the way."""
    project.begin(key)
    log = EventLog(project.events_path)
    log.append(StageStarted(stage=key, total=10))
    log.append(Progress(stage=key, done=4, total=10))
    log.append(StageFinished(stage=key, outcome="failed", seconds=1, message=message))


def found(project, key):
    return next(status for status in statuses(project, busy=False) if status.key == key)


@pytest.fixture
def finished(project):
    """A project whose stages are done, and had events."""
    for key in project.stage_keys():
        project.begin(key)
        log = EventLog(project.events_path)
        log.append(StageStarted(stage=key, total=10))
        log.append(Progress(stage=key, done=10, total=10))
        log.append(StageFinished(stage=key, outcome="completed", seconds=1.5))
        project.finish(key, 1.5, 0.25)
    return project


def test_a_stage_that_was_to_be_replaced_and_failed_before_it_began_has_failed(finished):
    """`crots status` called it stale, and only the studio said that and why it had failed."""
    before = finished.config
    finished.config = override(before, {"baseline.steps": 7})
    refuse(finished, "baseline")
    status = found(finished, "baseline")
    assert (status.state, status.reason) == ("failed", "the images are gone")
    assert status.keeps_earlier and (status.seconds, status.miou) == (1.5, 0.25)
    assert status.took is None, "not what the failure took"
    assert status.changes == (Change("baseline", "steps"),)
    assert (status.done, status.total) == (0, 0), "the units of the earlier result are no part of this run"
    assert found(finished, "adapt-1").state == "stale"
    # With the options of the result again, nothing is to be run.
    finished.config = before
    status = found(finished, "baseline")
    assert (status.state, status.keeps_earlier, status.changes) == ("done", False, ())


def test_a_stage_that_failed_on_the_way_keeps_its_earlier_result(finished):
    finished.config = override(finished.config, {"baseline.steps": 7})
    fail(finished, "baseline")
    status = found(finished, "baseline")
    assert (status.state, status.reason, status.done, status.total) == ("failed", "out of memory", 4, 10)
    assert status.keeps_earlier and (status.seconds, status.miou) == (1.5, 0.25)
    # Options that have changed since are what counts.
    finished.config = override(finished.config, {"baseline.batch": 1})
    status = found(finished, "baseline")
    assert status.state == "stale" and status.changes and (status.done, status.total) == (0, 0)


def test_a_first_run_that_failed_has_no_result(project):
    complete(project, "pseudo-label")
    fail(project, "baseline")
    status = found(project, "baseline")
    assert (status.state, status.result, status.seconds) == ("failed", False, None)


def test_a_run_by_name_that_failed_leaves_a_result_that_is_up_to_date(finished):
    fail(finished, "baseline")
    status = found(finished, "baseline")
    assert status.state == "failed" and status.keeps_earlier and not status.changes


def test_what_was_interrupted_with_other_options_is_not_said_to_be_resumed(project):
    complete(project, "pseudo-label")
    project.begin("baseline")
    log = EventLog(project.events_path)
    log.append(StageStarted(stage="baseline", total=10))
    log.append(Progress(stage="baseline", done=4, total=10))
    assert "resume from the last checkpoint" in found(project, "baseline").reason
    project.config = override(project.config, {"baseline.learning_rate": 0.5})
    status = found(project, "baseline")
    assert (status.state, status.done, status.total) == ("interrupted", 0, 0)
    words = "what the interrupted run has done (4 of 10) is not continued: baseline.learning_rate changed"
    assert status.reason == words


@pytest.mark.parametrize("damaged", [True, 3, "a", [1], None])
def test_inputs_that_are_damaged_in_the_note_of_unfinished_work_are_passed_over(project, damaged):
    project.begin("pseudo-label")
    path = project.started_path("pseudo-label")
    write_json(path, {**read_object(path), "inputs": damaged})
    assert states(project)["pseudo-label"] == "interrupted" and not project.resumable("pseudo-label")
