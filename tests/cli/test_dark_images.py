"""Images of 16 bits that use few of them: every command that runs a network on images warns, and takes the white."""

import numpy as np
import pytest
from PIL import Image

from crots.config import Size
from crots.label_files import read_labels, write_labels
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.taxonomy import load_class_set

WARNING = "use 12 of them (values up to 4095), so they become nearly black"


@pytest.fixture
def dark(tmp_path):
    """Images of 12 bits in 16, the same ones at 8 bits, labels, and a network."""
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        image = rng.integers(0, 4096, (48, 64)).astype(np.uint16)
        image.flat[0] = 4095
        for folder, values in {"dark": image, "bright": np.rint(image * (255 / 4095)).astype(np.uint8)}.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / folder / f"{name}.png")
        write_labels(tmp_path / "labels" / f"{name}.png", rng.integers(0, 11, (48, 64)).astype(np.uint8))
    model = create_model("compact", load_class_set("camvid"), Size(64, 64), seed=4).eval()
    save_safetensors(tmp_path / "m.safetensors", model.net, model.card)
    return tmp_path


def test_predict_warns_and_takes_the_white(crots, dark):
    def predicted(folder, *more):
        out = dark / f"{folder}{len(more)}"
        words = ("--checkpoint", dark / "m.safetensors", "--images", dark / folder, "--out", out, "--device", "cpu")
        ran = crots("predict", *words, *more)
        assert ran.code == 0, ran.err
        return ran.out, [read_labels(path).tolist() for path in sorted((out / "label_ids").glob("*.png"))]

    said, labels = predicted("dark")
    assert WARNING in said and "(--white 4095)" in said
    bright = predicted("bright")[1]
    assert labels != bright
    said, labels = predicted("dark", "--white", "4095")
    assert WARNING not in said and labels == bright


def test_evaluate_and_train_warn(crots, dark):
    images = ("--images", dark / "dark", "--labels", dark / "labels", "--classes", "camvid", "--device", "cpu")
    scored = crots("evaluate", "--checkpoint", dark / "m.safetensors", *images)
    assert scored.code == 0 and WARNING in scored.out
    options = ("--net", "compact", "--weights", "random", "--size", "64x64", "--steps", "2", "--batch", "1")
    trained = crots("train", *images, *options, "--out", dark / "trained")
    assert trained.code == 0 and WARNING in trained.out


def test_export_compares_on_images_as_they_are_read(crots, dark):
    words = ("export", dark / "m.safetensors", "--format", "safetensors", "--images", dark / "dark")
    assert crots(*words, "--white", "4095", "--out", dark / "e.safetensors").code == 0


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_folder_in_place_of_a_model_is_called_one(refused, dark, command):
    words = {
        "predict": ("--checkpoint", dark / "dark", "--images", dark / "dark", "--out", dark / "out"),
        "export": (dark / "dark", "--format", "pth", "--out", dark / "out.pth"),
    }
    assert f"{dark / 'dark'}: a folder without config.json, expected a model file" in refused(command, *words[command])


@pytest.mark.parametrize(
    ("form", "name", "expected"),
    [("pth", "a.onnx", ".pth"), ("onnx", "a.pth", ".onnx"), ("onnx", "a", ".onnx"), ("torchscript", "a.pt2", ".pt")],
)
def test_a_suffix_of_another_format_is_refused_before_anything_is_written(refused, dark, form, name, expected):
    line = refused("export", dark / "m.safetensors", "--format", form, "--out", dark / name)
    assert f"expected {expected} for the format {form}" in line
    assert not (dark / name).exists()
