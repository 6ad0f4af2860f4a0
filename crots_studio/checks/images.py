"""Checks the target's images and the size at which they are processed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from crots.config import Size
from crots.data.datasets import Dataset, Sample
from crots.errors import InputError
from crots.images import image_size, read_image
from crots_studio.checks.setup import NOT_CHOSEN, Setup
from crots_studio.models.project_form import Finding, Level, Offer
from crots_studio.models.words import in_window, plural

# Files of a folder of which the header is read: enough to notice a wrong kind, few enough for a network drive.
_HEADERS = 200
# Files that are decoded, which finds those cut short: these many, and as many more as a moment allows.
_OPENED = 6
_MOST_OPENED = 60
_OPENED_PIXELS = 40_000_000
# The usual orders of bands, of photographs from above and of satellites; and of white, as a share, in 8 bits, and as
# satellites give reflectance.
_BANDS, _WHITES = ("1,2,3", "3,2,1"), ("1", "255", "10000")
# In a warning of `crots.data.pixels`.
_WHITE = re.compile(r"`data\.white` (\d+)")
# A photograph has thousands of colours, a label map one per class.
_LABEL_COLOURS = 40
# An image of another shape than the working size by more is visibly squeezed.
_SQUEEZED = 0.1
# Above this multiple of the proposed size's pixels, the finding mentions memory.
_LARGER = 4


def check_target(setup: Setup) -> Finding:
    """Counts, layout and sizes of the target's images."""
    if setup.config.data.target is None:
        return Finding(
            "empty", "Choose a folder, a list file or the root of a data set; or drop one here.", brief=NOT_CHOSEN
        )
    dataset = setup.target
    sizes, faults = _sizes(dataset.samples)
    checked = len(sizes) + len(faults)
    broken, like_labels, asked = _opened(dataset.samples, sizes)
    faults += [fault for fault in broken if fault not in faults]
    text = f"{plural(len(dataset), 'image')}, {_layout(dataset)}, {_size_words(sizes)}"
    offers = _rendered(asked)
    if like_labels:
        text += "; they look like label maps, not like photographs"
    if faults:
        text += f"; {len(faults)} of the {checked} checked cannot be read"
        if setup.config.data.skip_bad and not asked:
            text += " and will be skipped"
        else:
            # As the details are seen by pointing only, the first is named here.
            text += f"; a run would stop there: {faults[0]}"
            offers = offers or (Offer("Skip such images", {"data.skip_bad": "true"}),)
    offers += tuple(_brighter(warning) for warning in setup.pixel_warnings if _WHITE.search(warning))
    text = in_window("; ".join((text, *setup.pixel_warnings)))
    level: Level = "warning" if faults or like_labels or setup.pixel_warnings else "good"
    if asked or (faults and not setup.config.data.skip_bad):
        level = "bad"
    return Finding(level, text, (*faults, *dataset.notes), plural(len(dataset), "image"), offers)


def _layout(dataset: Dataset) -> str:
    words = "a list" if dataset.layout == "list" else f"{dataset.layout} layout"
    return f"{words}, split {dataset.split}" if dataset.split else words


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Picks samples from all over the list."""
    places = sorted({round(index * (len(samples) - 1) / max(1, most - 1)) for index in range(most)})
    return [samples[place] for place in places]


def _sizes(samples: Sequence[Sample]) -> tuple[list[Size], list[str]]:
    sizes, faults = [], []
    for sample in _spread(samples, _HEADERS):
        try:
            sizes.append(image_size(sample.image))
        except InputError as error:
            faults.append(str(error))
    return sizes, faults


def _rendered(asked: Collection[str]) -> tuple[Offer, ...]:
    """Offers what images of many bands, or of floating-point values, have to be given before they can be read."""
    if "data.bands" in asked:
        return tuple(Offer(f"Take bands {bands} as red, green, blue", {"data.bands": bands}) for bands in _BANDS)
    if "data.white" in asked:
        return tuple(Offer(f"Take {white} as white", {"data.white": white}) for white in _WHITES)
    return ()


def _brighter(warning: str) -> Offer:
    """Offers the value of white that a warning about dark images names."""
    found = _WHITE.search(warning)
    assert found is not None
    return Offer(f"Take {found[1]} as white", {"data.white": found[1]})


def _opened(samples: Sequence[Sample], sizes: Sequence[Size]) -> tuple[list[str], bool, set[str]]:
    """Decodes some, since a truncated file has a sound header.

    Returns:
        What is wrong, whether all look like label maps, and the options that some have to be given.
    """
    faults, counts, asked = [], [], set()
    largest = max((size.width * size.height for size in sizes), default=1)
    most = min(_MOST_OPENED, max(_OPENED, _OPENED_PIXELS // largest))
    for sample in _spread(samples, most):
        try:
            # Every fourth pixel of every fourth row shows enough of the colours.
            pixels = read_image(sample.image)[::4, ::4].astype(np.uint32)
            counts.append(np.unique(pixels @ np.array([65536, 256, 1], np.uint32)).size)
        except InputError as error:
            faults.append(str(error))
            asked |= {error.field} if error.field else set()
    return faults, bool(counts) and max(counts) <= _LABEL_COLOURS and min(counts) > 1, asked


def _size_words(sizes: Sequence[Size]) -> str:
    counts = {size: sizes.count(size) for size in sizes}
    if not counts:
        return "no size could be read"
    ranked = sorted(counts, key=lambda size: -counts[size])
    return str(ranked[0]) if len(ranked) == 1 else f"{len(ranked)} sizes, most often {ranked[0]}"


def check_size(setup: Setup) -> Finding:
    """The working size, or the one that will be proposed; or how images are cut into tiles."""
    data = setup.config.data
    if data.target is None:
        chosen = data.size is not None or data.tile is not None
        words = "Checked against the images" if chosen else "Proposed from the images"
        return Finding("empty", f"{words} once they are chosen.")
    if setup.tiling:
        text = f"Images are cut into tiles of {data.tile} as they are; neighbours overlap by {data.tile_overlap:.0%}"
        return Finding("good", text, offers=(Offer("Resize them instead", {"data.tile": "none"}),))
    proposal, reason = setup.proposed_size
    if data.size is None:
        tile = setup.proposed_tile
        offers = (Offer(f"Cut into tiles of {tile}", {"data.tile": str(tile)}),) if tile else ()
        return Finding("good", reason[0].upper() + reason[1:], offers=offers)
    if data.size == proposal:
        return Finding("good", f"As proposed: {reason}")
    offer = Offer(f"Use the proposal {proposal}", {"data.size": "none"})
    text = f"Images are resized to {data.size}; proposed from the images: {proposal}"
    shape = (data.size.width / data.size.height) / (proposal.width / proposal.height)
    if not 1 - _SQUEEZED < shape < 1 / (1 - _SQUEEZED):
        return Finding("warning", f"{text}, which has another aspect ratio", offers=(offer,))
    larger = data.size.width * data.size.height > _LARGER * proposal.width * proposal.height
    return Finding("warning" if larger else "good", text + (", which is smaller" if larger else ""), offers=(offer,))
