"""The one place that writes to the terminal: text may come from files, so it is made safe to show."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from crots.options import with_options_named
from crots.text import printable, printable_json

# Flags of the command that runs, by ``section.option``.
_flags: dict[str, str] = {}


class OutputError(Exception):
    """A stream of the terminal cannot be written to, for another reason than that its reader has gone.

    Attributes:
        reason: the error of the system.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def use_flags(flags: Mapping[str, str], *, more: bool = False) -> None:
    """Takes the flags by which messages of the core name options; an option without one is ``section.option``.

    Args:
        flags: by ``section.option``.
        more: beside those taken before.
    """
    if not more:
        _flags.clear()
    _flags.update(flags)


def presentable(text: str) -> str:
    """Returns a text as the terminal shows it: options by their flags, and no control sequences."""
    return printable(with_options_named(text, lambda option: _flags.get(option, option)))


def _write(text: str, stream: IO[str] | None) -> None:
    try:
        print(text, file=stream or sys.stdout, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error) from error


def say(text: str = "", stream: IO[str] | None = None) -> None:
    """Writes one line.

    Args:
        text: any text.
        stream: where to; None is standard output.
    """
    _write(presentable(text), stream)


def say_lines(text: str, stream: IO[str] | None = None) -> None:
    """Writes text whose line breaks are our own."""
    for line in text.split("\n"):
        say(line, stream)


def say_json(value: Any, stream: IO[str] | None = None) -> None:
    """Writes a value as one line of JSON; text that is JSON already is written as it is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    _write(printable_json(text), stream)


def typed(path: Path) -> str:
    """Writes a path for a command that is suggested: a folder's name may come from anyone, and a shell executes it."""
    # The terminal of Windows knows no single quotes.
    return subprocess.list2cmdline([str(path)]) if sys.platform == "win32" else shlex.quote(str(path))
