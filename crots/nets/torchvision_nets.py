"""torchvision's segmentation networks, with torchvision's key names."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from crots.config import unknown_name
from crots.nets.info import Family, NetInfo
from crots.nets.names import TORCHVISION

_PREFIX = "torchvision:"
_RESNET = re.compile(r"resnet\d+")
NAMES = TORCHVISION


def _logits(_module: nn.Module, _inputs: tuple[Any, ...], output: dict[str, Tensor]) -> Tensor:
    return output["out"]


def build(name: str, classes: int) -> nn.Module:
    """Builds a network without the auxiliary head; a hook turns its dict of outputs into the logits.

    Raises:
        InputError: the name is unknown.
    """
    _check(name)
    from torchvision.models import get_model

    net: nn.Module = get_model(name.removeprefix(_PREFIX), weights=None, weights_backbone=None, num_classes=classes)
    # A hook and not a wrapper, which would put its own prefix before every key.
    net.register_forward_hook(_logits)
    return net


def backbone(name: str) -> str:
    """Returns the image classifier that a network's encoder is made from, a DeepLabV2's too."""
    found = _RESNET.search(name)
    return found[0] if found else "mobilenet_v3_large"


def pretrained(name: str) -> dict[str, Tensor]:
    """Fetches the ImageNet weights of that classifier, by torchvision's means and into its cache."""
    from torchvision.models import get_model_weights

    tensors: dict[str, Tensor] = get_model_weights(backbone(name)).IMAGENET1K_V1.get_state_dict(progress=False)
    return tensors


def info(name: str) -> NetInfo:
    """Returns the facts: ImageNet normalisation, any size.

    Raises:
        InputError: the name is unknown.
    """
    _check(name)
    return NetInfo(name, "torchvision", encoder=("backbone.",))


def _check(name: str) -> None:
    if name not in NAMES:
        raise unknown_name("net", name, list(NAMES), what="network")


FAMILY = Family(NAMES, build, info)
