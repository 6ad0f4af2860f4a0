"""COCO's files of instances, stuff and panoptic segments: one JSON file with the labels of many images."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.config import Size
from crots.data.matching import is_whole_path
from crots.data.releases import folders_in
from crots.data.shapes import MALFORMED, REMEDY, Album, Misshapen, Shape, from_runs, malformed, point, whole
from crots.errors import InputError
from crots.files import is_file
from crots.label_files import read_labels

_LISTS = ("images", "annotations", "categories")
_DECODER = json.JSONDecoder()
# Stands for the beginning of a list, which may hold anything.
_BEGIN = object()
_BLANK = re.compile(r"[ \t\n\r]*")


class NotCoco(InputError):
    """A file of another form."""


def read_coco(path: Path, text: str) -> Album:
    """Reads the content of a file, of which annotations are kept as text until they are needed: there may be millions.

    Raises:
        NotCoco: it is not of this form.
        InputError: it is, but damaged.
    """
    rows: dict[str, list[Any]] = {"images": [], "categories": []}
    places: dict[Any, array[int]] = {}
    used: set[Any] = set()
    seen: set[str] = set()
    try:
        for key, row, start in _rows(text):
            seen.add(key)
            if row is _BEGIN:
                # Of a list that stands twice the last one counts.
                places, rows = ({}, rows) if key == "annotations" else (places, {**rows, key: []})
            elif key == "annotations":
                places.setdefault(row["image_id"], array("q")).append(start)
                used.update(one["category_id"] for one in row.get("segments_info", (row,)))
            else:
                rows[key].append(row)
    except (ValueError, RecursionError) as error:
        raise NotCoco(f"{path}: is not JSON ({error or 'it is nested too deeply'}); {REMEDY}") from None
    except MALFORMED as error:
        raise malformed(path, error) from None
    if not seen.issuperset(_LISTS):
        raise NotCoco(f"{path}: has no lists of {', '.join(_LISTS)}; {REMEDY}")
    try:
        kinds = _numbered(path, "categories", ((row["id"], str(row["name"])) for row in rows["categories"]))
        names = _below(path, _numbered(path, "images", ((row["id"], str(row["file_name"])) for row in rows["images"])))
        sizes = {names[row["id"]]: Size(whole(row["width"]), whole(row["height"])) for row in rows["images"]}
        shapes: dict[str, list[Callable[[], Iterable[Shape]]]] = {name: [] for name in sizes}
        for number, starts in places.items():
            name = names[number]
            shapes[name].append(partial(_shapes, path, text, starts, kinds, sizes[name]))
        for number in used:
            kinds[number]
    except MALFORMED as error:
        raise malformed(path, error) from None
    return Album(path, sizes, shapes, {})


def _numbered(path: Path, what: str, rows: Iterable[tuple[Any, str]]) -> dict[Any, str]:
    """Returns names by id; files that were merged without counting on have ids of two."""
    found: dict[Any, str] = {}
    for number, name in rows:
        if found.setdefault(number, name) != name:
            raise Misshapen(
                f"{path}: two {what} have the id {number!s:.20}: {found[number]:.60} and {name:.60}; files that were "
                "merged without new ids have that; export or merge them again"
            )
    return found


def _below(path: Path, names: Mapping[Any, str]) -> dict[Any, str]:
    """Returns the names of images with slashes, and without the folder where they are whole paths of some computer."""
    slashed = {number: name.replace("\\", "/") for number, name in names.items()}
    found = {number: PurePosixPath(name).name if is_whole_path(name) else name for number, name in slashed.items()}
    if len(set(found.values())) < len(set(slashed.values())):
        raise Misshapen(
            f"{path}: its images are whole paths, and some of one name lie in several folders, so that a name alone "
            "does not tell which is meant; write the paths below the folder of the images"
        )
    return found


def _rows(text: str) -> Iterator[tuple[str, Any, int]]:
    """Yields the rows of the three lists of a JSON object and where they begin, and `_BEGIN` where a list begins.

    Raises:
        ValueError: it is not a JSON object.
        RecursionError: it is nested too deeply.
    """
    place = _after(text, 0, "{")
    while not (closed := text.startswith("}", place)):
        key, place = _DECODER.raw_decode(text, place)
        place = _after(text, place, ":")
        if key in _LISTS and text.startswith("[", place):
            yield key, _BEGIN, place
            place = _after(text, place, "[")
            while not text.startswith("]", place):
                start = place
                row, place = _DECODER.raw_decode(text, place)
                yield key, row, start
                place = _between(text, place, "]")
            place += 1
        else:
            _, place = _DECODER.raw_decode(text, place)
        place = _between(text, place, "}")
    end = _skipped(text, place + 1)
    if not closed or end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _skipped(text: str, place: int) -> int:
    blank = _BLANK.match(text, place)
    assert blank is not None
    return blank.end()


def _after(text: str, place: int, sign: str) -> int:
    """The place after a sign and the blanks around it."""
    place = _skipped(text, place)
    if not text.startswith(sign, place):
        raise json.JSONDecodeError(f"Expecting {sign!r}", text, place)
    return _skipped(text, place + 1)


def _between(text: str, place: int, end: str) -> int:
    """The place of the next item, after a comma, or of the end."""
    place = _skipped(text, place)
    if text.startswith(end, place):
        return place
    place = _after(text, place, ",")
    if text.startswith(end, place):
        raise json.JSONDecodeError("Illegal trailing comma", text, place)
    return place


def _shapes(path: Path, text: str, starts: Sequence[int], kinds: Mapping[Any, str], size: Size) -> Iterator[Shape]:
    """The shapes of one image, whose annotations begin at these places."""
    for start in starts:
        row, _ = _DECODER.raw_decode(text, start)
        if "segments_info" in row:
            segments = {whole(one["id"]): kinds[one["category_id"]] for one in row["segments_info"]}
            yield from _segments(path, str(row["file_name"]), segments, size)
        else:
            yield from _shape(kinds[row["category_id"]], row.get("segmentation"), size)


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
