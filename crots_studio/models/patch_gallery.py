"""Hard patches as a gallery, filtered by class and confidence; and the table of rare classes with reasons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from crots.arrays import Array
from crots.artefacts import PATCH_LABELS, PATCHES, STATISTICS
from crots.images import read_image
from crots.label_files import read_labels
from crots.methods.rare import ClassStatistics, StatisticsShape, asked_rare, rare_classes
from crots.options import MineOptions
from crots.records import read_as
from crots.taxonomy import ClassSet
from crots.training.patch_set import PatchCorrections, load_index

# Of `rare_boxes`: pixels round the class, and the share of a patch from which on a box shows nothing.
_AIR = 1
_EVERYWHERE = 0.75
State = Literal["all", "kept", "rejected", "relabelled"]
Order = Literal["least sure", "surest", "name", "most pixels"]
STATES: dict[State, str] = {
    "all": "All patches",
    "kept": "Trained on",
    "rejected": "Rejected",
    "relabelled": "Relabelled",
}
ORDERS: dict[Order, str] = {
    "least sure": "Least confident first",
    "surest": "Most confident first",
    "most pixels": "Most rare pixels first",
    "name": "Name",
}


@dataclass(frozen=True)
class PatchRow:
    """One patch as the stage listed it; see `crots.stages.mine.Patch`."""

    name: str
    image: str
    cell: int
    pixels: Mapping[int, int]
    confidence: float
    classes: tuple[int, ...]

    def rare_pixels(self) -> int:
        """Pixels of its rare classes."""
        return sum(self.pixels.get(number, 0) for number in self.classes)


@dataclass(frozen=True)
class PatchFilter:
    """Which patches to show, and in which order.

    Attributes:
        shows: a class id, None for any.
        least: of the confidence, 0..1.
        most: likewise.
        state: see `STATES`.
        order: see `ORDERS`.
    """

    shows: int | None = None
    least: float = 0.0
    most: float = 1.0
    state: State = "all"
    order: Order = "least sure"


@dataclass(frozen=True)
class RareRow:
    """One class in the table of rare classes.

    Attributes:
        share: of all predicted pixels, 0..1.
        confidence: mean of its pixels, None where it was never predicted.
        rare: whether patches are cut for it.
        reason: why, or why not.
        patches: that show it.
        kept: of those, how many are trained on.
    """

    id: int
    name: str
    share: float
    confidence: float | None
    images: int
    rare: bool
    reason: str
    patches: int = 0
    kept: int = 0


@dataclass(frozen=True, eq=False)
class PatchGallery:
    """The patches of a project. ``rare`` maps class ids to reasons, ``grid`` is as written, ``4x4``."""

    folder: Path = Path()
    rows: tuple[PatchRow, ...] = ()
    rare: Mapping[int, str] = field(default_factory=dict)
    grid: str = ""
    mined: bool = False

    @staticmethod
    def open(folder: Path) -> PatchGallery:
        """Reads ``patches.json``; empty where nothing was mined.

        Raises:
            InputError: it is damaged.
        """
        index = load_index(folder)
        if not index:
            return PatchGallery(folder)
        rows = tuple(
            PatchRow(
                name=row["name"],
                image=row["image"],
                cell=row["cell"],
                pixels={int(number): count for number, count in row["pixels"].items()},
                confidence=row["confidence"],
                classes=tuple(row["classes"]),
            )
            for row in index["patches"]
        )
        rare = {row["id"]: row["reason"] for row in index["rare"]}
        return PatchGallery(folder, rows, rare, index["grid"], mined=True)

    def __len__(self) -> int:
        return len(self.rows)

    def fits(self, classes: ClassSet) -> bool:
        """Whether a class set has all classes of the patches; they may have been cut for another set."""
        # Most patches have pixels that were too unsure for any class.
        known = {*range(len(classes)), classes.ignore}
        return all(known.issuperset((*row.classes, *row.pixels)) for row in self.rows)

    def picture(self, row: PatchRow) -> Path:
        """Returns the file of a patch."""
        return self.folder / PATCHES / f"{row.name}.png"

    def read(self, row: PatchRow, corrections: PatchCorrections) -> tuple[Array, Array]:
        """Returns image (h, w, 3) and labels (h, w) of a patch, relabelled as training reads them."""
        labels = read_labels(self.folder / PATCH_LABELS / f"{row.name}.png")
        return read_image(self.picture(row)), corrections.applied(row.name, labels)

    def arrange(self, wanted: PatchFilter, corrections: PatchCorrections) -> list[int]:
        """Returns the patches that a filter lets through, in its order."""
        chosen = [index for index, row in enumerate(self.rows) if _passes(row, wanted, corrections)]
        return sorted(chosen, key=lambda index: (_rank(self.rows[index], wanted.order), self.rows[index].name))

    def counts(self, corrections: PatchCorrections) -> dict[int, tuple[int, int]]:
        """Returns, by rare class, how many patches show it and how many of those are trained on."""
        found = dict.fromkeys(self.rare, (0, 0))
        for row in self.rows:
            kept = row.name not in corrections.rejected
            for number in row.classes:
                total, trained = found.get(number, (0, 0))
                found[number] = (total + 1, trained + kept)
        return found


def _rank(row: PatchRow, order: Order) -> float:
    if order == "name":
        return 0.0
    if order == "most pixels":
        return -row.rare_pixels()
    return row.confidence if order == "least sure" else -row.confidence


def _passes(row: PatchRow, wanted: PatchFilter, corrections: PatchCorrections) -> bool:
    if wanted.shows is not None and wanted.shows not in row.pixels:
        return False
    if not wanted.least <= row.confidence <= wanted.most:
        return False
    states: dict[State, bool] = {
        "all": True,
        "kept": row.name not in corrections.rejected,
        "rejected": row.name in corrections.rejected,
        "relabelled": row.name in corrections.relabelled,
    }
    return states[wanted.state]


def read_statistics(folder: Path, classes: ClassSet) -> ClassStatistics | None:
    """Reads ``statistics.json`` of the pseudo-labels; None before that stage, or for another class set.

    Raises:
        InputError: it is damaged.
    """
    values = read_as(folder / STATISTICS, StatisticsShape, remedy="run the pseudo-label stage again")
    if not values or len(values["pixels"]) != len(classes):
        return None
    return ClassStatistics.from_dict(values)


def class_rows(
    classes: ClassSet,
    statistics: ClassStatistics | None,
    rare: Mapping[int, str],
    gallery: PatchGallery,
    corrections: PatchCorrections,
) -> list[RareRow]:
    """Returns a row for each class: how common, how sure, rare or not and why, and its patches.

    Args:
        classes: of the target.
        statistics: of the pseudo-labels, None before they are there.
        rare: the rare set as it is now chosen, id -> reason.
        gallery: the patches as they were cut last, perhaps for another rare set.
        corrections: of the patches.
    """
    counts = gallery.counts(corrections)
    statistics = statistics or ClassStatistics(len(classes))
    every = max(1, int(statistics.pixels.sum()))
    rows = []
    for number, name in enumerate(classes.names):
        pixels = int(statistics.pixels[number])
        total, kept = counts.get(number, (0, 0))
        rows.append(
            RareRow(
                id=number,
                name=name,
                share=pixels / every,
                confidence=float(statistics.confidence[number]) / pixels if pixels else None,
                images=int(statistics.images[number]),
                rare=number in rare,
                reason=rare.get(number) or ("never predicted, so no patch can show it" if not pixels else ""),
                patches=total,
                kept=kept,
            )
        )
    return rows


def rare_now(
    options: MineOptions, classes: ClassSet, statistics: ClassStatistics | None, published: Sequence[int]
) -> dict[int, str]:
    """Returns the classes that are rare by the project's options, id -> reason, as the stage will choose them.

    Raises:
        InputError: a class that the set does not have, or no published set.
    """
    asked = asked_rare(options.rare, classes, published)
    if asked is not None:
        return asked
    found = rare_classes(statistics, options.rare_count) if statistics else []
    return {row.id: row.reason for row in found}


def rare_option(chosen: Collection[int], classes: ClassSet) -> str:
    """Formats a choice of classes for ``mine.rare``: names, or ids where names would be misread."""
    names = [classes.names[number] for number in sorted(chosen)]
    clear = all(name == name.strip() and "," not in name and not name.isdigit() for name in names)
    if clear and names not in (["auto"], ["published"]):
        return ", ".join(names)
    return ", ".join(str(number) for number in sorted(chosen))


def outline(labels: Array) -> Array:
    """Returns (h, w) bool: pixels whose right or lower neighbour has another label."""
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def rare_boxes(labels: Array, classes: Collection[int]) -> list[tuple[int, int, int, int]]:
    """Returns a box (left, top, width, height) round each of these classes; none round one that is everywhere.

    A few pixels of a rare class, for which a patch was cut, would not be found otherwise.
    """
    height, width = labels.shape
    boxes = []
    for number in classes:
        y, x = np.nonzero(labels == number)
        if not len(x):
            continue
        left, top = max(int(x.min()) - _AIR, 0), max(int(y.min()) - _AIR, 0)
        right, bottom = min(int(x.max()) + 1 + _AIR, width), min(int(y.max()) + 1 + _AIR, height)
        if (right - left) * (bottom - top) <= _EVERYWHERE * width * height:
            boxes.append((left, top, right - left, bottom - top))
    return boxes
