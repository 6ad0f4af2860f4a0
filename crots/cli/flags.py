"""Flags made from option classes, and option values made from flags."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from crots.config import (
    PROFILES,
    Duration,
    Grid,
    OptionInfo,
    PathKind,
    Profile,
    Size,
    check,
    describe,
    expectation,
    from_mapping,
    profile_named,
    shown,
)
from crots.errors import InputError
from crots.limits import SECTION, Limits
from crots.project_config import refuse_unstored

Group = argparse._ArgumentGroup
Options = TypeVar("Options")

# The flags of the only model of a command do not begin with "source".
MODEL_FLAGS = {
    "file": "--checkpoint", "prefix": "--prefix", "size": "--input-size", "channels": "--channels", "mean": "--mean",
    "scale": "--scale", "output": "--output", "output_name": "--output-name",
}  # fmt: skip
_PATH_METAVARS: dict[PathKind, str] = {"folder": "DIR", "file": "FILE", "name or file": "NAME|FILE"}
_KIND_METAVARS: dict[Any, str] = {
    int: "N", float: "X", Size: "WxH", Grid: "RxC", Duration: "TIME", Path: "PATH", str: "TEXT",
}  # fmt: skip


def add_options(
    group: Group,
    section: str,
    options_class: type[Any],
    profile: Profile,
    *,
    flags: Mapping[str, str] | None = None,
    helps: Mapping[str, str] | None = None,
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    required: tuple[str, ...] = (),
) -> None:
    """Adds one flag for every option of a class; what the user gives lands under ``section.name``.

    Args:
        group: where the help lists them.
        section: as in ``crots.toml``.
        options_class: whose options.
        profile: whose defaults the help shows.
        flags: other flags than those of the options, for what an option means in this command.
        helps: likewise other sentences of help.
        only: the options to add; empty adds all.
        without: options to leave out.
        required: options that must be given.
    """
    for info in describe(options_class):
        if info.name in without or (only and info.name not in only):
            continue
        flag = (flags or {}).get(info.name, info.flag)
        info = dataclasses.replace(info, help=(helps or {}).get(info.name, info.help))
        add_option(group, f"{section}.{info.name}", info, flag, profile, required=info.name in required)


def add_net(group: Group) -> None:
    """Adds ``--net`` of the only model of a command, as of `SourceOptions`."""
    group.add_argument(
        "--net", dest="source.net", metavar="NET", default=argparse.SUPPRESS,
        help="network of a plain .pth; other files name their own",
    )  # fmt: skip


def add_option(group: Group, dest: str, info: OptionInfo, flag: str, profile: Profile, *, required: bool) -> None:
    """Adds the flag of one option."""
    help_text = option_help(info, profile, required=required).replace("%", "%%")
    if info.kind is bool:
        group.add_argument(
            flag, dest=dest, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help_text
        )
        return
    group.add_argument(
        flag, dest=dest, type=_reader(info, flag, required=required), metavar=_metavar(info),
        default=argparse.SUPPRESS, required=required,
        help=help_text,
    )  # fmt: skip


def _reader(info: OptionInfo, flag: str, *, required: bool) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = check(info, text, where=flag)
        if required and value is None:
            named = f"; write ./{text} for a file or folder of that name" if text and info.path else ""
            raise InputError(f"{flag}: found {text!r}, which stands for no value, but one is required{named}")
        return value

    return read


def _metavar(info: OptionInfo) -> str:
    if info.path:
        return _PATH_METAVARS[info.path]
    if info.choices:
        several = typing.get_origin(info.kind) is tuple
        return ",".join(info.choices[:2]) + ",..." if several else "|".join(info.choices)
    return _KIND_METAVARS.get(info.kind, "A,B,...")


def option_help(info: OptionInfo, profile: Profile, *, required: bool = False) -> str:
    """Returns the sentence of an option with its range, default, other profile's value and fault."""
    facts = ["required"] if required else []
    if info.low is not None or info.high is not None:
        facts.append(expectation(info).removesuffix(" or none"))
    default = shown(info.default_for(profile))
    if default and not required:
        facts.append(f"default {default}")
    other: Profile = "published" if profile == "recommended" else "recommended"
    if info.default_for(other) != info.default_for(profile):
        facts.append(f"{other}: {shown(info.default_for(other))}")
    if info.fault:
        facts.append(info.fault)
    return f"{info.help} [{'; '.join(facts)}]" if facts else info.help


def given(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Returns what the user gave, by section and option."""
    sections: dict[str, dict[str, Any]] = {}
    for dest, value in vars(args).items():
        section, dot, name = dest.partition(".")
        if dot:
            sections.setdefault(section, {})[name] = value
    return sections


def taken(args: argparse.Namespace, section: str) -> dict[str, Any]:
    """Returns what the user gave of one section and removes it, since it is not for the command."""
    values = given(args).get(section, {})
    for name in values:
        delattr(args, f"{section}.{name}")
    return values


def options_of(args: argparse.Namespace, section: str, options_class: type[Options]) -> Options:
    """Returns one class of options from the flags, for those that no project has."""
    return from_mapping(options_class, given(args).get(section, {}), where=section, profile=args.profile)


def read_profile(text: str) -> Profile:
    """Reads a profile's name from the command line.

    Raises:
        argparse.ArgumentTypeError: there is none of this name.
    """
    profile = profile_named(text)
    if profile is None:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected one of {', '.join(PROFILES)}")
    return profile


def add_profile(group: Group) -> None:
    """Adds ``--profile``."""
    group.add_argument(
        "--profile", type=read_profile, default="recommended", metavar="|".join(PROFILES),
        help="defaults to start from: faults of the published code corrected, or as published [default recommended]",
    )  # fmt: skip


def add_run_flags(group: Group, *, json_file: bool = False) -> None:
    """Adds what all long commands share: how they report progress and results.

    Args:
        group: where the help lists them.
        json_file: ``--json`` takes a file name.
    """
    add_json(group, file=json_file)
    group.add_argument(
        "--events", metavar="FILE", default=None,
        help=(
            "write events as JSON lines, replacing those of an earlier run; - is standard output, and progress then "
            "goes to standard error"
        ),
    )  # fmt: skip
    group.add_argument(
        "--tensorboard", type=Path, metavar="DIR", default=None,
        help="write curves and a few pictures there for TensorBoard (extra tensorboard)",
    )  # fmt: skip
    group.add_argument("--quiet", action="store_true", help="show nothing but warnings and errors")
    add_debug(group)


def add_json(group: Group, *, file: bool = False) -> None:
    """Adds ``--json`` as a switch, or with an optional file name."""
    if file:
        group.add_argument(
            "--json", nargs="?", const="-", default=None, metavar="FILE", help="write the result as JSON; - or no FILE "
            "is standard output",
        )  # fmt: skip
        group.add_argument(
            "--overwrite", action="store_true",
            help="replace the file of --json if it exists; inputs are never replaced",
        )  # fmt: skip
    else:
        group.add_argument("--json", action="store_true", help="print one JSON object at the end and nothing else")


def add_debug(group: Group) -> None:
    """Adds what every command takes: ``--debug``, and the limits of what one input may claim."""
    group.add_argument("--debug", action="store_true", help="show the traceback of a bug in CROTS")
    add_options(group, SECTION, Limits, "recommended")


def settings(pairs: list[str]) -> dict[str, str]:
    """Reads ``section.option=value`` words.

    Raises:
        InputError: one has another form.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals or "." not in path:
            raise InputError(f"--set: found {pair!r}, expected section.option=value; `crots options` lists them")
        values[path.strip()] = value.strip()
    for path in values:
        section, _, name = path.partition(".")
        refuse_unstored({section: {name: None}}, "--set")
    return values
