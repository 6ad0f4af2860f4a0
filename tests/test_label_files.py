import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from crots.config import Size
from crots.errors import InputError
from crots.image_formats import is_lossy
from crots.images import read_image
from crots.label_files import (
    read_confidence,
    read_grey,
    read_labels,
    resize_confidence,
    resize_labels,
    write_colours,
    write_confidence,
    write_labels,
)
from crots.stored_pixels import NoLabelIds
from crots.taxonomy import load_class_set
from tests.saved import saved

pytestmark = pytest.mark.safety

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), np.uint8)


def test_labels_come_back_as_written(tmp_path):
    small = RNG.integers(0, 256, (5, 7)).astype(np.int64)
    write_labels(tmp_path / "l.png", small)
    with Image.open(tmp_path / "l.png") as image:
        assert image.mode == "L"
    assert (read_labels(tmp_path / "l.png") == small).all()
    large = np.array([[0, 256, 65535]], np.int32)
    write_labels(tmp_path / "w.png", large)
    assert read_labels(tmp_path / "w.png").tolist() == large.tolist()
    write_labels(tmp_path / "u.png", np.array([[3, 4]], np.uint16))
    assert read_labels(tmp_path / "u.png").dtype == np.uint8, "16 bits only where needed"


def test_colours_are_a_palette_png_of_the_same_ids(tmp_path):
    classes = load_class_set("cityscapes")
    labels = np.array([[0, 18, 255]], np.uint8)
    write_colours(tmp_path / "c.png", labels, classes.palette_array())
    assert (read_labels(tmp_path / "c.png") == labels).all()
    assert read_image(tmp_path / "c.png").tolist() == [[[128, 64, 128], [119, 11, 32], [0, 0, 0]]]
    assert (read_labels(tmp_path / "c.png", colour=True) == read_image(tmp_path / "c.png")).all()


def test_colours_of_large_sets(tmp_path):
    palette = np.zeros((65536, 3), np.uint8)
    palette[300] = (1, 2, 3)
    write_colours(tmp_path / "c.png", np.array([[300]], np.uint16), palette)
    assert read_image(tmp_path / "c.png").tolist() == [[[1, 2, 3]]]


def test_label_kinds(tmp_path):
    assert read_labels(saved(tmp_path / "rgba.png", np.dstack([RGB, RGB[..., 0]]))).tolist() == RGB.tolist()
    assert read_labels(saved(tmp_path / "1.png", Image.new("1", (2, 1), 1))).tolist() == [[1, 1]]
    assert read_labels(saved(tmp_path / "t.tif", np.array([[700]], np.uint16))).tolist() == [[700]]
    with pytest.raises(InputError, match="loss"):
        read_labels(saved(tmp_path / "l.jpg", RGB[..., 0]))


def test_confidence(tmp_path):
    values = np.array([[0.0, 0.5, 1.0]], np.float32)
    write_confidence(tmp_path / "c.png", values)
    read = read_confidence(tmp_path / "c.png")
    assert read.dtype == np.float32
    assert np.abs(read - values).max() <= 0.5 / 255 + 1e-6
    assert read_confidence(saved(tmp_path / "w.png", np.array([[65535, 0]], np.uint16))).tolist() == [[1.0, 0.0]]
    with pytest.raises(InputError, match="grey confidence map"):
        read_confidence(saved(tmp_path / "rgb.png", RGB))


def test_a_confidence_map_is_decoded_once(tmp_path, monkeypatch):
    write_confidence(tmp_path / "c.png", RNG.random((5, 7)))
    decoded, prepare = [], PngImageFile.load_prepare

    def counting(self):
        decoded.append(self)
        prepare(self)

    monkeypatch.setattr(PngImageFile, "load_prepare", counting)
    assert read_confidence(tmp_path / "c.png").shape == (5, 7)
    assert len(decoded) == 1


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(
    ("alpha", "fits"),
    [
        ([255, 255, 255, 255], True),
        ([0, 0, 255, 255], True),
        ([0, 0, 0, 0], True),
        ([0, 255, 255, 255], False),
        ([255, 255, 255, 128], False),
    ],
)
def test_labels_that_transparency_distinguishes_are_refused(tmp_path, mode, alpha, fits):
    ids = np.array([[0, 0, 1, 1]], np.uint8)
    planes = [ids] * (len(mode) - 1) + [np.array([alpha], np.uint8)]
    Image.merge(mode, [Image.fromarray(plane) for plane in planes]).save(tmp_path / "a.png")
    if fits:
        found = read_labels(tmp_path / "a.png")
        assert np.array_equal(found if mode == "LA" else found[..., 0], ids)
    else:
        with pytest.raises(NoLabelIds, match="holds labels in its transparency"):
            read_labels(tmp_path / "a.png")


def test_resizing():
    for dtype in (np.uint8, np.uint16, np.int64):
        labels = RNG.integers(0, 250, (20, 30)).astype(dtype)
        resized = resize_labels(labels, Size(13, 33))
        expected = Image.fromarray(labels.astype(np.uint8)).resize((13, 33), Image.NEAREST)
        assert (resized == np.array(expected)).all() and resized.dtype == dtype
    assert resize_labels(np.array([[60000]], np.uint16), Size(2, 1)).tolist() == [[60000, 60000]]
    assert resize_confidence(np.full((4, 4), 0.25, np.float32), Size(9, 2)).tolist() == [[0.25] * 9] * 2


WEBP_FORMS = {
    "ids": RNG.integers(0, 9, (20, 30), np.uint8),
    "colours": RGB,
    "opaque": np.dstack([RGB, np.full((20, 30), 255, np.uint8)]),
}


@pytest.mark.parametrize("form", WEBP_FORMS)
@pytest.mark.parametrize("exif", [False, True])
def test_webp_stored_without_loss_holds_labels(tmp_path, form, exif):
    image, options = Image.fromarray(WEBP_FORMS[form]), {"exif": Image.Exif().tobytes()} if exif else {}
    image.save(tmp_path / "l.webp", lossless=True, **options)
    assert not is_lossy(tmp_path / "l.webp")
    wanted = WEBP_FORMS[form] if form == "ids" else WEBP_FORMS[form][..., :3]
    found = read_labels(tmp_path / "l.webp")
    # The format has no grey.
    assert found.shape == wanted.shape and (found == wanted).all()
    assert form != "ids" or (read_grey(tmp_path / "l.webp") == wanted).all()


@pytest.mark.parametrize("form", [RGB, np.dstack([RGB, RGB[..., 0]])])
def test_webp_stored_with_loss_cannot_hold_labels(tmp_path, form):
    Image.fromarray(form).save(tmp_path / "l.webp", quality=100)
    assert is_lossy(tmp_path / "l.webp")
    with pytest.raises(InputError, match="a WebP file stored with loss"):
        read_labels(tmp_path / "l.webp")


@pytest.mark.parametrize("lossless", [True, False])
def test_animated_webp_holds_no_labels(tmp_path, lossless):
    frames = [Image.fromarray(np.roll(RGB, shift, 1)) for shift in (0, 9)]
    frames[0].save(tmp_path / "l.webp", save_all=True, append_images=frames[1:], lossless=lossless)
    assert is_lossy(tmp_path / "l.webp") != lossless
    with pytest.raises(InputError, match="frames" if lossless else "loss"):
        read_labels(tmp_path / "l.webp")


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X\xff\xff\xff\xff", b"GIF89a"]
)
def test_damaged_webp_is_reported_where_it_is_read(tmp_path, content):
    (tmp_path / "l.webp").write_bytes(content)
    assert not is_lossy(tmp_path / "l.webp")
    with pytest.raises(InputError):
        read_labels(tmp_path / "l.webp")


@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
def test_jpeg_2000_holds_labels_only_with_the_wavelet_of_whole_numbers(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / f"whole{suffix}")
    assert not is_lossy(tmp_path / f"whole{suffix}")
    assert (read_labels(tmp_path / f"whole{suffix}") == RGB).all()
    Image.fromarray(RGB).save(tmp_path / f"rounded{suffix}", irreversible=True)
    assert is_lossy(tmp_path / f"rounded{suffix}")
    with pytest.raises(InputError, match="a JPEG 2000 file stored with loss"):
        read_labels(tmp_path / f"rounded{suffix}")
    whole = (tmp_path / f"rounded{suffix}").read_bytes()
    for length in (0, 1, 2, 9, 40, 85, 130):
        (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_labels(tmp_path / f"cut{suffix}")
    for length in (b"\0\0\0\1", b"\0\0\0\7", b"\xff\xff\xff\xff"):
        (tmp_path / f"boxes{suffix}").write_bytes(length + b"abcd" + bytes(90))
        assert not is_lossy(tmp_path / f"boxes{suffix}")


def patches(classes, height=96, width=128):
    """A label map of straight borders."""
    rows, columns = np.mgrid[:height, :width]
    return ((rows // 13 + columns // 17 * 3) % classes).astype(np.uint8)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"no_jp2": True},
        {"num_resolutions": 3, "codeblock_size": (16, 32)},
        {"tile_size": (50, 40), "precinct_size": (64, 64), "progression": "RPCL"},
        {"plt": True, "comment": "Label ids"},
        {"quality_mode": "rates", "quality_layers": [1]},
    ],
)
@pytest.mark.parametrize("kind", ["ids", "mask", "deep", "colours"])
def test_whole_jpeg_2000_labels_are_read(tmp_path, options, kind):
    ids = patches(5)
    pixels = {"ids": ids, "mask": ids // 4 * 255, "deep": ids.astype(np.uint16) * 300,
              "colours": np.repeat(ids[..., None] * 40, 3, 2)}[kind]  # fmt: skip
    Image.fromarray(pixels).save(tmp_path / "l.jp2", **options)
    if kind == "deep" and "tile_size" in options:
        with pytest.raises(InputError, match=r"cannot be determined .*tiles of 16 bits"):
            read_labels(tmp_path / "l.jp2")
        return
    found = read_labels(tmp_path / "l.jp2")
    assert (found == (pixels if found.ndim == pixels.ndim else pixels[..., 0])).all()


@pytest.mark.parametrize("rate", [1.5, 4, 10, 20, 40, 100])
@pytest.mark.parametrize("classes", [2, 11, 60])
@pytest.mark.parametrize("block", [16, 32, 64])
def test_truncated_jpeg_2000_labels_are_refused(tmp_path, rate, classes, block):
    labels, path = patches(classes), tmp_path / "l.jp2"
    cut = {"quality_mode": "rates", "quality_layers": [rate], "codeblock_size": (block, block)}
    Image.fromarray(labels).save(path, irreversible=False, **cut)
    with Image.open(path) as image:
        same = (np.asarray(image) == labels).all()
    try:
        assert (read_labels(path) == labels).all()
    except InputError as error:
        assert "truncated to a given size" in str(error)
        assert "convert the original labels to PNG" in str(error)
    else:
        assert same


def test_jpeg_2000_labels_of_another_encoder_are_refused(tmp_path):
    Image.fromarray(patches(5)).save(tmp_path / "l.jp2", quality_mode="rates", quality_layers=[20, 1])
    with pytest.raises(InputError, match=r"cannot be determined whether it was truncated .*several layers"):
        read_labels(tmp_path / "l.jp2")
