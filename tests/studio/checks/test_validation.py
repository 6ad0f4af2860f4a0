"""What the set-up page says of validation images: their labels, and what makes scores say less."""

import numpy as np
import pytest

from crots.images import write_image
from crots.label_files import write_labels
from tests.studio.checks.made import labels


def test_what_makes_scores_say_less_is_a_warning(look, images, tmp_path):
    truth = labels(tmp_path / "truth", [0, 1, 2])
    val = {"data__val_images": images, "data__val_labels": truth, "task__classes": "camvid"}
    assert look("validation", **val).level == "good"
    shared = look("validation", data__target=images, **val)
    assert shared.level == "warning" and "4 of 4 validation images are target images too" in shared.text
    others = tmp_path / "others"
    for number in range(4):
        write_image(others / f"other{number}.png", np.full((48, 64, 3), 40 * number, np.uint8))
    predicted = tmp_path / "predicted"
    for number in range(4):
        write_labels(predicted / f"other{number}.png", np.zeros((48, 64), np.uint8))
    found = look("validation", data__target=others, source__predictions=predicted, **val)
    assert found.level == "warning" and "the source cannot be scored" in found.text
    void = labels(tmp_path / "void", [255])
    found = look("validation", **{**val, "data__val_labels": void})
    assert found.level == "warning" and "no pixel of them has a class" in found.text


def test_validation_labels_are_counted_and_judged(look, images, tmp_path):
    good = labels(tmp_path / "labels", [0, 10, 255])
    found = look("validation", task__classes="camvid", data__val_images=images, data__val_labels=good)
    assert found.level == "good" and "4 with labels" in found.text
    bad = labels(tmp_path / "bad", [0, 77])
    found = look("validation", task__classes="camvid", data__val_images=images, data__val_labels=bad)
    assert found.level == "bad" and "77" in found.text
    assert look("validation", data__val_labels=good).level == "bad"


@pytest.mark.parametrize("chosen", ["", "images", "images/train", "images/val"])
def test_the_labelled_split_of_the_target_s_data_set_is_offered_for_validation(look, tmp_path, chosen):
    root = tmp_path / "mine"
    for split in ("train", "val"):
        write_image(root / "images" / split / f"{split}.png", np.zeros((48, 64, 3), np.uint8))
    given = {"task__classes": "camvid", "data__target": root / chosen}
    assert not look("validation", **given).offers, "there are no labels"
    write_labels(root / "labels" / "val" / "val.png", np.full((48, 64), 3, np.uint8))
    found = look("validation", **given)
    if chosen == "images/val":
        assert not found.offers, "these would be scored on what they learn from"
        return
    assert found.level == "empty" and found.offers[0].label == "Score on the 1 labelled image of mine"
    settings = {key.replace(".", "__"): value for key, value in found.offers[0].settings.items()}
    assert set(settings) == {"data__val_images", "data__val_labels"}
    assert look("validation", **given, **settings).level == "good"
    del settings["data__val_labels"]
    found = look("validation", **given, **settings)
    assert found.level == "warning" and "no stage evaluates" in found.text, "labels that only the layout knows"
    assert found.offers[0].settings == {"data.val_labels": str(root / "labels" / "val")}
    write_labels(root / "labels" / "val" / "val.png", np.full((48, 64), 90, np.uint8))
    assert not look("validation", **given).offers, "they are labels of other classes"


def test_labels_of_other_classes_are_not_offered_and_not_said_to_fit(look, tmp_path):
    """CamVid's eleven classes were offered to a source of seven, and ended as scores of nothing."""
    root = tmp_path / "mine"
    for split in ("train", "val"):
        write_image(root / "images" / split / f"{split}.png", np.zeros((48, 64, 3), np.uint8))
    rows = "".join(f'[[classes]]\nname = "class {n}"\ncolour = [{n}, 0, 0]\nids = [{n}]\n' for n in range(7))
    (tmp_path / "seven.toml").write_text(f'name = "seven"\n{rows}')
    given = {"task__classes": str(tmp_path / "seven.toml"), "data__target": root / "images" / "train"}
    truth = root / "labels" / "val" / "val.png"
    write_labels(truth, np.arange(48 * 64).reshape(48, 64).astype(np.uint8) % 7)
    assert look("validation", **given).offers
    write_labels(truth, np.arange(48 * 64).reshape(48, 64).astype(np.uint8) % 12)
    assert not look("validation", **given).offers
    found = look("validation", **given, data__val_images=root / "images" / "val", data__val_labels=truth.parent)
    assert found.level == "warning" and "does not have (7-11" in found.text and "fit" not in found.text


def test_labels_that_can_be_read_in_two_ways_are_a_question(look, images, tmp_path):
    settings = {
        "task__classes": "cityscapes",
        "data__val_images": images,
        "data__val_labels": labels(tmp_path / "raw", [7, 8, 11, 0]),
    }
    found = look("validation", **settings)
    assert found.level == "bad" and "which can mean train" in found.text and "--" not in found.text
    assert found.text.startswith("raw: the labels hold") and "settings" not in found.text, "the offers are beside it"
    assert [dict(offer.settings) for offer in found.offers] == [
        {"data.val_encoding": "train"},
        {"data.val_encoding": "raw"},
    ]
    assert "own ids" in found.offers[1].label
    assert look("validation", **settings, data__val_encoding="raw").level == "good"
