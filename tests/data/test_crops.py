import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crots.config import Size
from crots.data.crops import Crops, Window, draw_windows

SIDES = st.integers(8, 90)


@settings(max_examples=60)
@given(st.builds(Size, SIDES, SIDES), st.builds(Size, SIDES, SIDES), st.floats(1, 4), st.integers(0, 99))
def test_windows_lie_in_the_image_and_give_crops_of_the_size_asked(size, crop, scale, seed):
    images = np.zeros((5, size.height, size.width, 3), np.uint8)
    windows = draw_windows(5, size, crop, scale, np.random.default_rng(seed))
    for window in windows:
        assert 0 <= window.x <= size.width - window.width and 0 <= window.y <= size.height - window.height
        assert window.width >= 1 and window.height >= 1
    crops = Crops(windows, crop)
    assert crops.images(images).shape == (5, crop.height, crop.width, 3)
    assert crops.labels(images[..., 0]).shape == (5, crop.height, crop.width)


def test_content_is_enlarged_and_shrunk_by_no_more_than_scale():
    crop, scale = Size(40, 20), 2.0
    widths = [w.width for w in draw_windows(400, Size(400, 200), crop, scale, np.random.default_rng(0))]
    assert min(widths) >= 20 and max(widths) <= 80
    # As often enlarged as shrunk, and the ends are reached.
    assert 0.4 < np.mean(np.array(widths) < 40) < 0.6
    assert min(widths) < 22 and max(widths) > 75


def test_without_scale_a_crop_is_a_piece_of_the_image():
    image = np.random.default_rng(0).integers(0, 256, (1, 30, 40, 3), np.uint8)
    windows = draw_windows(1, Size(40, 30), Size(16, 12), 1.0, np.random.default_rng(1))
    x, y, width, height = windows[0]
    assert (width, height) == (16, 12)
    assert (Crops(windows, Size(16, 12)).images(image) == image[:, y : y + 12, x : x + 16]).all()


def test_crops_are_drawn_from_the_whole_image():
    windows = draw_windows(300, Size(40, 30), Size(16, 12), 1.0, np.random.default_rng(1))
    assert {w.x for w in windows} == set(range(25)) and {w.y for w in windows} == set(range(19))


def test_labels_move_with_their_image_and_are_never_interpolated():
    labels = np.repeat(np.array([[[3] * 10 + [255] * 10]], np.uint8), 16, axis=1)
    images = np.repeat(labels[..., None], 3, axis=-1)
    crops = Crops([Window(4, 2, 10, 8)], Size(30, 24))
    cut = crops.labels(labels)
    assert set(np.unique(cut)) == {3, 255}
    assert (np.abs(crops.images(images)[..., 0].astype(int) - cut) > 0).mean() < 0.1


def test_many_classes_have_sixteen_bits():
    labels = np.full((1, 8, 8), 40_000, np.uint16)
    assert (Crops([Window(0, 0, 8, 8)], Size(16, 16)).labels(labels) == 40_000).all()


def test_labels_lie_where_their_image_lies_at_any_scale():
    # A vertical edge between two classes: where it lies in the crop must be where the image turns from dark to light.
    labels = np.zeros((1, 32, 64), np.uint8)
    labels[:, :, 32:] = 1
    images = np.repeat(labels[..., None] * np.uint8(255), 3, axis=-1)
    for window in (Window(0, 0, 64, 32), Window(16, 0, 33, 32), Window(7, 3, 50, 25)):
        for size in (Size(96, 48), Size(200, 90), Size(40, 20), Size(23, 11)):
            crops = Crops([window], size)
            light = crops.images(images)[0, ..., 0].astype(float) / 255
            # The widths of the light parts are equal, to less than the pixel that nearest-neighbour rounds away.
            assert abs(light.mean(axis=1) - crops.labels(labels)[0].mean(axis=1)).max() * size.width <= 0.5 + 1e-2
