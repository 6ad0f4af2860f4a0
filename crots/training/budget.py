"""How long to train, on how large crops and how fast, where the options leave that to the data."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeVar

from crots.config import Size
from crots.options import BaselineOptions, TrainingOptions

Start = Literal["trained", "pretrained", "random"]
Options = TypeVar("Options", bound=TrainingOptions)

# Views (images times epochs) an image, and the fewest and most of all images together.
VIEWS: dict[Start, tuple[int, int, int]] = {
    "trained": (8, 2400, 80_000),
    "pretrained": (40, 6_000, 120_000),
    "random": (80, 12_000, 240_000),
}
RATES: dict[Start, float] = {"trained": 1e-4, "pretrained": 2e-4, "random": 1e-3}
# Share of a whole training that a round takes: it goes on from what is trained already.
ROUND = 0.5
# On a processor images of more pixels are trained on in crops.
_WHOLE_PIXELS = 100_000
_CROP = 0.55


def settled(
    options: Options, *, images: int, start: Start, size: Size, device: str, multiple: int, share: float = 1.0
) -> Options:
    """Returns options with steps, crop and learning rate; what the user set is taken as it is.

    Args:
        options: of the stage.
        images: of the target.
        start: what the student knows before.
        size: working size.
        device: ``cpu`` or another type.
        multiple: sides of a crop must be multiples of it.
        share: of the views that a whole run of the stage takes, for one of several short stages.
    """
    changes: dict[str, object] = {}
    if not options.steps:
        changes["steps"] = steps_for(images, start, options.batch, share)
    if options.crop is None and options.scale != 1 and device == "cpu" and size.width * size.height > _WHOLE_PIXELS:
        changes["crop"] = crop_of(size, multiple)
    if isinstance(options, BaselineOptions) and options.learning_rate is None:
        changes["learning_rate"] = RATES[start]
    return dataclasses.replace(options, **changes) if changes else options  # type: ignore[arg-type]


def steps_for(images: int, start: Start, batch: int, share: float = 1.0) -> int:
    """Returns the steps in which a student of this start sees so many images often enough.

    Args:
        images: of the target.
        start: what the student knows before.
        batch: images a step.
        share: see `settled`.
    """
    each, least, most = VIEWS[start]
    return max(1, round(share * min(most, max(least, each * images)) / batch))


def crop_of(size: Size, multiple: int, share: float = _CROP) -> Size:
    """Returns the size of crops whose sides are about a share of the image's.

    Args:
        size: of the images.
        multiple: sides must be multiples of it.
        share: of each side.
    """
    # Of 32 where the net leaves the choice, so that its strides divide it.
    step = multiple if multiple > 1 else 32
    return Size(*(max(step, round(share * side / step) * step) for side in size))
