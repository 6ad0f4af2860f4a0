"""Doubtful pseudo-labels that `crots suspects` found in a project: by image, and as regions with a reason."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crots.errors import InputError
from crots.interpreter import child_environment, module_command
from crots.stages.suspicion_file import load_suspicion
from crots_studio.models.label_list import LabelList

INDEX = Path("suspicion") / "suspicion.json"


@dataclass(frozen=True)
class Suspect:
    """A region: left, top, width and height in pixels of the label, the reason, and its doubt, 0..1."""

    box: tuple[int, int, int, int]
    reason: str
    doubt: float = 1.0


@dataclass(frozen=True)
class Suspicion:
    """The result of a search; empty if there was none.

    Attributes:
        doubt: 0..1 by image key.
        regions: by image key, worst first.
        ranked: the regions of all images with the keys of these, worst first.
    """

    doubt: Mapping[str, float] = field(default_factory=dict)
    regions: Mapping[str, tuple[Suspect, ...]] = field(default_factory=dict)
    ranked: tuple[tuple[str, Suspect], ...] = ()

    @staticmethod
    def read(project: Path) -> Suspicion:
        """Reads a project's file; a file of another form counts as none."""
        try:
            found = load_suspicion(project / INDEX)
        except InputError:
            return Suspicion()
        if found is None:
            return Suspicion()
        doubt = {row["key"]: row["doubt"] for row in found["images"]}
        regions: dict[str, list[Suspect]] = {}
        ranked: list[tuple[str, Suspect]] = []
        for region in found["regions"]:
            left, top, width, height = region["box"]
            share = min(max(region.get("doubt", 1.0), 0.0), 1.0)
            suspect = Suspect((left, top, width, height), region["reason"], share)
            regions.setdefault(region["key"], []).append(suspect)
            ranked.append((region["key"], suspect))
        return Suspicion(doubt, {key: tuple(rows) for key, rows in regions.items()}, tuple(ranked))

    def joined(self, labels: LabelList) -> LabelList:
        """Returns the list with the doubt of its images."""
        doubt = np.array([self.doubt.get(key, np.nan) for key in labels.keys], np.float32)
        return dataclasses.replace(labels, doubt=doubt)


def find_suspects(project: Path, *flags: str) -> None:
    """Searches for suspicious labels in a child process, as in a terminal; for another thread than the window's.

    Args:
        project: the folder.
        flags: ``--trust`` where the user trusts the third-party code that the options name.

    Raises:
        InputError: the error of the command.
    """
    command = module_command("crots", "suspects", str(project), "--quiet", *flags)
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
        env=child_environment(),
        # Windows would open a console.
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise InputError(lines[-1] if lines else f"crots suspects ended with code {done.returncode}")
