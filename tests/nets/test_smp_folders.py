"""Folders that segmentation-models-pytorch writes with save_pretrained: network and classes from their own files."""

import json

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from crots.config import Size
from crots.errors import InputError
from crots.folders import MODEL_CLASSES, folder_card
from crots.nets.export import export_as
from crots.nets.model import create_model
from crots.nets.registry import net_info
from crots.nets.source import open_source
from crots.nets.weights import load_into, load_model
from crots.opening import Inputs
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
# What `smp:<architecture>/<encoder>` cannot say.
OTHER = {"encoder_name": "tu-test_resnet", "decoder_channels": (32, 16, 8, 8, 4), "encoder_weights": None, "classes": 3}


def saved(folder, **more):
    torch.manual_seed(0)
    model = smp.Unet(**{**OTHER, **more}).eval()
    model.save_pretrained(folder)
    return model


def changed(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    return folder


def test_a_folder_is_a_source_with_its_own_options(tmp_path):
    model = saved(tmp_path / "m", encoder_name="resnet18", activation="softmax2d", aux_params={"classes": 4})
    source = open_source(tmp_path / "m", classes=ABC)
    assert source.classes == ABC and source.facts.multiple == 32
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    mean, std = (torch.tensor(row).view(1, 3, 1, 1) for row in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        wanted, _ = model((images / 255 - mean) / std)
        # Its logits, which the activation only turns into probabilities.
        assert torch.allclose(source.views(images)[0].softmax(1), wanted, atol=1e-5)


def test_classes_without_names_are_asked_for(tmp_path):
    saved(tmp_path / "m")
    config = override(ProjectConfig(), {"source.file": "m", "task.classes": "demo"})
    with pytest.raises(InputError, match="3 classes have no names"):
        _ = Inputs(config, tmp_path).source_classes


def test_normalisation_is_that_of_the_encoder_or_of_the_transforms_beside_it(tmp_path):
    saved(tmp_path / "m", encoder_name="tu-tf_efficientnet_lite0")
    assert open_source(tmp_path / "m", classes=ABC).facts.card.normalisation.mean == (127.5, 127.5, 127.5)
    transforms = [
        {"__class_fullname__": "Resize", "height": 64},
        {"__class_fullname__": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1], "max_pixel_value": 255.0},
    ]
    written = {"transform": {"__class_fullname__": "Compose", "transforms": transforms}}
    (tmp_path / "m" / "albumentations_config_eval.json").write_text(json.dumps(written))
    found = open_source(tmp_path / "m", classes=ABC).facts.card.normalisation
    assert found.mean == (127.5, 102, 76.5) and found.scale == (51, 51, 25.5)
    transforms[1]["std"] = [0, 1, 1]
    (tmp_path / "m" / "albumentations_config_eval.json").write_text(json.dumps(written))
    with pytest.raises(InputError, match="divides by 0"):
        folder_card(tmp_path / "m")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"_model_class": "os"}, "expected one of DPT, DeepLabV3"),
        ({"in_channels": 4}, "takes images of 4 channels"),
        ({"classes": "many"}, "gives no number of classes"),
        ({"encoder_name": "hf-hub:someone/else"}, "expected the name of one"),
        ({"encoder_name": "tu-no_such"}, "no_such"),
        ({"decoder_channels": 7}, "cannot be built"),
        ({"decoder_channels": [32, 16, 8, 8, 8]}, "for another network"),
        ({"auto_map": {}}, "requires custom code"),
    ],
)
def test_what_cannot_be_used_is_reported(tmp_path, values, says):
    saved(tmp_path / "m")
    with pytest.raises(InputError, match=says):
        open_source(changed(tmp_path / "m", **values), classes=ABC)


def test_nothing_is_downloaded_for_what_a_folder_says(tmp_path, monkeypatch):
    saved(tmp_path / "m")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("a download"))
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *_, **__: pytest.fail("a download"))
    assert open_source(changed(tmp_path / "m", encoder_weights="imagenet"), classes=ABC).classes == ABC


def test_the_classes_it_knows_are_those_of_the_package():
    assert {made.__name__ for made in smp.MODEL_ARCHITECTURES_MAPPING.values()} == set(MODEL_CLASSES)


@pytest.mark.parametrize("net", ["hf:", "smp:segformer/mit_b0"])
def test_a_student_goes_back_as_a_folder(tmp_path, net):
    saved(tmp_path / "m")
    name = f"hf:{tmp_path / 'm'}" if net == "hf:" else net
    student = create_model(name, load_class_set("demo"), Size(96, 64), seed=1).eval()
    if net == "hf:":
        assert load_into(student, tmp_path / "m").missing, "its head is for other classes"
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    assert export_as(student, tmp_path / "out", "huggingface", sample_images=list(images)).agreement == 1
    again = smp.from_pretrained(str(tmp_path / "out")).eval()
    loaded, _ = load_model(tmp_path / "out")
    assert loaded.classes == student.classes and loaded.card.normalisation == student.card.normalisation
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        assert torch.equal(loaded(batch), student(batch))
        assert torch.equal(again(student.normalise(batch)), student(batch))


def test_one_score_per_pixel_is_that_of_the_second_class(tmp_path):
    model = saved(tmp_path / "m", encoder_name="resnet18", classes=1)
    assert folder_card(tmp_path / "m").classes["names"] == ["LABEL_0", "LABEL_1"]
    vessels = ClassSet.from_dict({"name": "vessels", "names": ["background", "vessel"]})
    source = open_source(tmp_path / "m", classes=vessels)
    assert any("one score per pixel" in remark for remark in source.remarks)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    mean, std = (torch.tensor(row).view(1, 3, 1, 1) for row in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        wanted = model((images / 255 - mean) / std).sigmoid()
    assert torch.allclose(source.logits(images).softmax(1)[:, 1:], wanted, atol=1e-5)
    student = create_model(f"hf:{tmp_path / 'm'}", vessels, Size(64, 64))
    assert not load_into(student, tmp_path / "m").missing


def test_an_encoder_of_one_size_says_so(tmp_path):
    torch.manual_seed(0)
    model = smp.DPT("tu-vit_tiny_patch16_224", encoder_weights=None, classes=3, decoder_fusion_channels=16).eval()
    model.save_pretrained(tmp_path / "m")
    for net in (f"hf:{tmp_path / 'm'}", "smp:dpt/tu-vit_tiny_patch16_224"):
        assert net_info(net).fixed == Size(224, 224)
        with pytest.raises(InputError, match="takes images of 224x224 only, found 256x128"):
            create_model(net, ABC, Size(256, 128)).check_size(256, 128)
    # A source gets every image in its size, as those of transformers do.
    source = open_source(tmp_path / "m", classes=ABC, size=Size(256, 128))
    assert source.logits(torch.zeros(1, 3, 128, 256, dtype=torch.uint8)).shape == (1, 3, 128, 256)
    assert source.facts.card.size == Size(224, 224)
    assert net_info("smp:unet/resnet18").fixed is None
