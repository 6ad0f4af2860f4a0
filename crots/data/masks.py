"""Masks among the images of a folder: labels, or masks of the camera's own car, which are no target images."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots.data.folder_listing import key_of
from crots.data.name_words import composed
from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.image_formats import LABEL_SUFFIXES, opened
from crots.label_files import read_stored
from crots.stored_pixels import NoLabelIds
from crots.taxonomy import unique_labels

# Photographs, even grey ones, have more distinct values than this; label maps and masks have fewer.
MOST_IDS = 64
# Number of files of a kind that are opened.
_OPENED, _EACH = 8, 32
# Names that are like most others differ in these alone; up to so many may be odd ones of a pattern.
_NUMBERS, _FEW = re.compile(r"\d+"), 2
# No data set has so many classes: greater numbers of 16 bits are depths or instances. 65535 is void.
_MOST_CLASSES, _VOID = 1023, 65535
# Share of the names that differ from others by a word alone, and how many such words there may be.
_SHARED, _MOST_SUFFIXES = 0.3, 3
_WORD = re.compile(r"(?<=[^\W_])[\W_][^\W\d_]+$")
# Up to this many folders may separate photographs from masks; more are drives or cities.
_MOST_KINDS = 6
_LABELS = tuple(LABEL_SUFFIXES)
# A word at the end or the beginning of a name, with the sign that sets it off.
_WORDS = (re.compile(r"[\W_]?[^\W\d_]+\d?$"), re.compile(r"^[^\W\d_]+[\W_]?"))


def masks_among(folder: Path, names: Sequence[str]) -> set[str]:
    """Returns which image files in a folder are masks.

    Only those are opened that lie beside photographs and are stored without loss, or that share the names of others but
    for a word (``x`` and ``x_mask``, ``1_rgb`` and ``1_depth``) or a folder (``rgb/1`` and ``seg/1``), or lie in one of
    a few folders; few of each kind.

    Args:
        folder: the folder.
        names: its image files, relative.
    """
    suffix = os.path.splitext(names[0])[1] if names else ""  # noqa: PTH122 - as in key_of
    if not suffix.lower().endswith(_LABELS) and all(name.endswith(suffix) for name in names):
        return set()
    by_suffix: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_suffix[os.path.splitext(name)[1].lower()].append(name)  # noqa: PTH122 - as in key_of
    if len(by_suffix) > 1:
        kinds = list(by_suffix.values())
    else:
        kinds = [*_kinds(names), *_few_patterns(names), _odd(folder, names)]
    found = {name for kind in kinds if kind and kind[0].lower().endswith(_LABELS) for name in _masks(folder, kind)}
    return found if len(found) < len(names) else set()


def _masks(folder: Path, names: Sequence[str]) -> set[str]:
    if len(names) <= _EACH:
        return {name for name in names if is_label_like(folder / name)}
    sampled = [names[place] for place in evenly_spread(len(names), _OPENED)]
    return set(names) if all(is_label_like(folder / name) for name in sampled) else set()


def _odd(folder: Path, names: Sequence[str]) -> list[str]:
    """The few names that are not like most others but for their numbers, such as a mask of the camera's own car.

    Beside images of few values, as drawings and renders are, nothing tells a mask from an image, and none is odd.
    """
    patterns = _by_pattern(names)
    few = [name for same in patterns if len(same) <= _FEW for name in same]
    most = max(patterns, key=len, default=[])
    if not few or len(few) > _EACH or len(most) <= len(few):
        return []
    sampled = [most[place] for place in evenly_spread(len(most), _OPENED)]
    return [] if any(is_label_like(folder / name) for name in sampled) else few


def measurements_among(folder: Path, names: Sequence[str]) -> set[str]:
    """Returns which of the masks of a folder hold depths, instances or other numbers that are no classes.

    Args:
        folder: the folder.
        names: the masks, relative.
    """
    found: set[str] = set()
    for same in _by_pattern(names):
        sampled = [same[place] for place in evenly_spread(len(same), _OPENED)]
        if any(_is_measured(folder / name) for name in sampled):
            found.update(same)
    return found


def other_pictures(names: Sequence[str]) -> list[str]:
    """Returns the images whose names are those of others but for one word, ``x_overlay`` beside ``x``, shortest first.

    They may be pictures of labels, thumbnails, depths of 8 bits, or from the other camera of a stereo pair.
    """
    keys = {key_of(name): name for name in names}
    cores: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        found = _WORD.search(key.rpartition("/")[2])
        cores[key[: len(key) - len(found[0])] if found else key].append(key)
    several = {core: sorted(same, key=len) for core, same in cores.items() if len(same) > 1}
    suffixes = Counter(key[len(core) :] for core, same in several.items() for key in same)
    # A word that stands once is the image's name: north, south.
    alike = [key for core, same in several.items() for key in same[1:] if suffixes[key[len(core) :]] > 1]
    enough = len(alike) >= _SHARED * len(names) and len(suffixes) <= _MOST_SUFFIXES
    return [keys[key] for key in alike] if enough else []


def _by_pattern(names: Sequence[str]) -> list[list[str]]:
    """Groups names that differ in their numbers alone."""
    patterns: dict[str, list[str]] = defaultdict(list)
    for name in names:
        patterns[_NUMBERS.sub("#", key_of(name))].append(name)
    return list(patterns.values())


def _few_patterns(names: Sequence[str]) -> list[list[str]]:
    """Groups names that differ in their numbers alone, where few groups hold several each: ``T1_5`` and ``label05``."""
    patterns = _by_pattern(names)
    several = 2 <= len(patterns) <= _MOST_KINDS and min(map(len, patterns)) > _FEW
    return patterns if several else []


def _kinds(names: Sequence[str]) -> list[list[str]]:
    """Groups names that differ from other names of the folder in one word only, by that word."""
    keys = {key_of(name): name for name in names}
    for pattern in _WORDS:
        cores: dict[str, set[str]] = defaultdict(set)
        cut: dict[str, tuple[str, str]] = {}
        for key in keys:
            *_, stem = key.rsplit("/", 1)
            found = pattern.search(stem)
            if found is None or found[0] == stem:
                continue
            parents = key[: len(key) - len(stem)]
            core = composed(parents + stem[: found.start()] + "\0" + stem[found.end() :])
            cut[key] = core, found[0]
            cores[core].add(found[0])
        kinds: dict[str, list[str]] = defaultdict(list)
        for key, (core, word) in cut.items():
            if len(cores[core]) > 1 or core.replace("\0", "") in keys:
                kinds[word].append(keys[key])
        if kinds:
            # Numbers at the end may have been taken for words, of some names alone: area1 and area3, beside area11.
            several = len({key.rpartition("/")[0] for key in keys}) > 1
            return [*kinds.values(), *(_kinds_by_folder(keys) if several else [])]
    return _kinds_by_folder(keys)


def _kinds_by_folder(keys: Mapping[str, str]) -> list[list[str]]:
    """Groups names that differ from others in one folder, or in all of the last part, by that: rgb/1 and seg/1.

    Where there are few folders, those of each are a group too.
    """
    parents: dict[str, list[str]] = defaultdict(list)
    for key, name in keys.items():
        parents[key.rpartition("/")[0]].append(name)
    found: list[list[str]] = list(parents.values()) if 2 <= len(parents) <= _MOST_KINDS else []
    parted = {name: composed(key).split("/") for key, name in keys.items()}
    for place in range(max((len(parts) for parts in parted.values()), default=0)):
        cores: dict[tuple[str, ...], set[str]] = defaultdict(set)
        kinds: dict[str, list[str]] = defaultdict(list)
        for parts in parted.values():
            if len(parts) > place:
                cores[(*parts[:place], "", *parts[place + 1 :])].add(parts[place])
        kind_names = {word for several in cores.values() if len(several) > 1 for word in several}
        if not 2 <= len(kind_names) <= _MOST_KINDS or any(word.isdigit() for word in kind_names):
            continue
        for name, parts in parted.items():
            if len(parts) > place and parts[place] in kind_names:
                kinds[parts[place]].append(name)
        found += kinds.values()
    return found


def is_label_like(path: Path) -> bool:
    """Whether a file holds few distinct values, or the 16 bits of a depth; a broken one does not."""
    return _stored_as(path, _few_values)


def _is_measured(path: Path) -> bool:
    """Whether a file holds numbers that no data set has as classes."""
    return _stored_as(path, _beyond_classes)


def _stored_as(path: Path, kind: Callable[[NDArray[Any]], bool]) -> bool:
    """Whether the values of a file are of a kind; floating-point numbers, as of depths in metres, are of every kind."""
    try:
        return kind(read_stored(path).values)
    except NoLabelIds:
        return _is_fractional(path)
    except InputError:
        return False


def _beyond_classes(values: NDArray[Any]) -> bool:
    return values.ndim == 2 and values.dtype != np.uint8 and bool(((values > _MOST_CLASSES) & (values != _VOID)).any())


def _few_values(values: NDArray[Any]) -> bool:
    if values.ndim == 2:
        return values.dtype != np.uint8 or len(unique_labels(values)) <= MOST_IDS
    wide = values.astype(np.int32)
    codes = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return len(np.unique(codes)) <= MOST_IDS


def _is_fractional(path: Path) -> bool:
    """Whether a file holds one channel of floating-point numbers."""
    with contextlib.suppress(InputError), opened(path) as image:
        return image.mode == "F"
    return False
