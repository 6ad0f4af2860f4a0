"""Labelled street scenes for the demonstration, drawn: a clean `simulator` and a `real` domain that looks different.

Both domains follow one grammar of streets (`crots.demo.layout`). They differ in camera, class frequencies, palette,
light, weather, texture and everything a lens adds, and share no texture. A picture depends on domain, seed, index and
size only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from crots.config import Size
from crots.demo import buildings, furniture, people, plants, traffic
from crots.demo.canvas import OVERSAMPLING, Camera, Faces, Pixels, paint, shrink
from crots.demo.dice import Dice
from crots.demo.ground import finish_ground, paint_clouds, paint_ground, paint_toy_clouds, prime
from crots.demo.layout import Habits, Street, Thing, plan_street
from crots.demo.lens import photograph
from crots.demo.looks import DOMAINS, HABITS, Domain, Look, draw_look
from crots.demo.shadows import shade_ground
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import write_labels
from crots.taxonomy import load_class_set

_PAINTERS: dict[str, Callable[[Faces, Dice, Look, Thing], None]] = {
    "building": buildings.paint_building,
    "house": buildings.paint_house,
    "fence": buildings.paint_fence,
    "tree": plants.paint_tree,
    "bush": plants.paint_bush,
    "hedge": plants.paint_hedge,
    "grove": plants.paint_grove,
    "lamp": furniture.paint_lamp,
    "sign": furniture.paint_sign,
    "light": furniture.paint_light,
    "car": traffic.paint_car,
    "van": traffic.paint_van,
    "walker": people.paint_walker,
    "cyclist": people.paint_cyclist,
}


def render(domain: Domain, index: int, seed: int, size: Size) -> tuple[Pixels, Pixels]:
    """Draws one street.

    Args:
        domain: ``simulator`` or ``real``.
        index: number of the picture, 0 or more.
        seed: of the whole set, 0 or more.
        size: at least 32 pixels each way.

    Returns:
        The image (H, W, 3), uint8 RGB, and its train ids (H, W), uint8; every pixel has a class.

    Raises:
        InputError: unknown domain, negative number or too small a size.
    """
    _check(domain, index, seed, size)
    dice = Dice(seed, DOMAINS.index(domain), index)
    look, habits = draw_look(dice, domain), HABITS[domain]
    street = plan_street(dice, habits)
    camera = _aim(dice, habits, street, size)
    faces = Faces(camera)
    if not look.real:
        paint_toy_clouds(faces, dice)
    paint_ground(faces, dice, look, street)
    buildings.paint_skyline(faces, dice, look)
    for thing in street.things:
        _PAINTERS[thing.kind](faces, dice, look, thing)
    return _finish(faces, dice, look, street, size)


def _finish(faces: Faces, dice: Dice, look: Look, street: Street, size: Size) -> tuple[Pixels, Pixels]:
    """Turns what was planned into the picture and its classes."""
    camera = faces.camera
    pixels = np.empty((size.height * OVERSAMPLING, size.width * OVERSAMPLING, 4), np.uint8)
    prime(pixels, camera, dice, look)
    paint(pixels, faces, look.air)
    image, labels = shrink(pixels)
    finish_ground(image, labels, shade_ground(faces, look, street, size), camera, dice, look)
    if look.real:
        if look.weather != "fog":
            paint_clouds(image, labels, dice, look)
        image = photograph(image, labels, dice, look, camera.horizon / OVERSAMPLING)
    return image, labels


def _check(domain: str, index: int, seed: int, size: Size) -> None:
    if domain not in DOMAINS:
        raise InputError(f"domain: found {domain!r}, expected one of {', '.join(DOMAINS)}", field="domain")
    if index < 0 or seed < 0:
        raise InputError(f"found index {index} and seed {seed}, expected 0 or more")
    if min(size) < 32:
        raise InputError(f"size: found {size}, expected at least 32x32", field="size")


def _aim(dice: Dice, habits: Habits, street: Street, size: Size) -> Camera:
    width, height = size.width * OVERSAMPLING, size.height * OVERSAMPLING
    lane = dice.whole(0, street.lanes[1] - 1)
    return Camera(
        focal=dice.between(*habits.focal) * width,
        centre=(0.5 + dice.between(-0.07, 0.07)) * width,
        horizon=dice.between(*habits.horizon) * height,
        eye=dice.between(*habits.eye),
        side=3.2 * (lane + 0.5) + dice.between(-0.3, 0.3),
        bend=dice.between(-0.0006, 0.0006),
    )


def write_scene(
    folder: Path, domain: Domain, index: int, seed: int, size: Size, *, palette: Pixels | None = None
) -> Path:
    """Writes picture ``index`` as ``folder/images/street_<number>.png`` and, given a palette (256, 3), its label file.

    Label files lie in ``folder/labels`` under the same name, hold train ids and show the palette's colours in viewers.

    Returns:
        The image's path.

    Raises:
        InputError: as `render`.
        StageError: the folder cannot be written.
    """
    image, labels = render(domain, index, seed, size)
    name = f"street_{index:05d}.png"
    path = folder / "images" / name
    write_image(path, image)
    if palette is not None:
        write_labels(folder / "labels" / name, labels, palette)
    return path


def write_domain(
    folder: Path, domain: Domain, indices: Iterable[int], seed: int, size: Size, *, labelled: bool = True
) -> Iterator[Path]:
    """Writes pictures of a domain one by one, yielding each image's path; a plain target has ``labelled`` False.

    Raises:
        InputError: as `render`.
        StageError: the folder cannot be written.
    """
    palette = load_class_set("demo").palette_array() if labelled else None
    for index in indices:
        yield write_scene(folder, domain, index, seed, size, palette=palette)
