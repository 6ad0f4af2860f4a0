"""Networks of segmentation-models-pytorch (the extra ``zoo``): ``smp:<architecture>/<encoder>``.

``smp:deeplabv3plus/tu-tf_efficientnet_lite0`` for example; ``tu-`` encoders are timm's.
"""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from crots.card import IMAGENET, ModelCard, Normalisation
from crots.config import Size, unknown_name
from crots.errors import InputError
from crots.files import is_file
from crots.folders import HEAD, WEIGHTS, write_config
from crots.nets.info import Family, NetInfo
from crots.nets.names import SMP_PATTERN

PATTERN = SMP_PATTERN
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
    with _refusing(smp, name, encoder):
        net: nn.Module = smp.create_model(architecture, encoder, encoder_weights=None, classes=classes)
    return net


def pretrained(name: str) -> nn.Module:
    """Builds a network whose encoder has its ImageNet weights, which smp and timm fetch into their cache."""
    smp = _package()
    architecture, encoder = _parts(name)
    with _quietly():
        net: nn.Module = smp.create_model(architecture, encoder, encoder_weights=_weights(encoder), classes=1)
    return net


def pretrained_folder(config: Mapping[str, Any]) -> nn.Module:
    """As `pretrained`, of the network that a folder describes."""
    with _quietly():
        return _made(config, 1, _weights(str(config["encoder_name"])))


def pretrained_name(encoder: str) -> str:
    """Returns what the hub calls the ImageNet weights of an encoder.

    Raises:
        InputError: there are none.
    """
    smp = _package()
    _check_encoder(encoder)
    if encoder.startswith("tu-"):
        import timm

        found = None
        with contextlib.suppress(RuntimeError):  # no such tag
            found = timm.get_pretrained_cfg(encoder.removeprefix("tu-"), allow_unregistered=True)
        if found is not None and found.has_weights:
            return f"{found.architecture}.{found.tag}" if found.tag else str(found.architecture)
    elif settings := smp.encoders.encoders.get(encoder, {}).get("pretrained_settings", {}).get("imagenet"):
        return str(settings["repo_id"])
    raise InputError(
        f"the encoder {encoder} has no ImageNet weights by name; give a weights file, or 'random' to train it from "
        "scratch",
        field="student.weights",
    )


def _weights(encoder: str) -> bool | str:
    return True if encoder.startswith("tu-") else "imagenet"


def encoder_of(name: str) -> str:
    """Returns the encoder in a network's name."""
    return _parts(name)[1]


def build_folder(config: Mapping[str, Any], classes: int, folder: Path) -> nn.Module:
    """Builds the network that a folder of ``save_pretrained`` describes, with random weights.

    Args:
        config: its configuration, which `crots.folders.read_config` accepted.
        classes: of the result.
        folder: for messages.

    Raises:
        InputError: the package is missing, or the configuration makes no network.
    """
    smp = _package()
    encoder = str(config.get("encoder_name", ""))
    if not _PLAIN.fullmatch(encoder):
        raise InputError(f"{folder}: found the encoder {encoder[:80]!r}, expected the name of one", field="net")
    with _refusing(smp, f"{HEAD}{folder}", encoder):
        return _made(config, classes, None)


def _made(config: Mapping[str, Any], classes: int, weights: bool | str | None) -> nn.Module:
    made = {maker.__name__: maker for maker in _package().MODEL_ARCHITECTURES_MAPPING.values()}[config["_model_class"]]
    values = {key: value for key, value in config.items() if not key.startswith("_")}
    # Options for per-pixel logits as the only output, and no downloads.
    values |= {"encoder_weights": weights, "activation": None, "aux_params": None, "classes": classes}
    net: nn.Module = made(**values)
    return net


def read_folder(folder: Path) -> dict[str, Tensor]:
    """Reads the weights of such a folder, under the names of its network.

    Raises:
        InputError: there are none.
    """
    if not is_file(folder / WEIGHTS):
        raise InputError(f"{folder}: holds no {WEIGHTS}; save the model with save_pretrained, or copy it again")
    # Its second head classifies the whole image.
    tensors: dict[str, Tensor] = load_file(folder / WEIGHTS)
    return {key: tensor for key, tensor in tensors.items() if not key.startswith("classification_head.")}


def write_folder(net: nn.Module, card: ModelCard, folder: Path) -> None:
    """Writes a network as ``save_pretrained`` does, but for the licence that it would give it."""
    config: dict[str, Any] = dict(cast(Any, net).config)
    write_config(folder, card, {**config, "encoder_weights": None, "_model_class": type(net).__name__})
    save_model(net, str(folder / WEIGHTS))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        # smp renames old `timm-` encoders itself and says so.
        warnings.filterwarnings("ignore", message=".*timm-.* encoders are deprecated", category=DeprecationWarning)
        yield


@contextlib.contextmanager
def _refusing(smp: Any, name: str, encoder: str) -> Iterator[None]:
    """Builds without smp's warnings; an error states why it failed."""
    _check_encoder(encoder)
    try:
        with _quietly():
            yield
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
        if torch.get_default_device().type == "meta" and "meta tensor" in str(error):
            # Transformer encoders compute with their weights while they are built.
            raise NotImplementedError(str(error)) from error
        raise _refusal(smp, name, encoder, error) from error


@functools.lru_cache(maxsize=64)
def info(name: str) -> NetInfo:
    """Returns the facts; the encoder's stride is found by building the network without memory.

    Raises:
        InputError: as `build`.
    """
    return info_of(name, lambda: build(name, 1), normalisation(_parts(name)[1]))


def info_of(name: str, build: Callable[[], nn.Module], normalisation: Normalisation) -> NetInfo:
    """Returns the facts of a network of smp, built without memory."""
    try:
        with torch.device("meta"):
            net = build()
    except (InputError, NotImplementedError):
        # Some encoders compute their layout with tensors, which the meta device cannot; an unknown name fails here too.
        net = build()
    multiple = int(getattr(getattr(net, "encoder", None), "output_stride", 32))
    fixed = next(filter(None, map(_only_size, net.modules())), None)
    return NetInfo(name, "smp", normalisation, multiple=multiple, fixed=fixed, encoder=("encoder.",))


def _only_size(part: nn.Module) -> Size | None:
    """The only size of images that a part of a timm encoder takes, as of one that has learnt positions; or None."""
    size = getattr(part, "img_size", None)
    if not getattr(part, "strict_img_size", False) or not isinstance(size, tuple) or len(size) != 2:
        return None
    return Size(int(size[1]), int(size[0]))


def normalisation(encoder: str) -> Normalisation:
    """What the usual ImageNet weights of an encoder expect."""
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
            f"net {name!r} is not a network of the installed packages, and nothing is downloaded or read for a name; "
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
