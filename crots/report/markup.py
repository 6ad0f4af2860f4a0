"""HTML that input text cannot break: all text is escaped, except markup made by `tag`."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable

from crots.text import printable_lines

# Elements that have no end.
_EMPTY = frozenset({"img", "meta", "br", "col"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float) -> Markup:
    """Returns an element.

    Args:
        name: of the element.
        children: texts, which are escaped, and markup, which is not.
        attributes: escaped too; a trailing underscore is dropped, others become dashes (``class_``, ``text_anchor``).
    """
    given = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(printable_lines(str(value)))}"'
        for key, value in attributes.items()
    )
    if name in _EMPTY:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Returns texts and markup concatenated."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(printable_lines(part)) for part in parts))


def picture(content: bytes, kind: str, description: str) -> Markup:
    """Returns an image that is embedded in the page.

    Args:
        content: the file.
        kind: ``png`` or ``jpeg``.
        description: what it shows, for those who cannot see it.
    """
    return tag("img", src=f"data:image/{kind};base64,{base64.b64encode(content).decode()}", alt=description)


def html_table(
    headers: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: Iterable[int] = (), **more: str
) -> Markup:
    """Returns a table that scrolls by itself where it is too wide.

    Args:
        headers: of the columns; none for a list of names and values.
        rows: of cells.
        numbers: columns that are aligned right.
        more: attributes of the table.
    """
    right = set(numbers)

    def cell(kind: str, place: int, content: str) -> Markup:
        return tag(kind, content, class_="n") if place in right else tag(kind, content)

    def line(kind: str, cells: Iterable[str]) -> Markup:
        return tag("tr", *(cell(kind, place, content) for place, content in enumerate(cells)))

    titles, body = list(headers), tag("tbody", *(line("td", row) for row in rows))
    head = [tag("thead", line("th", titles))] if titles else []
    return tag("div", tag("table", *head, body, **more), class_="wide")


def section(heading: str, *parts: str) -> list[Markup]:
    """Returns a part of the page with its heading; nothing if it has no content."""
    return [tag("section", tag("h2", heading), *parts)] if parts else []


def swatch(colour: tuple[int, int, int]) -> Markup:
    """Returns a spot of a class's RGB colour."""
    red, green, blue = colour
    return tag("span", class_="swatch", style=f"background:rgb({red},{green},{blue})")
