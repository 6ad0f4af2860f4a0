"""Facts about a network that the rest of the package needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from crots.card import IMAGENET, Normalisation
from crots.config import Size


@dataclass(frozen=True)
class NetInfo:
    """Requirements of a network on its input.

    Attributes:
        name: registry name.
        family: the first word of the name (``deeplabv2``, ``torchvision``, ``compact``); ``user`` of a factory.
        normalisation: what its usual pretrained weights expect; a model may override it.
        multiple: both sides of its input must be multiples of this; 1 takes any size.
        fixed: the only size of images that it takes; None for any.
        align_corners: how its logits are up-sampled to the input's size.
        encoder: what the names of the encoder's parameters begin with; the others are the head's, which may learn at
            a higher rate. Empty where nothing is known.
    """

    name: str
    family: str
    normalisation: Normalisation = IMAGENET
    multiple: int = 1
    fixed: Size | None = None
    align_corners: bool = False
    encoder: tuple[str, ...] = ()

    def nearest_size(self, size: Size) -> Size:
        """Returns the size closest to another one that the network takes: itself, where it does."""
        if self.fixed is not None:
            return self.fixed
        return Size(*(max(self.multiple, round(side / self.multiple) * self.multiple) for side in size))


@dataclass(frozen=True)
class Family:
    """One kind of networks; the registry holds one of these for each file beside it.

    Attributes:
        names: names to show in lists; patterns in angle brackets where there are too many.
        build: ``(name, classes) -> network`` with random weights, downloading nothing.
        info: ``name -> NetInfo``.
    """

    names: tuple[str, ...]
    build: Callable[[str, int], nn.Module]
    info: Callable[[str], NetInfo]
