"""Optimiser steps with many options, to be taken by one process and by several workers alike."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from crots.config import defaults
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.execution.engine import Engine
from crots.images import write_image
from crots.label_files import write_labels
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.stages.adapt import AdaptLearner
from crots.stages.baseline import BaselineLearner
from crots.taxonomy import load_class_set
from crots.training.material import Material, PseudoLabels
from crots.training.patch_set import PatchSet
from crots.training_options import AdaptOptions, BaselineOptions
from tests.stages import tiny_world as world
from tests.stages.tiny_world import IGNORE

STEPS = 3
_ADAPT = {"kind": "adapt", "batch_norm": "frozen", "patches": True, "patch_weight": 1.0, "confidence": 0.35}
# Batch 4 is one group of mixes, which lies on two workers; of batch 8 each has a whole group.
CASES = {
    "baseline": {"kind": "baseline", "batch": 4},
    "baseline in parts, balanced": {"kind": "baseline", "batch": 8, "accumulate": 4, "balance": 0.5, "jitter": 0.8},
    "baseline, crops": {"kind": "baseline", "batch": 6, "crop": world.Size(16, 16), "scale": 1.5},
    "baseline, unsure labels": {"kind": "baseline", "batch": 4, "keep_share": 0.5, "unsure_weight": 0.3},
    "adapt, weight of the batch": {**_ADAPT, "batch": 4, "weighting": "batch"},
    "adapt, weight of each image": {**_ADAPT, "batch": 4, "weighting": "image"},
    "adapt, weight of each pixel": {**_ADAPT, "batch": 4, "weighting": "pixel"},
    "adapt, whole groups": {**_ADAPT, "batch": 8, "weighting": "batch", "mix": "classmix"},
    "adapt in parts": {**_ADAPT, "batch": 8, "weighting": "image", "accumulate": 4, "coins": "batch"},
    "adapt, published": {**_ADAPT, "batch": 12, "weighting": "pixel", "ema_when": "before", "partners": "repeated"},
    "adapt, share of each class": {**_ADAPT, "batch": 4, "weighting": "pixel", "confidence": 0.9, "keep_share": 0.5},
    "adapt, crops": {**_ADAPT, "batch": 4, "weighting": "image", "crop": world.Size(16, 16)},
}


def write_material(folder):
    """Writes pictures, pseudo-labels with unequally many ignored pixels, and patches."""
    world.write_classes(folder)
    world.write_images(folder / "images", 9)
    world.write_predictions(folder / "said", 9)
    for number in range(5):
        image, labels = world.paint(3 * number)
        labels[: 4 * number, :3] = IGNORE
        write_image(folder / "mined" / "patches" / f"p{number}.png", np.ascontiguousarray(image[:8, :8]))
        write_labels(folder / "mined" / "labels" / f"p{number}.png", labels[:8, :8])
    return folder


def make_learner(folder, *, kind, net="tests.stages.tiny_nets:still", **options):
    """Makes the learner of a worker; call it while the session goes on."""
    classes, engine = load_class_set(str(folder / "tiny.toml")), Engine(RuntimeOptions(device="cpu"))
    kinds = {"adapt": AdaptOptions, "baseline": BaselineOptions}
    changed = dataclasses.replace(
        defaults(kinds[kind], "recommended"),
        **{"steps": 10, "learning_rate": 1e-2, **({"mix": "classmix"} if kind == "baseline" else {}), **options},
    )
    student = create_model(net, classes, world.SIZE, trust=True, seed=1)
    with torch.no_grad():
        # Logits far enough apart that some pixels are sure and others are not.
        student.net.head.weight.mul_(3)
    found = PseudoLabels(folder / "said" / "label_ids", folder / "said" / "confidence", classes)
    material = Material(open_dataset(folder / "images").samples, ImageCache(None, world.SIZE, 0), found)
    if kind == "baseline":
        changed = dataclasses.replace(changed, min_confidence=0.5)
        learner = BaselineLearner(student, material, engine, changed, seed=3, stage="baseline")
    else:
        learner = AdaptLearner(
            student, material, PatchSet.open(folder / "mined", classes), engine, changed, seed=3, stage="adapt-1"
        )
    learner.align()
    return learner


def take_steps(folder: Path, **case):
    """Returns the figures of each step, of all workers together, and the weights after the last."""
    learner = make_learner(folder, **case)
    learner.begin(lambda: None)
    rows = []
    for number in range(STEPS):
        figures = learner.step(number, learner.load(number), 1e-2)
        rows.append({name: float(learner.workers.sum(value)) for name, value in figures.items()})
    return rows, torch.cat([tensor.detach().flatten() for tensor in learner.student.parameters()])
