"""Draws the icon in every size and form that desktops want: ``python tools/draw_icon.py``.

Four quadrants from four places, as SpatialMix puts an image together.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from crots.resources import resource_folder
from crots_studio.icon import SIZES, icon_path
from crots_studio.shortcut import MARK

_SIDE = 1024
_MARGIN, _ROUND = 48, 192
_SPLIT = (0.42, 0.58)
_COLOURS = ("#1f6fd1", "#58c48c", "#e5b04c", "#c22f35")


def draw() -> Image.Image:
    """Paints the icon once, large."""
    x, y = (round(share * _SIDE) for share in _SPLIT)
    picture = Image.new("RGBA", (_SIDE, _SIDE))
    pen = ImageDraw.Draw(picture)
    places = ((0, 0, x, y), (x, 0, _SIDE, y), (0, y, x, _SIDE), (x, y, _SIDE, _SIDE))
    for place, colour in zip(places, _COLOURS, strict=True):
        pen.rectangle(place, fill=colour)
    outline = Image.new("L", picture.size)
    corners = (_MARGIN, _MARGIN, _SIDE - _MARGIN, _SIDE - _MARGIN)
    ImageDraw.Draw(outline).rounded_rectangle(corners, _ROUND, fill=255)
    picture.putalpha(outline)
    return picture


def main(folder: Path) -> None:
    """Writes PNGs for Linux, and one file each for Windows and macOS."""
    folder.mkdir(exist_ok=True)
    picture, notes = draw(), PngInfo()
    # By this a shortcut knows the pictures that it may replace and remove.
    notes.add_text("Comment", MARK)
    for side in SIZES:
        picture.resize((side, side), Image.Resampling.LANCZOS).save(icon_path(side), pnginfo=notes, optimize=True)
    picture.save(folder / "crots-studio.ico", sizes=[(side, side) for side in SIZES if side <= 256])
    picture.save(folder / "crots-studio.icns")


if __name__ == "__main__":
    main(resource_folder() / "icons")
