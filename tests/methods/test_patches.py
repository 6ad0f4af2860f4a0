import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crots.config import Grid
from crots.errors import InputError
from crots.methods.patches import drop_unsure, grid_cells, rarity_weights, select_cells


def test_cells_are_numbered_row_by_row():
    cells = grid_cells(8, 12, Grid(2, 3))
    assert cells[0] == (slice(0, 4), slice(0, 4))
    assert cells[2] == (slice(0, 4), slice(8, 12))
    assert cells[3] == (slice(4, 8), slice(0, 4))
    assert len(cells) == 6


def test_a_published_cell_is_256x128():
    cells = grid_cells(512, 1024, Grid(4, 4))
    assert {(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in cells} == {(128, 256)}


def test_one_rare_pixel_keeps_its_cell():
    labels = np.zeros((8, 8), np.uint8)
    labels[3, 4] = 6
    labels[7, 7] = 12
    labels[0, 0] = 255
    assert select_cells(labels, {6, 12}, Grid(4, 4)) == [7, 16]
    assert select_cells(labels, {6}, Grid(4, 4)) == [7]
    assert select_cells(labels, set(), Grid(4, 4)) == []


def test_min_pixels_counts_all_rare_classes_together():
    labels = np.zeros((4, 8), np.uint8)
    labels[0, 0], labels[1, 1], labels[0, 5] = 6, 7, 6
    assert select_cells(labels, {6, 7}, Grid(1, 2), min_pixels=2) == [1]


@settings(max_examples=50)
@given(
    height=st.integers(4, 19), width=st.integers(4, 19), rows=st.integers(1, 4), columns=st.integers(1, 4),
    seed=st.integers(0, 1000), dtype=st.sampled_from([np.uint8, np.uint16, np.int64]), least=st.integers(1, 3),
)  # fmt: skip
def test_selected_cells_are_those_whose_slices_hold_rare_pixels(height, width, rows, columns, seed, dtype, least):
    labels = np.random.default_rng(seed).integers(0, 12, (height, width)).astype(dtype)
    grid, rare = Grid(rows, columns), {3, 11}
    expected = [
        number
        for number, cell in enumerate(grid_cells(height, width, grid), start=1)
        if sum(int(value) in rare for value in labels[cell].ravel()) >= least
    ]
    assert select_cells(labels, rare, grid, least) == expected


def test_an_image_smaller_than_its_grid_is_refused():
    with pytest.raises(InputError, match=r"3x9 pixels.*coarser") as error:
        grid_cells(9, 3, Grid(4, 4))
    assert error.value.field == "mine.grid"


def test_unsure_labels_become_ignore_f10():
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    confidence = np.array([[0.2, 0.5], [0.49, 1.0]], np.float32)
    filtered = drop_unsure(labels, confidence, 0.5, 255)
    assert filtered.tolist() == [[255, 2], [255, 4]]
    assert filtered.dtype == np.uint8
    assert labels.tolist() == [[1, 2], [3, 4]]
    assert drop_unsure(labels, confidence, 0.0, 255) is labels
    assert drop_unsure(labels.astype(np.uint16), confidence, 0.5, 65535)[0, 0] == 65535


def test_rarity_is_one_over_the_root_of_the_rarest_classs_share():
    # Shares 0.9, 0.09 and 0.01 of 1000 pixels.
    pixels = np.array([[450, 0, 0], [360, 90, 0], [90, 0, 10], [0, 0, 0]])
    weights = rarity_weights(pixels)
    assert weights / weights[3] == pytest.approx([0.9**-0.5, 0.09**-0.5, 0.01**-0.5, 1.0])
    assert weights.mean() == pytest.approx(1.0)


def test_rarity_of_patches_without_a_single_class():
    assert rarity_weights(np.zeros((2, 3), np.int64)).tolist() == [1.0, 1.0]
