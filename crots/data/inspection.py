"""Inspects a folder, list file or prediction set: what it is, what it contains, and every problem in it.

This opens every file, label files too: it informs and changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.artefacts import LABEL_IDS
from crots.config import Size
from crots.data.datasets import Dataset, Sample, open_dataset
from crots.data.encodings import Encoding
from crots.data.feed import prefetch
from crots.data.folder_listing import list_files, list_labels
from crots.data.labels import decode, is_coloured, resolve_encoding
from crots.data.layouts import SPLITS
from crots.data.masks import MOST_IDS
from crots.data.matching import some
from crots.data.pixels import pixel_warnings
from crots.data.polygons import has_outlines, names_in
from crots.data.predictions import NO_CONFIDENCE, PredictionSet, glance, open_predictions
from crots.data.readings import AmbiguousLabels
from crots.data.score_arrays import read_array
from crots.data.sizes import propose_size
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.files import expanded
from crots.image_formats import IMAGE_SUFFIXES, is_lossy
from crots.images import is_turned_unseen, read_image
from crots.label_files import read_labels, read_stored
from crots.rendering import Rendering, use
from crots.stored_pixels import NoLabelIds
from crots.taxonomy import ClassSet, count_labels, unique_labels
from crots.text import plural

_AS_STORED = Rendering()
Watch = Callable[[int, int], None]
_CHECKED = 8


@dataclass(frozen=True)
class Inspection:
    """The result of `inspect`.

    Attributes:
        path: what was inspected.
        kind: ``data set``, ``label maps``, ``predictions`` or ``image``.
        summary: what it is, line by line.
        counts: how many of what: ``images``, ``labels``, ``predictions``, ``unreadable`` ...
        sizes: how many files of each size, ``480x360`` -> 101, commonest first.
        pixels: share of the labelled pixels by class name (or id), 0..1.
        problems: one line each, with the file's name; empty where all is well.
    """

    path: str
    kind: str
    summary: tuple[str, ...]
    counts: Mapping[str, int]
    sizes: Mapping[str, int]
    pixels: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return dataclasses.asdict(self)


@dataclass
class _Findings:
    """What adds up while files are inspected."""

    counts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[Size] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_labels(self, labels: NDArray[Any]) -> None:
        ids = unique_labels(labels)
        counts = count_labels(labels) if ids.min() >= 0 else np.array([])
        self.pixels.update({int(label): int(counts[label]) for label in ids if counts.size})

    def shares(self, classes: ClassSet | None) -> dict[str, float]:
        """Share by name; with a class set also of the classes that were never seen."""
        if classes is None:
            total = sum(self.pixels.values()) or 1
            return {str(label): self.pixels[label] / total for label in sorted(self.pixels)}
        total = sum(self.pixels[train] for train in range(len(classes))) or 1
        return {name: self.pixels[train] / total for train, name in enumerate(classes.names)}

    def result(self, path: Path, kind: str, summary: Sequence[str], classes: ClassSet | None) -> Inspection:
        sizes = {str(size): count for size, count in self.sizes.most_common()}
        shares = self.shares(classes) if self.pixels else {}
        lines = [*summary]
        if sizes:
            lines.append("sizes: " + some([f"{size} ({count})" for size, count in sizes.items()], 5))
        lines += _share_lines(shares, classes)
        return Inspection(str(path), kind, tuple(lines), dict(self.counts), sizes, shares, tuple(self.problems))


def _share_lines(shares: Mapping[str, float], classes: ClassSet | None) -> list[str]:
    if not shares:
        return []
    ranked = sorted(shares, key=lambda name: -shares[name])
    title = f"classes of {classes.name}" if classes is not None else "label ids"
    seen = [f"{name} {shares[name]:.1%}" for name in ranked if shares[name] > 0]
    unseen = [name for name in ranked if shares[name] == 0]
    return [f"{title}: " + some(seen, 40)] + ([f"never seen: {some(unseen, 40)}"] if unseen else [])


def inspect(
    path: Path | str,
    classes: ClassSet | None = None,
    *,
    labels: Path | str | None = None,
    confidence: Path | str | None = None,
    layout: str = "auto",
    split: str | None = None,
    encoding: Encoding = "auto",
    rendered: Rendering = _AS_STORED,
    workers: int = 2,
    watch: Watch | None = None,
) -> Inspection:
    """Inspects everything in a folder, list file, image or prediction set.

    For checkpoints see `crots.nets.weights`.

    Args:
        path: what the user picked.
        classes: the class set of its labels or predictions; without it ids are counted but not judged.
        labels: label files of the images, where they lie elsewhere.
        confidence: confidence maps of predictions.
        layout: as for `open_dataset`.
        split: one split; None inspects all that are there.
        encoding: how label files store classes.
        rendered: which bands of the images are read, and what is white.
        workers: threads that read files.
        watch: called with the number of files done and of all.

    Raises:
        InputError: there is nothing to inspect.
    """
    path = expanded(path).absolute()
    if path.is_dir() and labels is None and layout == "auto":
        if (path / LABEL_IDS).is_dir() or confidence is not None or _holds_arrays(path):
            return _predictions(path, confidence, classes, encoding, workers, watch)
        if _holds_label_maps(path):
            return _label_maps(path, classes, encoding, workers, watch)
    datasets = _datasets(path, labels, layout, split, encoding, classes)
    use((sample.image for dataset in datasets for sample in dataset.samples), rendered)
    return _dataset(path, datasets, classes, workers, watch)


def _holds_arrays(path: Path) -> bool:
    """Whether there are predictions that no picture could be: arrays. Beside images they may be anything."""
    return bool(list_files(path, {".npz"}) or (list_files(path, {".npy"}) and not list_files(path, IMAGE_SUFFIXES)))


def _holds_label_maps(path: Path) -> bool:
    """Whether there are label files alone: all sampled files hold few distinct values in one channel."""
    names = list_files(path, IMAGE_SUFFIXES)
    if not names or any(is_lossy(path / name) for name in names):
        return False
    readable = 0
    for place in evenly_spread(len(names), _CHECKED):
        try:
            labels = read_labels(path / names[place])
        except NoLabelIds:
            return False
        except InputError:
            continue
        readable += 1
        if labels.ndim != 2 or len(unique_labels(labels)) > MOST_IDS:
            return False
    return readable > 0


def _datasets(
    path: Path, labels: Path | str | None, layout: str, split: str | None, encoding: Encoding, classes: ClassSet | None
) -> list[Dataset]:
    """Opens the data set's splits, each once."""
    found: dict[tuple[Path, tuple[str, ...]], Dataset] = {}
    fault: InputError | None = None
    for name in SPLITS if split is None else (split,):
        try:
            dataset = open_dataset(
                path, layout=layout, split=name, labels=labels, encoding=encoding, classes=classes, partial=True
            )
        except InputError as error:
            fault = fault or error
            continue
        found.setdefault((dataset.root, dataset.keys), dataset)
    if not found and fault is not None:
        raise fault
    # A part of a release has no other splits: what lies there besides is no data set.
    known = [dataset for dataset in found.values() if dataset.layout != "folder"]
    return known or list(found.values())


def _dataset(
    path: Path, datasets: list[Dataset], classes: ClassSet | None, workers: int, watch: Watch | None
) -> Inspection:
    findings, summary, judged = _Findings(), list[str](), True
    total = sum(len(dataset) for dataset in datasets)
    for dataset in datasets:
        dataset, known = _resolved(dataset, classes, findings)
        classes = classes or known
        where = f", split {dataset.split}" if dataset.split else ""
        summary.append(
            f"{dataset.layout} layout{where}: {plural(len(dataset), 'image')}, {dataset.labelled} with labels"
        )
        summary += [note.line for note in dataset.notes if note.kind != "surplus labels"]
        findings.problems += [note.text for note in dataset.notes if note.kind == "surplus labels"]
        if 0 < dataset.labelled < len(dataset):
            lacking = [sample.key for sample in dataset.samples if sample.label is None]
            have = "1 image has" if len(lacking) == 1 else f"{len(lacking)} images have"
            findings.problems.append(f"{dataset.root}: {have} no label ({some(lacking)})")
        _inspect_samples(dataset, known, findings, workers, lambda: _report(watch, findings.counts["images"], total))
        judged = judged and known is not None
    if findings.sizes:
        summary.append(propose_size(list(findings.sizes.elements()))[1])
        images = [sample.image for dataset in datasets for sample in dataset.samples]
        warnings = [*findings.warnings, *(found.text for found in pixel_warnings(images))]
        summary += [f"warning: {text}" for text in warnings]
    kind = "image" if datasets[0].layout == "image" else "data set"
    return findings.result(path, kind, summary, classes if judged else None)


def _resolved(dataset: Dataset, classes: ClassSet | None, findings: _Findings) -> tuple[Dataset, ClassSet | None]:
    """Finds out how labels are read, and by which classes they can be judged."""
    if classes is None:
        classes = _named_classes(dataset)
    if classes is None:
        return dataset, None
    try:
        return resolve_encoding(dataset, classes), classes
    except AmbiguousLabels as error:
        findings.problems.append(str(error))
        return dataset, None
    except InputError:
        # Use the encoding that fits most files, so that the faulty files are listed one by one.
        return dataclasses.replace(dataset, encoding=_likeliest(dataset, classes)), classes


def _named_classes(dataset: Dataset) -> ClassSet | None:
    """The classes that labels name themselves."""
    labels = [sample.label for sample in dataset.samples if sample.label is not None]
    names = names_in(labels) if labels and has_outlines(labels[0]) else []
    return ClassSet.from_dict({"name": "the labels", "names": names}) if names else None


def _likeliest(dataset: Dataset, classes: ClassSet) -> Encoding:
    samples = [sample for sample in dataset.samples if sample.label is not None][:_CHECKED]
    encodings: tuple[Encoding, ...] = ("train", "raw", "colour", "mask")
    trials = [dataclasses.replace(dataset, encoding=encoding) for encoding in encodings]
    fitting = [sum(not _labels(sample, trial, classes)[1] for sample in samples) for trial in trials]
    if not any(fitting) and any(_coloured(sample) for sample in samples):
        return "colour"
    return encodings[fitting.index(max(fitting))]


def _coloured(sample: Sample) -> bool:
    try:
        return sample.label is not None and is_coloured(read_stored(sample.label))
    except InputError:
        return False


def _report(watch: Watch | None, done: int, total: int) -> None:
    if watch is not None:
        watch(done, total)


def _inspect_samples(
    dataset: Dataset, classes: ClassSet | None, findings: _Findings, workers: int, tick: Callable[[], None]
) -> None:
    turned: list[str] = []

    def load(sample: Sample) -> tuple[Size | None, NDArray[Any] | None, list[str]]:
        size, size_faults = _size(sample.image)
        labels, label_faults = _labels(sample, dataset, classes)
        if size is not None and labels is not None:
            if labels.shape[:2] != (size.height, size.width):
                label_faults.append(f"{sample.label}: is {labels.shape[1]}x{labels.shape[0]}, but its image is {size}")
            elif is_turned_unseen(sample.image):
                turned.append(sample.key)
        return size, labels, size_faults + label_faults

    for size, labels, faults in prefetch(dataset.samples, load, workers=workers):
        findings.counts["images"] += 1
        findings.problems += faults
        if size is None:
            findings.counts["unreadable"] += 1
        else:
            findings.sizes[size] += 1
        if labels is not None:
            findings.counts["labels"] += 1
            if labels.ndim == 2:
                findings.add_labels(labels)
        tick()
    if turned:
        findings.warnings.append(
            f"{len(turned)} labelled images ({some(sorted(turned))}) are turned or mirrored by their EXIF "
            "orientation, which their size does not show; it is followed here; look at one: labels have to be of the "
            "upright image"
        )


def _size(image: Path) -> tuple[Size | None, list[str]]:
    try:
        height, width, _ = read_image(image).shape
    except InputError as error:
        return None, [str(error)]
    return Size(width, height), []


def _labels(sample: Sample, dataset: Dataset, classes: ClassSet | None) -> tuple[NDArray[Any] | None, list[str]]:
    if sample.label is None:
        return None, []
    try:
        if classes is None:
            return read_labels(sample.label), []
        return decode(sample.label, dataset.encoding, classes), []
    except InputError as error:
        return None, [str(error)]


def _label_maps(
    path: Path, classes: ClassSet | None, encoding: Encoding, workers: int, watch: Watch | None
) -> Inspection:
    files = [path / name for name in list_labels(path)]
    samples = tuple(Sample(str(file.relative_to(path)), file, file) for file in files)
    findings = _Findings()
    dataset, classes = _resolved(Dataset(path, "folder", "", samples, encoding), classes, findings)
    for labels, more in prefetch(samples, lambda sample: _labels(sample, dataset, classes), workers=workers):
        findings.counts["files"] += 1
        findings.problems += more
        if labels is None:
            findings.counts["unreadable"] += 1
        else:
            findings.sizes[Size(labels.shape[1], labels.shape[0])] += 1
            if labels.ndim == 2:
                findings.add_labels(labels)
        _report(watch, findings.counts["files"], len(files))
    summary = [f"label maps or hard predictions: {len(files)} index images", *(note.line for note in dataset.notes)]
    return findings.result(path, "label maps", summary, classes)


def _predictions(
    path: Path,
    confidence: Path | str | None,
    classes: ClassSet | None,
    encoding: Encoding,
    workers: int,
    watch: Watch | None,
) -> Inspection:
    named = classes if classes is not None else _unnamed(path)
    found = open_predictions(path, confidence, named, encoding=encoding)
    findings, keys = _Findings(), sorted(found.files)
    found, notes = found.resolved()
    if found.confidence_folder is not None:
        found, keys = _with_confidence(found, keys, findings)
    trust = 0.0
    for labels, mean, fault in prefetch(keys, lambda key: _prediction(found, key), workers=workers):
        findings.counts["predictions"] += 1
        if labels is None:
            findings.counts["unreadable"] += 1
            findings.problems.append(fault)
        else:
            trust += mean
            findings.sizes[Size(labels.shape[1], labels.shape[0])] += 1
            findings.add_labels(labels)
        _report(watch, findings.counts["predictions"], len(keys))
    sort = "soft" if found.soft else "hard labels" + (" with confidence" if found.confidences else "")
    summary = [f"predictions: {len(keys)} images, {sort}", *(note.line for note in notes if classes is not None)]
    if findings.sizes and (found.soft or found.confidences):
        summary.append(f"mean confidence {trust / findings.sizes.total():.1%}")
    if classes is not None and not findings.problems:
        summary += [f"warning: {text}" for text in glance(found, {}).warnings if text != NO_CONFIDENCE]
    return findings.result(path, "predictions", summary, classes)


def _unnamed(path: Path) -> ClassSet:
    """A set of numbered classes for predictions whose classes are not given."""
    count, files = 255, list_files(path, {".npz", ".npy"})
    if files:
        array, _ = read_array(path / files[0])
        if array.ndim == 3 and array.dtype.kind == "f":
            # There are fewer classes than rows or columns.
            count = min(array.shape[0], array.shape[2])
        elif files[0].endswith(".npz"):
            count = 1
    return ClassSet.from_dict({"name": "unnamed", "names": [str(index) for index in range(count)]})


def _with_confidence(found: PredictionSet, keys: list[str], findings: _Findings) -> tuple[PredictionSet, list[str]]:
    try:
        return found.lookup(keys), keys
    except InputError as error:
        findings.problems.append(str(error))
        return dataclasses.replace(found, confidences={}), keys


def _prediction(found: PredictionSet, key: str) -> tuple[NDArray[Any] | None, float, str]:
    try:
        prediction = found.read(key, None)
    except InputError as error:
        return None, 0.0, str(error)
    return prediction.labels, float(prediction.confidence.mean()), ""
