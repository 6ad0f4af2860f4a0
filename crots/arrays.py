"""The type that annotations give to an array of pixels, labels or scores."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

# The type of the elements is given where it matters; most functions accept several.
Array = npt.NDArray[Any]
