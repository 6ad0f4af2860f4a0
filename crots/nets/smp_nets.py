"""Networks of segmentation-models-pytorch (the extra ``zoo``): ``smp:<architecture>/<encoder>``.

``smp:deeplabv3plus/tu-tf_efficientnet_lite0`` for example; ``tu-`` encoders are timm's.
"""

from __future__ import annotations

import functools
import re
import warnings
from typing import Any

import torch
from torch import nn

from crots.card import IMAGENET, Normalisation
from crots.config import unknown_name
from crots.errors import InputError
from crots.nets.info import Family, NetInfo

PATTERN = "smp:<architecture>/<encoder>"
# Encoders whose ImageNet weights were trained on -1..1; smp keeps that on its hub only.
_HALF_ENCODERS = ("xception", "inceptionv4", "inceptionresnetv2")
# timm also takes addresses (`hf-hub:`, `local-dir:`), from which it would download or read; none has such a name.
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_HALF = Normalisation("rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))


def build(name: str, classes: int) -> nn.Module:
    """Builds an architecture on an encoder, both with random weights.

    Raises:
        InputError: the package is missing, or it knows no such architecture or encoder, or cannot join the two.
    """
    smp = _package()
    architecture, encoder = _parts(name)
    _check_architecture(smp, architecture)
    _check_encoder(encoder)
    try:
        with warnings.catch_warnings():
            # smp renames old `timm-` encoders itself and says so.
            warnings.filterwarnings("ignore", message=".*timm-.* encoders are deprecated", category=DeprecationWarning)
            net: nn.Module = smp.create_model(architecture, encoder, encoder_weights=None, classes=classes)
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise _refusal(smp, name, encoder, error) from error
    return net


@functools.lru_cache(maxsize=64)
def info(name: str) -> NetInfo:
    """Returns the facts; the encoder's stride is found by building the network without memory.

    Raises:
        InputError: as `build`.
    """
    try:
        with torch.device("meta"):
            net = build(name, 1)
    except (InputError, NotImplementedError):
        # Some encoders compute their layout with tensors, which the meta device cannot; an unknown name fails here too.
        net = build(name, 1)
    multiple = int(getattr(getattr(net, "encoder", None), "output_stride", 32))
    return NetInfo(name, "smp", _normalisation(_parts(name)[1]), multiple=multiple, encoder=("encoder.",))


def _normalisation(encoder: str) -> Normalisation:
    if encoder in _HALF_ENCODERS:
        return _HALF
    if not encoder.startswith("tu-"):
        return IMAGENET
    import timm

    config = timm.get_pretrained_cfg(encoder.removeprefix("tu-"), allow_unregistered=True)
    if config is None or config.mean is None or len(config.mean) != 3:
        return IMAGENET
    # Rounded, since 0.485 * 255 is 123.67499... in binary and cards are compared.
    mean, scale = (tuple(round(255 * float(value), 6) for value in row) for row in (config.mean, config.std))
    return Normalisation("rgb", (mean[0], mean[1], mean[2]), (scale[0], scale[1], scale[2]))


def _package() -> Any:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise InputError(
            f"nets named smp:... need segmentation-models-pytorch and timm ({error}); "
            "install them with: pip install 'crots-studio[zoo]'",
            field="net",
        ) from error
    return smp


def _parts(name: str) -> tuple[str, str]:
    architecture, slash, encoder = name.removeprefix("smp:").partition("/")
    if not (architecture and slash and encoder):
        raise InputError(
            f"net {name!r} names no architecture and encoder; expected {PATTERN}, "
            "such as smp:deeplabv3plus/tu-tf_efficientnet_lite0",
            field="net",
        )
    if not (_PLAIN.fullmatch(architecture) and _PLAIN.fullmatch(encoder)):
        raise InputError(
            f"net {name!r} is none of the installed packages' networks, and nothing is fetched or read for a name; "
            f"expected {PATTERN} of letters, digits and _ . -",
            field="net",
        )
    return architecture, encoder


def _check_architecture(smp: Any, architecture: str) -> None:
    known = sorted(getattr(smp, "MODEL_ARCHITECTURES_MAPPING", {}))
    if known and architecture.lower() not in known:
        raise unknown_name("net", architecture, known, what="architecture of segmentation-models-pytorch")


def _check_encoder(encoder: str) -> None:
    if not encoder.startswith("tu-"):
        return
    import timm

    if not timm.is_model(encoder.removeprefix("tu-")):
        near = [f"tu-{model}" for model in timm.list_models()]
        raise unknown_name("net", encoder, near, what="timm encoder")


def _refusal(smp: Any, name: str, encoder: str, error: Exception) -> InputError:
    if not encoder.startswith("tu-") and encoder not in smp.encoders.encoders:
        return unknown_name("net", encoder, list(smp.encoders.get_encoder_names()), what="encoder")
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(f"net {name!r} cannot be built: {reason}; choose another architecture or encoder", field="net")


FAMILY = Family((PATTERN,), build, info)
