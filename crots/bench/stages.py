"""Times the real stages against the bare network."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from statistics import median

from crots.artefacts import round_key
from crots.bench.bare import Bare, flops, peak_flops
from crots.bench.clock import seconds
from crots.bench.world import World
from crots.data.feed import count_waiting
from crots.events import Event, Metrics
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.execution.memory import PeakMemory
from crots.nets.registry import build_net
from crots.options import BenchOptions
from crots.project import Project
from crots.stages.project_stages import label_job, run_adapt, run_baseline, run_mine
from crots.stages.pseudo_label import label_images
from crots.stages.workbench import Workbench

RunStage = Callable[[Project, Workbench, Context], Iterator[Event]]


@dataclass(frozen=True)
class StageTime:
    """The cost of one stage.

    Attributes:
        stage: its name.
        unit: what one is: ``image`` or ``step``.
        images: per unit.
        seconds: per unit, the median of the repeats.
        bare: seconds of the bare network's work for it; None where the stage runs no network.
        ratio: the median of the repeats' own ratios.
        ratios: one per repeat.
        waiting: seconds per unit that the stage waited for data.
        host_gb: peak memory of the process.
        device_gb: peak memory on the CUDA device; None elsewhere.
        tflops: 10^12 operations of the network per second of the stage's time; None where they cannot be counted.
        peak_share: of the operations per second of a large matrix product.
    """

    stage: str
    unit: str
    images: int
    seconds: float
    bare: float | None = None
    ratio: float | None = None
    ratios: list[float] = field(default_factory=list)
    waiting: float = 0.0
    host_gb: float | None = None
    device_gb: float | None = None
    tflops: float | None = None
    peak_share: float | None = None


class StageTimer:
    """Times the stages of a world.

    Attributes:
        engine: device and precision, as the stages choose them.
        peak: operations per second of a large matrix product.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.options: BenchOptions = world.options
        self.engine = Engine(world.runtime)
        self.peak = peak_flops(self.engine.device, self.engine.precision)

    def run(self) -> Iterator[StageTime]:
        """Yields the time of each requested stage."""
        if "labels" in self.options.stages:
            yield from self.labels()
        if "baseline" in self.options.stages:
            yield self.training("baseline", run_baseline, Bare.baseline)
        if "adapt" in self.options.stages:
            yield self.training(round_key(1), run_adapt, Bare.adapt)

    def bare(self, batch: int) -> Bare:
        """Returns the bare network."""
        world = self.world
        net = build_net(world.model.card.net, len(world.classes), trust=world.runtime.trust)
        net.load_state_dict(world.model.net.state_dict())
        return Bare(
            self.engine.place(net), self.options.size, world.patch, batch, self.engine.precision,
            channels_last=world.runtime.channels_last,
        )  # fmt: skip

    def labels(self) -> Iterator[StageTime]:
        """Pseudo-labels with statistics, and patches: whole stages, decoding and writing included.

        Of generated images every cell is cut out.
        """
        with PeakMemory(self.engine) as memory:
            exhaust(self._label(self._fresh("warm-up", every_cell=True)))
        batch, count = self.engine.batch(self.options.label_batch), len(self.world.images)
        calls = -(-count // batch)
        bare = self.bare(batch)
        bare.flipped()
        rows: list[tuple[float, float, float]] = []
        idle = 0.0
        for repeat in range(self.options.repeats):
            project = self._fresh(f"labels-{repeat}", every_cell=not self.world.real)
            label, mine = self._label(project), self._mine(project)
            with count_waiting() as waiting:
                labelled = seconds(partial(exhaust, label), self.engine)
            idle += waiting.seconds / (count * self.options.repeats)
            mined = seconds(partial(exhaust, mine))
            network = sum(seconds(bare.flipped, self.engine) for _ in range(calls)) / (calls * batch)
            rows.append((labelled / count, mined / count, network))
        labels, patches, network = (median(column) for column in zip(*rows, strict=True))
        ratios = [[row[0] / row[2] for row in rows], [(row[0] + row[1]) / row[2] for row in rows]]
        work = 2 * flops(bare.student, bare.images, backward=False) / batch
        yield StageTime(
            "pseudo-label", "image", 1, labels, network, median(ratios[0]), ratios[0], idle, *self._bytes(memory)
        )
        yield StageTime("mine", "image", 1, patches)
        yield self._with_speed(
            StageTime("pseudo-label + mine", "image", 1, labels + patches, network, median(ratios[1]), ratios[1], idle),
            work,
        )

    def _fresh(self, name: str, *, every_cell: bool) -> Project:
        steps = (self.options.repeats + 1) * self.options.steps
        return self.world.project(name, steps=steps, every_cell=every_cell)

    def _label(self, project: Project) -> Iterator[Event]:
        """The first stage of a project; its source is loaded at once."""
        bench = self.world.bench(project, "pseudo-label")
        return label_images(label_job(bench, project.stage_folder("pseudo-label")), Context("pseudo-label"))

    def _mine(self, project: Project) -> Iterator[Event]:
        # The stage looks for its pseudo-labels when it begins.
        yield from run_mine(project, self.world.bench(project, "mine"), Context("mine"))

    @cached_property
    def _labelled(self) -> Project:
        # Rounds are timed with patches, however few the labels give.
        project = self._fresh("training", every_cell=True)
        exhaust(self._label(project))
        exhaust(self._mine(project))
        return project

    def training(self, stage: str, run: RunStage, work: Callable[[Bare], None]) -> StageTime:
        """Times the steps of a training stage; the first ones, on which memory is watched, warm up."""
        project, steps = self._labelled, self.options.steps
        self.world.give_baseline(project)
        events = _steps(run, project, self.world.bench(project, stage), stage)
        ours: list[float] = []
        theirs: list[float] = []
        bare: Bare | None = None
        with PeakMemory(self.engine) as memory, count_waiting() as waiting, contextlib.closing(events):
            began = idle = waited = 0.0
            for event in events:
                if not isinstance(event, Metrics):
                    continue
                self.engine.synchronise()
                now = time.perf_counter()
                if bare:
                    ours.append((now - began) / steps)
                    idle += waiting.seconds - waited
                else:
                    memory.stop()
                    bare = self.bare(self.options.batch)
                    work(bare)
                theirs.append(sum(seconds(partial(work, bare), self.engine) for _ in range(steps)) / steps)
                if len(ours) == self.options.repeats:
                    break
                waited, began = waiting.seconds, time.perf_counter()
        assert bare is not None
        # Each repeat is compared with the bare work before and after it.
        ratios = [2 * own / sum(pair) for own, pair in zip(ours, itertools.pairwise(theirs), strict=True)]
        done = StageTime(
            stage.removesuffix("-1"), "step", self.options.batch, median(ours), median(theirs), median(ratios), ratios,
            idle / (steps * len(ours)), *self._bytes(memory),
        )  # fmt: skip
        return self._with_speed(done, self._training_work(stage, bare))

    def _training_work(self, stage: str, bare: Bare) -> int:
        work = flops(bare.student, bare.images, backward=True)
        if stage == "baseline":
            return work
        return (
            work + flops(bare.student, bare.patches, backward=True) + flops(bare.student, bare.images, backward=False)
        )

    def _bytes(self, memory: PeakMemory) -> tuple[float, float | None]:
        cuda = self.engine.device.type == "cuda"
        return memory.host / 1e9, memory.device / 1e9 if cuda else None

    def _with_speed(self, stage: StageTime, work: float) -> StageTime:
        if not work:
            return stage
        reached = work / stage.seconds
        return dataclasses.replace(stage, tflops=reached / 1e12, peak_share=reached / self.peak)


def exhaust(events: Iterator[Event]) -> None:
    """Runs a stage to its end."""
    for _ in events:
        pass


def _steps(run: RunStage, project: Project, bench: Workbench, stage: str) -> Generator[Event, None, None]:
    """A training stage as a generator, which can be closed before its end."""
    yield from run(project, bench, Context(stage))
