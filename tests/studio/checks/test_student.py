"""What the set-up page says of the student: its network and what it starts from."""

import numpy as np
import torch

from crots.images import write_image
from crots.nets.weights import save_pth
from tests.studio.checks.made import NET


def test_the_student_needs_a_start(look, model, tmp_path):
    found = look("student", source__predictions=tmp_path, student__net=NET, task__classes="camvid")
    assert found.level == "bad"
    assert [offer.settings["student.weights"] for offer in found.offers] == ["imagenet", "random"]
    save_pth(tmp_path / "start.pth", model.net)
    given = {"student__net": NET, "task__classes": "camvid"}
    assert look("student", **given, student__weights="random").level == "warning"
    assert look("student", **given, student__weights="start.pth").level == "good"
    encoder = {name: tensor for name, tensor in model.net.state_dict().items() if "classifier" not in name}
    torch.save(encoder, tmp_path / "encoder.pth")
    assert look("student", **given, student__weights="encoder.pth").level == "good"
    write_image(tmp_path / "images" / "a.png", np.zeros((32, 32, 3), np.uint8))
    found = look("student", **given, student__weights="encoder.pth", data__target="images")
    assert found.level == "warning" and "from the 1 target images alone" in found.text
    assert look("student", **given, student__weights="start.pth", data__target="images").level == "good"
    found = look("student", **given, student__weights="random", data__target="images")
    assert "from the 1 target images alone" in found.text and "from random weights" in found.details[0]
    tiles = {"data__target": "images", "data__tile": "32x32"}
    found = look("student", **given, student__weights="encoder.pth", **tiles)
    assert "tiles of target images alone" in found.text
    assert look("student", **given, student__weights="start.pth", **tiles).level == "good"
    write_image(tmp_path / "images" / "large.png", np.zeros((480, 480, 3), np.uint8))
    assert look("student", **given, student__weights="encoder.pth", **tiles).level == "good", "the tiles are enough"
    assert look("student", source__file="start.pth", source__net=NET, task__classes="camvid").level == "good"


def test_a_network_nobody_knows_is_an_error(look):
    found = look("student", student__net="deeplab", student__weights="random")
    assert found.level == "bad" and "deeplabv2" in found.text


def test_a_student_waits_for_the_source_without_an_alarm(look, tmp_path):
    assert look("student").level == "empty"
    assert look("student", source__predictions=tmp_path).level == "bad"


def test_a_size_that_the_student_cannot_be_trained_at_is_found_before_the_run(look, images):
    """Set-up said that all is well, and the run or its estimate failed at once."""
    given = {"student__net": "smp:unet/resnet18", "student__weights": "random", "data__target": images}
    found = look("student", **given, data__size="160x120")
    assert found.level == "bad" and "multiples of 32, but the working size is 160x120" in found.text
    assert [dict(offer.settings) for offer in found.offers] == [{"data.size": "160x128"}]
    assert look("student", **given, data__size="160x128").level == "warning", "random weights"
    found = look("student", **given, data__tile="40x40")
    assert found.level == "bad" and [dict(offer.settings) for offer in found.offers] == [{"data.tile": "32x32"}]
