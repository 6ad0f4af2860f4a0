"""``crots init``."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crots import options as opt
from crots.cli.command import Command, Parser
from crots.cli.flags import add_debug, add_json, add_options, given, read_profile, settings
from crots.cli.idle import refuse_idle, typed_options
from crots.cli.terminal import say, say_json, typed
from crots.config import PROFILES, Profile
from crots.errors import InputError
from crots.files import expanded
from crots.project import CONFIG_NAME, Project, unfit
from crots.project_config import ProjectConfig, build_config, load_preset, named_paths, override, preset_names
from crots.resources import shipped

if TYPE_CHECKING:
    from crots.taxonomy import ClassSet


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder to create")
    data = parser.add_argument_group("inputs")
    add_options(data, "data", opt.DataOptions, profile)
    add_options(data, "task", opt.TaskOptions, profile)
    source = parser.add_argument_group("the source: a model, or its predictions")
    add_options(source, "source", opt.SourceOptions, profile)
    student = parser.add_argument_group("the student")
    add_options(student, "student", opt.StudentOptions, profile)
    group = parser.add_argument_group("options of the stages")
    group.add_argument(
        "--preset", metavar="NAME|FILE", default="", help=f"options to start from: {', '.join(preset_names())}"
    )
    group.add_argument(
        "--profile", type=read_profile, default=None, metavar="|".join(PROFILES),
        help="faults of the published code corrected, or as published [default: the preset's, else recommended]",
    )  # fmt: skip
    add_set(group)
    show = parser.add_argument_group("run")
    add_options(show, "runtime", opt.RuntimeOptions, profile, only=("time_budget", "trust"))
    add_json(show)
    add_debug(show)


def add_set(group: argparse._ArgumentGroup) -> None:
    """Adds ``--set``."""
    group.add_argument(
        "--set", action="append", default=[], metavar="STAGE.OPTION=VALUE", dest="set",
        help="set any option of a stage; may be repeated; crots options lists them",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Checks all that can be checked without torch, then makes the project."""
    if problem := unfit(args.project):
        raise InputError(problem)
    config = settled(configuration(args))
    refuse_idle(config, typed_options(args), Path.cwd(), student=True)
    if "export.formats" not in settings(args.set):
        config = in_own_form(config, Path.cwd())
    from crots.class_files import file_name, keep_class_set
    from crots.cli.survey import survey_inputs

    config, own, whence = _with_classes(config, args)
    found = survey_inputs(config, Path.cwd(), classes=own, whence=whence)
    if own is not None:
        config = override(config, {"task.classes": file_name(own)})
    project = Project.create(args.project, config)
    if own is not None:
        keep_class_set(project.folder, own)
    if args.json:
        say_json({"project": str(project.folder), **found.to_dict()})
        return 0
    say(f"made {project.folder / CONFIG_NAME} (profile {config.profile})")
    for line in found.lines:
        say(f"  {line}")
    for line in found.warnings:
        say(f"  warning: {line}")
    say(f"next: crots run {typed(args.project)}" + (" --trust" if found.facts["code"] else ""))
    return 0


def configuration(args: argparse.Namespace) -> ProjectConfig:
    """Joins preset, flags and ``--set``, the later ones taking precedence."""
    profile, values = load_preset(args.preset) if args.preset else ("recommended", {})
    for section, options in given(args).items():
        values[section] = {**values.get(section, {}), **options}
    config = build_config(values, profile=args.profile or profile, preset=args.preset)
    return override(config, settings(args.set))


def _with_classes(config: ProjectConfig, args: argparse.Namespace) -> tuple[ProjectConfig, ClassSet | None, str]:
    """Gives the target the classes that the source names, if the user chose none.

    Returns:
        The configuration; those classes where they go by no name that an option could hold; and how they came about.
    """
    preset = load_preset(args.preset)[1] if args.preset else {}
    chosen = {**preset.get("task", {}), **given(args).get("task", {})}
    if "classes" in chosen or "task.classes" in settings(args.set):
        return config, None, ""
    from crots.class_files import shipped_name
    from crots.opening import Inputs

    implied = None
    with contextlib.suppress(InputError):  # the survey reports it
        implied = Inputs(config, Path.cwd()).implied_classes
    if implied is None:
        return config, None, ", by default; --classes names others"
    whence = f", as the {'class map' if config.task.class_map else 'source'} names them"
    if name := shipped_name(implied):
        return override(config, {"task.classes": name}), None, whence
    return config, implied, whence


def settled(config: ProjectConfig) -> ProjectConfig:
    """Makes every path of the configuration absolute, as seen from the current folder."""
    changes: dict[str, Any] = {}
    for name, (info, value) in named_paths(config).items():
        # Names are names even where a folder is called so, as that of a data set.
        if info.path != "name or file" or (str(value) not in _names(name) and expanded(value).exists()):
            changes[name] = os.path.normpath(expanded(value).absolute())
    return override(config, changes)


def _names(option: str) -> Collection[str]:
    """Returns what an option that takes a name or a file understands as a name."""
    if option == "student.weights":
        return ("source", "random", opt.IMAGENET)
    return shipped("class-maps" if option == "task.class_map" else "classes")


def in_own_form(config: ProjectConfig, root: Path) -> ProjectConfig:
    """Has the adapted model of a Hugging Face folder written back as one, too."""
    from crots.folders import HEAD
    from crots.opening import Inputs

    with contextlib.suppress(InputError):  # the survey reports it
        if Inputs(config, root).student_net.startswith(HEAD):
            formats = dict.fromkeys((*config.export.formats, "huggingface"))
            return override(config, {"export.formats": ",".join(formats)})
    return config


COMMAND = Command(
    name="init",
    about="Makes a project folder from your unlabelled images and a source: a model file, or its predictions.\n"
    "All inputs are checked, and the findings are printed. Then: crots run PROJECT.",
    example="crots init city --target photos/ --classes cityscapes --source gta5.pth --net deeplabv2_resnet101 "
    "--preset gta5-to-cityscapes\n"
    "crots init city --target photos/ --classes camvid --predictions vendor/label_ids --confidence vendor/confidence "
    "--source-classes cityscapes --class-map cityscapes-to-camvid --student deeplabv2_resnet18 "
    "--student-weights random",
    configure=configure,
    run=run,
)
