"""Names and numbers as people read them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import PurePath

from crots.folders import HEAD
from crots.options import TRUST, all_options, with_options_named
from crots.text import byte_count as byte_count
from crots.text import duration as duration
from crots.text import plural as plural
from crots_studio.models.names import title

# In a list of presets: the options as they are, which may be the defaults or changed ones.
NO_PRESET = "none"

# Other sections are called like their stage.
_SECTIONS = {"data": "Images", "task": "Classes", "runtime": "Device and speed", "adapt": "Adaptation"}


def section_title(name: str) -> str:
    """Returns the title of a section of options."""
    return _SECTIONS.get(name) or title(name.replace("_", "-"))


def option_title(path: str) -> str:
    """``adapt.learning_rate`` is ``Learning rate``, ``adapt.select`` is ``Checkpoint to keep``."""
    if info := all_options().get(path):
        return info.title
    return path.rpartition(".")[2].replace("_", " ").capitalize()


# As files and terminals switch an option.
_SWITCHED = re.compile(r"(`[a-z_]+\.[a-z_]+`) = (true|false)\b")


def in_window(message: str) -> str:
    """Names the options of a core's message as the window calls them."""
    switched = _SWITCHED.sub(lambda found: f"switching {'on' if found[2] == 'true' else 'off'} {found[1]}", message)
    return with_options_named(switched, _named)


# The last clause of a message; what is in brackets belongs to it.
_LAST = re.compile(r"; (?:[^;()]|\([^()]*\))*$")


def without_remedy(message: str) -> str:
    """Leaves out of a core's message which option to set, for where an offer beside it sets that by one click."""
    found = _LAST.search(message)
    return message[: found.start()] if found and "`" in found[0] else message


def fault_text(error: BaseException, *, offered: bool = False, beside: str = "") -> str:
    """Returns the message of an error as the window calls the options; the kind of an error that has none.

    Args:
        error: whose message it is.
        offered: an offer beside it sets what the message says to set, which is left out.
        beside: the option beside which it stands: its name is left out where it leads the message.
    """
    message = without_remedy(str(error)) if offered else str(error)
    return in_window(message.removeprefix(f"{beside}: ")) or type(error).__name__


def _named(option: str) -> str:
    if option == TRUST:
        return "the trust question in Set-up"
    section, _, _ = option.partition(".")
    return f"\u201c{option_title(option)}\u201d (settings, {section_title(section)})"


def net_title(net: str) -> str:
    """Returns the name of a network where there is little room: of a saved model's folder its own name."""
    return PurePath(net.removeprefix(HEAD)).name if net.startswith(HEAD) else net


def listing(names: Sequence[str], room: int = 60) -> str:
    """Lists names with commas, as many as there is room for (in letters): ``road, sky and 3 more``."""
    shown: list[str] = []
    for name in names:
        if shown and len(", ".join([*shown, name])) > room:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown)


# Of a question, whose window cannot be scrolled: rows of text, and letters of one.
_ROWS, _ROW = 16, 60


def in_question(texts: Sequence[str], gap: str = "\n") -> str:
    """Lists texts below each other, as many as a question has room for on a small screen: ``...`` and 3 more."""
    shown: list[str] = []
    rows = 0
    for text in texts:
        rows += -(-len(text) // _ROW) + gap.count("\n") - 1
        if shown and rows > _ROWS:
            return gap.join([*shown, f"and {len(texts) - len(shown)} more"])
        shown.append(text)
    return gap.join(shown)


def breakable(name: str) -> str:
    """Lets a long name of a file go on in the next line."""
    return name.replace("/", "/\u200b").replace("_", "_\u200b")


def command_text(words: Sequence[str]) -> str:
    """Returns a command as this system's terminal takes it; that of Windows knows no single quotes."""
    if sys.platform == "win32":
        import subprocess

        return subprocess.list2cmdline(words)
    return shlex.join(words)
