"""A black-box source: a folder with the predictions of some model.

Hard predictions are index PNGs or ``.npy`` arrays of ids (H, W), with confidence PNGs beside them where known; soft
ones are ``.npz`` or ``.npy`` arrays of probabilities or logits, (C, H, W) or (H, W, C). Both come out in the target's
classes, at the working size.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.array_files import SUFFIX as ARRAY
from crots.artefacts import CONFIDENCE, LABEL_IDS
from crots.class_maps import ClassMap, UnknownIds, identity_map
from crots.config import Size
from crots.data.encodings import Encoding
from crots.data.folder_listing import key_of, keyed, list_labels, lossy_note
from crots.data.labels import decode, detect_encoding, is_coloured, read_ids
from crots.data.matching import label_ending, match, matched_names, some
from crots.data.readings import AmbiguousLabels, voids
from crots.data.score_arrays import ARCHIVE, is_soft_array, read_probabilities
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.events import Remark
from crots.files import expanded, files_below
from crots.images import image_size, is_turned
from crots.label_files import read_confidence, read_stored, resize_confidence, resize_labels
from crots.taxonomy import ClassSet, label_dtype

# Tolerance of the aspect ratio of a prediction at another resolution, which networks round to whole blocks.
_SQUEEZED = 0.05
# Files opened before a run: enough to notice a wrong kind, few enough for a network drive.
_CHECKED = 6
# The confidence of an 8-bit 1 and of an 8-bit 100.
_CUT, _PER_CENT = 1.01 / 255, 100.5 / 255
# By how much 255 times a confidence that was stored in 8 bits may differ from a whole number.
_WHOLE = 1e-3
# Share of the pixels that may have a confidence below chance, as where scores were rounded or added up.
_IMPOSSIBLE = 0.05
# How much larger or smaller than its image a prediction is that may be the image's with a margin.
_NEARLY = 1.2
NO_CONFIDENCE = "the predictions have no confidence: every pixel counts as certain"
# What warnings of one class everywhere say of it.
LEARNS_THE_SAME = "a student learns to do the same"


@dataclass(frozen=True)
class Prediction:
    """A source's prediction for one image, in target classes.

    Attributes:
        labels: (H, W) target ids or the target's ignore label.
        confidence: (H, W) float32, probability of that label; 0 where ignored.
        entropy: mean over the pixels, in nats.
        probabilities: (T, H, W) float32, for soft predictions; what the class map ignores is missing from the sum.
    """

    labels: NDArray[Any]
    confidence: NDArray[np.float32]
    entropy: float
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class PredictionSet:
    """A folder of predictions; `lookup` binds it to images, then `read` gives them one by one.

    Attributes:
        folder: where the predictions lie.
        soft: whether they are scores of every class.
        class_map: from the source's classes to the target's.
        files: key -> prediction file.
        confidences: key -> confidence file; empty where there are none.
        confidence_folder: where these lie.
        encoding: how hard predictions hold the source's classes; ``auto`` until `resolved` or `read` finds it.
    """

    folder: Path
    soft: bool
    class_map: ClassMap
    files: Mapping[str, Path]
    confidences: Mapping[str, Path] = field(default_factory=dict)
    confidence_folder: Path | None = None
    encoding: Encoding = "auto"

    def __len__(self) -> int:
        return len(self.files)

    def lookup(self, keys: Iterable[str], *, beside: Iterable[str] = ()) -> PredictionSet:
        """Returns the set with the files of these images only, under the images' keys.

        Args:
            keys: of the images.
            beside: keys of other images that have predictions here too; those are not taken for ones of ``keys``,
                however alike the names are.

        Raises:
            InputError: an image has no prediction or no confidence, or its name does not decide which.
        """
        keys = list(keys)
        others = sorted(set(beside) - set(keys))
        files = _match_beside(others, keys, self.files, "prediction", self.folder)
        confidences: dict[str, Path] = {}
        if (folder := self.confidence_folder) is not None:
            confidences = _match_beside(others, keys, self.confidences, "confidence map", folder)
        return dataclasses.replace(self, files=files, confidences=confidences)

    def name_notes(self) -> list[Remark]:
        """Shows by an example how predictions and confidence maps were found whose names differ from their images'."""
        parts = (matched_names(self.files, "prediction"), matched_names(self.confidences, "confidence map"))
        return [Remark(part, "names") for part in parts if part]

    def read(self, key: str, size: Size | None, *, of: Size | None = None, stretched: Size | None = None) -> Prediction:
        """Reads the prediction of an image.

        Args:
            key: one of those given to `lookup`, or the file's own.
            size: working size of the result; None keeps the file's.
            of: size of the image, upright, whose shape the prediction must have.
            stretched: a size of another shape that it may have as well, since images are resized to it.

        Raises:
            InputError: a broken file, ids or channels that are not the source's classes, another shape than the
                image's, or a confidence map of another size than its labels.
        """
        if self.soft:
            probabilities = read_probabilities(
                self.files[key], self.class_map, lambda found: _fits(found, of, stretched)
            )
            check_shape(self.files[key], _size_of(probabilities), of, stretched)
            return _soft(probabilities, self.class_map.target, size or _size_of(probabilities))
        labels = _hard_labels(self.files[key], self._encoding, self.class_map)
        check_shape(self.files[key], _size_of(labels), of, stretched)
        confidence = self._confidence(key, labels)
        size = size or _size_of(labels)
        return _hard(resize_labels(labels, size), resize_confidence(confidence, size), self.class_map.target)

    def resolved(self) -> tuple[PredictionSet, list[Remark]]:
        """Finds out how hard predictions hold the classes.

        Returns:
            The set with its encoding, and notes for the user. What fits in no way is left to `read`, which names
            the file.

        Raises:
            AmbiguousLabels: they fit the source's classes in two ways that differ.
        """
        if self.soft or self.encoding != "auto":
            return self, []
        try:
            encoding, notes = detect_encoding(list(self.files.values()), self.class_map.source, predictions=True)
        except AmbiguousLabels:
            raise
        except InputError:
            encoding, notes = "colour" if self._are_coloured() else "train", []
        return dataclasses.replace(self, encoding=encoding), notes

    def _are_coloured(self) -> bool:
        try:
            return is_coloured(read_stored(next(iter(self.files.values()))))
        except InputError:
            return False

    @cached_property
    def _encoding(self) -> Encoding:
        return self.resolved()[0].encoding

    def _confidence(self, key: str, labels: NDArray[Any]) -> NDArray[np.float32]:
        if key not in self.confidences:
            return np.ones(labels.shape, np.float32)
        path = self.confidences[key]
        confidence = read_confidence(path)
        if confidence.shape != labels.shape:
            raise InputError(
                f"{path}: is {confidence.shape[1]}x{confidence.shape[0]}, but the labels it belongs to are "
                f"{labels.shape[1]}x{labels.shape[0]}; both must have one size"
            )
        return confidence


def _match_beside(
    others: list[str], keys: list[str], files: Mapping[str, Path], what: str, folder: Path
) -> dict[str, Path]:
    """Matches images with the files that are not those of other images."""
    try:
        taken = set(match(others, files, what=what, folder=folder, partial=True).values()) if others else set()
    except InputError:  # theirs is reported when they are looked up
        taken = set()
    left = {key: path for key, path in files.items() if path not in taken}
    if keys and taken and not left:
        raise InputError(
            f"{folder}: found no {what} for {len(keys)} of {len(keys)} images ({some(keys)}): its {len(files)} files "
            "are those of other images of this project"
        )
    return match(keys, left, what=what, folder=folder, taken=bool(taken))


def check_shape(path: Path, found: Size, of: Size | None, stretched: Size | None = None) -> None:
    """Makes sure that a prediction shows the whole of its image, upright, at whatever resolution.

    Args:
        path: of the prediction.
        found: its size.
        of: that of its image, upright; None checks nothing.
        stretched: a size of another shape that it may have.

    Raises:
        InputError: it has another shape; both are named.
    """
    if of is None or _fits(found, of, stretched):
        return
    if _alike(Size(found.height, found.width), of):
        raise InputError(
            f"{path}: is {found}, but its image is {of} when upright: it is rotated by 90 degrees, as if the EXIF "
            "orientation of the photograph was ignored; predict on the upright images, or rotate the predictions"
        )
    raise InputError(
        f"{path}: is {found}, but its image is {of}: another aspect ratio, as if it covered a part of the image, or "
        "belonged to another one; predict on whole images, or, if images were stretched to it, set the working size "
        f"(`data.size`) to {found}"
    )


def _fits(found: Size, of: Size | None, stretched: Size | None) -> bool:
    return of is None or found in (of, stretched) or _alike(found, of)


def _alike(one: Size, other: Size) -> bool:
    return 1 - _SQUEEZED < (one.width * other.height) / (one.height * other.width) < 1 / (1 - _SQUEEZED)


@dataclass(frozen=True)
class PredictionFacts:
    """Facts about a few of the predictions.

    Attributes:
        count: how many were opened.
        confidence: mean over them, None where they have none.
        warnings: what will not stop a run, but should be known.
    """

    count: int
    confidence: float | None
    warnings: tuple[str, ...]


def glance(found: PredictionSet, images: Mapping[str, Path], stretched: Size | None = None) -> PredictionFacts:
    """Opens a few predictions, from all over the set.

    Args:
        found: the set, bound to the images where there are any.
        images: by key; none checks the predictions alone.
        stretched: the working size.

    Raises:
        InputError: one is broken, of other classes, or of another shape than its image.
    """
    keys = list(images or found.files)
    chosen_keys = [keys[place] for place in evenly_spread(len(keys), _CHECKED)]
    seen = _Seen(found)
    turned, margin = 0, ""
    for key in chosen_keys:
        of = image_size(images[key]) if key in images else None
        read = found.read(key, None, of=of, stretched=stretched)
        seen.add(read)
        turned += key in images and is_turned(images[key])
        margin = margin or _margin(_size_of(read.labels), of, stretched)
    count = len(chosen_keys)
    warnings = list(filter(None, (seen.of_confidence(), seen.of_void(), seen.of_one_class(), margin)))
    if turned:
        warnings.append(
            f"{turned} of {count} images checked are rotated or mirrored by their EXIF orientation, which is applied "
            "here; their predictions must be of the upright images"
        )
    return PredictionFacts(count, sum(seen.means) / count if seen.sure else None, tuple(warnings))


class _Seen:
    """What a few predictions of a set hold, and what is odd about it."""

    def __init__(self, found: PredictionSet) -> None:
        self._found = found
        self._classes = len(found.class_map.source)
        self.sure = found.soft or bool(found.confidences)
        self.means: list[float] = []
        self._highest, self._lowest, self._void = 0.0, 1.0, 0
        self._chance = 1 / self._classes if self._classes > 1 else 0.0
        self._unsure, self._pixels = 0, 0
        self._labels: set[int] = set()

    def add(self, read: Prediction) -> None:
        """Adds a prediction."""
        known = read.labels != self._found.class_map.target.ignore
        valid = read.confidence[known]
        self.means.append(float(np.mean(read.confidence)))
        self._highest = max(self._highest, float(read.confidence.max(initial=0)))
        self._lowest = min(self._lowest, float(valid.min(initial=1)))
        self._unsure += int((valid < self._chance - _CUT).sum())
        self._pixels += valid.size
        self._void += valid.size == 0
        self._labels.update(np.unique(read.labels[known]).tolist())

    def of_confidence(self) -> str:
        """Why the confidence cannot be what it should be; empty where nothing is odd."""
        if not self.sure:
            return NO_CONFIDENCE
        if not self._pixels:
            return ""
        if (text := self._of_soft() if self._found.soft else self._of_maps()) or self._classes == 1:
            return text
        if self._lowest == 1:
            kind = "scores of 0 and 1 alone were" if self._found.soft else "something else was"
            return (
                f"no pixel checked has a confidence below 1, as if {kind} stored: every pixel counts as certain; store "
                "the probability of the predicted class"
            )
        if self._lowest == self._highest:
            return (
                f"every pixel checked has the confidence {self._highest:.2g}, which tells certain pixels from unsure "
                "ones nowhere; store the probability of the predicted class, or leave the confidence out"
            )
        return ""

    def _of_maps(self) -> str:
        highest = self._highest * 255
        if abs(highest - round(highest)) > _WHOLE and highest <= _PER_CENT * 255:
            return (
                f"the confidence maps hold nothing above {self._highest:.2g}, where 1 is certain, as if they were "
                "stored on another scale: every pixel counts as unsure; in 16 bits store 65535 times the probability"
            )
        if self._highest <= _CUT:
            return (
                "the confidence maps hold nothing above 1 of 255, as if probabilities from 0 to 1 were stored as whole "
                "numbers: nearly every pixel counts as unsure; store 255 times the probability"
            )
        if self._highest <= _PER_CENT:
            return (
                f"the confidence maps hold nothing above {highest:.0f} of 255, as if percentages were stored: every "
                "pixel counts as unsure; store 255 times the probability"
            )
        if self._unsure > _IMPOSSIBLE * self._pixels:
            return (
                f"{self._unsure / self._pixels:.0%} of the pixels checked have a confidence below {self._chance:.2g}, "
                f"which the most probable of {self._classes} classes cannot have, as if the maps held uncertainty, or "
                "the probability of one class; store 255 times the probability of the predicted class"
            )
        return ""

    def _of_soft(self) -> str:
        # Where all pixels have one distribution, no softmax need be at fault.
        if (
            self._lowest < self._highest
            and self._classes > 1
            and self._highest < math.e / (math.e - 1 + self._classes) + _CUT
        ):
            return (
                f"no pixel checked has a probability above {self._highest:.2g}, as if the softmax had been applied "
                "twice: every pixel counts as unsure; store the logits, or the probabilities of one softmax"
            )
        return ""

    def of_void(self) -> str:
        """That some of them hold no class."""
        count = len(self.means)
        if not self._void:
            return ""
        return f"{self._void} of {count} predictions checked contain only ignored pixels; check their ids and class map"

    def of_one_class(self) -> str:
        """That all of them show one class, which two images may well do."""
        target, count = self._found.class_map.target, len(self.means)
        if len(self._labels) != 1 or len(target) == 1:
            return ""
        (label,) = self._labels
        # An id that means something else is the first class as a rule.
        first = not self._found.soft and int(self._found.class_map.table[0]) == label
        if count - self._void <= 2 and not first:
            return ""
        more = "; if that id means another class or none, say so under ids or ignored_ids in the class set's file"
        return (
            f"the {count} predictions checked say {target.names[label]} everywhere: {LEARNS_THE_SAME}; check the model "
            f"that made them, and the class map{more if first else ''}"
        )


def _margin(found: Size, of: Size | None, stretched: Size | None) -> str:
    """That predictions have nearly the size of their image, but neither that nor its shape; empty where it is well."""
    if of is None or found in (of, stretched):
        return ""
    scale = found.width / of.width
    in_proportion = abs(found.height - of.height * scale) <= max(1.0, scale)
    if in_proportion or not all(1 / _NEARLY <= one / other <= _NEARLY for one, other in zip(found, of, strict=True)):
        return ""
    what = "a margin, or padding to whole blocks" if found > of else "a border cut off"
    return (
        f"a prediction of {found} is stretched to its image, which is {of}: if it has {what}, it is shifted against "
        "the image; store predictions of the image's own size"
    )


def open_predictions(
    folder: Path | str,
    confidence: Path | str | None,
    source: ClassSet,
    class_map: ClassMap | None = None,
    *,
    encoding: Encoding = "auto",
) -> PredictionSet:
    """Lists a folder of predictions; opens none of them.

    Args:
        folder: label PNGs, ``.npz`` or ``.npy`` files, at any depth; or a folder with ``label_ids`` (and
            ``confidence``) in it.
        confidence: the folder of confidence maps; None takes the one beside ``label_ids``, or counts every label as
            certain.
        source: classes of the predictions.
        class_map: to the target's classes; None keeps the source's.
        encoding: how label PNGs store the source's classes, where the user knows better.

    Raises:
        InputError: a folder is missing or holds nothing of the kind, or both kinds.
    """
    folder = expanded(folder).absolute()
    named = confidence is not None
    confidence = None if confidence is None else expanded(confidence).absolute()
    if (folder / LABEL_IDS).is_dir():
        beside = folder / CONFIDENCE
        confidence = beside if confidence is None and beside.is_dir() else confidence
        folder = folder / LABEL_IDS
    class_map = class_map if class_map is not None else identity_map(source)
    if class_map.source.names != source.names:
        raise InputError(
            f"class map from {class_map.source.name}: the predictions are in {source.name}; give the map of that set"
        )
    files, soft = _prediction_files(folder)
    if confidence is None or soft:
        return PredictionSet(folder, soft, class_map, files, encoding=encoding)
    maps = keyed(confidence, list_labels(confidence, (ARRAY,)))
    if not maps and named:
        raise InputError(
            f"{confidence}: found no confidence maps, expected PNGs of 8 or 16 bits, or {ARRAY} files; pick another "
            "folder"
        )
    return PredictionSet(folder, soft, class_map, files, maps, confidence, encoding)


def _size_of(array: NDArray[Any]) -> Size:
    return Size(array.shape[-1], array.shape[-2])


def _prediction_files(folder: Path) -> tuple[dict[str, Path], bool]:
    kinds: dict[str, list[str]] = {kind: [] for kind in ("label images", ARCHIVE, ARRAY)}
    for name in list_labels(folder, (ARCHIVE, ARRAY)):
        kind = next((kind for kind in (ARCHIVE, ARRAY) if name.lower().endswith(kind)), "label images")
        # Pictures for people lie beside the ids in some tools' output.
        if kind != "label images" or label_ending(key_of(name)) != "_color":
            kinds[kind].append(name)
    found = {kind: names for kind, names in kinds.items() if names}
    if len(found) > 1:
        counts = " and ".join(
            f"{len(names)} {kind}" + (" files" if kind.startswith(".") else "") for kind, names in found.items()
        )
        raise InputError(f"{folder}: found {counts}, expected one kind; pick the folder of one")
    if not found:
        others = Counter(os.path.splitext(name)[1] for name, _ in files_below(folder))  # noqa: PTH122 - may be many
        listed = some([f"{count} {suffix or 'other'} files" for suffix, count in others.most_common()])
        but = lossy_note(folder) or (f", but {listed}" if others else "")
        raise InputError(
            f"{folder}: found no predictions{but}, expected label PNGs, {ARRAY} or {ARCHIVE} files; pick another folder"
        )
    ((kind, names),) = found.items()
    return keyed(folder, names), kind == ARCHIVE or (kind == ARRAY and is_soft_array(folder / names[0]))


def _hard_labels(path: Path, encoding: Encoding, class_map: ClassMap) -> NDArray[Any]:
    source = class_map.source
    labels = read_ids(path) if encoding == "train" else decode(path, encoding, source)
    if encoding == "train":
        labels = np.where(np.isin(labels, list(voids(source))), source.ignore, labels)
    try:
        return class_map.remap(labels)
    except UnknownIds as error:
        raise UnknownIds(f"{path}: {error.found}") from None


def _hard(labels: NDArray[Any], confidence: NDArray[np.float32], target: ClassSet) -> Prediction:
    valid = labels != target.ignore
    entropy = widest_entropy(confidence[valid], len(target))
    mean = float(entropy.mean(dtype=np.float64)) if entropy.size else 0.0
    return Prediction(labels, np.where(valid, confidence, np.float32(0)), mean)


def widest_entropy(confidence: NDArray[np.float32], classes: int) -> NDArray[np.float32]:
    """Returns the largest entropy, in nats, that a distribution over ``classes`` can have with such top probability.

    It is reached where the rest is spread evenly; below 1/classes no distribution has such a top, and the uniform one
    counts.
    """
    if classes < 2:
        return np.zeros_like(confidence)
    top = np.clip(confidence, np.float32(1 / classes), np.float32(1))
    rest = 1 - top
    spread = rest * np.log(np.maximum(rest, np.float32(1e-30)) / np.float32(classes - 1))
    return np.asarray(-(top * np.log(top) + spread), np.float32)


def _soft(probabilities: NDArray[np.float32], target: ClassSet, size: Size) -> Prediction:
    """Args: probabilities (T + 1, H, W), the last one of what is ignored."""
    resized = np.stack([resize_confidence(plane, size) for plane in probabilities])
    labels = resized.argmax(0)
    ignored = labels == len(target)
    confidence = np.where(ignored, np.float32(0), resized.max(0))
    entropy = -(resized * np.log(np.maximum(resized, 1e-30))).sum(0)
    ids = np.where(ignored, target.ignore, labels).astype(label_dtype(target))
    return Prediction(ids, confidence, float(entropy.mean(dtype=np.float64)), resized[:-1])
