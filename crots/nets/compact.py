"""A network small enough to train from scratch on two CPU cores, for the demonstration and quick experiments."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from crots.nets.info import Family, NetInfo
from crots.nets.names import COMPACT

NAME = COMPACT
# Channels of the encoder at 1/2, 1/4, 1/8 and 1/16 of the input, and of the decoder.
_WIDTHS = (24, 32, 64, 96)
_STEM = 16
_DECODER = 48


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, as in a basic ResNet block."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=stride, dilation=dilation)
        self.second = _convolution(outputs, outputs, dilation=dilation)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, H / stride, W / stride)."""
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Compact(nn.Module):
    """Residual encoder with a feature-pyramid decoder; logits at half of the input's resolution, for thin objects."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        half, quarter, eighth, deep = _WIDTHS
        # A second convolution at half resolution finds poles and spokes that a single one misses.
        self.stem = nn.Sequential(_convolution(3, _STEM, stride=2), nn.ReLU(), _convolution(_STEM, half))
        self.quarter = nn.Sequential(Block(half, quarter, stride=2), Block(quarter, quarter))
        self.eighth = nn.Sequential(Block(quarter, eighth, stride=2), Block(eighth, eighth))
        self.deep = nn.Sequential(Block(eighth, deep, stride=2), Block(deep, deep, dilation=2))
        self.scene = nn.Conv2d(deep, _DECODER, 1)
        self.from_deep = nn.Conv2d(deep, _DECODER, 1)
        self.from_eighth = nn.Conv2d(eighth, _DECODER, 1)
        self.from_quarter = nn.Conv2d(quarter, _DECODER, 1)
        self.from_half = nn.Conv2d(half, _DECODER // 2, 1)
        self.fuse = _convolution(_DECODER, _DECODER)
        self.narrow = nn.Conv2d(_DECODER, _DECODER // 2, 1)
        self.refine = _convolution(_DECODER // 2, _DECODER // 2)
        self.classify = nn.Conv2d(_DECODER // 2, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) normalised images to logits (N, classes, H / 2, W / 2)."""
        half = F.relu(self.stem(images))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        deep = self.deep(eighth)
        x = self.from_deep(deep) + self.scene(deep.mean((2, 3), keepdim=True))
        x = F.relu(_resized(x, eighth) + self.from_eighth(eighth))
        x = F.relu(self.fuse(_resized(x, quarter) + self.from_quarter(quarter)))
        x = _resized(self.narrow(x), half) + self.from_half(half)
        return cast(Tensor, self.classify(F.relu(self.refine(x))))


def _convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


_ENCODER = ("stem.", "quarter.", "eighth.", "deep.")
FAMILY = Family(
    names=(NAME,),
    build=lambda _name, classes: Compact(classes),
    info=lambda name: NetInfo(name, "compact", encoder=_ENCODER),
)
