"""Formats text for display: escapes control characters from files, and writes times and bytes for people."""

from __future__ import annotations

import re

# Control characters, which a terminal obeys; marks that turn the direction of writing; line separators; halves of
# characters, which stand for the bytes of a name that is no text.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Returns text as one line in which what a terminal would obey stands as ``\x1b``, ``\n``, ``\u202e`` ..."""
    return _UNFIT.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_lines(text: str) -> str:
    """Returns text as `printable` does, with the ends of its lines kept."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """Returns JSON of the same values, with JSON's own escapes for what a terminal would obey.

    Args:
        text: one line of JSON, in which such characters stand in strings alone.
    """
    return _UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``28 min``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plural(count: int, noun: str, several: str = "") -> str:
    """``1 image``, ``2,975 images``; nouns whose plural has no ``s`` alone bring it."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {several or noun + 's'}"


def gain(new: float, old: float) -> float:
    """The change of a score of 0..1: of the figures that are shown of both, so that what a reader subtracts agrees."""
    return round((round(100 * new, 1) - round(100 * old, 1)) / 100, 3)


def points(difference: float) -> str:
    """A difference of scores of 0..1 in points, with its sign: ``+5.6``; none has no sign."""
    text = f"{100 * difference:+.1f}"
    return text if float(text) else "0.0"


def byte_count(count: float) -> str:
    """``640 MB``, ``3.1 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
