"""Target images with their pseudo-labels, as the training stages read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crots.artefacts import CONFIDENCE, LABEL_IDS
from crots.data.cache import ImageCache
from crots.data.layouts import Sample
from crots.errors import InputError
from crots.images import image_size, read_confidence, read_labels, resize_labels
from crots.methods.patches import drop_unsure
from crots.taxonomy import ClassSet

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels on disk, by image key.

    Attributes:
        labels: folder of label PNGs.
        confidence: folder of confidence PNGs, None if the source gave none.
        classes: class set of the labels.
        corrections: folder of label PNGs that the user repainted; they replace the others.
    """

    labels: Path
    confidence: Path | None
    classes: ClassSet
    corrections: Path | None = None

    @staticmethod
    def below(folder: Path, classes: ClassSet, corrections: Path | None = None) -> PseudoLabels:
        """The result of the ``pseudo-label`` stage in ``folder``."""
        confidence = folder / CONFIDENCE
        return PseudoLabels(folder / LABEL_IDS, confidence if confidence.is_dir() else None, classes, corrections)

    @property
    def corrected(self) -> bool:
        """Whether the user repainted any of them."""
        return bool(self.corrections and any(self.corrections.rglob("*.png")))

    def read(self, key: str, *, min_confidence: float | Array = 0.0) -> Array:
        """Returns the (H, W) labels of an image, with ``ignore`` where confidence is too low.

        Args:
            key: of the image.
            min_confidence: least confidence of a label that is kept, or (K,) one for each class.

        Raises:
            InputError: ids that are not in the class set.
        """
        original = self.labels / f"{key}.png"
        path = self._corrected_path(key) or original
        labels = read_labels(path)
        self._check(path, labels)
        if path != original and labels.shape != tuple(reversed(image_size(original))):
            # Repainted before the working size changed.
            labels = resize_labels(labels, image_size(original))
        if self.confidence is None or not np.any(min_confidence):
            return labels
        return drop_unsure(labels, self.read_confidence(key), min_confidence, self.classes.ignore)

    def read_confidence(self, key: str) -> Array:
        """Returns the (H, W) confidence of an image, float32 0..1; 1 if the source gave none."""
        if self.confidence is None:
            width, height = image_size(self.labels / f"{key}.png")
            return np.ones((height, width), np.float32)
        confidence = read_confidence(self.confidence / f"{key}.png")
        if (repainted := self.repainted(key)) is not None:
            # Corrections are certain.
            confidence = np.where(repainted, np.float32(1), confidence)
        return confidence

    def repainted(self, key: str) -> Array | None:
        """Returns where the user changed the labels of an image, (H, W) bool; None if nowhere."""
        if self._corrected_path(key) is None:
            return None
        changed: Array = self.read(key) != read_labels(self.labels / f"{key}.png")
        return changed

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
    """Target images at working size, with their pseudo-labels if a stage needs them."""

    samples: Sequence[Sample]
    cache: ImageCache
    pseudo_labels: PseudoLabels | None = None

    def images(self, indices: Sequence[int]) -> Array:
        """Returns (N, H, W, 3) uint8."""
        return np.stack([self.cache.get(self.samples[index].image) for index in indices])

    def confidence(self, indices: Sequence[int]) -> Array:
        """Returns the confidence (N, H, W) of the pseudo-labels, float32 0..1."""
        assert self.pseudo_labels is not None, "this stage was given no pseudo-labels"
        return np.stack([self.pseudo_labels.read_confidence(self.samples[index].key) for index in indices])

    def labels(self, indices: Sequence[int], *, min_confidence: float | Array = 0.0) -> Array:
        """Returns (N, H, W) train ids."""
        assert self.pseudo_labels is not None, "this stage was given no pseudo-labels"
        size = self.cache.size
        maps = [self.pseudo_labels.read(self.samples[index].key, min_confidence=min_confidence) for index in indices]
        for index, labels in zip(indices, maps, strict=True):
            if labels.shape != (size.height, size.width):
                raise InputError(
                    f"pseudo-labels of {self.samples[index].key} are {labels.shape[1]}x{labels.shape[0]} pixels, "
                    f"expected the working size {size}; set `data.size` to {labels.shape[1]}x{labels.shape[0]} or make "
                    "them again"
                )
        return np.stack(maps)
