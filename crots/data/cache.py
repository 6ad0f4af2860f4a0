"""Images at working size, decoded once: reading a large photograph costs more than a training step on it."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crots import rendering
from crots.config import Size
from crots.errors import StageError
from crots.files import atomic_path, digest, file_stamp
from crots.images import read_image, resize_image
from crots.ownership import is_link

_HEADER = 128  # bytes before the pixels in a .npy file
# Only such names are ours to delete.
_ENTRY = re.compile(r"[0-9a-f]{16}-([0-9a-f]{16}|gone)\.npy")


class ImageCache:
    """Reads images resized to a working size and keeps them on disk, one ``.npy`` each, safe for several threads.

    An entry belongs to path, size and the file's stamp, so a changed image is read anew and replaces its entry. A full
    disk or a read-only folder ends the writing, not the run.

    Args:
        folder: where entries lie; None keeps nothing.
        size: working size.
        limit_bytes: no entry is added beyond this many bytes in all.
        writers: processes that fill the folder together, about equally fast.
    """

    def __init__(self, folder: Path | None, size: Size, limit_bytes: int, *, writers: int = 1) -> None:
        self.folder = folder
        self.size = size
        self.limit_bytes = limit_bytes
        self._writers = writers
        self._lock = threading.Lock()
        self._used: int | None = None

    def get(self, path: Path) -> NDArray[np.uint8]:
        """Returns the image (H, W, 3) uint8 RGB at working size; writing into it changes no file.

        Raises:
            InputError: the image is missing or broken.
        """
        if self.folder is None:
            return self._read(path)
        entry = self._entry(self.folder, path)
        cached = self._load(entry)
        if cached is None:
            cached = self._read(path)
            self._store(entry, cached)
        return cached

    def _read(self, path: Path) -> NDArray[np.uint8]:
        return resize_image(read_image(path), self.size)

    def _entry(self, folder: Path, path: Path) -> Path:
        place = digest([str(path.absolute()), list(self.size), *rendering.of(path).words])
        try:
            stamp = digest(file_stamp(path))
        except OSError:
            stamp = "gone"  # reading it will say so properly
        return folder / place[:2] / f"{place}-{stamp}.npy"

    def _load(self, entry: Path) -> NDArray[np.uint8] | None:
        try:
            # Copy-on-write: torch warns of arrays that cannot be written to.
            image = np.load(entry, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if image.shape != (self.size.height, self.size.width, 3) or image.dtype != np.uint8:
            return None
        return np.asarray(image)

    def _store(self, entry: Path, image: NDArray[np.uint8]) -> None:
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
        """Deletes what was kept of an earlier state of the same image."""
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
            # What the others add meanwhile is not seen, so it is reckoned.
            self._used += size * self._writers
            return True


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.glob("*/*.npy"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
