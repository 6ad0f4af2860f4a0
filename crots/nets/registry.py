"""The table of networks: a name gives a network with random weights, or the facts about it.

A network is any ``nn.Module`` that maps normalised images (N, 3, H, W) to logits (N, classes, h, w) of any stride.
"""

from __future__ import annotations

import torch
from torch import nn

from crots.errors import InputError
from crots.nets import compact, deeplabv2, hf_nets, smp_nets, torchvision_nets, user
from crots.nets.info import Family, NetInfo
from crots.nets.names import unknown_net
from crots.trust import is_factory

# By the part of a name up to its colon, or by the whole name.
FAMILIES: dict[str, Family] = {
    **dict.fromkeys(deeplabv2.FAMILY.names, deeplabv2.FAMILY),
    compact.NAME: compact.FAMILY,
    "torchvision:": torchvision_nets.FAMILY,
    "smp:": smp_nets.FAMILY,
    "hf:": hf_nets.FAMILY,
}


def net_names() -> tuple[str, ...]:
    """Returns the names `build_net` takes, patterns (``smp:<architecture>/<encoder>``) among them."""
    return (*(name for family in dict.fromkeys(FAMILIES.values()) for name in family.names), user.PATTERN)


def build_net(name: str, classes: int, *, trust: bool = False, seed: int = 0) -> nn.Module:
    """Builds a network with random weights; nothing is downloaded.

    Args:
        name: one of `net_names`, with patterns filled in.
        classes: channels of the logits.
        trust: allow ``package.module:factory``, which runs the user's code.
        seed: of the random weights; the global generator is left as it was.

    Raises:
        InputError: the name is unknown, a package is missing, or a factory is not trusted.
    """
    if classes < 1:
        raise InputError(f"found {classes} classes for the network, expected at least 1")
    family = _family(name, trust=trust)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return family.build(name, classes)


def net_bytes(name: str, classes: int) -> int:
    """Returns how much memory the weights of a network take, without making them; 0 where that is unknown.

    Raises:
        InputError: as `build_net`.
    """
    try:
        with torch.device("meta"):
            net = build_net(name, classes)
    except InputError:
        raise
    except Exception:  # some networks compute with their weights while they are built
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in (*net.parameters(), *net.buffers()))


def net_info(name: str, *, trust: bool = False) -> NetInfo:
    """Returns what is known of a network.

    Raises:
        InputError: as `build_net`.
    """
    return _family(name, trust=trust).info(name)


def _family(name: str, *, trust: bool) -> Family:
    head, colon, _ = name.partition(":")
    if head + colon in FAMILIES:
        return FAMILIES[head + colon]
    if not is_factory(name):
        raise unknown_net(name, net_names())
    if not trust:
        raise InputError(
            f"net {name!r} would run code of the Python module {head!r}; if you trust it, allow it by "
            f"`runtime.trust`, "
            f"or choose one of {', '.join(net_names()[:-1])}",
            field="net",
        )
    return user.FAMILY
