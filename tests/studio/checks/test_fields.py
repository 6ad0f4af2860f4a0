"""Every error becomes a finding, each beside the field that it is about."""

from pathlib import Path

from crots.config import Size
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.opening import Inputs
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set
from crots.trust import with_trust
from crots_studio.checks.fields import CHECKS, INPUTS, check
from crots_studio.checks.setup import Setup
from crots_studio.models.project_form import DEPENDS


def test_every_check_has_its_options():
    assert set(CHECKS) == set(DEPENDS)


def test_names_of_no_network_and_other_units_are_findings(look, tmp_path):
    path = tmp_path / "own.safetensors"
    made = create_model("compact", ClassSet("two", ("a", "b"), ((1, 2, 3), (4, 5, 6))), Size(64, 64))
    save_safetensors(path, made.net, made.card)
    found = look("student", source__file=str(path), student__net="deeplabv2_resnet100")
    assert found.level == "bad"
    assert "deeplabv2_resnet101" in found.text
    found = look("source", source__file=str(path), source__mean="0.485,0.456,0.406")
    assert found.level == "bad"
    assert "123.675,116.28,103.53" in found.text
    assert [dict(offer.settings) for offer in found.offers] == [{"source.mean": "123.675,116.28,103.53"}]


def test_inputs_where_the_project_writes_are_refused_before_a_run_does(look, tmp_path):
    places = {
        "data.target": ("data.target", "cache/images"),
        "data.val_images": ("validation", "patches/images"),
        "data.val_labels": ("validation", "corrections/label_ids"),
        "task.classes": ("task.classes", "records/mine.toml"),
        "task.source_classes": ("task.source_classes", "studio/mine.toml"),
        "task.class_map": ("task.class_map", "crots.toml"),
        "source.file": ("source", "adapt-1/student.safetensors"),
        "source.predictions": ("source", "pseudo-labels/label_ids"),
        "source.confidence": ("source", "unfinished/confidence"),
        "student.weights": ("student", "export/adapted.pth"),
    }
    assert {".".join(option) for options in INPUTS.values() for option in options} == set(places)
    settings = {option.replace(".", "__"): place for option, (_, place) in places.items()}
    for place in settings.values():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch() if Path(place).suffix else (tmp_path / place).mkdir()
    for option, (name, place) in places.items():
        # Alone, and beside others whose fields say so themselves.
        for given in ({option.replace(".", "__"): place}, settings):
            found = look(name, **given)
            assert found.level == "bad" and "where CROTS writes" in found.text, (option, found)
    assert "where CROTS writes" not in look("data.size", **settings).text


def test_an_error_shown_by_another_field_is_not_repeated(look, images, tmp_path):
    found = look("data.size", data__target=tmp_path / "none")
    assert (found.level, "Target images" in found.text) == ("empty", True)
    for name in ("task.class_map", "validation"):
        found = look(name, task__classes="nonsense", data__val_images=images)
        assert (found.level, "Class set" in found.text) == ("empty", True)
    assert look("task.classes", task__classes="").text.startswith("Choose the classes")


def test_nothing_chosen_is_no_error(look):
    for name in ("data.target", "source", "validation", "data.size"):
        assert look(name).level == "empty"


def test_nothing_is_chosen_is_reported_in_few_words_in_the_rail(look):
    assert look("data.target").short == look("source").short == "not chosen yet"


def test_a_network_of_both_is_trusted_once_for_both(look, tmp_path):
    (tmp_path / "m.pth").write_bytes(b"any")
    config = override(ProjectConfig(), {"source.file": "m.pth", "source.net": "a.b:c", "student.net": "a.b:c"})
    (offer,) = check("student", config, tmp_path).offers
    assert with_trust(config, tmp_path, offer.trust).runtime.trust
    for name in ("source", "student"):
        assert check(name, config, tmp_path, offer.trust).level == "good"
    missing = override(config, {"source.file": "gone.pth"})
    assert "gone.pth" in check("source", missing, tmp_path, offer.trust).text


def test_the_studio_opens_what_a_run_opens(tmp_path):
    config = override(ProjectConfig(), {"task.classes": "camvid", "task.class_map": "cityscapes-to-camvid"})
    assert Setup(config, tmp_path).source_classes == Inputs(config, tmp_path).source_classes
    assert check("task.class_map", config, tmp_path).level in ("good", "warning")
    assert check("task.source_classes", config, tmp_path).text.startswith("From the class map: cityscapes")
    made = create_model("compact", load_class_set("demo"), Size(64, 64))
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    config = override(ProjectConfig(), {"task.classes": "demo", "source.file": "model.safetensors"})
    found = check("source", config, tmp_path)
    assert (found.level, found.brief) == ("good", "compact") and "as the file says" in found.text
    assert check("student", config, tmp_path).text == "compact, starting from the source's weights"
