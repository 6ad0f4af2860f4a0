"""Folders of transformers' models: classes and normalisation from their own files, weights without code."""

import dataclasses
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from crots.config import Size
from crots.errors import InputError, StageError
from crots.folders import MODEL_TYPES, WRITTEN, folder_card
from crots.images import write_image
from crots.nets.export import export_as
from crots.nets.hf_nets import build, package
from crots.nets.model import check_batch, create_model
from crots.nets.source import load_exported, open_source
from crots.nets.weights import load_into, load_model, save_safetensors
from crots.opening import Inputs
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
SEGFORMER = {
    "model_type": "segformer", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16,
    "num_attention_heads": [1, 1, 1, 1], "id2label": {"0": "a", "1": "b", "2": "c"},
    "label2id": {"a": 0, "b": 1, "c": 2},
}  # fmt: skip
PROCESSOR = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 1 / 255}


def described(folder, *, config=SEGFORMER, processor=PROCESSOR, without=(), **more):
    """A folder without weights."""
    folder.mkdir(exist_ok=True)
    values = {key: value for key, value in {**config, **more}.items() if key not in without}
    (folder / "config.json").write_text(json.dumps(values))
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_classes_and_normalisation_come_from_its_own_files(tmp_path):
    card = folder_card(described(tmp_path / "m"))
    assert card.classes["names"] == ["a", "b", "c"] and card.net == f"hf:{tmp_path / 'm'}"
    assert card.normalisation.channels == "rgb"
    assert card.normalisation.mean == pytest.approx((123.675, 116.28, 103.53))
    assert card.normalisation.scale == pytest.approx((58.395, 57.12, 57.375))


@pytest.mark.parametrize(
    ("processor", "mean", "scale"),
    [
        ({"do_normalize": False}, 0, 255),
        ({"do_normalize": False, "do_rescale": False}, 0, 1),
        ({"image_mean": 0.5, "image_std": 0.5}, 127.5, 127.5),
        ({"image_mean": [124, 124, 124], "image_std": [58, 58, 58], "do_rescale": False}, 124, 58),
    ],
)
def test_every_form_of_its_processor_is_converted_to_our_units(tmp_path, processor, mean, scale):
    found = folder_card(described(tmp_path / "m", processor=processor)).normalisation
    assert found.mean == pytest.approx((mean,) * 3) and found.scale == pytest.approx((scale,) * 3)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"auto_map": {"AutoModel": "evil.Net"}}, "requires custom code"),
        ({"model_type": "detr"}, "expected one of beit, data2vec-vision, dpt"),
        ({"model_type": ["x"]}, "expected one of"),
        ({"id2label": {"1": "b"}}, "id2label names no classes"),
        ({"id2label": 7}, "id2label names no classes"),
    ],
)
def test_what_cannot_be_used_is_reported_without_the_package(tmp_path, more, says):
    with pytest.raises(InputError, match=says):
        folder_card(described(tmp_path / "m", **more))


@pytest.mark.parametrize("processor", [{"image_std": [0, 1, 1]}, {"image_mean": "x"}, {"rescale_factor": 0}, None])
def test_a_processor_that_says_nothing_useful_is_named(tmp_path, processor):
    with pytest.raises(InputError, match=r"preprocessor_config\.json"):
        folder_card(described(tmp_path / "m", processor=processor))


def test_classes_without_names_are_asked_for(tmp_path):
    described(tmp_path / "m", id2label={str(number): f"LABEL_{number}" for number in range(10)})
    config = override(ProjectConfig(), {"source.file": "m", "task.classes": "demo"})
    with pytest.raises(InputError, match="classes have no names") as caught:
        _ = Inputs(config, tmp_path).source_classes
    assert caught.value.field == "task.source_classes"
    told = Inputs(override(config, {"task.source_classes": "demo"}), tmp_path)
    assert told.source_classes.names == load_class_set("demo").names and told.source_file == tmp_path / "m"


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"crots-studio\[transformers\]"):
        build(f"hf:{described(tmp_path / 'm')}", 3)


@pytest.fixture
def segformer(tmp_path):
    transformers = pytest.importorskip("transformers")
    values = {key: value for key, value in SEGFORMER.items() if key != "model_type"}
    torch.manual_seed(0)
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(**values)).eval()
    model.save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return model, tmp_path / "m"


def test_a_folder_is_a_source_and_says_what_transformers_says(segformer):
    model, folder = segformer
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    source = open_source(folder, classes=ABC)
    assert source.classes.names == ("a", "b", "c")
    mean, std = (torch.tensor(PROCESSOR[name]).view(1, 3, 1, 1) for name in ("image_mean", "image_std"))
    with torch.no_grad():
        wanted = model(pixel_values=(images / 255 - mean) / std).logits
        found = source.views(images)[0]
    assert torch.allclose(found, wanted, atol=1e-4)


def test_its_weights_start_a_student_that_is_saved_and_read_again(segformer, tmp_path):
    _, folder = segformer
    student = create_model(f"hf:{folder}", ABC, Size(64, 64))
    assert not load_into(student, folder).missing
    assert load_into(create_model(f"hf:{folder}", load_class_set("demo"), Size(64, 64)), folder).missing
    save_safetensors(tmp_path / "student.safetensors", student.net, student.card)
    again, _ = load_model(tmp_path / "student.safetensors")
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(again.eval().logits(images), student.eval().logits(images))
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"holds no config\.json"):
        load_model(tmp_path / "student.safetensors")


def test_weights_that_are_missing_are_an_error(segformer):
    _, folder = segformer
    described(folder, depths=[2, 1, 1, 1])
    with pytest.raises(InputError, match="do not fill the network"):
        open_source(folder, classes=ABC)
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="cannot be read"):
        open_source(folder, classes=ABC)


def exported(model, path, size=Size(96, 64)):
    pictures = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), dtype=np.uint8)
    return export_as(model, path, "huggingface", sample_images=list(pictures))


def test_an_adapted_model_goes_back_as_a_folder_that_transformers_reads(segformer, tmp_path):
    transformers = pytest.importorskip("transformers")
    _, folder = segformer
    student = create_model(f"hf:{folder}", load_class_set("demo"), Size(96, 64), seed=1).eval()
    student.card = dataclasses.replace(student.card, oracle=True, note="of a test")
    report = exported(student, tmp_path / "out")
    assert report.max_difference < 1e-4 and report.agreement == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(WRITTEN)
    again = transformers.AutoModelForSemanticSegmentation.from_pretrained(tmp_path / "out").eval()
    assert list(again.config.id2label.values()) == list(student.classes.names)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out")
    photo = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        found = again(**processor(images=photo, return_tensors="pt")).logits
        wanted = student(torch.from_numpy(photo).permute(2, 0, 1)[None])
    assert torch.allclose(found, wanted, atol=1e-4)
    # It is a source as any other, and what labels chose stays marked.
    card = folder_card(tmp_path / "out")
    assert card.oracle and card.size == Size(96, 64) and card.classes == student.card.classes
    assert open_source(tmp_path / "out").classes == student.classes


def test_an_older_folder_gives_way_and_anything_else_stays(segformer, tmp_path):
    _, folder = segformer
    student = create_model(f"hf:{folder}", ABC, Size(96, 64)).eval()
    exported(student, tmp_path / "out")
    exported(create_model(f"hf:{folder}", ABC, Size(96, 64), seed=3).eval(), tmp_path / "out")
    with torch.no_grad():
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years")
        with pytest.raises(InputError, match=r"contains thesis\.txt"):
            exported(student, tmp_path / "mine")
        student.net.model.decode_head.classifier.bias[0] = float("nan")
    with pytest.raises(StageError, match="no file was kept"):
        exported(student, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "mine", "out"]
    assert load_model(tmp_path / "out")[1].matched
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_other_networks_have_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="compact cannot be written in the format huggingface"):
        exported(create_model("compact", ABC, Size(96, 64)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


TINY = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 32, "image_size": 64,
        "patch_size": 16}  # fmt: skip
TYPES = {
    "segformer": {key: value for key, value in SEGFORMER.items() if "label" not in key and key != "model_type"},
    "beit": {**TINY, "out_indices": [1, 2, 3, 4], "use_auxiliary_head": False},
    "data2vec-vision": {**TINY, "out_indices": [1, 2, 3, 4], "use_auxiliary_head": False},
    "dpt": {**TINY, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8,
            "is_hybrid": False, "use_auxiliary_head": False},
    "mobilenet_v2": {"image_size": 64},
    "mobilevit": {"image_size": 64, "hidden_sizes": [8, 8, 8], "neck_hidden_sizes": [8, 8, 8, 8, 8, 8, 16],
                  "num_attention_heads": 2},
    "mobilevitv2": {"image_size": 64},
    "upernet": {"hidden_size": 16, "use_auxiliary_head": False, "backbone_config": {
        "model_type": "convnext", "depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 8, 8],
        "out_features": ["stage1", "stage2", "stage3", "stage4"]}},
}  # fmt: skip


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_kind_keeps_the_contract_of_a_net(tmp_path, kind):
    pytest.importorskip("transformers")
    # Some processors do not normalise, but change the order of the channels.
    processor = {"do_flip_channel_order": True} if kind.startswith("mobilevit") else PROCESSOR
    config = {"model_type": kind, "id2label": SEGFORMER["id2label"], **TYPES[kind]}
    folder = described(tmp_path / "m", config=config, processor=processor)
    model = create_model(f"hf:{folder}", ABC, Size(64, 64))
    of_encoder = [name.startswith(model.info.encoder) for name, _ in model.net.named_parameters()]
    assert any(of_encoder) and not all(of_encoder), "both an encoder and a head are told"
    check_batch(model, 2, Size(64, 64))
    logits = model.train()(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert logits.shape[:2] == (2, 3) and logits.requires_grad and torch.isfinite(logits).all()
    assert exported(model.eval(), tmp_path / "out", Size(64, 64)).agreement == 1


@pytest.mark.parametrize(("name", "file"), [("onnx", "m.onnx"), ("torchscript", "m.pt"), ("huggingface", "out")])
@pytest.mark.parametrize("kind", ["beit", "dpt"])
def test_images_of_any_shape_are_taken_and_exported(tmp_path, kind, name, file):
    """Heads that count on a square of one size are given that."""
    pytest.importorskip("transformers")
    size = Size(96, 64)
    config = {"model_type": kind, "id2label": SEGFORMER["id2label"], **TYPES[kind]}
    model = create_model(f"hf:{described(tmp_path / 'm', config=config)}", ABC, size).eval()
    check_batch(model, 2, size)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    report = export_as(model, tmp_path / file, name, sample_images=images)
    assert report.agreement >= 0.99
    if name != "huggingface":
        fixed = load_exported(tmp_path / file, trust=True).facts.fixed
        assert fixed in (None, size) and (fixed is None or any(f"{size} only" in note for note in report.notes))
        return
    transformers = pytest.importorskip("transformers")
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out", local_files_only=True)
    other = transformers.AutoModelForSemanticSegmentation.from_pretrained(tmp_path / "out", local_files_only=True)
    with torch.no_grad():
        shape = other(**processor(images=images[0].numpy(), return_tensors="pt")).logits.shape
    assert shape[:2] == (1, 3)


def test_threads_that_import_the_package_at_the_same_time_all_get_it(tmp_path, monkeypatch):
    """transformers replaces itself in ``sys.modules`` while it is imported; who waits for that keeps the hollow one."""
    imported = tmp_path / "imported"
    (tmp_path / "transformers").mkdir()
    (tmp_path / "transformers" / "__init__.py").write_text(
        "import sys, types, time\nfrom pathlib import Path\n"
        f"Path({str(tmp_path / 'begun')!r}).touch()\n"
        f"while not Path({str(imported)!r}).exists(): time.sleep(0.01)\n"
        "own = types.ModuleType(__name__)\nown.__spec__, own.Model = __spec__, object\nsys.modules[__name__] = own\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(package)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        second = pool.submit(package)
        time.sleep(0.3)
        imported.touch()
        assert hasattr(first.result(), "Model") and hasattr(second.result(), "Model")


@pytest.mark.slow
def test_a_project_runs_from_a_folder(segformer, tmp_path):
    from crots.cli.main import main

    for number in range(4):
        write_image(tmp_path / "images" / f"{number}.png", np.full((64, 64, 3), 60 * number, np.uint8))
    (tmp_path / "abc.toml").write_text('classes = ["a", "b", "c"]\n')
    steps = [word for stage in ("baseline", "adapt") for word in ("--set", f"{stage}.steps=2")]
    words = ["--target", tmp_path / "images", "--classes", tmp_path / "abc.toml", "--source", tmp_path / "m"]
    words += ["--size", "64x64", *steps, "--set", "adapt.rounds=1"]
    assert main(["init", str(tmp_path / "p"), *map(str, words)]) == 0
    assert main(["run", str(tmp_path / "p"), "--device", "cpu", "--quiet"]) == 0
    written = tmp_path / "p" / "export"
    assert (written / "adapted.safetensors").is_file()
    assert {path.name for path in (written / "adapted.huggingface").iterdir()} == set(WRITTEN)
    export = ["export", tmp_path / "p" / "adapt-1" / "student.safetensors", "--format", "huggingface", "--quiet"]
    assert main([*map(str, export), "--out", str(tmp_path / "q")]) == 0 and (tmp_path / "q" / "config.json").is_file()
    assert main([*map(str, export), "--out", str(tmp_path / "q")]) == 2, "it is there already"
    assert main([*map(str, export), "--out", str(tmp_path / "q"), "--overwrite"]) == 0
    # A folder is opened as any model file is.
    assert main(["export", str(tmp_path / "q"), "--format", "pth", "--out", str(tmp_path / "q.pth"), "--quiet"]) == 0
