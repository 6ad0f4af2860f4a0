"""The tests of stages: tiny pictures, tiny networks, one thread."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import tiny_world as world


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def classes(tmp_path):
    return world.tiny_classes(tmp_path)


@pytest.fixture
def images(tmp_path):
    return world.write_images(tmp_path / "images")
