"""One contract for every network of the registry."""

import copy
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crots.card import CAFFE, IMAGENET, Normalisation
from crots.errors import InputError
from crots.nets import smp_nets
from crots.nets.registry import FAMILIES, build_net, net_info, net_names

torch.set_num_threads(1)

SMALL = [
    "compact",
    "deeplabv2_resnet18",
    "deeplabv2_resnet18_aspp4",
    "deeplabv2_resnet50",
    "torchvision:lraspp_mobilenet_v3_large",
    "torchvision:deeplabv3_mobilenet_v3_large",
    "torchvision:fcn_resnet50",
    "smp:deeplabv3plus/tu-tf_efficientnet_lite0",
    "smp:unet/resnet18",
]


@pytest.mark.parametrize("name", SMALL)
def test_every_net_keeps_the_contract(name):
    before = torch.random.get_rng_state()
    net = build_net(name, 5)
    assert torch.equal(before, torch.random.get_rng_state()), "the global generator was touched"
    info = net_info(name)
    assert info.name == name and info.family == name.partition(":")[0].partition("_")[0]

    side = 32 if info.multiple == 1 else info.multiple * max(1, 32 // info.multiple)
    images = torch.randn(2, 3, side, 2 * side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = net.train()(images)
        assert logits.shape[:2] == (2, 5) and logits.ndim == 4 and logits.dtype == torch.float32
        assert torch.isfinite(net.eval()(images)).all()

    of_encoder = [parameter_name.startswith(info.encoder) for parameter_name, _ in net.named_parameters()]
    assert any(of_encoder) and not all(of_encoder), "both an encoder and a head are told"
    assert all(any(key.startswith(prefix) for key in net.state_dict()) for prefix in info.encoder)

    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    with torch.no_grad():
        assert torch.equal(twin(images), net(images))


def test_every_family_has_a_net_among_them():
    found = [FAMILIES.get(name) or FAMILIES[f"{name.partition(':')[0]}:"] for name in SMALL]
    # Networks of Hugging Face are described by the configuration in a folder: test_hf_folders.py.
    assert [name for name, family in FAMILIES.items() if family not in found] == ["hf:"]


@pytest.mark.parametrize("name", ["deeplabv2_resnet18", "torchvision:lraspp_mobilenet_v3_large", "smp:unet/resnet18"])
def test_weights_follow_the_seed(name):
    first, same, other = (build_net(name, 3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_torchvision_keeps_its_key_names():
    keys = set(build_net("torchvision:lraspp_mobilenet_v3_large", 4).state_dict())
    assert {"backbone.0.0.weight", "classifier.low_classifier.weight"} <= keys


def test_normalisations():
    assert net_info("deeplabv2_resnet101").normalisation == CAFFE
    assert net_info("torchvision:fcn_resnet50").normalisation == IMAGENET
    assert net_info("smp:unet/resnet34").normalisation == IMAGENET
    assert net_info("smp:unet/tu-resnet18").normalisation == IMAGENET
    half = Normalisation("rgb", (127.5,) * 3, (127.5,) * 3)
    assert net_info("smp:deeplabv3plus/tu-tf_efficientnet_lite0").normalisation == half


def test_multiples():
    assert net_info("deeplabv2_resnet101").multiple == 1
    assert net_info("smp:unet/resnet18").multiple == 32
    assert net_info("smp:deeplabv3plus/tu-tf_efficientnet_lite0").multiple == 16


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("deeplabv2_resnet102", "did you mean deeplabv2_resnet101"),
        ("torchvision:fcn_resnet51", "torchvision:fcn_resnet50"),
        ("smp:unet", "smp:<architecture>/<encoder>"),
        ("smp:unett/resnet18", "did you mean unet"),
        ("smp:unet/resnet19", "did you mean"),
        ("smp:unet/tu-resnet_18", "did you mean tu-resnet"),
        ("", "the choices are"),
        ("my.module:make", "runtime.trust"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, says):
    for ask in (lambda: build_net(name, 3), lambda: net_info(name)):
        with pytest.raises(InputError) as caught:
            ask()
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_classes_is_refused():
    with pytest.raises(InputError, match="0 classes"):
        build_net("deeplabv2_resnet18", 0)


def test_names_are_listed():
    assert {"deeplabv2_resnet101", "deeplabv2_resnet101_aspp4", "smp:<architecture>/<encoder>"} <= set(net_names())


def test_missing_zoo_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "segmentation_models_pytorch", None)
    with pytest.raises(InputError, match=r"pip install 'crots-studio\[zoo\]'"):
        build_net("smp:unet/resnet18", 2)


FACTORY = """
from torch import nn
def make(classes):
    return nn.Conv2d(3, classes, 1)
make.multiple = 4
def wrong(classes):
    return [classes]
def broken(classes):
    raise ZeroDivisionError("by zero")
number = 3
"""


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    (tmp_path / "crots_user_net.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)


def test_the_current_folder_is_not_searched(tmp_path, monkeypatch):
    (tmp_path / "crots_lying_here.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    with pytest.raises(InputError, match="the current folder counts only where PYTHONPATH names it"):
        build_net("crots_lying_here:make", 7, trust=True)
    assert sys.path == before


HUB_NAMES = (
    "tu-hf-hub:a/b", "tu-hf_hub:a/b", "tu-HF-HUB:a/b", "tu-local-dir:/etc", "hf-hub:a/b", "tu-a/b", "tu-a@b", "tu- a",
    "tu-https://example.org/m", "tu-resnet18:x", "tu-file:///etc", "tu-../x", "tu-resnet18#x", "timm-hf-hub:a/b",
)  # fmt: skip


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("encoder", HUB_NAMES)
def test_an_address_is_refused_before_any_library_sees_it(monkeypatch, encoder, trust):
    import segmentation_models_pytorch as smp
    import timm

    for module in (smp, timm):
        monkeypatch.setattr(module, "create_model", lambda *_, **__: pytest.fail("it was passed on"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("the network was asked"))
    for ask in (build_net, lambda name, classes, **more: net_info(name, **more)):
        with pytest.raises(InputError, match="nothing is downloaded or read for a name") as caught:
            ask(f"smp:unet/{encoder}", 2, trust=trust)
        assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_no_encoder_name_reaches_a_hub(encoder):
    """Whatever is written there: a name that passes has no scheme, no path and no host."""
    try:
        passed = smp_nets.encoder_of(f"smp:unet/{encoder}")
    except InputError:
        return
    assert not set(passed) & set(":/\\@?#% \n")


def test_user_factory(user_module):
    net = build_net("crots_user_net:make", 7, trust=True)
    assert isinstance(net, nn.Conv2d) and net.out_channels == 7
    info = net_info("crots_user_net:make", trust=True)
    assert (info.family, info.multiple, info.normalisation) == ("user", 4, IMAGENET)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crots_user_net:missing", "cannot be imported"),
        ("crots_no_such_module:make", "cannot be imported"),
        ("crots_user_net:number", "not a function"),
        ("crots_user_net:wrong", "gave a list"),
        ("crots_user_net:broken", "by zero"),
    ],
)
def test_user_factory_faults(user_module, name, says):
    with pytest.raises(InputError, match=says):
        build_net(name, 2, trust=True)
