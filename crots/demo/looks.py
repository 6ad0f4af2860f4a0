"""The appearance of each domain: palettes, light, weather and habits. Domains share no colour table or texture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from crots.demo.canvas import Air, Colour
from crots.demo.dice import Dice, Floats
from crots.demo.layout import Habits
from crots.demo.palettes import REAL, SIMULATOR, Palette

Domain = Literal["simulator", "real"]
DOMAINS: tuple[Domain, ...] = ("simulator", "real")
Weather = Literal["clear", "overcast", "fog", "rain", "dusk"]


@dataclass(frozen=True)
class Look:
    """The look of one picture.

    Attributes:
        domain: which painters' variants act.
        palette: its colours.
        weather: of the real domain; the simulator is always clear.
        air: haze.
        sky: colours at the top of the sky and at the horizon.
        sun: shift of a shadow's tip per metre of height, (x, z); None for flat light.
        lights: brightness of faces that look left, right, at the camera and up.
        wear: 0 for flawless surfaces; how worn and dirty they are.
        lit: share of windows with light in them.
    """

    domain: Domain
    palette: Palette
    weather: Weather
    air: Air
    sky: tuple[Colour, Colour]
    sun: tuple[float, float] | None
    lights: tuple[float, float, float, float]
    wear: float
    lit: float

    @property
    def real(self) -> bool:
        """Whether this is the real domain."""
        return self.domain == "real"

    def side_light(self, side: int) -> float:
        """Brightness of a face on the street's ``side``, which looks at the street's middle."""
        return self.lights[1] if side < 0 else self.lights[0]

    def ink(self, dice: Dice, table: Floats, light: float = 1.0, jitter: float = 0.0) -> Floats:
        """Draws a colour (3,) of a table, lit and varied."""
        row: Floats = table[int(dice.between(0.0, len(table)))]
        return row * light * (1.0 + jitter * dice.between(-1.0, 1.0))


HABITS: dict[Domain, Habits] = {
    "simulator": Habits(
        eye=(1.3, 1.5),
        focal=(0.62, 0.68),
        horizon=(0.44, 0.48),
        lots=(("building", 0.72), ("garden", 0.16), ("park", 0.12)),
        floors=(2, 6),
        avenue=0.35,
        parking=0.6,
        traffic=24.0,
        signs=20.0,
        lamps=24.0,
        walkers=10,
        cyclists=5,
        crossing=0.35,
        vans=0.12,
    ),
    "real": Habits(
        eye=(1.5, 2.2),
        focal=(0.58, 0.74),
        horizon=(0.40, 0.50),
        lots=(("building", 0.5), ("garden", 0.28), ("park", 0.22)),
        floors=(2, 5),
        avenue=0.5,
        parking=0.75,
        traffic=30.0,
        signs=26.0,
        lamps=26.0,
        walkers=14,
        cyclists=5,
        crossing=0.35,
        vans=0.2,
    ),
}


def draw_look(dice: Dice, domain: Domain) -> Look:
    """Draws the look of one picture."""
    return _draw_real(dice) if domain == "real" else _draw_simulator(dice)


_TOY_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((96, 164, 232), (206, 228, 246)),
    ((128, 186, 240), (226, 238, 248)),
    ((190, 204, 218), (230, 234, 238)),
    ((150, 160, 206), (250, 222, 190)),
)


def _draw_simulator(dice: Dice) -> Look:
    sky = dice.pick(_TOY_SKIES)
    light = dice.between(0.82, 1.06)
    return Look(
        domain="simulator",
        palette=SIMULATOR,
        weather="clear",
        air=Air(sky[1], 230.0),
        sky=sky,
        sun=None,
        lights=(0.9 * light, 0.96 * light, 0.84 * light, 1.06 * light),
        wear=0.0,
        lit=0.0,
    )


def _draw_real(dice: Dice) -> Look:
    weathers: tuple[tuple[Weather, float], ...] = (
        ("clear", 0.4),
        ("overcast", 0.3),
        ("fog", 0.1),
        ("rain", 0.12),
        ("dusk", 0.08),
    )
    weather = dice.weighted(weathers)
    base = Look(
        domain="real",
        palette=REAL,
        weather=weather,
        air=Air((196, 200, 204), dice.between(110.0, 180.0)),
        sky=((168, 176, 186), (208, 210, 210)),
        sun=None,
        lights=(0.86, 0.9, 0.8, 1.0),
        wear=dice.between(0.5, 1.0),
        lit=0.04,
    )
    return _WEATHERS[weather](dice, base)


def _clear(dice: Dice, look: Look) -> Look:
    left = dice.chance(0.5)
    slant = dice.between(0.4, 1.5) * (1.0 if left else -1.0)
    bright, dark = dice.between(1.1, 1.25), dice.between(0.56, 0.72)
    # With the sun on the left its rays meet the faces that look left, on the right side of the street.
    lights = (bright, dark, dice.between(0.6, 1.0), 1.15) if left else (dark, bright, dice.between(0.6, 1.0), 1.15)
    air = Air((190, 206, 222), dice.between(140.0, 220.0))
    sky = dice.pick(
        (((92, 132, 186), (196, 212, 224)), ((120, 152, 192), (220, 220, 212)), ((74, 112, 172), (176, 196, 214)))
    )
    return replace(look, air=air, sky=sky, sun=(slant, dice.between(-0.4, 0.5)), lights=lights, lit=0.0)


def _overcast(dice: Dice, look: Look) -> Look:
    grey = dice.between(150.0, 205.0)
    return replace(look, sky=((grey * 0.84, grey * 0.86, grey * 0.9), (grey * 1.08, grey * 1.08, grey * 1.06)))


def _fog(dice: Dice, look: Look) -> Look:
    grey = dice.between(168.0, 204.0)
    haze = (grey * 0.98, grey, grey * 1.02)
    return replace(look, air=Air(haze, dice.between(32.0, 60.0)), sky=(haze, haze), lights=(0.84, 0.84, 0.82, 0.92))


def _rain(dice: Dice, look: Look) -> Look:
    grey = dice.between(112.0, 156.0)
    haze = (grey, grey * 1.03, grey * 1.06)
    sky = ((grey * 0.86, grey * 0.9, grey * 0.95), haze)
    return replace(look, air=Air(haze, dice.between(55.0, 95.0)), sky=sky, lights=(0.72, 0.74, 0.7, 0.74), lit=0.15)


def _dusk(dice: Dice, look: Look) -> Look:
    glow = dice.pick(((206, 142, 104), (178, 128, 130), (150, 128, 150)))
    sky = ((62.0, 72.0, 108.0), glow)
    air = Air((112, 100, 112), dice.between(100.0, 160.0))
    return replace(look, air=air, sky=sky, lights=(0.6, 0.6, 0.56, 0.62), lit=0.38)


_WEATHERS = {"clear": _clear, "overcast": _overcast, "fog": _fog, "rain": _rain, "dusk": _dusk}
