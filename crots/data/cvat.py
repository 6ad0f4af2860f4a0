"""CVAT's file of outlines and masks, "CVAT for images": one XML file with the labels of many images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from xml.parsers import expat

import numpy as np

from crots.config import Size
from crots.data.shapes import (
    MALFORMED,
    MOST_BYTES,
    REMEDY,
    Album,
    Ring,
    Shape,
    ellipse,
    from_runs,
    malformed,
    point,
    rectangle,
)
from crots.errors import InputError
from crots.records import read_plain

_ROOT = "annotations"
# Shapes that are not drawn: they cover no pixel, or label the whole image.
_THIN = ("polyline", "points", "skeleton", "tag")
_DRAWN = ("polygon", "mask", "box", "ellipse")
# Bytes at the beginning of a file that identify it.
_HEAD = 10**4
Attributes = Mapping[str, str]


class _Other(Exception):
    """The file is none of CVAT for images, or the rest of it need not be read."""


class _ElementReader:
    """Follows the elements of a file: images, and the shapes in each."""

    def __init__(self, *, only_kind: bool = False) -> None:
        self.only_kind = only_kind
        self.images: list[tuple[Attributes, list[tuple[str, Attributes]]]] = []
        self.known = self.inside = False
        self.depth = 0
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        # Entities may be defined to fill the memory; CVAT defines none.
        self.parser.StartDoctypeDeclHandler = self.refuse

    def refuse(self, *about: object) -> None:
        raise _Other("a document type")

    def start(self, name: str, about: Attributes) -> None:
        self.depth += 1
        if self.depth == 1 and name != _ROOT:
            raise _Other(f"<{name[:40]}> where <{_ROOT}> begins a file of CVAT")
        self.known = True
        if self.only_kind:
            return
        if self.depth == 2 and name == "track":
            raise _Other("tracks of a video; export as CVAT for images or Segmentation mask")
        if self.depth == 2 and name == "image":
            self.images.append((dict(about), []))
            self.inside = True
        elif self.inside and self.depth == 3:
            self.images[-1][1].append((name, dict(about)))

    def end(self, name: str) -> None:
        self.depth -= 1
        self.inside = self.inside and self.depth >= 2


def is_cvat(path: Path) -> bool:
    """Whether an XML file is CVAT's, by its beginning."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        reader = _ElementReader(only_kind=True)
        reader.parser.Parse(head, False)
    except (OSError, _Other, expat.ExpatError, ValueError):
        return False
    return reader.known


def read_cvat(path: Path) -> Album:
    """Reads a file.

    Raises:
        InputError: it is missing, damaged, or none of CVAT for images.
    """
    content = read_plain(path, most=MOST_BYTES, remedy=REMEDY)
    if content is None:
        raise InputError(f"{path}: no such file")
    reader = _ElementReader()
    try:
        reader.parser.Parse(content, True)
    except (_Other, expat.ExpatError, ValueError) as error:
        raise InputError(f"{path}: is no file of CVAT for images ({error}); {REMEDY}") from None
    sizes: dict[str, Size] = {}
    shapes: dict[str, list[Callable[[], Iterable[Shape]]]] = {}
    parts: dict[str, str] = {}
    try:
        for image, found in reader.images:
            name = image["name"].replace("\\", "/")
            if name in sizes:
                raise ValueError(f"two images called {name!r:.80}; export each task alone")
            sizes[name] = Size(_side(image["width"]), _side(image["height"]))
            ordered = sorted(found, key=lambda one: int(one[1].get("z_order", 0)))
            shapes[name] = [partial(_shape, kind, about) for kind, about in ordered]
            if subset := image.get("subset"):
                parts[name] = subset
    except MALFORMED as error:
        raise malformed(path, error) from None
    return Album(path, sizes, shapes, parts)


def _side(text: str) -> int:
    if not int(text) >= 1:
        raise ValueError(f"found the size {text!r:.40}")
    return int(text)


def _shape(kind: str, about: Attributes) -> Iterable[Shape]:
    if kind in _THIN:
        return []
    if kind not in _DRAWN:
        raise ValueError(f"the shape {kind!r:.40}")
    name = about["label"]
    if kind == "mask":
        left, top, width, height = (int(about[key]) for key in ("left", "top", "width", "height"))
        runs = [int(run) for run in about["rle"].split(",")]
        # Row by row, unlike COCO's.
        return [Shape(name, mask=from_runs(runs, width, height).reshape(height, width), corner=(left, top))]
    if kind == "polygon":
        ring: Ring = tuple(point(pair.split(",")) for pair in about["points"].split(";"))
    elif kind == "box":
        ring = rectangle(*(float(about[key]) for key in ("xtl", "ytl", "xbr", "ybr")))
    else:
        ring = ellipse(*(float(about[key]) for key in ("cx", "cy", "rx", "ry")))
    return [Shape(name, (_turned(ring, float(about.get("rotation", 0))),) if len(ring) > 2 else ())]


def _turned(ring: Ring, degrees: float) -> Ring:
    """Turns an outline clockwise around its middle."""
    if not degrees:
        return tuple(map(point, ring))
    points = np.array(ring)
    middle = (points.min(0) + points.max(0)) / 2
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return tuple(map(point, ((points - middle) @ turn + middle).round(6).tolist()))
