"""Adaptation that touches nothing but batch norm: re-estimated statistics, and Tent's entropy minimisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from crots.errors import InputError


def batch_norms(net: nn.Module) -> list[_BatchNorm]:
    """Returns the batch-norm layers of a network.

    Raises:
        InputError: it has none.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]
    if not layers:
        raise InputError("the student has no batch norm, which this method is about; leave the method out")
    return layers


def forget_statistics(net: nn.Module) -> None:
    """Makes the running statistics the plain mean over the batches that follow, in train mode.

    Raises:
        InputError: the network has no batch norm.
    """
    for layer in batch_norms(net):
        layer.reset_running_stats()
        # None is a cumulative average: every batch counts the same, whatever their number.
        layer.momentum = None


def train_affine_only(net: nn.Module) -> None:
    """Lets gradients reach the scale and shift of batch norm alone (Tent: Wang et al., ICLR 2021).

    Raises:
        InputError: the network has no batch norm with scale and shift.
    """
    net.requires_grad_(False)
    affine = [parameter for layer in batch_norms(net) for parameter in (layer.weight, layer.bias)]
    if not any(parameter is not None for parameter in affine):
        raise InputError("the student's batch norm has no scale and shift to train; leave the method out")
    for parameter in affine:
        if parameter is not None:
            parameter.requires_grad_(True)


def mean_entropy(logits: Tensor) -> Tensor:
    """Returns the mean entropy a pixel of (N, K, H, W) logits, in nats, () float32 with gradients."""
    log_probabilities = torch.log_softmax(logits.float(), dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()
