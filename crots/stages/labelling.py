"""Who labels the target's images: a network, or predictions that somebody made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from crots.config import Size
from crots.data.layouts import Sample
from crots.data.predictions import PredictionSet
from crots.methods.pseudo import confident, entropy, entropy_of_probabilities, merge_classes
from crots.images import resize_labels
from crots.nets.source import Source
from crots.options import PseudoLabelOptions
from crots.stages.engine import Engine
from crots.taxonomy import ClassMap

Array = npt.NDArray[Any]


class Labelled(NamedTuple):
    """What is said of one image in the target's classes.

    Attributes:
        labels: (H, W) train ids or ``ignore``.
        confidence: (H, W) float32 0..1, or None where the source gives none.
        entropy: mean of the pixels, in nats.
    """

    labels: Array
    confidence: Array | None
    entropy: float


class Labeller(Protocol):
    """Labels images of the target at working size."""

    def label(self, samples: Sequence[Sample], images: Array | None) -> list[Labelled]:
        """Labels images (N, H, W, 3) uint8; None where they are not needed (``needs_images``)."""
        ...

    @property
    def needs_images(self) -> bool:
        """Whether `label` looks at the images."""
        ...


class PredictedLabels:
    """Predictions on disk, matched to the images beforehand."""

    needs_images = False

    def __init__(self, predictions: PredictionSet, size: Size) -> None:
        self._predictions, self._size = predictions, size

    def label(self, samples: Sequence[Sample], images: Array | None) -> list[Labelled]:
        """Reads the predictions of the samples at working size."""
        read = (self._predictions.read(sample.key, self._size) for sample in samples)
        return [Labelled(said.labels, said.confidence, said.entropy) for said in read]


class NetworkLabels:
    """A source model that runs: white box, ONNX file or exported program."""

    needs_images = True

    def __init__(self, source: Source, class_map: ClassMap, engine: Engine, options: PseudoLabelOptions) -> None:
        self._source, self._map, self._engine, self._options = source, class_map, engine, options
        self._matrix = torch.from_numpy(class_map.matrix())
        source_names, target_names = class_map.source.names, class_map.target.names
        self._same = source_names == target_names

    def label(self, samples: Sequence[Sample], images: Array | None) -> list[Labelled]:
        """Labels images (N, H, W, 3) uint8 with one forward pass, and one more of the mirror images where asked."""
        assert images is not None
        batch = self._engine.images(images)
        if self._source.output == "labels":
            return self._hard(batch)
        with torch.inference_mode():
            labels, confidence, entropies = self._soft(batch)
        return [
            Labelled(ids.astype(self._dtype), sure, float(value))
            for ids, sure, value in zip(labels.cpu().numpy(), confidence.cpu().numpy(), entropies.cpu(), strict=True)
        ]

    def predict_with(self, read: Callable[[Sample], Array]) -> Callable[[Sequence[Sample], Sequence[Size]], list[Array]]:
        """Returns a function that labels samples at given sizes, for scoring the source.

        Args:
            read: gives an image at working size.
        """

        def predict(samples: Sequence[Sample], sizes: Sequence[Size]) -> list[Array]:
            said = self.label(samples, np.stack([read(sample) for sample in samples]))
            return [resize_labels(row.labels, size) for row, size in zip(said, sizes, strict=True)]

        return predict

    @property
    def _dtype(self) -> type[np.generic]:
        return np.uint8 if self._map.target.ignore == 255 else np.uint16

    def _soft(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with self._engine.autocast():
            logits = self._source.flip_logits(batch, self._options.flip_merge) if self._options.flip else None
            logits = self._source.logits(batch) if logits is None else logits
        if self._same:
            labels, confidence = confident(logits)
            return labels, confidence, entropy(logits)
        merged = merge_classes(torch.softmax(logits.float(), dim=1), self._matrix, self._map.target.ignore)
        return merged.labels, merged.confidence, entropy_of_probabilities(merged.probabilities)

    def _hard(self, batch: Tensor) -> list[Labelled]:
        maps = self._source.labels(batch)
        return [Labelled(self._map.remap(ids).astype(self._dtype), None, 0.0) for ids in np.asarray(maps)]
