"""Runs made to fail: what is kept is never worse than the start of its stage by more than half a point."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crots.artefacts import STUDENT
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.demo.scenes import write_domain
from crots.events import Metrics, Note
from crots.execution.context import Context
from crots.execution.control import Control
from crots.execution.engine import Engine
from crots.images import write_image
from crots.label_files import read_labels, write_confidence, write_labels
from crots.nets.model import create_model
from crots.nets.weights import load_model
from crots.options import RuntimeOptions
from crots.stages.adapt import AdaptJob, adapt_student
from crots.stages.baseline import BaselineJob, distil_student
from crots.stages.evaluate import score_model
from crots.stages.train import TrainLearner
from crots.taxonomy import load_class_set
from crots.training.label_free import LabelFreeScores
from crots.training.loop import Training
from crots.training.material import Material, PseudoLabels
from crots.training.watch import Watch
from crots.training_options import AdaptOptions, BaselineOptions, TrainOptions
from tests.stages import tiny_world as world

SIZE = Size(64, 32)
COUNT = 12
ENGINE = Engine(RuntimeOptions(device="cpu", threads=1))
CACHE = ImageCache(None, SIZE, 0)
TOO_HIGH = 0.1


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A source trained on the simulator, its pseudo-labels of real images, of noise, and of shuffled images."""
    root, classes = tmp_path_factory.mktemp("street"), load_class_set("demo")
    for name, domain, first in (("simulator", "simulator", 0), ("real", "real", 0), ("val", "real", 50)):
        list(write_domain(root / name, domain, range(first, first + COUNT), 0, SIZE))
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        noise = rng.integers(0, 256, (SIZE.height, SIZE.width, 3), dtype=np.uint8)
        write_image(root / "noise" / "images" / f"street_{number:05d}.png", noise)
    simulator = open_dataset(root / "simulator/images", layout="folder", labels=root / "simulator/labels")
    model = create_model("compact", classes, SIZE, seed=0)
    options = TrainOptions(**world.PLAIN, steps=120, batch=4, learning_rate=3e-3, balance=0.5, jitter=0.5)
    learner = TrainLearner(model, simulator, CACHE, ENGINE, options, seed=0, stage="train")
    for step in range(options.steps):
        learner.step(step, learner.load(step), learner.rate(step))
    weights = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    for target in ("real", "noise"):
        pseudo_label(model.eval(), root, target)
    names = sorted(path.name for path in (root / "real-said/label_ids").iterdir())
    for name, other in zip(names, names[3:] + names[:3], strict=True):
        write_labels(root / "shuffled-said/label_ids" / name, read_labels(root / "real-said/label_ids" / other))
    return SimpleNamespace(root=root, classes=classes, weights=weights)


def pseudo_label(model, root, target):
    for sample in open_dataset(root / target / "images", layout="folder").samples:
        with torch.inference_mode():
            image = ENGINE.images(CACHE.get(sample.image)[None])
            confidence, labels = model.flip_logits(image, size=(SIZE.height, SIZE.width)).softmax(1).max(1)
        write_labels(root / f"{target}-said/label_ids" / f"{sample.key}.png", labels[0].numpy().astype(np.uint8))
        write_confidence(root / f"{target}-said/confidence" / f"{sample.key}.png", confidence[0].numpy())


def miou(model, street):
    val = open_dataset(street.root / "val/images", layout="folder", labels=street.root / "val/labels")
    context = Context("evaluate", Control())
    return score_model(model, val, street.classes, ENGINE, CACHE, context, flip=False, batch=4)["miou"]


def go(street, out, stage, *, target="real", said=None, random=False, guard=True, rate=1e-3, steps=16):
    """Runs a stage; returns mIoU of its start and of what it kept, its choice, its events and the steps it took."""
    student = create_model("compact", street.classes, SIZE, seed=5)
    if not random:
        student.net.load_state_dict(street.weights)
    before = miou(student, street)
    labels = PseudoLabels.below(street.root / f"{said or target}-said", street.classes)
    data = Material(open_dataset(street.root / target / "images", layout="folder").samples, CACHE, labels)
    context = Context(stage)
    scores = LabelFreeScores(student, data, ENGINE, context, trained=not random)
    rule = "label-free" if guard and stage != "baseline" else "last"
    watch = Watch(stage, score=scores, rule=rule, guard=guard, trained=not random, distils=stage == "baseline")
    run = Training(out, 0, watch)
    more = {
        **world.PLAIN,
        "steps": steps,
        "batch": 4,
        "learning_rate": rate,
        "validate_every": 4,
        "log_every": 1,
        "guard": guard,
    }
    if stage == "baseline":
        options = BaselineOptions(**world.PLAIN_LABELS, **more)
        events = list(distil_student(BaselineJob(student, data, ENGINE, options, run), context))
    else:
        options = AdaptOptions(**more, weighting="image", batch_norm="mixes")
        events = list(adapt_student(AdaptJob(student, data, None, ENGINE, options, run), context))
    kept, _ = load_model(out / STUDENT)
    path = out / "choice.json"
    choice = json.loads(path.read_text()) if path.exists() else {}
    return before, miou(kept, street), choice, events


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("baseline", {"rate": TOO_HIGH}),
        ("adapt-1", {"rate": TOO_HIGH}),
        ("baseline", {"said": "shuffled"}),
        ("baseline", {"target": "noise"}),
        # At the usual rate it takes 8 to 16 steps, depending on how a processor rounds.
        ("adapt-1", {"target": "noise", "rate": 3e-3}),
    ],
)
def test_what_is_kept_is_never_worse_than_the_start(street, tmp_path, stage, more):
    before, kept, choice, events = go(street, tmp_path / "on", stage, **more)
    assert kept >= before - 0.005
    assert choice["given_up"] and choice["kept"] < 16
    said = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert any("went back to its start" in text for text in said)
    assert len([event for event in events if isinstance(event, Metrics)]) <= 8, "it stops early"
    before, last, _, _ = go(street, tmp_path / "off", stage, guard=False, **more)
    assert last < before - 0.02, "the run was to fail"


def test_a_healthy_stage_runs_to_its_end(street, tmp_path):
    _, _, choice, _ = go(street, tmp_path / "baseline", "baseline", rate=1e-4)
    assert not choice["given_up"] and choice["kept"] == 16
    _, _, choice, _ = go(street, tmp_path / "adapt", "adapt-1", rate=1e-5)
    assert not choice["given_up"] and choice["kept"] == 16


def test_an_untrained_student_that_learns_shuffled_labels_is_called_useless(street, tmp_path):
    _, _, choice, events = go(street, tmp_path, "baseline", said="shuffled", random=True)
    assert any("use the source itself" in event.text for event in events if isinstance(event, Note))
    assert not any(look["healthy"] for look in choice["looks"])
    # The same with its own labels, for long enough, is not.
    _, _, choice, events = go(street, tmp_path, "baseline", random=True, steps=60)
    assert not any("use the source itself" in event.text for event in events if isinstance(event, Note))
