"""Label files of forms in which Pillow scales numbers to brightness, leaves bits out, or that say two things."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from crots.data.labels import decode, detect_encoding
from crots.images import read_image
from crots.label_files import read_labels, read_stored
from crots.stored_pixels import NoLabelIds
from crots.taxonomy import ClassSet
from tests.saved import png_file

pytestmark = pytest.mark.safety

IDS = (np.arange(48).reshape(6, 8) % 4).astype(np.uint8)
FOUR = ClassSet.from_dict({"name": "four", "names": ["a", "b", "c", "d"]})
COLOURED = ClassSet.from_dict(
    {"name": "coloured", "names": ["a", "b", "c", "d"], "palette": [[128, 64, 128], [9, 9, 9], [70, 70, 70], [1, 0, 0]]}
)
GREY, GREY_ALPHA, RGB, RGB_ALPHA = 0, 4, 2, 6


def png(path, rows, depth, kind):
    """Writes rows of bytes as a PNG of a depth that Pillow does not write."""

    header = struct.pack(">IIBBBBB", IDS.shape[1], len(rows), depth, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(png_file(header, data))
    return path


def packed(ids, bits):
    places = np.arange(bits - 1, -1, -1)
    return [np.packbits(((row[:, None] >> places) & 1).astype(np.uint8).ravel()).tobytes() for row in ids]


def deep(planes):
    return [row.astype(">u2").tobytes() for row in np.dstack(planes)]


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_keeps_its_numbers(tmp_path, bits):
    path = png(tmp_path / "a.png", packed(IDS, bits), bits, GREY)
    assert np.array_equal(read_labels(path), IDS)
    assert read_image(path).max() == IDS.max() * (255 // (2**bits - 1)), "as an image it is as bright as it is"


@pytest.mark.parametrize("white", [3, 5, 255, 1000, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_ppm_files_keep_their_numbers_whatever_they_call_white(tmp_path, white, plain):
    path = tmp_path / "a.pgm"
    head = f"P{2 if plain else 5}\n8 6\n{white}\n".encode()
    stored = IDS.astype(">u2").tobytes() if white > 255 else IDS.tobytes()
    path.write_bytes(head + (" ".join(map(str, IDS.ravel())).encode() if plain else stored))
    assert np.array_equal(read_labels(path), IDS)
    assert np.array_equal(decode(path, "train", FOUR), IDS)


def test_coloured_ppm_files_of_another_white_are_refused(tmp_path):
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6\n8 6\n3\n" + np.dstack([IDS, IDS, 3 - IDS]).tobytes())
    with pytest.raises(NoLabelIds, match="colours go from 0 to 3, expected 0 to 255"):
        read_labels(path)


@pytest.mark.parametrize(("kind", "planes"), [(RGB, [IDS] * 3), (GREY_ALPHA, [IDS, np.full_like(IDS, 65535, "u2")])])
def test_ids_of_16_bits_in_several_channels_keep_their_lower_half(tmp_path, kind, planes):
    path = png(tmp_path / "a.png", deep(planes), 16, kind)
    assert np.array_equal(decode(path, "train", FOUR), IDS)
    assert detect_encoding([path], FOUR)[0] == "train"


@pytest.mark.parametrize("factor", [1, 256, 257])
@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_16_bits(tmp_path, factor, alpha):
    planes = list(np.moveaxis(COLOURED.colours(IDS).astype(int) * factor, 2, 0))
    opaque = [np.full_like(planes[0], 65535)]
    path = png(tmp_path / "a.png", deep(planes + opaque * alpha), 16, RGB_ALPHA if alpha else RGB)
    encoding, _ = detect_encoding([path], COLOURED)
    assert encoding == "colour"
    assert np.array_equal(decode(path, encoding, COLOURED), IDS)


def test_colours_that_use_all_16_bits_are_no_ids(tmp_path):
    path = png(tmp_path / "a.png", deep([IDS, IDS.astype("u2") * 1234, IDS]), 16, RGB)
    with pytest.raises(NoLabelIds, match=r"colours of 16 bits.*synthia"):
        detect_encoding([path], FOUR)


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".apng"])
def test_label_files_of_several_frames_are_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    kind = {"format": "PNG"} if suffix == ".apng" else {}
    Image.fromarray(IDS).save(path, save_all=True, append_images=[Image.fromarray(3 - IDS)], **kind)
    with pytest.raises(NoLabelIds, match=r"holds 2 (frames|grey pages)"):
        read_labels(path)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_labels_that_exif_turns_are_refused(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(IDS).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(NoLabelIds, match=rf"orientation {orientation}.*save it upright"):
        read_labels(tmp_path / "a.png")
    exif[0x0112] = 1
    Image.fromarray(IDS).save(tmp_path / "b.png", exif=exif)
    assert np.array_equal(read_labels(tmp_path / "b.png"), IDS)


def test_tiff_compressed_with_loss_is_no_label_file(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(NoLabelIds, match="JPEG in TIFF"):
        read_labels(tmp_path / "a.tif")


def white_is_zero(path, bits):
    """Writes the smallest TIFF whose 0 is white."""
    data = IDS.tobytes() if bits == 8 else b"".join(packed(IDS % 2, 1))
    tags = [(256, 8), (257, 6), (258, bits), (259, 1), (262, 0), (273, 8 + 2 + 9 * 12 + 4), (277, 1), (278, 6),
            (279, len(data))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data)
    return path


@pytest.mark.parametrize("bits", [1, 8])
def test_labels_whose_white_is_0_are_refused(tmp_path, bits):
    path = white_is_zero(tmp_path / "a.tif", bits)
    assert read_image(path)[0, 0, 0] == 255, "as an image it is read"
    with pytest.raises(NoLabelIds, match="white as 0"):
        read_stored(path)


def test_masks_of_0_and_65535_are_masks(tmp_path):
    two = ClassSet.from_dict({"name": "two", "names": ["back", "front"]})
    mask = (IDS > 1).astype(np.uint16) * 65535
    for name in "ab":
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    encoding, notes = detect_encoding([tmp_path / "a.png", tmp_path / "b.png"], two)
    assert encoding == "mask" and "65535 is front" in notes[0].text
    assert np.array_equal(decode(tmp_path / "a.png", encoding, two), IDS > 1)
    assert detect_encoding([tmp_path / "a.png"], FOUR)[0] == "train", "of more classes, 65535 means none"


def test_kinds_of_tiff_that_are_not_read_are_named_so(tmp_path):
    path = white_is_zero(tmp_path / "a.tif", 8)
    path.write_bytes(path.read_bytes().replace(struct.pack("<HHII", 258, 4, 1, 8), struct.pack("<HHII", 258, 4, 1, 64)))
    with pytest.raises(Exception, match="an unsupported kind of TIFF"):
        read_image(path)
