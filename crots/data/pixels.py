"""Warnings about the pixels of a data set's images before a run; only a few images are opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crots import rendering
from crots.data.masks import MOST_IDS
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.image_formats import is_lossy
from crots.images import PixelFacts, pixel_facts, read_image
from crots.label_files import read_stored

_CHECKED = 6
# As many more are decoded as a moment allows, in pixels, up to a number of images.
_AFFORDABLE, _MOST_DECODED = 40_000_000, 60
# Pixels of an image whose distinct values are counted, and how many say anything.
_LOOKED_AT, _LEAST = 2**14, 2**8
_MANY = MOST_IDS + 1
# Up to a quarter of the range of 16 bits, which is what cameras of 12 and 14 bits fill.
_DARK = 2**14


@dataclass(frozen=True)
class PixelWarning:
    """A warning about the pixels of a data set's images.

    Attributes:
        text: for people.
        white: the value of `data.white` that it proposes, if any.
    """

    text: str
    white: int | None = None


def pixel_warnings(images: Sequence[Path]) -> tuple[PixelWarning, ...]:
    """Returns warnings about images that are nearly black, transparent, or of several frames.

    Args:
        images: the files of a data set.
    """
    facts, bright = [], False
    for place in evenly_spread(len(images), _CHECKED):
        try:
            found = pixel_facts(images[place])
        except InputError:  # reported when its pixels are needed
            continue
        facts.append(found)
        bright |= bool(rendering.of(images[place]).white)
    return tuple(filter(None, (None if bright else _dark(facts), _transparent(facts), _framed(facts))))


def unread(images: Sequence[Path]) -> tuple[list[InputError], int]:
    """Decodes images from all over a data set, as a run decodes all of them: a file cut short has a sound header.

    Args:
        images: the files of a data set.

    Returns:
        What is wrong with those that cannot be read, and how many were looked at.
    """
    faults: list[InputError] = []
    pixels = 0

    def look(places: Sequence[int]) -> None:
        nonlocal pixels
        for place in places:
            try:
                image = read_image(images[place])
            except InputError as error:
                faults.append(error)
            else:
                pixels += image.shape[0] * image.shape[1]

    first = evenly_spread(len(images), _CHECKED)
    look(first)
    # Small ones are read in no time.
    affordable = _AFFORDABLE * len(first) // max(1, pixels)
    more = set(evenly_spread(len(images), min(affordable, _MOST_DECODED))) - set(first)
    look(sorted(more))
    return faults, len(first) + len(more)


def like_labels(images: Sequence[Path]) -> bool:
    """Whether images look like label maps: a few values or colours, where a photograph has thousands.

    Args:
        images: the files of a data set.
    """
    counts = [_distinct(images[place]) for place in evenly_spread(len(images), _CHECKED)]
    # Pictures of a single colour are no labels.
    return bool(counts) and max(counts) <= MOST_IDS and max(counts) > 1


def _distinct(path: Path) -> int:
    """How many values or colours an image holds; more than any label map's where it can be none."""
    if is_lossy(path):
        return _MANY
    try:
        values = read_stored(path).values
    except InputError:  # not a label map, or broken
        return _MANY
    step = 1 + math.isqrt(values.shape[0] * values.shape[1] // _LOOKED_AT)
    seen = values[::step, ::step].reshape(-1, *values.shape[2:])
    return len(np.unique(seen, axis=0)) if len(seen) >= _LEAST else _MANY


def _dark(facts: Sequence[PixelFacts]) -> PixelWarning | None:
    greatest = [fact.greatest for fact in facts if fact.greatest is not None]
    most = max(greatest, default=0)
    if not greatest or len(greatest) < len(facts) or most >= _DARK:
        return None
    bits = max(1, most.bit_length())
    white = 2**bits - 1
    text = (
        f"the images have 16 bits and use {bits} of them (values up to {most}), so they become nearly black at 8 bits "
        f"(up to {most // 257} of 255); say which value is white (`data.white` {white})"
    )
    return PixelWarning(text, white)


def _transparent(facts: Sequence[PixelFacts]) -> PixelWarning | None:
    count = sum(fact.transparent > 0 for fact in facts)
    if not count:
        return None
    share = sum(fact.transparent for fact in facts) / len(facts)
    return PixelWarning(
        f"{count} of {len(facts)} images checked have transparent pixels ({share:.0%}), or a fourth band that is "
        "marked as transparency; their colours are read as they are stored (`data.bands` chooses bands)"
    )


def _framed(facts: Sequence[PixelFacts]) -> PixelWarning | None:
    count = sum(fact.frames > 1 for fact in facts)
    if not count:
        return None
    return PixelWarning(
        f"{count} of {len(facts)} images checked hold several frames or pages, of which only the first is read; save "
        "the others as separate files if you need them"
    )
