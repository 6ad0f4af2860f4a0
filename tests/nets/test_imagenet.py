"""Encoder weights by name: fetched by the libraries, from a faked cache here, and only where that was asked for."""

import socket

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from crots import interpreter
from crots.config import Size
from crots.errors import InputError
from crots.nets.imagenet import load_imagenet, weights_name
from crots.nets.model import create_model
from crots.opening import Inputs
from crots.project_config import ProjectConfig, override
from crots.stages.workbench import Workbench
from crots.taxonomy import ClassSet

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
SMALL = Size(64, 64)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def torch_cache(tmp_path, monkeypatch):
    """The folder that torch.hub keeps its files in."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def cached(folder, kind):
    weights = torchvision.models.get_model_weights(kind).IMAGENET1K_V1
    torch.manual_seed(7)
    state = torchvision.models.get_model(kind, weights=None).state_dict()
    torch.save(state, folder / weights.url.rpartition("/")[2])
    return state


def test_torchvision_fetches_for_its_own_networks_and_for_deeplabv2(torch_cache):
    state = cached(torch_cache, "mobilenet_v3_large")
    model = create_model("torchvision:lraspp_mobilenet_v3_large", ABC, SMALL)
    report = load_imagenet(model)
    assert all(not key.startswith("backbone.") for key in report.missing) and report.missing
    assert torch.equal(model.net.state_dict()["backbone.0.0.weight"], state["features.0.0.weight"])
    state = cached(torch_cache, "resnet18")
    model = create_model("deeplabv2_resnet18", ABC, SMALL)
    report = load_imagenet(model)
    assert {key.split(".")[0] for key in report.missing} == {"layer5"}
    assert torch.equal(model.net.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
    assert model.card.normalisation.channels == "rgb", "trained by torchvision"


@pytest.mark.parametrize("net", ["smp:unet/tu-resnet18", "smp:pspnet/tu-mobilenetv3_small_050"])
def test_timm_fetches_for_its_encoders(tmp_path, monkeypatch, net):
    import timm

    torch.manual_seed(7)
    kind = net.partition("/tu-")[2]
    state = timm.create_model(kind, pretrained=False).state_dict()
    asked = []
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *a, **_: asked.append(a) or dict(state))
    model = create_model(net, ABC, SMALL)
    before = {key: value.clone() for key, value in model.net.state_dict().items()}
    report = load_imagenet(model)
    assert len(asked) == 1 and kind in weights_name(net)
    first = next(key for key in before if key.startswith("encoder.") and key.endswith("weight"))
    assert not torch.equal(model.net.state_dict()[first], before[first])
    assert report.missing and not [key for key in report.missing if key.startswith("encoder.")]


def test_smp_fetches_for_its_own_encoders(tmp_path, monkeypatch):
    import segmentation_models_pytorch as smp

    torch.manual_seed(7)
    state = smp.encoders.get_encoder("resnet18", weights=None).state_dict()
    save_file({key: value.clone() for key, value in state.items()}, tmp_path / "model.safetensors")
    fetched = str(tmp_path / "model.safetensors")
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", lambda *_, **__: fetched)
    model = create_model("smp:unet/resnet18", ABC, SMALL)
    load_imagenet(model)
    assert torch.equal(model.net.state_dict()["encoder.conv1.weight"], state["conv1.weight"])
    folder = tmp_path / "m"
    smp.Unet("resnet18", encoder_weights=None, classes=3).save_pretrained(folder)
    model = create_model(f"hf:{folder}", ABC, SMALL)
    load_imagenet(model)
    assert torch.equal(model.net.state_dict()["encoder.conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize("net", ["smp:unet/tu-resnet18", "smp:unet/resnet18", "deeplabv2_resnet18"])
def test_offline_the_form_of_a_file_is_named(torch_cache, tmp_path, monkeypatch, net):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(interpreter.OURS, raising=False)
    with pytest.raises(InputError, match=r"resnet18.* cannot be downloaded .*`student.weights`") as caught:
        load_imagenet(create_model(net, ABC, SMALL))
    assert caught.value.field == "student.weights"


@pytest.mark.parametrize(
    "net", ["compact", "smp:unet/tu-resnet10t.no_such", "smp:unet/se_resnet50x", "smp:fpn/mobileone_s9"]
)
def test_networks_without_such_weights_say_so(net):
    with pytest.raises(InputError):
        weights_name(net)


def test_the_hub_is_online_only_where_we_kept_it_off_and_only_meanwhile(monkeypatch):
    from huggingface_hub import constants

    from crots.nets import imagenet

    seen = []
    monkeypatch.setattr(imagenet, "_fetch", lambda net: seen.append(constants.HF_HUB_OFFLINE) or {})
    monkeypatch.setattr(imagenet, "fill", lambda *_, **__: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = create_model("smp:unet/resnet18", ABC, SMALL)
    for ours in ("", "1"):
        monkeypatch.setenv(interpreter.OURS, ours)
        load_imagenet(model)
        assert constants.HF_HUB_OFFLINE
    assert seen == [True, False], "a user's own setting stays"


def test_a_student_starts_from_them_where_they_are_asked_for_by_name(torch_cache, tmp_path):
    cached(torch_cache, "resnet18")
    config = override(
        ProjectConfig(), {"student.net": "deeplabv2_resnet18", "data.size": "64x64", "task.classes": "demo"}
    )
    with pytest.raises(InputError, match="'imagenet' to download"):
        _ = Inputs(config, tmp_path).student_weights
    bench = Workbench(override(config, {"student.weights": "imagenet"}), tmp_path, None, "baseline")
    bench.new_student()
    assert bench.start == "pretrained" and not bench.inputs.starts_from_source
    assert "starts from ImageNet weights: " in bench.notes[-1].text
