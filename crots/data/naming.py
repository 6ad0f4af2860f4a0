"""Learns from the names of images and of files how an image's becomes its file's: ``x_image`` and ``x_label``.

One change is learned for all: a pair that needs another is none. What it takes off a name says of what kind that is,
an image or a mask, and never of which thing, a copy or another view: so nothing else tells two names of a side apart by
it, and no name of the other side has it too. And it fits most names, since a few are alike in any two folders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from crots.data.name_changes import LEARNED_FROM, SAME, Change, Name, Sides
from crots.data.name_forms import forms_of

# From this share of the best change's fits on, a rival is a doubt and no chance.
_RIVAL = 0.2


class Undecided(Exception):
    """Names that fit in several ways; the message says which."""


class _Rivals(Undecided):
    """A name fits several, which folders or other words may tell apart."""


def learned_pairs(keys: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    """Pairs images with files by the one change of names that fits them.

    Args:
        keys: the images'.
        files: the candidates'.

    Returns:
        Image -> file; empty where no change fits enough of them.

    Raises:
        Undecided: several fit, or a name fits several.
    """
    best, rivals = dict[str, str](), list[_Rivals]()
    for sides in forms_of(keys, files):
        changes = sides.changes()
        fits = {change: sides.fitting(change, sides.images) for change in changes[:LEARNED_FROM]}
        good = {change: count for change, count in fits.items() if sides.enough(change, count)}
        if max(good.values(), default=0) <= len(best):
            continue
        fits = {change: count for change, count in fits.items() if count and not sides.telling(change)}
        # What fits as many names as the best, and tells them apart, is a doubt about that too.
        refused = max((count for change, count in good.items() if change not in fits), default=0)
        good = {change: count for change, count in good.items() if change in fits and count > refused}
        try:
            found = _decided(sides, good, fits) if good else {}
        except _Rivals as several:
            rivals.append(several)
            continue
        # What looser forms find adds to what stricter ones find, or is a chance.
        if len(found) > len(best) and best.items() <= found.items():
            best = found
        if len(best) == min(len(keys), len(files)):
            break
    if rivals and not best:
        raise rivals[0]
    return best


def _decided(sides: Sides, good: Mapping[Change, int], fits: Mapping[Change, int]) -> dict[str, str]:
    """The pairs of the change that fits most, unless others say that they may be wrong."""
    change = min(good, key=lambda one: (-good[one], len(one.head) + len(one.tail), one != SAME))
    pairs = sides.pairs(change)
    _refuse_rivals(pairs)
    if sides.in_other_folders(change, pairs):
        return {}
    found = {image.key: files[0].key for image, files in pairs}
    owners = {file: image for image, file in found.items()}
    for rival in (one for one, count in fits.items() if count >= _RIVAL * good[change]):
        for image, files in sides.pairs(rival):
            own, other = found.get(image.key), files[0].key
            if own is not None and own != other:
                raise Undecided(f"of {image.key} may be {' or '.join(sorted([own, other]))}")
            if own is None and other in owners:
                raise Undecided(f"{other} may be that of {' or '.join(sorted([image.key, owners[other]]))}")
    return found


def _refuse_rivals(pairs: Iterable[tuple[Name, list[Name]]]) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for image, files in pairs:
        owners[files[0].key].append(image.key)
    for _, files in pairs:
        rivals = owners[files[0].key]
        if len(files) > 1 or len(rivals) > 1:
            several = ", ".join(file.key for file in files[:3])
            raise _Rivals(f"of {', '.join(rivals[:3])} may be {several}: the file name alone does not decide")
