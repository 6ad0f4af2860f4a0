"""JPEG 2000 files of strangers: whatever their bytes say, the looks at them end with an answer."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crots.image_formats import is_lossy
from crots.jpeg2000 import is_rounded, why_incomplete

pytestmark = pytest.mark.safety
IDS = Image.fromarray((np.arange(40 * 48, dtype=np.uint32).reshape(40, 48) // 97 % 7).astype(np.uint8))


def stored(**options):
    file = io.BytesIO()
    IDS.save(file, "JPEG2000", **options)
    return file.getvalue()


FILES = [
    stored(),
    stored(no_jp2=True),
    stored(no_jp2=True, tile_size=(20, 20), precinct_size=(64, 64), codeblock_size=(16, 16)),
    stored(irreversible=True),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(4, 110), st.sampled_from([0, 1, 2, 150, 255]) | st.integers(0, 255)), max_size=6),
    st.integers(0, 2000),
    st.binary(max_size=20),
)
def test_whatever_a_file_says_of_itself_the_looks_at_it_end(tmp_path, content, changes, length, preface):
    changed = bytearray(content)
    begin = content.index(b"\xff\x4f\xff\x51")
    for place, value in changes:
        changed[begin + place] = value
    path = tmp_path / "a.jp2"
    path.write_bytes(preface + bytes(changed[:length]))
    assert is_rounded(path) in (True, False)
    assert isinstance(why_incomplete(path, IDS), str)


def test_the_codestream_is_found_behind_boxes_of_any_length(tmp_path):
    for content, rounded in ((FILES[0], False), (FILES[3], True)):
        path = tmp_path / "a.jp2"
        path.write_bytes(content[:12] + b"\0\0\1\0free" + bytes(248) + content[12:])
        assert is_lossy(path) == rounded
        assert (why_incomplete(path, IDS) == "") != rounded


def test_parameters_on_which_the_encoder_would_end_the_process_are_refused(tmp_path):
    path = tmp_path / "a.j2k"
    for place, value in ((9, 150), (9, 33), (10, 9), (11, 255)):
        content = bytearray(FILES[1])
        content[content.index(b"\xff\x52") + place] = value
        path.write_bytes(content)
        assert "parameters that the format does not allow" in why_incomplete(path, IDS)


def test_a_single_tile_may_be_larger_than_its_image(tmp_path):
    content = bytearray(FILES[1])
    # Width and height of tiles follow those of the image and two offsets.
    content[24:32] = b"\xff" * 8
    path = tmp_path / "a.j2k"
    path.write_bytes(content)
    assert why_incomplete(path, IDS) == ""
