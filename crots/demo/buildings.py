"""Buildings, houses, fences and the skyline."""

from __future__ import annotations

import numpy as np

from crots.demo.canvas import Faces, quads, upright
from crots.demo.dice import Dice, Floats
from crots.demo.labels import DemoClass
from crots.demo.layout import FAR, Thing
from crots.demo.looks import Look

_WINDOWS, _FRAMES, _BARS = 75.0, 38.0, 24.0  # metres up to which a facade has these
_STOREY = 3.2


def paint_building(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a town building: facade in bays, windows or a shop on the ground floor, cornice and end wall."""
    wall = look.ink(dice, look.palette.walls, 1.0, 0.08 if look.real else 0.0)
    roofed = look.real and dice.chance(0.6)
    if roofed:
        _paint_roof(faces, dice, look, thing, rise=dice.between(1.2, 2.4), depth=dice.between(2.5, 4.0), hip=2.2)
    _paint_end_wall(faces, dice, look, thing, wall, 9.0)
    edges = _bay_edges(thing, dice.between(2.4, 3.4))
    _paint_wall(faces, dice, look, thing, wall, edges)
    shop = dice.chance(0.45)
    if thing.z < _WINDOWS:
        floors = max(int((thing.height - 0.8) / _STOREY), 1)
        _paint_windows(faces, dice, look, thing, edges, floors, first=1 if shop else 0)
        if shop:
            _paint_shop(faces, dice, look, thing, edges)
    light = look.side_light(thing.side)
    bands = [(thing.height - 0.35, thing.height, wall * 1.12 * light)]
    if look.real:
        bands += [(0.0, 0.6, wall * 0.72 * light)]
    _paint_bands(faces, thing, edges, bands)


def paint_house(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a small house with a pitched roof and a gable."""
    wall = look.ink(dice, look.palette.walls, 1.06, 0.06 if look.real else 0.0)
    depth, rise = 8.0, dice.between(2.2, 3.4)
    _paint_end_wall(faces, dice, look, thing, wall, depth)
    x0, x1, h, z = thing.x, thing.x + thing.side * depth, thing.height, max(thing.z, 1.0)
    gable = np.array([[(x0, h, z), (x1, h, z), (0.5 * (x0 + x1), h + rise, z)]])
    faces.add(gable, wall * look.lights[2] * 0.97, DemoClass.BUILDING)
    edges = _bay_edges(thing, 3.0)
    _paint_wall(faces, dice, look, thing, wall, edges)
    if thing.z < _WINDOWS:
        _paint_windows(faces, dice, look, thing, edges, max(int(h / 3.0), 1), first=0)
    _paint_roof(faces, dice, look, thing, rise, depth / 2, hip=0.0)


def _bay_edges(thing: Thing, width: float) -> Floats:
    start, end = max(thing.z, 1.0), thing.z + thing.length
    return np.linspace(start, end, max(round((end - start) / width), 1) + 1)


def _facade(x: float, near: Floats, far: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """Returns upright faces (N, 4, 3) in the plane ``x`` that run along the street."""
    points = np.empty((len(near), 4, 3))
    points[..., 0] = x
    points[:, 0, 1] = points[:, 1, 1] = low
    points[:, 2, 1] = points[:, 3, 1] = high
    points[:, 0, 2] = points[:, 3, 2] = near
    points[:, 1, 2] = points[:, 2, 2] = far
    return points


def _paint_end_wall(faces: Faces, dice: Dice, look: Look, thing: Thing, wall: Floats, depth: float) -> None:
    """Paints the wall that looks down the street, with a few windows."""
    if thing.z < 1.5:
        return
    x0, x1 = thing.x, thing.x + thing.side * depth
    light = look.lights[2]
    faces.add(np.array([upright(x0, x1, 0.0, thing.height, thing.z)]), wall * light, DemoClass.BUILDING)
    if not dice.chance(0.6):
        return
    columns = [thing.x + thing.side * offset for offset in (1.8, 4.8)]
    floors = max(int((thing.height - 0.8) / _STOREY), 1)
    panes = [
        upright(x - 0.55, x + 0.55, s * _STOREY + 1.0, s * _STOREY + 2.5, thing.z)
        for x in columns
        for s in range(floors)
    ]
    faces.add(np.array(panes), _glass(dice, look, len(panes), light), DemoClass.BUILDING)


def _paint_wall(faces: Faces, dice: Dice, look: Look, thing: Thing, wall: Floats, edges: Floats) -> None:
    tone = look.side_light(thing.side) * (1.0 + 0.04 * look.wear * dice.spread(len(edges) - 1))
    faces.add(_facade(thing.x, edges[:-1], edges[1:], 0.0, thing.height), wall * tone[:, None], DemoClass.BUILDING)


def _paint_bands(faces: Faces, thing: Thing, edges: Floats, bands: list[tuple[float, float, Floats]]) -> None:
    """Paints strips (low, high, colour) along a facade."""
    x, count = thing.x - 0.12 * thing.side, max(len(edges) // 3, 1)
    stations = np.linspace(edges[0], edges[-1], count + 1)
    for low, high, colour in bands:
        faces.add(_facade(x, stations[:-1], stations[1:], low, high), colour, DemoClass.BUILDING)


def _paint_windows(faces: Faces, dice: Dice, look: Look, thing: Thing, edges: Floats, floors: int, first: int) -> None:
    storeys = np.arange(first, floors) * _STOREY
    if not len(storeys):
        return
    margin, rise = dice.between(0.2, 0.32), dice.between(1.3, 1.8)
    bays = edges[1:] - edges[:-1]
    near = np.repeat(edges[:-1] + margin * bays, len(storeys))
    far = np.repeat(edges[1:] - margin * bays, len(storeys))
    low = np.tile(storeys + 1.0, len(bays))
    light = look.side_light(thing.side)
    frame = look.ink(dice, look.palette.frames, light)
    rim = 0.13 if look.real else 0.16
    # Seen from the street's middle a lower bay hides nothing of its neighbours, so that one kind may follow the other.
    n = int((near < _FRAMES).sum())
    if n:
        outer = _facade(thing.x, near[:n] - rim, far[:n] + rim, low[:n] - rim, low[:n] + rise + rim)
        faces.add(outer, frame, DemoClass.BUILDING)
    faces.add(_facade(thing.x, near, far, low, low + rise), _glass(dice, look, len(near), light), DemoClass.BUILDING)
    n = int((near < _BARS).sum())
    if look.real and n:
        middle = 0.5 * (near + far)[:n]
        bars = _facade(thing.x, middle - 0.05, middle + 0.05, low[:n], low[:n] + rise)
        faces.add(bars, frame * 0.92, DemoClass.BUILDING)


def _glass(dice: Dice, look: Look, count: int, light: float) -> Floats:
    table = look.palette.glass
    panes = table[(dice.floats(count) * len(table)).astype(np.int64)]
    if not look.real:
        return panes * light
    panes = panes * ((0.55 + 0.45 * light) * (1.0 + 0.12 * dice.spread(count)))[:, None]
    glow = np.array([236.0, 186.0, 106.0]) * (0.7 + 0.4 * dice.floats(count))[:, None]
    return np.where((dice.floats(count) < look.lit)[:, None], glow, panes)


def _paint_shop(faces: Faces, dice: Dice, look: Look, thing: Thing, edges: Floats) -> None:
    light = look.side_light(thing.side)
    colour = look.ink(dice, look.palette.shops, max(light, 0.7))
    near, far = edges[:-1], edges[1:]
    glass = _glass(dice, look, len(near), light) * 0.9
    faces.add(_facade(thing.x, near + 0.25, far - 0.25, 0.45, 2.5), glass, DemoClass.BUILDING)
    _paint_bands(faces, thing, edges, [(2.6, 3.2, colour)])
    if dice.chance(0.4):
        x0, x1 = thing.x, thing.x - 1.1 * thing.side
        z = np.stack([near, far, far, near], axis=1)
        awning = quads(np.array([x0, x0, x1, x1]), np.array([2.7, 2.7, 2.2, 2.2]), z, len(near))
        stripes = np.where(np.arange(len(near))[:, None] % 2 == 0, colour, colour * (0.7 if look.real else 1.25))
        faces.add(awning, stripes, DemoClass.BUILDING)


def _paint_roof(faces: Faces, dice: Dice, look: Look, thing: Thing, rise: float, depth: float, hip: float) -> None:
    """Paints the slope that looks at the street, its ends drawn in by ``hip`` metres, and a chimney."""
    z0, z1 = max(thing.z, 1.0), thing.z + thing.length
    eaves, ridge = thing.x - 0.3 * thing.side, thing.x + thing.side * depth
    # The eaves go on along the slope, so that no sky shows between roof and gable.
    low, high = thing.height - 0.3 * rise / depth, thing.height + rise
    colour = look.ink(dice, look.palette.roofs, look.side_light(thing.side))
    if dice.chance(0.5):
        z = dice.between(z0 + hip, max(z1 - hip, z0 + hip))
        chimney = np.array([upright(ridge - 0.4, ridge + 0.4, high - 0.5, high + 1.1, z)])
        faces.add(chimney, colour * 0.85, DemoClass.BUILDING)
    corners = [[(eaves, low, z0), (eaves, low, z1), (ridge, high, z1 - hip), (ridge, high, z0 + hip)]]
    inks = [colour]
    if hip and thing.z > 1.5:  # the slope that looks at the camera
        back = thing.x + thing.side * 9.0
        corners.append(
            [(eaves, low, z0), (back, low, z0), (back - thing.side * depth, high, z0 + hip), (ridge, high, z0 + hip)]
        )
        inks.append(colour * 0.92)
    faces.add(np.array(corners), np.array(inks), DemoClass.BUILDING)


def paint_fence(faces: Faces, dice: Dice, look: Look, thing: Thing) -> None:
    """Paints a fence or garden wall along the pavement."""
    edges = _bay_edges(thing, 2.0)
    light = look.side_light(thing.side)
    colour = look.ink(dice, look.palette.fences, light)
    tones = 1.0 + 0.06 * look.wear * dice.spread(len(edges) - 1)
    faces.add(_facade(thing.x, edges[:-1], edges[1:], 0.0, thing.height), colour * tones[:, None], DemoClass.BUILDING)
    start, gap = max(thing.z, 1.0), 0.4 if look.real else 2.0
    near = np.arange(start, max(min(thing.z + thing.length, 20.0), start + gap), gap)
    posts = _facade(thing.x, near - 0.06, near + 0.06, 0.0, thing.height + 0.08)
    faces.add(posts, colour * (0.66 if look.real else 1.12), DemoClass.BUILDING)
    _paint_bands(faces, thing, edges, [(thing.height - 0.1, thing.height, colour * 1.1)])


def paint_skyline(faces: Faces, dice: Dice, look: Look) -> None:
    """Paints the far end of the street: roofs and tree tops before the sky."""
    x = -150.0
    while x < 150.0:
        width = dice.between(8.0, 26.0)
        if dice.chance(0.4):
            height, count = dice.between(6.0, 12.0), max(int(width / 6.0), 2)
            spots = np.full((count, 3), FAR)
            spots[:, 0], spots[:, 1] = x + width * dice.floats(count), 0.4 * height
            green = look.ink(dice, look.palette.leaves, look.lights[2])
            faces.discs(spots, np.tile([5.5, 0.55 * height], (count, 1)), green, DemoClass.VEGETATION, corners=8)
        else:
            height = dice.between(7.0, 20.0)
            wall = look.ink(dice, look.palette.walls, look.lights[2])
            faces.add(np.array([upright(x, x + width, 0.0, height, FAR)]), wall, DemoClass.BUILDING)
        x += width
