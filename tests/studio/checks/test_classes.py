"""What the set-up page says of class sets and class maps."""

import numpy as np

from crots.config import Size
from crots.images import write_image
from crots.label_files import write_labels
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.taxonomy import ClassSet, load_class_set
from tests.studio.checks.made import labels


def test_a_map_that_nobody_needs_can_be_dropped(look):
    found = look("task.class_map", task__classes="demo", task__class_map="cityscapes-to-camvid")
    assert found.level == "bad" and dict(found.offers[0].settings) == {"task.class_map": "none"}


def test_class_sets_are_listed_and_typing_errors_get_the_nearest(look):
    assert look("task.classes", task__classes="camvid").text.startswith("11 classes: sky")
    found = look("task.classes", task__classes="camvit")
    assert found.level == "bad" and "camvid" in found.text


def test_different_classes_need_a_map(look):
    both = {"task__classes": "camvid", "task__source_classes": "cityscapes"}
    assert look("task.class_map", task__classes="camvid").text.startswith("Not needed")
    assert look("task.class_map", **both).level == "bad"
    assert look("task.class_map", **both, task__class_map="cityscapes-to-camvid").level == "good"


def test_classes_count_as_chosen_once_somebody_chose_them_or_a_source_speaks_for_them(look, images, tmp_path):
    found = look("task.classes", data__target=images)
    assert found.level == "empty" and "unless you choose others" in found.text and not found.offers
    assert look("task.classes", data__target=images, task__classes="camvid").level == "good"
    assert look("task.classes", source__predictions=labels(tmp_path / "said", [0, 10])).level == "good"


def test_the_classes_of_a_data_set_that_is_laid_out_like_a_known_one_are_offered(look, tmp_path):
    for split in ("train", "val"):
        write_image(
            tmp_path / "city" / "leftImg8bit" / split / "a" / "a_0_0_leftImg8bit.png", np.zeros((8, 16, 3), np.uint8)
        )
    given = {"data__target": tmp_path / "city", "task__classes": "cityscapes"}
    assert not look("task.classes", **given).offers, "they are these"
    photos = tmp_path / "street"
    for split, name in (("train", "0001TP_006690"), ("val", "0016E5_07959")):
        write_image(photos / "images" / split / f"{name}.png", np.zeros((36, 48, 3), np.uint8))
        write_labels(photos / "labels" / split / f"{name}.png", np.zeros((36, 48), np.uint8))
    offers = look("task.classes", data__target=photos).offers
    assert [offer.settings for offer in offers] == [{"task.classes": "camvid"}]


def test_classes_that_differ_offer_those_of_the_source_and_no_map_to_drop(look, tmp_path):
    classes = load_class_set("camvid")
    model = create_model("compact", classes, Size(64, 48), seed=0)
    save_safetensors(tmp_path / "source.safetensors", model.net, model.card)
    file = str(tmp_path / "source.safetensors")
    for given in ({"source__file": file}, {"task__source_classes": "camvid"}):
        found = look("task.class_map", **given)
        assert found.level == "bad" and [dict(offer.settings) for offer in found.offers] == [{"task.classes": "camvid"}]
        assert look("task.class_map", **given, task__classes="camvid").level == "good"


def test_classes_that_only_the_source_s_file_knows_are_offered_too(look, tmp_path):
    classes = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)))
    model = create_model("compact", classes, Size(64, 48), seed=0)
    save_safetensors(tmp_path / "source.safetensors", model.net, model.card)
    found = look("task.class_map", source__file=str(tmp_path / "source.safetensors"))
    assert found.level == "bad" and [offer.classes for offer in found.offers] == [classes]
    assert "of a stranger" in found.text and "propose one by name" in found.text
    student = look("student", source__file=str(tmp_path / "source.safetensors"))
    assert student.level == "empty" and not student.offers, "random weights are no answer to classes that differ"
