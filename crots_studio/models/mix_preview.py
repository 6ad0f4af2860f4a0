"""A preview of how training mixes images: the method's own functions on a few images and their saved pseudo-labels.

During training the labels are the teacher's; before it, the pseudo-labels are the nearest thing that is on disk.
torch is imported when the first preview is made, which happens in another thread than the window's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from crots.arrays import Array
from crots.config import Size
from crots.images import resize_image
from crots.label_files import resize_confidence, resize_labels
from crots.methods.selection import class_thresholds, confidence_histogram
from crots.training_options import AdaptOptions
from crots_studio.background.loading import preload_torch
from crots_studio.models.image_store import ImageMaps
from crots_studio.models.words import listing

if TYPE_CHECKING:
    from crots.methods.augment import AugmentPlan
    from crots.methods.mixing import MixPlan

Line = tuple[float, float, float, float]
Augmentation = Literal["none", "chance", "all"]
AUGMENTATIONS: dict[Augmentation, str] = {
    "none": "None",
    "chance": "By chance, as in training",
    "all": "All of it, on every image",
}
STRATEGIES = {"spatialmix": "SpatialMix", "cutmix": "CutMix", "classmix": "ClassMix"}
# A mix shows parts of four images; the published batch is four too.
IMAGES = 4


@dataclass(frozen=True)
class MixSettings:
    """The values of the sliders.

    Attributes:
        beta: of the Beta(beta, beta) that places the split; 0 is the middle.
        confidence: from which a pixel counts, 0..1.
        augmentation: see `AUGMENTATIONS`.
        strength: of the colour jitter.
        seed: of every draw, those of the images included; "Another mix" takes the next one.
    """

    beta: float = 0.25
    confidence: float = 0.968
    augmentation: Augmentation = "none"
    strength: float = 0.25
    seed: int = 0

    @staticmethod
    def of(options: AdaptOptions, *, seed: int = 0) -> MixSettings:
        """Takes a project's options."""
        beta = options.beta if options.beta is not None else (0.25 if options.patches else 0.5)
        return MixSettings(beta, options.confidence, "none", options.jitter_strength, seed)

    def changed_options(self, options: AdaptOptions) -> dict[str, Any]:
        """Returns the options of the project that the sliders would change."""
        usual = MixSettings.of(options)
        pairs = {
            "beta": (self.beta, usual.beta),
            "confidence": (self.confidence, usual.confidence),
            "jitter_strength": (self.strength, usual.strength),
        }
        return {name: mine for name, (mine, theirs) in pairs.items() if abs(mine - theirs) > 1e-9}


@dataclass(frozen=True, eq=False)
class MixPicture:
    """One mix as the student would see it.

    Attributes:
        strategy: name in `STRATEGIES`.
        image: (H, W, 3) uint8.
        labels: (H, W) train ids.
        confidence: (H, W) float32.
        counts: (H, W) bool, pixels that are confident enough to be learnt.
        lines: where parts of different images meet, x0, y0, x1, y1 in pixels.
        caption: what the mix consists of.
    """

    strategy: str
    image: Array
    labels: Array
    confidence: Array
    counts: Array
    lines: tuple[Line, ...]
    caption: str

    @property
    def size(self) -> Size:
        """Of image and maps."""
        return Size(self.labels.shape[1], self.labels.shape[0])

    @property
    def share(self) -> float:
        """Of pixels that count, 0..1."""
        return float(self.counts.mean())


def choose(count: int, seed: int, wanted: int = IMAGES) -> list[int]:
    """Draws the images of a preview; with few images some repeat, as in a batch larger than the data set."""
    if not count:
        return []
    order = np.random.default_rng([seed, count]).permutation(count)
    return [int(index) for index in np.resize(order, wanted)]


def make_mixes(
    settings: MixSettings, options: AdaptOptions, maps: Sequence[ImageMaps], names: Sequence[str], ignore: int
) -> list[MixPicture]:
    """Mixes the first image with the others by every strategy.

    Args:
        settings: the sliders.
        options: the project's, for all that has no slider.
        maps: of a few images, with labels of one size.
        names: of the classes, in train-id order.
        ignore: the label of no class.
    """
    size = maps[0].size
    batch = _Batch.of(maps, size)
    return [_make(name, settings, options, batch, names, ignore) for name in STRATEGIES]


@dataclass(frozen=True, eq=False)
class _Batch:
    images: Any
    labels: Any
    confidence: Any
    size: Size

    @staticmethod
    def of(maps: Sequence[ImageMaps], size: Size) -> _Batch:
        preload_torch()
        import torch

        images = np.stack([resize_image(one.image, size) for one in maps])
        labels = np.stack([resize_labels(_labels(one), size) for one in maps]).astype(np.int64)
        confidence = np.stack([resize_confidence(_confidence(one), size) for one in maps])
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        return _Batch(tensor, torch.from_numpy(labels), torch.from_numpy(confidence), size)

    def thresholds(self, settings: MixSettings, options: AdaptOptions, classes: int) -> Array:
        """Returns the confidence from which a pixel of each class counts, as a round would find it on these images."""
        pixels = confidence_histogram(self.labels.numpy(), self.confidence.numpy(), classes)
        return class_thresholds(pixels, options.keep_share or 0.0, settings.confidence)


def _labels(maps: ImageMaps) -> Array:
    assert maps.labels is not None, "a preview needs pseudo-labels"
    return maps.labels


def _confidence(maps: ImageMaps) -> Array:
    return np.ones(_labels(maps).shape, np.float32) if maps.confidence is None else maps.confidence


def _make(
    strategy: str, settings: MixSettings, options: AdaptOptions, batch: _Batch, names: Sequence[str], ignore: int
) -> MixPicture:
    from crots.methods.mixing import apply_mix, plan_mix

    plan = plan_mix(
        strategy,
        len(batch.images),
        batch.size,
        np.random.default_rng([settings.seed, 1]),
        beta=settings.beta,
        partners=options.partners,
        labels=batch.labels,
        classes=len(names),
    )
    mixed = [apply_mix(plan, part)[:1] for part in (batch.images, batch.labels, batch.confidence)]
    (image, labels, confidence), flipped = _augmented(mixed, settings, options)
    lines = _lines(plan, batch.size)
    thresholds = batch.thresholds(settings, options, len(names))
    return MixPicture(
        strategy=strategy,
        image=image,
        labels=labels.astype(np.uint8 if ignore == 255 else np.uint16),
        confidence=confidence,
        counts=confidence >= thresholds[np.minimum(labels, len(names) - 1)],
        lines=tuple(_mirrored(line, batch.size.width) for line in lines) if flipped else lines,
        caption=_caption(plan, batch.size, batch.labels, names),
    )


def _augmented(
    mixed: Sequence[Any], settings: MixSettings, options: AdaptOptions
) -> tuple[tuple[Array, Array, Array], bool]:
    """Augments one mix; returns image, labels and confidence as arrays, and whether they are mirrored."""
    from crots.methods.augment import apply_flip, apply_plan

    image, labels, confidence = mixed
    if settings.augmentation == "none":
        return (_picture(image), labels[0].numpy(), confidence[0].numpy()), False
    plan = augment_plan(settings, options)
    flipped = [apply_flip(plan, part)[0].numpy() for part in (labels, confidence)]
    image = apply_plan(plan, image, channels=options.jitter_channels)
    return (_picture(image), flipped[0], flipped[1]), bool(plan.flip[0])


def augment_plan(settings: MixSettings, options: AdaptOptions) -> AugmentPlan:
    """Draws how the first mix is augmented; with ``all`` every augmentation is applied."""
    from crots.methods.augment import plan_augment

    plan = plan_augment(
        1,
        np.random.default_rng([settings.seed, 2]),
        flip=options.flip,
        jitter=options.jitter,
        jitter_strength=settings.strength,
        blur=options.blur,
        coins=options.coins,
    )
    if settings.augmentation == "all":
        heads = np.ones(1, bool)
        plan = dataclasses.replace(plan, flip=heads, jitter=heads, blur=heads)
    return plan


def _picture(image: Any) -> Array:
    """From (1, 3, H, W), 0..255, to (H, W, 3) uint8."""
    pixels: Array = image[0].float().round().clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)
    return np.ascontiguousarray(pixels)


def _lines(plan: MixPlan, size: Size) -> tuple[Line, ...]:
    """Borders of the boxes of the first mix that lie inside the image."""
    found: dict[Line, None] = {}
    for box in plan.boxes:
        if box.mix != 0 or box.top >= box.bottom or box.left >= box.right:
            continue
        for x in (box.left, box.right):
            if 0 < x < size.width:
                found[(x, box.top, x, box.bottom)] = None
        for y in (box.top, box.bottom):
            if 0 < y < size.height:
                found[(box.left, y, box.right, y)] = None
    return tuple(found)


def _mirrored(line: Line, width: int) -> Line:
    x0, y0, x1, y1 = line
    return width - x0, y0, width - x1, y1


def _caption(plan: MixPlan, size: Size, labels: Any, names: Sequence[str]) -> str:
    if plan.mask is not None:
        pasted = np.unique(labels[plan.partners[0]][plan.mask[0]].numpy())
        listed = [names[number] for number in pasted if number < len(names)]
        return f"pasted: {listing(listed) or 'nothing'}"
    boxes = [box for box in plan.boxes if box.mix == 0]
    if len(boxes) == 1:
        part = (boxes[0].bottom - boxes[0].top) * (boxes[0].right - boxes[0].left) / (size.width * size.height)
        return f"box of {part:.0%} of the image"
    return f"split at {boxes[0].left / size.width:.0%} across, {boxes[0].bottom / size.height:.0%} down"
