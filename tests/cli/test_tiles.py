"""Models made for tiles: files say so, and commands then cut images by themselves."""

import dataclasses

import numpy as np
import pytest

from crots.config import Size
from crots.data.tiles import Tiling
from crots.execution.engine import Engine
from crots.images import read_image, write_image
from crots.label_files import read_labels, write_labels
from crots.nets.export import export_as
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.options import RuntimeOptions
from crots.source_inputs import card_of
from crots.taxonomy import load_class_set
from crots.training.tiled import Tiles, logits_of

TILE = Size(64, 64)


@pytest.fixture
def model():
    found = create_model("compact", load_class_set("camvid"), TILE, seed=4).eval()
    found.card = dataclasses.replace(found.card, tile_overlap=0.5)
    return found


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(1)
    for name, (height, width) in {"large": (128, 192), "small": (40, 90)}.items():
        coarse = np.kron(rng.integers(0, 240, (-(-height // 8), -(-width // 8), 3)), np.ones((8, 8, 1)))
        # Grain, since a picture of few colours is taken for labels.
        grain = rng.integers(0, 16, (height, width, 3))
        write_image(tmp_path / "images" / f"{name}.png", (coarse[:height, :width] + grain).astype("u1"))
        write_labels(tmp_path / "labels" / f"{name}.png", rng.integers(0, 11, (height, width)).astype("u1"))
    return tmp_path / "images"


def labels_in(folder):
    return {path.stem: read_labels(path) for path in sorted((folder / "label_ids").glob("*.png"))}


def labelled_in_tiles(model, images):
    engine = Engine(RuntimeOptions(device="cpu"))
    cut, look = Tiles(Tiling(TILE, 0.5), engine), logits_of(model, engine)
    return {path.stem: cut.labels(read_image(path), look) for path in images.glob("*.png")}


def test_predict_cuts_images_where_the_model_was_made_for_tiles(crots, model, images, tmp_path):
    files = {"safetensors": tmp_path / "m.safetensors", "onnx": tmp_path / "m.onnx"}
    save_safetensors(files["safetensors"], model.net, model.card)
    # Of another network, which an exporter writes in a second.
    other = create_model("tests.stages.tiny_nets:plain", load_class_set("camvid"), TILE, seed=4, trust=True).eval()
    other.card = dataclasses.replace(other.card, tile_overlap=0.5)
    sample = read_image(images / "large.png")[:64, :64]
    export_as(other, files["onnx"], "onnx", sample_images=[sample])
    for (name, path), made in zip(files.items(), (model, other), strict=True):
        expected = labelled_in_tiles(made, images)
        ran = crots("predict", "--checkpoint", path, "--images", images, "--out", tmp_path / name, "--device", "cpu")
        assert ran.code == 0 and "images cut into tiles of 64x64" in ran.out + ran.err
        found = labels_in(tmp_path / name)
        assert found.keys() == expected.keys()
        for key, labels in expected.items():
            assert found[key].shape == labels.shape and (found[key] == labels).mean() > 0.999
    words = ["predict", "--checkpoint", files["safetensors"], "--images", images, "--device", "cpu"]
    assert crots(*words, "--out", tmp_path / "resized", "--size", "64x64").code == 0
    assert (labels_in(tmp_path / "resized")["large"] != labels_in(tmp_path / "safetensors")["large"]).any()


@pytest.mark.parametrize("form", ["torchscript", "huggingface", "pth"])
def test_every_form_that_can_says_that_it_was_made_for_tiles(crots, images, tmp_path, form):
    model = create_model("smp:fpn/tu-mobilenetv3_small_050", load_class_set("camvid"), TILE, seed=4).eval()
    model.card = dataclasses.replace(model.card, tile_overlap=0.5)
    save_safetensors(tmp_path / "m.safetensors", model.net, model.card)
    out = tmp_path / f"m.{form}"
    ran = crots("export", tmp_path / "m.safetensors", "--format", form, "--out", out, "--images", images)
    assert ran.code == 0
    words = ["predict", "--checkpoint", out, "--images", images, "--out", tmp_path / "p", "--device", "cpu", "--trust"]
    if form == "pth":
        # Plain weights say nothing of themselves, so what is needed is said when they are written.
        assert "trained on tiles of 64x64 that overlap by 0.5" in ran.out + ran.err
        words += ["--tile", "64x64", "--tile-overlap", "0.5", "--net", model.card.net, "--classes", "camvid"]
    ran = crots(*words)
    assert ran.code == 0 and "images cut into tiles of 64x64" in ran.out + ran.err
    image = read_image(images / "large.png")
    engine = Engine(RuntimeOptions(device="cpu"))
    expected = Tiles(Tiling(TILE, 0.5), engine).labels(image, logits_of(model, engine))
    assert (labels_in(tmp_path / "p")["large"] == expected).mean() > 0.999


def test_a_file_without_the_note_gets_it_on_export(crots, model, images, tmp_path):
    save_safetensors(tmp_path / "m.safetensors", model.net, dataclasses.replace(model.card, tile_overlap=None))
    out = tmp_path / "n.safetensors"
    words = ["--tile", "64x64", "--tile-overlap", "0.25", "--images", images]
    assert crots("export", tmp_path / "m.safetensors", "--format", "safetensors", "--out", out, *words).code == 0
    card = card_of(out)
    assert card is not None and (card.size, card.tile_overlap) == (TILE, 0.25)


def test_a_model_of_resized_images_cuts_them_where_asked(crots, refused, model, images, tmp_path):
    save_safetensors(tmp_path / "m.safetensors", model.net, dataclasses.replace(model.card, tile_overlap=None))
    words = ["predict", "--checkpoint", tmp_path / "m.safetensors", "--images", images, "--device", "cpu"]
    ran = crots(*words, "--out", tmp_path / "tiles", "--tile", "64x64", "--tile-overlap", "0.5")
    assert ran.code == 0 and "images cut into tiles of 64x64" in ran.out + ran.err
    both = refused(*words, "--out", tmp_path / "both", "--tile", "64x64", "--size", "64x64")
    assert "expected one of them" in both


def test_scores_are_of_whole_images(crots, model, images, tmp_path):
    save_safetensors(tmp_path / "m.safetensors", model.net, model.card)
    words = ["evaluate", "--checkpoint", tmp_path / "m.safetensors", "--images", images, "--labels"]
    more = ["--classes", "camvid", "--device", "cpu", "--json", tmp_path / "s.json"]
    ran = crots(*words, tmp_path / "labels", *more)
    assert ran.code == 0 and "images cut into tiles of 64x64" in ran.out + ran.err
    assert '"images": 2' in (tmp_path / "s.json").read_text()
    found = crots("inspect", tmp_path / "m.safetensors")
    assert "made for tiles of 64x64" in found.out


def test_init_says_how_images_will_be_seen(crots, refused, images, tmp_path):
    words = ["init", tmp_path / "p", "--target", images, "--classes", "camvid", "--student", "compact"]
    words += ["--student-weights", "random", "--source", tmp_path / "m.onnx", "--tile", "64x64"]
    (tmp_path / "m.onnx").write_bytes(b"\x3a\x00")  # an empty network, which a run opens
    ran = crots(*words)
    assert ran.code == 0 and "images are cut into tiles of 64x64" in ran.out, ran
    assert 'tile = "64x64"' in (tmp_path / "p" / "crots.toml").read_text()
