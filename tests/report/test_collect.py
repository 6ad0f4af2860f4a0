import hashlib
import json
import subprocess
import sys

import pytest

from crots.errors import InputError
from crots.project import Project
from crots.project_config import override
from crots.report.collect import collect_facts, settings_of
from crots.report.facts import Result, plain_facts
from crots.report.results import result_of
from crots.report.words import summarise
from crots.training.choice import Choice
from crots.training.watch import Evaluation
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def project(tmp_path):
    return make_fake_project(tmp_path)


def test_facts_of_a_finished_project(project):
    facts = collect_facts(project)
    assert facts.gaps == ()
    assert (facts.target.images, facts.target.size) == (6, "64x48")
    assert (facts.source.predictions, facts.source.confidence) == (8, 8)
    assert facts.classes.name == "camvid"
    assert [stage.state for stage in facts.stages] == ["done"] * 7
    assert facts.result.key == "adapt-2"
    assert [score.subject for score in facts.result.scores] == ["source", "baseline", "adapt-1", "adapt-2"]
    assert facts.result.scores[-1].images == 2 and facts.result.scores[-1].per_class
    assert sum(facts.shares.values()) == pytest.approx(1)
    assert [curves.key for curves in facts.curves] == ["baseline", "adapt-1", "adapt-2"]
    assert [output.name for output in facts.outputs] == ["adapted.safetensors"]
    assert {"crots", "python", "torch", "platform"} <= set(facts.versions)
    json.dumps(plain_facts(facts))


@pytest.mark.parametrize(
    ("again", "key"), [("adapt-2", "adapt-2"), ("adapt-1", "adapt-1"), ("baseline", "baseline"), ("pseudo-label", "")]
)
def test_the_result_is_a_student_that_follows_from_those_before_as_they_are(project, again, key):
    """A round of an earlier baseline did not change the present one."""
    path = project.record_path(again)
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "inputs": {**found["inputs"], "options": "others"}}))
    result = result_of(project)
    assert result.key == key and {score.subject for score in result.scores} <= {"source", "baseline", "adapt-1", key}
    assert not key or result.scores[-1].subject == key


@pytest.mark.parametrize(("weights", "other"), [("source", False), ("random", True)])
def test_the_result_says_whether_its_student_started_elsewhere_than_from_the_source(project, weights, other):
    assert result_of(project).other_start, "predictions have no weights"
    model = "stages/export/adapted.safetensors"
    settings = {"source.file": model, "source.predictions": None, "source.confidence": None, "student.weights": weights}
    settings |= {"source.net": project.config.student.net, "task.class_map": None}
    assert result_of(Project(project.folder, override(project.config, settings))).other_start is other


def test_settings_are_those_that_differ(project):
    found = {setting.path: setting for setting in settings_of(project)}
    assert found["data.size"].value == "64x48"
    assert (found["baseline.steps"].value, found["baseline.steps"].default) == ("100", "0")
    assert "adapt.flip" not in found


def test_corrections_by_hand_are_counted(project):
    folder = project.corrections_path
    (folder / "label_ids" / "day").mkdir(parents=True)
    (folder / "label_ids" / "day" / "frame_0.png").write_bytes(b"")
    (folder / "patches.json").write_text(json.dumps({"rejected": ["a", "b"], "relabelled": {"b": {"1": 2}, "c": {}}}))
    target = collect_facts(project).target
    assert (target.repainted, target.patches) == (1, 3)


def test_the_end_of_each_stage_is_reported(project):
    assert all(stage.ended.startswith("2023-11-1") for stage in collect_facts(project).stages)
    event = '{"event": "StageFinished", "stage": "export", "time": 1e300, "outcome": "completed", "seconds": 1}\n'
    project.events_path.write_text(event)
    assert collect_facts(project).stages[-1].ended == ""


def test_a_source_file_is_identified_by_its_hash(tmp_path):
    (tmp_path / "source.pth").write_bytes(b"weights")
    source = {"file": str(tmp_path / "source.pth"), "predictions": "none", "confidence": "none", "net": "compact"}
    project = make_fake_project(tmp_path, sections={"source": source})
    file = collect_facts(project).source.file
    assert (file.name, file.bytes, file.sha256) == ("source.pth", 7, hashlib.sha256(b"weights").hexdigest())
    (tmp_path / "source.pth").unlink()
    facts = collect_facts(project)
    assert facts.source.file is None
    assert any("source.pth" in gap for gap in facts.gaps)


def test_a_class_map_is_detected_by_names(tmp_path):
    task = {"classes": "camvid", "source_classes": "cityscapes", "class_map": "cityscapes-to-camvid"}
    classes = collect_facts(make_fake_project(tmp_path, sections={"task": task})).classes
    assert classes.source_name == "cityscapes"
    assert classes.mapped["sidewalk"] == "pavement"
    assert len(classes.mapped) == 19 and set(classes.mapped.values()) <= {*classes.names, "ignore"}


def test_a_project_in_which_nothing_ran_is_refused(tmp_path):
    with pytest.raises(InputError, match="crots run"):
        collect_facts(make_fake_project(tmp_path, until=""))


@pytest.mark.parametrize(("until", "key"), [("pseudo-label", ""), ("baseline", "baseline"), ("adapt-1", "adapt-1")])
def test_facts_of_a_project_half_way(tmp_path, until, key):
    facts = collect_facts(make_fake_project(tmp_path, until=until))
    assert facts.result.key == key
    assert not facts.gaps and not facts.outputs
    # Without an evaluation, what was validated on the way counts, and the source has no score.
    assert [score.subject for score in facts.result.scores] == (
        [] if not key else ["baseline"] if key == "baseline" else ["baseline", "adapt-1"]
    )


def test_an_evaluation_of_another_model_does_not_count(project):
    path = project.record_path("adapt-2")
    record = json.loads(path.read_text())
    record["inputs"]["adapt"]["learning_rate"] = 0.5
    path.write_text(json.dumps(record | {"miou": 0.123}))
    assert result_of(project).score("adapt-2").miou == 0.123
    assert result_of(project).score("adapt-1").images == 2


JUNK = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe\x00",
    b'{"miou": "high", "pixels": "many"}',
    b'{"pixels": [1, "a"]}',
]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    "name", ["evaluation/adapt-2.json", "pseudo-labels/statistics.json", "events.jsonl", "pseudo-labels/images.jsonl"]
)
def test_damaged_files_leave_their_part_out(project, name, junk):
    (project.folder / name).write_bytes(junk)
    facts = collect_facts(project)
    assert facts.target.images == 6
    if name.endswith("statistics.json"):
        assert facts.shares == {} and "statistics.json" in facts.gaps[0]
    if name.startswith("evaluation"):
        # What the validation on the way said stands in.
        assert facts.result.score("adapt-2").per_class == {}


@pytest.mark.parametrize(
    "choice",
    [
        {"looks": 3, "kept": 5},
        {"looks": [3, {"step": 5, "values": [1], "alarms": 7}], "kept": 5},
        {"looks": [{"step": 5, "alarms": [None, {"name": 1}]}], "kept": 5, "words": ""},
    ],
)
def test_a_strange_choice_is_no_error(project, choice):
    (project.stage_folder("adapt-2") / "choice.json").write_text(json.dumps(choice))
    assert [found.key for found in result_of(project).choices] == ["adapt-2"]


@pytest.mark.parametrize("choice", [{"words": None}, {"looks": 3, "kept": "x"}])
def test_a_damaged_choice_is_named(project, choice):
    (project.stage_folder("adapt-2") / "choice.json").write_text(json.dumps(choice))
    with pytest.raises(InputError, match=r"choice\.json: is damaged"):
        result_of(project)


def test_the_choice_tells_scores_and_alarms_of_what_was_kept(project):
    looks = [
        {"step": 0, "values": {"fit": 0.7}, "alarms": []},
        {
            "step": 50,
            "values": {"fit": 0.9, "bad": "x"},
            "alarms": [{"name": "vanishing: Car", "text": "class Car is vanishing"}, {"name": "fit", "text": "low"}],
        },
        {"step": 100, "values": {"fit": 0.1}, "alarms": []},
    ]
    path = project.stage_folder("adapt-2") / "choice.json"
    path.write_text(json.dumps({"kept": 50, "of": 100, "words": "kept it", "looks": looks, "given_up": "it broke"}))
    (choice,) = result_of(project).choices
    assert choice.given_up == "it broke"
    assert (choice.start, choice.end) == ({"fit": 0.7}, {"fit": 0.9})
    assert (choice.vanishing, choice.alarms) == (("Car",), ("low",))


def test_scores_and_alarms_of_an_average_are_those_of_the_average(project):
    choice = Choice("label-free", 4)
    choice.add(Evaluation(0, {"source": 1.0}))
    choice.add(Evaluation(4, {"source": 0.8}))
    choice.averaged = Evaluation(4, {"source": 0.9})
    (project.stage_folder("adapt-2") / "choice.json").write_text(json.dumps(choice.report()))
    (found,) = result_of(project).choices
    assert (found.start, found.end) == ({"source": 1.0}, {"source": 0.9})


def test_a_student_that_learnt_nothing_is_a_sign_of_harm(project):
    """Its round may be healthy all the same, compared with such a start."""
    choice = Choice("last", 4)
    choice.add(Evaluation(4, {"source": 0.38}, False, (), None))
    path = project.stage_folder("baseline") / "choice.json"
    path.write_text(json.dumps(choice.report()))
    found = result_of(project).choices[0]
    assert "has not learnt the source's pseudo-labels" in found.alarms[0]
    result = summarise(Result("adapt-2", (), (found,)))
    assert result.tone == "harm" and result.worse[0].startswith("baseline: the student has not learnt")


def test_the_summary_of_a_run_needs_neither_torch_nor_numpy():
    code = (
        "import sys, crots.report.results, crots.report.words; "
        "assert not {'torch', 'numpy', 'cv2'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("others", "everywhere"), [(0, "road"), (99, "road"), (10**5, "")])
def test_the_class_that_the_source_says_everywhere_is_found(project, others, everywhere):
    path = project.stage_folder("pseudo-label") / "statistics.json"
    statistics = json.loads(path.read_text())
    statistics["pixels"] = [others, 0, 0, 10**6, *[0] * (len(statistics["pixels"]) - 4)]
    path.write_text(json.dumps(statistics))
    assert result_of(project).everywhere == everywhere
    path.write_text("[]")
    assert result_of(project).everywhere == ""
