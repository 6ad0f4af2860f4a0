"""Images of more than three bands, of 16 bits that are not all used, of floating-point numbers, with transparency."""

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from crots import rendering
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.data.inspection import inspect
from crots.data.pixels import pixel_warnings
from crots.errors import InputError
from crots.images import image_size, is_plain, is_turned, read_image
from crots.label_files import read_stored
from crots.opening import Inputs
from crots.project_config import build_config
from crots.rendering import Rendering
from tests.banded import write_tiff

pytestmark = pytest.mark.safety

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def nothing_chosen():
    yield
    rendering._chosen.clear()


def some(count, kind=np.uint8, most=255):
    return RNG.integers(0, most + 1, (6, 10, count)).astype(kind)


@pytest.mark.parametrize("count", [2, 4, 5, 8, 13])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("photometric", [1, 2])
def test_bands_that_nobody_chose_are_an_error_that_names_the_option(tmp_path, count, kind, photometric):
    if photometric == 2 and count < 4:
        pytest.skip("three colours")
    path = write_tiff(tmp_path / "a.tif", some(count, kind), photometric=photometric)
    assert image_size(path) == Size(10, 6)
    with pytest.raises(InputError, match=rf"has {count} bands, expected one .*data.bands"):
        read_image(path)
    problems = inspect(tmp_path).problems
    assert len(problems) == 1 and "data.bands" in problems[0]
    with pytest.raises(InputError, match=f"has {count} bands, expected label ids"):
        read_stored(path)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("kind", "most", "white"), [(np.uint8, 255, 0), (np.uint16, 65535, 0), (np.uint16, 3000, 3000),
                                                     (np.float32, 1, 1), (np.int16, 10000, 10000)])  # fmt: skip
def test_chosen_bands_of_many(tmp_path, apart, kind, most, white):
    pytest.importorskip("tifffile")
    stored = some(8, kind, most)
    path = write_tiff(tmp_path / "a.tif", stored, apart=apart)
    rendering.use([path], Rendering((4, 3, 2), white))
    top = white or np.iinfo(kind).max
    wanted = np.floor(stored[..., [3, 2, 1]].astype(float) / top * 255 + 0.5).astype(np.uint8)
    assert np.array_equal(read_image(path), wanted)
    rendering.use([path], Rendering((5,), white))
    assert np.array_equal(read_image(path)[..., 1], np.floor(stored[..., 4].astype(float) / top * 255 + 0.5))
    rendering.use([path], Rendering((9,), white))
    with pytest.raises(InputError, match=r"has 8 bands, but `data.bands` is 9"):
        read_image(path)


def test_a_turned_tiff_of_many_bands(tmp_path):
    pytest.importorskip("tifffile")
    stored = some(5)
    path = write_tiff(tmp_path / "a.tif", stored, orientation=6)
    rendering.use([path], Rendering((1, 2, 3)))
    assert is_turned(path) and image_size(path) == Size(6, 10)
    assert np.array_equal(read_image(path), np.rot90(stored[..., :3], -1))


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    path = write_tiff(tmp_path / "a.tif", some(5))
    rendering.use([path], Rendering((1, 2, 3)))
    with pytest.raises(InputError, match=r"crots-studio\[tiff\]"):
        read_image(path)


def test_a_broken_tiff_of_many_bands_is_an_error_of_one_line(tmp_path):
    pytest.importorskip("tifffile")
    path = write_tiff(tmp_path / "a.tif", some(5))
    whole = path.read_bytes()
    rendering.use([path], Rendering((1, 2, 3)))
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_bands_of_images_that_anybody_can_open(tmp_path, suffix):
    colours = some(4)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(colours).save(path)
    rendering.use([path], Rendering((4, 2, 1)))
    assert np.array_equal(read_image(path), colours[..., [3, 1, 0]])
    rendering.use([path], Rendering())
    assert np.array_equal(read_image(path), colours[..., :3]) and is_plain(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [True, False])
def test_what_is_white_uses_all_that_16_bits_hold(tmp_path, suffix, colour):
    values = some(3, np.uint16, 4095)
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), values[..., ::-1] if colour else values[..., 0])
    assert "`data.white` 4095" in pixel_warnings([path])[0].text
    rendering.use([path], Rendering(white=4095.0))
    wanted = np.floor(values / 4095 * 255 + 0.5)
    assert np.array_equal(read_image(path), wanted if colour else wanted[..., [0, 0, 0]])
    assert pixel_warnings([path]) == ()


def test_floating_point_images_ask_what_is_white(tmp_path):
    values = RNG.random((6, 10)).astype(np.float32)
    values[0, 0], values[0, 1] = np.nan, -3
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"holds floating-point values from -3 to .*data.white"):
        read_image(tmp_path / "a.tif")
    rendering.use([tmp_path / "a.tif"], Rendering(white=1.0))
    read = read_image(tmp_path / "a.tif")
    assert read[0, 0, 0] == 0 and read[0, 1, 0] == 0
    assert np.array_equal(read[1:, :, 0], np.floor(values[1:] * 255 + 0.5))


@pytest.mark.parametrize("text", ["a", "1,2", "0", "1,2,3,4", "1.5", "-1,2,3", "1 2 3", "99999"])
def test_bands_that_are_no_choice(text):
    with pytest.raises(InputError, match=r"`data.bands`: found .* expected the numbers"):
        rendering.parse_rendering(text, 0.0)


def test_bands_as_people_write_them():
    assert rendering.parse_rendering(" 3, 2 ,1 ", 0).bands == (3, 2, 1)
    assert rendering.parse_rendering("7", 0).bands == (7,)
    assert rendering.parse_rendering("", 0) == Rendering()


def test_a_project_notes_its_choice_for_all_readers(tmp_path):
    values = some(3, np.uint16, 1000)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), values[..., ::-1])
    for white in (1000.0, 0.0):
        config = build_config({"data": {"target": "images", "bands": "3,2,1", "white": white}})
        (sample,) = Inputs(config, tmp_path).target.samples
        cache = ImageCache(tmp_path / "cache", Size(10, 6), 10**6)
        brightest = cache.get(sample.image).max()
        assert brightest > 200 if white else brightest < 10
        assert np.array_equal(cache.get(sample.image), read_image(sample.image))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_transparent_images_are_reported(tmp_path, suffix):
    colours = some(4)
    colours[..., 3] = 255
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", **options)
    assert pixel_warnings([tmp_path / f"a{suffix}"]) == ()
    colours[:3, :, 3] = 0
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", exact=True, **options)
    assert "1 of 1 images checked have transparent pixels (50%)" in pixel_warnings([tmp_path / f"a{suffix}"])[0].text


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".png"])
def test_images_of_several_frames_are_reported(tmp_path, suffix):
    frames = [Image.fromarray(some(3)) for _ in range(3)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    assert "several frames or pages" in "".join(warning.text for warning in pixel_warnings([tmp_path / f"a{suffix}"]))
    assert len(open_dataset(tmp_path)) == 1


def pages(path, stored, *, photometric=None, **options):
    """Writes bands as pages, as some programs for maps and microscopes do."""
    first, *others = (Image.fromarray(stored[..., band]) for band in range(stored.shape[2]))
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize(("kind", "most"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
@pytest.mark.parametrize("count", [2, 4])
def test_grey_pages_of_one_size_are_a_question(tmp_path, kind, most, count):
    stored = some(count, kind, most)
    path = pages(tmp_path / "a.tif", stored)
    assert image_size(path) == Size(10, 6) and not is_plain(path)
    with pytest.raises(
        InputError, match=rf"holds {count} grey pages .*`data.bands` 3,2,1: .* 1 for the first"
    ) as caught:
        read_image(path)
    assert caught.value.field == "data.bands"
    white = float(most) if kind is np.float32 else 0.0
    for bands in ((1,), (2,), *([(4, 2, 1)] if count == 4 else [])):
        rendering.use([path], Rendering(bands, white))
        wanted = np.floor(stored[..., [band - 1 for band in bands]].astype(float) / most * 255 + 0.5)
        assert np.array_equal(read_image(path), np.broadcast_to(wanted, (6, 10, 3)))
    rendering.use([path], Rendering((5,), white))
    with pytest.raises(InputError, match=rf"has {count} bands, but `data.bands` is 5"):
        read_image(path)
    with pytest.raises(InputError, match=f"holds {count} grey pages of one size, expected label ids"):
        read_stored(path)


def test_turned_pages(tmp_path):
    stored = some(3)
    path = pages(tmp_path / "a.tif", stored, tiffinfo={274: 6})
    rendering.use([path], Rendering((1,)))
    assert image_size(path) == Size(6, 10)
    assert np.array_equal(read_image(path)[..., 0], np.rot90(stored[..., 0], -1))


@pytest.mark.parametrize("other", [some(1)[::2, ::2, 0], some(3), some(1, np.uint16)[..., 0], some(1)[..., 0] > 9])
def test_pages_that_are_no_bands_are_left_to_the_warning(tmp_path, other):
    first = some(1)[..., 0]
    Image.fromarray(first).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(other)])
    assert np.array_equal(read_image(tmp_path / "a.tif")[..., 0], first)
    assert "several frames or pages" in pixel_warnings([tmp_path / "a.tif"])[0].text


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_dark_pages_are_reported(tmp_path, kind):
    path = pages(tmp_path / "a.tif", some(3, kind, 4095))
    rendering.use([path], Rendering((1, 2, 3)))
    assert [warning.white for warning in pixel_warnings([path])] == [4095]


def test_damaged_pages_are_an_error_of_one_line(tmp_path):
    path = pages(tmp_path / "a.tif", some(3))
    whole = path.read_bytes()
    rendering.use([path], Rendering((3, 2, 1)))
    # The file ends with the last page's pixels and some bytes to spare.
    for end in range(0, len(whole) - 16, 7):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)
    # A directory that follows itself.
    looped = bytearray(whole)
    looped[whole.rindex(b"\0\0\0\0") :] = whole[4:8]
    path.write_bytes(bytes(looped))
    image_size(path)


# What Pillow does not open, or reads as noise: 16 bits of colours that are stored one after another.
WIDE = [
    (np.float32, 3, False),
    (np.float32, 3, True),
    (np.uint16, 3, True),
    (np.int16, 3, False),
    (np.float64, 1, False),
]


@pytest.mark.parametrize(("kind", "count", "apart"), WIDE)
def test_numbers_that_pillow_does_not_read(tmp_path, kind, count, apart):
    pytest.importorskip("tifffile")
    stored = some(count, kind, 1000)
    path = write_tiff(tmp_path / "a.tif", stored, photometric=2 if count == 3 else 1, apart=apart)
    if kind in (np.uint16, np.int16):
        assert "`data.white` 1023" in pixel_warnings([path])[0].text
    else:
        with pytest.raises(InputError, match=r"data.white"):
            read_image(path)
    rendering.use([path], Rendering(white=1000.0))
    assert np.array_equal(read_image(path), np.broadcast_to(np.floor(stored / 1000.0 * 255 + 0.5), (6, 10, 3)))
    assert pixel_warnings([path]) == ()


@pytest.mark.parametrize(("kind", "count", "apart"), WIDE)
def test_numbers_that_pillow_does_not_read_name_the_extra(tmp_path, monkeypatch, kind, count, apart):
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    path = write_tiff(tmp_path / "a.tif", some(count, kind), photometric=2 if count == 3 else 1, apart=apart)
    with pytest.raises(InputError, match=r"holds (16|32|64)-bit numbers.*crots-studio\[tiff\]"):
        read_image(path)


def test_8_bits_with_a_sign_are_not_read_as_ones_without(tmp_path):
    pytest.importorskip("tifffile")
    stored = np.arange(-30, 30, dtype=np.int8).reshape(6, 10, 1)
    path = write_tiff(tmp_path / "a.tif", stored)
    assert np.array_equal(read_stored(path).values, stored[..., 0])
    with pytest.raises(InputError, match=r"holds values from -30 to 29, .*data.white"):
        read_image(path)
    rendering.use([path], Rendering(white=29.0))
    assert np.array_equal(read_image(path)[..., :1], np.floor(np.maximum(stored, 0) / 29 * 255 + 0.5))


@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_label_ids_of_64_bits(tmp_path, kind):
    pytest.importorskip("tifffile")
    stored = some(1, kind, 9)
    path = write_tiff(tmp_path / "a.tif", stored)
    assert np.array_equal(read_stored(path).values, stored[..., 0])
    stored[0, 0] = 2.0**40
    write_tiff(path, stored)
    with pytest.raises(InputError, match="label ids"):
        read_stored(path)
    write_tiff(path, stored % 9, orientation=3)
    with pytest.raises(InputError, match="turned"):
        read_stored(path)


def test_smaller_versions_of_a_picture_are_no_pages(tmp_path):
    frames = [Image.fromarray(some(3)), Image.fromarray(some(3)[::2, ::2])]
    smaller = ImageFileDirectory_v2()
    smaller[254] = 1
    frames[1].encoderinfo = {"tiffinfo": smaller}
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a.tif") as written:
        assert written.n_frames == 2
    assert pixel_warnings([tmp_path / "a.tif"]) == ()
