"""``crots mine``. Runs no network, so it imports no torch of its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from crots import options as opt
from crots.artefacts import PATCH_COLOURS, PATCH_INDEX, PATCH_LABELS, PATCHES
from crots.cli.alone import Desk, Job, add_data, add_out, add_run, add_stage, claim, config_of, run_alone
from crots.cli.command import Command, Parser
from crots.cli.flags import add_options
from crots.cli.outputs import Claim
from crots.config import Profile
from crots.events import Event
from crots.execution.context import Context

RESULTS = (PATCHES, PATCH_LABELS, PATCH_COLOURS, PATCH_INDEX)


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    # The pseudo-labels have the working size, and tell which images could be read.
    group = add_data(parser, profile, implied_by="the class map", without=("size", "skip_bad"))
    add_pseudo_labels(group)
    add_options(group, "task", opt.TaskOptions, profile, only=("source_classes", "class_map"))
    add_out(group, "folder for patches/, labels/, color_labels/ and patches.json")
    add_stage(parser, "mine", opt.MineOptions, profile)
    add_run(parser, profile, runtime=False)


def add_pseudo_labels(group: argparse._ArgumentGroup) -> None:
    """Adds ``--pseudo-labels`` and ``--confidence``."""
    group.add_argument(
        "--pseudo-labels", type=Path, required=True, metavar="DIR",
        help="label files of the images: label_ids of crots pseudo-label, or your own train-id PNGs [required]",
    )  # fmt: skip
    group.add_argument(
        "--confidence", dest="confidence_folder", type=Path, metavar="DIR",
        help="8-bit confidence PNGs of the pseudo-labels [default: confidence/ beside label_ids/]",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Cuts the patches."""
    config = config_of(args)
    claimed = claim(args, "mine", config, ("data", "task", "mine"), results=RESULTS)

    def body(desk: Desk, context: Context) -> Iterator[Event]:
        return _events(desk, context, claimed, args)

    return run_alone(args, "mine", {"mine": Job(body, args.out, claimed)}, config)


def _events(desk: Desk, context: Context, claimed: Claim, args: argparse.Namespace) -> Iterator[Event]:
    from crots.cli.inputs import find_pseudo_labels
    from crots.data.cache import ImageCache
    from crots.opening import Inputs
    from crots.stages.mine import MineJob, mine_patches
    from crots.training.material import Material

    inputs = Inputs(desk.config, Path.cwd())
    samples, labels = find_pseudo_labels(args.pseudo_labels, args.confidence_folder, inputs.target, inputs.classes)
    # Every image is read once, so nothing is kept of it.
    tiling = inputs.tiling
    cache = ImageCache(None, None if tiling else labels.size, 0)
    claimed.take(samples)
    if tiling:
        # Each of an image's tiles is read, so that image and labels are kept.
        cache = ImageCache(desk.cache, None, int(desk.config.runtime.cache_gb * 1e9))
    data = Material(samples, cache, labels).tiled(tiling)
    assert data.pseudo_labels is not None
    job = MineJob(
        data.samples, cache, data.pseudo_labels, desk.config.mine, desk.out, inputs.published_rare, clear=False
    )
    return mine_patches(job, context)


COMMAND = Command(
    name="mine",
    about="Cuts each image into a grid and keeps the cells whose pseudo-labels show a rare class, for the hard-patch "
    "loss of crots adapt.\nRuns no network: labels, and confidences if there are any, are read from files.",
    example="crots mine --images street/ --pseudo-labels labels/label_ids --classes cityscapes --out patches/\n"
    "crots mine --images street/ --pseudo-labels labels/label_ids --classes cityscapes --rare 6,7,12 --grid 4x4 "
    "--profile published --out patches/",
    configure=configure,
    run=run,
    shared=True,
)
