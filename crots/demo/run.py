"""``crots demo``: render two domains, train a source model on one, adapt it to the other, in an ordinary project."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from crots.artefacts import CHECKPOINT, STUDENT
from crots.config import Size
from crots.demo.looks import Domain
from crots.demo.scenes import write_domain
from crots.errors import InputError
from crots.eventlog import EventLog
from crots.events import ArtifactWritten, Event, StageFinished, StageStarted
from crots.execution.context import Context, Meter
from crots.execution.control import Control
from crots.files import is_partial, write_json
from crots.ownership import in_the_way, walk
from crots.project import CONFIG_NAME, Project
from crots.project_config import ProjectConfig, build_config
from crots.runner import locked, run_project, run_stage
from crots.training_options import TrainOptions

SIZE = Size(256, 128)
NET = "compact"


@dataclass(frozen=True)
class Scale:
    """How large a demonstration is.

    Attributes:
        images: rendered for the simulator and as the unlabelled target.
        validation: labelled images of the target's domain.
        source: how the source model is trained.
        baseline_steps: of the distillation; 0 fits them to the images.
        adapt_steps: of each round, likewise.
    """

    images: int
    validation: int
    source: TrainOptions
    baseline_steps: int
    adapt_steps: int
    size: Size = SIZE


# The training of the source is not changed, so that the remaining gap stays comparable between versions.
_SOURCE = TrainOptions(
    learning_rate=3e-3, balance=0.5, optimiser="adam", warm_up=0, weight_decay=0, clip=0, keep_ema=False, scale=1
)
FULL = Scale(
    images=240,
    validation=50,
    source=replace(_SOURCE, steps=700, batch=4, jitter=0.5, checkpoint_every=100),
    baseline_steps=0,
    adapt_steps=0,
)
TINY = Scale(
    images=6,
    validation=2,
    source=replace(_SOURCE, steps=4, batch=2, checkpoint_every=2, log_every=2),
    baseline_steps=4,
    adapt_steps=2,
    size=Size(64, 32),
)
SEED = 0
# The validation pictures of the target's domain begin here, so that none is in both sets.
FIRST_VALIDATION = 300


def demo_events(folder: Path, *, tiny: bool = False, control: Control | None = None) -> Iterator[Event]:
    """Runs the demonstration in ``folder``; the finished stages of an interrupted one are not run again.

    Raises:
        InputError: the folder holds another project, or another run goes on in it.
    """
    control, scale = control or Control(), TINY if tiny else FULL
    project = open_project(folder, scale)
    job = DemoJob(project, scale)
    with locked(project):
        log = EventLog(project.events_path)
        for stage, body in (("render", render), ("train", train_source)):
            done = project.folder / stage_mark(stage)
            if done.exists():
                continue
            context = Context(stage, control, resume=True, log=log)
            end: Event | None = None
            for event in run_stage(partial(body, job), context):
                end = event
                yield event
            if not isinstance(end, StageFinished) or end.outcome != "completed":
                return
            write_json(done, dataclasses.asdict(end), durable=True)
    yield from run_project(project, control=control)


def stage_mark(stage: str) -> Path:
    """The file, below the project, that says that a stage of the demonstration's own is done."""
    return Path("records") / f"{stage}.json"


def open_project(folder: Path, scale: Scale) -> Project:
    """Opens or makes the project of the demonstration.

    Raises:
        InputError: the folder is in use, or holds another project.
    """
    if not (folder / CONFIG_NAME).exists():
        return Project.create(folder, demo_config(scale))
    project = Project.open(folder)
    if not is_demo(project.config):
        raise InputError(f"{folder}: holds another project; choose another folder for the demonstration")
    return project


def is_demo(config: ProjectConfig) -> bool:
    """Whether a configuration is that of a demonstration, whatever was made of its options since."""
    wanted = demo_config(FULL)
    return (wanted.task.classes, wanted.data.target, wanted.source.file) == (
        config.task.classes, config.data.target, config.source.file,
    )  # fmt: skip


def demo_config(scale: Scale) -> ProjectConfig:
    """The configuration that any user would write for these images, with steps for two CPU cores."""
    # Few evaluations per stage: more would take longer than the training.
    shared = {"checkpoint_every": 50, "validate_every": 100}
    return build_config(
        {
            "data": {
                "target": "data/target/images",
                "val_images": "data/validation/images",
                "val_labels": "data/validation/labels",
                "size": str(scale.size),
            },
            "task": {"classes": "demo"},
            # Its small network gains nothing from lower precision, and in fp32 ends alike on every processor.
            "runtime": {"precision": "fp32"},
            "source": {"file": f"source/{STUDENT}", "net": NET},
            "baseline": {**shared, "steps": scale.baseline_steps},
            "adapt": {**shared, "steps": scale.adapt_steps},
        }
    )


@dataclass(frozen=True)
class DemoJob:
    """A demonstration: its project, and how large it is."""

    project: Project
    scale: Scale


def render(job: DemoJob, context: Context) -> Iterator[Event]:
    """Draws the simulator, the target without labels, and a labelled validation set of the target's domain."""
    scale, data = job.scale, job.project.folder / "data"
    seen = range(scale.images)
    held_out = range(FIRST_VALIDATION, FIRST_VALIDATION + scale.validation)
    sets: list[tuple[str, Domain, range, bool]] = [
        ("simulator", "simulator", seen, True),
        ("target", "real", seen, False),
        ("validation", "real", held_out, True),
    ]
    total = sum(len(indices) for _, _, indices, _ in sets)
    yield StageStarted(stage=context.stage, total=total, unit="images")
    meter, done = Meter(context.stage, total), 0
    for name, domain, indices, labelled in sets:
        for _ in write_domain(data / name, domain, indices, SEED, scale.size, labelled=labelled):
            context.control.check()
            done += 1
            yield from meter.tick(done)
    yield ArtifactWritten(stage=context.stage, kind="images", path=str(data))


def train_source(job: DemoJob, context: Context) -> Iterator[Event]:
    """Trains the source model on the simulator's labels, from random weights."""
    # torch is loaded only now.
    from crots.data.cache import ImageCache
    from crots.data.datasets import open_dataset
    from crots.execution.engine import Engine
    from crots.nets.model import create_model
    from crots.stages.train import TrainJob, supervise
    from crots.taxonomy import load_class_set
    from crots.training.loop import Training

    project, scale = job.project, job.scale
    classes, runtime = load_class_set("demo"), project.config.runtime
    folder = project.folder / "source"
    found = next((name for name, entry in walk(folder) if not is_partial(entry.name)), None)
    if found and not (folder / CHECKPOINT).exists():
        # A model that it did not train, which it would replace.
        raise in_the_way(folder / found)
    root = project.folder / "data" / "simulator"
    dataset = open_dataset(root / "images", labels=root / "labels", classes=classes)
    cache = ImageCache(project.cache_folder, scale.size, int(runtime.cache_gb * 1e9))
    model = create_model(NET, classes, scale.size, seed=runtime.seed)
    run = Training(folder=folder, seed=runtime.seed)
    return supervise(TrainJob(model, dataset, cache, Engine(runtime), scale.source, run), context)
