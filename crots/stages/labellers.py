"""The labellers of target images: a network, or existing predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from crots.arrays import Array
from crots.class_maps import ClassMap
from crots.config import Size
from crots.data.datasets import Sample
from crots.data.predictions import PredictionSet
from crots.data.spread import statistics_groups
from crots.execution.engine import Engine
from crots.images import image_size
from crots.label_files import resize_labels
from crots.methods.batch_norm import Statistics, batch_norms, read_statistics, set_statistics, take_statistics
from crots.methods.pseudo import Merged, Predicted, entropy_of_probabilities, merge_classes, predictions
from crots.nets.model import Model
from crots.nets.source import NetworkSource, Source
from crots.options import PseudoLabelOptions
from crots.training.tiled import Tiles, fill

# Gives the predicted train ids (H, W) of each sample at the size of its labels.
Predict = Callable[[Sequence[Sample], Sequence[Size]], list[Array]]


# Of the target's statistics, in the three predictions that a labeller with mixed statistics averages. On photographs
# of another country 0.3 to 0.5 was best and 1 lost 3.5 points, on the rendered demonstration 1 was best; the mean of
# all three was within a point of the best on both.
MIXED_SHARES = (0.0, 0.5, 1.0)


class Labelled(NamedTuple):
    """Labels of one image in the target's classes.

    Attributes:
        labels: (H, W) train ids or ``ignore``.
        confidence: (H, W) float32 0..1, or None if the source gives none.
        entropy: mean of the pixels, in nats.
    """

    labels: Array
    confidence: Array | None
    entropy: float


class Labeller(Protocol):
    """Labels images of the target at working size, or at their own where they are cut into tiles."""

    def label(self, samples: Sequence[Sample], images: Array | None) -> list[Labelled]:
        """Labels images (N, H, W, 3) uint8; None where they are not needed (``needs_images``)."""
        ...

    @property
    def needs_images(self) -> bool:
        """Whether `label` reads the images."""
        ...

    def prepare(self, batches: Iterable[Array]) -> bool:
        """Adapts to the target before labelling, on images (N, H, W, 3) uint8; False if there is nothing to do."""
        ...


class PredictedLabels:
    """Predictions on disk, matched to the images beforehand.

    Args:
        predictions: of the images.
        size: working size of the labels; None gives them their images' own.
    """

    needs_images = False

    def __init__(self, predictions: PredictionSet, size: Size | None) -> None:
        self._predictions, self._size = predictions, size
        self._sure = predictions.soft or bool(predictions.confidences)

    def prepare(self, batches: Iterable[Array]) -> bool:
        """Does nothing."""
        return False

    def label(self, samples: Sequence[Sample], images: Array | None) -> list[Labelled]:
        """Reads the predictions of the samples at working size."""
        sizes = [image_size(sample.image) for sample in samples]
        read = (
            self._predictions.read(sample.key, self._size or size, of=size, stretched=self._size)
            for sample, size in zip(samples, sizes, strict=True)
        )
        return [Labelled(one.labels, one.confidence if self._sure else None, one.entropy) for one in read]


class NetworkLabels:
    """A source model that runs: white box, ONNX file or exported program.

    Args:
        source: the model.
        class_map: joins its classes to the target's.
        engine: device and precision.
        options: of the stage.
        tiles: images are larger than what the source sees at once; None where they are not.
    """

    needs_images = True

    def __init__(
        self,
        source: Source,
        class_map: ClassMap,
        engine: Engine,
        options: PseudoLabelOptions,
        tiles: Tiles | None = None,
    ) -> None:
        self.source, self._map, self._engine, self._options = source, class_map, engine, options
        self._tiles = tiles
        self._folded = False
        self._mixed: tuple[Statistics, Statistics] | None = None
        self._matrix = torch.from_numpy(class_map.matrix())
        source_names, target_names = class_map.source.names, class_map.target.names
        self._same = source_names == target_names

    def prepare(self, batches: Iterable[Array]) -> bool:
        """Takes batch-norm statistics from the target if the options say so and the source has batch norm."""
        source = self.source
        if (
            self._options.batch_norm == "source"
            or not isinstance(source, NetworkSource)
            or not batch_norms(source.model)
        ):
            return False
        own = read_statistics(source.model)
        with self._engine.autocast():
            take_statistics(source.model, map(self._engine.images, batches), source.logits)
        if self._options.batch_norm == "mixed":
            self._mixed = (own, read_statistics(source.model))
        return True

    def label(self, samples: Sequence[Sample], images: Array | None) -> list[Labelled]:
        """Labels images (N, H, W, 3) uint8 with one forward pass, and one more of the mirror images where asked."""
        assert images is not None
        self._fold()
        if self._tiles:
            return [self._label_large(self._tiles, image) for image in images]
        batch = self._engine.images(images)
        if self.source.output == "labels":
            return [Labelled(labels, None, 0.0) for labels in self._hard(batch)]
        with torch.inference_mode():
            size = Size(batch.shape[-1], batch.shape[-2])
            predicted = self._merged(self._logits(batch, size))
        columns = zip(
            predicted.labels.cpu().numpy(), predicted.confidence.cpu().numpy(), predicted.entropy.tolist(), strict=True
        )
        return [Labelled(labels.astype(self._dtype), confidence, entropy) for labels, confidence, entropy in columns]

    def _label_large(self, tiles: Tiles, image: Array) -> Labelled:
        """Labels an image (H, W, 3) tile by tile."""
        labels = np.empty(image.shape[:2], self._dtype)
        if self.source.output == "labels":
            for window, block in tiles.blocks(image, self._hard_planes, taper=False):
                fill(labels, window, block[0])
            return Labelled(labels, None, 0.0)
        confidence, entropies = np.empty(image.shape[:2], np.float32), 0.0
        for window, block in tiles.blocks(image, self._tile_logits):
            predicted = self._merged(block[None])
            fill(labels, window, predicted.labels[0])
            fill(confidence, window, predicted.confidence[0])
            entropies += float(predicted.entropy[0]) * window.width * window.height
        return Labelled(labels, confidence, entropies / labels.size)

    @torch.inference_mode()
    def _tile_logits(self, batch: Tensor) -> Tensor:
        return self._logits(batch, Size(batch.shape[-1], batch.shape[-2]))

    def _hard_planes(self, batch: Tensor) -> Tensor:
        return torch.from_numpy(np.stack(self._hard(batch)).astype(np.int32))[:, None]

    def _fold(self) -> None:
        """Folds batch norm before the first images are labelled, its statistics being final then."""
        # In fp32 it gains nothing with large networks, and labels stay what they were to the bit.
        final = self._mixed is None and isinstance(self.source, NetworkSource)
        if not self._folded and self._engine.precision != "fp32" and final:
            cast(NetworkSource, self.source).fold()
        self._folded = True

    def predict_with(self, read: Callable[[Sample], Array]) -> Predict:
        """Returns a function that labels samples at given sizes, for scoring the source.

        Args:
            read: gives an image at working size, or at its own where it is cut into tiles.
        """

        def predict(samples: Sequence[Sample], sizes: Sequence[Size]) -> list[Array]:
            if self._tiles:
                return [self._label_large(self._tiles, read(sample)).labels for sample in samples]
            batch = self._engine.images(np.stack([read(sample) for sample in samples]))
            if self.source.output == "labels":
                return [resize_labels(ids, size) for ids, size in zip(self._hard(batch), sizes, strict=True)]
            with torch.inference_mode():
                views = self._views(batch)
                return [
                    self._merged_labels(self._joined([view[index : index + 1] for view in views], size))[0]
                    .cpu()
                    .numpy()
                    for index, size in enumerate(sizes)
                ]

        return predict

    @property
    def _dtype(self) -> type[np.generic]:
        return np.uint8 if self._map.target.ignore == 255 else np.uint16

    def _logits(self, batch: Tensor, size: Size) -> Tensor:
        """Logits with the statistics that were prepared; those of a mean prediction are its logarithm."""
        if self._mixed is None:
            return self._joined(self._views(batch), size)
        mean: Tensor | None = None
        for share in MIXED_SHARES:
            set_statistics(cast(NetworkSource, self.source).model, *self._mixed, share)
            probabilities = torch.softmax(self._joined(self._views(batch), size), dim=1)
            mean = probabilities if mean is None else mean + probabilities
        assert mean is not None
        return (mean / len(MIXED_SHARES)).clamp_min(torch.finfo(torch.float32).tiny).log()

    def _views(self, batch: Tensor) -> list[Tensor]:
        with self._engine.autocast():
            return self.source.views(batch, flip=self._options.flip)

    def _joined(self, views: Sequence[Tensor], size: Size) -> Tensor:
        return self.source.resized(views, size, self._options.flip_merge)

    def _merged(self, logits: Tensor) -> Predicted:
        """Labels, confidence and entropy in the target's classes."""
        if self._same:
            return predictions(logits)
        merged = self._merge(logits)
        return Predicted(merged.labels, merged.confidence, entropy_of_probabilities(merged.probabilities))

    def _merged_labels(self, logits: Tensor) -> Tensor:
        """The labels of `_merged` alone, which cost less."""
        return logits.max(dim=1).indices if self._same else self._merge(logits).labels

    def _merge(self, logits: Tensor) -> Merged:
        return merge_classes(torch.softmax(logits.float(), dim=1), self._matrix, self._map.target.ignore)

    def _hard(self, batch: Tensor) -> list[Array]:
        maps = self.source.labels(batch).cpu().numpy()
        return [self._map.remap(ids).astype(self._dtype) for ids in maps]


def take_target_statistics(
    model: Model, read: Callable[[Sequence[int]], Array], count: int, engine: Engine, check: Callable[[], None]
) -> int:
    """Gives a model the batch-norm statistics of a target; returns the number of images that they come from.

    Args:
        model: on the engine's device; left in eval mode.
        read: gives images (N, H, W, 3) uint8.
        count: of the target's images.
        engine: device and precision.
        check: raises `Stopped` if the user stopped the run.
    """
    groups = statistics_groups(count)

    def batches() -> Iterable[Tensor]:
        for group in groups:
            check()
            yield engine.images(read(group))

    if groups:
        with engine.autocast():
            take_statistics(model, batches(), model)
    return sum(map(len, groups))
