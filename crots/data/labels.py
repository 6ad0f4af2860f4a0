"""Reads ground truth as train ids, for every encoding of classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crots.data.datasets import Dataset, Sample
from crots.data.encodings import Encoding
from crots.data.matching import some
from crots.data.polygons import has_outlines, rasterise
from crots.data.readings import (
    ENCODING_TEXTS,
    Seen,
    files_checked,
    from_one_table,
    mask_levels,
    raw_table,
    read_as,
    says_little,
    seen_in,
    train_table,
    unknown_ids,
)
from crots.data.roboflow import listed_encoding
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.events import Remark
from crots.images import decode_wide, image_size
from crots.label_files import StoredLabels, read_labels, read_stored
from crots.limits import check_pixels, strips
from crots.taxonomy import ClassSet, label_dtype, look_up, unique_labels

_CHECKED = 16
# Label files that are read before they are needed.
_TRIED = 6
# Cache of detected encodings: the sampled files of a data set are analysed once.
_resolved: WeakKeyDictionary[Dataset, Encoding] = WeakKeyDictionary()


def read_truth(sample: Sample, dataset: Dataset, classes: ClassSet, *, check_size: bool = True) -> NDArray[Any]:
    """Reads the label file of a sample.

    Args:
        sample: one with a label.
        dataset: the data set it is of; an encoding of ``auto`` is found out at the first call.
        classes: the class set that the labels are in.
        check_size: compare with the image's size, for which its header is read.

    Returns:
        (H, W) uint8, or uint16 for large class sets: train ids or ``classes.ignore``.

    Raises:
        InputError: no label, a broken file, ids or colours that the class set does not know, or another size than the
            image's.
    """
    if sample.label is None:
        raise InputError(f"{sample.image}: has no label file; give the folder of labels")
    labels = decode(sample.label, _encoding(dataset, classes), classes)
    if check_size and sample.image != sample.label:
        size = image_size(sample.image)
        if labels.shape != (size.height, size.width):
            raise InputError(
                f"{sample.label}: is {labels.shape[1]}x{labels.shape[0]}, but its image {sample.image.name} is {size}; "
                "labels must have their image's size"
            )
    return labels


def _encoding(dataset: Dataset, classes: ClassSet) -> Encoding:
    if dataset.encoding != "auto":
        return dataset.encoding
    if dataset not in _resolved:
        _resolved[dataset] = resolve_encoding(dataset, classes).encoding
    return _resolved[dataset]


def resolve_encoding(dataset: Dataset, classes: ClassSet) -> Dataset:
    """Finds out how a data set's label files store classes, where that is still ``auto``.

    Returns:
        The data set with its encoding, and a note that says what was found.

    Raises:
        InputError: the labels fit the class set in no way.
    """
    labels = [sample.label for sample in dataset.samples if sample.label is not None]
    if dataset.encoding != "auto" or not labels:
        return dataset
    encoding, notes = detect_encoding(labels, classes)
    return dataclasses.replace(dataset, encoding=encoding, notes=(*dataset.notes, *notes))


def tried_labels(dataset: Dataset, classes: ClassSet) -> Dataset:
    """Returns the data set with its encoding resolved, after a few of its labels were read as scoring will read them.

    Raises:
        InputError: as `resolve_encoding` and `read_truth`.
    """
    dataset = resolve_encoding(dataset, classes)
    labelled = [sample for sample in dataset.samples if sample.label is not None]
    for place in evenly_spread(len(labelled), _TRIED):
        read_truth(labelled[place], dataset, classes)
    return dataset


def detect_encoding(
    labels: Sequence[Path], classes: ClassSet, *, predictions: bool = False
) -> tuple[Encoding, list[Remark]]:
    """Finds out how label files store classes, from 16 of them, or from more where these hold next to nothing.

    Args:
        labels: at least one file.
        classes: the class set they should be in.
        predictions: a model made them.

    Returns:
        The encoding, and notes for the user: how the labels are read and why, and warnings.

    Raises:
        AmbiguousLabels: two ways of reading them fit and differ.
        InputError: they fit the class set in no way, or a file is broken.
    """
    if has_outlines(labels[0]):
        outside = "background" if "background" in map(str.lower, classes.names) else "ignored"
        text = f"labels are {ENCODING_TEXTS['polygons']}; pixels outside of them are {outside}"
        return "polygons", [Remark(text, "labels")]
    if (listed := listed_encoding(labels, classes)) is not None:
        return listed[0], [Remark(listed[1], "labels")]
    chosen = [labels[index] for index in np.unique(np.linspace(0, len(labels) - 1, _CHECKED).astype(int))]
    rest: list[Path] | None = None
    seen: list[Seen] = []
    while True:
        stored = _readable(chosen, fault=not seen)
        if any(is_coloured(found) for found in stored.values()):
            for path in (*(one.path for one in seen), *stored):
                decode(path, "colour", classes)
            text = f"labels are {ENCODING_TEXTS['colour']}: {files_checked(len(seen) + len(stored))}"
            return "colour", [Remark(text, "labels")]
        seen += [
            seen_in(path, dataclasses.replace(found, values=_plane(found.values, path)))
            for path, found in stored.items()
        ]
        if not says_little(seen, classes):
            break
        # Masks of rare things are nearly all empty: 0, and one of hundreds says whether the thing is 1 or 255.
        if rest is None:
            rest = _largest_first(set(labels) - set(chosen))
        chosen, rest = rest[:_CHECKED], rest[_CHECKED:]
        if not chosen:
            break
    return read_as(seen, classes, predictions=predictions)


def _largest_first(paths: Collection[Path]) -> list[Path]:
    """Files that hold one value are compressed the most."""
    sizes = {}
    for path in sorted(paths):
        try:
            sizes[path] = path.stat().st_size
        except OSError:
            sizes[path] = 0
    return sorted(sizes, key=lambda path: -sizes[path])


def is_coloured(stored: StoredLabels) -> bool:
    """Whether a label file holds colours that are no shades of grey."""
    return stored.values.ndim == 3 and not _is_grey(stored.values)


def _readable(paths: Sequence[Path], *, fault: bool) -> dict[Path, StoredLabels]:
    """Reads what can be read; a broken file is reported when its own turn comes, or with ``fault`` if all are."""
    found, last = {}, None
    for path in paths:
        try:
            found[path] = read_stored(path)
        except InputError as error:
            last = error
    if fault and not found and last is not None:
        raise last
    return found


def decode(path: Path, encoding: Encoding, classes: ClassSet) -> NDArray[Any]:
    """Reads a label file of a known encoding as train ids.

    Returns:
        (H, W) uint8, or uint16 for large class sets.

    Raises:
        InputError: the file is broken or holds what the class set does not know.
    """
    if has_outlines(path):
        return rasterise(path, classes)
    if encoding == "synthia":
        return _from_table(_read_synthia(path), _raw_table(classes, path), classes, path)
    if encoding == "colour":
        coloured = read_labels(path, colour=True)
        if coloured.ndim != 3:
            coloured = np.repeat(coloured[..., None], 3, axis=2)
        return _from_colours(coloured, classes, path)
    stored = read_stored(path)
    labels = _plane(stored.values, path)
    if encoding == "mask":
        return _from_mask(seen_in(path, dataclasses.replace(stored, values=labels)), labels, classes)
    if encoding == "raw":
        return _from_table(labels, _raw_table(classes, path), classes, path)
    table = from_one_table(classes) if encoding == "from-one" else train_table(classes)
    return _from_table(labels, table, classes, path)


def _raw_table(classes: ClassSet, path: Path) -> dict[int, int]:
    if not classes.raw_ids:
        raise InputError(
            f"{path}: class set {classes.name} names no ids of a data set, so its labels must hold train ids; "
            "list `ids` in its file or choose another encoding"
        )
    table = raw_table(classes)
    return table if classes.lists_all_raw_ids else {**dict.fromkeys(range(65536), classes.ignore), **table}


def _from_mask(seen: Seen, labels: NDArray[Any], classes: ClassSet) -> NDArray[Any]:
    if len(classes) != 2:
        raise InputError(
            f"{seen.path}: the encoding mask is for two classes, and class set {classes.name} has {len(classes)}; "
            "choose another encoding"
        )
    levels = mask_levels(seen.pixels)
    if {1, 255} <= set(levels.values()):
        raise InputError(
            f"{seen.path}: holds both 1 and 255, expected 0 and one of them; if 255 means ignored, choose the encoding "
            "train, which takes 0 and 1"
        )
    table = {value: min(1, level) for (value, _), level in levels.items() if level in (0, 1, 255)}
    return _from_table(labels, table, classes, seen.path)


def _from_table(labels: NDArray[Any], table: dict[int, int], classes: ClassSet, path: Path) -> NDArray[Any]:
    ids = sorted(_ids(labels))
    wrong = [value for value in ids if value not in table]
    if wrong:
        raise unknown_ids(str(path), wrong, classes)
    if ids and ids[0] < 0:
        labels = np.where(labels < 0, 65535, labels)
        ids, table = [value for value in ids if value >= 0] + [65535], {**table, 65535: classes.ignore}
    lookup = np.full(65536 if labels.dtype != np.uint8 else 256, classes.ignore, label_dtype(classes))
    for value in ids:
        lookup[value] = table[value]
    return look_up(lookup, labels)


def _ids(labels: NDArray[Any]) -> set[int]:
    return set(unique_labels(labels).tolist())


def _is_grey(labels: NDArray[Any]) -> bool:
    return bool((labels == labels[..., :1]).all())


def read_ids(path: Path) -> NDArray[Any]:
    """Reads the ids of a label file as they are stored, (H, W).

    Raises:
        InputError: it is broken or a coloured picture.
    """
    return _plane(read_labels(path), path)


def _plane(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    """Takes the one channel of ids that some programs store as three."""
    if labels.ndim == 2:
        return labels
    if not _is_grey(labels):
        raise InputError(f"{path}: found a coloured picture, expected label ids; choose the encoding colour")
    return labels[..., 0]


def _codes(colours: NDArray[Any]) -> NDArray[np.int32]:
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _from_colours(image: NDArray[Any], classes: ClassSet, path: Path) -> NDArray[Any]:
    known = dict.fromkeys(((0, 0, 0), *classes.ignored_colours), classes.ignore)
    known |= {colour: train for train, colour in enumerate(classes.palette)}
    codes = _codes(np.array(list(known)))
    order = np.argsort(codes)
    trains: NDArray[Any] = np.array(list(known.values()), label_dtype(classes))
    found = np.empty(image.shape[:2], trains.dtype)
    strange: set[int] = set()
    for rows in strips(image):
        pixels = _codes(image[rows])
        places: NDArray[Any] = order[np.searchsorted(codes[order], pixels).clip(max=len(codes) - 1)]
        strange.update(np.unique(pixels[codes[places] != pixels]).tolist())
        found[rows] = np.take(trains, places)
    if strange:
        wrong = [f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in sorted(strange)]
        raise InputError(
            f"{path}: found the colours {some(wrong, 4)}, which class set {classes.name} does not know; "
            "correct its colours, or list them under ignored_colours in its file"
        )
    return found


def _read_synthia(path: Path) -> NDArray[Any]:
    """Reads the class channel, the first of a PNG of 16 bits per channel."""
    size = image_size(path)
    check_pixels(path, size.width, size.height)
    labels = decode_wide(path)
    if labels is None:
        raise InputError(f"{path}: missing, broken or truncated label file; replace it")
    # OpenCV turns RGB into BGR, so the file's first channel is the third.
    return np.ascontiguousarray(labels[..., 2] if labels.ndim == 3 else labels)
