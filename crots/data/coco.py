"""COCO's files of instances, stuff and panoptic segments: one JSON file with the labels of many images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.config import Size
from crots.data.releases import folders_in
from crots.data.shapes import MALFORMED, Album, Shape, from_runs, malformed, point, whole
from crots.errors import InputError
from crots.files import is_file
from crots.label_files import read_labels

_LISTS = ("images", "annotations", "categories")


def is_coco(found: Any) -> bool:
    """Whether the content of a JSON file is COCO's."""
    return isinstance(found, dict) and all(isinstance(found.get(key), list) for key in _LISTS)


def read_coco(path: Path, found: Any) -> Album:
    """Reads the content of a file.

    Raises:
        InputError: it is not of this form.
    """
    try:
        kinds = {row["id"]: str(row["name"]) for row in found["categories"]}
        names = {row["id"]: str(row["file_name"]).replace("\\", "/") for row in found["images"]}
        sizes = {names[row["id"]]: Size(whole(row["width"]), whole(row["height"])) for row in found["images"]}
        shapes: dict[str, list[Callable[[], Iterable[Shape]]]] = {name: [] for name in sizes}
        for row in found["annotations"]:
            name = names[row["image_id"]]
            if "segments_info" in row:
                segments = {whole(one["id"]): kinds[one["category_id"]] for one in row["segments_info"]}
                shapes[name].append(partial(_segments, path, str(row["file_name"]), segments, sizes[name]))
            else:
                shapes[name].append(partial(_shape, kinds[row["category_id"]], row.get("segmentation"), sizes[name]))
    except MALFORMED as error:
        raise malformed(path, error) from None
    return Album(path, sizes, shapes, {})


def _shape(name: str, segments: Any, size: Size) -> Iterable[Shape]:
    if isinstance(segments, dict):
        return [Shape(name, mask=_mask(segments, size))]
    rings = [
        tuple(point(ring[place : place + 2]) for place in range(0, len(ring), 2)) for ring in segments or ()
    ]  # fmt: skip
    if not rings:
        raise ValueError("a box without an outline; export polygons or masks")
    return [Shape(name, tuple(ring for ring in rings if len(ring) > 2))]


def _mask(found: Mapping[str, Any], size: Size) -> NDArray[np.bool_]:
    """Decodes a mask in runs, column by column."""
    height, width = found["size"]
    if (width, height) != size:
        raise ValueError(f"a mask of {width}x{height} in an image of {size}")
    counts = found["counts"]
    runs = packed_runs(counts) if isinstance(counts, str) else [int(count) for count in counts]
    return from_runs(runs, width, height).reshape(width, height).T


def packed_runs(text: str) -> list[int]:
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


def _segments(path: Path, name: str, segments: Mapping[int, str], size: Size) -> Iterable[Shape]:
    """The segments of an image, which a picture of their numbers shows: red, 256 times green, 65536 times blue."""
    picture = read_labels(_picture(path, name), colour=True).astype(np.int64)
    numbers = picture[..., 0] + 256 * picture[..., 1] + 65536 * picture[..., 2] if picture.ndim == 3 else picture
    if numbers.shape != (size.height, size.width):
        raise ValueError(f"{name} is {numbers.shape[1]}x{numbers.shape[0]}, its image {size}")
    return [Shape(kind, mask=numbers == number) for number, kind in segments.items()]


def _picture(path: Path, name: str) -> Path:
    """Finds a picture of segments: in the folder called like the file, else in one called panoptic."""
    bases = (path.parent, path.parent.parent)
    folders = [base / path.stem for base in bases]
    folders += [folder for base in bases for folder in folders_in(base) if "panoptic" in folder.name.lower()]
    found = next((folder / name for folder in folders if is_file(folder / name)), None)
    if found is None:
        raise InputError(f"{path}: found no {name[:200]}, expected the pictures of the segments in {folders[0]}")
    return found
