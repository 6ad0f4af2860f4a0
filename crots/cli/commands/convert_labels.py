"""``crots convert-labels``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crots import options as opt
from crots.artefacts import LABEL_COLOUR, LABEL_IDS
from crots.cli.alone import Desk, Job, add_classes, add_out, add_run, claim, config_of, run_alone
from crots.cli.command import Command, Parser
from crots.cli.commands.train import add_labels
from crots.cli.flags import add_options
from crots.cli.idle import Rule
from crots.cli.outputs import Claim
from crots.config import Profile
from crots.events import Event, noted
from crots.execution.context import Context

if TYPE_CHECKING:
    from crots.data.encodings import Encoding


RESULTS = (LABEL_IDS, LABEL_COLOUR)
_NO_IMAGES = Rule(
    ("data.layout", "data.split"),
    lambda config, root: config.data.target is None,
    "labels alone have no layout",
    "give `data.target`",
)


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = parser.add_argument_group("inputs")
    add_options(
        group, "data", opt.DataOptions, profile, flags={"target": "--images"}, only=("target", "layout", "split")
    )
    add_labels(group, profile)
    add_classes(group, profile, implied_by="the class map")
    add_options(group, "task", opt.TaskOptions, profile, without=("classes",))
    add_out(group, "folder for label_ids/<path of the image>.png")
    stage = parser.add_argument_group("options of the stage")
    stage.add_argument("--colour", action="store_true", help="write label_color/ too, for viewing")
    add_run(parser, profile, runtime=False)


def run(args: argparse.Namespace) -> int:
    """Writes the labels."""
    config = config_of(args, rules=(_NO_IMAGES,))
    claimed = claim(args, "convert-labels", config, ("data", "task"), results=RESULTS, clear=False)
    job = Job(lambda desk, context: _events(desk, context, claimed, args), args.out, claimed)
    return run_alone(args, "convert-labels", {"convert-labels": job}, config)


def _events(desk: Desk, context: Context, claimed: Claim, args: argparse.Namespace) -> Iterator[Event]:
    from crots.cli.inputs import open_labels, resolve_labels
    from crots.opening import Inputs
    from crots.stages.convert_labels import ConvertJob, convert

    class_map = Inputs(desk.config, Path.cwd()).class_map
    encoding: Encoding = getattr(args, "encoding", "auto")
    data = desk.config.data
    dataset = open_labels(data.target, args.labels, encoding, class_map.source, layout=data.layout, split=data.split)
    dataset = resolve_labels(dataset, class_map.source)
    claimed.take(dataset.samples)
    for number, event in enumerate(convert(ConvertJob(dataset, class_map, desk.out, args.colour), context)):
        yield event
        if number == 0:
            yield from (noted(context.stage, note) for note in dataset.notes)


COMMAND = Command(
    name="convert-labels",
    about="Writes 8-bit PNGs of train ids from labels of any form: a data set's own ids, colours, palette, SYNTHIA's "
    "16 bits.\nWith --source-classes and --class-map the labels change their class set, too.",
    example="crots convert-labels --images cityscapes/leftImg8bit/val --classes cityscapes --out val-labels/\n"
    "crots convert-labels --labels camvid/labels --classes camvid --out camvid-ids/",
    configure=configure,
    run=run,
)
