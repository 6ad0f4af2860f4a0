"""Finds inputs that the user names: pseudo-labels with their confidence, labels without images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crots.artefacts import CONFIDENCE, LABEL_IDS, SKIPPED
from crots.config import Size
from crots.data.datasets import Dataset, Sample, label_files, no_labels, open_dataset
from crots.data.encodings import Encoding
from crots.data.folder_listing import keyed, list_labels
from crots.data.labels import resolve_encoding
from crots.data.matching import match
from crots.errors import InputError
from crots.execution.context import Context, Meter
from crots.images import image_size
from crots.records import read_object
from crots.stages.pseudo_label import read_all, unreadable
from crots.taxonomy import ClassSet
from crots.training.material import PseudoLabels

if TYPE_CHECKING:
    from crots.stages.workbench import Workbench

_NAME = "pseudo-label"


@dataclass(frozen=True)
class MatchedLabels(PseudoLabels):
    """Pseudo-labels with other file names than the images: the published layout's, or another program's.

    Attributes:
        label_files: by image key.
        confidence_files: by image key.
    """

    label_files: Mapping[str, Path] = field(default_factory=dict)
    confidence_files: Mapping[str, Path] = field(default_factory=dict)

    def label_path(self, key: str) -> Path:
        """As `PseudoLabels.label_path`."""
        return self.label_files[key]

    def confidence_path(self, key: str) -> Path:
        """As `PseudoLabels.confidence_path`."""
        return self.confidence_files[key]

    @property
    def size(self) -> Size:
        """Of the first label file, which is the working size."""
        return image_size(next(iter(self.label_files.values())))


def find_pseudo_labels(
    folder: Path, confidence: Path | None, dataset: Dataset, classes: ClassSet
) -> tuple[list[Sample], MatchedLabels]:
    """Finds the pseudo-labels of a data set's images.

    Args:
        folder: ``label_ids`` of `crots pseudo-label`, its parent, or any folder of label files.
        confidence: folder of their confidence; None takes ``confidence`` beside ``label_ids``, if there is one.
        dataset: the images.
        classes: what the labels mean.

    Returns:
        The images that have labels (those that the labelling left out as unreadable have none), and the labels.

    Raises:
        InputError: labels or confidence are missing.
    """
    labels = folder / LABEL_IDS if (folder / LABEL_IDS).is_dir() else folder
    skipped = read_object(_beside(labels) / SKIPPED, remedy="run crots pseudo-label again") or {}
    samples = [sample for sample in dataset.samples if sample.key not in skipped]
    keys = [sample.key for sample in samples]
    confidence = confidence or _confidence_beside(labels)
    files = _matched(labels, keys, _NAME)
    sure = _matched(confidence, keys, "confidence") if confidence else {}
    return samples, MatchedLabels(labels, confidence, classes, label_files=files, confidence_files=sure)


def _matched(folder: Path, keys: list[str], what: str) -> dict[str, Path]:
    files = keyed(folder, list_labels(folder))
    if not files:
        raise InputError(f"{folder}: found no {what} files, expected one PNG per image; pick another folder")
    return match(keys, files, what=what, folder=folder)


def _beside(labels: Path) -> Path:
    """The folder that ``label_ids`` is in, which may be given with its split."""
    return labels.parent.parent if labels.parent.name == LABEL_IDS else labels.parent


def _confidence_beside(labels: Path) -> Path | None:
    found = _beside(labels) / CONFIDENCE
    if labels.name != LABEL_IDS and labels.parent.name != LABEL_IDS:
        return None
    return found if found.is_dir() else None


def open_labels(
    images: Path | None, labels: Path | None, encoding: Encoding, classes: ClassSet, *, layout: str, split: str
) -> Dataset:
    """Opens images with their labels, or label files alone.

    Raises:
        InputError: nothing is named, or no labels are found.
    """
    if images is not None:
        dataset = open_dataset(images, layout=layout, split=split, labels=labels, encoding=encoding, classes=classes)
        if not dataset.labelled:
            why = dataset.why_unlabelled
            raise InputError(f"{dataset.root}: no labels found for its {len(dataset)} images{why}; give --labels DIR")
        return dataset
    if labels is None:
        raise InputError("no labels are named; give --labels DIR, or --images of a data set that has labels")
    root = labels.absolute()
    files, encoding = label_files(root, encoding, classes)
    if not files:
        raise InputError(no_labels(root))
    samples = tuple(Sample(key, path, path) for key, path in sorted(files.items()))
    return Dataset(root, "labels", "", samples, encoding)


def resolve_labels(dataset: Dataset, classes: ClassSet) -> Dataset:
    """Finds the encoding of labels for which ``--encoding`` is the flag; see `resolve_encoding`.

    Raises:
        InputError: as `resolve_encoding`.
    """
    try:
        found = resolve_encoding(dataset, classes)
    except InputError as error:
        raise InputError(_with_own_flag(str(error))) from None
    return replace(found, notes=tuple(replace(note, text=_with_own_flag(note.text)) for note in found.notes))


def _with_own_flag(text: str) -> str:
    # The flag of the option is about the labels of validation images.
    return text.replace("`data.val_encoding`", "--encoding")


def readable(dataset: Dataset, bench: Workbench, context: Context) -> Dataset:
    """Reads every image once, into the cache, so that no run breaks off at a broken one; notes what is left out.

    Raises:
        InputError: images cannot be read and ``data.skip_bad`` is off, or none can be read.
    """
    bad: dict[str, str] = {}
    # No event may come before the stage's start, so this shows no progress.
    for _ in read_all(dataset.samples, bench.cache, bad, context, Meter(context.stage, len(dataset))):
        pass
    if bad:
        bench.note(unreadable(bad, dataset, skip_bad=bench.config.data.skip_bad), warning=True)
    return replace(dataset, samples=tuple(sample for sample in dataset.samples if sample.key not in bad))
