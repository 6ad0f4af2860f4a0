"""The one place that writes to the terminal: what is said may come from files, so it is made fit to be shown."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from crots.text import printable, printable_json


def say(text: str = "", stream: IO[str] | None = None) -> None:
    """Writes one line.

    Args:
        text: any text.
        stream: where to; None is standard output.
    """
    print(printable(text), file=stream or sys.stdout, flush=True)


def say_lines(text: str, stream: IO[str] | None = None) -> None:
    """Writes text whose line breaks are our own."""
    for line in text.split("\n"):
        say(line, stream)


def say_json(value: Any, stream: IO[str] | None = None) -> None:
    """Writes a value as one line of JSON; text that is JSON already is written as it is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    print(printable_json(text), file=stream or sys.stdout, flush=True)


def typed(path: Path) -> str:
    """Writes a path for a command that is suggested: a folder's name may be a stranger's, and a shell obeys it."""
    # The terminal of Windows knows no single quotes.
    return subprocess.list2cmdline([str(path)]) if sys.platform == "win32" else shlex.quote(str(path))
