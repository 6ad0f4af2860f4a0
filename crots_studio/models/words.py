"""Names and numbers as people read them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from crots.options import SECTIONS, all_options
from crots.text import byte_count as byte_count
from crots.text import duration as duration

_SECTIONS = {
    "data": "Images",
    "task": "Classes",
    "source": "Source",
    "student": "Student",
    "runtime": "Device and speed",
    "pseudo_label": "Pseudo-labels",
    "mine": "Hard patches",
    "baseline": "Baseline",
    "adapt": "Adaptation",
    "evaluate": "Evaluation",
    "export": "Export",
}


def section_title(name: str) -> str:
    """Returns what a section of the options is called."""
    return _SECTIONS.get(name, name.replace("_", " ").capitalize())


def option_title(path: str) -> str:
    """``adapt.learning_rate`` is ``Learning rate``."""
    if info := all_options().get(path):
        return info.title
    return path.rpartition(".")[2].replace("_", " ").capitalize()


# What messages of the core call by the flag of a command, and the option that it sets.
_FLAGS = {
    "target": "data.target",
    "val-images": "data.val_images",
    "val-labels": "data.val_labels",
    "labels": "data.val_labels",
    "skip-bad": "data.skip_bad",
    "size": "data.size",
    "classes": "task.classes",
    "class-map": "task.class_map",
    "source": "source.file",
    "net": "source.net",
    "predictions": "source.predictions",
    "predictions-encoding": "source.encoding",
    "student-weights": "student.weights",
    "device": "runtime.device",
}
# Words that fit a terminal only.
_COMMANDS = {
    "make a project with `crots init`": "choose the folder of a project, or make a new one",
    "; give --target DIR": "",
    "add --trust if you trust it": "trust it on the set-up page if you do",
    " (--class-map FILE)": "",
    " by --encoding (for the validation labels of a project --val-encoding)": "",
}
_FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: (?:DIR|FILE)\b)?")
_OPTION = re.compile(rf"(?<![\w/\\.-])({'|'.join(SECTIONS)})\.([a-z_]+)(?![\w/\\])(?!\.\w)")


def in_window(message: str) -> str:
    """Puts what a message of the core says of flags and options into the words that stand in the window."""

    def option(path: str, found: str) -> str:
        if path not in all_options():
            return found
        return f"\u201c{option_title(path)}\u201d (settings, {section_title(path.partition('.')[0])})"

    for words, better in _COMMANDS.items():
        message = message.replace(words, better)
    message = _FLAG.sub(lambda hit: option(_FLAGS[hit[1]], hit[0]) if hit[1] in _FLAGS else hit[0], message)
    return _OPTION.sub(lambda hit: option(f"{hit[1]}.{hit[2]}", hit[0]), message)


def plural(count: int, noun: str) -> str:
    """``1 image``, ``2,975 images``."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def listing(names: Sequence[str], room: int = 60) -> str:
    """Lists names with commas, as many as there is room for (in letters): ``road, sky and 3 more``."""
    shown: list[str] = []
    for name in names:
        if shown and len(", ".join([*shown, name])) > room:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown)


def breakable(name: str) -> str:
    """Lets a long name of a file go on in the next line."""
    return name.replace("/", "/\u200b").replace("_", "_\u200b")


def command_text(words: Sequence[str]) -> str:
    """Returns a command as this system's terminal takes it; that of Windows knows no single quotes."""
    if sys.platform == "win32":
        import subprocess

        return subprocess.list2cmdline(words)
    return shlex.join(words)
