"""The guard of speed: not seconds, but how often the things that cost are done."""

import dataclasses
import gc
from collections import Counter
from pathlib import Path

import psutil
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from crots.artefacts import STUDENT
from crots.bench.world import World
from crots.config import Size
from crots.data import cache as cache_module
from crots.events import StageFinished
from crots.methods.pseudo import predictions
from crots.nets.compact import Compact
from crots.nets.model import create_model
from crots.nets.outputs import check_scores
from crots.nets.source_spec import SourceSpec
from crots.options import BenchOptions, RuntimeOptions
from crots.project import Project
from crots.project_config import override
from crots.runner import run_project
from crots.stages import mine as mine_module
from crots.stages.adapt import AdaptLearner
from crots.stages.baseline import BaselineLearner
from crots.stages.project_stages import open_material, open_patches
from crots.stages.workbench import Workbench
from crots.taxonomy import load_class_set

IMAGES = 4
STEPS = 3


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def project(tmp_path) -> Project:
    """A project of four tiny photographs with every stage that a network learns in."""
    options = BenchOptions(net="compact", size=Size(64, 32), photo=Size(96, 48), count=IMAGES, batch=2, steps=1)
    world = World(tmp_path, options, RuntimeOptions(device="cpu", threads=1))
    made = world.project("project", steps=STEPS)
    return Project(made.folder, override(made.config, {"adapt.rounds": "2", "export.formats": "safetensors"}))


@pytest.fixture
def decoded(monkeypatch) -> Counter[str]:
    """Counts how often each photograph is decoded."""
    counted: Counter[str] = Counter()
    for module in (cache_module, mine_module):
        read = module.read_image

        def counting(path: Path, read=read):
            counted[path.name] += 1
            return read(path)

        monkeypatch.setattr(module, "read_image", counting)
    return counted


@pytest.fixture
def passes(monkeypatch) -> list[tuple[int, bool]]:
    """Batch size and training mode of every pass through a network."""
    seen: list[tuple[int, bool]] = []
    forward = Compact.forward

    def counting(self, images):
        seen.append((len(images), self.training))
        return forward(self, images)

    monkeypatch.setattr(Compact, "forward", counting)
    return seen


def finish(project, until):
    ended = [event for event in run_project(project, until=until) if isinstance(event, StageFinished)]
    assert {event.outcome for event in ended} == {"completed"}


@pytest.fixture
def learner(project):
    """The first round's learner, after the stages before it."""
    finish(project, "baseline")
    finish(project, "mine")
    bench = Workbench(project.config, project.folder, project.cache_folder, "adapt-1")
    student = bench.load_student(project.stage_folder("baseline") / STUDENT)
    patches = open_patches(project, bench)
    return AdaptLearner(
        student, open_material(project, bench), patches, bench.engine, bench.config.adapt, seed=0, stage="adapt-1"
    )


def baseline_learner(project):
    bench = Workbench(project.config, project.folder, project.cache_folder, "baseline")
    options = dataclasses.replace(bench.config.baseline, learning_rate=1e-4, mix="classmix")
    return BaselineLearner(
        bench.new_student(), open_material(project, bench), bench.engine, options, seed=0, stage="baseline"
    )


def test_every_image_is_decoded_once_in_a_whole_project(project, decoded):
    finish(project, "adapt-2")
    assert len(decoded) == IMAGES
    assert set(decoded.values()) == {1}


def test_one_flipped_pass_an_image_serves_labels_statistics_and_patches(project, passes):
    finish(project, "pseudo-label")
    assert passes == [(1, False)] * 2 * IMAGES
    finish(project, "baseline")
    passes.clear()
    finish(project, "mine")
    assert passes == []


def test_a_step_runs_the_teacher_once_and_the_student_on_mixes_and_patches(learner, passes):
    learner.step(0, learner.load(0), 1e-4)
    assert passes == [(2, False), (2, True), (2, True)]


def test_a_step_of_the_baseline_runs_the_student_once(project, passes):
    finish(project, "pseudo-label")
    baseline = baseline_learner(project)
    passes.clear()
    baseline.step(0, baseline.load(0), 1e-4)
    assert passes == [(2, True)]


class Elementwise(TorchDispatchMode):
    """Counts the operations on a whole tensor of some number of values."""

    def __init__(self, size):
        super().__init__()
        self.size, self.seen = size, Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(isinstance(x, torch.Tensor) and x.numel() == self.size for x in args):
            self.seen[function._schema.name.removeprefix("aten::").rstrip("_")] += 1
        return function(*args, **(kwargs or {}))


def test_confidence_and_entropy_need_one_exponential_of_the_logits():
    logits = torch.randn(2, 5, 3, 4)
    with Elementwise(logits.numel()) as counted:
        predictions(logits)
    assert counted.seen == {"max": 1, "sub": 1, "exp": 1, "sum": 2, "mul": 1}


def test_checking_the_scores_of_a_later_batch_takes_a_sum_and_a_minimum():
    answer = torch.randn(2, 19, 8, 16)
    spec = SourceSpec("toy", create_model("compact", load_class_set("cityscapes"), Size(16, 8)).card)
    with Elementwise(answer.numel()) as counted:
        check_scores(answer, 2, spec, informative=False)
    assert counted.seen == {"sum": 1, "amin": 1}


class Synchronisations(TorchDispatchMode):
    """Collects the operations for which the host would have to wait for a CUDA device."""

    NAMES = frozenset({
        "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::equal",
        "aten::is_nonzero", "aten::bincount",
    })  # fmt: skip

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        masks = [x for x in (args[1] if name in ("aten::index", "aten::index_put_") else ()) if x is not None]
        if name in self.NAMES or any(x.dtype == torch.bool for x in masks):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_the_counter_of_synchronisations_counts():
    with Synchronisations() as waits:
        x = torch.arange(3.0)
        assert float(x.sum()) == 3.0
        x[x > 1]
    assert len(waits.seen) == 2


def test_no_step_waits_for_the_device(learner, project):
    baseline = baseline_learner(project)
    for each in (learner, baseline):
        each.step(0, each.load(0), 1e-4)
        data = each.load(1)
        with Synchronisations() as waits:
            each.step(1, data, 1e-4)
        assert waits.seen == []


def test_memory_stays_flat_over_epochs(learner):
    """Dozens of steps over four images; what grows with each is seen long before it hurts."""
    process = psutil.Process()
    for step in range(20):
        learner.step(step, learner.load(step), 1e-4)
    gc.collect()
    objects, resident = len(gc.get_objects()), process.memory_info().rss
    for step in range(20, 90):
        learner.step(step, learner.load(step), 1e-4)
    gc.collect()
    assert len(gc.get_objects()) - objects < 100
    assert process.memory_info().rss - resident < 30e6
