"""ImageNet weights of an encoder by name: fetched by timm, torchvision or smp into their own cache.

The only place that accesses the internet, and only if ``imagenet`` was given as the student's weights.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from torch import Tensor

from crots.errors import InputError
from crots.interpreter import OURS
from crots.nets import hf_nets, smp_nets, torchvision_nets
from crots.nets.model import Model
from crots.nets.weights import LoadReport, fill

_OF_TORCHVISION = ("torchvision:", "deeplabv2_resnet")


def load_imagenet(model: Model) -> LoadReport:
    """Fills the encoder of a network.

    Raises:
        InputError: there are no such weights, or they cannot be fetched.
    """
    net = model.card.net
    name = weights_name(net)
    try:
        with _online():
            tensors = _fetch(net)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # of networks, caches and files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"the ImageNet weights {name} cannot be downloaded ({reason[:200]}); go online once, or copy their file "
            "(.safetensors or .pth) here and name it as `student.weights`",
            field="student.weights",
        ) from error
    return fill(model, tensors, name=f"ImageNet weights {name}")


def weights_name(net: str) -> str:
    """Returns what a library calls the ImageNet weights of a network's encoder; nothing is fetched.

    Raises:
        InputError: there are none.
    """
    if net.startswith(_OF_TORCHVISION):
        return f"{torchvision_nets.backbone(net)} of torchvision"
    encoder = smp_nets.encoder_of(net) if net.startswith("smp:") else hf_nets.encoder_of(net)
    if not encoder:
        raise InputError(
            f"the network {net} has no ImageNet weights by name; give a weights file, or 'random' to train it from "
            "scratch",
            field="student.weights",
        )
    return smp_nets.pretrained_name(encoder)


def _fetch(net: str) -> dict[str, Tensor]:
    if net.startswith(_OF_TORCHVISION):
        return torchvision_nets.pretrained(net)
    made = smp_nets.pretrained(net) if net.startswith("smp:") else hf_nets.pretrained(net)
    return {key: tensor for key, tensor in made.state_dict().items() if key.startswith("encoder.")}


@contextlib.contextmanager
def _online() -> Iterator[None]:
    """Lets the hub's library go online if only CROTS had forbidden it."""
    if not os.environ.get(OURS):
        yield
        return
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
