"""The classes of the demonstration's pictures; names and colours are in ``resources/classes/demo.toml``."""

from __future__ import annotations

from enum import IntEnum


class DemoClass(IntEnum):
    """Train ids, in the order of the class set ``demo``."""

    ROAD = 0
    PAVEMENT = 1
    BUILDING = 2
    POLE = 3
    SIGN = 4
    VEGETATION = 5
    SKY = 6
    PEDESTRIAN = 7
    CAR = 8
    CYCLIST = 9
