"""Finding the file that belongs to an image.

Files are matched by equal key (see `crots.data.folder_listing`), else by what the names of images and files have in
common (`crots.data.naming`): see `match`.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from crots.data.name_forms import shared_folders
from crots.data.name_words import composed, turned_word
from crots.data.naming import Undecided, learned_pairs
from crots.errors import InputError
from crots.image_formats import IMAGE_SUFFIXES
from crots.text import plural

# Longest first, since one ends with another. `_L` is CamVid's.
_IMAGE_ENDINGS = ("_leftImg8bit",)
_LABEL_ENDINGS = (
    *(kind + what for kind in ("_gtFine", "_gtCoarse", "") for what in ("_labelTrainIds", "_labelIds", "_color")),
    "_L",
)
# What Label Studio writes before the names of uploaded files.
_UPLOADED = re.compile(r"(?:(?<=/)|^)[0-9a-f]{8}-(?=[^/]+$)")
# From this share of the smaller side on, files are named as their images.
_MOST = 0.5
_SEVERAL = 2
# Pairs of one change are all alike: so many are looked at.
_LOOKED_AT = 12
# What distinguishes the kinds of label files of Cityscapes.
ENDINGS = ("_labelTrainIds", "_labelIds", "_color", "_instanceIds", "_instanceTrainIds")
# Cityscapes' names of images, also of those to which fog or rain were added, and of labels.
_FRAME = re.compile(r"(?P<frame>[^/]+)_leftImg8bit(_[^/]*)?$")
_RIGHT = re.compile(r"_rightImg8bit(_[^/]*)?$")
Frame = tuple[tuple[str, ...], str]
_FRAME_LABEL = re.compile(r"(?P<frame>[^/]+)_(gtFine|gtCoarse)(_[^/]*)?$")
# How whole paths begin, on any computer.
_WHOLE = re.compile(r"/|[A-Za-z]:/")


def is_whole_path(name: str) -> bool:
    """Whether a path of a list or a labelling tool, with slashes, is a whole one, perhaps of another computer."""
    return _WHOLE.match(name) is not None


def plain_key(key: str) -> str:
    """Returns a key without what data sets append to the stem."""
    for ending in (*_IMAGE_ENDINGS, *_LABEL_ENDINGS):
        if key.endswith(ending) and not key[: -len(ending)].endswith("/") and len(key) > len(ending):
            return key[: -len(ending)]
    return key


def plain_stem(key: str) -> str:
    """Returns the last part of a key without what data sets append to it."""
    return plain_key(key).rsplit("/", 1)[-1]


def without_upload(key: str) -> str:
    """Returns a key or path with the name that a file had before it was uploaded to Label Studio."""
    return _UPLOADED.sub("", key)


def label_ending(key: str) -> str:
    """Returns ``_labelTrainIds``, ``_labelIds``, ``_color``, ``_instanceIds`` ... of a Cityscapes-style name, or ''."""
    return next((ending for ending in ENDINGS if key.endswith(ending)), "")


def match(
    keys: Iterable[str],
    files: Mapping[str, Path],
    *,
    what: str,
    folder: Path,
    partial: bool = False,
    taken: bool = False,
) -> dict[str, Path]:
    """Finds each image's file: the one with an equal key, otherwise the one whose name differs only as all names do.

    Args:
        keys: the images'.
        files: key -> path of the candidates; ones that belong to no image are left over silently.
        what: ``label``, ``prediction`` ..., for errors.
        folder: where the candidates lie, for errors.
        partial: leave out images without a file instead of raising.
        taken: files of other images are left out of ``files``, for errors.

    Raises:
        InputError: a file is missing, or names do not decide; the first few of both sides are named.
    """
    keys = list(keys)
    _refuse_right(keys, files, what, folder)
    same = found = {key: files[key] for key in keys if key in files}
    for image, file in _CONVENTIONS:
        if len(found) == len(keys):
            break
        found = found | _match_by(image, file, keys, files, found, f"{folder}: the {what} of", what)
    found = found | _frames(keys, files, found)
    if len(found) < min(len(keys), len(files)):
        found = _by_common_names(keys, files, same, found, what, folder)
    _refuse_kinds(keys, files, found, what, folder)
    missing = [key for key in keys if key not in found]
    if missing and not partial:
        turned, used = turned_word(missing, files), set(found.values())
        left = [name for name, path in files.items() if path not in used]
        free = " of no other image" if used or taken else ""
        among = f" among {plural(len(left), 'file')}{free} ({some(left)})" if left else ": all files are of others"
        raise InputError(
            f"{folder}: found no {what} for {len(missing)} of {len(keys)} images ({some(missing)}){among}, expected "
            "one of the same relative path or file name for each"
            + (f"; {turned!r} is taken to mean turned copies, which no {what} of an original fits" if turned else "")
        )
    return found


def matched_names(found: Mapping[str, Path], what: str) -> str:
    """Shows by an example how files were found whose names differ from their images'; empty where none does.

    Args:
        found: files by image key, as `match` returns them.
        what: ``label``, ``prediction`` ...
    """
    for key, path in found.items():
        if plain_stem(key) != plain_stem(without_upload(path.stem)):
            return f"{what}s are matched by name, as {path.name} for {key.rsplit('/', 1)[-1]}"
    return ""


def _match_by(
    image_of: Callable[[str], str],
    file_of: Callable[[str], str],
    keys: Sequence[str],
    files: Mapping[str, Path],
    found: Mapping[str, Path],
    where: str,
    what: str,
) -> dict[str, Path]:
    """Matches what is not in ``found`` yet by what both names are simplified to; no file is used twice."""
    candidates, wanted = _grouped(files, file_of), _grouped(keys, image_of)
    taken = set(found.values())
    more = {}
    for key in keys:
        common = image_of(key)
        fitting = candidates.get(common, [])
        if key in found or not fitting or any(files[file] in taken for file in fitting):
            continue
        rivals = wanted[common]
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


def _refuse_right(keys: Sequence[str], files: Mapping[str, Path], what: str, folder: Path) -> None:
    """Refuses the labels of Cityscapes, which are of the left camera, for the images of the right one."""
    if any(_RIGHT.search(key) for key in keys) and (labels := [name for name in files if _FRAME_LABEL.search(name)]):
        raise InputError(
            f"{folder}: the {what}s of Cityscapes ({some(labels)}) are of the left camera, and do not fit images of "
            "the right one; give the images of leftImg8bit, or no labels"
        )


def _frames(keys: Sequence[str], files: Mapping[str, Path], found: Mapping[str, Path]) -> dict[str, Path]:
    """Matches images named as Cityscapes' with the labels of their frames, of which several images may be versions."""
    images = {key: named["frame"] for key in keys if key not in found and (named := _FRAME.search(key))}
    if not images:
        return {}
    shared = shared_folders(list(keys), list(files))
    folders, labels = defaultdict[Frame, set[str]](set), defaultdict[Frame, list[str]](list)
    for key, frame in images.items():
        folders[shared(key), frame].add(key.rpartition("/")[0])
    for name in files:
        if named := _FRAME_LABEL.search(name):
            labels[shared(name), named["frame"]].append(name)
    # Names that are not those of Cityscapes' own cities and frames may come again in other folders.
    return {
        key: files[labels[shared(key), frame][0]]
        for key, frame in images.items()
        if len(labels[shared(key), frame]) == 1 == len(folders[shared(key), frame])
    }


def _by_common_names(
    keys: Sequence[str],
    files: Mapping[str, Path],
    same: Mapping[str, Path],
    found: dict[str, Path],
    what: str,
    folder: Path,
) -> dict[str, Path]:
    """Matches by the change of names that all have in common, if that finds more."""
    most = len(found) >= _MOST * min(len(keys), len(files))
    try:
        learned = {key: files[name] for key, name in learned_pairs(keys, list(files)).items()}
    except Undecided as doubt:
        if most:
            return found
        raise InputError(
            f"{folder}: the {what} {doubt}; found {some(keys)} and {some(sorted(files))}, "
            f"expected {what}s of one kind, in the same subfolders as the images; give a folder that holds no others"
        ) from None
    # Where most are named alike, or have equal names, a change that does not hold for these is none.
    kept = found if most else same
    return learned if len(learned) > len(found) and kept.items() <= learned.items() else found


def _refuse_kinds(
    keys: Sequence[str], files: Mapping[str, Path], found: Mapping[str, Path], what: str, folder: Path
) -> None:
    """Refuses files that are named in several ways, since they may be of several kinds: ids, colours, instances."""
    names = {path: name for name, path in files.items()}
    kinds = dict[str, str]()
    for key, path in found.items():
        kinds.setdefault(_kind(key, names[path]), f"{names[path]} for {key}")
    if found and len(kinds) < _SEVERAL:
        used = set(found.values())
        images, rest = (
            [key for key in keys if key not in found],
            [name for name in names.values() if files[name] not in used],
        )
        try:
            others = learned_pairs(images, rest) if images and rest else {}
        except Undecided:
            others = {}
        alike = [pair for pair in itertools.islice(others.items(), _LOOKED_AT) if _differ_in_kind(*pair, found)]
        # One is nobody's pattern.
        if len(alike) >= _SEVERAL:
            key, name = alike[0]
            kinds["other"] = f"{name} for {key}"
    if len(kinds) >= _SEVERAL:
        raise InputError(
            f"{folder}: {what}s of several kinds, {some(sorted(kinds.values()))}; found {some(keys)} and "
            f"{some(sorted(files))}, expected one kind for all; give a folder that holds no others"
        )


def _differ_in_kind(key: str, name: str, found: Collection[str]) -> bool:
    """Whether a file is another kind's of the image, and not one of another image: a run beside a swim, b/1 beside c/1.

    What the image's name does not share with the file's is then the same in those of the images that have a file.
    """
    at = SequenceMatcher(None, key, name, autojunk=False).find_longest_match()
    head, tail = key[: at.a], key[at.a + at.size :]
    return all(other.startswith(head) and other.endswith(tail) for other in found)


def _kind(key: str, name: str) -> str:
    """What is appended to the name of a file, and not to that of its image."""
    return next((end for end in (*ENDINGS, *_LABEL_ENDINGS) if name.endswith(end) and not key.endswith(end)), "")


def _without_image_suffix(key: str) -> str:
    """Some tools name the label of ``x.jpg`` ``x.jpg.png``."""
    stem, suffix = os.path.splitext(composed(key))  # noqa: PTH122 - as in key_of
    return stem if suffix.lower() in IMAGE_SUFFIXES else composed(key)


# What images and files have in common by convention.
_CONVENTIONS: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
    (composed, composed),
    (plain_key, plain_key),
    (composed, _without_image_suffix),
    (plain_key, lambda key: without_upload(plain_key(key))),
)


def some(items: Collection[object], most: int = 3) -> str:
    """Returns the first few items as text, and how many more there are."""
    first = ", ".join(str(item) for item, _ in zip(items, range(most), strict=False))
    return first + (f" and {len(items) - most} more" if len(items) > most else "")
