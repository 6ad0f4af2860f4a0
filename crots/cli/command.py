"""The type of a command, and the parser that turns wrong use into a one-line error."""

from __future__ import annotations

import argparse
import difflib
import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from crots.config import Profile, profile_named
from crots.errors import InputError
from crots.options import all_options


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: what the user types.
        about: what it is for, a few sentences.
        example: one or more lines that work as they are, apart from the paths.
        configure: adds the arguments; the profile decides which defaults the help shows.
        run: does it and returns the exit code.
        shared: several workers, started by ``torchrun``, can share its work.
    """

    name: str
    about: str
    example: str
    configure: Callable[[Parser, Profile], None]
    run: Callable[[argparse.Namespace], int]
    shared: bool = False


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `InputError`: one line, with the nearest flag."""

    def error(self, message: str) -> NoReturn:
        """Raises argparse's error as an `InputError`."""
        raise InputError(f"{message}; `{self.prog} --help` explains all arguments")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Refuses an empty path: of a shell's unset variable it would be the current folder."""
        if action.type is Path and not arg_string.strip():
            raise argparse.ArgumentError(action, "found an empty path, expected a file or folder")
        return super()._get_value(action, arg_string)

    def parse_strictly(self, words: Sequence[str]) -> argparse.Namespace:
        """Parses arguments.

        Raises:
            InputError: unknown or missing arguments, or a value that does not fit.
        """
        # Before argparse reports missing arguments: a mistyped flag is often the cause.
        for word in words:
            if word.startswith("--") and len(word) > 2 and word.partition("=")[0] not in self._option_string_actions:
                raise InputError(self._unknown(word))
        args, extra = self.parse_known_args(list(words))
        if extra:
            raise InputError(self._unknown(extra[0]))
        # As defaults do not tell who gave a value.
        args.typed = {word.partition("=")[0] for word in words}.intersection(self._option_string_actions)
        return args

    def _unknown(self, word: str) -> str:
        flag = word.partition("=")[0]
        if not flag.startswith("-"):
            if "=" in word and "--set" in self._option_string_actions:
                return f"unexpected argument {word!r}; each option takes a --set of its own: `--set {word}`"
            return f"unexpected argument {word!r}; `{self.prog} --help` explains all arguments"
        near = difflib.get_close_matches(flag, list(self._option_string_actions), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"`{self.prog} --help` lists all"
        return f"unknown option {flag}; {hint}"


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_width())


def make_parser(command: Command, profile: Profile) -> Parser:
    """Builds the parser of one command."""
    parser = Parser(
        prog=f"crots {command.name}",
        description="\n".join(textwrap.fill(line, _width()) for line in command.about.splitlines()),
        epilog="example:\n" + "\n".join(f"  {line}" for line in command.example.splitlines()),
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser, profile)
    parser.usage = " ".join([f"crots {command.name}", *_needed(parser), "[options]"])
    return parser


def flags_by_option(parser: Parser) -> dict[str, str]:
    """Returns the flag of each option that the command has, by ``section.option``."""
    flags = {flag: flag for action in parser._actions for flag in action.option_strings}
    found = {option: info.flag for option, info in all_options().items() if info.flag in flags}
    return found | {action.dest: action.option_strings[0] for action in parser._actions if "." in action.dest}


def _needed(parser: Parser) -> list[str]:
    """The required arguments, for the usage line."""
    positionals = [str(action.metavar) for action in parser._actions if not action.option_strings]
    flags = [
        f"{action.option_strings[0]} {action.metavar}"
        for action in parser._actions
        if action.required and action.option_strings
    ]
    return [*positionals, *flags]


def _width() -> int:
    return max(20, min(100, shutil.get_terminal_size().columns)) - 2


def profile_in(words: Sequence[str]) -> Profile:
    """Finds ``--profile NAME`` before anything is parsed, since the help shows that profile's defaults."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name = following if word == "--profile" else word.removeprefix("--profile=")
        profile = profile_named(name) if word.startswith("--profile") else None
        if profile:
            return profile
    return "recommended"
