"""Where the frozen programs start: the studio, the command line, or a module as ``python -m`` would run it.

The studio runs stages in a process of its own, as ``sys.executable -P -m crots run ...``; frozen, that is this program.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import TextIO


def main() -> int:
    """Runs what the arguments and the program's own name ask for; returns the exit code."""
    multiprocessing.freeze_support()
    open_streams()
    silence_torch()
    if module := asked_module(sys.argv[1:]):
        name, *words = module
        sys.argv = [name, *words]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return 0
    if Path(sys.executable).stem == "crots":
        from crots.cli.main import main as command

        return command()
    from crots_studio.__main__ import main as studio

    return studio()


def asked_module(words: list[str]) -> list[str]:
    """Returns a module and its arguments where Python's ``-m`` asks for one; -P means nothing to a frozen program."""
    if words[:1] == ["-P"]:
        words = words[1:]
    return words[1:] if words[:1] == ["-m"] else []


def silence_torch() -> None:
    """Keeps torch from warning, at an export, that Triton is missing: the bundle leaves it out."""
    logging.getLogger("torch.utils.flop_counter").setLevel(logging.ERROR)


def open_streams() -> None:
    """Gives a program without a terminal the streams that it was started with, if any (on Windows it has none)."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _stream(number))


def _stream(number: int) -> TextIO:
    try:
        return os.fdopen(number, "w", encoding="utf-8", errors="replace", buffering=1)
    except OSError:
        return Path(os.devnull).open("w", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
