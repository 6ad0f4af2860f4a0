"""``crots baseline``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import Any

from crots import options as opt
from crots.cli.alone import (
    STUDENT_FLAGS,
    TRAINED,
    Desk,
    Job,
    Loose,
    add_data,
    add_out,
    add_run,
    add_stage,
    claim,
    config_of,
    run_alone,
)
from crots.cli.command import Command, Parser
from crots.cli.commands.mine import add_pseudo_labels
from crots.cli.flags import add_options
from crots.cli.outputs import Claim
from crots.config import Profile
from crots.events import Event
from crots.execution.context import Context
from crots.training_options import BaselineOptions

# No source is given beside it.
_STUDENT_HELPS = {
    "net": "Network to train.",
    "weights": "Start: a weights file, 'imagenet' (the encoder's, downloaded by timm or torchvision), or 'random'.",
}


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = add_data(parser, profile, validation=True)
    add_pseudo_labels(group)
    add_student(group, profile)
    add_out(group, "folder for checkpoint.pt and student.safetensors", resume=True)
    add_stage(parser, "baseline", BaselineOptions, profile)
    add_run(parser, profile)


def add_student(group: argparse._ArgumentGroup, profile: Profile, *, without: tuple[str, ...] = ()) -> None:
    """Adds ``--net`` and ``--weights`` of the network to train."""
    add_options(
        group, "student", opt.StudentOptions, profile, flags=STUDENT_FLAGS, helps=_STUDENT_HELPS, without=without,
        required=("net", "weights"),
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Trains the student."""
    config = config_of(args)
    # Only checkpoints that were evaluated can be rolled back to.
    every: dict[str, Any] = (
        {"validate_every": config.baseline.validate_every} if config.baseline.kept_by_evaluations else {}
    )
    claimed = claim(
        args, "baseline", config, ("data", "task", "student", "baseline", "runtime"), results=TRAINED, precious=True,
        pseudo_labels=args.pseudo_labels.absolute(), **every,
    )  # fmt: skip

    def body(desk: Desk, context: Context) -> Iterator[Event]:
        return _events(desk, context, claimed, args)

    return run_alone(args, "baseline", {"baseline": Job(body, args.out, claimed)}, config)


def _events(desk: Desk, context: Context, claimed: Claim, args: argparse.Namespace) -> Iterator[Event]:
    from crots.cli.inputs import find_pseudo_labels, readable
    from crots.stages.project_stages import distil
    from crots.training.material import Material

    bench = desk.bench()
    samples, labels = find_pseudo_labels(args.pseudo_labels, args.confidence_folder, bench.dataset, bench.classes)
    # Pseudo-labels have the working size.
    bench = desk.bench(labels.size)
    bench.take(bench.dataset.notes)
    # Those that the labelling could read may have been damaged since, or somebody else's program reads more.
    samples = list(readable(dataclasses.replace(bench.dataset, samples=tuple(samples)), bench, context).samples)
    events = distil(Loose(desk.out, bench.config), bench, context, Material(samples, bench.cache, labels))
    claimed.take()
    return events


COMMAND = Command(
    name="baseline",
    about="Trains a student on pseudo-labels (cross-domain distillation): the first model for your own images.\n"
    "Writes checkpoint.pt, from which --resume continues, and student.safetensors, which holds its classes too.",
    example="crots baseline --images street/ --pseudo-labels labels/label_ids --net deeplabv2_resnet101 "
    "--weights gta5.pth --classes cityscapes --out baseline/\n"
    "crots baseline --images street/ --pseudo-labels labels/label_ids --net torchvision:lraspp_mobilenet_v3_large "
    "--weights random --classes cityscapes --steps 400 --out baseline/",
    configure=configure,
    run=run,
    shared=True,
)
