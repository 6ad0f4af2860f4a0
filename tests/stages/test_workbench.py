"""What a configuration names, opened for the stages."""

import pytest

from crots.config import defaults
from crots.errors import InputError
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.project_config import override
from crots.stages.workbench import Workbench
from crots.taxonomy import load_class_set
from crots.training_options import BaselineOptions
from tests.stages import tiny_world as world


@pytest.fixture
def bench(tmp_path):
    project = world.white_box(tmp_path)
    return lambda stage="baseline", **settings: Workbench(
        override(project.config, {name.replace("__", "."): value for name, value in settings.items()}),
        project.folder,
        None,
        stage,
    )


def test_a_note_is_kept_once(bench):
    notes = bench()
    for text in ("few images", "few images", "dark images"):
        notes.note(text, warning=True)
    assert [(note.text, note.level, note.known) for note in notes.notes if note.level == "warning"] == [
        ("few images", "warning", True),
        ("dark images", "warning", True),
    ]


def test_a_working_size_or_tile_far_above_that_of_the_images_is_warned_of_before_labelling(bench):
    def warned(**settings):
        found = bench("pseudo-label", **settings)
        found.labeller()
        return [note.text for note in found.notes if note.level == "warning" and "most images" in note.text]

    large = f"{world.SIZE.width * 3}x{world.SIZE.height * 3}"
    assert [text.split()[0] for text in warned(data__size=large)] == ["`data.size`"]
    assert [text.split()[0] for text in warned(data__size="none", data__tile=large)] == ["`data.tile`"]
    assert warned() == [] == warned(data__size=f"{world.SIZE.width * 2}x{world.SIZE.height * 2}")


@pytest.mark.parametrize(
    ("stage", "chosen", "used"),
    [("evaluate", "auto", "fp32"), ("evaluate", "bf16", "bf16"), ("baseline", "auto", "auto")],
)
def test_scores_are_computed_in_fp32_unless_the_user_chose_otherwise(bench, monkeypatch, stage, chosen, used):
    monkeypatch.setattr("crots.stages.workbench.Engine", lambda runtime: runtime.precision)
    assert bench(stage, runtime__precision=chosen).engine == used


def test_trust_covers_only_the_networks_that_the_options_name(bench):
    named = "tests.stages.tiny_nets:plain"
    assert bench(runtime__trust=True, student__net=named).trusts(named)
    assert not bench(runtime__trust=True, student__net=named).trusts("tests.stages.tiny_nets:still")
    assert not bench(runtime__trust=False, student__net=named).trusts(named)


def test_a_student_for_other_classes_is_refused(bench, tmp_path):
    path = tmp_path / "baseline" / "student.safetensors"
    path.parent.mkdir()
    other = create_model("compact", load_class_set("camvid"), world.SIZE)
    save_safetensors(path, other.net, other.card)
    with pytest.raises(InputError, match=r"made for the classes of camvid \(11\), expected those of tiny \(4\)"):
        bench().load_student(path)
    with pytest.raises(InputError, match="or run the stage baseline again"):
        bench().load_student(path.with_name("teacher.safetensors"))


def test_a_batch_that_cannot_be_split_is_refused_before_the_run(bench):
    found = bench()
    model = create_model("compact", found.classes, world.SIZE)
    options = defaults(BaselineOptions, "recommended")
    found.check_training(model, options, [world.SIZE])
    uneven = BaselineOptions(batch=6, accumulate=4)
    with pytest.raises(InputError, match="batch 6 cannot be split into 4 equal parts") as refused:
        found.check_training(model, uneven, [world.SIZE])
    assert refused.value.field == "accumulate"
