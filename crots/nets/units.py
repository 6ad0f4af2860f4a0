"""The units of a source's mean and scale, checked without torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

from crots.errors import InputError
from crots.options import SourceOptions

# Means and divisors of images in 0..255; a smaller divisor is one of images in 0..1, or a factor.
_WHITE = 256
_FACTOR = 0.05


class OtherUnits(InputError):
    """A mean or divisor in units of 0..1.

    Attributes:
        value: the same in units of 0..255.
    """

    def __init__(self, message: str, *, field: str, value: str) -> None:
        super().__init__(message, field=field)
        self.value = value


def check_units(options: SourceOptions) -> None:
    """Refuses means and divisors of images in 0..1, as most training programs write them.

    Raises:
        OtherUnits: with the same numbers in 0..255 units.
        InputError: they are in no such units.
    """
    for name in ("mean", "scale"):
        values = three(getattr(options, name), f"source.{name}")
        # A mean of 0 and a divisor of 1 are those of images that are taken as they are.
        plain = 0.0 if name == "mean" else 1.0
        if not values or all(part == plain for part in values):
            continue
        if all(abs(part) <= 1 for part in values):
            value, better = _listed(part * 255 for part in values), "multiply by 255"
            if name == "scale" and all(abs(part) < _FACTOR for part in values):
                value, better = _listed(1 / part for part in values), "where they are factors, give 1 divided by each"
            raise OtherUnits(
                f"source.{name}: found {getattr(options, name)}, which is for images in 0..1, expected 0..255 units; "
                f"{better}: {value}",
                field=f"source.{name}",
                value=value,
            )
        if not all(0 <= part <= _WHITE for part in values):
            raise InputError(
                f"source.{name}: found {getattr(options, name)}, expected numbers from 0 to 255, as pixels of 8 bits "
                "have; convert it to those units",
                field=f"source.{name}",
            )


def _listed(values: Iterable[float]) -> str:
    return ",".join(f"{value:.6g}" for value in values)


def three(text: str, field: str) -> tuple[float, float, float] | None:
    """Reads an option of one or three numbers; None where it is empty.

    Raises:
        InputError: it is anything else.
    """
    if not text.strip():
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not all(math.isfinite(value) for value in values):
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or (field == "source.scale" and 0 in values):
        raise InputError(
            f"{field}: found {text!r}, expected one number or three with commas, like 124,116,104", field=field
        )
    return values[0], values[1], values[2]
