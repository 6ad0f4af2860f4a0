"""Images of 16 bits whose values use a small part of the range: as 8 bits they are nearly black."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.images import range_used

_LOOKED_AT = 6
# Up to a quarter of the range, which is what cameras of 12 and 14 bits fill.
_DARK = 2**14


def dark_images(images: Sequence[Path]) -> str:
    """Returns a warning where images of 16 bits hold small values only, else nothing; few are opened.

    Args:
        images: the files of a data set.
    """
    greatest = []
    for place in evenly_spread(len(images), _LOOKED_AT):
        try:
            found = range_used(images[place])
        except InputError:  # reported by those who need its pixels
            continue
        if found is None:
            return ""
        greatest.append(found)
    most = max(greatest, default=0)
    if not greatest or most >= _DARK:
        return ""
    bits = max(1, most.bit_length())
    return (
        f"the images have 16 bits and use {bits} of them (values up to {most}), so that as 8 bits they are "
        f"nearly black (up to {most // 257} of 255); multiply their values by {2 ** (16 - bits)} first"
    )
