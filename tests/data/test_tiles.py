"""Where tiles lie, what each of them decides, and what is cut from images."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.card import MOST_OVERLAP
from crots.config import Size, describe
from crots.data.cache import ImageCache
from crots.data.crops import Window
from crots.data.datasets import Sample
from crots.data.tiles import Tiling, cut_image, cut_map, in_parts, place_of, read_sample
from crots.errors import InputError
from crots.images import write_image
from crots.opening import tiling_of
from crots.options import DataOptions

SIDES = st.integers(1, 3000)
TILES = st.integers(32, 700)
OVERLAPS = st.floats(0, MOST_OVERLAP)


@given(length=SIDES, tile=TILES, overlap=OVERLAPS, taper=st.booleans())
def test_weights_of_tiles_sum_to_one_everywhere(length, tile, overlap, taper):
    total, tiles = np.zeros(length), np.zeros(length, int)
    spans = Tiling(Size(tile, tile), overlap).spans(length, tile, taper=taper)
    for span in spans:
        assert span.start <= span.first < span.last <= max(span.start + tile, length)
        weights = span.weights()
        assert (weights > 0).all()
        total[span.first : span.last] += weights
        tiles[span.first : span.last] += 1
        assert taper or (weights == 1).all()
    assert total == pytest.approx(1)
    assert tiles.max() <= (2 if taper else 1)
    assert [one.last - one.fall for one in spans[:-1]] == [other.first for other in spans[1:]]


@given(length=SIDES, tile=TILES, overlap=OVERLAPS)
def test_neighbours_overlap_as_much_as_asked_for_and_begin_on_strides(length, tile, overlap):
    spans = Tiling(Size(tile, tile), overlap).spans(length, tile)
    starts = [span.start for span in spans]
    assert starts[0] == 0 and starts[-1] == max(0, length - tile)
    for one, other in itertools.pairwise(starts):
        assert one + tile - other >= np.floor(tile * overlap)
    if tile * (1 - overlap) >= 32:
        assert all(start % 32 == 0 for start in starts[:-1])


@given(length=SIDES, tile=TILES, overlap=OVERLAPS)
def test_the_outer_quarter_of_an_overlap_decides_nothing(length, tile, overlap):
    for span in Tiling(Size(tile, tile), overlap).spans(length, tile):
        least = np.floor(tile * overlap) / 4 - 1
        assert span.first == 0 or span.first - span.start >= least
        assert span.last == length or span.start + tile - span.last >= least


def test_tiles_of_an_image_lie_row_by_row():
    windows = Tiling(Size(64, 32), 0.0).windows(Size(130, 40))
    assert windows == [Window(x, y, 64, 32) for y in (0, 8) for x in (0, 64, 66)]


def test_beyond_an_image_pixels_are_mirrored_and_labels_are_void():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    found = cut_image(image, Window(1, 0, 4, 5))
    assert found.shape == (5, 4, 3)
    assert (found[:2, :2] == image[:, 1:]).all() and (found[2] == found[1]).all() and (found[:, 2] == found[:, 1]).all()
    labels = cut_map(np.ones((2, 3), np.uint8), Window(1, 0, 4, 5), 255)
    assert labels.dtype == np.uint8 and (labels[:2, :2] == 1).all() and (labels == 255).sum() == 20 - 4


def test_tiles_have_keys_that_no_other_tile_has_and_cut_the_image(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    for name in ("a", "a~1"):
        write_image(tmp_path / f"{name}.png", image)
    samples = [Sample(name, tmp_path / f"{name}.png") for name in ("a", "a~1")]
    parts = in_parts(samples, Tiling(Size(64, 64), 0.25))
    assert len({part.key for part in parts}) == len(parts)
    cache = ImageCache(tmp_path / "cache", None, 10**6)
    for part in parts:
        key, window = place_of(part)
        assert part.key.rpartition("~")[0] == key
        assert (read_sample(cache, part) == image[window.y :, window.x :][:64, :64]).all()
    assert in_parts(samples, None) is samples


def test_a_working_size_and_tiles_are_not_had_together():
    assert tiling_of(DataOptions()) is None
    assert tiling_of(DataOptions(tile=Size(64, 64))) == Tiling(Size(64, 64), 0.25)
    with pytest.raises(InputError, match=r"`data\.size` is 32x32 and `data\.tile` is 64x64") as caught:
        tiling_of(DataOptions(tile=Size(64, 64), size=Size(32, 32)))
    assert caught.value.field == "data.tile"


def test_options_and_files_of_models_allow_the_same_overlaps():
    assert {info.name: info.high for info in describe(DataOptions)}["tile_overlap"] == MOST_OVERLAP
