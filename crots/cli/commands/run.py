"""``crots run``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.artefacts import is_round
from crots.cli.command import Command, Parser
from crots.cli.commands.init import add_set, settled
from crots.cli.flags import add_options, add_run_flags, given, settings
from crots.cli.follow import follow_events
from crots.cli.idle import refuse_given
from crots.cli.terminal import say, say_json, typed
from crots.config import Profile
from crots.errors import InputError
from crots.eventlog import running
from crots.events import Event
from crots.execution.control import Control
from crots.execution.workers import is_first
from crots.files import exists, expanded
from crots.project import Project
from crots.project_config import ProjectConfig, named_paths, override
from crots.project_status import State, statuses
from crots.report.results import result_of
from crots.report.words import summary
from crots.runner import planned, run_project
from crots.training_options import AdaptOptions


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder made by crots init")
    group = parser.add_argument_group("what to run")
    group.add_argument("--until", metavar="STAGE", help="stop after this stage; adapt means its last round")
    group.add_argument("--only", metavar="STAGE", help="run only this stage, even if it is done")
    add_options(group, "adapt", AdaptOptions, profile, only=("rounds",))
    add_set(group)
    group.add_argument(
        "--estimate", action="store_true", help="only estimate the time and memory of the run, from a few steps"
    )
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, only=("device", "threads", "time_budget", "trust"))
    add_run_flags(run_group)


def run(args: argparse.Namespace) -> int:
    """Runs the stages that are not done."""
    if args.until is not None and args.only is not None:
        raise InputError("both --until and --only are given, expected one of them; leave the other out")
    if args.estimate:
        refuse_given(args, ("--events", "--tensorboard"), "--estimate runs nothing, so that there is nothing to write")
    project = prepared(args)
    planned(project, until=args.until, only=args.only)
    if args.estimate:
        return estimated(project, args)

    shown = 0

    def events(control: Control) -> Generator[Event, None, None]:
        nonlocal shown
        for event in run_project(project, control=control, until=args.until, only=args.only, measure=True):
            shown += 1
            yield event

    code = follow_events(events, args, command="run")
    if code == 0 and not args.json and not args.quiet and is_first():
        stream = sys.stderr if args.events == "-" else sys.stdout
        for line in summary(result_of(project)):
            say(line, stream)
        keys = planned(project, until=args.until, only=args.only)
        states = {status.key: status.state for status in statuses(project)}
        # Patches that are not needed are worth a line only to who asked for them.
        if needless := [key for key in keys if states[key] == "not needed" and (is_round(key) or key == keys[-1])]:
            how = "not used by evaluation and export" if args.only else "not needed"
            say(f"{', '.join(needless)}: {how}, since {project.needless(needless[0])}", stream)
        what = "done" if shown else f"nothing to do, {_all_done(states, keys)}"
        more = f"; crots report {typed(args.project)} writes what changed as a page" if result_of(project).key else ""
        say(f"{what}; crots status {typed(args.project)} shows the stages{more}", stream)
    return code


def _all_done(states: Mapping[str, State], keys: Sequence[str]) -> str:
    """Says what a run of these stages that had nothing to do leaves."""
    settled = ("done", "not needed")
    named, among = f"all stages up to {keys[-1]}", [states[key] for key in keys]
    if all(state in settled for state in states.values()):
        named, among = "all stages", list(states.values())
    return f"{named} are done" if set(among) == {"done"} else f"{named} that are needed are done"


def estimated(project: Project, args: argparse.Namespace) -> int:
    """Shows what a run would take, and runs nothing."""
    from crots.estimate.decide import decide_options
    from crots.runner import locked

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("--estimate times one process; start it without torchrun")
    keys = planned(project, until=args.until, only=args.only)
    with locked(project):
        project.check_inputs()
        plan = decide_options(project, keys, busy=False, asked=args.only is not None)
    if args.json:
        say_json({"command": "run", **plan.estimate.to_dict(), "notes": list(plan.notes)})
        return 0
    nothing = f"{args.only} is not timed" if args.only else "nothing to do, all of it is done"
    for line in (*plan.notes, plan.estimate.summary or nothing):
        say(line)
    return 0


def prepared(args: argparse.Namespace) -> Project:
    """Opens the project and applies the flags.

    ``--rounds``, ``--time-budget`` and ``--set`` belong to the project and are stored in it, so that ``crots status``
    describes this run;
    ``--device``, ``--threads`` and ``--trust`` belong to this run and computer.
    """
    project = Project.open(args.project)
    flags = given(args)
    budget = {f"runtime.{name}": value for name, value in flags.get("runtime", {}).items() if name == "time_budget"}
    lasting = {f"adapt.{name}": value for name, value in flags.get("adapt", {}).items()} | budget | settings(args.set)
    lasting |= _from_here(project.folder, override(project.config, lasting), lasting)
    if lasting and not is_first():
        # Rank 0 stores them in the project.
        project.config = override(project.config, lasting)
    elif lasting:
        if running(project.lock_path):
            raise InputError(
                f"{args.project}: another run is active in this project; wait for it before changing options"
            )
        changed = override(project.config, lasting)
        if changed != project.config:
            project.config = changed
            project.save()
    passing = {f"runtime.{name}": value for name, value in flags.get("runtime", {}).items()}
    return Project(project.folder, override(project.config, passing))


def _from_here(folder: Path, config: ProjectConfig, typed: Mapping[str, Any]) -> dict[str, str]:
    """Returns the paths among what was typed that are there as seen from the current folder alone, as whole ones.

    Those in ``crots.toml`` are relative to the project, and so stay those that are there as seen from it.

    Raises:
        InputError: a path leads to two places.
    """
    names = {name.replace("-", "_"): name for name in typed}
    here = named_paths(settled(config))
    found = {}
    for key, name in names.items():
        path = Path(here[key][1]) if key in here else None
        if path is None or not path.is_absolute() or not exists(path):
            continue
        there = folder / expanded(Path(str(typed[name])))
        if not exists(there):
            found[name] = str(path)
        elif not there.samefile(path):
            raise InputError(
                f"{typed[name]}: found {path} here and {there} in the project, expected one of them; give a whole path",
                field=key,
            )
    return found


COMMAND = Command(
    name="run",
    about="Runs the stages of a project that are not done, in order. It can be stopped (Ctrl-C) or killed at any time "
    "and continues where it was.\nOptions given here with --rounds, --time-budget and --set are stored in the project.",
    example="crots run city\ncrots run city --estimate\ncrots run city --time-budget 60m\n"
    "crots run city --until baseline --device cuda:1\n"
    "crots run city --rounds 3 --set adapt.steps=2000\ncrots run city --events - > events.jsonl\n"
    "torchrun --nproc-per-node 4 -m crots run city    # on four GPUs",
    configure=configure,
    run=run,
    shared=True,
)
