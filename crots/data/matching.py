"""Listing files fast, and finding the file that belongs to an image.

A key is a path relative to its folder, with ``/`` and without suffix. Files are matched by equal key, else by equal
stem, where the endings that data sets add to stems (``_leftImg8bit``, ``_gtFine_labelIds`` ...) count for nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from crots.errors import InputError
from crots.files import files_below

# Longest first, since one ends with another. `_L` is CamVid's.
_IMAGE_ENDINGS = ("_leftImg8bit",)
_LABEL_ENDINGS = (
    *(kind + what for kind in ("_gtFine", "_gtCoarse", "") for what in ("_labelTrainIds", "_labelIds", "_color")),
    "_L",
)
_FOREIGN_ENDINGS = ("_instanceIds", "_instanceTrainIds")


def key_of(relative: str) -> str:
    """Returns the key of a relative path: no suffix, ``/`` between folders."""
    return os.path.splitext(relative)[0].replace(os.sep, "/")  # noqa: PTH122 - called for 100,000 names


def plain_key(key: str) -> str:
    """Returns a key without what data sets append to the stem."""
    for ending in (*_IMAGE_ENDINGS, *_LABEL_ENDINGS):
        if key.endswith(ending) and not key[: -len(ending)].endswith("/") and len(key) > len(ending):
            return key[: -len(ending)]
    return key


def plain_stem(key: str) -> str:
    """Returns the last part of a key without what data sets append to it."""
    return plain_key(key).rsplit("/", 1)[-1]


def label_ending(key: str) -> str:
    """Returns ``_labelTrainIds``, ``_labelIds``, ``_color``, ``_instanceIds`` ... of a Cityscapes-style name, or ''."""
    for ending in ("_labelTrainIds", "_labelIds", "_color", *_FOREIGN_ENDINGS):
        if key.endswith(ending):
            return ending
    return ""


def list_files(folder: Path, suffixes: Collection[str]) -> list[str]:
    """Lists the files below a folder, at any depth, sorted.

    Hidden files and folders are left out, links to folders are followed once.

    Args:
        folder: where to look.
        suffixes: wanted ones in lower case, with dot.

    Returns:
        Paths relative to ``folder``.

    Raises:
        InputError: the folder is missing, no folder, or cannot be read.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: found {found}, expected a folder")
    wanted = tuple(suffixes)
    try:
        below = files_below(folder, lambda entry: not entry.name.startswith("."))
        return sorted(
            name for name, entry in below if not entry.name.startswith(".") and entry.name.lower().endswith(wanted)
        )
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); change its permissions") from error


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
            raise InputError(f"{folder / name}: found both {both}, expected one file of a name; rename or move one")
        files[key] = folder / name
    return files


def _check_text(folder: Path, names: Iterable[str]) -> None:
    """Unix lets names be any bytes, but lists and events are text."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        bad = next(name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name))
        raise InputError(f"{folder}: the file name {bad!a} is not UTF-8; rename that file") from None


def match(
    keys: Iterable[str], files: Mapping[str, Path], *, what: str, folder: Path, partial: bool = False
) -> dict[str, Path]:
    """Finds each image's file: the one of equal key, else the only one of equal stem.

    Args:
        keys: the images'.
        files: key -> path of the candidates; ones that belong to no image are left over silently.
        what: ``label``, ``prediction`` ..., for errors.
        folder: where the candidates lie, for errors.
        partial: leave out images without a file instead of raising.

    Raises:
        InputError: a file is missing, or a stem does not decide; the first few are named.
    """
    keys = list(keys)
    found = {key: files[key] for key in keys if key in files}
    for simplify in (plain_key, plain_stem):
        if len(found) < len(keys):
            found |= _match_by(simplify, keys, files, found, f"{folder}: the {what} of", what)
    missing = [key for key in keys if key not in found]
    if missing and not partial:
        raise InputError(
            f"{folder}: found no {what} for {len(missing)} of {len(keys)} images ({some(missing)}) among {len(files)} "
            f"files, expected one of the same relative path or file name for each"
        )
    return found


def _match_by(
    simplify: Callable[[str], str],
    keys: list[str],
    files: Mapping[str, Path],
    found: Mapping[str, Path],
    where: str,
    what: str,
) -> dict[str, Path]:
    """Matches what is not in ``found`` yet by simplified keys; a file that is some image's already is nobody else's."""
    candidates, wanted = _grouped(files, simplify), _grouped(keys, simplify)
    taken = set(found.values())
    more = {}
    for key in keys:
        fitting = candidates.get(simplify(key), [])
        if key in found or not fitting or any(files[file] in taken for file in fitting):
            continue
        rivals = wanted[simplify(key)]
        if len(fitting) > 1 or len(rivals) > 1:
            raise InputError(
                f"{where} {some(rivals)} may be {some(fitting)}: the file name alone does not decide; "
                f"give images and {what}s the same subfolders"
            )
        more[key] = files[fitting[0]]
    return more


def _grouped(keys: Iterable[str], simplify: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        groups[simplify(key)].append(key)
    return groups


def some(items: Collection[object], most: int = 3) -> str:
    """Returns the first few items as text, and how many more there are."""
    first = ", ".join(str(item) for item, _ in zip(items, range(most), strict=False))
    return first + (f" and {len(items) - most} more" if len(items) > most else "")
