"""Draws the packages in layers, from the import rules: ``python tools/draw_rooms.py`` rewrites picture and table.

The layers are those that import-linter holds (``pyproject.toml``); what a room is for is the first sentence of its
docstring.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
PAGE = ROOT / "docs" / "architecture.md"
_WIDTH, _GAP, _PAD, _LINE, _LETTER = 1120, 10, 12, 17, 6.3
_COLOURS = {"crots_studio": "#e8eaf6", "crots": "#e0f2f1"}


def layers() -> dict[str, list[list[str]]]:
    """Returns the layers of both packages, the topmost first; modules of one layer do not import each other."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    core, studio = (contract for contract in contracts if contract["type"] == "layers")
    (container,) = studio["containers"]
    names = [re.split(r" [|:] ", layer) for layer in studio["layers"]]
    return {
        container: [[f"{container}.{name}" for name in layer] for layer in names if layer != ["__main__"]],
        "crots": [[name for name in re.split(r" [|:] ", layer) if name != container] for layer in core["layers"]],
    }


def purpose(module: str) -> str:
    """Returns the first sentence of a module's docstring."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    first = re.split(r"(?<=\.)\s", " ".join(text.split("\n\n")[0].split()))[0]
    return re.sub(r"`+", "", first).rstrip(".")


def table() -> str:
    """Returns a Markdown table of the rooms, from the top layer down."""
    rows = ["| room | what belongs there |", "|---|---|"]
    for rooms in layers().values():
        for layer in rooms:
            rows += [f"| `{path(module)}` | {purpose(module)} |" for module in layer]
    return "\n".join(rows)


def path(module: str) -> str:
    """Returns where a module lies."""
    folder = "/".join(module.split("."))
    return f"{folder}/" if (ROOT / folder).is_dir() else f"{folder}.py"


def picture() -> str:
    """Returns the SVG: a row for each layer, imports only go down."""
    parts: list[str] = []
    top: float = _PAD
    for package, rows in layers().items():
        parts.append(_text(_PAD, top + 18, package, size=18, bold=True))
        top += 30
        for row in rows:
            boxes, height = _row(row, top, _COLOURS[package])
            parts += boxes
            top += height + _GAP
        top += 2 * _GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" font-family="sans-serif">',
            f'<rect width="{_WIDTH}" height="{top}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _row(modules: list[str], top: float, colour: str) -> tuple[list[str], float]:
    width = (_WIDTH - 2 * _PAD - (len(modules) - 1) * _GAP) / len(modules)
    texts = [textwrap.wrap(purpose(module), int((width - 2 * _PAD) / _LETTER)) for module in modules]
    height = _PAD + _LINE * (1 + max(map(len, texts)))
    parts = []
    for number, (module, lines) in enumerate(zip(modules, texts, strict=True)):
        left = _PAD + number * (width + _GAP)
        parts.append(
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6" fill="{colour}"/>'
        )
        parts.append(_text(left + _PAD, top + _LINE, module, bold=True))
        parts += [_text(left + _PAD, top + _LINE * (2 + place), line) for place, line in enumerate(lines)]
    return parts, height


def _text(left: float, top: float, text: str, *, size: int = 12, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{left:.0f}" y="{top:.0f}" font-size="{size}"{weight}>{escape(text)}</text>'


def rewritten(text: str) -> str:
    """Returns the page with the table between its marks made anew."""
    before, _, rest = text.partition("<!-- rooms -->\n")
    return f"{before}<!-- rooms -->\n{table()}\n{rest[rest.index('<!-- end rooms -->') :]}"


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
