"""How a student starts: one answer for a look at the inputs, the estimate and the run, whatever file it starts from."""

import pytest
import torch

from crots.artefacts import STUDENT
from crots.cli.survey import survey_inputs
from crots.events import Note, Scored
from crots.nets.model import create_model
from crots.nets.weights import save_pth, save_safetensors
from crots.opening import Inputs
from crots.outlook import outlook, to_run
from crots.project_status import statuses
from crots.stages.workbench import Workbench
from crots.student_start import StudentStart
from crots.taxonomy import ClassSet, load_class_set
from crots.training import budget
from crots.training.budget import scarce_classes
from crots_studio.checks.fields import check
from tests.estimate.test_estimate import by_ticks
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import run

pytestmark = [pytest.mark.usefixtures("one_thread")]
FEW = "learns the classes from the 6 target images alone, and with fewer than 100"


def project_from(folder, weights, **baseline):
    options = {"steps": 4, "validate_every": 2, **baseline}
    return world.black_box(folder, student={"net": "compact", "weights": weights}, baseline=options)


def write_start(folder, kind):
    """Writes a file that a student of the tiny classes may start from; returns what `student.weights` names."""
    own = world.tiny_classes(folder)
    path = folder / f"start-{kind}.{'pth' if kind.startswith('plain') else 'safetensors'}"
    model = create_model("compact", load_class_set("camvid") if kind.endswith("others") else own, world.SIZE)
    if kind.startswith("plain"):
        save_pth(path, model.net)
    else:
        save_safetensors(path, model.net, model.card)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("random", "random"),
        ("plain", "trained"),
        ("plain-others", "pretrained"),
        ("described", "trained"),
        ("described-others", "pretrained"),
    ],
)
def test_a_look_at_the_inputs_says_how_a_run_will_start(tmp_path, kind, start):
    project = project_from(tmp_path, kind if kind == "random" else write_start(tmp_path, kind))
    bench = Workbench(project.config, project.folder, None, "baseline")
    bench.new_student()
    assert Inputs(project.config, project.folder).start == bench.start == start


def test_third_party_code_is_not_run_to_find_out(tmp_path):
    project = world.white_box(tmp_path)
    path = tmp_path / "other.safetensors"
    world.write_source(path, world.tiny_classes(tmp_path))
    config = world.change(project, student__net="", student__weights=str(path)).config
    assert Inputs(config, project.folder).start is None


@pytest.mark.parametrize(("kind", "steps"), [("plain", 750), ("plain-others", 3000)])
def test_the_estimate_counts_the_steps_of_that_start(tmp_path, kind, steps):
    project = project_from(tmp_path, write_start(tmp_path, kind), steps=0)
    assert by_ticks(project, ["baseline"]).stages["baseline"].count == steps


@pytest.mark.parametrize("kind", ["plain", "plain-others"])
def test_a_run_takes_a_model_of_its_classes_for_what_it_is(tmp_path, kind):
    """A plain file with a whole head: its start is a reference, and nothing is said of few images."""
    project = project_from(tmp_path, write_start(tmp_path, kind))
    events = run(project, until="baseline")
    trained = kind == "plain"
    assert any(FEW in note.text for note in world.of(events, Note)) != trained
    scored = world.of(events, Scored, "baseline")
    assert scored and all(("agreement" in event.values) == trained for event in scored)
    assert (project.stage_folder("baseline") / STUDENT).exists()


@pytest.mark.parametrize(
    ("pixels", "listed"),
    [
        ((996, 4, 0), "cat 0.4%."),
        ((990, 4, 1), "dog 0.1%, cat 0.4%."),
        ((995, 5, 0), ""),
        ((1, 0, 0), ""),
        ((0, 0, 0), ""),
    ],
)
def test_classes_with_few_labels_are_named_rarest_first(pixels, listed):
    warning = scarce_classes(pixels, ("road", "cat", "dog"))
    assert listed in warning and bool(warning) == bool(listed)


@pytest.mark.parametrize("kind", ["random", "plain"])
def test_a_fresh_student_is_warned_of_classes_with_few_labels(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_SCARCE", 0.9)
    project = project_from(tmp_path, kind if kind == "random" else write_start(tmp_path, kind))
    notes = world.of(run(project, until="baseline"), Note, "baseline")
    warned = [note for note in notes if "classes with few labels" in note.text and note.level == "warning"]
    assert len(warned) == (kind == "random")


def joined_project(folder, **sections):
    """A project whose source knows a class more than the target, which a class map joins to the first."""
    own = world.tiny_classes(folder)
    given = ClassSet.from_dict({"name": "given", "names": [*(f"old {name}" for name in own.names), "more"]})
    map_file = folder / "map.toml"
    lines = [f'"old {name}" = "{name}"' for name in own.names] + [f'"more" = "{own.names[0]}"']
    map_file.write_text("\n".join(lines))
    (folder / "given.toml").write_text(f'name = "given"\nclasses = {list(given.names)}\n')
    source = world.write_source(folder / "joined.safetensors", given, "compact")
    task = {"classes": str(folder / "tiny.toml"), "source_classes": str(folder / "given.toml")}
    return world.white_box(
        folder,
        source={"file": str(source), "net": "compact"},
        student={"net": "", "weights": ""},
        task={**task, "class_map": str(map_file)},
        **sections,
    )


def test_a_joined_source_is_a_start_for_the_survey_the_estimate_and_the_run_alike(tmp_path):
    project = joined_project(tmp_path, baseline={"steps": 0})
    survey = survey_inputs(project.config, project.folder)
    assert "student: compact, starting from the source" in survey.lines
    assert Inputs(project.config, project.folder).start == "trained"
    assert check("student", project.config, project.folder).text == "compact, starting from the source's weights"
    assert StudentStart().known(project) == "trained"
    assert by_ticks(project, ["pseudo-label", "baseline"]).stages["baseline"].count == 750
    assert to_run(outlook(project, statuses(project, busy=False), "trained"))
    bench = Workbench(project.config, project.folder, None, "baseline")
    student = bench.new_student()
    assert bench.start == "trained"
    weights, origin = bench.source_weights()
    assert origin == "the source (joined.safetensors)"
    assert all(torch.equal(weights[name], value) for name, value in student.net.state_dict().items())
