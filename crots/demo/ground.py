"""Sky, road, pavements and verges, which are painted before upright things, and their reliefs."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from crots.demo.canvas import FLAT, NEAREST, OVERSAMPLING, UNIT_POLYGONS, Camera, Faces, Pixels, quads
from crots.demo.dice import Dice, Floats
from crots.demo.labels import DemoClass
from crots.demo.layout import FAR, LANE, Street
from crots.demo.looks import Look

_STATIONS = np.array([NEAREST, 2.0, 4.0, 8.0, 16.0, 30.0, 55.0, 90.0, FAR * 1.6])
_TILE = 256  # side of the relief tables, in cells
_ROAD, _PAVEMENT = FLAT + DemoClass.ROAD, FLAT + DemoClass.PAVEMENT
_LID = 0.34 * UNIT_POLYGONS[8]


def prime(pixels: Pixels, camera: Camera, dice: Dice, look: Look) -> None:
    """Fills a canvas (2 H, 2 W, 4) with the sky's gradient and, below the horizon, grass."""
    first = int(camera.horizon) + 1
    share = np.minimum(np.arange(first) / first, 1.0)[:, None]
    top, low = (np.asarray(colour) for colour in look.sky)
    gradient = np.full((first, 4), DemoClass.SKY, np.uint8)
    gradient[:, :3] = np.clip(top + (low - top) * share * (share if look.real else 1.0), 0, 255)
    pixels[:first] = gradient[:, None]
    grass = np.clip(look.ink(dice, look.palette.grass, look.lights[3]), 0, 255).astype(np.uint8)
    pixels[first:] = (*grass.tolist(), FLAT + DemoClass.VEGETATION)


def paint_ground(faces: Faces, dice: Dice, look: Look, street: Street) -> None:
    """Adds everything flat."""
    paving = look.ink(dice, look.palette.paving, look.lights[3])
    asphalt = look.ink(dice, look.palette.asphalt, look.lights[3])
    _strip(faces, street.walks[0], street.walks[1], paving, _PAVEMENT)
    _strip(faces, street.edges[0] - 0.2, street.edges[1] + 0.2, paving * (1.14 if look.real else 1.08), _PAVEMENT)
    _strip(faces, street.edges[0], street.edges[1], asphalt, _ROAD)
    if street.crossing is not None:
        _paint_side_street(faces, street, paving, asphalt)
    if look.real:
        _paint_wear(faces, dice, look, street, asphalt)
    _paint_marks(faces, dice, look, street, asphalt)


def paint_toy_clouds(faces: Faces, dice: Dice) -> None:
    """Adds the simulator's clouds."""
    puffs = np.array([(-9.0, 0.0), (-3.0, 2.4), (4.0, 1.6), (10.0, 0.0), (0.0, -1.0)])
    radii = np.array([(6.0, 3.4), (7.0, 4.6), (7.0, 4.2), (5.0, 3.0), (13.0, 2.2)])
    for _ in range(dice.whole(1, 4)):
        centres = np.full((5, 3), 120.0)
        centres[:, :2] = puffs + np.array([dice.between(-90.0, 90.0), dice.between(28.0, 75.0)])
        faces.discs(centres, radii, (246.0, 249.0, 252.0), DemoClass.SKY)


def _strip(faces: Faces, left: float, right: float, colour: Floats, label: int) -> None:
    z = np.stack([_STATIONS[:-1], _STATIONS[:-1], _STATIONS[1:], _STATIONS[1:]], axis=1)
    faces.add(quads(np.array([left, right, right, left]), 0.0, z, len(z)), colour, label)


def _flat(faces: Faces, boxes: list[tuple[float, float, float, float]], colour: Floats, label: int) -> None:
    """Adds ground rectangles given as left, right, near, far."""
    if boxes:
        sides = np.asarray(boxes)
        faces.add(quads(sides[:, [0, 1, 1, 0]], 0.0, sides[:, [2, 2, 3, 3]], len(boxes)), colour, label)


def _paint_side_street(faces: Faces, street: Street, paving: Floats, asphalt: Floats) -> None:
    near, far = street.crossing or (0.0, 0.0)
    left, right = (-90.0, street.edges[0] + 0.1), (street.edges[1] - 0.1, 90.0)
    _flat(faces, [(*left, near - 2.0, far + 2.0), (*right, near - 2.0, far + 2.0)], paving, _PAVEMENT)
    _flat(faces, [(*left, near, far), (*right, near, far)], asphalt, _ROAD)


def _paint_marks(faces: Faces, dice: Dice, look: Look, street: Street, asphalt: Floats) -> None:
    paint = np.array([196.0, 194.0, 186.0]) * look.lights[3] if look.real else np.array([250.0, 250.0, 250.0])
    paint = paint + (asphalt - paint) * (dice.between(0.0, 0.5) if look.real else 0.0)
    dash, gap = (3.0, 6.0) if look.real else (4.0, 4.0)
    low, high = street.crossing or (1e9, 1e9)
    boxes: list[tuple[float, float, float, float]] = []
    for lane in range(-street.lanes[0] + 1, street.lanes[1]):
        x, starts = lane * LANE, np.arange(dice.between(0.0, 4.0), 60.0, dash + gap).tolist()
        boxes += [(x - 0.08, x + 0.08, z, z + dash) for z in starts if not low - dash - 4.0 < z < high + 1.0]
    if dice.chance(0.5 if look.real else 0.8):
        ends = [(1.0, min(low - 4.4, 90.0))] + ([(high + 0.5, 90.0)] if high < 90.0 else [])
        for x in (street.edges[0] + 0.25, street.edges[1] - 0.4):
            boxes += [(x, x + 0.14, z, z + 0.2 * (far - near)) for near, far in ends for z in _fifths(near, far)]
    if street.crossing is not None:
        stripes = np.arange(street.edges[0] + 0.5, street.edges[1] - 0.6, 1.1).tolist()
        boxes += [(x, x + 0.55, low - 4.2, low - 1.2) for x in stripes]
    _flat(faces, boxes, paint, _ROAD)


def _fifths(near: float, far: float) -> list[float]:
    return [near + (far - near) * k / 5 for k in range(5)]


def _paint_wear(faces: Faces, dice: Dice, look: Look, street: Street, asphalt: Floats) -> None:
    """Adds repaired patches and manhole covers to the asphalt."""
    left, right = street.edges
    for _ in range(dice.whole(0, 4)):
        x, z = dice.between(left, right - 2.5), dice.between(4.0, 35.0)
        tone = 1.0 + look.wear * dice.between(-0.26, 0.18)
        _flat(faces, [(x, x + dice.between(0.6, 2.4), z, z + dice.between(1.5, 12.0))], asphalt * tone, _ROAD)
    for _ in range(dice.whole(1, 3)):
        lid = np.zeros((1, len(_LID), 3))
        lid[..., [0, 2]] = _LID + np.array([dice.between(left + 0.6, right - 0.6), dice.between(5.0, 28.0)])
        faces.add(lid, asphalt * 0.62, _ROAD)


@lru_cache(maxsize=4)
def _relief(name: str) -> Floats:
    """Returns a tiling table (256, 256) of mean 0 and about -1..1 of the real domain."""
    dice = Dice(7, sum(name.encode()))
    octaves = {
        "asphalt": ((1, 0.8), (8, 0.25), (32, 0.35)),
        "slabs": ((1, 0.3), (4, 0.3), (32, 0.3)),
        "turf": ((1, 0.7), (4, 0.6), (16, 0.5)),
        "clouds": ((8, 0.2), (16, 0.5), (64, 1.0)),
    }
    total = np.zeros((_TILE, _TILE))
    for cell, weight in octaves[name]:
        noise = 2.0 * dice.floats(_TILE // cell, _TILE // cell) - 1.0
        wide = np.repeat(np.repeat(noise, cell, axis=0), cell, axis=1)
        for axis in (0, 1) if cell > 1 else ():
            wide = np.asarray(sum(np.roll(wide, shift, axis) for shift in range(cell))) / cell
        total += weight * wide
    return total


@lru_cache(maxsize=1)
def _slabs() -> Floats:
    """Returns paving in staggered courses of uneven tone."""
    dice, table = Dice(11), _relief("slabs").copy()
    for course in range(_TILE // 8):
        rows, offset = slice(course * 8, course * 8 + 8), 8 * (course % 2)
        table[rows] += np.roll(np.repeat(0.44 * dice.spread(_TILE // 16), 16), offset)
        table[course * 8, :] -= 0.9
        table[rows, (np.arange(0, _TILE, 16) + offset) % _TILE] -= 0.7
    return table


@lru_cache(maxsize=2)
def _reliefs(real: bool) -> NDArray[np.float32]:
    """Returns a domain's reliefs (10, 256, 256), by class; the simulator's only one is the joints of square tiles."""
    tables = np.zeros((len(DemoClass), _TILE, _TILE), np.float32)
    if real:
        tables[DemoClass.ROAD], tables[DemoClass.PAVEMENT] = _relief("asphalt"), _slabs()
        tables[DemoClass.VEGETATION] = _relief("turf")
    else:
        tables[DemoClass.PAVEMENT, ::16] = -1.0
        tables[DemoClass.PAVEMENT, :, ::16] = -1.0
    return tables


def finish_ground(image: Pixels, labels: Pixels, dark: Pixels, camera: Camera, dice: Dice, look: Look) -> None:
    """Gives the ground of an image (H, W, 3) its relief, shadows (H, W) and haze, and takes its mark off the labels."""
    first = max(int(camera.horizon) // OVERSAMPLING + 1, 0)
    colours, classes = image[first:], labels[first:]
    flat = classes >= FLAT
    classes &= FLAT - 1
    labels[:first] &= FLAT - 1
    rows = np.arange(first, image.shape[0]) * OVERSAMPLING + 0.5
    z = camera.focal * camera.eye / np.maximum(rows - camera.horizon, 0.5)
    columns = np.arange(image.shape[1]) * OVERSAMPLING + (0.5 - camera.centre)
    x = columns * (z / camera.focal)[:, None] + (camera.side - camera.bend * z * z)[:, None]
    # Cells of the tables per metre: real ones are finer along the road's width, since perspective squeezes its length.
    across, ahead, amount = (18.0, 9.0, 0.1 + 0.1 * look.wear) if look.real else (16.0, 16.0, 0.16)
    shift = dice.floats(2) * _TILE
    i = np.floor(z * ahead + shift[0]).astype(np.int64)[:, None] & (_TILE - 1)
    j = np.floor(x * across + shift[1]).astype(np.int64) & (_TILE - 1)
    relief = _reliefs(look.real)[classes, i, j]
    # Cells below a pixel would only flicker.
    gain = 1.0 + relief * (amount / (1.0 + z / camera.focal * 14.0 * OVERSAMPLING)).astype(np.float32)[:, None]
    gain *= (255.0 - dark[first:].astype(np.float32)) * np.float32(1.0 / 255.0)
    air = look.air
    share = air.share(z).astype(np.float32)[:, None]
    finished = colours * (gain * (1.0 - share))[..., None] + np.asarray(air.colour, np.float32) * share[..., None]
    np.copyto(colours, np.clip(finished, 0, 255).astype(np.uint8), where=flat[..., None])


def paint_clouds(image: Pixels, labels: Pixels, dice: Dice, look: Look) -> None:
    """Draws the real domain's clouds over what is sky in an image (H, W, 3)."""
    rows = math.ceil(image.shape[0] * 0.55)
    scale = max(image.shape[1] // 128, 1)
    i = (np.arange(rows) * 2 // scale + dice.whole(0, _TILE - 1)) & (_TILE - 1)
    j = (np.arange(image.shape[1]) // scale + dice.whole(0, _TILE - 1)) & (_TILE - 1)
    cover = np.clip(_relief("clouds")[i[:, None], j] * dice.between(0.6, 1.4) + dice.between(-0.3, 0.5), 0.0, 0.85)
    cover *= labels[:rows] == DemoClass.SKY
    tint = np.asarray(look.sky[1]) * (0.74 if look.weather in ("rain", "dusk") else 1.08)
    sky = image[:rows]
    sky[:] = np.clip(sky + (tint - sky) * cover[..., None], 0, 255).astype(np.uint8)
