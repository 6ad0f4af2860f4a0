"""Labels that are outlines with class names, and drawing them.

JSON files of labelme and of Cityscapes hold one image each, those of COCO, CVAT and Label Studio a whole data set. A
label of these is named by a path below its file, which holds no such folder: ``instances.json/street/1.jpg``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from crots.classlists import is_void
from crots.config import Size
from crots.data.coco import read_coco
from crots.data.cvat import is_cvat, read_cvat
from crots.data.label_studio import is_label_studio, read_label_studio
from crots.data.shapes import (
    MALFORMED,
    MOST_BYTES,
    REMEDY,
    Album,
    Misshapen,
    Outlines,
    Shape,
    check_scale,
    ellipse,
    filled,
    malformed,
    point,
    rectangle,
    whole,
)
from crots.errors import InputError
from crots.files import file_stamp
from crots.limits import check_claim, check_pixels
from crots.records import parse, read_plain
from crots.taxonomy import ClassSet, label_dtype, unknown_class

SUFFIX, _XML = ".json", ".xml"
# Of files that hold the labels of many images.
ALBUMS = (SUFFIX, _XML)
# A file of COCO is held as bytes and as text while it is read, beside what is found in it.
_COPIES = 3
# Shapes that cover no pixel.
_THIN = ("line", "linestrip", "point", "points")
# Shapes that are given by their corners; the last two are X-AnyLabeling's.
_RINGS = ("polygon", "rotation", "quadrilateral")
_WORD = re.compile(r"[^\W_]+")
# How Cityscapes calls several things of a class that were outlined together.
_GROUP = "group"


# Which file is of which kind.


def is_labelme(path: Path) -> bool:
    """Whether a JSON file is labelme's, of one image."""
    found = _content(path)
    return isinstance(found, dict) and isinstance(found.get("shapes"), list) and "imagePath" in found


def is_labelled(path: Path) -> bool:
    """As `is_labelme`, for folders that come from a labelling tool, where a damaged file is a correction that is lost.

    Raises:
        InputError: it is no JSON, or labelme's without a list of shapes.
    """
    found = _parsed(path)
    if isinstance(found, dict) and "imagePath" in found and not isinstance(found.get("shapes"), list):
        raise InputError(f"{path}: holds no list of shapes; save it again in the labelling tool")
    return is_labelme(path)


def thin_shapes(path: Path) -> int:
    """Counts the shapes in a file of labelme that cover no pixel: lines, points and polygons of two."""
    rows = [row for row in _parsed(path)["shapes"] if isinstance(row, dict)]
    kinds = [(row.get("shape_type") or "polygon", row.get("points")) for row in rows]
    few = [kind in _RINGS and isinstance(points, list) and len(points) < 3 for kind, points in kinds]
    return sum(kind in _THIN or short for (kind, _), short in zip(kinds, few, strict=True))


def is_outlined(path: Path) -> bool:
    """Whether a JSON file holds the outlines of one image, of labelme or Cityscapes."""
    return is_labelme(path) or _is_cityscapes(_content(path))


def _is_cityscapes(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("objects"), list) and "imgHeight" in found


def is_album(path: Path) -> bool:
    """Whether a file holds the labels of many images: COCO's, CVAT's, or Label Studio's."""
    if path.suffix.lower() == _XML:
        return is_cvat(path)
    try:
        _album(path)
    except Misshapen:
        return True
    except InputError:
        return False
    return True


def album_labels(path: Path) -> dict[str, Path]:
    """Returns the labels in such a file by the name of their image.

    Raises:
        InputError: it is none.
    """
    return {name: path / name for name in _album(path).sizes}


def album_parts(path: Path) -> Mapping[str, str]:
    """Returns the subset of each image in such a file, where it says one.

    Raises:
        InputError: it is none.
    """
    return _album(path).parts


def has_outlines(path: Path) -> bool:
    """Whether a label's path is one of this module."""
    return path.suffix.lower() == SUFFIX or _album_file(path) is not None


def _album_file(path: Path) -> Path | None:
    return next((parent for parent in path.parents if parent.suffix.lower() in ALBUMS and parent.is_file()), None)


def _content(path: Path) -> Any:
    try:
        return _parsed(path)
    except InputError:
        return None


def _parsed(path: Path) -> Any:
    content = read_plain(path, most=MOST_BYTES, remedy=REMEDY)
    if content is None:
        raise InputError(f"{path}: no such file")
    try:
        return parse(content)
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); {REMEDY}") from None


# Reading.


def read_outlines(path: Path) -> Outlines:
    """Reads the labels of one image.

    Raises:
        InputError: the file is missing, damaged, or holds what is no outline.
    """
    file = _album_file(path)
    if file is not None:
        return _album(file).outlines(path.relative_to(file).as_posix())
    found = _parsed(path)
    try:
        if _is_cityscapes(found):
            size = Size(whole(found["imgWidth"]), whole(found["imgHeight"]))
            rows = [row for row in found["objects"] if not row.get("deleted")]
            shapes = [Shape(str(row["label"]), (tuple(map(point, row["polygon"])),)) for row in rows]
        else:
            size = Size(whole(found["imageWidth"]), whole(found["imageHeight"]))
            read = (_labelme_shape(path, shape) for shape in found["shapes"])
            shapes = [shape for shape in read if shape is not None]
        check_pixels(path, *size)
        check_scale(path, shapes, size)
        return Outlines(size, tuple(shapes))
    except Misshapen:
        raise
    except MALFORMED as error:
        raise malformed(path, error) from None


def _labelme_shape(path: Path, shape: Mapping[str, Any]) -> Shape | None:
    name, kind = str(shape["label"]), shape.get("shape_type") or "polygon"
    if kind in _THIN:
        return None
    points = [point(found) for found in shape["points"]]
    if kind == "mask":
        corner = (round(points[0][0]), round(points[0][1]))
        return Shape(name, mask=_pixels(path, shape["mask"]), corner=corner)
    if kind == "rectangle":
        (left, top), (right, bottom) = points[0], points[-1] if len(points) == 2 else points[2]
        return Shape(name, (rectangle(left, top, right, bottom),))
    if kind == "circle":
        (x, y), edge = points
        radius = float(np.hypot(edge[0] - x, edge[1] - y))
        return Shape(name, (ellipse(x, y, radius, radius),))
    if kind not in _RINGS:
        raise ValueError(f"the shape_type {kind!r:.40}")
    return Shape(name, (tuple(points),) if len(points) > 2 else ())


def _pixels(path: Path, text: str) -> NDArray[np.bool_]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            check_pixels(path, *image.size)
            return np.asarray(image.convert("L")) > 0
    except InputError:
        raise
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"a mask: {error}") from None


def _album(path: Path) -> Album:
    return _album_of(path, tuple(file_stamp(path)))


@lru_cache(maxsize=2)
def _album_of(path: Path, stamp: tuple[Any, ...]) -> Album:
    if path.suffix.lower() == _XML:
        return read_cvat(path)
    if path.suffix.lower() != SUFFIX:
        raise InputError(
            f"{path}: found a file, expected the folder of the labels, or one file with the outlines of many images "
            "(JSON of COCO or Label Studio, XML of CVAT); give that, and unpack an archive first"
        )
    text = _text(path)
    if text.lstrip()[:1] != "[":
        return read_coco(path, text)
    try:
        found = parse(text, most=MOST_BYTES)
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); {REMEDY}") from None
    if not is_label_studio(found):
        raise InputError(f"{path}: is a list of other things than Label Studio's tasks; {REMEDY}")
    return read_label_studio(path, found)


def _text(path: Path) -> str:
    """The content of a file of COCO or Label Studio; the former may be larger than what is read at once elsewhere."""
    with contextlib.suppress(OSError):
        check_claim(path, _COPIES * path.stat().st_size, "the labels")
    content = read_plain(path, remedy=REMEDY)
    if content is None:
        raise InputError(f"{path}: no such file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not JSON (it is not UTF-8 text); {REMEDY}") from None


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
    known = _known_names(classes)
    labels = np.full((outlines.size.height, outlines.size.width), ground, np.int32)
    for shape in outlines.shapes:
        names = (shape.name, _plain(shape.name), _plain(shape.name).removesuffix(_GROUP))
        train = next((known[name] for name in names if name in known), None)
        if train is None and is_void(shape.name):
            train = classes.ignore
        if train is None:
            raise unknown_class(path, shape.name, classes)
        _draw(labels, shape, train, between=outlines.between)
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


def _known_names(classes: ClassSet) -> dict[str, int]:
    """Names in outlines -> label: exact ones win over alike ones, and classes over their other names."""
    own = {name: train for train, name in enumerate(classes.names)}
    alike = [{_plain(name): train for name, train in names.items()} for names in (classes.other_names, own)]
    return {**alike[0], **alike[1], **classes.other_names, **own}


def _plain(name: str) -> str:
    return "".join(_WORD.findall(name.lower()))


def _draw(labels: NDArray[np.int32], shape: Shape, train: int, *, between: bool) -> None:
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
    if between:
        labels[filled(shape.rings, Size(labels.shape[1], labels.shape[0]))] = train
        return
    canvas = Image.new("L", (labels.shape[1], labels.shape[0]))
    pen = ImageDraw.Draw(canvas)
    for ring in shape.rings:
        pen.polygon(list(ring), fill=1, outline=1)
    labels[np.asarray(canvas) > 0] = train
