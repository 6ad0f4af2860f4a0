"""Labels renewed within a run: those of the moving average, fused with the source's by rank."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import torch

from crots.arrays import Array
from crots.artefacts import CONFIDENCE, LABEL_IDS
from crots.data.datasets import Sample
from crots.data.feed import prefetch, readers
from crots.data.tiles import cut_map, place_of
from crots.errors import InputError
from crots.execution.engine import Engine, evaluating
from crots.files import write_json
from crots.label_files import read_confidence, read_labels, write_confidence, write_labels
from crots.methods.pseudo import likeliest
from crots.methods.selection import LEVELS, confidence_histogram, fuse_by_rank, rank_table, ranks
from crots.nets.model import Model
from crots.records import read_as
from crots.training.loop import REFRESHED
from crots.training.material import Material
from crots.training.tiled import Tiles, logits_of

Table = npt.NDArray[np.float32]
_TABLE = "ranks.json"


class _Table(TypedDict):
    ranks: list[list[float]]
    undone: NotRequired[str]


@dataclass(frozen=True)
class Refreshed:
    """A set of labels on disk, predicted by the moving average.

    Attributes:
        folder: has ``label_ids``, ``confidence`` and, when it is complete, the ranks of confidence.
        undone: why they are not used; empty if they are.
        table: (K, LEVELS) rank of each confidence level within its class.
    """

    folder: Path
    table: Table
    undone: str = ""

    @staticmethod
    def open(folder: Path) -> Refreshed | None:
        """Returns the set; None if it is incomplete."""
        try:
            found = read_as(folder / _TABLE, _Table)
        except InputError:
            # A truncated file; the labels exist, and the table is quickly rebuilt.
            return None
        if not found:
            return None
        return Refreshed(folder, np.asarray(found["ranks"], np.float32), found.get("undone", ""))

    def undo(self, reason: str) -> None:
        """Notes that these labels are not to be learnt, now or when the run is resumed."""
        _write_table(self.folder, self.table, undone=reason)

    def fused(self, key: str, source: Array, source_rank: Table, certain: Array | None, ignore: int) -> Array:
        """Fuses the labels of an image with the source's (`fuse_by_rank`).

        Args:
            key: of the image.
            source: (H, W) labels of the source, with the user's corrections.
            source_rank: (H, W).
            certain: (H, W) bool, where the user corrected the labels, which are kept; None if nowhere.
            ignore: of the class set.
        """
        labels = read_labels(self.folder / LABEL_IDS / f"{key}.png")
        confidence = read_confidence(self.folder / CONFIDENCE / f"{key}.png")
        fused = fuse_by_rank(source, source_rank, labels, ranks(labels, confidence, self.table), ignore)
        return fused if certain is None else np.where(certain, source, fused)


def refreshed_folder(stage_folder: Path, number: int) -> Path:
    """Where the labels of a refresh are."""
    return stage_folder / REFRESHED / str(number)


def make_refreshed(
    model: Model, material: Material, engine: Engine, folder: Path, check: Callable[[], None]
) -> Refreshed:
    """Labels every image with one flipped pass and writes the labels; existing ones are kept.

    Images that are cut into tiles are labelled whole, as their pseudo-labels were, and the labels cut into tiles.

    Args:
        model: the moving average, in the state in which an interrupted refresh began.
        material: the images; several workers share them.
        engine: device and precision.
        folder: gets the set.
        check: raises `Stopped` if the user stopped the run.
    """
    workers, classes = engine.workers, len(model.classes)
    samples = material.samples
    parts = _parts(material, engine)
    pixels = np.zeros((classes, LEVELS), np.int64)

    def load(part: Sequence[int]) -> Array | None:
        done = all((folder / CONFIDENCE / f"{samples[place].key}.png").exists() for place in part)
        if done:
            return None
        return material.cache.get(samples[part[0]].image) if material.tiling else material.images(part)

    def at(part: Sequence[int]) -> list[Sample]:
        return [samples[place] for place in part]

    with evaluating(model):
        for part, images in zip(parts, prefetch(parts, load, workers=1, depth=2), strict=True):
            check()
            if images is not None and material.tiling:
                _label_tiles(model, Tiles(material.tiling, engine, engine.batch(0)), images, at(part), folder)
            elif images is not None:
                _label(model, engine, images, at(part), folder)
            for place in part:
                pixels += _histogram(folder, samples[place], classes)
    total = sum(workers.gathered(pixels), np.zeros_like(pixels))
    table = rank_table(total)
    workers.from_first(lambda: _write_table(folder, table))
    found = Refreshed.open(folder)
    assert found is not None
    return found


def _parts(material: Material, engine: Engine) -> list[list[int]]:
    """The places of the samples that this worker labels, in the parts in which it does: batches, or an image's tiles.

    As many parts for each worker, since all of them take part in every check.
    """
    places = range(len(material.samples))
    if material.tiling:
        images = itertools.groupby(places, lambda place: place_of(material.samples[place])[0])
        return [part or [] for part in engine.workers.dealt([list(tiles) for _, tiles in images])]
    return engine.workers.dealt_batches(places, engine.batch(0))


def _write_table(folder: Path, table: Table, *, undone: str = "") -> None:
    write_json(folder / _TABLE, {"ranks": table.astype(float).round(6).tolist(), "undone": undone})


@torch.inference_mode()
def _label(model: Model, engine: Engine, images: Array, samples: Sequence[Sample], folder: Path) -> None:
    with engine.autocast():
        predicted = likeliest(model.flip_logits(engine.images(images)))
    for sample, labels, confidence in zip(
        samples, predicted.labels.cpu().numpy(), predicted.confidence.cpu().numpy(), strict=True
    ):
        _write(folder, sample.key, labels, confidence, model)


def _label_tiles(model: Model, tiles: Tiles, image: Array, samples: Sequence[Sample], folder: Path) -> None:
    """Labels an image (H, W, 3) whole, and writes the labels of each of its tiles."""
    labels, confidence = tiles.likeliest(image, logits_of(model, tiles.engine, flip=True))
    for sample in samples:
        _, window = place_of(sample)
        assert window is not None
        # Pixels beyond the image are ignored.
        part = cut_map(labels, window, model.classes.ignore)
        _write(folder, sample.key, part, cut_map(confidence, window, 0), model)


def _write(folder: Path, key: str, labels: Array, confidence: Array, model: Model) -> None:
    kind = np.uint8 if model.classes.ignore == 255 else np.uint16
    write_labels(folder / LABEL_IDS / f"{key}.png", labels.astype(kind))
    # Last, since this file marks the image as done for a resumed run.
    write_confidence(folder / CONFIDENCE / f"{key}.png", confidence)


def _histogram(folder: Path, sample: Sample, classes: int) -> npt.NDArray[np.int64]:
    labels = read_labels(folder / LABEL_IDS / f"{sample.key}.png")
    return confidence_histogram(labels, read_confidence(folder / CONFIDENCE / f"{sample.key}.png"), classes)


def source_histogram(material: Material, indices: Sequence[int], classes: int) -> npt.NDArray[np.int64]:
    """Counts the source's labels of some images by class and confidence, (K, LEVELS)."""

    def count(index: int) -> npt.NDArray[np.int64]:
        return confidence_histogram(material.labels([index]), material.confidence([index]), classes)

    pixels: Any = np.zeros((classes, LEVELS), np.int64)
    for counted in prefetch(indices, count, workers=readers()):
        pixels += counted
    return np.asarray(pixels)
