"""``crots train``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crots import options as opt
from crots.cli.alone import (
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
from crots.cli.commands.baseline import add_student
from crots.cli.flags import add_option, options_of
from crots.cli.outputs import Claim
from crots.config import Profile, describe, to_mapping
from crots.events import Event
from crots.execution.context import Context
from crots.training_options import TrainOptions

if TYPE_CHECKING:
    from crots.data.encodings import Encoding


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    helps = {
        "target": "Folder, list file or dataset root with the images.",
        "layout": "Dataset layout of the folder; auto detects it.",
        "split": "Split of the dataset, if its layout has splits.",
    }
    group = add_data(parser, profile, validation=True, helps=helps)
    add_labels(group, profile)
    # Labels teach the student the target's statistics.
    add_student(group, profile, without=("target_statistics",))
    add_out(group, "folder for checkpoint.pt and student.safetensors", resume=True)
    add_stage(parser, "train", TrainOptions, profile)
    add_run(parser, profile)


def add_labels(group: argparse._ArgumentGroup, profile: Profile) -> None:
    """Adds ``--labels`` and ``--encoding`` of the images."""
    group.add_argument("--labels", type=Path, metavar="DIR", help="labels of the images [default: those of the layout]")
    encoding = next(info for info in describe(opt.DataOptions) if info.name == "val_encoding")
    add_option(group, "encoding", encoding, "--encoding", profile, required=False)


def run(args: argparse.Namespace) -> int:
    """Trains the network."""
    config = config_of(args)
    options = options_of(args, "train", TrainOptions)
    claimed = claim(
        args, "train", config, ("data", "task", "student", "runtime"), results=TRAINED, precious=True,
        labels=args.labels and args.labels.absolute(), train=to_mapping(options, only_result=True),
    )  # fmt: skip

    def body(desk: Desk, context: Context) -> Iterator[Event]:
        return _events(desk, context, claimed, args, options)

    return run_alone(args, "train", {"train": Job(body, args.out, claimed)}, config)


def _events(
    desk: Desk, context: Context, claimed: Claim, args: argparse.Namespace, options: TrainOptions
) -> Iterator[Event]:
    from crots.cli.inputs import open_labels, readable, resolve_labels
    from crots.opening import render
    from crots.stages.evaluate import labelled
    from crots.stages.project_stages import training_run
    from crots.stages.train import TrainJob, supervise

    bench = desk.bench()
    data = bench.config.data
    encoding: Encoding = getattr(args, "encoding", "auto")
    dataset = open_labels(data.target, args.labels, encoding, bench.classes, layout=data.layout, split=data.split)
    render(dataset, data)
    dataset = resolve_labels(dataset, bench.classes)
    bench.take(dataset.notes)
    bench.note_pixels(dataset)
    bench.note_size(dataset)
    student = bench.new_student()
    student.card = dataclasses.replace(student.card, note="trained with labels")
    bench.check_training(student, options, [bench.size])
    dataset = readable(dataclasses.replace(dataset, samples=tuple(labelled(dataset))), bench, context)
    claimed.take()
    trained = bench.start == "trained"
    run = training_run(Loose(desk.out, bench.config), bench, options, context, student, trained=trained)
    job = TrainJob(student, dataset, bench.cache, bench.engine, options, run, bench.tiling, bench.classes)
    return supervise(job, context)


COMMAND = Command(
    name="train",
    about="Trains a network on labelled images: a source model to adapt from, or an upper bound to compare with.\n"
    "Writes checkpoint.pt, from which --resume continues, and student.safetensors, which holds its classes too.",
    example="crots train --images simulator/images --labels simulator/labels --net deeplabv2_resnet18 "
    "--weights random --classes cityscapes --steps 2000 --out source/",
    configure=configure,
    run=run,
    shared=True,
)
