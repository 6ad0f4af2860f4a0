"""Checks the target's images and the size at which they are processed."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from crots.config import Size
from crots.data.datasets import Dataset
from crots.data.pixels import like_labels, unread
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.images import image_size
from crots_studio.checks.setup import NOT_CHOSEN, Setup
from crots_studio.models.project_form import Finding, Level, Offer
from crots_studio.models.words import fault_text, in_window, plural, without_remedy

# Files of a folder of which the header is read: enough to notice a wrong kind, few enough for a network drive.
_HEADERS = 200
# The usual orders of bands, of photographs from above and of satellites; and of white, as a share, in 8 bits, and as
# satellites give reflectance.
_BANDS, _WHITES = ("1,2,3", "3,2,1"), (1, 255, 10000)
# Above this multiple of the proposed size's pixels, the finding mentions memory.
_LARGER = 4


def check_target(setup: Setup) -> Finding:
    """Counts, layout and sizes of the target's images."""
    if setup.config.data.target is None:
        return Finding(
            "empty", "Choose a folder, a list file or the root of a data set; or drop one here.", brief=NOT_CHOSEN
        )
    dataset = setup.target
    images = [sample.image for sample in dataset.samples]
    sizes, faults = _sizes(images)
    checked = len(sizes) + len(faults)
    broken, _ = unread(images)
    asked = {fault.field for fault in broken if fault.field}
    faults += [fault_text(fault) for fault in broken if fault_text(fault) not in faults]
    root = f"{dataset.root}{os.sep}"
    labels = like_labels(images)
    text = f"{plural(len(dataset), 'image')}, {_layout(dataset)}, {_size_text(sizes)}"
    offers = _rendered(asked)
    if labels:
        text += "; they look like label maps, not like photographs"
    if faults and len(faults) == len(broken) and all(fault.field for fault in broken):
        # A question with its answers beside it.
        text += f"; {fault_text(broken[0], offered=True).removeprefix(root)}"
    elif faults:
        text += f"; {len(faults)} of the {checked} checked cannot be read"
        if setup.config.data.skip_bad and not asked:
            text += " and will be skipped"
        else:
            # As the details are seen by pointing only, the first is named here.
            text += f"; a run would stop there: {faults[0].removeprefix(root)}"
            offers = offers or (Offer("Skip such images", {"data.skip_bad": "true"}),)
    warnings = setup.pixel_warnings
    offers += tuple(_whiter(warning.white) for warning in warnings if warning.white is not None)
    told = (without_remedy(warning.text) if warning.white is not None else warning.text for warning in warnings)
    text = in_window("; ".join((text, *told)))
    level: Level = "warning" if faults or labels or warnings else "good"
    if asked or (faults and not setup.config.data.skip_bad):
        level = "bad"
    details = (*faults, *(in_window(note.text) for note in dataset.notes))
    # Red or yellow alone would not tell what is wrong.
    brief = "which bands?" if "data.bands" in asked else "which value is white?" if "data.white" in asked else ""
    return Finding(level, text, details, brief or plural(len(dataset), "image"), offers)


def _layout(dataset: Dataset) -> str:
    label = "a list" if dataset.layout == "list" else f"{dataset.layout} layout"
    return f"{label}, split {dataset.split}" if dataset.split else label


def _sizes(images: Sequence[Path]) -> tuple[list[Size], list[str]]:
    sizes, faults = [], []
    for place in evenly_spread(len(images), _HEADERS):
        try:
            sizes.append(image_size(images[place]))
        except InputError as error:
            faults.append(fault_text(error))
    return sizes, faults


def _rendered(asked: Collection[str]) -> tuple[Offer, ...]:
    """Offers what images of many bands, or of floating-point values, have to be given before they can be read."""
    if "data.bands" in asked:
        colours = (Offer(f"Take bands {bands} as red, green, blue", {"data.bands": bands}) for bands in _BANDS)
        return (*colours, Offer("Take the first as grey", {"data.bands": "1"}))
    if "data.white" in asked:
        return tuple(map(_whiter, _WHITES))
    return ()


def _whiter(white: int) -> Offer:
    return Offer(f"Take {white} as white", {"data.white": str(white)})


def _size_text(sizes: Sequence[Size]) -> str:
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
        message = "Checked against the images" if chosen else "Proposed from the images"
        return Finding("empty", f"{message} once they are chosen.")
    if setup.tiling:
        whole = Offer("Resize them instead", {"data.tile": "none"})
        if setup.enlarged:
            return Finding("warning", setup.enlarged.removeprefix("`data.tile` "), offers=(whole,))
        text = f"Images are cut into tiles of {data.tile} as they are; neighbours overlap by {data.tile_overlap:.0%}"
        return Finding("good", text, offers=(whole,))
    proposal, reason = setup.proposed_size
    if data.size is None:
        tile = setup.proposed_tile
        offers = (Offer(f"Cut into tiles of {tile}", {"data.tile": str(tile)}),) if tile else ()
        return Finding("good", reason[0].upper() + reason[1:], offers=offers)
    if data.size == proposal:
        return Finding("good", f"As proposed: {reason}")
    offer = Offer(f"Use the proposal {proposal}", {"data.size": "none"})
    if setup.enlarged:
        return Finding("warning", setup.enlarged.removeprefix("`data.size` "), offers=(offer,))
    text = f"Images are resized to {data.size}; proposed from the images: {proposal}"
    if setup.squeezed:
        text = f"{text}. Most images ({setup.squeezed}) have another aspect ratio, and are squeezed"
        return Finding("warning", text, offers=(offer,))
    larger = data.size.width * data.size.height > _LARGER * proposal.width * proposal.height
    return Finding("warning" if larger else "good", text + (", which is smaller" if larger else ""), offers=(offer,))
