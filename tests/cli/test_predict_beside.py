"""Predicting with a model and the predictions of a black box: of each pixel, the label of the more confident."""

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from crots.config import Size
from crots.label_files import read_labels
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.taxonomy import load_class_set

SIZE = Size(64, 64)
SURE, UNSURE = 255, 0


@pytest.fixture
def model(tmp_path):
    made = create_model("compact", load_class_set("camvid"), SIZE, seed=4).eval()
    save_safetensors(tmp_path / "m.safetensors", made.net, made.card)
    return tmp_path / "m.safetensors"


@pytest.fixture
def black_box(city, tmp_path):
    """Says road everywhere, certain of it in the left half of each image; the top rows are ignored."""
    for image in (city / "images" / "val").iterdir():
        labels, confidence = np.full((64, 64), 3, np.uint8), np.full((64, 64), UNSURE, np.uint8)
        labels[:8], confidence[:, :32] = 255, SURE
        for kind, pixels in (("label_ids", labels), ("confidence", confidence)):
            path = tmp_path / "black" / kind / image.name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / "black"


@pytest.fixture
def predict(crots, city, model, tmp_path):
    """Predicts the validation images, and returns the labels by name."""

    def run(*words, model=model):
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        images = city / "images" / "val"
        ran = crots("predict", "--checkpoint", model, "--images", images, "--device", "cpu", "--out", out, *words)
        assert ran.code == 0, ran
        return {path.stem: read_labels(path) for path in (out / "label_ids").iterdir()}, ran.out + ran.err

    return run


@pytest.mark.parametrize("seen", [(), ("--flip",), ("--tile", "32x32")])
def test_each_pixel_gets_the_label_of_the_more_confident(predict, black_box, seen):
    alone, _ = predict(*seen)
    both, said = predict(*seen, "--predictions", black_box)
    assert "whichever is more confident" in said
    for key, labels in both.items():
        assert (labels[8:, :32] == 3).all(), "the black box is certain"
        assert np.array_equal(labels[:, 32:], alone[key][:, 32:]), "the model is surer than not at all"
        assert np.array_equal(labels[:8], alone[key][:8]), "what the black box ignores is the model's"
        assert (alone[key][8:, :32] != 3).any()


def test_scores_of_every_class_and_other_classes_are_taken_too(predict, city, tmp_path):
    scores = np.full((19, 64, 64), 0.001, np.float32)
    scores[13] = 0.982  # car of Cityscapes, 8 of CamVid
    folder = tmp_path / "soft"
    folder.mkdir()
    for image in (city / "images" / "val").iterdir():
        np.savez(folder / f"{image.stem}.npz", probabilities=scores)
    other = ("--source-classes", "cityscapes", "--class-map", "cityscapes-to-camvid")
    both, _ = predict("--predictions", folder, *other)
    assert all((labels == 8).all() for labels in both.values())


def test_what_cannot_be_compared_is_refused(refused, city, model, black_box, tmp_path):
    images = city / "images" / "val"
    words = ["predict", "--checkpoint", model, "--images", images, "--out", tmp_path / "out"]
    assert "have no confidence" in refused(*words, "--predictions", black_box / "label_ids")
    (black_box / "label_ids" / "im1.png").unlink()
    assert "no prediction for 1 of 2 images" in refused(*words, "--predictions", black_box)
    for flag, value in (("--confidence", black_box), ("--source-classes", "cityscapes"), ("--class-map", "x.toml")):
        line = refused(*words, flag, value)
        assert f"{flag} is given without effect" in line and "--predictions" in line
    assert not (tmp_path / "out").exists()


def test_a_model_of_labels_alone_cannot_be_compared(refused, city, black_box, tmp_path):
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "weight")
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["raw"]),
        helper.make_node("ArgMax", ["raw"], ["labels"], axis=1, keepdims=0),
    ]
    seen = helper.make_tensor_value_info("image", TensorProto.FLOAT, ("n", 3, "h", "w"))
    said = helper.make_tensor_value_info("labels", TensorProto.INT64, None)
    graph = helper.make_graph(nodes, "g", [seen], [said], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    line = refused(
        "predict", "--checkpoint", tmp_path / "m.onnx", "--classes", "camvid", "--channels", "rgb", "--mean", "0",
        "--scale", "1", "--images", city / "images" / "val", "--out", tmp_path / "out", "--predictions", black_box,
    )  # fmt: skip
    assert "gives labels alone" in line


def test_the_frames_of_a_video_have_no_predictions(refused, model, black_box, tmp_path):
    film = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    words = ["predict", "--checkpoint", model, "--images", film, "--out", tmp_path / "out"]
    assert "not of a video" in refused(*words, "--predictions", black_box)
