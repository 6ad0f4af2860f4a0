from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.config import Size
from crots.data.datasets import Dataset, Sample, open_dataset
from crots.data.sizes import MOST_PIXELS, enlarged, propose_size, propose_tile, squeezed
from crots.errors import InputError
from crots.images import write_image

CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"


@pytest.mark.parametrize(
    ("size", "multiple", "wanted"),
    [
        ((480, 360), 32, (480, 352)),
        ((2048, 1024), 32, (1024, 512)),
        ((1914, 1052), 32, (960, 544)),
        ((1920, 1080), 32, (960, 544)),
        ((512, 256), 32, (512, 256)),
        ((480, 360), 1, (480, 360)),
        ((360, 640), 32, (352, 640)),
        ((20, 20), 32, (32, 32)),
        ((10000, 100), 32, (7232, 64)),
    ],
)
def test_proposals(size, multiple, wanted):
    proposal, reason = propose_size([Size(*size)], multiple)
    assert proposal == wanted
    assert str(proposal) in reason


@given(st.integers(1, 20000), st.integers(1, 20000), st.sampled_from([1, 8, 16, 32]))
def test_limits(width, height, multiple):
    proposal, _ = propose_size([Size(width, height)], multiple)
    assert proposal.width % multiple == 0 and proposal.height % multiple == 0 and min(proposal) >= multiple
    assert proposal.width < width + multiple and proposal.height < height + multiple, "no larger than by rounding"
    if width <= 50 * height and height <= 50 * width:
        assert proposal.width * proposal.height <= MOST_PIXELS


def test_the_commonest_shape_wins_and_is_reported():
    sizes = [Size(640, 480)] * 3 + [Size(320, 240)] * 2 + [Size(1000, 200)] * 4
    proposal, reason = propose_size(sizes)
    assert proposal == (640, 480)
    assert reason.startswith("working size 640x480: 5 of 9 images checked")


def test_only_fifty_headers_are_read_and_broken_ones_skipped(tmp_path):
    write_image(tmp_path / "good.png", np.zeros((64, 96, 3), np.uint8))
    (tmp_path / "bad.png").write_bytes(b"nothing")
    samples = tuple(Sample(str(i), tmp_path / ("bad.png" if i == 0 else "good.png")) for i in range(1000))
    proposal, reason = propose_size(Dataset(tmp_path, "folder", "", samples))
    assert proposal == (96, 64)
    assert "49 images" in reason


def test_no_readable_image(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.png"):
        propose_size(open_dataset(tmp_path))
    with pytest.raises(InputError, match="no image"):
        propose_size([])


@pytest.mark.skipif(not CAMVID.is_dir(), reason="shared data is not here")
def test_shared_camvid():
    assert propose_size(open_dataset(CAMVID))[0] == (480, 352)


def test_tiles_are_proposed_where_small_objects_would_vanish():
    size, reason = propose_size([Size(6000, 4000)])
    assert "one of its pixels covers 6.8 pixels of an image across" in reason and "tiles of 704x704 keep them" in reason
    assert propose_tile(Size(6000, 4000), size) == (704, 704)
    assert propose_tile(Size(20000, 300), Size(7232, 64)) == (704, 320)
    assert "tiles" not in propose_size([Size(2048, 1024)])[1]


CAMVID_SIZES = [Size(480, 360)] * 20


def test_a_working_size_far_above_that_of_the_images_is_said():
    """4096x4096 was taken without a word, and a run took a hundred times as long."""
    text = enlarged(CAMVID_SIZES, size=Size(4096, 4096), tile=None)
    assert text.startswith("`data.size` 4096x4096 has 97 times as many pixels as most images (480x360), which takes")
    text = enlarged(CAMVID_SIZES, size=None, tile=Size(2048, 2048))
    assert text.startswith("`data.tile` 2048x2048: most images (480x360) fill only 1/24 of it and the rest mirrors")
    # Twice as long in both directions helps some networks, and tiles of other shapes show as much of the image.
    for size in (Size(480, 352), Size(640, 480), Size(960, 720), Size(64, 32)):
        assert enlarged(CAMVID_SIZES, size=size, tile=None) == ""
    assert enlarged(CAMVID_SIZES, size=None, tile=Size(512, 512)) == ""
    assert enlarged([Size(4000, 200)], size=None, tile=Size(704, 704)) == ""
    assert enlarged(CAMVID_SIZES, size=None, tile=None) == enlarged([], size=Size(9, 9), tile=None) == ""


def test_a_working_size_is_judged_by_most_of_the_images():
    few = [Size(120, 90)] * 4 + [Size(1280, 960)] * 5
    assert enlarged(few, size=Size(1280, 960), tile=None) == ""
    many = [Size(120, 90)] * 5 + [Size(1280, 960)] * 4
    assert "most images (120x90)" in enlarged(many, size=Size(1280, 960), tile=None)


def test_images_that_cannot_be_read_are_no_matter_of_the_size(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    broken = Dataset(tmp_path, "folder", "", (Sample("bad", tmp_path / "bad.png"),))
    assert enlarged(broken, size=Size(4096, 4096), tile=None) == ""


def test_a_working_size_that_squeezes_most_images():
    assert squeezed(CAMVID_SIZES, Size(512, 512)) == (480, 360)
    assert squeezed(CAMVID_SIZES, Size(480, 352)) is squeezed(CAMVID_SIZES, Size(640, 480)) is None
    assert squeezed([Size(64, 48)], Size(128, 96)) is None
    assert squeezed([Size(9, 9), Size(9, 9), Size(18, 9)], Size(32, 32)) is None and squeezed([], Size(9, 9)) is None


def test_one_image_is_spoken_of_as_one():
    assert "the image is shaped like 64x48" in propose_size([Size(64, 48)])[1]
    assert "the image has it" in propose_size([Size(64, 64)])[1]
    assert "the 2 images checked are shaped like 64x48" in propose_size([Size(64, 48)] * 2)[1]
