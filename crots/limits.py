"""How much memory one input file may claim; checked before any of it is allocated.

A few bytes can claim any amount: a picture of zeros, an array in a zip file, a tensor that repeats one number. Only the
user may set the limits, so they are flags of every command and two environment variables, which the studio and its
child processes read too; no project file can hold them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots.config import check, describe, from_mapping, option
from crots.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECTION = "limits"
_GB = 10**9
# Pixels per strip, for steps that need many bytes for every pixel.
_STRIP = 2**22


@dataclass(frozen=True)
class Limits:
    """Limits of a single input."""

    max_megapixels: float = option(
        100.0, "Most megapixels of one image or video frame; a larger one is refused before it is decoded.",
        low=0.001, high=10**5, affects_result=False, stored=False,
    )  # fmt: skip
    max_input_gb: float = option(
        2.0, "Most memory that one model or prediction file may claim; refused before it is allocated.",
        low=0.001, high=10**5, unit="GB", affects_result=False, stored=False,
    )  # fmt: skip


_current: Limits | None = None


def use(values: Mapping[str, Any]) -> None:
    """Sets the limits of this process: those given, else the environment's, else the defaults.

    Args:
        values: the user's values, by option.

    Raises:
        InputError: an environment variable is invalid.
    """
    global _current
    _current = from_mapping(Limits, {**_of_environment(), **values}, where=SECTION)


def current() -> Limits:
    """Returns the limits of this process."""
    if _current is None:
        use({})
    assert _current is not None
    return _current


def _variable(name: str) -> str:
    return f"CROTS_{name.upper()}"


def _of_environment() -> dict[str, Any]:
    found = {info: os.environ.get(_variable(info.name), "") for info in describe(Limits)}
    return {info.name: check(info, text, where=_variable(info.name)) for info, text in found.items() if text.strip()}


def _remedy(name: str) -> str:
    flag = "--" + name.replace("_", "-")
    return f"raise {flag} (in the studio: {_variable(name)} in the environment) if you trust the file"


def check_pixels(path: Path, width: int, height: int) -> None:
    """Refuses an image that is larger than the limit.

    Raises:
        InputError: it is larger; the message names the option.
    """
    most = current().max_megapixels
    found = width * height / 10**6
    if found > most:
        raise InputError(
            f"{path}: {width}x{height} is {found:,.0f} megapixels, the limit is {most:g}; "
            f"make it smaller, cut it into tiles, or {_remedy('max_megapixels')}"
        )


def check_claim(path: Path, claimed: int, what: str) -> None:
    """Refuses a file that would take more memory than the limit.

    Args:
        path: the file.
        claimed: bytes.
        what: what takes the memory, ``its tensors``.

    Raises:
        InputError: it is more than the limit; the message names the option.
    """
    most = current().max_input_gb
    if claimed > most * _GB:
        raise InputError(
            f"{path}: {what} would take {_amount(claimed)} of memory, the limit is {most:g} GB; "
            f"{_remedy('max_input_gb')}"
        )


def _amount(claimed: int) -> str:
    # A corrupt size may have hundreds of digits.
    return f"{claimed / _GB:,.1f} GB" if claimed < 10**15 else "over a million GB"


def check_file_size(path: Path, most: int, what: str) -> None:
    """Refuses a text file that is far larger than any sensible one, before it is read.

    Raises:
        InputError: it is larger than ``most`` bytes.
        OSError: there is no such file.
    """
    found = path.stat().st_size
    if found > most:
        raise InputError(
            f"{what} {path}: has {found / 10**6:,.0f} MB, expected at most {most // 10**6} MB; check the path"
        )


def strips(array: NDArray[Any]) -> Iterator[slice]:
    """Yields the rows of an image in strips, for steps that need many bytes for every pixel."""
    rows = max(1, _STRIP // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)
