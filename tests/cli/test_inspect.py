import json

import pytest
import torch

pytestmark = pytest.mark.safety


def test_folder(crots, city):
    ran = crots("inspect", city / "images")
    assert ran.code == 0
    assert "6 images" in ran.out
    assert "no problems" in ran.out


def test_problems_are_named_and_counted(crots, city):
    broken = city / "images" / "train" / "im2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    ran = crots("inspect", city / "images", "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert any("im2.png" in problem for problem in found["problems"])


def test_labels_out_of_range(crots, city):
    ran = crots("inspect", city / "labels", "--classes", "demo")
    assert ran.code == (1 if "problem:" in ran.out else 0)


def test_plain_weights(crots, tmp_path):
    torch.save({"conv1.weight": torch.zeros(2, 3)}, tmp_path / "w.pth")
    ran = crots("inspect", tmp_path / "w.pth")
    assert ran.code == 0
    assert "1 tensors" in ran.out


def test_weights_of_another_net(crots, tmp_path):
    torch.save({"conv1.weight": torch.zeros(2, 3)}, tmp_path / "w.pth")
    ran = crots("inspect", tmp_path / "w.pth", "--net", "deeplabv2_resnet18", "--classes", "camvid")
    assert ran.code == 1
    assert "problem:" in ran.out


def test_broken_model_files(crots, tmp_path):
    for name in ("a.pth", "b.safetensors", "c.onnx"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        ran = crots("inspect", tmp_path / name)
        assert ran.code == 1, ran
        assert name in ran.out


def test_project(crots, city, weights, tmp_path):
    crots("init", tmp_path / "p", "--target", city / "images" / "train", "--classes", "camvid", "--source", weights,
          "--net", "deeplabv2_resnet18")  # fmt: skip
    ran = crots("inspect", tmp_path / "p")
    assert "project" in ran.out
    assert "pseudo-label: ready" in ran.out


def test_nothing_there(refused, tmp_path):
    assert "no such file" in refused("inspect", tmp_path / "x")
    (tmp_path / "empty").mkdir()
    assert "found no images" in refused("inspect", tmp_path / "empty")


def test_convert_labels(crots, refused, city, tmp_path):
    ran = crots("convert-labels", "--labels", city / "labels" / "val", "--classes", "camvid", "--out", tmp_path / "out",
                "--colour")  # fmt: skip
    assert ran.code == 0, ran.err
    assert (tmp_path / "out" / "label_ids" / "im0.png").is_file()
    assert (tmp_path / "out" / "label_color" / "im0.png").is_file()
    assert "--labels" in refused("convert-labels", "--classes", "camvid", "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.h5", b"\x89HDF\r\n", "Keras"),
        ("m.tflite", b"\x1c\0\0\0TFL3", "TensorFlow"),
        ("m.gguf", b"GGUF", "GGUF"),
        ("m.unknown", b"\1\2\3", "neither an image nor a text file"),
    ],
)
def test_models_of_other_programs_are_no_lists_of_images(crots, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content + bytes(300))
    ran = crots("inspect", tmp_path / name)
    assert ran.code in (1, 2) and message in ran.out + ran.err
    assert "\0" not in ran.out + ran.err and "\\x00" not in ran.out + ran.err
