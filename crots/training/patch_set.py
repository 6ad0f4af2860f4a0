"""Hard patches as the adaptation reads them, with the user's corrections applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from crots.arrays import Array
from crots.artefacts import PATCH_INDEX, PATCH_LABELS, PATCHES
from crots.config import Size
from crots.errors import InputError
from crots.files import write_json
from crots.images import image_size, read_image
from crots.label_files import read_labels
from crots.methods.patches import rarity_weights
from crots.ownership import check_place
from crots.records import Count, Digits, Key, read_as
from crots.taxonomy import ClassSet, label_dtype

_REMEDY = "repair it, or move it away: without it no patch counts as corrected"


class _CorrectionsShape(TypedDict):
    """The file of corrections."""

    rejected: NotRequired[list[Key]]
    relabelled: NotRequired[dict[Key, dict[Digits, Count]]]


@dataclass(frozen=True)
class PatchCorrections:
    """The user's corrections of patches, by patch name.

    Attributes:
        rejected: never trained on.
        relabelled: class ids to replace in a patch's labels, ``{name: {old id: new id}}``.
    """

    rejected: frozenset[str] = frozenset()
    relabelled: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    @staticmethod
    def read(folder: Path) -> PatchCorrections:
        """Reads a project's corrections; empty if there is no file.

        Raises:
            InputError: the file is damaged; the user's work is never silently dropped.
        """
        values: _CorrectionsShape = read_as(folder / PATCH_INDEX, _CorrectionsShape, remedy=_REMEDY) or {}
        relabelled = {
            name: {int(old): int(new) for old, new in ids.items()} for name, ids in values.get("relabelled", {}).items()
        }
        return PatchCorrections(frozenset(values.get("rejected", ())), relabelled)

    def applied(self, name: str, labels: Array) -> Array:
        """Returns a patch's labels with the corrections applied.

        Raises:
            InputError: a new id is out of range for these labels.
        """
        corrected = labels.copy()
        for old, new in self.relabelled.get(name, {}).items():
            if new > np.iinfo(labels.dtype).max:
                raise InputError(f"{PATCH_INDEX} of the corrections: found label id {new} for {name}; {_REMEDY}")
            corrected[labels == old] = new
        return corrected

    def write(self, folder: Path) -> None:
        """Writes them, atomically.

        Raises:
            InputError: the existing file is damaged and is not overwritten, or the folder or file is a link.
        """
        check_place(folder, folder / PATCH_INDEX, "file")
        PatchCorrections.read(folder)
        if not self.rejected and not self.relabelled:
            # As if there had never been any.
            (folder / PATCH_INDEX).unlink(missing_ok=True)
            return
        relabelled = {name: {str(old): new for old, new in ids.items()} for name, ids in self.relabelled.items()}
        write_json(folder / PATCH_INDEX, {"rejected": sorted(self.rejected), "relabelled": relabelled})


@dataclass(frozen=True)
class PatchSet:
    """Pictures in ``patches/`` with label PNGs of the same names in ``labels/``."""

    folder: Path
    names: tuple[str, ...]
    classes: ClassSet
    corrections: PatchCorrections = PatchCorrections()

    @staticmethod
    def open(folder: Path, classes: ClassSet, corrections: PatchCorrections | None = None) -> PatchSet:
        """Lists the patches of a folder without the rejected ones.

        Raises:
            InputError: there is no such folder, or a patch has no labels.
        """
        corrections = corrections or PatchCorrections()
        if not (folder / PATCHES).is_dir():
            raise InputError(f"{folder}: no folder patches/ in it; give the output folder of `crots mine`")
        names = _names(folder / PATCHES)
        missing = sorted(set(names) - set(_names(folder / PATCH_LABELS)))
        if missing:
            raise InputError(
                f"{folder}: {len(missing)} patches have no labels ({missing[0]}.png in patches/, not in labels/); "
                "mine them again"
            )
        kept = tuple(name for name in names if name not in corrections.rejected)
        return PatchSet(folder, kept, classes, corrections)

    def __len__(self) -> int:
        return len(self.names)

    def image_size(self) -> Size:
        """Size of the patches, which is the same for all."""
        return image_size(self.folder / PATCHES / f"{self.names[0]}.png")

    def images(self, indices: Sequence[int]) -> Array:
        """Returns (M, h, w, 3) uint8."""
        maps = [read_image(self.folder / PATCHES / f"{self.names[index]}.png") for index in indices]
        return self._stack(maps, indices)

    def labels(self, indices: Sequence[int]) -> Array:
        """Returns (M, h, w) train ids with the user's corrections."""
        return self._stack([self._labels(self.names[index]) for index in indices], indices)

    def rarity(self) -> Array:
        """Returns a weight (M,) for each patch, greater the rarer its rarest class is; see `rarity_weights`."""
        # Patches from elsewhere have no index.
        index = load_index(self.folder)
        known = {row["name"]: row["pixels"] for row in (index["patches"] if index else ())}
        return rarity_weights(np.stack([self._pixels(name, known.get(name)) for name in self.names]))

    def _pixels(self, name: str, known: Mapping[str, int] | None) -> Array:
        """Pixels of each class (K,) in a patch with the user's corrections."""
        counts = np.zeros(len(self.classes), np.int64)
        if known is None or name in self.corrections.relabelled:
            labels = self._labels(name)
            counts += np.bincount(labels[labels < len(counts)], minlength=len(counts))
            return counts
        for number, pixels in known.items():
            if int(number) < len(counts):
                counts[int(number)] += pixels
        return counts

    def _labels(self, name: str) -> Array:
        stored = read_labels(self.folder / PATCH_LABELS / f"{name}.png")
        # A correction may name a class that the type of the other ids cannot hold.
        wide = np.promote_types(stored.dtype, label_dtype(self.classes))
        labels = self.corrections.applied(name, stored.astype(wide, copy=False))
        wrong = labels[(labels >= len(self.classes)) & (labels != self.classes.ignore)]
        if wrong.size:
            raise InputError(
                f"{self.folder / 'labels' / name}.png: found label id {int(wrong[0])}, expected 0 to "
                f"{len(self.classes) - 1}; mine the patches with this class set, or repair the corrections"
            )
        return labels

    def _stack(self, maps: Sequence[Array], indices: Sequence[int]) -> Array:
        for index, part in zip(indices, maps, strict=True):
            if part.shape[:2] != maps[0].shape[:2]:
                raise InputError(
                    f"{self.folder}: patches of different sizes ({self.names[indices[0]]} and {self.names[index]}), "
                    "expected one size; mine them in one go with one grid"
                )
        return np.stack(maps)


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*.png") if not path.name.startswith("."))
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in files)


class PatchShape(TypedDict):
    """One patch in ``patches.json``; see `Patch`."""

    name: Key
    image: Key
    cell: Count
    pixels: dict[Digits, Count]
    confidence: float
    classes: list[Count]


class RareShape(TypedDict):
    """One class in ``patches.json``; see `Rare`."""

    id: Count
    name: str
    reason: str


class IndexShape(TypedDict):
    """The content of ``patches.json``."""

    grid: str
    rare: list[RareShape]
    patches: list[PatchShape]


def load_index(folder: Path) -> IndexShape | None:
    """Reads ``patches.json``; None if the patches came from elsewhere.

    Raises:
        InputError: it is damaged.
    """
    return read_as(folder / PATCH_INDEX, IndexShape, remedy="cut the patches again")
