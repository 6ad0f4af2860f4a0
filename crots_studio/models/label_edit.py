"""Repainting pseudo-labels: regions filled, strokes drawn; with undo and redo, saved at once."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from crots.arrays import Array
from crots.files import explained, remove_partials
from crots.label_files import read_labels, write_labels
from crots.ownership import check_place
from crots.training.material import PseudoLabels
from crots_studio.models.undo import Step, Undoable

_MOST_STEPS = 200
# A label map as compressed bytes; None where the stage's own counts.
_State = bytes | None


def region(labels: Array, x: int, y: int) -> Array:
    """Returns the 4-connected region (H, W) bool of one label around a pixel."""
    same = (labels == labels[y, x]).astype(np.uint8)
    _, parts = cv2.connectedComponents(same, connectivity=4)
    found: Array = parts == parts[y, x]
    return found


def stroke(shape: tuple[int, int], points: Sequence[tuple[int, int]], width: int) -> Array:
    """Returns the pixels (H, W) bool under a round brush that is drawn through points (x, y)."""
    covered = np.zeros(shape, np.uint8)
    radius = max(0, (width - 1) // 2)
    for start, end in zip(points, [*points[1:], points[-1]], strict=True):
        cv2.line(covered, start, end, 1, max(1, width))
        cv2.circle(covered, end, radius, 1, cv2.FILLED)
    return covered.astype(bool)


def inside(shape: tuple[int, int], corners: Sequence[tuple[int, int]]) -> Array:
    """Returns the pixels (H, W) bool of a polygon with corners (x, y), its edge included; a line where it has two."""
    covered = np.zeros(shape, np.uint8)
    points = np.array(corners, np.int32).reshape(-1, 1, 2)
    if len(points):
        cv2.fillPoly(covered, [points], 1)
        cv2.polylines(covered, [points], True, 1)
    return covered.astype(bool)


@dataclass(frozen=True)
class Import:
    """The corrections of one image before and after an import from a labelling tool, as `LabelEdits.states`."""

    key: str
    before: _State
    after: _State


class LabelEdits(Undoable[_State]):
    """The repainted labels of a project. A change is on disk before the call returns, so a crash loses none.

    Changes, undo and redo raise `StageError` where the disk is full or the folder cannot be written, and `InputError`
    where a link lies in the place of a file or folder of theirs.

    Args:
        labels: the stage's labels, with the folder of corrections.
    """

    def __init__(self, labels: PseudoLabels) -> None:
        assert labels.corrections is not None
        self._labels, self._folder = labels, labels.corrections
        super().__init__(_MOST_STEPS)
        # Files that a kill left half-written would count as corrections.
        remove_partials(self._folder)
        self.keys: set[str] = {
            path.relative_to(self._folder).with_suffix("").as_posix() for path in self._folder.rglob("*.png")
        }

    def fill(self, key: str, x: int, y: int, new: int, title: str = "") -> bool:
        """Relabels the region under a pixel; returns whether anything changed."""
        return self._put(f"fill {title}".strip(), key, region(self._labels.read(key), x, y), new)

    def paint(self, key: str, points: Sequence[tuple[int, int]], width: int, new: int, title: str = "") -> bool:
        """Draws a stroke through points (x, y) in a label; returns whether anything changed."""
        height, length = self._labels.read(key).shape
        return self._put(f"brush {title}".strip(), key, stroke((height, length), points, width), new)

    def erase(self, key: str, points: Sequence[tuple[int, int]], width: int) -> bool:
        """Restores the stage's own labels under a stroke through points (x, y); returns whether anything changed."""
        own = read_labels(self._labels.labels / f"{key}.png")
        height, length = self._labels.read(key).shape
        where = stroke((height, length), points, width)
        return own.shape == where.shape and self._put("eraser", key, where, own[where])

    def polygon(self, key: str, corners: Sequence[tuple[int, int]], new: int, title: str = "") -> bool:
        """Relabels the inside of a polygon with corners (x, y); returns whether anything changed."""
        height, length = self._labels.read(key).shape
        return self._put(f"polygon {title}".strip(), key, inside((height, length), corners), new)

    def cover(self, key: str, where: Array, new: int, title: str = "") -> bool:
        """Gives the superpixels ``where``, (H, W) bool, another label; returns whether anything changed."""
        same = where.shape == self._labels.read(key).shape
        return same and self._put(f"superpixels {title}".strip(), key, where, new)

    def states(self) -> dict[str, _State]:
        """Returns the corrected labels of all images, packed."""
        return {key: self._state(key) for key in self.keys}

    def take_imported(self, found: Sequence[Import]) -> None:
        """Lets corrections be taken back, image by image, that an import has written already."""
        for change in found:
            self._steps.note(Step(f"import of {change.key}", change.key, change.before, change.after))

    def reset(self, key: str) -> bool:
        """Removes all corrections of an image; returns whether there were any."""
        return self._do("reset of the image", key, None)

    def undo(self) -> str:
        """Undoes the last change and returns the key of its image, empty if there was none."""
        step = self._steps.undo()
        return step.part if step else ""

    def redo(self) -> str:
        """Redoes the change that was undone last; likewise."""
        step = self._steps.redo()
        return step.part if step else ""

    def _put(self, text: str, key: str, where: Array, new: int | Array) -> bool:
        labels = self._labels.read(key)
        changed = labels.copy()
        changed[where] = new
        if np.array_equal(changed, labels):
            return False
        same = np.array_equal(changed, read_labels(self._labels.labels / f"{key}.png"))
        return self._do(text, key, None if same else changed)

    def _do(self, text: str, key: str, labels: Array | None) -> bool:
        before = self._state(key)
        after = None if labels is None else zlib.compress(labels.tobytes(), 1)
        if before == after:
            return False
        self._steps.do(Step(text, key, before, after))
        return True

    def _state(self, key: str) -> _State:
        return zlib.compress(self._labels.read(key).tobytes(), 1) if key in self.keys else None

    def _write(self, key: str, state: _State) -> None:
        path = self._folder / f"{key}.png"
        # From the project's corrections on: nothing is written or deleted where a link leads.
        check_place(self._folder.parent, path, "file")
        if state is None:
            with explained(path):
                path.unlink(missing_ok=True)
            self.keys.discard(key)
            self._remove_empty(path.parent)
        else:
            like = self._labels.read(key)
            write_labels(path, np.frombuffer(zlib.decompress(state), like.dtype).reshape(like.shape))
            self.keys.add(key)

    def _remove_empty(self, folder: Path) -> None:
        """Removes an empty folder, which the project would take for corrections."""
        while folder.is_relative_to(self._folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
            if folder.exists():
                return
            folder = folder.parent
