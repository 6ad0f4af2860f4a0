"""Adaptation of batch norm only: re-estimated statistics, and Tent's entropy minimisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from crots.errors import InputError


def batch_norms(net: nn.Module) -> list[_BatchNorm]:
    """Returns the batch-norm layers of a network."""
    return [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]


def _needed_batch_norms(net: nn.Module) -> list[_BatchNorm]:
    if layers := batch_norms(net):
        return layers
    raise InputError("the student has no batch norm, which this method needs; leave the method out")


def forget_statistics(net: nn.Module) -> None:
    """Prepares the running statistics to become the plain mean over the following batches, in train mode.

    Raises:
        InputError: the network has no batch norm.
    """
    for layer in _needed_batch_norms(net):
        layer.reset_running_stats()
        # None is a cumulative average: every batch has the same weight.
        layer.momentum = None


def take_statistics(net: nn.Module, batches: Iterable[Tensor], run: Callable[[Tensor], object]) -> None:
    """Replaces the running statistics by those of other images (AdaBN: Li et al., 2016); nothing else changes.

    A network normalises by the means and variances of its training images; in another domain, statistics of that domain
    fit better. This needs target images that show all classes, since a class that never occurs shifts the means.

    Args:
        net: with batch norm; left in eval mode.
        batches: images as ``run`` takes them, two or more at a time.
        run: puts a batch through the network.

    Raises:
        InputError: the network has no batch norm.
    """
    layers = batch_norms(net)
    momenta = [layer.momentum for layer in layers]
    net.eval()
    forget_statistics(net)
    for layer in layers:
        layer.train()
    with torch.no_grad():
        for batch in batches:
            run(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


class Statistics(NamedTuple):
    """Running mean and variance of each batch-norm layer, in the order of `batch_norms`."""

    means: tuple[Tensor, ...]
    variances: tuple[Tensor, ...]


def read_statistics(net: nn.Module) -> Statistics:
    """Returns a copy of the running statistics; empty for a network without batch norm."""
    layers = [layer for layer in batch_norms(net) if layer.running_mean is not None and layer.running_var is not None]
    return Statistics(
        tuple(layer.running_mean.clone() for layer in layers if layer.running_mean is not None),
        tuple(layer.running_var.clone() for layer in layers if layer.running_var is not None),
    )


@torch.no_grad()
def set_statistics(net: nn.Module, own: Statistics, target: Statistics, share: float) -> None:
    """Sets the running statistics to a mean of the network's own and those of the target.

    The target's alone (AdaBN) suit a target that differs in light and colour, and harm a network whose target differs
    only in content; a mean of both is close to the better one in either case (alpha-BN: You et al., 2021).

    Args:
        net: with the layers that the statistics are of.
        own: statistics that the network came with.
        target: of the target's images (`take_statistics`).
        share: of the target's in the mean, 0..1.
    """
    layers = [layer for layer in batch_norms(net) if layer.running_mean is not None]
    for layer, mean, variance, its_mean, its_variance in zip(layers, *own, *target, strict=True):
        assert layer.running_mean is not None and layer.running_var is not None
        layer.running_mean.copy_(torch.lerp(mean, its_mean, share))
        layer.running_var.copy_(torch.lerp(variance, its_variance, share))


def train_affine_only(net: nn.Module) -> None:
    """Enables gradients for the scale and shift of batch norm only (Tent: Wang et al., ICLR 2021).

    Raises:
        InputError: the network has no batch norm with scale and shift.
    """
    net.requires_grad_(False)
    affine = [parameter for layer in _needed_batch_norms(net) for parameter in (layer.weight, layer.bias)]
    if not any(parameter is not None for parameter in affine):
        raise InputError("the student's batch norm has no scale and shift to train; leave the method out")
    for parameter in affine:
        if parameter is not None:
            parameter.requires_grad_(True)


def mean_entropy(logits: Tensor) -> Tensor:
    """Returns the mean entropy per pixel of (N, K, H, W) logits, in nats, () float32 with gradients."""
    log_probabilities = torch.log_softmax(logits.float(), dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()
