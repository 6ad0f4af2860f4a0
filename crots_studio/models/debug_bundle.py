"""The archive for a bug report: log, options, events and versions; no images, no models."""

from __future__ import annotations

import zipfile
from pathlib import Path

from crots.artefacts import EVENTS
from crots.files import atomic_path
from crots.project import CONFIG_NAME, Project

# Bytes of the event stream's end, where faults show.
_MOST = 4_000_000
SUFFIX = ".zip"


def write_bundle(path: Path, project: Project | None, log: str, versions: str) -> Path:
    """Writes the archive.

    Args:
        path: where to; replaced where it is there.
        project: whose options and events go in; None before there is one.
        log: what the window's log says.
        versions: of what is at work.

    Returns:
        The path.
    """
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("versions.txt", versions + "\n")
        archive.writestr("log.txt", log + "\n")
        if project is not None:
            for name, place in ((CONFIG_NAME, project.folder / CONFIG_NAME), (EVENTS, project.events_path)):
                if place.is_file() and not place.is_symlink():
                    archive.writestr(name, _end_of(place))
    return path


def _end_of(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _MOST))
        content = file.read(_MOST)
    # The first line may be cut.
    return content if size <= _MOST else content.partition(b"\n")[2]
