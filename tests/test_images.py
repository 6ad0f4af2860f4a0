import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from crots import limits
from crots.config import Size
from crots.errors import InputError, StageError
from crots.image_formats import IMAGE_SUFFIXES
from crots.images import image_size, read_image, resize_image, write_image
from crots.label_files import write_labels
from tests.saved import png_file, saved

pytestmark = pytest.mark.safety

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), np.uint8)


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
@pytest.mark.parametrize("channels", [(), (3,)])
def test_exif_rotation(tmp_path, suffix, orientation, channels):
    image = np.zeros((20, 30, *channels), np.uint8)
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
    assert (turned[..., 0] > 128).any(axis=1).sum() in (8, 9), "a square"


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
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_file(head, b""))
    with pytest.raises(InputError, match=r"3,600 megapixels, the limit is 100.*--max-megapixels"):
        read_image(path)


def test_resizing():
    assert (resize_image(RGB, Size(13, 9)) == np.array(Image.fromarray(RGB).resize((13, 9), Image.BICUBIC))).all()
    assert resize_image(RGB, Size(30, 20)) is RGB


def test_png_files_keep_every_pixel_and_are_small(tmp_path):
    ramp = np.add.outer(np.arange(200), np.arange(300)) // 4
    photo = np.stack([ramp % 256, ramp * 2 % 256, 255 - ramp % 256], 2) + RNG.normal(0, 2, (200, 300, 3))
    photo = np.clip(photo, 0, 255).astype(np.uint8)
    for name, image in (("rgb", photo), ("part", photo[20:180:2, 30:270]), ("grey", photo[..., 1])):
        write_image(tmp_path / f"{name}.png", image)
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / f"{name}_pillow.png")
        with Image.open(tmp_path / f"{name}.png") as written:
            assert written.mode == ("RGB" if image.ndim == 3 else "L")
            assert np.array_equal(np.array(written), image)
        sizes = [(tmp_path / file).stat().st_size for file in (f"{name}.png", f"{name}_pillow.png")]
        assert sizes[0] < 1.05 * sizes[1]


def test_failed_writes_are_explained_and_leave_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match="a file, not a folder"):
        write_labels(tmp_path / "file" / "a.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError):
        write_image(tmp_path / "a.nonsense", RGB)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(InputError, match=r"a Git LFS pointer.*git lfs pull"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", RGB, exif=exif)
    with Image.open(path) as image:
        assert (read_image(path) == np.array(ImageOps.exif_transpose(image))).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_images_of_any_mode_are_converted_alike_in_strips(tmp_path, monkeypatch, mode):
    image = Image.fromarray(RGB).convert(mode)
    path = saved(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), image)
    whole = read_image(path)
    monkeypatch.setattr(limits, "_STRIP", 200)
    assert (read_image(path) == whole).all()
