"""The tests of stages: tiny pictures, tiny networks, one thread."""

import dataclasses

import numpy as np
import pytest

from crots.config import defaults
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.execution.engine import Engine
from crots.images import write_image
from crots.label_files import write_confidence, write_labels
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.stages.adapt import AdaptLearner
from crots.training.material import Material, PseudoLabels
from crots.training.patch_set import PatchSet
from crots.training_options import AdaptOptions
from tests.stages import tiny_world as world


@pytest.fixture(autouse=True, scope="module")
def all_on_one_thread(one_thread):
    """Every test of a stage."""


@pytest.fixture
def classes(tmp_path):
    return world.tiny_classes(tmp_path)


@pytest.fixture
def images(tmp_path):
    return world.write_images(tmp_path / "images")


@pytest.fixture
def material(tmp_path, images, classes):
    for number in range(6):
        name = f"{world.key(number)}.png"
        write_labels(tmp_path / "out" / "label_ids" / name, world.paint(number)[1])
        write_confidence(tmp_path / "out" / "confidence" / name, np.linspace(0, 1, 32)[None].repeat(32, 0))
    labels = PseudoLabels.below(tmp_path / "out", classes)
    return Material(open_dataset(images).samples, ImageCache(None, world.SIZE, 0), labels)


@pytest.fixture
def make(tmp_path, images, classes):
    """Makes learners that differ in their options only; ``patches`` are the light's 8x8 neighbourhoods."""
    for number in range(4):
        image, labels = world.paint(3 * number)
        write_image(tmp_path / "mined" / "patches" / f"p{number}.png", np.ascontiguousarray(image[:8, :8]))
        write_labels(tmp_path / "mined" / "labels" / f"p{number}.png", labels[:8, :8])

    def learner(
        *,
        net="tests.stages.tiny_nets:plain",
        patches=False,
        labels=None,
        seed=3,
        stage="adapt-1",
        profile="recommended",
        **options,
    ):
        plain = {**world.PLAIN, "weighting": "image", "batch_norm": "mixes"} if profile == "recommended" else {}
        base = dataclasses.replace(
            defaults(AdaptOptions, profile),
            **{**plain, "batch": 4, "steps": 10, "learning_rate": 1e-2, **options},
        )
        student = create_model(net, classes, world.SIZE, trust=True, seed=1)
        labels = PseudoLabels.below(labels, classes) if labels else None
        material = Material(open_dataset(images).samples, ImageCache(None, world.SIZE, 0), labels)
        engine = Engine(RuntimeOptions(device="cpu"))
        found = PatchSet.open(tmp_path / "mined", classes) if patches else None
        return AdaptLearner(student, material, found, engine, base, seed=seed, stage=stage)

    return learner
