"""Runs projects that are made to fail, with and without the guard, and tabulates the results.

    python tools/prove_guard.py /tmp/proof

Domains of the demonstration at 128x64 and its small net; a learning rate 100 times too high, pseudo-labels of other
images, a target of noise, and a healthy run beside them. Scores are mIoU on 40 labelled images of the real domain,
which no stage sees. What a guarded run keeps is to be no more than half a point below the start of its stage.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crots.artefacts import LABEL_IDS, STUDENT
from crots.config import Size
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.demo.looks import Domain
from crots.demo.scenes import write_domain
from crots.events import StageFinished
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.images import write_image
from crots.label_files import read_labels, write_labels
from crots.nets.model import create_model
from crots.nets.weights import load_model
from crots.options import RuntimeOptions
from crots.project import Project
from crots.project_config import build_config
from crots.runner import run_project, run_stage
from crots.stages.evaluate import score_model
from crots.stages.train import TrainJob, supervise
from crots.taxonomy import load_class_set
from crots.training.loop import Training
from crots.training_options import TrainOptions

SIZE = Size(128, 64)
IMAGES, HELD_OUT = 80, range(300, 340)
STAGES = ("baseline", "adapt-1")
RATES = {"baseline": 1e-3, "adapt": 3e-4}
# Name, target, factor of the learning rates, whether pseudo-labels are shuffled between the images.
CASES: tuple[tuple[str, str, float, bool], ...] = (
    ("healthy", "real", 1, False),
    ("learning rate x 100", "real", 100, False),
    ("shuffled pseudo-labels", "real", 1, True),
    ("noise images", "noise", 1, False),
)


def render(root: Path, seed: int) -> None:
    """Draws the domains, and pictures of noise."""
    sets: tuple[tuple[str, Domain, range], ...] = (
        ("simulator", "simulator", range(IMAGES)), ("real", "real", range(IMAGES)), ("val", "real", HELD_OUT)
    )  # fmt: skip
    for name, domain, indices in sets:
        for _ in write_domain(root / name, domain, indices, seed, SIZE):
            pass
    rng = np.random.default_rng(seed)
    for number in range(IMAGES):
        noise = rng.integers(0, 256, (SIZE.height, SIZE.width, 3), dtype=np.uint8)
        write_image(root / "noise" / "images" / f"street_{number:05d}.png", noise)


def train_source(root: Path, engine: Engine, seed: int) -> None:
    """Trains the source on the simulator."""
    images = open_dataset(root / "simulator/images", layout="folder", labels=root / "simulator/labels")
    model = create_model("compact", load_class_set("demo"), SIZE, seed=seed)
    options = TrainOptions(steps=400, batch=4, learning_rate=3e-3, balance=0.5, jitter=0.5, checkpoint_every=1000)
    job = TrainJob(model, images, ImageCache(None, SIZE, 0), engine, options, Training(root / "source", seed))
    for event in run_stage(partial(supervise, job), Context("train")):
        assert not isinstance(event, StageFinished) or event.outcome == "completed", event


def run_case(root: Path, case: tuple[str, str, float, bool], seed: int, *, guard: bool) -> Project:
    """Runs baseline and one round of a project; with ``guard`` off it keeps the last checkpoints."""
    name, target, factor, shuffle = case
    shared: dict[str, Any] = {"steps": 80, "batch": 4, "validate_every": 16, "guard": guard}
    sections: Mapping[str, Mapping[str, Any]] = {
        "data": {"target": str(root / target / "images"), "size": str(SIZE)},
        "task": {"classes": "demo"},
        "source": {"file": str(root / "source" / STUDENT), "net": "compact"},
        "runtime": {"device": "cpu", "seed": seed},
        "baseline": {**shared, "learning_rate": factor * RATES["baseline"]},
        "adapt": {
            **shared, "learning_rate": factor * RATES["adapt"], "rounds": 1, "select": "label-free" if guard else "last"
        },
    }  # fmt: skip
    project = Project.create(
        root / f"{name} {'guarded' if guard else 'bare'}".replace(" ", "-"), build_config(sections)
    )
    finish(project, until="pseudo-label")
    if shuffle:
        shuffle_labels(project.stage_folder("pseudo-label") / LABEL_IDS)
    finish(project, until="adapt")
    return project


def finish(project: Project, *, until: str) -> None:
    """Runs a project so far."""
    for event in run_project(project, until=until):
        if isinstance(event, StageFinished) and event.outcome != "completed":
            print(f"    {event.stage} {event.outcome}: {event.message}")


def shuffle_labels(folder: Path) -> None:
    """Gives every image the labels of another."""
    paths = sorted(folder.rglob("*.png"))
    maps = [read_labels(path) for path in paths]
    for path, labels in zip(paths, maps[7:] + maps[:7], strict=True):
        write_labels(path, labels)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Projects made to fail, with and without the guard.")
    parser.add_argument("folder", type=Path, help="an empty folder for the projects")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    engine = Engine(RuntimeOptions(device="cpu"))
    root = args.folder.resolve()
    render(root, args.seed)
    train_source(root, engine, args.seed)
    val = open_dataset(root / "val/images", layout="folder", labels=root / "val/labels")
    cache = ImageCache(None, SIZE, 0)

    def miou(path: Path) -> float:
        if not path.exists():
            return float("nan")
        model, _ = load_model(path)
        engine.place(model)
        context = Context("evaluate")
        report = score_model(model, val, model.classes, engine, cache, context, flip=False, batch=4)
        return 100 * float(report["miou"])

    print(f"{'case':24} {'stage':9} {'start':>6} {'bare':>6}   {'start':>6} {'kept':>6}   (mIoU in per cent)")
    for case in CASES:
        bare, guarded = (run_case(root, case, args.seed, guard=guard) for guard in (False, True))
        rows(case[0], root / "source" / STUDENT, bare, guarded, miou)


def rows(name: str, source: Path, bare: Project, guarded: Project, miou: Callable[[Path], float]) -> None:
    """Prints the rows of a case."""
    befores = [source, source]
    for stage in STAGES:
        afters = [project.stage_folder(stage) / STUDENT for project in (bare, guarded)]
        (first, last), (start, kept) = ((miou(a), miou(b)) for a, b in zip(befores, afters, strict=True))
        mark = "" if kept >= start - 0.5 else "  WORSE"
        words = str((guarded.choice(stage) or {}).get("words", ""))[:90]
        print(f"{name:24} {stage:9} {first:6.1f} {last:6.1f}   {start:6.1f} {kept:6.1f}{mark}   {words}", flush=True)
        befores = afters


if __name__ == "__main__":
    main()
