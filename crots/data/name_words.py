"""Words, numbers and signs of file names, and what they say of the thing that is named."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

# Words, numbers and signs of a name; letters and digits are separate.
TOKEN = re.compile(r"\d+(?:st|nd|rd|th)|\d+|[^\W\d_]+|[\W_]")
WORD = re.compile(r"\d+(?:st|nd|rd|th)|\d+|[^\W\d_]+")
NUMBER = re.compile(r"\d+")
ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
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

Tokens = tuple[str, ...]


def turned_word(keys: Iterable[str], files: Iterable[str]) -> str:
    """Returns a word for turned copies in all names of one side and in none of the other; empty if there is none.

    It may have another meaning: in German, ``rot`` is red.

    Args:
        keys: the images' without a file.
        files: the candidates'.
    """
    sides = [[frozenset(words_of(tuple(TOKEN.findall(name)))) & _TURNED for name in side] for side in (keys, files)]
    for one, other in (sides, sides[::-1]):
        if found := sorted(common_to_all(one) - frozenset().union(*other)):
            return found[0]
    return ""


def composed(key: str) -> str:
    """Returns a key with accents in one code point each: macOS writes them in two."""
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def common_head(names: Sequence[Tokens]) -> Tokens:
    """Returns what all of several names begin with."""
    least, greatest = min(names), max(names)
    count = next((place for place, (one, other) in enumerate(zip(least, greatest, strict=False)) if one != other), None)
    return least[:count] if count is not None else min(least, greatest, key=len)


def numbers_of(tokens: Tokens) -> list[str]:
    """Returns the numbers of a name, with their minus."""
    return [token for token in tokens if token.lstrip("-").isdigit()]


def words_of(tokens: Tokens) -> list[str]:
    """Returns the words of a name, in lower case."""
    return [token.lower() for token in tokens if token.isalpha()]


def are_others(one: Collection[str], other: Collection[str]) -> bool:
    """Returns whether two parts of names say that one thing is not the other: left and right, flipped or as it was."""
    if _TURNED.isdisjoint(one) != _TURNED.isdisjoint(other):
        return True
    return any(group.intersection(one) and group.intersection(other).difference(one) for group in _OTHERS)


def says(token: str) -> bool:
    """Returns whether a token is a word or a number, and no sign."""
    return token.lstrip("-").isalnum()


def said_in(tokens: Tokens) -> Tokens:
    """Returns the words and numbers, without signs."""
    return tuple(ZEROS.sub("", token.lower()) for token in tokens if says(token))


def shape_of(tokens: Tokens) -> str:
    """Returns what names of one form have in common: where they have words, and where numbers."""
    return "".join("0" if token.lstrip("-").isdigit() else "a" for token in tokens)


def stand_alone(tokens: Tokens) -> bool:
    """Returns whether a number is not part of a word, as those of leftImg8bit, manual1 and 1stHO are."""
    return any(
        token.lstrip("-").isdigit()
        and not any(near.isalpha() for near in (*tokens[max(place - 1, 0) : place], *tokens[place + 1 : place + 2]))
        for place, token in enumerate(tokens)
    )


def common_to_all(names: Iterable[Iterable[str]]) -> frozenset[str]:
    """Returns the parts that all of several names have."""
    common: frozenset[str] | None = None
    for parts in names:
        common = frozenset(parts) if common is None else common & frozenset(parts)
        if not common:
            break
    return common or frozenset()
