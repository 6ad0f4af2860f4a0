"""``crots predict``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.artefacts import LABEL_COLOUR, LABEL_IDS
from crots.cli.alone import Desk, Job, add_out, add_run, claim, config_of, run_alone
from crots.cli.command import Command, Parser
from crots.cli.flags import MODEL_FLAGS, add_net, add_options, given, options_of
from crots.cli.idle import Rule, without_effect
from crots.cli.outputs import Claim
from crots.config import Profile
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context
from crots.files import expanded
from crots.folders import check_model_file
from crots.project_config import ProjectConfig

RESULTS = (LABEL_IDS, LABEL_COLOUR, "overlay", "overlay.mp4")


def _is_video(config: ProjectConfig, root: Path) -> bool:
    from crots.stages.predict import VIDEO_SUFFIXES

    images = config.data.target
    return images is not None and images.suffix.lower() in VIDEO_SUFFIXES and (root / expanded(images)).is_file()


_VIDEO = Rule(("data.layout", "data.split", "data.bands", "data.white"), _is_video, "the images are a video's")
_ALONE = Rule(
    ("source.confidence", "source.encoding", "task.source_classes", "task.class_map"),
    lambda config, root: config.source.predictions is None,
    "the model predicts alone",
    "give `source.predictions` of a black box",
)


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = parser.add_argument_group("inputs")
    add_options(group, "source", opt.SourceOptions, profile, flags=MODEL_FLAGS, only=("file",), required=("file",))
    add_net(group)
    group.add_argument("--classes", metavar="NAME|FILE", help="class set of files that do not hold their own")
    add_options(
        group, "data", opt.DataOptions, profile, flags={"target": "--images"}, required=("target",),
        only=("target", "layout", "split", "size", "tile", "tile_overlap", "bands", "white", "skip_bad"),
    )  # fmt: skip
    add_out(group, "folder for label_ids/, label_color/ and overlay/")
    more = parser.add_argument_group("models of other programs")
    only = ("prefix", "size", "channels", "mean", "scale", "output", "output_name")
    add_options(more, "source", opt.SourceOptions, profile, flags=MODEL_FLAGS, only=only)
    beside = parser.add_argument_group("predictions of a black box beside the model")
    helps = {"predictions": "Folder of its predictions for the same images: where they are more confident than the "
             "model, their label is written."}  # fmt: skip
    add_options(
        beside, "source", opt.SourceOptions, profile, only=("predictions", "encoding", "confidence"), helps=helps
    )
    helps = {"source_classes": "Class set of these predictions, if it differs from the model's.",
             "class_map": "Class map from it to the model's classes: a shipped name or a TOML file."}  # fmt: skip
    add_options(beside, "task", opt.TaskOptions, profile, only=("source_classes", "class_map"), helps=helps)
    stage = parser.add_argument_group("options of the stage")
    add_options(stage, "predict", opt.PredictOptions, profile)
    add_run(parser, profile)


def run(args: argparse.Namespace) -> int:
    """Predicts."""
    more: dict[str, dict[str, Any]] = {"task": {"classes": args.classes}} if args.classes else {}
    config = config_of(args, rules=(_VIDEO, _ALONE), **more)
    assert config.source.file is not None
    check_model_file(config.source.file)
    options = options_of(args, "predict", opt.PredictOptions)
    if not (options.ids or options.colour or options.overlay):
        raise InputError("--no-ids, --no-colour and --no-overlay leave nothing to write; leave one of them out")
    if "opacity" in given(args).get("predict", {}) and not options.overlay:
        raise without_effect(["--opacity"], "no overlay is written (--no-overlay)")
    claimed = claim(args, "predict", config, ("data", "task", "source"), results=RESULTS, clear=False)
    job = Job(lambda desk, context: _events(desk, context, claimed, args, options), args.out, claimed)
    return run_alone(args, "predict", {"predict": job}, config)


def _events(
    desk: Desk, context: Context, claimed: Claim, args: argparse.Namespace, options: opt.PredictOptions
) -> Iterator[Event]:
    from crots.stages.applying import apply_model, beside_black_box

    config, predictions = beside_black_box(desk.config, Path.cwd())
    bench = dataclasses.replace(desk, config=config).bench()
    return apply_model(
        bench, options, desk.out, context, classes=args.classes, predictions=predictions, claim=claimed.take
    )


COMMAND = Command(
    name="predict",
    about="Runs a model on a folder of images, one image or a video, and writes label ids, colours, and the colours "
    "over the image.\nTakes every file that crots export writes, and training checkpoints. With the predictions of a "
    "black box for the same images, each pixel gets the label of the more confident of the two.",
    example="crots predict --checkpoint adapted/student.safetensors --images new/ --out predictions/\n"
    "crots predict --checkpoint adapted.onnx --images drive.mp4 --out predictions/\n"
    "crots predict --checkpoint adapted/student.safetensors --images new/ --predictions vendor/labels "
    "--confidence vendor/confidence --out predictions/",
    configure=configure,
    run=run,
)
