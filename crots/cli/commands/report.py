"""``crots report``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.cli.alone import add_overwrite
from crots.cli.command import Command, Parser
from crots.cli.flags import add_options, add_run_flags, given
from crots.cli.follow import follow_events
from crots.cli.outputs import check_file, inputs_of_config
from crots.cli.terminal import say
from crots.config import Profile
from crots.errors import InputError
from crots.events import Event
from crots.execution.control import Control
from crots.project import Project
from crots.project_config import override
from crots.report.facts import IMAGES, MOST_IMAGES, plain_facts
from crots.report.words import summarise, summary_lines


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder made by crots init, finished or not")
    group = parser.add_argument_group("what to write")
    group.add_argument("--out", type=Path, metavar="FILE", help="the page [default PROJECT/report.html]")
    group.add_argument(
        "--images", type=int, default=IMAGES, metavar="N",
        help="target images to run the adapted model on, for pictures and class shares; 0 runs it on none "
        f"[0 to {MOST_IMAGES}; default {IMAGES}]",
    )  # fmt: skip
    add_overwrite(group, "replace a file that is not a report of CROTS")
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, only=("device", "threads", "trust"))
    add_run_flags(run_group)


def run(args: argparse.Namespace) -> int:
    """Writes the page, then prints the summary."""
    from crots.execution.context import Context
    from crots.report.write import ReportJob, check_page, replaceable, report_events
    from crots.runner import run_stage

    if not 0 <= args.images <= MOST_IMAGES:
        raise InputError(
            f"--images: found {args.images}, expected a whole number from 0 to {MOST_IMAGES}", field="--images"
        )
    project = Project.open(args.project)
    passing = {f"runtime.{name}": value for name, value in given(args).get("runtime", {}).items()}
    job = ReportJob(
        Project(project.folder, override(project.config, passing)), args.out, args.images, overwrite=args.overwrite
    )
    check_page(job)
    inputs = [path for path in inputs_of_config(project.config, project.folder) if path != project.folder]
    check_file(job.path, inputs, overwrite=args.overwrite or replaceable(job.path))

    def events(control: Control) -> Generator[Event, None, None]:
        yield from run_stage(partial(report_events, job), Context("report", control))

    def result() -> dict[str, Any] | None:
        if job.facts is None:
            return None
        summary = dataclasses.asdict(summarise(job.facts.result, job.facts.changes))
        return {"page": str(job.path), "words": summary, "facts": plain_facts(job.facts)}

    code = follow_events(events, args, command="report", result=result)
    if code == 0 and not args.json and not args.quiet and job.facts:
        stream = sys.stderr if args.events == "-" else sys.stdout
        for line in summary_lines(summarise(job.facts.result, job.facts.changes)):
            say(line, stream)
    return code


COMMAND = Command(
    name="report",
    about="Summarises what a run changed: what got better, what got worse, how certain that is without labels, what to "
    "check.\nWrites one HTML page that opens anywhere, offline: settings, source and its hash, classes, curves, a "
    "table of the classes, before-and-after pictures, alarms, versions. The adapted model is run on a few target "
    "images; no label is read.",
    example="crots report city\ncrots report city --out city.html --images 6\ncrots report city --json",
    configure=configure,
    run=run,
)
