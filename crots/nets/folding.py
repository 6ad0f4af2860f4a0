"""Batch norm folded into the convolution before it, for networks that only predict.

In reduced precision it saves a quarter of a forward pass; in fp32 the convolutions of a large network dominate, so it
saves nothing. A teacher's weights change with every step, so folding them would cost as much as it saves.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Greatest difference of the logits, as a share of their greatest, that rounding alone explains.
_TOLERANCE = 1e-3


@torch.no_grad()
def folded(net: nn.Module, images: Tensor) -> tuple[nn.Module, int]:
    """Returns a copy of a network in which batch norm is part of the convolutions, and how many layers that were.

    Which batch norm follows which convolution is seen in a pass over ``images``. The copy's logits are compared with
    the network's; where they differ by more than rounding, the copy is left as the network was, with 0 layers folded.

    Args:
        net: in eval mode, as every network of these stages that only predicts.
        images: (N, 3, H, W) normalised, a small size will do.
    """
    twin = copy.deepcopy(net).eval()
    pairs = _pairs(twin, images)
    expected = twin(images)
    for convolution, norm in pairs:
        _replace(twin, convolution, norm)
    found = twin(images)
    if not torch.allclose(found, expected, rtol=0, atol=_TOLERANCE * float(expected.abs().max())):
        return copy.deepcopy(net).eval(), 0
    return twin, len(pairs)


def _pairs(net: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the batch norms that take their outputs, each called once."""
    # Outputs are kept, so that no two have one identity.
    outputs: dict[int, tuple[str, Tensor]] = {}
    pairs: list[tuple[str, str]] = []
    calls: dict[str, int] = {}

    def after_convolution(name: str, output: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        outputs[id(output)] = (name, output)

    def before_norm(name: str, x: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        if id(x) in outputs:
            pairs.append((outputs[id(x)][0], name))

    hooks = []
    for name, layer in net.named_modules():
        if type(layer) is nn.Conv2d:
            hooks.append(layer.register_forward_hook(lambda _, __, y, name=name: after_convolution(name, y)))
        elif type(layer) is nn.BatchNorm2d:
            hooks.append(layer.register_forward_pre_hook(lambda _, x, name=name: before_norm(name, x[0])))
    net(images)
    for hook in hooks:
        hook.remove()
    return [pair for pair in pairs if all(calls[name] == 1 for name in pair)]


def _replace(net: nn.Module, convolution: str, norm: str) -> None:
    before, after = net.get_submodule(convolution), net.get_submodule(norm)
    fused = fuse_conv_bn_eval(cast(nn.Conv2d, before), cast(nn.BatchNorm2d, after))
    net.set_submodule(convolution, fused)
    net.set_submodule(norm, nn.Identity())
