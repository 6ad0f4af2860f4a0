"""Folders of transformers' models: classes and normalisation from their own files, weights without code."""

import dataclasses
import json
import os
import pickle
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from crots.config import Size
from crots.errors import InputError, StageError
from crots.folders import WRITTEN, check_model_file, folder_card
from crots.nets.hf_nets import build, package
from crots.nets.model import create_model
from crots.nets.source import open_source
from crots.nets.weights import load_into, load_model, save_safetensors
from crots.opening import Inputs
from crots.project_config import ProjectConfig, override
from crots.taxonomy import load_class_set
from tests.nets.tiny_folders import ABC, PROCESSOR, described, exported

pytestmark = pytest.mark.safety

torch.set_num_threads(1)


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
    found = Inputs(override(config, {"task.source_classes": "demo"}), tmp_path)
    assert found.source_classes.names == load_class_set("demo").names and found.source_file == tmp_path / "m"


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"crots-studio\[transformers\]"):
        build(f"hf:{described(tmp_path / 'm')}", 3)


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
    for content, says in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer.*git lfs pull"),
        (b"half", r"is text \('half'\)"),
        (bytes(range(99)), r"\(99 bytes\) is cut short"),
    ):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(InputError, match=r"model\.safetensors:? " + says):
            open_source(folder, classes=ABC)


def test_weights_of_other_classes_or_names_say_so(segformer):
    _, folder = segformer
    described(folder, id2label={"0": "a", "1": "b"})
    with pytest.raises(InputError, match=r"do not fit its config.json: they are of 3 classes, and it names 2; correct"):
        open_source(folder)
    described(folder, decoder_hidden_size=8)
    with pytest.raises(InputError, match=r"do not fit its config.json: decode_head\S+ is \(16\D.*, expected \(8\D"):
        open_source(folder, classes=ABC)
    described(folder)
    weights = folder / "model.safetensors"
    save_file({f"module.{key}": tensor for key, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    with pytest.raises(
        InputError, match=r"missing decode_head.* and \d+ more, but there are module\.decode_head.* names"
    ):
        open_source(folder, classes=ABC)
    weights.unlink()
    with pytest.raises(InputError, match=r"holds no model.safetensors, .*copy it"):
        open_source(folder, classes=ABC)


def test_a_folder_may_say_the_number_of_its_classes_alone(tmp_path):
    folder = described(tmp_path / "m", without=("id2label", "label2id"), num_labels=5)
    assert folder_card(folder).classes["names"] == [f"LABEL_{number}" for number in range(5)]


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


def test_the_processor_may_lie_among_others(tmp_path):
    described(tmp_path / "m", processor=None)
    (tmp_path / "m" / "processor_config.json").write_text(json.dumps({"image_processor": PROCESSOR}))
    assert folder_card(tmp_path / "m").normalisation.mean == pytest.approx((123.675, 116.28, 103.53))


def test_a_configuration_that_was_not_fetched_is_named(tmp_path):
    described(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(InputError, match=r"config.json: is a Git LFS pointer.*git lfs pull"):
        folder_card(tmp_path / "m")


def test_parts_without_their_list_are_named(segformer):
    _, folder = segformer
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match=r"holds model-00001-of-00002.safetensors, and neither .*index.json"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "model.safetensors.index.json"])
def test_a_file_of_a_folder_is_no_model_by_itself(segformer, name):
    _, folder = segformer
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model.safetensors"}}')
    config = override(ProjectConfig(), {"source.file": str(folder / name), "task.classes": "demo"})
    with pytest.raises(InputError, match=r"is a part of the model in the folder .*give that folder"):
        _ = Inputs(config, folder).source_net
    if name == "model.safetensors":
        with pytest.raises(InputError, match=r"is a part of the model in the folder"):
            load_model(folder / name)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("sub/config.json", "give the folder in it that has one, .*sub"),
        ("snapshots/abc/config.json", "give the folder in it that has one, .*abc"),
        ("adapter_config.json", "an adapter alone .*merge"),
        ("saved_model.pb", "TensorFlow; export it as ONNX"),
        ("other.txt", "a folder without config.json"),
    ],
)
def test_a_folder_that_is_no_model_says_what_to_give(tmp_path, inner, message):
    (tmp_path / "m" / inner).parent.mkdir(parents=True)
    (tmp_path / "m" / inner).write_text("{}")
    config = override(ProjectConfig(), {"source.file": "m", "task.classes": "demo"})
    for opened in (check_model_file, lambda path: Inputs(config, path.parent).source_file):
        with pytest.raises(InputError, match=message.replace("; export", ".*export")):
            opened(tmp_path / "m")


def test_a_name_on_a_hub_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="if it is a name on a hub, download that model first"):
        check_model_file(Path("nvidia/segformer-b0"))


def test_a_folder_of_one_label_has_two_classes(tmp_path):
    card = folder_card(described(tmp_path / "m", id2label={"0": "vessel"}))
    assert card.classes["names"] == ["background", "vessel"]


def test_weights_of_an_older_folder_are_read_without_running_them(segformer):
    _, folder = segformer
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    wanted = open_source(folder, classes=ABC).views(images)[0]
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert torch.equal(open_source(folder, classes=ABC).views(images)[0], wanted)
    keys = sorted(weights)
    names = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    (folder / "pytorch_model.bin").unlink()
    torch.save({key: weights[key] for key in keys[:50]}, folder / names[0])
    torch.save({key: weights[key] for key in keys[50:]}, folder / names[1])
    index = {"weight_map": {key: names[place >= 50] for place, key in enumerate(keys)}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert torch.equal(open_source(folder, classes=ABC).views(images)[0], wanted)
    torch.save({key: weights[key] for key in keys[:49]}, folder / names[0])
    with pytest.raises(InputError, match="do not fill the network: missing"):
        open_source(folder, classes=ABC)
    (folder / names[0]).write_bytes(pickle.dumps(Path))
    with pytest.raises(InputError, match=names[0]):
        open_source(folder, classes=ABC)


def test_a_version_that_names_no_class_for_older_weights_is_said(segformer, monkeypatch):
    """The class was looked up in a private table, which any version may rename."""
    _, folder = segformer
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr(transformers, "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING", {})
    with pytest.raises(InputError, match=r"names no model of the type 'segformer' .* save them as safetensors"):
        open_source(folder, classes=ABC)


def test_code_in_the_weights_of_a_folder_is_refused_and_not_run(segformer, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    _, folder = segformer
    (folder / "model.safetensors").unlink()
    torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model.bin was refused: it is a pickle with code in it"):
        open_source(folder, classes=ABC, trust=True)
    assert not (tmp_path / "ran").exists()
