"""Class sets in the form that data sets and labelling tools bring them: CVAT, CamVid, Mapillary Vistas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crots.errors import InputError
from crots.records import parse, read_plain

SUFFIXES = (".txt", ".json")
# ``label:r,g,b:parts:actions`` of CVAT's labelmap.txt, and ``r g b name`` of CamVid's label_colors.txt.
_CVAT = re.compile(r"(?P<name>[^:]+):(?P<red>\d+),(?P<green>\d+),(?P<blue>\d+):.*")
_CAMVID = re.compile(r"(?P<red>\d+)\s+(?P<green>\d+)\s+(?P<blue>\d+)\s+(?P<name>\S.*)")
_MOST_BYTES = 4 * 10**6
_VOID = ("void", "unlabeled", "unlabelled")


def read_class_list(path: Path) -> dict[str, Any]:
    """Returns what a class set's TOML file would hold.

    Args:
        path: ``labelmap.txt`` of CVAT, ``label_colors.txt`` of CamVid, or ``config*.json`` of Mapillary Vistas.

    Raises:
        InputError: it is none of them.
    """
    content = read_plain(path, most=_MOST_BYTES, remedy="give a class set")
    text = (content or b"").decode("utf-8-sig", errors="replace")
    rows = _of_json(text) if path.suffix.lower() == ".json" else _of_lines(text)
    if not rows:
        raise InputError(
            f"class set {path}: found no classes, expected lines like `road:128,64,128::` (CVAT's labelmap.txt) or "
            "`128 64 128 Road`, or Mapillary's config.json; or write a TOML file"
        )
    kept = [row for row in rows if row["name"].lower() not in _VOID]
    ignored = [row["colour"] for row in rows if row not in kept and row["colour"] != [0, 0, 0]]
    return {"name": path.parent.name or path.stem, "classes": kept, "ignored_colours": ignored}


def _of_lines(text: str) -> list[dict[str, Any]]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [_CVAT.fullmatch(line) or _CAMVID.fullmatch(line) for line in lines]
    if not all(found):
        return []
    return [
        {"name": hit["name"].strip(), "colour": [int(hit["red"]), int(hit["green"]), int(hit["blue"])]}
        for hit in found
        if hit is not None
    ]


def _of_json(text: str) -> list[dict[str, Any]]:
    try:
        labels = parse(text).get("labels")
    except (ValueError, AttributeError):
        return []
    rows = labels if isinstance(labels, list) else []
    if not all(isinstance(row, dict) and isinstance(row.get("readable", row.get("name")), str) for row in rows):
        return []
    return [{"name": row.get("readable", row.get("name")), "colour": row.get("color")} for row in rows]
