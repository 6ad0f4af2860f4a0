"""Lists a folder once for concurrent callers: a hundred thousand files take seconds each time."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from crots.data.datasets import Dataset, open_dataset

T = TypeVar("T")


class Shared(Generic[T]):
    """Computes a value once for all callers while it is computed or in use; dropped with its last user."""

    def __init__(self) -> None:
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._waiting = 0
        self._held: T | None = None
        self._made: weakref.WeakValueDictionary[Hashable, T] = weakref.WeakValueDictionary()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns the value of a key; one is made at a time, the others wait for it."""
        with self._counting:
            self._waiting += 1
        try:
            with self._lock:
                value = self._made.get(key)
                if value is None:
                    value = self._made[key] = make()
                # Kept only for the waiting callers.
                self._held = value
                return value
        finally:
            with self._counting:
                self._waiting -= 1
                if not self._waiting:
                    self._held = None


_datasets: Shared[Dataset] = Shared()


def target_dataset(path: Path, layout: str, split: str) -> Dataset:
    """Lists the images of a target; see `crots.data.datasets.open_dataset`.

    Raises:
        InputError: as there.
    """
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    return _datasets.get((path, layout, split, stamp), lambda: open_dataset(path, layout=layout, split=split))
