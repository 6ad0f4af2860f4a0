"""A class set that a source names, as an option: by its shipped name, or as a file of the project."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import Any

import tomli_w

from crots.files import write_text
from crots.options import TaskOptions
from crots.taxonomy import IGNORE_WORD, ClassSet, load_class_set, shipped_class_sets


def class_set_text(classes: ClassSet) -> str:
    """Returns the TOML file that `crots.taxonomy.load_class_set` reads the same classes from."""
    ids: dict[int, list[int]] = {}
    for raw, train in classes.raw_ids.items():
        ids.setdefault(train, []).append(raw)
    rows: list[dict[str, Any]] = []
    for train, (name, colour) in enumerate(zip(classes.names, classes.palette, strict=True)):
        rows.append({"name": name, "colour": list(colour)} | ({"ids": ids[train]} if train in ids else {}))
    values: dict[str, Any] = {"name": classes.name, "classes": rows}
    if classes.ignore in ids:
        values["ignored_ids"] = ids[classes.ignore]
    if classes.ignored_colours:
        values["ignored_colours"] = [list(colour) for colour in classes.ignored_colours]
    if classes.published_rare:
        values["published_rare"] = [classes.names[train] for train in classes.published_rare]
    if classes.subsets:
        values["subsets"] = {name: list(members) for name, members in classes.subsets.items()}
    if classes.also_train_ids:
        values["also_train_ids"] = True
    if classes.other_names:
        named = {classes.ignore: IGNORE_WORD, **dict(enumerate(classes.names))}
        values["other_names"] = {name: named[train] for name, train in classes.other_names.items()}
    return tomli_w.dumps(values)


def shipped_name(classes: ClassSet) -> str:
    """Returns the name of a shipped class set with the same classes, of its own name if possible; empty for none."""
    same = [name for name in shipped_class_sets() if load_class_set(name).names == classes.names]
    preferred = (classes.name, TaskOptions().classes)
    return next((name for name in preferred if name in same), same[0] if same else "")


def file_name(classes: ClassSet, number: int = 1) -> str:
    """Returns the name of the file that `keep_class_set` writes, where ``number - 1`` other files of the name lie."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", classes.name).strip(".-")[:60] or "source"
    return f"classes-{stem}{'' if number == 1 else f'-{number}'}.toml"


def keep_class_set(folder: Path, classes: ClassSet) -> str:
    """Writes a class set into a folder and returns the file's name; what lies there is never replaced.

    Raises:
        StageError: the folder cannot be written.
    """
    text = class_set_text(classes)
    for number in count(1):
        path = folder / file_name(classes, number)
        if not path.exists() and not path.is_symlink():
            write_text(path, text)
            return path.name
        if path.is_file() and path.stat().st_size == len(text.encode()) and path.read_bytes() == text.encode():
            return path.name
    raise AssertionError
