"""Crops on the device: of mixed images, with the labels and confidence made from whole images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crots.data.crops import Crops


def cut(crops: Crops, images: Tensor) -> Tensor:
    """Cuts images (N, C, H, W), interpolated; where content shrinks, by a mean over the area. Returns float32."""

    def resize(part: Tensor) -> Tensor:
        if part.shape[-2:] == size:
            return part
        return functional.interpolate(part, size, mode="bilinear", align_corners=False, antialias=True)

    size = (crops.size.height, crops.size.width)
    return torch.cat([resize(part.float()) for part in _windows(crops, images)])


def cut_nearest(crops: Crops, maps: Tensor) -> Tensor:
    """Cuts labels or confidence (N, H, W); the nearest pixel's counts. Returns the type of ``maps``."""

    def resize(part: Tensor) -> Tensor:
        rows, columns = (
            # Whole numbers: no rounding moves a pixel that lies between two.
            (2 * torch.arange(wanted, device=maps.device) + 1) * there // (2 * wanted)
            for there, wanted in zip(part.shape[-2:], (crops.size.height, crops.size.width), strict=True)
        )
        return part.index_select(-2, rows).index_select(-1, columns)

    return torch.cat([resize(part) for part in _windows(crops, maps)])


def _windows(crops: Crops, tensor: Tensor) -> list[Tensor]:
    return [
        tensor[place : place + 1, ..., window.y : window.y + window.height, window.x : window.x + window.width]
        for place, window in enumerate(crops.windows)
    ]
