"""Shadows on the ground: those cast by the sun, and the dark below cars and feet."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from crots.config import Size
from crots.demo.canvas import OVERSAMPLING, UNIT_POLYGONS, Faces, Pixels
from crots.demo.dice import Floats
from crots.demo.layout import Street, Thing
from crots.demo.looks import Look

Outline = list[tuple[float, float]]
_CAR = 4.3
_POLES = {"lamp": 0.16, "sign": 0.1, "light": 0.14, "walker": 0.5, "cyclist": 0.5}


def shade_ground(faces: Faces, look: Look, street: Street, size: Size) -> Pixels:
    """Returns the shadow (H, W) that the light of a look casts on the ground, 0..255."""
    blocks = [part for thing in street.things for part in _outlines(thing, look)]
    shade = np.zeros((size.height, size.width), np.uint8)
    if not blocks:
        return shade
    spots = np.asarray([spot for outline, _ in blocks for spot in outline])
    points = np.zeros((len(spots), 3))
    points[:, [0, 2]] = spots
    fixed = np.rint(np.clip(faces.camera.project(points) / OVERSAMPLING, -8000.0, 16000.0) * 16).astype(np.int32)
    first = 0
    for outline, depth in blocks:
        cv2.fillConvexPoly(shade, fixed[first : first + len(outline)], depth, cv2.LINE_8, 4)
        first += len(outline)
    return _soften(shade)


def _soften(shade: Pixels) -> Pixels:
    wide = shade.astype(np.uint16)
    wide[1:-1] = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) >> 2
    wide[:, 1:-1] = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) >> 2
    return wide.astype(np.uint8)


def _outlines(thing: Thing, look: Look) -> list[tuple[Outline, int]]:
    """Returns the dark ground polygons of a thing, as x, z corners with how dark they are (0..255)."""
    under = _under(thing)
    if look.sun is None:
        return [(under, 120 if look.real else 70)] if under else []
    cast = _CASTS.get(thing.kind)
    outlines = [(cast(thing, look.sun), 118)] if cast is not None else []
    return [*outlines, (under, 150)] if under else outlines


def _under(thing: Thing) -> Outline:
    if thing.kind in ("car", "van") and thing.facing != 0:
        length, half = _CAR if thing.kind == "car" else 6.0, 0.92
        return _box(thing.x - half, thing.x + half, thing.z - 0.15, thing.z + length)
    if thing.kind == "car":
        return _box(thing.x - 2.2, thing.x + 2.2, thing.z - 0.3, thing.z + 1.5)
    if thing.kind in ("walker", "cyclist"):
        half = 0.32 if thing.kind == "walker" or thing.facing != 0 else 0.9
        return _box(thing.x - half, thing.x + half, thing.z - 0.18, thing.z + 0.3)
    return []


def _box(left: float, right: float, near: float, far: float) -> Outline:
    return [(left, near), (right, near), (right, far), (left, far)]


def _swept(left: float, right: float, near: float, far: float, height: float, sun: tuple[float, float]) -> Outline:
    """Returns the hull of a box and of its copy moved by the sun: the shadow of a block."""
    dx, dz = height * sun[0], height * sun[1]
    box = _box(left, right, near, far)
    if dx < 0:  # mirror, sweep, mirror back
        mirrored = _swept(-right, -left, near, far, height, (-sun[0], sun[1]))
        return [(-x, z) for x, z in mirrored]
    moved = _box(left + dx, right + dx, near + dz, far + dz)
    if dz >= 0:
        return [box[0], box[1], moved[1], moved[2], moved[3], box[3]]
    return [box[0], moved[0], moved[1], moved[2], box[2], box[3]]


def _cast_building(thing: Thing, sun: tuple[float, float]) -> Outline:
    far = thing.x + thing.side * 9.0
    left, right = min(thing.x, far), max(thing.x, far)
    return _swept(left, right, thing.z, thing.z + thing.length, thing.height, sun)


def _cast_border(thing: Thing, sun: tuple[float, float]) -> Outline:
    return _swept(thing.x - 0.1, thing.x + 0.1, thing.z, thing.z + thing.length, thing.height, sun)


def _cast_car(thing: Thing, sun: tuple[float, float]) -> Outline:
    (left, near), _, (right, far), _ = _under(thing)
    return _swept(left, right, near, far, 1.3 if thing.kind == "car" else 2.2, sun)


def _cast_pole(thing: Thing, sun: tuple[float, float]) -> Outline:
    half = 0.5 * _POLES[thing.kind]
    return _swept(thing.x - half, thing.x + half, thing.z - half, thing.z + half, thing.height or 1.7, sun)


def _cast_tree(thing: Thing, sun: tuple[float, float]) -> Outline:
    middle, radius = 0.68 * thing.height, 0.3 * thing.height
    crown: Floats = UNIT_POLYGONS[8] * radius * np.array([1.0 + 0.3 * abs(sun[0]), 1.0])
    return [(thing.x + middle * sun[0] + dx, thing.z + middle * sun[1] + dz) for dx, dz in crown.tolist()]


_CASTS: dict[str, Callable[[Thing, tuple[float, float]], Outline]] = {
    "building": _cast_building,
    "house": _cast_building,
    "fence": _cast_border,
    "hedge": _cast_border,
    "car": _cast_car,
    "van": _cast_car,
    "tree": _cast_tree,
    **dict.fromkeys(_POLES, _cast_pole),
}
