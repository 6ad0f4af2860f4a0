"""A single stage without a project: options as flags, files where the user wants them, a workbench in memory."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots import __version__
from crots import options as opt
from crots.artefacts import BEST, CHECKPOINT, CHOICE, STUDENT, TEACHER
from crots.cli.command import Parser
from crots.cli.flags import add_option, add_options, add_profile, add_run_flags, given
from crots.cli.follow import follow_events
from crots.cli.idle import Rule, refuse_idle, typed_options
from crots.cli.outputs import RECORD, check_file, claimed, inputs_of
from crots.cli.outputs import Claim as Claim
from crots.config import Profile, Size, describe, to_mapping
from crots.errors import InputError
from crots.events import Event, Note, StageFinished
from crots.execution.context import Context
from crots.execution.control import Control
from crots.execution.launch import process_group
from crots.execution.workers import current
from crots.project import InPlace
from crots.project_config import ProjectConfig, build_config
from crots.records import read_object
from crots.runner import run_stage

if TYPE_CHECKING:
    from crots.stages.workbench import Workbench
    from crots.taxonomy import ClassSet

# The files that a training stage writes.
TRAINED = (CHECKPOINT, STUDENT, TEACHER, BEST, CHOICE)
IMAGE_FLAGS = {"target": "--images"}
STUDENT_FLAGS = {"net": "--net", "weights": "--weights"}


def add_data(
    parser: Parser,
    profile: Profile,
    *,
    validation: bool = False,
    classes: bool = True,
    images: bool = True,
    implied_by: str = "",
    without: tuple[str, ...] = (),
    helps: Mapping[str, str] | None = None,
) -> argparse._ArgumentGroup:
    """Adds the flags of images and classes, as "inputs", and returns that group; see `add_classes`, `add_options`."""
    group = parser.add_argument_group("inputs")
    without += () if validation else ("val_images", "val_labels", "val_layout", "val_encoding")
    required = ("target",) if images else ()
    add_options(
        group, "data", opt.DataOptions, profile, flags=IMAGE_FLAGS, helps=helps, without=without, required=required
    )
    if classes:
        add_classes(group, profile, implied_by=implied_by)
    return group


def add_classes(group: argparse._ArgumentGroup, profile: Profile, *, implied_by: str = "") -> None:
    """Adds ``--classes``, as of `TaskOptions`.

    Args:
        group: where the help lists it.
        profile: whose defaults the help shows.
        implied_by: what names the classes where the user does not; empty requires the flag.
    """
    info = next(info for info in describe(opt.TaskOptions) if info.name == "classes")
    if implied_by:
        help_text = f"{info.help} Empty takes those that {implied_by} names."
        info = dataclasses.replace(info, help=help_text, default="", published="")
    add_option(group, "task.classes", info, info.flag, profile, required=not implied_by)
    if implied_by:
        group.set_defaults(**{"task.classes": ""})


def add_source(group: argparse._ArgumentGroup, profile: Profile) -> None:
    """Adds the flags of a source model or its predictions, and of their classes."""
    add_options(group, "source", opt.SourceOptions, profile)
    add_options(group, "task", opt.TaskOptions, profile, only=("source_classes", "class_map"))


def add_stage(parser: Parser, section: str, options_class: type[Any], profile: Profile, **kwargs: Any) -> None:
    """Adds the options of the stage and those of every run."""
    add_options(parser.add_argument_group("options of the stage"), section, options_class, profile, **kwargs)


def add_run(parser: Parser, profile: Profile, *, json_file: bool = False, runtime: bool = True) -> None:
    """Adds the flags of device and precision, and those of the output."""
    group = parser.add_argument_group("run")
    add_profile(group)
    if runtime:
        # A stage alone takes its options as they are.
        add_options(group, "runtime", opt.RuntimeOptions, profile, without=("time_budget",))
    add_run_flags(group, json_file=json_file)


def add_out(group: argparse._ArgumentGroup, help: str, *, resume: bool = False) -> None:
    """Adds ``--out`` and ``--overwrite`` and, for commands that can resume, ``--resume``."""
    group.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"{help} [required]")
    if resume:
        group.add_argument("--resume", action="store_true", help="continue the stopped run in --out")
    earlier = "delete the results of an earlier run in --out, and " if resume else ""
    add_overwrite(group, f"{earlier}replace files there that this command did not make")


def add_overwrite(group: argparse._ArgumentGroup, help: str) -> None:
    """Adds ``--overwrite``."""
    group.add_argument("--overwrite", action="store_true", help=f"{help}; inputs are never replaced")


def add_out_file(group: argparse._ArgumentGroup, help: str) -> None:
    """Adds ``--out`` of one file, and ``--overwrite``."""
    group.add_argument("--out", type=Path, required=True, metavar="FILE", help=f"{help} [required]")
    add_overwrite(group, "replace the file of --out if it exists")


def check_out_file(args: argparse.Namespace, *, folder: Collection[str] = ()) -> None:
    """Makes sure that the file of ``--out`` may be written.

    Args:
        args: of the command.
        folder: the names of the files, where it is a folder of those.

    Raises:
        InputError: it is there already, or is read.
    """
    check_file(args.out, inputs_of(args), overwrite=args.overwrite, folder=folder)


def config_of(args: argparse.Namespace, *, rules: Sequence[Rule] = (), **more: dict[str, Any]) -> ProjectConfig:
    """Builds the configuration that the flags describe.

    Args:
        args: with the option values under ``section.name``.
        rules: which options have no effect in this command, besides those that have none anywhere.
        more: further values by section.

    Raises:
        InputError: a value does not fit, or an option that was typed has no effect.
    """
    values = {name: section for name, section in given(args).items() if name in opt.SECTIONS}
    for name, section in more.items():
        values[name] = {**values.get(name, {}), **section}
    config = build_config(values, profile=args.profile)
    refuse_idle(config, typed_options(args), Path.cwd(), more=rules)
    return config


@dataclass(frozen=True)
class Desk:
    """The surroundings of a stage run alone.

    Attributes:
        config: its options.
        cache: folder of resized images.
        stage: its key.
        out: where it writes.
        classes: the target's, in place of those that the options name.
    """

    config: ProjectConfig
    cache: Path
    stage: str
    out: Path
    classes: ClassSet | None = None

    def bench(self, size: Size | None = None) -> Workbench:
        """Returns a workbench; ``size`` is the working size if the user gave none."""
        from crots.stages.workbench import Workbench

        config = self.config
        if size and not config.data.size and not config.data.tile:
            config = dataclasses.replace(config, data=dataclasses.replace(config.data, size=size))
        return Workbench(config, Path.cwd(), self.cache, self.stage, classes=self.classes)


class Loose(InPlace):
    """No project: the stages write to the folder that the user names."""

    # The user decides what follows.
    may_end_at_baseline = False

    def stage_folder(self, key: str) -> Path:
        """The output folder."""
        return self.folder


Body = Callable[[Desk, Context], Iterator[Event]]


def run_alone(args: argparse.Namespace, command: str, jobs: Mapping[str, Job], config: ProjectConfig) -> int:
    """Runs one stage, or several after each other, and returns the exit code.

    Args:
        args: of the command.
        command: its name.
        jobs: what to do, by stage key.
        config: the options.
    """
    return follow_events(partial(_events, args, jobs, config), args, command=command)


@dataclass(frozen=True)
class Job:
    """A stage: its events, where it may write, and whether later jobs are needed."""

    body: Body
    out: Path
    claimed: Claim | None = None
    enough: Callable[[Path], str] = lambda out: ""


def _events(
    args: argparse.Namespace, jobs: Mapping[str, Job], config: ProjectConfig, control: Control
) -> Generator[Event, None, None]:
    with tempfile.TemporaryDirectory(prefix="crots-cache-") as cache, process_group(config.runtime.device):
        for stage, job in jobs.items():
            desk = Desk(config, Path(cache), stage, job.out)
            context = Context(stage, control, resume=getattr(args, "resume", False))
            for event in run_stage(partial(job.body, desk), context):
                yield event
                if isinstance(event, StageFinished) and event.outcome != "completed":
                    return
            if job.claimed and current().first:
                job.claimed.settle()
            if (reason := job.enough(job.out)) and stage != list(jobs)[-1]:
                yield Note(stage=stage, text=f"no further round is needed: {reason}")
                return


def claim(
    args: argparse.Namespace,
    command: str,
    config: ProjectConfig,
    sections: Collection[str],
    *,
    results: Collection[str],
    precious: bool = False,
    clear: bool = True,
    out: Path | None = None,
    **facts: Any,
) -> Claim:
    """Makes sure that nothing in ``--out`` would be overwritten that should not be.

    Args:
        args: with ``out`` and ``overwrite``, and ``resume`` where the command has it.
        command: that writes there.
        config: of the run.
        sections: of the options that decide the result; a resumed run must have the same.
        results: files and folders that the command writes.
        precious: they took long to compute, so they are replaced only on request.
        clear: the results of an earlier run are deleted first, rather than replaced file by file.
        out: the folder, if it is not ``--out`` itself.
        facts: further values that a resumed run must share.

    Raises:
        InputError: the folder holds files that something else made, inputs of the command, or another run's results.
    """
    out = out or args.out
    resume, overwrite = getattr(args, "resume", False), args.overwrite
    options: dict[str, Any] = {name: to_mapping(getattr(config, name), only_result=True) for name in sections}
    options |= {name: str(value) for name, value in facts.items()}
    record = {"command": command, "version": __version__, "options": options}
    found = claimed(out, inputs_of(args), results, record, overwrite=overwrite, clear=clear and not resume)
    there = [name for name in results if _has_files(out / name)]
    if there and precious and not (resume or overwrite):
        raise InputError(
            f"{out / there[0]}: exists from an earlier run; continue it with --resume, start over with "
            "--overwrite, or choose another folder for --out"
        )
    if there and resume:
        _refuse_other_options(
            out, (read_object(out / RECORD, remedy="choose another folder for --out") or {}).get("options", {}), options
        )
    return found


def _has_files(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _refuse_other_options(out: Path, old: Any, new: dict[str, Any]) -> None:
    if not isinstance(old, dict):
        raise InputError(f"{out / RECORD}: is damaged (options is not an object); start over with --overwrite")
    for section in sorted({*old, *new}):
        before, after = old.get(section), new.get(section)
        if before == after:
            continue
        old_ones, new_ones = (value if isinstance(value, dict) else {} for value in (before, after))
        names = sorted({*old_ones, *new_ones})
        differing = [f"{section}.{name}" for name in names if old_ones.get(name) != new_ones.get(name)] or [section]
        raise InputError(
            f"{out}: the stopped run used other values of {', '.join(differing)}; repeat them to --resume, or start "
            "over with --overwrite"
        )
