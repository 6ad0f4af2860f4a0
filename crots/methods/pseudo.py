"""Labels, confidence and entropy from a network's output."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

ConfidenceFrom = Literal["softmax", "logit"]


class ConfidentLabels(NamedTuple):
    """Labels (N, H, W) int64 and their confidence (N, H, W) float32."""

    labels: Tensor
    confidence: Tensor


class Predicted(NamedTuple):
    """Predictions of a batch.

    Attributes:
        labels: (N, H, W) int64.
        confidence: (N, H, W) float32, 0..1.
        entropy: (N,) float32, mean of the pixels in nats, 0 to ln K.
    """

    labels: Tensor
    confidence: Tensor
    entropy: Tensor


class Merged(NamedTuple):
    """Predictions of a source in the target's classes.

    Attributes:
        labels: (N, H, W) int64, ``ignore`` where the ignored classes together are likelier than any target class.
        confidence: (N, H, W) float32, 0 where the label is ``ignore``.
        probabilities: (N, T, H, W) float32; they sum to 1 minus the ignored mass.
    """

    labels: Tensor
    confidence: Tensor
    probabilities: Tensor


def likeliest(logits: Tensor, confidence_from: ConfidenceFrom = "softmax") -> ConfidentLabels:
    """Returns the likeliest class of each pixel and its confidence.

    Args:
        logits: (N, K, H, W).
        confidence_from: ``softmax`` gives the probability, 0..1; ``logit`` the raw logit, unbounded (fault F2).
    """
    logits = logits.float()
    greatest, labels = logits.max(dim=1)
    if confidence_from == "logit":
        return ConfidentLabels(labels, greatest)
    # The greatest probability is 1 / sum(exp(logit - greatest)): cheaper than a softmax and its maximum.
    return ConfidentLabels(labels, (logits - greatest.unsqueeze(1)).exp_().sum(dim=1).reciprocal_())


def predictions(logits: Tensor) -> Predicted:
    """Returns `likeliest` and the mean entropy per pixel of ``softmax(logits)``, from the same exponentials.

    Args:
        logits: (N, K, H, W); for the published ranking the sum of both mirror images' logits.
    """
    logits = logits.float()
    greatest, labels = logits.max(dim=1)
    below = logits - greatest.unsqueeze(1)
    exponentials = below.exp()
    total = exponentials.sum(dim=1)
    entropies = total.log() - exponentials.mul_(below).sum(dim=1) / total
    return Predicted(labels, total.reciprocal_(), entropies.mean(dim=(1, 2)))


def entropy_of_probabilities(probabilities: Tensor) -> Tensor:
    """Returns the mean entropy per pixel, in nats, for each image.

    Args:
        probabilities: (N, K, H, W), 0..1; zeros add nothing.

    Returns:
        (N,) float32.
    """
    terms: Tensor = torch.special.entr(probabilities.float())
    return terms.sum(dim=1).mean(dim=(1, 2))


def merge_classes(probabilities: Tensor, matrix: Tensor, ignore: int) -> Merged:
    """Sums the probabilities of source classes that are one target class.

    Args:
        probabilities: (N, S, H, W), over the source's classes.
        matrix: (S, T + 1), 1 where a source class belongs to a target class; the last column is "ignore".
        ignore: label of pixels where the ignored classes together are the likeliest.
    """
    summed = torch.einsum("nshw,st->nthw", probabilities.float(), matrix.to(probabilities.device).float())
    classes = summed.shape[1] - 1
    confidence, labels = summed.max(dim=1)
    ignored = labels == classes
    return Merged(labels.masked_fill(ignored, ignore), confidence.masked_fill(ignored, 0.0), summed[:, :classes])
