"""Cross-entropy weighted by the teacher's confidence, and padding that losses ignore."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

Weighting = Literal["batch", "image", "pixel"]


def confidence_weight(confidence: Tensor, threshold: float | Tensor, weighting: Weighting) -> Tensor:
    """Turns confidences into the weight of `weighted_cross_entropy`.

    Args:
        confidence: (N, H, W).
        threshold: confidence from which a pixel counts as confident; a tensor of the same shape has each pixel's own.
        weighting: ``batch`` gives the share of confident pixels in the whole batch (fault F3), ``image`` the share in
            each image, ``pixel`` one or zero for each pixel.

    Returns:
        () or (N,) or (N, H, W) float32.
    """
    counts = (confidence >= threshold).float()
    if weighting == "batch":
        return counts.mean()
    if weighting == "image":
        return counts.mean(dim=(1, 2))
    return counts


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None, ignore: int, by_class: Tensor | None = None
) -> Tensor:
    """Cross-entropy of (N, K, H, W) logits against (N, H, W) labels.

    With L the cross-entropy of a pixel and all means over pixels that are not ignored:

    * ``weights`` () or None: ``w * mean(L)`` over the batch,
    * ``weights`` (N,): the mean over images of ``w_i * mean(L_i)``,
    * ``weights`` (N, H, W): ``mean(w * L)`` over the batch; pixels of weight 0 count in the mean, so that a batch
      with few confident pixels has a small loss, as with the other two.

    Args:
        logits: (N, K, H, W), any floating type; the loss is computed in float32.
        labels: (N, H, W) integers, 0..K-1 or ``ignore``.
        weights: see above.
        ignore: label of pixels without a loss.
        by_class: (K,) factors of L by the pixel's label; None is 1 for all.

    Returns:
        () float32; 0, with zero gradients, if every label is ignored.
    """
    losses = F.cross_entropy(logits.float(), labels.long(), ignore_index=ignore, reduction="none")
    labelled = labels != ignore
    if by_class is not None:
        losses = losses * by_class[labels.masked_fill(~labelled, 0)]
    if weights is None or weights.dim() == 0:
        mean = losses.sum() / labelled.sum().clamp(min=1)
        return mean if weights is None else weights * mean
    if weights.dim() == 1:
        means = losses.sum(dim=(1, 2)) / labelled.sum(dim=(1, 2)).clamp(min=1)
        return (weights * means).mean()
    return (weights * losses).sum() / labelled.sum().clamp(min=1)


def pad_to_multiple(images: Tensor, labels: Tensor | None, multiple: int, ignore: int) -> tuple[Tensor, Tensor | None]:
    """Extends images to the right and below so that both sides are multiples of ``multiple``.

    Args:
        images: (N, C, H, W), any type; border pixels are repeated, since black bars disturb a network more.
        labels: (N, H, W) or None; padded with ``ignore``.
        multiple: of the network.
        ignore: label of pixels without a loss.

    Returns:
        Images and labels; the same tensors if nothing had to be added.
    """
    height, width = images.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if not below and not right:
        return images, labels
    # By indexing, since torch.nn.functional.pad cannot replicate the borders of integer tensors.
    rows = torch.arange(height + below, device=images.device).clamp_(max=height - 1)
    columns = torch.arange(width + right, device=images.device).clamp_(max=width - 1)
    padded = images.index_select(-2, rows).index_select(-1, columns)
    return padded, None if labels is None else F.pad(labels, (0, right, 0, below), value=ignore)
