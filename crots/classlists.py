"""Class sets in the forms that data sets and labelling tools bring them, from a list of names to a JSON file."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crots.errors import InputError
from crots.records import parse, read_plain

_TABLES, _YAML = (".csv", ".tsv"), (".yaml", ".yml")
SUFFIXES = (".txt", ".names", ".lst", ".json", *_TABLES, *_YAML)
_MOST_BYTES = 4 * 10**6
# Names that mean "ignored", without surrounding punctuation; none of them is a class.
_VOID = frozenset({"void", "unlabeled", "unlabelled", "ignore", "ignored", "unknown void", "don't care", "dontcare"})
_RGB = r"(?P<red>\d{1,3})%(?P<green>\d{1,3})%(?P<blue>\d{1,3})"
# Lines of one form: CVAT's ``label:r,g,b:parts:actions``, CamVid's ``r g b name``, RUGD's ``id name r g b``, numbered
# names, and names alone.
_FORMS = (
    re.compile(r"(?P<name>[^:]+):" + _RGB.replace("%", ",") + ":.*"),
    re.compile(_RGB.replace("%", r"[\s,;]+") + r"[\s,;]+(?P<name>[^\W\d].*)"),
    re.compile(r"(?P<id>\d{1,5})[\s,;:]+(?P<name>[^\W\d].*?)[\s,;:]+" + _RGB.replace("%", r"[\s,;]+")),
    re.compile(r"(?P<id>\d{1,5})\s*[:=,;\s]\s*(?P<name>[^\W\d].*)"),
    # Files of a data set are listed so too, but with numbers.
    re.compile(r"(?!.*\d{3})(?P<name>[^\W\d][^:;,=<>{}\[\]\"/\\.]{0,79})"),
)
# What columns of tables and keys of JSON are called.
_CALLED = {
    "name": ("readable", "name", "class", "label", "title", "category", "class_name", "label_name", "names"),
    "id": ("id", "ids", "idx", "index", "value", "class_id", "label_id", "pixel_value", "pixel", "number"),
    "red": ("r", "red"),
    "green": ("g", "green"),
    "blue": ("b", "blue"),
    "colour": ("color", "colour", "rgb", "hex"),
}
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_LISTS = ("labels", "categories", "classes", "names", "id2label")
_EXPECTED = (
    "one name per line, `0 road`, `road:128,64,128::` (CVAT's labelmap.txt), `128 64 128 Road` (CamVid), a table with "
    "the columns name, r, g and b, or the JSON file of Mapillary Vistas, COCO or Hugging Face; or write a TOML file"
)


def read_class_list(path: Path) -> dict[str, Any]:
    """Returns what a class set's TOML file would hold.

    Numbers that a list gives its classes are the ids of the data set's files, unless they just count from 0. Where a
    list names what is ignored, classes are numbered by their place in it.

    Args:
        path: a file with one of `SUFFIXES`.

    Raises:
        InputError: it holds no classes in a known form.
    """
    content = read_plain(path, most=_MOST_BYTES, remedy="give a class set")
    text = (content or b"").decode("utf-8-sig", errors="replace")
    if "\ufffd" in text or "\0" in text:
        raise InputError(f"class set {path}: is not UTF-8 text; save it as UTF-8 in your editor")
    rows = _rows(text, path.suffix.lower())
    if not rows:
        raise InputError(f"class set {path}: found no classes, expected {_EXPECTED}")
    name = path.parent.name or path.stem
    return {"name": name, **_classes(rows)}


def _rows(text: str, suffix: str) -> list[dict[str, Any]]:
    if suffix == ".json":
        return _of_json(text)
    if suffix in _YAML:
        return _of_yaml(text)
    return _of_table(text) or ([] if suffix in _TABLES else _of_lines(text))


def _classes(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if all("id" in row for row in rows):
        # A network's outputs are in the order of the numbers, whatever order a program listed them in.
        rows = _sorted(rows)
    numbered = [row | {"id": row.get("id", place)} for place, row in enumerate(rows)]
    void = [row for row in numbered if is_void(row["name"])]
    kept = [row for row in numbered if row not in void]
    counted = [row["id"] for row in kept] == list(range(len(kept)))
    # A colour shared by several classes identifies none of them.
    times = Counter(tuple(row["colour"]) for row in numbered if row.get("colour"))
    classes = []
    for row in kept:
        own = {} if counted else {"ids": [row["id"]]}
        colour = {"colour": row["colour"]} if row.get("colour") and times[tuple(row["colour"])] == 1 else {}
        classes.append({"name": row["name"], **colour, **own})
    colours = [row["colour"] for row in void if row.get("colour") and times[tuple(row["colour"])] == 1]
    colours = [colour for colour in colours if colour != [0, 0, 0]]
    ids = [row["id"] for row in void if 0 <= row["id"] <= 65535]
    return {"classes": classes, "ignored_colours": colours, "ignored_ids": ids}


def is_void(name: str) -> bool:
    """Whether a name means "ignored": ``void``, ``__ignore__``, ``unlabelled`` ..."""
    return name.lower().strip("_- ") in _VOID


def _of_lines(text: str) -> list[dict[str, Any]]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    # Labelme's list begins with what is ignored, which has no number.
    while lines and lines[0].startswith("_") and is_void(lines[0]):
        lines = lines[1:]
    for form in _FORMS:
        found = [form.fullmatch(line) for line in lines]
        # A word alone may be anything.
        if all(found) and len(found) > (form is _FORMS[-1]):
            return [_row(hit.groupdict()) for hit in found if hit is not None]
    return []


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    """One class: its name, and its number and colour where they are known."""
    row: dict[str, Any] = {"name": str(values["name"]).strip().strip("'\"")}
    if values.get("id") not in (None, ""):
        row["id"] = int(values["id"])
    if values.get("red") not in (None, ""):
        row["colour"] = [int(values[part]) for part in ("red", "green", "blue")]
    colour = values.get("colour")
    if isinstance(colour, str) and (hit := hex_colour(colour)):
        row["colour"] = hit
    elif isinstance(colour, list):
        row["colour"] = colour[:3]
    return row


def hex_colour(text: str) -> list[int] | None:
    """Reads ``#804080``; None where it is none."""
    hit = _HEX.fullmatch(text.strip())
    return [int(part, 16) for part in hit.groups()] if hit else None


def _of_table(text: str) -> list[dict[str, Any]]:
    """Reads a table whose first line says what its columns are."""
    first = next(iter(text.strip().splitlines()), "")
    mark = max(",;\t", key=first.count)
    try:
        head, *table = [row for row in csv.reader(text.splitlines(), delimiter=mark) if any(row)]
        called = {_meaning(cell): place for place, cell in enumerate(head) if _meaning(cell)}
        return [_row({what: row[place].strip() for what, place in called.items()}) for row in table]
    except (IndexError, ValueError, KeyError, csv.Error):
        return []


def _meaning(word: str) -> str:
    plain = word.strip().lower().replace(" ", "_")
    return next((what for what, words in _CALLED.items() if plain in words), "")


def _of_json(text: str) -> list[dict[str, Any]]:
    try:
        found = parse(text)
        if isinstance(found, dict):
            lists = (found.get(key) for key in _LISTS)
            found = next((one for one in lists if isinstance(one, (list, dict)) and one), found)
        return _of_plain(found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _of_plain(found: Any) -> list[dict[str, Any]]:
    """Reads a list of names, a list of tables, or a table of numbers and names."""
    if isinstance(found, dict):
        if all(hex_colour(key) and isinstance(name, str) for key, name in found.items()):
            return [{"name": name, "colour": hex_colour(key)} for key, name in found.items()]
        if all(str(key).isascii() and str(key).isdigit() and isinstance(name, str) for key, name in found.items()):
            return _sorted({"id": int(key), "name": name} for key, name in found.items())
        if len(found) > 1 and all(type(number) is int for number in found.values()):
            return _sorted({"id": number, "name": str(name)} for name, number in found.items())
        return []
    if not isinstance(found, list):
        return []
    if all(isinstance(name, str) for name in found):
        return [{"name": name} for name in found]
    rows = []
    for row in found:
        # The first of the words for a thing is the best one.
        own = {what: next((row[word] for word in words if word in row), None) for what, words in _CALLED.items()}
        if not isinstance(own["name"], str):
            return []
        rows.append(_row({**own, "id": own["id"] if isinstance(own["id"], int) else None}))
    names = [row["name"] for row in rows]
    if len(set(names)) < len(names) and all(isinstance(row.get("name"), str) for row in found):
        # Display names may repeat.
        rows = [row | {"name": whole["name"]} for row, whole in zip(rows, found, strict=True)]
    return rows


def _sorted(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["id"])


def _of_yaml(text: str) -> list[dict[str, Any]]:
    """Reads ``names`` of a YAML file in the three ways in which programs write it; nothing else of YAML is known."""
    lines = [line.split(" #")[0].rstrip() for line in text.splitlines()]
    start = next((place for place, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        return []
    inline = lines[start].removeprefix("names:").strip()
    if inline.startswith("[") and inline.endswith("]"):
        names = [name.strip().strip("'\"") for name in inline[1:-1].split(",")]
        return [{"name": name} for name in names] if all(names) else []
    rows = []
    for line in lines[start + 1 :]:
        if not line.strip():
            continue
        item = re.fullmatch(r"\s*-\s+(?P<name>.+)|\s+(?P<id>\d{1,5}):\s*(?P<named>.+)", line)
        if item is None:
            break
        rows.append(_row({"name": item["name"] or item["named"], "id": item["id"]}))
    return rows
