"""Learns from the names of images and of files how an image's becomes its file's: ``x_image`` and ``x_label``.

One change is learned for all: a pair that needs another is none. What it takes off a name says of what kind that is,
an image or a mask, and never of which thing, a copy or another view: so nothing else tells two names of a side apart by
it, and no name of the other side has it too. And it fits most names, since a few are alike in any two folders.
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
_TOKEN = re.compile(r"\d+(?:st|nd|rd|th)|\d+|[^\W\d_]+|[\W_]")
_WORD = re.compile(r"\d+(?:st|nd|rd|th)|\d+|[^\W\d_]+")
# Numbers with a minus, behind a word or not.
_MINUS, _SIGNED = r"(?<!\d)-\d+", r"(?<![^\W_])-\d+"
_NUMBER = re.compile(r"\d+")
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
# Images whose names are compared with all others, and how many of the others may be most like one of them.
_LEARNED_FROM, _ALIKE = 12, 48
# The share of the smaller side that a change has to fit.
_MOST = 0.5
# The share of names that may be of something else, as of a legend.
_STRAY = 0.1
# So many folders with one thing each are no chance.
_FEW = 3
# Views of one place, also at other times, and parts of a data set: what one holds belongs to none of another.
_OTHERS = (
    frozenset({"day", "night", "dawn", "dusk"}),
    frozenset({"before", "after"}),
    frozenset({"pre", "post"}),
    frozenset({"spring", "summer", "autumn", "fall", "winter"}),
    frozenset({"left", "right", "front", "rear", "back", "top", "bottom"}),
    frozenset({"train", "training", "val", "valid", "validation", "test", "testing"}),
)
# What copies of images are called that the labels of their originals do not fit.
_TURNED = frozenset({
    "flip", "flipped", "hflip", "vflip", "fliplr", "flipud", "mirror", "mirrored", "rot", "rotate", "rotated",
    "transpose", "transposed",
})  # fmt: skip
# From this share of the best change's fits on, a rival is a doubt and no chance.
_RIVAL = 0.2

Tokens = tuple[str, ...]


def turned_word(keys: Iterable[str], files: Iterable[str]) -> str:
    """Returns a word for turned copies in all names of one side and in none of the other; empty if there is none.

    It may have another meaning: in German, ``rot`` is red.

    Args:
        keys: the images' without a file.
        files: the candidates'.
    """
    sides = [[frozenset(_words(tuple(_TOKEN.findall(name)))) & _TURNED for name in side] for side in (keys, files)]
    for one, other in (sides, sides[::-1]):
        if found := sorted(_of_all(one) - frozenset().union(*other)):
            return found[0]
    return ""


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
    # The folders that only its side has.
    own: Tokens = ()


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

    @property
    def ends(self) -> tuple[tuple[Tokens, Tokens], tuple[Tokens, Tokens]]:
        """What is cut off an image's name, and what off its file's."""
        return (self.head, self.tail), (self.file_head, self.file_tail)

    @property
    def cut(self) -> tuple[Tokens, Tokens]:
        """The same, in one each."""
        return (*self.head, "", *self.tail), (*self.file_head, "", *self.file_tail)

    @property
    def replaces(self) -> bool:
        """Whether words are put in the place of others: image_1 and label_1, but not 1 and 1_label."""
        (head, tail), (file_head, file_tail) = ((_said(one), _said(other)) for one, other in self.ends)
        return bool((head and file_head) or (tail and file_tail))

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
        self.by_name: dict[tuple[Tokens, Tokens], list[_Name]] = defaultdict(list)
        for name in files:
            self.by_name[name.folders, name.tokens].append(name)

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
        """The places of the files that have a token of the sampled images so many times."""
        found: dict[tuple[Tokens, str, int], list[int]] = defaultdict(list)
        sought = frozenset(token for name in self.sampled for token in name.tokens if _says(token))
        for place, name in enumerate(self.files):
            if not sought.isdisjoint(name.tokens):
                for token in _numbered(name):
                    if token[1] in sought:
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
        """Whether what is cut off can be the same for all; see `telling` for whether it tells names apart."""
        cut = change.cut
        if self.form is _Form.FLAT and not self.of_all(change):
            return False
        if _are_others(*(set(_words(part)) for part in cut)):
            return False
        if self.replaces_all(change):
            # Folders tell images apart: scene_1/rgb and scene_1/labels.
            return _numbers(cut[0]) == _numbers(cut[1]) and self.of_all(change)
        words, numbers = [set(_words(part)) for part in cut], [_numbers(part) for part in cut]
        if all(_numbers(one) == _numbers(other) for one, other in zip(*change.ends, strict=True)):
            return True
        exact = self.form is _Form.EXACT
        alone = [_stand_alone(part) if exact else bool(own) for part, own in zip(cut, numbers, strict=True)]
        # Of 1 and 2, or frame 1 and frame 2; but x_0000 beside x is one channel of it.
        if all(numbers) and (words[0] & words[1] or words[0] == words[1] or any(alone)):
            return False
        return (not any(alone) and not all(numbers)) or self.of_all(change)

    def telling(self, change: _Change) -> bool:
        """Whether what is cut off tells which image a name is of, and not what kind of thing it names.

        It does where a name of the same side looks alike without it, as of x_1 and x_2_edit, and where a name of the
        other side has it too.
        """
        ends = [(_said(head), _said(tail)) for head, tail in change.ends]
        for side, (head, tail) in enumerate(ends):
            longer = [
                (head[first:], tail[:last])
                for first in range(len(head) + 1)
                for last in range(len(tail) + 1)
                if (first, last) != (len(head), 0)
            ]
            if not longer:
                continue
            own = [_rest(name, head, tail) for name in self.said[side]]
            cores = {_shape(rest) for rest, whole in own if whole}
            named = {rest for rest, whole in own if whole}
            without = [rest for rest, whole in own if not whole and _shape(rest) in cores]
            # Among many names one of something else, as of a legend, may look alike, but not by its number.
            numbered = any(rest in named or _numbers(rest) for rest in without)
            if numbered or len(without) > _STRAY * len(own):
                return True
            # Where other names of the side end otherwise, words of any kind may be what they end with.
            every = sum(whole for _, whole in own) >= max((1 - _STRAY) * len(own), _FEW)
            like: Callable[[Tokens], Sequence[str]] = _same if every else _shape
            alike = {(like(before), like(after)) for before, after in longer}
            for name in self.said[1 - side]:
                rest, _ = _rest(name, *ends[1 - side])
                for before, after in alike:
                    end = len(rest) - len(after)
                    if (
                        len(before) <= end
                        and like(rest[: len(before)]) == before
                        and like(rest[end:]) == after
                        and _shape(rest[len(before) : end]) in cores
                    ):
                        return True
        return False

    @functools.cached_property
    def said(self) -> tuple[list[Tokens], list[Tokens]]:
        """The words and numbers of each side's names."""
        one, other = ([_said(name.tokens) for name in side] for side in (self.images, self.files))
        return one, other

    def replaces_all(self, change: _Change) -> bool:
        """Whether nothing of a name is left."""
        return (*change.head, *change.tail) in self.image_tokens

    @functools.cached_property
    def image_tokens(self) -> frozenset[Tokens]:
        return frozenset(name.tokens for name in self.images)

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
        if len(self.images) > 1:
            return count > 1 and count >= _MOST * min(len(self.images), len(self.files))
        # No other image says so too.
        one_end = not (change.head or change.file_head) or not (change.tail or change.file_tail)
        few = all(len(_words(part)) <= 1 for part in change.cut)
        bearing = sum(change.fits_file(name) for name in self.files)
        return count > 0 and self.form is _Form.EXACT and one_end and few and bearing >= _MOST * len(self.files)

    def pairs(self, change: _Change) -> list[tuple[_Name, list[_Name]]]:
        """Images with their files by a change."""
        found = ((name, change.file_of(name)) for name in self.images)
        return [(name, self.by_name[file]) for name, file in found if file is not None and file in self.by_name]

    def in_other_folders(self, change: _Change, pairs: Sequence[tuple[_Name, list[_Name]]]) -> bool:
        """Whether folders say that pairs are none.

        They do where what only the images' have varies, and what only the files' have too, as of a/1, b/1 and a/1, c/1;
        and where they alone tell names apart, and hold one thing each that is called otherwise.
        """
        own = {image.own for image, _ in pairs}, {file.own for _, files in pairs for file in files}
        if min(map(len, own)) > 1:
            return True
        cores = {_core(image, change.head, change.tail) for image, _ in pairs}
        return change.replaces and len(cores) == 1 < len(self.images) and len(pairs) < _FEW


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


def _decided(sides: _Sides, good: Mapping[_Change, int], fits: Mapping[_Change, int]) -> dict[str, str]:
    """The pairs of the change that fits most, unless others say that they may be wrong."""
    change = min(good, key=lambda one: (-good[one], len(one.head) + len(one.tail), one != _SAME))
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


def _refuse_rivals(pairs: Iterable[tuple[_Name, list[_Name]]]) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for image, files in pairs:
        owners[files[0].key].append(image.key)
    for _, files in pairs:
        rivals = owners[files[0].key]
        if len(files) > 1 or len(rivals) > 1:
            several = ", ".join(file.key for file in files[:3])
            raise _Rivals(f"of {', '.join(rivals[:3])} may be {several}: the file name alone does not decide")


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
        if _says(token):
            yield name.folders, token, seen[token]
            seen[token] += 1


def _numbers(tokens: Tokens) -> list[str]:
    return [token for token in tokens if token.lstrip("-").isdigit()]


def _words(tokens: Tokens) -> list[str]:
    return [token.lower() for token in tokens if token.isalpha()]


def _are_others(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two parts of names say that one thing is not the other: left and right, flipped or as it was."""
    if _TURNED.isdisjoint(one) != _TURNED.isdisjoint(other):
        return True
    return any(group.intersection(one) and group.intersection(other).difference(one) for group in _OTHERS)


def _rest(tokens: Tokens, head: Tokens, tail: Tokens) -> tuple[Tokens, bool]:
    """Takes off as much of a head and a tail as a name has, and says whether that was all of both."""
    first = len(_common_head([tokens, head]))
    last = len(_common_head([tokens[first:][::-1], tail[::-1]]))
    return tokens[first : len(tokens) - last], first == len(head) and last == len(tail)


def _says(token: str) -> bool:
    """Whether a token is a word or a number, and no sign."""
    return token.lstrip("-").isalnum()


def _said(tokens: Tokens) -> Tokens:
    """The words and numbers, without signs."""
    return tuple(_ZEROS.sub("", token.lower()) for token in tokens if _says(token))


def _same(tokens: Tokens) -> Tokens:
    return tokens


def _shape(tokens: Tokens) -> str:
    """What names of one form have in common: where they have words, and where numbers."""
    return "".join("0" if token.lstrip("-").isdigit() else "a" for token in tokens)


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
    if _in_others(*sides):
        return
    exact, loose = (
        [re.compile(minus + pattern.pattern) for minus in _minus_signs(*sides)] for pattern in (_TOKEN, _WORD)
    )

    def written(text: str, side: int) -> Tokens:
        return tuple(exact[side].findall(composed(text)))

    def counted(text: str, side: int) -> Tokens:
        return tuple(loose[side].findall(_ZEROS.sub("", composed(text).lower())))

    yield _Sides(*_apart(sides, written, composed), _Form.EXACT)
    yield _Sides(*_apart(sides, counted, lambda folder: " ".join(counted(folder, 0))), _Form.LOOSE)
    folders = [frozenset(name for key in side for name in composed(key).split("/")[:-1]) for side in sides]
    dropped = _folders_of_all(sides[0]) - folders[1], _folders_of_all(sides[1]) - folders[0]
    flat = [[(key, counted(_without(key, dropped[side]), side)) for key in sides[side]] for side in (0, 1)]
    images, others = ([_Name(key, (), tokens) for key, tokens in side] for side in flat)
    yield _Sides(images, others, _Form.FLAT)
    words = [frozenset(token for _, tokens in side for token in tokens) for side in flat]
    roles = [_words_of_all(tokens for _, tokens in side) for side in flat]
    own = [roles[side] - words[1 - side] for side in (0, 1)]
    # If there are several, as in row1_col2 and y1_x2, the numbers may have changed places.
    if max(map(len, own)) != 1 or _are_others(roles[0] - roles[1], roles[1] - roles[0]):
        return
    behind = [_numbers_behind(side, word) for side, word in zip(flat, own, strict=True)]
    if all(behind) and behind[0] != behind[1]:
        # Of image 1 and label 2.
        return
    images, others = (
        [_Name(key, (), _without_word(tokens, word, number)) for key, tokens in side]
        for side, word, number in zip(flat, own, behind, strict=True)
    )
    yield _Sides(images, others, _Form.FLAT)


def _numbers_behind(side: Sequence[tuple[str, Tokens]], words: Collection[str]) -> list[str]:
    """The number behind a word if that is the same in all names: manual1."""
    behind = {
        after for _, tokens in side for word, after in zip(tokens, (*tokens[1:], ""), strict=True) if word in words
    }
    return _numbers(tuple(behind)) if len(behind) == 1 < len(side) else []


def _without_word(tokens: Tokens, words: Collection[str], numbers: Collection[str]) -> Tokens:
    before = ("", *tokens[:-1])
    return tuple(
        token
        for word, token in zip(before, tokens, strict=True)
        if token not in words and not (word in words and token in numbers)
    )


def _apart(
    sides: tuple[list[str], list[str]], split: Callable[[str, int], Tokens], folder: Callable[[str], str]
) -> tuple[list[_Name], list[_Name]]:
    """Splits the last parts; of the folders those remain that both sides have, which belong together where equal."""
    shared = shared_folders(*sides, folder)

    @functools.cache
    def own(parents: str, both: Tokens) -> Tokens:
        return tuple(name for name in map(folder, parents.split("/")) if name not in both)

    def named(key: str, side: int) -> _Name:
        folders, (parents, _, last) = shared(key), key.rpartition("/")
        return _Name(key, folders, split(last, side), own(parents, folders))

    one, other = ([named(key, side) for key in sides[side]] for side in (0, 1))
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


def _in_others(keys: Iterable[str], files: Iterable[str]) -> bool:
    """Whether the sides lie in folders of different things: seq1 and seq2, day and night."""
    one, other = (_folders_of_all(side) for side in (keys, files))
    named = [{_NUMBER.sub("#", folder): folder for folder in side} for side in (one - other, other - one)]
    words = [_WORD.findall(" ".join(side).lower()) for side in (one - other, other - one)]
    return any("#" in name for name in named[0].keys() & named[1].keys()) or _are_others(*words)


def _minus_signs(keys: Collection[str], files: Collection[str]) -> list[str]:
    """What finds the numbers of each side with a minus: a hyphen without which another name of the side looks alike."""
    found = [""] * 2
    for side, names in enumerate((keys, files)):
        stems = [key.rpartition("/")[2] for key in names]
        stems, looks = [stem for stem in stems if re.search(_MINUS, stem)], frozenset(map(_look, stems))
        # Of rgb--1 and rgb-1 only one is a minus.
        for hyphen, number in ((r"(?<![^\W_])-(?=\d)", _SIGNED), (r"(?<=[^\W\d_])-(?=\d)", _MINUS)):
            places = ((stem, at.span()) for stem in stems for at in re.finditer(hyphen, stem))
            if any(_look(stem[:first] + stem[last:]) in looks for stem, (first, last) in places):
                found[side] = number
    return [f"{one or _MINUS}|" if any(found) else "" for one in found]


def _look(stem: str) -> str:
    """A name with all words and numbers alike."""
    return re.sub(r"[^\W\d_]+", "a", _NUMBER.sub("0", stem))


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
