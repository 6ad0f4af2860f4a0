"""Corrections and pictures that are damaged, links to nothing or pipes are named in one line; nobody waits for them."""

import os

import pytest

from crots.data.datasets import open_dataset
from crots.errors import InputError
from crots.images import image_size, read_image
from crots.label_files import read_labels
from crots.training.material import PseudoLabels

pytestmark = pytest.mark.safety

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")


@needs_pipes
@pytest.mark.parametrize("read", [read_image, read_labels, image_size])
def test_a_pipe_among_pictures_does_not_block(tmp_path, read):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="not a regular file"):
        read(tmp_path / "a.png")


def test_links_in_a_circle_and_to_nothing_are_no_images(tmp_path, material):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.png").write_bytes(material.samples[0].image.read_bytes())
    (folder / "b.png").symlink_to("b.png")
    (folder / "c.png").symlink_to(folder / "gone.png")
    assert open_dataset(folder).keys == ("a",)


def test_a_damaged_correction_is_named_and_stays(tmp_path, material, classes):
    labels, key = material.pseudo_labels, material.samples[0].key
    path = tmp_path / "corrections" / f"{key}.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"torn")
    corrected = PseudoLabels(labels.labels, labels.confidence, classes, tmp_path / "corrections")
    with pytest.raises(InputError, match=r"corrections.*\.png.*replace the file"):
        corrected.read(key)
    assert path.read_bytes() == b"torn"
