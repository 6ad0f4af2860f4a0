"""Finding the file that belongs to an image.

Files are matched by equal key (see `crots.data.folder_listing`), else by what the names of images and files have in
common: see `match`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crots.data.spread import evenly_spread
from crots.errors import InputError
from crots.image_formats import IMAGE_SUFFIXES

# Longest first, since one ends with another. `_L` is CamVid's.
_IMAGE_ENDINGS = ("_leftImg8bit",)
_LABEL_ENDINGS = (
    *(kind + what for kind in ("_gtFine", "_gtCoarse", "") for what in ("_labelTrainIds", "_labelIds", "_color")),
    "_L",
)
# Words, numbers and signs of a name; letters and digits are separate.
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[\W_]")
_SIGNED = re.compile(r"(?<!\d)-\d+|" + _TOKEN.pattern)
_MINUS = re.compile(r"(?<!\d)-\d")
# A number that stands by itself; those of leftImg8bit, manual1 and 1stHO do not.
_NUMBER = re.compile(r"(?<![^\W_])\d+(?![^\W_])")
# What Label Studio writes before the names of uploaded files.
_UPLOADED = re.compile(r"(?:(?<=/)|^)[0-9a-f]{8}-(?=[^/]+$)")
# Images whose names are compared with all others to learn how a file is named after its image.
_LEARNED_FROM = 12
# What distinguishes the kinds of label files of Cityscapes.
ENDINGS = ("_labelTrainIds", "_labelIds", "_color", "_instanceIds", "_instanceTrainIds")
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
    keys: Iterable[str], files: Mapping[str, Path], *, what: str, folder: Path, partial: bool = False
) -> dict[str, Path]:
    """Finds each image's file: the one with an equal key, otherwise the one whose name differs only as all names do.

    Args:
        keys: the images'.
        files: key -> path of the candidates; ones that belong to no image are left over silently.
        what: ``label``, ``prediction`` ..., for errors.
        folder: where the candidates lie, for errors.
        partial: leave out images without a file instead of raising.

    Raises:
        InputError: a file is missing, or names do not decide; the first few of both sides are named.
    """
    keys = list(keys)
    found = {key: files[key] for key in keys if key in files}
    same = Pairing(composed, composed)
    pairings: list[Callable[[], Pairing | None]] = [
        lambda: same,
        lambda: Pairing(plain_key, plain_key),
        lambda: Pairing(composed, _without_image_suffix),
        lambda: Pairing(plain_key, lambda key: without_upload(plain_key(key))),
        lambda: _without_common_folders(keys, files),
        lambda: _but_for_one_word(keys, files),
        lambda: learned(keys, files, what, folder, in_folders=True),
        lambda: Pairing(plain_stem, plain_stem),
        lambda: Pairing(plain_stem, lambda key: plain_stem(_without_image_suffix(key))),
        lambda: learned(keys, files, what, folder, in_folders=False),
        lambda: _between_common_ends(keys, files),
        lambda: Pairing(_unpadded, _unpadded),
    ]
    for make in pairings:
        if len(found) == len(keys) or (found and len(set(found.values())) == len(files)):
            break
        if (pairing := make()) is not None:
            found |= _match_by(pairing, keys, files, found, f"{folder}: the {what} of", what)
    missing = [key for key in keys if key not in found]
    if missing and not partial:
        raise InputError(
            f"{folder}: found no {what} for {len(missing)} of {len(keys)} images ({some(missing)}) among {len(files)} "
            f"files ({some(files)}), expected one of the same relative path or file name for each"
        )
    return found


@dataclass(frozen=True)
class Pairing:
    """A way to compare names: an image and a file belong together where both give the same text; None gives none."""

    image: Callable[[str], str | None]
    file: Callable[[str], str | None]


def _match_by(
    pairing: Pairing,
    keys: list[str],
    files: Mapping[str, Path],
    found: Mapping[str, Path],
    where: str,
    what: str,
) -> dict[str, Path]:
    """Matches what is not in ``found`` yet by a pairing; a file already matched is not used again."""
    candidates, wanted = _grouped(files, pairing.file), _grouped(keys, pairing.image)
    taken = set(found.values())
    more = {}
    for key in keys:
        common = pairing.image(key)
        fitting = [] if common is None else candidates.get(common, [])
        if key in found or common is None or not fitting or any(files[file] in taken for file in fitting):
            continue
        rivals = wanted[common]
        if len(fitting) > 1 or len(rivals) > 1:
            raise InputError(
                f"{where} {some(rivals)} may be {some(fitting)}: the file name alone does not decide; "
                f"give images and {what}s the same subfolders"
            )
        more[key] = files[fitting[0]]
    return more


def _grouped(keys: Iterable[str], simplify: Callable[[str], str | None]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        if (simple := simplify(key)) is not None:
            groups[simple].append(key)
    return groups


def composed(key: str) -> str:
    """Returns a key with accents in one code point each: macOS writes them in two."""
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def _without_image_suffix(key: str) -> str:
    """Some tools name the label of ``x.jpg`` ``x.jpg.png``."""
    stem, suffix = os.path.splitext(composed(key))  # noqa: PTH122 - as in key_of
    return stem if suffix.lower() in IMAGE_SUFFIXES else composed(key)


def _without_common_folders(keys: Collection[str], files: Collection[str]) -> Pairing | None:
    """Leaves out the folders that all of a side have: ``night/rgb/1`` and ``night/gt/1`` have ``night/1`` in common."""
    sides = [_folders_of_all(side) for side in (keys, files)]
    if not any(sides) or sides[0] == sides[1]:
        return None
    image, file = (lambda key, drop=drop: _without(plain_key(key), drop) for drop in sides)
    return Pairing(image, file)


def _folders_of_all(keys: Iterable[str]) -> frozenset[str]:
    common: frozenset[str] | None = None
    for key in keys:
        folders = frozenset(key.split("/")[:-1])
        common = folders if common is None else common & folders
        if not common:
            break
    return common or frozenset()


def _without(key: str, folders: frozenset[str]) -> str:
    *parents, stem = composed(key).split("/")
    return "/".join([*(parent for parent in parents if parent not in folders), stem])


def _but_for_one_word(keys: Collection[str], files: Collection[str]) -> Pairing | None:
    """Compares words and numbers, whatever stands between them: ``front/001`` and ``front_1``.

    A word that all of a side have and the other side has not is left out: ``train_images/1`` and ``train_masks/1``. If
    there are several, as in ``row1_col2`` and ``y1_x2``, the numbers may have changed places, and nothing is compared.
    """
    common = [_parts_of_all(side) for side in (keys, files)]
    roles = [own - other for own, other in (common, reversed(common))]
    if max(map(len, roles)) > 1:
        return None
    signed = _are_signed(keys, files)
    image, file = (lambda key, role=role: _parts_without(key, role, signed) for role in roles)
    return Pairing(image, file)


def _are_signed(keys: Collection[str], files: Collection[str]) -> bool:
    """Whether a hyphen before a number is a minus, since it stands in some names of a side only."""
    counts = ((sum(_MINUS.search(key) is not None for key in side), len(side)) for side in (keys, files))
    return any(0 < count < every for count, every in counts)


def _parts_of_all(keys: Iterable[str]) -> frozenset[str]:
    common: frozenset[str] | None = None
    for key in keys:
        words = frozenset(part for part in _parts(key) if not part.isdigit())
        common = words if common is None else common & words
        if not common:
            break
    return common or frozenset()


def _parts(key: str, *, signed: bool = False) -> list[str]:
    """Words in lower case, and numbers as they count."""
    found = (_SIGNED if signed else _TOKEN).findall(composed(key).lower())
    return [_counted(part) for part in found if part.lstrip("-").isalnum()]


def _counted(number: str) -> str:
    digits = number.lstrip("-")
    return number[: len(number) - len(digits)] + (digits.lstrip("0") or "0") if digits.isdigit() else number


def _parts_without(key: str, role: frozenset[str], signed: bool) -> str | None:
    return "/".join(part for part in _parts(key, signed=signed) if part not in role) or None


@dataclass(frozen=True)
class _Change:
    """How an image's name becomes its file's: ``image`` is replaced by ``file``, at the end or at the beginning."""

    at_end: bool
    image: str
    file: str

    def image_core(self, name: str) -> str | None:
        return _cut(name, self.image, self.at_end)

    def file_core(self, name: str) -> str | None:
        return _cut(name, self.file, self.at_end)


def _cut(name: str, part: str, at_end: bool) -> str | None:
    if at_end:
        return name[: len(name) - len(part)] if name.endswith(part) and len(name) > len(part) else None
    return name[len(part) :] if name.startswith(part) and len(name) > len(part) else None


def _splits(name: str) -> Iterator[tuple[bool, str, str]]:
    """Yields the cuts of a name between words, numbers and signs: whether at its end, what is kept, what is cut off."""
    places = [found.end() for found in _TOKEN.finditer(name)]
    for place in places:
        yield True, name[:place], name[place:]
        if place < len(name):
            yield False, name[place:], name[:place]
    yield False, name, ""


def learned(
    keys: Sequence[str], files: Mapping[str, Path], what: str, folder: Path, *, in_folders: bool
) -> Pairing | None:
    """Learns from the names how an image's becomes its file's: ``x_image`` ``x_label``, ``21_training`` ``21_manual1``.

    Args:
        keys: the images'.
        files: key -> path of the candidates.
        what: for errors.
        folder: for errors.
        in_folders: compare within folders of the same name; else the last parts alone.

    Returns:
        The one change that fits the most images, or None where none fits several.

    Raises:
        InputError: several changes fit equally well.
    """
    part = composed if in_folders else _last
    names, images = {part(key) for key in files}, [part(key) for key in keys]
    sampled = [images[place] for place in evenly_spread(len(images), _LEARNED_FROM)]
    found = _changes(sampled, names)
    if _are_signed(images, names):
        found = [change for change in found if change.image.endswith("-") == change.file.endswith("-")]
    changes = sorted(found, key=lambda change: -_fitting(change, sampled, names))
    fits = {change: _fitting(change, images, names) for change in changes[:_LEARNED_FROM]}
    most = max(fits.values(), default=0)
    if not most or (most == 1 and len(keys) > 1):
        return None
    best = [change for change, count in fits.items() if count == most]
    # A longer common part is the better reason; changes that say the same of every image are one.
    # Of x and x_overlay the file x_mask is that of x.
    best = [change for change in best if not change.image] or best
    readings = {tuple(_named(change, name) for name in images[:_LEARNED_FROM]): change for change in reversed(best)}
    if len(readings) > 1:
        fitting = {image: sorted(names & {_named(change, image) for change in readings.values()}) for image in images}
        image, rivals = max(fitting.items(), key=lambda item: len(item[1]))
        doubt = f"the {what} of {image} may be {' or '.join(rivals)}"
        if len(rivals) == 1:
            several = [other for other in images if rivals[0] in fitting[other]]
            doubt = f"the {what} {rivals[0]} may be that of {' or '.join(several[:3])}"
        raise InputError(
            f"{folder}: {doubt}; found {some(images)} and {some(sorted(names))}, "
            f"expected {what}s of one kind; give a folder that holds no others"
        )
    change = next(iter(readings.values()))
    return Pairing(lambda key: change.image_core(part(key)), lambda key: change.file_core(part(key)))


def _last(key: str) -> str:
    return composed(key).rsplit("/", 1)[-1]


def _named(change: _Change, image: str) -> str | None:
    core = change.image_core(image)
    if core is None:
        return None
    return core + change.file if change.at_end else change.file + core


def _fitting(change: _Change, images: Iterable[str], names: Collection[str]) -> int:
    return sum(_named(change, image) in names for image in images)


def _changes(images: Sequence[str], names: Iterable[str]) -> list[_Change]:
    """Returns what turns one of the images into one of the names that has most in common with it."""
    wanted: dict[tuple[bool, str], list[tuple[int, str]]] = defaultdict(list)
    for number, image in enumerate(images):
        for at_end, core, rest in _splits(image):
            wanted[at_end, core].append((number, rest))
    best: dict[int, tuple[int, set[_Change]]] = {number: (0, set()) for number in range(len(images))}
    for name in names:
        for at_end, core, rest in _splits(name):
            for number, own in wanted.get((at_end, core), ()):
                if len(core) < best[number][0] or not (own or rest) or _numbered(own, rest):
                    continue
                if len(core) > best[number][0]:
                    best[number] = (len(core), set())
                best[number][1].add(_Change(at_end, own, rest))
    return sorted({change for _, found in best.values() for change in found}, key=lambda change: -len(change.image))


def _numbered(*rests: str) -> bool:
    """Whether a part that is cut off holds a number by itself, which distinguishes images."""
    return any(_NUMBER.search(rest) for rest in rests)


def _unpadded(key: str) -> str:
    """The last part of a key with numbers as they count: one tool's ``0001`` is another's ``1``."""
    return re.sub(
        r"\d+", lambda found: str(int(found[0])) if len(found[0]) < 20 else found[0], plain_stem(composed(key))
    )


def _between_common_ends(keys: Collection[str], files: Collection[str]) -> Pairing | None:
    """Leaves out what all names of a side begin and end with: ``img_1_rgb`` and ``mask_1_gt`` have ``1`` in common."""
    if len(keys) < 2 or len(files) < 2:
        return None
    cuts = [_common_ends([_last(key) for key in side]) for side in (keys, files)]
    if not any(map(any, cuts)):
        return None
    if _are_signed(keys, files):
        cuts = [(head - any(_MINUS.match(_last(key), head - 1) for key in side if head), tail)
                for side, (head, tail) in zip((keys, files), cuts, strict=True)]  # fmt: skip
    image, file = (lambda key, cut=cut: _last(key)[cut[0] : len(_last(key)) - cut[1]] for cut in cuts)
    return Pairing(image, file)


def _common_ends(names: Sequence[str]) -> tuple[int, int]:
    """Returns how many characters all names begin and end with, cut between words and numbers, without overlap."""
    first = names[0]
    head, tail = _common_head(names), _common_head([name[::-1] for name in names])
    shortest = min(map(len, names))
    places = {0, *(found.end() for found in _TOKEN.finditer(first))}
    head = max(place for place in places if place <= head)
    ends = {len(first) - place for place in places}
    tail = max((end for end in ends if end <= min(tail, shortest - head)), default=0)
    # A number that all begin with may go on differently: 10 and 12 have no 1 in common.
    return _off_numbers(names, head, tail)


def _common_head(names: Sequence[str]) -> int:
    least, greatest = min(names), max(names)
    pairs = enumerate(zip(least, greatest, strict=False))
    return next((place for place, (one, other) in pairs if one != other), len(least))


def _off_numbers(names: Sequence[str], head: int, tail: int) -> tuple[int, int]:
    while head and any(name[head - 1].isdigit() and name[head : head + 1].isdigit() for name in names):
        head -= 1
    while tail and any(name[-tail].isdigit() and name[-tail - 1 : -tail].isdigit() for name in names):
        tail -= 1
    return head, tail


def some(items: Collection[object], most: int = 3) -> str:
    """Returns the first few items as text, and how many more there are."""
    first = ", ".join(str(item) for item, _ in zip(items, range(most), strict=False))
    return first + (f" and {len(items) - most} more" if len(items) > most else "")
