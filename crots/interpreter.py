"""Other Python processes, and what every process of ours keeps away from: the current folder, and the network.

`crots.__main__` and `crots_studio.__main__` take the current folder from their own path by themselves, before anything
else is imported.
"""

from __future__ import annotations

import os
import sys

# What the libraries of networks ask before they reach for their hub, and send word of themselves.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def module_command(module: str, *words: str) -> list[str]:
    """Returns the command that runs a module as a program, never one that lies in the current folder."""
    return [sys.executable, "-P", "-m", module, *words]


def child_environment(**more: str) -> dict[str, str]:
    """Returns the environment for a child, whose own children do not search the current folder either."""
    environment = {**os.environ, **more, "PYTHONSAFEPATH": "1"}
    if "PYTHONPATH" in environment:
        # An empty entry, left by a script that joined paths, means the current folder too.
        entries = [entry for entry in environment["PYTHONPATH"].split(os.pathsep) if entry]
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment


def keep_to_ourselves() -> None:
    """Called by our programs first: what their libraries start searches no current folder, and no library calls home.

    A user who wants a hub says so in the environment (``HF_HUB_OFFLINE=0``).
    """
    for name, value in {**_OFFLINE, "PYTHONSAFEPATH": "1"}.items():
        os.environ.setdefault(name, value)
