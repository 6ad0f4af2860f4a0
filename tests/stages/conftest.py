"""The tests of stages: tiny pictures, tiny networks, one thread."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny_world as world


@pytest.fixture(autouse=True, scope="module")
def all_on_one_thread(one_thread):
    """Every test of a stage."""


@pytest.fixture
def classes(tmp_path):
    return world.tiny_classes(tmp_path)


@pytest.fixture
def images(tmp_path):
    return world.write_images(tmp_path / "images")
