"""``crots options``: the options of every section, from the same classes that the flags come from."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from crots.cli.command import Command, Parser
from crots.cli.draw import show_table
from crots.cli.flags import add_debug, add_json
from crots.cli.idle import refuse_given
from crots.cli.tables import Table
from crots.cli.terminal import say, say_json, say_lines
from crots.config import OptionInfo, Profile, describe, expectation, shown, to_plain, unknown_name
from crots.options import SECTIONS, BenchOptions, PredictOptions
from crots.training_options import TrainOptions

# Also of the stages that are not part of a project.
CLASSES: dict[str, type] = {**SECTIONS, "train": TrainOptions, "predict": PredictOptions, "bench": BenchOptions}
_HEADERS = ("option", "value", "default", "published", "fault", "what it does")


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument("section", nargs="?", metavar="[SECTION]", help=f"one of {', '.join(CLASSES)} [default: all]")
    group = parser.add_argument_group("run")
    group.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    add_json(group)
    add_debug(group)


def run(args: argparse.Namespace) -> int:
    """Lists the options."""
    if args.json:
        refuse_given(args, ("--markdown",), "--json prints no tables")
    section = args.section.replace("-", "_") if args.section else None
    if section and section not in CLASSES:
        raise unknown_name("options", args.section, list(CLASSES), what="section")
    chosen = {name: CLASSES[name] for name in ([section] if section else CLASSES)}
    if args.json:
        say_json({name: [_plain(info) for info in describe(cls) if info.stored] for name, cls in chosen.items()})
        return 0
    for name, cls in chosen.items():
        rows = tuple(_row(info) for info in describe(cls) if info.stored)
        if args.markdown:
            say_lines(markdown(name, (cls.__doc__ or "").strip(), rows))
        else:
            say()
            say_lines(f"[{name}] {(cls.__doc__ or '').strip()}")
            show_table(Table(_HEADERS, rows, left=tuple(range(len(_HEADERS)))), sys.stdout)
    return 0


def _row(info: OptionInfo) -> tuple[str, ...]:
    published = "" if info.published == info.default else shown(info.published)
    return info.name, expectation(info), shown(info.default) or "-", published, info.fault, info.help


def _plain(info: OptionInfo) -> dict[str, Any]:
    return {
        "name": info.name, "flag": info.flag, "expects": expectation(info), "default": to_plain(info.default),
        "published": to_plain(info.published), "fault": info.fault, "help": info.help, "choices": list(info.choices),
    }  # fmt: skip


def markdown(name: str, about: str, rows: tuple[tuple[str, ...], ...]) -> str:
    """Returns a section as the Markdown table of the documentation."""
    lines = [f"## `{name}`", "", about, "", f"| {' | '.join(_HEADERS)} |", "|" + "---|" * len(_HEADERS)]
    for option, *cells in rows:
        lines.append(f"| `{option}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


COMMAND = Command(
    name="options",
    about="Lists every option of a project: the values it takes, its default, the published code's value and the "
    "fault that it corrects.",
    example="crots options adapt\ncrots options --markdown",
    configure=configure,
    run=run,
)
