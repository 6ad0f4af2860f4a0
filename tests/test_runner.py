"""Runs of whole tiny projects: order, labels that no stage sees, options that reach their stages."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from crots.artefacts import STUDENT, TEACHER
from crots.errors import InputError
from crots.eventlog import read_events
from crots.events import ArtifactWritten, Evaluated, Metrics, Note, Scored, StageFinished, StageStarted
from crots.nets.weights import load_model
from crots.project_status import statuses
from crots.runner import planned, run_project
from crots.stages.workbench import Workbench
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import ends, run, states, student_of

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.safety]


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


@pytest.mark.parametrize("profile", ["recommended", "published"])
def test_no_stage_but_evaluation_and_validation_opens_a_label_file(tmp_path, monkeypatch, profile):
    # The target lies in a layout that has labels right beside the images, and all of them are forged.
    import crots.data.labels

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
    original = Image.open

    def watched(path, **options):
        opened.append(Path(path))
        return original(path, **options)

    def forbidden(*args, **more):
        raise AssertionError("ground truth was read")

    monkeypatch.setattr(Image, "open", watched)
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


def test_the_published_file_names_do_not_stop_a_project(tmp_path):
    project = world.white_box(tmp_path, pseudo_label={"published_layout": True}, adapt={"rounds": 1})
    assert set(ends(run(project)).values()) == {"completed"}


def test_a_size_that_the_student_cannot_take_is_refused_before_its_first_step(tmp_path):
    project = world.white_box(
        tmp_path, data={"size": "40x32"}, student={"net": "tests.stages.tiny_nets:plain32", "weights": "random"}
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
        tmp_path / "b", baseline=single, student={"net": "tests.stages.tiny_nets:pooling", "weights": "random"}
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
    assert (project.choice("adapt-1") is not None) is guard
    assert (project.stage_folder("adapt-1") / "best.pt").exists() is guard
    assert bool(world.of(events, Scored, "baseline")) is guard, "nobody else looks at the baseline"


@pytest.mark.parametrize(
    ("student", "guard", "rule"),
    [
        ({"net": "tests.stages.tiny_nets:colour", "weights": "source"}, True, "label-free"),
        ({"net": "tests.stages.tiny_nets:colour", "weights": "source"}, False, None),
        ({}, True, "last"),
    ],
)
def test_a_baseline_that_starts_trained_keeps_what_has_no_warning(tmp_path, student, guard, rule):
    project = world.white_box(tmp_path, student=student, baseline={"guard": guard, "steps": 2})
    run(project, until="baseline")
    choice = project.choice("baseline")
    assert (
        json.loads((project.stage_folder("baseline") / "choice.json").read_text())["rule"] if choice else None
    ) == rule


def test_a_round_that_is_not_needed_is_not_run_and_the_export_takes_the_one_before(tmp_path):
    project = world.white_box(
        tmp_path,
        student={"net": "tests.stages.tiny_nets:colour", "weights": "source"},
        adapt={"rounds": 2, "stop_rounds": True, "select": "label-free", "steps": 2},
    )
    run(project, until="adapt-1")
    path = project.stage_folder("adapt-1") / "choice.json"
    choice = json.loads(path.read_text())
    assert bool(choice["ends_rounds"]) is bool(project.ends_rounds("adapt-1"))
    path.write_text(json.dumps({**choice, "ends_rounds": "it kept its start"}))
    events = run(project)
    assert [event.stage for event in world.of(events, StageStarted)] == ["export"]
    assert states(project)["adapt-2"] == "not needed" and run(project) == []
    assert student_of(project, "adapt-1")[1] == world.weights_of(project.folder / "export/adapted.safetensors")[1]


@pytest.mark.parametrize("guard", [True, False])
def test_a_student_that_starts_afresh_needs_no_round(tmp_path, guard):
    validation = world.with_validation(tmp_path)
    project = world.black_box(tmp_path, data=validation, baseline={"guard": guard}, adapt={"stop_rounds": True})
    events = run(project)
    stages = [event.stage for event in world.of(events, StageStarted)]
    assert stages == ["pseudo-label", "baseline", "evaluate", "export"]
    assert any("no round follows, since" in event.text for event in world.of(events, Note, "baseline"))
    assert {key: states(project)[key] for key in ("mine", "adapt-1", "adapt-2")} == dict.fromkeys(
        ("mine", "adapt-1", "adapt-2"), "not needed"
    )
    assert student_of(project, "baseline")[1] == world.weights_of(project.folder / "export/adapted.safetensors")[1]
    assert [event.subject for event in world.of(events, Evaluated, "evaluate")][-1] == "baseline" and run(project) == []
    # The user may have them all the same.
    (last,) = run(project, only="adapt-1")
    assert (last.exit_code, last.message) == (2, "adapt-1: mine, whose result it reads, is not done; run that first")
    asked = [*run(project, only="mine"), *run(project, only="adapt-1")]
    assert ends(asked) == {"mine": "completed", "adapt-1": "completed"}
    (mine,), (first,) = (
        [event.text for event in world.of(asked, Note, key) if "will not use" in event.text or "no stage" in event.text]
        for key in ("mine", "adapt-1")
    )
    assert mine.startswith("no stage will use these patches") and "but baseline" in first
    assert states(project)["adapt-1"] == "not needed" and run(project) == []
    # Stale patches are not cut again for no round.
    project = world.change(project, mine__min_pixels=7)
    assert run(project) == [] and states(project)["mine"] == "not needed"
    events = run(world.change(project, adapt__stop_rounds=False))
    stages = [event.stage for event in world.of(events, StageStarted)]
    assert stages == ["mine", "adapt-1", "adapt-2", "evaluate", "export"]


@pytest.mark.parametrize("keep_ema", [True, False])
def test_where_no_round_follows_the_baseline_its_student_is_exported_whatever_was_asked_for(tmp_path, keep_ema):
    """The teacher was asked for, which a baseline has none of."""
    project = world.black_box(
        tmp_path, baseline={"keep_ema": keep_ema}, adapt={"stop_rounds": True}, export={"weights": "teacher"}
    )
    assert run(project)[-1].message == ""
    assert student_of(project, "baseline")[1] == world.weights_of(project.folder / "export/adapted.safetensors")[1]


def test_labels_that_do_not_fit_are_refused_before_the_first_stage(tmp_path):
    project = world.white_box(tmp_path, data=world.with_validation(tmp_path))
    for label in (tmp_path / "truth").rglob("*.png"):
        Image.open(label).resize((7, 5), Image.Resampling.NEAREST).save(label)
    (last,) = run(project)
    assert (last.stage, last.outcome, last.exit_code) == ("pseudo-label", "failed", 2)
    assert "labels must have their image's size" in last.message
    assert not project.started_path("pseudo-label").exists()
    assert ends(run(project, until="pseudo-label")) == {"pseudo-label": "completed"}, "it reads no labels"


def test_the_trial_before_a_run_is_no_time_of_its_first_stage(tmp_path, monkeypatch):
    clock = [0.0]

    def estimated(*_):
        clock[0] += 1000
        return ("a note",)

    monkeypatch.setattr("crots.runner._estimated", estimated)
    real = time.monotonic
    monkeypatch.setattr("crots.runner.time", SimpleNamespace(monotonic=lambda: real() + clock[0]))
    project = world.black_box(tmp_path)
    events = list(run_project(project, until="pseudo-label", measure=True))
    assert clock[0] == 1000 and "a note" in [note.text for note in world.of(events, Note)]
    assert world.of(events, StageFinished)[-1].seconds < 900
    assert {status.key: status for status in statuses(project)}["pseudo-label"].seconds < 900
