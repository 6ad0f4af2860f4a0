"""The validation images with their labels, for viewing only: nothing is trained on them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from crots.arrays import Array
from crots.config import Size
from crots.data.datasets import Dataset
from crots.data.labels import read_truth, resolve_encoding
from crots.label_files import resize_labels
from crots.opening import Inputs
from crots.project import Project
from crots.taxonomy import ClassSet
from crots_studio.models.label_list import LabelList, below, without_labels


@dataclass(frozen=True, eq=False)
class Validation:
    """What is listed, and where its labels are read from; ``classes`` are the target's."""

    listed: LabelList
    dataset: Dataset
    classes: ClassSet

    def truth(self, index: int, size: Size | None) -> Array:
        """Returns the labels (H, W) of an image of the list at a size; None keeps their own.

        Raises:
            InputError: the file is broken, or holds ids that are no class.
        """
        labels = read_truth(self.dataset.samples[index], self.dataset, self.classes)
        return labels if size is None else resize_labels(labels, size)


def read_validation(project: Project, classes: ClassSet) -> Validation | None:
    """Lists the labelled images; None where no folder is named, or none has labels.

    Raises:
        InputError: the folders do not fit together.
    """
    dataset = Inputs(project.config, project.folder).validation
    if dataset is None:
        return None
    samples = tuple(sample for sample in dataset.samples if sample.label is not None)
    dataset = resolve_encoding(dataset, classes)
    dataset = Dataset(dataset.root, dataset.layout, dataset.split, samples, dataset.encoding, dataset.notes)
    root = os.fspath(dataset.root)
    listed = without_labels(dataset.root, [below(os.fspath(sample.image), root) for sample in samples], complete=True)
    return Validation(listed, dataset, classes)


def wrong_pixels(truth: Array, predicted: Array, ignore: int) -> Array:
    """Returns the pixels (H, W) bool where a prediction differs from the labels."""
    wrong: Array = (truth != ignore) & (truth != predicted)
    return wrong


def share_right(truth: Array, predicted: Array, ignore: int) -> float:
    """Returns the share of labelled pixels, 0..1, where a prediction agrees with the labels."""
    counts = truth != ignore
    return float((truth == predicted)[counts].mean()) if truth.shape == predicted.shape and np.any(counts) else 0.0
