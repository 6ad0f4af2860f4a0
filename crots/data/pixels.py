"""Warnings about the pixels of a data set's images before a run; only a few images are opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
# Pixels of an image whose distinct values are counted, and how many say anything.
_LOOKED_AT, _LEAST = 2**14, 2**8
# Up to a quarter of the range of 16 bits, which is what cameras of 12 and 14 bits fill.
_DARK = 2**14


def pixel_warnings(images: Sequence[Path]) -> tuple[str, ...]:
    """Returns warnings about images that are nearly black, transparent, or of several frames.

    Args:
        images: the files of a data set.
    """
    facts, bright = [], False
    for place in evenly_spread(len(images), _CHECKED):
        try:
            found = pixel_facts(images[place])
        except InputError:  # reported by those who need its pixels
            continue
        facts.append(found)
        bright |= bool(rendering.of(images[place]).white)
    return tuple(filter(None, ("" if bright else _dark(facts), _transparent(facts), _framed(facts))))


def unread(images: Sequence[Path]) -> tuple[list[InputError], int]:
    """Reads a few images from all over a data set, as a run reads all of them.

    Args:
        images: the files of a data set.

    Returns:
        What is wrong with those that cannot be read, and how many were read.
    """
    faults = []
    places = evenly_spread(len(images), _CHECKED)
    for place in places:
        try:
            read_image(images[place])
        except InputError as error:
            faults.append(error)
    return faults, len(places)


def label_warning(images: Sequence[Path]) -> str:
    """Returns a warning about images that look like label maps; empty for others.

    Args:
        images: the files of a data set.
    """
    sampled = [images[place] for place in evenly_spread(len(images), _CHECKED)]
    if not sampled or not all(map(_holds_few_values, sampled)):
        return ""
    return (
        f"the images checked ({len(sampled)}) hold few distinct values or colours, as label maps do; if they are "
        "labels, give the folder of the photographs"
    )


def _holds_few_values(path: Path) -> bool:
    if is_lossy(path):
        return False
    try:
        values = read_stored(path).values
    except InputError:  # what is no label map, or broken
        return False
    step = 1 + math.isqrt(values.shape[0] * values.shape[1] // _LOOKED_AT)
    seen = values[::step, ::step].reshape(-1, *values.shape[2:])
    return len(seen) >= _LEAST and len(np.unique(seen, axis=0)) <= MOST_IDS


def _dark(facts: Sequence[PixelFacts]) -> str:
    greatest = [fact.greatest for fact in facts if fact.greatest is not None]
    most = max(greatest, default=0)
    if not greatest or len(greatest) < len(facts) or most >= _DARK:
        return ""
    bits = max(1, most.bit_length())
    return (
        f"the images have 16 bits and use {bits} of them (values up to {most}), so they become nearly black at 8 bits "
        f"(up to {most // 257} of 255); say which value is white (`data.white` {2**bits - 1})"
    )


def _transparent(facts: Sequence[PixelFacts]) -> str:
    count = sum(fact.transparent > 0 for fact in facts)
    if not count:
        return ""
    share = sum(fact.transparent for fact in facts) / len(facts)
    return (
        f"{count} of {len(facts)} images checked have transparent pixels ({share:.0%}), or a fourth band that is "
        "marked as transparency; their colours are read as they are stored (`data.bands` chooses bands)"
    )


def _framed(facts: Sequence[PixelFacts]) -> str:
    count = sum(fact.frames > 1 for fact in facts)
    if not count:
        return ""
    return (
        f"{count} of {len(facts)} images checked hold several frames or pages, of which only the first is read; save "
        "the others as separate files if you need them"
    )
