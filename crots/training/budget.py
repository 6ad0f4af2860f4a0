"""Sets options left to the program from the data and the student's start: steps, crops, learning rate ..."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from crots.config import Size
from crots.data.tiles import in_parts
from crots.errors import InputError
from crots.methods.selection import UNSURE_WEIGHT
from crots.opening import Inputs
from crots.training_options import AdaptOptions, BaselineOptions, Start, TrainingOptions

Options = TypeVar("Options", bound=TrainingOptions)

# Views (images times epochs) per image, and the fewest and most in total. With more, a student that starts afresh
# memorises the source's errors (docs/results.md).
VIEWS: dict[Start, tuple[int, int, int]] = {
    "trained": (4, 1500, 80_000),
    "pretrained": (20, 6_000, 120_000),
    "random": (40, 12_000, 240_000),
}
# What else of the baseline follows from the start, where the options leave it open. A trained student already predicts
# what the source does: it gains from confident pseudo-labels, from mixing and from refreshed labels, and forgets when
# trained on doubtful ones; `left_out_weight` decides whether they are. One that starts afresh has to learn all from the
# source, hard pixels too (docs/results.md).
RECIPES: dict[Start, dict[str, Any]] = {
    "trained": {
        "learning_rate": 1e-4, "unsure_weight": None, "balance": 0.0, "mix": "classmix", "refresh": 3,
        "batch_norm": "frozen",
    },
    "pretrained": {
        "learning_rate": 5e-4, "unsure_weight": UNSURE_WEIGHT, "balance": 0.5, "mix": "none", "refresh": 0,
        "batch_norm": "batch",
    },
    "random": {
        "learning_rate": 1e-3, "unsure_weight": UNSURE_WEIGHT, "balance": 0.5, "mix": "none", "refresh": 0,
        "batch_norm": "batch",
    },
}  # fmt: skip
# A round starts from a trained model, so it takes this share of a whole training.
ROUND = 0.25
# Share of each class that counts in the rounds of a student that started from the source: to one threshold it loses
# rare and thin classes, while a fresh student gains nothing from less confident labels (docs/results.md).
_ROUND_SHARE = 0.66
# Images that a student needs to learn the classes of street scenes from a black box as well as it knows them
# (docs/results.md).
_ENOUGH = 100
# Share of the labelled pixels below which such a student lost classes that its source knew (docs/results.md): a guess
# from few of them.
_SCARCE = 0.005
# The word for images that are cut into tiles.
TILES = "tiles of target images"
# On a CPU, images with more pixels are trained on in crops. A student that starts afresh learns more from crops of many
# images than from as many pixels of a few whole ones (docs/results.md).
_WHOLE_PIXELS: dict[Start, int] = {"trained": 100_000, "pretrained": 50_000, "random": 50_000}
_CROP = 0.55


def settled(
    options: Options,
    *,
    images: int,
    start: Start,
    size: Size,
    device: str,
    multiple: int,
    fixed: bool = False,
    share: float = 1.0,
) -> Options:
    """Returns options that leave nothing open; values that the user set are kept.

    Args:
        options: of the stage.
        images: of the target.
        start: how the student starts.
        size: working size.
        device: ``cpu`` or another type.
        multiple: sides of a crop must be multiples of it.
        fixed: the student takes images of one size alone, and no crops.
        share: of the views of a whole training, for shorter stages.
    """
    changes: dict[str, object] = {}
    large = size.width * size.height > _WHOLE_PIXELS[start]
    if options.crop is None and options.scale != 1 and device == "cpu" and large and not fixed:
        changes["crop"] = crop_of(size, multiple)
    if not options.steps:
        changes["steps"] = steps_for(images, start, options.batch, share)
    if isinstance(options, BaselineOptions):
        changes |= {name: value for name, value in RECIPES[start].items() if getattr(options, name) in (None, "auto")}
        if "refresh" in changes and not options.keep_ema:
            changes["refresh"] = 0  # labels are refreshed with the moving average
    return dataclasses.replace(options, **changes) if changes else options  # type: ignore[arg-type]


def few_images(images: int, what: str = "target images") -> str:
    """Returns a warning where a student that starts afresh has few images to learn from; empty for enough.

    Args:
        images: of the target, or tiles of them.
        what: the words for them.
    """
    if images >= _ENOUGH:
        return ""
    return (
        f"a student that does not start from the source learns the classes from the {images} {what} alone, and with "
        f"fewer than {_ENOUGH} it may end below its source; add images, which need no labels, or start from the "
        "source's weights if you can get them"
    )


def scarce_classes(pixels: Sequence[int], names: Sequence[str]) -> str:
    """Returns a warning about classes that a student that starts afresh can hardly learn; empty if there are none.

    Args:
        pixels: (K,) that the source labelled as each class; classes without any are left out.
        names: (K,) of the classes.
    """
    total = sum(pixels)
    shares = {name: count / total for name, count in zip(names, pixels, strict=True) if 0 < count < _SCARCE * total}
    if not shares:
        return ""
    listed = ", ".join(f"{name} {100 * share:.2g}%" for name, share in sorted(shares.items(), key=lambda item: item[1]))
    return (
        f"classes with few labels, less than {_SCARCE:.1%} of the pixels: {listed}. A student that does not start from "
        "the source learns them from these labels alone and may end below its source there; add images that show these "
        "classes"
    )


def few_to_start(inputs: Inputs) -> str:
    """Returns the warning of `few_images` before a run; empty for a student that starts as a model of its classes.

    It is also empty where third-party code would have to run to find that out.

    Args:
        inputs: of the run.

    Raises:
        InputError: as `Inputs.target` and `Inputs.start`.
    """
    samples, tiling = inputs.target.samples, inputs.tiling
    count, what = len(samples), "target images"
    if tiling is not None and count < _ENOUGH:
        count, what = 0, TILES
        for sample in samples:
            # One that cannot be read is reported beside the images, or left out.
            with contextlib.suppress(InputError):
                count += len(in_parts([sample], tiling))
    few = few_images(count, what)
    return few if few and inputs.start in ("pretrained", "random") else ""


def for_round(options: AdaptOptions, *, from_source: bool) -> AdaptOptions:
    """Returns the options of a round with those that follow from where its baseline started; see `settled`.

    Args:
        options: of the rounds.
        from_source: the baseline started from the source's weights.
    """
    if options.keep_share is not None:
        return options
    return dataclasses.replace(options, keep_share=_ROUND_SHARE if from_source else 0.0)


def steps_for(images: int, start: Start, batch: int, share: float = 1.0) -> int:
    """Returns the number of steps for this many images and this start.

    Args:
        images: of the target.
        start: how the student starts.
        batch: images per step.
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
