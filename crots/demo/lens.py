"""What lies between a real street and its file: grain, wet roads, glow, blur, tone, noise and block compression.

Everything is written in sums and products of arrays, without transcendental functions or library filters, so that every
machine gives the same bytes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from crots.demo.canvas import Pixels
from crots.demo.dice import Dice
from crots.demo.labels import DemoClass
from crots.demo.looks import Look

Image = NDArray[np.float32]  # (H, W, 3) or (H, W), 0..255
_REFERENCE = 256  # width in pixels for which blur and grain are stated
_TABLE = 512
# Class, depth of its small blotches, depth of its large ones.
_GRAIN = (
    (DemoClass.ROAD, 0.03, 0.04),
    (DemoClass.PAVEMENT, 0.03, 0.05),
    (DemoClass.BUILDING, 0.04, 0.06),
    (DemoClass.VEGETATION, 0.1, 0.08),
    (DemoClass.PEDESTRIAN, 0.06, 0.0),
    (DemoClass.CYCLIST, 0.06, 0.0),
    (DemoClass.CAR, 0.03, 0.05),
)


def photograph(image: Pixels, labels: Pixels, dice: Dice, look: Look, horizon: float) -> Pixels:
    """Turns a painted street (H, W, 3) into a worn photograph of it; ``horizon`` is its row."""
    unit = max(image.shape[1] / _REFERENCE, 1.0)
    picture = image.astype(np.float32) * _grain(labels, dice, look, round(unit))[..., None]
    if look.weather == "rain":
        picture = _wet(picture, labels, dice, horizon)
    if look.weather == "dusk":
        picture += 0.9 * _blur(_blur(np.maximum(picture - 150.0, 0.0), round(6 * unit)), round(6 * unit))
    picture = _shake(picture, dice, unit)
    picture = _tone(picture, dice, look)
    picture += _noise(picture.shape[:2], dice, look)
    return _compress(np.clip(picture, 0.0, 255.0), dice)


@lru_cache(maxsize=4)
def _table(name: str) -> Image:
    """Returns a fixed table of bell-shaped noise: single pixels, or blotches of 4 (``mid``) or 24 (``coarse``)."""
    values = Dice(23, sum(name.encode())).spread(_TABLE, _TABLE)
    reach = {"sensor": 1, "mid": 4, "coarse": 24}[name]
    for axis in (0, 1):
        values = np.asarray(sum(np.roll(values, shift, axis) for shift in range(reach))) / math.sqrt(reach)
    return values.astype(np.float32)


def _crop(name: str, shape: tuple[int, int], dice: Dice, scale: int = 1) -> Image:
    """Cuts a random window of a table, its cells ``scale`` pixels wide."""
    rows = (np.arange(shape[0]) // scale + dice.whole(0, _TABLE - 1)) % _TABLE
    columns = (np.arange(shape[1]) // scale + dice.whole(0, _TABLE - 1)) % _TABLE
    return _table(name)[rows[:, None], columns]


def _grain(labels: Pixels, dice: Dice, look: Look, scale: int) -> Image:
    """Returns the brightness (H, W) of surfaces about their mean: dirt on walls, leaves, wrinkles."""
    fine, coarse = np.zeros(256, np.float32), np.zeros(256, np.float32)
    for label, small, large in _GRAIN:
        fine[label], coarse[label] = small * look.wear, large * look.wear
    gain: Image = 1.0 + fine[labels] * _crop("mid", labels.shape, dice, scale)
    gain += coarse[labels] * _crop("coarse", labels.shape, dice, scale)
    return gain


def _wet(picture: Image, labels: Pixels, dice: Dice, horizon: float) -> Image:
    """Mirrors the street faintly in its wet road and draws streaks of rain."""
    height, width = labels.shape
    rows = np.arange(height)
    mirrored = np.clip(2 * round(horizon) - rows, 0, height - 1)
    strength = (labels == DemoClass.ROAD) * np.float32(dice.between(0.2, 0.38))
    mirror = _blur(picture, 3)[mirrored]
    picture = picture + (mirror - picture) * strength[..., None]
    streaks = np.zeros((height, width), np.float32)
    for _ in range(dice.whole(20, 70)):
        x, y, length = dice.whole(0, width - 1), dice.whole(0, height - 1), dice.whole(4, 11) * height // 128
        streaks[y : y + length, x] = dice.between(0.08, 0.3)
    return picture + (215.0 - picture) * streaks[..., None]


def _blur(picture: Image, reach: int, axes: tuple[int, ...] = (0, 1)) -> Image:
    """Runs a box of ``reach`` pixels along the axes, the borders repeated."""
    for axis in axes:
        pad = [(0, 0)] * picture.ndim
        pad[axis] = (reach // 2, reach - 1 - reach // 2)
        wide, length = np.pad(picture, pad, mode="edge"), picture.shape[axis]
        total = np.zeros_like(picture)
        for shift in range(reach):
            total += wide[shift : shift + length] if axis == 0 else wide[:, shift : shift + length]
        picture = total / np.float32(reach)
    return picture


def _shake(picture: Image, dice: Dice, unit: float) -> Image:
    """Blurs by the car's motion, and a little out of focus."""
    along = dice.pick((1, 1, 1, 2, 3))
    if along > 1:
        picture = _blur(picture, round(along * unit), axes=(1,))
    if dice.chance(0.25):
        picture = _blur(picture, max(round(2 * unit), 2))
    return picture


def _tone(picture: Image, dice: Dice, look: Look) -> Image:
    """Applies exposure, white balance, contrast, colour and vignette."""
    height, width = picture.shape[:2]
    y, x = np.linspace(-1.0, 1.0, height, dtype=np.float32), np.linspace(-1.0, 1.0, width, dtype=np.float32)
    radius = y[:, None] * y[:, None] + x * x
    gains = np.array([dice.between(0.9, 1.1), 1.0, dice.between(0.88, 1.08)]) * dice.between(1.0, 1.28)
    if look.weather == "dusk":
        gains *= (0.96, 0.9, 1.06)
    contrast, pivot = np.float32(dice.between(0.86, 1.14)), np.float32(112.0)
    lift = pivot + np.float32(dice.between(-4.0, 14.0))
    picture = (picture * gains.astype(np.float32) - pivot) * contrast + lift
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + (picture - grey) * np.float32(dice.between(0.7, 1.05))
    fall = np.float32(dice.between(0.05, 0.2))
    return picture * (1.0 - fall * radius)[..., None]


def _noise(shape: tuple[int, int], dice: Dice, look: Look) -> Image:
    amount = dice.between(1.0, 4.0) * (1.8 if look.weather == "dusk" else 1.0)
    grey = _crop("sensor", shape, dice)
    colour = np.stack([_crop("sensor", shape, dice) for _ in range(3)], axis=2)
    return np.float32(amount) * (0.8 * grey[..., None] + 0.5 * colour)


def _dct() -> NDArray[np.float64]:
    rows = [[0.5 * math.cos((2 * x + 1) * k * math.pi / 16) for x in range(8)] for k in range(8)]
    rows[0] = [math.sqrt(0.125)] * 8
    # Whole numbers, so that sums of products are exact in any order on any machine.
    return np.rint(np.asarray(rows) * 4096.0)


_DCT = _dct()
_STEPS = 1.0 + 1.15 * (np.arange(8)[:, None] + np.arange(8))  # quantiser steps, coarser for fine detail


def _quantise(plane: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Rounds the 8x8 cosine coefficients of a plane (H, W) of whole numbers, sides multiples of 8."""
    height, width = plane.shape
    blocks = plane.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    rows = (blocks.reshape(-1, 8) @ _DCT.T).reshape(-1, 8, 8).transpose(0, 2, 1)
    spectrum = (rows.reshape(-1, 8) @ _DCT.T).reshape(-1, 8, 8) / 4096.0**2
    steps = _STEPS * strength
    kept = np.rint(np.rint(spectrum / steps) * steps)
    back = (kept.reshape(-1, 8) @ _DCT).reshape(-1, 8, 8).transpose(0, 2, 1)
    blocks = (back.reshape(-1, 8) @ _DCT).reshape(height // 8, width // 8, 8, 8) / 4096.0**2
    plane = np.rint(blocks.transpose(0, 2, 1, 3).reshape(height, width))
    return plane


def _compress(picture: Image, dice: Dice) -> Pixels:
    """Loses what block compression with halved chroma loses."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge").astype(np.float64)
    red, green, blue = np.rint(padded).transpose(2, 0, 1)
    luma = np.rint((77.0 * red + 150.0 * green + 29.0 * blue) / 256.0)
    strength = dice.between(1.0, 4.0)
    chroma = []
    for plane in (blue - luma, red - luma):
        half = (plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]) / 4.0
        loss = _quantise(np.rint(half), 1.6 * strength)
        chroma.append(np.repeat(np.repeat(loss, 2, axis=0), 2, axis=1))
    luma = _quantise(luma - 128.0, strength) + 128.0
    blue, red = luma + chroma[0], luma + chroma[1]
    green = (256.0 * luma - 77.0 * red - 29.0 * blue) / 150.0
    whole = np.stack([red, green, blue], axis=2)[:height, :width]
    return np.clip(np.rint(whole), 0, 255).astype(np.uint8)
