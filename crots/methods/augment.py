"""Flip, colour jitter and blur of a batch, with draws for each image.

A plan is drawn on the CPU and applied on the device: the flip to images, labels and confidences alike, the rest to the
images. The four colour operations are those of torchvision's ``ColorJitter``, with a factor for each image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

Coins = Literal["image", "batch"]
Channels = Literal["rgb", "bgr"]
Coin = npt.NDArray[np.bool_]
Factor = npt.NDArray[np.float32]

SIGMA_RANGE = (0.15, 1.15)
# Taps further than 7 pixels out are below float32's resolution for the greatest sigma, however large the image.
_MAX_KERNEL = 15
# Rec. 601 luma, with torchvision's digits.
_LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class AugmentPlan:
    """The augmentation of each of N images; every array is (N,).

    Attributes:
        flip: which images are mirrored.
        jitter: which images change colour.
        factors: of each operation in `COLOUR_OPERATIONS`; 1 leaves the image unchanged (hue: 0).
        order: the order of the operations, the same for the whole batch.
        blur: which images are blurred.
        sigma: of the blur, in pixels.
    """

    flip: Coin
    jitter: Coin
    factors: dict[str, Factor]
    order: tuple[str, ...]
    blur: Coin
    sigma: Factor

    def part(self, images: slice) -> AugmentPlan:
        """Returns the plan for some of the images."""
        factors = {name: values[images] for name, values in self.factors.items()}
        flip, jitter, blur = (coin[images] for coin in (self.flip, self.jitter, self.blur))
        return AugmentPlan(flip, jitter, factors, self.order, blur, self.sigma[images])


def plan_augment(
    count: int,
    rng: np.random.Generator,
    *,
    flip: float = 0.0,
    jitter: float = 0.0,
    jitter_strength: float = 0.25,
    blur: float = 0.0,
    coins: Coins = "image",
) -> AugmentPlan:
    """Draws a plan.

    Args:
        count: images in the batch, N.
        rng: source of every draw; the number of draws does not depend on the probabilities.
        flip: probability of mirroring.
        jitter: probability of colour jitter.
        jitter_strength: s of the factors, 1-s..1+s, for hue -s..s; 0 to 0.5.
        blur: probability of Gaussian blur, sigma uniform in 0.15..1.15.
        coins: ``image`` flips, jitters and blurs each image or not; ``batch`` all or none, with one sigma, as published
            (fault F7). The factors of the jitter are each image's own either way.
    """

    def draw(low: float, high: float) -> Factor:
        values = rng.uniform(low, high, 1 if coins == "batch" else count)
        return np.broadcast_to(values, count).astype(np.float32)

    def draw_each(low: float, high: float) -> Factor:
        return rng.uniform(low, high, count).astype(np.float32)

    coin = {name: draw(0.0, 1.0) < chance for name, chance in (("flip", flip), ("jitter", jitter), ("blur", blur))}
    order = tuple(str(name) for name in rng.permutation(list(COLOUR_OPERATIONS)))
    low = max(0.0, 1.0 - jitter_strength)
    factors = {name: draw_each(low, 1.0 + jitter_strength) for name in ("brightness", "contrast", "saturation")}
    factors["hue"] = draw_each(-jitter_strength, jitter_strength)
    return AugmentPlan(coin["flip"], coin["jitter"], factors, order, coin["blur"], draw(*SIGMA_RANGE))


def apply_plan(plan: AugmentPlan, images: Tensor, *, channels: Channels = "rgb") -> Tensor:
    """Applies a plan to images; `apply_flip` applies its flip to labels and confidences.

    Args:
        plan: for this number of images.
        images: (N, 3, H, W) RGB, 0..255, uint8 or floating; stays unchanged.
        channels: see `apply_jitter`.

    Returns:
        (N, 3, H, W) float32 RGB, 0..255.
    """
    return apply_blur(plan, apply_jitter(plan, apply_flip(plan, images), channels=channels))


def apply_flip(plan: AugmentPlan, batch: Tensor) -> Tensor:
    """Mirrors the chosen entries of an (N, ..., W) tensor of any type, which stays unchanged."""
    return _on_chosen(plan.flip, batch, lambda part, _: part.flip(-1))


def apply_jitter(plan: AugmentPlan, images: Tensor, *, channels: Channels = "rgb") -> Tensor:
    """Changes brightness, contrast, saturation and hue of the chosen images.

    Args:
        plan: for this number of images.
        images: (N, 3, H, W) RGB, 0..255, uint8 or floating.
        channels: ``bgr`` treats blue as red and red as blue, as the published code did (fault F8).

    Returns:
        (N, 3, H, W) float32 RGB, 0..255.
    """

    def jitter(part: Tensor, chosen: npt.NDArray[np.intp]) -> Tensor:
        part = part / 255.0
        part = part.flip(1) if channels == "bgr" else part
        for name in plan.order:
            part = COLOUR_OPERATIONS[name](part, _a_factor(plan.factors[name][chosen], part))
        return (part.flip(1) if channels == "bgr" else part) * 255.0

    return _on_chosen(plan.jitter, images.float(), jitter)


def apply_blur(plan: AugmentPlan, images: Tensor) -> Tensor:
    """Blurs the chosen images with a Gaussian kernel of about a tenth of each side.

    Args:
        plan: for this number of images.
        images: (N, C, H, W), uint8 or floating.

    Returns:
        (N, C, H, W) float32.
    """

    def blur(part: Tensor, chosen: npt.NDArray[np.intp]) -> Tensor:
        for dim in (-2, -1):
            part = _blur_along(part, plan.sigma[chosen], dim)
        return part

    return _on_chosen(plan.blur, images.float(), blur)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies (N, 3, H, W) RGB images, 0..1, by a factor (N, 1, 1, 1) and clamps them."""
    return (images * factor).clamp_(0.0, 1.0)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Moves (N, 3, H, W) RGB images, 0..1, away from their own mean grey by a factor (N, 1, 1, 1)."""
    return _blend(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Moves (N, 3, H, W) RGB images, 0..1, away from their grey versions by a factor (N, 1, 1, 1)."""
    return _blend(images, _grey(images), factor)


def adjust_hue(images: Tensor, factor: Tensor) -> Tensor:
    """Turns the hue of (N, 3, H, W) RGB images, 0..1, by a factor (N, 1, 1, 1) of the whole circle, -0.5..0.5."""
    red, green, blue = images.unbind(dim=1)
    # Pairwise, since a reduction over three channels is many times slower on the CPU.
    least, value = torch.minimum(torch.minimum(red, green), blue), torch.maximum(torch.maximum(red, green), blue)
    chroma = value - least
    divisor = chroma.masked_fill(chroma == 0, 1.0)
    # Hue in sixths of the circle: an offset for the greatest channel, then towards the greater of the other two.
    sixths = torch.where(
        value == red,
        (green - blue).div_(divisor),
        torch.where(value == green, (blue - red).div_(divisor).add_(2.0), (red - green).div_(divisor).add_(4.0)),
    )
    sixths = sixths.add_(6.0 * factor.squeeze(1)).remainder_(6.0)
    # Each channel is a trapezium over the circle, between the least and the greatest channel.
    shares = ((sixths - 3.0).abs_() - 1.0, 2.0 - (sixths - 2.0).abs_(), 2.0 - (sixths - 4.0).abs_())
    return torch.stack([torch.addcmul(least, chroma, share.clamp_(0.0, 1.0)) for share in shares], dim=1)


COLOUR_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(dim=1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).unsqueeze(1)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, factor).clamp_(0.0, 1.0)


def _blur_along(images: Tensor, sigma: Factor, dim: int) -> Tensor:
    """Weighted sum of shifted copies: exact under autocast, where a convolution would fall to half precision."""
    side = images.shape[dim]
    radius = min(side // 10 | 1, _MAX_KERNEL) // 2
    if not radius:
        return images
    padding = (0, 0, radius, radius) if dim == -2 else (radius, radius, 0, 0)
    padded = F.pad(images, padding, mode="reflect")
    taps = np.exp(-0.5 * (np.arange(radius + 1) / sigma[:, None]) ** 2)
    taps /= 2 * taps.sum(axis=1, keepdims=True) - taps[:, :1]
    blurred = images * _a_factor(taps[:, 0], images)
    for offset in range(1, radius + 1):
        pair = padded.narrow(dim, radius - offset, side) + padded.narrow(dim, radius + offset, side)
        blurred.addcmul_(pair, _a_factor(taps[:, offset], images))
    return blurred


def _a_factor(values: npt.NDArray[np.floating[Any]], like: Tensor) -> Tensor:
    """One number per image, (N, 1, 1, 1), on the device of the images."""
    return torch.from_numpy(values.astype(np.float32)).to(like.device).view(-1, 1, 1, 1)


def _on_chosen(coin: Coin, batch: Tensor, change: Callable[[Tensor, npt.NDArray[np.intp]], Tensor]) -> Tensor:
    """Changes the chosen entries and leaves the others exactly as they are."""
    if len(coin) != len(batch):
        raise ValueError(f"a plan for {len(coin)} images cannot be applied to {len(batch)}")
    chosen = np.flatnonzero(coin)
    if len(chosen) == 0:
        return batch
    if len(chosen) == len(batch):
        return change(batch, chosen)
    index = torch.from_numpy(chosen).to(batch.device)
    return batch.index_copy(0, index, change(batch.index_select(0, index), chosen))
