"""Every option of a project and of the stages that do not train, with default, range, help and the fault it corrects.

Values of the profile ``recommended`` are the defaults; ``published=`` gives the published code's where it differs.
Fault numbers (F1 to F18) are explained in docs/method.md. No torch here: see `crots.config`. Options of training are in
`crots.training_options`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crots.config import Duration, Grid, OptionInfo, Size, describe, option
from crots.training_options import AdaptOptions, BaselineOptions

# The network of a source whose file does not name one: the published network.
DEFAULT_NET = "deeplabv2_resnet101"
# The name for the student's weights that are downloaded.
IMAGENET = "imagenet"


def _inference_batch() -> Any:
    help = "Images per forward pass; 0 is 1 on the CPU and 4 on CUDA."
    return option(0, help, low=0, high=256, affects_result=False, title="Batch size")


@dataclass(frozen=True)
class DataOptions:
    """Where the images of a project are."""

    target: Path | None = option(
        None,
        "Folder, list file or dataset root with the unlabelled target images.",
        title="Target images",
        path="folder",
    )
    layout: str = option("auto", "Dataset layout of the target folder; auto detects it.")
    split: str = option("train", "Split of the target dataset, if its layout has splits.")
    val_images: Path | None = option(
        None, "Validation images, for scoring only.", affects_result=False, title="Validation images", path="folder"
    )
    val_labels: Path | None = option(
        None,
        "Labels of the validation images, for scoring only.",
        affects_result=False,
        title="Validation labels",
        path="folder",
    )
    val_layout: str = option(
        "auto", "Dataset layout of the validation folder.", affects_result=False, title="Validation layout"
    )
    val_encoding: Literal["auto", "train", "raw", "colour", "mask", "from-one", "synthia", "polygons"] = option(
        "auto", "How label files store classes: auto detects it and asks if two encodings fit; train ids, the data "
        "set's raw ids, colours, masks of 0 and 1 or 255, ids that count from one, SYNTHIA's 16 bits, outlines of "
        "COCO, CVAT, Label Studio or labelme.", affects_result=False, title="Label encoding",
    )  # fmt: skip
    size: Size | None = option(
        None,
        "Working size of all images; none proposes one from the data.",
        low=8,
        unit="px",
        title="Working size",
    )
    tile: Size | None = option(
        None,
        "Cut images into overlapping tiles of this size instead of resizing them; none resizes.",
        low=32,
        unit="px",
        title="Tiles",
    )
    tile_overlap: float = option(
        0.25, "Least share of a tile's sides that overlaps the next tile; predictions are blended there.",
        low=0, high=0.5, title="Overlap of tiles",
    )  # fmt: skip
    bands: str = option(
        "", "Bands of the images that become red, green and blue, like 3,2,1, or one for grey; empty takes images of "
        "up to three bands as they are. Grey pages of a TIFF count as bands.",
    )  # fmt: skip
    white: float = option(
        0.0, "Value that becomes white, for 16-bit images that use only some of their bits and for floating-point "
        "images; 0 is the maximum of 8 or 16 bits.", low=0, high=1e9, title="White level",
    )  # fmt: skip
    skip_bad: bool = option(
        False, "Leave out unreadable images instead of refusing to start.", title="Skip unreadable images"
    )


@dataclass(frozen=True)
class TaskOptions:
    """Which classes there are."""

    classes: str = option(
        "cityscapes", "Class set of the target: a shipped name or a TOML file.", title="Class set", path="name or file"
    )
    source_classes: str = option("", "Class set of the source, if it differs from the target's.", path="name or file")
    class_map: Path | None = option(
        None,
        "Class map: a shipped name or a TOML file that maps source classes to target classes.",
        path="name or file",
    )


@dataclass(frozen=True)
class SourceOptions:
    """The source model, or its predictions."""

    file: Path | None = option(
        None,
        "Checkpoint, ONNX file or exported program of the source model.",
        title="Source model",
        path="file",
        flag="--source",
    )
    net: str = option(
        "",
        f"Network of a source checkpoint; empty takes the one named in the file, otherwise {DEFAULT_NET}.",
        title="Network",
    )
    prefix: str = option(
        "",
        "Prefix of the keys in the checkpoint, or its entry with the weights (ema_state_dict); empty detects it.",
        flag="--source-prefix",
        title="Prefix of the weights",
    )
    predictions: Path | None = option(
        None,
        "Folder of predictions (label PNGs, or .npy and .npz arrays) in place of a model.",
        title="Source predictions",
        path="folder",
    )
    encoding: Literal["auto", "train", "raw", "colour", "mask", "from-one"] = option(
        "auto", "How predicted label PNGs store the source's classes: auto detects it and asks if two encodings fit; "
        "otherwise as for labels.",
        title="Encoding of predictions", flag="--predictions-encoding",
    )  # fmt: skip
    confidence: Path | None = option(
        None,
        "Folder of confidence maps, one for each label file: 8-bit PNGs, or .npy arrays of 0..1.",
        title="Source confidence",
        path="folder",
    )
    size: Size | None = option(
        None,
        "Input size of the source; none takes the file's, else the working size.",
        low=8,
        title="Input size",
        flag="--source-size",
    )
    channels: Literal["auto", "rgb", "bgr"] = option(
        "auto", "Channel order of the source's input.", title="Channel order", flag="--source-channels"
    )
    mean: str = option(
        "",
        "Mean of each channel in 0..255 units, three numbers with commas; empty takes the net's.",
        flag="--source-mean",
        title="Channel means",
    )
    scale: str = option(
        "",
        "Divisor of each channel in 0..255 units, one or three numbers; empty takes the net's.",
        flag="--source-scale",
        title="Channel scale",
    )
    output: Literal["auto", "logits", "probabilities", "labels"] = option(
        "auto", "What the source outputs.", flag="--source-output", title="Kind of output"
    )
    output_name: str = option(
        "",
        "Name of the output to read if the source has several; empty detects it.",
        flag="--source-output-name",
    )


@dataclass(frozen=True)
class StudentOptions:
    """The network to adapt."""

    net: str = option(
        "", "Network of the student; empty takes the source's.", fault="F1", title="Network", flag="--student"
    )
    weights: str = option(
        "",
        "Start: a weights file, 'source', 'imagenet' (its encoder's, downloaded by timm or torchvision), or 'random'; "
        "empty takes the source's if the nets are the same.",
        title="Initial weights",
        path="name or file",
        flag="--student-weights",
    )
    target_statistics: float = option(
        0.5,
        "Share of the target's batch-norm statistics in those of a student already trained on these classes; "
        "0 keeps its own.",
        low=0,
        high=1,
        published=0.0,
        title="Share of target statistics",
    )


@dataclass(frozen=True)
class RuntimeOptions:
    """Device, precision, threads and seed."""

    device: str = option(
        "auto", "auto, cpu, cuda or cuda:N; mps (Apple) and xpu (Intel) are untested.", affects_result=False
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto",
        "Arithmetic of the networks; auto is bf16 or fp16 on CUDA. On CPUs it is fp32, unless a run is long and bf16 "
        "proves faster in a few timed steps. Evaluation is in fp32 with auto.",
    )
    channels_last: bool = option(True, "Keep images channels-last in memory, which is faster.", affects_result=False)
    threads: int = option(0, "CPU threads; 0 takes all.", low=0, high=1024, affects_result=False)
    cache_gb: float = option(
        50.0,
        "Maximum size of the cache of resized images.",
        low=0,
        high=10**6,
        unit="GB",
        affects_result=False,
        title="Cache",
    )
    time_budget: Duration | None = option(
        None,
        "Time that a run may take, kept by smaller crops, then by fewer steps, unless you set them yourself; none sets "
        "no limit.",
        affects_result=False,
    )
    trust: bool = option(
        False,
        "Allow this run to execute code that the options name: TorchScript, exported programs, network factories.",
        affects_result=False,
        stored=False,
    )
    seed: int = option(0, "Seed of every random draw.", low=0, high=2**31 - 1, title="Random seed")


@dataclass(frozen=True)
class PseudoLabelOptions:
    """Labels, confidence and statistics of the target images from the source."""

    flip: bool = option(True, "Add the prediction of the mirrored image.", title="Average with the mirrored image")
    flip_merge: Literal["mean", "sum"] = option(
        "mean",
        "Mean or sum of the two predictions' logits; the sum raises confidence.",
        published="sum",
        title="How mirrored logits are merged",
    )
    batch_norm: Literal["source", "target", "mixed"] = option(
        "mixed",
        "Batch-norm statistics of a source network: its own (source), those of the target images (target), or the mean "
        "of three predictions, with its own, with the target's and with the mean of both (mixed).",
        published="source",
        title="Batch-norm statistics",
    )
    easy: float = option(
        0.5, "Share of images listed in easy.txt, lowest entropy first.", low=0, high=1, title="Share of easy images"
    )
    batch: int = _inference_batch()
    published_layout: bool = option(
        False, "Write label_ids/train/... with gtFine_labelIds names as the published code does.", affects_result=False
    )


@dataclass(frozen=True)
class MineOptions:
    """Hard (rare-class) patches, cut from the pseudo-labels."""

    grid: Grid = option(Grid(4, 4), "Rows and columns an image is cut into.", low=1, high=64, title="Grid of cells")
    rare: str = option(
        "auto",
        "auto finds rare classes from predictions, published takes the published set; or ids or names with commas.",
        fault="F11",
        published="published",
        title="Rare classes",
    )
    rare_count: int = option(
        0,
        "Classes that each rule of auto (least confident, least frequent) picks; 0 is 5 of 19.",
        low=0,
        high=1000,
        title="Rare classes per rule",
    )
    min_confidence: float = option(
        0.5,
        "Pixels of patches below this confidence are ignored; 0 keeps all.",
        low=0,
        high=1,
        fault="F10",
        published=0.0,
        title="Minimum confidence",
    )
    min_pixels: int = option(
        1, "Minimum number of rare pixels in a cell that is kept.", low=1, high=10**9, unit="px", title="Minimum pixels"
    )
    keep_folders: bool = option(False, "Keep subfolders in patch names, so that equal base names do not clash.")


@dataclass(frozen=True)
class EvaluateOptions:
    """Scoring against labels."""

    flip: bool = option(False, "Add the prediction of the mirrored image.", title="Average with the mirrored image")
    weights: Literal["student", "teacher"] = option(
        "student",
        "Whether the student or the teacher is scored; of the baseline always the student.",
        title="Model to score",
    )
    batch: int = _inference_batch()


@dataclass(frozen=True)
class ExportOptions:
    """The adapted model as a file for other programs."""

    formats: tuple[str, ...] = option(
        ("safetensors", "onnx"),
        "Formats to write.",
        choices=("pth", "safetensors", "onnx", "torchscript", "huggingface"),
    )
    weights: Literal["student", "teacher"] = option(
        "student",
        "Whether the student or the teacher is exported; of the baseline always the student.",
        title="Model to export",
    )
    images: int = option(
        4,
        "Target images on which each file is compared with the network.",
        low=1,
        high=1000,
        title="Images to compare on",
    )


@dataclass(frozen=True)
class PredictOptions:
    """Running a model on images or a video."""

    flip: bool = option(False, "Add the prediction of the mirrored image.")
    ids: bool = option(True, "Write label ids.")
    colour: bool = option(True, "Write colours.")
    overlay: bool = option(True, "Write the colours over the image.")
    opacity: float = option(0.5, "Opacity of the overlay.", low=0, high=1)
    batch: int = _inference_batch()


MEASURES = (
    "cache", "one-pass", "flip-batch", "channels-last", "bf16", "fused-adam", "foreach-ema", "inference-mode",
    "folded-norm", "compile", "passive-threads", "threads",
)  # fmt: skip


@dataclass(frozen=True)
class BenchOptions:
    """What `crots bench` measures."""

    net: str = option("deeplabv2_resnet101", "Network; its weights are random unless a checkpoint is given.")
    checkpoint: Path | None = option(None, "Model file of CROTS (.safetensors) in place of random weights.")
    images: Path | None = option(None, "Folder of images in place of generated ones.")
    classes: str = option("cityscapes", "Class set: a shipped name or a TOML file.")
    size: Size = option(Size(512, 256), "Working size.", low=8, unit="px")
    photo: Size = option(Size(2048, 1024), "Size of the generated images.", low=8, unit="px")
    batch: int = option(2, "Images per optimiser step.", low=1, high=4096)
    label_batch: int = _inference_batch()
    count: int = option(2, "Images labelled in each repeat.", low=1, high=10**4)
    steps: int = option(1, "Optimiser steps in each repeat.", low=1, high=10**4, unit="steps")
    repeats: int = option(3, "Repeats, in which the alternatives take turns; medians are shown.", low=1, high=1000)
    parts: tuple[str, ...] = option(
        ("stages",),
        "stages against the bare network, and against the plain procedure; each measure on its own; reduced precision "
        "against fp32; libraries that decode.",
        choices=("stages", "plain", "measures", "precision", "decoding"),
    )
    stages: tuple[str, ...] = option(
        ("labels", "baseline", "adapt"), "Stages to measure.", choices=("labels", "baseline", "adapt")
    )
    measures: tuple[str, ...] = option(
        tuple(name for name in MEASURES if name != "compile"), "Measures to switch on and off.", choices=MEASURES
    )


# Sections of crots.toml in the order in which they are written; a configuration has one attribute for each.
SECTIONS: dict[str, type] = {
    "data": DataOptions,
    "task": TaskOptions,
    "source": SourceOptions,
    "student": StudentOptions,
    "runtime": RuntimeOptions,
    "pseudo_label": PseudoLabelOptions,
    "mine": MineOptions,
    "baseline": BaselineOptions,
    "adapt": AdaptOptions,
    "evaluate": EvaluateOptions,
    "export": ExportOptions,
}


# Given for a single run, never stored.
TRUST = "runtime.trust"


def all_options() -> dict[str, OptionInfo]:
    """Returns the description of every option of a project by ``section.option``."""
    return {f"{section}.{info.name}": info for section, cls in SECTIONS.items() for info in describe(cls)}


# In backticks, or leading the message: the option that the message is about.
_NAMED = re.compile(r"`([a-z_]+\.[a-z_]+)`|\A([a-z_]+\.[a-z_]+)(?=: )")


def with_options_named(message: str, name: Callable[[str], str]) -> str:
    """Renders the options that a message of the core names, as the reader knows them.

    Args:
        message: with ``section.option`` in backticks, or before the first colon.
        name: gives a flag or the title of a form's field for ``section.option``.
    """

    def named(found: re.Match[str]) -> str:
        option = found[1] or found[2]
        return name(option) if option in all_options() else found[0]

    return _NAMED.sub(named, message)


def path_options() -> dict[str, OptionInfo]:
    """Returns the options that name files or folders, by ``section.option``."""
    return {name: info for name, info in all_options().items() if info.path}
