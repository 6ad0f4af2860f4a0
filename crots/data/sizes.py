"""Proposing a working size from the images themselves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from crots.config import Size
from crots.data.datasets import Dataset
from crots.errors import InputError
from crots.images import image_size

MOST_PIXELS = 1024 * 512  # the published working size
_CHECKED = 50
# Pixels of the image for one of the working size, along a side, from which on small objects vanish.
_SHRUNK = 3
# Likewise of the working size for one of the image, in all, from which on resizing adds cost alone: 640x480 of an image
# of 320x240 is still usual, for networks that see little in small images.
_ENLARGED = 4
# An image of another shape than the working size by more is visibly squeezed.
_SQUEEZED = 0.1
# Starts of tiles, and most networks, go by multiples of this.
_STEP = 32


def propose_size(images: Dataset | Sequence[Size], multiple: int = 32) -> tuple[Size, str]:
    """Proposes a working size: the commonest shape, no larger than the images and than 1024x512 pixels in all.

    Args:
        images: a data set, of which up to 50 headers are read, or sizes.
        multiple: both sides are multiples of it; rounding goes to the nearest that the limits allow.

    Returns:
        The size, and the reason as a sentence.

    Raises:
        InputError: no image can be read.
    """
    sizes = _sizes(images) if isinstance(images, Dataset) else list(images)
    if not sizes:
        raise InputError("found no image to propose a working size from; give images, or a size like 512x256")
    common, count = _commonest(sizes)
    proposal = _fitted(common, multiple)
    return proposal, _reason(proposal, common, count, len(sizes), multiple)


def _commonest(sizes: Sequence[Size]) -> tuple[Size, int]:
    """The commonest size of the commonest shape, and how many have that shape."""
    shape, count = Counter(_aspect(size) for size in sizes).most_common(1)[0]
    return Counter(size for size in sizes if _aspect(size) == shape).most_common(1)[0][0], count


def proposed_tile(images: Dataset, working: Size) -> Size | None:
    """Proposes the size of tiles for a data set; None where its images lose little when they are resized.

    Raises:
        InputError: no image can be read.
    """
    return propose_tile(_commonest(_sizes(images))[0], working)


def propose_tile(image: Size, working: Size) -> Size | None:
    """Proposes the size of tiles; None where images lose little when they are resized.

    Args:
        image: the images' own size.
        working: the size that they would be resized to.
    """
    if image.width * image.height < _SHRUNK**2 * working.width * working.height:
        return None
    # A square with as many pixels as the largest working size: it costs as much and shows most around an object.
    side = math.isqrt(MOST_PIXELS) // _STEP * _STEP
    return Size(*(min(side, -(-length // _STEP) * _STEP) for length in image))


def enlarged(images: Dataset | Sequence[Size], *, size: Size | None, tile: Size | None) -> str:
    """Says that a working size, or a tile, is far larger than most of the images; empty where it is not.

    Args:
        images: a data set, of which up to 50 headers are read, or sizes.
        size: to which they are resized, if they are.
        tile: of which they are cut, if they are; what lies beyond an image is mirrored.
    """
    asked = size or tile
    if asked is None:
        return ""
    sizes = _readable(images)[0] if isinstance(images, Dataset) else list(images)
    # Of how many pixels one shows something of the image.
    pixels = asked.width * asked.height
    shown = [one if size else Size(*map(min, one, asked)) for one in sizes]
    times = [pixels / (one.width * one.height) for one in shown]
    much = [place for place, factor in enumerate(times) if factor > _ENLARGED]
    if 2 * len(much) <= len(sizes):
        return ""
    usual, _ = Counter(sizes[place] for place in much).most_common(1)[0]
    factor = math.floor(times[sizes.index(usual)])
    cost = "which takes time and memory and adds no detail; leave it out, or give a size near theirs"
    if size:
        return f"`data.size` {size} has {factor:,} times as many pixels as most images ({usual}), {cost}"
    return f"`data.tile` {tile}: most images ({usual}) fill only 1/{factor:,} of it and the rest mirrors them, {cost}"


def squeezed(images: Dataset | Sequence[Size], size: Size) -> Size | None:
    """Returns the size that most of those images have whose shape a working size changes; None where it keeps most.

    Args:
        images: a data set, of which up to 50 headers are read, or sizes.
        size: to which they are resized.
    """
    sizes = _readable(images)[0] if isinstance(images, Dataset) else list(images)
    shapes = [(size.width / size.height) / (one.width / one.height) for one in sizes]
    least, most = 1 - _SQUEEZED, 1 / (1 - _SQUEEZED)
    changed = [one for one, shape in zip(sizes, shapes, strict=True) if not least < shape < most]
    return Counter(changed).most_common(1)[0][0] if 2 * len(changed) > len(sizes) else None


def _sizes(dataset: Dataset) -> list[Size]:
    sizes, fault = _readable(dataset)
    if not sizes and fault is not None:
        raise fault
    return sizes


def _readable(dataset: Dataset) -> tuple[list[Size], InputError | None]:
    """The sizes of images spread over a data set, and what is wrong with those that have none."""
    last = len(dataset) - 1
    places = sorted({round(index * last / max(1, _CHECKED - 1)) for index in range(_CHECKED)})
    sizes, fault = [], None
    for place in places:
        try:
            sizes.append(image_size(dataset.samples[place].image))
        except InputError as error:  # a broken image among thousands is reported when its pixels are needed
            fault = error
    return sizes, fault


def _aspect(size: Size) -> float:
    return round(math.log(size.width / size.height), 1)


def _fitted(size: Size, multiple: int) -> Size:
    """Scales down to the limit, then takes the multiples that are nearest in proportion and do not exceed it."""
    scale = min(1.0, math.sqrt(MOST_PIXELS / (size.width * size.height)))
    width, height = size.width * scale, size.height * scale
    candidates = [
        Size(w, h)
        for w in _multiples(width, multiple)
        for h in _multiples(height, multiple)
        if w * h <= MOST_PIXELS or (w == multiple and h == multiple)
    ]
    candidates = candidates or [Size(_multiples(width, multiple)[0], _multiples(height, multiple)[0])]
    return min(candidates, key=lambda c: (abs(math.log(c.width / width)) + abs(math.log(c.height / height)), c))


def _multiples(side: float, multiple: int) -> tuple[int, int]:
    below = max(1, math.floor(side / multiple + 1e-9)) * multiple
    return below, max(multiple, math.ceil(side / multiple - 1e-9) * multiple)


def _reason(proposal: Size, common: Size, count: int, checked: int, multiple: int) -> str:
    shape = f"the {checked} images checked" if count == checked else f"{count} of {checked} images checked"
    shape, are, have = ("the image", "is", "has") if checked == 1 else (shape, "are", "have")
    text = f"working size {proposal}: {shape} {are} shaped like {common}"
    if common.width * common.height > MOST_PIXELS:
        text += ", scaled down to at most 1024x512 pixels in all"
    if common.width % multiple or common.height % multiple or proposal != common:
        text += f", sides rounded to multiples of {multiple}"
    if tile := propose_tile(common, proposal):
        times = math.sqrt(common.width * common.height / (proposal.width * proposal.height))
        text += (
            f"; one of its pixels covers {times:.1f} pixels of an image across, so small objects vanish; tiles of "
            f"{tile} keep them"
        )
    return text if proposal != common else f"working size {proposal}: {shape} {have} it"
