"""A network together with its normalisation, classes and size."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import interpolate

from crots.card import ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.nets.info import NetInfo
from crots.nets.reasons import reason_of
from crots.nets.registry import build_net, net_info

if TYPE_CHECKING:
    from crots.taxonomy import ClassSet

Merge = Literal["mean", "sum"]


class Normalise(nn.Module):
    """Normalises RGB in 0..255 for a network, on the device of the images.

    Its buffers belong to the card and not to the weights, so they are in no state dict.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.reverse = normalisation.channels == "bgr"
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(normalisation.scale).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 3, H, W) uint8 or float RGB in 0..255 to float32 in the network's channel order."""
        x = images.to(torch.float32)
        return ((x.flip(1) if self.reverse else x) - self.mean) / self.scale


class Model(nn.Module):
    """A network that takes RGB images and carries its own description.

    Attributes:
        net: the bare network; ``model.net.state_dict()`` has the key names of its family.
        card: the description for its file.
        info: the registry's facts about the network.
    """

    def __init__(self, net: nn.Module, card: ModelCard, info: NetInfo) -> None:
        super().__init__()
        self.net = net
        self.card = card
        self.info = info
        self.normalise = Normalise(card.normalisation)

    @property
    def classes(self) -> ClassSet:
        """The classes of the logits."""
        return self.card.class_set

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normalise.mean.device

    def set_normalisation(self, normalisation: Normalisation) -> None:
        """Replaces the normalisation, where weights need another one than the network's usual."""
        self.card = dataclasses.replace(self.card, normalisation=normalisation)
        self.normalise = Normalise(normalisation).to(self.device)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 3, H, W) uint8 or float RGB in 0..255 to logits (N, C, h, w) at the network's own resolution.

        Raises:
            InputError: the network cannot take this size, or is a user's own and outputs no logits.
        """
        self.check_size(images.shape[-1], images.shape[-2])
        return self.bare(images)

    def bare(self, images: Tensor) -> Tensor:
        """`forward` without the check of the size, which would end up in an exported graph."""
        logits = self.net(self.normalise(images))
        if not isinstance(logits, Tensor) or logits.ndim != 4:
            what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(f"net {self.card.net} gave {what}; expected one tensor of logits (N, classes, h, w)")
        return logits

    def logits(self, images: Tensor, size: Size | tuple[int, int] | None = None) -> Tensor:
        """Returns float32 logits (N, C, H, W) up-sampled bilinearly.

        Args:
            images: as for `forward`.
            size: (height, width), or a `Size` by its names; None is the images' own.
        """
        return self.upsample(self(images), _height_width(size, images))

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Resizes logits to (height, width) as this network's family does, in float32."""
        logits = logits.float()
        if tuple(logits.shape[-2:]) == tuple(size):
            return logits
        return interpolate(logits, size, mode="bilinear", align_corners=self.info.align_corners)

    def flip_logits(self, images: Tensor, merge: Merge = "mean", size: Size | tuple[int, int] | None = None) -> Tensor:
        """Returns logits of the images joined with those of their mirror images, mirrored back.

        Args:
            images: as for `forward`.
            merge: ``sum`` as published; ``mean`` keeps the scale of the logits, and so confidence and entropy.
            size: as for `logits`.
        """
        # Mirroring commutes with up-sampling, so that is done once, on the result.
        both = self(images).float() + self(images.flip(3)).float().flip(3)
        return self.upsample(both if merge == "sum" else both / 2, _height_width(size, images))

    def check_size(self, width: int, height: int) -> None:
        """Raises an error where the network cannot take images of this size.

        Raises:
            InputError: a side is no multiple of ``info.multiple``; the message names the nearest size.
        """
        near = self.info.nearest_size(Size(width, height))
        if near == (width, height):
            return
        if self.info.fixed is not None:
            raise InputError(
                f"net {self.card.net} takes images of {self.info.fixed} only, found {width}x{height}; set the working "
                f"size to {self.info.fixed} (`data.size`), or cut the images into tiles of that size (`data.tile`)",
                field="data.size",
            )
        raise InputError(
            f"net {self.card.net} takes sides that are multiples of {self.info.multiple}, found {width}x{height}; "
            f"the nearest size is {near}",
            field="data.size",
        )


def create_model(
    net: str,
    classes: ClassSet,
    size: Size,
    *,
    normalisation: Normalisation | None = None,
    trust: bool = False,
    seed: int = 0,
) -> Model:
    """Builds a model with random weights.

    Args:
        net: registry name.
        classes: the classes of its logits.
        size: working size it is made for.
        normalisation: None takes the network's usual one.
        trust: allow a user's own factory.
        seed: of the random weights.

    Raises:
        InputError: as `build_net`.
    """
    info = net_info(net, trust=trust)
    card = ModelCard(net, classes.to_dict(), normalisation or info.normalisation, Size(*size))
    return Model(build_net(net, len(classes), trust=trust, seed=seed), card, info)


def check_runs(model: Model, size: Size) -> None:
    """Raises an error if the network fails on an image of this size, for example because its pooling is larger.

    Raises:
        InputError: with the network's own message.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, size.height, size.width, device=model.device))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise InputError(
            f"net {model.card.net} cannot take images of {size} ({reason_of(error)}); choose a larger working size, "
            "the one that it names, or another network",
            field="data.size",
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode


def check_batch(model: Model, batch: int, size: Size) -> None:
    """Raises an error where a training step on ``batch`` images would fail, without running one.

    Batch norm cannot train on one value per channel, which the image pooling of DeepLabV3 and its kin give it at batch
    1.

    Raises:
        InputError: batch or size do not suit the network; the message says why and what to do.
    """
    model.check_size(size.width, size.height)
    modes = {module: module.training for module in model.modules()}
    images = torch.empty(batch, 3, size.height, size.width, device="meta")
    tensors = {**dict(model.net.named_parameters()), **dict(model.net.named_buffers())}
    weights = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    try:
        model.net.train()
        _forward_meta(model.net, weights, images)
    except ValueError as error:
        if "Expected more than 1" not in str(error):
            check_runs(model, size)
            return
        raise InputError(
            f"net {model.card.net} cannot train on batches of {batch} at {size}: its batch norm would see a single "
            "value per channel; use a batch of at least 2, or another network",
            field="batch",
        ) from error
    except NotImplementedError:
        # The network cannot be run on the meta device: nothing is checked then.
        return
    except (RuntimeError, AssertionError, IndexError):
        # Either the network depends on the batch, or it cannot take this size: a single image decides.
        check_runs(model, size)
    finally:
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def _forward_meta(net: nn.Module, weights: dict[str, Tensor], images: Tensor) -> None:
    functional_call(net, weights, (images,))


def _height_width(size: Size | tuple[int, int] | None, images: Tensor) -> tuple[int, int]:
    if size is None:
        return images.shape[-2], images.shape[-1]
    if isinstance(size, Size):
        return size.height, size.width
    return cast("tuple[int, int]", tuple(size))
