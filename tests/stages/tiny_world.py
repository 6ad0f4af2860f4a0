"""Painted pictures with known labels, and projects on them that run in seconds."""

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from crots.config import Size
from crots.images import write_image
from crots.label_files import read_labels, write_confidence, write_labels  # noqa: F401
from crots.nets.model import check_batch, create_model
from crots.nets.weights import save_safetensors
from crots.project import Project
from crots.project_config import build_config, override
from crots.taxonomy import load_class_set
from tests.stages.tiny_nets import COLOURS

SIZE = Size(32, 32)
ROAD, SKY, CAR, LIGHT = range(4)
NAMES = ("road", "sky", "car", "light")
IGNORE = 255

CLASSES_TOML = """
name = "tiny"
classes = [
    { name = "road", colour = [70, 70, 80] },
    { name = "sky", colour = [120, 170, 220] },
    { name = "car", colour = [200, 60, 50] },
    { name = "light", colour = [240, 220, 40] },
]
published_rare = ["light"]
[subsets]
big = ["road", "sky"]
"""


def paint(number, size=SIZE):
    """Returns a picture (H, W, 3) and its labels (H, W): sky over road, a car, and a light in each third picture."""
    rng = np.random.default_rng([7, number])
    labels = np.zeros((size.height, size.width), np.uint8)
    labels[: int(rng.integers(10, 18))] = SKY
    top, left = rng.integers(16, 22), rng.integers(0, size.width - 10)
    labels[top : top + 8, left : left + 9] = CAR
    if number % 3 == 0:
        top, left = rng.integers(2, 8), rng.integers(0, size.width - 4)
        labels[top : top + 3, left : left + 3] = LIGHT
    noise = rng.normal(0, 8, (*labels.shape, 3))
    image = np.clip(np.array(COLOURS)[labels] + noise, 0, 255).astype(np.uint8)
    return image, labels


def key(number):
    return f"{'day' if number % 2 else 'night'}/street_{number:03d}"


def write_images(folder, count=6, *, first=0, size=SIZE):
    """Writes pictures in two subfolders; no label file anywhere."""
    for number in range(first, first + count):
        write_image(folder / f"{key(number)}.png", paint(number, size)[0])
    return folder


def write_truth(folder, count=6, *, first=0, size=SIZE):
    for number in range(first, first + count):
        write_labels(folder / f"{key(number)}.png", paint(number, size)[1])
    return folder


def write_predictions(folder, count=6, *, first=0, confidence=True, wrong=0.1, size=SIZE):
    """Writes what a middling black box might say: the truth with some of it wrong, where it is also less sure."""
    for number in range(first, first + count):
        rng = np.random.default_rng([9, number])
        labels = paint(number, size)[1]
        bad = rng.random(labels.shape) < wrong
        write_labels(folder / "label_ids" / f"{key(number)}.png", np.where(bad, (labels + 1) % 4, labels))
        if confidence:
            write_confidence(folder / "confidence" / f"{key(number)}.png", np.where(bad, 0.4, 0.9).astype(np.float32))
    return folder


def write_classes(folder, text=CLASSES_TOML, name="tiny"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def tiny_classes(folder):
    return load_class_set(str(write_classes(folder)))


def write_source(path, classes, net="tests.stages.tiny_nets:colour", *, seed=1):
    model = create_model(net, classes, SIZE, trust=True, seed=seed)
    save_safetensors(path, model.net, model.card)
    return path


# The optimiser of the paper, and nothing drawn: for tests of one thing at a time.
PLAIN = {
    "optimiser": "adam", "head_rate": 1.0, "warm_up": 0.0, "weight_decay": 0.0, "clip": 0.0,
    "keep_ema": False, "ema_decay": 0.99, "scale": 1.0,
}  # fmt: skip
PLAIN_LABELS = {"keep_share": 1.0, "batch_norm": "batch", "mix": "none", "jitter": 0.0, "blur": 0.0, "refresh": 0}


def values(folder, **sections):
    """Sections of a project that takes a second: tiny nets, few steps, every step recorded."""
    training = {"batch": 2, "log_every": 1, "checkpoint_every": 2, "learning_rate": 1e-3}
    base = {
        "data": {"target": str(folder / "images"), "size": "32x32"},
        "task": {"classes": str(write_classes(folder))},
        "source": {"net": "tests.stages.tiny_nets:colour"},
        "student": {"net": "tests.stages.tiny_nets:plain", "weights": "random"},
        "runtime": {"device": "cpu", "threads": 1, "seed": 3, "precision": "fp32"},
        "mine": {"grid": "2x2"},
        "baseline": {"steps": 4, **training},
        # Both rounds run and keep their last step, however little they learn.
        "adapt": {"steps": 4, "rounds": 2, "confidence": 0.3, "select": "last", "stop_rounds": False, **training},
        "export": {"formats": ["safetensors"], "images": 2},
    }
    for name, section in sections.items():
        base[name] = {**base.get(name, {}), **section}
    return base


def trusted(project):
    """The project, allowed to run the test's own networks; files never say so."""
    return Project(project.folder, override(project.config, {"runtime.trust": True}))


def white_box(folder, *, images=6, profile="recommended", **sections):
    """A project whose source is a network's file."""
    write_images(folder / "images", images)
    plain = values(folder, **sections)
    source = write_source(folder / "source.safetensors", tiny_classes(folder))
    plain["source"] = {"file": str(source), **plain["source"]}
    return trusted(Project.create(folder / "project", build_config(plain, profile=profile)))


def black_box(folder, *, images=6, profile="recommended", confidence=True, **sections):
    """A project whose source is a folder of predictions."""
    write_images(folder / "images", images)
    plain = values(folder, **sections)
    plain["source"] = {"predictions": str(write_predictions(folder / "said", images, confidence=confidence))}
    return trusted(Project.create(folder / "project", build_config(plain, profile=profile)))


def with_validation(folder, count=3):
    """The ``data`` entries of labelled validation pictures."""
    images, labels = write_images(folder / "val", count, first=50), write_truth(folder / "truth", count, first=50)
    return {"val_images": str(images), "val_labels": str(labels)}


def change(project, **settings):
    """The project with ``section__option=value`` applied."""
    changed = override(project.config, {name.replace("__", "."): value for name, value in settings.items()})
    return Project(project.folder, changed)


def weights_of(path):
    """What a safetensors file holds to the last bit: header (the order of its entries is left to chance) and data."""
    content = Path(path).read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def of(events, kind, stage=None):
    return [event for event in events if isinstance(event, kind) and stage in (None, event.stage)]


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def without_times(event):
    """A dictionary of an event that is the same whenever and however fast it was made."""
    return {name: value for name, value in dataclasses.asdict(event).items() if name not in ("time", "rate", "seconds")}


def warm_up():
    """Loads what the first dry run of a network loads, seconds of it, once for all runs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = create_model("tests.stages.tiny_nets:plain", tiny_classes(Path(folder)), SIZE, trust=True)
        check_batch(model, 2, SIZE)
