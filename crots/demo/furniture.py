"""Lamp posts, traffic signs and traffic lights."""

from __future__ import annotations

import numpy as np

from crots.demo.canvas import Colour, Faces, upright
from crots.demo.dice import Dice, Floats
from crots.demo.labels import DemoClass
from crots.demo.layout import Thing
from crots.demo.looks import Look

Point = tuple[float, float, float]
_RED, _BLUE, _YELLOW, _WHITE, _GREEN = (214, 36, 40), (28, 84, 186), (244, 196, 40), (246, 246, 246), (40, 130, 76)
_BLACK = (40, 40, 44)
_LAMPS = np.array([(250.0, 60.0, 50.0), (240.0, 190.0, 60.0), (70.0, 230.0, 130.0)])
_SHAPES = {
    "simulator": (("round", 0.4), ("triangle", 0.3), ("square", 0.15), ("board", 0.15)),
    "real": (("round", 0.3), ("triangle", 0.2), ("square", 0.25), ("board", 0.25)),
}


def paint_lamp(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a lamp post with an arm over the road."""
    colour = look.ink(dice, look.palette.posts, look.lights[2])
    tip = thing.x - thing.side * dice.between(0.9, 1.8)
    x, z, top = thing.x, thing.z, thing.height
    starts = np.array([(x, 0.0, z), (x, 0.0, z), (x, top, z)])
    ends = np.array([(x, top, z), (x, 1.1, z), (tip, top + 0.3, z)])
    faces.bars(starts, ends, np.array([0.19, 0.28, 0.12]), colour, DemoClass.POLE)
    glow = np.array([255.0, 226.0, 160.0]) if look.weather == "dusk" else colour * 1.2
    faces.discs(np.array([(tip, top + 0.28, z)]), np.array([(0.4, 0.13)]), glow, DemoClass.POLE, corners=8)


def paint_sign(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a post with one or two traffic signs."""
    _paint_post(faces, dice, look, thing, 0.11)
    light = look.lights[2] + (0.1 if look.real else 0.16)
    for level in range(1 + dice.chance(0.25)):
        centre = (thing.x, thing.height - 0.1 - 0.95 * level, thing.z - 0.05)
        _PANELS[dice.weighted(_SHAPES[look.domain])](faces, dice, centre, light)


def _paint_post(faces: Faces, dice: Dice, look: Look, thing: Thing, width: float) -> None:
    colour = look.ink(dice, look.palette.posts, look.lights[2])
    foot = np.array([(thing.x, 0.0, thing.z)])
    faces.bars(foot, foot + np.array([0.0, thing.height, 0.0]), width, colour, DemoClass.POLE)


def _inks(light: float, *colours: Colour) -> Floats:
    return np.array(colours) * light


def _paint_round(faces: Faces, dice: Dice, centre: Point, light: float) -> None:
    rim, face = dice.pick(((_RED, _WHITE), (_RED, _WHITE), (_BLUE, _BLUE), (_RED, _BLUE)))
    radii = np.array([(0.46, 0.46), (0.33, 0.33)])
    faces.discs(np.array([centre, centre]), radii, _inks(light, rim, face), DemoClass.SIGN)
    x, y, z = centre
    bar = np.array([upright(x - 0.2, x + 0.2, y - 0.06, y + 0.06, z)])
    faces.add(bar, _inks(light, _BLACK if face == _WHITE else _WHITE), DemoClass.SIGN)


def _paint_triangle(faces: Faces, dice: Dice, centre: Point, light: float) -> None:
    flip = -1.0 if dice.chance(0.3) else 1.0
    outline = np.array([(-0.54, -0.44 * flip, 0.0), (0.54, -0.44 * flip, 0.0), (0.0, 0.52 * flip, 0.0)])
    faces.add(np.array(centre) + np.stack([outline, 0.6 * outline]), _inks(light, _RED, _WHITE), DemoClass.SIGN)


def _paint_square(faces: Faces, dice: Dice, centre: Point, light: float) -> None:
    _paint_panel(faces, centre, 0.42, 0.42, dice.pick((_BLUE, _YELLOW)), light)


def _paint_board(faces: Faces, dice: Dice, centre: Point, light: float) -> None:
    _paint_panel(faces, centre, dice.between(0.6, 0.9), 0.3, dice.pick((_BLUE, _WHITE, _GREEN, _YELLOW)), light)


def _paint_panel(faces: Faces, centre: Point, half: float, rise: float, colour: Colour, light: float) -> None:
    x, y, z = centre
    mark = _WHITE if colour in (_BLUE, _GREEN) else _BLACK
    spans = ((half, rise), (half * 0.9, rise * 0.86), (half * 0.55, rise * 0.22))
    panels = np.array([upright(x - w, x + w, y - h, y + h, z) for w, h in spans])
    faces.add(panels, _inks(light, mark, colour, mark), DemoClass.SIGN)


_PANELS = {"round": _paint_round, "triangle": _paint_triangle, "square": _paint_square, "board": _paint_board}


def paint_light(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a traffic light on its post."""
    _paint_post(faces, dice, look, thing, 0.13)
    x, y, z = thing.x, thing.height, thing.z - 0.1
    faces.add(np.array([upright(x - 0.22, x + 0.22, y - 0.2, y + 0.85, z)]), (34.0, 36.0, 38.0), DemoClass.SIGN)
    inks = _LAMPS * 0.22
    lit = dice.whole(0, 2)
    inks[lit] = _LAMPS[lit]
    faces.discs(np.array([(x, y + dy, z) for dy in (0.66, 0.33, 0.0)]), 0.13, inks, DemoClass.SIGN, corners=8)
