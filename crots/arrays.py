"""The type that annotations give to an array of pixels, labels or scores."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

# The type of the elements is said where it matters; most functions take several.
Array = npt.NDArray[Any]
