"""What options name, opened: the same answer and the same error for everybody who asks."""

import numpy as np
import pytest

from crots.config import Size
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import write_labels
from crots.nets.model import create_model
from crots.nets.weights import save_pth, save_safetensors
from crots.opening import Inputs, published_rare
from crots.options import DEFAULT_NET
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set


@pytest.fixture
def opened(tmp_path):
    """Opens the inputs of options that differ from the usual."""

    def opened(**settings):
        named = {key.replace("__", "."): value for key, value in settings.items()}
        return Inputs(override(ProjectConfig(), named), tmp_path)

    return opened


@pytest.fixture
def model(tmp_path):
    """A self-describing file of a small network of the demonstration's classes."""
    made = create_model("compact", load_class_set("demo"), Size(64, 64))
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    save_pth(tmp_path / "plain.pth", made.net)
    return made


def test_a_class_map_that_names_its_source_says_the_source_classes(opened):
    inputs = opened(task__classes="camvid", task__class_map="cityscapes-to-camvid")
    assert inputs.source_classes.name == "cityscapes" and inputs.class_map.source is not inputs.class_map.target
    assert opened(task__classes="camvid").source_classes.name == "camvid"


def test_a_class_map_finds_its_source_set_beside_itself(opened, tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "own.toml").write_text('name = "own"\nclasses = ["a", "b"]\n')
    (folder / "map.toml").write_text('source = "own.toml"\na = "sky"\nb = "ignore"\n')
    inputs = opened(task__classes="camvid", task__class_map="maps/map.toml")
    assert inputs.source_classes.names == ("a", "b")
    assert inputs.class_map.names() == {"a": "sky", "b": "ignore"}


def test_published_rare_classes_are_those_of_the_source_in_the_targets_ids(opened):
    camvid = load_class_set("camvid")
    found = opened(task__classes="camvid", task__class_map="cityscapes-to-camvid").published_rare
    assert found and all(number < len(camvid) for number in found)
    assert "fence" not in {camvid.names[number] for number in found}
    assert found == published_rare(opened(task__classes="camvid", task__class_map="cityscapes-to-camvid").class_map)
    assert opened(task__classes="cityscapes").published_rare == load_class_set("cityscapes").published_rare


def test_a_file_that_knows_its_network_is_asked_before_the_usual_one_is_taken(opened, model):
    inputs = opened(source__file="model.safetensors", task__classes="demo")
    assert (inputs.source_net, inputs.student_net, inputs.source_fits_student) == ("compact", "compact", True)
    assert inputs.student_weights == inputs.root / "model.safetensors"
    assert opened(source__file="plain.pth", task__classes="demo").source_net == DEFAULT_NET
    with pytest.raises(InputError, match="holds a compact, but the option names deeplabv2_resnet18"):
        _ = opened(source__file="model.safetensors", source__net="deeplabv2_resnet18").source_net


def test_a_student_starts_from_the_source_only_with_its_weights(opened, model):
    source = {"source__file": "model.safetensors", "task__classes": "demo"}
    assert opened(**source).starts_from_source
    for weights in ("source", "model.safetensors", "./model.safetensors"):
        assert opened(**source, student__weights=weights).starts_from_source, weights
    for weights in ("random", "imagenet", "plain.pth"):
        assert not opened(**source, student__weights=weights).starts_from_source, weights
    assert not opened(**source, student__net="deeplabv2_resnet18").starts_from_source
    assert not opened(source__file="model.safetensors", task__classes="camvid").starts_from_source
    other = {"source__file": "model.safetensors", "task__classes": "camvid", "student__weights": "model.safetensors"}
    assert not opened(**other).starts_from_source, "its head is of other classes"
    assert opened(**other).start == "pretrained"
    assert not opened(source__predictions="said", task__classes="demo").starts_from_source


def test_a_file_brings_its_own_classes_where_no_others_are_named(opened, model):
    inputs = opened(source__file="model.safetensors", task__classes="camvid")
    assert inputs.source_classes.names == load_class_set("demo").names
    with pytest.raises(InputError, match="give a class map") as caught:
        _ = inputs.class_map
    assert caught.value.field == "task.class_map"
    assert not inputs.source_fits_student


@pytest.mark.parametrize(
    ("settings", "field", "says"),
    [
        ({"task__source_classes": "camvid"}, "task.source_classes", "the class set camvid has 11; leave the class set"),
        ({"task__source_classes": "cityscapes", "task__classes": "cityscapes"}, "task.source_classes", "has 19; leave"),
        ({"task__source_classes": "swapped.toml"}, "task.source_classes", "its class 1 is pavement, not building"),
        ({"task__class_map": "cityscapes-to-camvid", "task__classes": "camvid"}, "task.class_map", "give a class map"),
    ],
)
def test_classes_that_the_sources_file_contradicts_are_refused_before_a_run(
    opened, tmp_path, model, settings, field, says
):
    names = list(model.card.class_set.names)
    names[1], names[2] = names[2], names[1]
    (tmp_path / "swapped.toml").write_text(f'name = "swapped"\nclasses = {names}\n')
    with pytest.raises(InputError, match=says) as refused:
        _ = opened(source__file="model.safetensors", **settings).source_classes
    assert refused.value.field == field


def test_a_card_cannot_name_code_that_the_options_do_not(opened, tmp_path, model):
    import dataclasses

    card = dataclasses.replace(model.card, net="os.path:join")
    save_safetensors(tmp_path / "evil.safetensors", model.net, card)
    with pytest.raises(InputError, match="would run code"):
        _ = opened(source__file="evil.safetensors", task__classes="demo").source_net
    named = opened(source__file="evil.safetensors", source__net="os.path:join", task__classes="demo")
    assert named.source_net == "os.path:join"


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 64, b"\x02" + b"\x00" * 7 + b"[]", b"PK\x03\x04"])
def test_files_without_a_card_say_nothing(opened, tmp_path, content):
    (tmp_path / "any.safetensors").write_bytes(content)
    assert opened(source__file="any.safetensors").source_card is None
    assert opened(source__file="gone.safetensors").source_card is None


@pytest.mark.parametrize("last", ["two", "ignore", None])
def test_a_student_starts_from_a_source_whose_classes_a_map_joins_or_renames(opened, tmp_path, last):
    names = ("a", "b", "c") if last else ("a", "b")
    card = {"name": "given", "names": list(names)}
    made = create_model("compact", ClassSet.from_dict(card), Size(64, 64), seed=1)
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    (tmp_path / "given.toml").write_text(f'name = "given"\nclasses = {list(names)}\n')
    (tmp_path / "own.toml").write_text('name = "own"\nclasses = ["one", "two"]\n')
    more = f'c = "{last}"\n' if last else ""
    (tmp_path / "map.toml").write_text(f'a = "one"\nb = "two"\n{more}')
    settings = {"task__classes": "own.toml", "task__source_classes": "given.toml", "task__class_map": "map.toml"}
    inputs = opened(source__file="model.safetensors", data__size="64x64", **settings)
    assert inputs.source_fits_student and inputs.start_map is not None and inputs.start == "trained"


def test_a_map_within_one_class_set_may_merge_classes_but_not_change_their_order(opened, tmp_path):
    made = create_model("compact", ClassSet.from_dict({"name": "own", "names": ["a", "b"]}), Size(64, 64))
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    (tmp_path / "own.toml").write_text('name = "own"\nclasses = ["a", "b"]\n')
    for second, fits in (("a", True), ("b", True), ("ignore", True)):
        (tmp_path / "map.toml").write_text(f'a = "a"\nb = "{second}"\n')
        inputs = opened(source__file="model.safetensors", task__classes="own.toml", task__class_map="map.toml")
        assert inputs.source_fits_student is fits, second
    (tmp_path / "map.toml").write_text('a = "b"\nb = "a"\n')
    assert not opened(
        source__file="model.safetensors", task__classes="own.toml", task__class_map="map.toml"
    ).source_fits_student


def test_last_layers_whose_scores_are_summed_ask_for_other_weights(opened, tmp_path):
    made = create_model(
        "deeplabv2_resnet18", ClassSet.from_dict({"name": "given", "names": ["a", "b", "c"]}), Size(64, 64)
    )
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    (tmp_path / "own.toml").write_text('name = "own"\nclasses = ["one", "two"]\n')
    (tmp_path / "map.toml").write_text('a = "one"\nb = "two"\nc = "two"\n')
    inputs = opened(source__file="model.safetensors", task__classes="own.toml", task__class_map="map.toml")
    assert not inputs.source_fits_student and not inputs.starts_from_source
    with pytest.raises(InputError, match="no weights to start from"):
        _ = inputs.student_weights


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
@pytest.mark.parametrize(
    ("first", "second", "fits"), [("one", "two", True), ("two", "one", False), ("one", "one", False)]
)
def test_a_source_whose_map_changes_the_order_of_as_many_classes_is_no_start(
    opened, tmp_path, name, first, second, fits
):
    made = create_model("compact", ClassSet.from_dict({"name": "given", "names": ["a", "b"]}), Size(64, 64))
    if name == "model.pth":
        save_pth(tmp_path / name, made.net)
    else:
        save_safetensors(tmp_path / name, made.net, made.card)
    (tmp_path / "given.toml").write_text('name = "given"\nclasses = ["a", "b"]\n')
    (tmp_path / "own.toml").write_text('name = "own"\nclasses = ["one", "two"]\n')
    (tmp_path / "map.toml").write_text(f'a = "{first}"\nb = "{second}"\n')
    settings = {"task__classes": "own.toml", "task__source_classes": "given.toml", "task__class_map": "map.toml"}
    inputs = opened(source__file=name, source__net="compact", student__weights=name, **settings)
    if fits:
        assert inputs.start == "trained"
    else:
        with pytest.raises(InputError, match="by the class map"):
            _ = inputs.student_weights


def test_a_source_of_one_class_names_no_classes_of_a_target(opened, tmp_path):
    made = create_model("compact", ClassSet.from_dict({"name": "own", "names": ["roof"]}), Size(64, 64))
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    inputs = opened(source__file="model.safetensors", task__classes="")
    for classes in (None, inputs.implied_classes):
        found = Inputs(inputs.config, tmp_path, classes=classes)
        with pytest.raises(InputError, match=r"model\.safetensors: found one class, roof, expected 2 or more"):
            _ = found.classes


def test_programs_and_onnx_cannot_start_a_student(opened, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"any")
    inputs = opened(source__file="m.onnx")
    with pytest.raises(InputError, match="no weights to start from"):
        _ = inputs.student_weights
    assert opened(source__file="m.onnx", student__weights="random").student_weights is None


def test_validation_images_without_labels_score_nothing_and_that_is_reported(opened, tmp_path):
    write_image(tmp_path / "images" / "a.png", np.zeros((8, 8, 3), np.uint8))
    write_labels(tmp_path / "labels" / "a.png", np.zeros((8, 8), np.uint8))
    assert opened().validation is None
    with pytest.raises(InputError, match="without"):
        _ = opened(data__val_labels="labels").validation
    alone = opened(data__val_images="images", task__classes="demo")
    assert alone.validation is None and "found no labels for the 1 validation images" in alone.unscored
    found = opened(data__val_images="images", data__val_labels="labels", task__classes="demo").validation
    assert found is not None and found.labelled == 1


@pytest.mark.parametrize(
    ("picked", "split", "says"),
    [
        ("photos", "val", "photos: it has no splits, so that `data.split` val leaves out none of 2 images"),
        ("photos", "train", ""),
        ("train.txt", "val", "this is the split train, so that `data.split` val leaves out none of 2 images"),
        ("train.txt", "train", ""),
        ("split", "val", ""),
    ],
)
def test_a_split_that_is_asked_for_in_vain_is_warned_of(opened, tmp_path, picked, split, says):
    for folder in ("photos", "split/images/train", "split/images/val"):
        for name in "ab":
            write_image(tmp_path / folder / f"{name}.png", np.zeros((8, 12, 3), np.uint8))
    (tmp_path / "train.txt").write_text("photos/a.png\nphotos/b.png\n")
    target = opened(data__target=picked, data__split=split).target
    found = [note.text for note in target.notes if note.warning]
    assert len(target) == 2 and [says in text for text in found] == ([True] if says else [])


def test_of_a_target_nothing_is_said_of_labels(opened, tmp_path):
    for number in range(2):
        write_image(tmp_path / "images" / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    write_labels(tmp_path / "labels" / "0.png", np.zeros((8, 8), np.uint8))
    given = {"task__classes": "camvid", "data__val_images": ".", "data__val_labels": None}
    validation = opened(**given).validation
    assert "1 of 2 images have no label" in validation.notes[0].text
    inputs = opened(task__classes="camvid", data__target=".")
    assert len(inputs.target) == 2 and inputs.target.notes == ()
