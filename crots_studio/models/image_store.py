"""Pictures and maps of a project's images: read on demand, on other threads, within a memory limit."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from PIL import Image, ImageOps

from crots.arrays import Array
from crots.artefacts import LABEL_IDS
from crots.config import Size
from crots.errors import InputError
from crots.image_formats import check_decoded
from crots.images import image_size, is_plain, read_image, resize_image
from crots.project import Project
from crots.taxonomy import ClassSet
from crots.training.material import PseudoLabels

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# No screen shows more pixels of an image beside another.
MOST_SIDE = 2048
MEMORY = 96 * 2**20


def read_small(path: Path, side: int) -> Array:
    """Reads an image upright, with no side longer than ``side`` pixels; JPEG is decoded at reduced size.

    Returns:
        (h, w, 3) uint8.

    Raises:
        InputError: it is missing or broken.
    """
    if is_plain(path) and (small := _quickly(path, side)) is not None:
        return small
    whole = read_image(path)
    factor = min(1.0, side / max(whole.shape[:2]))
    height, width = (max(1, round(length * factor)) for length in whole.shape[:2])
    return resize_image(whole, Size(width, height))


def _quickly(path: Path, side: int) -> Array | None:
    """Reads an image as `read_small` does; None if the careful reader must produce the error."""
    try:
        with Image.open(path) as image:
            check_decoded(path, image)
            # TIFFs are never decoded at reduced size, and Pillow garbles some that are turned, see `opened`.
            if image.mode.startswith(("I", "F")) or image.format == "TIFF":
                return None
            image.draft("RGB", (side, side))
            image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
            upright = ImageOps.exif_transpose(image)
            return np.array((upright.convert("RGBA") if "transparency" in upright.info else upright).convert("RGB"))
    except Exception as error:  # decoders raise nearly every type
        if not path.is_file():
            raise InputError(f"{path}: no such file") from error
        return None


def entropy_map(confidence: Array, classes: int) -> Array:
    """Returns the greatest entropy that pixels of this confidence can have, in nats.

    Files keep the greatest probability alone; the rest is taken as shared evenly by the other classes.

    Args:
        confidence: (H, W), 0..1.
        classes: number of classes, K; with one class there is no doubt.
    """
    if classes < 2:
        return np.zeros(confidence.shape, np.float32)
    sure = np.clip(confidence.astype(np.float32), 1.0 / classes, 1.0)
    rest = np.clip(1.0 - sure, 0.0, 1.0)
    share = np.maximum(rest / (classes - 1), np.float32(1e-12))
    # Its absolute value: minus a sum of zeros would read -0.00.
    entropy: Array = np.abs(sure * np.log(sure) + rest * np.log(share)).astype(np.float32)
    return entropy


@dataclass(frozen=True, eq=False)
class ImageMaps:
    """The picture and maps of one image; the maps have one size, the picture may have more pixels.

    Attributes:
        image: (h, w, 3) uint8.
        labels: (H, W) train ids, None where there are no pseudo-labels.
        confidence: (H, W) float32, None where the source gave none.
        entropy: (H, W) float32 nats, see `entropy_map`; likewise.
    """

    image: Array
    labels: Array | None = None
    confidence: Array | None = None
    entropy: Array | None = None

    @property
    def size(self) -> Size:
        """Size of the maps; without them that of the picture."""
        shape = self.image.shape if self.labels is None else self.labels.shape
        return Size(shape[1], shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes it takes in memory."""
        parts = (self.image, self.labels, self.confidence, self.entropy)
        return sum(part.nbytes for part in parts if part is not None)


class Bounded(Generic[K, V]):
    """A least-recently-used cache limited in bytes; safe for several threads."""

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self._limit, self._weigh = limit, weigh
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes kept."""
        return self._bytes

    def get(self, key: K) -> V | None:
        """Returns a cached value and marks it as used."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Stores a value and drops the least recently used ones."""
        with self._lock:
            self._forget(key)
            self._kept[key] = value
            self._bytes += self._weigh(value)
            while self._bytes > self._limit and len(self._kept) > 1:
                self._forget(next(iter(self._kept)))

    def drop(self, key: K) -> None:
        """Drops one value."""
        with self._lock:
            self._forget(key)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _forget(self, key: K) -> None:
        if key in self._kept:
            self._bytes -= self._weigh(self._kept.pop(key))


class ImageStore:
    """Reads images of a project with their pseudo-labels; call it from other threads than the window's."""

    def __init__(self, project: Project, classes: ClassSet, *, limit: int = MEMORY) -> None:
        self.classes = classes
        self._project = project
        self._corrections = project.corrections_path / LABEL_IDS
        self._kept: Bounded[tuple[Any, ...], ImageMaps] = Bounded(limit, lambda maps: maps.nbytes)

    def maps(self, key: str, path: Path, *, corrected: bool = True) -> ImageMaps:
        """Returns picture and maps of an image.

        Args:
            key: of the image, which names its label files.
            path: of the picture.
            corrected: with the user's corrections, and not as the source predicted it.

        Raises:
            InputError: a file is broken, or its labels are for other classes.
        """
        correction = _stamp(self._corrections / f"{key}.png") if corrected else ()
        # Before reading, so that labels repainted meanwhile are read again the next time.
        name = (key, _stamp(self.pseudo_labels.labels / f"{key}.png"), correction)
        kept = self._kept.get(name)
        if kept is None:
            kept = self._read(key, path, self.pseudo_labels if corrected else self._predicted)
            self._kept.put(name, kept)
        return kept

    @property
    def pseudo_labels(self) -> PseudoLabels:
        """The labels that it reads: they move when the stage that makes them is complete."""
        return PseudoLabels.below(self._project.shown_folder("pseudo-label"), self.classes, self._corrections)

    @property
    def _predicted(self) -> PseudoLabels:
        return PseudoLabels.below(self._project.shown_folder("pseudo-label"), self.classes)

    def working_size(self, keys: Sequence[str]) -> Size:
        """Returns the size of the labels on disk.

        Raises:
            InputError: none of these images has labels.
        """
        labels = self.pseudo_labels.labels
        files = (labels / f"{key}.png" for key in keys)
        found = next((path for path in files if path.exists()), None)
        if found is None:
            raise InputError("no image is labelled yet; run the stage Pseudo-labels")
        return image_size(found)

    def _read(self, key: str, path: Path, shown: PseudoLabels) -> ImageMaps:
        image = read_small(path, MOST_SIDE)
        if not (shown.labels / f"{key}.png").exists():
            return ImageMaps(image)
        labels = shown.read(key)
        if shown.confidence is None:
            return ImageMaps(image, labels)
        confidence = shown.read_confidence(key)
        return ImageMaps(image, labels, confidence, entropy_map(confidence, len(self.classes)))


def _stamp(path: Path) -> tuple[int, ...]:
    """Evidence that a file is the one seen before, empty where there is none; one that replaces another is another."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino


class PictureQueue:
    """Loads pictures in a few threads: the newest request first; old requests are dropped when there are too many.

    Args:
        ready: called in a loading thread with the key and the picture, or the error.
        workers: threads.
        most: requests that are kept waiting; scrolling past a thousand pictures must not load them all.
    """

    _all: ClassVar[weakref.WeakSet[PictureQueue]] = weakref.WeakSet()

    def __init__(
        self, ready: Callable[[Hashable, Array | Exception], None], *, workers: int = 2, most: int = 160
    ) -> None:
        self._ready, self._most, self._workers = ready, most, workers
        self._wishes: OrderedDict[Hashable, Callable[[], Array]] = OrderedDict()
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.stopped = False
        self._all.add(self)

    @classmethod
    def stop_all(cls) -> None:
        """Lets the threads of all queues end, for the end of the process."""
        for queue in list(cls._all):
            queue.stop()

    @property
    def waiting(self) -> int:
        """The number of waiting requests."""
        return len(self._wishes)

    def want(self, key: Hashable, load: Callable[[], Array]) -> None:
        """Requests a picture; another request for it moves it to the front."""
        with self._wake:
            self._wishes.pop(key, None)
            self._wishes[key] = load
            while len(self._wishes) > self._most:
                self._wishes.popitem(last=False)
            self._start()
            self._wake.notify()

    def clear(self) -> None:
        """Drops all requests."""
        with self._wake:
            self._wishes.clear()

    def stop(self) -> None:
        """Lets the threads end without waiting; the images being loaded are not delivered."""
        with self._wake:
            self.stopped = True
            self._wishes.clear()
            self._wake.notify_all()

    def _start(self) -> None:
        if not self._threads and not self.stopped:
            self._threads = [
                threading.Thread(target=self._work, name=f"pictures-{number}", daemon=True)
                for number in range(self._workers)
            ]
            for thread in self._threads:
                thread.start()

    def _work(self) -> None:
        while (wish := self._next()) is not None:
            key, load = wish
            try:
                result: Array | Exception = load()
            except Exception as error:  # shown in place of the picture
                result = error
            if not self.stopped:
                self._ready(key, result)

    def _next(self) -> tuple[Hashable, Callable[[], Array]] | None:
        with self._wake:
            while not self._wishes and not self.stopped:
                self._wake.wait()
            return None if self.stopped else self._wishes.popitem(last=True)
