"""Target images, or tiles of them, with their pseudo-labels, as the training stages read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crots.arrays import Array
from crots.artefacts import CONFIDENCE, LABEL_IDS
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.crops import Window
from crots.data.datasets import Sample
from crots.data.tiles import TileSample, Tiling, cut_map, parts_of, place_of, read_sample
from crots.errors import InputError
from crots.images import image_size
from crots.label_files import as_confidence, read_grey, read_labels, resize_labels
from crots.methods.patches import drop_unsure
from crots.taxonomy import ClassSet, label_dtype


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels on disk, by image key.

    Attributes:
        labels: folder of label PNGs.
        confidence: folder of confidence PNGs, None if the source gave none.
        classes: class set of the labels.
        corrections: folder of label PNGs that the user repainted; they replace the others.
        cache: keeps decoded maps, where parts of large ones are read; None decodes them each time.
    """

    labels: Path
    confidence: Path | None
    classes: ClassSet
    corrections: Path | None = None
    cache: ImageCache | None = None

    @staticmethod
    def below(folder: Path, classes: ClassSet, corrections: Path | None = None) -> PseudoLabels:
        """The result of the ``pseudo-label`` stage in ``folder``."""
        confidence = folder / CONFIDENCE
        return PseudoLabels(folder / LABEL_IDS, confidence if confidence.is_dir() else None, classes, corrections)

    @property
    def corrected(self) -> bool:
        """Whether the user repainted any of them."""
        return bool(self.corrections and any(self.corrections.rglob("*.png")))

    def label_path(self, key: str) -> Path:
        """Returns the file of an image's labels as the source gave them."""
        return self.labels / f"{key}.png"

    def confidence_path(self, key: str) -> Path:
        """Returns the file of an image's confidence, where the source gave one."""
        assert self.confidence is not None
        return self.confidence / f"{key}.png"

    def read(self, key: str, *, min_confidence: float | Array = 0.0, window: Window | None = None) -> Array:
        """Returns the (H, W) labels of an image, with ``ignore`` where confidence is too low.

        Args:
            key: of the image.
            min_confidence: least confidence of a label that is kept, or (K,) one for each class.
            window: the part of the image, ``ignore`` beyond it; None is the whole.

        Raises:
            InputError: ids that are not in the class set.
        """
        original = self.label_path(key)
        path = self._corrected_path(key) or original
        labels = self._ids(path)
        if path != original and labels.shape != tuple(reversed(image_size(original))):
            # Repainted before the working size changed.
            labels = resize_labels(labels, image_size(original))
        if window is not None and labels.ndim == 2:
            labels = cut_map(labels, window, self.classes.ignore)
        self._check(path, labels)
        if self.confidence is None or not np.any(min_confidence):
            return labels
        return drop_unsure(labels, self.read_confidence(key, window), min_confidence, self.classes.ignore)

    def read_confidence(self, key: str, window: Window | None = None) -> Array:
        """Returns the (H, W) confidence of an image or a part, float32 0..1; 1 if the source gave none."""
        if self.confidence is None:
            width, height = window[2:] if window is not None else image_size(self.label_path(key))
            return np.ones((height, width), np.float32)
        stored = self._map(self.confidence_path(key), read_grey)
        confidence = as_confidence(stored if window is None else cut_map(stored, window, 0))
        if (repainted := self.repainted(key, window)) is not None:
            # Corrections are certain.
            confidence = np.where(repainted, np.float32(1), confidence)
        return confidence

    def repainted(self, key: str, window: Window | None = None) -> Array | None:
        """Returns where the user changed the labels of an image or a part, (H, W) bool; None if nowhere."""
        if self._corrected_path(key) is None:
            return None
        before = self._ids(self.label_path(key))
        before = before if window is None else cut_map(before, window, self.classes.ignore)
        changed: Array = self.read(key, window=window) != before
        return changed

    def _ids(self, path: Path) -> Array:
        # In a class set of 16 bits, the ids of one image may fit into 8, which cannot hold ignore.
        labels = self._map(path, read_labels)
        return np.asarray(labels, np.promote_types(labels.dtype, label_dtype(self.classes)))

    def _map(self, path: Path, read: Callable[[Path], Array]) -> Array:
        return read(path) if self.cache is None else self.cache.map_of(path, read)

    def _corrected_path(self, key: str) -> Path | None:
        path = self.corrections / f"{key}.png" if self.corrections else None
        return path if path and path.exists() else None

    def _check(self, path: Path, labels: Array) -> None:
        if labels.ndim != 2:
            raise InputError(f"{path}: found a colour picture, expected 8- or 16-bit label ids; give the ids folder")
        wrong = labels[(labels >= len(self.classes)) & (labels != self.classes.ignore)]
        if wrong.size:
            raise InputError(
                f"{path}: found label id {int(wrong[0])}, expected 0 to {len(self.classes) - 1} or "
                f"{self.classes.ignore} (ignore); choose the class set these labels were made with"
            )


@dataclass(frozen=True)
class Material:
    """Target images at working size, with their pseudo-labels if a stage needs them.

    Attributes:
        samples: the images; or tiles of images (`tiled`), which training treats as images.
        cache: gives them.
        pseudo_labels: of the images.
        tiling: how the images are cut; None where they are whole.
    """

    samples: Sequence[Sample]
    cache: ImageCache
    pseudo_labels: PseudoLabels | None = None
    tiling: Tiling | None = None

    @property
    def size(self) -> Size | None:
        """The size of all images or tiles; None where images keep their own."""
        first = self.samples[0] if self.samples else None
        return Size(*first.window[2:]) if isinstance(first, TileSample) else self.cache.size

    def images(self, indices: Sequence[int]) -> Array:
        """Returns (N, H, W, 3) uint8."""
        return np.stack([read_sample(self.cache, self.samples[index]) for index in indices])

    def confidence(self, indices: Sequence[int]) -> Array:
        """Returns the confidence (N, H, W) of the pseudo-labels, float32 0..1."""
        assert self.pseudo_labels is not None, "this stage was given no pseudo-labels"
        places = [place_of(self.samples[index]) for index in indices]
        return np.stack([self.pseudo_labels.read_confidence(key, window) for key, window in places])

    def repainted(self, index: int) -> Array | None:
        """Returns where the user changed the labels, (H, W) bool; None if nowhere."""
        assert self.pseudo_labels is not None, "this stage was given no pseudo-labels"
        return self.pseudo_labels.repainted(*place_of(self.samples[index]))

    def labels(self, indices: Sequence[int], *, min_confidence: float | Array = 0.0) -> Array:
        """Returns (N, H, W) train ids."""
        assert self.pseudo_labels is not None, "this stage was given no pseudo-labels"
        size = self.size
        places = [place_of(self.samples[index]) for index in indices]
        maps = [self.pseudo_labels.read(key, min_confidence=min_confidence, window=window) for key, window in places]
        for index, labels in zip(indices, maps, strict=True):
            if size is not None and labels.shape != (size.height, size.width):
                raise InputError(
                    f"pseudo-labels of {self.samples[index].key} are {labels.shape[1]}x{labels.shape[0]} pixels, "
                    f"expected the working size {size}; set `data.size` to {labels.shape[1]}x{labels.shape[0]} or make "
                    "them again"
                )
        return np.stack(maps)

    def tiled(self, tiling: Tiling | None) -> Material:
        """Returns the tiles of these images in their place, which are cut from them when they are read.

        Args:
            tiling: how they are cut; None leaves the images whole.

        Raises:
            InputError: pseudo-labels have another size than their image.
        """
        if tiling is None:
            return self
        labels = self.pseudo_labels
        parts: list[TileSample] = []
        for sample in self.samples:
            size = image_size(sample.image)
            if labels is not None and (found := image_size(labels.label_path(sample.key))) != size:
                raise InputError(
                    f"pseudo-labels of {sample.key} are {found} pixels, expected the {size} of its image, which is cut "
                    "into tiles; make them again with the same `data.tile`",
                    field="data.tile",
                )
            parts += parts_of(sample, size, tiling)
        # Decoding a large map for each of its tiles would take longer than to train on the tile.
        kept = labels and dataclasses.replace(labels, cache=self.cache)
        return dataclasses.replace(self, samples=parts, pseudo_labels=kept, tiling=tiling)
