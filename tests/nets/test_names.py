"""Names of networks and units of normalisation are checked without torch, and as the registry has them."""

import dataclasses
import importlib.util
import subprocess
import sys

import pytest

from crots.errors import InputError
from crots.nets import names, registry
from crots.nets.catalogue import installed_nets
from crots.nets.names import check_net
from crots.nets.registry import net_names
from crots.nets.units import check_units
from crots.options import SourceOptions


def test_the_names_are_those_of_the_registry():
    plain = (*names.DEEPLABV2, names.COMPACT, *names.TORCHVISION)
    patterns = (names.SMP_PATTERN, names.HF_PATTERN, names.FACTORY_PATTERN)
    assert net_names() == (*plain, *patterns)


def test_networks_that_a_program_adds_pass(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, "mine", registry.FAMILIES["compact"])
    check_net("mine")


def test_every_installed_network_passes():
    for name in installed_nets():
        check_net(name)
    check_net("package.module:factory")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("deeplabv2_resnet100", "did you mean deeplabv2_resnet101"),
        ("torchvision:deeplabv3_resnet", "torchvision:deeplabv3_resnet50"),
        ("deeplabv3_resnet50", "did you mean torchvision:deeplabv3_resnet50"),
        ("Unet", "did you mean smp:unet/<encoder>"),
        ("segformer-b0", "did you mean smp:segformer/<encoder> or hf:<folder>"),
        ("smp:deeplabv3plas/resnet18", "did you mean deeplabv3plus"),
        ("smp:unet", "names no architecture and encoder"),
        ("hf:nowhere", "no folder with a config.json"),
        ("zzz", "the choices are deeplabv2_resnet101"),
    ],
)
def test_others_are_refused_with_the_nearest(name, hint):
    with pytest.raises(InputError, match=hint) as caught:
        check_net(name, "student.net")
    assert caught.value.field == "student.net"


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("segm") else found(name))
    with pytest.raises(InputError, match=r"crots-studio\[zoo\]"):
        check_net("smp:unet/resnet18")


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("mean", "0.485,0.456,0.406", r"multiply by 255: 123\.675,116\.28,103\.53"),
        ("scale", "0.229,0.224,0.225", r"multiply by 255"),
        ("scale", "0.0171", r"1 divided by each: 58\.4795"),
        ("mean", "300,2,3", "numbers from 0 to 255"),
        ("mean", "a", "one number or three"),
    ],
)
def test_the_other_units_are_given(option, value, hint):
    with pytest.raises(InputError, match=hint) as caught:
        check_units(dataclasses.replace(SourceOptions(), **{option: value}))
    assert caught.value.field == f"source.{option}"


def test_neither_needs_torch():
    code = "import crots.nets.names, crots.nets.units, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0
