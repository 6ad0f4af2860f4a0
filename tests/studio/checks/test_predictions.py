"""What the set-up page says of predictions: their ids, their files, their confidence."""

from pathlib import Path

import numpy as np
import pytest

from crots.label_files import write_confidence
from tests.studio.checks.made import labels


def test_predictions_that_can_be_read_in_two_ways_are_a_question(look, images, tmp_path):
    predicted = labels(tmp_path / "predicted", [7, 8, 11, 13])
    found = look("source", data__target=images, source__predictions=predicted)
    assert found.level == "bad"
    assert {"source.encoding": "raw"} in [dict(offer.settings) for offer in found.offers]


def test_predictions_of_one_class_everywhere_are_a_warning(look, images, tmp_path):
    found = look("source", data__target=images, task__classes="camvid", source__predictions=labels(tmp_path / "x", [4]))
    assert found.level == "warning" and "say pavement everywhere" in found.text, found.text


def test_predictions_are_matched_and_their_ids_checked(look, images, tmp_path):
    folder = labels(tmp_path / "said", [0, 10])
    given = {"data__target": images, "task__classes": "camvid", "source__predictions": folder}
    found = look("source", **given)
    assert found.level == "warning" and "every pixel counts as certain" in found.text
    for number in range(4):
        write_confidence(tmp_path / "sure" / f"{number}.png", np.tile(np.float32([0.7, 0.9]), (48, 32)))
    found = look("source", **given, source__confidence=tmp_path / "sure")
    assert found.level == "good" and "mean confidence 80%" in found.text


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_scores_with_the_classes_at_both_ends_are_read_by_the_images_shape_or_refused(look, images, tmp_path, form):
    given = {"data__target": images, "task__classes": "camvid"}
    for shape in ((11, 15, 11), (11, 11, 11)):
        folder = tmp_path / str(shape[1])
        folder.mkdir()
        for number in range(4):
            scores = np.random.default_rng(number).normal(size=shape).astype(np.float32) * 4
            if form == "npz":
                np.savez(folder / f"{number}.npz", logits=scores)
            else:
                np.save(folder / f"{number}.npy", scores)
    found = look("source", **given, source__predictions=tmp_path / "15")
    assert found.level == "good" and "4 soft predictions" in found.text, found
    found = look("source", **given, source__predictions=tmp_path / "11")
    assert (
        found.level == "bad" and "(classes, height, width)" in found.text and "(height, width, classes)" in found.text
    )


def test_predictions_out_of_range_or_for_other_images_are_errors(look, images, tmp_path):
    given = {"data__target": images, "task__classes": "camvid"}
    found = look("source", **given, source__predictions=labels(tmp_path / "x", [0, 11]))
    assert found.level == "bad" and "11" in found.text
    found = look("source", **given, source__predictions=labels(tmp_path / "y", [0], count=3))
    assert found.level == "bad" and "3" in found.text


def test_predictions_in_other_classes_offer_the_sets_that_hold_their_ids(look, images, tmp_path):
    folder = labels(tmp_path / "said", [0, 11, 18])
    found = look("source", data__target=images, task__classes="camvid", source__predictions=folder)
    assert found.level == "bad" and "11, 18" in found.text and "other classes than the target" in found.text
    assert found.offers[0].settings == {"task.source_classes": "cityscapes", "task.class_map": "none"}
    assert "source classes" not in found.short.lower() and found.short == "other classes"
    good = look("source", data__target=images, task__classes="camvid", source__predictions=folder,
                task__source_classes="cityscapes")  # fmt: skip
    assert good.level == "warning" and not good.offers


def test_confidence_beside_the_predictions_is_offered(look, images, tmp_path):
    folder = labels(tmp_path / "said" / "label_ids", [0, 10])
    given = {"data__target": images, "task__classes": "camvid", "source__predictions": folder}
    assert not look("source", **given).offers
    for number in range(4):
        write_confidence(tmp_path / "said" / "confidence" / f"{number}.png", np.tile(np.float32([0.7, 0.9]), (48, 32)))
    (offer,) = look("source", **given).offers
    found = look("source", **given, **{key.replace(".", "__"): value for key, value in offer.settings.items()})
    assert found.level == "good" and "mean confidence 80%" in found.text


def test_the_shared_real_data(look):
    data = Path(__file__).parents[3] / ".." / "shared" / "data" / "camvid"
    if not data.is_dir():
        pytest.skip("the shared data is not here")
    data = data.resolve()
    found = look(
        "source",
        data__target=data / "images" / "train",
        source__predictions=data / "black_box" / "label_ids" / "train",
        source__confidence=data / "black_box" / "confidence" / "train",
        task__classes="camvid",
        task__source_classes="cityscapes",
        task__class_map="cityscapes-to-camvid",
    )
    assert found.level == "good" and "367 label maps, every target image has one" in found.text
