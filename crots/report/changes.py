"""Compares source and adapted model on some target images; needs and reads no label.

The source's predictions are on disk. The adapted model is run on these images, unless `crots suspects` has run it
already.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from crots.arrays import Array
from crots.artefacts import STUDENT
from crots.config import Size
from crots.data.datasets import Sample
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.execution.context import Context
from crots.images import resize_image
from crots.label_files import read_labels, resize_confidence, resize_labels
from crots.project import Project
from crots.records import read_json
from crots.report.facts import IMAGES, Changes, ClassChange, Picture
from crots.report.results import mapping, trained_keys
from crots.stages.suspects import FOLDER, INDEX
from crots.taxonomy import ClassSet
from crots.training.material import PseudoLabels

if TYPE_CHECKING:
    from crots.stages.workbench import Workbench

STAGE = "report"
_MOST_CHANGED = 3
_TYPICAL = 3
# Greatest width and height of a picture on the page, in pixels.
_WIDTH, _HEIGHT = 480, 360
_QUALITY = 82
_BINS = 256


class Compared(NamedTuple):
    """One image: its share of changed labels, and what is needed to show it."""

    sample: Sample
    changed: float
    photo: Array
    before: Array
    after: Array


class Counts:
    """Pixels by class and confidence, over images.

    Args:
        classes: how many.
    """

    def __init__(self, classes: int) -> None:
        self.before, self.after = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        # (K, bins): the source's pixels of a class by its confidence, all of them and those that keep their label.
        self._labelled = np.zeros((classes, _BINS), np.int64)
        self._same = np.zeros((classes, _BINS), np.int64)

    def add(self, before: Array, after: Array, confidence: Array) -> None:
        """Adds an image: labels (H, W) and the source's confidence (H, W) 0..1. Others than classes do not count."""
        classes = len(self.before)
        counts = before < classes
        old, new = before[counts].astype(np.int64), after[counts].astype(np.int64)
        places = old * _BINS + np.rint(confidence[counts].clip(0, 1) * (_BINS - 1)).astype(np.int64)
        self.before += np.bincount(old, minlength=classes)
        self.after += np.bincount(new[new < classes], minlength=classes)
        self._labelled += np.bincount(places, minlength=classes * _BINS).reshape(classes, _BINS)
        self._same += np.bincount(places[old == new], minlength=classes * _BINS).reshape(classes, _BINS)

    def kept(self, place: int) -> float | None:
        """Of the surer half of the source's pixels of a class, the share that keeps its label."""
        # From the surest down, up to the bin in which half of them is reached.
        labelled, same = np.cumsum(self._labelled[place, ::-1]), np.cumsum(self._same[place, ::-1])
        if not labelled[-1]:
            return None
        half = int(np.searchsorted(labelled, labelled[-1] / 2))
        return float(same[half] / labelled[half])

    def shares(self) -> tuple[Array, Array]:
        """Shares of the pixels, (K,) each: before and after."""
        return self.before / max(1, self.before.sum()), self.after / max(1, self.after.sum())


@dataclass
class Comparison:
    """Compares a project's adapted model with its source.

    Args:
        project: with pseudo-labels and at least one student.
        images: at most so many of the target's, evenly spread.
    """

    project: Project
    images: int = IMAGES
    found: Changes | None = field(default=None, init=False)

    def run(self, context: Context) -> Iterator[int]:
        """Compares the images, yields how many are done, and leaves the result in `found`.

        Raises:
            InputError: there is no student, or it does not fit.
        """
        from crots.stages.workbench import Workbench

        keys = trained_keys(self.project)
        if not keys:
            raise InputError("no student is trained yet, so that there is nothing to compare the source with")
        bench = Workbench(self.project.config, self.project.folder, self.project.cache_folder, STAGE)
        labels = PseudoLabels.below(self.project.stage_folder("pseudo-label"), bench.classes)
        samples = evenly([sample for sample in bench.dataset.samples if _labelled(labels, sample)], self.images)
        if not samples:
            raise InputError(f"{labels.labels}: no pseudo-labels of the target's images there any more")
        predict = _Student(self.project, bench, keys[-1])
        counts, compared = Counts(len(bench.classes)), list[Compared]()
        for done, sample in enumerate(samples, 1):
            context.control.check()
            compared.append(_compare(sample, labels, predict, bench, counts))
            yield done
        found = _changes(keys[-1], compared, counts, bench.classes, sure=labels.confidence is not None)
        averages = self.project.config.source.predictions is None and self.project.config.pseudo_label.flip
        self.found = dataclasses.replace(found, mirrored=averages)


def evenly(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Returns at most so many of the images, evenly spread."""
    return [samples[place] for place in evenly_spread(len(samples), most)]


def _labelled(labels: PseudoLabels, sample: Sample) -> bool:
    return (labels.labels / f"{sample.key}.png").is_file()


class _Student:
    """Labels images as the student of a stage does; from disk where its labels lie there already."""

    def __init__(self, project: Project, bench: Workbench, key: str) -> None:
        self._bench, self._folder = bench, project.stage_folder(key)
        self._known = _known(project, key)
        self._compare: Callable[[Array], Any] | None = None

    def __call__(self, sample: Sample, image: Array) -> Array:
        kept = self._known / f"{sample.key}.png" if self._known else None
        if kept and kept.is_file():
            return read_labels(kept)
        if self._compare is None:
            # torch is loaded only now.
            from crots.stages.suspects import opinions

            self._compare = opinions(self._bench, self._folder)
        found: Array = self._compare(image).labels
        return found


def _known(project: Project, key: str) -> Path | None:
    """Where `crots suspects` stored this very student's labels of every image; None where it did not."""
    folder, student = project.folder / FOLDER, project.stage_folder(key) / STUDENT
    if mapping(read_json(folder / INDEX)).get("student") != key or not student.is_file():
        return None
    newer = (folder / INDEX).stat().st_mtime_ns > student.stat().st_mtime_ns
    return folder / "student" if newer else None


def _compare(sample: Sample, labels: PseudoLabels, predict: _Student, bench: Workbench, counts: Counts) -> Compared:
    image = np.asarray(bench.cache.get(sample.image))
    after = predict(sample, image)
    size = Size(after.shape[1], after.shape[0])
    # Labels of another working size are compared at that of the student.
    before = resize_labels(labels.read(sample.key), size)
    confidence = resize_confidence(labels.read_confidence(sample.key), size)
    counts.add(before, after, confidence)
    labelled = before != bench.classes.ignore
    changed = float((before != after)[labelled].mean()) if labelled.any() else 0.0
    small = fitting(size)
    return Compared(
        sample, changed, resize_image(image, small), resize_labels(before, small), resize_labels(after, small)
    )


def fitting(size: Size) -> Size:
    """Returns the size of a picture on the page; small ones stay as they are."""
    factor = min(1.0, _WIDTH / size.width, _HEIGHT / size.height)
    return Size(max(1, round(size.width * factor)), max(1, round(size.height * factor)))


def _changes(key: str, compared: Sequence[Compared], counts: Counts, classes: ClassSet, *, sure: bool) -> Changes:
    ranked = sorted(compared, key=lambda row: (-row.changed, row.sample.key))
    return Changes(
        model=key,
        images={row.sample.key: row.changed for row in ranked},
        classes=_class_changes(counts, classes),
        sure=sure,
        pictures=tuple(_picture(row, classes, kind) for row, kind in chosen(ranked)),
    )


def _class_changes(counts: Counts, classes: ClassSet) -> tuple[ClassChange, ...]:
    import torch

    from crots.methods.scores import collapsed_classes

    before, after = counts.shares()
    lost = collapsed_classes(torch.from_numpy(before), torch.from_numpy(after))
    return tuple(
        ClassChange(name, float(before[place]), float(after[place]), counts.kept(place), place in lost)
        for place, name in enumerate(classes.names)
        if before[place] or after[place]
    )


Kind = Literal["most changed", "typical"]


def chosen(ranked: Sequence[Compared]) -> list[tuple[Compared, Kind]]:
    """Returns the images to show: those that changed most, and those nearest to the median.

    Args:
        ranked: the most changed first.
    """
    most, rest = list(ranked[:_MOST_CHANGED]), list(ranked[_MOST_CHANGED:])
    middle = ranked[len(ranked) // 2].changed if ranked else 0.0
    typical = sorted(rest, key=lambda row: (abs(row.changed - middle), row.sample.key))[:_TYPICAL]
    return [*((row, "most changed") for row in most), *((row, "typical") for row in typical)]


def _picture(row: Compared, classes: ClassSet, kind: Kind) -> Picture:
    photo = io.BytesIO()
    Image.fromarray(row.photo).save(photo, format="JPEG", quality=_QUALITY)
    before, after = _coloured(row.before, classes), _coloured(row.after, classes)
    return Picture(row.sample.key, row.changed, kind, photo.getvalue(), before, after)


def _coloured(labels: Array, classes: ClassSet) -> bytes:
    """Labels (H, W) in their colours as a PNG: with a palette, which is small, where there are few classes."""
    if classes.ignore == 255:
        image = Image.fromarray(np.ascontiguousarray(labels.astype(np.uint8)))
        image.putpalette(classes.palette_array().tobytes())
    else:
        image = Image.fromarray(classes.colours(labels))
    found = io.BytesIO()
    image.save(found, format="PNG", optimize=True)
    return found.getvalue()
