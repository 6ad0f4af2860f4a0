"""Labels that are outlines with class names: JSON files of labelme, one an image, and of COCO, one a data set.

A label of COCO is named by a path below its file, which holds no such folder: ``instances.json/street/1.jpg``.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from crots.classlists import is_void
from crots.config import Size, unknown_name
from crots.errors import InputError
from crots.files import file_stamp
from crots.limits import check_pixels
from crots.records import parse, read_plain
from crots.taxonomy import ClassSet, label_dtype

SUFFIX = ".json"
# The outlines of a hundred thousand images take about half of it.
_MOST_BYTES = 3 * 10**8
_REMEDY = "export the labels again"
# Shapes that cover no pixel.
_THIN = ("line", "linestrip", "point", "points")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Shape:
    """One outline, or one mask, with the name of its class.

    Attributes:
        name: of the class.
        rings: polygons, each a list of (x, y), which together are the shape.
        mask: (h, w) bool where the shape is given by pixels.
        corner: x and y of the mask's first pixel.
    """

    name: str
    rings: tuple[tuple[tuple[float, float], ...], ...] = ()
    mask: NDArray[np.bool_] | None = None
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Outlines:
    """The labels of one image: later shapes lie over earlier ones."""

    size: Size
    shapes: tuple[Shape, ...]


# Which file is of which kind.


def is_labelme(path: Path) -> bool:
    """Whether a JSON file is labelme's, of one image."""
    found = _content(path)
    return isinstance(found, dict) and isinstance(found.get("shapes"), list) and "imagePath" in found


def is_coco(path: Path) -> bool:
    """Whether a JSON file is COCO's."""
    found = _content(path)
    keys = ("images", "annotations", "categories")
    return isinstance(found, dict) and all(isinstance(found.get(key), list) for key in keys)


def coco_labels(path: Path) -> dict[str, Path]:
    """Returns the labels of a COCO file by the name of their image.

    Raises:
        InputError: it is none.
    """
    return {name: path / name for name in _coco(path).images}


def has_outlines(path: Path) -> bool:
    """Whether a label's path is one of this module."""
    return path.suffix.lower() == SUFFIX or _coco_file(path) is not None


def _coco_file(path: Path) -> Path | None:
    return next((parent for parent in path.parents if parent.suffix.lower() == SUFFIX and parent.is_file()), None)


def _content(path: Path) -> Any:
    try:
        return _parsed(path)
    except InputError:
        return None


def _parsed(path: Path) -> Any:
    content = read_plain(path, most=_MOST_BYTES, remedy=_REMEDY)
    if content is None:
        raise InputError(f"{path}: no such file")
    try:
        return parse(content)
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error}); {_REMEDY}") from None


# Reading.


def read_outlines(path: Path) -> Outlines:
    """Reads the labels of one image.

    Raises:
        InputError: the file is missing, damaged, or holds what is no outline.
    """
    file = _coco_file(path)
    if file is not None:
        name = path.relative_to(file).as_posix()
        return _coco(file).outlines(name)
    found = _parsed(path)
    try:
        size = Size(_whole(found["imageWidth"]), _whole(found["imageHeight"]))
        check_pixels(path, *size)
        shapes = (_labelme_shape(path, shape) for shape in found["shapes"])
        return Outlines(size, tuple(shape for shape in shapes if shape is not None))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _malformed(path, error) from None


def _malformed(path: Path, error: Exception) -> InputError:
    kind = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return InputError(f"{path}: holds a shape that is not understood ({kind[:160]}); {_REMEDY}")


def _whole(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"found the size {value!r:.40}")
    return value


def _labelme_shape(path: Path, shape: Mapping[str, Any]) -> Shape | None:
    name, kind = str(shape["label"]), shape.get("shape_type") or "polygon"
    if kind in _THIN:
        return None
    points = [_point(point) for point in shape["points"]]
    if kind == "mask":
        corner = (round(points[0][0]), round(points[0][1]))
        return Shape(name, mask=_pixels(path, shape["mask"]), corner=corner)
    if kind == "rectangle":
        (left, top), (right, bottom) = points[0], points[-1] if len(points) == 2 else points[2]
        return Shape(name, (((left, top), (right, top), (right, bottom), (left, bottom)),))
    if kind == "circle":
        (x, y), edge = points
        angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        radius = float(np.hypot(edge[0] - x, edge[1] - y))
        return Shape(name, (tuple((x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles),))
    if kind != "polygon":
        raise ValueError(f"the shape_type {kind!r:.40}")
    return Shape(name, (tuple(points),) if len(points) > 2 else ())


def _point(point: Any) -> tuple[float, float]:
    x, y = (float(value) for value in point)
    if not (abs(x) < 1e6 and abs(y) < 1e6):
        raise ValueError(f"the point {point!r:.40}")
    return x, y


def _pixels(path: Path, text: str) -> NDArray[np.bool_]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            check_pixels(path, *image.size)
            return np.asarray(image.convert("L")) > 0
    except InputError:
        raise
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"a mask: {error}") from None


@dataclass(frozen=True)
class _Coco:
    path: Path
    images: Mapping[str, Size]
    shapes: Mapping[str, Sequence[tuple[str, Any]]]

    def outlines(self, name: str) -> Outlines:
        if name not in self.images:
            raise InputError(f"{self.path}: holds no image {name}; {_REMEDY}")
        size = self.images[name]
        check_pixels(self.path, *size)
        try:
            return Outlines(size, tuple(_coco_shape(kind, segments, size) for kind, segments in self.shapes[name]))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise _malformed(self.path / name, error) from None


def _coco(path: Path) -> _Coco:
    return _coco_of(path, tuple(file_stamp(path)))


@lru_cache(maxsize=2)
def _coco_of(path: Path, stamp: tuple[Any, ...]) -> _Coco:
    found = _parsed(path)
    try:
        kinds = {row["id"]: str(row["name"]) for row in found["categories"]}
        names = {row["id"]: str(row["file_name"]).replace("\\", "/") for row in found["images"]}
        sizes = {names[row["id"]]: Size(_whole(row["width"]), _whole(row["height"])) for row in found["images"]}
        shapes: dict[str, list[tuple[str, Any]]] = {name: [] for name in sizes}
        for row in found["annotations"]:
            shapes[names[row["image_id"]]].append((kinds[row["category_id"]], row.get("segmentation")))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _malformed(path, error) from None
    return _Coco(path, sizes, shapes)


def _coco_shape(name: str, segments: Any, size: Size) -> Shape:
    if isinstance(segments, dict):
        return Shape(name, mask=_run_lengths(segments, size))
    rings = []
    for ring in segments or ():
        rings.append(tuple(_point(ring[place : place + 2]) for place in range(0, len(ring), 2)))
    if not rings:
        raise ValueError("a box without an outline; export polygons or masks")
    return Shape(name, tuple(ring for ring in rings if len(ring) > 2))


def _run_lengths(found: Mapping[str, Any], size: Size) -> NDArray[np.bool_]:
    """Decodes a mask in runs of absent and present pixels, column by column."""
    height, width = found["size"]
    if (width, height) != size:
        raise ValueError(f"a mask of {width}x{height} in an image of {size}")
    counts = found["counts"]
    runs = _packed_runs(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise ValueError("a mask whose runs do not fill the image")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.asarray(values.reshape(width, height).T)


def _packed_runs(text: str) -> list[int]:
    """Unpacks runs that are written as text: 5 bits a letter, least first, and from the third on as differences."""
    runs: list[int] = []
    value, shift = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs


# Drawing.


def names_in(paths: Iterable[Path]) -> list[str]:
    """Returns the class names that occur, sorted; files that cannot be read are left out."""
    found: set[str] = set()
    for path in paths:
        try:
            found.update(shape.name for shape in read_outlines(path).shapes)
        except InputError:
            continue
    return sorted(name for name in found if not is_void(name))


def rasterise(path: Path, classes: ClassSet) -> NDArray[Any]:
    """Draws the labels of an image.

    Returns:
        (H, W) train ids; where no shape is, the class that is called background, else the ignore label.

    Raises:
        InputError: the file cannot be read, or names a class that the set does not have.
    """
    known = [_plain(name) for name in classes.names]
    ground = known.index("background") if "background" in known else classes.ignore
    return painted(path, classes, ground).astype(label_dtype(classes))


def painted(path: Path, classes: ClassSet, ground: int) -> NDArray[np.int32]:
    """Draws the labels of an image over a ground, (H, W); see `rasterise`.

    Raises:
        InputError: the file cannot be read, or names a class that the set does not have.
    """
    outlines = read_outlines(path)
    near = {_plain(name): train for train, name in enumerate(classes.names)}
    exact = {name: train for train, name in enumerate(classes.names)}
    labels = np.full((outlines.size.height, outlines.size.width), ground, np.int32)
    for shape in outlines.shapes:
        train = exact.get(shape.name, near.get(_plain(shape.name)))
        if train is None and is_void(shape.name):
            train = classes.ignore
        if train is None:
            raise unknown_name(str(path), shape.name, list(classes.names), what=f"class of the set {classes.name}")
        _draw(labels, shape, train)
    return labels


def outlined(labels: NDArray[Any], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Returns the shapes of labelme that draw a label map exactly, larger ones first.

    Args:
        labels: (H, W).
        names: of the labels that get shapes.
    """
    import cv2

    found: list[tuple[int, dict[str, Any]]] = []
    for label in np.unique(labels):
        if int(label) not in names:
            continue
        # A 4-connected area never crosses an 8-connected outline.
        alike = (labels == label).astype(np.uint8)
        count, parts, boxes, _ = cv2.connectedComponentsWithStats(alike, connectivity=4)
        for part in range(1, count):
            left, top, width, height, _ = boxes[part].tolist()
            piece = (parts[top : top + height, left : left + width] == part).astype(np.uint8)
            (ring,), _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            filled = int(cv2.drawContours(piece, [ring], 0, 1, cv2.FILLED).sum())
            points = [[left + x, top + y] for x, y in ring[:, 0].tolist()]
            points = (points * 3)[:3] if len(points) < 3 else points
            shape = {"label": names[int(label)], "points": points, "group_id": None, "shape_type": "polygon"}
            found.append((filled, {**shape, "flags": {}}))
    return [shape for _, shape in sorted(found, key=lambda one: -one[0])]


def _plain(name: str) -> str:
    return "".join(_WORD.findall(name.lower()))


def _draw(labels: NDArray[np.int32], shape: Shape, train: int) -> None:
    if shape.mask is not None:
        left, top = shape.corner
        rows, columns = (slice(max(0, start), max(0, start + side)) for start, side in
                         ((top, shape.mask.shape[0]), (left, shape.mask.shape[1])))  # fmt: skip
        place = labels[rows, columns]
        mask = shape.mask[max(0, -top) :, max(0, -left) :][: place.shape[0], : place.shape[1]]
        place[mask] = train
        return
    if not shape.rings:
        return
    canvas = Image.new("L", (labels.shape[1], labels.shape[0]))
    pen = ImageDraw.Draw(canvas)
    for ring in shape.rings:
        pen.polygon(list(ring), fill=1, outline=1)
    labels[np.asarray(canvas) > 0] = train
