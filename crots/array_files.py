"""Arrays of numbers in the ``.npy`` files of NumPy; what a header claims is checked before it is trusted."""

from __future__ import annotations

import math
import reprlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from crots.errors import InputError
from crots.limits import check_claim

SUFFIX = ".npy"
# Numbers are read as 32-bit ones at least.
_WIDTH = 4
_MOST_SHARE = 1.001
# What certain is stored as, where it is not 1.
_UNITS = (100, 255, 65535)


def is_array_file(path: Path) -> bool:
    """Whether a file is one of these, by its name."""
    return path.suffix.lower() == SUFFIX


def array_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Returns shape and type of the array in a file.

    Raises:
        InputError: the file is missing or broken, or holds anything but numbers.
    """
    try:
        with path.open("rb") as file:
            return _header(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # a header is parsed as text and may come from anyone
        raise InputError(f"{path}: broken or no {SUFFIX} file ({error}); create it again") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "fiub":
        # Objects are pickles, which run code.
        raise ValueError(f"holds {reprlib.repr(str(dtype))} and not numbers")
    return shape, dtype


def read_array_file(path: Path, *, copies: int = 1) -> NDArray[Any]:
    """Reads the array of a file as it is stored.

    Args:
        path: the file.
        copies: how many arrays of its size its reader makes.

    Raises:
        InputError: as `array_header`, or the array takes more memory than the limit.
    """
    shape, dtype = array_header(path)
    check_claim(path, copies * math.prod(shape) * max(dtype.itemsize, _WIDTH), f"its array {reprlib.repr(shape)}")
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except Exception as error:  # cut short, or gone meanwhile
        raise InputError(f"{path}: broken or no {SUFFIX} file ({error}); create it again") from error


def read_id_array(path: Path) -> NDArray[Any]:
    """Reads an array of label ids: (H, W), or the same with an axis of length 1 before or after them.

    Returns:
        (H, W) uint8, uint16 or int32.

    Raises:
        InputError: as `read_array_file`, or it has another shape, fractions, or huge numbers.
    """
    values = read_array_file(path)
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    elif values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise InputError(
            f"{path}: found an array of shape {values.shape} and type {values.dtype}, expected label ids (height, "
            "width), or scores of floating-point numbers (classes, height, width)" + _remedy(values)
        )
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise InputError(
            f"{path}: found fractions in an array (height, width), expected label ids, or scores of every class "
            "(classes, height, width); store one of them"
        )
    # As numbers of Python: in half precision 2**31 would overflow, which NumPy warns of.
    low, high = values.min().item(), values.max().item()
    if values.dtype.kind in "fiu" and not -(2**31) <= low <= high < 2**31:
        raise InputError(f"{path}: found numbers from {low} to {high}, expected label ids")
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    return values.astype(values.dtype.newbyteorder("=") if values.dtype in (np.uint8, np.uint16) else np.int32)


def _remedy(values: NDArray[Any]) -> str:
    """What to do with scores that are whole numbers."""
    if values.ndim < 3 or values.dtype.kind not in "iub":
        return ""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if (low, high) == (0, 1):
        return "; of one class at each pixel store the id (argmax over the classes)"
    return f"; if they are probabilities times {high}, divide them by it" if high in (100, 255, 65535) else ""


def read_share_array(path: Path) -> NDArray[np.float32]:
    """Reads an array of confidences, (H, W): floating-point numbers of 0..1, or 8 bits.

    Returns:
        (H, W) float32, 0..1.

    Raises:
        InputError: as `read_array_file`, or it has another shape or other values.
    """
    values = read_array_file(path)
    if values.ndim != 2 or not values.size or (values.dtype.kind != "f" and values.dtype != np.uint8):
        raise InputError(
            f"{path}: found an array of shape {values.shape} and type {values.dtype}, expected confidences (height, "
            "width) as floating-point numbers of 0..1 or as uint8"
        )
    return values.astype(np.float32) / np.float32(255) if values.dtype == np.uint8 else as_shares(values, path)


def as_shares(values: NDArray[Any], path: Path) -> NDArray[np.float32]:
    """Returns confidences that a file holds as floating-point numbers.

    Raises:
        InputError: they are no probabilities.
    """
    low, high = float(values.min()), float(values.max())
    # Rounding may lead a little over 1; comparisons with NaN are false.
    if not 0 <= low <= high <= _MOST_SHARE:
        unit = next((unit for unit in _UNITS if low >= 0 and unit / 2 < high <= unit * _MOST_SHARE), None)
        remedy = f"if 1 is stored as {unit}, divide them by it" if unit else "store that of the predicted class"
        raise InputError(
            f"{path}: found confidences from {low:.3g} to {high:.3g}, expected probabilities of 0..1; {remedy}"
        )
    return np.asarray(np.minimum(values, 1), np.float32)
