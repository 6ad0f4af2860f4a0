"""The names of networks, checked without torch, so that a project with a name of none is refused when it is made."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from crots.config import unknown_name
from crots.errors import InputError
from crots.folders import CONFIG, HEAD, MODEL_CLASSES, MODEL_TYPES, is_model_folder
from crots.trust import is_factory

COMPACT = "compact"
DEEPLABV2 = tuple(
    f"deeplabv2_{resnet}{suffix}" for resnet in ("resnet101", "resnet50", "resnet18") for suffix in ("", "_aspp4")
)
TORCHVISION = (
    "torchvision:deeplabv3_resnet50",
    "torchvision:deeplabv3_resnet101",
    "torchvision:deeplabv3_mobilenet_v3_large",
    "torchvision:fcn_resnet50",
    "torchvision:fcn_resnet101",
    "torchvision:lraspp_mobilenet_v3_large",
)
SMP = "smp:"
SMP_PATTERN = "smp:<architecture>/<encoder>"
HF_PATTERN = "hf:<folder>"
FACTORY_PATTERN = "<package.module>:<factory>"
_ARCHITECTURES = sorted(name.lower() for name in MODEL_CLASSES)


def check_net(name: str, field: str = "net") -> None:
    """Refuses a name that no network has, as far as can be told without torch.

    Encoders of segmentation-models-pytorch are only known to that package, which takes torch; a run checks them.

    Args:
        name: of the network.
        field: the option that it is from.

    Raises:
        InputError: there is none, or its package is not installed; the nearest names are given.
    """
    if name.startswith(HEAD):
        if not is_model_folder(Path(name.removeprefix(HEAD))):
            raise InputError(f"{field}: {name} is no folder with a {CONFIG}; check the path", field=field)
    elif name.startswith(SMP):
        _check_smp(name, field)
    elif not is_factory(name) and name not in (COMPACT, *DEEPLABV2, *TORCHVISION, *_added()):
        patterns = (SMP_PATTERN, HF_PATTERN, FACTORY_PATTERN)
        raise unknown_net(name, [*DEEPLABV2, COMPACT, *TORCHVISION, *patterns], field)


def sums_last_layers(name: str) -> bool:
    """Whether the scores of a network are the sum of several last layers, so that classes cannot be joined in them."""
    return name in DEEPLABV2 or "lraspp" in name


def unknown_net(name: str, known: Sequence[str], field: str = "net") -> InputError:
    """Returns the error for a name that no network has, with what it is called here.

    Args:
        name: as it was given, often as its own package calls it: ``deeplabv3_resnet50``, ``Unet``.
        known: names of networks, and patterns.
        field: the option that it is from.
    """
    words = re.split(r"[/_\-. ]", name.lower())
    same = [net for net in known if net.rpartition(":")[2] == name.lower()]
    if not same:
        same += [f"{SMP}{words[0]}/<encoder>"] if words[0] in _ARCHITECTURES else []
        same += [HF_PATTERN] if words[0] in MODEL_TYPES else []
    if not same:
        return unknown_name(field, name, list(known), what="network")
    return InputError(f"{field}: unknown network {name[:80]!r}; did you mean {' or '.join(same)}?", field=field)


def _added() -> Iterable[str]:
    """The names in the registry, which a program that uses CROTS adds its own networks to, once it is loaded."""
    registry = sys.modules.get("crots.nets.registry")
    return getattr(registry, "FAMILIES", ())


def _check_smp(name: str, field: str) -> None:
    architecture, slash, encoder = name.removeprefix(SMP).partition("/")
    if not (architecture and slash and encoder):
        raise InputError(
            f"{field}: {name!r} names no architecture and encoder; expected {SMP_PATTERN}, such as "
            "smp:deeplabv3plus/tu-tf_efficientnet_lite0",
            field=field,
        )
    if architecture.lower() not in _ARCHITECTURES:
        raise unknown_name(field, architecture, _ARCHITECTURES, what="architecture of segmentation-models-pytorch")
    if importlib.util.find_spec("segmentation_models_pytorch") is None:
        raise InputError(
            f"{field}: {name} needs segmentation-models-pytorch and timm, which are not installed; install them with: "
            "pip install 'crots-studio[zoo]'",
            field=field,
        )
