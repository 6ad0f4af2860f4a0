"""Trees, bushes, hedges and groves: dabs of leaves in the real domain, plain solids in the simulator."""

from __future__ import annotations

import numpy as np

from crots.demo.canvas import Faces, quads
from crots.demo.dice import Dice, Floats
from crots.demo.labels import DemoClass
from crots.demo.layout import Thing
from crots.demo.looks import Look


def paint_tree(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a tree of the thing's height."""
    bark = look.ink(dice, look.palette.bark, look.lights[2])
    low = dice.between(0.3, 0.42) * thing.height
    half = 0.5 * (thing.height - low)
    centre = np.array([thing.x, low + half, thing.z])
    radii = np.array([dice.between(0.24, 0.34) * thing.height, half])
    _paint_wood(faces, dice, look, thing, bark, centre, float(radii[0]))
    if look.real:
        _paint_dabs(faces, dice, look, centre, radii, _dabs(thing.z))
    else:
        _paint_solid(faces, dice, look, centre, radii)


def _dabs(z: float) -> int:
    """Returns how many dabs a crown at a depth needs to look like leaves."""
    return 96 if z < 9.0 else 46 if z < 16.0 else 24 if z < 40.0 else 12


def _paint_wood(faces: Faces, dice: Dice, look: Look, thing: Thing, bark: Floats, centre: Floats, reach: float) -> None:
    foot = np.array([thing.x, 0.0, thing.z])
    fork = foot + np.array([0.0, 0.8 * centre[1], 0.0])
    starts, ends, widths = [foot], [fork], [0.045 * thing.height]
    for _ in range(3 if look.real else 0):
        starts.append(fork)
        ends.append(centre + np.array([dice.between(-0.7, 0.7) * reach, 0.0, 0.0]))
        widths.append(0.02 * thing.height)
    faces.bars(np.array(starts), np.array(ends), np.array(widths), bark, DemoClass.VEGETATION)


def _paint_dabs(faces: Faces, dice: Dice, look: Look, centre: Floats, radii: Floats, count: int) -> None:
    """Fills an ellipse with overlapping dabs, dark below and behind, light above and towards the sun."""
    spots = dice.spread(count, 2) * 0.46
    x, y = spots[:, 0], spots[:, 1]
    reach = np.sqrt(x * x + y * y)
    spots *= np.minimum(1.0, 0.86 / np.maximum(reach, 1e-6))[:, None]
    sizes = (
        (0.34 - 0.12 * np.minimum(reach, 1.0))
        * (0.7 + 0.6 * dice.floats(count))
        * (1.35 if count <= 20 else 1.0 if count <= 50 else 0.78)
    )
    green = look.ink(dice, look.palette.leaves, 1.0, 0.12)
    sunward = 0.0 if look.sun is None else 0.3 if look.sun[0] < 0 else -0.3
    tone = 0.84 + 0.28 * y + sunward * x + 0.15 * dice.spread(count)
    order = np.argsort(tone + 0.3 * dice.floats(count), kind="stable")
    points = np.tile(centre, (count, 1))
    points[:, :2] += spots * radii
    inks = green * (0.5 * (look.lights[2] + look.lights[3]) * np.clip(tone, 0.34, 1.5))[:, None]
    spans = sizes[:, None] * radii * (1.1, 1.0)
    faces.discs(points[order], spans[order], inks[order], DemoClass.VEGETATION, corners=6)


def _paint_solid(faces: Faces, dice: Dice, look: Look, centre: Floats, radii: Floats) -> None:
    green = look.ink(dice, look.palette.leaves)
    x, y, z = centre.tolist()
    if dice.chance(0.3):
        _paint_fir(faces, green, x, y, z, radii)
        return
    shifts = np.array([(0.0, -0.1), (-0.25, 0.02), (0.12, 0.28)])
    points = np.tile(centre, (3, 1))
    points[:, :2] += shifts * radii
    sizes = np.array([(1.0, 0.9), (0.66, 0.66), (0.5, 0.5)]) * radii
    faces.discs(points, sizes, green * np.array([[0.8], [0.94], [1.08]]), DemoClass.VEGETATION, corners=8)


def _paint_fir(faces: Faces, green: Floats, x: float, y: float, z: float, radii: Floats) -> None:
    halves = []
    for low, high, width in ((-1.0, 0.1, 0.9), (-0.45, 0.6, 0.7), (0.1, 1.05, 0.5)):
        base, top, half = y + low * radii[1], y + high * radii[1], width * radii[0]
        halves.append([(x - half, base, z), (x, top, z), (x, base, z)])
        halves.append([(x, base, z), (x, top, z), (x + half, base, z)])
    faces.add(np.array(halves), np.tile([green * 0.92, green * 0.76], (3, 1)), DemoClass.VEGETATION)


def paint_bush(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a bush of about a man's height."""
    half = dice.between(0.7, 1.3)
    centre, radii = np.array([thing.x, 0.9 * half, thing.z]), np.array([1.2 * half, half])
    if look.real:
        _paint_dabs(faces, dice, look, centre, radii, 22)
    else:
        _paint_solid(faces, dice, look, centre, radii)


def paint_hedge(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a hedge along the pavement."""
    near, far = max(thing.z, 1.0), thing.z + thing.length
    count = max(int((far - near) / 1.5), 1)
    edges = np.linspace(near, far, count + 1)
    green = look.ink(dice, look.palette.leaves, look.side_light(thing.side))
    rough = 1.0 if look.real else 0.0
    high = thing.height * (1.0 + 0.06 * rough * dice.spread(count))
    z = np.stack([edges[:-1], edges[1:], edges[1:], edges[:-1]], axis=1)
    y = np.stack([0.0 * high, 0.0 * high, high, high], axis=1)
    tones = 0.86 + 0.08 * rough * dice.spread(count)
    back = thing.x + 0.8 * thing.side
    tops = quads(np.array([thing.x, thing.x, back, back]), high[:, None], z[:, [0, 1, 1, 0]], count)
    faces.add(tops, green * 1.12, DemoClass.VEGETATION)
    faces.add(quads(thing.x, y, z, count), green * tones[:, None], DemoClass.VEGETATION)
    if look.real:
        _paint_leaves(faces, dice, thing, green, near, min(far, 25.0))


def _paint_leaves(faces: Faces, dice: Dice, thing: Thing, green: Floats, near: float, far: float) -> None:
    count = int(4 * (far - near))
    if count < 1:
        return
    spots = np.full((count, 3), thing.x)
    spots[:, 1] = thing.height * dice.floats(count)
    spots[:, 2] = np.sort(near + (far - near) * dice.floats(count))[::-1]
    inks = green * (0.86 + 0.3 * (dice.floats(count) - 0.5))[:, None]
    faces.discs(spots, 0.16, inks, DemoClass.VEGETATION, corners=6)


def paint_grove(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints the trees at the back of a park as one ragged mass."""
    near, far = max(thing.z, 1.0), thing.z + thing.length
    count = max(int((far - near) / 2.5), 2)
    heights = thing.height * (0.75 + 0.5 * dice.floats(count))
    points = np.full((count, 3), thing.x)
    points[:, 1] = 0.5 * heights
    points[:, 2] = np.sort(near + (far - near) * dice.floats(count))[::-1]
    green = look.ink(dice, look.palette.leaves, look.lights[2])
    tones = 0.7 + 0.25 * dice.floats(count)
    sizes = np.stack([0.42 * heights, 0.52 * heights], axis=1)
    faces.discs(points, sizes, green * tones[:, None], DemoClass.VEGETATION, corners=8)
    if look.real and thing.z < 50.0:
        for centre, height in zip(points[::2], heights[::2], strict=True):
            _paint_dabs(faces, dice, look, centre, np.array([0.4, 0.5]) * height, 12)
