"""``crots adapt``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots.artefacts import CHOICE, STUDENT, round_key
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
from crots.cli.idle import refuse_given
from crots.cli.outputs import Claim
from crots.config import Profile, Size, check, describe
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context
from crots.options import SourceOptions
from crots.project import read_choice
from crots.project_config import ProjectConfig
from crots.training_options import AdaptOptions

if TYPE_CHECKING:
    from crots.data.datasets import Sample


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = add_data(parser, profile, validation=True, implied_by="the student's file")
    group.add_argument(
        "--student", type=Path, required=True, metavar="FILE",
        help="the model to adapt: student.safetensors of crots baseline, or plain weights with --net [required]",
    )  # fmt: skip
    group.add_argument(
        "--net", metavar="NET", default=None, help="network of plain weights; other files name their own"
    )
    group.add_argument(
        "--patches", type=Path, metavar="DIR", help="output of crots mine; without it, training uses mixes only"
    )
    group.add_argument(
        "--pseudo-labels",
        type=Path,
        metavar="DIR",
        help="output of crots pseudo-label, whose class frequencies --balance needs",
    )
    add_out(group, "folder for checkpoint.pt, student.safetensors and teacher.safetensors", resume=True)
    group.add_argument(
        "--rounds", metavar="N", default=1, type=_rounds,
        help=(
            "maximum number of rounds, each starting from the previous one; with more than one, each writes to its own "
            "folder adapt-1, adapt-2 ... in --out [at least 1; default 1]"
        ),
    )  # fmt: skip
    add_stage(parser, "adapt", AdaptOptions, profile, without=("rounds", "patches"))
    add_run(parser, profile)


def _rounds(text: str) -> int:
    info = next(info for info in describe(AdaptOptions) if info.name == "rounds")
    return int(check(info, text, where="--rounds"))


def run(args: argparse.Namespace) -> int:
    """Adapts the student."""
    facts: dict[str, Any] = {"patches": args.patches is not None, "rounds": args.rounds}
    config = config_of(args, adapt=facts)
    if config.adapt.balance and not args.pseudo_labels:
        raise InputError("--balance needs the source's labels; give them with --pseudo-labels", field="pseudo_labels")
    if not config.adapt.balance:
        refuse_given(args, ("--pseudo-labels",), "classes are not weighted by their frequency", "give --balance")
    for path in filter(None, (args.student, args.patches, args.pseudo_labels)):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path")
    keys = [round_key(number) for number in range(1, args.rounds + 1)]
    counted = {"pseudo_labels": args.pseudo_labels.absolute()} if config.adapt.balance else {}
    # Only checkpoints that were evaluated can be kept.
    every: dict[str, Any] = {"validate_every": config.adapt.validate_every} if config.adapt.kept_by_evaluations else {}
    enough = partial(round_ended, config)
    jobs, student = {}, args.student
    for key in keys:
        out = args.out if len(keys) == 1 else args.out / key
        claimed = claim(
            args, "adapt", config, ("data", "task", "adapt", "runtime"), results=TRAINED, precious=True, out=out,
            student=student.absolute(), patches=args.patches and args.patches.absolute(), **every, **counted,
        )  # fmt: skip
        jobs[key] = Job(partial(_events, args=args, student=student, claimed=claimed), out, claimed, enough)
        student = out / STUDENT
    return run_alone(args, "adapt", jobs, config)


def round_ended(config: ProjectConfig, out: Path) -> str:
    """Explains why the rounds after the one in ``out`` are not needed; empty if they are."""
    choice = read_choice(out / CHOICE) if config.adapt.stop_rounds else None
    return choice.get("ends_rounds", "") if choice else ""


def _events(
    desk: Desk, context: Context, *, args: argparse.Namespace, student: Path, claimed: Claim
) -> Iterator[Event]:
    from crots.card import unnamed
    from crots.cli.inputs import find_pseudo_labels, readable
    from crots.cli.models import open_model
    from crots.data.tiles import in_parts
    from crots.opening import Inputs
    from crots.stages.adapt import AdaptJob, adapt_student
    from crots.stages.project_stages import settle_round, training_run
    from crots.training.material import Material
    from crots.training.patch_set import PatchSet

    if not desk.config.task.classes:
        # The student is what the options of a project call the source.
        named = dataclasses.replace(desk.config, source=SourceOptions(file=student))
        inputs = Inputs(named, Path.cwd())
        if inputs.source_card is not None and unnamed(inputs.source_card.classes["names"]):
            raise InputError(
                f"{student}: its classes have no names; give the class set that it was trained with, by `task.classes`",
                field="task.classes",
            )
        desk = dataclasses.replace(desk, classes=inputs.classes)
    model, bench = open_model(
        desk, student, net=args.net if student == args.student else None, classes=desk.config.task.classes
    )
    bench.take(bench.dataset.notes)
    # Tiles are counted by the sizes of images, which have to be sound.
    counted = readable(bench.dataset, bench, context) if bench.tiling else bench.dataset
    count = len(in_parts(counted.samples, bench.tiling))
    options = settle_round(bench, bench.config.adapt, model, count, from_source=True)
    patches = PatchSet.open(args.patches, bench.classes) if args.patches else None
    sizes = [bench.size]
    if patches is not None and len(patches):
        sizes.append(Size(*patches.image_size()))
    elif patches is not None:
        bench.note("there are no hard patches; this round trains on mixes only", warning=True)
    bench.check_training(model, options, sizes)
    samples: Sequence[Sample] = readable(bench.dataset, bench, context).samples
    labels = None
    if options.balance:
        there = dataclasses.replace(bench.dataset, samples=tuple(samples))
        samples, labels = find_pseudo_labels(args.pseudo_labels, None, there, bench.classes)
    claimed.take()
    data = Material(samples, bench.cache, labels).tiled(bench.tiling)
    run = training_run(Loose(desk.out, bench.config), bench, options, context, model, data, trained=True)
    if run.watch and run.watch.rule == "oracle":
        model.card = dataclasses.replace(model.card, oracle=True)
    return adapt_student(AdaptJob(model, data, patches, bench.engine, options, run), context)


COMMAND = Command(
    name="adapt",
    about="Adapts a model to unlabelled images: the student learns from its moving average on mixed images "
    "(SpatialMix, CutMix or ClassMix) and, with --patches, from hard patches of rare classes.",
    example="crots adapt --images street/ --student baseline/student.safetensors --patches patches/ "
    "--classes cityscapes --out adapted/\n"
    "crots adapt --images street/ --student gta5.pth --net deeplabv2_resnet101 --classes cityscapes --mix classmix "
    "--out adapted/",
    configure=configure,
    run=run,
    shared=True,
)
