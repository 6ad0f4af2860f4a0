"""Starting Python processes, and keeping all of them away from the current folder and the network.

`crots.__main__` and `crots_studio.__main__` remove the current folder from their own path themselves, before anything
else is imported.
"""

from __future__ import annotations

import os
import sys

# Variables that the model libraries read before they contact their hub or send telemetry.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
# Set if CROTS, and not the user, keeps the hub's library offline.
OURS = "CROTS_KEEPS_OFFLINE"


def module_command(module: str, *words: str) -> list[str]:
    """Returns the command that runs a module as a program, never one that lies in the current folder."""
    return [sys.executable, "-P", "-m", module, *words]


def child_environment(**more: str) -> dict[str, str]:
    """Returns the environment for a child process; its own children do not search the current folder either."""
    environment = {**os.environ, **more, "PYTHONSAFEPATH": "1"}
    if "PYTHONPATH" in environment:
        # An empty entry, which scripts that join paths may leave, means the current folder too.
        entries = [entry for entry in environment["PYTHONPATH"].split(os.pathsep) if entry]
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment


def keep_to_ourselves() -> None:
    """Called first by our programs: child processes do not search the current folder, and no library goes online.

    A user who wants a hub sets the environment (``HF_HUB_OFFLINE=0``); weights that were asked for by name are fetched.
    """
    if "HF_HUB_OFFLINE" not in os.environ:
        os.environ[OURS] = "1"
    for name, value in {**_OFFLINE, "PYTHONSAFEPATH": "1"}.items():
        os.environ.setdefault(name, value)
