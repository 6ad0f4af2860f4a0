"""Reading ground truth as train ids, whatever way a data set stores its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crots.data.layouts import Dataset, Encoding, Sample
from crots.data.matching import some
from crots.errors import InputError
from crots.images import image_size, read_labels
from crots.limits import check_pixels, strips
from crots.taxonomy import ClassSet, label_dtype, look_up, unique_labels

_LOOKED_AT = 16
_WORDS = {"train": "train ids", "raw": "the data set's own ids", "colour": "colours", "synthia": "SYNTHIA's 16-bit ids"}
# Encodings that were found out, so that reading a thousand files looks at the first few only once.
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
    if check_size:
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
    encoding, reason = detect_encoding(labels, classes)
    return dataclasses.replace(dataset, encoding=encoding, notes=(*dataset.notes, reason))


def detect_encoding(labels: Sequence[Path], classes: ClassSet) -> tuple[Encoding, str]:
    """Finds out how label files store classes, from up to 16 of them.

    Args:
        labels: at least one file.
        classes: the class set they should be in.

    Returns:
        The encoding, and why in words.

    Raises:
        InputError: they fit the class set in no way, or a file is broken.
    """
    chosen = [labels[index] for index in np.unique(np.linspace(0, len(labels) - 1, _LOOKED_AT).astype(int))]
    raws = _readable(chosen)
    if any(raw.ndim == 3 and not _is_grey(raw) for raw in raws.values()):
        for path in raws:
            decode(path, "colour", classes)
        return "colour", f"labels are {_WORDS['colour']}: {len(raws)} files looked at"
    ids = {path: sorted(_ids(_plane(raw, path))) for path, raw in raws.items()}
    encoding = _encoding_of_ids(ids, classes)
    every = sorted(set().union(*ids.values()))
    return encoding, f"labels are {_WORDS[encoding]}: {len(raws)} files looked at hold {_ranges(every)}"


def _readable(paths: Sequence[Path]) -> dict[Path, NDArray[Any]]:
    """Reads what can be read; a broken file is reported when its own turn comes."""
    raws, fault = {}, None
    for path in paths:
        try:
            raws[path] = read_labels(path)
        except InputError as error:
            fault = error
    if not raws and fault is not None:
        raise fault
    return raws


def _encoding_of_ids(ids: dict[Path, list[int]], classes: ClassSet) -> Encoding:
    train_table = _train_table(classes)
    fits_train = not any(_unknown(found, train_table) for found in ids.values())
    fits_raw = bool(classes.raw_ids) and not any(_unknown(found, classes.raw_ids) for found in ids.values())
    # Where both say the same of every class, the raw table knows the void ids besides.
    agree = all(classes.raw_ids.get(train) == train for train in range(len(classes)))
    if classes.raw_ids and (agree or (fits_raw and not fits_train)):
        return "raw"
    if fits_train:
        return "train"
    if _palette_fits(list(ids), classes):
        return "colour"
    if classes.raw_ids and not classes.lists_all_raw_ids:
        return "raw"
    table = {**train_table, **classes.raw_ids}
    path, found = max(ids.items(), key=lambda item: len(_unknown(item[1], table)))
    raise _unknown_ids(str(path), _unknown(found, table) or _unknown(found, train_table), classes)


def _palette_fits(chosen: list[Path], classes: ClassSet) -> bool:
    """Whether palette images mean their colours, not their indices: pictures that another program saved anew."""
    try:
        for path in chosen:
            coloured = read_labels(path, colour=True)
            if coloured.ndim != 3:
                return False
            _from_colours(coloured, classes, path)
    except InputError:
        return False
    return True


def decode(path: Path, encoding: Encoding, classes: ClassSet) -> NDArray[Any]:
    """Reads a label file of a known encoding as train ids.

    Returns:
        (H, W) uint8, or uint16 for large class sets.

    Raises:
        InputError: the file is broken or holds what the class set does not know.
    """
    if encoding == "synthia":
        return _from_table(_read_synthia(path), _raw_table(classes, path), classes, path)
    if encoding == "colour":
        coloured = read_labels(path, colour=True)
        if coloured.ndim != 3:
            coloured = np.repeat(coloured[..., None], 3, axis=2)
        return _from_colours(coloured, classes, path)
    labels = _plane(read_labels(path), path)
    table = _train_table(classes) if encoding == "train" else _raw_table(classes, path)
    return _from_table(labels, table, classes, path)


def _train_table(classes: ClassSet) -> dict[int, int]:
    return {train: train for train in range(len(classes))} | {classes.ignore: classes.ignore}


def _raw_table(classes: ClassSet, path: Path) -> dict[int, int]:
    if not classes.raw_ids:
        raise InputError(
            f"{path}: class set {classes.name} names no ids of a data set, so its labels must hold train ids; "
            "list `ids` in its file or choose another encoding"
        )
    table = {classes.ignore: classes.ignore, **classes.raw_ids}
    return table if classes.lists_all_raw_ids else {**dict.fromkeys(range(65536), classes.ignore), **table}


def _unknown(ids: Sequence[int], table: Any) -> list[int]:
    return [value for value in ids if value not in table and value not in (255, 65535)]


def _unknown_ids(where: str, ids: Sequence[int], classes: ClassSet) -> InputError:
    return InputError(
        f"{where}: found the label ids {some(ids, 8)}, which class set {classes.name} does not know (0 to "
        f"{len(classes) - 1} and {classes.ignore}{_raw_words(classes)}); choose another class set or encoding, or list "
        "them under ignored_ids in the class set's file"
    )


def _raw_words(classes: ClassSet) -> str:
    return f", or its {len(classes.raw_ids)} raw ids" if classes.raw_ids else ""


def _from_table(labels: NDArray[Any], table: dict[int, int], classes: ClassSet, path: Path) -> NDArray[Any]:
    ids = sorted(_ids(labels))
    wrong = [value for value in ids if value not in table]
    if wrong:
        raise _unknown_ids(str(path), wrong, classes)
    lookup = np.full(65536 if labels.dtype != np.uint8 else 256, classes.ignore, label_dtype(classes))
    for value in ids:
        lookup[value] = table[value]
    return look_up(lookup, labels)


def _ids(labels: NDArray[Any]) -> set[int]:
    return set(unique_labels(labels).tolist())


def _is_grey(labels: NDArray[Any]) -> bool:
    return bool((labels == labels[..., :1]).all())


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
    """Reads the class channel, the first of a PNG of 16 bits a channel, which Pillow would cut to 8."""
    import cv2

    # From the header, which OpenCV would believe.
    size = image_size(path)
    check_pixels(path, size.width, size.height)
    try:
        labels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        labels = None
    if labels is None:
        raise InputError(f"{path}: missing, broken or truncated label file; replace it")
    # OpenCV turns RGB into BGR, so the file's first channel is the third.
    return np.ascontiguousarray(labels[..., 2] if labels.ndim == 3 else labels)


def _ranges(ids: list[int]) -> str:
    """Writes sorted ids shortly: ``0-10, 255``."""
    runs: list[list[int]] = []
    for value in ids:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return some([str(low) if low == high else f"{low}-{high}" for low, high in runs], 8)
