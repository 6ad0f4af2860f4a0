"""Every installed network, and its facts without building it: nothing is downloaded or trained."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from crots.errors import InputError
from crots.nets.registry import build_net, net_info, net_names

# Weights, gradients, and the two moments of AdamW, all in single precision.
_TRAINING_COPIES = 4
_BYTES = 4


@dataclass(frozen=True)
class NetFacts:
    """One network.

    Attributes:
        name: of the registry.
        family: ``smp``, ``torchvision`` ...
        parameters: how many; 0 if only building it would show.
        multiple: both sides of its input are multiples of this.
        weights: pretrained files on this computer that belong to it.
    """

    name: str
    family: str
    parameters: int
    multiple: int
    weights: tuple[Path, ...] = ()

    @property
    def training_bytes(self) -> int:
        """Memory that training takes, without the activations, which depend on size and batch."""
        return self.parameters * _BYTES * _TRAINING_COPIES


def installed_nets() -> tuple[str, ...]:
    """Returns the names of all networks that can be built here; for smp, every architecture with every encoder."""
    # Patterns, such as ``smp:<architecture>/<encoder>``, are no names.
    return (*(name for name in net_names() if "<" not in name), *_smp_names())


def _smp_names() -> list[str]:
    if importlib.util.find_spec("segmentation_models_pytorch") is None:
        return []
    import segmentation_models_pytorch as smp

    encoders = sorted(str(name) for name in smp.encoders.get_encoder_names())
    return [f"smp:{net}/{encoder}" for net in sorted(smp.MODEL_ARCHITECTURES_MAPPING) for encoder in encoders]


def net_facts(name: str, classes: int) -> NetFacts:
    """Returns what is known of a network.

    Args:
        name: of the registry; third-party code is not run.
        classes: channels of its logits.

    Raises:
        InputError: there is none of that name, or it cannot be built.
    """
    info = net_info(name)
    try:
        with torch.device("meta"):
            net: nn.Module = build_net(name, classes)
    except (InputError, NotImplementedError, RuntimeError):
        # Some compute with their weights while they are built; what cannot be built fails here too.
        net = build_net(name, classes)
    parameters = sum(tensor.numel() for tensor in net.parameters())
    return NetFacts(name, info.family, parameters, info.multiple, tuple(_weights(name)))


def _weights(name: str) -> list[Path]:
    """Files that were downloaded before for a network of torchvision, or for the encoder of one of smp."""
    if name.startswith("torchvision:"):
        from torchvision.models import get_model_weights

        folder = Path(torch.hub.get_dir()) / "checkpoints"
        files = [folder / weights.url.rpartition("/")[2] for weights in get_model_weights(name.partition(":")[2])]
    elif name.startswith("smp:"):
        files = _of_encoder(name.partition("/")[2])
    else:
        files = []
    return [path for path in dict.fromkeys(files) if path.is_file()]


def _of_encoder(encoder: str) -> list[Path]:
    """Where the libraries cache an encoder's downloads; only looked up, never fetched."""
    import segmentation_models_pytorch as smp
    from huggingface_hub import try_to_load_from_cache

    known = smp.encoders.encoders.get(encoder, {}).get("pretrained_settings", {})
    found = [
        try_to_load_from_cache(settings["repo_id"], "model.safetensors", revision=settings.get("revision"))
        for settings in known.values()
        if "repo_id" in settings
    ]
    return [Path(path) for path in found if isinstance(path, str)]
