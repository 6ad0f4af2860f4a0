"""Undo and redo of changes that are written to disk at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True)
class Step(Generic[S]):
    """One change: what it is called, of which image or other part, and that part's state before and after."""

    text: str
    part: str
    before: S
    after: S


class UndoStack(Generic[S]):
    """The changes so far, and those that were undone.

    Args:
        write: puts a part's state on disk; where it raises, nothing has changed here either.
        most: steps that can be undone.
    """

    def __init__(self, write: Callable[[str, S], None], most: int) -> None:
        self._write = write
        self._done: deque[Step[S]] = deque(maxlen=most)
        self._undone: list[Step[S]] = []

    @property
    def undo_text(self) -> str:
        """The change that `undo` reverts, empty if there is none."""
        return self._done[-1].text if self._done else ""

    @property
    def redo_text(self) -> str:
        """The change that `redo` repeats, empty if there is none."""
        return self._undone[-1].text if self._undone else ""

    def do(self, step: Step[S]) -> None:
        """Makes a change; changes that were undone before cannot be redone."""
        self._write(step.part, step.after)
        self._done.append(step)
        self._undone.clear()

    def note(self, step: Step[S]) -> None:
        """Lets a change be taken back that something else has written already."""
        self._done.append(step)
        self._undone.clear()

    def undo(self) -> Step[S] | None:
        """Undoes the last change and returns it, None if there was none."""
        if not self._done:
            return None
        step = self._done[-1]
        self._write(step.part, step.before)
        self._undone.append(self._done.pop())
        return step

    def redo(self) -> Step[S] | None:
        """Redoes the change that was undone last; likewise."""
        if not self._undone:
            return None
        step = self._undone[-1]
        self._write(step.part, step.after)
        self._done.append(self._undone.pop())
        return step


class Undoable(Generic[S]):
    """State that is changed in steps of an `UndoStack`; a subclass writes the state of a part."""

    def __init__(self, most: int) -> None:
        self._steps: UndoStack[S] = UndoStack(self._write, most)

    def _write(self, part: str, state: S) -> None:
        raise NotImplementedError

    @property
    def undo_text(self) -> str:
        """The change that `undo` reverts, empty if there is none."""
        return self._steps.undo_text

    @property
    def redo_text(self) -> str:
        """The change that `redo` repeats, empty if there is none."""
        return self._steps.redo_text
