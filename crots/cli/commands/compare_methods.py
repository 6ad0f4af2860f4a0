"""``crots compare-methods``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.cli.alone import add_overwrite
from crots.cli.command import Command, Parser
from crots.cli.commands.init import add_set
from crots.cli.draw import show_table
from crots.cli.flags import add_options, add_run_flags, given, settings
from crots.cli.follow import follow_events
from crots.cli.outputs import check_file, inputs_of, inputs_of_config
from crots.cli.tables import Table
from crots.cli.terminal import say
from crots.comparison.methods import METHODS, ablations, chosen_methods, default_methods
from crots.comparison.plan import CompareJob, check_seeds
from crots.comparison.runner import run_comparison
from crots.comparison.table import caption, class_cells, read_results, summary_cells, write_as
from crots.config import Profile, check, describe
from crots.errors import InputError
from crots.events import Event
from crots.execution.control import Control
from crots.project import Project
from crots.project_config import override
from crots.training_options import TrainOptions

# Sections that all methods take from the project.
_THE_PROJECTS = ("data", "task", "source", "pseudo_label")


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "project", type=Path, metavar="PROJECT", help="folder made by crots init, with validation labels"
    )
    group = parser.add_argument_group("what to compare")
    others = ", ".join(method.name for method in METHODS if method.asked_only)
    group.add_argument(
        "--methods", nargs="+", default=[], metavar="NAME",
        help=f"methods to run [default {', '.join(default_methods())}; also: {others}]",
    )  # fmt: skip
    group.add_argument(
        "--ablate", action="store_true",
        help="compare the recommended method with variants: each of the switches F2 to F10 as published, one at a "
        "time, no patches, other mixes; --methods then names variants (F2, no-patches, mix-cutmix ...)",
    )  # fmt: skip
    group.add_argument(
        "--seeds", nargs="+", type=int, default=None, metavar="N",
        help="run every method once with each seed [default 0 1 2; with --ablate the project's seed]",
    )  # fmt: skip
    group.add_argument(
        "--steps", type=_steps, default=None, metavar="N",
        help="steps of the baseline and of each round [default the project's baseline.steps and adapt.steps]",
    )  # fmt: skip
    add_set(group)
    group.add_argument(
        "--out", type=Path, metavar="FILE", default=None,
        help="write the results to this file too: .json, .csv, .md (Markdown) or text, by the suffix",
    )  # fmt: skip
    add_overwrite(group, "replace the file of --out if it exists")
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, only=("device", "threads", "trust"))
    add_run_flags(run_group)


def _steps(text: str) -> int:
    info = next(info for info in describe(TrainOptions) if info.name == "steps")
    return int(check(info, text, where="--steps"))


def run(args: argparse.Namespace) -> int:
    """Runs the comparison and shows its table."""
    job = comparison_job(args)
    if args.out:
        inputs = inputs_of_config(job.project.config, job.project.folder)
        check_file(args.out, [*inputs_of(args), *inputs], overwrite=args.overwrite)

    def events(control: Control) -> Generator[Event, None, None]:
        yield from run_comparison(job, control=control)

    code = follow_events(events, args, command="compare-methods", result=lambda: read_results(job.results_path))
    if code not in (0, 130) or (found := read_results(job.results_path)) is None:
        return code
    if args.out:
        write_as(args.out, found)
    if not args.json and not args.quiet:
        _show(found, job.results_path, sys.stderr if args.events == "-" else sys.stdout)
    return code


def comparison_job(args: argparse.Namespace) -> CompareJob:
    """Reads the arguments; options given here belong to the comparison and are not kept in the project.

    Raises:
        InputError: an unknown method or option, or a seed out of range.
    """
    project = Project.open(args.project)
    passing = {f"runtime.{name}": value for name, value in given(args).get("runtime", {}).items()}
    project = Project(project.folder, override(project.config, passing))
    steps = {} if args.steps is None else {"baseline.steps": args.steps, "adapt.steps": args.steps}
    config = override(project.config, {**steps, **_own_settings(args.set)})
    usual = (config.runtime.seed,) if args.ablate else (0, 1, 2)
    seeds = check_seeds(usual if args.seeds is None else args.seeds)
    if args.ablate:
        return CompareJob(project, ablations(config, args.methods), seeds, "ablation", config)
    return CompareJob(project, chosen_methods(args.methods), seeds, config=config)


def _own_settings(pairs: list[str]) -> dict[str, str]:
    found = settings(pairs)
    for path in found:
        if path.partition(".")[0].replace("-", "_") in _THE_PROJECTS:
            raise InputError(
                f"--set {path}: all methods share the project's {path.partition('.')[0]}; set it with crots run --set, "
                "which stores it",
                field=path,
            )
    return found


def _show(found: dict[str, Any], path: Path, stream: Any) -> None:
    for cells in (summary_cells(found), class_cells(found)):
        header, *rows = (tuple(row) for row in cells)
        show_table(Table(header, tuple(rows)), stream)
        say(stream=stream)
    for row in found["rows"]:
        if row["note"]:
            say(f"{row['title']}: {row['note']}", stream)
    say(caption(found), stream)
    say(f"results: {path} (.csv, .txt and .md beside it)", stream)


COMMAND = Command(
    name="compare-methods",
    about="Adapts the student of a project with several methods and scores them on the validation labels: the source "
    "alone, batch-norm statistics, Tent, plain self-training, CutMix, ClassMix, CROTS as published and as recommended. "
    "All get the same student, steps, batch, learning rates and seeds, and start from one baseline per seed. "
    "Everything goes to PROJECT/compare; it can be stopped or killed at any time, and finished runs are not repeated.",
    example="crots compare-methods city\ncrots compare-methods city --methods baseline cutmix recommended --seeds 0 "
    "--set adapt.steps=100\ncrots compare-methods city --ablate --out ablation.md",
    configure=configure,
    run=run,
)
