"""Crops on the device are those that are cut on the way to it."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from crots.config import Size
from crots.data.crops import Crops, Window, draw_windows
from crots.training.cropping import cut, cut_nearest


@st.composite
def crops_of(draw):
    """Windows in images of some size, and the size of what the student sees."""
    size = Size(draw(st.integers(8, 40)), draw(st.integers(8, 40)))
    crop = Size(draw(st.integers(4, 30)), draw(st.integers(4, 30)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return size, Crops(draw_windows(3, size, crop, draw(st.floats(1, 3)), rng), crop)


@given(crops_of())
def test_the_nearest_pixel_counts_as_on_the_host(case):
    size, crops = case
    columns = np.broadcast_to(np.arange(size.width, dtype=np.uint8), (3, size.height, size.width))
    found = cut_nearest(crops, torch.from_numpy(columns.copy()).long()).numpy()
    # Where a pixel lies between two, either is the nearest.
    assert np.abs(found - crops.labels(columns).astype(int)).max() <= 1
    for shown, window in zip(found, crops.windows, strict=True):
        centres = (np.arange(crops.size.width) + 0.5) * window.width / crops.size.width + window.x - 0.5
        assert np.abs(shown - centres).max() <= 0.5 + 1e-6


@given(crops_of())
def test_labels_stay_with_their_pixels(case):
    size, crops = case
    # A ramp along both sides: where labels are shifted against images, values differ by more than a pixel's worth.
    columns = np.arange(size.width, dtype=np.float32)
    rows = np.arange(size.height, dtype=np.float32)
    ramp = torch.from_numpy(np.broadcast_to(columns + 100 * rows[:, None], (3, size.height, size.width)).copy())
    image = torch.stack([ramp % 100, ramp // 100, ramp % 100], dim=1)
    shown, labels = cut(crops, image), cut_nearest(crops, ramp)
    assert shown.shape == (3, 3, crops.size.height, crops.size.width)
    for place, window in enumerate(crops.windows):
        worth = max(1.0, window.width / crops.size.width, window.height / crops.size.height)
        assert (shown[place, 0] - labels[place] % 100).abs().max() <= worth
        assert (shown[place, 1] - labels[place] // 100).abs().max() <= worth


def test_a_window_of_the_crops_size_is_cut_to_the_bit():
    images = torch.randint(0, 256, (1, 3, 20, 30), dtype=torch.uint8)
    crops = Crops([Window(7, 3, 8, 6)], Size(8, 6))
    assert torch.equal(cut(crops, images), images[..., 3:9, 7:15].float())
