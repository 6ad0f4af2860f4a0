"""Makes a small finished project on disk by hand-written files: 6 images of 64x48 and no network, so it takes no torch.

`make_fake_project(folder)` gives everything that panels read: pseudo-labels, patches, models (placeholders that hold no
network), scores, events and records. With ``until="pseudo-label"`` only the first stages are done; ``rounds`` sets how
many rounds there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from crots.card import IMAGENET, ModelCard
from crots.config import Grid, Size, to_mapping
from crots.eventlog import EventLog
from crots.events import ArtifactWritten, Evaluated, Event, Metrics, Note, Progress, Scored, StageFinished, StageStarted
from crots.files import write_json, write_text
from crots.images import write_image
from crots.label_files import write_colours, write_confidence, write_labels
from crots.methods.metrics import Confusion
from crots.methods.patches import drop_unsure, grid_cells, select_cells
from crots.methods.rare import ClassStatistics, rare_classes
from crots.project import Project
from crots.project_config import ProjectConfig, build_config
from crots.stages.image_scores import image_file, image_row
from crots.taxonomy import ClassSet, load_class_set

SIZE = Size(64, 48)
IMAGES = 6
VALIDATION_IMAGES = 2
GRID = Grid(4, 4)
# Keys lie in two folders, and one base name occurs in both.
KEYS = ("day/frame_0", "day/frame_1", "day/frame_2", "night/frame_0", "night/frame_3", "night/frame_4")
CLASSES = "camvid"
_SKY, _BUILDING, _POLE, _ROAD, _PAVEMENT, _TREE, _SIGN, _FENCE, _CAR, _PEDESTRIAN, _BICYCLIST = range(11)
_SURENESS = (0.97, 0.9, 0.66, 0.98, 0.85, 0.9, 0.62, 0.5, 0.8, 0.72, 0.68)
_START = 1_700_000_000.0


def make_fake_project(
    folder: Path, *, rounds: int = 2, until: str = "export", sections: Any = None, classes: ClassSet | None = None
) -> Project:
    """Writes target, validation and source folders and, in ``folder / "project"``, a project whose stages are done.

    Args:
        folder: empty; the project is in ``folder / "project"``.
        rounds: how many ``adapt-N`` stages.
        until: the last stage that is done: one of ``Project.stage_keys()``; ``""`` does none.
        sections: options that differ, ``{"adapt": {"mix": "cutmix"}}``.
        classes: the target's, where ``sections`` name others than CamVid's; the scenes show them in place of those.
    """
    classes = classes or load_class_set(CLASSES)
    _write_data(folder, classes)
    project = Project.create(folder / "project", _config(folder, rounds, sections or {}))
    keys = project.stage_keys()
    clock = Clock()
    for key in keys[: keys.index(until) + 1] if until else ():
        finish_stage(project, key, classes, clock)
    return project


def finish_stage(project: Project, key: str, classes: ClassSet, clock: Clock | None = None) -> None:
    """Writes the files, events and record of one stage as if it had run."""
    project.begin(key)
    written = _write_stage(project, key, classes)
    events = stage_events(key, project, classes, clock or Clock())
    log = EventLog(project.events_path)
    for event in events:
        log.append(event)
    project.finish(key, events[-1].time - events[0].time, written)


def fail_stage(project: Project, key: str, message: str) -> None:
    """Ends a run of a stage before it began to write: its inputs did not fit."""
    log = EventLog(project.events_path)
    log.append(StageFinished(stage=key, outcome="failed", seconds=1, message=message, exit_code=2))


def _config(folder: Path, rounds: int, sections: dict[str, dict[str, Any]]) -> ProjectConfig:
    values: dict[str, dict[str, Any]] = {
        "data": {
            "target": str(folder / "target"),
            "val_images": str(folder / "val" / "images"),
            "val_labels": str(folder / "val" / "labels"),
            "val_encoding": "train",
            "size": str(SIZE),
        },
        "task": {"classes": CLASSES},
        "source": {
            "predictions": str(folder / "source" / "label_ids"),
            "confidence": str(folder / "source" / "confidence"),
        },
        "student": {"net": "torchvision:lraspp_mobilenet_v3_large", "weights": "random"},
        "baseline": {"steps": 100, "batch": 2},
        "adapt": {"steps": 100, "batch": 2, "rounds": rounds},
        "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return build_config(values)


def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A street as rectangles: image (48, 64, 3) uint8 and labels (48, 64) uint8; the same for the same index."""
    image, labels = _scene(index)
    return image.copy(), labels.copy()


def scene_in(classes: ClassSet, index: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in other classes than CamVid's, by their number."""
    image, labels = scene(index)
    return image, labels % len(classes)


@cache
def _scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(index)
    labels = np.full((SIZE.height, SIZE.width), _SKY, np.uint8)
    horizon = 18 + index % 4
    labels[horizon - 10 : horizon, :20] = _BUILDING
    labels[horizon - 8 : horizon, 44:] = _TREE
    labels[horizon:] = _ROAD
    labels[horizon:, :10] = _PAVEMENT
    labels[30:40, 24 + 2 * index : 36 + 2 * index] = _CAR
    if index % 2 == 0:
        labels[26:40, 4:8] = _PEDESTRIAN
    if index % 3 == 0:
        labels[12:34, 54:56] = _POLE
        labels[10:14, 52:58] = _SIGN
    if index == 4:
        labels[28:40, 42:48] = _BICYCLIST
    palette = load_class_set(CLASSES).palette_array().astype(np.int16)
    image = palette[labels] // 2 + 60 + rng.integers(-12, 12, (*labels.shape, 3)) - 25 * (index >= 3)
    return image.clip(0, 255).astype(np.uint8), labels


def confidence_of(labels: np.ndarray, index: int) -> np.ndarray:
    """A confidence (48, 64) float32 that is low for rare classes and lower from image to image."""
    rng = np.random.default_rng(100 + index)
    sure = np.array(_SURENESS, np.float32)[labels] - 0.02 * index
    return np.clip(sure + rng.uniform(-0.03, 0.03, labels.shape), 0.15, 1).astype(np.float32)


def _write_data(folder: Path, classes: ClassSet) -> None:
    for index, key in enumerate(KEYS):
        image, labels = scene_in(classes, index)
        write_image(folder / "target" / f"{key}.png", image)
        write_labels(folder / "source" / "label_ids" / f"{key}.png", labels)
        write_confidence(folder / "source" / "confidence" / f"{key}.png", confidence_of(labels, index))
    for index in range(VALIDATION_IMAGES):
        image, labels = scene_in(classes, 50 + index)
        write_image(folder / "val" / "images" / f"val_{index}.png", image)
        write_labels(folder / "val" / "labels" / f"val_{index}.png", labels)
        write_labels(folder / "source" / "label_ids" / f"val_{index}.png", labels)
        write_confidence(folder / "source" / "confidence" / f"val_{index}.png", confidence_of(labels, index))


def _write_stage(project: Project, key: str, classes: ClassSet) -> float | None:
    """Writes a stage's files; returns the mIoU of its record."""
    out = project.work_folder(key)
    if key == "pseudo-label":
        _write_pseudo_labels(out, classes)
    elif key == "mine":
        _write_patches(out, classes)
    elif key == "evaluate":
        for subject in ("source", "baseline", *project.round_keys()):
            write_json(out / f"{subject}.json", report_of(subject, classes))
            write_json(out / "images" / f"{subject}.json", images_of(subject, classes))
        return float(report_of(project.round_keys()[-1], classes)["miou"])
    elif key == "export":
        write_placeholder_model(out / "adapted.safetensors", classes)
    else:
        write_placeholder_model(out / "student.safetensors", classes)
        if key != "baseline":
            write_placeholder_model(out / "teacher.safetensors", classes)
        return float(report_of(key, classes)["miou"])
    return None


def _write_pseudo_labels(out: Path, classes: ClassSet) -> None:
    rows, total = [], ClassStatistics(len(classes))
    for index, key in enumerate(KEYS):
        labels = scene_in(classes, index)[1]
        confidence = confidence_of(labels, index)
        write_labels(out / "label_ids" / f"{key}.png", labels)
        write_colours(out / "label_color" / f"{key}.png", labels, classes.palette_array())
        write_confidence(out / "confidence" / f"{key}.png", confidence)
        statistics = ClassStatistics(len(classes))
        statistics.add(labels, confidence)
        total.merge(statistics)
        entropy = round(0.2 + 0.1 * ((index * 5) % IMAGES), 6)
        rows.append({"key": key, "image": f"{key}.png", "entropy": entropy, **statistics.to_dict()})
    write_text(out / "images.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    ranked = sorted(rows, key=lambda row: (row["entropy"], row["key"]))
    for name, part in (("easy.txt", ranked[: IMAGES // 2]), ("hard.txt", ranked[IMAGES // 2 :])):
        write_text(out / name, "".join(f"{row['image']} {row['entropy']:.6f}\n" for row in part))
    write_json(out / "statistics.json", total.to_dict())


def _write_patches(out: Path, classes: ClassSet) -> None:
    scenes = {key: scene_in(classes, index) for index, key in enumerate(KEYS)}
    maps = {key: (found, confidence_of(found[1], index)) for index, (key, found) in enumerate(scenes.items())}
    total = ClassStatistics(len(classes))
    for (_, labels), confidence in maps.values():
        total.add(labels, confidence)
    rare = rare_classes(total)
    rows = []
    for key, ((image, labels), confidence) in maps.items():
        kept = drop_unsure(labels, confidence, 0.5, classes.ignore)
        for cell in select_cells(kept, [row.id for row in rare], GRID):
            place = grid_cells(*labels.shape, GRID)[cell - 1]
            rows.append(_write_patch(out, f"{key}_{cell}", key, cell, image[place], kept[place], confidence[place],
                                     [row.id for row in rare], classes))  # fmt: skip
    listed = [{"id": row.id, "name": classes.names[row.id], "reason": row.reason} for row in rare]
    write_json(out / "patches.json", {"grid": str(GRID), "rare": listed, "patches": rows})


def _write_patch(
    out: Path, name: str, key: str, cell: int, image: np.ndarray, labels: np.ndarray, confidence: np.ndarray,
    rare: Sequence[int], classes: ClassSet,
) -> dict[str, Any]:  # fmt: skip
    write_image(out / "patches" / f"{name}.png", np.ascontiguousarray(image))
    write_labels(out / "labels" / f"{name}.png", labels)
    write_colours(out / "color_labels" / f"{name}.png", labels, classes.palette_array())
    ids, counts = np.unique(labels, return_counts=True)
    pixels = {str(int(number)): int(count) for number, count in zip(ids, counts, strict=True)}
    mean = float(confidence[np.isin(labels, rare)].mean())
    shown = [number for number in rare if str(number) in pixels]
    return {
        "name": name, "image": key, "cell": cell, "pixels": pixels, "confidence": round(mean, 4), "classes": shown,
    }  # fmt: skip


def write_placeholder_model(path: Path, classes: ClassSet) -> None:
    """Writes a safetensors file with a card and no network: opening it as a model is an `InputError`."""
    card = ModelCard("torchvision:lraspp_mobilenet_v3_large", classes.to_dict(), IMAGENET, SIZE, note="placeholder")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.zeros(4, np.float32)}, path, {"format": "np", "crots": json.dumps(card.to_dict())})


def report_of(subject: str, classes: ClassSet) -> dict[str, Any]:
    """Scores that rise from source to the last round, from a confusion matrix that agrees with them."""
    confusion = Confusion(len(classes))
    for truth, said in _predicted(subject, classes):
        confusion.add(truth, said)
    return confusion.report(classes.names, classes.subsets)


def images_of(subject: str, classes: ClassSet) -> dict[str, Any]:
    """The same scores, image by image."""
    rows = []
    for index, (truth, said) in enumerate(_predicted(subject, classes)):
        confusion = Confusion(len(classes))
        confusion.add(truth, said)
        rows.append(image_row(f"val_{index}", confusion.matrix, confusion.ignored_predictions))
    return image_file(classes.names, rows)


def _predicted(subject: str, classes: ClassSet) -> Iterator[tuple[Any, Any]]:
    """The labels of each validation image and what a model predicts there."""
    step = 0 if subject == "source" else 1 if subject == "baseline" else 1 + int(subject.removeprefix("adapt-"))
    rng = np.random.default_rng(7)
    for index in range(VALIDATION_IMAGES):
        truth = scene_in(classes, 50 + index)[1]
        wrong = rng.random(truth.shape) < 0.4 / (1 + step)
        yield truth, np.where(wrong, rng.integers(0, len(classes), truth.shape), truth).astype(np.uint8)


class Clock:
    """Time stamps of events, a second apart, in one line for all stages of a project."""

    def __init__(self, now: float = _START) -> None:
        self.now = now

    def tick(self, seconds: float = 1.0) -> float:
        """Moves on and returns the time."""
        self.now += seconds
        return self.now


def stage_events(key: str, project: Project, classes: ClassSet, clock: Clock) -> list[Event]:
    """The events of one finished stage, in order."""
    out = project.stage_folder(key)
    if key == "baseline" or key.startswith("adapt-"):
        return _training_events(key, project, classes, clock)
    scored = (2 + len(project.round_keys())) * VALIDATION_IMAGES
    total = {"pseudo-label": 2 * IMAGES, "evaluate": scored, "export": 1}.get(key, IMAGES)
    unit: Any = "files" if key == "export" else "images"
    events: list[Event] = [StageStarted(stage=key, time=clock.tick(), total=total, unit=unit)]
    events += [Progress(stage=key, time=clock.tick(), done=done, total=total, rate=2.0) for done in (total // 2, total)]
    if key == "evaluate":
        events += [_evaluated(key, name, 0, classes, clock) for name in ("source", "baseline", *project.round_keys())]
    kind = {"pseudo-label": "pseudo-labels", "mine": "patches", "export": "export"}.get(key)
    if kind:
        events.append(ArtifactWritten(stage=key, time=clock.tick(), kind=kind, path=str(out)))
    events.append(Note(stage=key, time=clock.tick(), text=f"{key}: {total} {unit}"))
    return [*events, StageFinished(stage=key, time=clock.tick(), outcome="completed", seconds=5.0)]


def _training_events(key: str, project: Project, classes: ClassSet, clock: Clock) -> list[Event]:
    section = "baseline" if key == "baseline" else "adapt"
    options = to_mapping(getattr(project.config, section))
    events: list[Event] = [StageStarted(stage=key, time=clock.tick(), total=100, options=options)]
    for step in range(10, 101, 10):
        values = {"loss": 2.0 / step**0.5, "learning rate": 1e-4 * (1 - step / 101)}
        if key != "baseline":
            values |= {"consistency": 1.8 / step**0.5, "hard patch": 2.0 / step**0.5, "confidence weight": step / 120}
        events.append(Metrics(stage=key, time=clock.tick(), step=step, values=values))
        events.append(Progress(stage=key, time=clock.tick(0.1), done=step, total=100, rate=4.0))
        if step in (50, 100):
            events.append(_evaluated(key, key, step, classes, clock))
            scores = {"information": 0.4 + step / 400, "agreement": 0.8 + step / 1000}
            events.append(Scored(stage=key, time=clock.tick(0.1), step=step, values=scores))
    path = str(project.stage_folder(key) / "student.safetensors")
    events.append(ArtifactWritten(stage=key, time=clock.tick(), kind="model", path=path))
    return [*events, StageFinished(stage=key, time=clock.tick(), outcome="completed", seconds=20.0)]


def _evaluated(key: str, subject: str, step: int, classes: ClassSet, clock: Clock) -> Evaluated:
    report = report_of(subject, classes)
    return Evaluated(
        stage=key,
        time=clock.tick(0.1),
        subject=subject,
        step=step,
        miou=report["miou"],
        per_class_iou=report["per_class_iou"],
        confusion=report["confusion"],
        images=report["images"],
    )
