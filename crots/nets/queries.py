"""Query models (MaskFormer and its kin): masks with a class each, joined to probabilities of classes at pixels.

The score of a class at a pixel is the sum over all queries of mask probability (sigmoid) times class probability
(softmax over the classes and "no object"), as each of these models is evaluated in its own paper. Scores are not
probabilities: at a pixel covered by several queries they sum to more than 1, at an uncovered one to nearly 0. So scores
that sum to more than 1 are divided by their sum, and what is missing to 1 is spread evenly over the classes. The
likeliest class stays that of the greatest score, and an uncovered pixel has a low confidence, where plain division by
the sum would give a high confidence to any class with a tiny score.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

# Masks at full size take a hundred times the memory of an image, so only a few are made at once.
_AT_ONCE = 16


def scores(classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Sums mask times class probability over all queries to scores of classes (N, classes, height, width).

    Args:
        classes: (N, queries, classes + 1) logits, "no object" last.
        masks: (N, queries, h, w) logits.
        size: (height, width) of the result, to which masks are up-sampled before they are joined.
    """
    shares = classes.float().softmax(-1)[..., :-1]
    claimed = shares.new_zeros(len(shares), shares.shape[-1], *size)
    for share, mask in zip(torch.split(shares, _AT_ONCE, 1), torch.split(masks.float(), _AT_ONCE, 1), strict=True):
        mask = interpolate(mask, size, mode="bilinear", align_corners=False)
        claimed = claimed + torch.einsum("nqc,nqhw->nchw", share, mask.sigmoid())
    return claimed


def log_probabilities(classes: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns the logarithms (N, classes, height, width) of probabilities that sum to 1; see `scores`."""
    # Sums of a hundred small numbers need more than half precision.
    with torch.autocast(masks.device.type, enabled=False):
        claimed = scores(classes, masks, size)
        total = claimed.sum(1, keepdim=True)
        unclaimed = (1 - total).clamp_min(0) / claimed.shape[1]
        probabilities = claimed / total.clamp_min(1) + unclaimed
        return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()
