"""``crots suspects``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.cli.command import Command, Parser
from crots.cli.draw import show_table
from crots.cli.flags import add_options, add_run_flags, given
from crots.cli.follow import follow_events
from crots.cli.idle import refuse_given
from crots.cli.outputs import inputs_of_config
from crots.cli.tables import Table, percent
from crots.cli.terminal import say
from crots.config import Profile
from crots.errors import InputError
from crots.events import Event
from crots.execution.context import Context
from crots.execution.control import Control
from crots.files import exists
from crots.inputs import refuse_inputs
from crots.methods.suspicion import SHARE
from crots.project import Project
from crots.project_config import override
from crots.runner import run_stage
from crots.stages.labelling_tools import TOOLS
from crots.stages.suspects import FOLDER, INDEX, STAGE, search, suspects_of
from crots.stages.suspicion_file import load_suspicion


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder made by crots init, with pseudo-labels")
    group = parser.add_argument_group("what to show")
    group.add_argument(
        "--student", default="auto", metavar="STAGE",
        help="stage whose student is compared with the labels, baseline or adapt-N; auto takes the last that is done, "
        "none runs no network [default auto]",
    )  # fmt: skip
    group.add_argument(
        "--share", type=float, default=SHARE, metavar="X",
        help=f"share of all pixels, most doubtful first, that form regions [0 to 1; default {SHARE:g}]",
    )  # fmt: skip
    group.add_argument("--top", type=int, default=20, metavar="N", help="images and regions to list [default 20]")
    group.add_argument(
        "--overlays", type=int, default=0, metavar="N", help="draw the N worst images with their regions [default 0]"
    )
    tools = parser.add_argument_group("labelling tools")
    tools.add_argument(
        "--export", type=Path, default=None, metavar="DIR",
        help="write the --top most doubtful images with their pseudo-labels to this new folder, for a labelling tool",
    )  # fmt: skip
    tools.add_argument(
        "--tool", choices=TOOLS, default="cvat", help="format of --export: cvat (Segmentation mask 1.1, the layout of "
        "VOC) or labelme (a JSON file beside each image, also for X-AnyLabeling) [default cvat]",
    )  # fmt: skip
    tools.add_argument(
        "--import", type=Path, default=None, dest="corrected", metavar="DIR",
        help=(
            "import corrections from the unpacked export of a labelling tool; pixels that are black, or outside every "
            "outline, keep their labels"
        ),
    )  # fmt: skip
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, only=("device", "threads", "trust"))
    add_run_flags(run_group)


def run(args: argparse.Namespace) -> int:
    """Ranks, then shows the worst."""
    if not 0 < args.share <= 1:
        raise InputError(f"--share: found {args.share:g}, expected a number above 0 and at most 1", field="--share")
    for flag, value in (("--top", args.top), ("--overlays", args.overlays)):
        if value < 0:
            raise InputError(f"{flag}: found {value}, expected a whole number, at least 0", field=flag)
    if args.corrected is not None:
        refuse_given(args, ("--student", "--share", "--top", "--overlays", "--tool"), "--import searches nothing")
    elif args.export is None:
        refuse_given(args, ("--tool",), "nothing is exported", "give --export DIR")
    project = Project.open(args.project)
    passing = {f"runtime.{name}": value for name, value in given(args).get("runtime", {}).items()}
    project = Project(project.folder, override(project.config, passing))
    if args.corrected is not None and args.export is not None:
        raise InputError("--import and --export are both given; give one of them", field="--import")
    if args.corrected is not None:
        return _import(args, project)
    if args.export is not None:
        _check_export(args, project)
    job = suspects_of(project, student=args.student, share=args.share, overlays=args.overlays)

    def events(control: Control) -> Generator[Event, None, None]:
        yield from run_stage(partial(search, project, job), Context(STAGE, control))

    index = project.folder / FOLDER / INDEX

    def result() -> dict[str, Any] | None:
        found = load_suspicion(index)
        if found is None:
            return None
        return {**found, "images": found["images"][: args.top], "regions": found["regions"][: args.top]}

    code = follow_events(events, args, command="suspects", result=result)
    if code == 0 and args.export is not None:
        return _export(args, project)
    if code == 0 and not args.json and not args.quiet and (found := result()):
        _show(found, sys.stderr if args.events == "-" else sys.stdout)
    return code


def _check_export(args: argparse.Namespace, project: Project) -> None:
    out = args.export
    if exists(out) and not (out.is_dir() and next(out.iterdir(), None) is None):
        raise InputError(f"{out}: is not empty, expected a new folder; choose another one", field="--export")
    refuse_inputs([out], [project.folder, *inputs_of_config(project.config, project.folder)])
    if not args.top:
        raise InputError("--top: found 0, expected at least one image to export", field="--top")


def _export(args: argparse.Namespace, project: Project) -> int:
    """Writes the images that rank first."""
    from crots.stages.labelling_rounds import export_doubtful_job
    from crots.stages.labelling_tools import export_doubtful

    job = export_doubtful_job(project, args.top, args.export, args.tool)
    return _followed(args, lambda context: export_doubtful(job, context))


def _import(args: argparse.Namespace, project: Project) -> int:
    from crots.stages.labelling_rounds import import_corrected_job
    from crots.stages.labelling_tools import import_corrected

    job = import_corrected_job(project, args.corrected)
    return _followed(args, lambda context: import_corrected(job, context))


def _followed(args: argparse.Namespace, stage: Callable[[Context], Iterator[Event]]) -> int:
    def events(control: Control) -> Generator[Event, None, None]:
        yield from run_stage(stage, Context(STAGE, control))

    return follow_events(events, args, command="suspects")


def _show(found: dict[str, Any], stream: Any) -> None:
    images = [
        (row["key"], f"{row['doubt']:.3f}", str(row["regions"]), percent(row["suspicious"])) for row in found["images"]
    ]
    show_table(Table(("image", "mean doubt", "regions", "suspicious (%)"), tuple(images)), stream)
    say(stream=stream)
    regions = []
    for number, row in enumerate(found["regions"], 1):
        left, top, width, height = row["box"]
        regions.append((str(number), row["key"], f"{width}x{height}+{left}+{top}", row["reason"]))
    show_table(Table(("", "image", "where", "why"), tuple(regions), (1, 2, 3)), stream)


COMMAND = Command(
    name="suspects",
    about="Lists the pseudo-labels to check first when correcting them: regions of one class whose labels are "
    "doubtful, ranked by area times doubt, with the reason, and images by their mean doubt. Doubt is 1 minus the "
    "source's confidence, and higher where a trained student confidently predicts another class.\n"
    "Writes PROJECT/suspicion/suspicion.json and a map of the doubt for every image. No labels but the pseudo-labels "
    "are read.",
    example="crots suspects city\ncrots suspects city --student none --overlays 10\n"
    "crots suspects city --top 30 --export to-correct --tool labelme\ncrots suspects city --import corrected",
    configure=configure,
    run=run,
)
