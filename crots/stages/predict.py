"""Running a model on a folder, an image or a video: label ids, colours and overlays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from crots.arrays import Array
from crots.artefacts import LABEL_COLOUR, LABEL_IDS
from crots.config import Size, to_mapping
from crots.data.datasets import Sample
from crots.data.feed import ahead, prefetch
from crots.errors import InputError, StageError
from crots.events import ArtifactWritten, Event, Note, StageStarted
from crots.execution.context import Context, Meter
from crots.execution.control import Control
from crots.files import atomic_path, make_folder
from crots.images import image_size, read_image, resize_image, write_image
from crots.label_files import TRAIN_IDS, write_colours, write_labels
from crots.limits import check_pixels, strips
from crots.options import PredictOptions
from crots.taxonomy import ClassSet, label_dtype

T = TypeVar("T")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


class Frame(NamedTuple):
    """A picture (H, W, 3) uint8 RGB at its own size, and the name of what is written for it."""

    name: str
    image: Array


class Frames(Protocol):
    """Pictures in order, with their number (0 where unknown).

    Attributes:
        bad: by name, why a picture was left out so far.
    """

    bad: dict[str, str]

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...


class Predictor(Protocol):
    """Predicts label maps (H, W) of pictures at their own sizes."""

    def __call__(self, frames: Sequence[Frame]) -> list[Array]:
        """Predicts pictures of one size."""
        ...


@dataclass(frozen=True)
class PredictJob:
    """One run of the stage; ``out`` gets ``label_ids/``, ``label_color/`` and ``overlay/``.

    Attributes:
        frames: the pictures to predict.
        predict: the model.
        classes: of the model.
        video: frames per second of the overlay video to write, 0 for none.
    """

    frames: Frames
    predict: Predictor
    classes: ClassSet
    options: PredictOptions
    out: Path
    batch: int = 1
    device: str = "cpu"
    video: float = 0.0


class ImageFrames:
    """The images of a folder or list.

    Args:
        samples: the images.
        skip_bad: leave out those that cannot be read.
    """

    def __init__(self, samples: Sequence[Sample], *, skip_bad: bool = False) -> None:
        self._samples, self._skip_bad = list(samples), skip_bad
        self._largest = 0
        self.bad: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Frame]:
        for sample, image in self._all(read_image, ahead(4, 3 * self._largest)):
            if not isinstance(image, InputError):
                yield Frame(sample.key, image)
            elif self._skip_bad:
                self.bad[sample.key] = str(image)
            else:
                raise image
            del image  # while the next one is read

    def check_headers(self, control: Control) -> None:
        """Removes the files whose headers are not of images, and lists them in ``bad``; of large ones fewer wait.

        Raises:
            Stopped: the user asked to.
        """
        for sample, size in self._all(image_size):
            control.check()
            if isinstance(size, InputError):
                self.bad[sample.key] = str(size)
            else:
                self._largest = max(self._largest, size.width * size.height)
        self._samples = [sample for sample in self._samples if sample.key not in self.bad]

    def _all(self, read: Callable[[Path], T], depth: int = 4) -> Iterator[tuple[Sample, T | InputError]]:
        def load(sample: Sample) -> tuple[Sample, T | InputError]:
            try:
                return sample, read(sample.image)
            except InputError as error:
                return sample, error

        with contextlib.closing(prefetch(self._samples, load, workers=2, depth=depth)) as reading:
            yield from reading


class VideoFrames:
    """The frames of a video file.

    Raises:
        InputError: it cannot be read as a video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.bad: dict[str, str] = {}
        capture = cv2.VideoCapture(str(path))
        self._count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else -1
        self.rate = float(capture.get(cv2.CAP_PROP_FPS)) or 25.0
        sides = [max(0, int(capture.get(side))) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        capture.release()
        check_pixels(path, *sides)
        if self._count < 0:
            raise InputError(f"{path}: cannot be read as a video; convert it to MP4 (H.264) or extract its frames")

    def __len__(self) -> int:
        return max(0, self._count)

    def __iter__(self) -> Iterator[Frame]:
        capture = cv2.VideoCapture(str(self._path))
        try:
            number = 0
            while True:
                found, frame = capture.read()
                if not found:
                    break
                number += 1
                yield Frame(f"{self._path.stem}_{number:06d}", cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        finally:
            capture.release()
        if not number:
            raise InputError(f"{self._path}: holds no frames; expected a video")


def predict_frames(job: PredictJob, context: Context) -> Iterator[Event]:
    """Predicts every frame and writes what the options ask for.

    Raises:
        InputError: a picture cannot be read, or none can where unreadable ones are left out.
    """
    total = len(job.frames)
    options = to_mapping(job.options)
    yield StageStarted(stage=context.stage, total=total, unit="images", device=job.device, options=options)
    meter = Meter(context.stage, total)
    done = 0
    with contextlib.ExitStack() as stack:
        film = stack.enter_context(_film(job)) if job.video and job.options.overlay else None
        for batch in _batched(job.frames, job.batch):
            context.control.check()
            for frame, labels in zip(batch, job.predict(batch), strict=True):
                _write(job, frame, labels, film)
            done += len(batch)
            del batch, frame, labels  # while the next ones are read
            yield from meter.tick(done)
    if bad := job.frames.bad:
        first = next(iter(bad.values()))
        if not done:
            raise InputError(f"none of the {len(bad)} images can be read; the first: {first}")
        text = f"{len(bad)} unreadable images are left out; {first}"
        yield Note(stage=context.stage, level="warning", text=text)
    yield ArtifactWritten(stage=context.stage, kind="predictions", path=str(job.out))
    yield Note(stage=context.stage, text=f"predicted {done} images")


def _batched(frames: Frames, size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        # A batch holds pictures of one size.
        if batch and frame.image.shape != batch[0].image.shape:
            yield batch
            batch = []
        batch.append(frame)
        del frame
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(job: PredictJob, frame: Frame, labels: Array, film: _Film | None) -> None:
    name, options = f"{frame.name}.png", job.options
    if options.ids:
        ids = labels.astype(label_dtype(job.classes), copy=False)
        write_labels(job.out / LABEL_IDS / name, ids, says=f"{TRAIN_IDS} of {job.classes.name}")
    if options.colour:
        write_colours(job.out / LABEL_COLOUR / name, labels, job.classes.palette_array())
    if options.overlay:
        picture = overlay(frame.image, labels, job.classes, options.opacity)
        if film:
            film.write(picture)
        else:
            write_image(job.out / "overlay" / name, picture)


def overlay(image: Array, labels: Array, classes: ClassSet, opacity: float) -> Array:
    """Lays the colours of labels (H, W) over an image (H, W, 3) uint8, in place, and returns it."""
    for rows in strips(image):
        image[rows] = cv2.addWeighted(image[rows], 1 - opacity, classes.colours(labels[rows]), opacity, 0)
    return image


class _Film:
    """Writes an MP4 whose size is that of the first picture."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: Any = None

    def write(self, picture: Array) -> None:
        height, width = picture.shape[:2]
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, (width, height))
            if not self._writer.isOpened():
                raise StageError(
                    f"{self._path}: this OpenCV cannot write MP4; switch the overlay off, or predict frames"
                )
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


@contextlib.contextmanager
def _film(job: PredictJob) -> Iterator[_Film]:
    make_folder(job.out)
    with atomic_path(job.out / "overlay.mp4") as partial, contextlib.closing(_Film(partial, job.video)) as film:
        yield film
        film.close()


def at_working_size(images: Sequence[Array], size: Size) -> Array:
    """Resizes pictures (H, W, 3) of any size to (N, height, width, 3)."""
    return np.stack([resize_image(image, size) for image in images])
