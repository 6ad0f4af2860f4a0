"""Labels of tools whose files are not read: which tool they are of, and what to make of them.

Otherwise a data set of them would seem to have no labels, without a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from crots.files import files_below

# Of names that are looked through, of files that are opened, and of what is read of each.
_NAMES, _OPENED, _HEAD = 5000, 8, 16384
_KINDS = {
    ".json": {
        "Supervisely": (
            re.compile(r'"(classTitle|geometryType)"\s*:|"exterior"\s*:\s*\['),
            "export masks (PNG) or COCO from there",
        ),
        "the VGG Image Annotator": (
            re.compile(r'"(shape_attributes|_via_img_metadata|_via_settings)"\s*:'),
            "export COCO from there (Annotation, Export Annotations in COCO format)",
        ),
    },
    ".txt": {
        "YOLO": (
            re.compile(r"\A\s*\d+(?=.*\.)([ \t]+([01]|[01]?\.\d+)([eE]-\d+)?){4,}[ \t]*$", re.MULTILINE),
            "convert outlines to masks or COCO, as with CVAT or Datumaro; boxes are no labels of pixels",
        ),
        "numbers": (
            re.compile(r"\A[ \t]*-?\d+([ \t,;]+-?\d+){9,}[ \t]*$", re.MULTILINE),
            "if these are the ids of the pixels, store them as PNG",
        ),
    },
    ".mat": {
        "MATLAB": (re.compile(r"\AMATLAB \d|\A.HDF"), "store the labels in it as PNG, as with scipy.io.loadmat"),
    },
    ".xml": {
        "Aperio ImageScope": (
            re.compile(r"<Annotations\b[^>]*MicronsPerPixel"),
            "draw its outlines into masks (PNG), or convert them to COCO",
        ),
    },
}


def foreign_labels(folder: Path) -> str:
    """Says that a folder holds labels of a tool whose files are not read; empty where it does not."""
    for path in _first_files(folder):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                head = file.read(_HEAD)
        except OSError:
            continue
        for tool, (mark, remedy) in _KINDS[path.suffix.lower()].items():
            if mark.search(head):
                return f"{path.name} is a file of {tool}, which is not read: {remedy}"
    return ""


def _first_files(folder: Path) -> Iterator[Path]:
    """A few files of each suffix that such labels have."""
    left = dict.fromkeys(_KINDS, _OPENED)
    for name, entry in islice(files_below(folder), _NAMES):
        suffix = Path(name).suffix.lower()
        # Not pipes, which would be waited for.
        if left.get(suffix) and entry.is_file():
            left[suffix] -= 1
            yield folder / name
