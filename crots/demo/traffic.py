"""Cars, vans and buses, as boxes in perspective with glass, wheels and lights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crots.demo.canvas import UNIT_POLYGONS, Faces, upright
from crots.demo.dice import Dice, Floats
from crots.demo.labels import DemoClass
from crots.demo.layout import Thing
from crots.demo.looks import Look

Corner = tuple[float, float, float]
_RUBBER = np.array([30.0, 30.0, 32.0])
_HUB = _RUBBER * 4.4
_SIMPLE = 38.0  # metres; beyond it wheels, plates and the like are left out


@dataclass(frozen=True)
class _Shape:
    """Measures in metres.

    ``cabin`` is where the glass begins and ends, at its foot and at the roof, in shares of the length from behind; the
    cabin is narrower than the body by ``inset`` on each side.
    """

    width: float
    length: float
    deck: float
    top: float
    cabin: tuple[float, float, float, float]
    inset: float


_SALOON = _Shape(1.8, 4.4, 0.88, 1.45, (0.13, 0.76, 0.27, 0.6), 0.2)
_HATCH = _Shape(1.76, 3.9, 0.92, 1.52, (0.02, 0.74, 0.09, 0.58), 0.17)
_JEEP = _Shape(1.9, 4.5, 1.04, 1.74, (0.02, 0.75, 0.06, 0.62), 0.14)
_VAN = _Shape(2.0, 5.4, 1.1, 2.25, (0.0, 0.88, 0.02, 0.74), 0.1)
_BUS = _Shape(2.5, 9.0, 1.1, 3.0, (0.0, 1.0, 0.0, 0.99), 0.04)


class _Sketch:
    """Quadrilaterals and colours of one vehicle, handed over at once."""

    def __init__(self) -> None:
        self.corners: list[list[Corner]] = []
        self.inks: list[Floats] = []

    def add(self, corners: list[Corner], ink: Floats) -> None:
        self.corners.append(corners)
        self.inks.append(ink)

    def pane(self, corners: list[Corner], paint: Floats, glass: Floats, share: float = 0.82) -> None:
        """Adds a face with a window that takes ``share`` of its width."""
        self.add(corners, paint)
        centre = [sum(corner[k] for corner in corners) / 4.0 for k in range(3)]
        inner = [tuple(m + (c - m) * share for c, m in zip(corner, centre, strict=True)) for corner in corners]
        self.add(inner, glass)  # type: ignore[arg-type]

    def hand_over(self, faces: Faces) -> None:
        faces.add(np.asarray(self.corners), np.asarray(self.inks), DemoClass.CAR)


def paint_car(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a car, from behind, the front or the side."""
    shape = dice.weighted(((_SALOON, 0.4), (_HATCH, 0.4), (_JEEP, 0.2)))
    paint = look.ink(dice, look.palette.cars, 1.0, 0.08 if look.real else 0.0)
    if thing.facing == 0:
        _paint_profile(faces, dice, look, thing, shape, paint)
    else:
        _paint_body(faces, dice, look, thing, shape, paint)


def paint_van(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a van, or a bus where there is room for it."""
    shape = _BUS if thing.z > 14.0 and abs(thing.x) < 5.0 and dice.chance(0.35) else _VAN
    paint = look.ink(dice, look.palette.cars, 1.0, 0.08 if look.real else 0.0)
    _paint_body(faces, dice, look, thing, shape, paint)


class _Place(NamedTuple):
    """Where a vehicle's body is on the street: its ends, half widths and the z of its glass at foot and roof."""

    near: float
    far: float
    half: float
    inner: float
    foot: tuple[float, float]
    roof: tuple[float, float]


def _place(thing: Thing, shape: _Shape) -> _Place:
    back, front, roof_back, roof_front = shape.cabin
    if thing.facing < 0:  # the bonnet is near
        back, front, roof_back, roof_front = 1.0 - front, 1.0 - back, 1.0 - roof_front, 1.0 - roof_back
    near, length, half = thing.z, shape.length, 0.5 * shape.width
    foot, roof = (near + back * length, near + front * length), (near + roof_back * length, near + roof_front * length)
    return _Place(near, near + length, half, half - shape.inset, foot, roof)


def _paint_body(faces: Faces, dice: Dice, look: Look, thing: Thing, shape: _Shape, paint: Floats) -> None:
    place, x = _place(thing, shape), thing.x
    glass = look.ink(dice, look.palette.glass, 0.5 + 0.5 * look.lights[2]) * (0.8 if look.real else 0.62)
    sketch = _Sketch()
    _add_underside(sketch, thing, place.half)
    seen = faces.camera.side - x
    if abs(seen) > place.half:
        side = 1 if seen > 0 else -1
        _add_side(sketch, place, shape, x, side, paint * look.side_light(-side), glass)
        if place.near < _SIMPLE:
            # Wheels have other corners than the rest and lie between side and end.
            sketch.hand_over(faces)
            _paint_wheels(faces, x + (place.half + 0.01) * side, place.near, shape)
            sketch = _Sketch()
    sketch.add(_level(x, place.half, shape.deck, (place.near, place.far)), paint * look.lights[3])
    if faces.camera.eye > shape.top:
        sketch.add(_level(x, place.inner, shape.top, place.roof), paint * look.lights[3] * 1.04)
    low = [(x - place.half, shape.deck, place.foot[0]), (x + place.half, shape.deck, place.foot[0])]
    high = [(x + place.inner, shape.top, place.roof[0]), (x - place.inner, shape.top, place.roof[0])]
    sketch.pane(low + high, paint * look.lights[2], glass, 0.84)
    _add_end(sketch, look, thing, shape, paint * look.lights[2])
    sketch.hand_over(faces)


def _level(x: float, half: float, y: float, span: tuple[float, float]) -> list[Corner]:
    """Returns the corners of a level rectangle."""
    near, far = span
    return [(x - half, y, near), (x + half, y, near), (x + half, y, far), (x - half, y, far)]


def _add_side(sketch: _Sketch, place: _Place, shape: _Shape, x: float, side: int, paint: Floats, glass: Floats) -> None:
    outer, inner, deck = x + side * place.half, x + side * place.inner, shape.deck
    low = [(outer, deck, place.foot[0]), (outer, deck, place.foot[1])]
    sketch.pane([*low, (inner, shape.top, place.roof[1]), (inner, shape.top, place.roof[0])], paint, glass)
    for high, tone in ((deck, 1.0), (0.44, 0.72)):  # the door, then the sill
        bottom = [(outer, 0.28, place.near), (outer, 0.28, place.far)]
        sketch.add([*bottom, (outer, high, place.far), (outer, high, place.near)], paint * tone)


def _add_underside(sketch: _Sketch, thing: Thing, half: float) -> None:
    x, z = thing.x, thing.z
    sketch.add(upright(x - 0.94 * half, x + 0.94 * half, 0.14, 0.5, z + 0.1), _RUBBER * 0.7)
    for left in (x - half, x + half - 0.24):
        sketch.add(upright(left + 0.02, left + 0.22, 0.0, 0.5, z + 0.12), _RUBBER)


def _paint_wheels(faces: Faces, x: float, near: float, shape: _Shape) -> None:
    hubs = (near + 0.81 * shape.length, near + 0.18 * shape.length)
    points = np.full((4, 8, 3), x)
    for k, (hub, radius) in enumerate((hub, radius) for hub in hubs for radius in (0.34, 0.2)):
        points[k, :, 1] = 0.33 + radius * UNIT_POLYGONS[8][:, 1]
        points[k, :, 2] = hub + radius * UNIT_POLYGONS[8][:, 0]
    faces.add(points, np.stack([_RUBBER, _HUB, _RUBBER, _HUB]), DemoClass.CAR)


def _add_end(sketch: _Sketch, look: Look, thing: Thing, shape: _Shape, paint: Floats) -> None:
    """Adds bumper, boot or bonnet, lights and number plate of the near end."""
    half, z, x, deck = 0.5 * shape.width, thing.z, thing.x, shape.deck
    sketch.add(upright(x - half, x + half, 0.28, deck, z), paint)
    sketch.add(upright(x - half, x + half, 0.28, 0.46, z), paint * (0.55 if look.real else 0.8))
    lamp = np.array([204.0, 34.0, 30.0]) if thing.facing > 0 else np.array([242.0, 242.0, 230.0])
    lamp = lamp * (1.2 if look.weather in ("dusk", "rain") else 0.92)
    for left in (x - half + 0.03, x + half - 0.37):
        sketch.add(upright(left, left + 0.34, deck - 0.29, deck - 0.11, z), lamp)
    if z < _SIMPLE:
        sketch.add(upright(x - 0.26, x + 0.26, 0.5, 0.62, z), np.array([226.0, 226.0, 214.0]) * look.lights[2])
        if thing.facing < 0:
            sketch.add(upright(x - 0.4, x + 0.4, deck - 0.24, deck - 0.14, z), paint * 0.4)


def _paint_profile(faces: Faces, dice: Dice, look: Look, thing: Thing, shape: _Shape, paint: Floats) -> None:
    """Paints a car that crosses the street."""
    x, length, z, light = thing.x, shape.length * thing.side, thing.z, look.lights[2]
    back, front, roof_back, roof_front = (x + (share - 0.5) * length for share in shape.cabin)
    sketch = _Sketch()
    glass = look.ink(dice, look.palette.glass, light) * 0.8
    cabin = [(back, shape.deck, z), (front, shape.deck, z), (roof_front, shape.top, z), (roof_back, shape.top, z)]
    sketch.pane(cabin, paint * light, glass)
    sketch.add(upright(x - 0.5 * length, x + 0.5 * length, 0.28, shape.deck, z), paint * light)
    sketch.add(upright(x - 0.5 * length, x + 0.5 * length, 0.28, 0.44, z), paint * light * 0.72)
    sketch.hand_over(faces)
    hubs = np.array([[x + share * length, 0.33, z - 0.02] for share in (-0.32, 0.31)])
    faces.discs(hubs, 0.34, _RUBBER, DemoClass.CAR)
    faces.discs(hubs, 0.18, _HUB, DemoClass.CAR, corners=8)
