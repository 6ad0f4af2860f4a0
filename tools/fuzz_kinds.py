"""The kinds of files that the fuzz damages: a sound one of each, how it is damaged, and the command that reads it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import fuzz_mutations as mutations
import numpy as np
import torch
from fuzz_mutations import Mutation
from PIL import Image

from crots.cli.main import main
from crots.config import Size
from crots.files import write_json
from crots.label_files import write_confidence, write_labels
from crots.nets.export import export_as
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.project import Project
from crots.taxonomy import load_class_set

SIZE = Size(32, 24)
CLASSES = """name = "fuzz"
ignored_ids = [255]
ignored_colours = [[9, 9, 9]]
published_rare = ["b"]
classes = [
  { name = "a", colour = [10, 20, 30], ids = [0, 7] },
  { name = "b", colour = [40, 50, 60], ids = [1] },
  { name = "c", colour = [70, 80, 90], ids = [2] },
]
[subsets]
few = ["a", "b"]
"""
CLASS_MAP = 'source = "classes.toml"\na = "b"\nb = "ignore"\nc = "c"\n'
PRESET = """profile = "recommended"
description = "small"
[student]
net = "compact"
weights = "random"
[baseline]
steps = 2
batch = 2
[adapt]
rounds = 1
"""
_TRAINING = {"steps": 4, "batch": 2, "log_every": 1, "checkpoint_every": 2, "validate_every": 2}


@dataclass(frozen=True)
class Kind:
    """One kind of files.

    Attributes:
        name: as in the table.
        file: its sound file, below the world's folder.
        mutate: how it is damaged.
        words: the command line, with ``{file}`` for the damaged file and ``{world}`` for the folder.
        share: how often it is drawn; what trains takes a second each.
        writes: the command changes the project, which is then restored.
        sound: undamaged, it is accepted; False for what is damaged to begin with.
    """

    name: str
    file: str
    mutate: Mutation
    words: tuple[str, ...]
    share: int = 4
    writes: bool = False
    sound: bool = True


def _inspect(*more: str) -> tuple[str, ...]:
    return ("inspect", "{file}", *more)


_CLASSES = ("--classes", "{world}/classes.toml")
_PREDICT = ("predict", "--quiet", "--out", "{world}/out", "--device", "cpu", "--threads", "1")
_TOLD = (*_CLASSES, "--channels", "rgb", "--mean", "0", "--scale", "255", "--output", "logits")
_STATUS = ("status", "{world}/project", "--json")
_RUN = ("run", "{world}/project", "--quiet", "--device", "cpu", "--threads", "1")
_RESUME = ("run", "{world}/killed", *_RUN[2:], "--until", "adapt")
_MODEL = ("--net", "compact", *_CLASSES)

KINDS = (
    Kind("pth", "models/plain.pth", mutations.in_zip, _inspect(*_MODEL)),
    Kind("pth numbers", "models/plain.pth", mutations.in_pickle_numbers, _inspect(*_MODEL)),
    Kind("pth legacy", "models/legacy.pth", mutations.in_bytes, _inspect(*_MODEL)),
    Kind("pth nested with a card", "models/nested.pth", mutations.in_zip, _inspect()),
    Kind("safetensors", "models/whole.safetensors", mutations.in_safetensors, _inspect()),
    Kind("safetensors as a source", "models/whole.safetensors", mutations.in_safetensors,
         (*_PREDICT, "--checkpoint", "{file}", "--images", "{world}/images")),
    Kind("onnx", "models/model.onnx", mutations.in_onnx, _inspect()),
    Kind("onnx as a source", "models/tiny.onnx", mutations.in_onnx,
         (*_PREDICT, *_TOLD, "--checkpoint", "{file}", "--images", "{world}/images")),
    Kind("npz", "soft/im0.npz", mutations.in_zip, ("inspect", "{world}/soft", *_CLASSES)),
    Kind("npy", "arrays/im0.npz", mutations.in_bytes, ("inspect", "{world}/arrays", *_CLASSES), 2, sound=False),
    Kind("png", "images/im0.png", mutations.in_png, _inspect()),
    Kind("jpg", "pictures/im0.jpg", mutations.in_bytes, _inspect(), 2),
    Kind("tiff", "pictures/im0.tif", mutations.in_bytes, _inspect(), 3),
    Kind("webp", "pictures/im0.webp", mutations.in_bytes, _inspect(), 1),
    Kind("bmp", "pictures/im0.bmp", mutations.in_bytes, _inspect(), 1),
    Kind("16-bit png", "pictures/deep.png", mutations.in_png, _inspect(), 1),
    Kind("label png", "labels/im0.png", mutations.in_png,
         ("inspect", "{world}/images", "--labels", "{world}/labels", *_CLASSES)),
    Kind("colour label png", "colours/im0.png", mutations.in_png,
         ("inspect", "{world}/images", "--labels", "{world}/colours", *_CLASSES), 2),
    Kind("confidence png", "confidence/im0.png", mutations.in_png,
         ("inspect", "{world}/labels", "--confidence", "{world}/confidence", *_CLASSES), 2),
    Kind("class set", "classes.toml", mutations.in_toml, ("inspect", "{world}/labels", "--classes", "{file}")),
    Kind("class map", "map.toml", mutations.in_toml,
         ("convert-labels", "--quiet", "--labels", "{world}/labels", *_CLASSES, "--source-classes",
          "{world}/classes.toml", "--class-map", "{file}", "--out", "{world}/out")),
    Kind("list", "list.txt", mutations.in_text, _inspect()),
    Kind("video", "film.avi", mutations.in_bytes,
         (*_PREDICT, *_TOLD, "--checkpoint", "{world}/models/tiny.onnx", "--images", "{file}"), 2),
    Kind("preset", "preset.toml", mutations.in_toml,
         ("init", "{world}/out/made", "--target", "{world}/images", "--predictions", "{world}/labels", *_CLASSES,
          "--preset", "{file}"), 2),
    Kind("crots.toml", "project/crots.toml", mutations.in_toml, _STATUS, 3),
    Kind("events", "project/events.jsonl", mutations.in_json_lines, _STATUS, 3),
    Kind("record", "project/records/baseline.json", mutations.in_json, _STATUS, 3),
    Kind("record of the labels", "project/records/pseudo-label.json", mutations.in_json, _STATUS, 2),
    Kind("choice", "project/adapt-1/choice.json", mutations.in_json, _STATUS, 2),
    Kind("scores", "project/evaluation/baseline.json", mutations.in_json, _STATUS, 2),
    Kind("statistics of images", "project/pseudo-labels/images.jsonl", mutations.in_json_lines,
         (*_RUN, "--only", "mine"), 1, writes=True),
    Kind("suspects", "project/pseudo-labels/images.jsonl", mutations.in_json_lines,
         ("suspects", "{world}/project", "--quiet"), 1, writes=True),
    Kind("patches", "killed/patches/patches.json", mutations.in_json, _RESUME, 1, writes=True),
    Kind("statistics of classes", "killed/pseudo-labels/statistics.json", mutations.in_json, _RESUME, 1, writes=True),
    Kind("corrections", "killed/corrections/patches.json", mutations.in_json, _RESUME, 1, writes=True),
    Kind("checkpoint", "killed/adapt-1/checkpoint.pt", mutations.in_zip, _RESUME, 1, writes=True),
    Kind("best", "killed/adapt-1/best.pt", mutations.in_zip, _RESUME, 1, writes=True),
    Kind("started record", "killed/records/adapt-1.started.json", mutations.in_json, _RESUME, 1, writes=True),
)  # fmt: skip


def make_world(world: Path, kinds: Sequence[Kind] = KINDS) -> None:
    """Writes sound files for these kinds; exporting a network and running a project take a while."""
    files = [kind.file for kind in kinds]
    _write_pictures(world)
    for name, text in (("classes.toml", CLASSES), ("map.toml", CLASS_MAP), ("preset.toml", PRESET)):
        (world / name).write_text(text, encoding="utf-8")
    (world / "list.txt").write_text("# root: images\nim0.png\nim1.png\nim2.png\n", encoding="utf-8")
    _write_models(world, exported="models/model.onnx" in files)
    _write_film(world / "film.avi")
    if any(file.startswith(("project/", "killed/")) for file in files):
        _run_project(world)


def _write_pictures(world: Path) -> None:
    rng = np.random.default_rng(0)
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)
    folders = (
        "images",
        "labels",
        "colours",
        "confidence",
        "pictures",
        "soft",
        "arrays",
        "models",
        "out",
        "val",
        "truth",
    )
    for folder in folders:
        (world / folder).mkdir(parents=True)
    for number in range(4):
        labels = rng.integers(0, 3, (SIZE.height // 4, SIZE.width // 4), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
        image = Image.fromarray(colours[labels] * 2 + rng.integers(0, 20, (*labels.shape, 3), dtype=np.uint8))
        places = ("images", "labels") if number < 3 else ("val", "truth")
        image.save(world / places[0] / f"im{number}.png")
        write_labels(world / places[1] / f"im{number}.png", labels)
        if number:
            continue
        write_labels(world / "colours/im0.png", labels)
        Image.fromarray(colours[labels]).save(world / "colours/im0.png")
        for ending in ("jpg", "tif", "webp", "bmp"):
            image.save(
                world / f"pictures/im0.{ending}", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"
            )
        Image.fromarray(labels.astype(np.uint16) * 257).save(world / "pictures/deep.png")
        soft = np.eye(3, dtype=np.float32)[labels].transpose(2, 0, 1)
        np.savez_compressed(world / "soft/im0.npz", probabilities=soft)
        with (world / "arrays/im0.npz").open("wb") as file:
            np.save(file, soft)
    for number in range(1, 3):
        for folder in ("colours",):
            source = np.array(Image.open(world / f"labels/im{number}.png"))
            Image.fromarray(colours[source]).save(world / folder / f"im{number}.png")
    for number in range(3):
        write_confidence(world / f"confidence/im{number}.png", np.full((SIZE.height, SIZE.width), 0.9))


def _write_models(world: Path, *, exported: bool) -> None:
    classes = load_class_set(world / "classes.toml")
    model = create_model("compact", classes, SIZE)
    folder, state = world / "models", model.net.state_dict()
    torch.save(state, folder / "plain.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "card": model.card.to_dict(), "step": 3}, folder / "nested.pth")
    save_safetensors(folder / "whole.safetensors", model.net, model.card)
    if exported:
        export_as(
            model, folder / "model.onnx", "onnx", sample_images=[np.zeros((SIZE.height, SIZE.width, 3), np.uint8)]
        )
    _write_tiny_onnx(folder / "tiny.onnx")


def _write_tiny_onnx(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 3, 1, 1], np.arange(9.0).tolist())
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("image", "logits")]
    nodes = [helper.make_node("Conv", ["image", "w"], ["inner"]), helper.make_node("Relu", ["inner"], ["logits"])]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))


def _write_film(path: Path) -> None:
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, tuple(SIZE))
    for number in range(3):
        film.write(np.full((SIZE.height, SIZE.width, 3), number * 40, np.uint8))
    film.release()


def _run_project(world: Path) -> None:
    """Makes the project, and one like it that was killed."""
    project = world / "project"
    settings = {
        **{f"baseline.{key}": value for key, value in _TRAINING.items()},
        **{f"adapt.{key}": value for key, value in _TRAINING.items()},
        "adapt.rounds": 1, "mine.grid": "2x2", "export.formats": "safetensors", "export.images": 1,
    }  # fmt: skip
    words = [
        "init", project, "--target", world / "images", "--predictions", world / "labels", "--classes",
        world / "classes.toml", "--student", "compact", "--student-weights", "random", "--size", SIZE, "--val-images",
        world / "val", "--val-labels", world / "truth", "--val-encoding", "train",
    ]  # fmt: skip
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    for line in (words, ["run", project, "--quiet", "--device", "cpu", "--threads", "1"]):
        if code := main([str(word) for word in line]):
            raise SystemExit(f"crots {line[0]} ended with {code}; the fuzz needs a sound project")
    (project / "corrections").mkdir()
    (project / "corrections/patches.json").write_text('{"rejected": ["im0_2"], "relabelled": {"im0_1": {"1": 0}}}')
    _kill(project, world / "killed")


def _kill(project: Path, killed: Path) -> None:
    """Copies a project as it is when it was killed after the last checkpoint of its round."""
    shutil.copytree(project, killed)
    left = Project.open(killed)
    write_json(left.started_path("adapt-1"), {"inputs": left.inputs()["adapt-1"]})
    for stage in ("adapt-1", "evaluate", "export"):
        left.record_path(stage).unlink()
