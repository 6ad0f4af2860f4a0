"""What a model file must say of itself so that it can be used again: net, classes, normalisation, size."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from crots.config import Size


@dataclass(frozen=True)
class Normalisation:
    """How a network wants its input, from RGB in 0..255: reorder, subtract ``mean``, divide by ``scale``.

    ``mean`` and ``scale`` are in 0..255 units and in the network's own channel order.
    """

    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    scale: tuple[float, float, float] = (58.395, 57.12, 57.375)


IMAGENET = Normalisation()
# Means of the Caffe-style ImageNet models that AdaptSegNet and the published code start from.
CAFFE = Normalisation("bgr", (104.00698793, 116.66876762, 122.67891434), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class ModelCard:
    """Description of a model, JSON-able by `to_dict`.

    Attributes:
        net: registry name or ``package.module:factory``.
        classes: the class set as plain data (`crots.taxonomy.ClassSet.to_dict`).
        normalisation: what the network does to RGB 0..255 input.
        size: working size it was made for.
        output: what the file gives; the nets of this package give logits.
        note: where it came from, for people.
        oracle: target labels chose this checkpoint or one that it grew from.
    """

    net: str
    classes: dict[str, Any]
    normalisation: Normalisation
    size: Size
    output: Literal["logits", "probabilities", "labels"] = "logits"
    note: str = ""
    oracle: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {**dataclasses.asdict(self), "size": list(self.size)}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> ModelCard:
        """Reads what `to_dict` gave."""
        norm = values["normalisation"]
        normalisation = Normalisation(norm["channels"], tuple(norm["mean"]), tuple(norm["scale"]))
        return ModelCard(**{**values, "normalisation": normalisation, "size": Size(*values["size"])})
