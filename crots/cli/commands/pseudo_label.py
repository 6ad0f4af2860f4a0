"""``crots pseudo-label``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from crots import options as opt
from crots.artefacts import CONFIDENCE, EASY, HARD, IMAGE_ROWS, LABEL_COLOUR, LABEL_IDS, SKIPPED, STATISTICS
from crots.cli.alone import Desk, Job, add_data, add_out, add_run, add_source, add_stage, claim, config_of, run_alone
from crots.cli.command import Command, Parser
from crots.cli.outputs import Claim
from crots.config import Profile
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context
from crots.project_config import ProjectConfig

RESULTS = (LABEL_IDS, LABEL_COLOUR, CONFIDENCE, EASY, HARD, IMAGE_ROWS, STATISTICS, SKIPPED)


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = add_data(parser, profile, implied_by="the class map or the source's file")
    add_out(group, "folder for label_ids/, label_color/, confidence/, easy.txt and hard.txt", resume=True)
    add_source(parser.add_argument_group("the source: a model, or its predictions"), profile)
    add_stage(parser, "pseudo_label", opt.PseudoLabelOptions, profile)
    add_run(parser, profile)


def check_source(config: ProjectConfig) -> None:
    """Makes sure that one source is named.

    Raises:
        InputError: none, or two.
    """
    source = config.source
    if source.file and source.predictions:
        raise InputError("both --source and --predictions are given, expected one of them; leave the other out")
    if not source.file and not source.predictions:
        raise InputError("no source is given; use --source FILE or --predictions DIR")
    for path in filter(None, (source.file, source.predictions, source.confidence)):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path of the source")


def run(args: argparse.Namespace) -> int:
    """Labels the images."""
    from crots.opening import Inputs

    config = config_of(args)
    check_source(config)
    # Before anything is claimed or read.
    _ = Inputs(config, Path.cwd()).classes
    sections = ("data", "task", "source", "pseudo_label", "runtime")
    claimed = claim(args, "pseudo-label", config, sections, results=RESULTS)

    def body(desk: Desk, context: Context) -> Iterator[Event]:
        return _events(desk, context, claimed)

    return run_alone(args, "pseudo-label", {"pseudo-label": Job(body, args.out, claimed)}, config)


def _events(desk: Desk, context: Context, claimed: Claim) -> Iterator[Event]:
    from crots.stages.project_stages import label_job
    from crots.stages.pseudo_label import label_images

    job = dataclasses.replace(label_job(desk.bench(), desk.out), clear=False)
    claimed.take(job.dataset.samples)
    return label_images(job, context)


COMMAND = Command(
    name="pseudo-label",
    about="Labels images with a source model (a checkpoint, an ONNX file, an exported program) or with its "
    "predictions.\nWrites label ids, colours, confidence, class statistics, and images ranked by entropy.",
    example="crots pseudo-label --images street/ --source gta5.pth --net deeplabv2_resnet101 --classes cityscapes "
    "--out labels/\n"
    "crots pseudo-label --images street/ --predictions vendor/label_ids --confidence vendor/confidence "
    "--source-classes cityscapes --class-map cityscapes-to-camvid --classes camvid --out labels/",
    configure=configure,
    run=run,
    shared=True,
)
