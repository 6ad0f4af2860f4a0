"""Hard (rare-class) patches: cells of a grid in which a rare class is predicted. NumPy only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from crots.config import Grid
from crots.errors import InputError

Labels = npt.NDArray[np.integer[Any]]


def cell_size(height: int, width: int, grid: Grid) -> tuple[int, int]:
    """Returns height and width of a cell in pixels; a remainder at the border belongs to no cell.

    Raises:
        InputError: the image has fewer pixels than the grid has cells along a side.
    """
    rows, columns = height // grid.rows, width // grid.columns
    if not rows or not columns:
        raise InputError(
            f"an image of {width}x{height} pixels cannot be cut into a grid of {grid.rows} rows and {grid.columns} "
            "columns; choose a coarser grid",
            field="mine.grid",
        )
    return rows, columns


def grid_cells(height: int, width: int, grid: Grid) -> list[tuple[slice, slice]]:
    """Returns row and column slices of the cells, row by row; patch ``k`` is entry ``k - 1``.

    Raises:
        InputError: the image is too small for the grid.
    """
    rows, columns = cell_size(height, width, grid)
    return [
        (slice(row * rows, (row + 1) * rows), slice(column * columns, (column + 1) * columns))
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]


def select_cells(labels: Labels, rare: Collection[int], grid: Grid, min_pixels: int = 1) -> list[int]:
    """Returns the cells that show rare classes, as numbers 1..rows*columns in row-major order.

    Args:
        labels: (H, W) predicted train ids.
        rare: train ids of the rare classes.
        grid: rows and columns.
        min_pixels: rare pixels, of all rare classes together, that a cell needs.

    Raises:
        InputError: the image is too small for the grid.
    """
    height, width = labels.shape
    rows, columns = cell_size(height, width, grid)
    whole = labels[: rows * grid.rows, : columns * grid.columns]
    is_rare = np.isin(whole, np.array(sorted(rare), dtype=np.int64))
    counts = is_rare.reshape(grid.rows, rows, grid.columns, columns).sum(axis=(1, 3))
    return [int(cell) + 1 for cell in np.flatnonzero(counts >= min_pixels)]


def drop_unsure(
    labels: Labels, confidence: npt.NDArray[np.floating[Any]], minimum: float | npt.NDArray[np.float32], ignore: int
) -> Labels:
    """Returns labels with ``ignore`` where the confidence is below ``minimum`` (corrects F10); 0 keeps all.

    Args:
        labels: (H, W) predicted train ids.
        confidence: (H, W), 0..1.
        minimum: least confidence of a label that is kept, or (K,) one for each class.
        ignore: must fit the type of ``labels``.
    """
    if isinstance(minimum, np.ndarray):
        minimum = np.append(minimum, np.float32(0))[np.minimum(labels, len(minimum))]
    elif minimum <= 0:
        return labels
    return np.where(confidence < minimum, np.array(ignore, labels.dtype), labels)


def rarity_weights(pixels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Returns the sampling weight of each patch: one over the square root of its rarest class's share.

    The root keeps a class of a few patches, which may be one repeated mistake, from filling every batch.

    Args:
        pixels: (M, K) pixels of each class in each patch; the shares are over all patches.

    Returns:
        (M,) weights with a mean of 1; a patch without any class has the least.
    """
    shares = pixels.sum(axis=0) / max(1, pixels.sum())
    rarest = np.where(pixels > 0, shares, 1.0).min(axis=1, initial=1.0)
    weights: npt.NDArray[np.float64] = rarest**-0.5
    weights /= weights.mean()
    return weights
