"""``crots inspect``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.cli.command import Command, Parser
from crots.cli.flags import add_debug, add_json, add_options
from crots.cli.idle import refuse_given
from crots.cli.terminal import say, say_json, use_flags
from crots.config import Profile
from crots.errors import InputError
from crots.folders import is_model_folder
from crots.project import CONFIG_NAME, Project
from crots.student_start import foreseen

MODEL_SUFFIXES = (
    ".pth", ".pt", ".pt2", ".ckpt", ".bin", ".pkl", ".safetensors", ".onnx",
    # Those of other programs, which are not read, but named.
    ".h5", ".hdf5", ".keras", ".tflite", ".pb", ".gguf", ".pdparams", ".pdmodel", ".engine", ".mlmodel", ".mar", ".ptl",
)  # fmt: skip


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("path", type=Path, metavar="PATH", help="folder, list file, image, model file or folder")
    group = parser.add_argument_group("inputs")
    group.add_argument(
        "--classes", metavar="NAME|FILE", help="class set to check labels, predictions or a model against"
    )
    group.add_argument("--labels", type=Path, metavar="DIR", help="labels of the images, if they lie elsewhere")
    group.add_argument("--confidence", type=Path, metavar="DIR", help="confidence maps of predictions")
    group.add_argument("--net", metavar="NET", help="network to compare a model file with")
    flags = {"val_encoding": "--encoding"}
    add_options(group, "data", opt.DataOptions, profile, flags=flags, only=("layout", "val_encoding", "bands", "white"))
    run_group = parser.add_argument_group("run")
    add_json(run_group)
    add_debug(run_group)


def run(args: argparse.Namespace) -> int:
    """Inspects, reports, and returns 1 if there are problems."""
    if not args.path.exists():
        raise InputError(f"{args.path}: no such file or folder; expected images, predictions or a model file")
    # The option of this command applies to everything that has classes.
    use_flags({"source.encoding": "--encoding"}, more=True)
    found = _inspect(args)
    if args.json:
        say_json(found)
    else:
        say(f"{found['path']}: {found['kind']}")
        for line in found["summary"]:
            say(f"  {line}")
        for line in found["problems"]:
            say(f"  problem: {line}")
        count = len(found["problems"])
        say(f"  {count or 'no'} problem{'' if count == 1 else 's'}")
    return 1 if found["problems"] else 0


def _inspect(args: argparse.Namespace) -> dict[str, Any]:
    files = ("--labels", "--confidence", "--layout", "--encoding", "--bands", "--white")
    if (args.path / CONFIG_NAME).is_file():
        refuse_given(args, (*files, "--classes", "--net"), f"{args.path} is a project")
        return _inspect_project(args.path)
    if (args.path.is_file() and args.path.suffix.lower() in MODEL_SUFFIXES) or is_model_folder(args.path):
        refuse_given(args, files, f"{args.path} is a model")
        return _inspect_model(args)
    refuse_given(args, ("--net",), f"{args.path} is no model file that it could be compared with")
    return _inspect_files(args)


def _inspect_project(path: Path) -> dict[str, Any]:
    stages = foreseen(Project.open(path))
    lines = [f"{status.key}: {status.state}" + (f" ({status.reason})" if status.reason else "") for status in stages]
    problems = [f"{status.key} failed: {status.reason}" for status in stages if status.state == "failed"]
    return {"path": str(path), "kind": "project", "summary": lines, "counts": {}, "problems": problems}


def _inspect_files(args: argparse.Namespace) -> dict[str, Any]:
    from crots.data.encodings import Encoding
    from crots.data.inspection import inspect
    from crots.rendering import parse_rendering
    from crots.taxonomy import load_class_set

    if args.confidence is not None:
        refuse_given(args, ("--labels", "--layout", "--bands", "--white"), "--confidence is about predictions")
        if not args.path.is_dir():
            raise InputError(f"--confidence: {args.path} is a file, expected a folder of predictions; leave it out")
    classes = load_class_set(args.classes) if args.classes else None
    layout = getattr(args, "data.layout", "auto")
    encoding: Encoding = getattr(args, "data.val_encoding", "auto")
    return inspect(
        args.path,
        classes,
        labels=args.labels,
        confidence=args.confidence,
        layout=layout,
        encoding=encoding,
        rendered=parse_rendering(getattr(args, "data.bands", ""), getattr(args, "data.white", 0.0)),
    ).to_dict()


def _inspect_model(args: argparse.Namespace) -> dict[str, Any]:
    from crots.cli.models import inspect_model

    return inspect_model(args.path, classes=args.classes, net=args.net)


COMMAND = Command(
    name="inspect",
    about="Shows what a folder, list file, prediction set or model file contains, and every "
    "problem: broken images, labels of other sizes, ids out of range, missing labels, NaN weights.\n"
    "The exit code is 1 if there are problems.",
    example="crots inspect photos/\ncrots inspect vendor/label_ids --classes cityscapes\n"
    "crots inspect gta5.pth --net deeplabv2_resnet101 --classes cityscapes",
    configure=configure,
    run=run,
)
