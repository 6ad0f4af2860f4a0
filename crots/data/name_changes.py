"""Changes of an image's name into its file's, and which of them fit the names of both sides and can be meant."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from crots.data.name_words import (
    Tokens,
    are_others,
    common_head,
    numbers_of,
    said_in,
    says,
    shape_of,
    stand_alone,
    words_of,
)
from crots.data.spread import evenly_spread

# Images whose names are compared with all others, and how many of the others may be most like one of them.
LEARNED_FROM, _ALIKE = 12, 48
# The share of the smaller side that a change has to fit.
_MOST = 0.5
# The share of names that may be of something else, as of a legend.
_STRAY = 0.1
# So many folders with one thing each are no chance.
_FEW = 3


@dataclass(frozen=True)
class Name:
    """A key in a form in which names are compared: what folders both sides have, and the tokens of the rest."""

    key: str
    folders: Tokens
    tokens: Tokens
    # The folders that only its side has.
    own: Tokens = ()


@dataclass(frozen=True)
class Change:
    """How an image's tokens become its file's: what they begin and end with is replaced."""

    head: Tokens
    tail: Tokens
    file_head: Tokens
    file_tail: Tokens

    def file_of(self, name: Name) -> tuple[Tokens, Tokens] | None:
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
        (head, tail), (file_head, file_tail) = ((said_in(one), said_in(other)) for one, other in self.ends)
        return bool((head and file_head) or (tail and file_tail))

    def fits_file(self, name: Name) -> bool:
        """Whether a file's name can be the result."""
        return _core(name, self.file_head, self.file_tail) is not None


def _core(name: Name, head: Tokens, tail: Tokens) -> Tokens | None:
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
    def of(cls, names: Sequence[Name]) -> _Ends:
        tokens = [name.tokens for name in names]
        head, tail = common_head(tokens), common_head([one[::-1] for one in tokens])[::-1]
        return cls(head, tail, min(len(name.tokens) - (not name.folders) for name in names))

    def have(self, head: Tokens, tail: Tokens) -> bool:
        fit = self.head[: len(head)] == head and self.tail[len(self.tail) - len(tail) :] == tail
        return fit and len(tail) <= len(self.tail) and len(head) + len(tail) <= self.most


SAME = Change((), (), (), ())


class Form(Enum):
    """How names are compared: as written, word by word, or so with the words of their folders among those."""

    EXACT = 0
    LOOSE = 1
    FLAT = 2


class Sides:
    """Images and files in one form, and the changes between them."""

    def __init__(self, images: Sequence[Name], files: Sequence[Name], form: Form) -> None:
        self.images, self.files, self.form = images, files, form
        self.by_name: dict[tuple[Tokens, Tokens], list[Name]] = defaultdict(list)
        for name in files:
            self.by_name[name.folders, name.tokens].append(name)

    @functools.cached_property
    def sampled(self) -> list[Name]:
        """The images that changes are learned from."""
        return [self.images[place] for place in evenly_spread(len(self.images), LEARNED_FROM)]

    def fitting(self, change: Change, images: Iterable[Name]) -> int:
        """How many of the images have a file by a change."""
        return sum(change.file_of(name) in self.by_name for name in images)

    def changes(self) -> list[Change]:
        """The changes that turn one of the sampled images into a file most like it, those that fit most first."""
        found = Counter({SAME: self.fitting(SAME, self.sampled)})
        for image in self.sampled:
            for file in self.alike(image):
                for change in _changes(image, file):
                    if change not in found and self.plausible(change):
                        found[change] = self.fitting(change, self.sampled)
        return [change for change, _ in found.most_common(2 * LEARNED_FROM)]

    @functools.cached_property
    def holding(self) -> Mapping[tuple[Tokens, str, int], list[int]]:
        """The places of the files that have a token of the sampled images so many times."""
        found: dict[tuple[Tokens, str, int], list[int]] = defaultdict(list)
        sought = frozenset(token for name in self.sampled for token in name.tokens if says(token))
        for place, name in enumerate(self.files):
            if not sought.isdisjoint(name.tokens):
                for token in _numbered(name):
                    if token[1] in sought:
                        found[token].append(place)
        return found

    def alike(self, image: Name) -> list[Name]:
        """The files that have the most in common with an image."""
        votes: Counter[int] = Counter()
        for token in _numbered(image):
            places = self.holding.get(token, [])
            # What most files have tells none from another.
            if len(places) <= max(_ALIKE, len(self.files) // 2):
                votes.update(places)
        if not votes:
            near = [name for name in self.files if name.folders == image.folders]
            return near if len(near) <= LEARNED_FROM else []
        best = votes.most_common(_ALIKE)
        return [self.files[place] for place, count in best if count >= best[0][1] - 1]

    def plausible(self, change: Change) -> bool:
        """Whether what is cut off can be the same for all; see `telling` for whether it tells names apart."""
        cut = change.cut
        if self.form is Form.FLAT and not self.of_all(change):
            return False
        if are_others(*(set(words_of(part)) for part in cut)):
            return False
        if self.replaces_all(change):
            # Folders tell images apart: scene_1/rgb and scene_1/labels.
            return numbers_of(cut[0]) == numbers_of(cut[1]) and self.of_all(change)
        words, numbers = [set(words_of(part)) for part in cut], [numbers_of(part) for part in cut]
        if all(numbers_of(one) == numbers_of(other) for one, other in zip(*change.ends, strict=True)):
            return True
        exact = self.form is Form.EXACT
        alone = [stand_alone(part) if exact else bool(own) for part, own in zip(cut, numbers, strict=True)]
        # Of 1 and 2, or frame 1 and frame 2; but x_0000 beside x is one channel of it.
        if all(numbers) and (words[0] & words[1] or words[0] == words[1] or any(alone)):
            return False
        return (not any(alone) and not all(numbers)) or self.of_all(change)

    def telling(self, change: Change) -> bool:
        """Whether what is cut off tells which image a name is of, and not what kind of thing it names.

        It does where a name of the same side looks alike without it, as of x_1 and x_2_edit, and where a name of the
        other side has it too.
        """
        ends = [(said_in(head), said_in(tail)) for head, tail in change.ends]
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
            cores = {shape_of(rest) for rest, whole in own if whole}
            named = {rest for rest, whole in own if whole}
            without = [rest for rest, whole in own if not whole and shape_of(rest) in cores]
            # Among many names one of something else, as of a legend, may look alike, but not by its number.
            numbered = any(rest in named or numbers_of(rest) for rest in without)
            if numbered or len(without) > _STRAY * len(own):
                return True
            # Where other names of the side end otherwise, words of any kind may be what they end with.
            every = sum(whole for _, whole in own) >= max((1 - _STRAY) * len(own), _FEW)
            like: Callable[[Tokens], Sequence[str]] = _same if every else shape_of
            alike = {(like(before), like(after)) for before, after in longer}
            for name in self.said[1 - side]:
                rest, _ = _rest(name, *ends[1 - side])
                for before, after in alike:
                    end = len(rest) - len(after)
                    if (
                        len(before) <= end
                        and like(rest[: len(before)]) == before
                        and like(rest[end:]) == after
                        and shape_of(rest[len(before) : end]) in cores
                    ):
                        return True
        return False

    @functools.cached_property
    def said(self) -> tuple[list[Tokens], list[Tokens]]:
        """The words and numbers of each side's names."""
        one, other = ([said_in(name.tokens) for name in side] for side in (self.images, self.files))
        return one, other

    def replaces_all(self, change: Change) -> bool:
        """Whether nothing of a name is left."""
        return (*change.head, *change.tail) in self.image_tokens

    @functools.cached_property
    def image_tokens(self) -> frozenset[Tokens]:
        """The images' names."""
        return frozenset(name.tokens for name in self.images)

    def of_all(self, change: Change) -> bool:
        """Whether all names have what is cut off, and there are several."""
        if min(len(self.images), len(self.files)) < (2 if self.form is Form.EXACT else 3):
            return False
        one, other = self.ends
        return one.have(change.head, change.tail) and other.have(change.file_head, change.file_tail)

    @functools.cached_property
    def ends(self) -> tuple[_Ends, _Ends]:
        """What all names of each side begin and end with."""
        return _Ends.of(self.images), _Ends.of(self.files)

    def enough(self, change: Change, count: int) -> bool:
        """Whether a change fits so many names that this is no chance."""
        if len(self.images) > 1:
            return count > 1 and count >= _MOST * min(len(self.images), len(self.files))
        # No other image says so too.
        one_end = not (change.head or change.file_head) or not (change.tail or change.file_tail)
        few = all(len(words_of(part)) <= 1 for part in change.cut)
        bearing = sum(change.fits_file(name) for name in self.files)
        return count > 0 and self.form is Form.EXACT and one_end and few and bearing >= _MOST * len(self.files)

    def pairs(self, change: Change) -> list[tuple[Name, list[Name]]]:
        """Images with their files by a change."""
        found = ((name, change.file_of(name)) for name in self.images)
        return [(name, self.by_name[file]) for name, file in found if file is not None and file in self.by_name]

    def in_other_folders(self, change: Change, pairs: Sequence[tuple[Name, list[Name]]]) -> bool:
        """Whether folders say that pairs are none.

        They do where what only the images' have varies, and what only the files' have too, as of a/1, b/1 and a/1, c/1;
        and where they alone tell names apart, and hold one thing each that is called otherwise.
        """
        own = {image.own for image, _ in pairs}, {file.own for _, files in pairs for file in files}
        if min(map(len, own)) > 1:
            return True
        cores = {_core(image, change.head, change.tail) for image, _ in pairs}
        return change.replaces and len(cores) == 1 < len(self.images) and len(pairs) < _FEW


def _changes(image: Name, file: Name) -> Iterator[Change]:
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
        yield Change(one, (), other, ())
    for i, j, count in ends:
        yield Change(one[: i - count], one[i:], other[: j - count], other[j:])


def _numbered(name: Name) -> Iterator[tuple[Tokens, str, int]]:
    """Words and numbers with their folders, each with how often it came before."""
    seen: Counter[str] = Counter()
    for token in name.tokens:
        if says(token):
            yield name.folders, token, seen[token]
            seen[token] += 1


def _rest(tokens: Tokens, head: Tokens, tail: Tokens) -> tuple[Tokens, bool]:
    """Takes off as much of a head and a tail as a name has, and says whether that was all of both."""
    first = len(common_head([tokens, head]))
    last = len(common_head([tokens[first:][::-1], tail[::-1]]))
    return tokens[first : len(tokens) - last], first == len(head) and last == len(tail)


def _same(tokens: Tokens) -> Tokens:
    return tokens
