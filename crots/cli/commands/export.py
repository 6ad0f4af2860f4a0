"""``crots export``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots import options as opt
from crots.cli.alone import Desk, Job, add_out_file, check_out_file, config_of, run_alone
from crots.cli.command import Command, Parser
from crots.cli.commands.evaluate import chosen_part
from crots.cli.flags import add_options, add_run_flags
from crots.cli.idle import Rule
from crots.config import Profile
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context

if TYPE_CHECKING:
    from crots.arrays import Array
    from crots.stages.workbench import Workbench

FORMATS = ("pth", "safetensors", "onnx", "torchscript", "huggingface")
# When a file is read back, these suffixes decide its kind, regardless of its content.
_SUFFIXES = {
    "safetensors": (".safetensors",),
    "onnx": (".onnx",),
    "pth": (".pth", ".pt"),
    "torchscript": (".pt", ".pth"),
}
_TAKEN = (".onnx", ".safetensors", ".pt2")
_NO_IMAGES = Rule(
    ("data.layout", "data.split", "data.bands", "data.white"),
    lambda config, root: config.data.target is None,
    "there are no images to compare on but noise",
    "give `data.target`",
)


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model file or training checkpoint")
    group = parser.add_argument_group("inputs")
    group.add_argument("--net", metavar="NET", help="network of a plain .pth; other files name their own")
    group.add_argument("--classes", metavar="NAME|FILE", help="class set of a plain .pth")
    add_options(
        group,
        "data",
        opt.DataOptions,
        profile,
        flags={"target": "--images"},
        only=("target", "layout", "split", "size", "tile", "tile_overlap", "bands", "white"),
    )
    stage = parser.add_argument_group("options of the stage")
    stage.add_argument("--format", required=True, choices=FORMATS, metavar="|".join(FORMATS), help="[required]")
    add_out_file(stage, "file to write; for huggingface a folder")
    add_options(stage, "export", opt.ExportOptions, profile, only=("weights", "images"),
                flags={"images": "--compare"})  # fmt: skip
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, only=("device", "threads", "trust"))
    add_run_flags(run_group)
    parser.set_defaults(profile="recommended")


def run(args: argparse.Namespace) -> int:
    """Writes and compares."""
    from crots.folders import WRITTEN, check_model_file

    check_model_file(args.checkpoint)
    _check_suffix(args.out, args.format)
    check_out_file(args, folder=WRITTEN if args.format == "huggingface" else ())
    more: dict[str, dict[str, Any]] = {"task": {"classes": args.classes}} if args.classes else {}
    config = config_of(args, rules=(_NO_IMAGES,), **more)
    job = Job(lambda desk, context: _events(desk, context, args), args.out)
    return run_alone(args, "export", {"export": job}, config)


def _check_suffix(out: Path, form: str) -> None:
    own, found = _SUFFIXES.get(form, (out.suffix.lower(),)), out.suffix.lower()
    if found not in own and (form == "onnx" or found in _TAKEN):
        raise InputError(
            f"{out}: ends in {found or 'no suffix'}, expected {own[0]} for the format {form}; rename it, or choose "
            "another --format"
        )


def _events(desk: Desk, context: Context, args: argparse.Namespace) -> Iterator[Event]:
    from crots.cli.models import open_model
    from crots.folders import check_formats
    from crots.stages.export import ExportJob, export_model
    from crots.stages.project_stages import with_notes

    part = chosen_part(args, "export", args.checkpoint)
    model, bench = open_model(desk, args.checkpoint, net=args.net, classes=args.classes, part=part)
    check_formats([args.format], model.card.net)
    images = _images(bench)
    job = ExportJob(model, {args.format: args.out}, images, bench.engine.device)
    return with_notes(export_model(job, context), bench)


def _images(bench: Workbench) -> list[Array]:
    """The images to compare on: those of the user, or noise."""
    from crots.cli.models import noise
    from crots.stages.project_stages import first_images

    count = bench.config.export.images
    if bench.config.data.target is None:
        bench.note("compared on noise; --images DIR compares on real images", warning=True)
        return noise(count, bench.size)
    return first_images(bench, bench.dataset.samples)


COMMAND = Command(
    name="export",
    about="Writes a model for other programs, loads the file back and compares the outputs of both on some images; the "
    "largest difference is printed.\npth: weights under AdaptSegNet's key names. safetensors: weights with net, "
    "classes, palette, normalisation and size.\nonnx, torchscript: self-contained; input RGB 0..255, output logits."
    "\nhuggingface: a folder for from_pretrained of transformers or segmentation-models-pytorch, whichever the network "
    "is from.",
    example="crots export adapted/student.safetensors --format onnx --images street/ --out adapted.onnx\n"
    "crots export gta5.pth --net deeplabv2_resnet101 --classes cityscapes --format torchscript --out gta5.pt\n"
    "crots export adapted/student.safetensors --format huggingface --images street/ --out segformer-adapted",
    configure=configure,
    run=run,
)
