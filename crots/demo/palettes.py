"""Colours of the two domains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crots.demo.canvas import Colour
from crots.demo.dice import Floats


@dataclass(frozen=True)
class Palette:
    """Colour tables (N, 3) in 0..255, by what they colour."""

    walls: Floats
    roofs: Floats
    frames: Floats
    glass: Floats
    shops: Floats
    leaves: Floats
    bark: Floats
    grass: Floats
    asphalt: Floats
    paving: Floats
    fences: Floats
    posts: Floats
    cars: Floats
    clothes: Floats
    skin: Floats
    hair: Floats


def _table(*colours: Colour) -> Floats:
    return np.asarray(colours, np.float64)


SIMULATOR = Palette(
    walls=_table((214, 148, 104), (228, 206, 150), (158, 178, 200), (196, 122, 110), (140, 168, 148), (222, 222, 214)),
    roofs=_table((150, 74, 62), (92, 98, 112)),
    frames=_table((245, 245, 245)),
    glass=_table((118, 176, 214), (104, 160, 204)),
    shops=_table((220, 70, 60), (60, 120, 200), (240, 180, 50), (70, 160, 110)),
    leaves=_table((86, 166, 70), (66, 148, 78), (112, 180, 76)),
    bark=_table((128, 92, 62)),
    grass=_table((118, 186, 88)),
    asphalt=_table((104, 108, 116), (112, 114, 120)),
    paving=_table((192, 188, 182), (202, 196, 184)),
    fences=_table((168, 122, 80), (200, 200, 196)),
    posts=_table((132, 138, 146)),
    cars=_table(
        (208, 46, 44), (44, 96, 200), (238, 238, 240), (240, 190, 40), (60, 64, 72), (60, 160, 90), (170, 176, 184)
    ),
    clothes=_table((230, 60, 60), (50, 110, 210), (250, 200, 60), (90, 180, 90), (150, 80, 180), (240, 240, 240)),
    skin=_table((240, 200, 164), (150, 104, 76)),
    hair=_table((80, 56, 40), (40, 36, 36), (210, 170, 90)),
)

REAL = Palette(
    walls=_table(
        (128, 78, 60),
        (146, 96, 72),
        (176, 164, 142),
        (204, 196, 178),
        (122, 118, 112),
        (164, 142, 108),
        (96, 82, 74),
        (186, 172, 166),
    ),
    roofs=_table((84, 62, 56), (66, 66, 70), (108, 72, 56), (52, 52, 56)),
    frames=_table((206, 204, 196), (88, 70, 56), (60, 62, 64)),
    glass=_table((38, 44, 52), (58, 66, 76), (84, 96, 108), (120, 130, 138), (26, 28, 32)),
    shops=_table((92, 34, 36), (30, 52, 48), (38, 42, 66), (150, 120, 60), (58, 56, 54), (160, 150, 138)),
    leaves=_table((62, 78, 38), (48, 66, 36), (84, 94, 46), (98, 98, 44), (58, 72, 48)),
    bark=_table((70, 58, 48), (92, 84, 74), (52, 46, 42)),
    grass=_table((88, 100, 56), (104, 108, 66), (74, 86, 50)),
    asphalt=_table((92, 90, 88), (78, 78, 80), (116, 112, 106), (68, 68, 72)),
    paving=_table((142, 134, 124), (122, 118, 114), (158, 146, 132), (112, 104, 98)),
    fences=_table((74, 60, 48), (46, 50, 50), (112, 100, 86), (140, 136, 128)),
    posts=_table((74, 78, 76), (104, 104, 100), (48, 54, 52), (128, 126, 120)),
    cars=_table(
        (188, 190, 192),
        (214, 214, 210),
        (34, 36, 40),
        (72, 76, 82),
        (122, 126, 130),
        (38, 48, 76),
        (112, 30, 32),
        (96, 92, 80),
        (52, 60, 56),
    ),
    clothes=_table(
        (34, 36, 44),
        (52, 56, 70),
        (88, 84, 78),
        (120, 52, 46),
        (60, 72, 60),
        (150, 140, 124),
        (44, 60, 96),
        (26, 26, 28),
        (190, 186, 178),
    ),
    skin=_table((206, 166, 140), (176, 132, 104), (112, 78, 60), (84, 58, 46)),
    hair=_table((44, 34, 28), (24, 22, 22), (104, 84, 60), (128, 124, 120)),
)
