"""The forms in which names are compared: as written, word by word, or with the words of their folders."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from crots.data.name_changes import Form, Name, Sides
from crots.data.name_words import NUMBER, TOKEN, WORD, ZEROS, Tokens, are_others, common_to_all, composed, numbers_of

# Numbers with a minus, behind a word or not.
_MINUS, _SIGNED = r"(?<!\d)-\d+", r"(?<![^\W_])-\d+"


def forms_of(keys: Sequence[str], files: Sequence[str]) -> Iterator[Sides]:
    """Yields the names of both sides, the strictest form first; the last leaves out a word of a whole side."""
    sides = list(keys), list(files)
    if _in_others(*sides):
        return
    exact, loose = (
        [re.compile(minus + pattern.pattern) for minus in _minus_signs(*sides)] for pattern in (TOKEN, WORD)
    )

    def written(text: str, side: int) -> Tokens:
        return tuple(exact[side].findall(composed(text)))

    def counted(text: str, side: int) -> Tokens:
        return tuple(loose[side].findall(ZEROS.sub("", composed(text).lower())))

    yield Sides(*_apart(sides, written, composed), Form.EXACT)
    yield Sides(*_apart(sides, counted, lambda folder: " ".join(counted(folder, 0))), Form.LOOSE)
    folders = [frozenset(name for key in side for name in composed(key).split("/")[:-1]) for side in sides]
    dropped = _folders_of_all(sides[0]) - folders[1], _folders_of_all(sides[1]) - folders[0]
    flat = [[(key, counted(_without(key, dropped[side]), side)) for key in sides[side]] for side in (0, 1)]
    images, others = ([Name(key, (), tokens) for key, tokens in side] for side in flat)
    yield Sides(images, others, Form.FLAT)
    words = [frozenset(token for _, tokens in side for token in tokens) for side in flat]
    roles = [_words_of_all(tokens for _, tokens in side) for side in flat]
    own = [roles[side] - words[1 - side] for side in (0, 1)]
    # If there are several, as in row1_col2 and y1_x2, the numbers may have changed places.
    if max(map(len, own)) != 1 or are_others(roles[0] - roles[1], roles[1] - roles[0]):
        return
    behind = [_numbers_behind(side, word) for side, word in zip(flat, own, strict=True)]
    if all(behind) and behind[0] != behind[1]:
        # Of image 1 and label 2.
        return
    images, others = (
        [Name(key, (), _without_word(tokens, word, number)) for key, tokens in side]
        for side, word, number in zip(flat, own, behind, strict=True)
    )
    yield Sides(images, others, Form.FLAT)


def _numbers_behind(side: Sequence[tuple[str, Tokens]], words: Collection[str]) -> list[str]:
    """The number behind a word if that is the same in all names: manual1."""
    behind = {
        after for _, tokens in side for word, after in zip(tokens, (*tokens[1:], ""), strict=True) if word in words
    }
    return numbers_of(tuple(behind)) if len(behind) == 1 < len(side) else []


def _without_word(tokens: Tokens, words: Collection[str], numbers: Collection[str]) -> Tokens:
    before = ("", *tokens[:-1])
    return tuple(
        token
        for word, token in zip(before, tokens, strict=True)
        if token not in words and not (word in words and token in numbers)
    )


def _apart(
    sides: tuple[list[str], list[str]], split: Callable[[str, int], Tokens], folder: Callable[[str], str]
) -> tuple[list[Name], list[Name]]:
    """Splits the last parts; of the folders those remain that both sides have, which belong together where equal."""
    shared = shared_folders(*sides, folder)

    @functools.cache
    def own(parents: str, both: Tokens) -> Tokens:
        return tuple(name for name in map(folder, parents.split("/")) if name not in both)

    def named(key: str, side: int) -> Name:
        folders, (parents, _, last) = shared(key), key.rpartition("/")
        return Name(key, folders, split(last, side), own(parents, folders))

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
    named = [{NUMBER.sub("#", folder): folder for folder in side} for side in (one - other, other - one)]
    words = [WORD.findall(" ".join(side).lower()) for side in (one - other, other - one)]
    return any("#" in name for name in named[0].keys() & named[1].keys()) or are_others(*words)


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
    return re.sub(r"[^\W\d_]+", "a", NUMBER.sub("0", stem))


def _folders_of_all(keys: Iterable[str]) -> frozenset[str]:
    return common_to_all(composed(key).split("/")[:-1] for key in keys)


def _words_of_all(names: Iterable[Tokens]) -> frozenset[str]:
    return frozenset(token for token in common_to_all(names) if not token.lstrip("-").isdigit())


def _without(key: str, folders: frozenset[str]) -> str:
    *parents, stem = composed(key).split("/")
    return "/".join([*(parent for parent in parents if parent not in folders), stem])
