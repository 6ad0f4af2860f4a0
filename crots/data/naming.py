"""Learns from the names of images and of files how an image's becomes its file's: ``x_image`` and ``x_label``.

One change is learned for all: a pair that needs another is none. It counts only where it fits several names and most of
those that it could fit, since a few names of different things are alike in any two folders.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from crots.data.spread import evenly_spread

# Words, numbers and signs of a name; letters and digits are separate.
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[\W_]")
_WORD = re.compile(r"\d+(?:st|nd|rd|th)|\d+|[^\W\d_]+")
_MINUS_FIRST = r"(?<!\d)-\d+|"
_MINUS = re.compile(r"(?<!\d)-\d")
_NUMBER = re.compile(r"\d+")
# Images whose names are compared with all others, and how many of the others may be most like one of them.
_LEARNED_FROM, _ALIKE = 12, 48
# Shares of the names that a change has to fit: of those it applies to, and of all of the smaller side.
_MOST, _OF_ALL = 0.5, 0.34
# Shares of images and of files that it has to apply to: there may be several kinds of either.
_OF_IMAGES, _OF_FILES = 0.4, 0.2
# So many names are no chance where there are several kinds.
_FEW = 3
# A looser form is taken where the stricter one finds less than this share.
_BETTER = 0.7
# Views of one place, and parts of a data set: what one holds belongs to none of another.
_OTHERS = (
    frozenset({"left", "right", "front", "rear", "back", "top", "bottom"}),
    frozenset({"train", "training", "val", "valid", "validation", "test", "testing"}),
)
# From this share of the best change's fits on, a rival is a doubt and no chance.
_RIVAL = 0.2

Tokens = tuple[str, ...]


class Undecided(Exception):
    """Names that fit in several ways; the message says which."""


class _Rivals(Undecided):
    """A name fits several, which folders or other words may tell apart."""


def composed(key: str) -> str:
    """Returns a key with accents in one code point each: macOS writes them in two."""
    return key if key.isascii() else unicodedata.normalize("NFC", key)


@dataclass(frozen=True)
class _Name:
    """A key in a form in which names are compared: what folders both sides have, and the tokens of the rest."""

    key: str
    folders: Tokens
    tokens: Tokens


@dataclass(frozen=True)
class _Change:
    """How an image's tokens become its file's: what they begin and end with is replaced."""

    head: Tokens
    tail: Tokens
    file_head: Tokens
    file_tail: Tokens

    def file_of(self, name: _Name) -> tuple[Tokens, Tokens] | None:
        """What the file of an image is called; None where the change does not apply to it."""
        core = _core(name, self.head, self.tail)
        return None if core is None else (name.folders, (*self.file_head, *core, *self.file_tail))

    def fits_file(self, name: _Name) -> bool:
        return _core(name, self.file_head, self.file_tail) is not None


def _core(name: _Name, head: Tokens, tail: Tokens) -> Tokens | None:
    tokens, end = name.tokens, len(name.tokens) - len(tail)
    # Where folders tell images apart, all of them may have one name.
    if end < len(head) + (not name.folders) or tokens[: len(head)] != head or tokens[end:] != tail:
        return None
    return tokens[len(head) : end]


@dataclass(frozen=True)
class _Ends:
    """What all names of a side begin and end with, and how many tokens the shortest can spare."""

    head: Tokens
    tail: Tokens
    most: int

    @classmethod
    def of(cls, names: Sequence[_Name]) -> _Ends:
        tokens = [name.tokens for name in names]
        head, tail = _common_head(tokens), _common_head([one[::-1] for one in tokens])[::-1]
        return cls(head, tail, min(len(name.tokens) - (not name.folders) for name in names))

    def have(self, head: Tokens, tail: Tokens) -> bool:
        fit = self.head[: len(head)] == head and self.tail[len(self.tail) - len(tail) :] == tail
        return fit and len(tail) <= len(self.tail) and len(head) + len(tail) <= self.most


def _common_head(names: Sequence[Tokens]) -> Tokens:
    least, greatest = min(names), max(names)
    count = next((place for place, (one, other) in enumerate(zip(least, greatest, strict=False)) if one != other), None)
    return least[:count] if count is not None else min(least, greatest, key=len)


_SAME = _Change((), (), (), ())


class _Form(Enum):
    """How names are compared: as written, word by word, or so with the words of their folders among those."""

    EXACT = 0
    LOOSE = 1
    FLAT = 2


class _Sides:
    """Images and files in one form, and the changes between them."""

    def __init__(self, images: Sequence[_Name], files: Sequence[_Name], form: _Form) -> None:
        self.images, self.files, self.form = images, files, form
        self.endings: dict[tuple[int, int], Counter[Tokens]] = {}
        self.by_name: dict[tuple[Tokens, Tokens], list[str]] = defaultdict(list)
        for name in files:
            self.by_name[name.folders, name.tokens].append(name.key)

    @functools.cached_property
    def sampled(self) -> list[_Name]:
        return [self.images[place] for place in evenly_spread(len(self.images), _LEARNED_FROM)]

    def fitting(self, change: _Change, images: Iterable[_Name]) -> int:
        return sum(change.file_of(name) in self.by_name for name in images)

    def changes(self) -> list[_Change]:
        """The changes that turn one of the sampled images into a file most like it, those that fit most first."""
        found = Counter({_SAME: self.fitting(_SAME, self.sampled)})
        for image in self.sampled:
            for file in self.alike(image):
                for change in _changes(image, file):
                    if change not in found and self.plausible(change):
                        found[change] = self.fitting(change, self.sampled)
        return [change for change, _ in found.most_common(2 * _LEARNED_FROM)]

    @functools.cached_property
    def holding(self) -> Mapping[tuple[Tokens, str, int], list[int]]:
        """The places of the files that have a token so many times."""
        found: dict[tuple[Tokens, str, int], list[int]] = defaultdict(list)
        for place, name in enumerate(self.files):
            for token in _numbered(name):
                found[token].append(place)
        return found

    def alike(self, image: _Name) -> list[_Name]:
        """The files that have the most in common with an image."""
        votes: Counter[int] = Counter()
        for token in _numbered(image):
            places = self.holding.get(token, [])
            # What most files have tells none from another.
            if len(places) <= max(_ALIKE, len(self.files) // 2):
                votes.update(places)
        if not votes:
            near = [name for name in self.files if name.folders == image.folders]
            return near if len(near) <= _LEARNED_FROM else []
        best = votes.most_common(_ALIKE)
        return [self.files[place] for place, count in best if count >= best[0][1] - 1]

    def plausible(self, change: _Change) -> bool:
        """Whether what is cut off can be the same for all, and does not tell images apart.

        Numbers do, unless all names have them, and words do that the other side has too.
        """
        parts = (*change.head, "", *change.tail), (*change.file_head, "", *change.file_tail)
        if self.form is _Form.FLAT and not self.of_all(change):
            return False
        if self.replaces_all(change):
            # Folders tell images apart: scene_1/rgb and scene_1/labels.
            return _numbers(parts[0]) == _numbers(parts[1]) and (self.of_all(change) or not _numbers(parts[0]))
        words, numbers = [set(_words(part)) for part in parts], [_numbers(part) for part in parts]
        if _are_others(*words):
            return False
        if (words[1] - words[0]) & self.some_words:
            # Of the images x and x_copy, these are files of the second.
            return False
        constant = [set(_words(ends.head + ends.tail)) for ends in self.ends]
        telling = (words[0] - words[1] - constant[0]) & self.words[1] or (
            words[1] - words[0] - constant[1]
        ) & self.words[0]
        if self.some_end_with(0, _counter(change.file_tail)) or self.some_end_with(1, _counter(change.tail)):
            # Of x and x_1, which are two images, one is missing.
            return False
        if not any(numbers):
            return not telling or self.of_all(change)
        exact = self.form is _Form.EXACT
        alone = [_stand_alone(part) if exact else bool(own) for part, own in zip(parts, numbers, strict=True)]
        if numbers[0] == numbers[1] and exact and alone[0] == alone[1]:
            return not telling or self.of_all(change)
        # Of 1 and 2, or frame 1 and frame 2; but x_0000 beside x is one channel of it.
        if all(numbers) and (words[0] & words[1] or words[0] == words[1] or any(alone)):
            return False
        return (not telling and not any(alone) and not all(numbers)) or self.of_all(change)

    def some_end_with(self, side: int, tail: Tokens) -> bool:
        """Whether some names of the images (0) or of the files (1) end with a tail, and others do not."""
        if not tail:
            return False
        names = (self.images, self.files)[side]
        # Counted once for all changes, of which there may be hundreds.
        if (side, len(tail)) not in self.endings:
            self.endings[side, len(tail)] = Counter(name.tokens[-len(tail) :] for name in names)
        return 0 < self.endings[side, len(tail)][tail] < len(names)

    def replaces_all(self, change: _Change) -> bool:
        """Whether nothing of a name is left."""
        return (*change.head, *change.tail) in self.image_tokens

    @functools.cached_property
    def image_tokens(self) -> frozenset[Tokens]:
        return frozenset(name.tokens for name in self.images)

    @functools.cached_property
    def words(self) -> tuple[frozenset[str], frozenset[str]]:
        """The words of each side, and its folders' names."""
        one, other = (
            frozenset(token.lower() for name in side for token in (*name.folders, *name.tokens) if token.isalpha())
            for side in (self.images, self.files)
        )
        return one, other

    @functools.cached_property
    def some_words(self) -> frozenset[str]:
        """The words that some images' names have, and others have not: they tell these apart."""
        counts = Counter(word for name in self.images for word in set(_words(name.tokens)))
        return frozenset(word for word, count in counts.items() if count < len(self.images))

    def of_all(self, change: _Change) -> bool:
        """Whether all names have what is cut off, and there are several."""
        if min(len(self.images), len(self.files)) < (2 if self.form is _Form.EXACT else 3):
            return False
        one, other = self.ends
        return one.have(change.head, change.tail) and other.have(change.file_head, change.file_tail)

    @functools.cached_property
    def ends(self) -> tuple[_Ends, _Ends]:
        return _Ends.of(self.images), _Ends.of(self.files)

    def enough(self, change: _Change, count: int) -> bool:
        """Whether a change fits so many names that this is no chance."""
        sides = len(self.images), len(self.files)
        if not count or (count == 1 and sides[0] > 1):
            return False
        applies = sum(change.file_of(name) is not None for name in self.images)
        bearing = sum(change.fits_file(name) for name in self.files)
        if sides[0] == 1:
            # No other image says so too.
            one_end = not (change.head or change.file_head) or not (change.tail or change.file_tail)
            few = (
                max(len(_words((*change.head, *change.tail))), len(_words((*change.file_head, *change.file_tail)))) < 2
            )
            return self.form is _Form.EXACT and one_end and few and bearing >= _MOST * sides[1]
        if applies < (_OF_IMAGES if self.form is _Form.EXACT else _MOST) * sides[0] or bearing < _OF_FILES * sides[1]:
            return False
        if count < min(_FEW, *sides) and not self.of_all(change):
            return False
        return count >= _MOST * min(applies, bearing) and count >= _OF_ALL * min(sides)

    def pairs(self, change: _Change) -> dict[str, list[str]]:
        """The files of each image by a change."""
        found = ((name.key, change.file_of(name)) for name in self.images)
        return {key: self.by_name[file] for key, file in found if file is not None and file in self.by_name}


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
    for sides in _forms(keys, files):
        changes = sides.changes()
        fits = {change: sides.fitting(change, sides.images) for change in changes[:_LEARNED_FROM]}
        good = {change: count for change, count in fits.items() if sides.enough(change, count)}
        if _BETTER * max(good.values(), default=0) <= len(best):
            continue
        try:
            best = _decided(sides, good, fits)
        except _Rivals as found:
            rivals.append(found)
        if len(best) == min(len(keys), len(files)):
            break
    if rivals and not best:
        raise rivals[0]
    return best


def _decided(sides: _Sides, good: Mapping[_Change, int], fits: Mapping[_Change, int]) -> dict[str, str]:
    """The pairs of the change that fits most, unless others say that they may be wrong."""
    most = max(good.values())
    # Of x and x_overlay the file x_mask is that of x.
    change = min(good, key=lambda one: (-good[one], len(one.head) + len(one.tail), one != _SAME))
    pairs = sides.pairs(change)
    _refuse_rivals(pairs)
    owners = {several[0]: image for image, several in pairs.items()}
    for rival, count in fits.items():
        if count < _RIVAL * most:
            continue
        for image, several in sides.pairs(rival).items():
            own = pairs.get(image)
            if own is not None and own != several and (count == most or any(file not in owners for file in several)):
                raise Undecided(f"of {image} may be {' or '.join(sorted({*own, *several}))}")
            if own is None and several[0] in owners and (change.head or change.tail):
                raise Undecided(f"{several[0]} may be that of {' or '.join(sorted([image, owners[several[0]]]))}")
    return {image: several[0] for image, several in pairs.items()}


def _refuse_rivals(pairs: Mapping[str, list[str]]) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for image, several in pairs.items():
        for file in several:
            owners[file].append(image)
    for several in pairs.values():
        rivals = owners[several[0]]
        if len(several) > 1 or len(rivals) > 1:
            raise _Rivals(f"of {', '.join(rivals[:3])} may be {', '.join(several[:3])}: the file name alone does not "
                            "decide")  # fmt: skip


def _changes(image: _Name, file: _Name) -> Iterator[_Change]:
    """The changes of a name into another that keep the longest part that both have."""
    one, other = image.tokens, file.tokens
    if image.folders != file.folders:
        return
    longest, ends = 0, list[tuple[int, int, int]]()
    lengths: dict[tuple[int, int], int] = {}
    for i, token in enumerate(one):
        for j, theirs in enumerate(other):
            if token == theirs:
                lengths[i, j] = count = lengths.get((i - 1, j - 1), 0) + 1
                size = sum(map(len, one[i - count + 1 : i + 1]))
                if size > longest:
                    longest, ends = size, []
                if size == longest:
                    ends.append((i + 1, j + 1, count))
    if not ends and image.folders:
        yield _Change(one, (), other, ())
    for i, j, count in ends:
        yield _Change(one[: i - count], one[i:], other[: j - count], other[j:])


def _numbered(name: _Name) -> Iterator[tuple[Tokens, str, int]]:
    """Words and numbers with their folders, each with how often it came before."""
    seen: Counter[str] = Counter()
    for token in name.tokens:
        if token.lstrip("-").isalnum():
            yield name.folders, token, seen[token]
            seen[token] += 1


def _numbers(tokens: Tokens) -> list[str]:
    return [token for token in tokens if token.lstrip("-").isdigit()]


def _words(tokens: Tokens) -> list[str]:
    return [token.lower() for token in tokens if token.isalpha()]


def _are_others(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two parts of names say that one thing is not the other: left and right, train and val."""
    return any(group.intersection(one) and group.intersection(other).difference(one) for group in _OTHERS)


def _counter(tail: Tokens) -> Tokens:
    """The number or word that a tail begins with, with the sign before it."""
    first = next((place for place, token in enumerate(tail) if token.isalnum()), None)
    return () if first is None else tail[: first + 1]


def _stand_alone(tokens: Tokens) -> bool:
    """Whether a number is not part of a word, as those of leftImg8bit, manual1 and 1stHO are."""
    return any(
        token.lstrip("-").isdigit()
        and not any(near.isalpha() for near in (*tokens[max(place - 1, 0) : place], *tokens[place + 1 : place + 2]))
        for place, token in enumerate(tokens)
    )


# Forms in which names are compared.


def _forms(keys: Sequence[str], files: Sequence[str]) -> Iterator[_Sides]:
    """Yields the names of both sides, the strictest form first; the last leaves out a word of a whole side."""
    sides = list(keys), list(files)
    if _numbered_alike(*sides):
        return
    minus = _MINUS_FIRST if _are_signed(*sides) else ""
    exact, loose = re.compile(minus + _TOKEN.pattern), re.compile(minus + _WORD.pattern)

    def written(text: str) -> Tokens:
        return tuple(exact.findall(composed(text)))

    def counted(text: str) -> Tokens:
        return tuple(_counted(part) for part in loose.findall(composed(text).lower()))

    yield _Sides(*_apart(sides, written, composed), _Form.EXACT)
    yield _Sides(*_apart(sides, counted, lambda folder: " ".join(counted(folder))), _Form.LOOSE)
    folders = [frozenset(name for key in side for name in composed(key).split("/")[:-1]) for side in sides]
    dropped = _folders_of_all(sides[0]) - folders[1], _folders_of_all(sides[1]) - folders[0]
    flat = [[(key, counted(_without(key, drop))) for key in side] for side, drop in zip(sides, dropped, strict=True)]
    images, others = ([_Name(key, (), tokens) for key, tokens in side] for side in flat)
    yield _Sides(images, others, _Form.FLAT)
    roles = [_words_of_all(tokens for _, tokens in side) for side in flat]
    own = roles[0] - roles[1], roles[1] - roles[0]
    # If there are several, as in row1_col2 and y1_x2, the numbers may have changed places.
    if max(map(len, own)) == 1 and not _are_others(*own):
        images, others = (
            [_Name(key, (), tokens) for key, tokens in _without_words(side, drop)]
            for side, drop in zip(flat, own, strict=True)
        )
        yield _Sides(images, others, _Form.FLAT)


def _without_words(side: Sequence[tuple[str, Tokens]], words: Collection[str]) -> Iterator[tuple[str, Tokens]]:
    """Leaves out words, each with the number behind it if that is the same in all names: manual1."""
    behind: dict[str, set[str]] = defaultdict(set)
    for _, tokens in side:
        for word, after in zip(tokens, (*tokens[1:], ""), strict=True):
            if word in words:
                behind[word].add(after)
    numbers = {word: _numbers(tuple(after)) for word, after in behind.items() if len(after) == 1 and len(side) > 1}
    for key, tokens in side:
        before = ("", *tokens[:-1])
        yield (
            key,
            tuple(
                token
                for word, token in zip(before, tokens, strict=True)
                if token not in words and token not in numbers.get(word, ())
            ),
        )


def _apart(
    sides: tuple[list[str], list[str]], split: Callable[[str], Tokens], folder: Callable[[str], str]
) -> tuple[list[_Name], list[_Name]]:
    """Splits the last parts; of the folders those remain that both sides have, which belong together where equal."""
    folders_of = shared_folders(*sides, folder)
    one, other = ([_Name(key, folders_of(key), split(key.rpartition("/")[2])) for key in side] for side in sides)
    return one, other


def shared_folders(
    keys: Sequence[str], files: Sequence[str], folder: Callable[[str], str] = composed
) -> Callable[[str], Tokens]:
    """Returns what gives a key's folders of those that both sides have: in others nothing belongs to it.

    Args:
        keys: the images'.
        files: the candidates'.
        folder: simplifies a folder's name.
    """
    images, others = (
        {folder(name) for parents in {key.rpartition("/")[0] for key in side} for name in parents.split("/")}
        for side in (keys, files)
    )
    both = images & others

    @functools.cache
    def of(parents: str) -> Tokens:
        return tuple(name for name in map(folder, parents.split("/")) if name and name in both)

    return lambda key: of(key.rpartition("/")[0])


def _numbered_alike(keys: Iterable[str], files: Iterable[str]) -> bool:
    """Whether the sides lie in folders that differ in a number alone: files of seq1 and seq2 do not belong together."""
    one, other = (_folders_of_all(side) for side in (keys, files))
    named = [{_NUMBER.sub("#", folder): folder for folder in side} for side in (one - other, other - one)]
    return any("#" in name for name in named[0].keys() & named[1].keys())


def _counted(number: str) -> str:
    digits = number.lstrip("-")
    return number[: len(number) - len(digits)] + (digits.lstrip("0") or "0") if digits.isdigit() else number


def _are_signed(keys: Collection[str], files: Collection[str]) -> bool:
    """Whether a hyphen before a number is a minus, since it stands in some names of a side only."""
    counts = ((sum(_MINUS.search(key) is not None for key in side), len(side)) for side in (keys, files))
    return any(0 < count < every for count, every in counts)


def _folders_of_all(keys: Iterable[str]) -> frozenset[str]:
    return _of_all(composed(key).split("/")[:-1] for key in keys)


def _words_of_all(names: Iterable[Tokens]) -> frozenset[str]:
    return frozenset(token for token in _of_all(names) if not token.lstrip("-").isdigit())


def _of_all(names: Iterable[Iterable[str]]) -> frozenset[str]:
    common: frozenset[str] | None = None
    for parts in names:
        common = frozenset(parts) if common is None else common & frozenset(parts)
        if not common:
            break
    return common or frozenset()


def _without(key: str, folders: frozenset[str]) -> str:
    *parents, stem = composed(key).split("/")
    return "/".join([*(parent for parent in parents if parent not in folders), stem])
