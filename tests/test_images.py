import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crots.config import Size
from crots.errors import InputError, StageError
from crots.images import (
    IMAGE_SUFFIXES,
    image_size,
    read_confidence,
    read_image,
    read_labels,
    resize_confidence,
    resize_image,
    resize_labels,
    write_colours,
    write_confidence,
    write_image,
    write_labels,
)
from crots.stored_pixels import NoLabelIds
from crots.taxonomy import load_class_set

pytestmark = pytest.mark.safety

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), np.uint8)


def saved(path, array_or_image, **options):
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_format_is_read(tmp_path, suffix):
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 15:] = (250, 100, 20)
    if suffix in (".heic", ".heif", ".hif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    if Image.registered_extensions()[suffix] not in Image.SAVE:
        pytest.skip("Pillow only reads it")
    wanted = image.mean(2, keepdims=True).repeat(3, 2) if suffix in (".pgm", ".bw") else image
    path = saved(tmp_path / f"a{suffix}", image if wanted is image else wanted[..., 0].astype(np.uint8))
    assert np.abs(read_image(path).astype(int) - wanted).mean() < 6, "lossy formats come near"
    assert image_size(path) == Size(30, 20)


def test_photographs_of_telephones_are_put_upright(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :15] = (250, 100, 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.HEIC", image, format="HEIF", exif=exif.tobytes(), quality=95)
    assert image_size(path) == Size(20, 30)
    assert np.abs(read_image(path).astype(int) - np.rot90(image, -1)).mean() < 6
    for end in (0, 20, 200):
        path.write_bytes(path.read_bytes()[:end])
        with pytest.raises(InputError):
            read_image(path)


def test_grey_palette_alpha_and_bilevel_become_rgb(tmp_path):
    grey = RGB[..., 0]
    wanted = np.repeat(grey[..., None], 3, 2)
    assert (read_image(saved(tmp_path / "l.png", grey)) == wanted).all()
    rgba = np.dstack([RGB, np.zeros((20, 30), np.uint8)])
    assert (read_image(saved(tmp_path / "a.png", rgba)) == RGB).all(), "transparency is dropped, not blended"
    la = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(grey)])
    assert (read_image(saved(tmp_path / "la.png", la)) == wanted).all()
    few = Image.fromarray(RGB).quantize(16)
    assert (read_image(saved(tmp_path / "p.png", few)) == np.array(few.convert("RGB"))).all()
    assert read_image(saved(tmp_path / "pt.png", few, transparency=b"\0" * 16)).shape == (20, 30, 3)
    assert set(np.unique(read_image(saved(tmp_path / "1.png", Image.fromarray(grey > 128))))) == {0, 255}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    values = np.array([[0, 257, 65535, 257 * 77 + 100]], np.uint16)
    assert read_image(saved(tmp_path / f"a{suffix}", values))[0, :, 0].tolist() == [0, 1, 255, 77]


def test_sixteen_bit_rgb(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for suffix in (".png", ".tif"):
        cv2.imwrite(str(tmp_path / f"a{suffix}"), RGB[..., ::-1].astype(np.uint16) * 257)
        assert (read_image(tmp_path / f"a{suffix}") == RGB).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, suffix, orientation):
    image = np.zeros((20, 30, 3), np.uint8)
    image[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a{suffix}", image, exif=exif)
    turned = read_image(path)
    size = Size(20, 30) if orientation > 4 else Size(30, 20)
    assert image_size(path) == size
    assert turned.shape == (size.height, size.width, 3)
    corners = [(0, 0), (0, -1), (-1, -1), (-1, 0), (0, 0), (0, -1), (-1, -1), (-1, 0)]
    assert turned[corners[orientation - 1]].min() > 200
    assert turned[..., 0].mean() < 60


def test_faulty_images_are_named(tmp_path):
    good = saved(tmp_path / "good.png", RGB)
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:-300])
    text = tmp_path / "text.jpg"
    text.write_text("<html>not found</html>")
    empty = tmp_path / "empty.png"
    empty.touch()
    swapped = tmp_path / "swapped.jpg"
    swapped.write_bytes(good.read_bytes())
    folder = tmp_path / "folder.png"
    folder.mkdir()
    floats = saved(tmp_path / "f.tif", RGB[..., 0].astype(np.float32))
    cases = {
        cut: "truncated",
        text: "not an image",
        empty: "empty",
        swapped: "holds a PNG image under the suffix .jpg",
        folder: "cannot be read",
        floats: "floating-point",
        tmp_path / "absent.png": "no such file",
        tmp_path / "x.txt": "found the suffix '.txt'",
    }
    for path, says in cases.items():
        with pytest.raises(InputError) as error:
            read_image(path)
        assert says in str(error.value) and str(path) in str(error.value), error.value
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="not an image"):
        image_size(text)


def test_truncated_jpeg_is_refused(tmp_path):
    path = saved(tmp_path / "a.jpg", np.repeat(np.repeat(RGB, 8, 0), 8, 1))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="truncated"):
        read_image(path)
    assert image_size(path) == Size(240, 160), "only the header is read"


@settings(max_examples=60)
@given(st.data())
def test_damaged_bytes_never_crash(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / data.draw(st.sampled_from(["w.png", "w.jpg", "w.tif", "w.webp", "w.bmp"]))
    saved(path, RGB)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for read in (read_image, image_size):
        try:
            read(path)
        except InputError as error:
            assert str(path) in str(error)


def test_png_bomb_is_refused(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(InputError, match=r"3,600 megapixels, the limit is 100.*--max-megapixels"):
        read_image(path)


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


def test_resizing():
    assert (resize_image(RGB, Size(13, 9)) == np.array(Image.fromarray(RGB).resize((13, 9), Image.BICUBIC))).all()
    assert resize_image(RGB, Size(30, 20)) is RGB
    for dtype in (np.uint8, np.uint16, np.int64):
        labels = RNG.integers(0, 250, (20, 30)).astype(dtype)
        resized = resize_labels(labels, Size(13, 33))
        expected = Image.fromarray(labels.astype(np.uint8)).resize((13, 33), Image.NEAREST)
        assert (resized == np.array(expected)).all() and resized.dtype == dtype
    assert resize_labels(np.array([[60000]], np.uint16), Size(2, 1)).tolist() == [[60000, 60000]]
    assert resize_confidence(np.full((4, 4), 0.25, np.float32), Size(9, 2)).tolist() == [[0.25] * 9] * 2


def test_failed_writes_are_explained_and_leave_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match="a file, not a folder"):
        write_labels(tmp_path / "file" / "a.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError):
        write_image(tmp_path / "a.nonsense", RGB)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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
def test_labels_that_transparency_tells_apart_are_refused(tmp_path, mode, alpha, fits):
    ids = np.array([[0, 0, 1, 1]], np.uint8)
    planes = [ids] * (len(mode) - 1) + [np.array([alpha], np.uint8)]
    Image.merge(mode, [Image.fromarray(plane) for plane in planes]).save(tmp_path / "a.png")
    if fits:
        found = read_labels(tmp_path / "a.png")
        assert np.array_equal(found if mode == "LA" else found[..., 0], ids)
    else:
        with pytest.raises(NoLabelIds, match="holds labels in its transparency"):
            read_labels(tmp_path / "a.png")


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(InputError, match=r"a pointer of Git LFS .*git lfs pull"):
        read_image(path)
