"""The commands, one file each; a line in `GROUPS` registers one.

A command's module is imported only when it is used, so that ``crots --help`` and ``crots status`` are instant.
"""

from __future__ import annotations

import importlib
from typing import cast

from crots.cli.command import Command
from crots.config import unknown_name
from crots.errors import InputError

GROUPS: dict[str, dict[str, str]] = {
    "Projects: everything in one folder; stop and continue at any time": {
        "demo": "render two small domains, train on one, adapt to the other; the whole method in minutes",
        "init": "create a project from your images and a source model or its predictions",
        "run": "run the stages of a project that are not done",
        "status": "show what is done, stale or interrupted in a project",
        "report": "summarise what a run changed, and write it as one HTML page",
        "compare-methods": "compare the scores of several methods, or an ablation of the faults of the published code",
    },
    "Single stages: files in, files out": {
        "pseudo-label": "label images with a source model or its predictions",
        "baseline": "train a student on pseudo-labels",
        "mine": "cut patches of rare classes from pseudo-labels",
        "adapt": "self-distillation on mixed images and patches",
        "train": "train on labelled images, for a source model or an upper bound",
        "evaluate": "score a model or predictions against labels",
        "extract": "extract plain weights from a training checkpoint",
        "export": "write a model for other programs and compare it with the original",
        "predict": "run a model on images or a video",
    },
    "Tools": {
        "suspects": "list the images and regions whose pseudo-labels are most doubtful",
        "inspect": "show what a folder, model file or prediction set contains, and every problem in it",
        "bench": "measure how fast the stages are on this machine",
        "convert-labels": "convert the labels of a dataset to train ids",
        "options": "list the options of a project, for --set and crots.toml",
    },
}
SUMMARIES = {name: summary for group in GROUPS.values() for name, summary in group.items()}


def load_command(name: str) -> Command:
    """Returns a command by name.

    Raises:
        InputError: there is no such command; the message names the closest.
    """
    if name not in SUMMARIES:
        raise InputError(str(unknown_name("", name, list(SUMMARIES), what="command")).removeprefix(": "))
    module = importlib.import_module(f"crots.cli.commands.{name.replace('-', '_')}")
    return cast(Command, module.COMMAND)
