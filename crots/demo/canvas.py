"""A canvas that paints faces of the street's world in perspective, colour and class in one stroke.

Faces are collected in painter's order and projected all at once. Only `cv2.fillConvexPoly` on fixed-point corners
draws, since its integer arithmetic is equal on every machine. The canvas has twice the image's resolution, and its
fourth channel holds the class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from crots.demo.dice import Floats

Pixels = NDArray[np.uint8]
Colour = tuple[float, float, float]
Ink = Floats | Colour

OVERSAMPLING = 2
NEAREST = 0.9  # metres; nothing is drawn nearer than this
FLAT = 16  # added to the class of what lies on the ground until the picture is finished
_SHIFT = 4  # binary places of the corners


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above a street: x to the right of the street's middle, y up, z ahead, in metres.

    Attributes:
        focal: pixels of the canvas.
        centre: column of the vanishing point.
        horizon: row of the horizon.
        eye: height of the camera.
        side: x of the camera.
        bend: sideways shift of the street per squared metre ahead.
    """

    focal: float
    centre: float
    horizon: float
    eye: float
    side: float
    bend: float

    def project(self, points: Floats) -> Floats:
        """Turns street points (..., 3) into canvas columns and rows (..., 2)."""
        z = np.maximum(points[..., 2], NEAREST)
        scale = self.focal / z
        flat = np.empty((*points.shape[:-1], 2))
        flat[..., 0] = self.centre + (points[..., 0] + self.bend * z * z - self.side) * scale
        flat[..., 1] = self.horizon + (self.eye - points[..., 1]) * scale
        return flat

    def pixel(self, z: Floats) -> Floats:
        """Returns how many metres one pixel of the image spans at the depths ``z``."""
        return OVERSAMPLING / self.focal * np.maximum(z, NEAREST)


@dataclass(frozen=True)
class Air:
    """Haze: things fade to ``colour``, by half at ``reach`` metres."""

    colour: Colour
    reach: float

    def share(self, depth: Floats) -> Floats:
        """Returns how much haze lies before things at a depth, 0..1."""
        # A rational law instead of an exponential one: division is exact everywhere, exp is not.
        return depth * depth / (depth * depth + self.reach * self.reach)


def _unit_polygon(corners: int) -> Floats:
    angles = [2.0 * math.pi * (k + 0.5) / corners for k in range(corners)]
    return np.round([[math.cos(a), math.sin(a)] for a in angles], 9)


UNIT_POLYGONS = {corners: _unit_polygon(corners) for corners in (6, 8, 12)}


@dataclass
class Faces:
    """Convex faces in painter's order, the last on top.

    Attributes:
        camera: gives thin bars their least width.
        points: blocks of street corners, (faces * corners, 3) each.
        inks: blocks of colours, (1, 3) for a whole block or (faces, 3).
        repeats: how many faces each colour is for.
        corners: corners of a face, a block each.
        labels: class of a block's faces.
        counts: faces of a block.
    """

    camera: Camera
    points: list[Floats] = field(default_factory=list)
    inks: list[Floats] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    corners: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, points: Floats, inks: Ink, label: int) -> None:
        """Adds faces with street corners (N, P, 3) in colours (N, 3), or one for all."""
        count = len(points)
        colours = np.asarray(inks, np.float64)
        if colours.ndim == 1:
            colours = colours[None]
            self.repeats.append(count)
        else:
            self.repeats.extend([1] * count)
        self.points.append(points.reshape(-1, 3))
        self.inks.append(colours)
        self.corners.append(points.shape[1])
        self.labels.append(int(label))
        self.counts.append(count)

    def bars(self, starts: Floats, ends: Floats, widths: Floats | float, inks: Ink, label: int) -> None:
        """Adds upright bars that face the camera between points (N, 3), ``widths`` metres, at least a pixel, thick."""
        along = ends - starts
        x, y = along[:, 0], along[:, 1]
        half = 0.5 * np.maximum(widths, self.camera.pixel(starts[:, 2])) / np.maximum(np.sqrt(x * x + y * y), 1e-6)
        across = np.zeros_like(along)
        across[:, 0], across[:, 1] = -y * half, x * half
        points = np.empty((len(starts), 4, 3))
        points[:, 0], points[:, 1] = starts - across, ends - across
        points[:, 2], points[:, 3] = ends + across, starts + across
        self.add(points, inks, label)

    def discs(self, centres: Floats, radii: Floats | float, inks: Ink, label: int, corners: int = 12) -> None:
        """Adds upright polygons that face the camera around points (N, 3); ``radii`` are metres, one or (N, 2)."""
        points = np.empty((len(centres), corners, 3))
        sizes = radii[:, None, :] if isinstance(radii, np.ndarray) else radii
        points[...] = centres[:, None, :]
        points[..., :2] += UNIT_POLYGONS[corners] * sizes
        self.add(points, inks, label)


def paint(pixels: Pixels, faces: Faces, air: Air) -> None:
    """Paints faces, seen by their camera through the air, on a canvas (2 H, 2 W, 4); the ground gets no haze here."""
    corners = np.repeat(faces.corners, faces.counts)
    firsts = np.concatenate([[0], np.cumsum(corners)[:-1]])
    labels = np.repeat(faces.labels, faces.counts)
    points = np.concatenate(faces.points)
    inks = np.repeat(np.concatenate(faces.inks), faces.repeats, axis=0)
    depth = np.maximum(np.add.reduceat(points[:, 2], firsts) / corners, NEAREST)
    share = np.where(labels < FLAT, air.share(depth), 0.0)[:, None]
    colours = np.rint(np.clip(inks + (np.asarray(air.colour) - inks) * share, 0.0, 255.0)).astype(np.int64)
    flat = faces.camera.project(points)
    fixed = np.rint(np.clip(flat, -8000.0, 16000.0) * (1 << _SHIFT)).astype(np.int32)
    seen = _in_frame(fixed, firsts, pixels.shape)
    spans = np.stack([firsts, firsts + corners], axis=1)[seen].tolist()
    strokes = np.concatenate([colours, labels[:, None]], axis=1)[seen].tolist()
    for (first, last), stroke in zip(spans, strokes, strict=True):
        cv2.fillConvexPoly(pixels, fixed[first:last], stroke, cv2.LINE_8, _SHIFT)


def _in_frame(fixed: NDArray[np.int32], firsts: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    low, high = np.minimum.reduceat(fixed, firsts), np.maximum.reduceat(fixed, firsts)
    frame = np.array([shape[1], shape[0]]) << _SHIFT
    inside: NDArray[np.bool_] = np.logical_and.reduce((high >= 0) & (low <= frame), axis=1)
    return inside


def shrink(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Returns the image (H, W, 3), each pixel the mean of four of the canvas, and its classes (H, W)."""
    tall = pixels[0::2].astype(np.uint16) + pixels[1::2]
    image = (tall[:, 0::2, :3] + tall[:, 1::2, :3] + 2) >> 2
    return image.astype(np.uint8), np.ascontiguousarray(pixels[1::2, 1::2, 3])


def quads(x: Floats | float, y: Floats | float, z: Floats | float, count: int = 1) -> Floats:
    """Joins coordinates, each broadcastable to (count, 4), to the corners (count, 4, 3) of faces."""
    points = np.empty((count, 4, 3))
    points[..., 0], points[..., 1], points[..., 2] = x, y, z
    return points


def upright(left: float, right: float, low: float, high: float, z: float) -> list[tuple[float, float, float]]:
    """Returns the corners of an upright rectangle that faces the camera."""
    return [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
