"""The layout of the streets, common to both domains: the place of every thing, in metres, before painting."""

from __future__ import annotations

from dataclasses import dataclass, field

from crots.demo.dice import Dice

FAR = 150.0  # metres; where the street ends in a skyline
LANE = 3.2
_PARKING = 2.2

# Long things are painted before small ones: on one side of the street, what is nearer to its middle is in front.
LOTS, BORDERS, OBJECTS = range(3)


@dataclass(frozen=True)
class Habits:
    """How often a domain shows what; its class frequencies and its camera.

    Attributes:
        eye: lowest and highest camera height in metres.
        focal: shortest and longest focal length in image widths.
        horizon: highest and lowest horizon in image heights.
        lots: relative frequencies of ``building``, ``garden`` (a house behind a border) and ``park``.
        floors: fewest and most floors of a building.
        avenue: probability that a pavement has a row of trees.
        parking: probability that a side has parked cars.
        traffic: mean gap in metres between moving cars of a lane.
        signs: mean gap in metres between traffic signs.
        lamps: mean gap in metres between lamp posts.
        walkers: most pedestrians in a picture; their number is uniform from 0.
        cyclists: most cyclists in a picture.
        crossing: probability of a side street.
        vans: share of vans, lorries and buses among the cars.
    """

    eye: tuple[float, float]
    focal: tuple[float, float]
    horizon: tuple[float, float]
    lots: tuple[tuple[str, float], ...]
    floors: tuple[int, int]
    avenue: float
    parking: float
    traffic: float
    signs: float
    lamps: float
    walkers: int
    cyclists: int
    crossing: float
    vans: float


@dataclass(frozen=True)
class Thing:
    """One thing of the street.

    Attributes:
        kind: what paints it.
        x: metres right of the street's middle; of a long thing, the edge that faces the street.
        z: metres ahead, of its near end.
        side: -1 left of the street, 1 right of it.
        length: extent ahead, for long things.
        height: metres.
        facing: 1 seen from behind, -1 from the front, 0 from the side.
        layer: painted in this order, then from far to near.
    """

    kind: str
    x: float
    z: float
    side: int = 1
    length: float = 0.0
    height: float = 0.0
    facing: int = 1
    layer: int = OBJECTS


@dataclass(frozen=True)
class Street:
    """A street: its cross-section, its side street and everything that stands on it.

    Attributes:
        edges: x of the left and the right kerb.
        walks: x of the outer edge of the left and the right pavement.
        lanes: lanes to the left and to the right of the middle.
        crossing: near and far z of a side street, or None.
        things: in the order in which they are painted.
    """

    edges: tuple[float, float]
    walks: tuple[float, float]
    lanes: tuple[int, int]
    crossing: tuple[float, float] | None
    things: list[Thing] = field(default_factory=list)


def plan_street(dice: Dice, habits: Habits) -> Street:
    """Draws a street."""
    lanes = (dice.whole(1, 2), dice.whole(1, 2))
    parking = (dice.chance(habits.parking), dice.chance(habits.parking))
    edges = (-lanes[0] * LANE - parking[0] * _PARKING - 0.3, lanes[1] * LANE + parking[1] * _PARKING + 0.3)
    walks = (edges[0] - dice.between(2.2, 4.5), edges[1] + dice.between(2.2, 4.5))
    near = dice.between(14.0, 45.0)
    crossing = (near, near + dice.between(7.0, 11.0)) if dice.chance(habits.crossing) else None
    street = Street(edges, walks, lanes, crossing)
    for side in (-1, 1):
        _plan_lots(dice, habits, street, side)
        _plan_kerb(dice, habits, street, side, parking[side > 0])
    _plan_traffic(dice, habits, street)
    _plan_people(dice, habits, street)
    street.things.sort(key=lambda thing: (thing.layer, -thing.z))
    return street


def _plan_lots(dice: Dice, habits: Habits, street: Street, side: int) -> None:
    z, edge = dice.between(0.8, 3.0), street.walks[side > 0]
    while z < FAR - 20.0:
        kind, length = dice.weighted(habits.lots), dice.between(7.0, 17.0)
        if street.crossing is not None and z < street.crossing[1] and z + length > street.crossing[0] - 1.0:
            length = street.crossing[0] - 1.0 - z
            if length < 4.0:
                z = street.crossing[1] + 1.0
                continue
        street.things.extend(_lot(dice, habits, kind, edge, z, side, length))
        z += length + (dice.between(1.0, 4.0) if kind != "building" or dice.chance(0.15) else 0.0)


def _lot(dice: Dice, habits: Habits, kind: str, edge: float, z: float, side: int, length: float) -> list[Thing]:
    if kind == "building":
        height = 3.2 * dice.whole(*habits.floors) + 0.8
        return [Thing("building", edge, z, side, length, height, layer=LOTS)]
    border = "hedge" if dice.chance(0.4) else "fence"
    things = [Thing(border, edge + 0.1 * side, z, side, length, dice.between(0.8, 1.5), layer=BORDERS)]
    if kind == "garden":
        back = edge + side * dice.between(2.5, 5.0)
        height = 3.0 * dice.whole(1, 2) + 0.6
        things.append(Thing("house", back, z + 1.0, side, max(length - 2.0, 4.0), height, layer=LOTS))
        if dice.chance(0.5):
            things.append(Thing("bush", edge + 1.3 * side, z + dice.between(1.0, length), side, layer=LOTS))
        return things
    things.append(Thing("grove", edge + 14.0 * side, z, side, length, dice.between(6.0, 9.0), layer=LOTS))
    for _ in range(dice.whole(1, 3)):
        x, ahead = edge + side * dice.between(1.5, 9.0), z + dice.between(0.5, length)
        if ahead > 5.0:
            things.append(Thing("tree", x, ahead, side, height=dice.between(5.0, 10.0), layer=LOTS))
    return things


def _plan_kerb(dice: Dice, habits: Habits, street: Street, side: int, parking: bool) -> None:
    kerb = street.edges[side > 0] + 0.6 * side
    for z in _row(dice, street, habits.lamps, 0.25):
        street.things.append(Thing("lamp", kerb, z, side, height=dice.between(5.5, 8.0)))
    for z in _row(dice, street, habits.signs, 0.8):
        street.things.append(Thing("sign", kerb, z, side, height=dice.between(2.2, 3.0)))
    if dice.chance(habits.avenue):
        for z in _row(dice, street, 11.0, 0.3):
            street.things.append(Thing("tree", kerb + 0.3 * side, z, side, height=dice.between(4.5, 8.0)))
    if street.crossing is not None and dice.chance(0.6):
        street.things.append(Thing("light", kerb, street.crossing[0] - 1.5, side, height=3.0))
    if parking:
        for z in _row(dice, street, 7.5, 0.35):
            kind = "van" if dice.chance(0.5 * habits.vans) else "car"
            facing = 1 if side > 0 else dice.pick((1, -1))
            street.things.append(Thing(kind, street.edges[side > 0] - 1.15 * side, z, side, facing=facing))


def _row(dice: Dice, street: Street, gap: float, jitter: float) -> list[float]:
    places, z = [], dice.between(4.5, 4.5 + gap)
    while z < 85.0:
        if street.crossing is None or not street.crossing[0] - 5.5 < z < street.crossing[1] + 1.0:
            places.append(z)
        z += max(gap * dice.between(1.0 - jitter, 1.0 + jitter), 5.6)
    return places


def _plan_traffic(dice: Dice, habits: Habits, street: Street) -> None:
    for side in (-1, 1):
        for lane in range(street.lanes[side > 0]):
            x, z = side * LANE * (lane + 0.5), dice.between(6.0, 6.0 + 1.4 * habits.traffic)
            while z < 90.0:
                kind = "van" if dice.chance(habits.vans) else "car"
                street.things.append(Thing(kind, x + dice.between(-0.3, 0.3), z, side, facing=side))
                z += max(habits.traffic * dice.between(0.5, 1.6), 7.0)
    if street.crossing is not None and dice.chance(0.5):
        z, x = street.crossing[0] + dice.between(1.5, 5.0), dice.between(-9.0, 9.0)
        street.things.append(Thing("car", x, z, dice.pick((-1, 1)), facing=0))


def _plan_people(dice: Dice, habits: Habits, street: Street) -> None:
    for _ in range(dice.whole(0, habits.walkers)):
        side, z = dice.pick((-1, 1)), dice.between(5.0, 26.0)
        across = dice.chance(0.15)
        low, high = street.edges[side > 0] + 0.9 * side, street.walks[side > 0] - 0.5 * side
        x = dice.between(*street.edges) if across else dice.between(low, high)
        street.things.append(Thing("walker", x, max(z, 12.0) if across else z, side, facing=dice.pick((-1, 0, 1))))
    for _ in range(dice.whole(0, habits.cyclists)):
        side = dice.pick((-1, 1, 1))
        z, facing = dice.between(5.5, 18.0), 0 if dice.chance(0.3) else side
        x = street.edges[side > 0] - side * dice.between(0.4, 1.3)
        if facing == 0:
            x, z = dice.between(*street.walks), max(z, 10.0)
        street.things.append(Thing("cyclist", x, z, side, facing=facing))
