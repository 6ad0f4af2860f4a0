"""A few of the user's images with the source's prediction for one: are folders, channels and classes right?

Nothing here is kept in the project; it runs on other threads than the window's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crots.arrays import Array
from crots.config import Size
from crots.data.spread import evenly_spread
from crots.data.tiles import Tiling
from crots.images import read_image, resize_image
from crots.label_files import look_up_colours, resize_labels
from crots.project import Project
from crots.taxonomy import ClassSet
from crots_studio.models.image_store import ImageStore
from crots_studio.models.label_list import classes_of
from crots_studio.models.listing import target_dataset
from crots_studio.models.predictions import SOURCE, Predictions
from crots_studio.models.words import listing, plural

COUNT = 6
HEIGHT = 88
_WIDEST = 200
# Of a confidence: so many times that of a guess among all classes is no prediction yet.
_GUESS = 1.5
_OPACITY = 0.6
# Pixels from one line of the grid of tiles to the next.
_CLOSEST = 6


@dataclass(frozen=True, eq=False)
class SmallImage:
    """A target image, scaled down.

    Attributes:
        key: of the image.
        path: its file.
        picture: (height, width, 3).
        size: of the whole image.
    """

    key: str
    path: Path
    picture: Array
    size: Size


@dataclass(frozen=True, eq=False)
class Glance:
    """The source's prediction for one image.

    Attributes:
        picture: the image with the classes' colours over it, as small as its `SmallImage`.
        text: the greatest classes with their shares, and how sure the source is.
        doubtful: it predicts no class, or is hardly surer than a guess.
    """

    picture: Array
    text: str
    doubtful: bool = False


def small(image: Array) -> Array:
    """Returns an image of `HEIGHT` pixels, no wider than a tile."""
    width = min(_WIDEST, max(16, round(image.shape[1] * HEIGHT / image.shape[0])))
    return resize_image(image, Size(width, HEIGHT))


def read_tiles(project: Project) -> list[SmallImage]:
    """Returns a few images of the target from all over it: neighbours are often frames of one video.

    Raises:
        InputError: the images cannot be listed or read.
    """
    data = project.config.data
    if data.target is None:
        return []
    # As a run lists them: a data set's folder holds more than the images of its split.
    samples = target_dataset(project.path(data.target), data.layout, data.split).samples
    chosen = [samples[place] for place in evenly_spread(len(samples), COUNT)]
    return [_small_image(sample.key, sample.image) for sample in chosen]


def _small_image(key: str, path: Path) -> SmallImage:
    image = read_image(path)
    return SmallImage(key, path, small(image), Size(image.shape[1], image.shape[0]))


def with_grid(picture: Array, size: Size, tiling: Tiling | None) -> Array:
    """Returns a small picture of an image with lines where one tile's predictions give way to the next one's.

    Args:
        picture: (height, width, 3).
        size: of the image itself.
        tiling: how it is cut; None draws nothing.
    """
    if tiling is None:
        return picture
    drawn = picture.copy()
    height, width = picture.shape[:2]
    rows, columns = tiling.rows(size, taper=False)[1:], tiling.columns(size, taper=False)[1:]
    for spans, across, long, short in (
        (rows, drawn, size.height, height),
        (columns, drawn.transpose(1, 0, 2), size.width, width),
    ):
        if short < _CLOSEST * (len(spans) + 1):
            # Nothing but lines would be left; `tile_text` states the number.
            continue
        places = [min(short - 1, span.first * short // long) for span in spans]
        # White beside black is seen on any image.
        across[[max(0, place - 1) for place in places]] = 0
        across[places] = 255
    return drawn


def tile_text(size: Size, tiling: Tiling | None) -> str:
    """Returns into how many tiles an image is cut; empty if it is resized."""
    if tiling is None:
        return ""
    return f"{plural(len(tiling.windows(size)), 'tile')} of {tiling.size}"


def ask_source(project: Project, tile: SmallImage) -> Glance:
    """Returns the source's prediction for an image.

    Args:
        project: with the trust of the user, as a run gets it: without, no third-party code runs.
        tile: the image.

    Raises:
        InputError: the source cannot be opened, or has no prediction for this image.
    """
    classes = classes_of(project)
    predictions = Predictions(project, ImageStore(project, classes))
    predicted = predictions.predict(SOURCE, tile.key, tile.path, labelled=False)
    return Glance(
        _overlay(tile.picture, predicted.labels, classes), *_text(predicted.labels, predicted.confidence, classes)
    )


def _overlay(picture: Array, labels: Array, classes: ClassSet) -> Array:
    fitting = resize_labels(labels, Size(picture.shape[1], picture.shape[0]))
    known = fitting < len(classes)
    colours = look_up_colours(classes.palette_array(), np.where(known, fitting, 0))
    mixed = _OPACITY * colours + (1 - _OPACITY) * picture
    return np.where(known[..., None], mixed, picture).round().astype(np.uint8)


def _text(labels: Array, confidence: Array | None, classes: ClassSet) -> tuple[str, bool]:
    counts = np.bincount(labels[labels < len(classes)].ravel(), minlength=len(classes))
    if not counts.any():
        return "The source predicts no target class in this image", True
    order = [int(place) for place in np.argsort(-counts) if counts[place]]
    parts = [f"{classes.names[place]} {counts[place] / labels.size:.0%}" for place in order]
    text = listing(parts, 80)
    if confidence is None:
        return text, False
    mean = float(confidence.mean())
    guessed = mean < _GUESS / len(classes)
    advice = ", hardly more than a guess; check the weights, the normalisation and the classes" if guessed else ""
    return f"{text}; mean confidence {mean:.2f}{advice}", guessed
