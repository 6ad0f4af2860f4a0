"""``crots extract``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from crots import options as opt
from crots.cli.alone import Desk, Job, add_out_file, check_out_file, config_of, run_alone
from crots.cli.command import Command, Parser
from crots.cli.flags import add_options, add_run_flags
from crots.config import Profile
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint.pt of a training stage")
    group = parser.add_argument_group("options of the stage")
    add_out_file(group, ".pth or .safetensors file")
    group.add_argument("--teacher", action="store_true", help="take the teacher's weights, not the student's")
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, only=("trust",))
    add_run_flags(run_group)
    parser.set_defaults(profile="recommended")


def run(args: argparse.Namespace) -> int:
    """Writes the weights."""
    if not args.checkpoint.is_file():
        raise InputError(f"{args.checkpoint}: no such file, expected the checkpoint.pt of a training stage")
    check_out_file(args)
    return run_alone(args, "extract", {"extract": Job(lambda desk, context: _events(desk, context, args), args.out)},
                     config_of(args))  # fmt: skip


def _events(desk: Desk, context: Context, args: argparse.Namespace) -> Iterator[Event]:
    from crots.stages.extract import ExtractJob, extract_model

    part: Literal["student", "teacher"] = "teacher" if args.teacher else "student"
    return extract_model(ExtractJob(args.checkpoint, args.out, part, desk.config.runtime.trust), context)


COMMAND = Command(
    name="extract",
    about="Extracts the plain weights of the student (or the teacher) from a training checkpoint.\n"
    "A .pth of a DeepLabV2 has AdaptSegNet's key names; a .safetensors also holds net, classes and normalisation.\n"
    "A checkpoint holds the last step; the model that the stage kept is student.safetensors beside it.",
    example="crots extract adapted/checkpoint.pt --out adapted.pth",
    configure=configure,
    run=run,
)
