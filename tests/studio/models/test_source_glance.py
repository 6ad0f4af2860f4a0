"""The small images of set-up, and the grid of tiles over them."""

import numpy as np

from crots.config import Size
from crots.data.tiles import Tiling
from crots_studio.models.source_glance import tile_text, with_grid

GREY = np.full((88, 132, 3), 90, np.uint8)
SIZE = Size(1200, 800)


def test_lines_are_where_one_tile_gives_way_to_the_next():
    tiling = Tiling(Size(800, 800), 0.25)
    drawn = with_grid(GREY, SIZE, tiling)
    changed = np.flatnonzero((drawn != GREY).any(axis=(0, 2)))
    (_, second) = tiling.columns(SIZE, taper=False)
    place = second.first * 132 // 1200
    assert changed.tolist() == [place - 1, place], "one line, from top to bottom"
    assert (drawn[:, place] == 255).all() and (drawn[:, place - 1] == 0).all() and (GREY == 90).all()
    assert tile_text(SIZE, tiling) == "2 tiles of 800x800"


def test_images_that_are_resized_or_smaller_than_a_tile_have_no_lines():
    assert with_grid(GREY, SIZE, None) is GREY and tile_text(SIZE, None) == ""
    large = Tiling(Size(1280, 1024), 0.25)
    assert (with_grid(GREY, SIZE, large) == GREY).all() and tile_text(SIZE, large) == "1 tile of 1280x1024"


def test_a_grid_too_fine_for_the_picture_is_only_reported():
    fine = Tiling(Size(32, 32), 0.25)
    assert (with_grid(GREY, SIZE, fine) == GREY).all() and "tiles of 32x32" in tile_text(SIZE, fine)
