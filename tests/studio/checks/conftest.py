"""Fixtures of the tests of checks: a check of one field, and a folder of images."""

import numpy as np
import pytest

from crots.config import Size
from crots.images import write_image
from crots.nets.model import create_model
from crots.project_config import ProjectConfig, override
from crots.taxonomy import load_class_set
from crots_studio.checks.fields import check
from tests.studio.checks.made import NET


@pytest.fixture
def look(tmp_path):
    """Checks one field of a configuration given by options."""

    def look(name, **settings):
        config = override(ProjectConfig(), {key.replace("__", "."): value for key, value in settings.items()})
        return check(name, config, tmp_path)

    return look


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for number in range(4):
        write_image(folder / f"{number}.png", np.full((48, 64, 3), 40 * number, np.uint8))
    return folder


@pytest.fixture
def model():
    return create_model(NET, load_class_set("camvid"), Size(64, 48), seed=1)
