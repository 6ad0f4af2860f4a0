"""Images at working or native size, decoded once: reading a large photograph costs more than a step on it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crots import rendering
from crots.config import Size
from crots.errors import StageError
from crots.files import atomic_path, digest, file_stamp
from crots.images import read_image, resize_image
from crots.ownership import is_link

_HEADER = 128  # bytes before the pixels in a .npy file
# Only files with these names are deleted.
_ENTRY = re.compile(r"[0-9a-f]{16}-([0-9a-f]{16}|gone)\.npy")


class ImageCache:
    """Reads images resized to a working size and keeps them on disk, one ``.npy`` each, safe for several threads.

    An entry belongs to path, size and the file's stamp, so a changed image is read again and replaces its entry. A full
    disk or a read-only folder ends the writing, not the run.

    Args:
        folder: where entries lie; None keeps nothing.
        size: working size; None keeps the images' own.
        limit_bytes: no entry is added beyond this many bytes in all.
        writers: processes that fill the folder together, about equally fast.
    """

    def __init__(self, folder: Path | None, size: Size | None, limit_bytes: int, *, writers: int = 1) -> None:
        self.folder = folder
        self.size = size
        self.limit_bytes = limit_bytes
        self._writers = writers
        self._lock = threading.Lock()
        self._used: int | None = None

    def get(self, path: Path) -> NDArray[np.uint8]:
        """Returns the image (H, W, 3) uint8 RGB; writing into it changes no file, and a part of it reads no more.

        Raises:
            InputError: the image is missing or broken.
        """
        kind = list(self.size) if self.size else "native"
        return self._kept(path, kind, self._read, self._is_image)

    def map_of(self, path: Path, read: Callable[[Path], NDArray[Any]], kind: Any = "") -> NDArray[Any]:
        """Returns a map (H, W) of whole numbers at the size of its file; kept likewise.

        Args:
            path: the file.
            read: reads it.
            kind: plain data that says how it is read; empty is the name of ``read``.

        Raises:
            InputError: the file is missing or broken.
        """
        return self._kept(path, kind or read.__name__, read, _is_map)

    def _kept(
        self, path: Path, kind: Any, read: Callable[[Path], NDArray[Any]], fits: Callable[[NDArray[Any]], bool]
    ) -> NDArray[Any]:
        if self.folder is None:
            return read(path)
        entry = self._entry(self.folder, path, kind)
        cached = _load(entry, fits)
        if cached is None:
            cached = read(path)
            self._store(entry, cached)
        return cached

    def _read(self, path: Path) -> NDArray[np.uint8]:
        image = read_image(path)
        return resize_image(image, self.size) if self.size else image

    def _entry(self, folder: Path, path: Path, kind: Any) -> Path:
        place = digest([str(path.absolute()), kind, *rendering.of(path).key])
        try:
            stamp = digest(file_stamp(path))
        except OSError:
            stamp = "gone"  # reading it raises the proper error
        return folder / place[:2] / f"{place}-{stamp}.npy"

    def _is_image(self, found: NDArray[Any]) -> bool:
        sides = (self.size.height, self.size.width) if self.size else found.shape[:2]
        return bool(found.shape == (*sides, 3) and found.dtype == np.uint8)

    def _store(self, entry: Path, image: NDArray[Any]) -> None:
        if is_link(entry.parent.parent) or is_link(entry.parent) or not self._reserve(image.nbytes + _HEADER):
            # Nothing is written or deleted where a link leads.
            return
        try:
            with atomic_path(entry) as partial:
                np.save(partial, image)
        except (StageError, OSError):
            self.limit_bytes = 0
            return
        self._drop_stale(entry)

    def _drop_stale(self, entry: Path) -> None:
        """Deletes entries of earlier versions of the same image."""
        place = entry.stem.split("-")[0]
        for stale in entry.parent.glob(f"{place}-*.npy"):
            if stale != entry and _ENTRY.fullmatch(stale.name):
                with contextlib.suppress(OSError):
                    stale.unlink()

    def _reserve(self, size: int) -> bool:
        with self._lock:
            if self._used is None:
                self._used = _bytes_below(self.folder) if self.folder else 0
            if self._used + size > self.limit_bytes:
                return False
            # Additions of the other writers are estimated, since they are not seen.
            self._used += size * self._writers
            return True


def _load(entry: Path, fits: Callable[[NDArray[Any]], bool]) -> NDArray[Any] | None:
    try:
        # Copy-on-write: torch warns of arrays that cannot be written to.
        found = np.load(entry, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return np.asarray(found) if fits(found) else None


def _is_map(found: NDArray[Any]) -> bool:
    return found.ndim == 2 and found.dtype.kind in "iu"


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.glob("*/*.npy"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
