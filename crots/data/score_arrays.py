"""Soft predictions: arrays with a score of every class, (C, H, W) or (H, W, C), in ``.npz`` and ``.npy`` files.

The scores are probabilities, or logits from before the softmax.
"""

from __future__ import annotations

import math
import reprlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.array_files import array_header, is_array_file, read_array_file
from crots.class_maps import ClassMap
from crots.config import Size
from crots.data.matching import some
from crots.errors import InputError
from crots.limits import check_claim
from crots.taxonomy import ClassSet

# An archive with one soft prediction.
ARCHIVE = ".npz"
_ARRAYS = ("probabilities", "logits")
# An array is read as 32-bit numbers; there are three of its size while it is turned into the target's classes.
_WIDTH, _COPIES = 4, 3
# By how much the sums of probabilities may differ from 1.
_UNEVEN = 0.02
# What probabilities in other units sum to.
_UNITS = {100: "in per cent", 255: "in 8 bits", 65535: "in 16 bits"}
# Types of whole numbers in which probabilities are stored.
_GREATEST = {"uint8": 255, "uint16": 65535}


def is_soft_array(path: Path) -> bool:
    """Whether an array file holds scores of every class, and not ids."""
    shape, dtype = array_header(path)
    return len(shape) > 2 and dtype.kind == "f"


def read_probabilities(
    path: Path, class_map: ClassMap, fits: Callable[[Size], bool] = lambda size: True
) -> NDArray[np.float32]:
    """Reads the scores of an image as probabilities of the target's classes, (T + 1, H, W).

    Classes that share a target are summed; the last plane is that of ignored classes.

    Args:
        path: of the file.
        class_map: from its classes.
        fits: whether scores of a size can be the image's, where both ends of an array's shape may be the classes.

    Raises:
        InputError: a broken file, other channels than the source's classes, or neither probabilities nor logits.
    """
    array, kind = read_array(path)
    source = class_map.source
    array = _channels_first(array, source, path, fits)
    if not np.issubdtype(array.dtype, np.floating):
        greatest = _GREATEST.get(array.dtype.name)
        remedy = f"; if they are probabilities times {greatest}, divide them by it" if greatest else ""
        raise InputError(
            f"{path}: found {array.dtype} values, expected float16 or float32 probabilities or logits{remedy}"
        )
    values = array.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds NaN or infinite values; create the prediction again")
    del array
    if _is_logits(values, kind, path):
        # In place, since these arrays are large.
        values -= values.max(0, keepdims=True)
        np.exp(values, out=values)
    values /= values.sum(0, keepdims=True)
    return np.asarray(np.einsum("shw,st->thw", values, class_map.matrix(), optimize=True), np.float32)


def _channels_first(array: NDArray[Any], source: ClassSet, path: Path, fits: Callable[[Size], bool]) -> NDArray[Any]:
    """Returns scores as (C, H, W), of (C, H, W) or (H, W, C).

    Raises:
        InputError: they have another shape, or one that is both and nothing tells which.
    """
    first, last = (array.ndim == 3 and array.shape[axis] == len(source) for axis in (0, 2))
    if not (first or last) or array.size == 0:
        raise InputError(
            f"{path}: found an array of shape {array.shape}, expected ({len(source)}, height, width) or (height, "
            f"width, {len(source)}), a channel for each class of {source.name}{_remedy_of_shape(array, len(source))}"
        )
    if first and last:
        first = _class_axis(array, source, path, fits) == 0
    return array if first else array.transpose(2, 0, 1)


def _remedy_of_shape(array: NDArray[Any], count: int) -> str:
    if array.ndim == 4 and len(array) == 1 and count in (array.shape[1], array.shape[3]):
        return "; store array[0]"
    if array.ndim == 2 and array.dtype.kind in "iub":
        return "; store label ids in .npy or PNG files"
    if array.ndim == 3 and count + 1 in (array.shape[0], array.shape[2]):
        return "; if the other channel is void or background, leave it out, or name it in the class set"
    if array.ndim == 3 and count == 2 and 1 in (array.shape[0], array.shape[2]):
        return "; beside the score of the second class store that of the first"
    return ""


def _class_axis(array: NDArray[Any], source: ClassSet, path: Path, fits: Callable[[Size], bool]) -> int:
    """Finds the axis of the classes where it may be the first or the last: by probabilities, or the image's shape."""
    by_sums = [axis for axis in (0, 2) if _sums_to_one(array, axis)]
    if len(by_sums) == 1:
        return by_sums[0]
    length, middle, _ = array.shape
    sizes = {0: Size(length, middle), 2: Size(middle, length)}
    by_shape = [axis for axis in (0, 2) if fits(sizes[axis])]
    if len(by_shape) == 1:
        return by_shape[0]
    raise InputError(
        f"{path}: found an array of shape {array.shape}, whose first and last axis both have the length of the "
        f"{len(source)} classes of {source.name}; it can be (classes, height, width) of an image of {sizes[0]}, or "
        f"(height, width, classes) of one of {sizes[2]}; store probabilities, scores at another size, or label ids"
    )


def _sums_to_one(array: NDArray[Any], axis: int) -> bool:
    sums = array.sum(axis, dtype=np.float32) if array.dtype.kind == "f" and array.min() >= 0 else np.zeros(1)
    return bool((np.abs(sums - 1) < _UNEVEN).all())


def read_array(path: Path) -> tuple[NDArray[Any], str]:
    """Reads the array of a soft prediction as it is stored, and its name, which is empty in an array file.

    Raises:
        InputError: the file is missing, broken, or holds several arrays of other names.
    """
    if is_array_file(path):
        return read_array_file(path, copies=_COPIES), ""
    try:
        # Not np.load at once: it trusts what the headers claim, and reads other kinds of files too.
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(path, archive, member)
        with np.load(path, allow_pickle=False) as file:
            names = list(file)
            name = next((name for name in _ARRAYS if name in names), names[0] if len(names) == 1 else "")
            if not name:
                raise InputError(
                    f"{path}: found the arrays {some(names, 8) or 'none'}, expected one named probabilities or logits"
                )
            return np.asarray(file[name]), name
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # zip and array readers raise nearly every type on broken files
        raise InputError(f"{path}: broken or no .npz file ({error}); create the prediction again") from error


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuses an array that claims more memory than the limit, in its header or in the archive's."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    claimed = max(member.file_size, math.prod(shape) * max(dtype.itemsize, _WIDTH))
    check_claim(path, _COPIES * claimed, f"{member.filename[:80]!r} of shape {reprlib.repr(shape)}")


def _is_logits(values: NDArray[np.float32], kind: str, path: Path) -> bool:
    """Whether scores are logits and no probabilities, by their name and by what they are.

    Raises:
        InputError: the two differ, they are neither, or they say nothing.
    """
    low, high, sums = float(values.min()), float(values.max()), values.sum(0)
    least, most = float(sums.min()), float(sums.max())
    # Half precision sums to 1 within a few thousandths.
    is_distribution = low >= 0 and abs(least - 1) < _UNEVEN and abs(most - 1) < _UNEVEN
    if is_distribution and kind != "logits":
        return False
    if len(values) > 1 and bool((values == values[:1]).all()):
        each = f"{low:.3g}" if low == high else "one score"
        raise InputError(
            f"{path}: holds {each} for every class at every pixel, which says nothing; check the model that made it, "
            "and create the prediction again"
        )
    is_share = low >= 0 and (high <= 1 or most - least < _UNEVEN * most)
    if kind != "probabilities" and not is_share:
        if low >= 0 and float(np.abs(np.exp(-values).sum(0) - 1).max()) < _UNEVEN:
            raise InputError(
                f"{path}: holds the negative logarithms of probabilities, of which the likeliest class has the "
                "smallest; store them with their sign changed, as logits"
            )
        return True
    raise InputError(
        f"{path}: found {'scores' if kind not in _ARRAYS else kind} from {low:.3g} to {high:.3g} whose sums over the "
        f"classes go from {least:.3g} to {most:.3g}, expected probabilities, which sum to 1, or logits from before the "
        f"softmax or sigmoid; {_remedy(is_distribution, low, least, most)}"
    )


def _remedy(is_distribution: bool, low: float, least: float, most: float) -> str:
    """What to do with scores that are not what their name says, or are neither probabilities nor logits."""
    if is_distribution:
        return "they are probabilities; store them under that name"
    for unit, in_words in _UNITS.items():
        if low >= 0 and abs(least / unit - 1) < _UNEVEN and abs(most / unit - 1) < _UNEVEN:
            return f"they are probabilities {in_words}; divide them by {unit}"
    return "store one of them, under the name probabilities or logits"
