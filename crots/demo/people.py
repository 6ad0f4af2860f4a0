"""Pedestrians and cyclists."""

from __future__ import annotations

import numpy as np

from crots.demo.canvas import Faces
from crots.demo.dice import Dice, Floats
from crots.demo.labels import DemoClass
from crots.demo.layout import Thing
from crots.demo.looks import Look

Spot = tuple[float, float]
Limb = tuple[Spot, Spot, float, Floats]  # from, to, thickness in metres, colour
_TYRE = np.array([44.0, 44.0, 50.0])
_SHOES = np.array([30.0, 27.0, 26.0])


def _points(thing: Thing, spots: list[Spot], scale: float = 1.0) -> Floats:
    """Turns metres right of and above a thing's foot into street points; people walking left are mirrored."""
    flip = scale * (thing.side if thing.facing == 0 else 1)
    return np.array([(thing.x + dx * flip, y * scale, thing.z) for dx, y in spots])


def _add_limbs(faces: Faces, thing: Thing, limbs: list[Limb], scale: float, label: int) -> None:
    starts = _points(thing, [limb[0] for limb in limbs], scale)
    ends = _points(thing, [limb[1] for limb in limbs], scale)
    widths = np.array([limb[2] * scale for limb in limbs])
    faces.bars(starts, ends, widths, np.array([limb[3] for limb in limbs]), label)


def _add_head(faces: Faces, place: Floats, face: Floats, cover: Floats, scale: float, label: int) -> None:
    spots = np.concatenate([place, place])
    spots[1, 1] += 0.07 * scale
    radii = np.array([(0.105, 0.14), (0.115, 0.09)]) * scale
    faces.discs(spots, radii, np.stack([face, cover]), label, corners=8)


def paint_walker(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a pedestrian in mid step."""
    size, light, label = dice.between(0.88, 1.06), look.lights[2], DemoClass.PEDESTRIAN
    coat, trousers = (look.ink(dice, look.palette.clothes, light, 0.1) for _ in range(2))
    skin, hair = look.ink(dice, look.palette.skin, light), look.ink(dice, look.palette.hair, light)
    sideways = thing.facing == 0
    step = dice.between(0.1, 0.3) if sideways else dice.between(0.02, 0.08)
    width, swing = (0.16, 0.8 * step) if sideways else (0.22, 0.04)
    toe = 0.12 if sideways else 0.04
    sleeve = coat * 0.82
    limbs: list[Limb] = [
        ((-0.06, 0.88), (-step - 0.04, 0.06), 0.16, trousers * 0.86),
        ((0.06, 0.88), (step + 0.04, 0.06), 0.16, trousers),
        ((-step - 0.1, 0.04), (-step + toe - 0.02, 0.04), 0.09, _SHOES),
        ((step - 0.02, 0.04), (step + toe + 0.06, 0.04), 0.09, _SHOES),
        ((-width, 1.36), (-width - swing, 0.84), 0.1, sleeve),
        ((width, 1.36), (width + swing, 0.84), 0.1, sleeve),
    ]
    _add_limbs(faces, thing, limbs, size, label)
    hem = dice.between(0.5, 0.9)
    torso = [(-width * 0.9, hem), (width * 0.9, hem), (width, 1.4), (-width, 1.4)]
    faces.add(_points(thing, torso, size)[None], coat, label)
    _add_head(faces, _points(thing, [(0.0, 1.58)], size), hair if thing.facing > 0 else skin, hair, size, label)
    if dice.chance(0.3):
        bag = [(width + 0.02, 0.68), (width + 0.24, 0.68), (width + 0.22, 0.98), (width + 0.04, 0.98)]
        faces.add(_points(thing, bag, size)[None], look.ink(dice, look.palette.clothes, light * 0.9), label)


def paint_cyclist(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a rider on a bicycle, along the street or across it."""
    light = look.lights[2]
    coat, trousers = (look.ink(dice, look.palette.clothes, light, 0.1) for _ in range(2))
    skin, hair = look.ink(dice, look.palette.skin, light), look.ink(dice, look.palette.hair, light)
    cover = look.ink(dice, look.palette.cars, light) if dice.chance(0.6) else hair
    if thing.facing == 0:
        frame = look.ink(dice, look.palette.cars, light * 0.9)
        _add_bicycle(faces, thing, frame, light)
        _add_limbs(faces, thing, _rider_sideways(dice, coat, trousers), 1.0, DemoClass.CYCLIST)
        _add_head(faces, _points(thing, [(0.2, 1.58)]), skin, cover, 1.0, DemoClass.CYCLIST)
        return
    _add_limbs(faces, thing, _rider_lengthways(dice, coat, trousers), 1.0, DemoClass.CYCLIST)
    torso = [(-0.17, 0.86), (0.17, 0.86), (0.23, 1.42), (-0.23, 1.42)]
    faces.add(_points(thing, torso)[None], coat, DemoClass.CYCLIST)
    _add_head(faces, _points(thing, [(0.0, 1.58)]), hair if thing.facing > 0 else skin, cover, 1.0, DemoClass.CYCLIST)
    lamp = (206.0, 30.0, 30.0) if thing.facing > 0 else (250.0, 250.0, 226.0)
    faces.discs(_points(thing, [(0.0, 0.76)]), 0.06, lamp, DemoClass.CYCLIST, corners=6)


def _add_bicycle(faces: Faces, thing: Thing, frame: Floats, light: float) -> None:
    hubs = _points(thing, [(-0.52, 0.35), (0.52, 0.35)])
    faces.discs(hubs, 0.35, _TYRE, DemoClass.CYCLIST)
    faces.discs(hubs, 0.28, _TYRE * 0.4 + np.array([96.0, 96.0, 98.0]) * light, DemoClass.CYCLIST)
    tubes = (
        ((-0.52, 0.35), (-0.15, 0.85)),
        ((-0.15, 0.85), (0.4, 0.85)),
        ((-0.1, 0.35), (0.4, 0.85)),
        ((0.4, 0.92), (0.52, 0.35)),
        ((-0.52, 0.35), (-0.1, 0.35)),
    )
    _add_limbs(faces, thing, [(a, b, 0.055, frame) for a, b in tubes], 1.0, DemoClass.CYCLIST)


def _rider_sideways(dice: Dice, coat: Floats, trousers: Floats) -> list[Limb]:
    pedal = dice.between(0.1, 0.5)
    return [
        ((-0.15, 0.95), (0.18, 0.74), 0.17, trousers),
        ((0.18, 0.74), (0.02, pedal), 0.14, trousers),
        ((-0.15, 0.9), (0.12, 1.44), 0.32, coat),
        ((0.12, 1.34), (0.44, 0.98), 0.1, coat * 0.82),
    ]


def _rider_lengthways(dice: Dice, coat: Floats, trousers: Floats) -> list[Limb]:
    return [
        ((0.0, 0.02), (0.0, 0.68), 0.09, _TYRE),
        ((-0.1, 0.95), (-0.14, dice.between(0.3, 0.5)), 0.15, trousers),
        ((0.1, 0.95), (0.14, dice.between(0.1, 0.3)), 0.15, trousers),
        ((-0.3, 1.02), (0.3, 1.02), 0.06, _TYRE),
        ((-0.2, 1.36), (-0.29, 1.04), 0.1, coat * 0.82),
        ((0.2, 1.36), (0.29, 1.04), 0.1, coat * 0.82),
    ]
