"""The images of a project with statistics of their pseudo-labels: sorted and filtered without reading files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from crots.arrays import Array
from crots.artefacts import HARD, IMAGE_ROWS, LABEL_IDS
from crots.data.folder_listing import key_of
from crots.data.matching import label_ending
from crots.errors import InputError
from crots.files import file_stamp, files_below
from crots.image_formats import IMAGE_SUFFIXES
from crots.opening import Inputs
from crots.project import Project
from crots.records import is_plain, read_plain
from crots.stages.pseudo_label import read_rows
from crots.taxonomy import ClassSet
from crots_studio.models.listing import Shared, target_dataset
from crots_studio.models.words import fault_text

Part = Literal["all", "easy", "hard"]
Order = Literal["hardest", "easiest", "name", "class", "unsure", "suspicious"]
ORDERS: dict[Order, str] = {
    "hardest": "Hardest first",
    "easiest": "Easiest first",
    "name": "Name",
    "class": "Most of a class",
    "unsure": "Least confident of a class",
    "suspicious": "Most suspicious",
}
# Folders of labels beside images; the first images shown should not come from them.
_LABEL_FOLDERS = {"gt", "gtfine", "gtcoarse", "labels", LABEL_IDS, "masks", "annotations"}
PARTS: dict[Part, str] = {"all": "All images", "easy": "Easy half", "hard": "Hard half"}


@dataclass(frozen=True)
class LabelRow:
    """One image for display.

    Attributes:
        entropy: mean of its pixels in nats, None without labels.
        hard: whether it is listed in ``hard.txt``.
    """

    key: str
    path: Path
    entropy: float | None
    hard: bool


@dataclass(frozen=True, eq=False)
class LabelList:
    """All images, as columns: a hundred thousand of them take a few megabytes.

    Attributes:
        root: folder that ``files`` are relative to.
        keys: of the images.
        files: their paths below the root, ``/`` between folders.
        entropy: (N,) float32, nan without labels.
        hard: (N,) bool.
        pixels: (N, K) predicted pixels by class.
        confidence: (N, K) sums of their confidences.
        doubt: (N,) float32, 0..1, how suspicious the labels are; nan, or empty, where not searched.
        complete: False for a first glance at a long listing.
        problem: why there are no images.
        is_fault: whether that is an error, and not only that none are chosen yet.
    """

    root: Path = Path()
    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    entropy: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    hard: Array = field(default_factory=lambda: np.zeros(0, bool))
    pixels: Array = field(default_factory=lambda: np.zeros((0, 0), np.int32))
    confidence: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    doubt: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    complete: bool = True
    problem: str = ""
    is_fault: bool = False
    # Whether images in different folders share a name, and letters of the ending that all names have.
    _again: bool = field(init=False, default=False)
    _ending: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Reads the names, in the thread that made the list."""
        names = {key.rpartition("/")[2] for key in self.keys}
        ends = [name[::-1] for name in names] if len(names) > 1 else [""]
        # In sorted order, what the first and the last share is shared by all.
        same = takewhile(lambda pair: pair[0] == pair[1], zip(min(ends), max(ends), strict=False))
        shared = "".join(letter for letter, _ in same)
        object.__setattr__(self, "_again", len(names) < len(self.keys))
        # From its first separator on: of numbers that end in the same digits none is cut.
        object.__setattr__(self, "_ending", max(shared.rfind(mark) for mark in "_-.") + 1)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def labelled(self) -> bool:
        """Whether there are pseudo-labels."""
        return bool(len(self) and not np.isnan(self.entropy).all())

    def row(self, index: int) -> LabelRow:
        """Returns one image."""
        entropy = float(self.entropy[index])
        hard = bool(self.hard[index])
        return LabelRow(self.keys[index], self.path(index), None if np.isnan(entropy) else entropy, hard)

    def path(self, index: int) -> Path:
        """Returns the picture of an image."""
        return self.root / self.files[index]

    def name(self, index: int) -> str:
        """Returns the distinct part of a name: no common ending, and no folder unless names repeat."""
        key = self.keys[index]
        name = key if self._again else key.rpartition("/")[2]
        return name[: len(name) - self._ending] or name

    def figure(self, index: int, order: Order, shows: int | None) -> str:
        """Returns the number that an order sorts one image by: entropy, share or confidence of a class, doubt."""
        if not self.labelled or np.isnan(self.entropy[index]):
            return ""
        if order == "class" and shows is not None:
            return f"{self.shares(index)[shows]:.1%}"
        if order == "unsure" and shows is not None:
            return f"{self.confidence[index, shows] / max(1, self.pixels[index, shows]):.2f}"
        if order == "suspicious" and len(self.doubt):
            return "" if np.isnan(self.doubt[index]) else f"{self.doubt[index]:.2f}"
        return f"{self.entropy[index]:.2f}"

    def shares(self, index: int | None = None) -> Array:
        """Returns the share of each class, (K,) 0..1, in one image or in all."""
        pixels = self.pixels.sum(axis=0, dtype=np.float64) if index is None else self.pixels[index].astype(np.float64)
        shares: Array = pixels / max(1.0, float(pixels.sum()))
        return shares

    def arrange(self, order: Order, *, part: Part = "all", shows: int | None = None, text: str = "") -> list[int]:
        """Returns the images to list, in order.

        Args:
            order: see `ORDERS`; ``class`` and ``unsure`` are about the class ``shows``.
            part: see `PARTS`.
            shows: leave out images without this class.
            text: leave out images whose key does not contain it; case does not matter.
        """
        chosen = np.arange(len(self))
        if self.labelled and part != "all":
            chosen = chosen[self.hard[chosen] == (part == "hard")]
        if self.labelled and shows is not None:
            chosen = chosen[self.pixels[chosen, shows] > 0]
        if wanted := text.strip().lower():
            chosen = np.array([i for i in chosen if wanted in self.keys[i].lower()], dtype=np.intp)
        if not self.labelled:
            return [int(index) for index in chosen]
        return [int(index) for index in chosen[self._ranks(order, chosen, shows)]]

    def _ranks(self, order: Order, chosen: Array, shows: int | None) -> Array:
        # Keys are sorted already, so a stable sort breaks ties by name.
        if order in ("class", "unsure") and shows is not None:
            pixels = self.pixels[chosen, shows]
            values = -pixels if order == "class" else self.confidence[chosen, shows] / np.maximum(pixels, 1)
        elif order == "suspicious" and len(self.doubt):
            values = -np.nan_to_num(self.doubt[chosen], nan=-1.0)
        elif order == "name":
            values = np.zeros(len(chosen))
        else:
            values = np.nan_to_num(self.entropy[chosen]) * (1 if order == "easiest" else -1)
        return np.argsort(values, kind="stable")


def classes_of(project: Project) -> ClassSet:
    """Returns the target's class set: a file's path is relative to the project.

    Raises:
        InputError: there is none of that name.
    """
    return Inputs(project.config, project.folder).classes


def glance(project: Project, most: int = 200) -> LabelList:
    """Returns the first images of the target folder within milliseconds, however many there are."""
    folder = project.config.data.target
    if folder is None or not project.path(folder).is_dir():
        return LabelList(complete=False)
    root = project.path(folder)
    files = [name for name, _ in zip(_glanced(root), range(most), strict=False)]
    return without_labels(root, files, complete=False)


def _glanced(root: Path) -> Iterator[str]:
    # Up to the first unreadable folder; reading the whole list reports the error.
    with contextlib.suppress(OSError, InputError):
        for name, entry in files_below(root, lambda entry: _may_hold_images(entry.name)):
            name = Path(name).as_posix()
            is_image = entry.name.lower().endswith(tuple(IMAGE_SUFFIXES)) and not label_ending(key_of(entry.name))
            if is_image and not entry.name.startswith("."):
                yield name


def _may_hold_images(folder: str) -> bool:
    return not folder.startswith(".") and folder.lower() not in _LABEL_FOLDERS


_lists: Shared[LabelList] = Shared()


def read_list(project: Project, classes: ClassSet) -> LabelList:
    """Lists the images of a project with what its pseudo-label stage found; for another thread than the window's."""
    listed = project.shown_folder("pseudo-label") / IMAGE_ROWS
    stamp = tuple(file_stamp(listed)) if is_plain(listed) else ()
    key = (project.folder, project.config.data, classes.name, stamp)
    return _lists.get(key, lambda: _read_list(project, classes))


def _read_list(project: Project, classes: ClassSet) -> LabelList:
    data = project.config.data
    if data.target is None:
        return LabelList(problem="No target folder is chosen yet.")
    try:
        dataset = target_dataset(project.path(data.target), data.layout, data.split)
    except InputError as error:
        return LabelList(problem=fault_text(error), is_fault=True)
    folder = project.shown_folder("pseudo-label")
    if (folder / IMAGE_ROWS).exists():
        return read_labelled(folder, dataset.root, classes)
    files = [below(os.fspath(sample.image), os.fspath(dataset.root)) for sample in dataset.samples]
    return without_labels(dataset.root, files, complete=True)


def below(path: str, root: str) -> str:
    """Returns a path relative to a folder, with ``/`` between names."""
    inside = path.startswith(root + os.sep)
    return (path[len(root) + 1 :] if inside else os.path.relpath(path, root)).replace(os.sep, "/")


def without_labels(root: Path, files: list[str], *, complete: bool) -> LabelList:
    """Returns a list of images without any statistics.

    Args:
        root: folder that ``files`` are relative to.
        files: with ``/`` between names, sorted.
        complete: False for the first ones of a long listing.
    """
    return LabelList(
        root=root,
        keys=tuple(key_of(name) for name in files),
        files=tuple(files),
        entropy=np.full(len(files), np.nan, np.float32),
        hard=np.zeros(len(files), bool),
        pixels=np.zeros((len(files), 0), np.int32),
        confidence=np.zeros((len(files), 0), np.float32),
        complete=complete,
    )


def read_labelled(folder: Path, root: Path, classes: ClassSet) -> LabelList:
    """Reads ``images.jsonl`` and ``hard.txt`` of a pseudo-label folder; damaged lines are passed over.

    Raises:
        InputError: one of them is no file, or cannot be read.
    """
    hard = {line.rpartition(" ")[0] for line in _lines(folder / HARD)}
    keys: list[str] = []
    files: list[str] = []
    entropy: list[float] = []
    pixels: list[Array] = []
    sums: list[Array] = []
    for row in read_rows(folder / IMAGE_ROWS, len(classes)):
        keys.append(row["key"])
        files.append(row["image"])
        entropy.append(row["entropy"])
        pixels.append(np.array(row["pixels"], np.int32))
        sums.append(np.array(row["confidence"], np.float32))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return LabelList(
        root=root,
        keys=tuple(keys[i] for i in order),
        files=tuple(files[i] for i in order),
        entropy=np.array([entropy[i] for i in order], np.float32),
        hard=np.array([files[i] in hard for i in order], bool),
        pixels=_stacked([pixels[i] for i in order], len(classes), np.int32),
        confidence=_stacked([sums[i] for i in order], len(classes), np.float32),
    )


def _stacked(rows: list[Array], classes: int, dtype: Any) -> Array:
    return np.stack(rows) if rows else np.zeros((0, classes), dtype)


def _lines(path: Path) -> Iterator[str]:
    content = read_plain(path, remedy="delete it and run the pseudo-label stage again") or b""
    yield from content.decode(errors="replace").split("\n")
