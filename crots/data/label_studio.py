"""Label Studio's JSON exports: one file with the tasks of a project, each an image with its regions.

JSON-MIN has a flat record for each annotation: the task's data, and the regions under the names of their tags.

Brushes are stored as runs of the values of an RGBA picture, row by row, whose opaque pixels are the region; outlines,
boxes and ellipses in per cent of the image's sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.config import Size
from crots.data.shapes import MALFORMED, Album, Shape, ellipse, malformed, point, rectangle, whole
from crots.errors import InputError
from crots.image_formats import IMAGE_SUFFIXES

# What its masks are called as PNG or NumPy files: after tasks, and not after images.
_MASK_NAME = re.compile(r"task-\d+-annotation-\d+-by-.+-\d+(\.(png|npy))?")
# Keys of a region's shape; those of its classes end with the word.
_SHAPES, _CLASSES = ("rle", "points", "radiusX", "width"), "labels"
# Of a region, which JSON-MIN writes among the keys of its shape.
_SIDES = ("original_width", "original_height")
# Channels of a brush's picture, bits of a byte, and of the numbers at the head of its runs.
_CHANNELS, _BYTE = 4, 8
_COUNT_BITS, _WORD_BITS, _LENGTH_BITS, _LENGTHS = 32, 5, 4, 4


def is_label_studio(found: Any) -> bool:
    """Whether the content of a JSON file is Label Studio's, of any labelling task."""
    if not isinstance(found, list) or not found or not all(isinstance(task, dict) for task in found):
        return False
    return _is_minimal(found) or all(
        isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list) for task in found
    )


def _is_minimal(found: list[dict[str, Any]]) -> bool:
    return all("annotation_id" in record and "annotations" not in record for record in found)


def is_mask_name(name: str) -> bool:
    """Whether a file is called like one of its masks, ``task-1-annotation-2-by-1-tag-road-0.png``."""
    return _MASK_NAME.fullmatch(name) is not None


def read_label_studio(path: Path, found: list[Any]) -> Album:
    """Reads the content of a file; tasks without an annotation that was finished are left out.

    Raises:
        Misshapen: it is not of this form, or two tasks have one image.
        InputError: nothing is annotated.
    """
    sizes: dict[str, Size] = {}
    shapes: dict[str, list[Callable[[], Iterable[Shape]]]] = {}
    try:
        for task in _whole_tasks(found) if _is_minimal(found) else found:
            done = [one for one in task["annotations"] if not one.get("was_cancelled")]
            regions = [row for one in done for row in one["result"] if "original_width" in row]
            if not regions:
                continue
            name = _image(task["data"])
            if name in sizes:
                raise ValueError(f"two tasks with the image {name[:80]}")
            sizes[name] = Size(whole(regions[0]["original_width"]), whole(regions[0]["original_height"]))
            shapes[name] = [partial(_task, task.get("id"), done, sizes[name])]
    except MALFORMED as error:
        raise malformed(path, error) from None
    if not sizes:
        raise InputError(f"{path}: holds no finished annotation of an image; annotate some, and export it again")
    return Album(path, sizes, shapes, {})


def _whole_tasks(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the tasks of JSON-MIN in the form of the whole export."""
    tasks: dict[Any, dict[str, Any]] = {}
    for place, record in enumerate(records):
        number = record.get("id", ("record", place))
        task = tasks.setdefault(number, {"id": number, "data": record, "annotations": []})
        rows = [_row(region) for regions in record.values() if isinstance(regions, list) for region in regions]
        regions = [{"id": at, **row} for at, row in enumerate(rows) if "original_width" in row]
        if regions:
            task["annotations"].append({"result": _without_doubles(regions)})
    return list(tasks.values())


def _row(region: Any) -> dict[str, Any]:
    """Puts what belongs to the image apart from what belongs to the shape."""
    found = region if isinstance(region, dict) else {}
    sides = {key: found[key] for key in _SIDES if key in found}
    return {**sides, "value": {key: value for key, value in found.items() if key not in _SIDES}}


def _without_doubles(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leaves out shapes without a class that another row has with one, as of projects with a tag for labels alone."""
    named = [_shape_keys(row) for row in rows if len(_shape_keys(row)) < len(row["value"])]
    return [row for row in rows if len(_shape_keys(row)) < len(row["value"]) or row["value"] not in named]


def _shape_keys(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row["value"].items() if not key.endswith(_CLASSES)}


def _image(data: Mapping[str, Any]) -> str:
    """The file name of a task's image, whose field may have any name; it is a path or an address."""
    texts = [data["image"]] if isinstance(data.get("image"), str) else [v for v in data.values() if isinstance(v, str)]
    names = [re.split(r"[/\\=?]", text.strip())[-1] for text in texts]
    images = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    if len(images) != 1:
        raise ValueError(f"a task with {len(images)} images")
    return images[0]


def _task(number: Any, annotations: list[Any], size: Size) -> Iterable[Shape]:
    if len(annotations) > 1:
        raise ValueError(f"{len(annotations)} annotations of task {number!s:.20}; keep one of them")
    rows = annotations[0]["result"]
    named: dict[Any, str] = {}
    for row in rows:
        value = row.get("value") or {}
        classes = [names for key, names in value.items() if key.endswith(_CLASSES) and isinstance(names, list)]
        for names in classes:
            if len(names) != 1:
                raise ValueError(f"a region with {len(names)} classes in task {number!s:.20}")
            named[row.get("id")] = str(names[0])
    drawn = {row.get("id"): row for row in rows if any(key in (row.get("value") or {}) for key in _SHAPES)}
    for place, row in drawn.items():
        if place not in named:
            raise ValueError(f"a region without a class in task {number!s:.20}")
        yield _shape(named[place], row, size)


def _shape(name: str, row: Mapping[str, Any], size: Size) -> Shape:
    value = row["value"]
    if row.get("image_rotation") or value.get("rotation"):
        raise ValueError("a rotated image or region; draw it on the image as it is")
    if row["original_width"] != size.width or row["original_height"] != size.height:
        raise ValueError("regions of different image sizes")
    if "rle" in value:
        return Shape(name, mask=brush(value["rle"], size))
    wide, high = size.width / 100, size.height / 100
    if "points" in value:
        ring = tuple((x * wide, y * high) for x, y in map(point, value["points"]))
        return Shape(name, (ring,) if len(ring) > 2 else ())
    x, y = point((value["x"], value["y"]))
    if "radiusX" in value:
        return Shape(name, (ellipse(x * wide, y * high, value["radiusX"] * wide, value["radiusY"] * high),))
    if "height" not in value:
        # A point, whose width is that of its mark.
        return Shape(name)
    right, bottom = x + float(value["width"]), y + float(value["height"])
    return Shape(name, (rectangle(x * wide, y * high, right * wide, bottom * high),))


def brush(runs: Any, size: Size) -> NDArray[np.bool_]:
    """Decodes the pixels of a brush, (H, W).

    Its bits are: how many values there are, how many bits a value has, four numbers of bits for lengths; then pieces,
    each of a bit for whether one value is repeated, which of the four lengths its own has, its length, and its values.

    Raises:
        ValueError: the runs are broken, or of another size.
    """
    bits = np.unpackbits(np.array(runs, np.uint8))
    place = 0

    def read(count: int) -> int:
        nonlocal place
        if place + count > bits.size:
            raise ValueError("a brush that is cut short")
        value = 0
        for bit in bits[place : place + count].tolist():
            value = value << 1 | bit
        place += count
        return value

    total, word = read(_COUNT_BITS), read(_WORD_BITS) + 1
    lengths = [read(_LENGTH_BITS) + 1 for _ in range(_LENGTHS)]
    if total != size.width * size.height * _CHANNELS or word != _BYTE:
        raise ValueError(f"a brush of {total} values in an image of {size}")
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        repeated = read(1)
        end = min(total, done + 1 + read(lengths[read(2)]))
        if repeated:
            values[done:end] = read(word)
        else:
            piece = bits[place : place + (end - done) * word]
            if piece.size < (end - done) * word:
                raise ValueError("a brush that is cut short")
            values[done:end] = np.packbits(piece)
            place += piece.size
        done = end
    return np.asarray(values.reshape(size.height, size.width, _CHANNELS)[..., -1] > 0)
