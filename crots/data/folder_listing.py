"""Listing the files of a folder fast, and their keys.

A key is a path relative to its folder, with ``/`` and without suffix.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from crots.errors import InputError
from crots.files import files_below
from crots.image_formats import EITHER, IMAGE_SUFFIXES, LABEL_SUFFIXES, UNREAD, is_lossy


def key_of(relative: str) -> str:
    """Returns the key of a relative path: no suffix, ``/`` between folders."""
    return os.path.splitext(relative)[0].replace(os.sep, "/")  # noqa: PTH122 - called for 100,000 names


@dataclass
class Listing:
    """The files below a folder.

    Attributes:
        names: relative paths of those that were wanted, sorted.
        left_out: how many pictures were left out, by reason.
    """

    names: list[str]
    left_out: Counter[str]

    @property
    def note(self) -> str:
        """A note on what was left out; empty where nothing was."""
        parts = [f"{count} {reason}" for reason, count in sorted(self.left_out.items())]
        return "left out: " + ", ".join(parts) if parts else ""


def list_files(folder: Path, suffixes: Collection[str]) -> list[str]:
    """Lists the files below a folder, at any depth, sorted.

    Hidden files and folders are left out, links to folders are followed once.

    Args:
        folder: where to search.
        suffixes: wanted ones in lower case, with dot.

    Returns:
        Paths relative to ``folder``.

    Raises:
        InputError: the folder is missing, no folder, or cannot be read.
    """
    return list_folder(folder, suffixes).names


def list_labels(folder: Path, also: Collection[str] = ()) -> list[str]:
    """Lists files as `list_files` does that can hold labels, which are those stored without loss.

    Args:
        folder: where to search.
        also: further suffixes that are wanted.

    Raises:
        InputError: as `list_files`.
    """
    return [name for name in list_files(folder, {*LABEL_SUFFIXES, *also}) if not is_lossy(folder / name)]


def lossy_note(folder: Path) -> str:
    """Says that a folder holds images stored with loss, which cannot be labels; empty where it does not."""
    lossy = [name for name in list_files(folder, IMAGE_SUFFIXES) if is_lossy(folder / name)]
    either = sorted({EITHER[suffix] for name in lossy if (suffix := _suffix(name)) in EITHER})
    kinds = f", as these {' and '.join(either)} files are" if either else ""
    return f", but {len(lossy)} images in lossy formats{kinds}, which cannot be labels" if lossy else ""


def list_folder(folder: Path, suffixes: Collection[str]) -> Listing:
    """Lists files as `list_files` does, and counts the pictures that are left out.

    Raises:
        InputError: the folder is missing, no folder, or cannot be read.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: found {found}, expected a folder")
    wanted, names, left_out = frozenset(suffixes), list[str](), Counter[str]()

    def dead(entry: os.DirEntry[str]) -> None:
        if _suffix(entry.name) in wanted:
            left_out["dead links" if entry.is_symlink() else "pipes or devices"] += 1

    try:
        for name, entry in files_below(folder, lambda entry: not entry.name.startswith("."), dead):
            suffix = _suffix(name)
            if suffix in wanted:
                if entry.name.startswith("."):
                    left_out["hidden files"] += 1
                else:
                    names.append(name)
            elif suffix in UNREAD and not entry.name.startswith("."):
                left_out[f"{suffix} ({UNREAD[suffix]})"] += 1
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); change its permissions") from error
    return Listing(sorted(names), left_out)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :].lower()


def keyed(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Returns key -> path of relative file names.

    Raises:
        InputError: two files differ in their suffix only, so that their outputs would overwrite each other, or a name
            is no text.
    """
    names = list(names)
    _check_text(folder, names)
    files: dict[str, Path] = {}
    for name in names:
        key = key_of(name)
        if key in files:
            both = f"{files[key].name} and {Path(name).name}"
            raise InputError(f"{folder / name}: found both {both}, expected one file per name; rename or move one")
        files[key] = folder / name
    return files


def _check_text(folder: Path, names: Iterable[str]) -> None:
    """Unix lets names be any bytes, but lists and events are text."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        bad = next(name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name))
        if (encoding := sys.getfilesystemencoding()) != "utf-8":
            raise InputError(
                f"{folder}: the file name {bad!a} cannot be read in this locale, whose encoding is {encoding}; set "
                "LC_ALL=C.UTF-8 and PYTHONUTF8=1, and run again"
            ) from None
        raise InputError(f"{folder}: the file name {bad!a} is not UTF-8; rename that file") from None
