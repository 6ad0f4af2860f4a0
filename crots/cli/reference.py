"""The reference pages of the documentation, made from the code: ``python -m crots.cli.reference`` writes them."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

from crots.cli.command import Parser, make_parser
from crots.cli.commands import GROUPS, load_command
from crots.cli.main import main
from crots.files import write_text

_COMMANDS = """# Commands

<!-- This page is generated: `python -m crots.cli.reference` writes it. -->

Every command explains itself with `--help`. With `--json` it prints one JSON object, with `--events -` the events of
the run as JSON lines. Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped. Ctrl-C finishes the current step and
keeps a checkpoint; pressed twice, it stops at once.

A command replaces only its own earlier results. `--out` and `--json FILE` refuse to replace other files unless you add
`--overwrite`, and a command never overwrites what it reads.

Defaults are those of the profile `corrected`; with `--profile published`, `--help` shows those of the published code.
"""
_OPTIONS = """# Options

<!-- This page is generated: `python -m crots.cli.reference` writes it. -->

The options of a project by section. Set them with `--set section.option=value`, in the project's `crots.toml`, as flags
of the single stages, or in the studio. The column *published* shows the value of the profile `published` where it
differs; *fault* names the [fault of the published code](../method.md#the-faults-of-the-published-code) that the option
is about. `crots options SECTION` prints the same table.
"""


def commands_page() -> str:
    """Returns the page of all commands: an overview, then the arguments of each."""
    rows = ["| command | what it does |", "|---|---|"]
    for title, commands in GROUPS.items():
        rows.append(f"| **{title}** | |")
        rows += [f"| [`crots {name}`](#crots-{name}) | {summary} |" for name, summary in commands.items()]
    parts = [
        _command(make_parser(load_command(name), "corrected"), name) for group in GROUPS.values() for name in group
    ]
    return "\n".join([_COMMANDS, *rows, "", *parts])


def _command(parser: Parser, name: str) -> str:
    command = load_command(name)
    lines = [f"## `crots {name}`", "", *_paragraphs(command.about), "```text", str(parser.usage), "```", ""]
    rows = [row for group in parser._action_groups for row in _rows(group)]
    lines += ["| argument | what it is |", "|---|---|", *rows, "", "```sh", command.example, "```", ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in (_cell(paragraph), "")]


def _rows(group: argparse._ArgumentGroup) -> list[str]:
    actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
    title = [f"| **{group.title}** | |"] if actions and group.title not in ("positional arguments", "options") else []
    return title + [f"| {_argument(action)} | {_cell((action.help or '').replace('%%', '%'))} |" for action in actions]


def _argument(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.nargs == "+":
        metavar = f"{metavar} ..."
    flags = " / ".join(f"`{flag}`" for flag in action.option_strings)
    value = f"`{metavar}`".replace("|", "\\|") if metavar and action.nargs != 0 else ""
    return " ".join(filter(None, (flags, value)))


def _cell(text: str) -> str:
    """Escapes what Markdown would read as a table cell's end, a tag or emphasis."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def options_page() -> str:
    """Returns the page of all options, as ``crots options --markdown`` prints them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["options", "--markdown"])
    return f"{_OPTIONS}\n{printed.getvalue().strip()}\n"


PAGES = {"commands.md": commands_page, "options.md": options_page}


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, page in PAGES.items():
        write_text(folder / file_name, page())
