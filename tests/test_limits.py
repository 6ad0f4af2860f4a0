"""Nothing that a file claims is allocated before it was compared with the limit, and the limit is an option."""

import struct
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from crots import limits
from crots.cli.main import main
from crots.errors import InputError
from crots.images import image_size, read_image
from crots.label_files import read_labels
from tests.saved import png_file

pytestmark = pytest.mark.safety


@pytest.fixture(autouse=True)
def defaults(monkeypatch):
    for name in ("CROTS_MAX_MEGAPIXELS", "CROTS_MAX_INPUT_GB"):
        monkeypatch.delenv(name, raising=False)
    limits.use({})
    yield
    monkeypatch.undo()
    limits.use({})


def bomb(path, width, height):
    """A PNG of zeros that is honest: all of its pixels are there, in a thousandth of their bytes."""

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    path.write_bytes(png_file(head, rows))
    return path


@pytest.mark.parametrize("read", [read_image, read_labels, image_size])
def test_two_pictures_of_177_megapixels_at_once(tmp_path, read):
    paths = [bomb(tmp_path / f"{name}.png", 13300, 13300) for name in "ab"]
    received = []

    def work(path):
        try:
            read(path)
        except InputError as error:
            received.append(str(error))

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    tracemalloc.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(received) == 2 and peak < 50 * 10**6
    assert all(
        "13300x13300 is 177 megapixels, the limit is 100" in line and "--max-megapixels" in line for line in received
    )


def test_the_limit_of_images_is_an_option(tmp_path, capsys):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((100, 200, 3), np.uint8)).save(path)
    assert main(["inspect", str(path), "--max-megapixels", "0.01"]) == 1
    assert "200x100 is" in capsys.readouterr().out
    assert main(["inspect", str(path), "--max-megapixels", "0.03"]) == 0
    # Another command has the default again.
    assert main(["inspect", str(path)]) == 0
    assert limits.current().max_megapixels == 100


def test_the_environment_sets_the_limits_and_a_flag_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("CROTS_MAX_MEGAPIXELS", "7")
    monkeypatch.setenv("CROTS_MAX_INPUT_GB", " 0.5 ")
    limits.use({"max_input_gb": 3})
    assert limits.current() == limits.Limits(max_megapixels=7, max_input_gb=3)
    monkeypatch.setenv("CROTS_MAX_MEGAPIXELS", "many")
    with pytest.raises(InputError, match="CROTS_MAX_MEGAPIXELS: found 'many'"):
        limits.use({})


def test_no_project_can_hold_a_limit(tmp_path, capsys):
    (tmp_path / "crots.toml").write_text("format = 1\n[limits]\nmax_megapixels = 100000\n")
    assert main(["status", str(tmp_path)]) == 2
    assert "unknown section 'limits'" in capsys.readouterr().err
    (tmp_path / "crots.toml").write_text("format = 1\n[runtime]\nmax_megapixels = 100000\n")
    assert main(["status", str(tmp_path)]) == 2
    assert "unknown option 'max_megapixels'" in capsys.readouterr().err


def test_init_takes_the_flags_and_keeps_none(tmp_path, capsys):
    # Wrong use for want of inputs, not for a section that no project has.
    code = main(["init", str(tmp_path / "p"), "--max-megapixels", "3", "--target", str(tmp_path / "none")])
    assert code == 2 and "limits" not in capsys.readouterr().err


def test_a_tile_larger_than_its_image_is_refused(tmp_path):
    path = tmp_path / "t.tif"
    entries = [
        (256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 4, 1, 60000), (323, 4, 1, 60000), (324, 4, 1, 200), (325, 4, 1, 16),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(b"II*\x00" + struct.pack("<IH", 8, len(entries)) + body + bytes(400))
    with pytest.raises(InputError, match="60000x60000"):
        read_image(path)


def test_strips_cover_an_image_once():
    for shape in ((1, 1), (7, 3), (3, 5, 3), (5000, 3000), (2, 10**7)):
        array = np.empty(shape, np.uint8)
        rows = [row for part in limits.strips(array) for row in range(*part.indices(shape[0]))]
        assert rows == list(range(shape[0]))


@pytest.mark.parametrize("claimed", [3 * 10**9, 10**300])
def test_a_claim_names_the_option(tmp_path, claimed):
    limits.check_claim(tmp_path / "f", 10**9, "its tensors")
    with pytest.raises(
        InputError, match=r"f: its tensors would take .* GB of memory, the limit is 2 GB; .*--max-input-gb"
    ):
        limits.check_claim(tmp_path / "f", claimed, "its tensors")
