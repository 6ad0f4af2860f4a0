"""Times decoding and resizing of a photograph, by library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2.functional import InterpolationMode, resize

from crots.bench.clock import taking_turns
from crots.bench.world import World, photograph
from crots.config import Size
from crots.images import read_image, resize_image, write_image


@dataclass(frozen=True)
class Decoding:
    """One library on one kind of file.

    Attributes:
        format: ``PNG`` or ``JPEG``.
        library: its name.
        seconds: per image, on one thread, from the file to the working size.
    """

    format: str
    library: str
    seconds: float


def measure_decoding(world: World) -> Iterator[Decoding]:
    """Yields the time of each library on a PNG and a JPEG."""
    options = world.options
    picture = photograph(0, options.photo)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        for kind, suffix in (("PNG", "png"), ("JPEG", "jpg")):
            path = world.folder / f"decoding.{suffix}"
            write_image(path, picture)
            libraries = _libraries(path, options.size)
            times = taking_turns(*libraries.values(), repeats=max(3, options.repeats))
            yield from (Decoding(kind, name, taken) for name, taken in zip(libraries, times, strict=True))
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(-1)


def _libraries(path: Path, size: Size) -> dict[str, Callable[[], Any]]:
    def pillow() -> Any:
        return np.array(Image.open(path).convert("RGB").resize((size.width, size.height), Image.Resampling.BICUBIC))

    def opencv() -> Any:
        image: Any = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        # Area averaging: its cubic filter does not smooth where it shrinks.
        return cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA)

    def torchvision() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its decoders are to move to torchcodec
            image = decode_image(str(path), ImageReadMode.RGB)
        return resize(image, [size.height, size.width], InterpolationMode.BICUBIC, antialias=True)

    def used() -> Any:
        return resize_image(read_image(path), size)

    return {"Pillow": pillow, "OpenCV": opencv, "torchvision": torchvision, "as CROTS does": used}
