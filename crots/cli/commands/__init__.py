"""The commands, one file each; a line in `GROUPS` is what makes one known.

A command's module is imported only when it is asked for, so that ``crots --help`` and ``crots status`` are instant.
"""

from __future__ import annotations

import importlib
from typing import cast

from crots.cli.command import Command
from crots.config import unknown_name
from crots.errors import InputError

GROUPS: dict[str, dict[str, str]] = {
    "Projects: everything in one folder, to be stopped and continued at will": {
        "demo": "render two small domains, train on one, adapt to the other; the whole method in minutes",
        "init": "make a project from your images and a source model or its predictions",
        "run": "run the stages of a project that are not done",
        "status": "show what is done, stale or interrupted in a project",
        "report": "say what a run changed, and write it as one HTML page",
        "compare-methods": "adapt with several methods, or without single mended faults, and compare the scores",
    },
    "Stages alone: files in, files out": {
        "pseudo-label": "label images with a source model or its predictions",
        "baseline": "train a student on pseudo-labels",
        "mine": "cut patches of rare classes from pseudo-labels",
        "adapt": "self-distillation on mixed images and patches",
        "train": "train on labelled images, for a source model or an upper bound",
        "evaluate": "score a model or predictions against labels",
        "extract": "take the plain weights out of a training checkpoint",
        "export": "write a model for other programs and compare it with the original",
        "predict": "run a model on images or a video",
    },
    "Tools": {
        "suspects": "list the images and regions of a project whose pseudo-labels are the most doubtful",
        "inspect": "say what a folder, checkpoint or prediction set is, and what is wrong with it",
        "bench": "measure how fast the stages are here, and what each measure gains",
        "convert-labels": "write train-id labels from a dataset's own",
        "options": "list the options of the sections of a project, for --set and crots.toml",
    },
}
SUMMARIES = {name: summary for group in GROUPS.values() for name, summary in group.items()}


def load_command(name: str) -> Command:
    """Returns a command by name.

    Raises:
        InputError: there is none of that name; the nearest are named.
    """
    if name not in SUMMARIES:
        raise InputError(str(unknown_name("", name, list(SUMMARIES), what="command")).removeprefix(": "))
    module = importlib.import_module(f"crots.cli.commands.{name.replace('-', '_')}")
    return cast(Command, module.COMMAND)
