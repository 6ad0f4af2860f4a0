"""Runs a few steps of each stage as in a real run, on weights that are discarded."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from crots.arrays import Array
from crots.artefacts import round_key, stage_kind
from crots.data.datasets import Sample
from crots.data.feed import prefetch, readers
from crots.data.spread import evenly_spread, statistics_groups
from crots.data.tiles import in_parts, read_sample
from crots.estimate.facts import StageEstimate
from crots.execution.draws import seed_step
from crots.execution.engine import Engine, evaluating
from crots.execution.memory import PeakMemory
from crots.methods.patches import cell_size
from crots.nets.model import Model
from crots.project import Project
from crots.stages.adapt import AdaptLearner
from crots.stages.baseline import BaselineLearner, refresh_steps
from crots.stages.project_stages import label_job, settle, settle_round, takes_patches
from crots.stages.pseudo_label import LabelWriter
from crots.stages.workbench import Workbench
from crots.taxonomy import ClassSet
from crots.training.label_free import images_to_score
from crots.training.learner import Learner
from crots.training.material import Material
from crots.training.patch_set import PatchSet
from crots.training_options import AdaptOptions, TrainingOptions

Clock = Callable[[], float]
Check = Callable[[], None]

# Timed steps after a warm-up step, and the seconds after which no further step is started.
STEPS = 3
LONGEST = 20.0
# Evaluations of a student, including the one at the start, unless the options set another number.
_EVALUATIONS = 11


@dataclass(frozen=True)
class Stopwatch:
    """Times work.

    Attributes:
        clock: gives seconds.
        check: raises an error where the user asked to stop.
    """

    clock: Clock = time.perf_counter
    check: Check = field(default=lambda: None)

    def each(self, work: Callable[[int], object], engine: Engine, *, steps: int = STEPS) -> float:
        """Returns the median seconds of ``work``, called with 0 to warm up and then with 1, 2 ... at most ``steps``."""
        self._once(work, 0, engine)
        times: list[float] = []
        while len(times) < steps and (not times or sum(times) < LONGEST):
            times.append(self._once(work, len(times) + 1, engine))
        return median(times)

    def _once(self, work: Callable[[int], object], number: int, engine: Engine) -> float:
        self.check()
        engine.synchronise()
        began = self.clock()
        work(number)
        engine.synchronise()
        return self.clock() - began


@dataclass(frozen=True)
class TrialMaterial(Material):
    """Real images with labels made up: those of a run are only made by its first stage."""

    classes: ClassSet | None = None

    def labels(self, indices: Sequence[int], *, min_confidence: float | Array = 0.0) -> Array:
        """Returns (N, H, W) train ids, in patches as those of real labels are."""
        assert self.classes is not None
        rng = np.random.default_rng([8, *indices])
        coarse = rng.integers(len(self.classes), size=(len(indices), 8, 8)).astype(np.uint8)
        return np.stack([_enlarged(image, self.size) for image in coarse])

    def confidence(self, indices: Sequence[int]) -> Array:
        """Returns (N, H, W) float32 0..1."""
        size = self.size
        assert size is not None
        rng = np.random.default_rng([9, *indices])
        return rng.random((len(indices), size.height, size.width), dtype=np.float32)


def _enlarged(coarse: Array, size: Any) -> Array:
    rows = np.arange(size.height) * coarse.shape[0] // size.height
    columns = np.arange(size.width) * coarse.shape[1] // size.width
    return coarse[np.ix_(rows, columns)]


class TrialPatches(PatchSet):
    """Patches of the size that will be mined."""

    def images(self, indices: Sequence[int]) -> Array:
        """Returns (M, h, w, 3) uint8."""
        return np.full((len(indices), *self._shape, 3), 110, np.uint8)

    def labels(self, indices: Sequence[int]) -> Array:
        """Returns (M, h, w) train ids."""
        return np.zeros((len(indices), *self._shape), np.uint8)

    def rarity(self) -> Array:
        """All alike."""
        return np.ones(len(self))

    @property
    def _shape(self) -> tuple[int, int]:
        height, width = (int(name) for name in self.names[0].split("x"))
        return height, width


class Trial:
    """Times the stages of a project with its options.

    Args:
        project: gives images, source and options; only the cache of images is written there.
        watch: measures times, and checks for a stop.
    """

    def __init__(self, project: Project, watch: Stopwatch | None = None) -> None:
        self.project, self._watch = project, watch or Stopwatch()

    def estimate(self, key: str) -> StageEstimate:
        """Times one stage.

        Raises:
            CrotsError: its inputs do not fit.
            Stopped: the user asked to stop.
        """
        bench = Workbench(self.project.config_of(key), self.project.folder, self.project.cache_folder, key)
        measure = {
            "pseudo-label": self._labelling, "baseline": self._baseline, "adapt": self._round,
            "evaluate": self._evaluation,
        }[stage_kind(key)]  # fmt: skip
        with PeakMemory(bench.engine) as memory:
            found = measure(bench)
        return dataclasses.replace(found, memory=float(memory.host), device_memory=float(memory.device))

    def _labelling(self, bench: Workbench) -> StageEstimate:
        job = label_job(bench, Path())
        # Predictions are read image by image, also where a network would see tiles.
        samples = in_parts(job.dataset.samples, bench.tiling if job.labeller.needs_images else None)
        count = len(samples)
        batch = min(job.batch, count)
        few = [samples[place] for place in evenly_spread(count, (STEPS + 1) * batch)]
        reading = self._watch.each(lambda number: read_sample(job.cache, few[number % len(few)]), bench.engine)
        # An image is decoded once, however many tiles it has.
        reading *= len(job.dataset.samples) / count
        preparing = self._preparation(bench, job.labeller, few, count)
        needs = job.labeller.needs_images
        written: list[Any] = []

        def label(number: int) -> None:
            part = [few[(number * batch + place) % len(few)] for place in range(batch)]
            images = np.stack([read_sample(job.cache, sample) for sample in part]) if needs else None
            written[:] = [(part[0], job.labeller.label(part, images)[0])]

        labelled = self._watch.each(label, bench.engine) / batch
        with tempfile.TemporaryDirectory(prefix="crots-trial-") as folder:
            writer = LabelWriter(dataclasses.replace(job, out=Path(folder)))
            writing = self._watch.each(lambda _: writer.write(*written[0]), bench.engine)
        # Pictures are read before and written beside the labelling, several at a time.
        threads = min(readers(), torch.get_num_threads())
        return StageEstimate("images", count, labelled + (reading + writing) / threads, preparing)

    def _preparation(self, bench: Workbench, labeller: Any, few: Sequence[Sample], count: int) -> float:
        """Seconds for fitting the source to the target."""
        groups = statistics_groups(count)
        if not groups:
            return 0.0
        images = np.stack([read_sample(bench.cache, few[place % len(few)]) for place in range(len(groups[0]))])
        if not labeller.prepare([images]):
            return 0.0
        own = Stopwatch(self._watch.clock, self._watch.check)
        return len(groups) * own.each(lambda _: labeller.prepare([images]), bench.engine, steps=1)

    def _baseline(self, bench: Workbench) -> StageEstimate:
        student, samples = bench.new_student(), in_parts(bench.dataset.samples, bench.tiling)
        start = bench.start
        options = settle(bench, bench.config.baseline, student, len(samples), start)
        bench.check_training(student, options, [bench.size])
        learner = BaselineLearner(
            student,
            self._material(bench, options),
            bench.engine,
            options,
            trained=start == "trained",
            seed=0,
            stage="baseline",
        )
        seconds = self._step(learner, options)
        seen = self._image(bench, student)
        anew = len(refresh_steps(options)) * len(samples) * seen
        return _of_steps(bench, options, seconds, anew + self._evaluations(bench, options, seen))

    def _round(self, bench: Workbench) -> StageEstimate:
        student, samples = bench.new_student(), in_parts(bench.dataset.samples, bench.tiling)
        if self._needs_no_round(bench):
            return StageEstimate("steps", 0, 0.0)
        from_source = bench.inputs.starts_from_source
        options = settle_round(bench, bench.config.adapt, student, len(samples), from_source=from_source)
        bench.check_training(student, options, [bench.size])
        patches = None
        if takes_patches(options, student):
            rows, columns = cell_size(bench.size.height, bench.size.width, bench.config.mine.grid)
            patches = TrialPatches(Path(), (f"{rows}x{columns}",), bench.classes)
        learner = AdaptLearner(
            student, self._material(bench, options), patches, bench.engine, options, seed=0, stage=round_key(1)
        )
        seconds = self._step(learner, options)
        return _of_steps(bench, options, seconds, self._evaluations(bench, options, self._image(bench, student)))

    def _evaluation(self, bench: Workbench) -> StageEstimate:
        student, dataset = bench.new_student(), bench.validation
        bench.engine.place(student)
        seconds = self._image(bench, student) * (1.0 if bench.config.evaluate.flip else 0.5)
        rounds = () if self._needs_no_round(bench) else self.project.needed_rounds()
        subjects = 2 + len(rounds)
        count = len(in_parts(dataset.samples, bench.tiling)) if dataset else 0
        return StageEstimate("images", count, subjects * seconds)

    def _needs_no_round(self, bench: Workbench) -> bool:
        """Whether the baseline will end the rounds; asked after the student was made.

        One that is done has decided itself: rounds follow where an earlier version made it, or the source's weights
        took its place.
        """
        undecided = self.project.record("baseline") is None
        return undecided and bench.start != "trained" and bench.config.adapt.stop_rounds

    def _material(self, bench: Workbench, options: TrainingOptions) -> TrialMaterial:
        samples = in_parts(bench.dataset.samples, bench.tiling)
        places = evenly_spread(len(samples), 2 * options.batch)
        return TrialMaterial([samples[place] for place in places], bench.cache, classes=bench.classes)

    def _step(self, learner: Learner, options: TrainingOptions) -> float:
        """Seconds of an optimiser step, its images loaded ahead as in a run."""
        batches = prefetch(range(STEPS + 1), learner.load, workers=2, depth=3)

        def step(number: int) -> None:
            seed_step(0, learner.stage, number)
            learner.step(number, next(batches), options.rate)

        try:
            return self._watch.each(step, learner.engine)
        finally:
            batches.close()

    def _image(self, bench: Workbench, student: Model) -> float:
        """Seconds of an image and its mirror image, without gradients."""
        images = np.stack([read_sample(bench.cache, in_parts(bench.dataset.samples[:1], bench.tiling)[0])])

        def see(_: int) -> None:
            with torch.inference_mode(), bench.engine.autocast():
                student.flip_logits(bench.engine.images(images))

        with evaluating(student):
            return self._watch.each(see, bench.engine, steps=2)

    def _evaluations(self, bench: Workbench, options: TrainingOptions, seen: float) -> float:
        """Seconds of all evaluations of the student: label-free scores, and validation where there are labels."""
        evaluations = options.total // options.validate_every + 1 if options.validate_every else _EVALUATIONS
        watched = isinstance(options, AdaptOptions) or options.guarded
        units = in_parts(bench.dataset.samples, bench.tiling)
        scored = min(images_to_score(options, evaluations), len(units)) if watched else 0
        # An evaluation without labels takes two forward passes per image, one with labels a single pass.
        validated = len(in_parts(bench.validation.samples, bench.tiling)) / 2 if bench.validation else 0
        return evaluations * seen * (scored + validated)


def _of_steps(bench: Workbench, options: TrainingOptions, seconds: float, extra: float) -> StageEstimate:
    seen = options.crop or bench.size
    each = f"{options.batch} {'crops' if options.crop else 'tiles' if bench.tiling else 'images'} of {seen}"
    return StageEstimate("steps", options.total, seconds, extra, each=each, pixels=seen.width * seen.height)
