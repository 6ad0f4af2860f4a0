"""The description in a model file that is needed to use it again: net, classes, normalisation, size."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from crots import limits
from crots.config import Size
from crots.errors import InputError
from crots.files import is_file
from crots.records import parse
from crots.taxonomy import ClassSet

Output = Literal["logits", "probabilities", "labels"]
# The entry of a file's metadata that holds its card.
CARD_KEY = "crots"
# Characters; a card of 65,535 classes with their colours has two million.
MOST_CARD = 16 * 10**6
# As `data.tile_overlap` has it: beyond half a tile, three tiles would overlap.
MOST_OVERLAP = 0.5
# Bytes of the list of tensors at the head of a safetensors file, as the format itself bounds it.
_MOST_HEADER = 100 * 10**6
_UNNAMED = re.compile(r"LABEL_\d+")


@dataclass(frozen=True)
class Normalisation:
    """The input normalisation of a network, from RGB in 0..255: reorder, subtract ``mean``, divide by ``scale``.

    ``mean`` and ``scale`` are in 0..255 units and in the network's own channel order.
    """

    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    scale: tuple[float, float, float] = (58.395, 57.12, 57.375)


IMAGENET = Normalisation()
# Means of the Caffe-style ImageNet models that AdaptSegNet and the published code start from.
CAFFE = Normalisation("bgr", (104.00698793, 116.66876762, 122.67891434), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class ModelCard:
    """Description of a model, JSON-able by `to_dict`.

    Attributes:
        net: registry name or ``package.module:factory``.
        classes: the class set as plain data (`crots.taxonomy.ClassSet.to_dict`).
        normalisation: how RGB 0..255 input is normalised.
        size: working size that it was trained at.
        output: what the file outputs; the nets of this package output logits.
        note: where it came from, for users.
        oracle: this checkpoint, or one that it was trained from, was chosen by target labels.
        tile_overlap: ``size`` is that of tiles, into which images are cut as they are; this least share of a tile
            overlaps the next. None where images are resized to ``size``.
    """

    net: str
    classes: dict[str, Any]
    normalisation: Normalisation
    size: Size
    output: Output = "logits"
    note: str = ""
    oracle: bool = False
    tile_overlap: float | None = None

    @property
    def class_set(self) -> ClassSet:
        """Its classes."""
        return ClassSet.from_dict(self.classes)

    @property
    def made_for(self) -> str:
        """What the network was trained on, in words."""
        return str(self.size) if self.tile_overlap is None else f"tiles of {self.size}, cut from images as they are"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        values = {**dataclasses.asdict(self), "size": list(self.size)}
        if self.tile_overlap is None:
            # Versions without tiles can read all other cards.
            del values["tile_overlap"]
        return values

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelCard:
        """Reads the output of `to_dict`; fields with a default may be missing.

        Raises:
            InputError: it is not a card; the message names the key.
        """
        return _of_plain(values)


_KEYS = tuple(field.name for field in dataclasses.fields(ModelCard))
# A network may be named by a folder.
_LONGEST = {"net": 1000, "note": 10_000}
# Far beyond sensible values, and within 32-bit floats.
_LARGEST, _SMALLEST = 1e6, 1e-6


def _of_plain(values: object) -> ModelCard:
    if not isinstance(values, Mapping):
        raise _misfit("the card", values, "a table")
    if unknown := [key for key in values if key not in _KEYS]:
        raise _misfit("the card", unknown[0], f"the keys {', '.join(_KEYS)}")
    card = ModelCard(
        net=_text(values, "net"),
        classes=ClassSet.from_dict(values.get("classes", {})).to_dict(),
        normalisation=_normalisation(values.get("normalisation")),
        size=_size(values.get("size")),
        output=_choice(values.get("output", "logits"), "output", ("logits", "probabilities", "labels")),
        note=_text(values, "note") if "note" in values else "",
        oracle=values.get("oracle", False),
        tile_overlap=values.get("tile_overlap"),
    )
    if not isinstance(card.oracle, bool):
        raise _misfit("oracle", card.oracle, "true or false")
    if not (card.tile_overlap is None or (_fits(card.tile_overlap, 0.0) and 0 <= card.tile_overlap <= MOST_OVERLAP)):
        raise _misfit("tile_overlap", card.tile_overlap, f"a number from 0 to {MOST_OVERLAP:g}")
    return card


def _misfit(key: str, found: object, expected: str) -> InputError:
    # Values from files may be of any length and depth.
    return InputError(f"{key}: found {reprlib.repr(found)}, expected {expected}", field=key)


def _text(values: Mapping[str, Any], key: str) -> str:
    found = values.get(key)
    if not isinstance(found, str) or len(found) > _LONGEST[key] or (key == "net" and not found):
        raise _misfit(key, found, f"text of at most {_LONGEST[key]} characters")
    return found


def _choice(found: object, key: str, choices: tuple[str, ...]) -> Any:
    if not isinstance(found, str) or found not in choices:
        raise _misfit(key, found, f"one of {', '.join(choices)}")
    return found


def _normalisation(found: object) -> Normalisation:
    if not isinstance(found, Mapping) or set(found) != {"channels", "mean", "scale"}:
        raise _misfit("normalisation", found, "channels, mean and scale")
    channels = _choice(found["channels"], "normalisation.channels", ("rgb", "bgr"))
    mean = _three(found["mean"], "normalisation.mean", 0.0)
    return Normalisation(channels, mean, _three(found["scale"], "normalisation.scale", _SMALLEST))


def _three(found: object, key: str, least: float) -> tuple[float, float, float]:
    if not isinstance(found, (list, tuple)) or len(found) != 3 or not all(_fits(part, least) for part in found):
        other = " other than 0" if least else ""
        raise _misfit(key, found, f"three numbers{other} in 0..255 units")
    return float(found[0]), float(found[1]), float(found[2])


def _fits(part: object, least: float) -> bool:
    # Comparisons with NaN are false.
    return isinstance(part, (int, float)) and not isinstance(part, bool) and least <= abs(part) <= _LARGEST


def _size(found: object) -> Size:
    if not isinstance(found, (list, tuple)) or len(found) != 2 or not all(type(side) is int for side in found):
        raise _misfit("size", found, "[width, height] in pixels")
    if min(found) < 1 or found[0] * found[1] > limits.current().max_megapixels * 10**6:
        most = f"{limits.current().max_megapixels:g} megapixels (--max-megapixels)"
        raise _misfit("size", found, f"sides of at least 1 and at most {most}")
    return Size(*found)


def unnamed(names: Any) -> bool:
    """Whether classes only have the placeholder names of transformers."""
    return all(isinstance(name, str) and _UNNAMED.fullmatch(name) for name in names)


def check_classes(
    card: ModelCard,
    path: Path | str,
    classes: ClassSet,
    field: str,
    remedy: str = "leave the class set out to take the file's own, or give the one it was trained with",
) -> None:
    """Refuses a class set that is not the one a file names.

    Args:
        card: of the file.
        path: the file, for errors.
        classes: those given for it; names for as many classes that have none fit too.
        field: the option that gives them.
        remedy: what to do.

    Raises:
        InputError: the names or their order differ.
    """
    own, given = card.class_set.names, classes.names
    if given == own or (len(given) == len(own) and unnamed(own)):
        return
    place = next((place for place, (one, other) in enumerate(zip(own, given, strict=False)) if one != other), 0)
    differ = f", and its class {place} is {own[place]}, not {given[place]}" if len(own) == len(given) else ""
    raise InputError(
        f"{path} is for {len(own)} classes ({', '.join(own[:4])} ...), the class set {classes.name} has {len(given)}"
        f"{differ}; {remedy}",
        field=field,
    )


def read_card(card: object, path: Path) -> ModelCard:
    """Reads a card found in ``path``.

    Args:
        card: its JSON, or what that would give.
        path: the file, for errors.

    Raises:
        InputError: it is no card of this version; the message names the key.
    """
    try:
        values = parse(card, most=MOST_CARD) if isinstance(card, (str, bytes)) else card
        return ModelCard.from_dict(cast("Mapping[str, Any]", values))  # anything is read
    except (ValueError, InputError) as error:
        raise InputError(
            f"{path}: its description was written by another version of CROTS ({error}); export it again"
        ) from error


def file_card(path: Path) -> ModelCard | None:
    """Returns the card of a safetensors file, read from its head; None for other, missing and damaged files.

    Raises:
        InputError: it has a card that is not of this version.
    """
    try:
        if not is_file(path):
            return None
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MOST_HEADER, path.stat().st_size - 8):
                return None
            head = parse(file.read(length), most=_MOST_HEADER)
    except (OSError, ValueError):
        return None
    metadata = head.get("__metadata__") if isinstance(head, dict) else None
    card = metadata.get(CARD_KEY) if isinstance(metadata, dict) else None
    return None if card is None else read_card(card, path)
