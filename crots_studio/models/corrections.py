"""The user's corrections of hard patches: rejected, relabelled; with undo and redo, saved at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from crots.training.patch_set import PatchCorrections
from crots_studio.models.undo import Step, Undoable

_MOST_STEPS = 1000


class Corrections(Undoable[PatchCorrections]):
    """The corrections of a project. Every change is on disk before the call returns, so a crash loses none.

    Changes, undo and redo raise `StageError` where the disk is full or the folder cannot be written.

    Attributes:
        folder: where they are kept.
        state: as of now.
        changed: called after every change.
    """

    def __init__(self, folder: Path, changed: Callable[[], None] | None = None) -> None:
        self.folder = folder
        self.changed = changed
        self.state = PatchCorrections.read(folder)
        super().__init__(_MOST_STEPS)

    def reject(self, names: Iterable[str]) -> None:
        """Excludes patches from training."""
        fresh = frozenset(names) - self.state.rejected
        if fresh:
            self._do(f"reject {_patches(len(fresh))}", rejected=self.state.rejected | fresh)

    def restore(self, names: Iterable[str]) -> None:
        """Restores rejected patches, and drops their relabelling."""
        chosen = frozenset(names)
        relabelled = {name: ids for name, ids in self.state.relabelled.items() if name not in chosen}
        touched = (chosen & self.state.rejected) | (chosen & set(self.state.relabelled))
        if touched:
            self._do(f"restore {_patches(len(touched))}", rejected=self.state.rejected - chosen, relabelled=relabelled)

    def relabel(self, names: Iterable[str], old: int, new: int, label: str = "") -> None:
        """Replaces a class by another, or by ignore, in patches.

        Args:
            names: of the patches.
            old: class id in the labels as mined.
            new: what counts in its place; ``old`` itself takes an earlier replacement back.
            label: how the step is called, ``car to road``.
        """
        relabelled = {name: dict(ids) for name, ids in self.state.relabelled.items()}
        count = 0
        for name in dict.fromkeys(names):
            ids = relabelled.setdefault(name, {})
            count += ids.get(old, old) != new
            ids[old] = new
            if new == old:
                del ids[old]
            if not ids:
                del relabelled[name]
        if count:
            self._do(f"relabel {label or f'{old} to {new}'} in {_patches(count)}", relabelled=relabelled)

    def undo(self) -> None:
        """Undoes the last change."""
        if self._steps.undo():
            self._tell()

    def redo(self) -> None:
        """Redoes the change that was undone last."""
        if self._steps.redo():
            self._tell()

    def _do(
        self,
        text: str,
        *,
        rejected: frozenset[str] | None = None,
        relabelled: Mapping[str, Mapping[int, int]] | None = None,
    ) -> None:
        state = PatchCorrections(
            self.state.rejected if rejected is None else rejected,
            self.state.relabelled if relabelled is None else relabelled,
        )
        self._steps.do(Step(text, "", self.state, state))
        self._tell()

    def _write(self, _part: str, state: PatchCorrections) -> None:
        """Writes to disk first: if that fails, nothing has changed."""
        state.write(self.folder)
        self.state = state

    def _tell(self) -> None:
        if self.changed:
            self.changed()


def _patches(count: int) -> str:
    return f"{count} patch" if count == 1 else f"{count} patches"
